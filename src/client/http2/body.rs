//! The body of a response: it owns the exchange, and with it the stream.

use std::task::{Context, Poll, ready};

use h2::{Reason, RecvStream};

use super::super::exchange::SendState;
use super::error::connection_error;
use super::exchange::Exchange;
use crate::error::{Error, Phase, Result};
use crate::h1::allows_content;
use crate::h2::Received;
use crate::message::{Body, Frame, Response, Source};
use crate::net::{Deadline, TransferLimit};

/// Gives the response its body and its info. Where nothing more is to come, the stream is over
/// before the response is handed out.
pub(super) fn attach(mut exchange: Exchange, content: RecvStream, response: &mut Response) {
    let info = exchange.conn.info();
    response.tls = info.tls.clone();
    response.info = Some(info.response_info(&exchange.state.stopwatch, exchange.reused));
    if response.status.as_u16() < 300 {
        // The server answers as it reads, or did not want to see the body first and still counts on it.
        exchange.upload.state.proceed();
    } else if exchange.upload.state.is_open() {
        // Whoever refuses a request or sends it elsewhere has no use for the rest of it (Go's rule, and
        // curl's). The stream is reset when the response is over, or at once where it has no content.
        exchange.upload.state = SendState::Abandoned;
    }
    if content.is_end_stream() && !exchange.upload.state.is_open() {
        return;
    }
    let length = response.content_length.filter(|_| allows_content(response.status));
    let received = Received::new(content, length);
    let read_limit = TransferLimit::new(exchange.state.options.stall_timeout, None);
    let reading = Http2Reading { received, exchange, read_limit, read_timer: Deadline::default() };
    response.body = Body::from_source(Http2ResponseBody(Some(Box::new(reading))));
}

/// The content of a response while it arrives.
struct Http2Reading {
    // Dropped before the exchange: its half of the stream goes first.
    received: Received,
    exchange: Exchange,
    /// How long the peer may send nothing while the body is being read.
    read_limit: TransferLimit,
    read_timer: Deadline,
}

impl Http2Reading {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        // A server may send the response as it reads the request: both must go on. What the request's
        // body fails with is no error of this one: the server sees the reset, and ends the response as
        // it likes.
        if self.exchange.poll_upload(cx).is_err() {
            self.exchange.upload.reset(Reason::CANCEL);
        }
        let Http2Reading { received, exchange, .. } = self;
        match received.poll_or(cx, |error| connection_error(error, exchange.conn.state().ended(), Phase::Body)) {
            Poll::Ready(frame) => {
                self.read_limit.progressed();
                Poll::Ready(frame.map(|frame| frame.map_err(|error| self.about(error))))
            }
            Poll::Pending => self.poll_stall(cx),
        }
    }

    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let Some(limit) = self.exchange.state.options.stall_timeout else { return Poll::Pending };
        ready!(self.read_limit.poll(&mut self.read_timer, cx));
        Poll::Ready(Some(Err(self.about(Error::over_limit(Phase::Body, "stall_timeout", limit)))))
    }

    /// Marks an error of the content as the server's fault: a gateway that returns it responds with 502
    /// or 504.
    fn about(&self, error: Error) -> Error {
        error.of_gateway().with_sent(self.exchange.upload.sent())
    }
}

/// Empty once the stream is over or given up. Dropped before, it resets the stream
/// (`RST_STREAM`, CANCEL), and the connection lives on.
struct Http2ResponseBody(Option<Box<Http2Reading>>);

impl Source for Http2ResponseBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let Some(reading) = &mut self.0 else { return Poll::Ready(None) };
        let polled = reading.poll_frame(cx);
        // A response that is whole before the request makes the rest of the request useless: the
        // stream is reset (RFC 9113 §8.1).
        if !matches!(polled, Poll::Pending | Poll::Ready(Some(Ok(Frame::Data(_))))) {
            self.0 = None;
        }
        polled
    }

    fn remaining(&self) -> Option<u64> {
        self.0.as_ref().map_or(Some(0), |reading| reading.received.remaining())
    }
}
