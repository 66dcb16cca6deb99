//! What can go wrong: [`Error`], its kind for programs, and how far things had come.
//!
//! [`Error::kind`] says what failed, [`Error::phase`] what was being waited for, [`Error::sent`] how much
//! of a request had left, and [`Error::status`] what a peer is told.
//!
//! ```
//! use nethttp::{Error, ErrorKind, StatusCode};
//!
//! let error = Error::answer(StatusCode::NOT_FOUND, "no such thing");
//! assert_eq!(error.kind(), ErrorKind::Answer);
//! assert_eq!(error.status(), Some(StatusCode::NOT_FOUND));
//! ```

// Longer than 450 lines because the kinds of errors, their phases and what each answers are read together.
// `Refusal` is what the codec returns for a message that it does not accept.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::time::Duration;

use http::{Method, StatusCode};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type BoxError = Box<dyn StdError + Send + Sync>;

/// What failed, what was being waited for, and which response a peer should get.
///
/// One pointer wide. [`kind`](Error::kind) is for programs to match on; `Display` is one line for
/// people, with the whole cause in it. When a handler returns an error and nothing was written yet,
/// the response has the error's [`status`](Error::status); see [`Error::answer`].
///
/// ```
/// use nethttp::{Error, ErrorKind, StatusCode};
///
/// let error = Error::answer(StatusCode::CONFLICT, "that name is taken");
/// assert_eq!(error.kind(), ErrorKind::Answer);
/// assert_eq!(error.to_string(), "that name is taken");
/// ```
pub struct Error(Box<ErrorInner>);

struct ErrorInner {
    kind: ErrorKind,
    phase: Option<Phase>,
    status: Option<StatusCode>,
    message: Cow<'static, str>,
    source: Option<BoxError>,
    details: Option<Box<RequestDetails>>,
}

/// What a client knows about the request that failed.
#[derive(Clone, Default)]
struct RequestDetails {
    /// Method and URL, without credentials.
    request: Option<(Method, Box<str>)>,
    sent: Option<Sent>,
    /// The name of the time limit that passed.
    limit: Option<&'static str>,
    /// How many bytes were allowed.
    limit_bytes: Option<u64>,
}

/// How much of a request had been written when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sent {
    /// Not one byte: the request can be sent again, whatever it does.
    No,
    /// A part of it: the server may have seen it.
    Partly,
    /// All of it: the server may have acted on it.
    Fully,
}

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
    /// A deadline passed; [`phase`](Error::phase) says which.
    TimedOut,
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
    /// A handler wants a response of this status; see [`Error::answer`].
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

