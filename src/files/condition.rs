//! Conditional requests: whether the client's copy is still valid, and which parts of the content it
//! gets. Pure functions of the request's fields and of the state of the content.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Method;

use super::range::{ByteRange, Ranges, parse_ranges};
use crate::message::{Header, Request, parse_time};

/// The conditions of a request (RFC 9110 §13.1 and §14.2).
#[derive(Debug, Default)]
pub(super) struct Conditions {
    pub(super) method: MethodKind,
    if_match: Option<Vec<u8>>,
    if_none_match: Option<Vec<u8>>,
    if_modified_since: Option<SystemTime>,
    if_unmodified_since: Option<SystemTime>,
    if_range: Option<Vec<u8>>,
    range: Option<Vec<u8>>,
}

/// What the method does with a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum MethodKind {
    #[default]
    Get,
    Head,
    /// Anything else.
    Other,
}

/// The validators of the content: what tells one state of it from another.
#[derive(Debug, Default)]
pub(super) struct Validators {
    /// The value of the `ETag` field.
    pub(super) etag: Option<Vec<u8>>,
    pub(super) modified: Option<SystemTime>,
}

/// The response to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Selection {
    Whole,
    /// One part at least.
    Parts(Vec<ByteRange>),
    /// 304: the client's copy is still good.
    NotModified,
    /// 412: a precondition does not hold.
    PreconditionFailed,
    /// 416, and why.
    Unsatisfiable(&'static str),
}

impl Conditions {
    /// No conditions.
    pub(super) fn none(method: MethodKind) -> Conditions {
        Conditions { method, ..Conditions::default() }
    }

    pub(super) fn of(r: &Request) -> Conditions {
        let method = match r.method {
            Method::GET => MethodKind::Get,
            Method::HEAD => MethodKind::Head,
            _ => MethodKind::Other,
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

    /// Decides the response from content of this size, in the order of RFC 9110 §13.2.2.
    pub(super) fn select(&self, validators: &Validators, size: u64) -> Selection {
        if let Some(selection) = self.precondition(validators) {
            return selection;
        }
        // §14.2: range handling is defined for GET alone; for other methods the field MUST be ignored.
        match &self.range {
            Some(range) if self.method == MethodKind::Get && self.range_applies(validators) => {
                match parse_ranges(range, size) {
                    Ranges::Whole => Selection::Whole,
                    Ranges::Parts(parts) => Selection::Parts(parts),
                    Ranges::Refused(reason) => Selection::Unsatisfiable(reason),
                }
            }
            _ => Selection::Whole,
        }
    }

    /// The response in place of content, where a condition does not hold.
    pub(super) fn precondition(&self, validators: &Validators) -> Option<Selection> {
        let reads = self.method != MethodKind::Other;
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

/// The value of a field that is no list. RFC 9110 §13.1.3: more than one date is not a date.
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

/// A tag, as it stands in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntityTag<'a> {
    strength: Strength,
    /// With its quotes.
    opaque: &'a [u8],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Strength {
    Strong,
    Weak,
}

impl EntityTag<'_> {
    /// RFC 9110 §8.8.3.2: the same octets, and neither is weak.
    pub(super) fn matches_strongly(self, other: EntityTag<'_>) -> bool {
        self == other && self.strength == Strength::Strong
    }

    /// RFC 9110 §8.8.3.2: the same octets, weak or not.
    pub(super) fn matches_weakly(self, other: EntityTag<'_>) -> bool {
        self.opaque == other.opaque
    }
}

/// Reads a field that is one tag and nothing else.
pub(super) fn parse_tag(field: &[u8]) -> Option<EntityTag<'_>> {
    match split_tag(field.trim_ascii())? {
        (tag, []) => Some(tag),
        _ => None,
    }
}

/// The tags of a list, up to what is none.
pub(super) fn parse_tags(mut list: &[u8]) -> impl Iterator<Item = EntityTag<'_>> {
    std::iter::from_fn(move || {
        while let [b' ' | b'\t' | b',', rest @ ..] = list {
            list = rest;
        }
        let (tag, rest) = split_tag(list)?;
        list = rest;
        Some(tag)
    })
}

