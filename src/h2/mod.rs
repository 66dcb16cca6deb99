//! HTTP/2 (RFC 9113) as functions over bytes: no runtime, no clock, no lock.
//!
//! It does for HTTP/2 what `h1` does for HTTP/1. A driver hands it the bytes that arrived and a number of
//! milliseconds, takes events, and fetches the bytes to be written:
//!
//! ```text
//!  bytes ──▶ frame ──▶ hpack ──▶ ReceivedHead            events ──▶ the driver
//!  bytes ◀── frame ◀── hpack ◀── Header, content         calls  ◀── the driver
//! ```
//!
//! The connections of the server and of the client run on it (`server/http2`, `client/http2`).

#![allow(dead_code, unused_imports, reason = "server and client need different parts of it")]

#[cfg(any(test, fuzzing))]
pub(crate) mod checker;
mod connection;
mod event;
pub(crate) mod fault;
mod field_kind;
mod fields_to_send;
pub(crate) mod frame;
mod goaway;
pub(crate) mod hpack;
mod input;
mod limits;
mod out_buffer;
mod priority;
mod receive;
mod receive_content;
mod receive_control;
mod receive_heads;
mod received_head;
mod scheduler;
mod send;
mod settings;
mod stream;
#[cfg(test)]
mod tests;
mod window;

pub(crate) use connection::Http2Core;
pub(crate) use event::{CoreEvent, NewRequest, Role};
pub(crate) use fault::{ConnectionFault, ErrorCode};
pub(crate) use fields_to_send::{Http2RequestHead, Http2ResponseHead};
pub(crate) use hpack::ListLimits;
pub(crate) use limits::EngineLimits;
pub(crate) use received_head::ReceivedHead;
pub(crate) use send::{CannotBegin, MessageEnd, SendSlot};
pub(crate) use settings::CoreSettings;
pub(crate) use stream::{ClosedBy, Http2StreamState};
