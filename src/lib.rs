//! Go's `net/http` for Rust.
#![forbid(unsafe_code)]

mod error;
#[cfg(feature = "server")]
mod files;
#[cfg(feature = "server")]
mod h1;
mod message;
#[cfg(feature = "server")]
mod mux;
mod net;
#[cfg(feature = "server")]
mod server;
#[cfg(feature = "server")]
pub mod testing;

pub use bytes::Bytes;
pub use error::{Error, ErrorKind, Phase, Result};
#[cfg(feature = "server")]
pub use files::file_server;
pub use http::{Extensions, Method, StatusCode, Uri, Version};
pub use message::{
    Addr, Body, Context, DEFAULT_MAX_TEXT_BYTES, Header, Request, Response, canonical_header_key, detect_content_type,
    format_time, parse_time,
};
#[cfg(feature = "server")]
pub use mux::{DefaultServeMux, Lookup, ServeMux, default_serve_mux, handle};
#[cfg(feature = "server")]
pub use net::Listener;
#[cfg(all(feature = "server", feature = "json"))]
pub use server::Json;
#[cfg(feature = "server")]
pub use server::{
    AutoField, CloseReason, ConnInfo, ConnState, DEFAULT_MAX_HEADER_BYTES, DEFAULT_MAX_HEADER_VALUE_COUNT, Handler,
    HandlerFn, HandlerFuture, Hijacked, IntoResponse, RequestRecord, RespondFn, ResponseWriter, Server, ServerEvent,
    ShutdownReport, StateFn, TryIntoResponse, abort, handle_with, listen_and_serve, respond, serve,
};
