//! How long a message's content is (RFC 9112 §6.3): the four decisions, each made once.
//!
//! ```text
//!              reads                                     writes
//!  server   incoming_request  ─▶ Framing     outgoing_response ─▶ Outgoing
//!  client   incoming_response ─▶ Framing     outgoing_request  ─▶ Outgoing
//! ```
//!
//! The framing of received messages is decided on all values of both fields, `Content-Length` and
//! `Transfer-Encoding`; what two readers could understand differently is refused, because that is how
//! requests are smuggled. The framing of sent messages is decided from what is known of the content,
//! and the encoder writes both fields from that decision alone.

use http::{Method, StatusCode, Version};

use crate::error::{Error, ErrorKind, Refusal, Result};
use crate::message::{Header, decimal};

// ---------------------------------------------------------------- what comes in

/// How the content of a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// There is none.
    Empty,
    /// After this many bytes; never 0.
    Length(u64),
    /// With the last chunk.
    Chunked,
    /// With the connection; never a request's.
    UntilClose,
}

/// The framing of a request, by all values of `Content-Length` and `Transfer-Encoding`.
pub(super) fn incoming_request(
    version: Version,
    lengths: &FieldValues<'_>,
    codings: &FieldValues<'_>,
) -> Result<Framing, Refusal> {
    match (lengths.first, codings.first) {
        (None, None) => Ok(Framing::Empty),
        (Some(_), None) => announced(lengths).map(|length| match length {
            None | Some(0) => Framing::Empty,
            Some(length) => Framing::Length(length),
        }),
        // §6.1: HTTP/1.0 has no Transfer-Encoding: a proxy that forwards one has framed the content
        // by another rule, and may have seen another end.
        (_, Some(_)) if version == Version::HTTP_10 => Err(Refusal::bad("Transfer-Encoding in HTTP/1.0")),
        // §6.3 (3): with both, two readers may choose differently, which is how requests are smuggled.
        // We refuse rather than choose.
        (Some(_), Some(_)) => Err(Refusal::bad("Transfer-Encoding beside Content-Length")),
        (None, Some(_)) => transfer_encoding(codings),
    }
}

/// The kind of a request, as far as the framing of its response depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// HEAD: no content, whatever the fields say.
    Head,
    /// CONNECT: after a 2xx comes the tunnel.
    Connect,
    /// Any other, with an `Upgrade` field: 101 may be the response.
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
pub(super) struct IncomingResponse {
    pub(super) request: RequestKind,
    pub(super) version: Version,
    pub(super) status: StatusCode,
}

/// How the content of a response ends, and how long it is said to be: to HEAD, how long it would
/// have been.
pub(super) fn incoming_response(
    response: IncomingResponse,
    lengths: &FieldValues<'_>,
    codings: &FieldValues<'_>,
) -> Result<(Framing, Option<u64>), Refusal> {
    let IncomingResponse { request, version, status } = response;
    // RFC 9112 §6.3 (2): what the fields of a tunnel's head say is ignored.
    if request == RequestKind::Connect && status.is_success() {
        return Ok((Framing::Empty, None));
    }
    // §6.3 (1): a response to HEAD and a status without content end with their head. What they
    // announce is shown for HEAD alone, but it has to be a length in either case.
    let announced = announced(lengths)?;
    if request == RequestKind::Head {
        return Ok((Framing::Empty, announced));
    }
    if !allows_content(status) {
        return Ok((Framing::Empty, Some(0)));
    }
    Ok(match incoming_request(version, lengths, codings)? {
        // §6.3 (8).
        Framing::Empty if lengths.is_empty() => (Framing::UntilClose, None),
        framing => (framing, announced),
    })
}

/// Whether the fields of a response announce content (RFC 9110 §8.6, RFC 9112 §6.1: those of a 204
/// must not).
pub(super) fn speaks_of_content(lengths: &FieldValues<'_>, codings: &FieldValues<'_>) -> bool {
    !codings.is_empty() || !matches!(announced(lengths), Ok(None | Some(0)))
}

