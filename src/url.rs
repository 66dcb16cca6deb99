//! Parts of URLs, escaped and put together (Go's `net/url`), for the [`Uri`] of the `http` crate.
//!
//! ```
//! use nethttp::Uri;
//! use nethttp::url::{join_path, path_escape};
//!
//! let base = Uri::from_static("https://a.test/files/");
//! let name = "50% off/one.txt";
//! assert_eq!(join_path(&base, [path_escape(name)])?, "https://a.test/files/50%25%20off%2Fone.txt");
//! # Ok::<(), nethttp::Error>(())
//! ```
//!
//! Queries are [`Values`](crate::Values), and [`Request::set_query`](crate::Request::set_query).
//!
//! The guide has a page on it: `docs/guide/urls.md`.

use std::borrow::Cow;

use http::Uri;
use http::uri::{Authority, PathAndQuery};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::{Error, ErrorKind, Result};
use crate::message::{NOT_IN_A_PATH, malformed, unescape_form, unescape_segment};

/// What RFC 3986 §2.3 leaves unreserved stands for itself everywhere.
const RESERVED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Go's choice within a segment: of what RFC 3986 §3.3 allows, what separates nothing for anybody.
const NOT_IN_A_SEGMENT: AsciiSet =
    RESERVED.remove(b'$').remove(b'&').remove(b'+').remove(b'=').remove(b':').remove(b'@');

/// Escapes text for a segment of a path, slashes too (Go's `PathEscape`).
///
/// `.` and `..` have no escape that all readers keep: a segment that is one of them is still that.
pub fn path_escape(text: &str) -> Cow<'_, str> {
    utf8_percent_encode(text, &NOT_IN_A_SEGMENT).into()
}

/// Undoes [`path_escape`] (Go's `PathUnescape`). A plus sign stays one.
///
/// # Errors
/// [`ErrorKind::Malformed`] for a percent sign without two hexadecimal digits, and for what is not UTF-8 once
/// it is unescaped.
pub fn path_unescape(text: &str) -> Result<Cow<'_, str>> {
    match unescape_segment(text) {
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| malformed("no UTF-8 behind escapes")),
        Cow::Borrowed(_) if text.contains('%') => {
            Err(malformed("a percent sign without two hexadecimal digits behind it"))
        }
        Cow::Borrowed(_) => Ok(Cow::Borrowed(text)),
    }
}

/// Escapes text for a name or a value in a query (Go's `QueryEscape`): a space becomes a plus sign.
pub fn query_escape(text: &str) -> Cow<'_, str> {
    if text.contains(' ') {
        let words: Vec<Cow<'_, str>> =
            text.split(' ').map(|word| utf8_percent_encode(word, &RESERVED).into()).collect();
        return Cow::Owned(words.join("+"));
    }
    utf8_percent_encode(text, &RESERVED).into()
}

/// Undoes [`query_escape`] (Go's `QueryUnescape`).
///
/// # Errors
/// As [`path_unescape`].
pub fn query_unescape(text: &str) -> Result<Cow<'_, str>> {
    unescape_form(text)
}

/// The URL with these elements behind its path, which is cleaned of `.`, `..` and repeated slashes (Go's
/// `JoinPath`). It ends with a slash where the last element, or without any the path, did. Nothing leads above
/// the root. The query stays.
///
/// Elements are parts of a path, and may have slashes and escapes in them, which stay; what may not stand in a
/// path is escaped. A name that may hold anything is to go through [`path_escape`] first, and `..` in it leads
/// upwards nevertheless.
///
/// ```
/// use nethttp::Uri;
/// use nethttp::url::join_path;
///
/// let base = Uri::from_static("https://a.test/api/v1/?key=7");
/// assert_eq!(join_path(&base, ["../v2", "users/"])?, "https://a.test/api/v2/users/?key=7");
/// # Ok::<(), nethttp::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Invalid`] where the URL gets longer than 65,534 bytes.
pub fn join_path<Element: AsRef<str>>(base: &Uri, elements: impl IntoIterator<Item = Element>) -> Result<Uri> {
    let mut path = base.path().to_owned();
    for element in elements {
        path.push('/');
        path.push_str(element.as_ref());
    }
    let mut kept = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => _ = kept.pop(),
            name => kept.push(name),
        }
    }
    let mut clean = String::from("/");
    clean.push_str(&kept.join("/"));
    if path.ends_with('/') && !kept.is_empty() {
        clean.push('/');
    }
    let mut target = utf8_percent_encode(&clean, &NOT_IN_A_PATH).to_string();
    if let Some(query) = base.query() {
        target.push('?');
        target.push_str(query);
    }
    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(too_long)?);
    Uri::from_parts(parts).map_err(too_long)
}

