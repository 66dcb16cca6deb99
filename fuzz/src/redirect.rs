//! A redirect leads where RFC 3986 says, in whatever form the reference comes, and back to nothing that is no URL.

use nethttp::client::IntoUrl;
use nethttp::fuzzing;

use crate::input::Input;
use crate::reference::resolve::resolved;
use crate::reference::url::{is_normal, is_served};

/// The URL that was asked for, and the reference that came back: a line each.
pub fn check(data: &[u8]) {
    let mut lines = Input(data);
    let (base, reference) = (lines.until(b'\n'), lines.0);
    let Some(base) = std::str::from_utf8(base).ok().and_then(|text| text.into_url().ok()) else { return };
    let joined = fuzzing::join(&base, reference);
    if let Ok(joined) = &joined {
        is_normal(joined);
        is_served(joined);
        // Whoever is led there, and is led there again, stays.
        let again = fuzzing::join(joined, joined.to_string().as_bytes()).expect("a URL leads to itself");
        assert_eq!(again, *joined);
        let nowhere = fuzzing::join(joined, b"").expect("so does nothing");
        assert_eq!((nowhere.authority(), nowhere.path()), (joined.authority(), joined.path()));
    }
    // `url` 2.5 does not let `..` go past an empty segment behind one like `c:`, a drive's letter in the URLs of
    // files, whatever the scheme is. RFC 3986 §5.2.4 knows no drives; nobody is led elsewhere by it but the peer
    // that sent such a path.
    if has_drive_letter(base.path().as_bytes()) || has_drive_letter(reference) {
        return;
    }
    let Some(expected) = resolved(&base.to_string(), reference) else { return };
    let expected = expected.as_str().into_url().ok();
    assert_eq!(joined.ok(), expected, "from {base} by {}", reference.escape_ascii());
}

/// Whether a segment is a letter and a colon, or a `|` in its place.
fn has_drive_letter(path: &[u8]) -> bool {
    path.split(|byte| matches!(byte, b'/' | b'\\'))
        .any(|segment| matches!(segment, [letter, b':' | b'|'] if letter.is_ascii_alphabetic()))
}
