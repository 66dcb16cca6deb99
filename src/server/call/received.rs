//! A request as a handler gets it over a connection, whoever has made it.

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use http::{Method, Uri};

use super::call_io::CallIo;
use crate::error::Result;
use crate::message::{Body, Frame, Request, Source, host_and_port};

/// Brings a request into the form in which a server receives it: the target has path and query alone, and
/// the host lies in `host`. One that was received before stays as it is.
pub(super) fn as_received(request: &mut Request) {
    if request.host.is_empty() {
        let authority = request.uri.authority().map(|authority| host_and_port(authority.as_str()));
        let field = request.header.get("Host");
        request.host = authority.or(field).unwrap_or_default().to_owned();
    }
    request.header.del("Host");
    if request.request_uri.is_empty() {
        let target = if request.method == Method::CONNECT { None } else { request.uri.path_and_query() };
        request.request_uri = target.map_or_else(|| request.uri.to_string(), ToString::to_string);
    }
    // RFC 9112 §3.2.2: a server takes the absolute form as well, and its handlers see the path.
    if request.method != Method::CONNECT && request.uri.authority().is_some() {
        request.uri = request.uri.path_and_query().cloned().map(Uri::from).unwrap_or_default();
    }
}

/// Lets a request's content be read while its call lasts, and under the deadline that its handler sets.
/// Content in memory is left as it is: it never waits.
pub(super) fn lend_body(request: &mut Request, call_io: &Arc<CallIo>) {
    if !request.body.is_in_memory() {
        let body = std::mem::take(&mut request.body);
        request.body = Body::from_source(CallRequestBody { body, call_io: call_io.clone() });
    }
}

struct CallRequestBody {
    body: Body,
    call_io: Arc<CallIo>,
}

impl Source for CallRequestBody {
    fn poll_frame(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<Result<Frame>>> {
        self.call_io.poll_content(cx, &mut self.body)
    }

    fn remaining(&self) -> Option<u64> {
        self.body.remaining()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(method: Method, uri: &'static str, host: Option<&str>) -> [String; 3] {
        let mut request = Request::new(method, Uri::from_static(uri), Body::empty());
        if let Some(host) = host {
            request.header.set("Host", host);
        }
        as_received(&mut request);
        assert!(!request.header.contains("Host"));
        [request.uri.to_string(), request.request_uri, request.host]
    }

    #[test]
    fn a_handler_sees_the_path_and_the_host_apart() {
        let get = |uri, host| received(Method::GET, uri, host);
        assert_eq!(get("http://u:p@a.test:81/x?y", None), ["/x?y", "/x?y", "a.test:81"]);
        assert_eq!(get("https://a.test", Some("b.test")), ["/", "/", "a.test"]);
        assert_eq!(get("/x%20y", Some("b.test")), ["/x%20y", "/x%20y", "b.test"]);
        assert_eq!(received(Method::OPTIONS, "*", None), ["*", "*", ""]);
        assert_eq!(received(Method::CONNECT, "a.test:443", None), ["a.test:443", "a.test:443", "a.test:443"]);
    }
}
