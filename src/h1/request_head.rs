//! The head of a request (RFC 9112 §3): found while it arrives, then read in one go.

use http::{Method, StatusCode, Version};

use super::field_lines::{BARE_LF, HeadLimits};
use super::framing::{Framing, incoming_request};
use super::head_scanner::{FieldFacts, FirstLine, HeadScanner};
use super::host::{Port, is_host};
use super::target::{MAX_TARGET_BYTES, RequestTarget};
use crate::error::Refusal;
use crate::message::{Known, Request, has_control_or_tab, is_token};

/// Reads the heads of one connection, one after the other.
#[derive(Debug, Default)]
pub(crate) struct RequestParser {
    scanner: HeadScanner,
    last_host: LastHost,
}

/// What a head says about its message, beside what went into the [`Request`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ParsedRequest {
    /// The bytes of the head, skipped empty lines before it included.
    pub(crate) consumed: usize,
    pub(crate) framing: Framing,
    pub(crate) expect: Expectation,
    /// Whether version and `Connection` allow another request on this connection (RFC 9112 §9.3).
    pub(crate) keep_alive: bool,
    /// Whether `Connection` says that `Upgrade` is meant for this server (RFC 9110 §7.8).
    pub(crate) upgrade: bool,
}

/// What `Expect` asks for (RFC 9110 §10.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Expectation {
    #[default]
    None,
    /// The content comes after a 100.
    Continue,
    /// An expectation that this server does not know.
    Unknown,
}

/// RFC 9112 §2.2 asks for one; two are what old clients send after a body.
const MAX_EMPTY_LINE_COUNT: usize = 2;
const MAX_EMPTY_LINES_BYTES: usize = 2 * MAX_EMPTY_LINE_COUNT;

/// Room for the longest target that can be taken, beside method and version.
const MAX_REQUEST_LINE_BYTES: usize = MAX_TARGET_BYTES + 1024;

impl RequestParser {
    /// Parses all unread bytes of the connection: those of the call before, and more after them.
    ///
    /// Once the head is complete, `request` is filled and the parser is ready for the next one.
    /// What cannot become a request is refused as soon as that is certain.
    pub(crate) fn parse(
        &mut self,
        input: &[u8],
        limits: &HeadLimits,
        request: &mut Request,
    ) -> Result<Option<ParsedRequest>, Refusal> {
        let mut line = None;
        if self.scanner.fields_at().is_none() {
            let Some(text) = self.find_request_line(input, limits)? else { return Ok(None) };
            // Checked before the fields have arrived: a client that speaks another protocol may send no more
            // before it gets a response.
            line = Some(RequestLine::parse(text).map_err(|refusal| first_fault(text, refusal))?);
        }
        let Some(section) = self.scanner.find_fields(input, limits)? else { return Ok(None) };
        let line = match line {
            Some(line) => line,
            // The head came in pieces. Its line is read again: nothing borrows the input in between.
            None => RequestLine::parse(self.scanner.known_line(input))?,
        };
        let hides = |known| matches!(known, Known::Host | Known::TransferEncoding);
        let facts = self.scanner.read_fields(section, limits, &mut request.header, hides)?;
        let consumed = self.scanner.fields_at().unwrap_or_default() + section.len();
        let head = fill(request, &line, &facts, &mut self.last_host)?;
        self.reset();
        Ok(Some(ParsedRequest { consumed, ..head }))
    }

    /// Whether any byte that belongs to a request, not to a skipped empty line, was seen since
    /// the last complete head.
    pub(crate) fn has_begun(&self, input: &[u8]) -> bool {
        let mut rest = input;
        for _ in 0..MAX_EMPTY_LINE_COUNT {
            rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
        }
        !matches!(rest, [] | [b'\r'])
    }

    /// The memory, in bytes, that it keeps from one head to the next.
    pub(crate) fn held(&self) -> usize {
        self.last_host.0.capacity()
    }

    /// Forgets a head that was begun.
    pub(crate) fn reset(&mut self) {
        self.scanner.reset();
    }

