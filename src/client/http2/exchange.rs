//! One exchange on a stream: the request is sent and the head of its response awaited, polled together.
//! See [`exchange`](super::super::exchange) for what both protocols share.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Method, StatusCode, Version};
use tokio::time::Instant;

use super::super::connect::{PoolConnPermit, Scheme};
use super::super::exchange::{
    Attempt, ExchangeState, FailedAttempt, RetryHint, SendError, SendProgress, SendState, bad_head, expect_refused,
};
use super::super::observe::ClientTrace;
use super::connection::Http2Conn;
use super::error::{ConnectionEnd, ExchangeEnd, end_error};
use super::exchange_io::{ExchangeIo, ReceivedHeads, ReceivedResponse, Tell};
use super::request_head::{HeadSource, HeadToSend};
use super::state::Suspicion;
use super::upload::{Upload, has_content};
use crate::error::{Error, Phase, Refusal, Result, Sent};
use crate::h1::{Outgoing, RequestKind, allows_content};
use crate::h2::fault::ErrorCode;
use crate::message::Response;
use crate::net::Deadline;

pub(super) struct Exchange {
    // The order matters when this is dropped: first the stream ends, then its permit is free, then
    // the pool hears of it.
    pub(super) io: Arc<ExchangeIo>,
    pub(super) upload: Upload,
    pub(super) conn: Http2Conn,
    #[expect(dead_code, reason = "given back when this is dropped")]
    permit: PoolConnPermit,
    pub(super) state: ExchangeState,
    pub(super) reused: bool,
    response_deadline: Deadline,
    write_deadline: Deadline,
    /// How many reads had brought something when the request was begun; `None` once the response's head
    /// came, or it is known why it does not.
    reads_before: Option<u64>,
    is_submitted: bool,
    /// The request has no content, and its stream stays open for what is sent once it is a tunnel.
    pub(super) is_tunnel: bool,
}

/// A request that waited for so long, whoever gave it up, had waited long enough.
const DOUBT_AFTER: Duration = Duration::from_secs(1);

impl Exchange {
    /// Makes the request's head. It is handed over with the first content.
    pub(super) fn begin(
        conn: Http2Conn,
        permit: PoolConnPermit,
        attempt: Attempt<'_>,
    ) -> Result<Exchange, FailedAttempt> {
        let head = head_of(&attempt);
        let mut state = attempt.exchange_state();
        let Attempt { request, plan, body, .. } = attempt;
        let trailer = &request.trailer;
        let head = match head {
            Ok(head) => Box::new(head),
            Err(error) => {
                return Err(FailedAttempt { error, sent: Sent::No, retry_hint: RetryHint::None, unread: Some(body) });
            }
        };
        if !state.options.keep_alive {
            conn.state().set_spent();
        }
        state.note_head_written();
        let makes_tunnel = plan.connect_protocol.is_some() || request.method == Method::CONNECT;
        let is_tunnel = makes_tunnel && !has_content(plan.outgoing);
        let mut upload = Upload::new(body, plan.outgoing, trailer, plan.waits_for_continue);
        if is_tunnel {
            state.note_sent();
            upload.state = SendState::Abandoned;
        }
        let mut exchange = Exchange {
            io: ExchangeIo::new(head, is_tunnel || has_content(plan.outgoing), conn.state().told_bytes),
            upload,
            reused: conn.state().note_served(),
            reads_before: Some(conn.state().reads()),
            conn,
            permit,
            state,
            response_deadline: Deadline::default(),
            write_deadline: Deadline::default(),
            is_submitted: false,
            is_tunnel,
        };
        if is_tunnel {
            exchange.await_response();
        }
        Ok(exchange)
    }

