//! Requests and responses, to the types of the `http` crate and back.
//!
//! Those types have no place for much of what ours know. What they cannot say lies in their extensions on the way,
//! so that layers between two of ours lose nothing.

use std::sync::Arc;

use http::Uri;

use crate::message::{Addr, Body, Context, Header, Request, Response, ResponseInfo, Timeouts, TlsInfo};

/// The errors of services and of bodies, whatever they are.
pub(super) type ServiceError = Box<dyn std::error::Error + Send + Sync>;

/// What `http::Request` cannot say.
#[derive(Clone)]
struct CarriedRequest {
    /// The target as it was, to notice where a layer has changed it.
    uri: Uri,
    request_uri: String,
    host: String,
    close: bool,
    trailer: Header,
    timeouts: Timeouts,
    pattern: Option<Arc<str>>,
    path_values: Vec<(Arc<str>, String)>,
    mount_path: String,
}

/// What `http::Response` cannot say.
#[derive(Clone)]
struct CarriedResponse {
    info: Option<Box<ResponseInfo>>,
    tls: Option<Arc<TlsInfo>>,
}

/// The same request with this body. The original keeps its fields: whoever is around reads them afterwards.
pub(super) fn to_http(request: &Request, body: Body) -> http::Request<Body> {
    let mut same = Request::new(request.method.clone(), request.uri.clone(), body);
    same.proto = request.proto;
    same.header = request.header.clone();
    same.host.clone_from(&request.host);
    same.extensions = request.extensions.clone();
    let mut theirs = http::Request::from(same);
    let extensions = theirs.extensions_mut();
    extensions.insert(request.remote_addr.clone());
    extensions.insert(request.context().clone());
    if let Some(tls) = &request.tls {
        extensions.insert(tls.clone());
    }
    extensions.insert(CarriedRequest {
        uri: request.uri.clone(),
        request_uri: request.request_uri.clone(),
        host: request.host.clone(),
        close: request.close,
        trailer: request.trailer.clone(),
        timeouts: request.timeouts,
        pattern: request.pattern.clone(),
        path_values: request.path_values.clone(),
        mount_path: request.mount_path.clone(),
    });
    theirs
}

pub(super) fn from_http<B>(theirs: http::Request<B>) -> Request
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<ServiceError>,
{
    let mut request = Request::from(theirs.map(Body::from_http_body));
    if let Some(addr) = request.extensions.remove::<Addr>() {
        request.remote_addr = addr;
    }
    if let Some(context) = request.extensions.remove::<Context>() {
        request.context = context;
    }
    request.tls = request.extensions.remove::<Arc<TlsInfo>>();
    if let Some(carried) = request.extensions.remove::<CarriedRequest>() {
        // A layer may have sent the request elsewhere: then the target that came is not its target any more.
        if carried.uri == request.uri {
            request.request_uri = carried.request_uri;
        }
        if request.host.is_empty() {
            request.host = carried.host;
        }
        request.close = carried.close;
        request.trailer = carried.trailer;
        request.timeouts = carried.timeouts;
        request.pattern = carried.pattern;
        request.path_values = carried.path_values;
        request.mount_path = carried.mount_path;
    }
    request
}

pub(super) fn response_to_http(mut response: Response) -> http::Response<Body> {
    let carried = CarriedResponse { info: response.info.take(), tls: response.tls.take() };
    let mut theirs = http::Response::from(response);
    if carried.info.is_some() || carried.tls.is_some() {
        theirs.extensions_mut().insert(carried);
    }
    theirs
}

pub(super) fn response_from_http<B>(mut theirs: http::Response<B>) -> Response
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<ServiceError>,
{
    let carried = theirs.extensions_mut().remove::<CarriedResponse>();
    let mut response = Response::from(theirs.map(Body::from_http_body));
    if let Some(CarriedResponse { info, tls }) = carried {
        response.info = info;
        response.tls = tls;
    }
    response
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[test]
    fn a_request_comes_back_as_it_was_and_the_original_keeps_its_fields() {
        let mut request = Request::new(Method::GET, Uri::from_static("/things/7?x"), Body::empty());
        request.request_uri = "/things/%37?x".into();
        request.host = "a.test".into();
        request.remote_addr = Addr::Named("client 1".into());
        request.set_path_value("id", "7");
        request.pattern = Some("/things/{id}".into());
        request.header.set("Accept", "text/plain");
        request.extensions.insert(31_u8);

        let theirs = to_http(&request, Body::from("content"));
        assert_eq!(theirs.headers()["host"], "a.test");
        assert_eq!(theirs.extensions().get(), Some(&Addr::Named("client 1".into())));
        let back = from_http(theirs);
        for one in [&request, &back] {
            assert_eq!((one.uri.to_string().as_str(), one.request_uri.as_str()), ("/things/7?x", "/things/%37?x"));
            assert_eq!((one.host.as_str(), one.path_value("id")), ("a.test", "7"));
            assert_eq!(
                (one.pattern.as_deref(), one.remote_addr.to_string()),
                (Some("/things/{id}"), "client 1".into())
            );
            assert_eq!((one.header.get("Accept"), one.extensions.get()), (Some("text/plain"), Some(&31_u8)));
            assert!(!one.header.contains("Host"));
        }
        assert_eq!((back.content_length, request.content_length), (Some(7), Some(0)));
    }

    #[test]
    fn a_layer_that_changes_the_target_is_believed() {
        let mut request = Request::new(Method::GET, Uri::from_static("/old"), Body::empty());
        request.request_uri = "/old".into();
        let mut theirs = to_http(&request, Body::empty());
        *theirs.uri_mut() = Uri::from_static("/new");
        let back = from_http(theirs);
        assert_eq!((&*back.path(), back.request_uri.as_str()), ("/new", ""));
    }
}
