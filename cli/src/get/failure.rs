//! How a transfer fails: what is said, the exit code, and whether and when it is tried again.

use std::fmt::Display;
use std::io;
use std::time::{Duration, SystemTime};

use nethttp::error::{Phase, Sent};
use nethttp::header::parse_time;
use nethttp::{Error, ErrorKind, Method, Response, StatusCode};

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
    /// What shells report for a command that SIGPIPE ended: 128 and 13.
    ReaderGone = 141,
}

/// Whether another try may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetryHint {
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
    pub(crate) hint: RetryHint,
    /// How much of the file is there for the next try to go on with.
    pub(crate) kept_bytes: u64,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure { exit, message: message.into(), hint: RetryHint::No, kept_bytes: 0 }
    }

    /// The command line makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Failure {
        Failure::new(Exit::Usage, message)
    }

    /// A file of this machine cannot be read or written.
    pub(crate) fn local(what: impl Display, error: &io::Error) -> Failure {
        Failure::new(Exit::Local, format!("{what}: {error}"))
    }

    pub(crate) fn stdout(error: &io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::new(Exit::ReaderGone, ""),
            _ => Failure::local("standard output", error),
        }
    }

    pub(crate) fn with_hint(self, hint: RetryHint) -> Failure {
        Failure { hint, ..self }
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

/// The longest pause, and the longest that a server may ask for.
const MAX_PAUSE: Duration = Duration::from_secs(600);

/// How many more times, and after which pause.
#[derive(Debug)]
pub(crate) struct Retries {
    count: u32,
    first_pause: Duration,
    left: u32,
    pause: Duration,
    /// The most that was there of the file after a try.
    most_bytes: u64,
}

impl Retries {
    pub(crate) fn new(count: u32, first_pause: Duration) -> Retries {
        Retries { count, first_pause, left: count, pause: first_pause, most_bytes: 0 }
    }

    pub(crate) fn is_last_try(&self) -> bool {
        self.left == 0
    }

    /// The pause before the next try; `None` where there is none.
    pub(crate) fn next(&mut self, failure: &Failure) -> Option<Duration> {
        self.count_anew_after_progress(failure.kept_bytes);
        let pause = match failure.hint {
            RetryHint::No => return None,
            RetryHint::Yes => self.pause.min(MAX_PAUSE),
            // Not earlier than it asked: it would only refuse again.
            RetryHint::After(asked) => Some(asked).filter(|asked| *asked <= MAX_PAUSE)?,
        };
        self.left = self.left.checked_sub(1)?;
        self.pause = (self.pause * 2).min(MAX_PAUSE);
        Some(pause)
    }

    /// A large file over a bad network may break off more often than `--retry` allows, and get further
    /// each time. So only tries in a row that brought nothing are counted. This ends, as the file grows.
    fn count_anew_after_progress(&mut self, kept_bytes: u64) {
        if kept_bytes > self.most_bytes {
            *self = Retries { most_bytes: kept_bytes, ..Retries::new(self.count, self.first_pause) };
        }
    }
}

/// Whether an error may be gone at the next try, and trying does no harm (RFC 9110 §9.2.2).
pub(crate) fn after_error(error: &Error, method: &Method) -> RetryHint {
    use ErrorKind::{CutOff, Io, Resolve, TimedOut};

    let passes = matches!(error.kind(), CutOff | Io | Resolve | TimedOut);
    let harmless = method.is_idempotent() || error.sent() == Some(Sent::No);
    if passes && harmless { RetryHint::Yes } else { RetryHint::No }
}

/// The same for a response. With 408, 429 and 503 the server says that it did nothing.
pub(crate) fn after_response(response: &Response, method: &Method, now: SystemTime) -> RetryHint {
    let passes = match response.status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => true,
        StatusCode::INTERNAL_SERVER_ERROR | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
            method.is_idempotent()
        }
        _ => false,
    };
    match response.header.get("Retry-After").and_then(|value| retry_after(value, now)) {
        _ if !passes => RetryHint::No,
        Some(asked) => RetryHint::After(asked),
        None => RetryHint::Yes,
    }
}

