//! The rules of redirects, decided in one place.
//!
//! [`decide`] gets one response and the request before it, and returns the head of the next request. It
//! keeps no state between redirects: what it drops is not in the head that it returns. So nothing that
//! was dropped once, be it the body or a password, can come back when a later redirect leads to the
//! first origin again (Go's CVE-2024-45336).

use std::borrow::Cow;

use http::{Method, StatusCode, Uri};

use super::url::{host_field, join};
use crate::error::{Error, ErrorKind, Phase};
use crate::message::{Header, without_credentials};

/// A response, and its request as it was sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hop<'a> {
    pub(crate) status: StatusCode,
    /// The fields of the response.
    pub(crate) response: &'a Header,
    pub(crate) method: &'a Method,
    /// The URL of the request, in its normal form.
    pub(crate) url: &'a Uri,
    /// The fields of the request as the caller set them, or as [`NextRequest`] had them: without those
    /// that a jar and the credentials of the URL add to each request anew.
    pub(crate) header: &'a Header,
    /// The host that the caller asks for in place of the URL's; empty where there is none.
    pub(crate) host: &'a str,
    pub(crate) content: RequestContent,
    pub(crate) referer: Referer,
    pub(crate) cookies: Cookies,
    /// Fields that are secrets beside those that always are.
    pub(crate) also_sensitive: &'a [String],
    /// How many redirects were followed to get here, and how many may be at most.
    pub(crate) followed: usize,
    pub(crate) limit: usize,
}

/// What is known of the request's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestContent {
    /// There is none, or it was dropped before.
    None,
    /// It can be sent again.
    Replayable,
    /// It was sent, and is gone.
    Gone,
}

/// Who set the request's `Referer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Referer {
    /// The caller, if it is there: it is kept.
    Caller,
    /// A redirect: the next one sets it anew.
    Redirect,
}

/// Where cookies come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cookies {
    /// A jar: what the response sets, the jar has, and the caller's own of that name is old.
    Jar,
    /// The caller alone.
    Caller,
}

/// What to do about a response.
#[derive(Debug)]
pub(crate) enum RedirectDecision {
    /// It is the caller's: no redirect, or one that cannot be followed without harm.
    No,
    /// It cannot be followed, or there were too many: the call fails, in [`Phase::Redirect`].
    Refused(Error),
    /// Another request follows.
    Follow(Box<NextRequest>),
}

/// The request that follows.
#[derive(Debug)]
pub(crate) struct NextRequest {
    pub(crate) method: Method,
    pub(crate) url: Uri,
    pub(crate) header: Header,
    /// The host that the caller asks for in place of the URL's; empty where there is none.
    pub(crate) host: String,
    pub(crate) content: NextContent,
    pub(crate) referer: Referer,
}

/// What happens to the content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NextContent {
    /// It is sent again, with the trailer; where there is none, there is none again.
    Kept,
    /// This request and all that follow it have none.
    Dropped,
}

/// What a redirect makes of a request (RFC 9110 §15.4), by Go's rules where they are not stricter.
///
/// Followed are 301, 302, 303, 307 and 308 with a `Location` that is not empty. The first three go on
/// with GET, or HEAD after HEAD, without content. The others repeat method and content; where the
/// content is gone, the response is the caller's.
///
/// Secrets are dropped when the origin changes: scheme, host or port. Go keeps them for another
/// port, another scheme and subdomains, which may be other people's.
pub(crate) fn decide(hop: Hop<'_>) -> RedirectDecision {
    let Some(method) = next_method(hop.status, hop.method, hop.content) else { return RedirectDecision::No };
    let location = match location(hop.response) {
        Ok(Some(location)) => location,
        Ok(None) => return RedirectDecision::No,
        Err(reason) => return refused(reason),
    };
    if hop.followed >= hop.limit {
        return refused(format!("stopped after {} redirects", hop.limit));
    }
    match join(hop.url, location) {
        Ok(url) => RedirectDecision::Follow(Box::new(next(hop, method, url, location))),
        Err(error) => refused(format!("the Location cannot be followed: {}", error.message())),
    }
}

fn refused(reason: impl Into<Cow<'static, str>>) -> RedirectDecision {
    RedirectDecision::Refused(Error::new(ErrorKind::Redirect, reason).during(Phase::Redirect))
}

/// `None` where the response is no redirect that can be followed.
fn next_method(status: StatusCode, method: &Method, content: RequestContent) -> Option<Method> {
    match status.as_u16() {
        301..=303 if *method == Method::HEAD => Some(Method::HEAD),
        301..=303 => Some(Method::GET),
        307 | 308 if content != RequestContent::Gone => Some(method.clone()),
        _ => None,
    }
}

