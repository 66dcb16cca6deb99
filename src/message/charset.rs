//! Text in the charset that it is said to be in, or that it begins with the mark of.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};

use super::parameters::Parameterized;
use crate::error::{Error, ErrorKind, Result};

/// The text of content. A byte order mark comes first, then the charset of `Content-Type`, then UTF-8
/// (the URL standard's and browsers' order). The mark itself is left out.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a charset that nobody knows; [`ErrorKind::Malformed`] where the bytes
/// are none of it: no character is replaced.
pub(crate) fn decode_text(bytes: Vec<u8>, content_type: Option<&[u8]>) -> Result<String> {
    let (encoding, mark) = match Encoding::for_bom(&bytes) {
        Some(marked) => marked,
        None => (declared(content_type)?.unwrap_or(UTF_8), 0),
    };
    let malformed = || Error::new(ErrorKind::Malformed, format!("the content is no {}", encoding.name()));
    if encoding == UTF_8 && mark == 0 {
        // Not copied.
        return String::from_utf8(bytes).map_err(|error| {
            Error::new(ErrorKind::Malformed, "the content is no UTF-8").with_source(error.utf8_error())
        });
    }
    let content = bytes.get(mark..).unwrap_or_default();
    let text = encoding.decode_without_bom_handling_and_without_replacement(content);
    text.map(Cow::into_owned).ok_or_else(malformed)
}

/// The charset that `Content-Type` names (RFC 9110 §8.3.2), by any of the names that browsers know it by.
fn declared(content_type: Option<&[u8]>) -> Result<Option<&'static Encoding>> {
    let parsed = content_type.and_then(Parameterized::parse);
    let Some(name) = parsed.as_ref().and_then(|parsed| parsed.get("charset")) else { return Ok(None) };
    // What browsers replace by one error character for security's sake is not known here either.
    Encoding::for_label_no_replacement(name).map(Some).ok_or_else(|| {
        let shown: String = String::from_utf8_lossy(name).chars().take(40).flat_map(char::escape_debug).collect();
        Error::new(ErrorKind::Unsupported, format!("the charset {shown} of the content is not known"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], content_type: &str) -> Result<String, ErrorKind> {
        let content_type = Some(content_type.as_bytes()).filter(|value| !value.is_empty());
        decode_text(bytes.to_vec(), content_type).map_err(|error| error.kind())
    }

    #[test]
    fn a_mark_comes_before_the_declared_charset_and_that_before_utf_8() {
        for (bytes, content_type, expected) in [
            (&b"caf\xc3\xa9"[..], "", "caf\u{e9}"),
            (b"caf\xc3\xa9", "text/plain; charset=utf-8", "caf\u{e9}"),
            (b"\xef\xbb\xbfcaf\xc3\xa9", "text/plain", "caf\u{e9}"),
            (b"\xef\xbb\xbfcaf\xc3\xa9", "text/plain; charset=ISO-8859-1", "caf\u{e9}"),
            (b"caf\xe9", "text/html; charset=ISO-8859-1", "caf\u{e9}"),
            (b"caf\xe9 \x80", "text/html;charset=\"windows-1252\"", "caf\u{e9} \u{20ac}"),
            (b"caf\xe9", "text/html; Charset=latin1", "caf\u{e9}"),
            (b"a\0\xe9\0", "text/plain; charset=utf-16", "a\u{e9}"),
            (b"a\0\xe9\0", "text/plain; charset=utf-16le", "a\u{e9}"),
            (b"\0a\0\xe9", "text/plain; charset=utf-16be", "a\u{e9}"),
            (b"\xff\xfea\0\xe9\0", "text/plain", "a\u{e9}"),
            (b"\xfe\xff\0a\0\xe9", "", "a\u{e9}"),
            (b"\x93\xfa\x96\x7b", "text/plain; charset=shift_jis", "\u{65e5}\u{672c}"),
            (b"plain", "text/plain; charset=us-ascii", "plain"),
            (b"", "text/plain; charset=utf-16", ""),
            (b"caf\xc3\xa9", "no type at all; charset=latin1", "caf\u{e9}"),
        ] {
            assert_eq!(text(bytes, content_type), Ok(expected.to_owned()), "{bytes:?} {content_type}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_says_so() {
        for (bytes, content_type, kind) in [
            (&b"caf\xe9"[..], "", ErrorKind::Malformed),
            (b"caf\xe9", "text/plain; charset=utf-8", ErrorKind::Malformed),
            (b"\xef\xbb\xbfcaf\xe9", "", ErrorKind::Malformed),
            (b"\0", "text/plain; charset=utf-16be", ErrorKind::Malformed),
            (b"\xdc\x00", "text/plain; charset=utf-16be", ErrorKind::Malformed),
            (b"caf", "text/plain; charset=klingon", ErrorKind::Unsupported),
            (b"caf", "text/plain; charset=utf-7", ErrorKind::Unsupported),
            (b"caf", "text/plain; charset=iso-2022-kr", ErrorKind::Unsupported),
        ] {
            assert_eq!(text(bytes, content_type), Err(kind), "{bytes:?} {content_type}");
        }
        let error = decode_text(Vec::new(), Some(b"text/plain; charset=klingon")).unwrap_err();
        assert_eq!(error.to_string(), "the charset klingon of the content is not known");
    }
}
