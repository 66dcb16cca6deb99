//! Handlers that see another target than the one that was asked for.

use std::mem;

use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::answer::not_found;
use crate::error::Result;
use crate::message::Request;
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
    let plain = prefix.into();
    let escaped = utf8_percent_encode(&plain, &ESCAPED_IN_A_PATH).to_string();
    StripPrefix { plain, escaped, handler }
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
        let Some(path) = self.strip(r.path()) else { return not_found(w, r).await };
        let Some(uri) = with_path_and_query(&r.uri, path, r.uri.query()) else { return not_found(w, r).await };
        let retargeted = Retargeted::new(r, uri);
        self.handler.serve_http(w, retargeted.request).await
    }
}

impl<Inner> StripPrefix<Inner> {
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

/// The same place but for path and query. A path that does not begin with a slash gets one.
fn with_path_and_query(uri: &Uri, path: &str, query: Option<&str>) -> Option<Uri> {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let text = match query {
        Some(query) => format!("{slash}{path}?{query}"),
        None => format!("{slash}{path}"),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
    Uri::from_parts(parts).ok()
}

/// A request with another target, for as long as this lives. A handler that panics, or is dropped
/// in the middle, has it changed back too.
struct Retargeted<'a> {
    request: &'a mut Request,
    received: Uri,
}

impl<'a> Retargeted<'a> {
    fn new(request: &'a mut Request, uri: Uri) -> Retargeted<'a> {
        let received = mem::replace(&mut request.uri, uri);
        Retargeted { request, received }
    }
}

impl Drop for Retargeted<'_> {
    fn drop(&mut self) {
        self.request.uri = mem::take(&mut self.received);
    }
}
