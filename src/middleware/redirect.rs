//! Redirects: the `Location` for a target, and the response with it.

use std::fmt::Write as _;

use http::{Method, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::error::Result;
use crate::h1::may_send_content;
use crate::message::Request;
use crate::server::{Handler, ResponseWriter};

/// Leads the client to another place (Go's `Redirect`), with a status of 3xx.
///
/// - With a scheme (`https://a.test/`), or a host after two slashes (`//a.test/`), `url` is taken
///   as it is. Never pass what a peer has sent unless you know where it leads.
/// - Else `url` is a path with perhaps a query: it is resolved against the directory of the
///   request's path, and cleaned of `.`, `..` and repeated slashes. An end with a slash is kept,
///   so are query and fragment. The outcome stays on this host: it begins with one slash, and a
///   backslash, which browsers take for a slash, is escaped.
/// - Control characters, spaces and non-ASCII are percent-encoded, so no header can be split;
///   escapes that are there stay.
///
/// After [`strip_prefix`](crate::strip_prefix) the request's path is the shorter one. Within a mux that is
/// [mounted](crate::ServeMux::mount) a relative path leads to where the client sees it, and one that begins
/// with a slash is the whole path: [`Request::mount_path`] says what stands before it.
///
/// A GET gets a line of HTML with the link, for clients that do not know the status; GET and HEAD
/// get the `Content-Type` of that. Neither happens where a `Content-Type` was set before.
///
/// # Errors
/// As [`ResponseWriter::write`].
///
/// ```
/// use nethttp::{Request, ResponseWriter, Result, StatusCode, redirect};
///
/// async fn save(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
///     // From /notes/save to /notes/list?saved=1.
///     redirect(w, r, "list?saved=1", StatusCode::SEE_OTHER).await
/// }
/// ```
pub async fn redirect(w: &mut ResponseWriter, r: &Request, url: &str, status: StatusCode) -> Result<()> {
    let location = match r.mount_path() {
        "" => location(r.escaped_path(), url),
        mount_path => location(&format!("{mount_path}{}", r.escaped_path()), url),
    };
    let typed = w.header().contains("Content-Type");
    if !typed && matches!(r.method, Method::GET | Method::HEAD) {
        w.header().set("Content-Type", "text/html; charset=utf-8");
    }
    let page = (!typed && r.method == Method::GET && may_send_content(status)).then(|| page(&location, status));
    w.header().set("Location", location);
    w.write_header(status);
    match page {
        Some(page) => w.write(page).await,
        None => Ok(()),
    }
}

/// A handler that leads every request to `url` (Go's `RedirectHandler`); see [`redirect`].
///
/// ```
/// use nethttp::middleware::redirect_handler;
/// use nethttp::{ServeMux, StatusCode};
///
/// let mux = ServeMux::new();
/// mux.handle("/old", redirect_handler("/new", StatusCode::MOVED_PERMANENTLY));
/// ```
pub fn redirect_handler(url: impl Into<String>, status: StatusCode) -> impl Handler {
    RedirectHandler { url: url.into(), status }
}

struct RedirectHandler {
    url: String,
    status: StatusCode,
}

impl Handler for RedirectHandler {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        redirect(w, r, &self.url, self.status).await
    }
}

/// What is escaped in every part of a `Location`. Escapes that are there stay.
const NOT_IN_A_URL: AsciiSet = CONTROLS.add(b' ');

/// `\` is `/` to browsers: `/\a.test` would be another host.
const NOT_IN_A_PATH: AsciiSet = NOT_IN_A_URL.add(b'\\');

/// The `Location` that leads to `target` from a request for the path `from`.
fn location(from: &str, target: &str) -> String {
    if leads_elsewhere(target) {
        return utf8_percent_encode(target, &NOT_IN_A_URL).to_string();
    }
    let end = target.find(['?', '#']).unwrap_or(target.len());
    let (path, rest) = target.split_at(end);
    // A path without a slash in it is `*`, or the nothing of CONNECT: it has no directory.
    let directory =
        if path.starts_with('/') { "" } else { from.rsplit_once('/').map_or("", |(directory, _)| directory) };
    let path = clean(directory, path);
    let mut location = utf8_percent_encode(&path, &NOT_IN_A_PATH).to_string();
    location.extend(utf8_percent_encode(rest, &NOT_IN_A_URL));
    location
}

