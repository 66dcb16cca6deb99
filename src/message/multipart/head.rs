//! The head of a part: its fields, its name, and its file's name.

use percent_encoding::percent_decode;

use crate::error::Result;
use crate::message::form::malformed;
use crate::message::header::Header;
use crate::message::octets::{has_control, is_token};
use crate::message::parameters::{Parameterized, trim};

/// The head of a part.
#[derive(Debug, Default)]
pub(super) struct PartHead {
    pub(super) header: Header,
    /// Empty where there is none.
    pub(super) name: String,
    pub(super) file_name: Option<String>,
}

impl PartHead {
    /// Reads whole field lines, by the strict rules of a message's head (RFC 9112 §5).
    pub(super) fn parse(head: &[u8]) -> Result<PartHead> {
        let mut header = Header::new();
        for line in head.split_inclusive(|&b| b == b'\n') {
            let (name, value) = field(line)?;
            header.add(name, value);
        }
        let mut dispositions = header.values_bytes("Content-Disposition");
        let (name, file_name) = match (dispositions.next(), dispositions.next()) {
            (Some(disposition), None) => names(disposition).unwrap_or_default(),
            // Of two, another reader might choose the other one: the part has no name, as if there were
            // none. The other parts are as good as they were (Go's rule for what is malformed).
            _ => (String::new(), None),
        };
        drop(dispositions);
        Ok(PartHead { header, name, file_name })
    }
}

fn field(line: &[u8]) -> Result<(&str, &[u8])> {
    let Some(line) = line.strip_suffix(b"\r\n").filter(|line| !has_control(line)) else {
        return Err(malformed("a line feed alone, or a control character, in the head of a part"));
    };
    let (name, value) = match memchr::memchr(b':', line).and_then(|at| line.split_at_checked(at)) {
        Some((name, [b':', value @ ..])) if is_token(name) => (name, value),
        // A folded line too: what continues a field begins with a blank (RFC 9112 §5.2).
        _ => return Err(malformed("a line in the head of a part that is no field")),
    };
    let name = std::str::from_utf8(name).map_err(|_| malformed("a field name of a part that is no token"))?;
    Ok((name, trim(value)))
}

/// The names of a part and of its file (RFC 7578 §4.2). `None` where the field is malformed, or one of
/// the names is not UTF-8: a replacement character would make two names one, and a file without its
/// name would be taken for a value.
fn names(disposition: &[u8]) -> Option<(String, Option<String>)> {
    let disposition = Parameterized::parse(disposition)?;
    let name = match disposition.get("name") {
        Some(name) if disposition.value == "form-data" => text(name)?,
        _ => String::new(),
    };
    // RFC 7578 forbids `filename*`, and yet some send it, alone or as a second spelling.
    let file_name = match (disposition.get("filename"), disposition.get("filename*")) {
        (Some(plain), _) => text(plain)?,
        (None, Some(extended)) => extended_value(extended)?,
        (None, None) => return Some((name, None)),
    };
    Some((name, last_component(&file_name).map(str::to_owned)))
}

fn text(value: &[u8]) -> Option<String> {
    std::str::from_utf8(value).ok().map(str::to_owned)
}

/// `UTF-8'language'text`, with escapes (RFC 8187 §3.2).
fn extended_value(value: &[u8]) -> Option<String> {
    let mut pieces = value.splitn(3, |&b| b == b'\'');
    let decoded = match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(charset), Some(_), Some(text)) if charset.eq_ignore_ascii_case(b"utf-8") => {
            percent_decode(text).decode_utf8().ok()
        }
        _ => None,
    };
    decoded.filter(|text| !has_control(text.as_bytes())).map(Into::into)
}