    /// Sends the request and waits for the final head, which fills the response. Returns whether content
    /// may follow.
    pub(super) fn poll_head(
        &mut self,
        response: &mut Response,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool, FailedAttempt>> {
        loop {
            let uploaded = self.poll_upload(cx);
            self.submit();
            uploaded.map_err(|error| self.failed(error))?;
            // After a stall, only a response that has arrived already counts.
            if let Some(stalled) = self.upload.state.take_stall() {
                return Poll::Ready(Err(self.failed(stalled)));
            }
            match self.io.poll_heads(cx) {
                Poll::Ready(ReceivedHeads::Interim(interim)) => {
                    self.note_first_byte();
                    self.note_interim(&interim).map_err(|error| self.failed(error))?;
                    // The body that waited for it may be sent now.
                }
                Poll::Ready(ReceivedHeads::Final(head)) => {
                    let ends = head.ends;
                    self.take_head(head, response).map_err(|error| self.failed(error))?;
                    return Poll::Ready(Ok(!ends));
                }
                Poll::Ready(ReceivedHeads::Ended(end)) => return Poll::Ready(Err(self.no_response(end))),
                Poll::Pending => {
                    ready!(self.response_deadline.poll(cx));
                    let error = self.upload.state.take_error().unwrap_or_else(|| self.state.head_too_late());
                    return Poll::Ready(Err(self.failed(error)));
                }
            }
        }
    }

    /// Hands the request to the connection's task, with what there is of its content: both leave together.
    fn submit(&mut self) {
        if std::mem::replace(&mut self.is_submitted, true) {
            return;
        }
        let connection = self.conn.state();
        connection.ready.push(self.io.clone());
        // The task tells all that it finds in its list when it ends, and then looks no more.
        if let Some(ended) = connection.ended() {
            let _ = self.io.set_closed(ended.of_waiting());
        }
    }

    fn take_head(&mut self, head: ReceivedResponse, response: &mut Response) -> Result<()> {
        self.reads_before = None;
        self.note_first_byte();
        self.state.stopwatch.note_head();
        let options = &self.state.options;
        if head.is_too_large || head.bytes > self.state.head_bytes_left() {
            return Err(bad_head(Refusal::with(StatusCode::BAD_GATEWAY, "too many bytes of header fields")));
        }
        // One of them is `:status`.
        if head.field_count > options.head_limits.max_values.saturating_add(1) {
            return Err(bad_head(Refusal::with(StatusCode::BAD_GATEWAY, "too many header fields")));
        }
        fill_response(response, head, options.kind)
    }

    /// Sends as much as the task accepts. If that fails the exchange goes on: the response may have
    /// arrived already, and say why.
    ///
    /// # Errors
    /// The body's own.
    pub(super) fn poll_upload(&mut self, cx: &mut Context<'_>) -> Result<()> {
        while self.upload.state.is_open() {
            match self.upload.poll(&self.io, self.conn.state(), cx) {
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
        let taken = self.upload.taken_while_writing(&self.io);
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

    fn note_interim(&mut self, interim: &ReceivedResponse) -> Result<()> {
        let Ok(status) = StatusCode::from_u16(interim.status) else { return Ok(()) };
        self.state.note_interim(status, &interim.header, interim.bytes)?;
        if self.state.interim_bytes > self.state.options.head_limits.max_bytes {
            return Err(bad_head(Refusal::bad("too many informational responses")));
        }
        if status == StatusCode::CONTINUE {
            self.upload.state.proceed();
        }
        Ok(())
    }

    /// The stream ended without a response. The first failure is the error.
    fn no_response(&mut self, end: ExchangeEnd) -> FailedAttempt {
        let is_silent = self.reused && !self.state.interim_came;
        let ended = self.conn.state().ended();
        let retry_hint = retry_hint(end, ended, is_silent);
        let mut error = end_error(end, ended, Phase::Head);
        let mut sent = self.give_up();
        if retry_hint == RetryHint::Again {
            sent = Sent::No;
        } else if let (RetryHint::None, Some(first)) = (retry_hint, self.upload.state.take_error()) {
            error = first;
        }
        FailedAttempt { error, sent, retry_hint, unread: self.upload.take_unread() }
    }

    /// No answer came. Where the connection brought nothing else meanwhile, it may be dead: a peer that
    /// has gone without a word would have every later request wait for its time limit.
    pub(super) fn note_unanswered(&mut self, by_limit: bool) {
        let state = self.conn.state();
        if self.reads_before.take() == Some(state.reads()) {
            let stopwatch = &self.state.stopwatch;
            let got_connection = stopwatch.timings.got_connection.unwrap_or_default();
            let waited = stopwatch.elapsed().saturating_sub(got_connection);
            state.suspect(if by_limit || waited >= DOUBT_AFTER { Suspicion::Doubt } else { Suspicion::Probe });
        }
    }

    /// What is known for another attempt without `Expect`.
    pub(super) fn refused_expect(&mut self) -> FailedAttempt {
        let waits = matches!(self.upload.state, SendState::AwaitingContinue);
        let unread = if waits { self.upload.take_unread() } else { None };
        FailedAttempt { retry_hint: RetryHint::WithoutExpect, unread, ..self.failed(expect_refused()) }
    }

    fn failed(&mut self, error: Error) -> FailedAttempt {
        if error.is_timeout() {
            // Before the stream is reset, which wakes the task.
            self.note_unanswered(true);
        }
        FailedAttempt { error, sent: self.give_up(), retry_hint: RetryHint::None, unread: None }
    }

    /// How much of the request was handed over, once it is certain that no more of it will be.
    fn give_up(&mut self) -> Sent {
        let (was_begun, tell) = self.io.give_up(ErrorCode::CANCEL);
        self.conn.state().tell(&self.io, tell);
        if was_begun { self.sent() } else { Sent::No }
    }

    /// Of a request that was begun.
    pub(super) fn sent(&self) -> Sent {
        if self.is_tunnel || matches!(self.upload.state, SendState::Sent) { Sent::Fully } else { Sent::Partly }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        // Before the stream ends, which wakes the connection's task.
        self.note_unanswered(self.state.tracer.is_expired());
        if self.is_submitted {
            let (_, tell) = self.io.give_up(ErrorCode::CANCEL);
            if tell == Tell::Task {
                self.conn.state().tell(&self.io, tell);
            }
        }
    }
}

/// The head of the request, for as long as the connection's task needs it.
fn head_of(attempt: &Attempt<'_>) -> Result<HeadToSend> {
    let Attempt { request, plan, settings, .. } = attempt;
    HeadToSend::new(&HeadSource {
        method: &request.method,
        scheme: if plan.key.scheme == Scheme::Https { "https" } else { "http" },
        authority: plan.host_of(request),
        uri: &request.uri,
        header: plan.header_of(request),
        trailer: &request.trailer,
        content_length: match plan.outgoing {
            Outgoing::Length(length) => Some(length),
            _ => None,
        },
        protocol: plan.connect_protocol.as_deref(),
        accept_encoding: plan.accept_encoding,
        user_agent: settings.user_agent.value(),
    })
}

/// Whether the request may be sent again. `is_silent` says that nothing came back on a connection that
/// had served before.
fn retry_hint(end: ExchangeEnd, ended: Option<&ConnectionEnd>, is_silent: bool) -> RetryHint {
    match end {
        // RFC 9113 §8.7: the server promises that it did not act on the request.
        ExchangeEnd::Reset(ErrorCode::REFUSED_STREAM) | ExchangeEnd::NotTaken(_) => RetryHint::Again,
        ExchangeEnd::Reset(ErrorCode::HTTP_1_1_REQUIRED) => RetryHint::Http1,
        ExchangeEnd::Disconnected if is_silent && !matches!(ended, Some(ConnectionEnd::ProtocolError(_))) => {
            RetryHint::NewConnection
        }
        _ => RetryHint::None,
    }
}

/// Fills status, fields and length of a response.
///
/// The engine has checked that there is one status, no field speaks of a connection, and `Content-Length`
/// is one number and the length of the content.
fn fill_response(response: &mut Response, head: ReceivedResponse, kind: RequestKind) -> Result<()> {
    let no_status = |_| bad_head(Refusal::bad("a status that is none"));
    response.status = StatusCode::from_u16(head.status).map_err(no_status)?;
    response.proto = Version::HTTP_2;
    response.header = head.header;
    response.content_length = content_length(response.status, kind, head.content_length, head.ends);
    Ok(())
}

/// The length is what is announced, as far as content follows.
fn content_length(status: StatusCode, kind: RequestKind, announced: Option<u64>, ends: bool) -> Option<u64> {
    match kind {
        RequestKind::Head => announced,
        _ if ends || !allows_content(status) => Some(0),
        // Over HTTP/2 an upgrade is a CONNECT too.
        RequestKind::Connect | RequestKind::Upgrade if status.is_success() => None,
        _ => announced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_what_is_announced_as_far_as_content_follows() {
        let length = |kind, status, announced, ends| {
            content_length(StatusCode::from_u16(status).unwrap(), kind, announced, ends)
        };
        assert_eq!(length(RequestKind::Other, 200, Some(7), false), Some(7));
        assert_eq!(length(RequestKind::Other, 200, None, false), None);
        assert_eq!(length(RequestKind::Other, 200, None, true), Some(0));
        assert_eq!(length(RequestKind::Head, 200, Some(7), true), Some(7));
        assert_eq!(length(RequestKind::Head, 200, None, true), None);
        assert_eq!(length(RequestKind::Other, 304, Some(7), true), Some(0));
        assert_eq!(length(RequestKind::Connect, 200, None, false), None);
    }
}
