//! What a response is, decided from the request, the handler's fields and the state of the
//! connection: pure functions, one decision each.

use http::{Method, StatusCode, Version};

use crate::h1::{ConnectionField, Outgoing, OutgoingResponse};
use crate::message::{Header, Known, Request, decimal, detect_content_type, list_has};
use crate::server::close_reason::CloseReason;

/// What the request and the server say about the response.
#[derive(Debug, Clone)]
pub(crate) struct RequestTraits {
    pub(crate) head_request: bool,
    pub(crate) connect_request: bool,
    pub(crate) http10: bool,
    /// Why the connection closes after this response, as far as is known before it.
    pub(crate) close: Option<CloseReason>,
    /// Content that is left unread up to this length is read and thrown away.
    pub(crate) drain_bytes: u64,
    pub(crate) exchange: u64,
}

impl RequestTraits {
    /// Before any request.
    pub(crate) const fn nothing() -> RequestTraits {
        RequestTraits {
            head_request: false,
            connect_request: false,
            http10: false,
            close: None,
            drain_bytes: 0,
            exchange: 0,
        }
    }

    /// The response to what is no request: it closes.
    pub(crate) fn refused() -> RequestTraits {
        RequestTraits { close: Some(CloseReason::Refused), ..RequestTraits::nothing() }
    }

    /// What this request says about its response.
    pub(crate) fn by(request: &Request, exchange: u64) -> RequestTraits {
        RequestTraits {
            head_request: request.method == Method::HEAD,
            connect_request: request.method == Method::CONNECT,
            http10: request.proto == Version::HTTP_10,
            exchange,
            ..RequestTraits::nothing()
        }
    }

    /// Whether content is sent at all: not in answer to HEAD, and not with every status.
    pub(crate) fn has_content(&self, outgoing: Outgoing) -> bool {
        !self.head_request && !matches!(outgoing, Outgoing::None | Outgoing::HeadUnknown)
    }

    /// What the framing of this response depends on. `whole` is the length of all content, where it
    /// is known.
    pub(crate) fn facts(
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

    /// Why the connection closes behind this response, as far as its head can say (RFC 9112 §9.6).
    pub(crate) fn close_behind(
        &self,
        status: StatusCode,
        fields: &HandlerFields,
        outgoing: Outgoing,
        unread: &Unread,
    ) -> Option<CloseReason> {
        if fields.close {
            return Some(CloseReason::HandlerAsked);
        }
        if self.connect_request || status == StatusCode::SWITCHING_PROTOCOLS {
            return Some(CloseReason::Tunnel);
        }
        if outgoing == Outgoing::UntilClose {
            return Some(CloseReason::FramingByClose);
        }
        match unread {
            Unread::Broken => Some(CloseReason::BodyBroken),
            // The client was not told to send its content; whether it still will is not known.
            Unread::Some { awaits_continue: true, .. } => Some(CloseReason::BodyUnread),
            Unread::Some { known: Some(known), .. } if *known > self.drain_bytes => Some(CloseReason::BodyUnread),
            Unread::Nothing | Unread::Some { .. } => None,
        }
    }

    /// What the response says of its connection.
    pub(crate) fn connection_field(&self, status: StatusCode) -> ConnectionField {
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return ConnectionField::Upgrade;
        }
        match self.close {
            // RFC 9110 §9.3.6: behind a 2xx to CONNECT there is no connection to speak of.
            Some(_) if self.connect_request && status.is_success() => ConnectionField::Nothing,
            Some(_) => ConnectionField::Close,
            None if self.http10 => ConnectionField::KeepAlive,
            None => ConnectionField::Nothing,
        }
    }
}

/// What is left of a request's content when its handler is done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    Nothing,
    /// So many bytes at least; the client may wait for a `100 Continue` before it sends them.
    Some {
        known: Option<u64>,
        awaits_continue: bool,
    },
    /// The next message's start is in doubt.
    Broken,
}

/// What the server would write and the handler does without.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Omitted {
    pub(crate) date: bool,
    pub(crate) content_type: bool,
    pub(crate) content_length: bool,
}

/// What the handler's fields say to the server, read in one pass.
#[derive(Debug, Default)]
pub(crate) struct HandlerFields {
    /// The length that was declared. What is no length is no declaration.
    pub(crate) length: Option<u64>,
    pub(crate) close: bool,
    pub(crate) content_type: bool,
    /// The content is in a coding, so its bytes do not show its type.
    pub(crate) coded: bool,
    /// `Transfer-Encoding: identity`: the content is to end with the connection (Go's rule).
    pub(crate) identity: bool,
    pub(crate) trailer: bool,
}

impl HandlerFields {
    pub(crate) fn of(header: &Header) -> HandlerFields {
        let mut fields = HandlerFields::default();
        for (known, _, value) in header.iter_known() {
            match known {
                Known::ContentLength => fields.length = fields.length.or_else(|| length_of(value)),
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
pub(crate) fn length_of(value: &[u8]) -> Option<u64> {
    decimal(value.trim_ascii())
}

/// The type of content by its looks; `None` where there is none to look at.
pub(crate) fn sniffed(waiting: &[u8], next: &[u8]) -> Option<&'static str> {
    const LOOKED_AT: usize = 512;
    if waiting.is_empty() && next.is_empty() {
        return None;
    }
    if waiting.is_empty() {
        return Some(detect_content_type(next));
    }
    if next.is_empty() || waiting.len() >= LOOKED_AT {
        return Some(detect_content_type(waiting));
    }
    let start: Vec<u8> = waiting.iter().chain(next).take(LOOKED_AT).copied().collect();
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
        let traits = RequestTraits { drain_bytes: 10, ..RequestTraits::nothing() };
        let behind = |unread| traits.close_behind(StatusCode::OK, &fields(&[]), Outgoing::Length(1), &unread);
        assert_eq!(behind(Unread::Nothing), None);
        assert_eq!(behind(Unread::Some { known: Some(10), awaits_continue: false }), None);
        assert_eq!(behind(Unread::Some { known: None, awaits_continue: false }), None);
        assert_eq!(behind(Unread::Some { known: Some(11), awaits_continue: false }), Some(CloseReason::BodyUnread));
        assert_eq!(behind(Unread::Some { known: Some(1), awaits_continue: true }), Some(CloseReason::BodyUnread));
        assert_eq!(behind(Unread::Broken), Some(CloseReason::BodyBroken));
    }

    #[test]
    fn a_tunnel_says_nothing_of_its_connection() {
        let traits =
            RequestTraits { connect_request: true, close: Some(CloseReason::Tunnel), ..RequestTraits::nothing() };
        assert_eq!(traits.connection_field(StatusCode::OK), ConnectionField::Nothing);
        assert_eq!(traits.connection_field(StatusCode::FORBIDDEN), ConnectionField::Close);
    }

    #[test]
    fn the_type_is_found_over_the_seam_of_two_writes() {
        assert_eq!(sniffed(b"<!DOC", b"TYPE HTML>"), Some("text/html; charset=utf-8"));
        assert_eq!(sniffed(b"", b"\x89PNG\r\n\x1a\n"), Some("image/png"));
        assert_eq!(sniffed(b"", b""), None);
    }
}
