//! One exchange on a stream: the request is sent and the head of its response awaited, polled together.
//! See [`exchange`](super::super::exchange) for what both protocols share.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use h2::client::ResponseFuture;
use h2::{Reason, RecvStream};
use http::StatusCode;
use http::uri::Scheme as UriScheme;
use tokio::time::Instant;

use super::super::connect::{PoolConnPermit, Scheme};
use super::super::exchange::{
    self, Attempt, ExchangeState, FailedAttempt, RetryHint, SendError, SendProgress, SendState, bad_head,
};
use super::super::observe::ClientTrace;
use super::connection::Http2Conn;
use super::error::connection_error;
use super::upload::{Upload, has_content};
use crate::error::{Error, Phase, Refusal, Result, Sent};
use crate::h1::{HeadLimits, Outgoing};
use crate::h2::{RequestToSend, field_bytes, fill_response, to_request};
use crate::message::{Header, Request, Response};
use crate::net::Deadline;

pub(super) struct Exchange {
    // The order matters when this is dropped: first the stream ends, then its permit is free, then
    // the pool hears of it.
    pub(super) upload: Upload,
    pub(super) conn: Http2Conn,
    #[expect(dead_code, reason = "given back when this is dropped")]
    permit: PoolConnPermit,
    pub(super) state: ExchangeState,
    pub(super) reused: bool,
    response_deadline: Deadline,
    write_deadline: Deadline,
}

impl Exchange {
    /// Opens the stream and hands the request's head over.
    pub(super) fn begin(
        conn: Http2Conn,
        permit: PoolConnPermit,
        attempt: Attempt<'_>,
    ) -> Result<(Exchange, ResponseFuture), FailedAttempt> {
        let request = head_of(&attempt);
        let mut state = attempt.exchange_state();
        let Attempt { request: Request { trailer, .. }, plan, body, .. } = attempt;
        let opened = request.map_err(|error| (error, RetryHint::None)).and_then(|request| {
            let opened = conn.requests().send_request(request, !has_content(plan.outgoing));
            opened.map_err(|error| not_opened(error, &conn))
        });
        let (response, stream) = match opened {
            Ok(opened) => opened,
            Err((error, retry_hint)) => {
                return Err(FailedAttempt { error, sent: Sent::No, retry_hint, unread: Some(body) });
            }
        };
        if !state.options.keep_alive {
            conn.state().set_spent();
        }
        state.note_head_written();
        let meter = conn.state().meter.clone();
        let exchange = Exchange {
            upload: Upload::new(stream, meter, body, plan.outgoing, trailer, plan.waits_for_continue),
            reused: conn.state().note_served(),
            conn,
            permit,
            state,
            response_deadline: Deadline::default(),
            write_deadline: Deadline::default(),
        };
        Ok((exchange, response))
    }

    /// Sends the request and waits for the final head, which fills the response; ready with what
    /// its content comes from.
    pub(super) fn poll_head(
        &mut self,
        waiting: &mut ResponseFuture,
        response: &mut Response,
        cx: &mut Context<'_>,
    ) -> Poll<Result<RecvStream, FailedAttempt>> {
        loop {
            self.poll_upload(cx).map_err(|error| self.failed(error))?;
            // After a stall, only a response that has arrived already counts.
            if let Some(stalled) = self.upload.state.take_stall() {
                return Poll::Ready(Err(self.failed(stalled)));
            }
            match waiting.poll_informational(cx) {
                Poll::Ready(Some(Ok(interim))) => {
                    self.note_first_byte();
                    self.note_interim(&interim).map_err(|error| self.failed(error))?;
                    // The body that waited for it may be sent now.
                    continue;
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(self.no_response(error))),
                Poll::Pending => {
                    ready!(self.response_deadline.poll(cx));
                    let error = self.upload.state.take_error().unwrap_or_else(|| self.state.head_too_late());
                    return Poll::Ready(Err(self.failed(error)));
                }
                Poll::Ready(None) => {}
            }
            let head = ready!(Pin::new(&mut *waiting).poll(cx)).map_err(|error| self.no_response(error))?;
            return Poll::Ready(self.take_head(head, response).map_err(|error| self.failed(error)));
        }
    }

    fn take_head(&mut self, head: http::Response<RecvStream>, response: &mut Response) -> Result<RecvStream> {
        self.note_first_byte();
        self.state.stopwatch.note_head();
        let (parts, content) = head.into_parts();
        let options = &self.state.options;
        let limits = HeadLimits { max_bytes: self.state.head_bytes_left(), ..options.head_limits };
        fill_response(response, &parts, options.kind, content.is_end_stream(), &limits).map_err(bad_head)?;
        Ok(content)
    }

