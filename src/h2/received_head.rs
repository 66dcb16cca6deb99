//! The head of a message as it is decoded, and whether it is one (RFC 9113 §8).

use super::field_kind::FieldKind;
use super::hpack::{DecodedList, FieldSink};
use super::priority::Priority;
use crate::message::{Header, Known, decimal, is_token};

/// A head, or a trailer section. It is filled again and again, and keeps its memory.
#[derive(Debug, Default)]
pub(crate) struct ReceivedHead {
    /// The fields, without pseudo-fields, and with the pieces of a cookie put together.
    pub(crate) header: Header,
    pseudo: PseudoFields,
    facts: HeadFacts,
}

/// The text of the pseudo-fields, and where each is in it.
#[derive(Debug, Default)]
struct PseudoFields {
    text: Vec<u8>,
    method: Option<TextSpan>,
    scheme: Option<TextSpan>,
    authority: Option<TextSpan>,
    path: Option<TextSpan>,
    status: Option<TextSpan>,
    protocol: Option<TextSpan>,
}

#[derive(Debug, Clone, Copy)]
struct TextSpan {
    start: usize,
    end: usize,
}

/// What was seen while the fields came.
#[derive(Debug, Default)]
struct HeadFacts {
    malformed: Option<&'static str>,
    has_fields: bool,
    cookies: usize,
    content_length: Option<u64>,
    priority: Option<Priority>,
    list: DecodedList,
}

/// What a request's head says of what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RequestFacts {
    pub(crate) content_length: Option<u64>,
    pub(crate) priority: Option<Priority>,
}

/// Which requests may be: an extended CONNECT only where this side has said that it knows it (RFC 8441 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExtendedConnect {
    Known,
    Unknown,
}

impl ReceivedHead {
    pub(crate) fn method(&self) -> &[u8] {
        self.text(self.pseudo.method)
    }

    pub(crate) fn scheme(&self) -> &[u8] {
        self.text(self.pseudo.scheme)
    }

    pub(crate) fn authority(&self) -> &[u8] {
        self.text(self.pseudo.authority)
    }

    pub(crate) fn path(&self) -> &[u8] {
        self.text(self.pseudo.path)
    }

    /// `:protocol` of an extended CONNECT (RFC 8441 §4).
    pub(crate) fn protocol(&self) -> Option<&[u8]> {
        self.pseudo.protocol.map(|span| self.text(Some(span)))
    }

    pub(crate) fn content_length(&self) -> Option<u64> {
        self.facts.content_length
    }

    /// The size and number of the fields, pieces of a cookie counted each.
    pub(crate) fn list(&self) -> DecodedList {
        self.facts.list
    }

    pub(super) fn clear(&mut self) {
        self.header.clear();
        let mut text = std::mem::take(&mut self.pseudo.text);
        text.clear();
        self.pseudo = PseudoFields { text, ..PseudoFields::default() };
        self.facts = HeadFacts::default();
    }

    /// All fields have come.
    pub(super) fn finish(&mut self, list: DecodedList) {
        self.facts.list = list;
        if self.facts.cookies > 1 {
            self.join_cookies();
        }
    }