/// RFC 9112 §6.3 (5): equal repeats are one length, unequal ones are an attack.
fn announced(lengths: &FieldValues<'_>) -> Result<Option<u64>, Refusal> {
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
fn transfer_encoding(codings: &FieldValues<'_>) -> Result<Framing, Refusal> {
    match codings.only() {
        Some(coding) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        Some(b"") => Err(Refusal::bad("an empty Transfer-Encoding")),
        _ => Err(Refusal::with(StatusCode::NOT_IMPLEMENTED, "unsupported transfer encoding")),
    }
}

/// The values of a field that may have only one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct FieldValues<'a> {
    first: Option<&'a [u8]>,
    count: usize,
    differ: bool,
}

impl<'a> FieldValues<'a> {
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

// ---------------------------------------------------------------- what goes out

/// The framing of a message that is sent, as its head announces it. A request has one of the first
/// three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// No content, and no length: the status allows none, or the method is not expected to have one.
    None,
    /// `Content-Length`.
    Length(u64),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// Neither: the content ends with the connection.
    UntilClose,
    /// Neither: a response to HEAD, and how long the content would be is not known.
    HeadUnknown,
}

/// What the framing of a response that is sent depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OutgoingResponse {
    pub(crate) head_request: bool,
    pub(crate) connect_request: bool,
    pub(crate) http10: bool,
    pub(crate) status: StatusCode,
    /// The `Content-Length` that the handler set.
    pub(crate) declared: Option<u64>,
    /// The length of the content, where all of it is known.
    pub(crate) whole: Option<u64>,
    /// Whether a trailer may follow.
    pub(crate) trailers: bool,
    /// Whether the handler asked for `Transfer-Encoding: identity`.
    pub(crate) close_delimited: bool,
}

/// How the content of a response is delimited (RFC 9112 §6.3, RFC 9110 §8.6).
pub(crate) fn outgoing_response(response: &OutgoingResponse) -> Outgoing {
    match *response {
        // RFC 9110 §8.6: no length in 1xx and 204; §15.4.5: and none is needed in 304.
        OutgoingResponse { status, .. } if !allows_content(status) => Outgoing::None,
        // RFC 9110 §9.3.6: after a 2xx comes the tunnel.
        OutgoingResponse { connect_request: true, status, .. } if status.is_success() => Outgoing::None,
        // RFC 9110 §15.3.6: a 205 has no content, and says so, for a client takes it for one that may.
        OutgoingResponse { status: StatusCode::RESET_CONTENT, .. } => Outgoing::Length(0),
        // RFC 9110 §9.3.2: to HEAD what GET would have said, or nothing. A handler that wrote nothing
        // for HEAD has not said that there is nothing.
        OutgoingResponse { declared: Some(length), .. }
        | OutgoingResponse {
            head_request: true,
            trailers: false,
            close_delimited: false,
            whole: Some(length @ 1..),
            ..
        } => Outgoing::Length(length),
        OutgoingResponse { head_request: true, .. } => Outgoing::HeadUnknown,
        OutgoingResponse { close_delimited: true, .. } => Outgoing::UntilClose,
        // Only chunks can have a trailer after them (RFC 9112 §7.1.2), and HTTP/1.0 has no chunks.
        OutgoingResponse { trailers: true, http10: false, .. } => Outgoing::Chunked,
        OutgoingResponse { whole: Some(length), .. } => Outgoing::Length(length),
        OutgoingResponse { http10: true, .. } => Outgoing::UntilClose,
        _ => Outgoing::Chunked,
    }
}

