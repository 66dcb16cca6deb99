//! Text that becomes the URL of a request.
//!
//! A URL is read once, here, by the rules of browsers (the URL standard, with international host
//! names), and all other code sees a normal ASCII [`Uri`]: scheme and host in lower case, no default
//! port, no dot segments, no fragment, no byte that a request line could not carry. What two parsers
//! could read in two ways is refused and not repaired: control characters and backslashes where the
//! host is looked for.
//!
//! Most URLs are in that form already. [`is_normal`] sees that without the `url` crate.

mod zone;

pub(crate) use zone::{dialled_host, without_zone};

use std::borrow::Cow;
use std::net::Ipv4Addr;

use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::percent_decode_str;
use url::{ParseError, Url};

use self::zone::{ends_authority, first_part, split_zone, with_zone};
use crate::error::{Error, ErrorKind, Result};
use crate::message::host_and_port;

/// The longest URL: what [`Uri`] can hold.
const MAX_URL_BYTES: usize = 65_534;

/// What can be the URL of a request: text, or a [`Uri`] that has a scheme and a host.
///
/// The scheme is `http` or `https`. Host names may be international and are sent in their ASCII
/// form; letters beyond ASCII in path and query are escaped as UTF-8, and `.` and `..` in the path
/// are resolved. A user and a password before the host become `Authorization: Basic` of the
/// request. A fragment is left out: it is never sent.
///
/// An IPv6 address may have a zone (`[fe80::1%25eth0]`, RFC 6874): it is dialled by way of that interface,
/// and the zone is left out of `Host`.
///
/// ```
/// use nethttp::client::IntoUrl;
/// use nethttp::ErrorKind;
///
/// let url = "HTTP://Bücher.example:80/a/../ö?q=1#top".into_url()?;
/// assert_eq!(url, "http://xn--bcher-kva.example/%C3%B6?q=1");
///
/// let error = "example.com/x".into_url().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::Invalid);
/// assert_eq!(error.to_string(), "the URL has no scheme: it begins with http:// or https://");
/// # Ok::<(), nethttp::Error>(())
/// ```
pub trait IntoUrl {
    /// The URL in its normal form.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when there is no scheme or another one, when there is no host or it is
    /// none, when the port is none, when a space or a control character stands anywhere or a
    /// backslash in the host, and when the URL takes more than 65,534 bytes. The message never
    /// repeats the URL, which may have a password in it.
    fn into_url(self) -> Result<Uri>;
}

impl IntoUrl for &str {
    fn into_url(self) -> Result<Uri> {
        if is_normal(self) { Uri::try_from(self).map_err(not_a_url) } else { parse(self) }
    }
}

impl IntoUrl for String {
    fn into_url(self) -> Result<Uri> {
        if is_normal(&self) { Uri::try_from(self).map_err(not_a_url) } else { parse(&self) }
    }
}

impl IntoUrl for &String {
    fn into_url(self) -> Result<Uri> {
        self.as_str().into_url()
    }
}

impl IntoUrl for Uri {
    fn into_url(mut self) -> Result<Uri> {
        normalise(&mut self)?;
        Ok(self)
    }
}

impl IntoUrl for &Uri {
    fn into_url(self) -> Result<Uri> {
        self.clone().into_url()
    }
}

/// Gives the URL its normal form, and leaves it as it was where it has none.
pub(crate) fn normalise(uri: &mut Uri) -> Result<()> {
    if !is_normal_uri(uri) {
        *uri = parse(&uri.to_string())?;
    }
    Ok(())
}

