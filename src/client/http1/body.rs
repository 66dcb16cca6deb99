//! The body of a response: it owns the exchange, and with it the connection.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::time::timeout;

use super::super::exchange::SendState;
use super::super::upgraded::SwitchedTo;
use super::connection::Http1Conn;
use super::exchange::Exchange;
use super::upgraded::{Switched, SwitchedBody};
use crate::error::{Error, Phase, Result};
use crate::h1::{Framing, ParsedResponse, Switch};
use crate::message::{Body, Frame, Response, ResponseInfo, Source};
use crate::net::{ContentReader, TransferLimit};

/// A body that is dropped early is read on to its end, up to this many bytes and for this long,
/// so that its connection can be kept (Go's numbers).
const MAX_DRAIN_BYTES: u64 = 256 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_millis(50);

/// Gives the response its body and its info. A body that is here as a whole is handed out as bytes,
/// and the connection is given back before the caller sees the response.
pub(super) fn attach(mut exchange: Box<Exchange>, head: &ParsedResponse, response: &mut Response) {
    response.tls = exchange.conn.info.tls.clone();
    response.info = Some(info_of(&exchange));
    if head.switch != Switch::No {
        switched(exchange, response);
        return;
    }
    let reusable = exchange.state.options.keep_alive
        && head.keep_alive
        && head.framing != Framing::UntilClose
        && exchange.conn.apply_keep_alive(&response.header);
    if matches!(exchange.upload.state, SendState::AwaitingContinue) {
        // The server responded without asking for the body. If the connection is kept, the body is
        // still sent (Go's rule): the server would take the next request for it. Not where somebody else has it,
        // who waits to be asked for it: who has a response is not asked any more.
        let is_sent = reusable && !exchange.state.options.is_relayed;
        exchange.upload.state = if is_sent { SendState::Body } else { SendState::Abandoned };
    }
    let mut content = ContentReader::framed(&head.framing);
    exchange.conn.io.read_deadline.set(None);
    if is_sent(&exchange) {
        if let Some(whole) = content.over_at_once(&mut exchange.conn.io) {
            let now = exchange.state.stopwatch.head_at();
            exchange.finish(reusable, now);
            response.body = Body::from(whole);
            return;
        }
    }
    let read_limit = TransferLimit::new(exchange.state.options.stall_timeout, None);
    let drain_bytes_left = MAX_DRAIN_BYTES;
    let reading = Http1Reading { exchange, content, reusable, read_limit, upload_error: None, drain_bytes_left };
    response.body = Body::from_source(Http1ResponseBody::new(reading));
}

fn info_of(exchange: &Exchange) -> Box<ResponseInfo> {
    let Http1Conn { info, served, .. } = &*exchange.conn;
    info.response_info(&exchange.state.stopwatch, *served > 1)
}

/// Whether everything was sent.
fn is_sent(exchange: &Exchange) -> bool {
    matches!(exchange.upload.state, SendState::Sent)
}

/// 101, and 2xx to CONNECT: what follows is no longer HTTP. It is read as the body, or the connection
/// is taken over with [`Response::upgrade`].
fn switched(exchange: Box<Exchange>, response: &mut Response) {
    let stream = Switched::new(exchange);
    if let Some(info) = &mut response.info {
        info.switched = Some(Arc::new(SwitchedTo(stream.clone())));
    }
    response.content_length = None;
    response.body = Body::from_source(SwitchedBody(stream));
}

/// The content of a response while it arrives.
struct Http1Reading {
    exchange: Box<Exchange>,
    content: ContentReader,
    /// Whether the connection may be kept, as far as the two heads say.
    reusable: bool,
    /// How long the peer may send nothing while the body is being read.
    read_limit: TransferLimit,
    /// The error of the request's body, if it failed.
    upload_error: Option<Error>,
    /// How much may still be read after the body was dropped.
    drain_bytes_left: u64,
}

