//! Paths and hosts as they are compared, and where a redirect leads: pure functions on text.
//!
//! A path is cleaned as it was sent, with its escapes: `%2e%2e` is a name and does not lead upwards,
//! `%2F` is part of a name. So nothing is unescaped twice, and a cleaned path means what the sent one
//! did. To be matched it is split first and unescaped after, segment by segment, so that an escaped
//! slash never separates two.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::message::{NOT_IN_A_PATH, unescape_segment};

/// The path without `.`, `..` and repeated slashes. It starts with a slash, and ends with one
/// where the sent one did. Does not allocate when there is nothing to do.
pub(super) fn clean_path(path: &str) -> Cow<'_, str> {
    if is_clean(path) {
        return Cow::Borrowed(path);
    }
    let mut kept = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            // What leads above the root stays at the root (RFC 3986 §5.2.4).
            ".." => _ = kept.pop(),
            name => kept.push(name),
        }
    }
    let mut clean = String::with_capacity(path.len() + 1);
    for segment in kept {
        clean.push('/');
        clean.push_str(segment);
    }
    if clean.is_empty() || path.ends_with('/') {
        clean.push('/');
    }
    Cow::Owned(clean)
}

fn is_clean(path: &str) -> bool {
    let Some(segments) = path.as_bytes().strip_prefix(b"/") else { return false };
    // What is to be cleaned away begins with a dot, or is empty.
    if path.as_bytes().windows(2).all(|pair| !matches!(pair, b"//" | b"/.")) {
        return true;
    }
    let mut segments = segments.split(|&b| b == b'/');
    let ends_clean = !matches!(segments.next_back(), Some(b"." | b".."));
    ends_clean && segments.all(|segment| !matches!(segment, b"" | b"." | b".."))
}

/// The `Location` that leads to `path` on the same host with the query of the request.
///
/// The result always starts with one slash and a byte that is neither slash nor backslash: browsers
/// take `//host` and `/\host` for another host. Escapes stay as they are; bytes that stand for
/// themselves in no path get one.
pub(super) fn location(path: &str, query: Option<&str>) -> String {
    let mut location = String::with_capacity(path.len() + query.map_or(0, str::len) + 2);
    location.push('/');
    location.extend(utf8_percent_encode(path.trim_start_matches('/'), &NOT_IN_A_PATH));
    if let Some(query) = query.filter(|query| !query.is_empty()) {
        location.push('?');
        location.extend(utf8_percent_encode(query, &NOT_IN_A_QUERY));
    }
    location
}

const NOT_IN_A_QUERY: AsciiSet = CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');

/// The first step of (the rest of) a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PathStep<'a> {
    /// Nothing more.
    End,
    /// A slash that is the last byte.
    Slash,
    /// A segment as sent, and the path after it. It is empty only where two slashes meet.
    Segment(&'a str, &'a str),
}

/// Takes the first step of a path. What does not start with a slash is not a path, and has none.
pub(super) fn step(path: &str) -> PathStep<'_> {
    match path.strip_prefix('/') {
        None => PathStep::End,
        Some("") => PathStep::Slash,
        Some(after) => match find(after, b'/') {
            Some(at) => PathStep::Segment(after.get(..at).unwrap_or(after), after.get(at..).unwrap_or_default()),
            None => PathStep::Segment(after, ""),
        },
    }
}

/// A segment unescaped, as text; empty where it is not UTF-8. With a replacement character, `%FF` and `%FE` would be
/// the same value.
pub(super) fn decode_text(segment: &str) -> String {
    match unescape_segment(segment) {
        Cow::Borrowed(_) => segment.to_owned(),
        Cow::Owned(bytes) => String::from_utf8(bytes).unwrap_or_default(),
    }
}

/// What is unescaped already, as text; empty where it is not UTF-8.
pub(super) fn text_of(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).unwrap_or_default().to_owned()
}

/// Where the byte stands first. Segments are short: a search that is made for long texts would have taken
/// longer to begin than this takes to end.
fn find(text: &str, byte: u8) -> Option<usize> {
    text.bytes().position(|b| b == byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_cleaned_of_dots_and_repeats() {
        let cases = [
            ("", "/"),
            ("*", "/*"),
            ("a/b", "/a/b"),
            ("//", "/"),
            ("///a", "/a"),
            ("/a//b", "/a/b"),
            ("/a/b//", "/a/b/"),
            ("/.", "/"),
            ("/./", "/"),
            ("/a/.", "/a"),
            ("/a/./", "/a/"),
            ("/a/./b", "/a/b"),
            ("/..", "/"),
            ("/../..", "/"),
            ("/../a", "/a"),
            ("/a/..", "/"),
            ("/a/../", "/"),
            ("/a/b/..", "/a"),
            ("/a/b/../", "/a/"),
            ("/a/b/../../../c", "/c"),
            ("//a.test/../b", "/b"),
        ];
        for (sent, clean) in cases {
            assert_eq!(clean_path(sent), clean, "{sent}");
            assert_eq!(clean_path(clean), clean, "cleaning twice is cleaning once");
        }
    }

    #[test]
    fn a_clean_path_is_not_copied() {
        for path in ["/", "/a", "/a/", "/a/b", "/...", "/a/..b/.c", "/%2e%2e/%2F", "/a.b/", "/\u{e9}"] {
            assert!(matches!(clean_path(path), Cow::Borrowed(same) if same == path), "{path}");
        }
    }

    #[test]
    fn a_location_never_leads_to_another_host() {
        let cases = [
            ("//a.test/", "/a.test/"),
            ("///a.test", "/a.test"),
            ("/\\a.test/", "/%5Ca.test/"),
            ("\\\\a.test/", "/%5C%5Ca.test/"),
            ("/\t/a.test/", "/%09/a.test/"),
            ("/\r\nX-Bad: 1", "/%0D%0AX-Bad:%201"),
        ];
        for (path, expected) in cases {
            assert_eq!(location(path, None), expected);
        }
    }

    #[test]
    fn a_location_keeps_escapes_and_query_as_sent() {
        assert_eq!(location("/a%2Fb%25/%2e%2e/", Some("q=%2F&r=//x")), "/a%2Fb%25/%2e%2e/?q=%2F&r=//x");
        assert_eq!(location("/caf\u{e9}/a|b", Some("caf\u{e9}=\"1\"")), "/caf%C3%A9/a%7Cb?caf%C3%A9=%221%22");
        assert_eq!(location("/a/", Some("")), "/a/", "a query of nothing is none");
    }

    #[test]
    fn a_path_is_walked_slash_by_slash() {
        assert_eq!(step(""), PathStep::End);
        assert_eq!(step("*"), PathStep::End);
        assert_eq!(step("/"), PathStep::Slash);
        assert_eq!(step("/a"), PathStep::Segment("a", ""));
        assert_eq!(step("/a/"), PathStep::Segment("a", "/"));
        assert_eq!(step("/a%2Fb/c"), PathStep::Segment("a%2Fb", "/c"));
        assert_eq!(step("//a"), PathStep::Segment("", "/a"));
    }
}
