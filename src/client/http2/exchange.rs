//! One exchange: a request handed over and the head of its response waited for, polled together.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use h2::client::ResponseFuture;
use h2::{Reason, RecvStream};
use http::StatusCode;
use http::uri::Scheme as UriScheme;
use tokio::time::Instant;

use super::super::connect::PoolConnPermit;
use super::super::connect::Scheme;
use super::super::exchange;
use super::super::exchange::{Attempt, ExchangeOptions, FailedAttempt, Interim, RetryHint};
use super::super::observe::ClientTrace;
use super::body;
use super::connection::Http2Conn;
use super::error::{connection_error, retry_hint};
use super::upload::{self, Progress, Upload, has_content};
use crate::error::{Error, ErrorKind, Phase, Refusal, Result, Sent};
use crate::h1::Outgoing;
use crate::h2::{RequestToSend, field_bytes, fill_response, to_request};
use crate::message::{Request, Response};
use crate::net::Deadline;

pub(super) struct Exchange {
    // Dropped in this order: the stream, its seat, the place in the pool's count.
    pub(super) upload: Upload,
    pub(super) http2: Http2Conn,
    #[expect(dead_code, reason = "given back when this is dropped")]
    permit: PoolConnPermit,
    pub(super) options: ExchangeOptions,
    pub(super) reused: bool,
    sending: Sending,
    /// When a body goes without its `100 Continue`.
    continue_deadline: Deadline,
    response_deadline: Deadline,
    write_deadline: Deadline,
    /// How much the peer had taken when it began to take nothing.
    write_stalls_at: Option<u64>,
    interim: Interim,
}

enum Sending {
    Begun,
    Done,
    Failed(Error),
}

/// The head of a response, and its content.
type Head = http::Response<RecvStream>;

impl Exchange {
    /// Opens the stream and hands the request's head over.
    pub(super) fn begin(
        http2: Http2Conn,
        permit: PoolConnPermit,
        attempt: Attempt<'_>,
    ) -> Result<(Exchange, ResponseFuture), FailedAttempt> {
        let request = head_of(&attempt);
        let mut options = attempt.exchange_options();
        let Attempt { request: Request { trailer, .. }, plan, body, .. } = attempt;
        let opened = request.map_err(|error| (error, RetryHint::None)).and_then(|request| {
            let opened = http2.requests().send_request(request, !has_content(plan.outgoing));
            opened.map_err(|error| not_opened(error, &http2))
        });
        let (response, stream) = match opened {
            Ok(opened) => opened,
            Err((error, retry_hint)) => {
                return Err(FailedAttempt { error, sent: Sent::No, retry_hint, unread: Some(body) });
            }
        };
        if !options.keeps {
            http2.state().set_spent();
        }
        options.stopwatch.note_wrote_head();
        options.tracer.tell(ClientTrace::wrote_headers);
        let meter = http2.state().meter.clone();
        let exchange = Exchange {
            upload: Upload::new(stream, meter, body, plan.outgoing, trailer, plan.waits_for_continue),
            reused: http2.state().note_served(),
            http2,
            permit,
            options,
            sending: Sending::Begun,
            continue_deadline: Deadline::default(),
            response_deadline: Deadline::default(),
            write_deadline: Deadline::default(),
            write_stalls_at: None,
            interim: Interim::default(),
        };
        Ok((exchange, response))
    }

    /// Sends the request and waits for the final head. The response's body owns the exchange from
    /// then on. Dropped before, it resets the stream.
    pub(super) async fn run(mut self, mut waiting: ResponseFuture) -> Result<Response, FailedAttempt> {
        match poll_fn(|cx| self.poll_head(&mut waiting, cx)).await {
            Ok((head, response)) => Ok(body::attach(self, head, response)),
            Err(failed) => {
                if matches!(failed.error.kind(), ErrorKind::CutOff | ErrorKind::Io) {
                    return Err(failed);
                }
                // The peer need not go on with what nobody waits for.
                self.upload.reset(Reason::CANCEL);
                Err(failed)
            }
        }
    }

