//! How far the request of an exchange was sent, and the bookkeeping that both protocols share.
//!
//! The uploads of the two protocols differ in what they write to: a connection, or one of its streams.
//! Their states, and what follows from each, are the same:
//!
//! ```text
//!  Head ──► AwaitingContinue ──► Body ──► Flushing ──► Sent
//!    └────────── 100 Continue, or its limit ─▲   │
//!         (no `Expect`: Body or Flushing is the first state)
//!
//!  from any of them:  the connection takes no more      ─► Failed
//!                     it takes nothing for too long     ─► Stalled
//!                     the body fails, or is not needed  ─► Abandoned
//! ```

use std::task::{Context, Poll};
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::super::observe::{ClientTrace, Stopwatch, Tracer};
use crate::error::{Error, ErrorKind, Phase, Refusal, Result};
use crate::h1::{HeadLimits, RequestKind};
use crate::message::Header;
use crate::net::{Deadline, TransferLimit};

/// How far a request has been sent.
#[derive(Debug)]
#[allow(dead_code, reason = "over HTTP/2, a head is written by the connection's task")]
pub(crate) enum SendState {
    /// The head is being sent, and the body will wait for `100 Continue`.
    Head,
    /// The head was sent; the body waits for `100 Continue`.
    AwaitingContinue,
    /// Content is read from the body and sent after the head.
    Body,
    /// All content was handed over and is being flushed.
    Flushing,
    Sent,
    /// Writing failed. A response may have arrived, or may still come, and say why. `None` once the
    /// exchange has failed with the error.
    Failed(Option<Error>),
    /// The peer accepted nothing for too long. Only a response that has arrived already counts.
    Stalled(Error),
    /// The rest is not sent: the body failed, or the server does not want it.
    Abandoned,
}

/// Where an upload that has not failed stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SendProgress {
    /// It waits for `100 Continue`.
    AwaitsContinue,
    Sent,
}

/// Why an upload failed.
pub(crate) enum SendError {
    /// The body failed, or is not as long as was announced.
    Body(Error),
    /// Writing failed. A response may have arrived nevertheless.
    Write(Error),
}

impl SendState {
    /// Whether there is something to send, or to wait for before it is sent.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, SendState::Head | SendState::AwaitingContinue | SendState::Body | SendState::Flushing)
    }

    /// Whether the request cannot be completed any more.
    pub(crate) fn is_broken(&self) -> bool {
        matches!(self, SendState::Failed(_) | SendState::Stalled(_) | SendState::Abandoned)
    }

    /// Whether there may be content that was not handed on.
    pub(crate) fn has_more(&self) -> bool {
        !matches!(self, SendState::Flushing | SendState::Sent)
    }

    /// Ends the wait for `100 Continue`: the body is sent from now on.
    pub(crate) fn proceed(&mut self) {
        if matches!(self, SendState::Head | SendState::AwaitingContinue) {
            *self = SendState::Body;
        }
    }

    /// Takes the error that sending failed with.
    pub(crate) fn take_error(&mut self) -> Option<Error> {
        match self {
            SendState::Failed(error) => error.take(),
            SendState::Stalled(_) => self.take_stall(),
            _ => None,
        }
    }

    /// The error of a peer that accepted nothing for too long.
    pub(crate) fn take_stall(&mut self) -> Option<Error> {
        if !matches!(self, SendState::Stalled(_)) {
            return None;
        }
        match std::mem::replace(self, SendState::Failed(None)) {
            SendState::Stalled(error) => Some(error),
            _ => None,
        }
    }
}

/// The length that the head has announced is not the body's.
pub(crate) fn wrong_length(length: u64, what: &str) -> SendError {
    let text = format!("the body {what} its Content-Length of {length} bytes");
    SendError::Body(Error::new(ErrorKind::ContentLength, text).during(Phase::Write))
}

/// The options of an exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ExchangeOptions {
    pub(crate) kind: RequestKind,
    pub(crate) head_limits: HeadLimits,
    pub(crate) response_header_timeout: Option<Duration>,
    pub(crate) expect_continue_timeout: Option<Duration>,
    pub(crate) stall_timeout: Option<Duration>,
    /// Whether the connection may serve another exchange afterwards.
    pub(crate) keep_alive: bool,
    /// Whether `Expect: 100-continue` goes with the request, which is sent again without it where the
    /// server takes none.
    pub(crate) may_drop_expect: bool,
    /// Whether the request is sent on for somebody else ([`Relayed`](super::Relayed)).
    #[allow(dead_code, reason = "over HTTP/2, no connection waits for content that nobody sends")]
    pub(crate) is_relayed: bool,
    /// Whether the body can be had again once it was read.
    pub(crate) is_replayable: bool,
}