    /// RFC 9113 §8.3.1. Of a list that is too large some fields may be missing: then what is there has to
    /// be right, and what is not there is not asked for.
    pub(super) fn check_request(&self, ends: bool, connect: ExtendedConnect) -> Result<RequestFacts, &'static str> {
        let PseudoFields { method, scheme, authority, path, status, protocol, .. } = &self.pseudo;
        self.check_fields(ends)?;
        let facts = RequestFacts { content_length: self.facts.content_length, priority: self.facts.priority };
        if self.facts.list.is_too_large {
            return Ok(facts);
        }
        if status.is_some() {
            return Err("a request with :status");
        }
        if !is_token(self.text(*method)) {
            return Err("a request without a method");
        }
        if self.method() != b"CONNECT" {
            return match (protocol, scheme, path) {
                (Some(_), ..) => Err(":protocol without CONNECT"),
                (None, Some(_), Some(path)) if path.start < path.end => Ok(facts),
                (None, ..) => Err("a request without :scheme or :path"),
            };
        }
        match (protocol, scheme, path, authority) {
            // RFC 9113 §8.5.
            (None, None, None, Some(_)) => Ok(facts),
            (None, ..) => Err("a CONNECT that is none"),
            // RFC 8441 §4.
            (Some(_), Some(_), Some(_), Some(_)) if connect == ExtendedConnect::Known => Ok(facts),
            (Some(_), ..) => Err("an extended CONNECT that may not be"),
        }
    }

    /// RFC 9113 §8.3.2: the status.
    pub(super) fn check_response(&self, ends: bool) -> Result<u16, &'static str> {
        let PseudoFields { method, scheme, authority, path, status, protocol, .. } = &self.pseudo;
        // What a response to HEAD, or a 304, says of its length is not about this message.
        self.check_fields(false)?;
        if [method, scheme, authority, path, protocol].into_iter().any(Option::is_some) {
            return Err("a response with pseudo-fields of a request");
        }
        let status = match self.text(*status) {
            &[a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
                u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0')
            }
            _ => return Err("a response without a status"),
        };
        match status {
            // RFC 9113 §8.6.
            101 => Err("a response that switches protocols"),
            100..=199 if ends => Err("an interim response that ends the stream"),
            _ => Ok(status),
        }
    }

    /// RFC 9113 §8.1: no pseudo-fields, and the end of the stream.
    pub(super) fn check_trailer(&self, ends: bool) -> Result<(), &'static str> {
        if !ends {
            return Err("a trailer section that does not end the stream");
        }
        if !self.pseudo.text.is_empty() || self.has_pseudo() {
            return Err("a trailer section with pseudo-fields");
        }
        if self.facts.list.is_too_large {
            return Err("a trailer section that is too large");
        }
        self.facts.malformed.map_or(Ok(()), Err)
    }

    fn check_fields(&self, ends: bool) -> Result<(), &'static str> {
        // RFC 9113 §8.1.1.
        if ends && self.facts.content_length.is_some_and(|length| length > 0) {
            return Err("content that was announced and does not come");
        }
        self.facts.malformed.map_or(Ok(()), Err)
    }

    fn has_pseudo(&self) -> bool {
        let PseudoFields { method, scheme, authority, path, status, protocol, .. } = &self.pseudo;
        [method, scheme, authority, path, status, protocol].into_iter().any(Option::is_some)
    }

    fn text(&self, span: Option<TextSpan>) -> &[u8] {
        span.and_then(|span| self.pseudo.text.get(span.start..span.end)).unwrap_or_default()
    }

    /// The first fault is the one that is told.
    fn refuse(&mut self, words: &'static str) {
        self.facts.malformed.get_or_insert(words);
    }

    /// RFC 9113 §8.3: before all others, each once, and none that is unknown.
    fn push_pseudo(&mut self, kind: FieldKind, value: &[u8]) {
        if self.facts.has_fields {
            return self.refuse("a pseudo-field behind other fields");
        }
        let start = self.pseudo.text.len();
        self.pseudo.text.extend_from_slice(value);
        let span = TextSpan { start, end: self.pseudo.text.len() };
        let place = match kind {
            FieldKind::Method => &mut self.pseudo.method,
            FieldKind::Scheme => &mut self.pseudo.scheme,
            FieldKind::Authority => &mut self.pseudo.authority,
            FieldKind::Path => &mut self.pseudo.path,
            FieldKind::Status => &mut self.pseudo.status,
            FieldKind::Protocol => &mut self.pseudo.protocol,
            _ => return self.refuse("an unknown pseudo-field"),
        };
        if place.replace(span).is_some() {
            self.refuse("a pseudo-field that comes twice");
        }
    }

    /// What a field means to the message, beside being one of its fields.
    fn see(&mut self, kind: FieldKind, value: (usize, usize)) {
        let value = self.header.received_text().get(value.0..value.1).unwrap_or_default();
        match kind {
            FieldKind::ConnectionSpecific => self.refuse("a field that speaks of a connection"),
            // RFC 9113 §8.2.2.
            FieldKind::Te if value != b"trailers" => self.refuse("TE other than trailers"),
            FieldKind::Cookie => self.facts.cookies += 1,
            FieldKind::Priority => self.facts.priority = Some(Priority::parse(value)),
            FieldKind::Field(Known::ContentLength) => {
                // RFC 9110 §8.6: unequal lengths are an attack, equal ones are refused with them.
                let length = decimal(value);
                if length.is_none() || self.facts.content_length.is_some_and(|other| Some(other) != length) {
                    return self.refuse("a Content-Length that is none");
                }
                self.facts.content_length = length;
            }
            _ => {}
        }
    }

    /// RFC 9113 §8.2.3.
    fn join_cookies(&mut self) {
        let pieces: Vec<&[u8]> = self.header.values_bytes("cookie").collect();
        let joined = pieces.join(&b"; "[..]);
        self.header.set("cookie", joined);
    }
}

