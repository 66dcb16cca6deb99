//! HTTP/2 (RFC 9113): the `h2` crate in our words.
//!
//! The crate frames, compresses and keeps the windows. Here its requests become ours, its content a
//! body, our fields its fields, its errors ours; and a [`Wire`] beneath it sees every frame that
//! comes in, because what a peer may do without end the crate does not count.
//!
//! ```text
//!  Stream (TCP, TLS) ◀──▶ Wire (stall limit, Meter) ◀──▶ h2 ◀──▶ Received, poll_room, fields
//! ```

#[cfg(feature = "client")]
mod client;
mod content;
mod error;
mod fields;
mod meter;
#[cfg(feature = "server")]
mod request;
mod wire;

#[cfg(feature = "client")]
pub(crate) use client::{RequestToSend, client_builder, field_bytes, fill_response, to_request};
pub(crate) use content::{Received, poll_room};
pub(crate) use error::{in_words, stream_error};
pub(crate) use fields::{append_fields, append_trailer};
pub(crate) use meter::{Fault, Meter, MeterLimits};
#[cfg(feature = "server")]
pub(crate) use request::{content_length, fill_request};
pub(crate) use wire::Wire;

/// What a client sends first (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
