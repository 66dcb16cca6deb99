//! How a `Set-Cookie` is read, who may set a cookie for whom, and who gets it (RFC 6265bis §5.1, §5.6, §5.7).
//!
//! Servers are read by looser rules here than in [`parse_set_cookie`](crate::message): names need
//! not be tokens, values may have any character, and the quotes around a value are a part of it.
//! What comes back to the server must be what it sent.

use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use http::Uri;

use crate::message::{SameSite, read_cookie_date};

/// A parsed line. Whether its sender may set such a cookie is decided later, by `rules`.
#[derive(Debug, Default)]
pub(super) struct SetCookie {
    pub(super) name: String,
    pub(super) value: CookieValue,
    /// Without its leading dot, in lower case; empty where none is said.
    pub(super) domain: String,
    /// Begins with a slash; empty where none is said.
    pub(super) path: String,
    pub(super) lifetime: Lifetime,
    pub(super) secure: bool,
    pub(super) http_only: bool,
    pub(super) same_site: SameSite,
}

/// The value of a cookie: octets, which nearly always are text (RFC 6265 §5.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct CookieValue {
    /// Each part that is not UTF-8 is a replacement character in it.
    pub(super) text: String,
    /// What the server has sent, where that is not the text.
    pub(super) octets: Option<Box<[u8]>>,
}

impl CookieValue {
    fn of(octets: &[u8]) -> CookieValue {
        match std::str::from_utf8(octets) {
            Ok(text) => text.to_owned().into(),
            Err(_) => CookieValue { text: String::from_utf8_lossy(octets).into_owned(), octets: Some(octets.into()) },
        }
    }

    fn as_octets(&self) -> &[u8] {
        self.octets.as_deref().unwrap_or(self.text.as_bytes())
    }
}

impl From<String> for CookieValue {
    fn from(text: String) -> CookieValue {
        CookieValue { text, octets: None }
    }
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
pub(super) const MAX_COOKIE_AGE: Duration = Duration::from_secs(400 * 24 * 3600);

/// Reads a line; the error says why it is passed over.
pub(super) fn read(line: &[u8], now: SystemTime) -> Result<SetCookie, &'static str> {
    let mut parts = line.split(|&byte| byte == b';').map(trimmed_octets);
    let pair = parts.next().unwrap_or_default();
    let equals = memchr::memchr(b'=', pair);
    let (name, value) = match equals.and_then(|at| pair.split_at_checked(at)) {
        Some((name, value)) => (name, value.get(1..).unwrap_or_default()),
        None => (&b""[..], pair),
    };
    let name = std::str::from_utf8(trimmed_octets(name)).map_err(|_| "the name of a cookie is no text")?;
    let value = CookieValue::of(trimmed_octets(value));
    check_pair(name, &value)?;
    if line.iter().any(|&byte| is_control(char::from(byte))) {
        return Err("a cookie has a control character");
    }
    let mut read = SetCookie { name: name.into(), value, ..SetCookie::default() };
    let mut ages = Ages::default();
    // An attribute that is no text is one that is not understood.
    for attribute in parts.filter_map(|part| std::str::from_utf8(part).ok()) {
        read_attribute(&mut read, &mut ages, attribute, now);
    }
    read.lifetime = ages.max_age.or(ages.expires).unwrap_or_default();
    Ok(read)
}

/// What holds for a cookie wherever it comes from.
pub(super) fn check_pair(name: &str, value: &CookieValue) -> Result<(), &'static str> {
    let octets = value.as_octets();
    if name.is_empty() && octets.is_empty() {
        return Err("a cookie has neither name nor value");
    }
    if name.len().saturating_add(octets.len()) > MAX_PAIR_BYTES {
        return Err("a cookie is over 4,096 bytes long");
    }
    if name.chars().chain(value.text.chars()).any(is_control) {
        return Err("a cookie has a control character");
    }
    if name.contains([';', '=']) || octets.contains(&b';') {
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

/// RFC 6265bis §5.6.2: any number of digits, perhaps after a minus sign. All else is passed over.
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
    let age = Duration::from_secs(seconds).min(MAX_COOKIE_AGE);
    Some(now.checked_add(age).map_or(Lifetime::Session, Lifetime::Until))
}

/// The end of a cookie that wants to live so long.
pub(super) fn until(time: SystemTime, now: SystemTime) -> Lifetime {
    if time <= now {
        return Lifetime::Over;
    }
    Lifetime::Until(now.checked_add(MAX_COOKIE_AGE).map_or(time, |latest| time.min(latest)))
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

fn trimmed_octets(mut octets: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = octets {
        octets = rest;
    }
    octets
}

/// The parts of a URL that decide which cookies it may set, and which it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CookieUrl {
    /// In lower case and in its ASCII form, without a dot at the end, an IPv6 address without
    /// brackets.
    pub(super) host: String,
    pub(super) path: String,
    /// https, and http to this very machine: others cannot read along.
    pub(super) is_secure: bool,
}

