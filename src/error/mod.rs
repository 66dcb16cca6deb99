//! What can go wrong: [`Error`], its kind for programs, and how far things had come.
//!
//! [`Error::kind`] says what failed, [`Error::phase`] what was being waited for, [`Error::sent`] how much
//! of a request had left, and [`Error::status`] what a peer sees.
//!
//! ```
//! use nethttp::{Error, ErrorKind, StatusCode};
//!
//! let error = Error::answer(StatusCode::NOT_FOUND, "no such thing");
//! assert_eq!(error.kind(), ErrorKind::Answer);
//! assert_eq!(error.status(), Some(StatusCode::NOT_FOUND));
//! ```
//!
//! The guide has a page on it: `docs/guide/errors.md`.

// `kind` has what there is to match on, `refusal` what the codec returns for a message that it does not
// accept, `convert` the errors of others that become this crate's, and back.
mod convert;
mod kind;
mod refusal;

use std::any::Any;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::iter;
use std::time::Duration;

use http::{Method, StatusCode};

pub use kind::{ErrorKind, Phase};
pub(crate) use refusal::Refusal;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type BoxError = Box<dyn StdError + Send + Sync>;

/// What failed, what was being waited for, and which response a peer should get.
///
/// One pointer wide. [`kind`](Error::kind) is for programs to match on; `Display` is one line for
/// people, with the whole cause in it. `{:?}` is the same line, so that a `main` which returns an error
/// prints it; `{:#?}` has the parts. When a handler returns an error and nothing was sent yet, the
/// response has the error's [`status`](Error::status); see [`Error::answer`].
///
/// As the line names all causes, [`source`](std::error::Error::source) has none: whoever prints an error
/// and then its sources would print each of them twice. A cause of some type is found with
/// [`downcast_ref`](Error::downcast_ref) (Go's `errors.As`).
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
    /// The response that a handler's error carries. Only the layer above knows the type.
    response: Option<Box<dyn Any + Send + Sync>>,
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

impl Error {
    /// An error of this kind with a message for people.
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Error {
        let message = message.into();
        let (phase, status, source, response, details) = (None, None, None, None, None);
        Error(Box::new(ErrorInner { kind, phase, status, message, source, response, details }))
    }

    /// An error that a handler returns to have a response of this status sent, when nothing was sent
    /// before. Its content is the message as it is, as plain text; without a message, the status and its
    /// reason.
    pub fn answer(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(ErrorKind::Answer, message).with_status(status)
    }

    /// Wraps an error of the caller's own. A handler that returns it has a plain 500 sent; its text
    /// goes to the log and never to the peer.
    pub fn other(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Error {
        Error::new(ErrorKind::Other, "").with_source(source)
    }

    /// The first of the causes that is of this type (Go's `errors.As`): the error that was wrapped with
    /// [`other`](Error::other), or one further down.
    ///
    /// ```
    /// use std::io;
    /// use nethttp::Error;
    ///
    /// let error = Error::other(io::Error::from(io::ErrorKind::NotFound));
    /// assert_eq!(error.downcast_ref::<io::Error>().unwrap().kind(), io::ErrorKind::NotFound);
    /// assert!(error.downcast_ref::<std::num::ParseIntError>().is_none());
    /// ```
    pub fn downcast_ref<T: StdError + 'static>(&self) -> Option<&T> {
        iter::successors(self.inner_source(), |cause| next_cause(*cause)).find_map(|cause| cause.downcast_ref())
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
    ///
    /// A client's failure has the status of a gateway that reports it, 502 or 504. What a server has answered it is
    /// only for an error of [`ErrorKind::Status`], which `Response::error_for_status` makes.
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

    /// Whether the peer of a server's connection is the cause, and knows: it left, or does not take or send
    /// what it should. Errors of a client name their request, and are not meant.
    pub(crate) fn is_of_peer(&self) -> bool {
        matches!(self.0.phase, Some(Phase::Body | Phase::Write))
            && matches!(self.0.kind, ErrorKind::CutOff | ErrorKind::TimedOut | ErrorKind::Io)
            && self.0.details.is_none()
    }

    /// How many bytes the content was allowed to have, where it had more
    /// ([`ErrorKind::BodyTooLarge`]; Go's `MaxBytesError.Limit`).
    pub fn limit_bytes(&self) -> Option<u64> {
        self.0.details.as_ref()?.limit_bytes
    }

    /// The same with the response that it is answered by; of any type, because this layer knows none.
    pub(crate) fn with_response(mut self, response: Box<dyn Any + Send + Sync>) -> Error {
        self.0.response = Some(response);
        self
    }

    pub(crate) fn any_response(&self) -> Option<&(dyn Any + Send + Sync)> {
        self.0.response.as_deref()
    }

    pub(crate) fn take_any_response(&mut self) -> Option<Box<dyn Any + Send + Sync>> {
        self.0.response.take()
    }

    /// The message alone, without phase and cause.
    pub(crate) fn message(&self) -> &str {
        &self.0.message
    }

    pub(crate) fn during(mut self, phase: Phase) -> Error {
        self.0.phase = Some(phase);
        self
    }

    /// The same with another status: that of the response, where a handler returns the error.
    ///
    /// ```
    /// use nethttp::{Error, StatusCode};
    ///
    /// let busy = Error::other("the pool is empty").with_status(StatusCode::SERVICE_UNAVAILABLE);
    /// assert_eq!(busy.status(), Some(StatusCode::SERVICE_UNAVAILABLE));
    /// ```
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Error {
        self.0.status = Some(status);
        self
    }

    /// The same with another cause. It is named in the line, after the message, and in the log; the peer
    /// never sees it.
    ///
    /// ```
    /// use nethttp::{Error, StatusCode};
    ///
    /// let cause = "seven".parse::<u32>().unwrap_err();
    /// let error = Error::answer(StatusCode::BAD_REQUEST, "the page is a number").with_source(cause);
    /// assert_eq!(error.to_string(), "the page is a number: invalid digit found in string");
    /// ```
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Error {
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
        for cause in iter::successors(self.inner_source(), |&cause| cause.source()) {
            let more = cause.to_string();
            // Many an error has the text of its own source in its line.
            if text.ends_with(&more) {
                continue;
            }
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&more);
        }
        text
    }

