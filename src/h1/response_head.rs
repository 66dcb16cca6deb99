//! The head of a response (RFC 9112 §4): found while it arrives, then read in one go.

use http::{StatusCode, Version};

use super::field_lines::{FieldLines, HeadLimits};
use super::framing::{Framing, IncomingResponse, RequestKind, incoming_response, speaks_of_content};
use super::head_scanner::{FieldFacts, FirstLine, HeadScanner};
use crate::error::Refusal;
use crate::message::{Known, Response, has_control};

/// Reads the heads of one connection, one after the other: informational ones as all others.
#[derive(Debug)]
pub(crate) struct ResponseParser {
    scanner: HeadScanner,
    /// The status line, once it is complete.
    line: Option<StatusLine>,
}

/// What a head says about its message, beside what went into the [`Response`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ParsedResponse {
    /// The bytes of the head.
    pub(crate) consumed: usize,
    pub(crate) framing: Framing,
    /// Whether version, `Connection` and framing allow another exchange on this connection
    /// (RFC 9112 §9.3). Of no meaning in an informational head.
    pub(crate) keep_alive: bool,
    pub(crate) switch: Switch,
}

/// Whether the connection speaks another protocol after this head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Switch {
    No,
    /// 101, to a request with an `Upgrade` (RFC 9110 §7.8).
    Upgrade,
    /// 2xx to CONNECT (RFC 9110 §9.3.6).
    Tunnel,
}

/// RFC 9112 §3 asks for 8000 bytes where a request has its target; a reason needs less.
const MAX_STATUS_LINE_BYTES: usize = 8 * 1024;

impl Default for ResponseParser {
    fn default() -> ResponseParser {
        ResponseParser { scanner: HeadScanner::new(FieldLines::lenient()), line: None }
    }
}

impl ResponseParser {
    /// Parses all unread bytes of the connection: those of the call before, and more after them.
    ///
    /// Once the head is complete, status, version, fields and length of `response` are filled and the
    /// parser is ready for the next one. `Transfer-Encoding` shows in the framing and is not among the
    /// fields.
    ///
    /// # Errors
    /// What cannot become a response, as soon as that is certain. The status is 502, for a gateway
    /// that sent the request on behalf of its own client.
    pub(crate) fn parse(
        &mut self,
        input: &[u8],
        limits: &HeadLimits,
        request: RequestKind,
        response: &mut Response,
    ) -> Result<Option<ParsedResponse>, Refusal> {
        let parsed = self.parse_head(input, limits, request, response);
        parsed.map_err(|refusal| Refusal::with(StatusCode::BAD_GATEWAY, refusal.reason))
    }

    /// Forgets a head that was begun.
    pub(crate) fn reset(&mut self) {
        self.line = None;
        self.scanner.reset();
    }

    fn parse_head(
        &mut self,
        input: &[u8],
        limits: &HeadLimits,
        request: RequestKind,
        response: &mut Response,
    ) -> Result<Option<ParsedResponse>, Refusal> {
        let Some(line) = self.find_status_line(input, limits)? else { return Ok(None) };
        let Some(section) = self.scanner.find_fields(input, limits)? else { return Ok(None) };
        let consumed = self.scanner.fields_at().unwrap_or_default() + section.len();

        let unfolded = self.scanner.unfold(section);
        let section = unfolded.as_deref().unwrap_or(section);
        let hides = |known| known == Known::TransferEncoding;
        let facts = self.scanner.read_fields(section, limits, &mut response.header, hides)?;
        let head = fill(response, line, request, &facts)?;
        self.reset();
        Ok(Some(ParsedResponse { consumed, ..head }))
    }