fn too_long(_: impl Into<http::Error>) -> Error {
    Error::new(ErrorKind::Invalid, "the URL is too long with this path")
}

/// Where a reference leads from here (RFC 3986 §5.2; Go's `ResolveReference`): another URL, another host, a
/// path, a query. A fragment is left out.
///
/// What a peer has sent may lead anywhere: look at the host before you follow it.
///
/// ```
/// use nethttp::Uri;
/// use nethttp::url::resolve_reference;
///
/// let base = Uri::from_static("https://a.test/docs/intro?x=1");
/// assert_eq!(resolve_reference(&base, "../img/a.png#top")?, "https://a.test/img/a.png");
/// assert_eq!(resolve_reference(&base, "//b.test/")?, "https://b.test/");
/// # Ok::<(), nethttp::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Invalid`] for a base without scheme and host, and for what leads to no URL with http or https.
#[cfg(feature = "client")]
pub fn resolve_reference(base: &Uri, reference: &str) -> Result<Uri> {
    crate::client::join(base, reference.as_bytes())
}

/// The URL for people to read (Go's `Redacted`): `xxxxx` is in place of its password, if it has one.
///
/// ```
/// use nethttp::Uri;
/// use nethttp::url::redacted;
///
/// assert_eq!(redacted(&Uri::from_static("http://ann:secret@a.test/x")), "http://ann:xxxxx@a.test/x");
/// ```
pub fn redacted(uri: &Uri) -> String {
    let Some((user, Some(_))) = raw_userinfo(uri) else { return uri.to_string() };
    let user = user.to_owned();
    let text = uri.to_string();
    match (text.split_once("://"), uri.authority()) {
        (Some((scheme, rest)), Some(authority)) => {
            let host = authority.as_str().rsplit_once('@').map_or("", |(_, host)| host);
            let target = rest.get(authority.as_str().len()..).unwrap_or_default();
            format!("{scheme}://{user}:xxxxx@{host}{target}")
        }
        // An authority alone, as CONNECT has it.
        _ => text.rsplit_once('@').map_or_else(String::new, |(_, host)| format!("{user}:xxxxx@{host}")),
    }
}

/// User and password of a URL, unescaped (Go's `URL.User`). `None` without a user; a password may be missing.
///
/// # Errors
/// As [`path_unescape`].
pub fn userinfo(uri: &Uri) -> Result<Option<(String, Option<String>)>> {
    let Some((user, password)) = raw_userinfo(uri) else { return Ok(None) };
    let password = password.map(|password| path_unescape(password).map(Cow::into_owned)).transpose()?;
    Ok(Some((path_unescape(user)?.into_owned(), password)))
}

/// The URL with this user, and this password (Go's `User` and `UserPassword`), both escaped. A client sends
/// them as `Authorization: Basic`.
///
/// ```
/// use nethttp::Uri;
/// use nethttp::url::with_userinfo;
///
/// let uri = with_userinfo(&Uri::from_static("http://a.test/x"), "ann", Some("p@ss:word"))?;
/// assert_eq!(uri, "http://ann:p%40ss%3Aword@a.test/x");
/// # Ok::<(), nethttp::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Invalid`] for a URL without a host.
pub fn with_userinfo(uri: &Uri, user: &str, password: Option<&str>) -> Result<Uri> {
    let no_host = || Error::new(ErrorKind::Invalid, "the URL has no host");
    let authority = uri.authority().ok_or_else(no_host)?.as_str();
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let mut text = utf8_percent_encode(user, &RESERVED).to_string();
    if let Some(password) = password {
        text.push(':');
        text.extend(utf8_percent_encode(password, &RESERVED));
    }
    let mut parts = uri.clone().into_parts();
    parts.authority = Some(Authority::try_from(format!("{text}@{host}")).map_err(too_long)?);
    Uri::from_parts(parts).map_err(too_long)
}

