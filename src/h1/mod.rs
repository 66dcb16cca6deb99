//! HTTP/1.1 as bytes (RFC 9112), seen from a server: heads and chunks are read, answers are written.
//!
//! Nothing here waits, reads a socket or knows a runtime: what is not complete says so and is
//! called again with more bytes. What is read is read strictly, because a message that two
//! readers understand differently is how requests are smuggled. Each refusal names the status
//! that answers it, and comes at the first byte that makes the message impossible, so that it
//! does not depend on how the bytes were cut.

mod chunked;
mod encode;
mod field_lines;
mod framing;
mod host;
mod outgoing;
mod request_head;
mod request_line;
mod target;
#[cfg(test)]
mod tests;
mod trailer;

pub(crate) use chunked::{Chunked, ChunkedReader};
pub(crate) use encode::{
    ConnectionField, ResponseHead, encode_chunk_end, encode_chunk_head, encode_informational, encode_last_chunk,
    encode_response_head,
};
pub(crate) use field_lines::HeadLimits;
pub(crate) use framing::Framing;
pub(crate) use host::{Port, is_host};
pub(crate) use outgoing::{AnswerFacts, Outgoing, allows_content, outgoing};
pub(crate) use request_head::{Expectation, RequestHead, RequestParser};
pub(crate) use target::check_path_target;
pub(crate) use trailer::may_be_trailer;
