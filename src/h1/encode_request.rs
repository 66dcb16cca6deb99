//! The head of a request as it is sent, and what is refused before a byte of it is.
//!
//! What a caller puts into a URL, a host or a field may come from an attacker. Two guards stand here:
//! the check refuses what would not arrive as it was meant, and the encoder, which cannot fail, lets
//! no value end a line or say how long the content is.

use http::uri::Authority;
use http::{Method, Uri};

use super::encode::{ConnectionField, append_connection, append_field, append_framing, append_trailer_names};
use super::field_lines::may_be_trailer;
use super::framing::Outgoing;
use super::host::{Port, is_host};
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Header, Known, has_control};

/// The head of a request.
#[derive(Debug)]
pub(crate) struct RequestToSend<'a> {
    pub(crate) method: &'a Method,
    pub(crate) target: SentTarget<'a>,
    /// The value of `Host`, in place of one in the header.
    pub(crate) host: &'a str,
    /// The caller's fields.
    pub(crate) header: &'a Header,
    /// The fields that will follow the content, to be announced; of no effect unless it is sent in
    /// chunks.
    pub(crate) trailer: &'a Header,
    pub(crate) outgoing: Outgoing,
    pub(crate) connection: ConnectionField,
    /// For a header without `Accept-Encoding`.
    pub(crate) accept_encoding: Option<&'a OwnField>,
    /// For a header without `User-Agent`. An empty one there sends none.
    pub(crate) user_agent: &'a OwnField,
    pub(crate) proxy_authorization: ProxyAuthorization<'a>,
}

/// What becomes of `Proxy-Authorization`, which is for the next proxy alone (RFC 9110 §11.7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProxyAuthorization<'a> {
    /// The reader is no proxy: the caller's is left out.
    Dropped,
    /// The caller's goes with the others of its fields.
    Callers,
    /// This one, in place of the caller's.
    Own(&'a str),
}

/// A field that goes with many requests: encoded once, and not for each of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnField {
    value: String,
    line: Vec<u8>,
}

impl OwnField {
    /// An empty value is not sent at all.
    pub(crate) fn new(name: &str, value: &str) -> OwnField {
        let mut line = Vec::new();
        if !value.is_empty() {
            append_field(&mut line, name.as_bytes(), value.as_bytes());
        }
        OwnField { value: value.to_owned(), line }
    }

    #[cfg(test)]
    pub(crate) const fn none() -> OwnField {
        OwnField { value: String::new(), line: Vec::new() }
    }

    /// As it was given.
    #[allow(dead_code, reason = "HTTP/1.1 has lines, and HTTP/2 is not always there")]
    pub(crate) fn value(&self) -> &str {
        &self.value
    }
}