/// Where a `Location` leads from here (RFC 9110 §10.2.2, RFC 3986 §5.2).
///
/// Unlike in the URL of a request, bytes beyond ASCII and spaces are escaped one by one, as
/// servers send them raw in many charsets, and a reference without a host stays on the host of
/// `base`, user and password included.
pub(crate) fn join(base: &Uri, reference: &[u8]) -> Result<Uri> {
    let reference = reference.trim_ascii();
    if reference.iter().any(u8::is_ascii_control) {
        return Err(invalid(CONTROL));
    }
    if reference.starts_with(b"/") && !reference.starts_with(b"//") && is_normal_target(reference) {
        return with_target(base, reference);
    }
    let scheme = scheme_of(reference);
    if let Some(scheme) = scheme {
        check_scheme(&String::from_utf8_lossy(scheme))?;
    }
    if scheme.is_none() && !reference.starts_with(b"//") {
        let base = base.to_string();
        let (base, zone) = split_zone(&base)?;
        let base = Url::parse(&base).map_err(of_parser)?;
        return to_uri(base.join(&escaped(reference)).map_err(of_parser)?, zone);
    }
    let own_scheme =
        if scheme.is_none() { format!("{}:", base.scheme_str().unwrap_or_default()) } else { String::new() };
    let host_at = reference.windows(2).position(|pair| pair == b"//").map_or(0, |at| at.saturating_add(2));
    let (before, rest) = reference.split_at_checked(host_at).unwrap_or((reference, b""));
    let host_ends = rest.iter().position(|&byte| ends_authority(byte)).unwrap_or(rest.len());
    let (host, target) = rest.split_at_checked(host_ends).unwrap_or((rest, b""));
    let (before, host) = (std::str::from_utf8(before), std::str::from_utf8(host));
    let (Ok(before), Ok(host)) = (before, host) else { return Err(invalid(BAD_HOST)) };
    parse(&format!("{own_scheme}{before}{host}{}", escaped(target)))
}

/// User and password of the URL, unescaped; the password is empty where there is none.
pub(crate) fn credentials(uri: &Uri) -> Option<(String, String)> {
    let authority = uri.authority()?.as_str();
    let (userinfo, _) = authority.rsplit_once('@')?;
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let plain = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some((plain(user), plain(password)))
}

/// The value of `Host` (RFC 9110 §7.2): the port is left out where it is the scheme's own.
pub(crate) fn host_field(uri: &Uri) -> &str {
    let Some(authority) = uri.authority() else { return "" };
    let port = authority.port_u16();
    if port.is_none() || port == uri.scheme_str().and_then(default_port) {
        authority.host()
    } else {
        host_and_port(authority.as_str())
    }
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

// ------------------------------------------------------------ through the url crate

const NO_SCHEME: &str = "the URL has no scheme: it begins with http:// or https://";
const NO_HOST: &str = "the URL has no host";
const BAD_HOST: &str = "the host of the URL is no host";
const BAD_PORT: &str = "the port of the URL is no port";
const CONTROL: &str = "the URL has a control character: it must be escaped";
const SPACE: &str = "the URL has a space: it must be escaped, as %20";
const BACKSLASH: &str = "the URL has a backslash in its host";
const TOO_LONG: &str = "the URL is over 65,534 bytes long";
const NO_URL: &str = "the URL is none";

fn parse(text: &str) -> Result<Uri> {
    check(text)?;
    // Browsers take a backslash for a slash, others for a character like any: none is left.
    let text = if text.contains('\\') { Cow::Owned(text.replace('\\', "%5C")) } else { Cow::Borrowed(text) };
    let (text, zone) = split_zone(&text)?;
    to_uri(Url::parse(&text).map_err(of_parser)?, zone)
}

/// Refuses what the parser would silently repair, or read differently from other parsers.
fn check(text: &str) -> Result<()> {
    if text.len() > MAX_URL_BYTES {
        return Err(invalid(TOO_LONG));
    }
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err(invalid(CONTROL));
    }
    if text.contains(' ') {
        return Err(invalid(SPACE));
    }
    let Some((scheme, rest)) = text.split_once("://") else {
        let is_http = ["http:", "https:"].iter().any(|scheme| starts_with_ignoring_case(text, scheme));
        return Err(invalid(if is_http { NO_HOST } else { NO_SCHEME }));
    };
    if !is_scheme(scheme.as_bytes()) {
        return Err(invalid(NO_SCHEME));
    }
    check_scheme(scheme)?;
    let authority = first_part(rest);
    if authority.contains('\\') {
        return Err(invalid(BACKSLASH));
    }
    let host = host_and_port(authority);
    if host.is_empty() || host.starts_with(':') {
        return Err(invalid(NO_HOST));
    }
    Ok(())
}

