//! A connection that a handler took over.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::{Io, Stream};

/// The raw connection that [`hijack`](crate::ResponseWriter::hijack) gives: reading yields first
/// what the server had already read, then what comes. No deadline runs; dropping it closes the
/// connection.
///
/// [`shutdown`](crate::Server::shutdown) does not wait for it, and says in its report how many
/// there were.
pub struct Hijacked {
    stream: Box<dyn Stream>,
    ahead: BytesMut,
    _counted: Counted,
}

/// Counts a hijacked connection for as long as it is open.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Hijacked {
    /// `open` counts the connections that were taken over and are still open.
    pub(crate) fn new(io: Io, open: Arc<AtomicUsize>) -> Hijacked {
        open.fetch_add(1, Ordering::SeqCst);
        let (stream, ahead) = io.into_parts();
        Hijacked { stream, ahead, _counted: Counted(open) }
    }

    /// The bytes that were read already and are still to be read here.
    pub fn buffered(&self) -> &[u8] {
        &self.ahead
    }

    /// Takes those bytes out, for a protocol's implementation that wants them apart from the
    /// stream.
    pub fn take_buffered(&mut self) -> Bytes {
        self.ahead.split().freeze()
    }
}

impl AsyncRead for Hijacked {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let len = self.ahead.len().min(buf.remaining());
        buf.put_slice(self.ahead.get(..len).unwrap_or_default());
        self.ahead.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Hijacked {
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

impl fmt::Debug for Hijacked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hijacked").field("buffered", &self.ahead.len()).finish_non_exhaustive()
    }
}
