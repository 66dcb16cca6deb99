//! Content codings (RFC 9110 §8.4.1), taken off content and laid on it: gzip, and by feature Brotli and
//! Zstandard; deflate is taken off alone.
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

mod accept;
#[cfg(feature = "brotli")]
mod br;
mod decode;
mod encode;
#[cfg(feature = "gzip")]
mod gzip;
// Two lines, so that clippy knows it for tests.
#[cfg(test)]
#[cfg(feature = "gzip")]
mod tests;
#[cfg(feature = "zstd")]
mod zstandard;

pub(crate) use self::accept::weight;
use self::decode::{Coding, decoded, decoded_within};
pub(crate) use self::encode::{Accepted, Encode, accepted, is_compressible};
pub use self::encode::{CompressionLevel, ContentCoding};
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
    match listed_codings(header, asked) {
        Some(ListedCodings { found, count }) if count > 0 && !body.is_empty() => {
            Ok(found.into_iter().flatten().rev().fold(body, decoded))
        }
        _ => Err(body),
    }
}

/// The same for a request, of which each coding may make at most `max_ratio` bytes of one. What lies between two
/// codings is limited too: a coded form is hardly longer than its content, of which the caller takes `max_bytes`,
/// and ratios multiply.
///
/// # Errors
/// The body as it is, where a coding is not one of [`request_encodings`], or there are more than
/// [`MAX_CODING_COUNT`].
pub(crate) fn decoded_request(body: Body, header: &Header, max_ratio: u64, max_bytes: u64) -> Result<Body, Body> {
    match listed_codings(header, request_encodings().as_bytes()) {
        Some(_) if body.is_empty() => Ok(body),
        Some(ListedCodings { found, .. }) => {
            let max_between_bytes = max_bytes.saturating_add(max_bytes / 8).saturating_add(64 * 1024);
            let without = |body, coding| {
                let mut body = decoded_within(body, coding, max_ratio);
                body.limit(max_between_bytes);
                body
            };
            Ok(found.into_iter().flatten().rev().fold(body, without))
        }
        None => Err(body),
    }
}

/// The codings of requests that this build decodes, as `Accept-Encoding` lists them. `deflate` is among
/// them: in which of its two formats it comes is found out.
pub(crate) fn request_encodings() -> &'static str {
    static LIST: LazyLock<String> = LazyLock::new(|| {
        let built = [gzip(), br(), zstandard(), deflated()];
        let names: Vec<_> = built.into_iter().flatten().map(|coding| coding.name).collect();
        // RFC 9110 §12.5.3: an empty list would say the same, and looks like a mistake.
        if names.is_empty() { "identity".to_owned() } else { names.join(", ") }
    });
    &LIST
}

/// The codings of a message, in the order in which they were laid on.
struct ListedCodings {
    found: [Option<Coding>; MAX_CODING_COUNT],
    count: usize,
}

/// `None` where one is not among those asked for, or there are too many.
fn listed_codings(header: &Header, asked: &[u8]) -> Option<ListedCodings> {
    let mut listed = ListedCodings { found: [None; MAX_CODING_COUNT], count: 0 };
    let values = header.values_bytes("Content-Encoding");
    let names = values.flat_map(|value| value.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii);
    // RFC 9110 §8.4: `identity` is no coding of content; some say it all the same.
    for name in names.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity")) {
        *listed.found.get_mut(listed.count)? = Some(decoder_for(name, asked)?);
        listed.count += 1;
    }
    Some(listed)
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

/// An encoder of this coding; `None` where this build has none, or no memory is left.
pub(crate) fn encoder(coding: ContentCoding, level: CompressionLevel) -> Option<Box<dyn Encode>> {
    match coding {
        ContentCoding::Gzip => gzip_encoder(level),
        ContentCoding::Brotli => br_encoder(level),
        ContentCoding::Zstandard => zstandard_encoder(level),
    }
}

/// The codings that this build makes, from the one that is best for content made on the fly: the smallest
/// for the time that it takes.
pub(crate) fn encodings() -> Vec<ContentCoding> {
    let is_built = |name: &str| [gzip(), br(), zstandard()].into_iter().flatten().any(|built| built.name == name);
    let all = [ContentCoding::Zstandard, ContentCoding::Brotli, ContentCoding::Gzip];
    all.into_iter().filter(|coding| is_built(coding.name())).collect()
}

#[cfg(feature = "gzip")]
fn gzip_encoder(level: CompressionLevel) -> Option<Box<dyn Encode>> {
    Some(Box::new(gzip::GzipEncoder::new(level)))
}

#[cfg(not(feature = "gzip"))]
fn gzip_encoder(_: CompressionLevel) -> Option<Box<dyn Encode>> {
    None
}

#[cfg(feature = "brotli")]
fn br_encoder(level: CompressionLevel) -> Option<Box<dyn Encode>> {
    Some(Box::new(br::BrotliEncoder::new(level)))
}

#[cfg(not(feature = "brotli"))]
fn br_encoder(_: CompressionLevel) -> Option<Box<dyn Encode>> {
    None
}

#[cfg(feature = "zstd")]
fn zstandard_encoder(level: CompressionLevel) -> Option<Box<dyn Encode>> {
    Some(Box::new(zstandard::ZstandardEncoder::new(level)?))
}

#[cfg(not(feature = "zstd"))]
fn zstandard_encoder(_: CompressionLevel) -> Option<Box<dyn Encode>> {
    None
}