/// The tag at the beginning, and the rest.
fn split_tag(text: &[u8]) -> Option<(EntityTag<'_>, &[u8])> {
    // RFC 9110 §8.8.3: the `W` is case-sensitive.
    let (strength, quoted) = match text.strip_prefix(b"W/") {
        Some(quoted) => (Strength::Weak, quoted),
        None => (Strength::Strong, text),
    };
    let inner = quoted.strip_prefix(b"\"")?;
    let end = inner.iter().position(|byte| !is_tag_byte(*byte))?;
    let (opaque, rest) = quoted.split_at_checked(end.checked_add(2)?)?;
    opaque.ends_with(b"\"").then_some((EntityTag { strength, opaque }, rest))
}

/// RFC 9110 §8.8.3 `etagc`: what is visible but the quote, and obs-text.
fn is_tag_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x7e | 0x80..)
}

/// When the content changed last, if the time of the file can tell that. `None` for a time that says
/// nothing: then neither `Last-Modified` nor a tag is sent, and the content goes out each time.
///
/// Builds that are to be reproducible give every file the same time: 0 (no time at all, for some file
/// systems), 1 (Nix and Guix), 1980-01-01 or 1980-02-01 (archives of zip), 1985-10-26 (npm). Two
/// versions of a page then differ in nothing that is seen from outside when they have the same length,
/// and 304 would be wrong for ever. All of these lie before the first web server, which is where the
/// line is drawn.
///
/// The inode and the time of its change would tell versions apart on one machine. They differ between
/// machines that serve the same tree, and a tree need not be a disk, so they are no part of the tag.
pub(super) fn time_of_change(modified: Option<SystemTime>) -> Option<SystemTime> {
    modified.filter(|time| *time >= UNIX_EPOCH + FIRST_WEB_YEAR)
}

/// From 1970 to 1990.
const FIRST_WEB_YEAR: Duration = Duration::from_secs(631_152_000);

/// Two changes within this time may leave the file with the same time: some file systems count in steps
/// of two seconds.
const MAX_TICK: Duration = Duration::from_secs(2);

/// The tag of a file: its length and the [time of its last change](time_of_change), to the nanosecond.
///
/// Weak for a change so fresh that another one could leave both as they are, and strong from then on,
/// since any later change has a later time. A program that changes a file, keeps its length and sets
/// its time back deceives this tag as it deceives `Last-Modified`. `variant` tells apart what is made
/// of the same file.
///
/// There is no tag for a time in the future, which a program or a wrong clock has set: the next change
/// may get the same one. (As `Last-Modified` such a time does no harm. The response's own date is sent in
/// its place, and the file is newer than that whenever a client asks with it.)
pub(super) fn tag_of(length: u64, modified: Option<SystemTime>, now: SystemTime, variant: &str) -> Option<String> {
    let modified = modified?;
    let since_epoch = modified.duration_since(UNIX_EPOCH).ok()?.as_nanos();
    let age = now.duration_since(modified).ok()?;
    let prefix = if age >= MAX_TICK { "" } else { "W/" };
    Some(format!("{prefix}\"{since_epoch:x}-{length:x}{variant}\""))
}

#[cfg(test)]
mod tests {
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