fn raw_userinfo(uri: &Uri) -> Option<(&str, Option<&str>)> {
    let (userinfo, _) = uri.authority()?.as_str().rsplit_once('@')?;
    Some(match userinfo.split_once(':') {
        Some((user, password)) => (user, Some(password)),
        None => (userinfo, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_escaped_is_read_back_and_separates_nothing() {
        for (text, path, query) in [
            ("", "", ""),
            ("a-_.~9", "a-_.~9", "a-_.~9"),
            ("a b+c", "a%20b+c", "a+b%2Bc"),
            ("a/b?c#d%", "a%2Fb%3Fc%23d%25", "a%2Fb%3Fc%23d%25"),
            ("$&+=:@", "$&+=:@", "%24%26%2B%3D%3A%40"),
            (";,", "%3B%2C", "%3B%2C"),
            ("\u{e9}\0", "%C3%A9%00", "%C3%A9%00"),
        ] {
            assert_eq!((&*path_escape(text), &*query_escape(text)), (path, query), "{text}");
            assert_eq!(path_unescape(path).unwrap(), text);
            assert_eq!(query_unescape(query).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_escape_or_no_text_is_an_error() {
        for bad in ["%", "%4", "%zz", "a%", "%ff", "%C3"] {
            assert_eq!(path_unescape(bad).unwrap_err().kind(), ErrorKind::Malformed, "{bad}");
            assert_eq!(query_unescape(bad).unwrap_err().kind(), ErrorKind::Malformed, "{bad}");
        }
    }

    #[test]
    fn paths_are_joined_clean_and_never_above_the_root() {
        for (base, elements, joined) in [
            ("http://a.test", &["b"][..], "http://a.test/b"),
            ("http://a.test/x/", &["b", "c/"], "http://a.test/x/b/c/"),
            ("http://a.test/x/y", &["../b"], "http://a.test/x/b"),
            ("http://a.test/x", &["../../..", "b"], "http://a.test/b"),
            ("http://a.test/x//y/", &[], "http://a.test/x/y/"),
            ("http://a.test/x?q=1", &["b?c#d"], "http://a.test/x/b%3Fc%23d?q=1"),
            ("http://a.test/x", &["%2F b"], "http://a.test/x/%2F%20b"),
            ("/x", &["/b/"], "/x/b/"),
            ("http://a.test/", &["//b.test/"], "http://a.test/b.test/"),
        ] {
            assert_eq!(join_path(&base.parse().unwrap(), elements).unwrap(), joined, "{base} {elements:?}");
        }
        let long = "x".repeat(70_000);
        let error = join_path(&Uri::from_static("http://a.test/"), [long]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }

    #[test]
    fn a_password_is_shown_to_nobody_and_the_rest_to_all() {
        for (uri, text) in [
            ("http://u:p@a.test:1/x?y", "http://u:xxxxx@a.test:1/x?y"),
            ("http://u:@a.test/", "http://u:xxxxx@a.test/"),
            ("http://u@a.test/", "http://u@a.test/"),
            ("http://a.test/u:p@b", "http://a.test/u:p@b"),
            ("/x?u:p@b", "/x?u:p@b"),
            ("u:p@a.test:1", "u:xxxxx@a.test:1"),
        ] {
            assert_eq!(redacted(&uri.parse().unwrap()), text);
        }
    }

    #[test]
    fn a_user_is_read_as_it_was_put_in() {
        for (user, password) in [("ann", None), ("a:b@c", Some("/?#[]@ \u{e9}")), ("", Some(""))] {
            let uri = with_userinfo(&Uri::from_static("http://old:one@a.test:1/x"), user, password).unwrap();
            assert_eq!(userinfo(&uri).unwrap(), Some((user.to_owned(), password.map(str::to_owned))));
            assert_eq!((uri.host(), uri.port_u16(), uri.path()), (Some("a.test"), Some(1), "/x"));
        }
        assert_eq!(userinfo(&Uri::from_static("http://a.test/")).unwrap(), None);
        assert_eq!(with_userinfo(&Uri::from_static("/x"), "u", None).unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[cfg(feature = "client")]
    #[test]
    fn a_reference_leads_where_rfc_3986_says() {
        let base = Uri::from_static("http://a.test/b/c/d?q");
        for (reference, target) in [
            ("g", "http://a.test/b/c/g"),
            ("./g/", "http://a.test/b/c/g/"),
            ("/g", "http://a.test/g"),
            ("//g.test", "http://g.test/"),
            ("?y", "http://a.test/b/c/d?y"),
            ("../../../g", "http://a.test/g"),
            ("https://g.test/x", "https://g.test/x"),
        ] {
            assert_eq!(resolve_reference(&base, reference).unwrap(), target, "{reference}");
        }
        assert_eq!(resolve_reference(&base, "ftp://a.test/").unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(resolve_reference(&Uri::from_static("/x"), "g").unwrap_err().kind(), ErrorKind::Invalid);
    }
}
