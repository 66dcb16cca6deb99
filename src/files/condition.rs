//! Whether the client's copy is still good, and which parts it wants: pure functions on what it
//! said and what there is.

use std::time::{SystemTime, UNIX_EPOCH};

use http::Method;

use super::etag::{parse_tag, parse_tags};
use super::range::{ByteRange, Ranges, parse_ranges};
use crate::message::{Header, Request, parse_time};

/// What a request makes its answer depend on (RFC 9110 §13.1 and §14.2).
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub(super) method: Asked,
    if_match: Option<Vec<u8>>,
    if_none_match: Option<Vec<u8>>,
    if_modified_since: Option<SystemTime>,
    if_unmodified_since: Option<SystemTime>,
    if_range: Option<Vec<u8>>,
    range: Option<Vec<u8>>,
}

/// What the method asks of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Asked {
    #[default]
    Get,
    Head,
    /// Anything else.
    Other,
}

/// What tells one state of the content from another.
#[derive(Debug, Default)]
pub(super) struct Validators {
    /// The value of the `ETag` field.
    pub(super) etag: Option<Vec<u8>>,
    pub(super) modified: Option<SystemTime>,
}

/// What is to be answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Selection {
    Whole,
    /// One part at least.
    Parts(Vec<ByteRange>),
    /// 304: the client's copy is still good.
    NotModified,
    /// 412: what the client wanted to act on is gone.
    PreconditionFailed,
    /// 416, and why.
    Unsatisfiable(&'static str),
}

impl Conditions {
    /// No conditions.
    pub(super) fn none(method: Asked) -> Conditions {
        Conditions { method, ..Conditions::default() }
    }

    pub(super) fn of(r: &Request) -> Conditions {
        let method = match r.method {
            Method::GET => Asked::Get,
            Method::HEAD => Asked::Head,
            _ => Asked::Other,
        };
        let header = &r.header;
        Conditions {
            method,
            if_match: list(header, "If-Match"),
            if_none_match: list(header, "If-None-Match"),
            if_modified_since: single(header, "If-Modified-Since").and_then(time),
            if_unmodified_since: single(header, "If-Unmodified-Since").and_then(time),
            if_range: list(header, "If-Range"),
            range: single(header, "Range").map(<[u8]>::to_vec),
        }
    }

    /// What to answer from content of this size, in the order of RFC 9110 §13.2.2.
    pub(super) fn select(&self, validators: &Validators, size: u64) -> Selection {
        if let Some(answer) = self.precondition(validators) {
            return answer;
        }
        // §14.2: range handling is defined for GET alone; for other methods the field MUST be ignored.
        match &self.range {
            Some(range) if self.method == Asked::Get && self.range_applies(validators) => {
                match parse_ranges(range, size) {
                    Ranges::Whole => Selection::Whole,
                    Ranges::Parts(parts) => Selection::Parts(parts),
                    Ranges::Refused(reason) => Selection::Unsatisfiable(reason),
                }
            }
            _ => Selection::Whole,
        }
    }

    /// The answer that takes the place of content, where a condition does not hold.
    pub(super) fn precondition(&self, validators: &Validators) -> Option<Selection> {
        let reads = self.method != Asked::Other;
        // Step 1, and step 2 in its absence.
        let may_act = match (&self.if_match, self.if_unmodified_since, validators.modified) {
            (Some(list), ..) => is_match(list, validators, Comparison::Strong),
            (None, Some(since), Some(modified)) => whole_seconds(modified) <= whole_seconds(since),
            _ => true,
        };
        if !may_act {
            return Some(Selection::PreconditionFailed);
        }
        // Step 3, and step 4 in its absence.
        match (&self.if_none_match, self.if_modified_since, validators.modified) {
            (Some(list), ..) if is_match(list, validators, Comparison::Weak) => {
                Some(if reads { Selection::NotModified } else { Selection::PreconditionFailed })
            }
            (None, Some(since), Some(modified)) if reads && whole_seconds(modified) <= whole_seconds(since) => {
                Some(Selection::NotModified)
            }
            _ => None,
        }
    }