/// The target of a request line (RFC 9112 §3.2). User and password of a URL never go with it, and a
/// `Uri` has no fragment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SentTarget<'a> {
    /// Path and query, `/` where there is no path, and `*` for that.
    Origin(&'a Uri),
    /// The whole URL, for a proxy.
    Absolute(&'a Uri),
    /// Host and port, for CONNECT.
    Authority(&'a str),
}

/// Checks that a request can be sent as it is meant, before any of it is sent.
///
/// # Errors
/// [`ErrorKind::Invalid`], which names what is wrong, and repeats no value: it may be a secret.
pub(crate) fn check_request(
    method: &Method,
    target: SentTarget<'_>,
    host: &str,
    header: &Header,
    trailer: &Header,
) -> Result<()> {
    check_target(method, target)?;
    if !is_host(host.as_bytes(), Port::Optional) {
        return Err(invalid(if host.is_empty() { "the request has no host" } else { "the host is no host" }));
    }
    check_fields(header, "header")?;
    check_fields(trailer, "trailer")?;
    match trailer.iter().find(|(name, _)| !may_be_trailer(name)) {
        Some((name, _)) => Err(invalid(format!("the field {name} may not stand in a trailer"))),
        None => Ok(()),
    }
}

/// Appends request line, fields and the empty line. `Host` comes first, as RFC 9110 §7.2 asks.
pub(crate) fn encode_request_head(out: &mut Vec<u8>, head: &RequestToSend<'_>) {
    out.extend_from_slice(head.method.as_str().as_bytes());
    out.push(b' ');
    append_target(out, head.target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    append_field(out, b"Host", head.host.as_bytes());
    if !head.header.contains("User-Agent") {
        out.extend_from_slice(&head.user_agent.line);
    }
    let seen = append_fields(out, head);
    if let Some(codings) = head.accept_encoding.filter(|_| !seen.accept_encoding) {
        out.extend_from_slice(&codings.line);
    }
    if let ProxyAuthorization::Own(authorization) = head.proxy_authorization {
        append_field(out, b"Proxy-Authorization", authorization.as_bytes());
    }
    append_framing(out, head.outgoing);
    if head.outgoing == Outgoing::Chunked {
        append_announcement(out, head.header, head.trailer);
    }
    append_connection(out, head.connection, seen.connection.then_some(head.header));
    out.extend_from_slice(b"\r\n");
}

/// A `Method` is a token, and a `Uri` has no blank and no control character, by their types.
fn check_target(method: &Method, target: SentTarget<'_>) -> Result<()> {
    const CONNECT: &str = "host and port are the target of CONNECT, and it has no other";
    match (target, method == Method::CONNECT) {
        (SentTarget::Authority(authority), true) if is_host(authority.as_bytes(), Port::Required) => Ok(()),
        (SentTarget::Authority(_), _) | (_, true) => Err(invalid(CONNECT)),
        (SentTarget::Absolute(uri), false) if !has_host(uri) => Err(invalid("the URL has no valid host")),
        (SentTarget::Origin(uri), false) if uri.path() == "*" && method != Method::OPTIONS => {
            Err(invalid("the target * is for OPTIONS only"))
        }
        _ => Ok(()),
    }
}

fn has_host(uri: &Uri) -> bool {
    uri.authority().is_some_and(|authority| is_host(without_userinfo(authority).as_bytes(), Port::Optional))
}

/// One pass, without an allocation if all is well.
fn check_fields(header: &Header, section: &str) -> Result<()> {
    for (known, name, value) in header.iter_known() {
        let name = || String::from_utf8_lossy(name).escape_debug().to_string();
        if known == Known::NotAToken {
            return Err(invalid(format!("the {section} has a name that is none: \"{}\"", name())));
        }
        if has_control(value) {
            return Err(invalid(format!("a control character in the value of the {section} field {}", name())));
        }
    }
    Ok(())
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

fn append_target(out: &mut Vec<u8>, target: SentTarget<'_>) {
    let uri = match target {
        SentTarget::Authority(authority) => return append_escaped(out, authority),
        SentTarget::Absolute(uri) => {
            out.extend_from_slice(uri.scheme_str().unwrap_or("http").as_bytes());
            out.extend_from_slice(b"://");
            append_escaped(out, uri.authority().map_or("", without_userinfo));
            uri
        }
        SentTarget::Origin(uri) => uri,
    };
    append_escaped(out, if uri.path().is_empty() { "/" } else { uri.path() });
    if let Some(query) = uri.query() {
        out.push(b'?');
        append_escaped(out, query);
    }
}

fn without_userinfo(authority: &Authority) -> &str {
    authority.as_str().rsplit_once('@').map_or(authority.as_str(), |(_, host)| host)
}

/// Visible ASCII as it is; each other byte in the form that a URL has for it (RFC 3986 §2.1).
fn append_escaped(out: &mut Vec<u8>, text: &str) {
    if text.bytes().all(|b| b.is_ascii_graphic()) {
        return out.extend_from_slice(text.as_bytes());
    }
    for &b in text.as_bytes() {
        if b.is_ascii_graphic() {
            out.push(b);
        } else {
            out.extend_from_slice(percent_encoding::percent_encode_byte(b).as_bytes());
        }
    }
}

/// Which fields were among the caller's.
#[derive(Default)]
struct SeenRequestFields {
    user_agent: bool,
    accept_encoding: bool,
    connection: bool,
}

/// The caller's fields in its order and spelling, without those that the codec writes.
fn append_fields(out: &mut Vec<u8>, head: &RequestToSend<'_>) -> SeenRequestFields {
    let mut seen = SeenRequestFields::default();
    for (known, name, value) in head.header.iter_known() {
        match known {
            Known::NotAToken | Known::Host | Known::ContentLength | Known::TransferEncoding => {}
            Known::Connection => seen.connection = true,
            Known::Trailer => {
                if head.outgoing == Outgoing::Chunked {
                    append_trailer_names(out, name, value);
                }
            }
            Known::Other => append_other(out, head, &mut seen, name, value),
            _ => append_field(out, name, value),
        }
    }
    seen
}

/// A field that means nothing to framing, and perhaps something to a client.
fn append_other(out: &mut Vec<u8>, head: &RequestToSend<'_>, seen: &mut SeenRequestFields, name: &[u8], value: &[u8]) {
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    match name.len() {
        // Go's rule: the first one, unless that is empty.
        10 if is(b"User-Agent") => {
            let is_first = !std::mem::replace(&mut seen.user_agent, true);
            if is_first && !value.trim_ascii().is_empty() {
                append_field(out, name, value);
            }
        }
        15 if is(b"Accept-Encoding") => {
            seen.accept_encoding = true;
            append_field(out, name, value);
        }
        19 if head.proxy_authorization != ProxyAuthorization::Callers && is(b"Proxy-Authorization") => {}
        _ => append_field(out, name, value),
    }
}

/// `Trailer`, with the names that the header does not announce itself.
fn append_announcement(out: &mut Vec<u8>, header: &Header, trailer: &Header) {
    let mut before: &[u8] = b"Trailer: ";
    for (at, (name, _)) in trailer.iter().enumerate() {
        let is_again = trailer.iter().take(at).any(|(earlier, _)| earlier.eq_ignore_ascii_case(name));
        if may_be_trailer(name) && !is_again && !header.has_token("Trailer", name) {
            out.extend_from_slice(before);
            out.extend_from_slice(name.as_bytes());
            before = b", ";
        }
    }
    if before == b", " {
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    const NONE: &Header = &Header::new();
    static NOBODY: OwnField = OwnField::none();

    fn header(fields: &[(&str, &str)]) -> Header {
        fields.iter().copied().collect()
    }

    fn uri(text: &str) -> Uri {
        Uri::try_from(text).unwrap()
    }

    /// GET of this URI from `a.test`, and nothing else.
    fn plain<'a>(uri: &'a Uri, header: &'a Header) -> RequestToSend<'a> {
        RequestToSend {
            method: &Method::GET,
            target: SentTarget::Origin(uri),
            host: "a.test",
            header,
            trailer: NONE,
            outgoing: Outgoing::None,
            connection: ConnectionField::Nothing,
            accept_encoding: None,
            user_agent: &NOBODY,
            proxy_authorization: ProxyAuthorization::Callers,
        }
    }

    fn encoded(head: &RequestToSend<'_>) -> String {
        let mut out = b"before ".to_vec();
        encode_request_head(&mut out, head);
        String::from_utf8(out).unwrap().strip_prefix("before ").expect("it appends").to_owned()
    }

    /// The field lines after `Host`, as a change to the plain request makes them.
    fn lines(fields: &[(&str, &str)], change: impl Fn(&mut RequestToSend<'_>)) -> String {
        let (uri, header) = (uri("/"), header(fields));
        let mut head = plain(&uri, &header);
        change(&mut head);
        let text = encoded(&head);
        let text = text.strip_prefix("GET / HTTP/1.1\r\nHost: a.test\r\n").expect("Host comes first");
        text.strip_suffix("\r\n").unwrap().to_owned()
    }

    #[test]
    fn a_target_has_the_form_that_its_reader_wants() {
        for (text, origin, absolute) in [
            ("http://a.test", "/", "http://a.test/"),
            ("http://a.test:8080/p/a?q=1", "/p/a?q=1", "http://a.test:8080/p/a?q=1"),
            ("http://user:secret@a.test/x", "/x", "http://a.test/x"),
            ("http://a.test?q", "/?q", "http://a.test/?q"),
            ("http://a.test/?", "/?", "http://a.test/?"),
            ("http://[::1]:80//x/%2f", "//x/%2f", "http://[::1]:80//x/%2f"),
            ("http://a.test/x?a?b%zz", "/x?a?b%zz", "http://a.test/x?a?b%zz"),
            ("http://a.test/x#part", "/x", "http://a.test/x"),
            ("http://a.test/\u{10d}\u{e9}?\u{10a}", "/%C4%8D%C3%A9?%C4%8A", "http://a.test/%C4%8D%C3%A9?%C4%8A"),
        ] {
            let uri = uri(text);
            let line = |target| encoded(&RequestToSend { target, ..plain(&uri, NONE) });
            assert!(line(SentTarget::Origin(&uri)).starts_with(&format!("GET {origin} HTTP/1.1\r\nHost: a.test\r\n")));
            assert!(line(SentTarget::Absolute(&uri)).starts_with(&format!("GET {absolute} HTTP/1.1\r\n")), "{text}");
        }
        let star = uri("*");
        let text = encoded(&RequestToSend { method: &Method::OPTIONS, ..plain(&star, NONE) });
        assert_eq!(text, "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n");
        let target = SentTarget::Authority("b.test:443");
        let text =
            encoded(&RequestToSend { method: &Method::CONNECT, target, host: "b.test:443", ..plain(&star, NONE) });
        assert_eq!(text, "CONNECT b.test:443 HTTP/1.1\r\nHost: b.test:443\r\n\r\n");
    }

    #[test]
    fn fields_keep_their_order_and_spelling() {
        let fields = [("x-b", "2"), ("COOKIE", "a"), ("X-A", ""), ("TE", "trailers"), ("Keep-Alive", "x"), ("é", "1")];
        assert_eq!(lines(&fields, |_| {}), "x-b: 2\r\nCOOKIE: a\r\nX-A: \r\nTE: trailers\r\nKeep-Alive: x\r\n");
    }

    #[test]
    fn the_host_is_the_requests_and_never_the_headers() {
        assert_eq!(lines(&[("Host", "b.test"), ("hOST", "c"), ("X-Host", "d")], |_| {}), "X-Host: d\r\n");
    }

    #[test]
    fn a_user_agent_is_the_callers_or_the_clients_or_none() {
        static OURS: LazyLock<OwnField> = LazyLock::new(|| OwnField::new("User-Agent", "nethttp"));
        let with_default = |fields: &[(&str, &str)]| lines(fields, |head| head.user_agent = &OURS);
        assert_eq!(with_default(&[("A", "1")]), "User-Agent: nethttp\r\nA: 1\r\n");
        assert_eq!(with_default(&[("A", "1"), ("user-agent", "x")]), "A: 1\r\nuser-agent: x\r\n");
        assert_eq!(with_default(&[("User-Agent", "x"), ("User-Agent", "y")]), "User-Agent: x\r\n");
        assert_eq!(with_default(&[("User-Agent", " "), ("User-Agent", "y")]), "");
        assert_eq!(lines(&[], |_| {}), "");
    }

    #[test]
    fn what_the_client_adds_yields_to_the_caller_or_joins_it() {
        static GZIP: LazyLock<OwnField> = LazyLock::new(|| OwnField::new("Accept-Encoding", "gzip"));
        let accepting = |fields: &[(&str, &str)]| lines(fields, |head| head.accept_encoding = Some(&GZIP));
        assert_eq!(accepting(&[]), "Accept-Encoding: gzip\r\n");
        assert_eq!(accepting(&[("accept-encoding", "")]), "accept-encoding: \r\n");

        let proxied = |fields: &[(&str, &str)]| {
            lines(fields, |head| head.proxy_authorization = ProxyAuthorization::Own("Basic x"))
        };
        assert_eq!(proxied(&[("proxy-authorization", "y"), ("A", "1")]), "A: 1\r\nProxy-Authorization: Basic x\r\n");
        assert_eq!(lines(&[("Proxy-Authorization", "y")], |_| {}), "Proxy-Authorization: y\r\n");
    }

    #[test]
    fn framing_fields_come_from_the_codec_alone() {
        let fields = [("content-length", "5"), ("Transfer-Encoding", "gzip"), ("Connection", "close"), ("X", "1")];
        for (outgoing, expected) in [
            (Outgoing::None, "X: 1\r\n"),
            (Outgoing::Length(0), "X: 1\r\nContent-Length: 0\r\n"),
            (Outgoing::Length(u64::MAX), "X: 1\r\nContent-Length: 18446744073709551615\r\n"),
            (Outgoing::Chunked, "X: 1\r\nTransfer-Encoding: chunked\r\n"),
        ] {
            assert_eq!(lines(&fields, |head| head.outgoing = outgoing), expected);
        }
    }

    #[test]
    fn connection_has_the_codecs_option_and_the_callers_others() {
        let fields = [("Connection", "Keep-Alive, Upgrade"), ("Upgrade", "websocket")];
        assert_eq!(lines(&fields, |_| {}), "Upgrade: websocket\r\nConnection: Upgrade\r\n");
        let closing = |fields: &[(&str, &str)]| lines(fields, |head| head.connection = ConnectionField::Close);
        assert_eq!(closing(&fields), "Upgrade: websocket\r\nConnection: close, Upgrade\r\n");
        assert_eq!(closing(&[]), "Connection: close\r\n");
        assert_eq!(lines(&[("Connection", "close")], |_| {}), "");
    }

    #[test]
    fn a_trailer_is_announced_where_one_can_be_sent() {
        let trailer = header(&[("X-Sum", "5"), ("x-sum", "6"), ("Content-Length", "9"), ("Digest", "d"), ("a b", "1")]);
        let (uri, none) = (uri("/"), header(&[("Trailer", "X-Old, Host")]));
        let head = RequestToSend { trailer: &trailer, ..plain(&uri, &none) };
        assert!(!encoded(&head).contains("Trailer"), "only chunks have one behind them");
        let text = encoded(&RequestToSend { outgoing: Outgoing::Chunked, ..head });
        let expected = "Trailer: X-Old\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum, Digest\r\n\r\n";
        assert!(text.ends_with(expected), "{text}");
        let announced = header(&[("trailer", "x-sum, Digest")]);
        let head = RequestToSend { trailer: &trailer, outgoing: Outgoing::Chunked, ..plain(&uri, &announced) };
        assert!(encoded(&head).ends_with("trailer: x-sum, Digest\r\nTransfer-Encoding: chunked\r\n\r\n"));
    }

    /// What would end a line, or start another request, wherever it is put.
    const EVIL: [&str; 6] =
        ["a\r\nEvil: 1", "a\nEvil: 1", "a\rEvil: 1", "a\0b", "a\x7fb", "\r\n\r\nGET /evil HTTP/1.1"];

    #[test]
    fn nothing_that_is_put_into_a_request_ends_a_line() {
        let lines_of =
            |text: &str| text.lines().map(|line| line.split(':').next().unwrap().to_owned()).collect::<Vec<_>>();
        for evil in EVIL {
            let fields = [("X", evil), ("Cookie", evil), ("User-Agent", evil), ("Connection", evil), ("Trailer", evil)];
            let header = header(&[&fields[..], &[(evil, "1")]].concat());
            let trailer = self::header(&[(evil, "1"), ("T", evil)]);
            let uri = uri("/");
            let text = encoded(&RequestToSend {
                host: evil,
                trailer: &trailer,
                outgoing: Outgoing::Chunked,
                accept_encoding: Some(&OwnField::new("Accept-Encoding", evil)),
                proxy_authorization: ProxyAuthorization::Own(evil),
                ..plain(&uri, &header)
            });
            let names =
                ["GET / HTTP/1.1", "Host", "X", "Cookie", "User-Agent", "Accept-Encoding", "Proxy-Authorization"];
            let names = [&names[..], &["Transfer-Encoding", "Trailer", ""]].concat();
            assert_eq!(lines_of(&text), names, "{text:?}");
            assert!(!text.contains('\0') && !text.contains('\x7f') && !text.replace("\r\n", "").contains(['\r', '\n']));

            let target = SentTarget::Authority(evil);
            let text = encoded(&RequestToSend { target, ..plain(&uri, NONE) });
            assert_eq!((lines_of(&text).len(), text.split(' ').count()), (3, 4), "{text:?}");
        }
    }

    fn check(target: SentTarget<'_>, host: &str, header: &Header, trailer: &Header) -> Result<()> {
        let method = if matches!(target, SentTarget::Authority(_)) { Method::CONNECT } else { Method::GET };
        check_request(&method, target, host, header, trailer)
    }

    #[test]
    fn what_cannot_be_sent_as_it_is_meant_is_refused_and_no_value_is_repeated() {
        let root = uri("/");
        let target = SentTarget::Origin(&root);
        assert!(check(target, "a.test:80", &header(&[("X", "a\tb \u{e9}")]), &header(&[("X-Sum", "")])).is_ok());
        let refused = |host: &str, header: &Header, trailer: &Header| {
            let error = check(target, host, header, trailer).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            error.to_string()
        };
        for evil in EVIL {
            let text = refused("a.test", &header(&[("A", "1"), ("X-Key", evil)]), NONE);
            assert_eq!(text, "a control character in the value of the header field X-Key");
            let text = refused("a.test", NONE, &header(&[("X-Sum", evil)]));
            assert_eq!(text, "a control character in the value of the trailer field X-Sum");
            assert!(refused("a.test", &header(&[(evil, "1")]), NONE).starts_with("the header has a name that is none"));
            assert!(!refused("a.test", &header(&[(evil, "1")]), NONE).contains(['\r', '\n', '\0']));
            assert_eq!(refused(evil, NONE, NONE), "the host is no host");
        }
        for name in ["", "a b", "a:", "\u{e9}", "a\t"] {
            refused("a.test", &header(&[(name, "1")]), NONE);
            refused("a.test", NONE, &header(&[(name, "1")]));
        }
        for name in ["Content-Length", "transfer-encoding", "Trailer", "Host"] {
            let text = refused("a.test", NONE, &header(&[(name, "1")]));
            assert_eq!(text, format!("the field {name} may not stand in a trailer"));
        }
        assert_eq!(refused("", NONE, NONE), "the request has no host");
        for host in ["a.test/x", "user:secret@a.test", "a b", "a,b", "a.test:x", "[::1", "\u{e9}.test"] {
            assert_eq!(refused(host, NONE, NONE), "the host is no host");
        }
    }

    #[test]
    fn no_method_and_no_uri_can_end_a_line() {
        for evil in EVIL.into_iter().chain([" ", "\t", "\x01"]) {
            assert!(Method::from_bytes(evil.as_bytes()).is_err(), "{evil:?}");
            for text in
                [format!("/{evil}"), format!("/?{evil}"), format!("http://a{evil}/"), format!("http://{evil}@a/")]
            {
                assert!(Uri::try_from(&text).is_err(), "{text:?}");
            }
        }
    }

    #[test]
    fn method_and_target_belong_together() {
        let (root, star, url, odd) = (uri("/"), uri("*"), uri("http://u:p@a.test/x"), uri("http://a,b/"));
        for (method, target, valid) in [
            ("GET", SentTarget::Origin(&root), true),
            ("GET", SentTarget::Origin(&url), true),
            ("GET", SentTarget::Absolute(&url), true),
            ("GET", SentTarget::Absolute(&root), false),
            ("GET", SentTarget::Absolute(&odd), false),
            ("GET", SentTarget::Origin(&star), false),
            ("OPTIONS", SentTarget::Origin(&star), true),
            ("CONNECT", SentTarget::Authority("a.test:443"), true),
            ("CONNECT", SentTarget::Authority("a.test"), false),
            ("CONNECT", SentTarget::Authority("a.test:443\r\nEvil: 1"), false),
            ("CONNECT", SentTarget::Origin(&root), false),
            ("CONNECT", SentTarget::Absolute(&url), false),
            ("GET", SentTarget::Authority("a.test:443"), false),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let checked = check_request(&method, target, "a.test", NONE, NONE);
            assert_eq!(checked.is_ok(), valid, "{method} {target:?}");
        }
    }
}