    /// The request line without its line end, once it is there. Until then a byte that no request line
    /// can contain is refused at once: a peer that speaks TLS here would wait for a response for ever.
    fn find_request_line<'a>(&mut self, input: &'a [u8], limits: &HeadLimits) -> Result<Option<&'a [u8]>, Refusal> {
        self.scanner.skip_empty_lines(input, MAX_EMPTY_LINES_BYTES);
        match self.scanner.find_first_line(input, MAX_REQUEST_LINE_BYTES, limits) {
            FirstLine::Whole { line, has_cr: true } => Ok(Some(line)),
            FirstLine::Whole { line, has_cr: false } => Err(first_fault(line, BARE_LF)),
            FirstLine::Begun { new, line, .. } if has_bad_byte(new, line) => Err(BAD_BYTE),
            FirstLine::Begun { is_too_long: true, .. } => {
                Err(Refusal::with(StatusCode::URI_TOO_LONG, "the request line is too long"))
            }
            FirstLine::Begun { .. } => Ok(None),
        }
    }
}

const BAD_BYTE: Refusal = Refusal::bad("a byte that may not stand in a request line");

/// The refusal of a request line that came whole, and so was not checked byte by byte. It is the same
/// as if it had come byte by byte: how a head is cut must not change the refusal.
fn first_fault(line: &[u8], refusal: Refusal) -> Refusal {
    if has_bad_byte(line, line) { BAD_BYTE } else { refusal }
}

/// Whether one of the new bytes of a request line is not allowed there: a control character anywhere,
/// or a byte that is not ASCII before the target. The target may have such bytes.
fn has_bad_byte(new: &[u8], line: &[u8]) -> bool {
    let in_method = || {
        let end = memchr::memchr(b' ', line).unwrap_or(line.len());
        line.get(..end).is_some_and(|method| !method.is_ascii())
    };
    has_control_or_tab(new) || (!new.is_ascii() && in_method())
}

/// Fills the request, whose header is filled already. `consumed` is left to the caller.
fn fill(
    request: &mut Request,
    line: &RequestLine<'_>,
    facts: &FieldFacts<'_>,
    last_host: &mut LastHost,
) -> Result<ParsedRequest, Refusal> {
    let host = last_host.check(host_of(facts, line.version)?)?;
    let framing = incoming_request(line.version, &facts.lengths, &facts.codings)?;
    let keep_alive = !facts.close && (line.version == Version::HTTP_11 || facts.keep_alive);

    request.method = Method::from_bytes(line.method).map_err(|_| Refusal::bad("the method is no token"))?;
    request.uri = line.target.uri()?;
    put(&mut request.request_uri, line.target.text);
    put(&mut request.host, line.target.authority.unwrap_or(host));
    request.proto = line.version;
    request.close = !keep_alive;
    request.content_length = match framing {
        Framing::Empty => Some(0),
        Framing::Length(length) => Some(length),
        Framing::Chunked | Framing::UntilClose => None,
    };
    let expect = expectation_of(facts, line.version, framing);
    Ok(ParsedRequest { consumed: 0, framing, expect, keep_alive, upgrade: facts.upgrade })
}

/// Replaces the text and keeps its memory: a connection's requests need none of their own.
fn put(text: &mut String, new: &str) {
    text.clear();
    text.push_str(new);
}

/// The host of the head before: that of the next one is nearly always the same, and then it is not
/// looked at again.
#[derive(Debug, Default)]
struct LastHost(String);

impl LastHost {
    /// The value of `Host` as text, if it is a host. It may be empty.
    fn check(&mut self, host: &[u8]) -> Result<&str, Refusal> {
        if host != self.0.as_bytes() {
            let valid = host.is_empty() || is_host(host, Port::Optional);
            let text = std::str::from_utf8(host).ok().filter(|_| valid);
            put(&mut self.0, text.ok_or(Refusal::bad("the Host field is no host"))?);
        }
        Ok(&self.0)
    }
}

/// RFC 9112 §3.2: one `Host` in HTTP/1.1, whatever the target is.
fn host_of<'a>(facts: &FieldFacts<'a>, version: Version) -> Result<&'a [u8], Refusal> {
    match facts.hosts.only() {
        Some(host) => Ok(host),
        None if facts.hosts.is_empty() && version == Version::HTTP_10 => Ok(b""),
        None if facts.hosts.is_empty() => Err(Refusal::bad("no Host field")),
        None => Err(Refusal::bad("two Host fields")),
    }
}

/// RFC 9110 §10.1.1: HTTP/1.0 knows no 100, and without content there is nothing to wait for.
fn expectation_of(facts: &FieldFacts<'_>, version: Version, framing: Framing) -> Expectation {
    match (facts.expects_else, facts.expects_continue) {
        (true, _) => Expectation::Unknown,
        (false, true) if version == Version::HTTP_11 && framing != Framing::Empty => Expectation::Continue,
        _ => Expectation::None,
    }
}

