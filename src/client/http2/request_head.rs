//! The head of a request as the connection's task encodes it: it outlives the call that made it.

use std::borrow::Cow;

use http::header::{PROXY_AUTHORIZATION, TRAILER, USER_AGENT};
use http::uri::{Authority, PathAndQuery};
use http::{Method, Uri};

use crate::error::{Error, ErrorKind, Result};
use crate::h1::may_be_trailer;
use crate::h2::Http2RequestHead;
use crate::message::{Header, Known};

/// A head with all that is sent in it.
#[derive(Debug)]
pub(super) struct HeadToSend {
    method: Method,
    scheme: &'static str,
    authority: String,
    path: SentPath,
    header: Header,
    /// `None` where the content tells its length by its end.
    content_length: Option<u64>,
    /// Of an extended CONNECT (RFC 8441 §4).
    protocol: Option<String>,
}

/// `:path`: the URL's own, or that with what may not be sent raw escaped.
#[derive(Debug)]
enum SentPath {
    OfUrl(PathAndQuery),
    Escaped(String),
}

/// What a head is made of.
pub(super) struct HeadSource<'a> {
    pub(super) method: &'a Method,
    pub(super) scheme: &'static str,
    /// What `Host` would say.
    pub(super) authority: &'a str,
    pub(super) uri: &'a Uri,
    pub(super) header: Cow<'a, Header>,
    /// Announced, and sent after the content.
    pub(super) trailer: &'a Header,
    pub(super) content_length: Option<u64>,
    /// Makes it an extended CONNECT, whatever the method.
    pub(super) protocol: Option<&'a str>,
    pub(super) accept_encoding: Option<&'static str>,
    /// Of requests that name none; nothing where it is empty.
    pub(super) user_agent: &'a str,
}

impl HeadToSend {
    /// # Errors
    /// [`ErrorKind::Invalid`] for an authority that is none.
    pub(super) fn new(source: &HeadSource<'_>) -> Result<HeadToSend> {
        let is_of_url = source.uri.authority().is_some_and(|authority| authority.as_str() == source.authority);
        if !is_of_url {
            let no_authority = |error| Error::new(ErrorKind::Invalid, "the host is no host").with_source(error);
            Authority::try_from(source.authority).map_err(no_authority)?;
        }
        Ok(HeadToSend {
            method: if source.protocol.is_some() { Method::CONNECT } else { source.method.clone() },
            scheme: source.scheme,
            authority: source.authority.to_owned(),
            path: path(source.uri),
            header: fields(source),
            content_length: source.content_length,
            protocol: source.protocol.map(str::to_owned),
        })
    }

    pub(super) fn as_sent(&self) -> Http2RequestHead<'_> {
        // RFC 9113 §8.5: CONNECT has neither a scheme nor a path. RFC 8441 §4: an extended one has.
        let has_target = self.method != Method::CONNECT || self.protocol.is_some();
        let path = match &self.path {
            SentPath::OfUrl(path) => path.as_str(),
            SentPath::Escaped(path) => path,
        };
        Http2RequestHead {
            method: self.method.as_str(),
            scheme: has_target.then_some(self.scheme),
            authority: &self.authority,
            path: has_target.then_some(path),
            protocol: self.protocol.as_deref(),
            header: &self.header,
            content_length: self.content_length,
        }
    }

    /// Whether the server has to have said that it takes such a request (RFC 8441 §3).
    pub(super) fn is_extended_connect(&self) -> bool {
        self.protocol.is_some()
    }

    /// The memory of its fields, for another head.
    pub(super) fn into_memory(self) -> Header {
        let mut header = self.header;
        header.clear();
        header
    }
}

/// A trailer section without the fields that may be none.
pub(super) fn allowed_trailer(trailer: Header) -> Header {
    if trailer.iter().all(|(name, _)| may_be_trailer(name)) {
        return trailer;
    }
    trailer.iter().filter(|(name, _)| may_be_trailer(name)).collect()
}

/// The caller's fields, and this client's own. What HTTP/2 has in another place or not at all is left out by
/// the encoder, that of `Connection` here: the list says what is for one hop of HTTP/1 (RFC 9110 §7.6.1).
fn fields(source: &HeadSource<'_>) -> Header {
    let mut header = Header::new();
    header.reserve(source.header.len() + 4, source.header.text_len() + 128);
    let is_of_connection = source.header.contains("Connection");
    let (mut has_agent, mut has_encoding) = (false, false);
    for (known, name, value) in source.header.iter_known() {
        let is = |other: &str| name.eq_ignore_ascii_case(other.as_bytes());
        if known == Known::Other && is(USER_AGENT.as_str()) {
            // Go's rule: the first one, unless that is empty.
            let is_again = std::mem::replace(&mut has_agent, true);
            if is_again || value.trim_ascii().is_empty() {
                continue;
            }
        }
        match known {
            Known::NotAToken
            | Known::ContentLength
            | Known::TransferEncoding
            | Known::Connection
            | Known::KeepAlive
            | Known::Host => continue,
            Known::Trailer if source.trailer.is_empty() => continue,
            Known::Trailer => {
                add_trailer_names(&mut header, value);
                continue;
            }
            // It is for proxies (RFC 9110 §11.7.2), and no proxy forwards HTTP/2 for this client.
            Known::Other if is(PROXY_AUTHORIZATION.as_str()) && *source.method != Method::CONNECT => continue,
            Known::Other if is("accept-encoding") => has_encoding = true,
            _ => {}
        }
        let Ok(name) = std::str::from_utf8(name) else { continue };
        if !is_of_connection || !source.header.has_token("Connection", name) {
            header.add(name, value);
        }
    }
    if !has_agent && !source.user_agent.is_empty() {
        header.add(USER_AGENT.as_str(), source.user_agent);
    }
    if let (Some(codings), false) = (source.accept_encoding, has_encoding) {
        header.add("accept-encoding", codings);
    }
    announce_trailer(&mut header, source.trailer);
    header
}

