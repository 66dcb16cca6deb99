//! The target of a request that is sent on: the upstream's URL, with path and query of the request behind its own.

use std::borrow::Cow;

use http::Uri;
use http::uri::PathAndQuery;

use crate::error::{Error, ErrorKind, Result};

/// The URL of this request at an upstream. Path and query of the request follow those of the upstream's URL, byte
/// for byte, but for pairs that [`unambiguous_query`] leaves out. `*` stays what it is (RFC 9110 §9.3.7).
///
/// # Errors
/// [`ErrorKind::Invalid`] where they are too long together.
pub(super) fn joined_target(upstream: &Uri, received: &Uri) -> Result<Uri> {
    let mut parts = upstream.clone().into_parts();
    let base = parts.path_and_query.take();
    let base = base.as_ref().map_or(("/", None), |base| (base.path(), base.query()));
    let query = received.query().map(unambiguous_query);
    let is_as_received = matches!(query, None | Some(Cow::Borrowed(_)));
    let own = received.path_and_query();
    parts.path_and_query = match own.filter(|own| is_as_received && takes_all(base, own)) {
        // Shares the memory of the request's.
        Some(own) => Some(own.clone()),
        None => Some(path_and_query(base, received.path(), query.as_deref())?),
    };
    Uri::from_parts(parts).map_err(too_long)
}

/// Whether nothing of the base stands before this path and query.
fn takes_all(base: (&str, Option<&str>), own: &PathAndQuery) -> bool {
    base == ("/", None) && (own.path().starts_with('/') || own.path() == "*")
}

fn path_and_query(base: (&str, Option<&str>), path: &str, query: Option<&str>) -> Result<PathAndQuery> {
    let mut text = joined_path(base.0, path);
    if let Some(query) = joined_query(base.1, query) {
        text.push('?');
        text.push_str(&query);
    }
    PathAndQuery::try_from(text).map_err(too_long)
}

/// Two paths with one slash between them (Go's `singleJoiningSlash`). Nothing in either is cleaned.
fn joined_path(base: &str, path: &str) -> String {
    if path == "*" {
        return path.to_owned();
    }
    match (base.ends_with('/'), path.strip_prefix('/')) {
        (true, Some(rest)) => format!("{base}{rest}"),
        (false, None) => format!("{base}/{path}"),
        _ => format!("{base}{path}"),
    }
}

/// Two queries, the base's first. A query that is there and empty stays there.
fn joined_query<'a>(base: Option<&'a str>, query: Option<&'a str>) -> Option<Cow<'a, str>> {
    match (base, query) {
        (Some(base), Some(query)) if !base.is_empty() && !query.is_empty() => Some(format!("{base}&{query}").into()),
        (Some(base), Some("") | None) => Some(base.into()),
        (_, query) => query.map(Cow::Borrowed),
    }
}

/// The query without the pairs that two parsers read differently: those with a semicolon, which some take for a
/// separator, and those with a percent sign before what are not two hexadecimal digits. What a proxy has checked
/// would be another thing to the server behind it (Go's rule; there the others are sorted and escaped anew, here
/// they stay as they are).
fn unambiguous_query(query: &str) -> Cow<'_, str> {
    if query.split('&').all(is_unambiguous) {
        return Cow::Borrowed(query);
    }
    query.split('&').filter(|pair| is_unambiguous(pair)).collect::<Vec<_>>().join("&").into()
}

fn is_unambiguous(pair: &str) -> bool {
    let bytes = pair.as_bytes();
    memchr::memchr(b';', bytes).is_none()
        && memchr::memchr_iter(b'%', bytes).all(|at| {
            let digits = bytes.get(at + 1..at + 3);
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
        })
}

fn too_long(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Invalid, "path and query cannot be sent on").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(upstream: &'static str, received: &'static str) -> String {
        joined_target(&Uri::from_static(upstream), &Uri::from_static(received)).unwrap().to_string()
    }

    #[test]
    fn paths_are_joined_with_one_slash_and_stay_as_they_are() {
        for (upstream, received, expected) in [
            ("http://u.test", "/", "http://u.test/"),
            ("http://u.test", "/a/b", "http://u.test/a/b"),
            ("http://u.test/", "//a//", "http://u.test//a//"),
            ("http://u.test/base", "/a", "http://u.test/base/a"),
            ("http://u.test/base/", "/a", "http://u.test/base/a"),
            ("http://u.test/base/", "//a", "http://u.test/base//a"),
            ("http://u.test/b%2Fc", "/%2F/%2e%2E/../x", "http://u.test/b%2Fc/%2F/%2e%2E/../x"),
            ("http://u.test:81/base?k=1", "http://a.test/x?y", "http://u.test:81/base/x?k=1&y"),
        ] {
            assert_eq!(joined(upstream, received), expected, "{upstream} {received}");
        }
    }

    #[test]
    fn queries_are_joined_and_an_empty_one_stays() {
        for (upstream, received, expected) in [
            ("http://u.test", "/?", "http://u.test/?"),
            ("http://u.test", "/?a=%20+b&&=", "http://u.test/?a=%20+b&&="),
            ("http://u.test?k=1", "/", "http://u.test/?k=1"),
            ("http://u.test?k=1", "/?", "http://u.test/?k=1"),
            ("http://u.test?k=1", "/?a=b", "http://u.test/?k=1&a=b"),
            ("http://u.test?", "/?a=b", "http://u.test/?a=b"),
            ("http://u.test/x?", "/", "http://u.test/x/?"),
        ] {
            assert_eq!(joined(upstream, received), expected, "{upstream} {received}");
        }
    }

    #[test]
    fn pairs_that_two_parsers_read_differently_are_left_out() {
        for (query, expected) in [
            ("a=1&b=2;c=3", "a=1"),
            ("a=1;b=2", ""),
            ("z=1&a=%zz&b=%2&c=%", "z=1"),
            ("a=%41&b=+&c", "a=%41&b=+&c"),
            ("b=2&a=1&;&c=%3B", "b=2&a=1&c=%3B"),
        ] {
            assert_eq!(unambiguous_query(query), expected, "{query}");
        }
    }

    #[test]
    fn the_target_of_a_general_options_request_stays_what_it_is() {
        let star = Uri::from_static("*");
        for upstream in ["http://u.test", "http://u.test/base"] {
            assert_eq!(joined_target(&Uri::from_static(upstream), &star).unwrap().path(), "*");
        }
    }

    #[test]
    fn what_is_too_long_together_is_an_error() {
        let long = |length| Uri::try_from(format!("http://u.test/{}", "x".repeat(length))).unwrap();
        assert_eq!(joined_target(&long(40_000), &long(40_000)).unwrap_err().kind(), ErrorKind::Invalid);
    }
}
