//! HTTP/1.1 as bytes (RFC 9112): a server reads requests and writes responses, a client the other
//! way round, and both have chunks.
//!
//! Nothing here waits, reads a socket or knows a runtime: what is not complete says so and is
//! called again with more bytes. What is read is read strictly, because a message that two
//! readers understand differently is how requests are smuggled. Each refusal names the status
//! to respond with, and comes at the first byte that makes the message impossible, so that it
//! does not depend on how the bytes were cut.

mod chunked;
mod encode;
#[cfg(feature = "client")]
mod encode_request;
mod field_lines;
mod framing;
mod head_scanner;
mod host;
mod request_head;
mod response_head;
mod target;
#[cfg(test)]
mod tests;

pub(crate) use chunked::{Chunked, ChunkedReader};
pub(crate) use encode::{
    ConnectionField, ResponseToSend, append_field, encode_chunk_end, encode_chunk_head, encode_informational,
    encode_last_chunk, encode_response_head,
};
#[cfg(feature = "client")]
pub(crate) use encode_request::{
    OwnField, ProxyAuthorization, RequestToSend, SentTarget, check_request, encode_request_head,
};
pub(crate) use field_lines::{HeadLimits, may_be_trailer};
#[cfg(feature = "client")]
pub(crate) use framing::outgoing_request;
pub(crate) use framing::{Framing, Outgoing, OutgoingResponse, allows_content, may_send_content, outgoing_response};
pub(crate) use framing::{RequestKind, declared_length};
pub(crate) use host::{Port, is_host};
pub(crate) use request_head::{Expectation, ParsedRequest, RequestParser};
pub(crate) use response_head::ResponseParser;
#[cfg(feature = "client")]
pub(crate) use response_head::{ParsedResponse, Switch};
#[cfg(all(feature = "server", feature = "http2"))]
pub(crate) use target::parse_path_target;
