//! Go's `net/http` for Rust.
#![forbid(unsafe_code)]

mod error;
mod message;

pub use bytes::Bytes;
pub use error::{Error, ErrorKind, Phase, Result};
pub use http::{Extensions, Method, StatusCode, Uri, Version};
pub use message::{
    Addr, Body, Context, DEFAULT_MAX_TEXT_BYTES, Header, Request, Response, canonical_header_key, detect_content_type,
    format_time, parse_time,
};
pub use net::Listener;

#[cfg(feature = "server")]
mod files;
mod h1;
#[cfg(feature = "server")]
mod mux;
mod net;
#[cfg(feature = "server")]
mod server;

#[cfg(feature = "server")]
pub use files::file_server;
#[cfg(feature = "server")]
pub use mux::{DefaultServeMux, ServeMux};
#[cfg(feature = "server")]
pub use server::{Handler, HandlerFn, HandlerFuture, ResponseWriter, StateFn, handle_with};
