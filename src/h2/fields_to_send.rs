//! Which fields of a message are sent, and as what (RFC 9113 §8.2).

use super::field_kind::FieldKind;
use super::hpack::HpackEncoder;
use crate::message::{Header, Known, has_control, list_has};

/// The head of a response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Http2ResponseHead<'a> {
    pub(crate) status: u16,
    pub(crate) header: &'a Header,
    /// Written in place of any that the header has.
    pub(crate) content_length: Option<u64>,
    /// Written where the header has none.
    pub(crate) content_type: Option<&'a [u8]>,
    /// Written where the header has none.
    pub(crate) date: Option<&'a [u8]>,
}

/// The head of a request. CONNECT has neither scheme nor path, but for the extended one, which has a
/// protocol (RFC 9113 §8.5, RFC 8441 §4).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Http2RequestHead<'a> {
    pub(crate) method: &'a str,
    pub(crate) scheme: Option<&'a str>,
    pub(crate) authority: &'a str,
    pub(crate) path: Option<&'a str>,
    pub(crate) protocol: Option<&'a str>,
    pub(crate) header: &'a Header,
    /// Written in place of any that the header has.
    pub(crate) content_length: Option<u64>,
}

pub(crate) fn encode_response(encoder: &mut HpackEncoder, into: &mut Vec<u8>, head: &Http2ResponseHead<'_>) {
    encoder.begin(into);
    encoder.status(into, head.status);
    // RFC 9110 §15.4.5: a 304 describes what the client has, and that has its type.
    let has_type = head.status != 304;
    let (mut content_type, mut date) = (head.content_type.filter(|_| has_type), head.date);
    for (known, name, value) in head.header.iter_known() {
        match known {
            Known::ContentType if !has_type => continue,
            Known::ContentType => content_type = None,
            Known::Date => date = None,
            _ => {}
        }
        encode_field(encoder, into, known, name, value);
    }
    if let Some(content_type) = content_type {
        encoder.field(into, FieldKind::Field(Known::ContentType), b"content-type", content_type);
    }
    encode_length(encoder, into, head.content_length);
    if let Some(date) = date {
        encoder.field(into, FieldKind::Field(Known::Date), b"date", date);
    }
}

pub(crate) fn encode_request(encoder: &mut HpackEncoder, into: &mut Vec<u8>, head: &Http2RequestHead<'_>) {
    encoder.begin(into);
    encoder.field(into, FieldKind::Method, b":method", head.method.as_bytes());
    if let Some(protocol) = head.protocol {
        encoder.field(into, FieldKind::Protocol, b":protocol", protocol.as_bytes());
    }
    if let Some(scheme) = head.scheme {
        encoder.field(into, FieldKind::Scheme, b":scheme", scheme.as_bytes());
    }
    encoder.field(into, FieldKind::Authority, b":authority", head.authority.as_bytes());
    if let Some(path) = head.path {
        encoder.field(into, FieldKind::Path, b":path", path.as_bytes());
    }
    for (known, name, value) in head.header.iter_known() {
        // RFC 9113 §8.3.1: `:authority` says it.
        if known != Known::Host {
            encode_field(encoder, into, known, name, value);
        }
    }
    encode_length(encoder, into, head.content_length);
}

pub(crate) fn encode_trailer(encoder: &mut HpackEncoder, into: &mut Vec<u8>, trailer: &Header) {
    encoder.begin(into);
    for (known, name, value) in trailer.iter_known() {
        encode_field(encoder, into, known, name, value);
    }
}

fn encode_length(encoder: &mut HpackEncoder, into: &mut Vec<u8>, length: Option<u64>) {
    if let Some(length) = length {
        let mut digits = itoa::Buffer::new();
        let value = digits.format(length).as_bytes();
        encoder.field(into, FieldKind::Field(Known::ContentLength), b"content-length", value);
    }
}