impl Http1Reading {
    /// A server may send the response while it reads the request: both directions must make progress.
    fn poll_upload(&mut self, cx: &mut Context<'_>) {
        if let Err(error) = self.exchange.poll_upload(cx) {
            self.reusable = false;
            self.upload_error = Some(error);
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        self.poll_upload(cx);
        let io = &mut self.exchange.conn.io;
        match self.content.poll(io, cx) {
            // Content that has arrived is handed out first. The rest may never come: the server may
            // wait for a request that will never be complete.
            Poll::Pending => match self.upload_error.take() {
                Some(error) => Poll::Ready(Some(Err(error.with_sent(self.exchange.upload.sent())))),
                None => self.poll_stall(cx),
            },
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(self.about(error)))),
            frame => {
                self.read_limit.progressed();
                frame
            }
        }
    }

    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        // Without a limit the clock is not read.
        let Some(limit) = self.exchange.state.options.stall_timeout else { return Poll::Pending };
        ready!(self.read_limit.poll(&mut self.exchange.conn.io.read_deadline, cx));
        Poll::Ready(Some(Err(self.about(Error::over_limit(Phase::Body, "stall_timeout", limit)))))
    }

    /// Marks an error of the content as the server's fault: a gateway that returns it responds with 502
    /// or 504.
    fn about(&self, error: Error) -> Error {
        error.of_gateway().with_sent(self.exchange.upload.sent())
    }

    /// Whether both messages are complete.
    fn is_over(&self) -> bool {
        self.content.remaining() == Some(0) && is_sent(&self.exchange)
    }

    /// Reads the rest of a body that was dropped, if it is short, and sends the rest of the request.
    async fn drain(mut self) {
        if timeout(DRAIN_TIMEOUT, poll_fn(|cx| self.poll_drain(cx))).await == Ok(true) {
            self.finish();
        }
    }

    /// Ready with whether the connection can be kept.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            if self.is_over() {
                return Poll::Ready(true);
            }
            if self.exchange.upload.state.is_broken() {
                return Poll::Ready(false);
            }
            match ready!(self.poll_frame(cx)) {
                None | Some(Ok(Frame::Trailer(_))) if is_sent(&self.exchange) => return Poll::Ready(true),
                None | Some(Ok(Frame::Trailer(_))) => return Poll::Pending,
                Some(Ok(Frame::Data(chunk))) => match self.drain_bytes_left.checked_sub(chunk.len() as u64) {
                    Some(rest) => self.drain_bytes_left = rest,
                    None => return Poll::Ready(false),
                },
                Some(Err(_)) => return Poll::Ready(false),
            }
        }
    }

    /// Whether the connection may be kept, and the rest of the body may be short.
    fn is_worth_draining(&self) -> bool {
        let near = self.content.remaining().is_none_or(|left| left <= MAX_DRAIN_BYTES);
        self.reusable && near && !self.exchange.upload.state.is_broken()
    }

    fn finish(self) {
        let now = self.exchange.state.stopwatch.now();
        self.exchange.finish(self.reusable, now);
    }
}

/// The mutex only makes the body `Sync`; it is never contended. `None` once the connection was given
/// back or closed.
struct Http1ResponseBody(Mutex<Option<Box<Http1Reading>>>);

impl Http1ResponseBody {
    fn new(reading: Http1Reading) -> Http1ResponseBody {
        Http1ResponseBody(Mutex::new(Some(Box::new(reading))))
    }

    fn reading(&mut self) -> &mut Option<Box<Http1Reading>> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for Http1ResponseBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let slot = self.reading();
        let Some(reading) = slot else { return Poll::Ready(None) };
        let frame = ready!(reading.poll_frame(cx));
        let whole = matches!(frame, None | Some(Ok(Frame::Trailer(_))));
        if matches!(frame, Some(Err(_))) {
            *slot = None;
        } else if reading.is_over() {
            // Given back with the last byte and not at the next poll, which many callers never make. So
            // the next request finds this connection.
            if let Some(reading) = slot.take() {
                reading.finish();
            }
        } else if whole {
            // The response is complete and the request is not: its rest is sent in a task.
            if let Some(reading) = slot.take() {
                drain_later(*reading);
            }
        }
        Poll::Ready(frame)
    }

    fn remaining(&self) -> Option<u64> {
        let reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reading.as_ref().map_or(Some(0), |reading| reading.content.remaining())
    }

    fn poll_beside(&mut self, cx: &mut Context<'_>) {
        if let Some(reading) = self.reading() {
            reading.poll_upload(cx);
        }
    }
}

impl Drop for Http1ResponseBody {
    fn drop(&mut self) {
        let Some(mut reading) = self.reading().take() else { return };
        if !reading.is_worth_draining() {
            return;
        }
        // Most often the rest is in the buffer already, and needs no task.
        let mut cx = Context::from_waker(Waker::noop());
        match reading.poll_drain(&mut cx) {
            Poll::Ready(true) => reading.finish(),
            Poll::Ready(false) => {}
            // Nobody waits for the rest: the server behind is to stop at once.
            Poll::Pending if reading.exchange.state.options.is_relayed => {}
            Poll::Pending => drain_later(*reading),
        }
    }
}

/// Drains in a task, which ends after [`DRAIN_TIMEOUT`] at the latest. Outside a runtime the connection
/// is closed instead.
fn drain_later(reading: Http1Reading) {
    if let (true, Ok(runtime)) = (reading.is_worth_draining(), tokio::runtime::Handle::try_current()) {
        runtime.spawn(reading.drain());
    }
}
