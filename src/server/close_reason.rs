//! Why a connection closes.

use std::fmt;

/// Why a connection was closed. No connection closes without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The request said `Connection: close`.
    PeerAsked,
    /// The handler set `Connection: close`.
    HandlerAsked,
    /// An HTTP/1.0 request that did not ask for keep-alive, or a response to it of unknown length.
    Http10,
    /// Keep-alives are switched off.
    KeepAlivesOff,
    /// The server shuts down.
    ShuttingDown,
    /// An idle connection made room for a new one (`max_connections`).
    Evicted,
    /// The response has no length: the end of the connection ends it.
    FramingByClose,
    /// The response to CONNECT, or a protocol switch that was not taken over.
    Tunnel,
    /// More of the request's content was left unread than is worth reading.
    BodyUnread,
    /// The request's content broke its framing, was cut off, or came too slowly.
    BodyBroken,
    /// The handler wrote less content than it had announced.
    ContentShort,
    /// The response could not be sent.
    WriteFailed,
    /// The response was not written by its deadline.
    WriteTimeout,
    /// The handler failed after the response had begun.
    HandlerFailed,
    /// The handler panicked.
    Panicked,
    /// The peer's bytes were not a request.
    Refused,
    /// The peer closed, or its connection broke.
    PeerGone,
    /// No request came within the idle timeout.
    IdleTimeout,
    /// A head was not complete within its deadline.
    HeadTimeout,
    /// The TLS handshake failed.
    HandshakeFailed,
    /// The peer broke the rules of HTTP/2.
    ProtocolBroken,
    /// The peer did more of something than an HTTP/2 connection allows.
    Flooded,
    /// The peer did not acknowledge a PING.
    PingTimeout,
    /// The handler took the connection over.
    Hijacked,
    /// The grace of a shutdown was over, or the server was closed.
    Cut,
}

impl CloseReason {
    /// Whether the peer may still be sending. Then the server lingers before it closes, so that the response
    /// reaches the peer.
    pub(crate) fn wants_linger(self) -> bool {
        use CloseReason::{BodyBroken, BodyUnread, HandshakeFailed, Refused};
        matches!(self, BodyUnread | BodyBroken | HandshakeFailed | Refused)
    }

    /// Whether what was collected for the peer is still to be sent.
    pub(crate) fn wants_flush(self) -> bool {
        use CloseReason::{Cut, Hijacked, WriteFailed};
        !matches!(self, WriteFailed | Hijacked | Cut)
    }

    /// Whether a response is cut short. If the end of the connection ends its content, a close_notify
    /// would make it look complete (RFC 9112 §9.8), so none is sent.
    pub(crate) fn cuts_response(self) -> bool {
        use CloseReason::{ContentShort, Cut, HandlerFailed, Panicked, WriteFailed};
        matches!(self, ContentShort | HandlerFailed | Panicked | WriteFailed | Cut)
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CloseReason::PeerAsked => "the peer asked for it",
            CloseReason::HandlerAsked => "the handler asked for it",
            CloseReason::Http10 => "HTTP/1.0 without keep-alive",
            CloseReason::KeepAlivesOff => "keep-alives are off",
            CloseReason::ShuttingDown => "the server shuts down",
            CloseReason::Evicted => "idle, and room was needed",
            CloseReason::FramingByClose => "the end of the answer",
            CloseReason::Tunnel => "no more requests after CONNECT or a switch of protocols",
            CloseReason::BodyUnread => "the request's content was left unread",
            CloseReason::BodyBroken => "the request's content was broken",
            CloseReason::ContentShort => "less content than was announced",
            CloseReason::WriteFailed => "the answer could not be sent",
            CloseReason::WriteTimeout => "the answer took too long",
            CloseReason::HandlerFailed => "the handler failed",
            CloseReason::Panicked => "the handler panicked",
            CloseReason::Refused => "no acceptable request",
            CloseReason::PeerGone => "the peer left",
            CloseReason::IdleTimeout => "idle for too long",
            CloseReason::HeadTimeout => "the head took too long",
            CloseReason::HandshakeFailed => "no TLS session",
            CloseReason::ProtocolBroken => "the rules of HTTP/2 were broken",
            CloseReason::Flooded => "too much of something on an HTTP/2 connection",
            CloseReason::PingTimeout => "no sign of life",
            CloseReason::Hijacked => "taken over",
            CloseReason::Cut => "cut by the shutdown",
        })
    }
}
