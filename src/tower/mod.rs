//! tower: services as handlers, handlers as services, layers around both sides (feature `tower`).
//!
//! | what you have | what you want | |
//! |---|---|---|
//! | a service: an axum `Router`, a tonic service, a `ServiceBuilder` stack | a handler of a mux or a server | [`handler`] |
//! | a handler | a service: in axum, hyper, a lambda runtime | [`HandlerService`] |
//! | a handler and a layer of tower-http | a handler | [`layered`] |
//! | a [`Client`](crate::Client) | a service | it is one |
//! | a [`Transport`](crate::Transport) and a layer | a client with the layer around each exchange | [`TransportService`], [`ServiceTransport`] |
//!
//! Services speak [`http::Request`] and [`http::Response`]. Nothing is collected on the way: content streams in both
//! directions, with its length where that is known, and with trailers.
//!
//! ```
//! use nethttp::{Request, ResponseWriter, ServeMux, tower};
//! # mod axum { pub use super::Router; }
//! # #[derive(Clone)] pub struct Router;
//! # impl Router { fn new() -> Router { Router } }
//! # impl tower_service::Service<http::Request<nethttp::Body>> for Router {
//! #     type Response = http::Response<nethttp::Body>;
//! #     type Error = std::convert::Infallible;
//! #     type Future = std::future::Ready<Result<Self::Response, Self::Error>>;
//! #     fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
//! #         std::task::Poll::Ready(Ok(()))
//! #     }
//! #     fn call(&mut self, _: http::Request<nethttp::Body>) -> Self::Future {
//! #         std::future::ready(Ok(http::Response::new("from the router".into())))
//! #     }
//! # }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let router = axum::Router::new(); // with its routes, state, extractors and layers, as they are
//! let mux = ServeMux::new();
//! mux.handle("GET /health", async |w: &mut ResponseWriter, _: &mut Request| w.write("ok").await);
//! mux.handle("/", tower::handler(router));
//! # let recorded = nethttp::testing::record(&mux, nethttp::testing::request("GET", "/x")).await;
//! # assert_eq!(recorded.text(), "from the router");
//! # }
//! ```
//!
//! # What a service finds in the extensions of its request
//! The peer's address as [`Addr`](crate::net::Addr), the request's [`Context`](crate::Context), and over TLS the session as
//! `Arc<`[`TlsInfo`](crate::tls::TlsInfo)`>`; and what middleware in front has put into
//! [`Request::extensions`](crate::Request::extensions). A service that looks for the address in a type of its own, as
//! axum's `ConnectInfo` is, gets it by [`ServiceHandler::prepare`].
//!
//! In the other direction an [`Addr`](crate::net::Addr) in the extensions becomes
//! [`remote_addr`](crate::Request::remote_addr). Through layers that lie between two of ours everything of a request
//! is kept: context, pattern and path values, time limits.
//!
//! # Upgrades
//! A service that wants the connection, as axum's `WebSocketUpgrade` does, asks hyper for it, which has none here. With
//! the feature `hyper-upgrade` it gets one: hyper serves a pipe in memory, which the connection is copied to and from
//! once the service has answered 101. Over HTTP/2, where
//! [`enable_connect_protocol`](crate::server::Http2Settings::enable_connect_protocol) is set, an extended CONNECT is for a
//! service the GET of HTTP/1.1 that asks for the same, key included, and its 101 is sent as the 200 of RFC 8441: one
//! route serves both protocols. Without the feature such a service answers that there is nothing to upgrade;
//! [`ResponseWriter::upgrade`](crate::ResponseWriter::upgrade) costs no copies, for handlers of one's own.
//!
//! The guide has a page on it: `docs/guide/tower.md`.

#[cfg(feature = "client")]
mod client;
mod convert;
#[cfg(feature = "server")]
mod handler;
mod locked;
#[cfg(feature = "server")]
mod service;
#[cfg(feature = "hyper-upgrade")]
mod upgrade;
#[cfg(all(feature = "server", not(feature = "hyper-upgrade")))]
#[path = "upgrade_absent.rs"]
mod upgrade;

#[cfg(feature = "client")]
pub use client::{ExchangeFuture, ServiceTransport, TransportService};
#[cfg(feature = "server")]
pub use handler::{ServiceHandler, handler, layered};
pub use locked::LockedService;
#[cfg(feature = "server")]
pub use service::{HandlerService, ServiceFuture};
