//! Maps the path of a request to a path below the root: a pure function.
//!
//! Names are unescaped once and checked afterwards, so that no escape can hide what it stands for.
//! Which names may be served depends on the system that they are looked up on. That system is a value
//! here, so that the rules of all systems are tested on each of them. A colon and a backslash are
//! ordinary letters on Unix, and are served there; on Windows they lead elsewhere (`C:`, `a\b`,
//! `file::$DATA`) and are refused. [`Names::Portable`] has the strictest rules everywhere.

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

/// How names that begin with a dot are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hidden {
    Refused,
    Served,
}

/// Which names are served at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// Those that the system can have.
    OfTheSystem,
    /// Those that every system can have.
    Portable,
}

/// Which names a tree of files serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameRules {
    pub(super) hidden: Hidden,
    pub(super) names: Names,
}

impl NameRules {
    /// The default: what is served unless a program says otherwise.
    pub(super) const DEFAULT: NameRules = NameRules { hidden: Hidden::Refused, names: Names::OfTheSystem };
}

/// The system whose rules for names hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    /// Every byte but the slash and NUL is ordinary.
    Unix,
    /// Some characters are ignored where names are compared.
    Apple,
    /// A file has several names, and some names are devices.
    Windows,
}

impl System {
    const ALL: [System; 3] = [System::Unix, System::Apple, System::Windows];

    /// The system that this is built for. Systems other than Unix get the strictest rules.
    const OWN: System = if cfg!(target_vendor = "apple") {
        System::Apple
    } else if cfg!(unix) {
        System::Unix
    } else {
        System::Windows
    };
}

/// Reads the path of a request target as sent, escapes and all. `None` when it cannot name
/// anything that is served. Repeated slashes count as one.
pub(super) fn requested_path(path: &str, rules: NameRules) -> Option<RequestedPath> {
    let (names, spelling) = requested_names(path, |name| has_servable_bytes(name, rules))?;
    let mut relative = PathBuf::new();
    for name in names {
        relative.push(os_name(name)?);
    }
    Some(RequestedPath { relative, spelling })
}

/// The same without its types, for the fuzz targets.
#[cfg(fuzzing)]
pub(crate) fn relative_path(path: &str, hidden: bool, portable: bool) -> Option<PathBuf> {
    let hidden = if hidden { Hidden::Served } else { Hidden::Refused };
    let names = if portable { Names::Portable } else { Names::OfTheSystem };
    requested_path(path, NameRules { hidden, names }).map(|requested| requested.relative)
}

/// Whether a name of a file may be served here, and so be listed.
pub(super) fn is_servable(name: &OsStr, rules: NameRules) -> bool {
    has_servable_bytes(name.as_encoded_bytes(), rules)
}

fn has_servable_bytes(name: &[u8], rules: NameRules) -> bool {
    match rules.names {
        Names::OfTheSystem => is_servable_on(System::OWN, name, rules.hidden),
        Names::Portable => System::ALL.into_iter().all(|system| is_servable_on(system, name, rules.hidden)),
    }
}

/// The names on the way from the root on.
fn requested_names(path: &str, is_servable: impl Fn(&[u8]) -> bool) -> Option<(Vec<Vec<u8>>, Spelling)> {
    let mut names = Vec::new();
    for segment in path.split('/').filter(|segment| !segment.is_empty()) {
        let name = decode(segment)?;
        if !is_servable(&name) {
            return None;
        }
        names.push(name);
    }
    let spelling = if path.is_empty() || path.ends_with('/') { Spelling::Slash } else { Spelling::Name };
    Some((names, spelling))
}

/// `.` and `..` may not be served, nor may names with a byte that the system takes for more than a
/// letter. A slash in a name was escaped (`%2F`): it would be a path of its own.
fn is_servable_on(system: System, name: &[u8], hidden: Hidden) -> bool {
    let (read, is_another) = match system {
        System::Unix => (name, false),
        System::Apple => (without_ignored(name), name.eq_ignore_ascii_case(b"..namedfork")),
        System::Windows => (name, is_another_on_windows(name)),
    };
    let begins_well = match read {
        b"" | b"." | b".." => false,
        [b'.', ..] => hidden == Hidden::Served,
        _ => true,
    };
    begins_well && !is_another && !name.iter().any(|byte| matches!(byte, b'/' | b'\0'))
}

