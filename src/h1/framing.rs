//! How long a message's content is (RFC 9112 §6.3), decided once, on all values.

use http::{StatusCode, Version};

use crate::error::Refusal;
use crate::message::decimal;

/// How the content of a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    Empty,
    /// After so many bytes; never 0.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection; never a request's.
    UntilClose,
}

/// All values of a field that may have but one, as far as they matter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Values<'a> {
    first: Option<&'a [u8]>,
    count: usize,
    differ: bool,
}

impl<'a> Values<'a> {
    pub(super) fn add(&mut self, value: &'a [u8]) {
        self.differ |= self.first.is_some_and(|first| first != value);
        self.first.get_or_insert(value);
        self.count += 1;
    }

    /// The value of a field that stands on one line only.
    pub(super) fn only(&self) -> Option<&'a [u8]> {
        self.first.filter(|_| self.count == 1)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// The framing that the values of `Content-Length` and `Transfer-Encoding` ask for in a request.
pub(super) fn framing(version: Version, lengths: &Values<'_>, codings: &Values<'_>) -> Result<Framing, Refusal> {
    match (lengths.first, codings.first) {
        (None, None) => Ok(Framing::Empty),
        (Some(_), None) => announced(lengths).map(|length| match length {
            None | Some(0) => Framing::Empty,
            Some(length) => Framing::Length(length),
        }),
        // §6.1: HTTP/1.0 has no Transfer-Encoding; who forwards one has framed it by something else.
        (_, Some(_)) if version == Version::HTTP_10 => Err(Refusal::bad("Transfer-Encoding in HTTP/1.0")),
        // §6.3 (3): both is how requests are smuggled. We refuse rather than choose.
        (Some(_), Some(_)) => Err(Refusal::bad("Transfer-Encoding beside Content-Length")),
        (None, Some(_)) => transfer_encoding(codings),
    }
}

/// RFC 9112 §6.3 (5): equal repeats are one length, unequal ones are an attack.
pub(super) fn announced(lengths: &Values<'_>) -> Result<Option<u64>, Refusal> {
    match lengths.first {
        Some(_) if lengths.differ => Err(Refusal::bad("two Content-Length fields that differ")),
        length => length.map(content_length).transpose(),
    }
}

/// Digits and nothing else (RFC 9110 §8.6): no sign, no list, no blanks between them.
fn content_length(text: &[u8]) -> Result<u64, Refusal> {
    let length = decimal(text).filter(|&length| i64::try_from(length).is_ok());
    length.ok_or(Refusal::bad("Content-Length is no length"))
}

/// RFC 9112 §6.1: 501 for a coding that is not known; `chunked` alone is.
fn transfer_encoding(codings: &Values<'_>) -> Result<Framing, Refusal> {
    match codings.only() {
        Some(coding) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        Some(b"") => Err(Refusal::bad("an empty Transfer-Encoding")),
        _ => Err(Refusal::with(StatusCode::NOT_IMPLEMENTED, "unsupported transfer encoding")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values<'a>(all: &[&'a str]) -> Values<'a> {
        let mut values = Values::default();
        all.iter().for_each(|value| values.add(value.as_bytes()));
        values
    }

    #[test]
    fn framing_is_decided_on_all_values_of_both_fields() {
        const MAX: &str = "9223372036854775807";
        const OK: u16 = 200;
        for (lengths, codings, status, expected) in [
            (&[][..], &[][..], OK, Some(Framing::Empty)),
            (&["0"], &[], OK, Some(Framing::Empty)),
            (&["5"], &[], OK, Some(Framing::Length(5))),
            (&["010"], &[], OK, Some(Framing::Length(10))),
            (&["5", "5", "5"], &[], OK, Some(Framing::Length(5))),
            (&[MAX], &[], OK, Some(Framing::Length(i64::MAX as u64))),
            (&[], &["chunked"], OK, Some(Framing::Chunked)),
            (&[], &["ChUnKeD"], OK, Some(Framing::Chunked)),
            (&["5", "6"], &[], 400, None),
            (&["5", "5", "6"], &[], 400, None),
            (&["5", "05"], &[], 400, None),
            (&["5, 5"], &[], 400, None),
            (&["5,"], &[], 400, None),
            (&[""], &[], 400, None),
            (&["+5"], &[], 400, None),
            (&["-0"], &[], 400, None),
            (&["0x5"], &[], 400, None),
            (&["5 5"], &[], 400, None),
            (&["5\u{665}"], &[], 400, None),
            (&["9223372036854775808"], &[], 400, None),
            (&["18446744073709551621"], &[], 400, None),
            (&["5"], &["chunked"], 400, None),
            (&["0"], &["chunked"], 400, None),
            (&["x"], &["x"], 400, None),
            (&[], &[""], 400, None),
            (&[], &["chunked", "chunked"], 501, None),
            (&[], &["chunked, chunked"], 501, None),
            (&[], &["chunked", ""], 501, None),
            (&[], &["gzip, chunked"], 501, None),
            (&[], &["identity", "chunked"], 501, None),
            (&[], &["chunked;"], 501, None),
            (&[], &["xchunked"], 501, None),
            (&[], &["\"chunked\""], 501, None),
        ] {
            let result = framing(Version::HTTP_11, &values(lengths), &values(codings));
            assert_eq!(result.ok(), expected, "{lengths:?} {codings:?}");
            assert_eq!(
                result.map_or_else(|refusal| refusal.status.as_u16(), |_| OK),
                status,
                "{lengths:?} {codings:?}"
            );
        }
    }

    #[test]
    fn http_1_0_has_no_transfer_encoding() {
        for lengths in [&[][..], &["5"]] {
            let result = framing(Version::HTTP_10, &values(lengths), &values(&["chunked"]));
            assert_eq!(result.unwrap_err().status, StatusCode::BAD_REQUEST);
        }
        assert_eq!(framing(Version::HTTP_10, &values(&["5"]), &values(&[])), Ok(Framing::Length(5)));
    }
}