impl Error {
    /// An error of this kind with a message for people.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Error {
        let message = message.into();
        Error(Box::new(ErrorInner { kind, phase: None, status: None, message, source: None, details: None }))
    }

    /// An error that a handler returns to have a response of this status sent, with the message as
    /// plain text, when nothing was written before. The peer sees the message.
    pub fn answer(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(ErrorKind::Answer, message).with_status(status)
    }

    /// Wraps an error of the caller's own. A handler that returns it has a plain 500 sent; its text
    /// goes to the log and never to the peer.
    pub fn other(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        Error::new(ErrorKind::Other, "").with_source(source)
    }

    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What was being waited for, where something was.
    pub fn phase(&self) -> Option<Phase> {
        self.0.phase
    }

    /// The status of the response when this error ends a request and nothing was written yet; `None`
    /// stands for 500.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// Whether a deadline passed.
    pub fn is_timeout(&self) -> bool {
        self.0.kind == ErrorKind::TimedOut
    }

    /// How much of the request had been written when it failed; `None` where no client sent one.
    pub fn sent(&self) -> Option<Sent> {
        self.0.details.as_ref()?.sent
    }

    /// The URL of the request, without user and password; `None` where no client sent one.
    pub fn url(&self) -> Option<&str> {
        let (_, url) = self.0.details.as_ref()?.request.as_ref()?;
        Some(url)
    }

    /// Which time limit passed, by the name of its setting (`response_header_timeout`), where a
    /// client's did.
    pub fn limit(&self) -> Option<&'static str> {
        self.0.details.as_ref()?.limit
    }

    /// How many bytes the content was allowed to have, where it had more
    /// ([`ErrorKind::BodyTooLarge`]; Go's `MaxBytesError.Limit`).
    pub fn limit_bytes(&self) -> Option<u64> {
        self.0.details.as_ref()?.limit_bytes
    }

    /// The message alone, without phase and cause.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    pub(crate) fn during(mut self, phase: Phase) -> Error {
        self.0.phase = Some(phase);
        self
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Error {
        self.0.status = Some(status);
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<BoxError>) -> Error {
        self.0.source = Some(source.into());
        self
    }

    /// Records how much of the request was written, unless that is recorded already.
    pub(crate) fn with_sent(mut self, sent: Sent) -> Error {
        self.0.details.get_or_insert_default().sent.get_or_insert(sent);
        self
    }

    /// A client's failure, as a gateway reports it to its own peer (RFC 9110 §15.6.3 and §15.6.5):
    /// with 502 or 504, because the fault is not that peer's.
    pub(crate) fn of_gateway(self) -> Error {
        match self.kind() {
            ErrorKind::Invalid | ErrorKind::Status | ErrorKind::BodyTooLarge => self,
            ErrorKind::TimedOut => self.with_status(StatusCode::GATEWAY_TIMEOUT),
            _ => self.with_status(StatusCode::BAD_GATEWAY),
        }
    }

    /// Records which request failed, unless that is recorded already. The URL must not contain credentials.
    pub(crate) fn with_request(mut self, method: &Method, url: impl FnOnce() -> String) -> Error {
        let details = self.0.details.get_or_insert_default();
        details.request.get_or_insert_with(|| (method.clone(), url().into()));
        self
    }

    /// A client's time limit passed: the name of its setting, and how long it is.
    pub(crate) fn over_limit(phase: Phase, limit: &'static str, length: Duration) -> Error {
        let mut error = Error::new(ErrorKind::TimedOut, format!("{limit} of {length:?} passed")).during(phase);
        error.0.details.get_or_insert_default().limit = Some(limit);
        error
    }

    /// Content is longer than this many bytes: the body's, or what the message says.
    pub(crate) fn too_large(limit: u64, message: impl Into<Cow<'static, str>>) -> Error {
        let mut error = Error::new(ErrorKind::BodyTooLarge, message);
        error.0.details.get_or_insert_default().limit_bytes = Some(limit);
        error
    }

    pub(crate) fn timed_out(phase: Phase) -> Error {
        Error::new(ErrorKind::TimedOut, "timed out").during(phase).with_status(StatusCode::REQUEST_TIMEOUT)
    }

    pub(crate) fn cut_off(phase: Phase) -> Error {
        Error::new(ErrorKind::CutOff, "the peer closed in the middle of a message")
            .during(phase)
            .with_status(StatusCode::BAD_REQUEST)
    }

    /// The message and all its causes.
    fn cause(&self) -> String {
        let mut text = self.0.message.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    /// A copy of this error, for what reports the same failure at each call (a body that broke).
    pub(crate) fn again(&self) -> Error {
        let inner = &self.0;
        let text = if inner.source.is_some() { self.cause().into() } else { inner.message.clone() };
        Error(Box::new(ErrorInner {
            kind: inner.kind,
            phase: inner.phase,
            status: inner.status,
            message: text,
            source: None,
            details: inner.details.clone(),
        }))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((method, url)) = self.0.details.as_ref().and_then(|details| details.request.as_ref()) {
            write!(f, "{method} {url}: ")?;
        }
        f.write_str(&self.cause())?;
        if let Some(phase) = self.0.phase {
            write!(f, " (while {phase})")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.0;
        f.debug_struct("Error")
            .field("kind", &inner.kind)
            .field("phase", &inner.phase)
            .field("status", &inner.status)
            .field("message", &inner.message)
            .field("source", &inner.source)
            .field("url", &self.url())
            .field("sent", &self.sent())
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        match error.downcast::<Error>() {
            Ok(ours) => ours,
            Err(error) => Error::new(ErrorKind::Io, "").with_source(error),
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> io::Error {
        let kind = match error.kind() {
            ErrorKind::TimedOut => io::ErrorKind::TimedOut,
            ErrorKind::CutOff => io::ErrorKind::UnexpectedEof,
            ErrorKind::Refused => io::ErrorKind::InvalidData,
            ErrorKind::Invalid => io::ErrorKind::InvalidInput,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
            ErrorKind::Hijacked | ErrorKind::RequestOver | ErrorKind::ServerClosed => io::ErrorKind::NotConnected,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

impl From<http::Error> for Error {
    fn from(error: http::Error) -> Error {
        Error::other(error)
    }
}

impl From<fmt::Error> for Error {
    fn from(error: fmt::Error) -> Error {
        Error::other(error)
    }
}

impl From<std::str::Utf8Error> for Error {
    fn from(error: std::str::Utf8Error) -> Error {
        Error::other(error)
    }
}

impl From<std::num::ParseIntError> for Error {
    fn from(error: std::num::ParseIntError) -> Error {
        Error::other(error)
    }
}

impl From<Box<dyn StdError + Send + Sync>> for Error {
    fn from(error: Box<dyn StdError + Send + Sync>) -> Error {
        match error.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(error) => Error::other(error),
        }
    }
}

/// Why the codec refuses a message, and the status to respond with. Every refusal closes the
/// connection, because it is not certain where the next message starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The status of the response.
    pub(crate) status: StatusCode,
    /// What is wrong: a fixed text, because input is never echoed.
    pub(crate) reason: &'static str,
}

impl Refusal {
    /// 400, with the reason.
    pub(crate) const fn bad(reason: &'static str) -> Refusal {
        Refusal { status: StatusCode::BAD_REQUEST, reason }
    }

    /// Any other status, with the reason.
    pub(crate) const fn with(status: StatusCode, reason: &'static str) -> Refusal {
        Refusal { status, reason }
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        Error::new(ErrorKind::Refused, refusal.reason).with_status(refusal.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_the_message_the_cause_and_the_phase() {
        let cause = io::Error::new(io::ErrorKind::ConnectionReset, "reset by peer");
        let error = Error::new(ErrorKind::Io, "the answer was not taken").with_source(cause).during(Phase::Write);
        assert_eq!(error.to_string(), "the answer was not taken: reset by peer (while writing)");
    }

    #[test]
    fn an_error_survives_the_way_through_io() {
        let there = io::Error::from(Error::timed_out(Phase::Body));
        assert_eq!(there.kind(), io::ErrorKind::TimedOut);
        let back = Error::from(there);
        assert_eq!((back.kind(), back.phase()), (ErrorKind::TimedOut, Some(Phase::Body)));
    }

    #[test]
    fn a_copied_error_has_the_same_text() {
        let error = Error::from(io::Error::other("disk full"));
        assert_eq!(error.again().to_string(), error.to_string());
        let plain = Error::timed_out(Phase::Head);
        assert_eq!(plain.again().to_string(), plain.to_string());
    }

    #[test]
    fn a_clients_error_says_which_request_which_limit_and_what_was_sent() {
        let error = Error::over_limit(Phase::Head, "response_header_timeout", Duration::from_millis(1500))
            .with_sent(Sent::Fully)
            .with_sent(Sent::No)
            .with_request(&Method::GET, || "http://a.test/x".into());
        let text = "GET http://a.test/x: response_header_timeout of 1.5s passed (while reading the head)";
        for error in [error.again(), error] {
            assert_eq!(error.to_string(), text);
            assert_eq!((error.sent(), error.limit()), (Some(Sent::Fully), Some("response_header_timeout")));
            assert_eq!((error.url(), error.is_timeout()), (Some("http://a.test/x"), true));
        }
    }

    #[test]
    fn an_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