/// How a request's content is delimited (RFC 9110 §8.6, RFC 9112 §6.3; Go's rules).
///
/// `declared` is the length that the caller announced, `whole` the length of the content where all
/// of it is known. A length that is declared for content of unknown length is for the writer to
/// hold it to.
///
/// # Errors
/// [`ErrorKind::ContentLength`] where the two differ, and [`ErrorKind::BodyNotAllowed`] for a method
/// that has no content.
pub(crate) fn outgoing_request(
    method: &Method,
    declared: Option<u64>,
    whole: Option<u64>,
    has_trailer: bool,
) -> Result<Outgoing> {
    let has_no_content = matches!(*method, Method::CONNECT | Method::TRACE);
    match (declared, whole) {
        (Some(declared), Some(whole)) if declared != whole => {
            let text = format!("a Content-Length of {declared} was declared for content of {whole} bytes");
            Err(Error::new(ErrorKind::ContentLength, text))
        }
        // RFC 9110 §9.3.6 and §9.3.8.
        (_, whole) if has_no_content && (whole != Some(0) || has_trailer) => {
            Err(Error::new(ErrorKind::BodyNotAllowed, format!("{method} has no content")))
        }
        // RFC 9112 §7.1.2: only chunks can have a trailer after them.
        _ if has_trailer => Ok(Outgoing::Chunked),
        (_, Some(0)) if !expects_content(method) => Ok(Outgoing::None),
        (_, Some(length)) | (Some(length), None) => Ok(Outgoing::Length(length)),
        (None, None) => Ok(Outgoing::Chunked),
    }
}

