//! A head that was received becomes a request of ours (RFC 9113 §8.3.1), or is refused.

use http::{Method, StatusCode, Uri, Version};

use crate::error::Refusal;
use crate::h1::{Expectation, HeadLimits, Port, is_host, parse_path_target};
use crate::h2::{NewRequest, ReceivedHead};
use crate::message::{Header, Known, Request, is_token};

/// What the server needs to know of a head beside the request itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestInfo {
    pub(super) expect: Expectation,
    /// Whether content follows.
    pub(super) has_content: bool,
    /// It asks for a tunnel (RFC 8441): what follows on the stream is no content.
    pub(super) wants_tunnel: bool,
}

const TOO_MANY: Refusal = Refusal::with(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "too many header fields");
const NO_HOST: Refusal = Refusal::bad("no valid host");
const NO_METHOD: Refusal = Refusal::bad("the method is no token");
const NO_PROTOCOL: Refusal = Refusal::bad(":protocol names none");
const NO_PATH: Refusal = Refusal::bad("no path");

/// Fills the request from the head of a stream, whose fields it takes. What belongs to the connection is left
/// as it is.
///
/// An extended CONNECT (RFC 8441) becomes what asks for the same in HTTP/1.1: a GET with `Upgrade`.
///
/// The engine has checked that the pseudo-fields are there once and before the others, names are in lower
/// case, no field speaks of a connection, `Content-Length` is one number, and has put cookies together.
pub(super) fn fill_request(
    request: &mut Request,
    received: &mut ReceivedHead,
    new: &NewRequest,
    limits: &HeadLimits,
) -> Result<RequestInfo, Refusal> {
    // First: whatever is refused can be recorded with its method and target.
    request.proto = Version::HTTP_2;
    request.close = false;
    request.request_uri.clear();
    request.host.clear();
    request.content_length = None;
    std::mem::swap(&mut request.header, &mut received.header);
    request.method = Method::from_bytes(received.method()).map_err(|_| NO_METHOD)?;
    if new.is_too_large() {
        // Of such a head some fields are missing, and which is not known.
        request.request_uri.push_str(std::str::from_utf8(received.path()).unwrap_or_default());
        return Err(TOO_MANY);
    }
    fill_target(request, received)?;
    let rare = RareFields::of(&request.header);
    if field_count(received) + rare.trailer_names > limits.max_values {
        return Err(TOO_MANY);
    }
    if rare.hosts > 0 {
        fill_host(request, rare.hosts)?;
    }
    if !is_host(request.host.as_bytes(), Port::Optional) {
        return Err(NO_HOST);
    }
    if let Some(protocol) = received.protocol() {
        fill_upgrade(request, protocol)?;
        request.content_length = Some(0);
        return Ok(RequestInfo { expect: Expectation::None, has_content: false, wants_tunnel: true });
    }
    let expect = if rare.expects { expectation(&request.header, new.ends()) } else { Expectation::None };
    request.content_length = if new.ends() { Some(0) } else { received.content_length() };
    Ok(RequestInfo { expect, has_content: !new.ends(), wants_tunnel: false })
}

fn fill_target(request: &mut Request, received: &ReceivedHead) -> Result<(), Refusal> {
    let authority = std::str::from_utf8(received.authority()).map_err(|_| NO_HOST)?;
    if request.method == Method::CONNECT && received.protocol().is_none() {
        // RFC 9113 §8.5.
        request.request_uri.push_str(authority);
        if !is_host(authority.as_bytes(), Port::Required) {
            return Err(Refusal::bad("CONNECT wants host:port as its target"));
        }
        request.host.push_str(authority);
        request.uri = Uri::try_from(authority).map_err(|_| NO_HOST)?;
        return Ok(());
    }
    request.host.push_str(authority);
    if received.path().is_empty() {
        return Err(NO_PATH);
    }
    request.request_uri.push_str(std::str::from_utf8(received.path()).unwrap_or_default());
    if request.method == Method::CONNECT {
        request.method = Method::GET;
    }
    let (_, uri) = parse_path_target(request.method.as_str().as_bytes(), received.path())?;
    request.uri = uri;
    Ok(())
}

