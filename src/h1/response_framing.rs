//! How long a response's content is (RFC 9112 §6.3): it depends on what was asked, too.

use http::{Method, StatusCode, Version};

use super::framing::{Framing, Values, announced, framing};
use super::outgoing::allows_content;
use crate::error::Refusal;
use crate::message::Header;

/// What a request was, as far as the framing of its answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// HEAD: no content, whatever the fields say.
    Head,
    /// CONNECT: behind a 2xx comes the tunnel.
    Connect,
    /// Any other, with an `Upgrade` field: it may be answered with 101.
    Upgrade,
    Other,
}

impl RequestKind {
    /// The method and the fields as they are sent.
    pub(crate) fn of(method: &Method, header: &Header) -> RequestKind {
        match *method {
            Method::HEAD => RequestKind::Head,
            Method::CONNECT => RequestKind::Connect,
            _ if header.contains("Upgrade") => RequestKind::Upgrade,
            _ => RequestKind::Other,
        }
    }
}

/// What a response's framing depends on beside its fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct ResponseFacts {
    pub(super) asked: RequestKind,
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
    if asked == RequestKind::Connect && status.is_success() {
        return Ok((Framing::Empty, None));
    }
    // §6.3 (1): these end with their head. What they announce is for HEAD alone to be seen, but it
    // has to be a length.
    let announced = announced(lengths)?;
    if asked == RequestKind::Head {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn values<'a>(all: &[&'a str]) -> Values<'a> {
        let mut values = Values::default();
        all.iter().for_each(|value| values.add(value.as_bytes()));
        values
    }

    fn framed(asked: RequestKind, status: u16, lengths: &[&str], codings: &[&str]) -> Option<(Framing, Option<u64>)> {
        let facts = ResponseFacts { asked, version: Version::HTTP_11, status: StatusCode::from_u16(status).unwrap() };
        response_framing(facts, &values(lengths), &values(codings)).ok()
    }

    const UNTIL_CLOSE: Option<(Framing, Option<u64>)> = Some((Framing::UntilClose, None));
    const CHUNKED: Option<(Framing, Option<u64>)> = Some((Framing::Chunked, None));
    const EMPTY: Option<(Framing, Option<u64>)> = Some((Framing::Empty, Some(0)));

    fn length(length: u64) -> Option<(Framing, Option<u64>)> {
        Some((Framing::Length(length), Some(length)))
    }

    #[test]
    fn framing_is_decided_on_all_values_of_both_fields() {
        for (lengths, codings, expected) in [
            (&[][..], &[][..], UNTIL_CLOSE),
            (&["0"], &[], EMPTY),
            (&["5"], &[], length(5)),
            (&["005"], &[], length(5)),
            (&["5", "5", "5"], &[], length(5)),
            (&["9223372036854775807"], &[], length(i64::MAX as u64)),
            (&[], &["chunked"], CHUNKED),
            (&[], &["Chunked"], CHUNKED),
            (&["5", "6"], &[], None),
            (&["5", "5", "6"], &[], None),
            (&["5, 5"], &[], None),
            (&[""], &[], None),
            (&["+5"], &[], None),
            (&["-1"], &[], None),
            (&["0x5"], &[], None),
            (&["5;"], &[], None),
            (&["abc"], &[], None),
            (&["9223372036854775808"], &[], None),
            (&["18446744073709551616"], &[], None),
            (&["18446744073709551621"], &[], None),
            (&["3"], &["chunked"], None),
            (&["0"], &["chunked"], None),
            (&[], &[""], None),
            (&[], &["identity"], None),
            (&[], &["gzip"], None),
            (&[], &["gzip, chunked"], None),
            (&[], &["chunked, gzip"], None),
            (&[], &["xchunked"], None),
            (&[], &["chunked, chunked"], None),
            (&[], &["chunked", "chunked"], None),
            (&[], &["chunked", ""], None),
            (&[], &["\u{b}chunked"], None),
        ] {
            for (asked, status) in [(RequestKind::Other, 200), (RequestKind::Upgrade, 205), (RequestKind::Connect, 407)]
            {
                assert_eq!(framed(asked, status, lengths, codings), expected, "{status} {lengths:?} {codings:?}");
            }
        }
    }

    #[test]
    fn what_has_no_content_has_none_whatever_its_fields_say_but_they_have_to_say_it_well() {
        for status in [100, 101, 103, 199, 204, 304] {
            for (lengths, codings) in [(&[][..], &[][..]), (&["5"], &[]), (&[], &["chunked"]), (&["5"], &["gzip"])] {
                assert_eq!(
                    framed(RequestKind::Other, status, lengths, codings),
                    EMPTY,
                    "{status} {lengths:?} {codings:?}"
                );
            }
            assert_eq!(framed(RequestKind::Other, status, &["abc"], &[]), None);
            assert_eq!(framed(RequestKind::Other, status, &["5", "6"], &[]), None);
        }
        for (lengths, announced) in [(&[][..], None), (&["5"], Some(5)), (&["0"], Some(0))] {
            assert_eq!(framed(RequestKind::Head, 200, lengths, &[]), Some((Framing::Empty, announced)));
            assert_eq!(framed(RequestKind::Head, 404, lengths, &["chunked"]), Some((Framing::Empty, announced)));
        }
        assert_eq!(framed(RequestKind::Head, 200, &["abc"], &[]), None);
    }

    #[test]
    fn fields_of_a_tunnels_head_are_ignored() {
        for status in [200, 204, 299] {
            assert_eq!(framed(RequestKind::Connect, status, &["x", "y"], &["z"]), Some((Framing::Empty, None)));
        }
        assert_eq!(framed(RequestKind::Connect, 302, &[], &[]), UNTIL_CLOSE);
    }

    #[test]
    fn http_1_0_has_no_transfer_encoding() {
        let facts = ResponseFacts { asked: RequestKind::Other, version: Version::HTTP_10, status: StatusCode::OK };
        assert!(response_framing(facts, &values(&[]), &values(&["chunked"])).is_err());
        assert_eq!(response_framing(facts, &values(&["5"]), &values(&[])).ok(), length(5));
        assert_eq!(response_framing(facts, &values(&[]), &values(&[])).ok(), UNTIL_CLOSE);
    }

    #[test]
    fn who_asked_follows_from_method_and_fields() {
        let upgrade: Header = [("upgrade", "websocket")].into_iter().collect();
        for (method, plain, upgraded) in [
            (Method::GET, RequestKind::Other, RequestKind::Upgrade),
            (Method::POST, RequestKind::Other, RequestKind::Upgrade),
            (Method::HEAD, RequestKind::Head, RequestKind::Head),
            (Method::CONNECT, RequestKind::Connect, RequestKind::Connect),
        ] {
            assert_eq!(
                (RequestKind::of(&method, &Header::new()), RequestKind::of(&method, &upgrade)),
                (plain, upgraded)
            );
        }
    }
}
