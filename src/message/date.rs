//! Dates as HTTP writes them (RFC 9110 §5.6.7), and the `Date` field ready-made for a second.

use std::cell::RefCell;
use std::ops::Range;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Writes a time as HTTP does: `Sun, 06 Nov 1994 08:49:37 GMT` (Go's `TimeFormat`).
///
/// Times before 1970 or after 9999 are written as the nearest that the format has.
pub fn format_time(time: SystemTime) -> String {
    let last = UNIX_EPOCH + Duration::from_secs(253_402_300_799);
    httpdate::fmt_http_date(time.clamp(UNIX_EPOCH, last))
}

/// Reads a time in any of the three forms that HTTP has known: RFC 1123, RFC 850 and asctime
/// (Go's `ParseTime`). `None` for anything else.
///
/// ```
/// let time = nethttp::header::parse_time("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
/// assert_eq!(nethttp::header::parse_time("Sunday, 06-Nov-94 08:49:37 GMT"), Some(time));
/// assert_eq!(nethttp::header::parse_time("Sun Nov  6 08:49:37 1994"), Some(time));
/// assert_eq!(nethttp::header::format_time(time), "Sun, 06 Nov 1994 08:49:37 GMT");
/// ```
pub fn parse_time(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

/// Year, month and day of a count of days since 1970-01-01, in the Gregorian calendar.
pub(crate) fn civil_date(days: u64) -> (u64, u64, u64) {
    // Counted from 0000-03-01, so that the leap day is the last day of its year.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// Appends the field line `Date` for a moment that is the present, or was a little while ago; the line
/// is made anew once a second.
pub(crate) fn append_date_line(out: &mut Vec<u8>, now: Instant) {
    with_line(now, |line| out.extend_from_slice(line.as_bytes()));
}

/// Appends that moment as [`format_time`] writes it.
pub(crate) fn append_date(out: &mut Vec<u8>, now: Instant) {
    with_line(now, |line| {
        let time = line.strip_prefix(DATE).unwrap_or(line);
        out.extend_from_slice(time.trim_ascii_end().as_bytes());
    });
}

/// Lends the line for a moment. The caller has read the steady clock already; the wall clock is read
/// once a second, so a change of the system's time shows within one.
fn with_line(now: Instant, take: impl FnOnce(&str)) {
    LINE.with_borrow_mut(|line| {
        if !line.holds.as_ref().is_some_and(|holds| holds.contains(&now)) {
            *line = DateLine::of(now, SystemTime::now());
        }
        take(&line.text);
    });
}

const DATE: &str = "Date: ";

/// The line for the present second, and until when it is valid. A test's clock can go back, because each
/// test has its own.
struct DateLine {
    text: String,
    holds: Option<Range<Instant>>,
}

impl DateLine {
    fn of(now: Instant, time: SystemTime) -> DateLine {
        let begun = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
        let left = Duration::from_secs(1).saturating_sub(Duration::from_nanos(begun.into()));
        DateLine { text: format!("{DATE}{}\r\n", format_time(time)), holds: now.checked_add(left).map(|end| now..end) }
    }
}

thread_local! {
    static LINE: RefCell<DateLine> = const { RefCell::new(DateLine { text: String::new(), holds: None }) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_present_is_written_in_29_bytes_and_read_back() {
        let mut out = Vec::new();
        append_date(&mut out, Instant::now());
        assert_eq!(out.len(), 29);
        let mut line = Vec::new();
        append_date_line(&mut line, Instant::now());
        assert!(line.starts_with(b"Date: ") && line.ends_with(b" GMT\r\n") && line.len() == 37);
        let read = parse_time(std::str::from_utf8(&out).unwrap()).unwrap();
        assert!(read <= SystemTime::now() && read > SystemTime::now() - Duration::from_secs(5));
    }

    #[test]
    fn a_line_holds_until_its_second_is_over() {
        let (now, time) = (Instant::now(), UNIX_EPOCH + Duration::from_millis(1_250));
        let line = DateLine::of(now, time);
        assert_eq!(line.text, "Date: Thu, 01 Jan 1970 00:00:01 GMT\r\n");
        assert_eq!(line.holds, Some(now..now + Duration::from_millis(750)));
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

    #[test]
    fn days_are_those_of_the_dates_of_http() {
        // Around leap days and centuries, against the writer of `Last-Modified`.
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        for days in (0..150_000).step_by(29).chain([58, 59, 789, 790, 10_956, 11_016, 11_017, 47_540, 47_541]) {
            let (year, month, day) = civil_date(days);
            let text = format_time(UNIX_EPOCH + Duration::from_secs(days * 86_400));
            let name = MONTHS[usize::try_from(month).unwrap() - 1];
            assert!(text.contains(&format!(", {day:02} {name} {year:04} ")), "{text}");
        }
    }
}
