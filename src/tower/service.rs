//! A handler as a service.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::StatusCode;
use tower_service::Service;

use super::convert::{ServiceError, from_http, response_to_http};
use crate::error::{Error, Phase};
use crate::message::{Body, Frame, Source};
use crate::server::{Call, Handler, call};

/// A handler as a service, for axum, hyper and whatever else calls services: a mux as axum's fallback, a handler in a
/// lambda runtime.
///
/// The handler is called as [`call`](crate::server::call()) says, which also tells what is different without a
/// connection. It never fails as a service: its errors are responses. Always ready; clones share the handler.
///
/// ```
/// use nethttp::{Request, ResponseWriter, tower::HandlerService};
/// use tower_service::Service;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let mut service = HandlerService::new(async |w: &mut ResponseWriter, _: &mut Request| w.write("hello").await);
/// let request = http::Request::get("http://example.com/").body(nethttp::Body::empty()).unwrap();
/// let response = service.call(request).await.unwrap();
/// assert_eq!(response.headers()["content-length"], "5");
/// # }
/// ```
pub struct HandlerService<H> {
    handler: Arc<H>,
}

impl<H: Handler> HandlerService<H> {
    /// Around a handler.
    pub fn new(handler: H) -> HandlerService<H> {
        HandlerService { handler: Arc::new(handler) }
    }
}

impl<H> Clone for HandlerService<H> {
    fn clone(&self) -> HandlerService<H> {
        HandlerService { handler: self.handler.clone() }
    }
}

impl<H, B> Service<http::Request<B>> for HandlerService<H>
where
    H: Handler,
    B: http_body::Body + Send + 'static,
    B::Error: Into<ServiceError>,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = ServiceFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> ServiceFuture {
        ServiceFuture(call(self.handler.clone(), from_http(request)))
    }
}

impl<H> fmt::Debug for HandlerService<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HandlerService").finish_non_exhaustive()
    }
}

/// The future of a [`HandlerService`].
#[derive(Debug)]
pub struct ServiceFuture(Call);

impl Future for ServiceFuture {
    type Output = Result<http::Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = match ready!(Pin::new(&mut self.0).poll(cx)) {
            Ok(response) => response_to_http(response),
            // It has ended without a response, so there is none to be shown: a body that breaks off makes whoever
            // sends it cut the connection, which is what the handler wanted.
            Err(error) => {
                let mut response = http::Response::new(Body::from_source(Broken(error)));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        };
        Poll::Ready(Ok(response))
    }
}

/// Content that breaks off before it begins.
struct Broken(Error);

impl Source for Broken {
    fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<crate::error::Result<Frame>>> {
        Poll::Ready(Some(Err(self.0.again().during(Phase::Body))))
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}
