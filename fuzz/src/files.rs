//! A file server opens only what lies in its tree, and sends of a file what the file has there, and of nothing else.

use crate::input::Input;
use crate::play::tree::{Settings, response_to};
use crate::reference::served::{is_content, is_safe};

const FIELDS: [&str; 8] = [
    "Range",
    "If-Range",
    "If-None-Match",
    "If-Match",
    "If-Modified-Since",
    "If-Unmodified-Since",
    "Accept-Encoding",
    "Range",
];

/// Letters that say what the server is told to do, the target, and values of the fields above, a line each.
pub fn check(data: &[u8]) {
    let mut lines = Input(data);
    let (settings, target) = (Settings::of(lines.until(b'\n')), lines.until(b'\n'));
    if !target.iter().all(u8::is_ascii_graphic) {
        return;
    }
    let mut head = [settings.method(), b" /", target, b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"].concat();
    let mut has_range = false;
    for name in FIELDS {
        let value = lines.until(b'\n');
        if !value.is_empty() && value.iter().all(|b| (b' '..=b'~').contains(b)) {
            has_range |= name == "Range";
            head.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
        }
    }
    head.extend(b"\r\n");
    let response = response_to(&settings, &head);
    is_safe(&response);
    is_content(&response, has_range);
}
