//! A service as a handler.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use http::StatusCode;
use tower_layer::Layer;
use tower_service::Service;

use super::convert::{ServiceError, response_from_http, to_http};
use super::service::HandlerService;
use super::upgrade;
use crate::error::{Error, Result};
use crate::message::{Body, Context, Request};
use crate::server::{Handler, ResponseWriter};

/// Makes a handler of a service: of an axum `Router`, a tonic service, a stack of layers.
///
/// Each request gets a clone of the service, which is asked whether it is ready ([`Service::poll_ready`]) and then
/// called: a service that limits how much runs at a time does so here as well, where its clones share the limit, as
/// tower's do. The response of the service is sent as it comes; a body that waits does not hold back what was there
/// before.
///
/// When the client leaves, the future of the service or the body of its response is dropped, as hyper does it; a log
/// of the server shows the status 499 then. An error of the service becomes a 500, and is reported.
///
/// A service that is not [`Sync`] goes in a [`LockedService`](super::LockedService).
pub fn handler<S, B>(service: S) -> ServiceHandler<S>
where
    S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<ServiceError>,
    B: http_body::Body + Send + 'static,
    B::Error: Into<ServiceError>,
{
    ServiceHandler { service, prepare: None }
}

/// A handler with a layer of tower or tower-http around it: `layered(TraceLayer::new_for_http(), mux)`.
///
/// The layer sees requests and responses as the `http` crate has them, and the response's content as it streams.
/// Several layers go in a stack (tower's `ServiceBuilder`). What a [`Middleware`](crate::Middleware) can do costs
/// less than a layer, for the handler behind a layer is [called](crate::server::call()) without its connection: it
/// cannot take the connection over, informational responses are lost, and files are not sent by the system.
pub fn layered<L, H, B>(layer: L, handler: H) -> ServiceHandler<L::Service>
where
    L: Layer<HandlerService<H>>,
    L::Service: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    <L::Service as Service<http::Request<Body>>>::Future: Send,
    <L::Service as Service<http::Request<Body>>>::Error: Into<ServiceError>,
    H: Handler,
    B: http_body::Body + Send + 'static,
    B::Error: Into<ServiceError>,
{
    self::handler(layer.layer(HandlerService::new(handler)))
}

/// A service as a handler. Made by [`handler`] and [`layered`].
#[derive(Clone)]
pub struct ServiceHandler<S> {
    service: S,
    prepare: Option<Prepare>,
}

type Prepare = Arc<dyn Fn(&mut Request) + Send + Sync>;

impl<S> ServiceHandler<S> {
    /// Calls a function with each request before its service gets it: to put into its extensions what the service
    /// looks for there.
    ///
    /// ```ignore
    /// use axum::extract::ConnectInfo;
    ///
    /// tower::handler(router).prepare(|r| {
    ///     if let Addr::Tcp(addr) = r.remote_addr {
    ///         r.extensions.insert(ConnectInfo(addr));
    ///     }
    /// })
    /// ```
    #[must_use]
    pub fn prepare(mut self, prepare: impl Fn(&mut Request) + Send + Sync + 'static) -> ServiceHandler<S> {
        self.prepare = Some(Arc::new(prepare));
        self
    }
}

impl<S, B> Handler for ServiceHandler<S>
where
    S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<ServiceError>,
    B: http_body::Body + Send + 'static,
    B::Error: Into<ServiceError>,
{
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        if let Some(prepare) = &self.prepare {
            prepare(r);
        }
        let context = r.context().clone();
        let body = std::mem::take(&mut r.body);
        let mut request = to_http(r, body);
        let offered = upgrade::offer(&mut request).await;
        match until_cancelled(&context, answer(self.service.clone(), request)).await {
            Some(response) => match (response_from_http(response?), offered) {
                (response, Some(offered)) if response.status == StatusCode::SWITCHING_PROTOCOLS => {
                    // Boxed: few requests have the room for it in use.
                    Box::pin(offered.accept(w, response)).await
                }
                (response, _) => w.send(response).await,
            },
            None => {
                w.write_header(client_closed_request());
                Ok(())
            }
        }
    }
}

async fn answer<S, R>(mut service: S, request: R) -> Result<S::Response>
where
    S: Service<R>,
    S::Error: Into<ServiceError>,
{
    let ours = |error: S::Error| Error::from(error.into());
    poll_fn(|cx| service.poll_ready(cx)).await.map_err(ours)?;
    service.call(request).await.map_err(ours)
}

/// The output of a future; none where its request is over for the client before. The future is dropped then.
async fn until_cancelled<F: Future>(context: &Context, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut cancelled = pin!(context.cancelled());
    poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        cancelled.as_mut().poll(cx).map(|()| None)
    })
    .await
}

/// 499, for logs alone: nginx's number for a client that left before its response.
fn client_closed_request() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}

impl<S> fmt::Debug for ServiceHandler<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceHandler").finish_non_exhaustive()
    }
}
