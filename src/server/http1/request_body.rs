//! A request's body, and the end of a stream whose peer may still be sending.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::conn_io::ConnIo;
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Frame, Source};

/// A request's body on an HTTP/1 connection. It reads as an error once its exchange is over.
pub(crate) struct RequestBody {
    conn_io: Arc<ConnIo>,
    exchange: u64,
}

impl RequestBody {
    pub(crate) fn new(conn_io: Arc<ConnIo>, exchange: u64) -> RequestBody {
        RequestBody { conn_io, exchange }
    }
}

impl Source for RequestBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let mut state = self.conn_io.lock();
        if !state.is_current(self.exchange) {
            return Poll::Ready(Some(Err(Error::new(ErrorKind::RequestOver, "the request of this body is over"))));
        }
        let polled = state.poll_content(cx);
        state.keep_reader(polled.is_pending().then(|| cx.waker()));
        polled
    }

    fn remaining(&self) -> Option<u64> {
        self.conn_io.lock().remaining(self.exchange)
    }
}

/// Ends the server's half of the stream.
pub(crate) async fn shut_down(conn_io: &ConnIo) -> io::Result<()> {
    std::future::poll_fn(|cx| match conn_io.lock().io() {
        Ok(io) => io.poll_shutdown(cx),
        Err(_) => Poll::Ready(Ok(())),
    })
    .await
}

/// Ends the server's half of the stream, and discards what the peer sends until it closes too. A close
/// with unread bytes would reset the connection, and the response on its way would be lost.
pub(crate) async fn linger(conn_io: &ConnIo) -> io::Result<()> {
    shut_down(conn_io).await?;
    std::future::poll_fn(|cx| {
        let mut state = conn_io.lock();
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
