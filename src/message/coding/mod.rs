//! Content codings (RFC 9110 §8.4.1): taken off by clients, and put on by servers.

#[cfg(feature = "client")]
mod decode;
#[cfg(all(feature = "server", feature = "gzip"))]
mod encode;

#[cfg(feature = "client")]
pub(crate) use decode::{accept_encoding, decoded, decoder_for};
#[cfg(all(feature = "server", feature = "gzip"))]
pub(crate) use encode::{gzip_encoded, gzip_encoded_bytes};
