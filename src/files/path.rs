//! From the path of a request to a path below the root: one pure rule, the same everywhere.
//!
//! Names are decoded once and judged afterwards, so that no escape can hide what it stands for.
//! A name that means something on one platform only (`C:`, `a\b`, `file::$DATA`) is refused on
//! all of them: what is safe must not depend on where the program was built.

use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::path::PathBuf;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// What a request's path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct RequestedPath {
    /// Relative to the root; empty for the root itself. Only plain names: nothing in it leads
    /// upwards or starts anew.
    pub(super) relative: PathBuf,
    pub(super) spelling: Spelling,
}

/// How the path ends. Links in a page are resolved against it, so it must fit what is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// With a slash, as a directory's should.
    Slash,
    /// With a name, as a file's should.
    Name,
}

/// Reads the path of a request target as sent, escapes and all. `None` when it cannot name
/// anything that is served. Repeated slashes count as one.
pub(super) fn requested_path(path: &str) -> Option<RequestedPath> {
    let mut relative = PathBuf::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let name = decode(segment)?;
        if !is_servable(&name) {
            return None;
        }
        relative.push(os_name(name)?);
    }
    let spelling = if path.is_empty() || path.ends_with('/') { Spelling::Slash } else { Spelling::Name };
    Some(RequestedPath { relative, spelling })
}

/// Whether a name may be served, and so be listed. Hidden names may not, and with them `.` and
/// `..`; nor may those with a byte that any platform takes for more than a letter.
pub(super) fn is_servable(name: &[u8]) -> bool {
    !name.is_empty() && !name.starts_with(b".") && !name.iter().any(|byte| b"/\\:\0".contains(byte))
}

/// A name as one segment of a relative reference. Everything but RFC 3986's unreserved
/// characters is escaped: no name can end the segment, or the attribute that it stands in.
pub(super) fn encode_name(name: &OsStr) -> impl Display + '_ {
    percent_encode(name.as_encoded_bytes(), BUT_UNRESERVED)
}

const BUT_UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Resolves the escapes, once. `None` when one is malformed: another reader might resolve it
/// differently.
fn decode(segment: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' { hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)? } else { byte });
    }
    Some(decoded)
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(unix)]
fn os_name(name: Vec<u8>) -> Option<OsString> {
    Some(std::os::unix::ffi::OsStringExt::from_vec(name))
}

#[cfg(not(unix))]
fn os_name(name: Vec<u8>) -> Option<OsString> {
    String::from_utf8(name).ok().map(OsString::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_plain_names_is_served() {
        let cases = [
            ("", "", Spelling::Slash),
            ("/", "", Spelling::Slash),
            ("//", "", Spelling::Slash),
            ("/a.txt", "a.txt", Spelling::Name),
            ("a.txt", "a.txt", Spelling::Name),
            ("/dir/", "dir", Spelling::Slash),
            ("/dir/sub/a", "dir/sub/a", Spelling::Name),
            ("//dir///a//", "dir/a", Spelling::Slash),
            ("/a%20b", "a b", Spelling::Name),
            ("/%61%2Etxt", "a.txt", Spelling::Name),
            ("/caf%C3%A9", "café", Spelling::Name),
            ("/100%25", "100%", Spelling::Name),
            ("/%252e%252e", "%2e%2e", Spelling::Name),
            ("/a..b", "a..b", Spelling::Name),
            ("/a+b~c", "a+b~c", Spelling::Name),
        ];
        for (path, relative, spelling) in cases {
            let expected = RequestedPath { relative: relative.into(), spelling };
            assert_eq!(requested_path(path), Some(expected), "{path}");
        }
    }

    #[test]
    fn a_path_that_could_mean_another_place_is_refused() {
        let cases = [
            "/..",
            "/../etc/passwd",
            "/a/../../b",
            "/a/..",
            "/a/../",
            "/.",
            "/a/./b",
            "/%2e%2e",
            "/%2e%2e/etc/passwd",
            "/.%2E/a",
            "/%2e./a",
            "/%2e",
            "/a%2fb",
            "/a%2Fb",
            "/%2f",
            "/..%2f..%2fetc%2fpasswd",
            "/a%5cb",
            "/a%5Cb",
            "/a\\b",
            "/..\\..\\windows",
            "/%5c%5cserver%5cshare",
            "/a%00",
            "/a%00.txt",
            "/%00",
            "/C:",
            "/c:/windows",
            "/c%3a/windows",
            "/a.txt::$DATA",
            "/a.txt%3A%3A$DATA",
        ];
        for path in cases {
            assert_eq!(requested_path(path), None, "{path}");
        }
    }

    #[test]
    fn hidden_names_are_refused_at_every_depth() {
        for path in ["/.git", "/.git/config", "/a/.env", "/%2egit/config", "/.hidden/"] {
            assert_eq!(requested_path(path), None, "{path}");
        }
    }

    #[test]
    fn a_malformed_escape_is_refused() {
        for path in ["/%", "/%2", "/%zz", "/%2g", "/a%+1", "/%%35%63", "/%\u{e9}a"] {
            assert_eq!(requested_path(path), None, "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_no_utf8_is_served_and_encoded_back() {
        let requested = requested_path("/caf%E9").unwrap();
        let name = requested.relative.file_name().unwrap();
        assert_eq!(name.as_encoded_bytes(), b"caf\xe9");
        assert_eq!(encode_name(name).to_string(), "caf%E9");
    }

    #[test]
    fn an_encoded_name_is_one_inert_segment_and_reads_back() {
        for name in ["a b", "\"><script>", "x?y#z", "100%", "&amp;", "a;b=c", "@user", "né", "-._~", "\r\n"] {
            let encoded = encode_name(OsStr::new(name)).to_string();
            let inert = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%".contains(&byte);
            assert!(encoded.bytes().all(inert), "{encoded}");
            assert_eq!(requested_path(&format!("/{encoded}")).map(|path| path.relative), Some(name.into()));
        }
    }
}
