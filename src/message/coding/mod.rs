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

use self::decode::{Coding, decoded};
use crate::message::body::Body;
use crate::message::header::{Header, list_has};

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

/// The most codings that are taken off content (curl's number). Each may make a thousand bytes of one.
pub(crate) const MAX_CODING_COUNT: usize = 5;

/// The content without the codings that the `Content-Encoding` of its message lists, in the order in which they
/// were laid on. `asked` is the request's `Accept-Encoding`.
///
/// # Errors
/// The body as it is, where nothing is to be done, where nobody asked for one of the codings (Go's
/// rule), and where there are more than [`MAX_CODING_COUNT`].
pub(crate) fn without_codings(body: Body, header: &Header, asked: &[u8]) -> Result<Body, Body> {
    let mut found = [None; MAX_CODING_COUNT];
    let mut count = 0;
    let values = header.values_bytes("Content-Encoding");
    let listed = values.flat_map(|value| value.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
    // RFC 9110 §8.4: `identity` is no coding of content; some servers say it all the same.
    for name in listed.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity")) {
        match (found.get_mut(count), decoder_for(name, asked)) {
            (Some(place), Some(coding)) => *place = Some(coding),
            _ => return Err(body),
        }
        count += 1;
    }
    if count == 0 || body.is_empty() {
        return Err(body);
    }
    Ok(found.into_iter().flatten().rev().fold(body, decoded))
}

/// The decoder for one content coding, where the request asked for it.
fn decoder_for(coding: &[u8], asked: &[u8]) -> Option<Coding> {
    let coding = coding.trim_ascii();
    // RFC 9110 §8.4.1.3: an old name for the same.
    let coding = if coding.eq_ignore_ascii_case(b"x-gzip") { b"gzip" } else { coding };
    let all = [gzip(), br(), zstandard(), deflated()];
    all.into_iter()
        .flatten()
        .find(|known| coding.eq_ignore_ascii_case(known.name.as_bytes()) && list_has(asked, known.name))
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