/// The one place where the response leads. An empty one counts as none, as in Go. Several that differ
/// are refused: a proxy on the way may have read another one than this.
fn location(response: &Header) -> Result<Option<&[u8]>, &'static str> {
    let mut values = response.values_bytes("Location").map(<[u8]>::trim_ascii);
    let Some(first) = values.next() else { return Ok(None) };
    if values.any(|other| other != first) {
        return Err("the response has several Locations");
    }
    Ok(Some(first).filter(|location| !location.is_empty()))
}

fn next(hop: Hop<'_>, method: Method, url: Uri, location: &[u8]) -> NextRequest {
    let mut header = hop.header.clone();
    let content = if matches!(hop.status.as_u16(), 307 | 308) { NextContent::Kept } else { NextContent::Dropped };
    if content == NextContent::Dropped {
        drop_content_fields(&mut header);
    }
    if hop.cookies == Cookies::Jar {
        drop_old_cookies(&mut header, hop.response);
    }
    if !is_same_origin(hop.url, &url) {
        drop_sensitive(&mut header, hop.also_sensitive);
    }
    let referer = set_referer(&mut header, hop, &url);
    // A host of the caller's own belongs to the server that was asked, and to no other.
    let host = if names_host(location) { String::new() } else { hop.host.to_owned() };
    NextRequest { method, url, header, host, content, referer }
}

/// The fields that speak of content, which is gone (RFC 9110 §15.4, step 5).
fn drop_content_fields(header: &mut Header) {
    const OTHERS: [&str; 6] = ["Digest", "Expect", "Last-Modified", "Repr-Digest", "Trailer", "Transfer-Encoding"];
    let speaks_of_content = |name: &str| {
        name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("content-"))
            || OTHERS.iter().any(|other| name.eq_ignore_ascii_case(other))
    };
    if header.iter().any(|(name, _)| speaks_of_content(name)) {
        *header = header.iter().filter(|(name, _)| !speaks_of_content(name)).collect();
    }
}

/// Fields that would show one server the user's credentials for another (RFC 9110 §15.4, step 1).
const SENSITIVE: [&str; 6] =
    ["Authorization", "WWW-Authenticate", "Cookie", "Cookie2", "Proxy-Authorization", "Proxy-Authenticate"];

fn drop_sensitive(header: &mut Header, also: &[String]) {
    for name in SENSITIVE.into_iter().chain(also.iter().map(String::as_str)) {
        header.del(name);
    }
}

/// RFC 6454 §5.
fn is_same_origin(a: &Uri, b: &Uri) -> bool {
    a.scheme() == b.scheme() && host_field(a).eq_ignore_ascii_case(host_field(b))
}

/// A cookie that the caller set by hand for the first request, and that the response sets anew, is
/// the jar's from here on (Go's rule; the order of the others stays).
fn drop_old_cookies(header: &mut Header, response: &Header) {
    let fresh: Vec<&[u8]> = response.values_bytes("Set-Cookie").map(pair_name).collect();
    if fresh.is_empty() || !header.contains("Cookie") {
        return;
    }
    let pairs = || header.values_bytes("Cookie").flat_map(|line| line.split(|&byte| byte == b';'));
    let is_old = |pair: &[u8]| fresh.contains(&pair_name(pair));
    if !pairs().any(is_old) {
        return;
    }
    let left: Vec<&[u8]> = pairs().map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty() && !is_old(pair)).collect();
    let left = left.join(&b"; "[..]);
    if left.is_empty() {
        header.del("Cookie");
    } else {
        header.set("Cookie", left);
    }
}

fn pair_name(line: &[u8]) -> &[u8] {
    let pair = line.split(|&byte| byte == b';').next().unwrap_or_default();
    pair.split(|&byte| byte == b'=').next().unwrap_or_default().trim_ascii()
}

/// RFC 9110 §10.1.3: none from https to http, where everyone on the way could read it.
fn set_referer(header: &mut Header, hop: Hop<'_>, next: &Uri) -> Referer {
    if hop.url.scheme_str() == Some("https") && next.scheme_str() == Some("http") {
        header.del("Referer");
        return Referer::Redirect;
    }
    if hop.referer == Referer::Caller && header.contains("Referer") {
        return Referer::Caller;
    }
    header.set("Referer", without_credentials(hop.url));
    Referer::Redirect
}

/// Whether a reference has a scheme or a host of its own (RFC 3986 §4.2). [`join`] took it already,
/// so a colon before any slash ends a scheme.
fn names_host(location: &[u8]) -> bool {
    let first = location.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#' | b':'));
    location.starts_with(b"//") || first.and_then(|at| location.get(at)) == Some(&b':')
}

#[cfg(test)]
mod tests;
