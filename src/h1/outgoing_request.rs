//! How the content of a request is delimited, decided once.

use http::Method;

use super::framing::{Values, announced};
use super::outgoing::Outgoing;
use crate::error::{Error, ErrorKind, Result};
use crate::message::Header;

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
        // RFC 9112 §7.1.2: only chunks can have a trailer behind them.
        _ if has_trailer => Ok(Outgoing::Chunked),
        (_, Some(0)) if !expects_content(method) => Ok(Outgoing::None),
        (_, Some(length)) | (Some(length), None) => Ok(Outgoing::Length(length)),
        (None, None) => Ok(Outgoing::Chunked),
    }
}

/// RFC 9110 §8.6: the methods whose content is waited for are told that there is none.
fn expects_content(method: &Method) -> bool {
    matches!(*method, Method::POST | Method::PUT | Method::PATCH)
}

/// The length that a header declares, for [`outgoing_request`].
///
/// # Errors
/// [`ErrorKind::Invalid`] for what is no length, and for several that differ.
pub(crate) fn declared_length(header: &Header) -> Result<Option<u64>> {
    let mut lengths = Values::default();
    header.values_bytes("Content-Length").for_each(|length| lengths.add(length.trim_ascii()));
    announced(&lengths).map_err(|refusal| Error::new(ErrorKind::Invalid, refusal.reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The framing, or the kind of the error.
    fn outgoing(
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
            assert_eq!(outgoing(method, None, Some(0), false), Ok(expected), "{method}");
            assert_eq!(outgoing(method, Some(0), Some(0), false), Ok(expected), "{method}");
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
                assert_eq!(outgoing(method, declared, whole, trailer), Ok(expected), "{case}");
            }
            for (declared, whole) in [(10, 5), (5, 10), (0, 1), (1, 0)] {
                let result = outgoing(method, Some(declared), Some(whole), false);
                assert_eq!(result, Err(ErrorKind::ContentLength), "{method} {declared} {whole}");
            }
        }
    }

    #[test]
    fn connect_and_trace_have_no_content() {
        for method in ["CONNECT", "TRACE"] {
            for (whole, trailer) in [(Some(5), false), (None, false), (Some(0), true)] {
                assert_eq!(outgoing(method, None, whole, trailer), Err(ErrorKind::BodyNotAllowed));
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
