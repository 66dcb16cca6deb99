//! Errors of streams and connections, from those of the `h2` crate.

use std::io;
use std::time::Duration;

use h2::Reason;

use crate::error::{Error, ErrorKind, Phase};
use crate::h2::{Meter, in_words};

/// How long a PING may go unanswered before the connection counts as dead.
pub(super) const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConnectionEnd {
    /// With a GOAWAY, or because no handle and no stream was left.
    Closed,
    /// The peer closed it without a GOAWAY, or reading or writing failed.
    Broken(io::ErrorKind),
    /// It did not answer a PING.
    Silent,
    /// The peer broke its rules.
    ProtocolError(&'static str),
    /// The peer says in a GOAWAY that this side broke them, or that it cannot go on.
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

/// The error of a stream or a connection. The connection's task knows the reason of its end (`ended`);
/// the stream only knows that it has ended.
pub(super) fn connection_error(error: h2::Error, ended: Option<&ConnectionEnd>, phase: Phase) -> Error {
    let new = |kind, text: String| Error::new(kind, text).during(phase);
    if let (false, Some(ended)) = (error.is_reset(), ended) {
        match ended {
            ConnectionEnd::Silent => {
                return new(ErrorKind::CutOff, format!("the server did not answer a PING in {PING_TIMEOUT:?}"));
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
        // TLS ended without `close_notify`. The `h2` crate keeps the kind and the text of an error.
        Some(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Error::new(ErrorKind::CutOff, error.to_string()).during(phase)
        }
        // `h2` reports a connection that the peer closed as `BrokenPipe`, with a text of its own.
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Error::from(error).during(phase),
        _ => Error::new(ErrorKind::CutOff, "the server closed the connection").during(phase),
    }
}