/// The name without directories, of whatever system: the part's sender may not choose where a
/// file goes. `None` where no name is left.
fn last_component(path: &str) -> Option<&str> {
    let name = path.rsplit(['/', '\\']).find(|component| !component.is_empty())?;
    (name != "." && name != "..").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(head: &str) -> PartHead {
        PartHead::parse(head.as_bytes()).unwrap_or_else(|error| panic!("{head:?}: {error}"))
    }

    #[test]
    fn a_part_has_its_name_and_its_files_name() {
        let cases = [
            ("", "", None),
            ("Content-Type: text/plain\r\n", "", None),
            ("content-disposition:form-data; name=\"a b\"\r\n", "a b", None),
            ("Content-Disposition: form-data; name=a; filename=\"b.txt\"\r\n", "a", Some("b.txt")),
            ("Content-Disposition: form-data; name=a; filename=\"\"\r\n", "a", None),
            ("Content-Disposition: attachment; name=a; filename=b\r\n", "", Some("b")),
            ("Content-Disposition: form-data; filename*=utf-8'en'%e2%82%ac.txt\r\n", "", Some("\u{20ac}.txt")),
            ("Content-Disposition: form-data; filename*=UTF-8''no; filename=yes\r\n", "", Some("yes")),
        ];
        for (head, name, file_name) in cases {
            let part = parse(head);
            assert_eq!((part.name.as_str(), part.file_name.as_deref()), (name, file_name), "{head:?}");
        }
    }

    #[test]
    fn directories_are_taken_off_a_files_name() {
        let cases = [
            ("a.txt", Some("a.txt")),
            ("/etc/passwd", Some("passwd")),
            ("../../a.txt", Some("a.txt")),
            (r"C:\dir\a.txt", Some("a.txt")),
            (r"..\a/b\c", Some("c")),
            ("dir/", Some("dir")),
            ("/", None),
            ("..", None),
            (r"a\..", None),
            ("a/.", None),
            ("...", Some("...")),
            (".hidden", Some(".hidden")),
        ];
        for (path, name) in cases {
            assert_eq!(last_component(path), name, "{path}");
        }
    }

    #[test]
    fn a_part_whose_disposition_is_malformed_has_no_name() {
        for head in [
            &b"Content-Disposition: form-data; name=\"a\r\n"[..],
            b"Content-Disposition: form-data; name=a; name=b\r\n",
            b"Content-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=b\r\n",
            b"Content-Disposition: form-data; name=a; filename*=latin1''a\r\n",
            b"Content-Disposition: form-data; name=a; filename*=UTF-8''a%00b\r\n",
            b"Content-Disposition: form-data; name=a; filename*=UTF-8''%ff\r\n",
            b"Content-Disposition: form-data; name=a; filename*=a\r\n",
            b"Content-Disposition: form-data; name=\xff\r\n",
            b"Content-Disposition: form-data; name=a; filename=\"\xfe\"\r\n",
        ] {
            let shown = String::from_utf8_lossy(head);
            let part = PartHead::parse(head).unwrap_or_else(|error| panic!("{shown}: {error}"));
            assert_eq!((part.name.as_str(), part.file_name), ("", None), "{shown}");
            assert!(part.header.contains("Content-Disposition"), "{shown}");
        }
    }

    #[test]
    fn fields_are_kept_in_order_with_their_blanks_taken_off() {
        let part = parse("X-A:  1 \r\nx-b:\r\nX-A:\t2\r\n");
        let fields: Vec<_> = part.header.iter().collect();
        assert_eq!(fields, [("X-A", &b"1"[..]), ("x-b", b""), ("X-A", b"2")]);
    }

    #[test]
    fn what_is_no_field_line_is_refused() {
        for head in [
            "X-A: 1\n",
            "X-A: 1\r\nX-B: 2\n\r\n",
            "X-A : 1\r\n",
            " X-A: 1\r\n",
            "X-A: 1\r\n folded\r\n",
            ": 1\r\n",
            "X-A\r\n",
            "X-\u{e9}: 1\r\n",
            "X-A: a\rb\r\n",
            "X-A: a\0b\r\n",
        ] {
            assert!(PartHead::parse(head.as_bytes()).is_err(), "{head:?}");
        }
    }
}
