//! One exchange: a request written and the head of its response read, polled together.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use http::StatusCode;
use tokio::time::Instant;

use super::super::connect::{HttpConnection, PoolConnPermit};
use super::super::exchange::{Attempt, ExchangeOptions, FailedAttempt, Interim, RetryHint};
use super::super::observe::ClientTrace;
use super::super::pool::Timestamp;
use super::body;
use super::connection::Http1Conn;
use super::upload::{self, Progress, Upload};
use crate::error::{Error, ErrorKind, Phase, Refusal, Result};
use crate::h1::{ParsedResponse, Switch};
use crate::message::Response;
use crate::net::Deadline;

pub(crate) struct Exchange {
    pub(super) http1: Box<Http1Conn>,
    /// What the connection counts for in the pool: free again after it.
    permit: PoolConnPermit,
    pub(super) upload: Upload,
    pub(super) options: ExchangeOptions,
    sending: Sending,
    awaits: Awaits,
    /// When a body goes without its `100 Continue`.
    continue_deadline: Deadline,
    interim: Interim,
    /// How much the socket had taken when it began to take nothing.
    write_stalls_at: Option<u64>,
}

enum Sending {
    Begun,
    HeadWritten,
    Done,
    /// The connection took no more.
    Failed(Error),
    /// The rest is not sent: the body failed, or nobody waits for it.
    Abandoned,
}

/// What is still to come of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaits {
    /// The final head, under a limit of its own.
    Head,
    /// The content, whose reader has its own.
    Content,
}

impl Exchange {
    /// Begins with an encoded head. In a box, as it is handed on to the response's body.
    pub(crate) fn begin(mut http1: Box<Http1Conn>, permit: PoolConnPermit, attempt: Attempt<'_>) -> Box<Exchange> {
        let mut head = std::mem::take(&mut http1.memory);
        attempt.encode(&mut head);
        http1.served += 1;
        let options = attempt.exchange_options();
        let Attempt { request, plan, body, .. } = attempt;
        let mut exchange = Box::new(Exchange {
            http1,
            permit,
            upload: Upload::new(head, body, plan.outgoing, &request.trailer),
            options,
            sending: Sending::Begun,
            awaits: Awaits::Head,
            continue_deadline: Deadline::default(),
            interim: Interim::default(),
            write_stalls_at: None,
        });
        exchange.upload.begin(plan.waits_for_continue);
        exchange
    }

    /// Writes the request and reads until the final head is there, which fills the response. Its body
    /// owns the exchange from then on. Dropped before, it closes the connection.
    pub(crate) async fn run(mut self: Box<Self>, response: &mut Response) -> Result<(), FailedAttempt> {
        let head = poll_fn(|cx| self.poll_head(response, cx)).await;
        match head {
            Ok(head) => {
                self.awaits = Awaits::Content;
                body::attach(self, &head, response);
                Ok(())
            }
            Err(error) => {
                let first = self.http1().served == 1;
                let silent = !self.interim.came && !self.http1_has_input();
                let own = matches!(self.sending, Sending::Abandoned);
                let stale = !first && silent && !own && !error.is_timeout();
                let retry_hint = if stale { RetryHint::NewConnection } else { RetryHint::None };
                Err(FailedAttempt { sent: self.upload.sent(), retry_hint, unread: self.upload.take_unread(), error })
            }
        }
    }

    fn poll_head(&mut self, response: &mut Response, cx: &mut Context<'_>) -> Poll<Result<ParsedResponse>> {
        self.poll_upload(cx)?;
        loop {
            if let Some(head) = self.parse(response)? {
                if is_interim(response.status) {
                    self.note_interim(&head, response)?;
                    // What waited for it may go out now.
                    self.poll_upload(cx)?;
                    continue;
                }
                if head.switch != Switch::No && self.upload.has_more() {
                    // RFC 9110 §7.8: the rest of the request would be taken for the other protocol's.
                    return Poll::Ready(Err(in_head(Refusal::bad("another protocol before the whole request"))));
                }
                return Poll::Ready(Ok(head));
            }
            ready!(self.poll_more(cx))?;
        }
    }

