//! Ranges of bytes: what `-r` asks for, what a response says that it is, and whether these agree
//! (RFC 9110 §14).

use std::fmt::{self, Display};
use std::str::FromStr;

use nethttp::Header;

/// What `-r` asks for: a single range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RangeSpec {
    /// From the first byte to the second, both included.
    Between(u64, u64),
    From(u64),
    /// So many bytes at the end.
    Last(u64),
}

impl FromStr for RangeSpec {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<RangeSpec, &'static str> {
        const FORM: &str = "write FIRST-LAST, FIRST- or -COUNT, in bytes counted from 0";
        let (first, last) = text.split_once('-').ok_or(FORM)?;
        match (decimal(first), decimal(last)) {
            (Some(first), Some(last)) if first <= last => Ok(RangeSpec::Between(first, last)),
            (Some(first), None) if last.is_empty() => Ok(RangeSpec::From(first)),
            (None, Some(count)) if first.is_empty() && count > 0 => Ok(RangeSpec::Last(count)),
            _ => Err(FORM),
        }
    }
}

impl Display for RangeSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RangeSpec::Between(first, last) => write!(f, "bytes={first}-{last}"),
            RangeSpec::From(first) => write!(f, "bytes={first}-"),
            RangeSpec::Last(count) => write!(f, "bytes=-{count}"),
        }
    }
}

impl RangeSpec {
    /// Whether this is what was asked for, and all of it. A server may send less (§15.3.7); then the
    /// file would not be what its user thinks it is. So too where the length of the whole is not said
    /// and the range depends on it.
    pub(crate) fn is_answered_by(self, range: ContentRange) -> bool {
        let last_of_all = range.total.and_then(|total| total.checked_sub(1));
        match self {
            RangeSpec::Between(first, last) => {
                range.first == first && range.last == last_of_all.map_or(last, |end| last.min(end))
            }
            RangeSpec::From(first) => range.first == first && Some(range.last) == last_of_all,
            RangeSpec::Last(count) => {
                let first = range.total.map(|total| total.saturating_sub(count));
                Some(range.first) == first && Some(range.last) == last_of_all
            }
        }
    }
}

/// `Content-Range`: first and last byte, and how many there are in all, where that is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContentRange {
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) total: Option<u64>,
}

impl ContentRange {
    /// `None` where there is none, and where it contradicts itself.
    pub(crate) fn of(header: &Header) -> Option<ContentRange> {
        let (range, total) = in_bytes(header)?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let total = if total == "*" { None } else { Some(decimal(total)?) };
        let (first, last) = (decimal(first)?, decimal(last)?);
        let is_possible = first <= last && last < total.unwrap_or(u64::MAX);
        is_possible.then_some(ContentRange { first, last, total })
    }

    /// How many bytes the content has.
    pub(crate) fn length(self) -> u64 {
        // It is no more than `u64::MAX`, as the last byte is less.
        self.last - self.first + 1
    }
}

/// The length of the whole, where a range lies after its end: `bytes */LENGTH`.
pub(crate) fn length_beside_range(header: &Header) -> Option<u64> {
    decimal(in_bytes(header)?.strip_prefix("*/")?)
}

/// What stands after the unit, in whatever case that is (RFC 9110 §14.1).
fn in_bytes(header: &Header) -> Option<&str> {
    let (unit, range) = header.get("Content-Range")?.trim().split_once(' ')?;
    unit.eq_ignore_ascii_case("bytes").then_some(range)
}

/// Digits alone: no sign.
fn decimal(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content_range(text: &str) -> Option<ContentRange> {
        let mut header = Header::new();
        header.set("Content-Range", text);
        ContentRange::of(&header)
    }

    #[test]
    fn a_range_is_written_as_it_is_sent_and_nothing_else_is_one() {
        for text in ["0-99", "5-5", "100-", "-500"] {
            assert_eq!(text.parse::<RangeSpec>().unwrap().to_string(), format!("bytes={text}"));
        }
        for text in ["", "-", "5", "9-5", "-0", "0-1,4-5", "+1-2", "a-b", "bytes=0-1", "99999999999999999999-"] {
            assert!(text.parse::<RangeSpec>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_content_range_that_contradicts_itself_is_none() {
        let range = content_range(" bytes 4-9/10 ").unwrap();
        assert_eq!((range, range.length()), (ContentRange { first: 4, last: 9, total: Some(10) }, 6));
        assert_eq!(content_range("Bytes 4-9/*").unwrap().total, None);
        for wrong in ["bytes 9-4/10", "bytes 4-10/10", "items 4-9/10", "bytes */10", "bytes 4-9", "bytes +4-9/10", ""] {
            assert_eq!(content_range(wrong), None, "{wrong}");
        }
        assert_eq!(content_range(&format!("bytes 0-{}/*", u64::MAX)), None);
    }

    #[test]
    fn less_than_what_was_asked_for_is_no_answer() {
        let cases = [
            ("0-3", "bytes 0-3/10", true),
            ("0-3", "bytes 0-3/*", true),
            ("0-30", "bytes 0-9/10", true),
            ("0-3", "bytes 0-2/10", false),
            ("0-3", "bytes 1-3/10", false),
            ("0-30", "bytes 0-9/*", false),
            ("4-", "bytes 4-9/10", true),
            ("4-", "bytes 4-8/10", false),
            ("4-", "bytes 4-9/*", false),
            ("-3", "bytes 7-9/10", true),
            ("-30", "bytes 0-9/10", true),
            ("-3", "bytes 6-9/10", false),
            ("-3", "bytes 7-9/*", false),
        ];
        for (asked, answered, is_answer) in cases {
            let (spec, range) = (asked.parse::<RangeSpec>().unwrap(), content_range(answered).unwrap());
            assert_eq!(spec.is_answered_by(range), is_answer, "{asked}: {answered}");
        }
    }
}