/// The request line taken apart: `method SP request-target SP HTTP-version`, and nothing else.
#[derive(Clone, Copy, Debug)]
struct RequestLine<'a> {
    method: &'a [u8],
    target: RequestTarget<'a>,
    version: Version,
}

impl<'a> RequestLine<'a> {
    /// A line without its line end. One that is taken has no control character.
    ///
    /// Single spaces only: a target that was sent with a space in it must not be repaired
    /// (RFC 9112 §3.2), nor must two readers find two targets in four words.
    fn parse(line: &'a [u8]) -> Result<RequestLine<'a>, Refusal> {
        const BAD: Refusal = Refusal::bad("the request line is not method, target and version");
        let (method, rest) = split_at_space(line).ok_or(BAD)?;
        let (target, version) = match rest.split_last_chunk() {
            // Nearly all lines end so, and then the target needs just one look.
            Some((target, b" HTTP/1.1")) if !target.contains(&b' ') => (target, &b"HTTP/1.1"[..]),
            _ => split_at_space(rest).ok_or(BAD)?,
        };
        if !is_token(method) {
            return Err(Refusal::bad("the method is no token"));
        }
        // Before the target: `PRI * HTTP/2.0` is of another version, not of a wrong form.
        let version = parse_version(version)?;
        Ok(RequestLine { method, target: RequestTarget::parse(method, target)?, version })
    }
}

fn split_at_space(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (word, rest) = text.split_at_checked(text.iter().position(|&b| b == b' ')?)?;
    Some((word, rest.strip_prefix(b" ")?))
}

/// RFC 9112 §2.3: the name is case-sensitive, and there is one digit on each side of the dot.
fn parse_version(text: &[u8]) -> Result<Version, Refusal> {
    match text {
        b"HTTP/1.1" => Ok(Version::HTTP_11),
        b"HTTP/1.0" => Ok(Version::HTTP_10),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            Err(Refusal::with(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "unsupported protocol version"))
        }
        _ => Err(Refusal::bad("the protocol version is malformed")),
    }
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::super::field_lines::SCANNED;
    use super::*;
    use crate::message::Body;

    const LIMITS: HeadLimits = HeadLimits { max_bytes: 1 << 20, max_values: 500 };

    fn blank() -> Request {
        Request::new(Method::GET, Uri::from_static("/"), Body::empty())
    }

    /// All that a head turns into, to be compared.
    fn shown(head: &ParsedRequest, request: &Request) -> String {
        let Request { method, uri, request_uri, proto, header, host, content_length, close, .. } = request;
        format!("{head:?} {method} {uri} {request_uri} {proto:?} {header:?} {host} {content_length:?} {close}")
    }

    type Parsed = Result<Option<(ParsedRequest, Request)>, Refusal>;

    /// Parses prefixes of these lengths, and the whole.
    fn parse_prefixes(bytes: &[u8], limits: &HeadLimits, cuts: impl IntoIterator<Item = usize>) -> Parsed {
        let (mut parser, mut request) = (RequestParser::default(), blank());
        for cut in cuts.into_iter().chain([bytes.len()]) {
            if let Some(head) = parser.parse(&bytes[..cut], limits, &mut request)? {
                return Ok(Some((head, request)));
            }
        }
        Ok(None)
    }

    /// Parses whole, cut once at every byte, and byte by byte, and asserts that all are the same.
    fn parse_within(bytes: &[u8], limits: &HeadLimits) -> Parsed {
        let result = parse_prefixes(bytes, limits, []);
        let text = |parsed: &Parsed| match parsed {
            Ok(Some((head, request))) => shown(head, request),
            other => format!("{other:?}"),
        };
        for cut in 0..bytes.len() {
            let cut_once = parse_prefixes(bytes, limits, [cut]);
            assert_eq!(text(&cut_once), text(&result), "{:?} cut at {cut}", bytes.escape_ascii().to_string());
        }
        let dripped = parse_prefixes(bytes, limits, 0..bytes.len());
        assert_eq!(text(&dripped), text(&result), "{:?} dripped", bytes.escape_ascii().to_string());
        result
    }

    fn parse(bytes: impl AsRef<[u8]>) -> (ParsedRequest, Request) {
        parse_within(bytes.as_ref(), &LIMITS).unwrap().expect("the head is complete")
    }

