//! The body of a response: it owns the exchange, and with it the connection.

use std::future::poll_fn;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::connection::Http1Conn;
use super::exchange::Exchange;
use super::upgraded::{Switched, SwitchedBody};
use crate::error::{Error, Phase, Result};
use crate::h1::{Framing, ParsedResponse, Switch};
use crate::message::{Body, Frame, Response, ResponseInfo, Source};
use crate::net::ContentReader;

/// A body that is dropped early is read on to its end, up to this many bytes and for this long,
/// so that its connection can be kept (Go's numbers).
const MAX_DRAIN_BYTES: u64 = 256 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_millis(50);

/// Gives the response its body and its info. Where all of it is here already, the connection is
/// given back before the response is handed out.
pub(super) fn attach(mut exchange: Box<Exchange>, head: &ParsedResponse, response: &mut Response) {
    response.tls = exchange.http1().info.tls.clone();
    response.info = Some(info_of(&exchange));
    if head.switch != Switch::No {
        switched(exchange, response);
        return;
    }
    let reusable = exchange.options.keeps && head.keep_alive && head.framing != Framing::UntilClose;
    match exchange.upload.waits() {
        // The server did not want to see the body first, and still counts on it (Go's rule).
        true if reusable => exchange.upload.proceed(),
        true => exchange.abandon(),
        false => {}
    }
    let mut content = ContentReader::framed(&head.framing);
    exchange.http1().io.read_deadline.set(None);
    if exchange.is_sent() {
        if let Some(whole) = content.over_at_once(&mut exchange.http1().io) {
            let now = exchange.options.stopwatch.head_at();
            exchange.settle(reusable, now);
            response.body = Body::from(whole);
            return;
        }
    }
    let reading = Reading { exchange, content, reusable, stalls: false, unsent: None, drains: MAX_DRAIN_BYTES };
    response.body = Body::from_source(ExchangeBody::new(reading));
}

fn info_of(exchange: &Exchange) -> Box<ResponseInfo> {
    let Http1Conn { info, served, .. } = &*exchange.http1;
    info.response_info(&exchange.options.stopwatch, *served > 1)
}

/// 101, and 2xx to CONNECT: the bytes are no longer HTTP. They are read as the body, or taken
/// over with [`Response::upgrade`].
fn switched(exchange: Box<Exchange>, response: &mut Response) {
    let stream = Switched::new(exchange);
    if let Some(info) = &mut response.info {
        info.switched = Some(stream.clone());
    }
    response.content_length = None;
    response.body = Body::from_source(SwitchedBody(stream));
}

/// The content of a response while it comes.
struct Reading {
    exchange: Box<Exchange>,
    content: ContentReader,
    /// Whether the connection may be kept, as far as the two heads say.
    reusable: bool,
    /// Since when the peer sends nothing, while somebody waits for it.
    stalls: bool,
    /// What the request's body failed with.
    unsent: Option<Error>,
    /// How much is still read of what nobody wants.
    drains: u64,
}

