//! Responses: what a handler writes, how that is decided and encoded, and when the bytes leave.
//!
//! ```text
//!  handler ──▶ writer ─┬─▶ head ─▶ decide ─┐
//!                      └─▶ content ────────┴─▶ sink ─┬─▶ HTTP/1: write_buffer ─▶ the socket
//!  server ───▶ lifecycle     ▲                       └─▶ HTTP/2: write_buffer ─▶ DATA frames
//!                        filtering ─▶ filter
//! ```

mod content;
pub(super) mod decide;
mod extras;
mod filter;
mod filtering;
mod head;
mod kept_fields;
mod lifecycle;
pub(super) mod sink;
mod upgrade;
pub(super) mod write_buffer;
mod writer;

pub use filter::{ContentFilter, ResponseHead};
pub use writer::{AutoField, ResponseWriter};
