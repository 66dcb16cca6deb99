//! Cookies from text: strictly, with an error that says what is wrong, and from the fields of a
//! message, where what is wrong is passed over.
//!
//! Text comes as bytes: one byte that is not UTF-8 must cost its own pair and no other.

use std::time::Duration;

use http::StatusCode;

use super::{BAD_NAME, BAD_VALUE, Cookie, SameSite, date, is_path_byte, is_value_byte};
use crate::error::{Error, ErrorKind, Result};
use crate::message::header::Header;
use crate::message::octets::is_token;

/// The most cookies that a message may have (Go's number): each takes far more memory than the
/// two bytes that it can be sent with.
const MAX_COOKIE_COUNT: usize = 3_000;

const TOO_MANY: &str = "there are more than 3,000 cookies";
const BLANK: &str = "there is no cookie";
const NO_EQUALS: &str = "a cookie has no =";

/// Reads the value of a `Cookie` field strictly: all pairs, in order (Go's `ParseCookie`).
///
/// For the cookies of a request, where one bad pair is no reason to lose the others, ask
/// [`Request::cookies`](crate::Request::cookies).
///
/// # Errors
/// [`ErrorKind::Invalid`], to be answered with 400, when there is no pair, a pair has no `=`,
/// a name is not a token, a value has a byte that it must not have, or there are more than 3,000
/// pairs. Nothing of the text is in the error.
///
/// ```
/// let cookies = nethttp::cookie::parse_cookie("theme=dark; note=\"a b\"")?;
/// assert_eq!((cookies[1].name.as_str(), cookies[1].value.as_str()), ("note", "a b"));
/// assert!(cookies[1].quoted);
///
/// let error = nethttp::cookie::parse_cookie("theme=dark;").unwrap_err();
/// assert_eq!(error.to_string(), "a cookie has no =");
/// # Ok::<(), nethttp::Error>(())
/// ```
pub fn parse_cookie(line: impl AsRef<[u8]>) -> Result<Vec<Cookie>> {
    cookies_of(line.as_ref())
        .map_err(|fault| Error::new(ErrorKind::Invalid, fault).with_status(StatusCode::BAD_REQUEST))
}

fn cookies_of(line: &[u8]) -> Result<Vec<Cookie>, &'static str> {
    if pairs_in(line) > MAX_COOKIE_COUNT {
        return Err(TOO_MANY);
    }
    if trimmed(line).is_empty() {
        return Err(BLANK);
    }
    line.split(|&byte| byte == b';')
        .map(|pair| {
            let (name, value) = cut(trimmed(pair), b'=').ok_or(NO_EQUALS)?;
            cookie_of(name, value)
        })
        .collect()
}

/// Reads the value of a `Set-Cookie` field: the pair strictly, of the attributes what is
/// understood (Go's `ParseSetCookie`).
///
/// Attributes are read as browsers do (RFC 6265bis §5.6): the last of a kind counts, and what
/// is not understood goes to [`unparsed`](Cookie::unparsed). A negative `Max-Age` is zero; one
/// that begins with a zero and is not zero is not understood. `Expires` may be any date that
/// browsers take (§5.1.1), from the year 1601 on. Whether a browser would keep the cookie says
/// [`Cookie::validate`].
///
/// # Errors
/// [`ErrorKind::Invalid`] when there is no pair, the pair has no `=`, the name is not a token, or
/// the value has a byte that it must not have. Nothing of the text is in the error.
///
/// ```
/// use std::time::Duration;
///
/// let cookie = nethttp::cookie::parse_set_cookie("id=7; path=/a; Max-Age=60; Secure; Priority=High")?;
/// assert_eq!((cookie.name.as_str(), cookie.value.as_str(), cookie.path.as_str()), ("id", "7", "/a"));
/// assert_eq!(cookie.max_age, Some(Duration::from_secs(60)));
/// assert!(cookie.secure);
/// assert_eq!(cookie.unparsed, ["Priority=High"]);
/// # Ok::<(), nethttp::Error>(())
/// ```
pub fn parse_set_cookie(line: impl AsRef<[u8]>) -> Result<Cookie> {
    set_cookie_of(line.as_ref()).map_err(|fault| Error::new(ErrorKind::Invalid, fault))
}

fn set_cookie_of(line: &[u8]) -> Result<Cookie, &'static str> {
    if trimmed(line).is_empty() {
        return Err(BLANK);
    }
    let mut parts = line.split(|&byte| byte == b';').map(trimmed);
    let (name, value) = parts.next().and_then(|pair| cut(pair, b'=')).ok_or(NO_EQUALS)?;
    let mut cookie = cookie_of(trimmed(name), value)?;
    for attribute in parts.filter(|part| !part.is_empty()) {
        if read_attribute(&mut cookie, attribute).is_none() {
            cookie.unparsed.push(String::from_utf8_lossy(attribute).into_owned());
        }
    }
    Ok(cookie)
}