fn check_scheme(scheme: &str) -> Result<()> {
    if ["http", "https"].iter().any(|supported| scheme.eq_ignore_ascii_case(supported)) {
        return Ok(());
    }
    let shown: String = scheme.chars().take(20).collect();
    Err(invalid(format!("the scheme {shown} is not supported: http and https are")))
}

fn to_uri(mut url: Url, zone: Option<&str>) -> Result<Uri> {
    url.set_fragment(None);
    let mut text = String::from(url);
    if let Some(zone) = zone {
        text = with_zone(text, zone).ok_or_else(|| invalid(BAD_HOST))?;
    }
    if text.len() > MAX_URL_BYTES {
        return Err(invalid(TOO_LONG));
    }
    Uri::try_from(text).map_err(not_a_url)
}

fn of_parser(error: ParseError) -> Error {
    invalid(match error {
        ParseError::EmptyHost => NO_HOST,
        ParseError::InvalidPort => BAD_PORT,
        ParseError::IdnaError
        | ParseError::InvalidIpv4Address
        | ParseError::InvalidIpv6Address
        | ParseError::InvalidDomainCharacter => BAD_HOST,
        ParseError::Overflow => TOO_LONG,
        ParseError::RelativeUrlWithoutBase | ParseError::RelativeUrlWithCannotBeABaseBase => NO_SCHEME,
        _ => NO_URL,
    })
}

// The cause is not kept: what the `http` crate says of a URL that passed all else is no help.
#[allow(clippy::needless_pass_by_value, reason = "it is named where errors are mapped")]
fn not_a_url(_: http::uri::InvalidUri) -> Error {
    invalid(NO_URL)
}

fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

fn starts_with_ignoring_case(text: &str, start: &str) -> bool {
    text.get(..start.len()).is_some_and(|first| first.eq_ignore_ascii_case(start))
}

/// The scheme that a reference begins with (RFC 3986 §4.1).
fn scheme_of(reference: &[u8]) -> Option<&[u8]> {
    let (scheme, _) = reference.split_at_checked(memchr::memchr(b':', reference)?)?;
    is_scheme(scheme).then_some(scheme)
}

fn is_scheme(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_alphabetic)
        && text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

/// Path, query and fragment of a `Location`, with all escaped that could be read in two ways.
fn escaped(target: &[u8]) -> String {
    let mut text = String::with_capacity(target.len());
    for &byte in target {
        if byte.is_ascii_graphic() && byte != b'\\' {
            text.push(char::from(byte));
        } else {
            text.push_str(percent_encoding::percent_encode_byte(byte));
        }
    }
    text
}

/// The URL with another path and query, which are in their normal form.
fn with_target(base: &Uri, target: &[u8]) -> Result<Uri> {
    let mut parts = base.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(not_a_url)?);
    let uri = Uri::from_parts(parts).map_err(|_| invalid(NO_URL))?;
    let length = base.authority().map_or(0, |authority| authority.as_str().len()).saturating_add(target.len());
    // The scheme and what stands after it are at most eight bytes more.
    if length.saturating_add(8) > MAX_URL_BYTES { Err(invalid(TOO_LONG)) } else { Ok(uri) }
}

// ------------------------------------------------------------ without it

/// Whether the `url` crate would hand the text on as it is, but for the `/` of an empty path.
/// `false` may still be so.
fn is_normal(text: &str) -> bool {
    let of_scheme = |(scheme, start)| Some((scheme, text.strip_prefix(start)?));
    let Some((scheme, rest)) = [("http", "http://"), ("https", "https://")].into_iter().find_map(of_scheme) else {
        return false;
    };
    let end = memchr::memchr2(b'/', b'?', rest.as_bytes()).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    text.len() < MAX_URL_BYTES
        && is_normal_authority(scheme, authority)
        && (target.is_empty() || is_normal_target(target.as_bytes()))
}