impl Reading {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        // The response may depend on the rest of the request.
        if let Err(error) = self.exchange.poll_upload(cx) {
            self.reusable = false;
            self.unsent = Some(error);
        }
        let io = &mut self.exchange.http1().io;
        match self.content.poll(io, cx) {
            // What comes now may wait for a request that will never be whole.
            Poll::Pending => match self.unsent.take() {
                Some(error) => Poll::Ready(Some(Err(error.with_sent(self.exchange.upload.sent())))),
                None => self.poll_stall(cx),
            },
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(self.about(error)))),
            frame => {
                self.stalls = false;
                frame
            }
        }
    }

    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let Some(stall) = self.exchange.options.stall_timeout else { return Poll::Pending };
        let io = &mut self.exchange.http1().io;
        if !self.stalls {
            self.stalls = true;
            io.read_deadline.set(Some(Instant::now() + stall));
        }
        ready!(io.read_deadline.poll(cx));
        Poll::Ready(Some(Err(self.about(Error::over_limit(Phase::Body, "stall_timeout", stall)))))
    }

    /// What the content failed with is a server's doing to whoever asks on behalf of another.
    fn about(&self, error: Error) -> Error {
        error.of_gateway().with_sent(self.exchange.upload.sent())
    }

    /// Whether nothing of either message is still to come.
    fn is_over(&self) -> bool {
        self.content.remaining() == Some(0) && self.exchange.is_sent()
    }

    /// Reads what nobody wants to its end, if it is not far, and sees the request off.
    async fn rescue(mut self) {
        if timeout(DRAIN_TIMEOUT, poll_fn(|cx| self.poll_rest(cx))).await == Ok(true) {
            self.settle();
        }
    }

    /// Ready with whether the connection can be kept.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            if self.is_over() {
                return Poll::Ready(true);
            }
            if self.exchange.is_unsendable() {
                return Poll::Ready(false);
            }
            match ready!(self.poll_frame(cx)) {
                None | Some(Ok(Frame::Trailer(_))) if self.exchange.is_sent() => return Poll::Ready(true),
                None | Some(Ok(Frame::Trailer(_))) => return Poll::Pending,
                Some(Ok(Frame::Data(chunk))) => match self.drains.checked_sub(chunk.len() as u64) {
                    Some(rest) => self.drains = rest,
                    None => return Poll::Ready(false),
                },
                Some(Err(_)) => return Poll::Ready(false),
            }
        }
    }

    /// Whether it is worth trying: the end may be near, and the connection is good.
    fn may_be_rescued(&self) -> bool {
        let near = self.content.remaining().is_none_or(|left| left <= MAX_DRAIN_BYTES);
        self.reusable && near && !self.exchange.is_unsendable()
    }

    fn settle(self) {
        let now = self.exchange.options.stopwatch.now();
        self.exchange.settle(self.reusable, now);
    }
}

/// Behind a lock that is never taken: it only makes the exchange `Sync`. Empty once the
/// connection was given back or given up.
struct ExchangeBody(Mutex<Option<Box<Reading>>>);

impl ExchangeBody {
    fn new(reading: Reading) -> ExchangeBody {
        ExchangeBody(Mutex::new(Some(Box::new(reading))))
    }

    fn reading(&mut self) -> &mut Option<Box<Reading>> {
        self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source for ExchangeBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let slot = self.reading();
        let Some(reading) = slot else { return Poll::Ready(None) };
        let frame = ready!(reading.poll_frame(cx));
        let whole = matches!(frame, None | Some(Ok(Frame::Trailer(_))));
        if matches!(frame, Some(Err(_))) {
            *slot = None;
        } else if reading.is_over() {
            // At once, with the last byte: who asks again next finds this connection.
            if let Some(reading) = slot.take() {
                reading.settle();
            }
        } else if whole {
            // Nobody waits here for the rest of the request.
            if let Some(reading) = slot.take() {
                rescue_later(*reading);
            }
        }
        Poll::Ready(frame)
    }

    fn remaining(&self) -> Option<u64> {
        let reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reading.as_ref().map_or(Some(0), |reading| reading.content.remaining())
    }
}

impl Drop for ExchangeBody {
    fn drop(&mut self) {
        let Some(mut reading) = self.reading().take() else { return };
        if !reading.may_be_rescued() {
            return;
        }
        // What is here already costs nothing.
        let mut cx = Context::from_waker(Waker::noop());
        match reading.poll_rest(&mut cx) {
            Poll::Ready(true) => reading.settle(),
            Poll::Ready(false) => {}
            Poll::Pending => rescue_later(*reading),
        }
    }
}

/// In a task that ends itself: it reads no longer than [`DRAIN_TIMEOUT`]. Outside a runtime the
/// connection is closed instead.
fn rescue_later(reading: Reading) {
    if let (true, Ok(runtime)) = (reading.may_be_rescued(), tokio::runtime::Handle::try_current()) {
        runtime.spawn(reading.rescue());
    }
}
