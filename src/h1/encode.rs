//! Heads, chunks and trailers as they are sent.
//!
//! The framing fields are written from the framing that was decided, never from the handler's header,
//! so that the two cannot disagree. No value can end a line: what a handler copies from a request into
//! its response must not become a second response. Heads of requests are in `encode_request.rs`.

use std::time::Instant;

use http::{StatusCode, Version};

use super::field_lines::may_be_trailer;
use super::framing::Outgoing;
use crate::message::{Header, Known, append_date_line, has_control, is_token};

/// The head of a response.
#[derive(Debug)]
pub(crate) struct ResponseToSend<'a> {
    pub(crate) version: Version,
    pub(crate) status: StatusCode,
    /// The handler's fields.
    pub(crate) header: &'a Header,
    pub(crate) outgoing: Outgoing,
    pub(crate) connection: ConnectionField,
    /// The type that was guessed, for a header without one.
    pub(crate) content_type: Option<&'a str>,
    /// The present time, for a header without `Date`. With `None`, no `Date` is added.
    pub(crate) date: Option<Instant>,
}

/// The connection option that the codec decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionField {
    Nothing,
    Close,
    KeepAlive,
    Upgrade,
}

/// Appends status line, fields and the empty line.
pub(crate) fn encode_response_head(out: &mut Vec<u8>, head: &ResponseToSend<'_>) {
    append_status_line(out, head.version, head.status);
    let seen = append_fields(out, head.header, head.status);
    if let Some(content_type) = head.content_type.filter(|_| !seen.content_type && head.status != NOT_MODIFIED) {
        append_line(out, b"Content-Type: ", content_type.as_bytes());
    }
    append_framing(out, head.outgoing);
    if let Some(now) = head.date.filter(|_| !seen.date) {
        append_date_line(out, now);
    }
    append_connection(out, head.connection, seen.connection.then_some(head.header));
    out.extend_from_slice(b"\r\n");
}

/// Appends a 1xx response: it has no content, and says nothing about the connection.
pub(crate) fn encode_informational(out: &mut Vec<u8>, status: StatusCode, header: &Header) {
    append_status_line(out, Version::HTTP_11, status);
    append_fields(out, header, status);
    out.extend_from_slice(b"\r\n");
}

/// Appends the size line of a chunk of `len` bytes, which must not be 0: that would be the end.
pub(crate) fn encode_chunk_head(out: &mut Vec<u8>, len: usize) {
    let digits = (usize::BITS - len.leading_zeros()).div_ceil(4).max(1);
    let digit = |at: u32| b"0123456789abcdef".get(len >> (4 * at) & 15).copied();
    out.extend((0..digits).rev().filter_map(digit));
    out.extend_from_slice(b"\r\n");
}

/// Appends what follows the data of a chunk.
pub(crate) fn encode_chunk_end(out: &mut Vec<u8>) {
    out.extend_from_slice(b"\r\n");
}

/// Appends the last chunk and the trailer section. Fields that may be no trailer are left out.
pub(crate) fn encode_last_chunk(out: &mut Vec<u8>, trailer: &Header) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailer.iter().filter(|(name, _)| may_be_trailer(name)) {
        append_field(out, name.as_bytes(), value);
    }
    out.extend_from_slice(b"\r\n");
}

const NOT_MODIFIED: StatusCode = StatusCode::NOT_MODIFIED;