    fn poll_head(
        &mut self,
        waiting: &mut ResponseFuture,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Head, Response), FailedAttempt>> {
        loop {
            self.poll_upload(cx).map_err(|error| self.failed(error))?;
            if let Some(stalled) = self.take_stalled() {
                return Poll::Ready(Err(self.failed(stalled)));
            }
            match waiting.poll_informational(cx) {
                Poll::Ready(Some(Ok(interim))) => {
                    self.note_first_byte();
                    self.note_interim(&interim).map_err(|error| self.failed(error))?;
                    // What waited for it may go out now.
                    continue;
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(self.no_response(error))),
                Poll::Pending => {
                    ready!(self.response_deadline.poll(cx));
                    let error = self.too_late();
                    return Poll::Ready(Err(self.failed(error)));
                }
                Poll::Ready(None) => {}
            }
            let head = ready!(Pin::new(&mut *waiting).poll(cx)).map_err(|error| self.no_response(error))?;
            return Poll::Ready(self.take_head(head).map_err(|error| self.failed(error)));
        }
    }

    fn take_head(&mut self, head: Head) -> Result<(Head, Response)> {
        self.note_first_byte();
        self.options.stopwatch.note_head();
        let mut response = Response::new(());
        let (parts, content) = head.into_parts();
        let ExchangeOptions { by, mut head_limits, .. } = self.options;
        head_limits.max_bytes = head_limits.max_bytes.saturating_sub(self.interim.bytes);
        fill_response(&mut response, &parts, by, content.is_end_stream(), &head_limits).map_err(in_head)?;
        Ok((Head::from_parts(parts, content), response))
    }

    /// Sends on, as far as it goes. A peer that takes no more is no reason to give up: the response
    /// may be there already, and say why.
    ///
    /// # Errors
    /// The body's own.
    pub(super) fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<()> {
        if !matches!(self.sending, Sending::Begun) {
            return Ok(());
        }
        loop {
            match self.upload.poll(cx) {
                Poll::Ready(Ok(Progress::Done)) => self.note_sent(),
                Poll::Ready(Ok(Progress::Waits)) => {
                    if self.poll_continue(cx).is_pending() {
                        return Ok(());
                    }
                    self.upload.proceed();
                    continue;
                }
                Poll::Ready(Err(upload::Failed::Body(error))) => return Err(error),
                Poll::Ready(Err(upload::Failed::Write(error))) => self.note_write_failed(error),
                Poll::Pending => self.poll_write_stall(cx),
            }
            return Ok(());
        }
    }

    /// From now on the response is waited for.
    fn note_sent(&mut self) {
        self.sending = Sending::Done;
        self.options.stopwatch.note_wrote_request();
        self.options.tracer.enter(Phase::Head);
        self.options.tracer.tell(|trace| trace.wrote_request(&Ok(())));
        self.await_response();
    }

    fn note_write_failed(&mut self, error: Error) {
        if self.options.tracer.is_on() {
            let told = Err(error.again());
            self.options.tracer.tell(|trace| trace.wrote_request(&told));
        }
        self.sending = Sending::Failed(error);
        self.await_response();
    }

    fn await_response(&mut self) {
        let until = self.options.response_header_timeout.map(|limit| Instant::now() + limit);
        self.response_deadline.set(until);
    }