/// Whether a target has a scheme or a host of its own (RFC 3986 §4.2).
fn leads_elsewhere(target: &str) -> bool {
    let end = target.find([':', '/', '?', '#']).unwrap_or(target.len());
    let (scheme, rest) = target.split_at(end);
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    if rest.starts_with(':') && is_scheme {
        return true;
    }
    let Some(authority) = target.strip_prefix("//") else { return false };
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    // `///a` and `//user@/a` name no host: they are paths with slashes to spare.
    authority.rsplit('@').next().is_some_and(|host| !host.is_empty())
}

/// `directory/path` without `.`, `..` and repeated slashes. It begins with one slash, and ends
/// with one where `path` did, or was nothing (RFC 3986 §5.2.4).
fn clean(directory: &str, path: &str) -> String {
    let mut kept = Vec::new();
    for segment in directory.split('/').chain(path.split('/')) {
        match segment {
            "" | "." => {}
            ".." => _ = kept.pop(),
            name => kept.push(name),
        }
    }
    let mut clean = String::with_capacity(directory.len() + path.len() + 2);
    for segment in kept {
        clean.push('/');
        clean.push_str(segment);
    }
    if clean.is_empty() || path.is_empty() || path.ends_with('/') {
        clean.push('/');
    }
    clean
}

