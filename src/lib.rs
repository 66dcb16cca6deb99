//! Go's `net/http` for Rust: a server, a router, a client and what belongs around them, on tokio.
//!
//! ```no_run
//! use nethttp::{Request, ResponseWriter, Result, ServeMux, listen_and_serve};
//!
//! async fn hello(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
//!     w.header().set("Content-Type", "text/plain");
//!     w.write(format!("hello, {}\n", r.path_value("name"))).await
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<()> {
//!     let mux = ServeMux::new();
//!     mux.handle("GET /hello/{name}", hello);
//!     listen_and_serve("127.0.0.1:8000", mux).await
//! }
//! ```
//!
//! ```no_run
//! # async fn example() -> nethttp::Result<()> {
//! let text = nethttp::get("https://example.com/").await?.error_for_status()?.text().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Where to look
//! The guide in `docs/guide` of the repository has a page for each topic, and `docs/from-go.md`, `from-axum.md` and
//! `from-reqwest.md` have the same programs side by side. Each module below names its page.
//!
//! The root has what a first program needs. All else lies in modules by topic, which have the root's names
//! of their topic too:
//!
//! | to serve | |
//! |---|---|
//! | [`server`] | [`Server`] and its settings, the forms of a [`Handler`], [`ResponseWriter`], events |
//! | [`mux`] | [`ServeMux`]: patterns, which one wins, what the mux responds to by itself |
//! | [`middleware`] | [`Middleware`] and [`Next`], and those that are ready: compression, CORS, authentication, limits, … |
//! | [`files`] | [`file_server`], [`FileServer`](files::FileServer), [`serve_file`], [`serve_content`](files::serve_content) |
//! | [`forms`] | [`Request::form`] and its [`Values`], files that are sent with forms |
//! | [`testing`] | a handler called without a connection, a server in memory under a clock that tests control |
//!
//! | to send requests | |
//! |---|---|
//! | [`client`] | [`Client`]: redirects, cookies, one limit over all; [`Transport`]: the pool, every other limit; proxies |
//! | [`trace`] | [`ClientTrace`](trace::ClientTrace) is called at each step of a request |
//!
//! | both | |
//! |---|---|
//! | [`context`] | [`Context`]: whether a client still waits, whether the server ends; cancelled by hand |
//! | [`body`] | [`Body`]: content from memory, streams and files, its limits |
//! | [`header`] | [`Header`], canonical names, dates |
//! | [`cookie`] | [`Cookie`], and the [`Jar`](cookie::Jar) of a client |
//! | [`sse`] | server-sent events: an [`EventStream`](sse::EventStream) out of a handler, an [`EventSource`](sse::EventSource) that reads one |
//! | [`tls`] | certificates, renewed while a server runs; who is trusted; [`TlsInfo`](tls::TlsInfo) |
//! | [`url`] | escaping, joining and resolving parts of a [`Uri`] |
//! | [`httputil`] | dumps of messages; messages written to and read from anything |
//! | [`net`] | [`Listener`](net::Listener)s and dialers: how connections are made |
//! | [`mod@error`] | [`Error`]: what went wrong, what was being waited for, how much was sent, what a peer sees |
//!
//! # Cancel safety
//! Reads ([`Body::chunk`], [`Listener::accept`](net::Listener::accept)) may be dropped at any await and called again.
//! A write that is dropped half-way leaves a response that cannot be completed: later writes fail
//! and the connection is closed, so that no peer takes it for whole. Each method says where it
//! differs.
//!
//! # Panics
//! No byte of a peer makes this crate panic. A handler's panic is caught and reported, and the
//! response is 500 where nothing was sent.
//!
//! # Features
//! | | default | |
//! |---|---|---|
//! | `server` | yes | all that serves |
//! | `client` | yes | all that sends requests |
//! | `http2` | yes | HTTP/2 on both sides, beside HTTP/1.1 on the same port |
//! | `tls` | yes | TLS on both sides, with aws-lc-rs and the platform's roots |
//! | `gzip` | yes | decoded by the client, made by [`FileServer`](files::FileServer) where it is told to |
//! | `charset` | yes | [`Response::text`] in other charsets than UTF-8 |
//! | `cookies` | yes | [`Jar`](cookie::Jar), with the list of public suffixes |
//! | `json` | yes | [`Request::json`], [`Body::json`] and [`Json`]; brings `serde` |
//! | `serde` | yes | [`Request::query_as`], [`Request::path_as`] and [`Request::form_as`] |
//! | `tracing` | yes | server events go to `tracing` where no sink is set |
//! | `socket-activation` | | [`net`]'s `ListenerSet` and `Server::until_replaced`: listeners of systemd, restarts without loss |
//! | `tower` | | services as handlers and transports, handlers and clients as services: axum, tonic, tower-http |
//! | `brotli`, `zstd` | | decoded by the client |
//! | `tls-ring` | | TLS with ring in place of aws-lc-rs |
//! | `tls-aws-lc` | | TLS with aws-lc-rs and without any roots of its own |
//! | `tls-no-provider` | | TLS with a provider that the program brings |
//! | `webpki-roots` | | Mozilla's roots, compiled in |
#![forbid(unsafe_code)]
#![cfg_attr(
    not(all(feature = "server", feature = "client", feature = "http2", feature = "tls-no-provider")),
    allow(dead_code, unused_imports, unreachable_pub, reason = "the lower layers hold what only one side uses")
)]