impl FieldSink for ReceivedHead {
    fn text(&mut self) -> &mut Vec<u8> {
        self.header.received_text()
    }

    fn push(&mut self, kind: FieldKind, is_valid: bool, at: usize, name_len: usize) {
        let text = self.header.received_text();
        let name_end = at + name_len;
        // RFC 9113 §8.2.1 forbids blanks around a value. Some peers send them, and they are not of it.
        let value = text.get(name_end..).unwrap_or_default();
        let start = name_end + (value.len() - value.trim_ascii_start().len());
        let end = start + value.trim_ascii().len();
        if !is_valid || kind == FieldKind::Malformed {
            self.refuse("a field with a byte that may not be in it");
        } else if kind.is_pseudo() {
            // Out of the header's text, which it is no part of, and back.
            let text = std::mem::take(self.header.received_text());
            self.push_pseudo(kind, text.get(start..end).unwrap_or_default());
            *self.header.received_text() = text;
        } else {
            self.facts.has_fields = true;
            self.see(kind, (start, end));
            let known = if let FieldKind::Field(known) = kind { known } else { Known::Other };
            return self.header.push_received(known, at..name_end, start..end);
        }
        self.header.received_text().truncate(at);
    }

    fn put(&mut self, kind: FieldKind, is_valid: bool, name: &[u8], value: &[u8]) {
        if is_valid && kind.is_pseudo() {
            return self.push_pseudo(kind, value.trim_ascii());
        }
        let text = self.header.received_text();
        let at = text.len();
        text.extend_from_slice(name);
        text.extend_from_slice(value);
        self.push(kind, is_valid, at, name.len());
    }
}

#[cfg(test)]
mod tests {
    use super::super::hpack::{HpackDecoder, HpackEncoder, ListLimits};
    use super::*;

    fn received(fields: &[(&str, &str)]) -> ReceivedHead {
        let (mut block, mut encoder) = (Vec::new(), HpackEncoder::new());
        for (name, value) in fields {
            encoder.field(&mut block, FieldKind::of(name.as_bytes()), name.as_bytes(), value.as_bytes());
        }
        let mut head = ReceivedHead::default();
        let limits = ListLimits { max_bytes: 10_000, max_fields: 100 };
        let list = HpackDecoder::new().decode(&block, limits, &mut head).unwrap();
        head.finish(list);
        head
    }

    fn with(fields: &[(&str, &str)], more: &[(&str, &str)]) -> ReceivedHead {
        received(&[fields, more].concat())
    }

    const GET: &[(&str, &str)] = &[(":method", "GET"), (":scheme", "https"), (":authority", "a"), (":path", "/")];
    const CONNECT: &[(&str, &str)] = &[(":method", "CONNECT"), (":authority", "a:1")];