    /// Sends as much as the peer accepts. If that fails the exchange goes on: the response may have
    /// arrived already, and say why.
    ///
    /// # Errors
    /// The body's own.
    pub(super) fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<()> {
        while self.upload.state.is_open() {
            match self.upload.poll(cx) {
                Poll::Ready(Ok(SendProgress::Sent)) => {
                    self.state.note_sent();
                    self.await_response();
                }
                Poll::Ready(Ok(SendProgress::AwaitsContinue)) => {
                    if self.state.poll_continue(cx).is_pending() {
                        return Ok(());
                    }
                    self.upload.state.proceed();
                }
                Poll::Ready(Err(SendError::Body(error))) => {
                    self.upload.state = SendState::Abandoned;
                    return Err(error);
                }
                Poll::Ready(Err(SendError::Write(error))) => {
                    self.state.note_not_sent(&error);
                    self.upload.state = SendState::Failed(Some(error));
                    self.await_response();
                }
                Poll::Pending => {
                    self.poll_write_stall(cx);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn await_response(&mut self) {
        let until = self.state.options.response_header_timeout.map(|limit| Instant::now() + limit);
        self.response_deadline.set(until);
    }

    /// A peer that accepts nothing for too long is treated like one that has left.
    fn poll_write_stall(&mut self, cx: &mut Context<'_>) {
        let taken = self.upload.taken_while_writing();
        if let Poll::Ready(error) = self.state.poll_write_stall(taken, &mut self.write_deadline, cx) {
            self.state.note_not_sent(&error);
            self.upload.state = SendState::Stalled(error);
        }
    }

    fn note_first_byte(&mut self) {
        if self.state.stopwatch.timings.first_byte.is_none() {
            self.state.stopwatch.note_first_byte();
            self.state.tracer.tell(ClientTrace::got_first_response_byte);
        }
    }

    /// An informational response. Only a trace looks at its fields.
    fn note_interim(&mut self, interim: &http::Response<()>) -> Result<()> {
        let status = interim.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            self.state.interim_came = true;
            // RFC 9113 §8.6: HTTP/2 has no upgrades.
            return Err(bad_head(Refusal::bad("101 over HTTP/2")));
        }
        let mut header = Header::new();
        if self.state.tracer.is_on() {
            header = interim.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        }
        let bytes = field_bytes(interim.headers()).saturating_add(INTERIM_OVERHEAD_BYTES);
        self.state.note_interim(status, &header, bytes)?;
        if self.state.interim_bytes > self.state.options.head_limits.max_bytes {
            return Err(bad_head(Refusal::bad("too many informational responses")));
        }
        if status == StatusCode::CONTINUE {
            self.upload.state.proceed();
        }
        Ok(())
    }

    /// The stream ended without a response. The first failure is the error.
    fn no_response(&mut self, error: h2::Error) -> FailedAttempt {
        let silent = self.reused && !self.state.interim_came;
        let (sent, retry_hint) = retry_hint(&error, self.upload.sent(), silent);
        let mut error = connection_error(error, self.conn.state().ended(), Phase::Head);
        if let (RetryHint::None, Some(first)) = (retry_hint, self.upload.state.take_error()) {
            error = first;
        }
        FailedAttempt { error, sent, retry_hint, unread: None }
    }

    fn failed(&self, error: Error) -> FailedAttempt {
        FailedAttempt { error, sent: self.upload.sent(), retry_hint: RetryHint::None, unread: None }
    }
}

/// The size of an informational response beside its fields: `:status` with its value, and 32 bytes as
/// for each field (RFC 9113 §10.5.1).
const INTERIM_OVERHEAD_BYTES: usize = 42;

fn head_of(attempt: &Attempt<'_>) -> Result<http::Request<()>> {
    let Attempt { request, plan, settings, .. } = attempt;
    to_request(&RequestToSend {
        method: &request.method,
        scheme: if plan.key.scheme == Scheme::Https { UriScheme::HTTPS } else { UriScheme::HTTP },
        authority: exchange::host(request),
        uri: &request.uri,
        header: &request.header,
        trailer: &request.trailer,
        length: match plan.outgoing {
            Outgoing::Length(length) => Some(length),
            _ => None,
        },
        accept_encoding: plan.accept_encoding,
        user_agent: settings.user_agent.value(),
    })
}

/// Why there is no stream, and whether another connection may have one.
fn not_opened(error: h2::Error, conn: &Http2Conn) -> (Error, RetryHint) {
    if error.is_io() || error.is_go_away() {
        conn.state().set_spent();
    }
    let retry_hint = if error.is_go_away() && error.is_remote() { RetryHint::Again } else { RetryHint::None };
    (connection_error(error, conn.state().ended(), Phase::Write), retry_hint)
}

/// How much of the request the server has acted on, and whether it may be sent again. `sent` is what
/// was handed over; `silent` says that nothing came back on a connection that had served before.
fn retry_hint(error: &h2::Error, sent: Sent, silent: bool) -> (Sent, RetryHint) {
    match error.reason() {
        // RFC 9113 §8.7: the server promises that it did not act on the request.
        Some(Reason::REFUSED_STREAM) if error.is_remote() => (Sent::No, RetryHint::Again),
        Some(_) if error.is_remote() && error.is_go_away() => (Sent::No, RetryHint::Again),
        Some(Reason::HTTP_1_1_REQUIRED) if error.is_remote() => (sent, RetryHint::Http1),
        None if error.is_io() && silent => (sent, RetryHint::NewConnection),
        _ => (sent, RetryHint::None),
    }
}
