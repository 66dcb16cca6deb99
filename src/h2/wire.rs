//! The byte stream beneath an HTTP/2 connection.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::PREFACE;
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
    written: Written,
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
            // The side that sends a preface does so first.
            written: Written { head: [0; 9], head_len: 0, is_data: false, left: PREFACE.len() - preface },
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

    /// Tells the meter how much content is among the bytes that were written.
    fn count_written(&mut self, written: &Poll<io::Result<usize>>, parts: &[io::IoSlice<'_>]) {
        let Poll::Ready(Ok(mut left)) = *written else { return };
        let mut content = 0;
        for part in parts {
            let taken = left.min(part.len());
            left -= taken;
            content += self.written.content_of(part.get(..taken).unwrap_or_default());
        }
        if content > 0 {
            self.meter.add_content_written(content);
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

/// How far the frames are that are written (RFC 9113 §4.1).
struct Written {
    head: [u8; 9],
    head_len: usize,
    is_data: bool,
    /// What is left of the present frame, or of the preface.
    left: usize,
}

impl Written {
    /// How many of these bytes are payload of DATA frames.
    fn content_of(&mut self, mut bytes: &[u8]) -> u64 {
        let mut content = 0;
        while let Some((&first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let len = self.left.min(bytes.len());
                self.left -= len;
                content += if self.is_data { len as u64 } else { 0 };
                bytes = bytes.get(len..).unwrap_or_default();
                continue;
            }
            if let Some(byte) = self.head.get_mut(self.head_len) {
                *byte = first;
            }
            self.head_len += 1;
            bytes = rest;
            if self.head_len == self.head.len() {
                let [one, two, three, kind, ..] = self.head;
                self.left = usize::from(one) << 16 | usize::from(two) << 8 | usize::from(three);
                self.is_data = kind == 0;
                self.head_len = 0;
            }
        }
        content
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
        wire.count_written(&written, &[io::IoSlice::new(bytes)]);
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
        wire.count_written(&written, parts);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_counted_however_the_bytes_of_frames_are_cut() {
        let frame = |kind: u8, len: u8| [&[0, 0, len, kind, 0, 0, 0, 0, 1][..], &vec![b'x'; len.into()]].concat();
        let bytes = [&b"PRI"[..], &frame(4, 6), &frame(0, 5), &frame(6, 8), &frame(0, 0), &frame(0, 200)].concat();
        for size in 1..bytes.len() {
            let mut written = Written { head: [0; 9], head_len: 0, is_data: false, left: 3 };
            assert_eq!(bytes.chunks(size).map(|piece| written.content_of(piece)).sum::<u64>(), 205, "pieces of {size}");
        }
    }
}
