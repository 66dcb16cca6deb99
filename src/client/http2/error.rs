//! What went wrong with a stream or a connection, in our words, and what can be done about it.

use std::io;
use std::time::Duration;

use h2::Reason;

use super::super::exchange::RetryHint;
use crate::error::{Error, ErrorKind, Phase, Sent};
use crate::h2::{Meter, in_words};

/// A PING that is not answered for so long finds the connection dead.
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConnectionEnd {
    /// By agreement, or because nobody needed it.
    Closed,
    /// The peer closed it without a word, or it broke.
    Broken(io::ErrorKind),
    /// It did not answer a PING.
    Silent,
    /// The peer broke its rules.
    ProtocolError(&'static str),
    /// The peer says that we did, or that it is in error.
    GoAway(Reason),
}

impl ConnectionEnd {
    pub(super) fn of(result: Result<(), h2::Error>, meter: &Meter) -> ConnectionEnd {
        let Err(error) = result else { return ConnectionEnd::Closed };
        match (error.get_io(), error.reason()) {
            (Some(io), _) => ConnectionEnd::Broken(io.kind()),
            (None, Some(reason)) if error.is_remote() => ConnectionEnd::GoAway(reason),
            _ => ConnectionEnd::ProtocolError(in_words(&error, Some(meter))),
        }
    }
}

/// An error of a stream. What is known of the connection's end says more than the stream's own.
pub(super) fn connection_error(error: h2::Error, ended: Option<&ConnectionEnd>, phase: Phase) -> Error {
    let new = |kind, text: String| Error::new(kind, text).during(phase);
    if let (false, Some(ended)) = (error.is_reset(), ended) {
        match ended {
            ConnectionEnd::Silent => {
                return new(ErrorKind::CutOff, format!("the server did not answer a PING in {:?}", PING_TIMEOUT));
            }
            ConnectionEnd::ProtocolError(words) => return new(ErrorKind::Refused, format!("the server sent {words}")),
            ConnectionEnd::Closed | ConnectionEnd::Broken(_) | ConnectionEnd::GoAway(_) => {}
        }
    }
    match error.reason() {
        Some(Reason::REFUSED_STREAM) if error.is_remote() => {
            new(ErrorKind::CutOff, "the server did not take the request".to_owned())
        }
        Some(reason) if error.is_remote() && error.is_reset() => {
            new(ErrorKind::CutOff, format!("the server reset the stream: {reason:?}"))
        }
        Some(reason) if error.is_remote() => {
            new(ErrorKind::CutOff, format!("the server closes the connection: {reason:?}"))
        }
        Some(_) if error.is_reset() => new(ErrorKind::Refused, "the server's answer is against the rules".to_owned()),
        Some(_) => new(ErrorKind::Refused, format!("the server sent {}", in_words(&error, None))),
        None if error.is_io() => broken(error, phase),
        None => new(ErrorKind::Invalid, "the request cannot be sent over HTTP/2".to_owned()).with_source(error),
    }
}

fn broken(error: h2::Error, phase: Phase) -> Error {
    match error.into_io() {
        // TLS: the end was not agreed on. The crate keeps an error's kind and its words.
        Some(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Error::new(ErrorKind::CutOff, error.to_string()).during(phase)
        }
        // The crate's own, for a connection that was closed.
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Error::from(error).during(phase),
        _ => Error::new(ErrorKind::CutOff, "the server closed the connection").during(phase),
    }
}

/// How much of the request the server has acted on, and how it may be sent again. `sent` is what
/// was handed over; `silent` says that nothing came back on a connection that had served before.
pub(super) fn retry_hint(error: &h2::Error, sent: Sent, silent: bool) -> (Sent, RetryHint) {
    match error.reason() {
        // RFC 9113 §8.7: neither was looked at.
        Some(Reason::REFUSED_STREAM) if error.is_remote() => (Sent::No, RetryHint::Again),
        Some(_) if error.is_remote() && error.is_go_away() => (Sent::No, RetryHint::Again),
        Some(Reason::HTTP_1_1_REQUIRED) if error.is_remote() => (sent, RetryHint::Http1),
        None if error.is_io() && silent => (sent, RetryHint::NewConnection),
        _ => (sent, RetryHint::None),
    }
}
