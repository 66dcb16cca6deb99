//! What `h2` has received becomes a request of ours (RFC 9113 §8.3.1), or is refused.

use http::header::{CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, TRAILER};
use http::request::Parts;
use http::{Method, StatusCode, Uri, Version, uri};

use crate::error::Refusal;
use crate::h1::{Expectation, HeadLimits, Port, check_path_target, is_host};
use crate::message::Request;

/// What the server needs to know of a head beside the request itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestInfo {
    pub(crate) expect: Expectation,
    /// Whether content follows.
    pub(crate) has_content: bool,
}

const TOO_MANY: Refusal = Refusal::with(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "too many header fields");
const NO_HOST: Refusal = Refusal::bad("no valid host");

/// Fills the request from the head of a stream. What belongs to the connection is left as it is.
///
/// `h2` has checked that the pseudo-fields are there once and before the others, names are in lower
/// case, no field speaks of a connection, and `Content-Length` is one number.
pub(crate) fn fill_request(
    request: &mut Request,
    parts: Parts,
    ends: bool,
    limits: &HeadLimits,
) -> Result<RequestInfo, Refusal> {
    let Parts { method, uri, headers, .. } = parts;
    // First: whatever is refused can be recorded with its method and target.
    request.method = method;
    request.proto = Version::HTTP_2;
    request.close = false;
    request.request_uri.clear();
    request.host.clear();
    request.header.clear();
    request.content_length = None;
    fill_target(request, uri)?;
    let special = Special::of(&headers);
    if special.count > limits.max_values {
        return Err(TOO_MANY);
    }
    fill_host(request, special.hosts.then_some(&headers))?;
    let expect = if special.expects { expectation(&headers, ends) } else { Expectation::None };
    request.content_length = if ends { Some(0) } else { content_length(&headers) };
    fill_fields(request, &headers);
    Ok(RequestInfo { expect, has_content: !ends })
}

fn fill_target(request: &mut Request, uri: Uri) -> Result<(), Refusal> {
    let parts = uri.into_parts();
    let authority = parts.authority.as_ref().map_or("", uri::Authority::as_str);
    if request.method == Method::CONNECT {
        // RFC 9113 §8.5.
        request.request_uri.push_str(authority);
        if !is_host(authority.as_bytes(), Port::Required) {
            return Err(Refusal::bad("CONNECT wants host:port as its target"));
        }
        request.host.push_str(authority);
        request.uri = Uri::from(parts.authority.ok_or(NO_HOST)?);
        return Ok(());
    }
    request.host.push_str(authority);
    // `h2` lets a request without `:path` through as far as `http` does.
    let path = parts.path_and_query.ok_or(Refusal::bad("no path"))?;
    request.request_uri.push_str(path.as_str());
    let escaped = check_path_target(request.method.as_str().as_bytes(), path.as_str())?;
    request.uri = escaped.unwrap_or_else(|| Uri::from(path));
    Ok(())
}

/// Which rare fields are there, so that the code below need not search for them.
struct Special {
    /// One for each value, and one for each name that `Trailer` lists, as in a head of HTTP/1.
    /// Crumbs of a cookie count each.
    count: usize,
    hosts: bool,
    expects: bool,
}

impl Special {
    fn of(headers: &HeaderMap) -> Special {
        let mut special = Special { count: headers.len(), hosts: false, expects: false };
        for name in headers.keys() {
            special.hosts |= *name == HOST;
            special.expects |= *name == EXPECT;
            if *name == TRAILER {
                let listed = headers.get_all(TRAILER).iter().map(|names| memchr::memchr_iter(b',', names.as_bytes()));
                special.count = listed.fold(special.count, |count, commas| count.saturating_add(commas.count()));
            }
        }
        special
    }
}

/// RFC 9113 §8.3.1: `:authority`, else `Host`; both must name one host.
/// Without `headers` there is no `Host`.
fn fill_host(request: &mut Request, headers: Option<&HeaderMap>) -> Result<(), Refusal> {
    let mut hosts = headers.into_iter().flat_map(|headers| headers.get_all(HOST));
    match (hosts.next(), hosts.next()) {
        (None, _) => {}
        (Some(_), Some(_)) => return Err(Refusal::bad("more than one Host")),
        (Some(host), None) if request.host.is_empty() => {
            request.host.push_str(host.to_str().map_err(|_| NO_HOST)?);
        }
        (Some(host), None) => {
            if !host.as_bytes().eq_ignore_ascii_case(request.host.as_bytes()) {
                return Err(Refusal::bad("Host and :authority name two hosts"));
            }
        }
    }
    if is_host(request.host.as_bytes(), Port::Optional) { Ok(()) } else { Err(NO_HOST) }
}

