//! In place of HTTP/2 where its feature is off: no stream is ever made, and no preface known.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::close_reason::CloseReason;
use super::conn_task::SwitchingConn;
use super::response::write_buffer::{DirectWrite, WriteBuffer};
use crate::error::Result;
use crate::h1::Outgoing;
use crate::message::{Header, Signal};
use crate::net::TransferDeadlines;

/// Whether the first bytes of a connection are the preface of HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preface {
    Other,
    Partial,
    Whole,
}

pub(crate) fn preface(_: &[u8]) -> Preface {
    Preface::Other
}

pub(crate) fn serve(conn: SwitchingConn) -> Ready<()> {
    let SwitchingConn { mut registration, .. } = conn;
    registration.set_close_reason(CloseReason::Refused);
    ready(())
}

/// The head of a response.
pub(crate) struct StreamHead<'a> {
    pub(crate) status: StatusCode,
    pub(crate) header: &'a Header,
    pub(crate) outgoing: Outgoing,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) date: bool,
    pub(crate) ends: bool,
    pub(crate) trailer: bool,
}

/// A stream that cannot be.
#[derive(Debug)]
pub(crate) enum StreamIo {}

impl StreamIo {
    pub(crate) fn with_write_buffer<T>(&self, _: impl FnOnce(&mut WriteBuffer) -> T) -> T {
        match *self {}
    }

    pub(crate) fn poll_flush(&self, _: &mut Context<'_>) -> Poll<Result<()>> {
        match *self {}
    }

    pub(crate) fn begin_direct(&self) -> Result<()> {
        match *self {}
    }

    pub(crate) fn poll_send_direct(&self, _: &mut Context<'_>, _: &mut DirectWrite<'_>) -> Poll<Result<()>> {
        match *self {}
    }

    pub(crate) fn send_informational(&self, _: StatusCode, _: &Header) -> Result<()> {
        match *self {}
    }

    pub(crate) fn send_head(&self, _: &StreamHead<'_>, _: &[u8]) {
        match *self {}
    }

    pub(crate) fn end(&self, _: &Header) {
        match *self {}
    }

    pub(crate) fn close_connection(&self) {
        match *self {}
    }

    pub(crate) fn cancel(&self) {
        match *self {}
    }

    pub(crate) fn exchanges(&self) -> &Signal {
        match *self {}
    }

    pub(crate) fn deadlines(&self) -> TransferDeadlines {
        match *self {}
    }

    pub(crate) fn set_read_until(&self, _: Option<Instant>) {
        match *self {}
    }

    pub(crate) fn set_write_until(&self, _: Option<Instant>) {
        match *self {}
    }
}

/// A stream that was taken over, and cannot be.
pub(crate) enum StreamTunnel {}

impl StreamTunnel {
    #[expect(clippy::needless_pass_by_value, reason = "as where there is HTTP/2")]
    pub(crate) fn new(stream_io: Arc<StreamIo>) -> StreamTunnel {
        match *stream_io {}
    }
}

impl AsyncRead for StreamTunnel {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }
}

impl AsyncWrite for StreamTunnel {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        match *self {}
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self {}
    }
}