    fn inner_source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }

    /// A copy of this error, for what reports the same failure at each call (a body that broke).
    pub(crate) fn again(&self) -> Error {
        let inner = &self.0;
        // Apart from the message, which a peer may see.
        let causes = inner.source.as_ref().map(|_| {
            let all = self.cause();
            let causes = all.strip_prefix(&*inner.message).unwrap_or(&all);
            BoxError::from(causes.strip_prefix(": ").unwrap_or(causes).to_owned())
        });
        Error(Box::new(ErrorInner {
            kind: inner.kind,
            phase: inner.phase,
            status: inner.status,
            message: inner.message.clone(),
            source: causes,
            response: None,
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
        // What `main` prints of the error that it returns, and `unwrap` of one that it meets.
        if !f.alternate() {
            return fmt::Display::fmt(self, f);
        }
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

impl StdError for Error {}

/// The cause of a cause. Two kinds of errors have one that their `source` does not say: this crate's, and an
/// [`io::Error`] around another error, whose `source` is that of the other.
fn next_cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    if let Some(ours) = error.downcast_ref::<Error>() {
        return ours.inner_source();
    }
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(within) => Some(within as _),
        None => error.source(),
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
    fn a_line_names_each_cause_once_and_so_does_who_walks_its_sources() {
        #[derive(Debug)]
        struct Outer(io::Error);

        impl fmt::Display for Outer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "the outer one: {}", self.0)
            }
        }

        impl StdError for Outer {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                Some(&self.0)
            }
        }

        let error = Error::other(Outer(io::Error::other(Error::other("the inner one"))));
        assert_eq!(error.to_string(), "the outer one: the inner one");
        assert!(StdError::source(&error).is_none());
        assert!(error.downcast_ref::<Outer>().is_some() && error.downcast_ref::<io::Error>().is_some());
        let inner = error.downcast_ref::<Error>().unwrap();
        assert_eq!(inner.to_string(), "the inner one");
    }

    #[test]
    fn what_main_prints_is_the_line_and_the_parts_are_there_for_who_asks() {
        let error = Error::new(ErrorKind::Io, "cannot listen").with_source(io::Error::other("taken"));
        assert_eq!(format!("{error:?}"), "cannot listen: taken");
        assert!(format!("{error:#?}").starts_with("Error {\n    kind: Io,\n"), "{error:#?}");
    }

    #[test]
    fn a_copied_error_keeps_what_a_peer_may_see_apart_from_its_causes() {
        let error = Error::answer(StatusCode::CONFLICT, "taken").with_source("a secret").again();
        assert_eq!((error.message(), error.to_string().as_str()), ("taken", "taken: a secret"));
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