pub mod body;
#[cfg(feature = "client")]
pub mod client;
pub mod context;
pub mod cookie;
pub mod error;
#[cfg(feature = "server")]
pub mod files;
pub mod forms;
#[cfg(all(fuzzing, feature = "server", feature = "client", feature = "http2"))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(any(feature = "server", feature = "client"))]
mod h1;
#[cfg(all(feature = "http2", any(feature = "server", feature = "client")))]
mod h2;
pub mod header;
#[cfg(any(feature = "server", feature = "client"))]
pub mod httputil;
mod message;
#[cfg(feature = "server")]
pub mod middleware;
#[cfg(feature = "server")]
pub mod mux;
pub mod net;
#[cfg(all(
    doctest,
    feature = "server",
    feature = "client",
    feature = "http2",
    feature = "tls",
    feature = "cookies",
    feature = "json"
))]
mod pages;
#[cfg(all(feature = "server", feature = "client"))]
pub mod reverse_proxy;
#[cfg(feature = "server")]
pub mod server;
#[cfg(any(feature = "server", feature = "client"))]
pub mod sse;
#[cfg(feature = "server")]
pub mod testing;
pub mod tls;
#[cfg(feature = "tower")]
pub mod tower;
#[cfg(feature = "client")]
pub mod trace;
pub mod url;

// What a first program needs. All else is in the modules above, by topic.
pub use bytes::Bytes;
#[cfg(feature = "client")]
pub use client::{Client, RoundTripper, Transport, get, head, post, post_form};
pub use error::{Error, ErrorKind, Result};
#[cfg(feature = "server")]
pub use files::{file_server, serve_file};
pub use http::{Extensions, Method, StatusCode, Uri, Version};
pub use message::{Body, Context, Cookie, Header, Request, Response, Values, set_cookie};
#[cfg(feature = "server")]
pub use middleware::{error, not_found, redirect, strip_prefix};
#[cfg(feature = "server")]
pub use mux::{ServeMux, handle};
#[cfg(all(feature = "server", feature = "json"))]
pub use server::Json;
#[cfg(feature = "server")]
pub use server::{
    BoxHandler, Handler, IntoResponse, Middleware, Next, ResponseWriter, Server, handle_with, listen_and_serve,
    respond, respond_with, serve, serve_until_signal,
};
#[cfg(all(feature = "tls-no-provider", feature = "server"))]
pub use tls::listen_and_serve_tls;
