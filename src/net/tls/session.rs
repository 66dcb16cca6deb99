//! A session as a stream, whose errors are in our words.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::error::{Peer, session_failed};
use crate::net::Stream;

pub(super) struct Session<S> {
    stream: S,
    peer: Peer,
}

impl<S: Stream> Session<S> {
    /// The session with this peer.
    pub(super) fn boxed(stream: S, peer: Peer) -> Box<dyn Stream> {
        Box::new(Session { stream, peer })
    }

    fn said<T>(&self, done: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        done.map_err(|error| session_failed(self.peer, error))
    }
}

impl<S: Stream> AsyncRead for Session<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.said(done)
    }
}

impl<S: Stream> AsyncWrite for Session<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut done = Pin::new(&mut self.stream).poll_write(cx, buf);
        if done.is_pending() {
            // A write that waits may have made room in the session, and takes nothing into it. To a
            // limit on silence, what goes in there later would look as if the peer had moved.
            done = Pin::new(&mut self.stream).poll_write(cx, buf);
        }
        self.said(done)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut done = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        if done.is_pending() {
            // As above.
            done = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        }
        self.said(done)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_flush(cx);
        self.said(done)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.said(done)
    }
}
