//! What kinds of errors there are, and what can be waited for.

use std::fmt;

/// The kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The peer's bytes are not a valid message (RFC 9112): the connection closes.
    Refused,
    /// A body was longer than its limit ([`Body::limit`](crate::Body::limit)).
    BodyTooLarge,
    /// The content or the query is malformed: a bad escape in a form, a multipart message without its
    /// last boundary.
    Malformed,
    /// The content was to be read as multipart, and its type is another one.
    NotMultipart,
    /// The content is multipart, and its `Content-Type` names no boundary.
    MissingBoundary,
    /// The form has no file of that name.
    MissingFile,
    /// The peer closed, or stopped sending, in the middle of a message.
    CutOff,
    /// A deadline passed; [`phase`](crate::Error::phase) says which.
    TimedOut,
    /// A context has ended: that of a client's request before its response
    /// ([`Request::with_context`](crate::Request::with_context)), or the one that was asked
    /// ([`Context::error`](crate::Context::error)). Where that was by its deadline, the kind is `TimedOut`.
    Cancelled,
    /// The operating system, or the stream beneath, reported a fault.
    Io,
    /// The status or the method allows no content (RFC 9110 §6.4.1), yet some was written.
    BodyNotAllowed,
    /// More content was written than the `Content-Length` that was declared.
    ContentLength,
    /// The connection was taken over with `hijack`; the server no longer reads or writes it.
    Hijacked,
    /// The request is over: its handler returned, or its connection is gone.
    RequestOver,
    /// The server was shut down or closed.
    ServerClosed,
    /// The operation is not possible on this connection or with these settings.
    Unsupported,
    /// An argument is wrong: an address, a pattern, a status, a length.
    Invalid,
    /// A handler wants a response of this status; see [`Error::answer`](crate::Error::answer).
    Answer,
    /// No address was found for a host name.
    Resolve,
    /// The TLS handshake failed: a certificate that is not trusted, no common version, or a peer that
    /// speaks something else.
    Tls,
    /// A proxy refused to connect, or does not speak its protocol.
    Proxy,
    /// A redirect that cannot be followed: there were too many, its `Location` is not a usable URL, or
    /// a hook refused it.
    Redirect,
    /// Content that is not encoded as its `Content-Encoding` says.
    Decode,
    /// A status of 400 or above, made an error by `error_for_status`.
    Status,
    /// Anything else: an error of the caller's own.
    Other,
}

/// What was being waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// For a connection.
    Accept,
    /// For the next request on a connection that is kept.
    Idle,
    /// For a request's head to be complete.
    Head,
    /// For a body's next bytes.
    Body,
    /// For the peer to accept what is written.
    Write,
    /// For a handler to be done (`timeout_handler`).
    Handler,
    /// For a connection to become free, where their number is limited.
    Pool,
    /// For the addresses of a name.
    Resolve,
    /// For a connection to be made.
    Connect,
    /// For a proxy to make one.
    Proxy,
    /// For the TLS handshake.
    Tls,
    /// For a redirect to be decided on.
    Redirect,
    /// For content to be decoded.
    Decode,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Accept => "accepting a connection",
            Phase::Idle => "waiting for a request",
            Phase::Head => "reading the head",
            Phase::Body => "reading the body",
            Phase::Write => "writing",
            Phase::Handler => "running the handler",
            Phase::Pool => "waiting for a connection",
            Phase::Resolve => "resolving the name",
            Phase::Connect => "connecting",
            Phase::Proxy => "talking to the proxy",
            Phase::Tls => "in the TLS handshake",
            Phase::Redirect => "following a redirect",
            Phase::Decode => "decoding the body",
        })
    }
}
