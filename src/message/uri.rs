//! Parts of a URL: its query is written, its credentials are left out where people read it, and its host
//! is compared.

use std::borrow::Cow;

use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str};

use super::octets::has;
use crate::error::{Error, ErrorKind, Result};

/// All that RFC 3986 §3.3 does not let stand in a path, but for `%`, `[` and `]`: escapes that are there stay.
pub(crate) const NOT_IN_A_PATH: AsciiSet = CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'\\')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Whether the pairs that the query has already are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OldQuery {
    Kept,
    Replaced,
}

/// The URL with these pairs as its query, written as `application/x-www-form-urlencoded`. Without
/// any pair in the end there is no query and no `?`.
pub(crate) fn with_query<Name, Value>(
    uri: &Uri,
    old: OldQuery,
    pairs: impl IntoIterator<Item = (Name, Value)>,
) -> Result<Uri>
where
    Name: AsRef<str>,
    Value: AsRef<str>,
{
    let kept = uri.query().filter(|query| old == OldQuery::Kept && !query.is_empty()).unwrap_or_default();
    let mut target = String::from(uri.path());
    let path_ends = target.len();
    if !kept.is_empty() {
        target.push('?');
        target.push_str(kept);
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs {
        query.append_pair(name.as_ref(), value.as_ref());
    }
    let query = query.finish();
    if !query.is_empty() {
        target.push(if target.len() == path_ends { '?' } else { '&' });
        target.push_str(&query);
    }
    with_target(uri, target)
}

fn with_target(uri: &Uri, target: String) -> Result<Uri> {
    let refused = |_| Error::new(ErrorKind::Invalid, "the URL is too long with this query");
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(|error| refused(error.into()))?);
    Uri::from_parts(parts).map_err(|error| refused(http::Error::from(error)))
}

/// The URL as people may read it, and as `Referer` carries it (RFC 9110 §10.1.3): without user
/// and password.
pub(crate) fn without_credentials(uri: &Uri) -> String {
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return uri.to_string() };
    let host = host_and_port(authority.as_str());
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{host}{}{query}", uri.path())
}

/// An authority without user and password.
pub(crate) fn host_and_port(authority: &str) -> &str {
    if !has(authority.as_bytes(), |b| b == b'@') {
        return authority;
    }
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// The host of a `Host` field, without the port. What is not a host and port stays as it is.
pub(crate) fn without_port(host: &str) -> &str {
    if host.starts_with('[') {
        return match host.split_once(']') {
            Some((address, port)) if port.starts_with(':') => host.get(..=address.len()).unwrap_or(host),
            _ => host,
        };
    }
    match host.split_once(':') {
        Some((name, port)) if !port.contains(':') => name,
        _ => host,
    }
}

/// The form of a host that hosts are compared in: lower case, no brackets around an address, and no dot
/// at the end: `a.test.` is `a.test` written as a whole name (RFC 3986 §3.2.2), and `curl` sends it so.
pub(crate) fn folded_host(host: &str) -> Cow<'_, str> {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let host = host.strip_suffix('.').filter(|name| !name.is_empty()).unwrap_or(host);
    match host.bytes().any(|b| b.is_ascii_uppercase()) {
        true => Cow::Owned(host.to_ascii_lowercase()),
        false => Cow::Borrowed(host),
    }
}

/// A segment of a path, unescaped. One with malformed escapes stays as it is (Go's rule).
pub(crate) fn unescape_segment(segment: &str) -> Cow<'_, [u8]> {
    if memchr::memchr(b'%', segment.as_bytes()).is_none() || has_wrong_escape(segment) {
        return Cow::Borrowed(segment.as_bytes());
    }
    percent_decode_str(segment).into()
}

fn has_wrong_escape(segment: &str) -> bool {
    let mut parts = segment.split('%');
    parts.next();
    parts.any(|after| !matches!(after.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_replaces_the_old_one_or_goes_on_with_it() {
        let cases: [(&str, &[(&str, &str)], &str, &str); 6] = [
            ("http://a.test/x?old=1", &[("q", "a b&c"), ("ü", "=")], "q=a+b%26c&%C3%BC=%3D", "old=1&"),
            ("http://a.test/x?old=1", &[], "", "old=1"),
            ("http://a.test/x?", &[], "", ""),
            ("http://a.test", &[("", "")], "=", ""),
            ("/x", &[("a", "1")], "a=1", ""),
            ("http://u:p@a.test/", &[("a", "\r\n")], "a=%0D%0A", ""),
        ];
        for (uri, pairs, query, kept) in cases {
            let uri: Uri = uri.parse().unwrap();
            let replaced = with_query(&uri, OldQuery::Replaced, pairs.iter().copied()).unwrap();
            assert_eq!(replaced.query().unwrap_or_default(), query, "{uri}");
            assert_eq!(replaced.to_string().contains('?'), !query.is_empty(), "{uri}");
            assert_eq!((replaced.path(), replaced.authority()), (uri.path(), uri.authority()));
            let added = with_query(&uri, OldQuery::Kept, pairs.iter().copied()).unwrap();
            assert_eq!(added.query().unwrap_or_default(), format!("{kept}{query}"), "{uri}");
        }
    }

    #[test]
    fn a_query_that_makes_the_url_too_long_is_refused() {
        let long = "x".repeat(70_000);
        let error = with_query(&Uri::from_static("/"), OldQuery::Kept, [("q", long.as_str())]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }

    #[test]
    fn a_displayed_url_has_neither_user_nor_password() {
        for (uri, text) in [
            ("http://u:s%40cret@a.test:81/x?y=1", "http://a.test:81/x?y=1"),
            ("https://u@[::1]/", "https://[::1]/"),
            ("http://a.test", "http://a.test/"),
            ("/x?y", "/x?y"),
        ] {
            assert_eq!(without_credentials(&uri.parse().unwrap()), text);
        }
    }

    #[test]
    fn a_port_is_no_part_of_the_host() {
        let cases = [
            ("a.test", "a.test"),
            ("a.test:80", "a.test"),
            ("a.test:", "a.test"),
            (":80", ""),
            ("", ""),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
            ("[::1]x", "[::1]x"),
            ("[::1", "[::1"),
            ("a:b:80", "a:b:80"),
        ];
        for (host, expected) in cases {
            assert_eq!(without_port(host), expected, "{host}");
        }
    }

    #[test]
    fn hosts_are_compared_in_lower_case_without_brackets_and_without_the_last_dot() {
        assert_eq!(folded_host("A.Test"), "a.test");
        assert_eq!(folded_host("[::AB]"), "::ab");
        assert_eq!([folded_host("A.test."), folded_host("a.test.."), folded_host(".")], ["a.test", "a.test.", "."]);
        assert_eq!(folded_host("[::1]:443"), "[::1]:443");
        assert!(matches!(folded_host("a.test"), Cow::Borrowed("a.test")));
    }

    #[test]
    fn a_segment_is_unescaped_when_all_its_escapes_are_right() {
        let cases: [(&str, &[u8]); 8] = [
            ("a", b"a"),
            ("%41", b"A"),
            ("a%2fb%2F", b"a/b/"),
            ("%ff%00", b"\xff\0"),
            ("%2541", b"%41"),
            ("%", b"%"),
            ("%41%4", b"%41%4"),
            ("%41%zz", b"%41%zz"),
        ];
        for (sent, expected) in cases {
            assert_eq!(&*unescape_segment(sent), expected, "{sent}");
        }
    }

    #[test]
    fn a_segment_without_escapes_is_not_copied() {
        assert!(matches!(unescape_segment("caf\u{e9}"), Cow::Borrowed(_)));
    }
}