/// `None` for an attribute that is not understood; the cookie is as before then.
fn read_attribute(cookie: &mut Cookie, attribute: &[u8]) -> Option<()> {
    let (name, value) = cut(attribute, b'=').unwrap_or((attribute, b""));
    let name = trimmed(name).to_ascii_lowercase();
    let value = std::str::from_utf8(trimmed(value)).ok()?;
    // A path may have quotes and backslashes, the others must not.
    let is_allowed = if name == b"path" { is_path_byte } else { is_value_byte };
    if !value.bytes().all(is_allowed) {
        return None;
    }
    match name.as_slice() {
        b"path" => cookie.path = value.to_owned(),
        b"domain" => cookie.domain = value.to_owned(),
        b"expires" => cookie.expires = Some(date::read(value)?),
        b"max-age" => cookie.max_age = Some(read_max_age(value)?),
        b"secure" => cookie.secure = true,
        b"httponly" => cookie.http_only = true,
        b"partitioned" => cookie.partitioned = true,
        b"samesite" => cookie.same_site = read_same_site(value),
        _ => return None,
    }
    Some(())
}

/// RFC 6265bis §5.6.2, and Go's rule that a number which begins with a zero is none. One beyond
/// all bounds is the longest age, as a browser has it, or deletes.
fn read_max_age(value: &str) -> Option<Duration> {
    let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let seconds = if value.starts_with('-') { 0 } else { digits.parse().unwrap_or(u64::MAX) };
    if seconds > 0 && value.starts_with('0') {
        return None;
    }
    Some(Duration::from_secs(seconds))
}

fn read_same_site(value: &str) -> SameSite {
    match value.to_ascii_lowercase().as_str() {
        "lax" => SameSite::Lax,
        "strict" => SameSite::Strict,
        "none" => SameSite::None,
        _ => SameSite::Default,
    }
}

/// The cookies of a request's `Cookie` fields, or those of one name; pairs that are none are
/// passed over. None at all when there are too many.
pub(in crate::message) fn read_cookies<'a>(
    header: &'a Header,
    wanted: Option<&'a str>,
) -> impl Iterator<Item = Cookie> + 'a {
    let count = header.values_bytes("Cookie").map(pairs_in).fold(0, usize::saturating_add);
    let lines = (count <= MAX_COOKIE_COUNT).then(|| header.values_bytes("Cookie"));
    lines
        .into_iter()
        .flatten()
        .flat_map(|line| line.split(|&byte| byte == b';').map(trimmed))
        .map(|pair| cut(pair, b'=').unwrap_or((pair, b"")))
        .map(|(name, value)| (trimmed(name), value))
        .filter(move |(name, _)| wanted.is_none_or(|wanted| wanted.as_bytes() == *name))
        .filter_map(|(name, value)| cookie_of(name, value).ok())
}

/// The cookies of a response's `Set-Cookie` fields; lines that are none are passed over. None
/// at all when there are too many.
pub(in crate::message) fn read_set_cookies(header: &Header) -> impl Iterator<Item = Cookie> {
    let count = header.values_bytes("Set-Cookie").count();
    let lines = (count <= MAX_COOKIE_COUNT).then(|| header.values_bytes("Set-Cookie"));
    lines.into_iter().flatten().filter_map(|line| set_cookie_of(line).ok())
}

fn pairs_in(line: &[u8]) -> usize {
    memchr::memchr_iter(b';', line).count().saturating_add(1)
}

fn cookie_of(name: &[u8], value: &[u8]) -> Result<Cookie, &'static str> {
    let (value, quoted) = match value {
        [b'"', inner @ .., b'"'] => (inner, true),
        bare => (bare, false),
    };
    Ok(Cookie {
        name: text_of(name, is_token(name)).ok_or(BAD_NAME)?,
        value: text_of(value, value.iter().copied().all(is_value_byte)).ok_or(BAD_VALUE)?,
        quoted,
        ..Cookie::default()
    })
}

fn text_of(bytes: &[u8], is_allowed: bool) -> Option<String> {
    if !is_allowed {
        return None;
    }
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

/// The parts before and after the first byte of this value.
fn cut(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let (before, after) = text.split_at_checked(memchr::memchr(at, text)?)?;
    Some((before, after.get(1..)?))
}

/// The text without the white space around it, line ends included: a field's value has none,
/// but a line that was read from a file may.
fn trimmed(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let start = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last.saturating_add(1));
    text.get(start..end).unwrap_or_default()
}
