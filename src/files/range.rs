//! The `Range` field: which parts of the content are asked for (RFC 9110 §14). Pure.

/// A part of the content. Never empty, and never beyond the end.
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

    /// The first so many bytes at most.
    pub(crate) fn first(self, bytes: u64) -> ByteRange {
        ByteRange { start: self.start, length: self.length.min(bytes) }
    }

    /// What is left behind so many bytes.
    pub(crate) fn after(self, bytes: u64) -> ByteRange {
        let bytes = bytes.min(self.length);
        ByteRange { start: self.start.saturating_add(bytes), length: self.length.saturating_sub(bytes) }
    }
}

/// What the field comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ranges {
    /// The field is ignored.
    Whole,
    /// These parts, in the order in which they were asked for; one at least.
    Parts(Vec<ByteRange>),
    /// 416, and why.
    Refused(&'static str),
}

/// More ranges than this are ignored, as in Go: nobody who means well asks for so many.
const MAX_RANGES: usize = 200;

/// Reads the value of a `Range` field for content of this size.
pub(crate) fn parse_ranges(field: &[u8], size: u64) -> Ranges {
    let Some(set) = bytes_unit(field) else { return Ranges::Whole };
    // There is nothing to take a part of: the empty whole is the better answer (Go's rule).
    if size == 0 {
        return Ranges::Whole;
    }
    let specs = || set.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|spec| !spec.is_empty());
    if specs().nth(MAX_RANGES).is_some() {
        return Ranges::Whole;
    }
    let mut parts = Vec::new();
    let mut beyond = false;
    for spec in specs() {
        match parse_spec(spec, size) {
            Some(Spec::Within(part)) => parts.push(part),
            Some(Spec::Beyond) => beyond = true,
            None => return Ranges::Refused("invalid range"),
        }
    }
    // RFC 9110 §14.1.2: the set can be satisfied when one of its ranges can.
    if parts.is_empty() {
        return if beyond { Ranges::Refused("invalid range: failed to overlap") } else { Ranges::Whole };
    }
    // RFC 9110 §14.2: overlapping ranges are a client's mistake or an attack. The whole is less.
    let sum = parts.iter().try_fold(0_u64, |sum, part| sum.checked_add(part.length));
    if sum.is_some_and(|sum| sum <= size) { Ranges::Parts(parts) } else { Ranges::Whole }
}

/// What follows the unit. RFC 9110 §14.2: a unit that is not known MUST be ignored.
fn bytes_unit(field: &[u8]) -> Option<&[u8]> {
    let (unit, set) = field.split_at_checked(b"bytes=".len())?;
    unit.eq_ignore_ascii_case(b"bytes=").then_some(set)
}

enum Spec {
    Within(ByteRange),
    Beyond,
}

/// `first-last`, `first-` or `-length`. `None` when it is none of them.
fn parse_spec(spec: &[u8], size: u64) -> Option<Spec> {
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
        None | Some(0) => Some(Spec::Beyond),
        Some(length) => Some(Spec::Within(ByteRange { start, length })),
    }
}

/// Digits alone: no sign, no space. What does not fit is as far as can be: no content is longer.
fn parse_number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
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
}
