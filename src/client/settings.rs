//! A transport's settings as its requests need them, resolved once.

use std::time::Duration;

use http::Method;

use super::connect::{Offer, Scheme};
use super::http2::Http2Conn;
use super::http2_settings::Http2TransportSettings;
use super::proxy::Proxy;
use crate::h1::{HeadLimits, OwnField};
use crate::message::{Request, Timeouts, coding};

/// The settings of a transport, resolved at its first request. Later changes of its fields count
/// for its clones alone: a connection in the pool was made by these settings, and a request that
/// followed others could not share it.
pub(crate) struct TransportSettings {
    pub(crate) proxy: Proxy,
    pub(crate) protocols: ClientProtocols,
    pub(crate) http2: Http2TransportSettings,
    /// Where a request has no time limits of its own.
    pub(crate) time_limits: TimeLimits,
    pub(crate) head_limits: HeadLimits,
    pub(crate) keep_alive: bool,
    pub(crate) compression: bool,
    pub(crate) user_agent: OwnField,
    /// The content codings that this build decodes.
    pub(crate) codings: OwnField,
}

/// The protocols of an HTTP client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClientProtocols {
    /// HTTP/2 where the server chooses it in the TLS handshake, else HTTP/1.1.
    #[default]
    Auto,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone: without TLS by prior knowledge, with TLS no other is offered.
    Http2,
}

/// The time limits of a request; `None` is no limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeLimits {
    pub(crate) connect: Option<Duration>,
    pub(crate) tls_handshake: Option<Duration>,
    pub(crate) response_header: Option<Duration>,
    pub(crate) expect_continue: Option<Duration>,
    pub(crate) stall: Option<Duration>,
}

impl TransportSettings {
    /// Which protocols a request's connection may speak. What needs HTTP/1.1 gets it.
    pub(crate) fn offer(&self, scheme: Scheme, needs_http1: bool) -> Offer {
        match (self.protocols, scheme) {
            _ if needs_http1 => Offer::Http1,
            (ClientProtocols::Http2, _) => Offer::Http2,
            (ClientProtocols::Auto, Scheme::Https) if Http2Conn::IS_BUILT => Offer::Negotiate,
            _ => Offer::Http1,
        }
    }

    /// The `Accept-Encoding` that is added to a request (Go's rule): the codings are asked for, and
    /// decoded again, where the request names none itself.
    pub(crate) fn accept_encoding(&self, request: &Request) -> Option<&'static str> {
        // Part of an encoded representation could not be decoded (RFC 9110 §14.2).
        let names_none = !request.header.contains("Accept-Encoding") && !request.header.contains("Range");
        let adds = names_none && self.compression && request.method != Method::HEAD;
        Some(coding::accept_encoding()).filter(|codings| adds && !codings.is_empty())
    }
}

impl TimeLimits {
    /// These limits, with those of the request in place of them where it has any.
    pub(crate) fn with(&self, own: &Timeouts) -> TimeLimits {
        let choose = |own: Option<Duration>, default| own.map_or(default, time_limit);
        TimeLimits {
            connect: choose(own.connect, self.connect),
            tls_handshake: choose(own.tls_handshake, self.tls_handshake),
            response_header: choose(own.response_header, self.response_header),
            expect_continue: choose(own.expect_continue, self.expect_continue),
            stall: choose(own.stall, self.stall),
        }
    }
}

/// A limit as its setting has it: zero is no limit.
pub(crate) fn time_limit(setting: Duration) -> Option<Duration> {
    Some(setting).filter(|length| !length.is_zero())
}
