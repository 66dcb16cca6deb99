//! A stream that a handler took over: after a 200 to an extended CONNECT it is bytes both ways (RFC 8441 §5).
//!
//! ```text
//!  handler, or a task of its own ──▶ StreamTunnel ──▶ StreamState ◀── the connection's task
//!  exchange: handler returns ──▶ waits until the tunnel is dropped, or its stream is lost ──▶ the stream ends
//! ```
//!
//! The exchange lasts as long as its tunnel, so that a shutdown waits for it as for any other, and the stream
//! keeps its place among those that the connection allows. The exchange's task is woken by the tunnel's drop and
//! by the loss of the stream; no stall limit runs until then, and after that the one on writing does again.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream_io::StreamIo;
use super::stream_state::{Sending, StreamState, Takeover, wake};
use crate::error::{Error, Result};
use crate::message::{Frame, Header};

/// The stream as who took it over has it. Dropped, it ends this side behind what was written, and what the peer
/// still sends is not wanted.
pub(crate) struct StreamTunnel {
    stream_io: Arc<StreamIo>,
    unread: Bytes,
}

impl StreamTunnel {
    /// The head of the response was handed over. From now on no limit of the exchange runs.
    pub(crate) fn new(stream_io: Arc<StreamIo>) -> StreamTunnel {
        stream_io.with_state(|state| {
            state.takeover = Takeover::Open;
            state.read_limit.set_until(None);
            state.write_limit.set_until(None);
        });
        StreamTunnel { stream_io, unread: Bytes::new() }
    }
}

impl AsyncRead for StreamTunnel {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            let polled = self.stream_io.change(StreamState::has_to_tell, |state| state.poll_tunnel_bytes(cx));
            match ready!(polled).map_err(io::Error::other)? {
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

impl AsyncWrite for StreamTunnel {
    /// Waits while as much as [`max_send_buffer_per_stream`] waits for the peer.
    ///
    /// [`max_send_buffer_per_stream`]: crate::server::Http2Settings::max_send_buffer_per_stream
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream_io.change(StreamState::has_outbound, |state| state.poll_tunnel_write(cx, bytes))
    }

    /// Nothing is collected: what was written leaves as the peer's windows allow.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream_io.with_state(|state| state.check_tunnel()))
    }

    /// Ends this side of the stream, and waits until all that was written has left.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream_io.change(StreamState::has_outbound, |state| {
            state.end(&Header::new());
            // A peer that has reset the stream wants no end of it.
            if matches!(state.sending, Sending::Sent | Sending::Lost(_)) {
                return Poll::Ready(Ok(()));
            }
            state.writer = Some(cx.waker().clone());
            Poll::Pending
        })
    }
}

impl Drop for StreamTunnel {
    fn drop(&mut self) {
        self.stream_io.change(StreamState::has_outbound, |state| {
            state.takeover = Takeover::Dropped;
            state.end(&Header::new());
            wake(&mut state.watcher);
        });
    }
}

impl StreamIo {
    /// Until the tunnel was dropped, or its stream is lost.
    pub(super) async fn tunnel_over(&self) {
        poll_fn(|cx| {
            self.with_state(|state| {
                if state.takeover != Takeover::Open || state.is_lost() {
                    return Poll::Ready(());
                }
                state.watcher = Some(cx.waker().clone());
                Poll::Pending
            })
        })
        .await;
    }
}

impl StreamState {
    /// The next bytes; `None` at the end of the peer's side. A tunnel has no trailer section.
    fn poll_tunnel_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>>> {
        match self.poll_content_step() {
            Poll::Ready(Some(Ok(Frame::Data(bytes)))) => Poll::Ready(Ok(Some(bytes))),
            Poll::Ready(Some(Err(error))) => Poll::Ready(Err(error)),
            Poll::Ready(Some(Ok(Frame::Trailer(_))) | None) => Poll::Ready(Ok(None)),
            Poll::Pending => {
                self.reader = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    fn poll_tunnel_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check_tunnel()?;
        if self.sending != Sending::Content {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = self.limits.outbound_bytes.saturating_sub(self.outbound_bytes);
        if room == 0 {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let piece = bytes.get(..room).unwrap_or(bytes);
        if !piece.is_empty() {
            self.push_outbound(Bytes::copy_from_slice(piece));
        }
        Poll::Ready(Ok(piece.len()))
    }

    /// Fails where nothing can leave any more.
    fn check_tunnel(&self) -> io::Result<()> {
        let broken = |error: Error| io::Error::new(io::ErrorKind::BrokenPipe, error);
        if let Sending::Lost(loss) = self.sending { Err(broken(loss.while_writing())) } else { Ok(()) }
    }
}