/// RFC 8441 §4: `:protocol` has the names that `Upgrade` has (RFC 9110 §7.8). The engine lets no `Upgrade` or
/// `Connection` of the peer's own through.
fn fill_upgrade(request: &mut Request, protocol: &[u8]) -> Result<(), Refusal> {
    if !protocol.splitn(2, |&byte| byte == b'/').all(is_token) {
        return Err(NO_PROTOCOL);
    }
    request.header.set("Connection", "Upgrade");
    request.header.set("Upgrade", protocol);
    Ok(())
}

/// How many fields came, pieces of a cookie counted each, and pseudo-fields not.
fn field_count(received: &ReceivedHead) -> usize {
    let pseudo = [received.method(), received.scheme(), received.authority(), received.path()];
    let pseudo = pseudo.iter().filter(|value| !value.is_empty()).count();
    received.list().fields.saturating_sub(pseudo + usize::from(received.protocol().is_some()))
}

/// Which rare fields are there, so that nothing need search for them.
struct RareFields {
    hosts: usize,
    expects: bool,
    /// The names that `Trailer` lists beyond the first, which count as in a head of HTTP/1.
    trailer_names: usize,
}

impl RareFields {
    fn of(header: &Header) -> RareFields {
        let mut rare = RareFields { hosts: 0, expects: false, trailer_names: 0 };
        for (known, _, value) in header.iter_known() {
            match known {
                Known::Host => rare.hosts += 1,
                Known::Expect => rare.expects = true,
                Known::Trailer => rare.trailer_names += memchr::memchr_iter(b',', value).count(),
                _ => {}
            }
        }
        rare
    }
}

/// RFC 9113 §8.3.1: `:authority`, else `Host`; both must name one host.
fn fill_host(request: &mut Request, count: usize) -> Result<(), Refusal> {
    if count > 1 {
        return Err(Refusal::bad("more than one Host"));
    }
    let host = request.header.get_bytes("Host").unwrap_or_default();
    if request.host.is_empty() {
        request.host.push_str(std::str::from_utf8(host).map_err(|_| NO_HOST)?);
    } else if !host.eq_ignore_ascii_case(request.host.as_bytes()) {
        return Err(Refusal::bad("Host and :authority name two hosts"));
    }
    request.header.del("Host");
    Ok(())
}

