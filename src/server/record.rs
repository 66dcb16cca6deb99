//! What is known of a request when it is over: for access logs and measurements.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode, Version};

use super::close_reason::CloseReason;
use crate::error::ErrorKind;
use crate::message::{Addr, Header, TlsInfo};

/// A request that is over, for access logs and measurements; see
/// [`Server::on_request`](crate::Server::on_request) and
/// [`ResponseWriter::on_end`](crate::ResponseWriter::on_end).
///
/// The fields of the request are as its handlers have left them.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RequestRecord {
    /// The method.
    pub method: Method,
    /// The target as received.
    pub target: String,
    /// The host that was asked for, with the port where there is one.
    pub host: String,
    /// The protocol version.
    pub proto: Version,
    /// The header fields of the request.
    pub header: Header,
    /// Where the request came from.
    pub remote_addr: Addr,
    /// The TLS session that it came over; `None` without TLS.
    pub tls: Option<Arc<TlsInfo>>,
    /// The pattern that the mux matched; `None` where no mux served the request.
    pub pattern: Option<Arc<str>>,
    /// The status that was sent, that of an error or a panic too; `None` when the connection was cut or
    /// hijacked before any was.
    pub status: Option<StatusCode>,
    /// The length of the content for the client, as [content filters](crate::ResponseWriter::filter_content) left it:
    /// of compressed content the coded length, of a response to `HEAD` nothing.
    pub content_bytes: u64,
    /// From the start until the response's head was decided: with the first flush, with the content beyond
    /// 2 KiB, or when the handler was done. `None` where there was no response.
    pub first_byte: Option<Duration>,
    /// From the start until the exchange was over: the handler done, the response encoded, content that the
    /// handler had not read drained. The start is the end of the request's head, or, where the server has no
    /// `on_request`, the call of `on_end`.
    pub duration: Duration,
    /// How the response ended.
    pub end: ResponseEnd,
}

/// How the response to a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ResponseEnd {
    /// It is whole, that of an error too.
    Complete,
    /// The handler failed after a part of it was sent, ended itself with [`abort`](crate::server::abort), or
    /// wrote less than it had declared: it was cut.
    Cut,
    /// The handler panicked: a 500 was sent, or what was sent was cut.
    Panicked,
    /// The client left, or broke the connection, before it had all of it. A client that closed only its
    /// sending half counts as gone.
    ClientLeft,
    /// The client took nothing for [`stall_timeout`](crate::Server::stall_timeout), or all of it took longer
    /// than [`write_timeout`](crate::Server::write_timeout).
    TimedOut,
    /// The handler has taken the connection over.
    Hijacked,
}

impl ResponseEnd {
    /// Decides it from why the connection (over HTTP/2, the stream) closes after the response, whether the
    /// client had left before its end, and what writing met, if that failed.
    pub(crate) fn of(close: Option<CloseReason>, has_left: bool, write_error: Option<ErrorKind>) -> ResponseEnd {
        match close {
            Some(CloseReason::Hijacked) => ResponseEnd::Hijacked,
            Some(CloseReason::Panicked) => ResponseEnd::Panicked,
            Some(CloseReason::WriteTimeout) => ResponseEnd::TimedOut,
            _ if write_error == Some(ErrorKind::TimedOut) => ResponseEnd::TimedOut,
            Some(CloseReason::WriteFailed) => ResponseEnd::ClientLeft,
            _ if has_left => ResponseEnd::ClientLeft,
            Some(CloseReason::HandlerFailed | CloseReason::ContentShort) => ResponseEnd::Cut,
            _ => ResponseEnd::Complete,
        }
    }
}

impl fmt::Display for ResponseEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResponseEnd::Complete => "complete",
            ResponseEnd::Cut => "cut",
            ResponseEnd::Panicked => "panicked",
            ResponseEnd::ClientLeft => "client left",
            ResponseEnd::TimedOut => "timed out",
            ResponseEnd::Hijacked => "hijacked",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_ended_a_response_is_told_by_what_is_known_of_its_end() {
        use CloseReason::{ContentShort, HandlerFailed, Hijacked, Panicked, PeerAsked, WriteFailed, WriteTimeout};
        let stalled = Some(ErrorKind::TimedOut);
        for (close, has_left, write_error, end) in [
            (None, false, None, ResponseEnd::Complete),
            (Some(PeerAsked), false, None, ResponseEnd::Complete),
            (None, true, None, ResponseEnd::ClientLeft),
            (Some(HandlerFailed), false, None, ResponseEnd::Cut),
            (Some(ContentShort), false, None, ResponseEnd::Cut),
            (Some(HandlerFailed), true, None, ResponseEnd::ClientLeft),
            (Some(HandlerFailed), true, stalled, ResponseEnd::TimedOut),
            (Some(WriteFailed), true, Some(ErrorKind::Io), ResponseEnd::ClientLeft),
            (Some(WriteTimeout), true, None, ResponseEnd::TimedOut),
            (Some(Panicked), true, None, ResponseEnd::Panicked),
            (Some(Hijacked), true, None, ResponseEnd::Hijacked),
        ] {
            assert_eq!(ResponseEnd::of(close, has_left, write_error), end, "{close:?} {has_left} {write_error:?}");
        }
    }
}
