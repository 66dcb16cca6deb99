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
