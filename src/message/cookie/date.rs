//! The dates of cookies, which are other dates than those of HTTP: they begin with the year
//! 1601, and browsers read almost anything that looks like one.
//!
//! All is counted from the start of 1601. The calendar repeats every 400 years and 1601 is the
//! first of such a run, so that leap years fall at the end of each part.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// From the start of 1601 to that of 1970, in seconds.
const EPOCH_SECS: u64 = 11_644_473_600;
/// The start of the year 10000, in seconds from that of 1601.
const END_SECS: u64 = EPOCH_SECS + 253_402_300_800;

const FIRST_YEAR: u64 = 1601;
const DAY_SECS: u64 = 86_400;

const MONTHS: [(&str, u64); 12] = [
    ("Jan", 31),
    ("Feb", 28),
    ("Mar", 31),
    ("Apr", 30),
    ("May", 31),
    ("Jun", 30),
    ("Jul", 31),
    ("Aug", 31),
    ("Sep", 30),
    ("Oct", 31),
    ("Nov", 30),
    ("Dec", 31),
];

/// 1601 began on a Monday.
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Whether the time has a text: RFC 6265bis §5.1.1 knows years from 1601 on, and four digits.
pub(super) fn can_be_written(time: SystemTime) -> bool {
    seconds(time).is_some()
}

/// The time as RFC 9110 §5.6.7 writes it: `Sun, 06 Nov 1994 08:49:37 GMT`. `None` for a time
/// that [cannot be written](can_be_written).
pub(super) fn written(time: SystemTime) -> Option<String> {
    let seconds = seconds(time)?;
    let (days, of_day) = (seconds / DAY_SECS, seconds % DAY_SECS);
    let (year, month, day) = date_of(days)?;
    let weekday = WEEKDAYS.get((days % 7) as usize)?;
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    Some(format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"))
}

/// Reads a date as browsers do (RFC 6265bis §5.1.1): time, day, month and year are the first
/// words that look so, in any order; weekday and zone are passed over, for it is always UTC.
/// This takes the forms of RFC 1123 and RFC 850, asctime, and whatever else is about.
pub(crate) fn read(text: &str) -> Option<SystemTime> {
    let (mut time, mut day, mut month, mut year) = (None, None, None, None);
    for word in text.split(is_delimiter) {
        let _ = fill(&mut time, || time_in(word))
            || fill(&mut day, || number_in(word, 1..=2))
            || fill(&mut month, || month_in(word))
            || fill(&mut year, || year_in(word));
    }
    let (hour, minute, second) = time.filter(|&(hour, minute, second)| hour < 24 && minute < 60 && second < 60)?;
    let days = days_to(year?, month?, day?)?;
    at(days * DAY_SECS + hour * 3600 + minute * 60 + second)
}

/// Whether the slot was empty and is full now.
fn fill<Value>(slot: &mut Option<Value>, found: impl FnOnce() -> Option<Value>) -> bool {
    slot.is_none() && {
        *slot = found();
        slot.is_some()
    }
}

fn is_delimiter(c: char) -> bool {
    matches!(c, '\t' | ' '..='/' | ';'..='@' | '['..='`' | '{'..='~')
}

/// Hour, minute and second, whether there is such a time or not.
fn time_in(word: &str) -> Option<(u64, u64, u64)> {
    let (hour, rest) = word.split_once(':')?;
    let (minute, second) = rest.split_once(':')?;
    let are_numbers = hour.bytes().chain(minute.bytes()).all(|byte| byte.is_ascii_digit());
    let of = |part| number_in(part, 1..=2);
    if are_numbers { Some((of(hour)?, of(minute)?, of(second)?)) } else { None }
}

fn month_in(word: &str) -> Option<&'static str> {
    let start = word.get(..3)?;
    MONTHS.iter().map(|(name, _)| *name).find(|name| name.eq_ignore_ascii_case(start))
}

fn year_in(word: &str) -> Option<u64> {
    match number_in(word, 2..=4)? {
        year @ 70..=99 => Some(year + 1900),
        year @ 0..=69 => Some(year + 2000),
        year => Some(year),
    }
}

/// The number that the word begins with, if it has an allowed count of digits.
fn number_in(word: &str, digits: RangeInclusive<usize>) -> Option<u64> {
    let end = word.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(word.len());
    if digits.contains(&end) { word.get(..end)?.parse().ok() } else { None }
}

/// Year, month and day, this many days after the start of 1601.
fn date_of(days: u64) -> Option<(u64, &'static str, u64)> {
    let (mut year, mut rest) = (FIRST_YEAR, days);
    // The last century of a run, and the last year of four, have a day more: not a fourth whole one.
    for (years, length, most) in [(400, 146_097, u64::MAX), (100, 36_524, 3), (4, 1461, u64::MAX), (1, 365, 3)] {
        let whole = (rest / length).min(most);
        rest -= whole * length;
        year += whole * years;
    }
    months(year).find_map(|(month, length)| match rest.checked_sub(length) {
        Some(after) => {
            rest = after;
            None
        }
        None => Some((year, month, rest + 1)),
    })
}

