//! Ranges (RFC 9110 §14): which parts of the content the `Range` field asks for, and what stands
//! between several parts in the response. Pure.

use std::fmt::Write as _;

use bytes::Bytes;

/// Part of the content. As a part that was selected it is never empty, and never beyond the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteRange {
    pub(crate) start: u64,
    pub(crate) length: u64,
}

impl ByteRange {
    /// The position of the last byte, as `Content-Range` names it.
    pub(crate) fn last(self) -> u64 {
        self.start.saturating_add(self.length.saturating_sub(1))
    }

    /// At most the first `bytes` bytes.
    pub(crate) fn first(self, bytes: u64) -> ByteRange {
        ByteRange { start: self.start, length: self.length.min(bytes) }
    }

    /// The rest after this many bytes at the front.
    pub(crate) fn after(self, bytes: u64) -> ByteRange {
        let bytes = bytes.min(self.length);
        ByteRange { start: self.start.saturating_add(bytes), length: self.length.saturating_sub(bytes) }
    }
}

/// What a `Range` field asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ranges {
    /// All of the content: the field is ignored.
    Whole,
    /// These parts, in the order in which they were asked for; one at least.
    Parts(Vec<ByteRange>),
    /// 416, and why.
    Refused(&'static str),
}

/// With more ranges than this the field is ignored, as in Go: only attacks have more.
const MAX_RANGE_COUNT: usize = 200;

/// Reads the value of a `Range` field for content of this size.
pub(crate) fn parse_ranges(field: &[u8], size: u64) -> Ranges {
    let Some(set) = bytes_unit(field) else { return Ranges::Whole };
    // No range can be satisfied where there is nothing: 200 without content is more useful than 416
    // (Go's rule).
    if size == 0 {
        return Ranges::Whole;
    }
    let specs = || set.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|spec| !spec.is_empty());
    if specs().nth(MAX_RANGE_COUNT).is_some() {
        return Ranges::Whole;
    }
    let mut parts = Vec::new();
    let mut beyond = false;
    for spec in specs() {
        match parse_spec(spec, size) {
            Some(RangeSpec::Within(part)) => parts.push(part),
            Some(RangeSpec::Beyond) => beyond = true,
            None => return Ranges::Refused("invalid range"),
        }
    }
    // RFC 9110 §14.1.2: the set can be satisfied when one of its ranges can.
    if parts.is_empty() {
        return if beyond { Ranges::Refused("invalid range: failed to overlap") } else { Ranges::Whole };
    }
    // RFC 9110 §14.2: ranges that overlap are a mistake of the client or an attack. If they come to more
    // than the content, all of the content is cheaper.
    let sum = parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.length));
    if sum.is_some_and(|sum| sum <= size) { Ranges::Parts(parts) } else { Ranges::Whole }
}

/// What follows the unit. RFC 9110 §14.2: a unit that is not known MUST be ignored.
fn bytes_unit(field: &[u8]) -> Option<&[u8]> {
    let (unit, set) = field.split_at_checked(b"bytes=".len())?;
    unit.eq_ignore_ascii_case(b"bytes=").then_some(set)
}

enum RangeSpec {
    Within(ByteRange),
    Beyond,
}

/// `first-last`, `first-` or `-length`. `None` when it is none of them.
fn parse_spec(spec: &[u8], size: u64) -> Option<RangeSpec> {
    let dash = spec.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (spec.get(..dash)?.trim_ascii(), spec.get(dash + 1..)?.trim_ascii());
    let (start, end) = if first.is_empty() {
        // RFC 9110 §14.1.2: longer than the content, the suffix is all of it.
        (size.saturating_sub(parse_number(last)?), size)
    } else {
        let start = parse_number(first)?;
        let end = if last.is_empty() { size } else { parse_number(last)?.saturating_add(1).min(size) };
        // RFC 9110 §14.1.1: a last position below the first makes the range invalid.
        if !last.is_empty() && parse_number(last)? < start {
            return None;
        }
        (start, end)
    };
    match end.checked_sub(start) {
        None | Some(0) => Some(RangeSpec::Beyond),
        Some(length) => Some(RangeSpec::Within(ByteRange { start, length })),
    }
}

/// Digits only: no sign, no space. A number that does not fit into 64 bits becomes the largest one: no
/// content is that long.
fn parse_number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

/// What is sent: ranges of the content, and before each of them the text that introduces it.
pub(super) struct Parts {
    pub(super) pieces: Vec<RangePart>,
    pub(super) end: Bytes,
    /// Of all the text and ranges together.
    pub(super) length: u64,
}

pub(super) struct RangePart {
    pub(super) before: Bytes,
    pub(super) range: ByteRange,
}

