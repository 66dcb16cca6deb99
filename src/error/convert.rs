//! Errors of others that become this crate's, so that a handler can use `?`, and the way back to
//! [`io::Error`].
//!
//! Content of a peer that is not what it should be (JSON, UTF-8) is refused with 400. Whatever else a handler
//! meets is its own affair: a plain 500 for the peer, the text for the log.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use http::StatusCode;

use super::{Error, ErrorKind, Phase};

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

impl From<Box<dyn StdError + Send + Sync>> for Error {
    fn from(error: Box<dyn StdError + Send + Sync>) -> Error {
        match error.downcast::<Error>() {
            Ok(ours) => *ours,
            Err(error) => Error::other(error),
        }
    }
}

#[cfg(feature = "json")]
impl From<serde_json::Error> for Error {
    /// Text that is not the JSON that was expected is [`ErrorKind::Malformed`] and answered 400: it is nearly
    /// always a peer's. A value that cannot be written as JSON, or a fault of the reader, is the handler's
    /// own.
    fn from(error: serde_json::Error) -> Error {
        // Only what was read has a place in it.
        if error.is_io() || error.line() == 0 {
            return Error::other(error);
        }
        malformed("the content is not the JSON that was expected", error)
    }
}

impl From<std::str::Utf8Error> for Error {
    /// [`ErrorKind::Malformed`], answered 400: text that is checked to be UTF-8 has come from outside.
    fn from(error: std::str::Utf8Error) -> Error {
        malformed("the content is no UTF-8", error)
    }
}

impl From<std::string::FromUtf8Error> for Error {
    /// As the one from [`Utf8Error`](std::str::Utf8Error).
    fn from(error: std::string::FromUtf8Error) -> Error {
        malformed("the content is no UTF-8", error)
    }
}

fn malformed(message: &'static str, source: impl StdError + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Malformed, message).with_source(source).with_status(StatusCode::BAD_REQUEST)
}

impl From<tokio::time::error::Elapsed> for Error {
    /// [`ErrorKind::TimedOut`] in [`Phase::Handler`], answered 503 as `timeout_handler` does: what took too
    /// long is not the client.
    fn from(error: tokio::time::error::Elapsed) -> Error {
        Error::new(ErrorKind::TimedOut, "")
            .with_source(error)
            .during(Phase::Handler)
            .with_status(StatusCode::SERVICE_UNAVAILABLE)
    }
}

/// Errors that say nothing of who is at fault: a plain 500.
macro_rules! other_errors {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for Error {
            /// [`ErrorKind::Other`], answered 500 without its text.
            fn from(error: $error) -> Error {
                Error::other(error)
            }
        }
    )*};
}

other_errors!(
    http::Error,
    http::header::InvalidHeaderName,
    http::header::InvalidHeaderValue,
    http::method::InvalidMethod,
    http::status::InvalidStatusCode,
    http::uri::InvalidUri,
    fmt::Error,
    std::net::AddrParseError,
    std::num::ParseFloatError,
    std::num::ParseIntError,
    std::num::TryFromIntError,
    std::str::ParseBoolError,
    std::time::SystemTimeError,
    tokio::task::JoinError,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "json")]
    #[test]
    fn json_that_was_read_is_the_peers_fault_and_json_that_cannot_be_written_is_not() {
        struct Unreadable;

        impl io::Read for Unreadable {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is gone"))
            }
        }

        for text in ["", "{", "[1, 2] 3", "\"seven\""] {
            let error = Error::from(serde_json::from_str::<Vec<u8>>(text).unwrap_err());
            assert_eq!((error.kind(), error.status()), (ErrorKind::Malformed, Some(StatusCode::BAD_REQUEST)), "{text}");
        }
        let unwritable = std::collections::BTreeMap::from([(vec![1], 1)]);
        let error = Error::from(serde_json::to_string(&unwritable).unwrap_err());
        assert_eq!((error.kind(), error.status()), (ErrorKind::Other, None));
        let unreadable = serde_json::from_reader::<_, u8>(&mut Unreadable);
        assert_eq!(Error::from(unreadable.unwrap_err()).status(), None);
    }

    #[test]
    fn text_that_is_none_is_the_peers_fault_and_a_number_that_is_none_may_be_anyones() {
        let text = Error::from(String::from_utf8(vec![0xff]).unwrap_err());
        assert_eq!((text.kind(), text.status()), (ErrorKind::Malformed, Some(StatusCode::BAD_REQUEST)));
        let number = Error::from("seven".parse::<u8>().unwrap_err());
        assert_eq!((number.kind(), number.status()), (ErrorKind::Other, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_of_the_handlers_own_that_took_too_long_is_answered_503() {
        let late = tokio::time::timeout(std::time::Duration::from_secs(1), std::future::pending::<()>()).await;
        let error = Error::from(late.unwrap_err());
        assert!(error.is_timeout() && !error.is_of_peer());
        assert_eq!(error.status(), Some(StatusCode::SERVICE_UNAVAILABLE));
        assert_eq!(error.to_string(), "deadline has elapsed (while running the handler)");
    }
}
