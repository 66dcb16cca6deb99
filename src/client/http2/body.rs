//! The body of a response: it owns the exchange, and with it the stream.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::super::exchange::SendState;
use super::super::upgraded::SwitchedTo;
use super::error::{ExchangeEnd, end_error};
use super::exchange::Exchange;
use super::exchange_io::ReceivedContent;
use super::tunnel::{Tunnel, TunnelBody};
use crate::error::{Error, Phase, Result};
use crate::h1::allows_content;
use crate::message::{Body, Frame, Response, Source};
use crate::net::{Deadline, TransferLimit};

/// Gives the response its body and its info. Where nothing more is to come, the stream is over
/// before the response is handed out.
pub(super) fn attach(mut exchange: Exchange, content_follows: bool, response: &mut Response) {
    let info = exchange.conn.info();
    response.tls = info.tls.clone();
    let mut response_info = info.response_info(&exchange.state.stopwatch, exchange.reused);
    if content_follows && exchange.is_tunnel && response.status.is_success() {
        let tunnel = Tunnel::new(exchange);
        response_info.switched = Some(Arc::new(SwitchedTo(tunnel.clone())));
        response.info = Some(response_info);
        response.body = Body::from_source(TunnelBody(tunnel));
        return;
    }
    response.info = Some(response_info);
    if response.status.as_u16() < 300 {
        // The server answers as it reads, or did not want to see the body first and still counts on it.
        exchange.upload.state.proceed();
    } else if exchange.upload.state.is_open() {
        // Whoever refuses a request or sends it elsewhere has no use for the rest of it (Go's rule, and
        // curl's). The stream is reset when the response is over, or at once where it has no content.
        exchange.upload.state = SendState::Abandoned;
    }
    if !exchange.upload.state.is_open() {
        if !content_follows {
            return;
        }
        if let Some(whole) = exchange.io.take_whole() {
            response.body = Body::from(whole);
            return;
        }
    }
    let left = response.content_length.filter(|_| content_follows && allows_content(response.status));
    let read_limit = TransferLimit::new(exchange.state.options.stall_timeout, None);
    let reading = Http2Reading { exchange, left, upload_error: None, read_limit, read_timer: Deadline::default() };
    response.body = Body::from_source(Http2ResponseBody(Some(Box::new(reading))));
}

/// The content of a response while it arrives.
struct Http2Reading {
    exchange: Exchange,
    /// How much is still to come, where that is known.
    left: Option<u64>,
    /// The error of the request's body, if it failed.
    upload_error: Option<Error>,
    /// How long the peer may send nothing while the body is being read.
    read_limit: TransferLimit,
    read_timer: Deadline,
}

impl Http2Reading {
    /// A server may send the response as it reads the request: both must go on.
    fn poll_upload(&mut self, cx: &mut Context<'_>) {
        if let Err(error) = self.exchange.poll_upload(cx) {
            self.upload_error = Some(error);
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        self.poll_upload(cx);
        let Poll::Ready((content, tell)) = self.exchange.io.poll_content(cx) else {
            // Content that has arrived is handed out first. The rest may never come: the server may wait for
            // a request that will never be complete.
            return match self.upload_error.take() {
                Some(error) => Poll::Ready(Some(Err(error.with_sent(self.exchange.sent())))),
                None => self.poll_stall(cx),
            };
        };
        self.exchange.conn.state().tell(&self.exchange.io, tell);
        self.read_limit.progressed();
        Poll::Ready(match content {
            ReceivedContent::Data(data) => {
                self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                Some(Ok(Frame::Data(data)))
            }
            ReceivedContent::Trailer(trailer) => Some(Ok(Frame::Trailer(trailer))),
            ReceivedContent::Ended(ExchangeEnd::Whole) => None,
            ReceivedContent::Ended(end) => {
                let error = end_error(end, self.exchange.conn.state().ended(), Phase::Body);
                Some(Err(self.about(error)))
            }
        })
    }

    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let Some(limit) = self.exchange.state.options.stall_timeout else { return Poll::Pending };
        ready!(self.read_limit.poll(&mut self.read_timer, cx));
        Poll::Ready(Some(Err(self.about(Error::over_limit(Phase::Body, "stall_timeout", limit)))))
    }

    /// Marks an error of the content as the server's fault: a gateway that returns it responds with 502
    /// or 504.
    fn about(&self, error: Error) -> Error {
        error.of_gateway().with_sent(self.exchange.sent())
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
        self.0.as_ref().map_or(Some(0), |reading| reading.left)
    }

    fn poll_beside(&mut self, cx: &mut Context<'_>) {
        if let Some(reading) = &mut self.0 {
            reading.poll_upload(cx);
        }
    }
}
