//! What a server reports: events for `on_event` or the log, and the states of a connection for
//! `conn_state`. A record of each request is in `record`.

use std::fmt;
use std::io::{self, Write as _};
use std::panic::Location;
use std::time::Duration;

use http::StatusCode;

use super::close_reason::CloseReason;
use crate::error::Error;
use crate::message::Addr;

/// An event that no response shows (Go's `ErrorLog`, as types).
///
/// Given to [`Server::on_event`](crate::Server::on_event). Without one, events go to `tracing`
/// (feature `tracing`: the server's own faults as errors, what peers do as debug). Without that feature,
/// and in a program that has set no `tracing` dispatcher, own faults go to standard error, a line each.
/// `Display` is one line; bytes of a peer are escaped in it.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A connection could not be accepted; the next try comes after the pause.
    AcceptFailed {
        /// The listener's error.
        error: io::Error,
        /// The pause before the next try.
        pause: Duration,
        /// How many such failures were not reported since the last report.
        unreported: u64,
    },
    /// A handler panicked. Its connection is closed; the others go on.
    HandlerPanicked {
        /// The peer whose request it was.
        remote_addr: Addr,
        /// The request's method and target.
        request: String,
        /// The panic's message.
        message: String,
    },
    /// A handler returned an error.
    HandlerFailed {
        /// The peer whose request it was.
        remote_addr: Addr,
        /// The request's method and target.
        request: String,
        /// The error.
        error: Error,
        /// The status of the response; `None` when the response had begun and was cut.
        status: Option<StatusCode>,
    },
    /// A handler set a status that could not be set: one was set or sent before, or it is
    /// informational. Only the first such call of a request is reported.
    StatusIgnored {
        /// The peer whose request it was.
        remote_addr: Addr,
        /// The request's method and target.
        request: String,
        /// The status that was not sent.
        status: StatusCode,
        /// The call of `write_header`.
        location: &'static Location<'static>,
    },
    /// A hook that the user of the server has set panicked. The server goes on as if there were no
    /// hook, but a connection whose `conn_context` panicked is closed.
    HookPanicked {
        /// The hook's name.
        hook: &'static str,
        /// The panic's message.
        message: String,
    },
    /// The TLS handshake with a peer failed: it sent what is not a handshake, wanted a version or cipher
    /// that is not offered, showed a certificate that is not accepted, or took too long
    /// ([`Error::is_timeout`]).
    HandshakeFailed {
        /// The peer.
        remote_addr: Addr,
        /// What was wrong.
        error: Error,
    },
    /// A peer sent bytes that are not an acceptable request.
    Refused {
        /// The peer.
        remote_addr: Addr,
        /// The status of the response.
        status: StatusCode,
        /// What was wrong: a fixed text.
        reason: &'static str,
    },
    /// The process that was to replace this one did not begin to serve; this one goes on. See
    /// [`Server::until_signal`](crate::Server::until_signal) and `until_replaced` beside it.
    SuccessorFailed {
        /// What became of it.
        error: io::Error,
    },
    /// An HTTP/2 connection was ended with an error, because its peer broke the protocol or did
    /// more than [`Http2Settings`](crate::server::Http2Settings) allow.
    Http2Closed {
        /// The peer.
        remote_addr: Addr,
        /// The error code that was sent with GOAWAY (RFC 9113 §7).
        code: u32,
        /// What was wrong: a fixed text.
        reason: &'static str,
    },
}

impl ServerEvent {
    /// Whether the fault lies with the server, its handlers or its system, rather than with a peer.
    pub fn is_own_fault(&self) -> bool {
        match self {
            ServerEvent::AcceptFailed { .. }
            | ServerEvent::HandlerPanicked { .. }
            | ServerEvent::HookPanicked { .. }
            | ServerEvent::StatusIgnored { .. }
            | ServerEvent::SuccessorFailed { .. } => true,
            // A client that leaves in the middle of a response is nobody's fault here.
            ServerEvent::HandlerFailed { error, status, .. } => {
                !error.is_of_peer() && status.is_none_or(|status| status.is_server_error())
            }
            ServerEvent::HandshakeFailed { .. } | ServerEvent::Refused { .. } | ServerEvent::Http2Closed { .. } => {
                false
            }
        }
    }

