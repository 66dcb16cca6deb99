//! A line on standard error for each request, in one of several forms.

use std::fmt::{self, Display, Write as _};
use std::io::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::ValueEnum;
use nethttp::net::Addr;
use nethttp::server::RequestRecord;
use nethttp::{StatusCode, Version};
use serde_json::json;

/// The form of the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Time, peer, method, target, status, bytes and duration
    Short,
    /// The Common Log Format of Apache and NCSA
    Common,
    /// An object of JSON
    Json,
    /// No lines at all
    None,
}

/// Writes the line of a request that has just ended.
pub(crate) fn log(record: &RequestRecord, form: LogFormat) {
    let line = LogLine {
        time: SystemTime::now(),
        peer: &record.remote_addr,
        method: record.method.as_str(),
        target: &record.target,
        version: record.proto,
        status: record.status,
        bytes: record.content_bytes,
        duration: record.duration,
    };
    let mut text = match form {
        LogFormat::Short => line.to_string(),
        LogFormat::Common => CommonLog(&line).to_string(),
        LogFormat::Json => line.json(),
        LogFormat::None => return,
    };
    text.push('\n');
    // In one write, so that lines of two workers do not mix. If standard error is closed, serving goes
    // on without a log.
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// `2026-01-31T23:59:59.123Z 127.0.0.1:54321 GET /index.html 200 1234 0.8ms`: when it ended,
/// peer, method, target, status (`-` where no answer was sent), bytes of content sent, and how
/// long it took.
struct LogLine<'a> {
    time: SystemTime,
    peer: &'a Addr,
    method: &'a str,
    target: &'a str,
    version: Version,
    status: Option<StatusCode>,
    bytes: u64,
    duration: Duration,
}

impl Display for LogLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LogLine { time, peer, method, target, status, bytes, duration, version: _ } = self;
        write!(f, "{} {peer} {} {} ", Timestamp(*time), Escaped(method), Escaped(target))?;
        match status {
            Some(status) => write!(f, "{}", status.as_u16())?,
            None => f.write_char('-')?,
        }
        write!(f, " {bytes} {:.1}ms", duration.as_secs_f64() * 1000.0)
    }
}

impl LogLine<'_> {
    fn json(&self) -> String {
        json!({
            "time": Timestamp(self.time).to_string(),
            "peer": self.peer.to_string(),
            "method": self.method,
            "target": self.target,
            "protocol": format!("{:?}", self.version),
            "status": self.status.map(|status| status.as_u16()),
            "bytes": self.bytes,
            "seconds": self.duration.as_secs_f64(),
        })
        .to_string()
    }
}

/// `127.0.0.1 - - [31/Jan/2026:23:59:59 +0000] "GET /index.html HTTP/1.1" 200 1234`: host, two
/// names that are not known here, when it ended, request line, status, bytes of content.
struct CommonLog<'a>(&'a LogLine<'a>);

impl Display for CommonLog<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LogLine { time, peer, method, target, version, status, bytes, duration: _ } = self.0;
        match peer.ip() {
            Some(ip) => write!(f, "{}", ip.to_canonical())?,
            None => f.write_char('-')?,
        }
        write!(f, " - - [{}] \"{} {} {version:?}\" ", CommonTime(*time), Escaped(method), Escaped(target))?;
        match status {
            Some(status) => write!(f, "{}", status.as_u16())?,
            None => f.write_char('-')?,
        }
        match bytes {
            0 => f.write_str(" -"),
            bytes => write!(f, " {bytes}"),
        }
    }
}

/// Escapes what a peer sent, so that it cannot move the cursor, begin a line or a field, or look like
/// something else: all but visible ASCII is escaped, and quotes are.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if character.is_ascii_graphic() && !matches!(character, '\\' | '"') {
                f.write_char(character)?;
            } else if character == ' ' {
                f.write_str("\\x20")?;
            } else {
                write!(f, "{}", character.escape_default())?;
            }
        }
        Ok(())
    }
}

/// A time as RFC 3339 writes it, in UTC and to the millisecond.
struct Timestamp(SystemTime);

impl Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since_epoch = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (days, second) = (since_epoch.as_secs() / 86_400, since_epoch.as_secs() % 86_400);
        let (year, month, day) = date_of(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let millis = since_epoch.subsec_millis();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

/// A time as the Common Log Format writes it, in UTC.
struct CommonTime(SystemTime);

impl Display for CommonTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let seconds = self.0.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (year, month, day) = date_of(seconds / 86_400);
        let month = usize::try_from(month).ok().and_then(|month| MONTHS.get(month - 1)).unwrap_or(&"-");
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000")
    }
}

/// Year, month and day of a count of days since 1970-01-01, in the Gregorian calendar.
fn date_of(days: u64) -> (u64, u64, u64) {
    // Counted from 0000-03-01, so that the day that some years have more is a year's last.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    #[test]
    fn a_line_has_its_fields_in_order() {
        let peer = Addr::Tcp(SocketAddr::from(([127, 0, 0, 1], 54321)));
        let mut line = LogLine {
            time: UNIX_EPOCH + Duration::from_millis(1_769_903_999_123),
            peer: &peer,
            method: "GET",
            target: "/a?b=c",
            version: Version::HTTP_11,
            status: Some(StatusCode::OK),
            bytes: 1234,
            duration: Duration::from_micros(1_550),
        };
        assert_eq!(line.to_string(), "2026-01-31T23:59:59.123Z 127.0.0.1:54321 GET /a?b=c 200 1234 1.6ms");
        let common = "127.0.0.1 - - [31/Jan/2026:23:59:59 +0000] \"GET /a?b=c HTTP/1.1\" 200 1234";
        assert_eq!(CommonLog(&line).to_string(), common);
        let object: serde_json::Value = serde_json::from_str(&line.json()).unwrap();
        assert_eq!((&object["time"], &object["status"]), (&json!("2026-01-31T23:59:59.123Z"), &json!(200)));
        assert_eq!((&object["peer"], &object["seconds"]), (&json!("127.0.0.1:54321"), &json!(0.00155)));
        (line.status, line.bytes) = (None, 0);
        assert!(line.to_string().ends_with(" GET /a?b=c - 0 1.6ms"));
        assert!(CommonLog(&line).to_string().ends_with("\" - -"));
        assert!(line.json().contains("\"status\":null"));
    }

    #[test]
    fn a_target_cannot_forge_a_line_nor_a_field() {
        let escaped = Escaped("/\"\r\n\x1b[2J \u{202e}é\\n\0\x7f").to_string();
        assert_eq!(escaped, r#"/\"\r\n\u{1b}[2J\x20\u{202e}\u{e9}\\n\u{0}\u{7f}"#);
    }

    #[test]
    fn dates_are_right_around_leap_days_and_centuries() {
        let cases = [
            (0, (1970, 1, 1)),
            (58, (1970, 2, 28)),
            (59, (1970, 3, 1)),
            (789, (1972, 2, 29)),
            (10_956, (1999, 12, 31)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (47_540, (2100, 2, 28)),
            (47_541, (2100, 3, 1)),
        ];
        for (days, date) in cases {
            assert_eq!(date_of(days), date, "{days}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_follows_the_one_before() {
        let length = |year: u64, month: u64| match month {
            2 if (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        };
        let mut expected = (1970, 1, 1);
        for days in 0..146_097 {
            assert_eq!(date_of(days), expected, "{days}");
            let (year, month, day) = expected;
            expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (month, day) if day == length(year, month) => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }
}
