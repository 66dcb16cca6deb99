//! Where content ends, and whether the connection lives on (RFC 9112 §6.3 and §9.3).

use nethttp::fuzzing::{FuzzContent, FuzzRequestKind};

use super::fields::{Fields, members, values};

/// The content of a request; `None` where the request is to be refused.
pub fn of_request(http11: bool, fields: &Fields) -> Option<FuzzContent> {
    let (lengths, codings) = (values(fields, "Content-Length"), values(fields, "Transfer-Encoding"));
    match (lengths.as_slice(), codings.as_slice()) {
        ([], []) => Some(FuzzContent::Empty),
        // §6.3 (5): repeats are one length if they are equal.
        ([first, others @ ..], []) if others.iter().all(|other| other == first) => match length(first)? {
            0 => Some(FuzzContent::Empty),
            length => Some(FuzzContent::Length(length)),
        },
        // §6.1: HTTP/1.0 has no codings. §6.3 (4): of the codings we know one, that ends by itself.
        ([], [coding]) if http11 && coding.eq_ignore_ascii_case(b"chunked") => Some(FuzzContent::Chunked),
        // §6.3 (3): of two ways to frame, none is taken.
        _ => None,
    }
}

/// The content of a response; `None` where the response is to be refused.
pub fn of_response(asked: FuzzRequestKind, http11: bool, status: u16, fields: &Fields) -> Option<FuzzContent> {
    let lengths = values(fields, "Content-Length");
    let is_tunnel = asked == FuzzRequestKind::Connect && (200..300).contains(&status);
    if is_tunnel {
        return Some(FuzzContent::Empty); // §6.3 (2)
    }
    let equal = lengths.iter().all(|other| *other == lengths[0]);
    if !equal || lengths.first().is_some_and(|first| length(first).is_none()) {
        return None;
    }
    // §6.3 (1)
    if asked == FuzzRequestKind::Head || matches!(status, 100..200 | 204 | 304) {
        return Some(FuzzContent::Empty);
    }
    match of_request(http11, fields)? {
        FuzzContent::Empty if lengths.is_empty() => Some(FuzzContent::UntilClose), // §6.3 (8)
        content => Some(content),
    }
}

/// RFC 9110 §8.6: digits alone. No content is longer than a signed number can say.
fn length(value: &[u8]) -> Option<u64> {
    if !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let length: i64 = std::str::from_utf8(value).ok()?.parse().ok()?;
    u64::try_from(length).ok()
}

/// RFC 9112 §9.3, as far as the head says it.
pub fn persists(http11: bool, fields: &Fields) -> bool {
    let options = members(fields, "Connection");
    let has = |option: &str| options.iter().any(|member| member == option.as_bytes());
    !has("close") && (http11 || has("keep-alive"))
}