    fn strong(opaque: &[u8]) -> EntityTag<'_> {
        EntityTag { strength: Strength::Strong, opaque }
    }

    fn weak(opaque: &[u8]) -> EntityTag<'_> {
        EntityTag { strength: Strength::Weak, opaque }
    }

    #[test]
    fn a_tag_is_quoted_and_perhaps_weak() {
        assert_eq!(parse_tag(b"\"a\""), Some(strong(b"\"a\"")));
        assert_eq!(parse_tag(b"W/\"a\""), Some(weak(b"\"a\"")));
        assert_eq!(parse_tag(b"\"\""), Some(strong(b"\"\"")));
        assert_eq!(parse_tag(b" \"a,b\" "), Some(strong(b"\"a,b\"")));
        assert_eq!(parse_tag(b"\"\xe9\""), Some(strong(b"\"\xe9\"")));
        let junk: [&[u8]; 11] =
            [b"", b"a", b"\"", b"\"a", b"a\"", b"w/\"a\"", b"W/", b"W\"a\"", b"\"a b\"", b"\"a\"b", b"*"];
        for text in junk {
            assert_eq!(parse_tag(text), None, "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn a_list_is_read_up_to_what_is_no_tag() {
        let tags = |list: &'static str| parse_tags(list.as_bytes()).collect::<Vec<_>>();
        assert_eq!(tags("\"a\", W/\"b\",\"c\""), [strong(b"\"a\""), weak(b"\"b\""), strong(b"\"c\"")]);
        assert_eq!(tags(" , \"a\" ,, "), [strong(b"\"a\"")]);
        assert_eq!(tags("\"a\", b, \"c\""), [strong(b"\"a\"")]);
        assert_eq!(tags("a, \"c\""), []);
        assert_eq!(tags(""), []);
    }

    #[test]
    fn tags_compare_as_in_the_table_of_the_rfc() {
        let cases = [
            (weak(b"\"1\""), weak(b"\"1\""), false, true),
            (weak(b"\"1\""), weak(b"\"2\""), false, false),
            (weak(b"\"1\""), strong(b"\"1\""), false, true),
            (strong(b"\"1\""), strong(b"\"1\""), true, true),
            (strong(b"\"1\""), strong(b"\"2\""), false, false),
        ];
        for (one, other, strongly, weakly) in cases {
            assert_eq!(
                (one.matches_strongly(other), one.matches_weakly(other)),
                (strongly, weakly),
                "{one:?} {other:?}"
            );
            assert_eq!(
                (other.matches_strongly(one), other.matches_weakly(one)),
                (strongly, weakly),
                "{other:?} {one:?}"
            );
        }
    }

    #[test]
    fn the_tag_of_a_file_is_strong_once_its_time_has_settled() {
        let modified = UNIX_EPOCH + Duration::new(16, 1);
        let after = |millis| tag_of(255, Some(modified), modified + Duration::from_millis(millis), "");
        assert_eq!(after(2000).as_deref(), Some("\"3b9aca001-ff\""));
        assert_eq!(after(1999).as_deref(), Some("W/\"3b9aca001-ff\""));
        assert_eq!(tag_of(255, Some(modified), UNIX_EPOCH, ""), None, "from the future");
        assert_eq!(tag_of(255, None, modified, ""), None);
    }

    #[test]
    fn another_nanosecond_length_or_variant_is_another_tag() {
        let at = |nanos, length, variant| {
            let now = UNIX_EPOCH + Duration::from_secs(100);
            tag_of(length, Some(UNIX_EPOCH + Duration::from_nanos(nanos)), now, variant)
        };
        let tag = at(5, 5, "");
        assert!(tag.as_deref().is_some_and(|tag| parse_tag(tag.as_bytes()).is_some()));
        for other in [at(6, 5, ""), at(5, 6, ""), at(5, 5, "-br")] {
            assert_ne!(tag, other);
        }
    }

    #[test]
    fn a_time_that_reproducible_builds_set_is_no_validator() {
        let told = |seconds| time_of_change(Some(UNIX_EPOCH + Duration::from_secs(seconds))).is_some();
        // None, Nix, zip, Gradle, npm, and the last second before the web.
        for constant in [0, 1, 315_532_800, 318_211_200, 499_162_500, 631_151_999] {
            assert!(!told(constant), "{constant}");
        }
        for real in [631_152_000, 784_111_777, 1_800_000_000] {
            assert!(told(real), "{real}");
        }
        assert_eq!(time_of_change(None), None);
        assert_eq!(time_of_change(Some(UNIX_EPOCH - Duration::from_secs(1))), None);
    }
}
