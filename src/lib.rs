//! Go's `net/http` for Rust.
#![forbid(unsafe_code)]

mod error;
mod message;

pub use bytes::Bytes;
pub use error::{Error, ErrorKind, Phase, Result};
pub use http::{Extensions, Method, StatusCode, Uri, Version};
pub use message::{
    Addr, Body, Context, DEFAULT_MAX_TEXT_BYTES, Header, Request, Response, canonical_header_key, format_time,
    parse_time,
};

mod h1;
#[cfg(feature = "server")]
mod mux;
#[cfg(feature = "server")]
mod server;

#[cfg(feature = "server")]
pub use mux::{DefaultServeMux, Lookup, ServeMux, default_serve_mux, handle};
#[cfg(feature = "server")]
pub use server::{Handler, HandlerFn, HandlerFuture, ResponseWriter, StateFn, handle_with};