/// The page with the link.
fn page(location: &str, status: StatusCode) -> String {
    let mut page = String::with_capacity(location.len() + 48);
    page.push_str("<a href=\"");
    for letter in location.chars() {
        match letter {
            '&' | '<' | '>' | '"' | '\'' => _ = write!(page, "&#{};", u32::from(letter)),
            _ => page.push(letter),
        }
    }
    page.push_str("\">");
    page.push_str(status.canonical_reason().unwrap_or_default());
    page.push_str("</a>.\n\n");
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_locations(cases: &[(&str, &str, &str)]) {
        for (from, target, expected) in cases {
            assert_eq!(location(from, target), *expected, "from {from} to {target}");
        }
    }

    #[test]
    fn a_path_is_resolved_against_that_of_the_request_and_cleaned_as_in_go() {
        assert_locations(&[
            ("/qq/", "/foo/bar/", "/foo/bar/"),
            ("/qq/", "/foo/bar?a=1", "/foo/bar?a=1"),
            ("/dir/page", "list", "/dir/list"),
            ("/dir/page", "list?saved=1", "/dir/list?saved=1"),
            ("/dir/page", "list/", "/dir/list/"),
            ("/dir/page", "./list", "/dir/list"),
            ("/dir/page", "../list", "/list"),
            ("/dir/page", "../../../list", "/list"),
            ("/dir/page", "..", "/"),
            ("/dir/page", "../", "/"),
            ("/dir/page", ".", "/dir"),
            ("/dir/page", "./", "/dir/"),
            ("/dir/page", "", "/dir/"),
            ("/dir/", "", "/dir/"),
            ("/", "", "/"),
            ("/dir/page", "/..", "/"),
            ("/dir/page", "/", "/"),
            ("/dir/page", "/a:b", "/a:b"),
            ("/dir/page", "a/b:c", "/dir/a/b:c"),
            ("/dir/page", "/a%zz", "/a%zz"),
        ]);
    }

    #[test]
    fn query_fragment_and_escapes_are_not_cleaned() {
        assert_locations(&[
            ("/dir/page", "?q=../x//y", "/dir/?q=../x//y"),
            ("/dir/page", "/a//b/./c/../d/?x=/../y", "/a/b/d/?x=/../y"),
            ("/dir/page", "/a?x=%zz", "/a?x=%zz"),
            ("/dir/page", "/a/../b#x", "/b#x"),
            ("/dir/page", "#x", "/dir/#x"),
            ("/dir/page", "/a#?x=//y", "/a#?x=//y"),
            // Here Go cleans the fragment with the path.
            ("/dir/page", "/a#x/../y", "/a#x/../y"),
            ("/a%2Fb/c", "d", "/a%2Fb/d"),
            ("/a%2Fb/c%2Fd", "../e", "/e"),
            ("/dir/page", "/a%2F..%2Fb/%2e%2e/c", "/a%2F..%2Fb/%2e%2e/c"),
        ]);
    }

    #[test]
    fn a_target_with_a_scheme_or_a_host_is_taken_as_it_is() {
        for target in [
            "https://a.test/x/../y?z",
            "HTTPS://a.test",
            "//a.test",
            "//a.test/x//y",
            "//a.test:80/",
            "//user@a.test/x",
            "mailto:me@a.test",
            "https://a.test\\x",
        ] {
            assert_eq!(location("/dir/page", target), target);
        }
    }

    #[test]
    fn a_path_never_becomes_a_host() {
        assert_locations(&[
            ("/dir/page", "///a.test/x", "/a.test/x"),
            ("/dir/page", "////a.test", "/a.test"),
            ("/dir/page", "//", "/"),
            ("/dir/page", "//?x", "/?x"),
            ("/dir/page", "//user@/x", "/user@/x"),
            ("/dir/page", "/..//a.test", "/a.test"),
            ("//a.test/x", "y", "/a.test/y"),
            ("//a.test/x", "../y", "/y"),
            ("/\\a.test/x", "y", "/%5Ca.test/y"),
            // Go sends these as they are, and browsers drop what they do not print.
            ("/dir/page", "/\\a.test", "/%5Ca.test"),
            ("/page", "\\\\a.test", "/%5C%5Ca.test"),
            ("/dir/page", "/\t/a.test", "/%09/a.test"),
            ("/page", "\t//a.test", "/%09/a.test"),
            ("/page", "java\tscript:x", "/java%09script:x"),
        ]);
    }

    #[test]
    fn what_is_no_scheme_is_part_of_a_path() {
        // Go fails to parse them and sends them as they are; a client takes them for the same.
        assert_locations(&[
            ("/dir/page", "1a:b", "/dir/1a:b"),
            ("/dir/page", ":b", "/dir/:b"),
            ("/dir/page", "a_b:c", "/dir/a_b:c"),
        ]);
    }

    #[test]
    fn a_request_without_a_directory_is_at_the_root() {
        assert_locations(&[("*", "a", "/a"), ("", "a/", "/a/"), ("", "", "/")]);
    }

    #[test]
    fn what_may_not_stand_in_a_field_is_escaped_everywhere() {
        assert_locations(&[
            ("/dir/page", "/caf\u{e9}", "/caf%C3%A9"),
            ("/dir/page", "caf%C3%A9/\u{e9}", "/dir/caf%C3%A9/%C3%A9"),
            ("/dir/page", "/a?q=\u{e9} b", "/a?q=%C3%A9%20b"),
            ("/caf\u{e9}/page", "a", "/caf%C3%A9/a"),
            ("/dir/page", "https://a.test/\u{e9}?\u{fc}=\u{f1}", "https://a.test/%C3%A9?%C3%BC=%C3%B1"),
            ("/dir/page", "/a b", "/a%20b"),
            ("/dir/page", "/a\r\nX-Bad: 1", "/a%0D%0AX-Bad:%201"),
            ("/dir/page", "/a?b\r\nc\0", "/a?b%0D%0Ac%00"),
            ("/dir/page", "https://a.test/\r\nX-Bad: 1", "https://a.test/%0D%0AX-Bad:%201"),
        ]);
    }

    #[test]
    fn a_link_cannot_leave_its_attribute() {
        assert_eq!(
            page("/?a=1&b=\"><script>'", StatusCode::FOUND),
            "<a href=\"/?a=1&#38;b=&#34;&#62;&#60;script&#62;&#39;\">Found</a>.\n\n"
        );
    }
}
