//! One attempt to send a request, and what is known when it has failed.

use std::time::Duration;

use super::super::observe::{Stopwatch, Tracer};
use super::super::pool::Timestamp;
use super::super::settings::TransportSettings;
use super::plan::Plan;
use super::send_state::{ExchangeOptions, ExchangeState};
use crate::error::{Error, Sent};
use crate::h1::RequestKind;
use crate::message::{Body, Request};

/// One attempt to send a request.
pub(crate) struct Attempt<'a> {
    pub(crate) request: &'a Request,
    pub(crate) plan: &'a Plan,
    pub(crate) body: Body,
    pub(crate) settings: &'a TransportSettings,
    pub(crate) tracer: &'a Tracer,
    /// When the request was begun.
    pub(crate) start: Timestamp,
    /// How long it took from then on to get the connection.
    pub(crate) got_connection: Duration,
}

/// Why an exchange failed before it had a response.
#[derive(Debug)]
pub(crate) struct FailedAttempt {
    pub(crate) error: Error,
    pub(crate) sent: Sent,
    pub(crate) retry_hint: RetryHint,
    /// The request's body, if nothing of it was read.
    pub(crate) unread: Option<Body>,
}

/// How sending the request again could succeed. [`RetryPolicy`] decides whether it is done.
///
/// [`RetryPolicy`]: super::RetryPolicy
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "without HTTP/2, some of these never are")]
pub(crate) enum RetryHint {
    None,
    /// No byte of a response came, on a connection that had served before: most likely it was dead
    /// before the request reached it.
    NewConnection,
    /// The server promises that it did not act on the request.
    Again,
    /// The server accepts this request over HTTP/1.1 only.
    Http1,
    /// The server, or one on the way to it, does not do what `Expect` asks for (417).
    WithoutExpect,
}

impl Attempt<'_> {
    /// The initial state of its exchange.
    pub(crate) fn exchange_state(&self) -> ExchangeState {
        let Attempt { request, plan, .. } = self;
        let options = ExchangeOptions {
            kind: RequestKind::of(&request.method, &request.header),
            head_limits: self.settings.head_limits,
            response_header_timeout: plan.limits.response_header,
            expect_continue_timeout: plan.limits.expect_continue,
            stall_timeout: plan.limits.stall,
            keep_alive: plan.keep_alive,
            may_drop_expect: plan.expects_continue && !plan.is_relayed,
            is_relayed: plan.is_relayed,
            is_replayable: request.body.is_replayable(),
        };
        ExchangeState::new(options, self.tracer.clone(), Stopwatch::new(self.start, self.got_connection))
    }

    /// Appends the head as HTTP/1.1 has it.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        self.plan.encode_head(self.request, self.settings, out);
    }
}
