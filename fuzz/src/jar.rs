//! A jar sends a host only what its own site set, nothing secure in the clear, and survives its own text.

use nethttp::Header;
use nethttp::client::IntoUrl;
use nethttp::cookie::{CookieJar, Jar};

use crate::reference::jar::{SetCookie, is_sane, survives};

/// Each line is a URL that cookies are asked for, or a URL, a tab and what it sets; a `!` at the front
/// sets it two hundred times under as many names.
pub fn check(data: &[u8]) {
    let (jar, mut set) = (Jar::new(), Vec::new());
    for line in data.split(|b| *b == b'\n').take(60) {
        let (line, times) = line.strip_prefix(b"!").map_or((line, 1), |line| (line, 200));
        let at = line.iter().position(|b| *b == b'\t').unwrap_or(line.len());
        let Some(url) = std::str::from_utf8(&line[..at]).ok().and_then(|url| url.into_url().ok()) else { continue };
        let Some(text) = line.get(at + 1..) else {
            let Some(sent) = jar.cookies(&url) else { continue };
            assert!(!sent.is_empty() && !sent.bytes().any(|b| b.is_ascii_control() && b != b'\t'), "{sent:?}");
            for pair in sent.split("; ") {
                let may = set.iter().any(|one: &SetCookie| one.may_send(pair, &url));
                assert!(may, "{pair:?} of {sent:?} for {url} was not set by its site, or is secure");
            }
            continue;
        };
        for number in 0..if text.iter().any(|b| b"\r\0".contains(b)) { 0 } else { times } {
            let text = [if times > 1 { number.to_string() } else { String::new() }.as_bytes(), text].concat();
            jar.set_cookies(&url, &Header::from_iter([("Set-Cookie", &text[..])]));
            set.push(SetCookie::new(&url, &text));
        }
    }
    assert!(jar.iter().count() <= 3000, "a jar without a limit");
    jar.iter().for_each(|cookie| is_sane(&cookie));
    survives(&jar);
}