    fn refused(bytes: impl AsRef<[u8]>) -> u16 {
        let bytes = bytes.as_ref();
        match parse_within(bytes, &LIMITS) {
            Err(refusal) => refusal.status.as_u16(),
            Ok(other) => panic!("{:?} became {other:?}", bytes.escape_ascii().to_string()),
        }
    }

    /// A request of these field lines, beside `Host`.
    fn with(lines: &str) -> String {
        format!("POST / HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n\r\n")
    }

    #[test]
    fn a_head_fills_the_request() {
        let (head, request) = parse(
            "PUT /p/a?q=%zz HTTP/1.1\r\nHOST: a.test:80\r\nX-One:1\r\nx-one: \t 2 \t\r\nContent-Length: 5\r\nx:\r\n\r\nhello",
        );
        assert_eq!((head.consumed, head.framing, head.keep_alive), (90, Framing::Length(5), true));
        assert_eq!((request.method.as_str(), request.request_uri.as_str()), ("PUT", "/p/a?q=%zz"));
        assert_eq!((request.uri.path(), request.uri.query()), ("/p/a", Some("q=%zz")));
        assert_eq!((request.host.as_str(), request.content_length, request.close), ("a.test:80", Some(5), false));
        let fields: Vec<_> = request.header.iter().collect();
        assert_eq!(fields, [("X-One", &b"1"[..]), ("x-one", b"2"), ("Content-Length", b"5"), ("x", b"")]);
    }

    #[test]
    fn a_parser_reads_one_head_after_the_other() {
        let (mut parser, mut request) = (RequestParser::default(), blank());
        let first = b"POST /one HTTP/1.1\r\nHost: a\r\nA: 1\r\nConnection: close\r\n\r\n";
        let both = [&first[..], b"\r\nGET / HTTP/1.1\r\nHost: b\r\n\r\n"].concat();
        let head = parser.parse(&both, &LIMITS, &mut request).unwrap().unwrap();
        assert_eq!((head.consumed, request.close), (first.len(), true));
        let head = parser.parse(&both[first.len()..], &LIMITS, &mut request).unwrap().unwrap();
        assert_eq!(head.consumed, both.len() - first.len());
        assert_eq!((request.uri.path(), request.host.as_str(), request.request_uri.as_str()), ("/", "b", "/"));
        assert!(request.header.is_empty() && !request.close, "nothing of the first request is left");
    }

    #[test]
    fn a_target_has_the_form_that_its_method_allows() {
        for (line, host) in [
            ("GET /", "h"),
            ("GET //evil.test/x", "h"),
            ("GET /a;b=1/%20%7E?%zz&", "h"),
            ("get /!$&'()*+,-./:;=@_~[]", "h"),
            ("!#$%&'*+-.^_`|~09aZ /", "h"),
            ("OPTIONS *", "h"),
            ("OPTIONS /", "h"),
            ("GET http://b.test/x?y=1", "b.test"),
            ("GET HTTP://B.TEST:80/x", "B.TEST:80"),
            ("GET https://[::1]", "[::1]"),
            ("GET http://b.test?x", "b.test"),
            ("GET http://b.test:/", "b.test:"),
            ("CONNECT b.test:443", "b.test:443"),
            ("CONNECT [::1]:443", "[::1]:443"),
        ] {
            let (_, request) = parse(format!("{line} HTTP/1.1\r\nHost: h\r\n\r\n"));
            let (method, target) = line.split_once(' ').unwrap();
            assert_eq!((request.method.as_str(), request.request_uri.as_str()), (method, target));
            assert_eq!(request.host, host, "{line}");
        }
    }

