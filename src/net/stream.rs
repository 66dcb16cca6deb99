//! Byte streams of every kind: what one is, one that was read ahead, how a type passes on to the
//! stream in it, what a server needs of a layer that secures its connections, and bodies as readers for
//! everything that takes tokio's traits.

use std::any::Any;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::error::{Error, Result};
use crate::message::{Body, Part, TlsInfo};

/// Implements `AsyncRead` for a type by the stream in this field of it.
#[allow(unused_macros, reason = "TLS by itself, without server and client, only writes so")]
macro_rules! delegate_read {
    ($stream:ty, $field:ident) => {
        impl ::tokio::io::AsyncRead for $stream {
            fn poll_read(
                mut self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buf: &mut ::tokio::io::ReadBuf<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                ::std::pin::Pin::new(&mut self.$field).poll_read(cx, buf)
            }
        }
    };
}

/// Implements `AsyncWrite` for a type by the stream in this field of it.
macro_rules! delegate_write {
    ($stream:ty, $field:ident) => {
        impl ::tokio::io::AsyncWrite for $stream {
            fn poll_write(
                mut self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                buf: &[u8],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                ::std::pin::Pin::new(&mut self.$field).poll_write(cx, buf)
            }

            fn poll_write_vectored(
                mut self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
                bufs: &[::std::io::IoSlice<'_>],
            ) -> ::std::task::Poll<::std::io::Result<usize>> {
                ::std::pin::Pin::new(&mut self.$field).poll_write_vectored(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                self.$field.is_write_vectored()
            }

            fn poll_flush(
                mut self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                ::std::pin::Pin::new(&mut self.$field).poll_flush(cx)
            }

            fn poll_shutdown(
                mut self: ::std::pin::Pin<&mut Self>,
                cx: &mut ::std::task::Context<'_>,
            ) -> ::std::task::Poll<::std::io::Result<()>> {
                ::std::pin::Pin::new(&mut self.$field).poll_shutdown(cx)
            }
        }
    };
}

pub(crate) use {delegate_read, delegate_write};

/// Any byte stream: TCP, a Unix socket, TLS, or one of the user's own.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// For what only one kind of them can do.
    fn as_any(&self) -> &dyn Any;
}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Stream for T {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// A stream and bytes that were read ahead of their use: reads return those first.
pub(crate) struct Rewind {
    stream: Box<dyn Stream>,
    pub(crate) ahead: BytesMut,
}

impl Rewind {
    pub(crate) fn new(stream: Box<dyn Stream>, ahead: BytesMut) -> Rewind {
        Rewind { stream, ahead }
    }
}

impl AsyncRead for Rewind {
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

delegate_write!(Rewind, stream);

/// Does the server's half of a handshake. It is there without TLS too, so that the server looks the
/// same with and without it.
pub(crate) trait TlsAccept: Send + Sync + 'static {
    /// Has no deadline of its own. Dropping it drops the stream. `heard` is set once the peer has sent
    /// anything.
    fn secure<'a>(&'a self, stream: Box<dyn Stream>, heard: &'a AtomicBool) -> Securing<'a>;
}

pub(crate) type Securing<'a> = Pin<Box<dyn Future<Output = Result<Secured, Unsecured>> + Send + 'a>>;

/// A stream after its handshake: plain bytes on this side, TLS records on the network.
pub(crate) struct Secured {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) info: Arc<TlsInfo>,
}

/// A stream whose handshake failed, and why. It comes back so that it can be closed in the way that
/// its peer understands.
pub(crate) struct Unsecured {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) reason: NoSession,
}

#[allow(dead_code, reason = "without TLS there is nothing that secures, and nothing that fails to")]
pub(crate) enum NoSession {
    /// The peer has begun a request without TLS.
    PlainHttp,
    Failed(Error),
}

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

/// Appends the bytes of one read to the buffer, as far as it has room; none at the end of the stream.
fn read_into(buf: &mut ReadBuf<'_>, read: impl FnOnce(usize) -> Poll<Option<Result<Bytes>>>) -> Poll<io::Result<()>> {
    if buf.remaining() == 0 {
        return Poll::Ready(Ok(()));
    }
    if let Some(chunk) = ready!(read(buf.remaining())).transpose()? {
        buf.put_slice(&chunk);
    }
    Poll::Ready(Ok(()))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn what_was_read_ahead_comes_first_into_any_room_and_then_the_stream() {
        for room in 1..8 {
            let (mut peer, stream) = duplex(64);
            peer.write_all(b" and then").await.unwrap();
            let mut ahead = Rewind::new(Box::new(stream), BytesMut::from("first"));
            ahead.write_all(b"out").await.unwrap();
            ahead.shutdown().await.unwrap();
            let mut written = String::new();
            peer.read_to_string(&mut written).await.unwrap();
            drop(peer);
            let (mut read, mut buffer) = (Vec::new(), vec![0; room]);
            loop {
                match ahead.read(&mut buffer).await.unwrap() {
                    0 => break,
                    count => read.extend_from_slice(&buffer[..count]),
                }
            }
            assert_eq!((read.as_slice(), written.as_str()), (&b"first and then"[..], "out"), "room for {room}");
        }
    }
}
