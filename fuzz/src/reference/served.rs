//! What a file server's answers may be (RFC 9110 §14 and §15).

use super::fields::values;
use crate::play::tree::{Answer, CONTENT, HIDDEN_NAME, UNSAFE_NAME};

const STATUSES: [u16; 12] = [200, 206, 301, 302, 304, 307, 308, 400, 403, 404, 412, 416];

fn field<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let value = values(&answer.fields, name).into_iter().next()?;
    Some(std::str::from_utf8(value).expect("it is written as text"))
}

/// It leads nowhere else, and shows nothing but text on a page.
pub fn is_safe(answer: &Answer) {
    assert!(STATUSES.contains(&answer.status), "{}", answer.status);
    if let Some(location) = field(answer, "Location") {
        let path = location.split('?').next().unwrap_or(location);
        assert!(!path.starts_with("//") && !path.contains('\\') && !path.contains("://"), "{location}");
    }
    if answer.content != **CONTENT && field(answer, "Content-Type").is_some_and(|kind| kind.starts_with("text/html")) {
        let page = String::from_utf8_lossy(&answer.content);
        assert!(!page.contains(UNSAFE_NAME) && !page.contains(HIDDEN_NAME), "{page}");
    }
}

/// A part of a file is that part, and the whole is whole.
pub fn is_content(answer: &Answer, has_range: bool) {
    // A request that is refused while it is read has no method yet, and its connection ends.
    assert!(!answer.is_head || answer.status == 400 || answer.content.is_empty(), "content for HEAD");
    assert!(answer.status != 304 || answer.content.is_empty(), "content with 304");
    if answer.status != 206 || answer.is_head {
        return;
    }
    assert!(has_range && field(answer, "Content-Encoding").is_none(), "nobody asked for a part: {answer:?}");
    if let Some(range) = field(answer, "Content-Range") {
        return assert_eq!(answer.content, part(range), "{range}");
    }
    let kind = field(answer, "Content-Type").expect("parts have a type");
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect("it has a boundary");
    let all = parts(&answer.content, boundary).unwrap_or_else(|| panic!("{}", answer.content.escape_ascii()));
    assert!(all.len() > 1 && all.iter().map(|part| part.len()).sum::<usize>() <= CONTENT.len(), "{}", all.len());
}

/// The part that a `Content-Range` names.
fn part(range: &str) -> &'static [u8] {
    let range = range.strip_prefix("bytes ").and_then(|range| range.strip_suffix("/1000")).expect("a part of it");
    let (first, last) = range.split_once('-').expect("two positions");
    let [first, last] = [first, last].map(|position| position.parse::<usize>().expect("a position"));
    &CONTENT[first..=last]
}

/// The contents of `multipart/byteranges`, each compared with what it is a part of.
fn parts(mut rest: &[u8], boundary: &str) -> Option<Vec<&'static [u8]>> {
    let mut all = Vec::new();
    loop {
        rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
        rest = rest.strip_prefix(b"--")?.strip_prefix(boundary.as_bytes())?;
        if rest == b"--\r\n" {
            return Some(all);
        }
        let end = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&rest[..end]).ok()?;
        let part = part(head.lines().find_map(|line| line.strip_prefix("Content-Range: "))?);
        rest = rest[end + 4..].strip_prefix(part)?;
        all.push(part);
    }
}
