//! A connection that serves one exchange at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::super::observe::ConnectionInfo;
use crate::h1::ResponseParser;
use crate::message::Header;
use crate::net::Io;

/// The connection as the exchanges use it.
pub(crate) struct Http1Conn {
    pub(crate) io: Io,
    pub(crate) parser: ResponseParser,
    /// Memory for heads that are sent.
    pub(crate) memory: Vec<u8>,
    pub(crate) info: Arc<ConnectionInfo>,
    /// How many exchanges it has begun.
    pub(crate) served: u64,
    pub(crate) expires: Option<Instant>,
    keep_alive: KeepAliveHint,
}

/// What the server said last in the field `Keep-Alive` (RFC 2068 §19.7.1.1; RFC 9112 §9.3 leaves it
/// to those who use it, and Apache, nginx and Node.js do).
#[derive(Clone, Copy, Debug, Default)]
struct KeepAliveHint {
    /// For how long it keeps the connection without a request.
    timeout: Option<Duration>,
    /// How many requests it takes yet.
    requests_left: Option<u64>,
}

/// An idle connection is given up so long before its server does: a request that is on its way when
/// the server closes is lost, and may not be sent again if it is a POST. Of a short time, half is
/// enough.
const KEEP_ALIVE_MARGIN: Duration = Duration::from_secs(1);

impl Http1Conn {
    pub(crate) fn new(io: Io, info: Arc<ConnectionInfo>, expires: Option<Instant>) -> Http1Conn {
        Http1Conn {
            io,
            parser: ResponseParser::default(),
            memory: Vec::new(),
            info,
            served: 0,
            expires,
            keep_alive: KeepAliveHint::default(),
        }
    }

    /// Takes notice of the `Keep-Alive` of a response. Whether the connection may carry another
    /// exchange after this one.
    pub(super) fn apply_keep_alive(&mut self, header: &Header) -> bool {
        let hint = &mut self.keep_alive;
        hint.requests_left = hint.requests_left.map(|left| left.saturating_sub(1));
        for (name, value) in header.values("Keep-Alive").flat_map(|list| list.split(',')).filter_map(parameter) {
            if name.eq_ignore_ascii_case("timeout") {
                hint.timeout = Some(Duration::from_secs(value));
            } else if name.eq_ignore_ascii_case("max") {
                // Apache counts down, Node.js says the same each time: the lesser is right for both.
                hint.requests_left = Some(hint.requests_left.map_or(value, |left| left.min(value)));
            }
        }
        hint.timeout != Some(Duration::ZERO) && hint.requests_left != Some(0)
    }

    /// For how long it may be idle, by what the server said.
    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        self.keep_alive.timeout.map(|timeout| timeout - KEEP_ALIVE_MARGIN.min(timeout / 2))
    }

    /// Whether the connection is open and has sent nothing since its last response. Bytes without a
    /// request are an unsolicited response, or the end of the stream: the connection cannot be used
    /// again.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.io.is_quiet()
    }
}

/// A name and its number; `None` for what is not a number, and is passed over.
fn parameter(text: &str) -> Option<(&str, u64)> {
    let (name, value) = text.split_once('=')?;
    let digits = value.trim();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More digits than a number can have say: practically without end.
    Some((name.trim(), digits.parse().unwrap_or(u64::MAX)))
}
