//! Whether and when a request is sent again.

use std::time::{Duration, SystemTime};

use nethttp::{Error, ErrorKind, Method, Response, Sent, StatusCode, parse_time};

use super::exit::Again;

/// The longest pause, and the longest that a server may ask for.
const LONGEST: Duration = Duration::from_secs(600);

/// How many more times, and after which pause.
#[derive(Debug)]
pub(crate) struct Retries {
    pub(crate) left: u32,
    pub(crate) pause: Duration,
}

impl Retries {
    /// The pause before the next try; `None` where there is none.
    pub(crate) fn next(&mut self, again: Again) -> Option<Duration> {
        let pause = match again {
            Again::No => return None,
            Again::Yes => self.pause.min(LONGEST),
            // Earlier than it asked would be no use, and not kind.
            Again::After(asked) => Some(asked).filter(|asked| *asked <= LONGEST)?,
        };
        self.left = self.left.checked_sub(1)?;
        self.pause = (self.pause * 2).min(LONGEST);
        Some(pause)
    }
}

/// Whether an error may be gone at the next try, and trying does no harm (RFC 9110 §9.2.2).
pub(crate) fn after_error(error: &Error, method: &Method) -> Again {
    use ErrorKind::{CutOff, Io, Resolve, TimedOut};

    let passes = matches!(error.kind(), CutOff | Io | Resolve | TimedOut);
    let harmless = method.is_idempotent() || error.sent() == Some(Sent::No);
    if passes && harmless { Again::Yes } else { Again::No }
}

/// The same for an answer. With 408, 429 and 503 the server says that it did nothing.
pub(crate) fn after_answer(response: &Response, method: &Method, now: SystemTime) -> Again {
    let passes = match response.status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => true,
        StatusCode::INTERNAL_SERVER_ERROR | StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
            method.is_idempotent()
        }
        _ => false,
    };
    match response.header.get("Retry-After").and_then(|value| retry_after(value, now)) {
        _ if !passes => Again::No,
        Some(asked) => Again::After(asked),
        None => Again::Yes,
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

    fn answer(status: u16, retry_after: Option<&str>) -> Response {
        let response = Response::new("").with_status(StatusCode::from_u16(status).unwrap());
        match retry_after {
            Some(value) => response.with_header("Retry-After", value),
            None => response,
        }
    }

    #[test]
    fn pauses_double_up_to_ten_minutes_and_end_with_the_tries() {
        let mut retries = Retries { left: 13, pause: Duration::from_secs(1) };
        let pauses: Vec<_> = std::iter::from_fn(|| retries.next(Again::Yes)).map(|pause| pause.as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]);
    }

    #[test]
    fn a_server_says_how_long_and_too_long_is_never() {
        let mut retries = Retries { left: 3, pause: Duration::from_secs(1) };
        assert_eq!(retries.next(Again::No), None);
        assert_eq!(retries.next(Again::After(Duration::from_secs(7))), Some(Duration::from_secs(7)));
        assert_eq!(retries.next(Again::Yes), Some(Duration::from_secs(2)));
        assert_eq!(retries.next(Again::After(Duration::from_secs(601))), None);
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
        let again = |status, method| after_answer(&answer(status, None), &method, UNIX_EPOCH);
        for status in [408, 429, 500, 502, 503, 504] {
            assert_eq!(again(status, Method::GET), Again::Yes, "{status}");
        }
        for status in [200, 301, 400, 404, 501, 505] {
            assert_eq!(again(status, Method::GET), Again::No, "{status}");
        }
        for (status, expected) in [(408, Again::Yes), (429, Again::Yes), (503, Again::Yes), (500, Again::No)] {
            assert_eq!(again(status, Method::POST), expected, "{status}");
        }
        let asked = after_answer(&answer(503, Some("5")), &Method::GET, UNIX_EPOCH);
        assert_eq!(asked, Again::After(Duration::from_secs(5)));
        assert_eq!(after_answer(&answer(404, Some("5")), &Method::GET, UNIX_EPOCH), Again::No);
    }

    #[test]
    fn an_error_of_ones_own_is_not_tried_again() {
        assert_eq!(after_error(&Error::other("x"), &Method::GET), Again::No);
        let cut = Error::from(std::io::Error::other("reset"));
        assert_eq!(after_error(&cut, &Method::GET), Again::Yes);
        assert_eq!(after_error(&cut, &Method::POST), Again::No);
    }
}
