//! Fields of a head as they are sent, and the version of one.

use std::io::{self, Write};

use http::Version;

use crate::h1::append_field;
use crate::message::{Header, Known};

impl Header {
    /// Writes the field lines as HTTP/1.1 has them, in their order (Go's `Header.Write`): without an empty
    /// line behind them.
    ///
    /// No value ends its line: control characters become spaces. A field whose name is not a token is left
    /// out.
    ///
    /// ```
    /// let header = nethttp::Header::from_iter([("Accept", "text/html"), ("X-Note", "one\r\ntwo")]);
    /// let mut lines = Vec::new();
    /// header.write(&mut lines)?;
    /// assert_eq!(lines, b"Accept: text/html\r\nX-Note: one  two\r\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write(&self, writer: impl Write) -> io::Result<()> {
        self.write_subset(writer, &[])
    }

    /// The same without the fields of these names (Go's `Header.WriteSubset`), which are compared without
    /// regard to ASCII case.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_subset(&self, mut writer: impl Write, excluded: &[&str]) -> io::Result<()> {
        let mut lines = Vec::new();
        for (known, name, value) in self.iter_known() {
            let is_excluded = excluded.iter().any(|other| other.as_bytes().eq_ignore_ascii_case(name));
            if known != Known::NotAToken && !is_excluded {
                append_field(&mut lines, name, value);
            }
        }
        writer.write_all(&lines)
    }
}

/// The version that this text names (Go's `ParseHTTPVersion`): `HTTP/1.0` and `HTTP/1.1`, and `HTTP/0.9`,
/// `HTTP/2.0` and `HTTP/3.0`, which no head has. `None` for all others, in small letters too.
///
/// ```
/// use nethttp::Version;
/// use nethttp::httputil::parse_http_version;
///
/// assert_eq!(parse_http_version("HTTP/1.1"), Some(Version::HTTP_11));
/// assert_eq!(parse_http_version("http/1.1"), None);
/// ```
pub fn parse_http_version(text: &str) -> Option<Version> {
    Some(match text {
        "HTTP/0.9" => Version::HTTP_09,
        "HTTP/1.0" => Version::HTTP_10,
        "HTTP/1.1" => Version::HTTP_11,
        "HTTP/2.0" => Version::HTTP_2,
        "HTTP/3.0" => Version::HTTP_3,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_written_in_order_and_none_ends_a_line() {
        let header = Header::from_iter([("B", "1"), ("a", " 2 "), ("no token", "3"), ("B", "x\r\nC: 4\0")]);
        let mut lines = Vec::new();
        header.write(&mut lines).unwrap();
        assert_eq!(lines.escape_ascii().to_string(), "B: 1\\r\\na: 2\\r\\nB: x  C: 4\\r\\n");
        let mut some = Vec::new();
        header.write_subset(&mut some, &["b", "other"]).unwrap();
        assert_eq!(some, b"a: 2\r\n");
    }

    #[test]
    fn a_version_is_written_in_one_way() {
        for (text, version) in [
            ("HTTP/0.9", Some(Version::HTTP_09)),
            ("HTTP/1.0", Some(Version::HTTP_10)),
            ("HTTP/1.1", Some(Version::HTTP_11)),
            ("HTTP/2.0", Some(Version::HTTP_2)),
            ("HTTP/3.0", Some(Version::HTTP_3)),
            ("HTTP/2", None),
            ("http/1.1", None),
            ("HTTP/1.10", None),
            ("HTTP/1.2", None),
            (" HTTP/1.1", None),
            ("", None),
        ] {
            assert_eq!(parse_http_version(text), version, "{text}");
        }
    }
}