    #[test]
    fn a_request_line_is_three_words_and_a_target_of_its_method() {
        for (line, status) in [
            ("", 400),
            ("GET", 400),
            ("GET /", 400),
            (" / HTTP/1.1", 400),
            ("GET  HTTP/1.1", 400),
            ("GET  / HTTP/1.1", 400),
            ("GET /  HTTP/1.1", 400),
            ("GET / HTTP/1.1 ", 400),
            ("GET /a b HTTP/1.1", 400),
            ("GET /a HTTP/1.1 HTTP/1.1", 400),
            (" GET / HTTP/1.1", 400),
            ("GE(T / HTTP/1.1", 400),
            ("GET / http/1.1", 400),
            ("GET / HTTP/1.10", 400),
            ("GET / HTTP/01.1", 400),
            ("GET / HTTP/1.", 400),
            ("GET / HTTP/1,1", 400),
            ("GET / HTTP/+1.1", 400),
            ("GET / HTTPS/1.1", 400),
            ("GET / HTTP/1.2", 505),
            ("GET / HTTP/0.9", 505),
            ("GET / HTTP/2.0", 505),
            ("PRI * HTTP/2.0", 505),
            ("GET * HTTP/1.1", 400),
            ("PRI * HTTP/1.1", 400),
            ("OPTIONS *x HTTP/1.1", 400),
            ("GET a.test:80 HTTP/1.1", 400),
            ("GET foo HTTP/1.1", 400),
            ("GET ?q HTTP/1.1", 400),
            ("GET /x#y HTTP/1.1", 400),
            ("GET /%zz HTTP/1.1", 400),
            ("GET /% HTTP/1.1", 400),
            ("GET /%2 HTTP/1.1", 400),
            ("GET http://a/%zz HTTP/1.1", 400),
            ("GET http:///x HTTP/1.1", 400),
            ("GET http:// HTTP/1.1", 400),
            ("GET http:/a.test/ HTTP/1.1", 400),
            ("GET ftp://a.test/ HTTP/1.1", 400),
            ("GET http://u@a.test/ HTTP/1.1", 400),
            ("GET http://[::1/x HTTP/1.1", 400),
            ("GET http://a.test:80abc/ HTTP/1.1", 400),
            ("CONNECT b.test HTTP/1.1", 400),
            ("CONNECT b.test: HTTP/1.1", 400),
            ("CONNECT b.test:0 HTTP/1.1", 400),
            ("CONNECT /x HTTP/1.1", 400),
            ("CONNECT http://b.test:80/ HTTP/1.1", 400),
            ("CONNECT u@b.test:80 HTTP/1.1", 400),
            ("connect b.test:80 HTTP/1.1", 400),
        ] {
            assert_eq!(refused(format!("{line}\r\nHost: h\r\n\r\n")), status, "{line}");
        }
    }

    #[test]
    fn what_cannot_become_a_request_is_refused_before_its_end() {
        let hello: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
        for bytes in [
            hello,
            b"\0",
            b"\xef\xbb\xbfGET",
            b"\n",
            b"\rG",
            b"\r\r",
            b"GET /\n",
            b"GET\t",
            b"GET / HTTP/1.1\r\r",
            b"BAD\r\n",
            b"GET / HTTP/1.1\r\nX: 1\n",
            b"GET / HTTP/1.1\r\nX: \rY",
            b"GET / HTTP/1.1\r\nX: \0",
            b"GET / HTTP/1.1\r\n\n",
            b"GET / HTTP/1.1\r\nX: 1\r\n\r ",
        ] {
            assert_eq!(refused(bytes), 400, "{:?}", bytes.escape_ascii().to_string());
        }
        assert_eq!(refused("GET / HTTP/3.0\r\n"), 505);
    }

    #[test]
    fn a_field_line_is_a_token_a_colon_and_a_value_without_controls() {
        for lines in [
            "X : 1",
            "X\t: 1",
            " X: 1",
            "\tX: 1",
            "X",
            ": 1",
            "X: a\r\n b",
            "X: a\r\n \r\nY: 1",
            "X(Y): 1",
            "[X]: 1",
            "X\u{e9}: 1",
            "GET /2 HTTP/1.1",
            "X: \u{1}",
            "X: \u{7f}",
            "X: \u{b}",
            "X: a\rb",
            "X: a\nY: b",
            "X: a\0b",
            "X\0: a",
            "\rX: 1",
        ] {
            assert_eq!(refused(with(lines)), 400, "{lines:?}");
        }
        let good = b"GET / HTTP/1.1\r\nHost: h\r\n!#$%&'*+-.^_`|~9z: \t\xff\x80a\tb: \x85\"\t \r\n\r\n";
        let (_, request) = parse(good);
        assert_eq!(request.header.get_bytes("!#$%&'*+-.^_`|~9z"), Some(&b"\xff\x80a\tb: \x85\""[..]));
    }

