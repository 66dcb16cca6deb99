//! One exchange: the request is written and the head of its response read, polled together. See
//! [`exchange`](super::super::exchange) for what each failure means.

use std::task::{Context, Poll, ready};

use bytes::Buf;
use http::StatusCode;
use tokio::time::Instant;

use super::super::connect::{HttpConnection, PoolConnPermit};
use super::super::exchange::{
    Attempt, ExchangeState, FailedAttempt, RetryHint, SendError, SendProgress, SendState, bad_head, expect_refused,
};
use super::super::observe::ClientTrace;
use super::super::pool::Timestamp;
use super::connection::Http1Conn;
use super::upload::Upload;
use crate::error::{Error, ErrorKind, Phase, Refusal, Result};
use crate::h1::{HeadLimits, ParsedResponse, Switch};
use crate::message::Response;

pub(super) struct Exchange {
    pub(super) conn: Box<Http1Conn>,
    /// The connection's permit of the pool, released when the exchange ends.
    permit: PoolConnPermit,
    pub(super) upload: Upload,
    pub(super) state: ExchangeState,
    awaits: Awaits,
}

/// The part of the response that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaits {
    /// The final head, under a limit of its own.
    Head,
    /// The content, under the limits of its reader.
    Content,
}

impl Exchange {
    /// Begins an exchange: encodes the head. Boxed, because the response's body takes it over.
    pub(super) fn begin(mut conn: Box<Http1Conn>, permit: PoolConnPermit, attempt: Attempt<'_>) -> Box<Exchange> {
        let mut head = std::mem::take(&mut conn.memory);
        attempt.encode(&mut head);
        conn.served += 1;
        let state = attempt.exchange_state();
        let Attempt { request, plan, body, .. } = attempt;
        let upload = Upload::new(head, body, plan.outgoing, &request.trailer);
        let mut exchange = Box::new(Exchange { conn, permit, upload, state, awaits: Awaits::Head });
        exchange.upload.begin(plan.waits_for_continue);
        exchange
    }

    /// Sends the request and reads until the final head is there, which fills the response.
    pub(super) fn poll_head(&mut self, response: &mut Response, cx: &mut Context<'_>) -> Poll<Result<ParsedResponse>> {
        self.poll_upload(cx)?;
        loop {
            if let Some(head) = self.parse(response)? {
                if is_interim(response.status) {
                    self.state.note_interim(response.status, &response.header, head.consumed)?;
                    if response.status == StatusCode::CONTINUE {
                        self.upload.state.proceed();
                    }
                    // A body that waited for `100 Continue` is sent on at once.
                    self.poll_upload(cx)?;
                    continue;
                }
                if head.switch != Switch::No && self.upload.state.has_more() {
                    // RFC 9110 §7.8: the server would take the rest of the request for bytes of the other
                    // protocol.
                    return Poll::Ready(Err(bad_head(Refusal::bad("another protocol before the whole request"))));
                }
                self.awaits = Awaits::Content;
                return Poll::Ready(Ok(head));
            }
            ready!(self.poll_more(cx))?;
        }
    }

