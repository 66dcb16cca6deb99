//! What stands around handlers, and the responses that every program gives.
//!
//! [`Middleware`](crate::Middleware) says what a middleware is and where it goes. Here are the forms in
//! which one is kept, and functions that take a handler and return one.
//!
//! | to | there is |
//! |---|---|
//! | let pages of other origins read responses | [`Cors`] |
//! | refuse requests that other origins forge | [`CrossOriginProtection`] |
//! | know the client behind proxies | [`TrustedProxies`] |
//! | know who sends a request | [`Authentication`] |
//! | find the traces of a request again | [`RequestId`] |
//! | be used by nobody more than is fair | [`RateLimit`], [`ConcurrencyLimit`], [`BodyLimit`], [`Timeout`] |
//! | have browsers be careful | [`SecurityHeaders`], [`HttpsRedirect`] |
//! | say what becomes of a panic | [`PanicPolicy`] |
//! | change fields | [`RequestFields`], [`ResponseFields`] |
//! | send less | [`Compression`] |
//! | know what the responses were | [`AccessLog`] |
//! | take compressed content | [`Decompression`] |
//! | stop work that nobody waits for | [`DropOnDisconnect`] |
//! | keep the deadlines of gRPC calls | [`GrpcDeadline`] |
//!
//! An order that works, from the outside in: `TrustedProxies`, `AccessLog`, `RequestId`, `HttpsRedirect`,
//! `SecurityHeaders`, `Cors`, `CrossOriginProtection`, `RateLimit`, `ConcurrencyLimit`, `Authentication`,
//! `BodyLimit`, `Timeout`, `Compression`, `Decompression`. Who the client is must be known before it is counted,
//! and a refusal must have the fields that let a page read it.
//!
//! Those that refuse a request return an error with a status, or write one as [`error`](crate::error()) does, so what
//! a program does with errors ([`Server::on_error`](crate::Server::on_error)) is done with theirs too. Their fields are in every response, those that the server writes by itself included.
//!
//! ```
//! use std::time::Duration;
//!
//! use nethttp::middleware::{BodyLimit, Cors, RateLimit, RequestId, SecurityHeaders, TrustedProxies};
//! use nethttp::{Request, ResponseWriter, ServeMux};
//!
//! let mux = ServeMux::new();
//! mux.handle("GET /", async |w: &mut ResponseWriter, _: &mut Request| w.write("hello\n").await);
//! mux.wrap(TrustedProxies::new(["10.0.0.0/8"]));
//! mux.wrap(RequestId::new());
//! mux.wrap(SecurityHeaders::new());
//! mux.wrap(Cors::new().allow_origin("https://app.example.com"));
//! mux.wrap(RateLimit::new(100, Duration::from_secs(60)));
//! mux.wrap(BodyLimit::new(1 << 20));
//! ```
//!
//! The guide has a page on it: `docs/guide/middleware.md`.

// What a middleware changes in the request it changes back, however the inner handler ends: the
// request is borrowed, and the code around (a log, another middleware) must see it as it was. The exceptions
// say so: what `TrustedProxies` has found out, an id and changed fields are for the code around too.

mod access_log;
mod authentication;
mod body_limit;
mod compression;
mod concurrency_limit;
mod cors;
mod cross_origin_protection;
mod decompression;
mod disconnect;
mod error;
mod grpc_deadline;
mod header_fields;
mod limits;
mod origin;
mod panic_policy;
mod rate_limit;
mod redirect;
mod request_id;
mod security_headers;
mod target;
mod timeout;
mod trusted_proxies;

pub use crate::message::{CompressionLevel, ContentCoding};
pub use crate::server::handler::Wrapped;
pub use crate::server::middleware::{BoxMiddleware, with_state};
pub use access_log::{AccessLog, LogFormat};
pub use authentication::{AuthScheme, Authentication, BasicCredentials, Identity};
pub use body_limit::BodyLimit;
pub use compression::Compression;
pub use concurrency_limit::ConcurrencyLimit;
pub use cors::Cors;
pub use cross_origin_protection::CrossOriginProtection;
pub use decompression::Decompression;
pub use disconnect::DropOnDisconnect;
pub use error::{error, not_found, not_found_handler};
pub use grpc_deadline::GrpcDeadline;
pub use header_fields::{RequestFields, ResponseFields};
pub use limits::max_bytes_handler;
pub use panic_policy::PanicPolicy;
pub use rate_limit::RateLimit;
pub use redirect::{redirect, redirect_handler};
pub use request_id::RequestId;
pub use security_headers::{HstsPreload, HttpsRedirect, SecurityHeaders};
pub use target::{allow_query_semicolons, strip_prefix};
pub use timeout::{Timeout, timeout_handler};
pub use trusted_proxies::TrustedProxies;
