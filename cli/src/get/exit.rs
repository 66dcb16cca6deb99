//! How a download ends that does not end well: what is said, and the exit code.

use std::fmt::Display;
use std::io;
use std::time::Duration;

use nethttp::{Error, ErrorKind, Phase};

/// The exit codes as `--help` has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Local = 1,
    Usage = 2,
    Connect = 3,
    Timeout = 4,
    Status = 5,
    Tls = 6,
    Broken = 7,
    Redirect = 8,
    /// As shells count one that SIGPIPE ended.
    ReaderGone = 141,
}

/// Whether another try may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    No,
    Yes,
    /// The server said when.
    After(Duration),
}

/// What went wrong, in one line.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) again: Again,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure { exit, message: message.into(), again: Again::No }
    }

    /// A file of ours.
    pub(crate) fn local(what: impl Display, error: &io::Error) -> Failure {
        Failure::new(Exit::Local, format!("{what}: {error}"))
    }

    pub(crate) fn stdout(error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::new(Exit::ReaderGone, ""),
            _ => Failure::local("standard output", error),
        }
    }

    pub(crate) fn and_again(mut self, again: Again) -> Failure {
        self.again = again;
        self
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::new(exit_of(error.kind(), error.phase()), error.to_string())
    }
}

fn exit_of(kind: ErrorKind, phase: Option<Phase>) -> Exit {
    match (kind, phase) {
        (ErrorKind::TimedOut, _) => Exit::Timeout,
        (ErrorKind::Redirect, _) | (_, Some(Phase::Redirect)) => Exit::Redirect,
        (ErrorKind::Invalid | ErrorKind::Unsupported, _) => Exit::Usage,
        (ErrorKind::Tls, _) | (_, Some(Phase::Tls)) => Exit::Tls,
        (ErrorKind::Resolve | ErrorKind::Proxy, _) | (_, Some(Phase::Resolve | Phase::Connect | Phase::Proxy)) => {
            Exit::Connect
        }
        (ErrorKind::Status, _) => Exit::Status,
        _ => Exit::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_says_the_code() {
        let cases = [
            (ErrorKind::TimedOut, Some(Phase::Connect), 4),
            (ErrorKind::TimedOut, Some(Phase::Body), 4),
            (ErrorKind::Io, Some(Phase::Connect), 3),
            (ErrorKind::Io, Some(Phase::Tls), 6),
            (ErrorKind::Io, Some(Phase::Body), 7),
            (ErrorKind::CutOff, Some(Phase::Proxy), 3),
            (ErrorKind::CutOff, Some(Phase::Head), 7),
            (ErrorKind::Refused, None, 7),
            (ErrorKind::Decode, Some(Phase::Decode), 7),
            (ErrorKind::Resolve, Some(Phase::Resolve), 3),
            (ErrorKind::Tls, Some(Phase::Tls), 6),
            (ErrorKind::Invalid, None, 2),
            (ErrorKind::Redirect, Some(Phase::Redirect), 8),
        ];
        for (kind, phase, code) in cases {
            assert_eq!(exit_of(kind, phase) as u8, code, "{kind:?} {phase:?}");
        }
    }
}