/// Days from the start of 1601; `None` for a day that does not exist or lies before.
fn days_to(year: u64, month: &str, day: u64) -> Option<u64> {
    let years = year.checked_sub(FIRST_YEAR)?;
    let before: u64 = months(year).take_while(|(name, _)| *name != month).map(|(_, length)| length).sum();
    let (_, length) = months(year).find(|(name, _)| *name == month)?;
    let in_month = day.checked_sub(1).filter(|_| day <= length)?;
    Some(years * 365 + years / 4 - years / 100 + years / 400 + before + in_month)
}

fn months(year: u64) -> impl Iterator<Item = (&'static str, u64)> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    MONTHS.iter().map(move |&(name, length)| (name, length + u64::from(is_leap && name == "Feb")))
}

/// Whole seconds from the start of 1601, when the year has four digits and is not before it.
fn seconds(time: SystemTime) -> Option<u64> {
    let seconds = match time.duration_since(UNIX_EPOCH) {
        Ok(since) => EPOCH_SECS.checked_add(since.as_secs()),
        Err(before) => {
            let before = before.duration();
            EPOCH_SECS.checked_sub(before.as_secs().saturating_add(u64::from(before.subsec_nanos() > 0)))
        }
    };
    seconds.filter(|&seconds| seconds < END_SECS)
}

fn at(seconds: u64) -> Option<SystemTime> {
    match seconds.checked_sub(EPOCH_SECS) {
        Some(since) => UNIX_EPOCH.checked_add(Duration::from_secs(since)),
        None => UNIX_EPOCH.checked_sub(Duration::from_secs(EPOCH_SECS.saturating_sub(seconds))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from_epoch(seconds: i64) -> SystemTime {
        at(EPOCH_SECS.checked_add_signed(seconds).unwrap()).unwrap()
    }

    #[test]
    fn any_order_and_form_is_one_time() {
        let forms = [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "6 nov 94 8:49:37",
            "1994/november/6th 08:49:37.5+05:00",
        ];
        for form in forms {
            assert_eq!(read(form), Some(from_epoch(784_111_777)), "{form}");
        }
    }

    #[test]
    fn what_does_not_exist_is_no_date() {
        for bad in [
            "",
            "yesterday",
            "06 Nov 1994",
            "08:49:37 Nov 1994",
            "Thu, 32 Jan 1970 00:00:00 GMT",
            "Sun, 00 Nov 1994 08:49:37 GMT",
            "29 Feb 1900 00:00:00",
            "29 Feb 2023 00:00:00",
            "06 Nov 1994 24:00:00",
            "06 Nov 1994 00:60:00",
            "06 Nov 1994 00:00:60",
            "06 Nov 1994 000:00:00",
            "06 Nov 1600 00:00:00",
            "06 Nov 19940 00:00:00",
            "06 Nob 1994 00:00:00",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_year_of_two_digits_lies_between_1970_and_2069() {
        for (short, long) in [("70", 1970), ("99", 1999), ("00", 2000), ("69", 2069)] {
            assert_eq!(read(&format!("01 Jan {short} 00:00:00")), read(&format!("01 Jan {long} 00:00:00")));
        }
    }

    #[test]
    fn the_ends_of_the_range_are_written_and_what_is_beyond_is_not() {
        let ends = [
            (-11_644_473_600, "Mon, 01 Jan 1601 00:00:00 GMT"),
            (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ];
        for (seconds, text) in ends {
            assert_eq!(written(from_epoch(seconds)).as_deref(), Some(text));
        }
        assert_eq!(written(from_epoch(-11_644_473_600) - Duration::from_nanos(1)), None);
        assert_eq!(written(from_epoch(253_402_300_800)), None);
    }

    #[test]
    fn a_fraction_of_a_second_is_dropped_on_both_sides_of_1970() {
        let half = Duration::from_millis(500);
        assert_eq!(written(UNIX_EPOCH + half).as_deref(), Some("Thu, 01 Jan 1970 00:00:00 GMT"));
        assert_eq!(written(UNIX_EPOCH - half).as_deref(), Some("Wed, 31 Dec 1969 23:59:59 GMT"));
    }

    #[test]
    fn every_day_of_400_years_is_written_and_read_back() {
        for day in 0..146_097 {
            let time = at(day * DAY_SECS + day % DAY_SECS).unwrap();
            assert_eq!(written(time).as_deref().and_then(read), Some(time), "day {day}");
        }
    }

    #[test]
    fn from_1970_on_it_writes_as_http_dates_are_written() {
        for day in (0..2_900_000).step_by(17) {
            let time = UNIX_EPOCH + Duration::from_secs(day * DAY_SECS + day % DAY_SECS);
            assert_eq!(written(time), Some(crate::message::format_time(time)));
        }
    }
}