/// RFC 9110 §10.1.1: without content there is nothing to wait for.
fn expectation(header: &Header, ends: bool) -> Expectation {
    let mut expect = Expectation::None;
    for value in header.values_bytes("Expect") {
        for member in value.split(|&b| b == b',').map(<[u8]>::trim_ascii) {
            match member {
                [] => {}
                member if member.eq_ignore_ascii_case(b"100-continue") => {
                    if !ends {
                        expect = Expectation::Continue;
                    }
                }
                _ => return Expectation::Unknown,
            }
        }
    }
    expect
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h2::hpack::{HpackEncoder, encoded};
    use crate::h2::{CoreEvent, CoreSettings, Http2Core, Role};
    use crate::message::Body;

    const LIMITS: HeadLimits = HeadLimits { max_bytes: 1 << 20, max_values: 500 };

    type Fields<'a> = &'a [(&'a str, &'a str)];

    /// What becomes of a request of these fields.
    fn fill(fields: Fields<'_>, ends: bool) -> Result<(Request, RequestInfo), Refusal> {
        let fields: Vec<_> =
            fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect();
        let block = encoded(&mut HpackEncoder::new(), &fields);
        let len = u32::try_from(block.len()).unwrap().to_be_bytes();
        let head = [&len[1..], &[1, if ends { 5 } else { 4 }, 0, 0, 0, 1]].concat();
        let bytes = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[0, 0, 0, 4, 0, 0, 0, 0, 0][..], &head, &block].concat();
        let mut settings = CoreSettings::default();
        settings.limits.list.max_fields = LIMITS.max_values + 5;
        let mut core = Http2Core::<()>::new(Role::Server, settings);
        let (mut input, mut received) = (&bytes[..], ReceivedHead::default());
        loop {
            match core.next(&mut input, &mut received).unwrap() {
                Some(CoreEvent::Request(new)) => {
                    let mut request = Request::new(Method::GET, Uri::default(), Body::empty());
                    let info = fill_request(&mut request, &mut received, &new, &LIMITS)?;
                    return Ok((request, info));
                }
                Some(CoreEvent::Settings) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn get<'a>(authority: &'a str, path: &'a str, more: Fields<'a>) -> Vec<(&'a str, &'a str)> {
        let mut fields = vec![(":method", "GET"), (":scheme", "http"), (":path", path)];
        if !authority.is_empty() {
            fields.push((":authority", authority));
        }
        fields.extend(more);
        fields
    }

    #[test]
    fn a_target_is_a_path_and_its_host_stands_beside_it() {
        let (request, _) = fill(&get("h:80", "/a%20b?c=d", &[("x", " 1 ")]), true).unwrap();
        assert_eq!((request.request_uri.as_str(), request.host.as_str()), ("/a%20b?c=d", "h:80"));
        assert_eq!((request.uri.path(), request.uri.host()), ("/a%20b", None));
        assert_eq!((request.proto, request.content_length), (Version::HTTP_2, Some(0)));
        assert_eq!(request.header.get("X"), Some("1"));
    }

    #[test]
    fn characters_that_no_uri_has_are_taken_raw_and_escaped_in_the_uri() {
        let (request, _) = fill(&get("h", "/a{b}?c|{d}^", &[]), true).unwrap();
        assert_eq!(request.request_uri, "/a{b}?c|{d}^");
        assert_eq!(request.uri, "/a%7Bb%7D?c%7C%7Bd%7D%5E");
    }

    #[test]
    fn a_host_comes_from_its_field_where_the_target_has_none_and_both_must_agree() {
        let host = |authority: &str, hosts: Fields<'_>| {
            fill(&get(authority, "/", hosts), true).map(|(request, _)| (request.host, request.header.len()))
        };
        assert_eq!(host("", &[("host", "a.test")]), Ok(("a.test".into(), 0)));
        assert_eq!(host("a.test", &[("host", "A.test")]), Ok(("a.test".into(), 0)));
        for (authority, hosts) in [
            ("", &[][..]),
            ("a.test", &[("host", "b.test")]),
            ("", &[("host", "a.test"), ("host", "a.test")]),
            ("", &[("host", "u@a.test")]),
            ("u@a.test", &[]),
            ("", &[("host", "")]),
        ] {
            assert_eq!(host(authority, hosts).unwrap_err().status, StatusCode::BAD_REQUEST, "{authority} {hosts:?}");
        }
    }

    #[test]
    fn crumbs_of_a_cookie_are_one_field() {
        let crumbs = [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2")];
        let (request, _) = fill(&get("h", "/", &crumbs), true).unwrap();
        assert_eq!(request.header.values("Cookie").collect::<Vec<_>>(), ["a=1; b=2"]);
        assert_eq!(request.header.len(), 2);
    }

    #[test]
    fn a_target_that_http1_would_refuse_is_refused_here() {
        let connect = |authority| [(":method", "CONNECT"), (":authority", authority)];
        for fields in [
            get("h", "/%zz", &[]),
            get("h", "/a%2", &[]),
            get("h", "http://h/", &[]),
            get("h", "*", &[]),
            connect("h").to_vec(),
            connect("h:0").to_vec(),
        ] {
            assert_eq!(fill(&fields, true).unwrap_err().status, StatusCode::BAD_REQUEST, "{fields:?}");
        }
        let (request, _) = fill(&connect("h:1"), false).unwrap();
        assert_eq!((request.request_uri.as_str(), request.host.as_str()), ("h:1", "h:1"));
    }

    #[test]
    fn fields_are_counted_with_the_names_that_trailer_lists() {
        let with = |count: usize| {
            let mut fields = get("h", "/", &[("trailer", "a, b, c")]);
            fields.resize(fields.len() + count, ("cookie", "c"));
            fill(&fields, true)
        };
        assert!(with(497).is_ok());
        assert_eq!(with(498).unwrap_err().status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }

    #[test]
    fn an_expectation_is_a_100_or_cannot_be_met() {
        for (value, ends, expect) in [
            ("100-Continue", false, Expectation::Continue),
            ("100-continue", true, Expectation::None),
            ("", false, Expectation::None),
            ("100-continue, teapot", false, Expectation::Unknown),
            ("teapot", true, Expectation::Unknown),
        ] {
            let (_, info) = fill(&get("h", "/", &[("expect", value)]), ends).unwrap();
            assert_eq!(info.expect, expect, "{value:?}");
        }
    }
}