fn is_normal_uri(uri: &Uri) -> bool {
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return false };
    let target = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    is_normal_authority(scheme, authority.as_str()) && is_normal_target(target.as_bytes())
}

/// Whether there is a host in lower case and nothing else but a port that is not the scheme's own.
/// `false` may still be so.
pub(super) fn is_normal_authority(scheme: &str, authority: &str) -> bool {
    let Some(default) = default_port(scheme) else { return false };
    // An authority is short: a search made for long texts takes longer to begin.
    let colon = authority.bytes().position(|byte| byte == b':').unwrap_or(authority.len());
    let (host, port) = authority.split_at(colon);
    let port = port.strip_prefix(':');
    port.is_none_or(|port| is_normal_port(port, default)) && is_normal_host(host)
}

fn is_normal_port(port: &str, default: u16) -> bool {
    !port.starts_with(['0', '+']) && port.parse::<u16>().is_ok_and(|port| port != default)
}

/// Letters and digits, with single dots and hyphens between them. What ends like a number may be an
/// address in one of many forms, and two hyphens make an international name in ASCII, or what
/// pretends to be one.
fn is_normal_host(host: &str) -> bool {
    let (mut seen, mut side_by_side, mut before) = (0, 0, BREAK);
    for &byte in host.as_bytes() {
        let class = CLASSES[usize::from(byte)];
        seen |= class;
        side_by_side |= class & before;
        before = class;
    }
    if seen & NOT_IN_HOST != 0 || (side_by_side | before) & BREAK != 0 {
        return false;
    }
    if seen & LETTER == 0 {
        return host.parse::<Ipv4Addr>().is_ok();
    }
    let last = host.as_bytes().rsplit(|&byte| byte == b'.').next();
    !last.and_then(<[u8]>::first).is_some_and(u8::is_ascii_digit)
}

/// Path and query without dot segments and without a byte that would be escaped.
fn is_normal_target(target: &[u8]) -> bool {
    let query_at = memchr::memchr(b'?', target).unwrap_or(target.len());
    let (path, query) = target.split_at(query_at);
    let seen_in = |part: &[u8]| part.iter().fold(0, |seen, &byte| seen | CLASSES[usize::from(byte)]);
    let (in_path, in_query) = (seen_in(path), seen_in(query));
    path.first() == Some(&b'/')
        && (in_path | in_query) & ESCAPED == 0
        && (in_path & DOT == 0 || !path.windows(2).any(|pair| pair == b"/."))
        && (in_path & PERCENT == 0 || !path.windows(3).any(|escape| escape.eq_ignore_ascii_case(b"%2e")))
}

/// The class of each byte. Combined over a text, the classes decide most questions about it in one pass.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut at = 0;
    while at < classes.len() {
        classes[at] = class_of(at as u8);
        at += 1;
    }
    classes
};

const LETTER: u8 = 1;
/// A separator within a host.
const BREAK: u8 = 2;
const DOT: u8 = 4;
const PERCENT: u8 = 8;
const NOT_IN_HOST: u8 = 16;
/// In path and query.
const ESCAPED: u8 = 32;

const fn class_of(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' => LETTER,
        b'0'..=b'9' => 0,
        b'-' => BREAK,
        b'.' => BREAK | DOT,
        b'%' => PERCENT | NOT_IN_HOST,
        b'A'..=b'Z' | b'_' | b'~' | b'!' | b'$' | b'&' | b'('..=b',' | b'/' | b':' | b';' | b'=' | b'?' | b'@' => {
            NOT_IN_HOST
        }
        _ => NOT_IN_HOST | ESCAPED,
    }
}

#[cfg(test)]
mod tests;
