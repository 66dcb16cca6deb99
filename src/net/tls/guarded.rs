//! The stream below a session, which looks at the first bytes that come.
//!
//! A peer that does not speak TLS gets no alert from rustls: to it, that would be noise in place of
//! an answer. Its first bytes are kept, so that one can see what it speaks instead.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::Stream;

pub(super) struct Guarded {
    stream: Box<dyn Stream>,
    /// What came first, as long as a record's head (RFC 8446 §5.1).
    first: [u8; 5],
    seen: u8,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Nothing was passed on yet.
    Looking,
    /// The first bytes were a record's; all that follows passes by.
    Passing,
}

impl Guarded {
    pub(super) fn new(stream: Box<dyn Stream>) -> Guarded {
        Guarded { stream, first: [0; 5], seen: 0, stage: Stage::Looking }
    }

    /// What was read of the first five bytes.
    pub(super) fn first(&self) -> &[u8] {
        self.first.get(..usize::from(self.seen)).unwrap_or_default()
    }

    pub(super) fn into_inner(self) -> Box<dyn Stream> {
        self.stream
    }

    /// Waits for the first byte, and reads as far as is needed to tell what the peer speaks. What
    /// is no TLS is an error.
    pub(super) async fn look(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_look(cx)).await
    }

    /// Reads until it is clear what the peer speaks. What is no TLS is read as far as is needed to
    /// tell what it is.
    fn poll_look(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let is_foreign = self.first().first().is_some_and(|&kind| !is_record_type(kind));
            if self.first().len() == self.first.len() || (!self.first().is_empty() && !is_foreign) {
                let verdict = if is_foreign { Err(not_tls()) } else { Ok(()) };
                return Poll::Ready(verdict);
            }
            let room = self.first.get_mut(usize::from(self.seen)..).unwrap_or_default();
            let mut buf = ReadBuf::new(room);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf));
            let came = buf.filled().len();
            match read {
                Ok(()) if came == 0 && is_foreign => return Poll::Ready(Err(not_tls())),
                Ok(()) if came == 0 => return Poll::Ready(Ok(())),
                // Five bytes at most.
                Ok(()) => self.seen += u8::try_from(came).unwrap_or_default(),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

/// Whether a TLS record may begin so (RFC 8446 §5.1): no letter is among them.
fn is_record_type(byte: u8) -> bool {
    (20..=24).contains(&byte)
}

fn not_tls() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the peer does not speak TLS")
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.stage == Stage::Passing {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        // What does not fit would be lost; rustls reads into kilobytes.
        if buf.remaining() < self.first.len() {
            return Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()));
        }
        ready!(self.poll_look(cx))?;
        self.stage = Stage::Passing;
        buf.put_slice(self.first());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
