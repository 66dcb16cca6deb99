//! The client's side: a client and a transport as services, and a service as a transport.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tower_service::Service;

use super::convert::{ServiceError, from_http, response_from_http, response_to_http, to_http};
use crate::client::{Client, RoundTripFuture, RoundTripper};
use crate::error::{Error, Result};
use crate::message::{Body, Request};

/// The future of a [`Client`] and of a [`TransportService`] as services.
pub type ExchangeFuture = Pin<Box<dyn Future<Output = Result<http::Response<Body>>> + Send>>;

/// A client is a service (feature `tower`): redirects, cookies and the time limit over all are inside. Always ready.
///
/// ```no_run
/// use nethttp::{Body, Client};
/// use tower_service::Service;
///
/// # async fn example() -> nethttp::Result<()> {
/// let mut client = Client::new(); // or `ServiceBuilder::new().layer(…).service(Client::new())`
/// let request = http::Request::get("https://example.com/").body(Body::empty())?;
/// let response = client.call(request).await?;
/// # Ok(())
/// # }
/// ```
impl<B> Service<http::Request<B>> for Client
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<ServiceError>,
{
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = ExchangeFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> ExchangeFuture {
        let client = self.clone();
        let request = from_http(request);
        Box::pin(async move { client.send(request).await.map(response_to_http) })
    }
}

/// A transport as a service: one exchange, without redirects and cookies. Always ready; clones share the transport.
///
/// With a layer around it, and [`ServiceTransport`] around both, it is what a [`Client`] sends with:
///
/// ```
/// use std::sync::Arc;
/// use nethttp::tower::{ServiceTransport, TransportService};
/// use nethttp::{Client, Transport};
/// # use tower_layer::{Layer, Identity};
///
/// let layer = Identity::new(); // such as those of tower-http
/// let mut client = Client::new();
/// client.transport = Arc::new(ServiceTransport::new(layer.layer(TransportService::new(Transport::new()))));
/// ```
#[derive(Clone)]
pub struct TransportService {
    transport: Arc<dyn RoundTripper>,
}

impl TransportService {
    /// Around a transport.
    pub fn new(transport: impl RoundTripper) -> TransportService {
        TransportService { transport: Arc::new(transport) }
    }
}

impl From<Arc<dyn RoundTripper>> for TransportService {
    fn from(transport: Arc<dyn RoundTripper>) -> TransportService {
        TransportService { transport }
    }
}

impl<B> Service<http::Request<B>> for TransportService
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<ServiceError>,
{
    type Response = http::Response<Body>;
    type Error = Error;
    type Future = ExchangeFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> ExchangeFuture {
        let transport = self.transport.clone();
        let mut request = from_http(request);
        Box::pin(async move { transport.round_trip(&mut request).await.map(response_to_http) })
    }
}

impl fmt::Debug for TransportService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportService").finish_non_exhaustive()
    }
}

/// A service as what carries a client's requests: a [`RoundTripper`]. Each request gets a clone of the service, when
/// that is ready.
pub struct ServiceTransport<S> {
    service: S,
}

impl<S> ServiceTransport<S> {
    /// Around a service, of which each request gets a clone.
    pub fn new<B>(service: S) -> ServiceTransport<S>
    where
        S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send,
        S::Error: Into<ServiceError>,
        B: http_body::Body + Send + 'static,
        B::Error: Into<ServiceError>,
    {
        ServiceTransport { service }
    }
}

impl<S, B> RoundTripper for ServiceTransport<S>
where
    S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<ServiceError>,
    B: http_body::Body + Send + 'static,
    B::Error: Into<ServiceError>,
{
    fn round_trip<'a>(&'a self, request: &'a mut Request) -> RoundTripFuture<'a> {
        let mut service = self.service.clone();
        // What is left of the body can make it again, for a redirect.
        let body = request.body.take_replayable();
        let request = to_http(request, body);
        Box::pin(async move {
            let answering = async {
                poll_fn(|cx| service.poll_ready(cx)).await?;
                service.call(request).await
            };
            answering.await.map(response_from_http).map_err(|error: S::Error| Error::from(error.into()))
        })
    }
}

impl<S> fmt::Debug for ServiceTransport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceTransport").finish_non_exhaustive()
    }
}
