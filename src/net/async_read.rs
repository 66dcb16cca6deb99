//! Bodies and parts as readers, for everything that takes tokio's traits.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, ReadBuf};

use crate::error::Result;
use crate::message::{Body, Part};

impl AsyncRead for Body {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        read_into(buf, |room| self.poll_copy(cx, room))
    }
}

impl AsyncRead for Part<'_> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        read_into(buf, |room| self.poll_copy(cx, room))
    }
}

/// Puts what a read of so many bytes at most yields into the buffer; nothing, at the end.
fn read_into(buf: &mut ReadBuf<'_>, read: impl FnOnce(usize) -> Poll<Option<Result<Bytes>>>) -> Poll<io::Result<()>> {
    if buf.remaining() == 0 {
        return Poll::Ready(Ok(()));
    }
    if let Some(chunk) = ready!(read(buf.remaining())).transpose()? {
        buf.put_slice(&chunk);
    }
    Poll::Ready(Ok(()))
}