impl Parts {
    /// One range, and no text around it. No part at all if the range is empty.
    pub(super) fn single(range: ByteRange) -> Parts {
        let pieces = if range.length == 0 { Vec::new() } else { vec![RangePart { before: Bytes::new(), range }] };
        Parts { pieces, end: Bytes::new(), length: range.length }
    }

    /// A body of several parts (RFC 9110 §14.6), of content of this size and type.
    pub(super) fn multipart(ranges: &[ByteRange], size: u64, content_type: Option<&[u8]>, boundary: &str) -> Parts {
        let mut pieces = Vec::with_capacity(ranges.len());
        let mut delimiter = format!("--{boundary}\r\n");
        for range in ranges {
            let mut before = std::mem::replace(&mut delimiter, format!("\r\n--{boundary}\r\n"));
            // A string takes whatever is written to it.
            write!(before, "Content-Range: {}\r\n", content_range(*range, size)).expect("writing to a string");
            let mut before = before.into_bytes();
            if let Some(content_type) = content_type {
                before.extend_from_slice(b"Content-Type: ");
                before.extend_from_slice(content_type);
                before.extend_from_slice(b"\r\n");
            }
            before.extend_from_slice(b"\r\n");
            pieces.push(RangePart { before: before.into(), range: *range });
        }
        let end = Bytes::from(format!("\r\n--{boundary}--\r\n"));
        let piece_length = |piece: &RangePart| piece.range.length.saturating_add(piece.before.len() as u64);
        let length = pieces.iter().map(piece_length).fold(end.len() as u64, u64::saturating_add);
        Parts { pieces, end, length }
    }
}