    /// The status line, once it is complete. A peer that speaks something else is recognised by its
    /// first bytes.
    fn find_status_line(&mut self, input: &[u8], limits: &HeadLimits) -> Result<Option<StatusLine>, Refusal> {
        if self.line.is_some() {
            return Ok(self.line);
        }
        let starts_well = input
            .first_chunk()
            .map_or_else(|| STATUS_LINE_START.starts_with(input), |start| start == STATUS_LINE_START);
        if !starts_well {
            return Err(Refusal::bad("what came does not start as an HTTP/1 response does"));
        }
        match self.scanner.find_first_line(input, MAX_STATUS_LINE_BYTES, limits) {
            // With or without a CR: see LineEnds::CrlfOrLf.
            FirstLine::Whole { line, .. } => {
                self.line = Some(StatusLine::parse(line)?);
                Ok(self.line)
            }
            FirstLine::Begun { new, .. } if has_control(new) => Err(CONTROL_IN_STATUS_LINE),
            FirstLine::Begun { is_too_long: true, .. } => Err(Refusal::bad("the status line is too long")),
            FirstLine::Begun { .. } => Ok(None),
        }
    }
}

/// Fills the response, whose header is filled already. `consumed` is left to the caller.
fn fill(
    response: &mut Response,
    line: StatusLine,
    request: RequestKind,
    facts: &FieldFacts<'_>,
) -> Result<ParsedResponse, Refusal> {
    let StatusLine { version, status } = line;
    let incoming = IncomingResponse { request, version, status };
    let (framing, length) = incoming_response(incoming, &facts.lengths, &facts.codings)?;
    let switch = switch(request, status, response)?;
    response.status = status;
    response.proto = version;
    response.content_length = if switch == Switch::No { length } else { None };
    let keep_alive = switch == Switch::No && framing != Framing::UntilClose && allows_another(line, facts);
    Ok(ParsedResponse { consumed: 0, framing, keep_alive, switch })
}

/// A switch of protocols counts only where the request asked for it: otherwise a server could choose
/// how the bytes after the head are read.
fn switch(request: RequestKind, status: StatusCode, response: &Response) -> Result<Switch, Refusal> {
    match (status, request) {
        // RFC 9110 §15.2.2: the field says what to.
        (StatusCode::SWITCHING_PROTOCOLS, RequestKind::Upgrade) if response.header.contains("Upgrade") => {
            Ok(Switch::Upgrade)
        }
        (StatusCode::SWITCHING_PROTOCOLS, RequestKind::Upgrade) => Err(Refusal::bad("101 without an Upgrade field")),
        (StatusCode::SWITCHING_PROTOCOLS, _) => Err(Refusal::bad("101 to a request without an Upgrade field")),
        (status, RequestKind::Connect) if status.is_success() => Ok(Switch::Tunnel),
        _ => Ok(Switch::No),
    }
}

/// RFC 9112 §9.3. A 204 with a length or a coding is not followed by another request: its sender may
/// believe that there is content, and that content would be read as the next response.
fn allows_another(line: StatusLine, facts: &FieldFacts<'_>) -> bool {
    let is_kept = !facts.close && (line.version == Version::HTTP_11 || facts.keep_alive);
    is_kept && !(line.status == StatusCode::NO_CONTENT && speaks_of_content(&facts.lengths, &facts.codings))
}

/// The status line taken apart: `HTTP-version SP status-code SP [ reason-phrase ]` (RFC 9112 §4). The reason is for people, and HTTP/2 has none: it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StatusLine {
    version: Version,
    status: StatusCode,
}

/// The start of every status line.
const STATUS_LINE_START: &[u8; 7] = b"HTTP/1.";

const CONTROL_IN_STATUS_LINE: Refusal = Refusal::bad("a control character in the status line");

impl StatusLine {
    /// A line without its line end.
    fn parse(line: &[u8]) -> Result<StatusLine, Refusal> {
        match StatusLine::split(line) {
            // All that stands before the reason is known then.
            Ok((line, reason)) if !has_control(reason) => Ok(line),
            Err(refusal) if !has_control(line) => Err(refusal),
            _ => Err(CONTROL_IN_STATUS_LINE),
        }
    }

