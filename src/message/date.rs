//! Dates as HTTP writes them (RFC 9110 §5.6.7), and the `Date` field ready-made for a second.

use std::cell::RefCell;
use std::time::{SystemTime, UNIX_EPOCH};

/// Writes a time as HTTP does: `Sun, 06 Nov 1994 08:49:37 GMT` (Go's `TimeFormat`).
///
/// Times before 1970 or after 9999 are written as the nearest that the format has.
pub fn format_time(time: SystemTime) -> String {
    let last = UNIX_EPOCH + std::time::Duration::from_secs(253_402_300_799);
    httpdate::fmt_http_date(time.clamp(UNIX_EPOCH, last))
}

/// Reads a time in any of the three forms that HTTP has known: RFC 1123, RFC 850 and asctime
/// (Go's `ParseTime`). `None` for anything else.
///
/// ```
/// let time = nethttp::parse_time("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
/// assert_eq!(nethttp::parse_time("Sunday, 06-Nov-94 08:49:37 GMT"), Some(time));
/// assert_eq!(nethttp::parse_time("Sun Nov  6 08:49:37 1994"), Some(time));
/// assert_eq!(nethttp::format_time(time), "Sun, 06 Nov 1994 08:49:37 GMT");
/// ```
pub fn parse_time(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

/// Appends the field line `Date` with the present time; it is made anew once a second.
pub(crate) fn append_date_line(out: &mut Vec<u8>) {
    with_now(|line| out.extend_from_slice(line.as_bytes()));
}

/// Appends the present time as [`format_time`] writes it.
pub(crate) fn append_now(out: &mut Vec<u8>) {
    with_now(|line| {
        let time = line.strip_prefix(DATE).unwrap_or(line);
        out.extend_from_slice(time.trim_ascii_end().as_bytes());
    });
}

/// Lends the line.
fn with_now(take: impl FnOnce(&str)) {
    let now = SystemTime::now();
    let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    NOW.with_borrow_mut(|cached| {
        if cached.second != second || cached.line.is_empty() {
            *cached = Cached { second, line: format!("{DATE}{}\r\n", format_time(now)) };
        }
        take(&cached.line);
    });
}

const DATE: &str = "Date: ";

struct Cached {
    second: u64,
    line: String,
}

thread_local! {
    static NOW: RefCell<Cached> = const { RefCell::new(Cached { second: 0, line: String::new() }) };
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_present_is_written_in_29_bytes_and_read_back() {
        let mut out = Vec::new();
        append_now(&mut out);
        assert_eq!(out.len(), 29);
        let mut line = Vec::new();
        append_date_line(&mut line);
        assert!(line.starts_with(b"Date: ") && line.ends_with(b" GMT\r\n") && line.len() == 37);
        let read = parse_time(std::str::from_utf8(&out).unwrap()).unwrap();
        assert!(read <= SystemTime::now() && read > SystemTime::now() - Duration::from_secs(5));
    }

    #[test]
    fn a_time_beyond_the_format_is_written_as_the_nearest() {
        assert_eq!(format_time(UNIX_EPOCH - Duration::from_secs(9)), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(format_time(UNIX_EPOCH + Duration::from_secs(1 << 40)), "Fri, 31 Dec 9999 23:59:59 GMT");
    }

    #[test]
    fn what_is_no_date_is_none() {
        for bad in ["", "yesterday", "Sun, 06 Nov 1994 08:49:37 UTC+1", "Sun, 99 Nov 1994 08:49:37 GMT"] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }
}