    #[test]
    fn a_request_has_its_pseudo_fields_once_and_first() {
        let request = |head: &ReceivedHead| head.check_request(true, ExtendedConnect::Unknown).map(|_| ());
        assert_eq!(request(&received(GET)), Ok(()));
        assert_eq!(request(&received(CONNECT)), Ok(()));
        assert_eq!(request(&with(GET, &[("a", "b"), ("te", "trailers"), ("content-length", "0")])), Ok(()));
        for malformed in [
            &[][..],
            &GET[..3],
            &GET[1..],
            &[(":method", "GET"), (":scheme", "http"), (":path", "")],
            &[(":method", ""), (":scheme", "http"), (":path", "/")],
            &[(":method", "G T"), (":scheme", "http"), (":path", "/")],
            &[(":method", "CONNECT")],
            &[(":method", "CONNECT"), (":authority", "a:1"), (":path", "/")],
            &[(":method", "CONNECT"), (":authority", "a:1"), (":scheme", "http")],
        ] {
            assert!(request(&received(malformed)).is_err(), "{malformed:?}");
        }
        for more in [
            (":method", "GET"),
            (":path", "/"),
            (":status", "200"),
            (":unknown", "1"),
            (":protocol", "websocket"),
            ("connection", "close"),
            ("keep-alive", "5"),
            ("proxy-connection", "close"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("te", "gzip"),
            ("te", "trailers, gzip"),
            ("content-length", "1"),
            ("content-length", "+0"),
            ("content-length", ""),
            ("x", "a\0b"),
            ("x", "a\r\nb: c"),
            ("", "x"),
            ("a b", "x"),
        ] {
            assert!(request(&with(GET, &[more])).is_err(), "{more:?}");
        }
        let behind = [&[("a", "b")], GET].concat();
        assert!(request(&received(&behind)).is_err());
    }

    #[test]
    fn lengths_must_agree_and_be_lengths() {
        let length = |values: &[&str]| {
            let more: Vec<_> = values.iter().map(|value| ("content-length", *value)).collect();
            let facts = with(GET, &more).check_request(false, ExtendedConnect::Unknown);
            facts.map(|facts| facts.content_length)
        };
        assert_eq!(length(&["7"]), Ok(Some(7)));
        assert_eq!(length(&["7", "7"]), Ok(Some(7)));
        assert_eq!(length(&[]), Ok(None));
        for values in [&["7", "8"][..], &["7, 7"], &["-1"], &["0x7"], &["99999999999999999999"]] {
            assert!(length(values).is_err(), "{values:?}");
        }
    }

    #[test]
    fn an_extended_connect_has_all_pseudo_fields_and_must_be_known() {
        let extended = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "https"),
            (":authority", "a"),
            (":path", "/chat"),
        ];
        let head = received(&extended);
        assert!(head.check_request(false, ExtendedConnect::Known).is_ok());
        assert!(head.check_request(false, ExtendedConnect::Unknown).is_err());
        assert_eq!(head.protocol(), Some(&b"websocket"[..]));
        for missing in 1..extended.len() {
            let mut fields = extended.to_vec();
            fields.remove(missing);
            assert!(received(&fields).check_request(false, ExtendedConnect::Known).is_err(), "without {missing}");
        }
    }

    #[test]
    fn a_response_has_a_status_and_nothing_of_a_request() {
        let response = |fields: &[(&str, &str)]| received(fields).check_response(false);
        assert_eq!(response(&[(":status", "200"), ("a", "b")]), Ok(200));
        assert_eq!(response(&[(":status", "103")]), Ok(103));
        assert_eq!(response(&[(":status", "999")]), Ok(999));
        for malformed in [
            &[][..],
            &[(":status", "20")],
            &[(":status", "2000")],
            &[(":status", "+20")],
            &[(":status", "099")],
            &[(":status", "101")],
            &[(":status", "200"), (":status", "200")],
            &[(":status", "200"), (":path", "/")],
            &[("a", "b"), (":status", "200")],
            &[(":status", "200"), ("connection", "close")],
        ] {
            assert!(response(malformed).is_err(), "{malformed:?}");
        }
        assert!(received(&[(":status", "100")]).check_response(true).is_err());
        // Of HEAD, or a 304.
        assert_eq!(received(&[(":status", "304"), ("content-length", "9")]).check_response(true), Ok(304));
    }

    #[test]
    fn a_trailer_section_ends_the_stream_and_has_no_pseudo_fields() {
        assert_eq!(received(&[("a", "b")]).check_trailer(true), Ok(()));
        assert_eq!(received(&[]).check_trailer(true), Ok(()));
        assert!(received(&[("a", "b")]).check_trailer(false).is_err());
        assert!(received(&[(":path", "/")]).check_trailer(true).is_err());
        assert!(received(&[(":path", "")]).check_trailer(true).is_err());
        assert!(received(&[("connection", "b")]).check_trailer(true).is_err());
    }

    #[test]
    fn fields_are_as_they_came_without_blanks_and_cookies_are_one() {
        let head = with(GET, &[("a", " b\t"), ("cookie", "x=1"), ("c", ""), ("cookie", "y=2 "), ("priority", "u=1")]);
        let fields: Vec<_> = head.header.iter().collect();
        assert_eq!(fields, [("a", &b"b"[..]), ("cookie", b"x=1; y=2"), ("c", b""), ("priority", b"u=1")]);
        assert_eq!((head.method(), head.path(), head.authority()), (&b"GET"[..], &b"/"[..], &b"a"[..]));
        let facts = head.check_request(true, ExtendedConnect::Unknown).unwrap();
        assert_eq!(facts.priority, Some(Priority { urgency: 1, incremental: false }));
        assert_eq!(head.list().fields, 9);
    }

    #[test]
    fn it_is_used_again_without_what_it_had() {
        let mut head = with(GET, &[("a", "b"), ("cookie", "x"), ("connection", "close")]);
        head.clear();
        head.finish(DecodedList::default());
        assert!(head.header.is_empty() && head.method().is_empty());
        assert_eq!(head.check_trailer(true), Ok(()));
    }
}