/// Which hosts get a cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CookieScope {
    /// This one alone.
    Host(String),
    /// This one and all below it.
    Domain(String),
}

impl CookieUrl {
    /// `None` for a URL that cookies are not for: another scheme, or no host that could be one.
    pub(super) fn of(url: &Uri) -> Option<CookieUrl> {
        let host = canonical_host(url.host()?);
        if !is_host(&host) {
            return None;
        }
        let is_secure = match url.scheme_str()? {
            "https" => true,
            // Browsers trust the way to the own machine, and so does Go.
            "http" => is_this_machine(&host),
            _ => return None,
        };
        Some(CookieUrl { host, path: url.path().to_owned(), is_secure })
    }

    /// The folder of the path (RFC 6265bis §5.1.4).
    pub(super) fn default_path(&self) -> &str {
        match self.path.rsplit_once('/') {
            Some((folder, _)) if folder.starts_with('/') => folder,
            _ => "/",
        }
    }
}

/// RFC 6265bis §5.1.2. International names are ASCII already: a `Uri` has no others.
pub(super) fn canonical_host(host: &str) -> String {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Whether this is an address, or a name whose labels all have something in them. What separates
/// the parts of a URL is no part of a name, nor are spaces and control characters.
pub(super) fn is_host(host: &str) -> bool {
    let is_name_byte = |byte: u8| byte.is_ascii_graphic() && !b"#%/:<>?@[\\]^|".contains(&byte);
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(is_name_byte);
    host.parse::<IpAddr>().is_ok() || host.split('.').all(is_label)
}

fn is_this_machine(host: &str) -> bool {
    let address = host.parse::<IpAddr>();
    host == "localhost" || host.ends_with(".localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Go calls all with a colon or a percent sign an address: no name has one.
pub(super) fn is_address(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok() || host.parse::<Ipv6Addr>().is_ok() || host.contains([':', '%'])
}

/// Which hosts a cookie is for that this host sets (RFC 6265bis §5.7, steps 8 to 10).
pub(super) fn scope(host: &str, domain: &str) -> Result<CookieScope, &'static str> {
    if domain.is_empty() || (domain == host && (is_address(host) || is_public_suffix(host))) {
        return Ok(CookieScope::Host(host.to_owned()));
    }
    if is_address(host) || !domain_matches(host, domain) {
        return Err("a cookie is for another domain than its sender's");
    }
    if holds_public_suffix(host, domain) {
        return Err("a cookie is for a public suffix");
    }
    Ok(CookieScope::Domain(domain.to_owned()))
}

/// Whether the cookie's domain is the host or lies above it (RFC 6265bis §5.1.3).
pub(super) fn domain_matches(host: &str, domain: &str) -> bool {
    host == domain
        || (!domain.is_empty()
            && !is_address(host)
            && host.strip_suffix(domain).is_some_and(|below| below.ends_with('.')))
}

/// Whether the path lies below the cookie's (RFC 6265bis §5.1.4).
pub(super) fn path_matches(path: &str, cookie: &str) -> bool {
    path.strip_prefix(cookie).is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}

/// The part of a name that belongs to one owner: what cookies are counted by. A public suffix, a
/// name of one label and an address are their own.
pub(super) fn site(host: &str) -> &str {
    if is_address(host) { host } else { psl::domain_str(host).unwrap_or(host) }
}

/// Whether anyone may have names below this one. What the list does not have ends with its last
/// label: `corp`, `localhost`.
pub(super) fn is_public_suffix(domain: &str) -> bool {
    psl::suffix_str(domain) == Some(domain)
}

/// Whether the domain is the public suffix of the host, or lies even above it: `*.kobe.jp` makes
/// `city.kobe.jp` a suffix and leaves `kobe.jp` a name like any.
fn holds_public_suffix(host: &str, domain: &str) -> bool {
    is_public_suffix(domain) || psl::suffix_str(host).is_none_or(|suffix| domain_matches(suffix, domain))
}

/// What a name promises (RFC 6265bis §5.7, steps 19 to 21), read without regard to case: servers
/// do so, or could.
pub(super) fn check_prefix(line: &SetCookie, scope: &CookieScope) -> Result<(), &'static str> {
    let name = if line.name.is_empty() { &line.value.text } else { &line.name };
    let has = |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
    let (is_secure_only, is_host_only) = (has("__Secure-"), has("__Host-"));
    if line.name.is_empty() && (is_secure_only || is_host_only) {
        return Err("a cookie without a name has a value that looks like a name");
    }
    if is_secure_only && !line.secure {
        return Err("a cookie named __Secure- is not secure");
    }
    let is_bound = line.secure && line.path == "/" && matches!(scope, CookieScope::Host(_));
    if is_host_only && !is_bound {
        return Err("a cookie named __Host- is not secure, or not for all of one host");
    }
    Ok(())
}