    /// Sends on, as far as it goes. A connection that takes no more is no reason to give up: the
    /// response may be there already, and say why.
    ///
    /// # Errors
    /// The body's own.
    pub(super) fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<()> {
        if matches!(self.sending, Sending::Done | Sending::Failed(_) | Sending::Abandoned) {
            return Ok(());
        }
        loop {
            let polled = self.upload.poll(&mut self.http1.io, cx);
            if !matches!(polled, Poll::Ready(Ok(Progress::Done))) {
                self.note_head_written();
            }
            match polled {
                Poll::Ready(Ok(Progress::Done)) => self.note_sent(),
                Poll::Ready(Ok(Progress::Waits)) => {
                    if self.poll_continue(cx).is_pending() {
                        return Ok(());
                    }
                    self.upload.proceed();
                    continue;
                }
                Poll::Ready(Err(upload::Failed::Body(error))) => {
                    self.tell_unwritten(&error);
                    self.abandon();
                    return Err(error);
                }
                Poll::Ready(Err(upload::Failed::Write(error))) => self.note_write_failed(error),
                Poll::Pending => self.poll_write_stall(cx),
            }
            return Ok(());
        }
    }

    fn note_head_written(&mut self) {
        if matches!(self.sending, Sending::Begun) && self.upload.wrote_head() {
            self.sending = Sending::HeadWritten;
            self.options.stopwatch.note_wrote_head();
            self.options.tracer.tell(ClientTrace::wrote_headers);
        }
    }

    /// From now on the response is waited for.
    fn note_sent(&mut self) {
        self.options.stopwatch.note_wrote_request();
        if matches!(std::mem::replace(&mut self.sending, Sending::Done), Sending::Begun) {
            self.options.tracer.tell(ClientTrace::wrote_headers);
        }
        self.options.tracer.enter(Phase::Head);
        self.options.tracer.tell(|trace| trace.wrote_request(&Ok(())));
        self.await_response(self.options.stopwatch.wrote_request_at());
    }

    fn note_write_failed(&mut self, error: Error) {
        self.tell_unwritten(&error);
        self.sending = Sending::Failed(error);
        self.await_response(Instant::now());
    }

    fn tell_unwritten(&self, error: &Error) {
        if self.options.tracer.is_on() {
            let told = Err(error.again());
            self.options.tracer.tell(|trace| trace.wrote_request(&told));
        }
    }

    /// Nothing more of the request is sent.
    pub(super) fn abandon(&mut self) {
        self.sending = Sending::Abandoned;
    }

    /// Sets the limit on the head, unless it came before the request was sent.
    fn await_response(&mut self, from: Instant) {
        if self.awaits == Awaits::Content {
            return;
        }
        let until = match &self.sending {
            // What is here is still looked at.
            Sending::Failed(error) if error.is_timeout() => Some(from),
            _ => self.options.response_header_timeout.map(|limit| from + limit),
        };
        self.http1().io.read_deadline.set(until);
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

    /// A peer that takes nothing for too long is given up like one that has left.
    fn poll_write_stall(&mut self, cx: &mut Context<'_>) {
        let Some(stall) = self.options.stall_timeout else { return };
        let stalls_at = self.upload.is_writing().then(|| self.upload.taken());
        let io = &mut self.http1.io;
        if stalls_at.is_some() && stalls_at != self.write_stalls_at {
            io.write_deadline.set(Some(Instant::now() + stall));
        }
        self.write_stalls_at = stalls_at;
        if stalls_at.is_some() && io.write_deadline.poll(cx).is_ready() {
            self.note_write_failed(Error::over_limit(Phase::Write, "stall_timeout", stall));
        }
    }

    fn parse(&mut self, response: &mut Response) -> Result<Option<ParsedResponse>> {
        let ExchangeOptions { by, mut head_limits, .. } = self.options;
        head_limits.max_bytes = head_limits.max_bytes.saturating_sub(self.interim.bytes);
        let Http1Conn { io, parser, .. } = self.http1();
        if io.input.is_empty() {
            return Ok(None);
        }
        let head = parser.parse(&io.input, &head_limits, by, response).map_err(in_head)?;
        if let Some(head) = &head {
            io.input.advance(head.consumed.min(io.input.len()));
        }
        Ok(head)
    }

    /// An informational response: told, and counted unless somebody else does.
    fn note_interim(&mut self, head: &ParsedResponse, response: &Response) -> Result<()> {
        self.interim.came = true;
        if !self.options.tracer.is_on() {
            self.interim.bytes = self.interim.bytes.saturating_add(head.consumed);
        }
        self.options.tracer.informational(response.status, &response.header)?;
        if response.status == StatusCode::CONTINUE {
            self.options.tracer.tell(ClientTrace::got_100_continue);
            self.upload.proceed();
        }
        Ok(())
    }

    /// Reads more of the head.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let is_first = !self.interim.came && !self.http1_has_input();
        let io = &mut self.http1.io;
        match io.poll_fill(cx) {
            Poll::Ready(Ok(1..)) => {
                self.options.stopwatch.note_part_of_head();
                if is_first {
                    self.options.tracer.tell(ClientTrace::got_first_response_byte);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(0)) => Poll::Ready(Err(self.no_response(None))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.no_response(Some(error)))),
            Poll::Pending => {
                if matches!(self.sending, Sending::Begun | Sending::HeadWritten) {
                    return Poll::Pending;
                }
                ready!(io.read_deadline.poll(cx));
                if matches!(&self.sending, Sending::Failed(error) if error.is_timeout()) {
                    return Poll::Ready(Err(self.no_response(None)));
                }
                let limit = self.options.response_header_timeout.unwrap_or_default();
                Poll::Ready(Err(Error::over_limit(Phase::Head, "response_header_timeout", limit)))
            }
        }
    }

