//! Middleware that changes the target that a handler sees.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::error::not_found;
use crate::error::Result;
use crate::message::{Request, Retargeted, with_path_and_query};
use crate::server::{Handler, ResponseWriter};

/// Takes a prefix off the path before the handler sees it (Go's `StripPrefix`); 404 where the
/// path does not begin with it.
///
/// | prefix | path | the handler sees |
/// |---|---|---|
/// | `/files` | `/files/a?x=1` | `/a?x=1` |
/// | `/files` | `/files` | `/` |
/// | `/files/` | `/files/a` | `/a` |
/// | `/files/` | `/files` | 404 |
/// | `/files` | `/filesystem` | 404 |
/// | `/files` | `/f%69les/a` | 404 |
/// | `/a b` | `/a%20b/c%2Fd` | `/c%2Fd` |
///
/// The prefix is text, without escapes, and ends where a segment ends. A path that spells it with
/// escapes which need not be is not found, as in Go; what comes behind the prefix stays as it was
/// sent. The path always begins with a slash, where Go's may be relative or empty. The empty
/// prefix changes nothing.
///
/// Only [`Request::uri`] changes, and only until the handler is done:
/// [`Request::request_uri`] is what was received.
///
/// ```
/// use nethttp::{ServeMux, file_server, strip_prefix};
///
/// let mux = ServeMux::new();
/// mux.handle("/files/", strip_prefix("/files", file_server("public")));
/// ```
pub fn strip_prefix(prefix: impl Into<String>, handler: impl Handler) -> impl Handler {
    StripPrefix::new(prefix.into(), handler)
}

struct StripPrefix<Inner> {
    plain: String,
    escaped: String,
    handler: Inner,
}

/// All but what Go leaves as it is in a path.
const ESCAPED_IN_A_PATH: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b'/')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');

impl<Inner: Handler> Handler for StripPrefix<Inner> {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        if self.plain.is_empty() {
            return self.handler.serve_http(w, r).await;
        }
        let Some(path) = self.strip(r.escaped_path()) else { return not_found(w, r).await };
        let Some(uri) = with_path_and_query(&r.uri, path, r.uri.query()) else { return not_found(w, r).await };
        let retargeted = Retargeted::new(r, uri);
        self.handler.serve_http(w, retargeted.request).await
    }
}

impl<Inner> StripPrefix<Inner> {
    fn new(plain: String, handler: Inner) -> StripPrefix<Inner> {
        let escaped = utf8_percent_encode(&plain, &ESCAPED_IN_A_PATH).to_string();
        StripPrefix { plain, escaped, handler }
    }

    /// What is left of a path, if it has the prefix.
    fn strip<'a>(&self, path: &'a str) -> Option<&'a str> {
        let rest = match path.strip_prefix(&self.escaped) {
            Some(rest) => rest,
            // A percent sign in the prefix is one that the client has escaped.
            None if self.plain.contains('%') => return None,
            None => path.strip_prefix(&self.plain)?,
        };
        let at_segment_end = rest.is_empty() || rest.starts_with('/') || self.plain.ends_with('/');
        at_segment_end.then_some(rest)
    }
}

/// Turns semicolons in the query into ampersands before the handler sees it (Go's
/// `AllowQuerySemicolons`), for clients that separate pairs by them as HTML 4 allowed.
///
/// Without it `a=1;b=2` is one pair, and malformed: [`Request::query`] passes over it,
/// [`Request::form`] reports it. A proxy in front may see other pairs than the handler. Only [`Request::uri`] changes, and only until the handler
/// is done.
///
/// ```
/// use nethttp::middleware::allow_query_semicolons;
/// use nethttp::{Request, ResponseWriter, ServeMux};
///
/// let mux = ServeMux::new();
/// let search = async |w: &mut ResponseWriter, r: &mut Request| {
///     w.write(r.query("page").unwrap_or_default()).await
/// };
/// mux.handle("GET /search", allow_query_semicolons(search));
/// ```
pub fn allow_query_semicolons(handler: impl Handler) -> impl Handler {
    AllowQuerySemicolons(handler)
}

struct AllowQuerySemicolons<Inner>(Inner);

impl<Inner: Handler> Handler for AllowQuerySemicolons<Inner> {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let query = r.uri.query().filter(|query| query.contains(';')).map(|query| query.replace(';', "&"));
        match query.and_then(|query| with_path_and_query(&r.uri, r.escaped_path(), Some(&query))) {
            Some(uri) => self.0.serve_http(w, Retargeted::new(r, uri).request).await,
            None => self.0.serve_http(w, r).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::*;

    /// The target that the handler behind the prefix sees.
    fn seen(prefix: &str, target: &str) -> Option<String> {
        let uri: Uri = target.parse().unwrap();
        let stripping = StripPrefix::new(prefix.to_owned(), ());
        let seen = with_path_and_query(&uri, stripping.strip(uri.path())?, uri.query())?;
        Some(seen.to_string())
    }

    #[test]
    fn a_prefix_comes_off_where_a_segment_ends() {
        for (prefix, target, expected) in [
            ("/files", "/files/a", Some("/a")),
            ("/files", "/files/a?x=1", Some("/a?x=1")),
            ("/files", "/files/", Some("/")),
            ("/files", "/files//a", Some("//a")),
            ("/files", "/files/a%2Fb", Some("/a%2Fb")),
            ("/files", "/files/a%20b?", Some("/a%20b?")),
            ("/files", "http://a.test/files/a", Some("http://a.test/a")),
            ("/files/", "/files//a", Some("/a")),
            ("/", "//a", Some("/a")),
            ("/files", "/Files/a", None),
            ("/files", "/file", None),
            ("/files", "/other", None),
            ("/files", "/a/files", None),
            ("/files/", "/files", None),
            ("files", "/files/a", None),
            // Go strips these, and hands on a path that is no longer one of whole segments.
            ("/files", "/filesystem", None),
            ("/files", "/files%2Fa", None),
            // Go hands on a path that is empty or relative.
            ("/files", "/files", Some("/")),
            ("/files", "/files?x=1", Some("/?x=1")),
            ("/files/", "/files/a", Some("/a")),
            ("/files/", "/files/", Some("/")),
            ("/", "/a", Some("/a")),
            ("/", "/", Some("/")),
        ] {
            assert_eq!(seen(prefix, target).as_deref(), expected, "{prefix} off {target}");
        }
    }

    #[test]
    fn a_prefix_is_text_and_matches_its_usual_spelling_alone() {
        for (prefix, target, expected) in [
            ("/a b", "/a%20b/c", Some("/c")),
            ("/a%20b", "/a%2520b/c", Some("/c")),
            ("/caf\u{e9}", "/caf%C3%A9/x", Some("/x")),
            ("/a!b", "/a!b/c", Some("/c")),
            ("/a!b", "/a%21b/c", Some("/c")),
            ("/a;b@c", "/a;b@c/d", Some("/d")),
            ("/files", "/f%69les/a", None),
            ("/a/b", "/a%2Fb/c", None),
            ("/a%20b", "/a%20b/c", None),
            ("/a%2Fb", "/a%2Fb/c", None),
            ("/caf\u{e9}", "/caf%c3%a9/x", None),
            // Go does not find this one: there the escapes of the rest decide over the prefix.
            ("/a b", "/a%20b/c%2Fd", Some("/c%2Fd")),
        ] {
            assert_eq!(seen(prefix, target).as_deref(), expected, "{prefix} off {target}");
        }
    }
}