    /// And the reason, with the space before it.
    fn split(line: &[u8]) -> Result<(StatusLine, &[u8]), Refusal> {
        const BAD_VERSION: Refusal = Refusal::bad("the status line is not of HTTP/1.1 or HTTP/1.0");
        const BAD_STATUS: Refusal = Refusal::bad("the status is not one of three digits from 100 on");
        let (version, rest) = match line.split_first_chunk() {
            Some((b"HTTP/1.1 ", rest)) => (Version::HTTP_11, rest),
            Some((b"HTTP/1.0 ", rest)) => (Version::HTTP_10, rest),
            _ => return Err(BAD_VERSION),
        };
        let (code, reason) = rest.split_first_chunk::<3>().ok_or(BAD_STATUS)?;
        // Without a reason some leave out the space before it too.
        if !matches!(reason, [] | [b' ', ..]) {
            return Err(BAD_STATUS);
        }
        let status = StatusCode::from_bytes(code).map_err(|_| BAD_STATUS)?;
        Ok((StatusLine { version, status }, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::super::field_lines::SCANNED;
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { max_bytes: 1 << 20, max_values: 500 };

    /// All that a head turns into, to be compared.
    fn shown(head: &ParsedResponse, response: &Response) -> String {
        let Response { status, proto, header, content_length, .. } = response;
        format!("{head:?} {status} {proto:?} {header:?} {content_length:?}")
    }

    type Parsed = Result<Option<(ParsedResponse, Response)>, Refusal>;

    /// Parses prefixes of these lengths, and the whole.
    fn parse_prefixes(
        bytes: &[u8],
        limits: &HeadLimits,
        request: RequestKind,
        cuts: impl IntoIterator<Item = usize>,
    ) -> Parsed {
        let (mut parser, mut response) = (ResponseParser::default(), Response::new(""));
        for cut in cuts.into_iter().chain([bytes.len()]) {
            if let Some(head) = parser.parse(&bytes[..cut], limits, request, &mut response)? {
                return Ok(Some((head, response)));
            }
        }
        Ok(None)
    }

    /// Parses whole, cut once at every byte, and byte by byte, and asserts that all are the same.
    fn parse_within(bytes: &[u8], limits: &HeadLimits, request: RequestKind) -> Parsed {
        let result = parse_prefixes(bytes, limits, request, []);
        let text = |parsed: &Parsed| match parsed {
            Ok(Some((head, response))) => shown(head, response),
            other => format!("{other:?}"),
        };
        for cut in 0..bytes.len() {
            let cut_once = parse_prefixes(bytes, limits, request, [cut]);
            assert_eq!(text(&cut_once), text(&result), "{:?} cut at {cut}", bytes.escape_ascii().to_string());
        }
        let dripped = parse_prefixes(bytes, limits, request, 0..bytes.len());
        assert_eq!(text(&dripped), text(&result), "{:?} dripped", bytes.escape_ascii().to_string());
        result
    }

    fn parse_as(request: RequestKind, bytes: impl AsRef<[u8]>) -> (ParsedResponse, Response) {
        parse_within(bytes.as_ref(), &LIMITS, request).unwrap().expect("the head is complete")
    }

    fn parse(bytes: impl AsRef<[u8]>) -> (ParsedResponse, Response) {
        parse_as(RequestKind::Other, bytes)
    }

    fn refused_as(request: RequestKind, bytes: impl AsRef<[u8]>) -> &'static str {
        let bytes = bytes.as_ref();
        match parse_within(bytes, &LIMITS, request) {
            Err(refusal) => {
                assert_eq!(refusal.status, StatusCode::BAD_GATEWAY);
                refusal.reason
            }
            Ok(other) => panic!("{:?} became {other:?}", bytes.escape_ascii().to_string()),
        }
    }

    fn refused(bytes: impl AsRef<[u8]>) -> &'static str {
        refused_as(RequestKind::Other, bytes)
    }

    /// A 200 of these field lines.
    fn with(lines: &str) -> String {
        format!("HTTP/1.1 200 OK\r\n{lines}\r\n\r\n")
    }

    #[test]
    fn a_head_fills_the_response() {
        let (head, response) = parse(
            "HTTP/1.1 404 Not Found\r\nX-One:1\r\nContent-Length: 5\r\nx-one: \t 2 \t\r\nTransfer-encodings: x\r\nx:\r\n\r\nhello",
        );
        assert_eq!(head.framing, Framing::Length(5));
        assert_eq!((head.consumed, head.keep_alive, head.switch), (95, true, Switch::No));
        assert_eq!((response.status, response.proto), (StatusCode::NOT_FOUND, Version::HTTP_11));
        assert_eq!(response.content_length, Some(5));
        let fields: Vec<_> = response.header.iter().collect();
        let expected: [(&str, &[u8]); 5] =
            [("X-One", b"1"), ("Content-Length", b"5"), ("x-one", b"2"), ("Transfer-encodings", b"x"), ("x", b"")];
        assert_eq!(fields, expected);
    }

    #[test]
    fn a_parser_reads_one_head_after_the_other_and_forgets_the_former() {
        let (mut parser, mut response) = (ResponseParser::default(), Response::new(""));
        let first = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
        let both = [&first[..], b"HTTP/1.0 200 OK\nA: 1\n\n"].concat();
        let head = parser.parse(&both, &LIMITS, RequestKind::Other, &mut response).unwrap().unwrap();
        assert_eq!((head.consumed, head.framing, head.switch), (first.len(), Framing::Empty, Switch::No));
        assert_eq!((response.status.as_u16(), response.header.get("Link")), (103, Some("</a>")));
        let head = parser.parse(&both[first.len()..], &LIMITS, RequestKind::Other, &mut response).unwrap().unwrap();
        assert_eq!((head.consumed, head.framing), (both.len() - first.len(), Framing::UntilClose));
        assert_eq!((response.status.as_u16(), response.proto), (200, Version::HTTP_10));
        assert_eq!(response.header.iter().collect::<Vec<_>>(), [("A", &b"1"[..])]);

        assert!(parser.parse(b"HTTP/1.1 200 OK\r\nA", &LIMITS, RequestKind::Other, &mut response).unwrap().is_none());
        parser.reset();
        assert!(
            parser.parse(b"HTTP/1.1 200 OK\r\n\r\n", &LIMITS, RequestKind::Other, &mut response).unwrap().is_some()
        );
    }

    #[test]
    fn a_status_line_has_a_version_three_digits_and_perhaps_a_reason() {
        for (line, status) in [
            (&b"HTTP/1.1 200 OK"[..], 200),
            (b"HTTP/1.0 200 OK", 200),
            (b"HTTP/1.1 200 ", 200),
            (b"HTTP/1.1 200", 200),
            (b"HTTP/1.1 200  O\tK ", 200),
            (b"HTTP/1.1 200 \xff\xfe", 200),
            (b"HTTP/1.1 204 200 OK", 204),
            (b"HTTP/1.1 100 x", 100),
            (b"HTTP/1.1 600 x", 600),
            (b"HTTP/1.1 999 x", 999),
        ] {
            let (_, response) = parse([line, b"\r\n\r\n"].concat());
            assert_eq!(response.status.as_u16(), status, "{}", line.escape_ascii());
            assert_eq!(response.proto, if line[7] == b'1' { Version::HTTP_11 } else { Version::HTTP_10 });
        }
    }

    #[test]
    fn what_is_no_status_line_is_refused() {
        for line in [
            "",
            " HTTP/1.1 200 OK",
            "\r",
            "\r\nHTTP/1.1 200 OK",
            "http/1.1 200 OK",
            "HTTP/2.0 200 OK",
            "HTTP/2 200",
            "HTTP/1.2 200 OK",
            "HTTP/1.10 200 OK",
            "HTTP/1.01 200 OK",
            "HTTP/1. 200 OK",
            "HTTP/1 200 OK",
            "HTTP/0.9 200 OK",
            "HTTP/11 200 OK",
            "HTTP 200 OK",
            "ICY 200 OK",
            "HTTPS/1.1 200 OK",
            "HTTP/1.1",
            "HTTP/1.1 ",
            "HTTP/1.1 20",
            "HTTP/1.1 20 OK",
            "HTTP/1.1 2000 OK",
            "HTTP/1.1 200OK",
            "HTTP/1.1 099 x",
            "HTTP/1.1 000 x",
            "HTTP/1.1 +20 x",
            "HTTP/1.1 -20 x",
            "HTTP/1.1 2 0 x",
            "HTTP/1.1 abc x",
            "HTTP/1.1  200 OK",
            "HTTP/1.1\t200 OK",
            "HTTP/1.1 200\tOK",
            "HTTP/1.1 0x2 x",
            "HTTP/1.1 200 O\0K",
            "HTTP/1.1 200 O\rK",
            "HTTP/1.1 200 \u{7f}",
            "HTTP/1.1 200 OK\r",
            "HTTP/1.1200 OK",
            "200 OK",
            "hello world",
            "GET / HTTP/1.1",
            "SSH-2.0-x",
            "HTTP/1.1 2\u{660}0 x",
        ] {
            refused(format!("{line}\r\nContent-Length: 0\r\n\r\n"));
        }
    }

    #[test]
    fn a_peer_that_speaks_something_else_is_found_out_without_a_line_end() {
        for bytes in [&b"\0"[..], b"\x15\x03\x01", b"S", b"HTTP/2", b"HTTP/1.1 200 \0", b"HTTP/1.1 200 OK\rx", b"h"] {
            refused(bytes);
        }
        for bytes in [&b""[..], b"H", b"HTTP/1.", b"HTTP/1.1 200 OK\r", b"HTTP/1.1 200 OK\r\nA: b\r\n\r"] {
            assert!(parse_within(bytes, &LIMITS, RequestKind::Other).unwrap().is_none());
        }
    }

    #[test]
    fn a_line_feed_alone_ends_a_line_too() {
        for text in ["HTTP/1.1 200 OK\nContent-Length: 5\nA: 1\n\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\nA: 1\r\n\n"]
        {
            let (head, response) = parse(format!("{text}hello"));
            assert_eq!((head.consumed, head.framing), (text.len(), Framing::Length(5)));
            assert_eq!(response.header.get("A"), Some("1"));
        }
        let (head, _) = parse("HTTP/1.1 204 No Content\n\n");
        assert_eq!((head.consumed, head.framing), (25, Framing::Empty));
        assert_eq!(parse("HTTP/1.1 204 x\r\n\nX: 1\r\n\r\n").0.consumed, 17, "the first empty line is the end");
    }

    #[test]
    fn a_folded_line_is_one_line_with_a_space() {
        for (lines, name, value) in [
            ("X: a\r\n b", "X", "a b"),
            ("X: a \t\r\n \t b\r\n\tc", "X", "a b c"),
            ("X:\r\n a", "X", "a"),
            ("X: a\n b", "X", "a b"),
            ("X: a\r\n \r\n b", "X", "a b"),
            ("X: a\r\n ", "X", "a"),
            ("Foo: bar\r\nX: 1\r\n\tSet-Cookie: evil=1", "X", "1 Set-Cookie: evil=1"),
        ] {
            let text = with(&format!("A: 1\r\n{lines}\r\nZ: 2"));
            let (head, response) = parse(format!("{text}HTTP"));
            assert_eq!(head.consumed, text.len());
            assert_eq!(response.header.values(name).collect::<Vec<_>>(), [value], "{lines:?}");
            assert_eq!((response.header.get("A"), response.header.get("Z")), (Some("1"), Some("2")));
            assert!(!response.header.contains("Set-Cookie"));
        }
        assert_eq!(parse(with("Content-Length:\r\n 5")).0.framing, Framing::Length(5));
        assert_eq!(parse(with("Transfer-Encoding:\r\n\tchunked")).0.framing, Framing::Chunked);
        refused(with("Content-Length: 5\r\n 6"));
        refused(with(" X: 1"));
        refused(with("X\r\n : 1"));
        refused("HTTP/1.1 200 OK\r\n X: 1\r\nContent-Length: 5\r\n\r\nhello");
    }

    #[test]
    fn field_lines_that_two_readers_could_understand_differently_are_refused() {
        for lines in [
            ": x",
            "X : 1",
            "X\t: 1",
            "X",
            "X Y: 1",
            "X: a\0b",
            "X: a\rb",
            "X: a\u{1}",
            "X: \u{7f}",
            "(X): 1",
            "\u{e9}: 1",
            "X: 1\r",
            "X: 1\r\r\nY: 1",
            "Set-Cookie: a=1\0; b=2",
            "Content-Length : 5",
            "\0: 1",
            "X\0: 1",
        ] {
            refused(with(lines));
        }
    }

    #[test]
    fn obs_text_in_a_value_is_kept() {
        let (_, response) = parse(b"HTTP/1.1 200 OK\r\nX: \xff\xfe\r\n\r\n");
        assert_eq!(response.header.get_bytes("X"), Some(&b"\xff\xfe"[..]));
    }

    #[test]
    fn a_head_within_its_limits_is_taken_and_one_byte_more_is_not() {
        let text = "HTTP/1.1 200 OK\r\nA: 1\r\nb: 2\nC: 3\r\n\r\n";
        let parse = |max_bytes, max_values| {
            parse_within(text.as_bytes(), &HeadLimits { max_bytes, max_values }, RequestKind::Other).is_ok()
        };
        assert!(parse(text.len(), 3));
        assert!(!parse(text.len() - 1, 3) && !parse(text.len(), 2) && !parse(16, 3) && !parse(0, 0));
        let trailers = with("Trailer: a, b, c");
        let limits = HeadLimits { max_values: 2, ..LIMITS };
        assert!(parse_within(trailers.as_bytes(), &limits, RequestKind::Other).is_err());

        let long = |len| format!("HTTP/1.1 200 {}\r\n\r\n", "r".repeat(len));
        let parse = |text: String| parse_prefixes(text.as_bytes(), &LIMITS, RequestKind::Other, [5000]).is_ok();
        assert!(parse(long(8000)) && !parse(long(8200)));
        assert!(!parse(format!("HTTP/1.1 {}", "r".repeat(9000))), "refused without the line's end");
    }

    #[test]
    fn a_head_that_drips_is_scanned_once() {
        let bytes = with(&format!("X: {}\r\nY: 1", "v".repeat(20_000)));
        SCANNED.with(|total| total.set(0));
        parse_prefixes(bytes.as_bytes(), &LIMITS, RequestKind::Other, 0..bytes.len()).unwrap().unwrap();
        let scanned = SCANNED.with(std::cell::Cell::get);
        // A CR at the end of what came is looked at again with its LF.
        assert!(scanned <= bytes.len() + 8, "{scanned} of {}", bytes.len());
    }

    #[test]
    fn transfer_encoding_shows_in_the_framing_only_and_the_length_stays_visible() {
        let (head, response) = parse(with("A: 1\r\ntransfer-Encoding: Chunked\r\nTrailer: x"));
        assert_eq!((head.framing, head.keep_alive, response.content_length), (Framing::Chunked, true, None));
        assert_eq!(response.header, [("A", "1"), ("Trailer", "x")].into_iter().collect());
        let (head, response) = parse_as(RequestKind::Head, with("Content-Length: 5"));
        assert_eq!((head.framing, head.keep_alive, response.content_length), (Framing::Empty, true, Some(5)));
        assert_eq!(response.header.get("Content-Length"), Some("5"));
        let (_, response) = parse_as(RequestKind::Head, with("Transfer-Encoding: chunked"));
        assert_eq!((response.content_length, response.header.is_empty()), (None, true));
    }

    #[test]
    fn version_connection_and_framing_say_whether_the_connection_is_kept() {
        for (version, lines, kept) in [
            ("1.1", "Content-Length: 0", true),
            ("1.1", "Content-Length: 0\r\nConnection: keep-alive", true),
            ("1.1", "Content-Length: 0\r\nConnection: close", false),
            ("1.1", "Content-Length: 0\r\nConnection: foo, CLOSE", false),
            ("1.1", "Content-Length: 0\r\nConnection: keep-alive\r\nconnection: x,,close ", false),
            ("1.1", "Content-Length: 0\r\nConnection: closed", true),
            ("1.1", "Content-Length: 0\r\nProxy-Connection: close", true),
            ("1.1", "Transfer-Encoding: chunked", true),
            ("1.1", "A: 1", false),
            ("1.1", "Connection: keep-alive", false),
            ("1.0", "Content-Length: 0", false),
            ("1.0", "Content-Length: 0\r\nConnection: Keep-Alive", true),
            ("1.0", "Content-Length: 0\r\nConnection: x\r\nConnection: keep-alive", true),
            ("1.0", "Content-Length: 0\r\nConnection: keep-alive, close", false),
            ("1.0", "Connection: keep-alive", false),
        ] {
            let (head, _) = parse(format!("HTTP/{version} 200 OK\r\n{lines}\r\n\r\n"));
            assert_eq!(head.keep_alive, kept, "{version} {lines:?}");
        }
    }

    #[test]
    fn a_204_that_speaks_of_content_ends_its_connection() {
        for (lines, kept) in [
            ("A: 1", true),
            ("Content-Length: 0", true),
            ("Content-Length: 00", true),
            ("Content-Length: 5", false),
            ("Transfer-Encoding: chunked", false),
        ] {
            let (head, response) = parse(format!("HTTP/1.1 204 x\r\n{lines}\r\n\r\n"));
            assert_eq!((head.framing, head.keep_alive), (Framing::Empty, kept), "{lines}");
            assert_eq!(response.content_length, Some(0));
        }
        assert!(parse("HTTP/1.1 304 x\r\nContent-Length: 5\r\n\r\n").0.keep_alive, "a 304 may");
    }

    #[test]
    fn a_connection_is_taken_over_only_after_a_switch_of_protocols() {
        let upgraded = "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n";
        let (head, response) = parse_as(RequestKind::Upgrade, format!("{upgraded}raw"));
        assert_eq!((head.consumed, head.switch, head.keep_alive), (upgraded.len(), Switch::Upgrade, false));
        assert_eq!((response.status.as_u16(), response.content_length), (101, None));
        refused_as(RequestKind::Upgrade, "HTTP/1.1 101 x\r\nConnection: Upgrade\r\n\r\n");
        for request in [RequestKind::Other, RequestKind::Head, RequestKind::Connect] {
            refused_as(request, upgraded);
        }
        assert_eq!(parse_as(RequestKind::Upgrade, with("Content-Length: 0")).0.switch, Switch::No);

        let lines = "Content-Length: x\r\nTransfer-Encoding: y";
        let (head, response) = parse_as(RequestKind::Connect, with(lines));
        assert_eq!((head.switch, head.framing, head.keep_alive), (Switch::Tunnel, Framing::Empty, false));
        assert_eq!(response.content_length, None);
        let (head, _) = parse_as(RequestKind::Connect, "HTTP/1.1 407 x\r\nContent-Length: 5\r\n\r\n");
        assert_eq!((head.switch, head.framing, head.keep_alive), (Switch::No, Framing::Length(5), true));
    }

    #[test]
    fn pragma_no_cache_stands_for_cache_control() {
        let (_, response) = parse(with("Pragma: no-cache"));
        assert_eq!(response.header.get("Cache-Control"), Some("no-cache"));
        let (_, response) = parse(with("Pragma: no-cache\r\nCache-Control: max-age=5"));
        assert_eq!(response.header.values("Cache-Control").collect::<Vec<_>>(), ["max-age=5"]);
        let (_, response) = parse(with("Pragma: x\r\nPragma: no-cache"));
        assert!(!response.header.contains("Cache-Control"));
    }
}
