//! HTTP/2 (RFC 9113): the `h2` crate in terms of this crate's types.
//!
//! The `h2` crate does framing, compression and flow control. This module converts its requests,
//! content, fields and errors to this crate's and back, and puts a [`Wire`] beneath it, which counts
//! every incoming frame: `h2` has no limit on some frames that a peer may send without end.
//!
//! ```text
//!  Stream (TCP, TLS) ◀──▶ Wire (stall limit, Meter) ◀──▶ h2 ◀──▶ Received, poll_room, fields
//! ```

mod content;
pub(crate) mod engine;
mod error;
mod fields;
mod meter;
#[cfg(feature = "server")]
mod request;
mod wire;

pub(crate) use content::{Received, poll_room};
pub(crate) use error::{in_words, stream_error};
pub(crate) use fields::{append_fields, append_trailer};
pub(crate) use meter::{Fault, Meter, MeterLimits};
#[cfg(feature = "server")]
pub(crate) use request::{content_length, fill_request};
pub(crate) use wire::Wire;

/// What a client sends first (RFC 9113 §3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