/// One field of a header, unless it may not be sent.
fn encode_field(encoder: &mut HpackEncoder, into: &mut Vec<u8>, known: Known, name: &[u8], value: &[u8]) {
    let kind = match known {
        // No name, or what HTTP/2 has in another place, or not at all (RFC 9113 §8.2.2).
        Known::NotAToken | Known::ContentLength | Known::TransferEncoding | Known::Connection | Known::KeepAlive => {
            return;
        }
        Known::Other if is_connection_specific(name) => return,
        Known::Other if name.eq_ignore_ascii_case(b"te") => {
            // RFC 9113 §8.2.2: this value alone.
            if list_has(value, "trailers") {
                encoder.field(into, FieldKind::Te, name, b"trailers");
            }
            return;
        }
        known => FieldKind::Field(known),
    };
    let value = value.trim_ascii();
    if !has_control(value) {
        return encoder.field(into, kind, name, value);
    }
    // RFC 9110 §5.5: controls become blanks, so that no value can become another field behind a proxy.
    let is_control = |b: u8| has_control(&[b]);
    let spaced: Vec<u8> = value.iter().map(|&b| if is_control(b) { b' ' } else { b }).collect();
    encoder.field(into, kind, name, spaced.trim_ascii());
}

/// Those of RFC 9113 §8.2.2 that the codec of HTTP/1 does not know by name.
fn is_connection_specific(name: &[u8]) -> bool {
    match name.len() {
        7 => name.eq_ignore_ascii_case(b"upgrade"),
        14 => name.eq_ignore_ascii_case(b"http2-settings"),
        16 => name.eq_ignore_ascii_case(b"proxy-connection"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::hpack::{HpackDecoder, ListLimits};
    use super::super::received_head::ReceivedHead;
    use super::*;

    fn decoded(block: &[u8]) -> ReceivedHead {
        let mut head = ReceivedHead::default();
        let limits = ListLimits { max_bytes: 10_000, max_fields: 100 };
        let list = HpackDecoder::new().decode(block, limits, &mut head).unwrap();
        head.finish(list);
        head
    }

    fn response(status: u16, fields: &[(&str, &str)]) -> Vec<String> {
        let (mut block, header) = (Vec::new(), fields.iter().copied().collect());
        let head = Http2ResponseHead {
            status,
            header: &header,
            content_length: Some(3),
            content_type: Some(b"text/guessed"),
            date: Some(b"today"),
        };
        encode_response(&mut HpackEncoder::new(), &mut block, &head);
        let head = decoded(&block);
        assert_eq!(head.check_response(false), Ok(status));
        shown(&head.header)
    }

    fn shown(header: &Header) -> Vec<String> {
        header.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value))).collect()
    }

    #[test]
    fn what_speaks_of_a_connection_or_of_the_length_is_not_sent() {
        let fields = [
            ("Connection", "close"),
            ("Keep-Alive", "5"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "x"),
            ("Proxy-Connection", "keep-alive"),
            ("HTTP2-Settings", "x"),
            ("Content-Length", "7"),
            ("no token", "x"),
            ("X-Kept", "y"),
        ];
        let expected = ["x-kept: y", "content-type: text/guessed", "content-length: 3", "date: today"];
        assert_eq!(response(200, &fields), expected);
    }

    #[test]
    fn type_and_date_are_the_handlers_and_a_304_has_no_type() {
        let own = [("Content-Type", "text/a"), ("Date", "then")];
        assert_eq!(response(200, &own), ["content-type: text/a", "date: then", "content-length: 3"]);
        assert_eq!(response(304, &own), ["date: then", "content-length: 3"]);
        assert_eq!(response(304, &[]), ["content-length: 3", "date: today"]);
    }

    #[test]
    fn no_value_can_become_another_field() {
        assert_eq!(response(200, &[("X", " a\r\nB: c\0 ")])[0], "x: a  B: c");
    }

    #[test]
    fn a_request_says_its_target_in_pseudo_fields() {
        let header = [("Host", "other"), ("X-A", "1"), ("TE", "gzip, Trailers"), ("te", "gzip")].into_iter().collect();
        let head = Http2RequestHead {
            method: "POST",
            scheme: Some("https"),
            authority: "a:1",
            path: Some("/b?c"),
            protocol: None,
            header: &header,
            content_length: Some(0),
        };
        let mut block = Vec::new();
        encode_request(&mut HpackEncoder::new(), &mut block, &head);
        let read = decoded(&block);
        let target = [read.method(), read.scheme(), read.authority(), read.path()];
        assert_eq!(target, [&b"POST"[..], b"https", b"a:1", b"/b?c"]);
        assert_eq!(shown(&read.header), ["x-a: 1", "te: trailers", "content-length: 0"]);
    }
}
