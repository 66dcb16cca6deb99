//! HTTP/2 (RFC 9113): the engine. `server/http2` and `client/http2` drive it.

pub(crate) mod engine;
