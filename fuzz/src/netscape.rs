//! A file of cookies is read or refused, and what was read is written as text that reads the same.

use nethttp::Uri;
use nethttp::cookie::{CookieJar, Jar};

use crate::reference::jar;

pub fn check(data: &[u8]) {
    let Ok(read) = Jar::from_netscape(&String::from_utf8_lossy(data)) else { return };
    read.iter().for_each(|cookie| jar::is_sane(&cookie));
    for url in ["https://a.test/", "http://www.a.test/x/y", "http://127.0.0.1/", "https://com/"] {
        if let Some(sent) = read.cookies(&Uri::from_static(url)) {
            assert!(!sent.bytes().any(|b| b.is_ascii_control() && b != b'\t'), "{sent:?}");
        }
    }
    jar::survives(&read);
}
