//! A request whose target is another one for a while: what stands around a handler has it see a shorter
//! path, or another query.

use std::mem;

use http::Uri;
use http::uri::PathAndQuery;

use super::Request;

impl Request {
    /// The part of the path that [`ServeMux::mount`](crate::ServeMux::mount) has taken off, as sent; empty
    /// outside of a mounted mux. With [`escaped_path`](Request::escaped_path) behind it, it is the path
    /// that a client knows.
    ///
    /// [`redirect`](crate::redirect) puts it before a relative URL; before a path that begins with a
    /// slash the handler puts it itself.
    ///
    /// ```
    /// use nethttp::{Request, ResponseWriter, ServeMux};
    ///
    /// let api = ServeMux::new();
    /// api.handle("GET /users", async |w: &mut ResponseWriter, r: &mut Request| {
    ///     w.write(format!("{} of {}", r.escaped_path(), r.mount_path())).await // "/users of /api"
    /// });
    /// let mux = ServeMux::new();
    /// mux.mount("/api", &api);
    /// ```
    pub fn mount_path(&self) -> &str {
        &self.mount_path
    }
}

/// The same place but for path and query. A path that does not begin with a slash gets one. `None` where
/// that is no target.
pub(crate) fn with_path_and_query(uri: &Uri, path: &str, query: Option<&str>) -> Option<Uri> {
    let slash = if path.starts_with('/') { "" } else { "/" };
    let text = match query {
        Some(query) => format!("{slash}{path}?{query}"),
        None => format!("{slash}{path}"),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
    Uri::from_parts(parts).ok()
}

/// A request with another target, for as long as this lives. A handler that panics, or is dropped in
/// the middle, has it changed back too.
pub(crate) struct Retargeted<'a> {
    pub(crate) request: &'a mut Request,
    received: Uri,
    /// How long the mount path was before.
    mount_bytes: usize,
}

impl<'a> Retargeted<'a> {
    pub(crate) fn new(request: &'a mut Request, uri: Uri) -> Retargeted<'a> {
        let mount_bytes = request.mount_path.len();
        let received = mem::replace(&mut request.uri, uri);
        Retargeted { request, received, mount_bytes }
    }

    /// With so many segments less at the beginning of its path. The request comes back where the path has
    /// fewer: what stands around the handler has changed it.
    pub(crate) fn below(request: &'a mut Request, segment_count: usize) -> Result<Retargeted<'a>, &'a mut Request> {
        let path = request.uri.path();
        let Some(taken) = end_of_segments(path, segment_count) else { return Err(request) };
        let (mount_path, rest) = path.split_at_checked(taken).unwrap_or((path, ""));
        let Some(uri) = with_path_and_query(&request.uri, rest, request.uri.query()) else { return Err(request) };
        let mount_path = mount_path.to_owned();
        let retargeted = Retargeted::new(request, uri);
        retargeted.request.mount_path.push_str(&mount_path);
        Ok(retargeted)
    }
}

impl Drop for Retargeted<'_> {
    fn drop(&mut self) {
        self.request.uri = mem::take(&mut self.received);
        self.request.mount_path.truncate(self.mount_bytes);
    }
}

/// Where the first so many segments of a path end: before a slash, or at its end.
fn end_of_segments(path: &str, count: usize) -> Option<usize> {
    let slashes = path.bytes().enumerate().filter(|(_, byte)| *byte == b'/').map(|(at, _)| at);
    let mut ends = slashes.chain([path.len()]);
    // The first slash begins the first segment.
    ends.nth(count).filter(|_| path.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;
    use crate::message::Body;

    #[test]
    fn segments_are_taken_off_and_come_back() {
        for (sent, count, mount_path, rest) in [
            ("/api/users?q=1", 1, "/api", "/users?q=1"),
            ("/api/", 1, "/api", "/"),
            ("/api", 1, "/api", "/"),
            ("/a%2Fb/c/d/", 2, "/a%2Fb/c", "/d/"),
            ("/a", 0, "", "/a"),
            ("http://a.test/a/b", 1, "/a", "http://a.test/b"),
        ] {
            let mut request = Request::new(Method::GET, sent.parse().unwrap(), Body::empty());
            let below = Retargeted::below(&mut request, count).unwrap_or_else(|_| panic!("{sent} is long enough"));
            assert_eq!(
                (below.request.mount_path(), below.request.uri.to_string().as_str()),
                (mount_path, rest),
                "{sent}"
            );
            drop(below);
            assert_eq!((request.mount_path(), request.uri.to_string().as_str()), ("", sent));
        }
    }

    #[test]
    fn what_is_taken_off_twice_is_one_mount_path() {
        let mut request = Request::new(Method::GET, Uri::from_static("/a/b/c"), Body::empty());
        let outer = Retargeted::below(&mut request, 1).ok().unwrap();
        let inner = Retargeted::below(outer.request, 1).ok().unwrap();
        assert_eq!((inner.request.mount_path(), inner.request.escaped_path()), ("/a/b", "/c"));
        drop(inner);
        assert_eq!((outer.request.mount_path(), outer.request.escaped_path()), ("/a", "/b/c"));
    }

    #[test]
    fn a_path_with_fewer_segments_stays_as_it_is() {
        for (sent, count) in [("/a", 2), ("*", 1), ("/", 2)] {
            let mut request = Request::new(Method::GET, sent.parse().unwrap(), Body::empty());
            assert!(Retargeted::below(&mut request, count).is_err(), "{sent}");
            assert_eq!((request.mount_path(), request.uri.to_string().as_str()), ("", sent));
        }
    }
}