    /// Waits for `100 Continue`, no longer than is allowed.
    fn poll_continue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.continue_deadline.is_set() {
            self.options.tracer.tell(ClientTrace::wait_100_continue);
            let limit = self.options.expect_continue_timeout.unwrap_or_default();
            self.continue_deadline.set(Some(Instant::now() + limit));
        }
        self.continue_deadline.poll(cx)
    }

    /// A peer that takes nothing for too long is asked for its response no further.
    fn take_stalled(&mut self) -> Option<Error> {
        match std::mem::replace(&mut self.sending, Sending::Done) {
            Sending::Failed(error) if error.is_timeout() => Some(error),
            other => {
                self.sending = other;
                None
            }
        }
    }

    /// A peer that takes nothing for too long is given up like one that has left.
    fn poll_write_stall(&mut self, cx: &mut Context<'_>) {
        let Some(stall) = self.options.stall_timeout else { return };
        let stalls_at = self.upload.is_writing().then(|| self.upload.taken());
        if stalls_at.is_some() && stalls_at != self.write_stalls_at {
            self.write_deadline.set(Some(Instant::now() + stall));
        }
        self.write_stalls_at = stalls_at;
        if stalls_at.is_some() && self.write_deadline.poll(cx).is_ready() {
            self.note_write_failed(Error::over_limit(Phase::Write, "stall_timeout", stall));
        }
    }

    fn note_first_byte(&mut self) {
        if self.options.stopwatch.timings.first_byte.is_none() {
            self.options.stopwatch.note_first_byte();
            self.options.tracer.tell(ClientTrace::got_first_response_byte);
        }
    }

    /// An informational response: told, and counted unless somebody else does.
    fn note_interim(&mut self, interim: &http::Response<()>) -> Result<()> {
        self.interim.came = true;
        if interim.status() == StatusCode::SWITCHING_PROTOCOLS {
            // RFC 9113 §8.6: there is no such thing here.
            return Err(in_head(Refusal::bad("101 over HTTP/2")));
        }
        if self.options.tracer.is_on() {
            let header = interim.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
            self.options.tracer.informational(interim.status(), &header)?;
        } else {
            self.interim.bytes = self
                .interim
                .bytes
                .saturating_add(INTERIM_OVERHEAD_BYTES)
                .saturating_add(field_bytes(interim.headers()));
            if self.interim.bytes > self.options.head_limits.max_bytes {
                return Err(in_head(Refusal::bad("too many informational responses")));
            }
        }
        if interim.status() == StatusCode::CONTINUE {
            self.options.tracer.tell(ClientTrace::got_100_continue);
            self.upload.proceed();
        }
        Ok(())
    }

    /// The stream ended without a response. What went wrong first says most.
    fn no_response(&mut self, error: h2::Error) -> FailedAttempt {
        let silent = self.reused && !self.interim.came;
        let (sent, retry_hint) = retry_hint(&error, self.upload.sent(), silent);
        let error = connection_error(error, self.http2.state().ended(), Phase::Head);
        match std::mem::replace(&mut self.sending, Sending::Done) {
            Sending::Failed(first) if retry_hint == RetryHint::None => {
                FailedAttempt { error: first, sent, retry_hint, unread: None }
            }
            _ => FailedAttempt { error, sent, retry_hint, unread: None },
        }
    }

    fn too_late(&mut self) -> Error {
        if let Sending::Failed(first) = std::mem::replace(&mut self.sending, Sending::Done) {
            return first;
        }
        let limit = self.options.response_header_timeout.unwrap_or_default();
        Error::over_limit(Phase::Head, "response_header_timeout", limit)
    }

    fn failed(&self, error: Error) -> FailedAttempt {
        FailedAttempt { error, sent: self.upload.sent(), retry_hint: RetryHint::None, unread: None }
    }

    /// Whether everything was sent.
    pub(super) fn is_sent(&self) -> bool {
        matches!(self.sending, Sending::Done)
    }
}

/// What an informational response counts for beside its fields: its status (RFC 9113 §10.5.1).
const INTERIM_OVERHEAD_BYTES: usize = 42;

fn head_of(attempt: &Attempt<'_>) -> Result<http::Request<()>> {
    let Attempt { request, plan, user_agent, .. } = attempt;
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
        user_agent: user_agent.value(),
    })
}

/// Why there is no stream, and what may help.
fn not_opened(error: h2::Error, http2: &Http2Conn) -> (Error, RetryHint) {
    if error.is_io() || error.is_go_away() {
        http2.state().set_spent();
    }
    let retry_hint = if error.is_go_away() && error.is_remote() { RetryHint::Again } else { RetryHint::None };
    (connection_error(error, http2.state().ended(), Phase::Write), retry_hint)
}

fn in_head(refusal: Refusal) -> Error {
    // The status of a refusal is for a peer that asked; this one answered.
    Error::new(ErrorKind::Refused, refusal.reason).during(Phase::Head)
}
