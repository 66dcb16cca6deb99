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

/// What becomes of names that begin with a dot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hidden {
    Refused,
    Served,
}

/// Reads the path of a request target as sent, escapes and all. `None` when it cannot name
/// anything that is served. Repeated slashes count as one.
pub(super) fn requested_path(path: &str, hidden: Hidden) -> Option<RequestedPath> {
    let mut relative = PathBuf::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let name = decode(segment)?;
        if !is_servable(&name, hidden) {
            return None;
        }
        relative.push(os_name(name)?);
    }
    let spelling = if path.is_empty() || path.ends_with('/') { Spelling::Slash } else { Spelling::Name };
    Some(RequestedPath { relative, spelling })
}

/// Whether a name may be served, and so be listed. `.` and `..` may not, nor may names with a byte
/// that any platform takes for more than a letter.
pub(super) fn is_servable(name: &[u8], hidden: Hidden) -> bool {
    let begins_well = match name {
        b"" | b"." | b".." => false,
        [b'.', ..] => hidden == Hidden::Served,
        _ => true,
    };
    begins_well && !name.iter().any(|byte| b"/\\:\0".contains(byte)) && !(cfg!(windows) && is_reserved(name))
}

/// Whether Windows takes the name for a device, or for another one: it drops dots and spaces at
/// the end.
fn is_reserved(name: &[u8]) -> bool {
    if name.ends_with(b".") || name.ends_with(b" ") {
        return true;
    }
    let stem = name.split(|byte| *byte == b'.').next().unwrap_or_default().trim_ascii_end().to_ascii_uppercase();
    match stem.as_slice() {
        b"CON" | b"PRN" | b"AUX" | b"NUL" | b"CONIN$" | b"CONOUT$" => true,
        // The digits may be superscript ones, too.
        [b'C', b'O', b'M', digit @ ..] | [b'L', b'P', b'T', digit @ ..] => {
            matches!(digit, [b'0'..=b'9'] | b"\xc2\xb9" | b"\xc2\xb2" | b"\xc2\xb3")
        }
        _ => false,
    }
}

/// Whether a path has an element that leads upwards, by either slash, escaped or not. For programs
/// that make a file's name of the path themselves.
pub(super) fn leads_upwards(path: &str) -> bool {
    let decoded: Vec<u8> = percent_encoding::percent_decode_str(path).collect();
    decoded.split(|byte| matches!(byte, b'/' | b'\\')).any(|element| element == b"..")
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

    fn requested_path(path: &str) -> Option<RequestedPath> {
        super::requested_path(path, Hidden::Refused)
    }

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

    #[test]
    fn hidden_names_are_served_where_that_is_wanted_and_no_way_up_is() {
        for path in ["/.git/config", "/.env", "/...", "/..a"] {
            assert!(super::requested_path(path, Hidden::Served).is_some(), "{path}");
        }
        for path in ["/..", "/.", "/a/../b", "/%2e%2e/a", "/.a%2fb", "/.a:b"] {
            assert_eq!(super::requested_path(path, Hidden::Served), None, "{path}");
        }
    }

    #[test]
    fn names_of_devices_are_known_in_every_spelling() {
        let reserved = ["CON", "con", "nul.txt", "AUX.tar.gz", "com1", "LPT9", "COM\u{b9}.log", "prn .txt", "a.", "a "];
        for name in reserved {
            assert!(is_reserved(name.as_bytes()), "{name}");
        }
        for name in ["console", "com", "com10", "comx", "nulls.txt", "a.con", "lpt", "a"] {
            assert!(!is_reserved(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_way_up_is_seen_by_either_slash_and_through_escapes() {
        for path in ["/..", "/../a", "/a/..", "..", "/a/%2e%2e/b", "/a%2f..%2fb", "/a\\..\\b", "/%2E./a"] {
            assert!(leads_upwards(path), "{path}");
        }
        for path in ["/", "", "/a..b", "/...", "/..a/b..", "/.", "/%252e%252e"] {
            assert!(!leads_upwards(path), "{path}");
        }
    }
}