/// RFC 9110 §10.1.1: without content there is nothing to wait for.
fn expectation(headers: &HeaderMap, ends: bool) -> Expectation {
    let mut expect = Expectation::None;
    for value in headers.get_all(EXPECT) {
        for member in value.as_bytes().split(|&b| b == b',').map(<[u8]>::trim_ascii) {
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

/// The length of the content that is announced.
pub(crate) fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn fill_fields(request: &mut Request, headers: &HeaderMap) {
    let mut has_cookies = false;
    for (name, value) in headers {
        if *name == HOST {
            continue;
        }
        if *name != COOKIE {
            // RFC 9113 §8.2.1: blanks around a value are not of it.
            request.header.add(name, value.as_bytes().trim_ascii());
        } else if !std::mem::replace(&mut has_cookies, true) {
            request.header.add(name, joined_cookies(headers));
        }
    }
}

/// RFC 9113 §8.2.3: crumbs of a cookie are put together.
fn joined_cookies(headers: &HeaderMap) -> Vec<u8> {
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(|crumb| crumb.as_bytes().trim_ascii()).collect();
    crumbs.join(&b"; "[..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Body;

    const LIMITS: HeadLimits = HeadLimits { max_bytes: 1 << 20, max_values: 500 };

    fn fill(builder: http::request::Builder, ends: bool) -> Result<(Request, RequestInfo), Refusal> {
        let (parts, ()) = builder.version(Version::HTTP_2).body(()).unwrap().into_parts();
        let mut request = Request::new(Method::GET, Uri::default(), Body::empty());
        let facts = fill_request(&mut request, parts, ends, &LIMITS)?;
        Ok((request, facts))
    }

    fn get(uri: &str) -> http::request::Builder {
        http::Request::get(uri)
    }

    #[test]
    fn a_target_is_a_path_and_its_host_stands_beside_it() {
        let (request, _) = fill(get("http://h:80/a%20b?c=d").header("x", " 1 "), true).unwrap();
        assert_eq!((request.request_uri.as_str(), request.host.as_str()), ("/a%20b?c=d", "h:80"));
        assert_eq!((request.uri.path(), request.uri.host()), ("/a%20b", None));
        assert_eq!((request.proto, request.content_length), (Version::HTTP_2, Some(0)));
        assert_eq!(request.header.get("X"), Some("1"));
    }

    #[test]
    fn characters_that_no_uri_has_are_taken_raw_and_escaped_in_the_uri() {
        let (request, _) = fill(get("http://h/a{b}?c|{d}^"), true).unwrap();
        assert_eq!(request.request_uri, "/a{b}?c|{d}^");
        assert_eq!(request.uri, "/a%7Bb%7D?c%7C%7Bd%7D%5E");
    }

    #[test]
    fn a_host_comes_from_its_field_where_the_target_has_none_and_both_must_agree() {
        let host = |builder| fill(builder, true).map(|(request, _)| (request.host, request.header.len()));
        assert_eq!(host(get("/").header("host", "a.test")), Ok(("a.test".into(), 0)));
        assert_eq!(host(get("http://a.test/").header("host", "A.test")), Ok(("a.test".into(), 0)));
        for refused in [
            get("/"),
            get("http://a.test/").header("host", "b.test"),
            get("/").header("host", "a.test").header("host", "a.test"),
            get("/").header("host", "u@a.test"),
            get("http://u@a.test/"),
            get("/").header("host", ""),
        ] {
            assert_eq!(host(refused).unwrap_err().status, StatusCode::BAD_REQUEST);
        }
    }

    #[test]
    fn crumbs_of_a_cookie_are_one_field() {
        let crumbs = get("http://h/").header("cookie", "a=1").header("x", "y").header("cookie", "b=2");
        let (request, _) = fill(crumbs, true).unwrap();
        assert_eq!(request.header.values("Cookie").collect::<Vec<_>>(), ["a=1; b=2"]);
        assert_eq!(request.header.len(), 2);
    }

    #[test]
    fn a_target_that_http1_would_refuse_is_refused_here() {
        for (method, uri) in [
            (Method::GET, "http://h/%zz"),
            (Method::GET, "http://h/a%2"),
            (Method::CONNECT, "h"),
            (Method::CONNECT, "h:0"),
        ] {
            let refused = fill(http::Request::builder().method(method).uri(uri), true);
            assert_eq!(refused.unwrap_err().status, StatusCode::BAD_REQUEST, "{uri}");
        }
        let (request, _) = fill(http::Request::builder().method(Method::CONNECT).uri("h:1"), false).unwrap();
        assert_eq!((request.request_uri.as_str(), request.host.as_str()), ("h:1", "h:1"));
    }

    #[test]
    fn fields_are_counted_with_the_names_that_trailer_lists() {
        let with = |count: usize| {
            (0..count).fold(get("http://h/").header("trailer", "a, b, c"), |builder, _| builder.header("cookie", "c"))
        };
        assert!(fill(with(497), true).is_ok());
        assert_eq!(fill(with(498), true).unwrap_err().status, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
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
            let (_, facts) = fill(get("http://h/").header("expect", value), ends).unwrap();
            assert_eq!(facts.expect, expect, "{value:?}");
        }
    }
}
