//! A URL that is taken is normal, what the URL standard reads, and leads to a request that the server takes; no reference without a host leaves it.

use nethttp::client::IntoUrl;
use nethttp::fuzzing;
use url::Url;

use crate::reference::host::is_host;
use crate::reference::url::{is_normal, is_served};

/// The first line is a host and a URL, the rest a `Location` seen from there.
pub fn check(data: &[u8]) {
    let (text, reference) = data.split_at(data.iter().position(|b| *b == b'\n').unwrap_or(data.len()));
    for needs_port in [false, true] {
        assert_eq!(fuzzing::is_host(text, needs_port), is_host(text, needs_port), "needs a port: {needs_port}");
    }
    let Ok(text) = std::str::from_utf8(text) else { return };
    let Ok(base) = text.into_url() else { return };
    let mut read = Url::parse(&text.replace('\\', "%5C")).expect("what we take is a URL");
    read.set_fragment(None);
    assert_eq!(base.to_string(), read.as_str());
    is_normal(&base);
    is_served(&base);
    let Some(reference) = reference.get(1..) else { return };
    let Ok(joined) = fuzzing::join(&base, reference) else { return };
    is_normal(&joined);
    is_served(&joined);
    let has_host = reference.windows(2).any(|pair| pair == b"//");
    assert!(has_host || joined.authority() == base.authority(), "{joined} is elsewhere");
}
