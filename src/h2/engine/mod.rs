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
//! No driver uses it yet. Until one does, it is compiled for tests and fuzzing only, and the `h2` crate
//! carries all connections.

#![allow(dead_code, reason = "the drivers come one after the other")]

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
pub(crate) use event::{CoreEvent, Role};
pub(crate) use fields_to_send::Http2RequestHead;
pub(crate) use hpack::ListLimits;
pub(crate) use limits::EngineLimits;
pub(crate) use received_head::ReceivedHead;
pub(crate) use send::{CannotBegin, MessageEnd};
pub(crate) use settings::CoreSettings;
pub(crate) use stream::{ClosedBy, Http2StreamState};