    /// Sends as much as the connection accepts. If writing fails the exchange goes on: the response may
    /// have arrived already, and say why.
    ///
    /// # Errors
    /// The body's own.
    pub(super) fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<()> {
        while self.upload.state.is_open() {
            let polled = self.upload.poll(&mut self.conn.io, cx);
            if self.upload.wrote_head() && !matches!(polled, Poll::Ready(Ok(SendProgress::Sent))) {
                self.state.note_head_written();
            }
            match polled {
                Poll::Ready(Ok(SendProgress::Sent)) => {
                    self.state.note_sent();
                    self.await_response(self.state.stopwatch.wrote_request_at());
                }
                Poll::Ready(Ok(SendProgress::AwaitsContinue)) => {
                    if self.state.poll_continue(cx).is_pending() {
                        return Ok(());
                    }
                    self.upload.state.proceed();
                }
                Poll::Ready(Err(SendError::Body(error))) => {
                    self.state.note_not_sent(&error);
                    self.upload.state = SendState::Abandoned;
                    return Err(error);
                }
                Poll::Ready(Err(SendError::Write(error))) => {
                    self.state.note_not_sent(&error);
                    self.upload.state = SendState::Failed(Some(error));
                    self.await_response(Instant::now());
                }
                Poll::Pending => {
                    self.poll_write_stall(cx);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Sets the limit on the response's head, unless the head came before the request was sent: the
    /// content has the limits of its reader.
    fn await_response(&mut self, from: Instant) {
        if self.awaits == Awaits::Head {
            let until = self.state.options.response_header_timeout.map(|limit| from + limit);
            self.conn.io.read_deadline.set(until);
        }
    }

    /// A peer that accepts nothing for too long is treated like one that has left.
    fn poll_write_stall(&mut self, cx: &mut Context<'_>) {
        let taken = self.upload.taken_while_writing();
        if let Poll::Ready(error) = self.state.poll_write_stall(taken, &mut self.conn.io.write_deadline, cx) {
            self.state.note_not_sent(&error);
            self.upload.state = SendState::Stalled(error);
        }
    }

    fn parse(&mut self, response: &mut Response) -> Result<Option<ParsedResponse>> {
        let Http1Conn { io, parser, .. } = &mut *self.conn;
        if io.input.is_empty() {
            return Ok(None);
        }
        let limits = HeadLimits { max_bytes: self.state.head_bytes_left(), ..self.state.options.head_limits };
        let head = parser.parse(&io.input, &limits, self.state.options.kind, response).map_err(bad_head)?;
        if let Some(head) = &head {
            io.input.advance(head.consumed.min(io.input.len()));
        }
        Ok(head)
    }

    /// Reads more of the head.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let is_first = !self.has_first_byte();
        let io = &mut self.conn.io;
        match io.poll_fill(cx) {
            Poll::Ready(Ok(1..)) => {
                self.state.stopwatch.note_part_of_head();
                if is_first {
                    self.state.tracer.tell(ClientTrace::got_first_response_byte);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Ok(0)) => Poll::Ready(Err(self.no_response(None))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.no_response(Some(error)))),
            // The limit on the head begins when the request is sent: an upload may take long.
            Poll::Pending if self.upload.state.is_open() => Poll::Pending,
            Poll::Pending => {
                // Everything that has arrived was read, and is not a whole head.
                if let Some(error) = self.upload.state.take_stall() {
                    return Poll::Ready(Err(error));
                }
                ready!(io.read_deadline.poll(cx));
                Poll::Ready(Err(self.state.head_too_late()))
            }
        }
    }

    /// The connection ended without a response. Where writing had failed before, that is the cause.
    fn no_response(&mut self, error: Option<std::io::Error>) -> Error {
        match (self.upload.state.take_error(), error) {
            (Some(error), _) => error,
            (None, Some(error)) => Error::from(error).during(Phase::Head),
            (None, None) => {
                let text = if self.has_first_byte() {
                    "the server closed the connection in the middle of its answer"
                } else {
                    "the server closed the connection without an answer"
                };
                Error::new(ErrorKind::CutOff, text).during(Phase::Head)
            }
        }
    }

    /// Whether a byte of a response came.
    fn has_first_byte(&self) -> bool {
        self.state.interim_came || !self.conn.io.input.is_empty()
    }

    /// Ends an exchange that has no response, with what another attempt needs to know.
    pub(super) fn fail(mut self: Box<Self>, error: Error) -> FailedAttempt {
        let is_reused = self.conn.served > 1;
        let is_bodys = matches!(self.upload.state, SendState::Abandoned);
        // Whether the server has closed an idle connection shows only when it is used.
        let was_dead = is_reused && !self.has_first_byte() && !is_bodys && !error.is_timeout();
        let retry_hint = if was_dead { RetryHint::NewConnection } else { RetryHint::None };
        FailedAttempt { sent: self.upload.sent(), retry_hint, unread: self.upload.take_unread(), error }
    }

    /// What is known for another attempt without `Expect`.
    pub(super) fn refused_expect(mut self: Box<Self>) -> FailedAttempt {
        let unread = self.upload.take_body_that_waits();
        let (error, sent) = (expect_refused(), self.upload.sent());
        FailedAttempt { error, sent, retry_hint: RetryHint::WithoutExpect, unread }
    }

    /// Both messages are over: the connection is given back, or closed where it cannot be used again.
    pub(super) fn finish(mut self: Box<Self>, reusable: bool, now: Timestamp) {
        let Exchange { conn, upload, state, .. } = &mut *self;
        let keeps = reusable && conn.io.input.is_empty() && !conn.io.ended;
        if state.options.keep_alive {
            state.tracer.tell(|trace| trace.put_idle_conn(keeps));
        }
        if keeps {
            conn.memory =
                Some(upload.take_memory()).filter(|head| head.capacity() <= MAX_KEPT_HEAD_BYTES).unwrap_or_default();
            conn.io.read_deadline.set(None);
            conn.io.write_deadline.set(None);
            let Exchange { conn, permit, .. } = *self;
            permit.give_back(HttpConnection::Http1(conn), now);
        }
    }

    /// The connection, which speaks another protocol from now on, and its permit of the pool.
    pub(super) fn into_parts(self: Box<Self>) -> (Box<Http1Conn>, PoolConnPermit) {
        (self.conn, self.permit)
    }
}

/// RFC 9110 §15.2: another response follows. 101 is the last one: the protocol changes after it.
fn is_interim(status: StatusCode) -> bool {
    status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS
}

/// The largest buffer for heads that an idle connection keeps.
const MAX_KEPT_HEAD_BYTES: usize = 1024;
