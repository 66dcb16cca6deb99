//! Why streams and connections end, and the errors of that.

use std::io;
use std::time::Duration;

use crate::error::{Error, ErrorKind, Phase};
use crate::h2::fault::{ConnectionFault, ErrorCode};

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ConnectionEnd {
    /// With a GOAWAY, or because no handle was left.
    Closed,
    /// The peer closed it without a GOAWAY.
    EndOfStream,
    /// Reading or writing failed.
    Broken(io::ErrorKind, String),
    /// It did not answer a PING.
    Silent(Duration),
    /// The peer broke its rules.
    ProtocolError(ConnectionFault),
    /// The peer says in a GOAWAY that this side broke them, or that it cannot go on.
    GoAway(ErrorCode),
}

/// How a stream ended, as its exchange is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExchangeEnd {
    /// All of the response has come.
    Whole,
    /// The peer has reset the stream.
    Reset(ErrorCode),
    /// This side has, for what the peer sent.
    AgainstRules,
    /// Informational responses came faster than they were looked at.
    TooManyInterims,
    /// The peer has done nothing for it, and never will: its GOAWAY says so, with this code.
    NotTaken(ErrorCode),
    /// The server's settings do not say that it takes an extended CONNECT.
    NoConnectProtocol,
    /// The connection has ended.
    Disconnected,
}

impl ConnectionEnd {
    pub(super) fn of_io(error: &io::Error) -> ConnectionEnd {
        ConnectionEnd::Broken(error.kind(), error.to_string())
    }

    /// How an exchange ends with it whose request was not begun.
    pub(super) fn of_waiting(&self) -> ExchangeEnd {
        match self {
            ConnectionEnd::Closed => ExchangeEnd::NotTaken(ErrorCode::NO_ERROR),
            ConnectionEnd::GoAway(code) => ExchangeEnd::NotTaken(*code),
            _ => ExchangeEnd::Disconnected,
        }
    }

    fn error(&self, phase: Phase) -> Error {
        let new = |kind, text: String| Error::new(kind, text).during(phase);
        match self {
            // What is written meets a connection that is gone.
            ConnectionEnd::EndOfStream | ConnectionEnd::Broken(io::ErrorKind::UnexpectedEof, _)
                if phase == Phase::Write =>
            {
                Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).during(phase)
            }
            ConnectionEnd::Closed | ConnectionEnd::EndOfStream => closed(phase),
            // A request met a connection that the peer had closed.
            ConnectionEnd::Broken(io::ErrorKind::BrokenPipe, _) if phase != Phase::Write => closed(phase),
            // TLS ended without `close_notify`.
            ConnectionEnd::Broken(io::ErrorKind::UnexpectedEof, text) => new(ErrorKind::CutOff, text.clone()),
            ConnectionEnd::Broken(kind, text) => Error::from(io::Error::new(*kind, text.clone())).during(phase),
            ConnectionEnd::Silent(ping_timeout) => {
                new(ErrorKind::CutOff, format!("the server did not answer a PING in {ping_timeout:?}"))
            }
            ConnectionEnd::ProtocolError(fault) => {
                new(ErrorKind::Refused, format!("what the server sent is against the rules: {}", fault.words))
            }
            ConnectionEnd::GoAway(code) => new(ErrorKind::CutOff, format!("the server closed the connection: {code}")),
        }
    }
}

fn closed(phase: Phase) -> Error {
    Error::new(ErrorKind::CutOff, "the server closed the connection").during(phase)
}

/// The error of an exchange whose stream has ended. `ended` is why the connection has, if it has.
pub(super) fn end_error(end: ExchangeEnd, ended: Option<&ConnectionEnd>, phase: Phase) -> Error {
    let new = |kind, text: String| Error::new(kind, text).during(phase);
    match end {
        ExchangeEnd::Reset(ErrorCode::REFUSED_STREAM) => {
            new(ErrorKind::CutOff, "the server did not take the request".to_owned())
        }
        ExchangeEnd::Reset(code) => new(ErrorKind::CutOff, format!("the server reset the stream: {code}")),
        ExchangeEnd::AgainstRules => new(ErrorKind::Refused, "the server's answer is against the rules".to_owned()),
        ExchangeEnd::TooManyInterims => new(ErrorKind::Refused, "too many informational responses".to_owned()),
        ExchangeEnd::NoConnectProtocol => {
            new(ErrorKind::Unsupported, "the server takes no upgrade over HTTP/2 (RFC 8441)".to_owned())
        }
        ExchangeEnd::NotTaken(code) => new(ErrorKind::CutOff, format!("the server closes the connection: {code}")),
        ExchangeEnd::Whole if phase == Phase::Write => new(ErrorKind::CutOff, "the stream is closed".to_owned()),
        ExchangeEnd::Disconnected | ExchangeEnd::Whole => {
            ended.map_or_else(|| closed(phase), |ended| ended.error(phase))
        }
    }
}
