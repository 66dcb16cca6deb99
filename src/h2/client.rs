//! The client's half: a request of ours becomes `h2`'s, and what `h2` has received
//! becomes a response.

use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER, USER_AGENT,
};
use http::response::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, StatusCode, Uri, Version, uri};

use super::fields::append_fields;
use crate::error::{Error, ErrorKind, Refusal, Result};
use crate::h1::{HeadLimits, RequestKind, allows_content};
use crate::message::{Header, Response};

/// A request's head, with everything that is sent in it.
pub(crate) struct RequestToSend<'a> {
    pub(crate) method: &'a Method,
    pub(crate) scheme: Scheme,
    /// What `Host` would say.
    pub(crate) authority: &'a str,
    pub(crate) uri: &'a Uri,
    pub(crate) header: &'a Header,
    /// Announced, and sent after the content.
    pub(crate) trailer: &'a Header,
    /// `None` where the content tells its length by its end.
    pub(crate) length: Option<u64>,
    pub(crate) accept_encoding: Option<&'static str>,
    /// Of requests that name none; nothing where it is empty.
    pub(crate) user_agent: &'a str,
}

/// How far ahead of its reader a body may come: what a body that nobody reads holds at most. Go's
/// number; on a path of 100 ms it lets through more than 300 Mbit/s.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
/// Go's number, too: with less, a few bodies that are held and not read would stop all others.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 30;

/// `h2`'s settings for a client's connection.
pub(crate) fn client_builder(limits: &HeadLimits) -> h2::client::Builder {
    let mut builder = h2::client::Builder::new();
    builder
        .enable_push(false)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(u32::try_from(limits.max_bytes).unwrap_or(u32::MAX));
    builder
}

/// The head as `h2` takes it (RFC 9113 §8.3.1).
///
/// # Errors
/// [`ErrorKind::Invalid`] for an authority that is none.
pub(crate) fn to_request(head: &RequestToSend<'_>) -> Result<http::Request<()>> {
    let mut fields = HeaderMap::with_capacity(head.header.len() + 4);
    append_fields(&mut fields, head.header, StatusCode::OK);
    drop_fields_of_connection(&mut fields, head.header);
    fill_own_fields(&mut fields, head);
    let mut request = http::Request::new(());
    *request.method_mut() = head.method.clone();
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = target(head)?;
    *request.headers_mut() = fields;
    Ok(request)
}

/// Fills status, fields and length of a response. `ends` says that no content follows.
///
/// `h2` has checked that there is one status, no field speaks of a connection, and `Content-Length` is
/// one number and the length of the content.
///
/// # Errors
/// More fields than `limits` allows.
pub(crate) fn fill_response(
    response: &mut Response,
    parts: &Parts,
    kind: RequestKind,
    ends: bool,
    limits: &HeadLimits,
) -> Result<(), Refusal> {
    if parts.headers.len() > limits.max_values {
        return Err(Refusal::with(StatusCode::BAD_GATEWAY, "too many header fields"));
    }
    response.status = parts.status;
    response.proto = Version::HTTP_2;
    response.header.clear();
    for (name, value) in &parts.headers {
        // RFC 9113 §8.2.1: blanks around a value are not of it.
        response.header.add(name, value.as_bytes().trim_ascii());
    }
    let announced = || parts.headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok();
    response.content_length = match kind {
        RequestKind::Head => announced(),
        _ if ends || !allows_content(parts.status) => Some(0),
        RequestKind::Connect if parts.status.is_success() => None,
        _ => announced(),
    };
    Ok(())
}

/// What a head counts for against the limit of its bytes (RFC 9113 §10.5.1).
pub(crate) fn field_bytes(fields: &HeaderMap) -> usize {
    fields.iter().map(|(name, value)| name.as_str().len().saturating_add(value.len()).saturating_add(32)).sum()
}

