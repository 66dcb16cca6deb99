//! The request line (RFC 9112 §3): `method SP request-target SP HTTP-version`, and nothing else.

use http::{StatusCode, Version};

use super::target::Target;
use crate::error::Refusal;
use crate::message::is_token;

/// A request line taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: Target<'a>,
    pub(super) version: Version,
}

impl<'a> RequestLine<'a> {
    /// A line without its line end. One that is taken is of visible ASCII and spaces.
    ///
    /// Single spaces only: a target that was sent with a space in it must not be repaired
    /// (RFC 9112 §3.2), nor must two readers find two targets in four words.
    pub(super) fn parse(line: &'a [u8]) -> Result<RequestLine<'a>, Refusal> {
        const BAD: Refusal = Refusal::bad("the request line is not method, target and version");
        let (method, rest) = split_at_space(line).ok_or(BAD)?;
        let (target, version) = match rest.split_last_chunk() {
            // Nearly all lines end so, and then the target needs just one look.
            Some((target, b" HTTP/1.1")) if !target.contains(&b' ') => (target, &b"HTTP/1.1"[..]),
            _ => split_at_space(rest).ok_or(BAD)?,
        };
        if !is_token(method) {
            return Err(Refusal::bad("the method is no token"));
        }
        // Before the target: `PRI * HTTP/2.0` is of another version, not of a wrong form.
        let version = parse_version(version)?;
        Ok(RequestLine { method, target: Target::parse(method, target)?, version })
    }
}

fn split_at_space(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (word, rest) = text.split_at_checked(text.iter().position(|&b| b == b' ')?)?;
    Some((word, rest.strip_prefix(b" ")?))
}

/// RFC 9112 §2.3: the name is case-sensitive, and there is one digit on each side of the dot.
fn parse_version(text: &[u8]) -> Result<Version, Refusal> {
    match text {
        b"HTTP/1.1" => Ok(Version::HTTP_11),
        b"HTTP/1.0" => Ok(Version::HTTP_10),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            Err(Refusal::with(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "unsupported protocol version"))
        }
        _ => Err(Refusal::bad("the protocol version is malformed")),
    }
}
