//! The decisions about a response: pure functions of the request, of the fields that the handler has
//! set, and of the content that it has left unread.

use http::{Method, StatusCode, Version};

use crate::h1::{ConnectionField, Outgoing, OutgoingResponse};
use crate::message::{Header, Known, Request, decimal, detect_content_type, list_has};
use crate::server::close_reason::CloseReason;

/// The properties of a request on which its response depends. They stay the same while the response is
/// written.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RequestTraits {
    pub(crate) head_request: bool,
    pub(crate) connect_request: bool,
    pub(crate) http10: bool,
    /// The number of the exchange; 0 before the first.
    pub(crate) exchange: u64,
}

impl RequestTraits {
    pub(crate) fn of(request: &Request, exchange: u64) -> RequestTraits {
        RequestTraits {
            head_request: request.method == Method::HEAD,
            connect_request: request.method == Method::CONNECT,
            http10: request.proto == Version::HTTP_10,
            exchange,
        }
    }

    /// Whether content is sent at all: not in response to HEAD, and not with every status.
    pub(super) fn has_content(&self, outgoing: Outgoing) -> bool {
        !self.head_request && !matches!(outgoing, Outgoing::None | Outgoing::HeadUnknown)
    }

    /// What the framing of the response depends on. `whole` is the length of all content, where it is
    /// known.
    pub(super) fn outgoing_response(
        &self,
        status: StatusCode,
        fields: &HandlerFields,
        whole: Option<u64>,
        trailer: &Header,
    ) -> OutgoingResponse {
        OutgoingResponse {
            head_request: self.head_request,
            connect_request: self.connect_request,
            http10: self.http10,
            status,
            declared: fields.length,
            whole,
            trailers: !trailer.is_empty() || fields.trailer,
            close_delimited: fields.identity,
        }
    }

    /// Why the response makes the connection close after it (RFC 9112 §9.6).
    pub(super) fn close_reason(
        &self,
        status: StatusCode,
        fields: &HandlerFields,
        outgoing: Outgoing,
    ) -> Option<CloseReason> {
        if fields.close {
            return Some(CloseReason::HandlerAsked);
        }
        // The bytes after such a response are not HTTP. If the handler hijacks the connection, this
        // reason is not used.
        if self.connect_request || status == StatusCode::SWITCHING_PROTOCOLS {
            return Some(CloseReason::Tunnel);
        }
        (outgoing == Outgoing::UntilClose).then_some(CloseReason::FramingByClose)
    }

    /// The `Connection` field of the response. `close` is the reason for which the connection closes after
    /// it, if it does.
    pub(super) fn connection_field(&self, status: StatusCode, close: Option<CloseReason>) -> ConnectionField {
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return ConnectionField::Upgrade;
        }
        match close {
            // RFC 9110 §9.3.6: after a 2xx to CONNECT the connection is a tunnel, and no option of HTTP
            // applies to it.
            Some(_) if self.connect_request && status.is_success() => ConnectionField::Nothing,
            Some(_) => ConnectionField::Close,
            None if self.http10 => ConnectionField::KeepAlive,
            None => ConnectionField::Nothing,
        }
    }
}

/// A request's unread content, when the response's head is decided or the handler is done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    Nothing,
    Some {
        /// How many bytes, if that is known: chunked content may go on for ever.
        known: Option<u64>,
        /// The client may wait for a `100 Continue` before it sends them.
        awaits_continue: bool,
    },
    /// Where the next message starts is not known.
    Broken,
}

impl Unread {
    /// Why this much unread content closes the connection. Up to `max_drain_bytes` of it is read and
    /// thrown away instead.
    pub(super) fn close_reason(&self, max_drain_bytes: u64) -> Option<CloseReason> {
        match self {
            Unread::Broken => Some(CloseReason::BodyBroken),
            // A client that waited for a 100 and gets a final status may send its content all the same,
            // or leave it out (RFC 9110 §10.1.1): whether content or a request comes next is unknown.
            Unread::Some { awaits_continue: true, .. } => Some(CloseReason::BodyUnread),
            Unread::Some { known: Some(known), .. } if *known > max_drain_bytes => Some(CloseReason::BodyUnread),
            Unread::Nothing | Unread::Some { .. } => None,
        }
    }
}

/// What is known of the response's content when the head is decided, beside the part that was held back.
#[derive(Clone, Copy)]
pub(super) enum Extent<'a> {
    /// The content goes on with these bytes, and may have more after them.
    Start(&'a [u8]),
    /// This is all of it.
    Whole(&'a [u8]),
}

impl<'a> Extent<'a> {
    pub(super) fn next(self) -> &'a [u8] {
        match self {
            Extent::Start(next) | Extent::Whole(next) => next,
        }
    }

    pub(super) fn is_whole(self) -> bool {
        matches!(self, Extent::Whole(_))
    }
}

