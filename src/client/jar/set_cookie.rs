//! A `Set-Cookie` line as browsers read it (RFC 6265bis §5.6).
//!
//! Servers are read by looser rules here than in [`parse_set_cookie`](crate::message): names need
//! not be tokens, values may have any character, and the quotes around a value are a part of it.
//! What comes back to the server must be what it sent.

use std::time::{Duration, SystemTime};

use crate::message::{SameSite, read_cookie_date};

/// What a line says. Whether its sender may say so is decided later, by `rules`.
#[derive(Debug, Default)]
pub(super) struct SetCookie {
    pub(super) name: String,
    pub(super) value: String,
    /// Without its leading dot, in lower case; empty where none is said.
    pub(super) domain: String,
    /// Begins with a slash; empty where none is said.
    pub(super) path: String,
    pub(super) lifetime: Lifetime,
    pub(super) secure: bool,
    pub(super) http_only: bool,
    pub(super) same_site: SameSite,
}

/// When a cookie ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// With the jar.
    #[default]
    Session,
    Until(SystemTime),
    /// It has ended: the cookie is deleted.
    Over,
}

/// Name and value together (RFC 6265bis §5.6, step 6).
pub(super) const MAX_PAIR_BYTES: usize = 4096;

/// Attributes that are longer are passed over.
const MAX_ATTRIBUTE_BYTES: usize = 1024;

/// No cookie lives longer (RFC 6265bis §5.5).
pub(super) const MAX_AGE: Duration = Duration::from_secs(400 * 24 * 3600);

/// Reads a line; the error says why it is passed over.
pub(super) fn read(line: &[u8], now: SystemTime) -> Result<SetCookie, &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| "a cookie is no text")?;
    let mut parts = text.split(';').map(trimmed);
    let pair = parts.next().unwrap_or_default();
    let (name, value) = pair.split_once('=').unwrap_or(("", pair));
    let (name, value) = (trimmed(name), trimmed(value));
    check_pair(name, value)?;
    if text.chars().any(is_control) {
        return Err("a cookie has a control character");
    }
    let mut read = SetCookie { name: name.into(), value: value.into(), ..SetCookie::default() };
    let mut ages = Ages::default();
    for attribute in parts {
        read_attribute(&mut read, &mut ages, attribute, now);
    }
    read.lifetime = ages.max_age.or(ages.expires).unwrap_or_default();
    Ok(read)
}

/// What holds for a cookie wherever it comes from.
pub(super) fn check_pair(name: &str, value: &str) -> Result<(), &'static str> {
    if name.is_empty() && value.is_empty() {
        return Err("a cookie has neither name nor value");
    }
    if name.len().saturating_add(value.len()) > MAX_PAIR_BYTES {
        return Err("a cookie is over 4,096 bytes long");
    }
    if name.chars().chain(value.chars()).any(is_control) {
        return Err("a cookie has a control character");
    }
    if name.contains([';', '=']) || value.contains(';') {
        return Err("a cookie has a separator in it");
    }
    Ok(())
}

/// The two ways to say when a cookie ends: where both are there, the first one counts.
#[derive(Default)]
struct Ages {
    max_age: Option<Lifetime>,
    expires: Option<Lifetime>,
}

fn read_attribute(line: &mut SetCookie, ages: &mut Ages, attribute: &str, now: SystemTime) {
    let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
    let (name, value) = (trimmed(name), trimmed(value));
    if value.len() > MAX_ATTRIBUTE_BYTES {
        return;
    }
    match name.to_ascii_lowercase().as_str() {
        "expires" => ages.expires = read_cookie_date(value).map(|time| until(time, now)).or(ages.expires),
        "max-age" => ages.max_age = max_age(value, now).or(ages.max_age),
        "domain" => line.domain = value.strip_prefix('.').unwrap_or(value).to_ascii_lowercase(),
        // The last one counts, and one that does not begin with a slash takes back the ones before.
        // So does one with a tab, which no URL has: the cookie would never be sent.
        "path" if value.starts_with('/') && !value.contains('\t') => value.clone_into(&mut line.path),
        "path" => line.path.clear(),
        "secure" => line.secure = true,
        "httponly" => line.http_only = true,
        "samesite" => line.same_site = same_site(value),
        _ => {}
    }
}

/// RFC 6265bis §5.6.2: any number of digits, perhaps behind a minus sign. All else is passed over.
fn max_age(value: &str, now: SystemTime) -> Option<Lifetime> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More digits than a number can have mean longer than any cookie may live.
    let seconds: u64 = digits.parse().unwrap_or(u64::MAX);
    if seconds == 0 || value.starts_with('-') {
        return Some(Lifetime::Over);
    }
    let age = Duration::from_secs(seconds).min(MAX_AGE);
    Some(now.checked_add(age).map_or(Lifetime::Session, Lifetime::Until))
}

/// The end of a cookie that wants to live so long.
pub(super) fn until(time: SystemTime, now: SystemTime) -> Lifetime {
    if time <= now {
        return Lifetime::Over;
    }
    Lifetime::Until(now.checked_add(MAX_AGE).map_or(time, |latest| time.min(latest)))
}

fn same_site(value: &str) -> SameSite {
    match value.to_ascii_lowercase().as_str() {
        "lax" => SameSite::Lax,
        "strict" => SameSite::Strict,
        "none" => SameSite::None,
        _ => SameSite::Default,
    }
}

/// RFC 6265bis §5.6, step 1: a tab is none.
pub(super) fn is_control(c: char) -> bool {
    c.is_ascii_control() && c != '\t'
}

fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}