/// The value of `Content-Range` for this part (RFC 9110 §14.4).
pub(super) fn content_range(range: ByteRange, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.last())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(expected: &[(u64, u64)]) -> Ranges {
        Ranges::Parts(expected.iter().map(|&(start, length)| ByteRange { start, length }).collect())
    }

    #[test]
    fn one_range_is_from_to_from_on_or_the_last() {
        let cases: [(&str, u64, (u64, u64)); 14] = [
            ("bytes=0-4", 10, (0, 5)),
            ("bytes=2-2", 10, (2, 1)),
            ("bytes=2-", 10, (2, 8)),
            ("bytes=-5", 10, (5, 5)),
            ("bytes=3-7", 10, (3, 5)),
            ("bytes=0-0", 1, (0, 1)),
            ("bytes=5-1000", 10, (5, 5)),
            ("bytes=-1000", 10, (0, 10)),
            ("bytes=9-", 10, (9, 1)),
            ("bytes= 1-2 ", 10, (1, 2)),
            ("bytes=1 - 2", 10, (1, 2)),
            ("BYTES=1-2", 10, (1, 2)),
            ("bytes=,1-2,,", 10, (1, 2)),
            ("bytes=007-8", 10, (7, 2)),
        ];
        for (field, size, expected) in cases {
            assert_eq!(parse_ranges(field.as_bytes(), size), parts(&[expected]), "{field} of {size}");
        }
    }

    #[test]
    fn several_ranges_keep_their_order_and_lose_what_lies_beyond_the_end() {
        assert_eq!(parse_ranges(b"bytes=0-0,-1", 10), parts(&[(0, 1), (9, 1)]));
        assert_eq!(parse_ranges(b"bytes=5-6, 1-2", 10), parts(&[(5, 2), (1, 2)]));
        assert_eq!(parse_ranges(b"bytes=1-2,500-", 10), parts(&[(1, 2)]));
        assert_eq!(parse_ranges(b"bytes=0-4,5-9", 10), parts(&[(0, 5), (5, 5)]));
    }

    #[test]
    fn a_range_with_nothing_in_it_is_refused() {
        for field in ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=10-,11-", "bytes=10-,-0"] {
            let expected = Ranges::Refused("invalid range: failed to overlap");
            assert_eq!(parse_ranges(field.as_bytes(), 10), expected, "{field}");
        }
    }

    #[test]
    fn what_is_no_range_is_refused() {
        let cases = [
            "bytes=-",
            "bytes=1",
            "bytes=--1",
            "bytes=-+1",
            "bytes=+1-2",
            "bytes=a-2",
            "bytes=1-b",
            "bytes=0x1-2",
            "bytes=4-3",
            "bytes=1-2-3",
            "bytes=0-1,x",
            "bytes=1.0-2",
            "bytes=- 1 2",
        ];
        for field in cases {
            assert_eq!(parse_ranges(field.as_bytes(), 10), Ranges::Refused("invalid range"), "{field}");
        }
    }

    #[test]
    fn the_field_is_ignored_where_the_whole_is_as_good() {
        for field in
            ["", "byte", "bytes", "bytes=", "bytes=,", "items=0-5", "bytes 0-5", "bytes=0-9,0-0", "bytes=0-,-1"]
        {
            assert_eq!(parse_ranges(field.as_bytes(), 10), Ranges::Whole, "{field}");
        }
        for field in ["bytes=0-", "bytes=-5", "bytes=0-0", "bytes=x"] {
            assert_eq!(parse_ranges(field.as_bytes(), 0), Ranges::Whole, "{field} of nothing");
        }
    }

    #[test]
    fn two_hundred_ranges_are_served_and_one_more_is_not() {
        let field = |count: u64| {
            let specs: Vec<String> = (0..count).map(|at| format!("{at}-{at}")).collect();
            format!("bytes={}", specs.join(","))
        };
        let Ranges::Parts(served) = parse_ranges(field(200).as_bytes(), 1000) else { panic!("not served") };
        assert_eq!(served.len(), 200);
        assert_eq!(parse_ranges(field(201).as_bytes(), 1000), Ranges::Whole);
        let commas = format!("bytes={}0-1", ",".repeat(1000));
        assert_eq!(parse_ranges(commas.as_bytes(), 10), parts(&[(0, 2)]), "nothing between commas is no range");
    }

    #[test]
    fn numbers_beyond_64_bits_do_not_wrap() {
        let huge = "9".repeat(40);
        let max = u64::MAX;
        assert_eq!(parse_ranges(format!("bytes=0-{huge}").as_bytes(), 10), parts(&[(0, 10)]));
        assert_eq!(parse_ranges(format!("bytes=-{huge}").as_bytes(), 10), parts(&[(0, 10)]));
        assert_eq!(parse_ranges(format!("bytes=1-{max}").as_bytes(), 10), parts(&[(1, 9)]));
        assert!(matches!(parse_ranges(format!("bytes={huge}-").as_bytes(), max), Ranges::Refused(_)));
        assert!(matches!(parse_ranges(format!("bytes={huge}-{huge}").as_bytes(), 10), Ranges::Refused(_)));
        assert_eq!(parse_ranges(format!("bytes=0-{max}").as_bytes(), max), parts(&[(0, max)]));
        assert_eq!(parse_ranges(b"bytes=0-,0-", max), Ranges::Whole);
    }

    #[test]
    fn what_is_left_of_a_range_meets_what_was_taken_and_ends_with_it() {
        let range = ByteRange { start: 7, length: 5 };
        assert_eq!(range.after(2), ByteRange { start: 9, length: 3 });
        assert_eq!(range.after(5), ByteRange { start: 12, length: 0 });
        assert_eq!(range.after(6), range.after(5), "no more than there is");
    }

    #[test]
    fn the_last_position_is_within() {
        assert_eq!(ByteRange { start: 5, length: 5 }.last(), 9);
        assert_eq!(ByteRange { start: u64::MAX, length: 1 }.last(), u64::MAX);
    }

    fn text(parts: &Parts, content: &str) -> String {
        let mut text = String::new();
        for piece in &parts.pieces {
            text.push_str(std::str::from_utf8(&piece.before).unwrap());
            let start = usize::try_from(piece.range.start).unwrap();
            text.push_str(&content[start..][..usize::try_from(piece.range.length).unwrap()]);
        }
        text.push_str(std::str::from_utf8(&parts.end).unwrap());
        text
    }

    #[test]
    fn several_parts_are_delimited_and_counted_to_the_byte() {
        let ranges = [ByteRange { start: 0, length: 2 }, ByteRange { start: 7, length: 3 }];
        let parts = Parts::multipart(&ranges, 10, Some(b"text/plain"), "B");
        let expected = "--B\r\nContent-Range: bytes 0-1/10\r\nContent-Type: text/plain\r\n\r\n01\
             \r\n--B\r\nContent-Range: bytes 7-9/10\r\nContent-Type: text/plain\r\n\r\n789\r\n--B--\r\n";
        assert_eq!(text(&parts, "0123456789"), expected);
        assert_eq!(parts.length, expected.len() as u64);
        let untyped = Parts::multipart(&ranges, 10, None, "B");
        assert!(!text(&untyped, "0123456789").contains("Content-Type"));
    }

    #[test]
    fn a_single_part_is_bare_and_an_empty_one_is_nothing() {
        let parts = Parts::single(ByteRange { start: 3, length: 2 });
        assert_eq!((text(&parts, "0123456789").as_str(), parts.length), ("34", 2));
        assert!(Parts::single(ByteRange { start: 0, length: 0 }).pieces.is_empty());
    }
}
