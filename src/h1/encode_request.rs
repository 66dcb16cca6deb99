//! The head of a request as it is sent, and what is refused before a byte of it is.
//!
//! What a caller puts into a URL, a host or a field may come from somebody else. Two guards stand
//! here: the check refuses what would not arrive as it was meant, and the encoder, which is total,
//! lets nothing end a line or say how long the content is.

use http::uri::Authority;
use http::{Method, Uri};

use super::encode::{
    ConnectionField, append_connection, append_field, append_framing, append_parts, append_trailer_names,
};
use super::host::{Port, is_host};
use super::outgoing::Outgoing;
use super::trailer::may_be_trailer;
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
    pub(crate) accept_encoding: Option<&'a str>,
    /// For a header without `User-Agent`. An empty one, here or there, sends none.
    pub(crate) user_agent: &'a str,
    /// In place of one in the header.
    pub(crate) proxy_authorization: Option<&'a str>,
    /// Pairs that come behind those of the header, in one field with them.
    pub(crate) cookie: Option<&'a str>,
}

/// What a request line asks for (RFC 9112 §3.2). User and password of a URL never go with it, and
/// a `Uri` has no fragment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SentTarget<'a> {
    /// Path and query, `/` where there is no path, and `*` for that.
    Origin(&'a Uri),
    /// The whole URL, for a proxy.
    Absolute(&'a Uri),
    /// Host and port, for CONNECT.
    Authority(&'a str),
}

/// Whether these can be sent as they are meant, before anything is.
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
    append_parts(out, [head.method.as_str().as_bytes(), b" "]);
    append_target(out, head.target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    append_field(out, b"Host", head.host.as_bytes());
    if !head.user_agent.is_empty() && !head.header.contains("User-Agent") {
        append_field(out, b"User-Agent", head.user_agent.as_bytes());
    }
    let seen = append_fields(out, head);
    append_own(out, b"Cookie", head.cookie.filter(|_| !seen.cookie));
    append_own(out, b"Accept-Encoding", head.accept_encoding.filter(|_| !seen.accept_encoding));
    append_own(out, b"Proxy-Authorization", head.proxy_authorization);
    append_framing(out, head.outgoing);
    if head.outgoing == Outgoing::Chunked {
        append_announcement(out, head.header, head.trailer);
    }
    append_connection(out, head.connection, seen.connection.then_some(head.header));
    out.extend_from_slice(b"\r\n");
}

fn check_target(method: &Method, target: SentTarget<'_>) -> Result<()> {
    let uri = match target {
        SentTarget::Authority(authority)
            if *method != Method::CONNECT || !is_host(authority.as_bytes(), Port::Required) =>
        {
            return Err(invalid("host and port are the target of CONNECT, and it has no other"));
        }
        SentTarget::Authority(_) => return Ok(()),
        SentTarget::Origin(uri) | SentTarget::Absolute(uri) => uri,
    };
    let host = uri.authority().map(without_userinfo);
    if matches!(target, SentTarget::Absolute(_)) && !host.is_some_and(|host| is_host(host.as_bytes(), Port::Optional)) {
        return Err(invalid("the URL has no valid host"));
    }
    let path_and_query = uri.path_and_query().map_or("", |path| path.as_str());
    match (method, uri.path()) {
        (&Method::CONNECT, _) => Err(invalid("host and port are the target of CONNECT, and it has no other")),
        (method, "*") if *method != Method::OPTIONS => Err(invalid("the target * is for OPTIONS only")),
        _ if path_and_query.bytes().any(|b| b <= b' ' || b == 0x7f) => {
            Err(invalid("a blank or a control character in the URL"))
        }
        _ => Ok(()),
    }
}

/// One pass, and nothing is allocated where all is well.
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
            append_parts(out, [uri.scheme_str().unwrap_or("http").as_bytes(), b"://"]);
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
struct Seen {
    user_agent: bool,
    accept_encoding: bool,
    cookie: bool,
    connection: bool,
}

/// The caller's fields in its order and spelling, without those that the codec writes.
fn append_fields(out: &mut Vec<u8>, head: &RequestToSend<'_>) -> Seen {
    let mut seen = Seen::default();
    for (known, name, value) in head.header.iter_known() {
        match known {
            Known::NotAToken | Known::Host | Known::ContentLength | Known::TransferEncoding => {}
            Known::Connection => seen.connection = true,
            Known::Trailer if head.outgoing == Outgoing::Chunked => append_trailer_names(out, name, value),
            Known::Trailer => {}
            Known::Other => append_other(out, head, &mut seen, name, value),
            _ => append_field(out, name, value),
        }
    }
    seen
}

/// A field that means nothing to framing, and perhaps something to a client.
fn append_other(out: &mut Vec<u8>, head: &RequestToSend<'_>, seen: &mut Seen, name: &[u8], value: &[u8]) {
    let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
    match name.len() {
        6 if is(b"Cookie") && !std::mem::replace(&mut seen.cookie, true) => match head.cookie {
            Some(cookie) if !value.trim_ascii().is_empty() => {
                append_field(out, name, &[value.trim_ascii(), b"; ", cookie.as_bytes()].concat());
            }
            Some(cookie) => append_field(out, name, cookie.as_bytes()),
            None => append_field(out, name, value),
        },
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
        19 if head.proxy_authorization.is_some() && is(b"Proxy-Authorization") => {}
        _ => append_field(out, name, value),
    }
}

fn append_own(out: &mut Vec<u8>, name: &[u8], value: Option<&str>) {
    if let Some(value) = value {
        append_field(out, name, value.as_bytes());
    }
}

/// `Trailer`, with the names that the header does not announce itself.
fn append_announcement(out: &mut Vec<u8>, header: &Header, trailer: &Header) {
    let mut before: &[u8] = b"Trailer: ";
    for (at, (name, _)) in trailer.iter().enumerate() {
        let is_again = trailer.iter().take(at).any(|(earlier, _)| earlier.eq_ignore_ascii_case(name));
        if may_be_trailer(name) && !is_again && !header.has_token("Trailer", name) {
            append_parts(out, [before, name.as_bytes()]);
            before = b", ";
        }
    }
    if before == b", " {
        out.extend_from_slice(b"\r\n");
    }
}
