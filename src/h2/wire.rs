//! The byte stream beneath an HTTP/2 connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::error::said_last;
use super::meter::{Meter, Scanner};
use crate::net::{Deadline, Io, Stream};

/// A stream that counts the frames that come in, and that fails when its peer takes nothing for
/// too long: no stream's own limit would see that, once its content is handed to `h2`.
pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    /// What was read before.
    ahead: BytesMut,
    scanner: Scanner,
    meter: Arc<Meter>,
    stall: Option<Duration>,
    waits_since: Option<Instant>,
    deadline: Deadline,
    closing: Closing,
    /// The end of what was written last.
    tail: [u8; TAIL_BYTES],
}

/// What `h2` says at the end of a GOAWAY frame is no longer.
const TAIL_BYTES: usize = 32;

/// How far the closing of a stream is.
enum Closing {
    /// This side is not shut down yet. Holds how long the peer may take to close after that.
    No(Duration),
    /// This side of the stream is shut down.
    Told(Deadline),
}

impl Wire {
    /// `preface` bytes come before the first frame. After a fault, what the peer still sends is read
    /// for `linger`.
    pub(crate) fn new(io: Io, preface: usize, meter: Arc<Meter>, stall: Option<Duration>, linger: Duration) -> Wire {
        let (stream, ahead) = io.into_parts();
        let scanner = Scanner::new(preface);
        let deadline = Deadline::default();
        Wire {
            stream,
            ahead,
            scanner,
            meter,
            stall,
            waits_since: None,
            deadline,
            closing: Closing::No(linger),
            tail: [0; TAIL_BYTES],
        }
    }

    /// Throws away what still comes: a close with unread bytes would reset the connection, and
    /// destroy what the peer was told on the way.
    fn poll_throw_away(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut room = [std::mem::MaybeUninit::uninit(); 4096];
        loop {
            let mut buf = ReadBuf::uninit(&mut room);
            match Pin::new(&mut self.stream).poll_read(cx, &mut buf) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Keeps the end of what is written: a GOAWAY frame is the last of all.
    fn keep_tail(&mut self, bytes: &[u8]) {
        let len = bytes.len().min(TAIL_BYTES);
        let (from, to) = (bytes.get(bytes.len() - len..), self.tail.get_mut(TAIL_BYTES - len..));
        if let (Some(from), Some(to)) = (from, to) {
            to.copy_from_slice(from);
        }
    }

    fn under_stall_limit<T>(&mut self, cx: &mut Context<'_>, step: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if step.is_ready() {
            if self.waits_since.take().is_some() {
                self.meter.set_blocked(false);
            }
            return step;
        }
        self.meter.set_blocked(true);
        let since = *self.waits_since.get_or_insert_with(Instant::now);
        self.deadline.set(self.stall.map(|stall| since + stall));
        ready!(self.deadline.poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        // The connection's task looks at the meter after each round of reading, and ends all this.
        if wire.meter.fault().is_some() {
            return Poll::Pending;
        }
        let before = buf.filled().len();
        if wire.ahead.is_empty() {
            ready!(Pin::new(&mut wire.stream).poll_read(cx, buf))?;
        } else {
            let len = wire.ahead.len().min(buf.remaining());
            buf.put_slice(wire.ahead.get(..len).unwrap_or_default());
            wire.ahead.advance(len);
            if wire.ahead.is_empty() {
                wire.ahead = BytesMut::new();
            }
        }
        wire.scanner.scan(buf.filled().get(before..).unwrap_or_default(), &wire.meter);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        wire.keep_tail(bytes);
        let written = Pin::new(&mut wire.stream).poll_write(cx, bytes);
        wire.under_stall_limit(cx, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        if let Some(last) = parts.iter().rfind(|part| !part.is_empty()) {
            wire.keep_tail(last);
        }
        let written = Pin::new(&mut wire.stream).poll_write_vectored(cx, parts);
        wire.under_stall_limit(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        let flushed = Pin::new(&mut wire.stream).poll_flush(cx);
        wire.under_stall_limit(cx, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if let Closing::No(linger) = wire.closing {
            if let Some(words) = said_last(&wire.tail) {
                wire.meter.say_last(words);
            }
            let shut = Pin::new(&mut wire.stream).poll_shutdown(cx);
            ready!(wire.under_stall_limit(cx, shut))?;
            let mut deadline = Deadline::default();
            deadline.set(Some(Instant::now() + linger));
            wire.closing = Closing::Told(deadline);
        }
        if wire.poll_throw_away(cx).is_ready() || wire.meter.fault().is_none() {
            return Poll::Ready(Ok(()));
        }
        let Closing::Told(deadline) = &mut wire.closing else { return Poll::Ready(Ok(())) };
        deadline.poll(cx).map(Ok)
    }
}
