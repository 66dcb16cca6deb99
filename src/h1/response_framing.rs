//! How long a response's content is (RFC 9112 §6.3): it depends on what was asked, too.

use http::{Method, StatusCode, Version};

use super::framing::{Framing, Values, announced, framing};
use super::outgoing::allows_content;
use crate::error::Refusal;
use crate::message::Header;

/// What a request was, as far as the framing of its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AskedBy {
    /// HEAD: no content, whatever the fields say.
    Head,
    /// CONNECT: behind a 2xx comes the tunnel.
    Connect,
    /// Any other, with an `Upgrade` field: it may be answered with 101.
    Upgrade,
    Other,
}

impl AskedBy {
    /// The method and the fields as they are sent.
    pub(crate) fn of(method: &Method, header: &Header) -> AskedBy {
        match *method {
            Method::HEAD => AskedBy::Head,
            Method::CONNECT => AskedBy::Connect,
            _ if header.contains("Upgrade") => AskedBy::Upgrade,
            _ => AskedBy::Other,
        }
    }
}

/// What a response's framing depends on beside its fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResponseFacts {
    pub(super) asked: AskedBy,
    pub(super) version: Version,
    pub(super) status: StatusCode,
}

/// How the content of a response ends, and how long it is said to be: to HEAD, how long it would
/// have been.
pub(super) fn response_framing(
    facts: ResponseFacts,
    lengths: &Values<'_>,
    codings: &Values<'_>,
) -> Result<(Framing, Option<u64>), Refusal> {
    let ResponseFacts { asked, version, status } = facts;
    // RFC 9112 §6.3 (2): what the fields of a tunnel's head say is ignored.
    if asked == AskedBy::Connect && status.is_success() {
        return Ok((Framing::Empty, None));
    }
    // §6.3 (1): these end with their head. What they announce is for HEAD alone to be seen, but it
    // has to be a length.
    let announced = announced(lengths)?;
    if asked == AskedBy::Head {
        return Ok((Framing::Empty, announced));
    }
    if !allows_content(status) {
        return Ok((Framing::Empty, Some(0)));
    }
    Ok(match framing(version, lengths, codings)? {
        // §6.3 (8).
        Framing::Empty if lengths.is_empty() => (Framing::UntilClose, None),
        framing => (framing, announced),
    })
}

/// Whether a response that has no content speaks of one (RFC 9110 §8.6, RFC 9112 §6.1: a 204 must
/// not): who believes that has content behind it.
pub(super) fn speaks_of_content(lengths: &Values<'_>, codings: &Values<'_>) -> bool {
    !codings.is_empty() || !matches!(announced(lengths), Ok(None | Some(0)))
}