/// HFS+ finds `.git` by a name with any of these before it.
fn without_ignored(mut name: &[u8]) -> &[u8] {
    while let [0xe2, 0x80, 0x8c..=0x8f | 0xaa..=0xae, rest @ ..]
    | [0xe2, 0x81, 0xaa..=0xaf, rest @ ..]
    | [0xef, 0xbb, 0xbf, rest @ ..] = name
    {
        name = rest;
    }
    name
}

/// Whether Windows would open something else under this name, or a file that has another name: another
/// drive or directory, a stream of a file (`a.txt::$DATA` is what `a.txt` has, whatever is served for
/// `.txt`), a device, a file without the dots and spaces at the end, one by its short name, anything by
/// a pattern. Names are Unicode there.
fn is_another_on_windows(name: &[u8]) -> bool {
    name.ends_with(b".")
        || name.ends_with(b" ")
        || name.iter().any(|byte| *byte < b' ' || b"\\:<>\"|?*".contains(byte))
        || std::str::from_utf8(name).is_err()
        || is_device(name)
        || is_short(name)
}

/// `CON`, whatever extension it has, is the console.
fn is_device(name: &[u8]) -> bool {
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

/// `GIT~1` is `.git`. What only looks like a short name is refused with those that are.
fn is_short(name: &[u8]) -> bool {
    let mut parts = name.split(|byte| *byte == b'.');
    let (stem, extension) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let number = stem.iter().rposition(|byte| *byte == b'~').and_then(|at| stem.get(at + 1..)).unwrap_or_default();
    let is_numbered = !number.is_empty() && number.iter().all(u8::is_ascii_digit);
    is_numbered && stem.len() <= 8 && extension.len() <= 3 && parts.next().is_none()
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
        super::requested_path(path, NameRules::DEFAULT)
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
            "/a%00",
            "/a%00.txt",
            "/%00",
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
            let read =
                requested_names(&format!("/{encoded}"), |name| is_servable_on(System::Unix, name, Hidden::Refused));
            assert_eq!(read, Some((vec![name.as_bytes().to_vec()], Spelling::Name)));
        }
    }

    #[test]
    fn hidden_names_are_served_where_that_is_wanted_and_no_way_up_is() {
        for path in ["/.git/config", "/.env", "/...", "/..a"] {
            assert!(
                super::requested_path(path, NameRules { hidden: Hidden::Served, ..NameRules::DEFAULT }).is_some(),
                "{path}"
            );
        }
        for path in ["/..", "/.", "/a/../b", "/%2e%2e/a", "/.a%2fb"] {
            assert_eq!(
                super::requested_path(path, NameRules { hidden: Hidden::Served, ..NameRules::DEFAULT }),
                None,
                "{path}"
            );
        }
    }

    /// Whether these names are served on Unix, on Apple's systems and on Windows.
    const ON_EACH: [(&str, [bool; 3]); 62] = [
        ("a", [true, true, true]),
        ("a.txt", [true, true, true]),
        ("a b", [true, true, true]),
        ("né", [true, true, true]),
        ("-", [true, true, true]),
        ("~", [true, true, true]),
        ("a..b", [true, true, true]),
        (".", [false, false, false]),
        ("..", [false, false, false]),
        (".git", [false, false, false]),
        ("...", [false, false, false]),
        ("a/b", [false, false, false]),
        ("a\\b", [true, true, false]),
        ("..\\..", [false, false, false]),
        ("\\\\server\\share", [true, true, false]),
        ("C:", [true, true, false]),
        ("a.txt::$DATA", [true, true, false]),
        (".git::$INDEX_ALLOCATION", [false, false, false]),
        ("a\0", [false, false, false]),
        // Dots and spaces at the end.
        ("a.", [true, true, false]),
        ("a ", [true, true, false]),
        ("a. .", [true, true, false]),
        (" a", [true, true, true]),
        // Devices.
        ("CON", [true, true, false]),
        ("con", [true, true, false]),
        ("nul.txt", [true, true, false]),
        ("AUX.tar.gz", [true, true, false]),
        ("prn .txt", [true, true, false]),
        ("com0", [true, true, false]),
        ("LPT9", [true, true, false]),
        ("COM\u{b9}.log", [true, true, false]),
        ("CONIN$", [true, true, false]),
        ("conout$.x", [true, true, false]),
        ("console", [true, true, true]),
        ("com", [true, true, true]),
        ("com10", [true, true, true]),
        ("comx", [true, true, true]),
        ("nulls.txt", [true, true, true]),
        ("a.con", [true, true, true]),
        ("lpt", [true, true, true]),
        // Short names.
        ("GIT~1", [true, true, false]),
        ("progra~1", [true, true, false]),
        ("SECRET~2.TXT", [true, true, false]),
        ("~1", [true, true, false]),
        ("a~12.c", [true, true, false]),
        ("a~", [true, true, true]),
        ("a~b", [true, true, true]),
        ("a~1~b", [true, true, true]),
        ("program~1", [true, true, true]),
        ("a~1.html", [true, true, true]),
        ("a~1.b.c", [true, true, true]),
        // Patterns, and what is not a letter.
        ("a*", [true, true, false]),
        ("a?", [true, true, false]),
        ("a<b>", [true, true, false]),
        ("a|b", [true, true, false]),
        ("a\"", [true, true, false]),
        ("a\n", [true, true, false]),
        // Letters that do not count.
        ("\u{200c}.git", [true, false, true]),
        ("\u{feff}\u{206a}.git", [true, false, true]),
        ("\u{202e}", [true, false, true]),
        ("\u{200c}a", [true, true, true]),
        ("..namedfork", [false, false, false]),
    ];

    #[test]
    fn each_system_has_its_names() {
        for (name, expected) in ON_EACH {
            let served = |system| is_servable_on(system, name.as_bytes(), Hidden::Refused);
            let served = [System::Unix, System::Apple, System::Windows].map(served);
            assert_eq!(served, expected, "{name:?}");
        }
    }

    #[test]
    fn a_portable_name_is_one_that_every_system_has() {
        let portable = NameRules { names: Names::Portable, ..NameRules::DEFAULT };
        for (name, expected) in ON_EACH {
            assert_eq!(has_servable_bytes(name.as_bytes(), portable), expected == [true; 3], "{name:?}");
        }
        for path in
            ["/a%5cb", "/a\\b", "/..\\..\\windows", "/%5c%5cserver%5cshare", "/C:", "/c%3a/windows", "/a%3A%3A$DATA"]
        {
            assert_eq!(super::requested_path(path, portable), None, "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_colon_and_a_backslash_are_letters_on_unix_and_lead_nowhere() {
        for (path, relative) in [
            ("/a%5cb", "a\\b"),
            ("/a\\b", "a\\b"),
            ("/%5c%5cserver%5cshare", "\\\\server\\share"),
            ("/C:", "C:"),
            ("/c%3a/windows", "c:/windows"),
            ("/12:30.log", "12:30.log"),
            ("/a.txt%3A%3A$DATA", "a.txt::$DATA"),
        ] {
            let requested = requested_path(path).expect(path);
            assert_eq!(requested.relative, PathBuf::from(relative), "{path}");
            let are_plain = requested.relative.components().all(|part| matches!(part, std::path::Component::Normal(_)));
            assert!(are_plain, "{path}");
        }
        assert_eq!(requested_path("/..\\..\\windows"), None, "as any name that begins with a dot");
    }

    #[test]
    fn what_is_refused_as_a_name_is_refused_in_every_place_and_spelling() {
        for system in [System::Unix, System::Apple, System::Windows] {
            for (name, _) in ON_EACH {
                let escaped: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
                let is_served = is_servable_on(system, name.as_bytes(), Hidden::Refused);
                for path in [format!("/{escaped}"), format!("/{escaped}/a"), format!("/a/{escaped}/"), escaped] {
                    let names = requested_names(&path, |name| is_servable_on(system, name, Hidden::Refused));
                    assert_eq!(names.is_some(), is_served, "{name:?} as {path} on {system:?}");
                }
            }
        }
    }

    #[test]
    fn where_hidden_names_are_served_other_names_of_theirs_are_not() {
        let served = |system, name: &str| is_servable_on(system, name.as_bytes(), Hidden::Served);
        for system in [System::Unix, System::Apple, System::Windows] {
            assert!(served(system, ".git") && !served(system, "..") && !served(system, "."), "{system:?}");
        }
        assert!(served(System::Unix, "..namedfork") && !served(System::Apple, "..NamedFork"));
        assert!(!served(System::Apple, "\u{200c}..") && !served(System::Windows, "GIT~1"));
    }

    #[test]
    fn a_name_that_is_no_unicode_is_one_where_names_are_bytes() {
        let served = |system| is_servable_on(system, b"caf\xe9", Hidden::Refused);
        assert!(served(System::Unix) && served(System::Apple) && !served(System::Windows));
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
