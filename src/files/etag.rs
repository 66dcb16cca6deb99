//! Entity tags: read, compared, and made for files (RFC 9110 §8.8.3).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// A change within so short a time of another may leave the time of the file as it was: file
/// systems count in ticks, some in two seconds.
const SETTLED: Duration = Duration::from_secs(2);

/// The tag of a file: its length and the time of its last change, to the nanosecond.
///
/// Weak as long as that change is so fresh that another one could leave both as they are, and
/// strong from then on, since any later change has a later time. A program that sets the time of a
/// file back after it has changed it, and keeps its length, deceives this tag as it deceives
/// `Last-Modified`. `variant` tells apart what is made of the same file.
pub(super) fn tag_of(length: u64, modified: Option<SystemTime>, now: SystemTime, variant: &str) -> Option<String> {
    let modified = modified?;
    let since_epoch = modified.duration_since(UNIX_EPOCH).ok()?.as_nanos();
    let settled = now.duration_since(modified).is_ok_and(|age| age >= SETTLED);
    let prefix = if settled { "" } else { "W/" };
    Some(format!("{prefix}\"{since_epoch:x}-{length:x}{variant}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(
            tag_of(255, Some(modified), UNIX_EPOCH, "").as_deref(),
            Some("W/\"3b9aca001-ff\""),
            "from the future"
        );
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
}
