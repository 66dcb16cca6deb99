//! A stream that is a tunnel: after a 2xx to CONNECT (RFC 9113 §8.5), plain or extended (RFC 8441 §5).

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::super::upgraded::{TakeOver, Upgraded};
use super::error::{ExchangeEnd, end_error};
use super::exchange::Exchange;
use super::exchange_io::ReceivedContent;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::message::{Frame, Header, Source};

/// The stream while both the response's body and `upgrade` can take it.
pub(super) struct Tunnel(Mutex<Option<Box<Exchange>>>);

impl Tunnel {
    pub(super) fn new(exchange: Exchange) -> Arc<Tunnel> {
        Arc::new(Tunnel(Mutex::new(Some(Box::new(exchange)))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<Exchange>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TakeOver for Tunnel {
    fn take_over(&self) -> Option<Upgraded> {
        let exchange = self.lock().take()?;
        let remote_addr = exchange.conn.info().remote_addr.clone();
        Some(Upgraded::new(TunnelStream { exchange, unread: Bytes::new(), is_shut: false }, remote_addr, None))
    }
}

/// The bytes as the body of the response, until the stream ends.
pub(super) struct TunnelBody(pub(super) Arc<Tunnel>);

impl Source for TunnelBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let mut taken = self.0.lock();
        let Some(exchange) = &mut *taken else {
            let error = Error::new(ErrorKind::Hijacked, "the stream of this body was taken over");
            return Poll::Ready(Some(Err(error)));
        };
        let frame = ready!(poll_bytes(exchange, cx)).transpose();
        Poll::Ready(frame.map(|bytes| bytes.map(Frame::Data)))
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}

/// The next bytes of a tunnel; `None` at its end. A tunnel has no trailer section (RFC 9113 §8.5).
fn poll_bytes(exchange: &Exchange, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
    let (content, tell) = ready!(exchange.io.poll_content(cx));
    exchange.conn.state().tell(&exchange.io, tell);
    Poll::Ready(match content {
        ReceivedContent::Data(bytes) => Ok(Some(bytes)),
        ReceivedContent::Trailer(_) | ReceivedContent::Ended(ExchangeEnd::Whole) => Ok(None),
        ReceivedContent::Ended(end) => Err(end_error(end, exchange.conn.state().ended(), Phase::Body)),
    })
}

/// A tunnel that was taken over: bytes both ways. Dropped, it resets the stream if that is not over.
struct TunnelStream {
    exchange: Box<Exchange>,
    unread: Bytes,
    /// This side has ended its direction.
    is_shut: bool,
}

impl AsyncRead for TunnelStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(poll_bytes(&self.exchange, cx)).map_err(io::Error::other)? {
                Some(bytes) => self.unread = bytes,
                None => return Poll::Ready(Ok(())),
            }
        }
        let len = self.unread.len().min(buf.remaining());
        buf.put_slice(self.unread.get(..len).unwrap_or_default());
        self.unread.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TunnelStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let TunnelStream { exchange, is_shut, .. } = &*self;
        if *is_shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let Some(room) = ready!(exchange.io.poll_room(true, cx)) else { return Poll::Ready(Err(self.closed())) };
        let piece = Bytes::copy_from_slice(bytes.get(..room).unwrap_or(bytes));
        let len = piece.len();
        exchange.conn.state().tell(&exchange.io, exchange.io.push_out(piece, None));
        Poll::Ready(Ok(len))
    }

    /// Waits until all that was written is in the connection's hands.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let is_taken = ready!(self.exchange.io.poll_taken(cx));
        Poll::Ready(if is_taken { Ok(()) } else { Err(self.closed()) })
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !std::mem::replace(&mut self.is_shut, true) {
            let Exchange { io, conn, .. } = &*self.exchange;
            conn.state().tell(io, io.push_out(Bytes::new(), Some(Header::new())));
        }
        // A peer that has reset the stream wants no end of it.
        ready!(self.exchange.io.poll_sent(cx));
        Poll::Ready(Ok(()))
    }
}

impl TunnelStream {
    fn closed(&self) -> io::Error {
        let Exchange { io: exchange_io, conn, .. } = &*self.exchange;
        let error = end_error(exchange_io.end(), conn.state().ended(), Phase::Write);
        io::Error::new(io::ErrorKind::BrokenPipe, error)
    }
}
