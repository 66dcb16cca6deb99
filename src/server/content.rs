//! A request's content on its way from the line to whoever reads it.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};

use super::line::Line;
use crate::error::{Error, ErrorKind, Phase, Refusal, Result};
use crate::h1::{Chunked, ChunkedReader, Framing};
use crate::message::{Frame, Header, Source};
use crate::net::Io;

/// How much of the present request's content is still to be read.
pub(crate) enum Content {
    Over,
    Length(u64),
    Chunked(Box<ChunkedReader>),
    /// It cannot be read further: the peer broke its framing, left, or was too slow.
    Broken,
}

/// The most that one read of a large body asks for.
const BODY_READ: u64 = 64 * 1024;
/// Content up to this size is copied out of the read buffer, so that the buffer can be kept.
const SMALL_CONTENT: usize = 2048;
/// A trailer section may be this long and hold so many values.
const MAX_TRAILER_BYTES: usize = 16 * 1024;
const MAX_TRAILER_VALUES: usize = 500;

impl Content {
    pub(crate) fn framed(framing: &Framing) -> Content {
        match framing {
            Framing::Empty | Framing::Length(0) => Content::Over,
            Framing::Length(length) => Content::Length(*length),
            Framing::Chunked => Content::Chunked(Box::new(ChunkedReader::new(MAX_TRAILER_BYTES, MAX_TRAILER_VALUES))),
        }
    }

    /// The next piece.
    pub(crate) fn poll(&mut self, io: &mut Io, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        match self {
            Content::Over => Poll::Ready(None),
            Content::Broken => Poll::Ready(Some(Err(Error::cut_off(Phase::Body)))),
            Content::Length(left) => {
                let chunk = ready!(poll_some(io, cx, *left))?;
                *left = left.saturating_sub(chunk.len() as u64);
                if *left == 0 {
                    *self = Content::Over;
                }
                Poll::Ready(Some(Ok(Frame::Data(chunk))))
            }
            Content::Chunked(reader) => {
                let piece = ready!(poll_chunked(reader, io, cx))?;
                Poll::Ready(match piece {
                    Piece::Data(chunk) => Some(Ok(Frame::Data(chunk))),
                    Piece::End(trailer) => {
                        *self = Content::Over;
                        trailer.map(|trailer| Ok(Frame::Trailer(trailer)))
                    }
                })
            }
        }
    }
}

/// Content of a known length: what was read already, else a read of its own.
fn poll_some(io: &mut Io, cx: &mut Context<'_>, left: u64) -> Poll<Result<Bytes>> {
    if io.input.is_empty() && left > SMALL_CONTENT as u64 {
        let most = usize::try_from(left.min(BODY_READ)).unwrap_or(usize::MAX);
        return Poll::Ready(not_empty(ready!(io.poll_read(cx, most))?));
    }
    if io.input.is_empty() && ready!(io.poll_fill(cx))? == 0 {
        return Poll::Ready(Err(Error::cut_off(Phase::Body)));
    }
    let here = usize::try_from(left).map_or(io.input.len(), |left| left.min(io.input.len()));
    Poll::Ready(Ok(take(io, here)))
}

enum Piece {
    Data(Bytes),
    End(Option<Header>),
}

fn poll_chunked(reader: &mut ChunkedReader, io: &mut Io, cx: &mut Context<'_>) -> Poll<Result<Piece>> {
    loop {
        if io.input.is_empty() && reader.chunk_left() > SMALL_CONTENT as u64 {
            let most = usize::try_from(reader.chunk_left().min(BODY_READ)).unwrap_or(usize::MAX);
            let chunk = not_empty(ready!(io.poll_read(cx, most))?)?;
            reader.took(chunk.len() as u64);
            return Poll::Ready(Ok(Piece::Data(chunk)));
        }
        match reader.read(&io.input).map_err(in_content)? {
            Chunked::Data { skip, len } => {
                io.input.advance(skip.min(io.input.len()));
                let len = len.min(io.input.len());
                return Poll::Ready(Ok(Piece::Data(take(io, len))));
            }
            Chunked::End { consumed, trailer } => {
                io.input.advance(consumed.min(io.input.len()));
                return Poll::Ready(Ok(Piece::End(trailer)));
            }
            Chunked::NeedMore { consumed } => {
                io.input.advance(consumed.min(io.input.len()));
                if ready!(io.poll_fill(cx))? == 0 {
                    return Poll::Ready(Err(Error::cut_off(Phase::Body)));
                }
            }
        }
    }
}

/// The first bytes of the input: copied when they are few, so that the buffer's memory stays its
/// own, else cut off.
fn take(io: &mut Io, len: usize) -> Bytes {
    if len > SMALL_CONTENT {
        return io.input.split_to(len).freeze();
    }
    let copy = io.input.get(..len).map(Bytes::copy_from_slice).unwrap_or_default();
    io.input.advance(copy.len());
    copy
}

fn not_empty(chunk: Bytes) -> Result<Bytes> {
    if chunk.is_empty() { Err(Error::cut_off(Phase::Body)) } else { Ok(chunk) }
}

fn in_content(refusal: Refusal) -> Error {
    Error::from(refusal).during(Phase::Body)
}

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
            return Poll::Ready(Some(Err(Error::new(ErrorKind::TurnOver, "the request of this body is over"))));
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
