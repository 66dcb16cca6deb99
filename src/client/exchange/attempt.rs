//! One attempt to send a request: what it has with it, and why it failed.

use std::time::Duration;

use http::header::PROXY_AUTHORIZATION;

use super::super::observe::Stopwatch;
use super::super::observe::Tracer;
use super::super::pool::Timestamp;
use super::super::proxy::ProxyUrl;
use super::plan::{self, Plan};
use crate::error::{Error, Sent};
use crate::h1::{self, ConnectionField, HeadLimits, OwnField, RequestKind, RequestToSend};
use crate::message::{Body, Request};

/// One attempt to send a request.
pub(crate) struct Attempt<'a> {
    pub(crate) request: &'a Request,
    pub(crate) plan: &'a Plan,
    pub(crate) body: Body,
    pub(crate) head_limits: HeadLimits,
    pub(crate) tracer: &'a Tracer,
    /// When the request was begun, and how long it then took to get the connection.
    pub(crate) start: Timestamp,
    pub(crate) got_connection: Duration,
    pub(crate) user_agent: &'a OwnField,
    /// Content codings to ask for, if the plan is to.
    pub(crate) codings: &'a OwnField,
}

/// What an exchange must know beside its bytes.
#[derive(Clone, Debug)]
pub(crate) struct ExchangeOptions {
    pub(crate) by: RequestKind,
    pub(crate) head_limits: HeadLimits,
    pub(crate) response_header_timeout: Option<Duration>,
    pub(crate) expect_continue_timeout: Option<Duration>,
    pub(crate) stall_timeout: Option<Duration>,
    /// Whether the connection may serve another exchange afterwards.
    pub(crate) keeps: bool,
    pub(crate) tracer: Tracer,
    pub(crate) stopwatch: Stopwatch,
}

/// What came before the final head.
#[derive(Default)]
pub(crate) struct Interim {
    pub(crate) came: bool,
    /// What it has used up of the head's limit.
    pub(crate) bytes: usize,
}

/// Why an exchange failed before it had a response.
#[derive(Debug)]
pub(crate) struct FailedAttempt {
    pub(crate) error: Error,
    pub(crate) sent: Sent,
    pub(crate) retry_hint: RetryHint,
    /// The body, where nothing of it was asked for.
    pub(crate) unread: Option<Body>,
}

/// What may help, where the request can be sent again at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "without HTTP/2, some of these never are")]
pub(crate) enum RetryHint {
    None,
    /// Not one byte of a response came, on a connection that had served before: it was dead, most
    /// likely, before the request reached it.
    NewConnection,
    /// The server says that it did not look at the request.
    Again,
    /// The server answers it over HTTP/1.1 alone.
    Http1,
}

impl Attempt<'_> {
    /// What its exchange must know.
    pub(crate) fn exchange_options(&self) -> ExchangeOptions {
        let Attempt { request, plan, .. } = self;
        ExchangeOptions {
            by: RequestKind::of(&request.method, &request.header),
            head_limits: self.head_limits,
            response_header_timeout: plan.limits.response_header,
            expect_continue_timeout: plan.limits.expect_continue,
            stall_timeout: plan.limits.stall,
            keeps: plan.keeps,
            tracer: self.tracer.clone(),
            stopwatch: Stopwatch::new(self.start, self.got_connection),
        }
    }

    /// Appends the head as HTTP/1.1 has it.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let Attempt { request, plan, .. } = self;
        let credentials = plan.asked_proxy().and_then(ProxyUrl::authorization);
        let credentials = credentials.filter(|_| !request.header.contains(PROXY_AUTHORIZATION.as_str()));
        let closes = !plan.keeps && !request.header.contains("Upgrade");
        h1::encode_request_head(
            out,
            &RequestToSend {
                method: &request.method,
                target: plan.target(request),
                host: plan::host(request),
                header: &request.header,
                trailer: &request.trailer,
                outgoing: plan.outgoing,
                connection: if closes { ConnectionField::Close } else { ConnectionField::Nothing },
                accept_encoding: plan.accept_encoding.map(|_| self.codings),
                user_agent: self.user_agent,
                proxy_authorization: credentials.as_deref(),
            },
        );
    }
}
