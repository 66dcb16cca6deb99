//! Origins as settings name them, in the form in which browsers send them.

use crate::h1::{Port, is_host};

/// A scheme, host and port that a setting names, as a browser writes them in `Origin` (the Fetch standard, "the
/// Origin header"; RFC 6454 §6.2): in lower case, and without a port that the scheme has anyway.
///
/// `None` where the text is no origin. A path, be it only the slash at the end, is the usual mistake: no browser
/// sends one, so such an origin would never match.
pub(super) fn normalized_origin(text: &str) -> Option<String> {
    let (scheme, authority) = text.split_once("://")?;
    let starts_with_letter = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
    let is_scheme =
        starts_with_letter && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
    // `*` and `@` are legal in a URL's authority, and mean something else to whoever writes them here.
    if !is_scheme || authority.contains(['*', '@']) || !is_host(authority.as_bytes(), Port::Optional) {
        return None;
    }
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let default_port = match scheme.as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => ":",
    };
    let authority = authority.strip_suffix(default_port).or(authority.strip_suffix(':')).unwrap_or(&authority);
    Some(format!("{scheme}://{authority}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        for (text, origin) in [
            ("https://a.test", "https://a.test"),
            ("HTTPS://A.Test:443", "https://a.test"),
            ("http://a.test:80", "http://a.test"),
            ("http://a.test:443", "http://a.test:443"),
            ("http://a.test:", "http://a.test"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://[::80]", "http://[::80]"),
            ("chrome-extension://abcdef", "chrome-extension://abcdef"),
        ] {
            assert_eq!(normalized_origin(text).as_deref(), Some(origin), "{text}");
        }
    }

    #[test]
    fn what_no_browser_would_send_is_no_origin() {
        for text in [
            "",
            "*",
            "null",
            "a.test",
            "https://",
            "https://a.test/",
            "https://a.test/x",
            "https://a.test?x",
            "https://a.test#x",
            "https://*.a.test",
            "https://u@a.test",
            "://a.test",
            "1http://a.test",
            "https://a.test:x",
            "https://a b",
            "https://bücher.test",
            "https://a.test, https://b.test",
        ] {
            assert_eq!(normalized_origin(text), None, "{text}");
        }
    }
}