    #[test]
    fn host_stands_once_in_http_1_1_and_may_be_missing_before() {
        for (version, lines, status) in [
            ("1.1", "Host: a.test\r\n", Ok("a.test")),
            ("1.1", "X: 1\r\nhOST:\r\n", Ok("")),
            ("1.1", "Host: \t \r\n", Ok("")),
            ("1.0", "", Ok("")),
            ("1.0", "Host: a.test\r\n", Ok("a.test")),
            ("1.1", "", Err(400)),
            ("1.1", "X-Host: a\r\n", Err(400)),
            ("1.1", "Host: a\r\nHost: a\r\n", Err(400)),
            ("1.0", "Host: a\r\nhost: b\r\n", Err(400)),
            ("1.1", "Host: a, b\r\n", Err(400)),
            ("1.1", "Host: a/b\r\n", Err(400)),
            ("1.0", "Host: a b\r\n", Err(400)),
        ] {
            let bytes = format!("GET / HTTP/{version}\r\n{lines}\r\n");
            match status {
                Ok(host) => assert_eq!(parse(bytes).1.host, host),
                Err(status) => assert_eq!(refused(bytes), status, "{version} {lines:?}"),
            }
        }
        assert_eq!(refused("CONNECT b.test:443 HTTP/1.1\r\n\r\n"), 400, "CONNECT has a Host too");
        assert_eq!(refused("GET http://b.test/ HTTP/1.1\r\n\r\n"), 400, "and so has a URI");
        assert_eq!(refused("GET http://b.test/ HTTP/1.1\r\nHost: <\r\n\r\n"), 400);
    }