    /// Step 5: whether the parts that the client has belong to this state of the content.
    fn range_applies(&self, validators: &Validators) -> bool {
        let Some(field) = &self.if_range else { return true };
        if let Some(tag) = parse_tag(field) {
            let ours = validators.etag.as_deref().and_then(parse_tag);
            return ours.is_some_and(|ours| ours.matches_strongly(tag));
        }
        // RFC 9110 §13.1.5: a date has to match exactly.
        match (time(field), validators.modified) {
            (Some(date), Some(modified)) => whole_seconds(date) == whole_seconds(modified),
            _ => false,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether a list of tags names this state of the content.
fn is_match(list: &[u8], validators: &Validators, comparison: Comparison) -> bool {
    // RFC 9110 §13.1.1: `*` stands for anything that is there.
    if list.trim_ascii() == b"*" {
        return true;
    }
    let Some(ours) = validators.etag.as_deref().and_then(parse_tag) else { return false };
    parse_tags(list).any(|tag| match comparison {
        Comparison::Strong => ours.matches_strongly(tag),
        Comparison::Weak => ours.matches_weakly(tag),
    })
}

/// A list that may stand in several lines, as one.
fn list(header: &Header, name: &str) -> Option<Vec<u8>> {
    header.contains(name).then(|| header.values_bytes(name).collect::<Vec<_>>().join(&b", "[..]))
}

/// The value of a field that is no list. RFC 9110 §13.1.3: more than one date is no date.
fn single<'a>(header: &'a Header, name: &str) -> Option<&'a [u8]> {
    let mut values = header.values_bytes(name);
    let value = values.next()?;
    if values.next().is_some() { None } else { Some(value) }
}

fn time(value: &[u8]) -> Option<SystemTime> {
    std::str::from_utf8(value).ok().and_then(parse_time)
}

/// Last-Modified has dropped the fraction before the client sent it back.
fn whole_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since_epoch| since_epoch.as_secs())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Uri;

    use super::*;

    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    /// What is answered to these fields for ten bytes with the tag `"x"`, last changed at `DATE`
    /// and a half.
    fn select(method: Method, fields: &[(&str, &str)]) -> Selection {
        let modified = parse_time(DATE).map(|time| time + Duration::from_millis(500));
        conditions(method, fields).select(&Validators { etag: Some(b"\"x\"".to_vec()), modified }, 10)
    }

    fn conditions(method: Method, fields: &[(&str, &str)]) -> Conditions {
        let mut request = Request::new(method, Uri::from_static("/"), ());
        for (name, value) in fields {
            request.header.add(name, value);
        }
        Conditions::of(&request)
    }

    fn assert_selects(expected: &Selection, cases: &[&[(&str, &str)]]) {
        for fields in cases {
            for method in [Method::GET, Method::HEAD] {
                assert_eq!(select(method, fields), *expected, "{fields:?}");
            }
        }
    }

    fn part() -> Selection {
        Selection::Parts(vec![ByteRange { start: 2, length: 2 }])
    }

    #[test]
    fn a_copy_that_is_still_good_is_not_sent_again() {
        assert_selects(
            &Selection::NotModified,
            &[
                &[("If-None-Match", "\"x\"")],
                &[("If-None-Match", "W/\"x\"")],
                &[("If-None-Match", "\"a\", \"x\"")],
                &[("If-None-Match", "\"a\""), ("If-None-Match", "\"x\"")],
                &[("If-None-Match", "*")],
                &[("If-Modified-Since", DATE)],
                &[("If-Modified-Since", AFTER)],
                &[("If-None-Match", "\"x\""), ("If-Modified-Since", BEFORE)],
                &[("If-None-Match", "\"x\""), ("Range", "bytes=2-3")],
            ],
        );
    }

    #[test]
    fn what_has_changed_or_what_cannot_be_told_is_sent() {
        assert_selects(
            &Selection::Whole,
            &[
                &[],
                &[("If-None-Match", "\"a\"")],
                &[("If-None-Match", "x")],
                &[("If-None-Match", "")],
                &[("If-Modified-Since", BEFORE)],
                &[("If-Modified-Since", "yesterday")],
                &[("If-Modified-Since", DATE), ("If-Modified-Since", DATE)],
                // RFC 9110 §13.1.3: ignored beside If-None-Match.
                &[("If-None-Match", "\"a\""), ("If-Modified-Since", DATE)],
                &[("If-Match", "\"x\"")],
                &[("If-Match", "*")],
                &[("If-Match", "\"a\", \"x\"")],
                &[("If-Unmodified-Since", DATE)],
                &[("If-Unmodified-Since", AFTER)],
                &[("If-Unmodified-Since", "yesterday")],
                // RFC 9110 §13.1.4: ignored beside If-Match.
                &[("If-Match", "\"x\""), ("If-Unmodified-Since", BEFORE)],
            ],
        );
    }

    #[test]
    fn an_action_on_another_state_fails() {
        assert_selects(
            &Selection::PreconditionFailed,
            &[
                &[("If-Match", "\"a\"")],
                &[("If-Match", "W/\"x\"")],
                &[("If-Match", "x")],
                &[("If-Match", "")],
                &[("If-Unmodified-Since", BEFORE)],
                &[("If-Match", "\"a\""), ("If-Unmodified-Since", AFTER)],
                &[("If-Match", "\"a\""), ("If-None-Match", "\"x\"")],
                &[("If-Unmodified-Since", BEFORE), ("If-Modified-Since", DATE)],
            ],
        );
    }

    #[test]
    fn other_methods_are_never_answered_with_304_and_ask_for_no_part() {
        assert_eq!(select(Method::POST, &[("If-None-Match", "\"x\"")]), Selection::PreconditionFailed);
        assert_eq!(select(Method::POST, &[("If-None-Match", "\"a\"")]), Selection::Whole);
        assert_eq!(select(Method::POST, &[("If-Modified-Since", DATE)]), Selection::Whole);
        assert_eq!(select(Method::POST, &[("If-Match", "\"a\"")]), Selection::PreconditionFailed);
        assert_eq!(select(Method::POST, &[("Range", "bytes=2-3")]), Selection::Whole);
        assert_eq!(select(Method::HEAD, &[("Range", "bytes=2-3")]), Selection::Whole);
    }

    #[test]
    fn a_part_is_sent_where_it_belongs_to_the_parts_the_client_has() {
        let cases = [
            ("\"x\"", part()),
            (DATE, part()),
            ("W/\"x\"", Selection::Whole),
            ("\"a\"", Selection::Whole),
            (BEFORE, Selection::Whole),
            (AFTER, Selection::Whole),
            ("", Selection::Whole),
            ("x", Selection::Whole),
        ];
        assert_eq!(select(Method::GET, &[("Range", "bytes=2-3")]), part());
        for (if_range, expected) in cases {
            let fields = [("Range", "bytes=2-3"), ("If-Range", if_range)];
            assert_eq!(select(Method::GET, &fields), expected, "{if_range}");
        }
        let stale = [("Range", "bytes=99-"), ("If-Range", "\"a\"")];
        assert_eq!(select(Method::GET, &stale), Selection::Whole, "a stale range cannot be out of bounds");
    }

    #[test]
    fn a_range_out_of_bounds_is_unsatisfiable_and_two_fields_are_none() {
        let beyond = select(Method::GET, &[("Range", "bytes=10-")]);
        assert!(matches!(beyond, Selection::Unsatisfiable(_)), "{beyond:?}");
        let twice = [("Range", "bytes=2-3"), ("Range", "bytes=2-3")];
        assert_eq!(select(Method::GET, &twice), Selection::Whole);
    }

    #[test]
    fn a_weak_tag_of_ours_neither_lets_act_nor_resume() {
        let weak = Validators { etag: Some(b"W/\"x\"".to_vec()), modified: None };
        let selects = |fields: &[(&str, &str)]| conditions(Method::GET, fields).select(&weak, 10);
        assert_eq!(selects(&[("If-Match", "W/\"x\"")]), Selection::PreconditionFailed);
        assert_eq!(selects(&[("Range", "bytes=2-3"), ("If-Range", "W/\"x\"")]), Selection::Whole);
        assert_eq!(selects(&[("If-None-Match", "\"x\"")]), Selection::NotModified);
    }

    #[test]
    fn what_has_neither_tag_nor_time_is_always_sent() {
        let none = Validators::default();
        let selects = |fields: &[(&str, &str)]| conditions(Method::GET, fields).select(&none, 10);
        assert_eq!(selects(&[("If-Modified-Since", DATE)]), Selection::Whole);
        assert_eq!(selects(&[("If-Unmodified-Since", DATE)]), Selection::Whole);
        assert_eq!(selects(&[("If-None-Match", "\"x\"")]), Selection::Whole);
        assert_eq!(selects(&[("Range", "bytes=2-3"), ("If-Range", DATE)]), Selection::Whole);
        assert_eq!(selects(&[("If-Match", "*")]), Selection::Whole);
    }
}