/// The fields that the server would write and the handler has switched off.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Omitted {
    pub(crate) date: bool,
    pub(crate) content_type: bool,
    pub(crate) content_length: bool,
}

/// What the handler's fields mean for the server, read in one pass over them.
#[derive(Debug, Default)]
pub(super) struct HandlerFields {
    /// The `Content-Length` that was set; one that is not a number counts as not set.
    pub(crate) length: Option<u64>,
    pub(crate) close: bool,
    pub(crate) content_type: bool,
    /// The content is compressed or otherwise encoded, so its bytes do not show its type.
    pub(crate) coded: bool,
    /// `Transfer-Encoding: identity` was set: the end of the connection ends the content (Go's rule).
    pub(crate) identity: bool,
    pub(crate) trailer: bool,
}

impl HandlerFields {
    // Once for each response. A second caller, the filters, would keep it from being inlined.
    #[inline(always)]
    pub(super) fn of(header: &Header) -> HandlerFields {
        let mut fields = HandlerFields::default();
        for (known, _, value) in header.iter_known() {
            match known {
                Known::ContentLength => fields.length = fields.length.or_else(|| declared_length(value)),
                Known::Connection => fields.close |= list_has(value, "close"),
                Known::ContentType => fields.content_type = true,
                Known::ContentEncoding => fields.coded |= !value.is_empty(),
                Known::TransferEncoding => {
                    fields.coded = true;
                    fields.identity |= value.eq_ignore_ascii_case(b"identity");
                }
                Known::Trailer => fields.trailer = true,
                _ => {}
            }
        }
        fields
    }
}

/// A declared length: digits, perhaps with blanks around them.
pub(super) fn declared_length(value: &[u8]) -> Option<u64> {
    decimal(value.trim_ascii())
}

/// The type of content, found from its first bytes: those that were held back, then the next. `None`
/// without any.
pub(super) fn sniffed_content_type(pending: &[u8], next: &[u8]) -> Option<&'static str> {
    const SNIFF_BYTES: usize = 512;
    if pending.is_empty() && next.is_empty() {
        return None;
    }
    if pending.is_empty() {
        return Some(detect_content_type(next));
    }
    if next.is_empty() || pending.len() >= SNIFF_BYTES {
        return Some(detect_content_type(pending));
    }
    let start: Vec<u8> = pending.iter().chain(next).take(SNIFF_BYTES).copied().collect();
    Some(detect_content_type(&start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(pairs: &[(&str, &str)]) -> HandlerFields {
        HandlerFields::of(&pairs.iter().copied().collect())
    }

    #[test]
    fn a_declared_length_is_digits_and_nothing_else() {
        for (text, length) in [("5", Some(5)), (" 7 ", Some(7)), ("", None), ("+5", None), ("-1", None), ("abc", None)]
        {
            assert_eq!(fields(&[("Content-Length", text)]).length, length, "{text:?}");
        }
        assert_eq!(fields(&[("Content-Length", "99999999999999999999")]).length, None);
    }

    #[test]
    fn a_close_among_other_options_counts() {
        assert!(fields(&[("connection", "Upgrade, Close")]).close);
        assert!(!fields(&[("Connection", "closed")]).close);
    }

    #[test]
    fn content_that_was_not_asked_for_closes() {
        let behind = |unread: Unread| unread.close_reason(10);
        assert_eq!(behind(Unread::Nothing), None);
        assert_eq!(behind(Unread::Some { known: Some(10), awaits_continue: false }), None);
        assert_eq!(behind(Unread::Some { known: None, awaits_continue: false }), None);
        assert_eq!(behind(Unread::Some { known: Some(11), awaits_continue: false }), Some(CloseReason::BodyUnread));
        assert_eq!(behind(Unread::Some { known: Some(1), awaits_continue: true }), Some(CloseReason::BodyUnread));
        assert_eq!(behind(Unread::Broken), Some(CloseReason::BodyBroken));
    }

    #[test]
    fn a_tunnels_response_has_no_connection_field() {
        let traits = RequestTraits { connect_request: true, ..RequestTraits::default() };
        let close = Some(CloseReason::Tunnel);
        assert_eq!(traits.connection_field(StatusCode::OK, close), ConnectionField::Nothing);
        assert_eq!(traits.connection_field(StatusCode::FORBIDDEN, close), ConnectionField::Close);
    }

    #[test]
    fn the_type_is_found_across_two_writes() {
        assert_eq!(sniffed_content_type(b"<!DOC", b"TYPE HTML>"), Some("text/html; charset=utf-8"));
        assert_eq!(sniffed_content_type(b"", b"\x89PNG\r\n\x1a\n"), Some("image/png"));
        assert_eq!(sniffed_content_type(b"", b""), None);
    }
}
