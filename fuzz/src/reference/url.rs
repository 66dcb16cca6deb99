//! The invariants of every URL that is accepted.

use nethttp::Uri;
use nethttp::client::IntoUrl;
use nethttp::fuzzing::host_field;

use super::host::is_host;
use crate::heads::{self, LIMITS};

/// It is in its normal form already.
pub fn is_normal(url: &Uri) {
    let text = url.to_string();
    assert_eq!(text.as_str().into_url().expect("a normal URL is a URL"), text.as_str());
    assert_eq!(url.into_url().expect("so is its Uri"), *url);
    assert!(text.starts_with("http://") || text.starts_with("https://"), "{text}");
    assert!(text.bytes().all(|b| b.is_ascii_graphic() && b != b'#' && b != b'\\'), "{text}");
    assert!(url.path().starts_with('/'), "{text}");
}

/// Our server takes a request for it.
///
/// The server refuses a path whose escapes are none, which is not the client's to repair.
pub fn is_served(url: &Uri) {
    let target = url.path_and_query().expect("a URL has a path").as_str();
    let head = format!("GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n", host_field(url));
    match heads::request(head.as_bytes(), LIMITS, &[]) {
        Ok(Some(read)) => {
            assert_eq!((read.target.as_str(), read.host.as_str()), (target, host_field(url)));
            assert_eq!(read.consumed, head.len());
        }
        refused => {
            let escapes = url.path().split('%').skip(1).map(|after| after.as_bytes().get(..2));
            let are_whole = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
            let has_bad_escape = escapes.into_iter().any(|digits| !digits.is_some_and(are_whole));
            assert!(has_bad_escape || !is_host(host_field(url).as_bytes(), false), "{head:?}: {refused:?}");
        }
    }
}
