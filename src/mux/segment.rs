//! The segments of a path as it was sent.
//!
//! A path is split first and unescaped after, segment by segment, so that an escaped slash is
//! part of a name and never parts two.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// What stands at the start of (the rest of) a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// Nothing more.
    End,
    /// A slash that is the last byte.
    Slash,
    /// A segment as sent, and the path after it. It is empty only where two slashes meet.
    Segment(&'a str, &'a str),
}

/// Takes the first step of a path. What does not start with a slash is no path, and has none.
pub(super) fn step(path: &str) -> Step<'_> {
    match path.strip_prefix('/') {
        None => Step::End,
        Some("") => Step::Slash,
        Some(after) => match find(after, b'/') {
            Some(at) => Step::Segment(after.get(..at).unwrap_or(after), after.get(at..).unwrap_or_default()),
            None => Step::Segment(after, ""),
        },
    }
}

/// What a segment stands for. One whose escapes are malformed stands for itself (Go's rule).
pub(super) fn decode(segment: &str) -> Cow<'_, [u8]> {
    if find(segment, b'%').is_none() || has_wrong_escape(segment) {
        return Cow::Borrowed(segment.as_bytes());
    }
    percent_decode_str(segment).into()
}

/// The same as text, with U+FFFD for what is none.
pub(super) fn decode_text(segment: &str) -> String {
    match decode(segment) {
        Cow::Borrowed(_) => segment.to_owned(),
        Cow::Owned(bytes) => {
            String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
        }
    }
}

/// Where the byte stands first. Segments are short: a search that is made for long texts would have taken
/// longer to begin than this takes to end.
fn find(text: &str, byte: u8) -> Option<usize> {
    text.bytes().position(|b| b == byte)
}

fn has_wrong_escape(segment: &str) -> bool {
    let mut parts = segment.split('%');
    parts.next();
    parts.any(|after| !matches!(after.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_walked_slash_by_slash() {
        assert_eq!(step(""), Step::End);
        assert_eq!(step("*"), Step::End);
        assert_eq!(step("/"), Step::Slash);
        assert_eq!(step("/a"), Step::Segment("a", ""));
        assert_eq!(step("/a/"), Step::Segment("a", "/"));
        assert_eq!(step("/a%2Fb/c"), Step::Segment("a%2Fb", "/c"));
        assert_eq!(step("//a"), Step::Segment("", "/a"));
    }

    #[test]
    fn a_segment_is_unescaped_when_all_its_escapes_are_right() {
        let cases: [(&str, &[u8]); 8] = [
            ("a", b"a"),
            ("%41", b"A"),
            ("a%2fb%2F", b"a/b/"),
            ("%ff%00", b"\xff\0"),
            ("%2541", b"%41"),
            ("%", b"%"),
            ("%41%4", b"%41%4"),
            ("%41%zz", b"%41%zz"),
        ];
        for (sent, expected) in cases {
            assert_eq!(&*decode(sent), expected, "{sent}");
        }
    }

    #[test]
    fn a_segment_without_escapes_is_not_copied() {
        assert!(matches!(decode("caf\u{e9}"), Cow::Borrowed(_)));
    }
}