    /// The connection ended without a response. What went wrong first says most.
    fn no_response(&mut self, error: Option<std::io::Error>) -> Error {
        match (std::mem::replace(&mut self.sending, Sending::Done), error) {
            (Sending::Failed(error), _) => error,
            (_, Some(error)) => Error::from(error).during(Phase::Head),
            (_, None) => {
                let text = if self.http1_has_input() || self.interim.came {
                    "the server closed the connection in the middle of its answer"
                } else {
                    "the server closed the connection without an answer"
                };
                Error::new(ErrorKind::CutOff, text).during(Phase::Head)
            }
        }
    }

    pub(super) fn http1(&mut self) -> &mut Http1Conn {
        &mut self.http1
    }

    /// Ends it: the connection is given back where that can be, and closed where not.
    pub(super) fn settle(mut self: Box<Self>, reusable: bool, now: Timestamp) {
        let Exchange { http1, upload, options, .. } = &mut *self;
        let keeps = reusable && http1.io.input.is_empty() && !http1.io.ended;
        if options.keeps {
            options.tracer.tell(|trace| trace.put_idle_conn(keeps));
        }
        if keeps {
            http1.memory =
                Some(upload.take_memory()).filter(|head| head.capacity() <= MAX_KEPT_HEAD_BYTES).unwrap_or_default();
            http1.io.read_deadline.set(None);
            http1.io.write_deadline.set(None);
            let Exchange { http1, permit, .. } = *self;
            permit.give_back(HttpConnection::Http1(http1), now);
        }
    }

    /// The connection, which speaks something else from now on, and its place in the pool's count.
    pub(super) fn into_parts(self: Box<Self>) -> (Box<Http1Conn>, PoolConnPermit) {
        (self.http1, self.permit)
    }

    fn http1_has_input(&mut self) -> bool {
        !self.http1().io.input.is_empty()
    }

    /// Whether everything was sent.
    pub(super) fn is_sent(&self) -> bool {
        matches!(self.sending, Sending::Done)
    }

    /// Whether the request cannot be completed any more.
    pub(super) fn is_unsendable(&self) -> bool {
        matches!(self.sending, Sending::Failed(_) | Sending::Abandoned)
    }
}

/// RFC 9110 §15.2: another response follows, except behind a switch of protocols.
fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

/// An idle connection holds the memory of a head that is no longer than this.
const MAX_KEPT_HEAD_BYTES: usize = 1024;

fn in_head(refusal: Refusal) -> Error {
    // The status of a refusal is for a peer that asked; this one answered.
    Error::new(ErrorKind::Refused, refusal.reason).during(Phase::Head)
}
