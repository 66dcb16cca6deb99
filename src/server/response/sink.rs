//! Where a writer's bytes go: to an HTTP/1 connection, to a stream of an HTTP/2 connection, or to whoever has
//! called the handler without a connection.
//!
//! An enum rather than a trait object: it is called for each piece of content.

use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::time::Instant;

use super::write_buffer::{DirectWrite, WriteBuffer};
use crate::error::Result;
use crate::h1::Outgoing;
use crate::net::TransferDeadlines;
use crate::server::call::call_io::CallIo;
use crate::server::http1::conn_io::ConnIo;
use crate::server::http2::StreamIo;

#[derive(Debug, Clone)]
pub(crate) enum ResponseSink {
    Http1(Arc<ConnIo>),
    Http2(Arc<StreamIo>),
    Call(Arc<CallIo>),
}

impl ResponseSink {
    /// Why nothing can be sent any more, if nothing can.
    pub(crate) fn check(&self) -> Result<()> {
        self.with_write_buffer(WriteBuffer::check)
    }

    /// Whether more should wait until what was collected is sent.
    pub(crate) fn is_full(&self) -> bool {
        self.with_write_buffer(|write_buffer| write_buffer.is_full())
    }

    /// Calls a function with the write buffer, under the lock.
    pub(crate) fn with_write_buffer<T>(&self, act: impl FnOnce(&mut WriteBuffer) -> T) -> T {
        match self {
            ResponseSink::Http1(conn_io) => act(&mut conn_io.lock().write_buffer),
            ResponseSink::Http2(stream) => stream.with_write_buffer(act),
            ResponseSink::Call(call) => call.with_write_buffer(act),
        }
    }

    /// Sends all that was collected.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match self {
            ResponseSink::Http1(conn_io) => conn_io.lock().poll_flush(cx),
            ResponseSink::Http2(stream) => stream.poll_flush(cx),
            ResponseSink::Call(call) => call.poll_flush(cx),
        }
    }

    /// Begins a direct write of content that is delimited like this, after what was collected. Until
    /// [`poll_send_direct`](Self::poll_send_direct) has sent all of it, nothing else can be sent. If
    /// that never happens, nothing is ever sent again, because the peer has a part of the content.
    pub(crate) fn begin_direct(&self, outgoing: Outgoing, direct: &mut DirectWrite<'_>) -> Result<()> {
        match self {
            ResponseSink::Http1(conn_io) => conn_io.begin_direct(outgoing, direct),
            ResponseSink::Http2(stream) => stream.begin_direct(),
            ResponseSink::Call(call) => call.begin_direct(),
        }
    }

    /// Sends what is left of the direct write.
    pub(crate) fn poll_send_direct(&self, cx: &mut Context<'_>, direct: &mut DirectWrite<'_>) -> Poll<Result<()>> {
        match self {
            ResponseSink::Http1(conn_io) => conn_io.poll_send_direct(cx, direct),
            ResponseSink::Http2(stream) => stream.poll_send_direct(cx, direct),
            ResponseSink::Call(call) => call.poll_send_direct(cx, direct),
        }
    }

    /// Cancels the context of the exchange: its peer has left, or takes nothing any more.
    pub(crate) fn cancel(&self, exchange: u64) {
        match self {
            ResponseSink::Http1(conn_io) => conn_io.cancel(exchange),
            ResponseSink::Http2(stream) => stream.cancel(),
            ResponseSink::Call(call) => call.cancel(),
        }
    }

    /// Completes when an exchange is over for its peer.
    pub(crate) async fn peer_gone(&self, exchange: u64) {
        match self {
            ResponseSink::Http1(conn_io) => conn_io.context.exchanges.wait(exchange).await,
            ResponseSink::Http2(stream) => stream.exchanges().wait(exchange).await,
            ResponseSink::Call(call) => call.reader_gone().await,
        }
    }

    /// Whether [`peer_gone`](Self::peer_gone) would complete at once.
    pub(crate) fn is_peer_gone(&self, exchange: u64) -> bool {
        match self {
            ResponseSink::Http1(conn_io) => conn_io.context.exchanges.is_over(exchange),
            ResponseSink::Http2(stream) => stream.exchanges().is_over(exchange),
            ResponseSink::Call(call) => call.is_reader_gone(),
        }
    }

    pub(crate) fn deadlines(&self) -> TransferDeadlines {
        match self {
            ResponseSink::Http1(conn_io) => {
                let state = conn_io.lock();
                TransferDeadlines { read: state.read_limit.until(), write: state.write_limit.until() }
            }
            ResponseSink::Http2(stream) => stream.deadlines(),
            ResponseSink::Call(call) => call.deadlines(),
        }
    }

    pub(crate) fn set_read_until(&self, at: Option<Instant>) {
        match self {
            ResponseSink::Http1(conn_io) => conn_io.set_read_until(at),
            ResponseSink::Http2(stream) => stream.set_read_until(at),
            ResponseSink::Call(call) => call.set_read_until(at),
        }
    }

    pub(crate) fn set_write_until(&self, at: Option<Instant>) {
        match self {
            ResponseSink::Http1(conn_io) => conn_io.set_write_until(at),
            ResponseSink::Http2(stream) => stream.set_write_until(at),
            ResponseSink::Call(call) => call.set_write_until(at),
        }
    }
}