/// RFC 9113 §8.2.2, RFC 9110 §7.6.1: what `Connection` lists is for one hop of HTTP/1, and of `TE`
/// only `trailers` is sent.
fn drop_fields_of_connection(fields: &mut HeaderMap, header: &Header) {
    for list in header.values_bytes(CONNECTION.as_str()) {
        for name in list.split(|&b| b == b',') {
            if let Ok(name) = HeaderName::from_bytes(name.trim_ascii()) {
                fields.remove(name);
            }
        }
    }
    fields.remove(HOST);
    if fields.contains_key(TE) {
        fields.remove(TE);
        if header.has_token(TE.as_str(), "trailers") {
            fields.insert(TE, HeaderValue::from_static("trailers"));
        }
    }
}

fn fill_own_fields(fields: &mut HeaderMap, head: &RequestToSend<'_>) {
    // Go's rule: the first one, unless that is empty.
    let user_agent = match fields.get(USER_AGENT) {
        Some(own) => own.clone(),
        None => HeaderValue::from_str(head.user_agent).unwrap_or(HeaderValue::from_static("")),
    };
    if user_agent.is_empty() {
        fields.remove(USER_AGENT);
    } else {
        fields.insert(USER_AGENT, user_agent);
    }
    if let (Some(codings), false) = (head.accept_encoding, fields.contains_key(ACCEPT_ENCODING)) {
        fields.insert(ACCEPT_ENCODING, HeaderValue::from_static(codings));
    }
    if let Some(length) = head.length {
        fields.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    announce_trailer(fields, head.trailer);
}

/// `Trailer`, with the names that the header does not announce itself.
fn announce_trailer(fields: &mut HeaderMap, trailer: &Header) {
    if trailer.is_empty() {
        fields.remove(TRAILER);
        return;
    }
    for (name, _) in trailer.iter() {
        let is_listed = |list: &HeaderValue| {
            list.as_bytes()
                .split(|&b| b == b',')
                .any(|listed| listed.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
        };
        let told = fields.get_all(TRAILER).iter().any(is_listed);
        if let (false, Ok(name)) = (told, HeaderValue::from_str(name)) {
            fields.append(TRAILER, name);
        }
    }
}

fn target(head: &RequestToSend<'_>) -> Result<Uri> {
    let no_authority = |error| Error::new(ErrorKind::Invalid, "the host is no host").with_source(error);
    let authority = Authority::try_from(head.authority).map_err(no_authority)?;
    if *head.method == Method::CONNECT {
        // RFC 9113 §8.5: neither a scheme nor a path.
        return Ok(Uri::from(authority));
    }
    let mut parts = uri::Parts::default();
    parts.scheme = Some(head.scheme.clone());
    parts.authority = Some(authority);
    parts.path_and_query = Some(path(head.uri)?);
    Uri::from_parts(parts).map_err(|error| Error::new(ErrorKind::Invalid, "the URL").with_source(error))
}

/// Visible ASCII as it is; each other byte in the form that a URL has for it (RFC 3986 §2.1).
fn path(uri: &Uri) -> Result<PathAndQuery> {
    let Some(own) = uri.path_and_query() else { return Ok(PathAndQuery::from_static("/")) };
    let text = own.as_str();
    let is_ready = text.starts_with('/') || text == "*";
    if is_ready && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(own.clone());
    }
    let mut escaped = String::from(if is_ready { "" } else { "/" });
    for b in text.bytes() {
        if b.is_ascii_graphic() {
            escaped.push(char::from(b));
        } else {
            escaped.push_str(percent_encoding::percent_encode_byte(b));
        }
    }
    PathAndQuery::try_from(escaped).map_err(|error| Error::new(ErrorKind::Invalid, "the URL's path").with_source(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(method: &Method, uri: &str, header: &[(&str, &str)], trailer: &[(&str, &str)]) -> http::Request<()> {
        let (header, trailer) = (header.iter().copied().collect(), trailer.iter().copied().collect());
        let head = RequestToSend {
            method,
            scheme: Scheme::HTTPS,
            authority: "h.test:8443",
            uri: &uri.parse().unwrap(),
            header: &header,
            trailer: &trailer,
            length: Some(3),
            accept_encoding: Some("gzip"),
            user_agent: "agent",
        };
        to_request(&head).unwrap()
    }

    fn fields(request: &http::Request<()>) -> Vec<String> {
        let mut fields: Vec<_> =
            request.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        fields.sort();
        fields
    }

    #[test]
    fn the_target_is_scheme_host_and_path() {
        for (uri, expected) in [
            ("http://other/a/b?c=d", "https://h.test:8443/a/b?c=d"),
            ("http://other", "https://h.test:8443/"),
            ("http://other?q", "https://h.test:8443/?q"),
            ("http://other/\u{e9}?\u{fc}", "https://h.test:8443/%C3%A9?%C3%BC"),
        ] {
            assert_eq!(sent(&Method::GET, uri, &[], &[]).uri().to_string(), expected, "{uri}");
        }
        assert_eq!(sent(&Method::CONNECT, "http://h.test:8443", &[], &[]).uri().to_string(), "h.test:8443");
    }

    #[test]
    fn what_belongs_to_one_connection_of_http1_is_not_sent() {
        let header = [
            ("Host", "other"),
            ("Connection", "close, X-Hop"),
            ("X-Hop", "1"),
            ("Keep-Alive", "5"),
            ("Upgrade", "x"),
            ("Proxy-Connection", "close"),
            ("Transfer-Encoding", "chunked"),
            ("Content-Length", "9"),
            ("TE", "gzip, Trailers"),
            ("X-Kept", "1"),
        ];
        let request = sent(&Method::POST, "http://o/", &header, &[]);
        let expected = ["accept-encoding: gzip", "content-length: 3", "te: trailers", "user-agent: agent", "x-kept: 1"];
        assert_eq!(fields(&request), expected);
    }

    #[test]
    fn a_user_agent_that_is_set_empty_is_not_sent_and_of_several_the_first_is() {
        let none = sent(&Method::GET, "http://o/", &[("User-Agent", "")], &[]);
        assert_eq!(none.headers().get(USER_AGENT), None);
        let first = sent(&Method::GET, "http://o/", &[("User-Agent", "a"), ("User-Agent", "b")], &[]);
        assert_eq!(first.headers().get_all(USER_AGENT).iter().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn a_trailer_is_announced_once() {
        let request = sent(&Method::POST, "http://o/", &[("Trailer", "x-a")], &[("X-A", "1"), ("X-B", "2")]);
        let names: Vec<_> = request.headers().get_all(TRAILER).iter().collect();
        assert_eq!(names, ["x-a", "X-B"]);
        let without = sent(&Method::POST, "http://o/", &[("Trailer", "X-A")], &[]);
        assert_eq!(without.headers().get(TRAILER), None);
    }

    fn received(kind: RequestKind, status: u16, length: Option<&str>, ends: bool) -> Option<u64> {
        let mut builder = http::Response::builder().status(status);
        if let Some(length) = length {
            builder = builder.header("content-length", length);
        }
        let (parts, ()) = builder.body(()).unwrap().into_parts();
        let mut response = Response::new(());
        fill_response(&mut response, &parts, kind, ends, &HeadLimits { max_bytes: 100, max_values: 2 }).unwrap();
        response.content_length
    }

    #[test]
    fn the_length_is_what_is_announced_as_far_as_content_follows() {
        assert_eq!(received(RequestKind::Other, 200, Some("7"), false), Some(7));
        assert_eq!(received(RequestKind::Other, 200, None, false), None);
        assert_eq!(received(RequestKind::Other, 200, None, true), Some(0));
        assert_eq!(received(RequestKind::Head, 200, Some("7"), true), Some(7));
        assert_eq!(received(RequestKind::Head, 200, None, true), None);
        assert_eq!(received(RequestKind::Other, 304, Some("7"), true), Some(0));
        assert_eq!(received(RequestKind::Connect, 200, None, false), None);
    }
}