fn add_trailer_names(header: &mut Header, value: &[u8]) {
    let names = value.split(|&b| b == b',').map(<[u8]>::trim_ascii);
    let allowed: Vec<_> = names.filter(|name| std::str::from_utf8(name).is_ok_and(may_be_trailer)).collect();
    if !allowed.is_empty() {
        header.add(TRAILER.as_str(), allowed.join(&b", "[..]));
    }
}

/// `Trailer`, with the names that the header does not announce itself.
fn announce_trailer(header: &mut Header, trailer: &Header) {
    for (name, _) in trailer.iter() {
        if may_be_trailer(name) && !header.has_token(TRAILER.as_str(), name) {
            header.add(TRAILER.as_str(), name);
        }
    }
}

/// Visible ASCII as it is; each other byte in the form that a URL has for it (RFC 3986 §2.1).
fn path(uri: &Uri) -> SentPath {
    let Some(own) = uri.path_and_query() else { return SentPath::OfUrl(PathAndQuery::from_static("/")) };
    let text = own.as_str();
    let is_ready = text.starts_with('/') || text == "*";
    if is_ready && text.bytes().all(|b| b.is_ascii_graphic()) {
        return SentPath::OfUrl(own.clone());
    }
    let mut escaped = String::from(if is_ready { "" } else { "/" });
    for b in text.bytes() {
        if b.is_ascii_graphic() {
            escaped.push(char::from(b));
        } else {
            escaped.push_str(percent_encoding::percent_encode_byte(b));
        }
    }
    SentPath::Escaped(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(method: &Method, uri: &str, header: &[(&str, &str)], trailer: &[(&str, &str)]) -> HeadToSend {
        let trailer: Header = trailer.iter().copied().collect();
        let head = HeadSource {
            method,
            scheme: "https",
            authority: "h.test:8443",
            uri: &uri.parse().unwrap(),
            header: Cow::Owned(header.iter().copied().collect()),
            trailer: &trailer,
            content_length: Some(3),
            protocol: None,
            accept_encoding: Some("gzip"),
            user_agent: "agent",
        };
        HeadToSend::new(&head).unwrap()
    }

    fn shown(head: &HeadToSend) -> Vec<String> {
        let show =
            |(name, value): (&str, &[u8])| format!("{}: {}", name.to_ascii_lowercase(), String::from_utf8_lossy(value));
        let mut fields: Vec<_> = head.header.iter().map(show).collect();
        fields.sort();
        fields
    }

    #[test]
    fn the_target_is_scheme_host_and_path() {
        for (uri, expected) in [
            ("http://other/a/b?c=d", "/a/b?c=d"),
            ("http://other", "/"),
            ("http://other?q", "/?q"),
            ("http://other/\u{e9}?\u{fc}", "/%C3%A9?%C3%BC"),
        ] {
            let head = sent(&Method::GET, uri, &[], &[]);
            let head = head.as_sent();
            let target = (head.scheme, head.authority, head.path);
            assert_eq!(target, (Some("https"), "h.test:8443", Some(expected)), "{uri}");
        }
        let tunnel = sent(&Method::CONNECT, "http://h.test:8443", &[], &[]);
        let tunnel = tunnel.as_sent();
        assert_eq!((tunnel.scheme, tunnel.authority, tunnel.path), (None, "h.test:8443", None));
    }

    #[test]
    fn what_belongs_to_one_connection_of_http1_is_not_sent() {
        let header = [
            ("Host", "other"),
            ("Connection", "close, X-Hop"),
            ("X-Hop", "1"),
            ("Keep-Alive", "5"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Length", "9"),
            ("Proxy-Authorization", "Basic c2VjcmV0"),
            ("X-Kept", "1"),
        ];
        let head = sent(&Method::POST, "http://o/", &header, &[]);
        assert_eq!(shown(&head), ["accept-encoding: gzip", "user-agent: agent", "x-kept: 1"]);
        assert_eq!(head.as_sent().content_length, Some(3));
    }

    #[test]
    fn a_user_agent_that_is_set_empty_is_not_sent_and_of_several_the_first_is() {
        let none = sent(&Method::GET, "http://o/", &[("User-Agent", "")], &[]);
        assert!(!none.header.contains("user-agent"));
        let first = sent(&Method::GET, "http://o/", &[("User-Agent", "a"), ("User-Agent", "b")], &[]);
        assert_eq!(first.header.values("user-agent").collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn a_trailer_is_announced_once_and_names_only_what_may_be_one() {
        let head = sent(&Method::POST, "http://o/", &[("Trailer", "x-a, Host")], &[("X-A", "1"), ("X-B", "2")]);
        assert_eq!(head.header.values("trailer").collect::<Vec<_>>(), ["x-a", "X-B"]);
        let without = sent(&Method::POST, "http://o/", &[("Trailer", "X-A")], &[]);
        assert!(!without.header.contains("trailer"));
    }

    #[test]
    fn a_host_that_is_none_is_an_error_of_the_caller() {
        let trailer = Header::new();
        let head = HeadSource {
            method: &Method::GET,
            scheme: "https",
            authority: "a b",
            uri: &"http://o/".parse().unwrap(),
            header: Cow::Owned(Header::new()),
            trailer: &trailer,
            content_length: None,
            protocol: None,
            accept_encoding: None,
            user_agent: "",
        };
        assert_eq!(HeadToSend::new(&head).unwrap_err().kind(), ErrorKind::Invalid);
    }
}