/// RFC 9110 §8.6: for methods that usually have content, `Content-Length: 0` says that there is none.
fn expects_content(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

/// The length that a header declares, for [`outgoing_request`].
///
/// # Errors
/// [`ErrorKind::Invalid`] for what is not a length, and for several that differ.
pub(crate) fn declared_length(header: &Header) -> Result<Option<u64>> {
    let mut lengths = FieldValues::default();
    header.values_bytes("Content-Length").for_each(|length| lengths.add(length.trim_ascii()));
    announced(&lengths).map_err(|refusal| Error::new(ErrorKind::Invalid, refusal.reason))
}

/// Whether a response of this status may have content (RFC 9110 §6.4.1).
pub(crate) fn allows_content(status: StatusCode) -> bool {
    !status.is_informational() && status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}

/// Whether a server may send content with it: RFC 9110 §15.3.6 forbids that with 205, which is framed as
/// any other nevertheless.
pub(crate) fn may_send_content(status: StatusCode) -> bool {
    allows_content(status) && status != StatusCode::RESET_CONTENT
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values<'a>(all: &[&'a str]) -> FieldValues<'a> {
        let mut values = FieldValues::default();
        all.iter().for_each(|value| values.add(value.as_bytes()));
        values
    }

    mod incoming_requests {
        use super::*;

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
                let result = incoming_request(Version::HTTP_11, &values(lengths), &values(codings));
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
                let result = incoming_request(Version::HTTP_10, &values(lengths), &values(&["chunked"]));
                assert_eq!(result.unwrap_err().status, StatusCode::BAD_REQUEST);
            }
            assert_eq!(incoming_request(Version::HTTP_10, &values(&["5"]), &values(&[])), Ok(Framing::Length(5)));
        }
    }

    mod incoming_responses {
        use super::*;

        fn framed(
            request: RequestKind,
            status: u16,
            lengths: &[&str],
            codings: &[&str],
        ) -> Option<(Framing, Option<u64>)> {
            let facts =
                IncomingResponse { request, version: Version::HTTP_11, status: StatusCode::from_u16(status).unwrap() };
            incoming_response(facts, &values(lengths), &values(codings)).ok()
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
                for (request, status) in
                    [(RequestKind::Other, 200), (RequestKind::Upgrade, 205), (RequestKind::Connect, 407)]
                {
                    assert_eq!(framed(request, status, lengths, codings), expected, "{status} {lengths:?} {codings:?}");
                }
            }
        }

        #[test]
        fn what_has_no_content_has_none_whatever_its_fields_say_but_they_have_to_say_it_well() {
            for status in [100, 101, 103, 199, 204, 304] {
                for (lengths, codings) in [(&[][..], &[][..]), (&["5"], &[]), (&[], &["chunked"]), (&["5"], &["gzip"])]
                {
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
            let facts =
                IncomingResponse { request: RequestKind::Other, version: Version::HTTP_10, status: StatusCode::OK };
            assert!(incoming_response(facts, &values(&[]), &values(&["chunked"])).is_err());
            assert_eq!(incoming_response(facts, &values(&["5"]), &values(&[])).ok(), length(5));
            assert_eq!(incoming_response(facts, &values(&[]), &values(&[])).ok(), UNTIL_CLOSE);
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

    mod outgoing_responses {
        use super::*;

        const PLAIN: OutgoingResponse = OutgoingResponse {
            head_request: false,
            connect_request: false,
            http10: false,
            status: StatusCode::OK,
            declared: None,
            whole: None,
            trailers: false,
            close_delimited: false,
        };
        const HEAD: OutgoingResponse = OutgoingResponse { head_request: true, ..PLAIN };
        const HTTP_10: OutgoingResponse = OutgoingResponse { http10: true, ..PLAIN };
        const CONNECT: OutgoingResponse = OutgoingResponse { connect_request: true, ..PLAIN };
        const WHOLE: Option<u64> = Some(5);

        #[test]
        fn content_is_delimited_by_what_is_known_of_it() {
            for (facts, expected) in [
                (PLAIN, Outgoing::Chunked),
                (OutgoingResponse { whole: WHOLE, ..PLAIN }, Outgoing::Length(5)),
                (OutgoingResponse { whole: Some(0), ..PLAIN }, Outgoing::Length(0)),
                (OutgoingResponse { declared: Some(7), ..PLAIN }, Outgoing::Length(7)),
                (OutgoingResponse { declared: Some(7), trailers: true, ..PLAIN }, Outgoing::Length(7)),
                (OutgoingResponse { declared: Some(7), close_delimited: true, ..PLAIN }, Outgoing::Length(7)),
                (OutgoingResponse { whole: WHOLE, trailers: true, ..PLAIN }, Outgoing::Chunked),
                (OutgoingResponse { whole: WHOLE, close_delimited: true, ..PLAIN }, Outgoing::UntilClose),
                (HTTP_10, Outgoing::UntilClose),
                (OutgoingResponse { whole: WHOLE, ..HTTP_10 }, Outgoing::Length(5)),
                (OutgoingResponse { whole: WHOLE, trailers: true, ..HTTP_10 }, Outgoing::Length(5)),
                (OutgoingResponse { trailers: true, ..HTTP_10 }, Outgoing::UntilClose),
            ] {
                assert_eq!(outgoing_response(&facts), expected, "{facts:?}");
            }
        }

        #[test]
        fn an_answer_to_head_says_what_get_would_or_nothing() {
            for (facts, expected) in [
                (HEAD, Outgoing::HeadUnknown),
                (OutgoingResponse { whole: Some(0), ..HEAD }, Outgoing::HeadUnknown),
                (OutgoingResponse { whole: WHOLE, ..HEAD }, Outgoing::Length(5)),
                (OutgoingResponse { whole: WHOLE, trailers: true, ..HEAD }, Outgoing::HeadUnknown),
                (OutgoingResponse { whole: WHOLE, close_delimited: true, ..HEAD }, Outgoing::HeadUnknown),
                (OutgoingResponse { declared: Some(0), whole: WHOLE, ..HEAD }, Outgoing::Length(0)),
                (OutgoingResponse { declared: Some(7), status: StatusCode::NOT_MODIFIED, ..HEAD }, Outgoing::None),
            ] {
                assert_eq!(outgoing_response(&facts), expected, "{facts:?}");
            }
        }

        #[test]
        fn where_no_content_may_be_there_is_no_length_either() {
            for status in [100, 101, 103, 204, 304] {
                let status = StatusCode::from_u16(status).unwrap();
                for facts in [PLAIN, HEAD, HTTP_10, CONNECT] {
                    let facts = OutgoingResponse { status, declared: Some(5), whole: WHOLE, ..facts };
                    assert_eq!(outgoing_response(&facts), Outgoing::None, "{facts:?}");
                }
            }
            assert_eq!(outgoing_response(&OutgoingResponse { whole: WHOLE, ..CONNECT }), Outgoing::None);
            let refused = OutgoingResponse { whole: WHOLE, status: StatusCode::FORBIDDEN, ..CONNECT };
            assert_eq!(outgoing_response(&refused), Outgoing::Length(5), "a tunnel refused is an ordinary answer");
        }
    }

    mod outgoing_requests {
        use super::*;

        /// The framing, or the kind of the error.
        fn framed(
            method: &str,
            declared: Option<u64>,
            whole: Option<u64>,
            trailer: bool,
        ) -> std::result::Result<Outgoing, ErrorKind> {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            outgoing_request(&method, declared, whole, trailer).map_err(|error| error.kind())
        }

        #[test]
        fn nothing_is_announced_where_it_is_expected() {
            for (method, expected) in [
                ("GET", Outgoing::None),
                ("HEAD", Outgoing::None),
                ("DELETE", Outgoing::None),
                ("OPTIONS", Outgoing::None),
                ("PROPFIND", Outgoing::None),
                ("CONNECT", Outgoing::None),
                ("TRACE", Outgoing::None),
                ("POST", Outgoing::Length(0)),
                ("PUT", Outgoing::Length(0)),
                ("PATCH", Outgoing::Length(0)),
            ] {
                assert_eq!(framed(method, None, Some(0), false), Ok(expected), "{method}");
                assert_eq!(framed(method, Some(0), Some(0), false), Ok(expected), "{method}");
            }
        }

        #[test]
        fn content_is_framed_by_what_is_known_of_it() {
            for method in ["GET", "HEAD", "DELETE", "POST", "PATCH", "X"] {
                for (declared, whole, trailer, expected) in [
                    (None, Some(5), false, Outgoing::Length(5)),
                    (Some(5), Some(5), false, Outgoing::Length(5)),
                    (None, None, false, Outgoing::Chunked),
                    (Some(7), None, false, Outgoing::Length(7)),
                    (Some(0), None, false, Outgoing::Length(0)),
                    (None, Some(5), true, Outgoing::Chunked),
                    (None, Some(0), true, Outgoing::Chunked),
                    (Some(5), None, true, Outgoing::Chunked),
                ] {
                    let case = format!("{method} {declared:?} {whole:?} {trailer}");
                    assert_eq!(framed(method, declared, whole, trailer), Ok(expected), "{case}");
                }
                for (declared, whole) in [(10, 5), (5, 10), (0, 1), (1, 0)] {
                    let result = framed(method, Some(declared), Some(whole), false);
                    assert_eq!(result, Err(ErrorKind::ContentLength), "{method} {declared} {whole}");
                }
            }
        }

        #[test]
        fn connect_and_trace_have_no_content() {
            for method in ["CONNECT", "TRACE"] {
                for (whole, trailer) in [(Some(5), false), (None, false), (Some(0), true)] {
                    assert_eq!(framed(method, None, whole, trailer), Err(ErrorKind::BodyNotAllowed));
                }
            }
        }

        #[test]
        fn a_declared_length_is_one_length() {
            for (values, expected) in [
                (&[][..], Ok(None)),
                (&["5"], Ok(Some(5))),
                (&[" 5 "], Ok(Some(5))),
                (&["5", "5"], Ok(Some(5))),
                (&["5", "6"], Err(ErrorKind::Invalid)),
                (&["5, 5"], Err(ErrorKind::Invalid)),
                (&["-1"], Err(ErrorKind::Invalid)),
                (&["x"], Err(ErrorKind::Invalid)),
            ] {
                let header: Header = values.iter().map(|value| ("content-length", value)).collect();
                assert_eq!(declared_length(&header).map_err(|error| error.kind()), expected, "{values:?}");
            }
        }
    }
}