    /// Logs an event where no `on_event` takes it.
    #[cfg(feature = "tracing")]
    pub(super) fn log(&self) {
        // A program without a dispatcher would never see its own faults.
        if !tracing::dispatcher::has_been_set() {
            self.log_to_standard_error();
        } else if self.is_own_fault() {
            tracing::error!(target: "nethttp::server", "{self}");
        } else {
            tracing::debug!(target: "nethttp::server", "{self}");
        }
    }

    /// Logs an event where no `on_event` takes it.
    #[cfg(not(feature = "tracing"))]
    pub(super) fn log(&self) {
        self.log_to_standard_error();
    }

    /// Standard error has no levels: what peers do is left out, or any peer could fill it.
    fn log_to_standard_error(&self) {
        if self.is_own_fault() {
            // Not `eprintln!`, which panics where standard error is closed.
            let _ = writeln!(io::stderr(), "nethttp: {self}");
        }
    }
}

impl fmt::Display for ServerEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerEvent::AcceptFailed { error, pause, unreported } => {
                write!(f, "accepting a connection failed: {error}; next try in {pause:?}")?;
                if *unreported > 0 { write!(f, " ({unreported} more since the last report)") } else { Ok(()) }
            }
            ServerEvent::HandlerPanicked { remote_addr, request, message } => {
                let message = in_one_line(message);
                write!(f, "a handler panicked on {} from {remote_addr}: {message}", request.escape_default())
            }
            ServerEvent::HandlerFailed { remote_addr, request, error, status } => {
                let error = in_one_line(error);
                write!(f, "a handler failed on {} from {remote_addr}: {error}", request.escape_default())?;
                match status {
                    Some(status) => write!(f, "; answered {}", status.as_u16()),
                    None => f.write_str("; the answer was cut"),
                }
            }
            ServerEvent::StatusIgnored { remote_addr, request, status, location } => {
                let (request, status) = (request.escape_default(), status.as_u16());
                write!(f, "a status {status} was set in vain at {location}, on {request} from {remote_addr}")
            }
            ServerEvent::HookPanicked { hook, message } => {
                write!(f, "the hook {hook} panicked: {}", in_one_line(message))
            }
            ServerEvent::HandshakeFailed { remote_addr, error } => {
                write!(f, "no TLS session with {remote_addr}: {error}")
            }
            ServerEvent::Refused { remote_addr, status, reason } => {
                write!(f, "refused bytes from {remote_addr} with {}: {reason}", status.as_u16())
            }
            ServerEvent::SuccessorFailed { error } => write!(f, "the program was not replaced: {error}"),
            ServerEvent::Http2Closed { remote_addr, code, reason } => {
                write!(f, "ended the HTTP/2 connection of {remote_addr} with error code {code}: {reason}")
            }
        }
    }
}

/// Text that may quote what a peer has sent: a line feed in it would begin a line that it writes itself.
fn in_one_line(text: impl fmt::Display) -> String {
    let mut line = String::new();
    for letter in text.to_string().chars() {
        if letter.is_control() {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
    line
}

/// The states of a connection (Go's `ConnState`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnState {
    /// Accepted; nothing was read.
    New,
    /// A byte of a request was read; lasts until the response is complete.
    Active,
    /// Kept alive, and waiting for the next request.
    Idle,
    /// Hijacked by a handler. Final.
    Hijacked,
    /// Closed. Final.
    Closed,
}

impl fmt::Display for ConnState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConnState::New => "new",
            ConnState::Active => "active",
            ConnState::Idle => "idle",
            ConnState::Hijacked => "hijacked",
            ConnState::Closed => "closed",
        })
    }
}

/// The connection that a `conn_state` or `conn_context` hook is called for.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnInfo {
    /// A number that no other connection of this server has or had.
    pub id: u64,
    /// The peer.
    pub remote_addr: Addr,
    /// The server's end of the connection.
    pub local_addr: Addr,
    /// Why it was closed, in the state [`ConnState::Closed`].
    pub reason: Option<CloseReason>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_a_peer_has_sent() {
        let event = ServerEvent::HandlerFailed {
            remote_addr: Addr::Named("peer".into()),
            request: "GET /".into(),
            error: Error::other("no a\nnethttp: forged\u{1b}[2J"),
            status: None,
        };
        assert!(!event.to_string().contains(char::is_control), "{event}");
    }
}
