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
//! To serve:
//! - [`Server`]: settings with their defaults, serving, graceful shutdown, a runtime for each core.
//! - [`ServeMux`]: patterns, which one wins, the responses that the mux makes itself.
//! - [`Handler`]: the forms of a handler; [`handle_with`] for a state, [`respond`] for responses as
//!   values, [`middleware`](strip_prefix) as functions around handlers: [`strip_prefix`],
//!   [`timeout_handler`], [`max_bytes_handler`], [`redirect`], [`error()`].
//! - [`Request`] and [`ResponseWriter`]: what came and what is sent; [`Body`] and [`Header`] in
//!   both.
//! - [`Request::form`], [`Request::multipart_form`] and [`Request::multipart`]: forms, and files that
//!   are sent with them; [`Values`].
//! - [`file_server`] and [`FileServer`], [`serve_file`], [`serve_content`]: files, and content that
//!   is served like one: ranges, conditional requests.
//! - [`TlsServerConfig`]: certificates, renewed while the server runs, and those of clients.
//! - [`testing`]: a server in memory, under a clock that tests control.
//!
//! To send requests:
//! - [`get`], [`post`] and the like, for a program that sends one now and then.
//! - [`Client`]: redirects, cookies ([`Jar`]), one limit on how long all of it takes.
//! - [`Transport`]: connections and their pool, every other limit, protocols; [`RoundTripper`] to put
//!   something of your own in its place.
//! - [`Response`]: status, fields, [`Body`]; when and over which connection it came;
//!   [`Response::upgrade`]. [`ClientTrace`] is called at each step.
//! - [`Proxy`], [`TcpDialer`], [`Dial`], [`TlsConfig`]: how connections are made.
//!
//! Both:
//! - [`Cookie`]: to read with [`Request::cookies`], to send with [`set_cookie`].
//! - [`Error`]: what went wrong, what was being waited for, how much of a request had been sent, and
//!   what a peer is told.
//!
//! # Cancel safety
//! Reads ([`Body::chunk`], [`Listener::accept`]) may be dropped at any await and called again.
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
//! | `gzip` | yes | decoded by the client, made by [`FileServer`] where it is told to |
//! | `charset` | yes | [`Response::text`] in other charsets than UTF-8 |
//! | `cookies` | yes | [`Jar`], with the list of public suffixes |
//! | `json` | yes | [`Body::json`] and [`Json`] |
//! | `tracing` | yes | server events go to `tracing` where no sink is set |
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

#[cfg(feature = "client")]
mod client;
mod error;
#[cfg(feature = "server")]
mod files;
#[cfg(feature = "server")]
mod forms;
#[cfg(all(fuzzing, feature = "server", feature = "client"))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(any(feature = "server", feature = "client"))]
mod h1;
#[cfg(all(feature = "http2", any(feature = "server", feature = "client")))]
mod h2;
mod message;
#[cfg(feature = "server")]
pub mod middleware;
#[cfg(feature = "server")]
mod mux;
mod net;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
pub mod testing;

pub use bytes::Bytes;
#[cfg(feature = "client")]
pub use client::{
    Client, ClientProtocols, ClientTrace, ConnectHook, CookieJar, DEFAULT_MAX_RESPONSE_HEADER_BYTES,
    DEFAULT_MAX_RESPONSE_HEADER_VALUE_COUNT, GotConn, HostStats, IntoUrl, Proxy, ProxyScheme, ProxyUrl, RedirectChoice,
    RedirectHook, RoundTripFuture, RoundTripper, Transport, Upgraded, default_client, get, head, post, post_form,
};
#[cfg(all(feature = "client", feature = "cookies"))]
pub use client::{Jar, SessionCookies, StoredCookie};
pub use error::{Error, ErrorKind, Phase, Result, Sent};
#[cfg(feature = "server")]
pub use files::{
    Dir, DirEntry, EmbeddedFiles, File, FileInfo, FileKind, FileServer, FileSystem, file_server, file_server_fs,
    serve_content, serve_file,
};
#[cfg(feature = "server")]
pub use forms::{DEFAULT_MAX_FORM_MEMORY, FormFile, MultipartForm};
pub use http::{Extensions, Method, StatusCode, Uri, Version};
pub use message::{
    Addr, Body, Context, Cookie, DEFAULT_MAX_CLIENT_BYTES, DEFAULT_MAX_TEXT_BYTES, Header, Multipart, MultipartLimits,
    Part, Protocols, Redirected, Request, Response, SameSite, Timeouts, Timings, TlsInfo, TlsVersion, Values,
    canonical_header_key, detect_content_type, format_time, parse_cookie, parse_set_cookie, parse_time, set_cookie,
};
#[cfg(feature = "server")]
pub use middleware::{
    allow_query_semicolons, error, max_bytes_handler, not_found, not_found_handler, redirect, redirect_handler,
    strip_prefix, timeout_handler,
};
#[cfg(feature = "server")]
pub use mux::{DefaultServeMux, Lookup, ServeMux, default_serve_mux, handle};
#[cfg(feature = "tls-no-provider")]
pub use net::Certificate;
#[cfg(feature = "server")]
pub use net::Listener;
#[cfg(all(feature = "client", unix))]
pub use net::UnixDialer;
#[cfg(all(feature = "tls-no-provider", feature = "server"))]
pub use net::{ClientAuth, TlsServerConfig};
#[cfg(feature = "client")]
pub use net::{
    Dial, DialTarget, DialWatch, DialedStream, FixedResolver, Resolve, Resolved, SystemResolver, TcpDialer, dial_fn,
};
#[cfg(all(feature = "tls-no-provider", feature = "client"))]
pub use net::{TlsConfig, TlsRoots};
#[cfg(all(feature = "server", feature = "json"))]
pub use server::Json;
#[cfg(feature = "server")]
pub use server::{
    AutoField, BoxHandler, CloseReason, ConnInfo, ConnState, DEFAULT_MAX_HEADER_BYTES, DEFAULT_MAX_HEADER_VALUE_COUNT,
    Handler, HandlerFn, HandlerFuture, Hijacked, Http2Settings, IntoResponse, Middleware, MiddlewareFn,
    MiddlewareStateFn, Next, RequestRecord, RespondFn, ResponseWriter, Server, ServerEvent, ShutdownReport, StateFn,
    TryIntoResponse, abort, handle_with, listen_and_serve, respond, serve,
};

#[cfg(all(feature = "tls-no-provider", feature = "server"))]
pub use server::{listen_and_serve_tls, serve_tls};

/// The examples of the README, compiled.
#[cfg(all(doctest, feature = "server", feature = "json"))]
#[doc = include_str!("../README.md")]
mod readme {}
