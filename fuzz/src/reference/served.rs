//! What a file server's answers may be (RFC 9110 §14 and §15).

use super::fields::values;
use crate::play::tree::{CONTENT, FileResponse, HIDDEN_NAME, UNSAFE_NAME};

const STATUSES: [u16; 12] = [200, 206, 301, 302, 304, 307, 308, 400, 403, 404, 412, 416];

fn field<'a>(response: &'a FileResponse, name: &str) -> Option<&'a str> {
    let value = values(&response.fields, name).into_iter().next()?;
    Some(std::str::from_utf8(value).expect("it is written as text"))
}

/// It leads nowhere else, and shows nothing but text on a page.
pub fn is_safe(response: &FileResponse) {
    assert!(STATUSES.contains(&response.status), "{}", response.status);
    if let Some(location) = field(response, "Location") {
        let path = location.split('?').next().unwrap_or(location);
        assert!(!path.starts_with("//") && !path.contains('\\') && !path.contains("://"), "{location}");
    }
    if response.content != **CONTENT
        && field(response, "Content-Type").is_some_and(|kind| kind.starts_with("text/html"))
    {
        let page = String::from_utf8_lossy(&response.content);
        assert!(!page.contains(UNSAFE_NAME) && !page.contains(HIDDEN_NAME), "{page}");
    }
}

/// A part of a file is that part, and the whole is whole.
pub fn is_content(response: &FileResponse, has_range: bool) {
    // A request that is refused while it is read has no method yet, and its connection ends.
    assert!(!response.is_head || response.status == 400 || response.content.is_empty(), "content for HEAD");
    assert!(response.status != 304 || response.content.is_empty(), "content with 304");
    if response.status != 206 || response.is_head {
        return;
    }
    // A part may be one of `a.txt.gz`, whose bytes are the same here: of what is encoded on the way it would not be.
    assert!(has_range, "nobody asked for a part: {response:?}");
    if let Some(range) = field(response, "Content-Range") {
        return assert_eq!(response.content, part(range), "{range}");
    }
    let kind = field(response, "Content-Type").expect("parts have a type");
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").expect("it has a boundary");
    let all = parts(&response.content, boundary).unwrap_or_else(|| panic!("{}", response.content.escape_ascii()));
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
