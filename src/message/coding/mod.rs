//! Content codings (RFC 9110 §8.4.1), taken off content: gzip and deflate, and by feature Brotli and Zstandard.
//!
//! ```text
//! Body ──chunks──► Decoded ──input──► Decode (one of gzip, deflate, br, zstd)
//!                     │  ◄──output──────┘
//!                     └──► Body, of at most 64 KiB a chunk
//! ```
//!
//! A small message may decode to a very large one, so nothing here decodes more than was asked
//! for: each poll makes one chunk. Nothing is allocated before the first byte has come.

use std::sync::LazyLock;

#[cfg(feature = "brotli")]
mod br;
mod decode;
#[cfg(feature = "gzip")]
mod gzip;
// Two lines, so that clippy knows it for tests.
#[cfg(test)]
#[cfg(feature = "gzip")]
mod tests;
#[cfg(feature = "zstd")]
mod zstandard;

pub(crate) use decode::{Coding, decoded};

use crate::message::header::list_has;

/// The default `Accept-Encoding` of a client: gzip, then `br`, then `zstd`, as far as this build
/// decodes them; empty where it decodes none. `deflate` is not among them, because servers send two
/// different formats under that name.
pub(crate) fn accept_encoding() -> &'static str {
    static LIST: LazyLock<String> = LazyLock::new(|| {
        let asked = [gzip(), br(), zstandard()];
        asked.into_iter().flatten().map(|coding| coding.name).collect::<Vec<_>>().join(", ")
    });
    &LIST
}

/// The decoder for the value of a `Content-Encoding` field, where the request's
/// `Accept-Encoding` has it. A coding that was not asked for is left on the content, and so are several
/// codings (Go's rule).
pub(crate) fn decoder_for(coding: &[u8], accept_encoding: &[u8]) -> Option<Coding> {
    let coding = coding.trim_ascii();
    // RFC 9110 §8.4.1.3: an old name for the same.
    let coding = if coding.eq_ignore_ascii_case(b"x-gzip") { b"gzip" } else { coding };
    let all = [gzip(), br(), zstandard(), deflated()];
    all.into_iter()
        .flatten()
        .find(|known| coding.eq_ignore_ascii_case(known.name.as_bytes()) && list_has(accept_encoding, known.name))
}

#[cfg(feature = "gzip")]
fn gzip() -> Option<Coding> {
    Some(Coding { name: "gzip", make: || Ok(Box::new(gzip::Gzip::new())) })
}

#[cfg(not(feature = "gzip"))]
fn gzip() -> Option<Coding> {
    None
}

#[cfg(feature = "gzip")]
fn deflated() -> Option<Coding> {
    Some(Coding { name: "deflate", make: || Ok(Box::new(gzip::Deflate::new())) })
}

#[cfg(not(feature = "gzip"))]
fn deflated() -> Option<Coding> {
    None
}

#[cfg(feature = "brotli")]
fn br() -> Option<Coding> {
    Some(Coding { name: "br", make: || Ok(Box::new(br::Brotli::new())) })
}

#[cfg(not(feature = "brotli"))]
fn br() -> Option<Coding> {
    None
}

#[cfg(feature = "zstd")]
fn zstandard() -> Option<Coding> {
    Some(Coding { name: "zstd", make: || Ok(Box::new(zstandard::Zstandard::new()?)) })
}

#[cfg(not(feature = "zstd"))]
fn zstandard() -> Option<Coding> {
    None
}