/// The bookkeeping of an exchange until the head of its response has come.
pub(crate) struct ExchangeState {
    pub(crate) options: ExchangeOptions,
    pub(crate) tracer: Tracer,
    pub(crate) stopwatch: Stopwatch,
    /// Whether an informational response came.
    pub(crate) interim_came: bool,
    /// How much of the head's limit informational responses have used up.
    pub(crate) interim_bytes: usize,
    /// When a body goes without its `100 Continue`.
    continue_deadline: Deadline,
    /// How long the peer may take nothing of what is to be written.
    write_limit: TransferLimit,
    /// How much the peer had taken at the last look.
    taken_before: Option<u64>,
}

impl ExchangeState {
    pub(crate) fn new(options: ExchangeOptions, tracer: Tracer, stopwatch: Stopwatch) -> ExchangeState {
        ExchangeState {
            tracer,
            stopwatch,
            interim_came: false,
            interim_bytes: 0,
            continue_deadline: Deadline::default(),
            write_limit: TransferLimit::new(options.stall_timeout, None),
            taken_before: None,
            options,
        }
    }

    /// The head was written, which is traced once.
    pub(crate) fn note_head_written(&mut self) {
        if self.stopwatch.timings.wrote_head.is_none() {
            self.stopwatch.note_wrote_head();
            self.tracer.tell(ClientTrace::wrote_headers);
        }
    }

    /// The request was written: from now on the response is waited for.
    pub(crate) fn note_sent(&mut self) {
        let is_head_traced = self.stopwatch.timings.wrote_head.is_some();
        // One reading of the clock for both: a small request is written in one piece.
        self.stopwatch.note_wrote_request();
        if !is_head_traced {
            self.tracer.tell(ClientTrace::wrote_headers);
        }
        self.tracer.enter(Phase::Head);
        self.tracer.tell(|trace| trace.wrote_request(&Ok(())));
    }

    pub(crate) fn note_not_sent(&self, error: &Error) {
        if self.tracer.is_on() {
            let result = Err(error.again());
            self.tracer.tell(|trace| trace.wrote_request(&result));
        }
    }

    /// Waits for the time limit on `100 Continue`.
    pub(crate) fn poll_continue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.continue_deadline.is_set() {
            self.tracer.tell(ClientTrace::wait_100_continue);
            let limit = self.options.expect_continue_timeout.unwrap_or_default();
            self.continue_deadline.set(Some(Instant::now() + limit));
        }
        self.continue_deadline.poll(cx)
    }

    /// Ready when the peer has accepted nothing for too long. `taken` is how much it has accepted so
    /// far, if the upload waits for the peer; `None` if it waits for the body.
    pub(crate) fn poll_write_stall(
        &mut self,
        taken: Option<u64>,
        timer: &mut Deadline,
        cx: &mut Context<'_>,
    ) -> Poll<Error> {
        let Some(limit) = self.options.stall_timeout else { return Poll::Pending };
        if taken.is_none() || taken != self.taken_before {
            self.write_limit.progressed();
        }
        self.taken_before = taken;
        if taken.is_none() {
            return Poll::Pending;
        }
        self.write_limit.poll(timer, cx).map(|()| Error::over_limit(Phase::Write, "stall_timeout", limit))
    }

    /// How long the head of a response may still be.
    pub(crate) fn head_bytes_left(&self) -> usize {
        self.options.head_limits.max_bytes.saturating_sub(self.interim_bytes)
    }

    /// An informational response of this size, which is passed to the trace. Without one, all of them
    /// share the limit of the final head: a peer could send them for ever.
    ///
    /// # Errors
    /// The trace's.
    pub(crate) fn note_interim(&mut self, status: StatusCode, header: &Header, bytes: usize) -> Result<()> {
        self.interim_came = true;
        if !self.tracer.is_on() {
            self.interim_bytes = self.interim_bytes.saturating_add(bytes);
        }
        self.tracer.informational(status, header)?;
        if status == StatusCode::CONTINUE {
            self.tracer.tell(ClientTrace::got_100_continue);
        }
        Ok(())
    }

    /// Whether a response of this status says that the request should be sent again without `Expect`
    /// (RFC 9110 §10.1.1), and that can be done.
    pub(crate) fn refuses_expect(&self, status: StatusCode, upload: &SendState) -> bool {
        let has_body = self.options.is_replayable || matches!(upload, SendState::Head | SendState::AwaitingContinue);
        status == StatusCode::EXPECTATION_FAILED && self.options.may_drop_expect && has_body
    }

    /// The head of the response did not come in time.
    pub(crate) fn head_too_late(&self) -> Error {
        let limit = self.options.response_header_timeout.unwrap_or_default();
        Error::over_limit(Phase::Head, "response_header_timeout", limit)
    }
}

/// What an attempt ends with that is repeated without `Expect`.
pub(crate) fn expect_refused() -> Error {
    Error::new(ErrorKind::Refused, "the server does not do what Expect asks for").during(Phase::Head)
}

/// A head that breaks the rules.
pub(crate) fn bad_head(refusal: Refusal) -> Error {
    // The status of the refusal is not used: it is meant for the sender of a request.
    Error::new(ErrorKind::Refused, refusal.reason).during(Phase::Head)
}