/// Seconds, or a date (RFC 9110 §10.2.3).
fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(value.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    parse_time(value).map(|date| date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

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

    fn response(status: u16, retry_after: Option<&str>) -> Response {
        let plain = Response::new("").with_status(StatusCode::from_u16(status).unwrap());
        match retry_after {
            Some(value) => plain.with_header("Retry-After", value),
            None => plain,
        }
    }

    fn failed(hint: RetryHint, kept_bytes: u64) -> Failure {
        Failure { kept_bytes, ..Failure::new(Exit::Broken, "").with_hint(hint) }
    }

    #[test]
    fn tries_are_counted_anew_when_more_is_there_than_before() {
        let mut retries = Retries::new(1, Duration::from_secs(1));
        let mut pause = |kept_bytes| retries.next(&failed(RetryHint::Yes, kept_bytes)).map(|pause| pause.as_secs());
        assert_eq!((pause(10), pause(20), pause(21)), (Some(1), Some(1), Some(1)));
        assert_eq!((pause(21), pause(0), pause(5)), (None, None, None));
    }

    #[test]
    fn pauses_double_up_to_ten_minutes_and_end_with_the_tries() {
        let mut retries = Retries::new(13, Duration::from_secs(1));
        let failure = failed(RetryHint::Yes, 0);
        let pauses: Vec<_> = std::iter::from_fn(|| retries.next(&failure)).map(|pause| pause.as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]);
    }

    #[test]
    fn retry_after_is_obeyed_and_a_pause_that_is_too_long_gives_up() {
        let mut retries = Retries::new(3, Duration::from_secs(1));
        assert_eq!(retries.next(&failed(RetryHint::No, 0)), None);
        assert_eq!(retries.next(&failed(RetryHint::After(Duration::from_secs(7)), 0)), Some(Duration::from_secs(7)));
        assert_eq!(retries.next(&failed(RetryHint::Yes, 0)), Some(Duration::from_secs(2)));
        assert_eq!(retries.next(&failed(RetryHint::After(Duration::from_secs(601)), 0)), None);
        assert_eq!(retries.left, 1);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let cases = [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:27 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("", None),
        ];
        for (value, seconds) in cases {
            assert_eq!(retry_after(value, now), seconds.map(Duration::from_secs), "{value}");
        }
        assert_eq!(retry_after("99999999999999999999999", now), Some(Duration::MAX));
    }

    #[test]
    fn an_answer_is_asked_for_again_where_the_server_did_nothing_or_doing_it_twice_is_harmless() {
        let again = |status, method| after_response(&response(status, None), &method, UNIX_EPOCH);
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(again(status, Method::GET), RetryHint::Yes, "{status}");
        }
        for status in [200, 301, 400, 404, 501, 505] {
            assert_eq!(again(status, Method::GET), RetryHint::No, "{status}");
        }
        for (status, expected) in
            [(408, RetryHint::Yes), (429, RetryHint::Yes), (503, RetryHint::Yes), (500, RetryHint::No)]
        {
            assert_eq!(again(status, Method::POST), expected, "{status}");
        }
        let asked = after_response(&response(503, Some("5")), &Method::GET, UNIX_EPOCH);
        assert_eq!(asked, RetryHint::After(Duration::from_secs(5)));
        assert_eq!(after_response(&response(404, Some("5")), &Method::GET, UNIX_EPOCH), RetryHint::No);
    }

    #[test]
    fn an_error_of_ones_own_is_not_tried_again() {
        assert_eq!(after_error(&Error::other("x"), &Method::GET), RetryHint::No);
        let cut = Error::from(std::io::Error::other("reset"));
        assert_eq!(after_error(&cut, &Method::GET), RetryHint::Yes);
        assert_eq!(after_error(&cut, &Method::POST), RetryHint::No);
    }
}
