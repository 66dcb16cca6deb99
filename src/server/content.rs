//! A request's body, and what becomes of content that nobody read.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::line::Line;
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Frame, Source};

/// A request's body on an HTTP/1 connection: a ticket for its turn.
pub(crate) struct TurnBody {
    line: Arc<Line>,
    turn: u64,
}

impl TurnBody {
    pub(crate) fn new(line: Arc<Line>, turn: u64) -> TurnBody {
        TurnBody { line, turn }
    }
}

impl Source for TurnBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let mut state = self.line.lock();
        if !state.is_turn(self.turn) {
            return Poll::Ready(Some(Err(Error::new(ErrorKind::RequestOver, "the request of this body is over"))));
        }
        let polled = state.poll_content(cx);
        state.keep_reader(polled.is_pending().then(|| cx.waker()));
        polled
    }

    fn remaining(&self) -> Option<u64> {
        self.line.lock().remaining(self.turn)
    }
}

/// Reads on and throws away, until the end of the content or until this many bytes were read.
/// Says whether the end was reached.
pub(crate) async fn drain(line: &Line, most: u64) -> bool {
    let mut left = most;
    loop {
        match std::future::poll_fn(|cx| line.lock().poll_content(cx)).await {
            None | Some(Ok(Frame::Trailer(_))) => return true,
            Some(Ok(Frame::Data(chunk))) => match left.checked_sub(chunk.len() as u64) {
                Some(rest) => left = rest,
                None => return line.lock().content_is_over(),
            },
            Some(Err(_)) => return false,
        }
    }
}

/// Says that nothing more comes.
pub(crate) async fn say_end(line: &Line) -> io::Result<()> {
    std::future::poll_fn(|cx| match line.lock().io() {
        Ok(io) => io.poll_shutdown(cx),
        Err(_) => Poll::Ready(Ok(())),
    })
    .await
}

/// Says that nothing more comes, and reads what the peer still sends until it closes too: a
/// close with unread bytes would reset the connection, and the answer on its way with it.
pub(crate) async fn linger(line: &Line) -> io::Result<()> {
    say_end(line).await?;
    std::future::poll_fn(|cx| {
        let mut state = line.lock();
        let Ok(io) = state.io() else { return Poll::Ready(Ok(())) };
        loop {
            io.input.clear();
            if io.ended || ready!(io.poll_fill(cx))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    })
    .await
}