    #[test]
    fn two_empty_lines_before_a_request_are_skipped() {
        for (lines, skipped) in [("", 0), ("\r\n", 2), ("\r\n\r\n", 4)] {
            let bytes = format!("{lines}GET / HTTP/1.1\r\nHost: h\r\n\r\n");
            assert_eq!(parse(&bytes).0.consumed, bytes.len(), "{skipped} bytes are part of the head");
            let parser = RequestParser::default();
            assert!(!parser.has_begun(lines.as_bytes()) && parser.has_begun(format!("{lines}G").as_bytes()));
            assert!(!parser.has_begun(format!("{lines}\r").as_bytes()));
        }
        assert_eq!(refused("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), 400);
        assert!(RequestParser::default().has_begun(b"\r\n\r\n\r\n"));
    }

    #[test]
    fn a_head_that_was_forgotten_leaves_nothing() {
        let (mut parser, mut request) = (RequestParser::default(), blank());
        assert_eq!(parser.parse(b"\r\nGET / HTTP/1.1\r\nHost: a\r\nX: 1", &LIMITS, &mut request), Ok(None));
        parser.reset();
        let bytes = b"GET / HTTP/1.0\r\n\r\n";
        assert_eq!(parser.parse(bytes, &LIMITS, &mut request).unwrap().unwrap().consumed, bytes.len());
    }

    #[test]
    fn close_wins_over_keep_alive_on_all_lines() {
        for (version, lines, keep_alive) in [
            ("1.1", "", true),
            ("1.1", "Connection:\r\n", true),
            ("1.1", "Connection: CLOSE\r\n", false),
            ("1.1", "Connection: ,,close\r\n", false),
            ("1.1", "Connection: foo\r\nConnection: close\r\n", false),
            ("1.1", "Connection: close\r\nConnection: keep-alive\r\n", false),
            ("1.1", "Connection: \"close\"\r\n", true),
            ("1.1", "Connection: closed, xclose\r\n", true),
            ("1.1", "Proxy-Connection: close\r\n", true),
            ("1.0", "", false),
            ("1.0", "Connection: Keep-Alive\r\n", true),
            ("1.0", "Connection: Keep-Alive\r\nConnection: close\r\n", false),
        ] {
            let (head, request) = parse(format!("GET / HTTP/{version}\r\nHost: h\r\n{lines}\r\n"));
            assert_eq!((head.keep_alive, request.close), (keep_alive, !keep_alive), "{version} {lines:?}");
        }
    }

    #[test]
    fn an_expectation_is_a_100_or_cannot_be_met() {
        for (version, lines, expect) in [
            ("1.1", "Content-Length: 5\r\n", Expectation::None),
            ("1.1", "Content-Length: 5\r\nExpect: 100-Continue\r\n", Expectation::Continue),
            ("1.1", "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", Expectation::Continue),
            ("1.1", "Content-Length: 5\r\nExpect: 100-continue\r\nExpect: 100-continue\r\n", Expectation::Continue),
            ("1.1", "Content-Length: 0\r\nExpect: 100-continue\r\n", Expectation::None),
            ("1.1", "Expect: 100-continue\r\n", Expectation::None),
            ("1.0", "Content-Length: 5\r\nExpect: 100-continue\r\n", Expectation::None),
            ("1.1", "Content-Length: 5\r\nExpect:\r\n", Expectation::None),
            ("1.1", "Content-Length: 5\r\nExpect: teapot\r\n", Expectation::Unknown),
            ("1.1", "Expect: teapot\r\n", Expectation::Unknown),
            ("1.1", "Content-Length: 5\r\nExpect: 100-continue, teapot\r\n", Expectation::Unknown),
        ] {
            let (head, _) = parse(format!("POST / HTTP/{version}\r\nHost: h\r\n{lines}\r\n"));
            assert_eq!(head.expect, expect, "{version} {lines:?}");
        }
    }

    #[test]
    fn the_handler_sees_the_framing_as_a_length() {
        for (lines, framing, length) in [
            ("X: 1", Framing::Empty, Some(0)),
            ("Content-Length: 7", Framing::Length(7), Some(7)),
            ("Transfer-Encoding: chunked", Framing::Chunked, None),
        ] {
            let (head, request) = parse(with(lines));
            assert_eq!((head.framing, request.content_length), (framing, length));
            assert!(!request.header.contains("Transfer-Encoding") && !request.header.contains("Host"));
        }
        assert_eq!(refused(with("Content-Length: 5\r\nTransfer-Encoding: chunked")), 400);
        assert_eq!(refused(with("Transfer-Encoding: gzip")), 501);
        assert_eq!(refused(with("Transfer-Encoding:chunked\r\nTransfer-encoding: cow")), 501);
    }

    #[test]
    fn pragma_no_cache_stands_for_cache_control() {
        for (lines, cache_control) in [
            ("Pragma: no-cache", Some("no-cache")),
            ("Pragma: no-cache\r\nCache-Control: max-age=0", Some("max-age=0")),
            ("Pragma: x\r\nPragma: no-cache", None),
        ] {
            assert_eq!(parse(with(lines)).1.header.get("Cache-Control"), cache_control, "{lines:?}");
        }
    }

    #[test]
    fn a_head_may_be_as_large_as_its_limit_and_no_larger() {
        let head = "GET / HTTP/1.1\r\nHost: h\r\nX: 1\r\n\r\n";
        let limits = |max_bytes| HeadLimits { max_bytes, max_values: 500 };
        assert!(parse_within(head.as_bytes(), &limits(head.len())).unwrap().is_some());
        for (max_bytes, status) in [(head.len() - 1, 431), (26, 431), (16, 431), (15, 414), (3, 414), (0, 414)] {
            let refusal = parse_within(head.as_bytes(), &limits(max_bytes)).unwrap_err();
            assert_eq!(refusal.status.as_u16(), status, "{max_bytes}");
            let begun = &head.as_bytes()[..max_bytes];
            assert_eq!(parse_prefixes(begun, &limits(max_bytes), []).unwrap_err(), refusal, "before it is complete");
        }
    }

    #[test]
    fn a_target_may_be_as_long_as_a_uri_and_no_longer() {
        let request = |len: usize| format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(len - 1));
        for (bytes, status) in
            [(request(65_534), Ok(65_534)), (request(65_535), Err(414)), (request(900_000), Err(414))]
        {
            let cuts = (0..bytes.len()).step_by(997);
            for result in
                [parse_prefixes(bytes.as_bytes(), &LIMITS, []), parse_prefixes(bytes.as_bytes(), &LIMITS, cuts)]
            {
                let seen =
                    result.map(|head| head.unwrap().1.request_uri.len()).map_err(|refusal| refusal.status.as_u16());
                assert_eq!(seen, status);
            }
        }
        let begun = "GET /".to_owned() + &"a".repeat(70_000);
        assert_eq!(parse_prefixes(begun.as_bytes(), &LIMITS, []).unwrap_err().status, StatusCode::URI_TOO_LONG);
    }

    #[test]
    fn values_are_counted_one_a_line_and_one_a_trailer_name() {
        let limits = HeadLimits { max_bytes: 1 << 20, max_values: 4 };
        for (lines, fits) in [
            ("A: 1\r\nB: 2\r\nC: 3", true),
            ("A: 1\r\nB: 2\r\nC: 3\r\nD: 4", false),
            ("A: 1, 2, 3, 4, 5", true),
            ("Trailer: A, B, C", true),
            ("Trailer: A, B, C, D", false),
            ("Trailer: A, B\r\nX: 1\r\nTrailer: C", false),
        ] {
            let result = parse_within(with(lines).as_bytes(), &limits);
            assert_eq!(
                result.map_or_else(|refusal| refusal.status.as_u16(), |_| 200),
                if fits { 200 } else { 431 },
                "{lines}"
            );
        }
        let endless = with(&"A: 1\r\n".repeat(5));
        let begun = endless.trim_end();
        assert_eq!(parse_within(begun.as_bytes(), &limits).unwrap_err().status.as_u16(), 431, "before the head's end");
    }

    #[test]
    fn a_host_is_looked_at_whatever_the_head_before_had() {
        let mut parser = RequestParser::default();
        for (host, valid) in
            [("a.test", true), ("a.test", true), ("a\\test", false), ("a\\test", false), ("b:80", true), ("", true)]
        {
            let bytes = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            let mut request = blank();
            let parsed = parser.parse(bytes.as_bytes(), &LIMITS, &mut request);
            assert_eq!(parsed.is_ok(), valid, "{host}");
            if valid {
                assert_eq!(request.host, host);
            }
            parser.reset();
        }
    }

    #[test]
    fn characters_that_no_uri_has_are_taken_raw_in_path_and_query_and_escaped_in_the_uri() {
        for (raw, escaped) in [
            ("\"", "%22"),
            ("<", "%3C"),
            (">", "%3E"),
            ("{", "%7B"),
            ("}", "%7D"),
            ("|", "%7C"),
            ("^", "%5E"),
            ("`", "%60"),
            ("{\"a\":[1]}", "%7B%22a%22:[1]%7D"),
            ("\u{e9}", "%C3%A9"),
            ("\u{65e5}\u{672c}", "%E6%97%A5%E6%9C%AC"),
        ] {
            for (before, after) in [("/", ""), ("/a/", "/b"), ("/?", ""), ("/a?b=", "&c"), ("http://b.test/", "?")] {
                let target = format!("{before}{raw}{after}");
                let (_, request) = parse(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
                assert_eq!(request.request_uri, target);
                assert_eq!(request.uri.to_string(), format!("{before}{escaped}{after}"));
            }
        }
        // What is escaped already stays as it is, beside what is not.
        let (_, request) = parse("GET /%7b{?%zz|%41 HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(request.uri, "/%7b%7B?%zz%7C%41");
        for target in ["/a b", "/#", "/a#{", "/{%", "/\t", "/\u{7f}", "{", "\u{e9}", "/?a b"] {
            refused(format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
        }
        for bytes in [&b"\xff"[..], b"\xc3", b"\xed\xa0\x80"] {
            refused([b"GET /", bytes, b" HTTP/1.1\r\nHost: h\r\n\r\n"].concat());
        }
    }

    #[test]
    fn what_stands_in_no_request_line_is_told_first_wherever_it_stands() {
        for line in [
            "G\0T / HTTP/1.1",
            "GET /\u{e9}\x01 HTTP/1.1",
            "GET / HTTP/1.\t",
            "GET\t/ HTTP/1.1",
            "GET / HTTP/1.1 \x7f\n",
        ] {
            let refusal = parse_within(format!("{line}\r\nHost: a.test\r\n\r\n").as_bytes(), &LIMITS).unwrap_err();
            assert_eq!(refusal.reason, BAD_BYTE.reason, "{line:?}");
        }
    }

    #[test]
    fn a_head_that_drips_is_scanned_once() {
        let lines = "X-Field: a value of some length\r\n".repeat(400) + "X: " + &"y".repeat(50_000);
        let bytes = with(&lines);
        assert!(bytes.len() > 60_000);
        SCANNED.set(0);
        assert!(parse_prefixes(bytes.as_bytes(), &LIMITS, 0..bytes.len()).unwrap().is_some());
        assert!(SCANNED.get() < bytes.len() * 11 / 10, "{} bytes scanned of {}", SCANNED.get(), bytes.len());

        let begun = format!("GET /{}", "y".repeat(60_000));
        SCANNED.set(0);
        assert!(parse_prefixes(begun.as_bytes(), &LIMITS, 0..begun.len()).unwrap().is_none());
        assert!(SCANNED.get() < begun.len() * 11 / 10, "{} bytes scanned of {}", SCANNED.get(), begun.len());
    }
}