fn append_status_line(out: &mut Vec<u8>, version: Version, status: StatusCode) {
    let ready = match (version, status.as_u16()) {
        (Version::HTTP_11, 200) => Some(&b"HTTP/1.1 200 OK\r\n"[..]),
        (Version::HTTP_11, 204) => Some(&b"HTTP/1.1 204 No Content\r\n"[..]),
        (Version::HTTP_11, 304) => Some(&b"HTTP/1.1 304 Not Modified\r\n"[..]),
        (Version::HTTP_11, 404) => Some(&b"HTTP/1.1 404 Not Found\r\n"[..]),
        _ => None,
    };
    if let Some(line) = ready {
        return out.extend_from_slice(line);
    }
    out.extend_from_slice(if version == Version::HTTP_10 { b"HTTP/1.0 " } else { b"HTTP/1.1 " });
    out.extend_from_slice(status.as_str().as_bytes());
    let (before, reason) = status.canonical_reason().map_or((" status code ", status.as_str()), |reason| (" ", reason));
    out.extend_from_slice(before.as_bytes());
    out.extend_from_slice(reason.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Which of the fields that the codec can add are set by the handler.
#[derive(Default)]
struct SeenResponseFields {
    content_type: bool,
    date: bool,
    connection: bool,
}

/// The handler's fields in its order and spelling, without those that the codec writes.
fn append_fields(out: &mut Vec<u8>, header: &Header, status: StatusCode) -> SeenResponseFields {
    let mut seen = SeenResponseFields::default();
    for (known, name, value) in header.iter_known() {
        match known {
            Known::NotAToken | Known::ContentLength | Known::TransferEncoding | Known::KeepAlive => continue,
            Known::Connection => {
                seen.connection = true;
                continue;
            }
            Known::Trailer => {
                append_trailer_names(out, name, value);
                continue;
            }
            // RFC 9110 §15.4.5: a 304 describes what the client has, and that has its type.
            Known::ContentType if status == NOT_MODIFIED => continue,
            Known::ContentType => seen.content_type = true,
            Known::Date => seen.date = true,
            _ => {}
        }
        append_field(out, name, value);
    }
    seen
}

/// The field that says how the content ends, if one does.
pub(super) fn append_framing(out: &mut Vec<u8>, outgoing: Outgoing) {
    match outgoing {
        Outgoing::Length(length) => {
            append_line(out, b"Content-Length: ", itoa::Buffer::new().format(length).as_bytes());
        }
        Outgoing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Outgoing::None | Outgoing::UntilClose | Outgoing::HeadUnknown => {}
    }
}

/// `Trailer`, with the names that may be one.
pub(super) fn append_trailer_names(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    let names = value.split(|&b| b == b',').map(<[u8]>::trim_ascii);
    let allowed: Vec<_> = names.filter(|name| std::str::from_utf8(name).is_ok_and(may_be_trailer)).collect();
    if !allowed.is_empty() {
        append_field(out, name, &allowed.join(&b", "[..]));
    }
}

/// `Connection`: what the codec says, then the options of the header that are not about keeping it.
pub(super) fn append_connection(out: &mut Vec<u8>, own: ConnectionField, header: Option<&Header>) {
    if own == ConnectionField::Nothing && header.is_none() {
        return;
    }
    let own: &[u8] = match own {
        ConnectionField::Nothing => b"",
        ConnectionField::Close => b"close",
        ConnectionField::KeepAlive => b"keep-alive",
        ConnectionField::Upgrade => b"Upgrade",
    };
    let values = header.into_iter().flat_map(|header| header.values_bytes("Connection"));
    let options = values.flat_map(|value| value.split(|&b| b == b',')).map(<[u8]>::trim_ascii);
    let handled = |option: &[u8]| [own, b"close", b"keep-alive"].iter().any(|known| option.eq_ignore_ascii_case(known));
    let kept = options.filter(|option| is_token(option) && !handled(option));

    let mut before: &[u8] = b"Connection: ";
    for option in (!own.is_empty()).then_some(own).into_iter().chain(kept) {
        out.extend_from_slice(before);
        out.extend_from_slice(option);
        before = b", ";
    }
    if before == b", " {
        out.extend_from_slice(b"\r\n");
    }
}

/// One field line, of a name that is a token. Controls in a value become spaces (RFC 9110 §5.5),
/// and blanks around it go.
pub(crate) fn append_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    if has_control(value) {
        let spaced: Vec<u8> = value.iter().map(|&b| if has_control(&[b]) { b' ' } else { b }).collect();
        return append_field(out, name, &spaced);
    }
    let value = value.trim_ascii();
    out.reserve(name.len() + value.len() + 4);
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// The same for a value that the codec makes. The name has its colon and a constant length, so that it
/// is copied without a call.
fn append_line<const LEN: usize>(out: &mut Vec<u8>, name: &[u8; LEN], value: &[u8]) {
    out.reserve(LEN + value.len() + 2);
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::super::chunked::{Chunked, ChunkedReader};
    use super::*;

    fn header(fields: &[(&str, &str)]) -> Header {
        fields.iter().copied().collect()
    }

    /// A 200 with these fields, neither framing nor date.
    fn plain(header: &Header) -> ResponseToSend<'_> {
        ResponseToSend {
            version: Version::HTTP_11,
            status: StatusCode::OK,
            header,
            outgoing: Outgoing::None,
            connection: ConnectionField::Nothing,
            content_type: None,
            date: None,
        }
    }

    fn encoded(head: &ResponseToSend<'_>) -> String {
        let mut out = b"before ".to_vec();
        encode_response_head(&mut out, head);
        String::from_utf8(out).unwrap().strip_prefix("before ").expect("it appends").to_owned()
    }

    /// The field lines of a 200 with these fields.
    fn lines(fields: &[(&str, &str)]) -> String {
        let text = encoded(&plain(&header(fields)));
        text.strip_prefix("HTTP/1.1 200 OK\r\n").and_then(|text| text.strip_suffix("\r\n")).unwrap().to_owned()
    }

    #[test]
    fn the_status_line_has_version_code_and_reason() {
        let none = Header::new();
        for (version, code, line) in [
            (Version::HTTP_11, 200, "HTTP/1.1 200 OK"),
            (Version::HTTP_11, 204, "HTTP/1.1 204 No Content"),
            (Version::HTTP_11, 304, "HTTP/1.1 304 Not Modified"),
            (Version::HTTP_11, 404, "HTTP/1.1 404 Not Found"),
            (Version::HTTP_11, 418, "HTTP/1.1 418 I'm a teapot"),
            (Version::HTTP_11, 299, "HTTP/1.1 299 status code 299"),
            (Version::HTTP_10, 200, "HTTP/1.0 200 OK"),
            (Version::HTTP_10, 999, "HTTP/1.0 999 status code 999"),
        ] {
            let status = StatusCode::from_u16(code).unwrap();
            assert_eq!(encoded(&ResponseToSend { version, status, ..plain(&none) }), format!("{line}\r\n\r\n"));
        }
        for code in 100..1000 {
            let status = StatusCode::from_u16(code).unwrap();
            let text = encoded(&ResponseToSend { status, ..plain(&none) });
            let reason = status.canonical_reason().map_or(format!("status code {code}"), str::to_owned);
            assert_eq!(text, format!("HTTP/1.1 {code} {reason}\r\n\r\n"), "ready-made lines are no others");
        }
    }

    #[test]
    fn fields_keep_their_order_and_spelling() {
        let fields = [("x-b", "2"), ("Set-Cookie", "a=1"), ("X-A", ""), ("set-cookie", "b=2"), ("HOST", "h\u{e9}\ta")];
        assert_eq!(lines(&fields), "x-b: 2\r\nSet-Cookie: a=1\r\nX-A: \r\nset-cookie: b=2\r\nHOST: h\u{e9}\ta\r\n");
    }

    #[test]
    fn no_value_and_no_name_can_end_a_line() {
        assert_eq!(lines(&[("A", "1\r\nB: 2\r\n\r\nbody")]), "A: 1  B: 2    body\r\n");
        assert_eq!(lines(&[("A", " \t\r\n1\0\x7f2\x1f\r\n")]), "A: 1  2\r\n");
        for name in ["", "A B", "A:", "A\r\nB", "A\0", "\u{e9}", " A"] {
            assert_eq!(lines(&[(name, "1"), ("C", "3")]), "C: 3\r\n", "{name:?}");
        }
        assert_eq!(lines(&[("Trailer", "X\r\nSet-Cookie: a"), ("Connection", "Upgrade\r\nX: 1, foo\0")]), "");
    }

    #[test]
    fn framing_fields_come_from_the_codec_alone() {
        let header = header(&[
            ("content-length", "5"),
            ("Transfer-Encoding", "gzip"),
            ("Keep-Alive", "timeout=5"),
            ("Connection", "close"),
            ("X", "1"),
        ]);
        for (outgoing, field) in [
            (Outgoing::None, ""),
            (Outgoing::UntilClose, ""),
            (Outgoing::HeadUnknown, ""),
            (Outgoing::Length(0), "Content-Length: 0\r\n"),
            (Outgoing::Length(u64::MAX), "Content-Length: 18446744073709551615\r\n"),
            (Outgoing::Chunked, "Transfer-Encoding: chunked\r\n"),
        ] {
            let text = encoded(&ResponseToSend { outgoing, ..plain(&header) });
            assert_eq!(text, format!("HTTP/1.1 200 OK\r\nX: 1\r\n{field}\r\n"));
        }
    }

    #[test]
    fn connection_has_the_codecs_option_and_the_handlers_others() {
        use ConnectionField::{Close, KeepAlive, Nothing, Upgrade};
        for (own, values, expected) in [
            (Nothing, &[][..], ""),
            (Close, &[], "Connection: close\r\n"),
            (KeepAlive, &[], "Connection: keep-alive\r\n"),
            (Upgrade, &[], "Connection: Upgrade\r\n"),
            (Nothing, &["close", "Keep-Alive"], ""),
            (Nothing, &["Upgrade"], "Connection: Upgrade\r\n"),
            (Upgrade, &["upgrade, foo"], "Connection: Upgrade, foo\r\n"),
            (Close, &["keep-alive, Upgrade", ",,X-Hop"], "Connection: close, Upgrade, X-Hop\r\n"),
            (KeepAlive, &["CLOSE, a b"], "Connection: keep-alive\r\n"),
        ] {
            let fields: Vec<_> = values.iter().map(|&value| ("Connection", value)).collect();
            let text = encoded(&ResponseToSend { connection: own, ..plain(&header(&fields)) });
            assert_eq!(text, format!("HTTP/1.1 200 OK\r\n{expected}\r\n"), "{own:?} {values:?}");
        }
    }

    #[test]
    fn a_guessed_type_and_the_date_yield_to_the_handlers() {
        let guessed = |header: &Header| {
            encoded(&ResponseToSend { content_type: Some("text/a"), date: Some(Instant::now()), ..plain(header) })
        };
        let text = guessed(&Header::new());
        assert!(text.contains("\r\nContent-Type: text/a\r\nDate: ") && text.contains(" GMT\r\n\r\n"), "{text}");
        let text = guessed(&header(&[("content-type", "text/b"), ("date", "now")]));
        assert_eq!(text, "HTTP/1.1 200 OK\r\ncontent-type: text/b\r\ndate: now\r\n\r\n");
    }

    #[test]
    fn a_304_has_no_type_and_other_statuses_do() {
        let header = header(&[("Content-Type", "text/a"), ("ETag", "\"1\"")]);
        let status = StatusCode::NOT_MODIFIED;
        let text = encoded(&ResponseToSend { status, content_type: Some("text/b"), ..plain(&header) });
        assert_eq!(text, "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n");
        let text = encoded(&ResponseToSend { status, content_type: Some("text/b"), ..plain(&Header::new()) });
        assert_eq!(text, "HTTP/1.1 304 Not Modified\r\n\r\n");
    }

    #[test]
    fn names_that_may_be_no_trailer_are_not_announced() {
        assert_eq!(lines(&[("Trailer", "X-Sum, Content-Length,,Digest")]), "Trailer: X-Sum, Digest\r\n");
        assert_eq!(lines(&[("trailer", "Host")]), "");
    }

    #[test]
    fn an_informational_answer_has_its_fields_and_no_framing() {
        let mut out = Vec::new();
        let fields =
            [("Link", "</a>"), ("Content-Length", "5"), ("Connection", "close"), ("Transfer-Encoding", "chunked")];
        encode_informational(&mut out, StatusCode::from_u16(103).unwrap(), &header(&fields));
        encode_informational(&mut out, StatusCode::CONTINUE, &Header::new());
        let expected = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn a_chunk_size_is_written_in_as_few_digits_as_it_has() {
        for len in [1, 9, 10, 15, 16, 255, 256, 4096, 0xabcdef, usize::MAX] {
            let mut out = Vec::new();
            encode_chunk_head(&mut out, len);
            assert_eq!(String::from_utf8(out).unwrap(), format!("{len:x}\r\n"));
        }
    }

    #[test]
    fn what_is_written_in_chunks_is_read_back() {
        let mut out = Vec::new();
        encode_chunk_head(&mut out, 5);
        out.extend_from_slice(b"hello");
        encode_chunk_end(&mut out);
        encode_last_chunk(&mut out, &header(&[("X-Sum", "5\r\nX: 1"), ("Content-Length", "9"), ("a b", "1")]));
        assert_eq!(String::from_utf8_lossy(&out), "5\r\nhello\r\n0\r\nX-Sum: 5  X: 1\r\n\r\n");
        let mut reader = ChunkedReader::new(1024, 8);
        assert_eq!(reader.read(&out), Ok(Chunked::Data { skip: 3, len: 5 }));
        let trailer = Some(header(&[("X-Sum", "5  X: 1")]));
        assert_eq!(reader.read(&out[8..]), Ok(Chunked::End { consumed: out.len() - 8, trailer }));

        out.clear();
        encode_last_chunk(&mut out, &Header::new());
        assert_eq!(out, b"0\r\n\r\n");
    }
}
