//! Cookies: the type, its validation, and how it is written into a header.
//!
//! The writing is here, the reading in `read`, the dates in `date`. All of them use the rules at the end of
//! this file for the bytes that are allowed, so that what is written is read back. The rules are those of RFC
//! 6265bis for servers (§4.1) in Go's reading, which lets spaces and commas into values.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use super::header::Header;
use super::octets::is_token;
use crate::error::{Error, ErrorKind, Result};

mod date;
mod read;
#[cfg(test)]
mod tests;

#[cfg(all(feature = "client", feature = "cookies"))]
pub(crate) use date::read as read_cookie_date;
pub use read::{parse_cookie, parse_set_cookie};
pub(super) use read::{read_cookies, read_set_cookies};

/// A cookie: a name, a value, and attributes for the browser.
///
/// Write one as a literal over [`Cookie::new`]; fields may be added in later versions. On its
/// way out it is checked by [`set_cookie`] or [`Request::add_cookie`](crate::Request::add_cookie).
/// One that was read with a request has a name, a value and [`quoted`](Cookie::quoted) only:
/// browsers send nothing else.
///
/// A cookie can be read by all who can read a response or a log; `Debug` shows it too. Browsers ignore
/// a cookie whose name and value take more than 4,096 bytes together.
///
/// ```
/// use std::time::Duration;
///
/// use nethttp::cookie::SameSite;
/// use nethttp::{Cookie, Header, set_cookie};
///
/// let cookie = Cookie {
///     path: "/".into(),
///     max_age: Some(Duration::from_secs(3600)),
///     secure: true,
///     http_only: true,
///     same_site: SameSite::Lax,
///     ..Cookie::new("__Host-session", "31d4d96e407aad42")
/// };
/// let mut header = Header::new();
/// set_cookie(&mut header, &cookie)?;
/// assert_eq!(
///     header.get("Set-Cookie"),
///     Some("__Host-session=31d4d96e407aad42; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax")
/// );
/// # Ok::<(), nethttp::Error>(())
/// ```
// Not `#[non_exhaustive]`: that would forbid struct literals, which is how cookies are written in Go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cookie {
    /// The name, a token (RFC 9110 §5.6.2). Case matters.
    pub name: String,
    /// The value, without the quotes that it may stand in: printable ASCII, but no quote, no
    /// semicolon and no backslash. Encode what is anything else, for instance as base64.
    pub value: String,
    /// Whether the value stands in double quotes. It also does when it has a space or a comma.
    pub quoted: bool,
    /// The path below which the cookie is sent; empty leaves it to the browser, which takes the
    /// folder of the request's path.
    pub path: String,
    /// The host that gets the cookie, with all hosts below it; empty stands for the host that
    /// sets it alone. A leading dot means nothing and is not sent.
    pub domain: String,
    /// When the cookie ends; [`max_age`](Cookie::max_age) goes before it. Written in whole
    /// seconds. The years 1601 to 9999 can be said.
    pub expires: Option<SystemTime>,
    /// How long the cookie lives: `None` does not say (it ends with the browser's session where
    /// [`expires`](Cookie::expires) does not say either), zero deletes it now. Written in whole
    /// seconds, rounded up.
    ///
    /// A peer may send any number of seconds: add it to a time with `checked_add`.
    pub max_age: Option<Duration>,
    /// Whether the cookie is sent over secure connections only.
    pub secure: bool,
    /// Whether the cookie is kept from scripts.
    pub http_only: bool,
    /// Whether the cookie is kept apart for each site that embeds its host; this needs
    /// [`secure`](Cookie::secure).
    pub partitioned: bool,
    /// Whether the cookie goes along with requests that start on other sites.
    pub same_site: SameSite,
    /// Attributes that were not understood when the cookie was read, such as `Priority=High` or
    /// an `Expires` that is not a date. They are never written.
    pub unparsed: Vec<String>,
}

/// Whether a cookie goes along with requests that start on other sites.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SameSite {
    /// The cookie does not say; browsers take it for [`Lax`](SameSite::Lax) or nearly so.
    #[default]
    Default,
    /// Only when a user comes from there: by a link, not in a frame, an image or a POST.
    Lax,
    /// Never.
    Strict,
    /// Always. Browsers want [`secure`](Cookie::secure) with it.
    None,
}

impl Cookie {
    /// A cookie of this name and value that says nothing else.
    pub fn new(name: impl Into<String>, value: impl Into<String>) -> Cookie {
        Cookie { name: name.into(), value: value.into(), ..Cookie::default() }
    }

    /// Whether the cookie can be written without loss and will be taken by a browser (Go's
    /// `Valid`).
    ///
    /// Beyond Go it knows the prefixes of names (RFC 6265bis §4.1.3): `__Secure-` needs
    /// [`secure`](Cookie::secure); `__Host-` needs that too, the path `/`, and no domain.
    /// Browsers compare them without regard to case, so they are compared so here.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for the first field that is wrong, in this order: name, value,
    /// path, domain, expires, partitioned, and the prefix of the name. It names the field and
    /// says nothing of what is in it.
    ///
    /// ```
    /// use nethttp::Cookie;
    ///
    /// assert!(Cookie::new("theme", "dark").validate().is_ok());
    /// let error = Cookie::new("theme", "dark;blue").validate().unwrap_err();
    /// assert_eq!(error.to_string(), "a cookie's value has a byte that it must not have");
    /// ```
    pub fn validate(&self) -> Result<()> {
        self.validate_pair()?;
        refuse_first(&[
            (!self.path.bytes().all(is_path_byte), "a cookie's path has a byte that it must not have"),
            (!self.domain.is_empty() && !is_domain(&self.domain), "a cookie's domain is no domain"),
            (
                self.expires.is_some_and(|time| !date::can_be_written(time)),
                "a cookie expires before 1601 or after 9999",
            ),
            (self.partitioned && !self.secure, "a partitioned cookie has to be secure"),
            (has_prefix(&self.name, "__Secure-") && !self.secure, "a cookie named __Secure- has to be secure"),
            (has_prefix(&self.name, "__Host-") && !self.is_bound_to_host(), BAD_HOST),
        ])
    }

    fn validate_pair(&self) -> Result<()> {
        refuse_first(&[
            (!is_token(self.name.as_bytes()), BAD_NAME),
            (!self.value.bytes().all(is_value_byte), BAD_VALUE),
        ])
    }

    // RFC 6265bis §4.1.3.2: what the prefix promises to whoever reads the name.
    fn is_bound_to_host(&self) -> bool {
        self.secure && self.path == "/" && self.domain.is_empty()
    }
}

fn refuse_first(faults: &[(bool, &'static str)]) -> Result<()> {
    match faults.iter().find(|(is_so, _)| *is_so) {
        Some((_, fault)) => Err(Error::new(ErrorKind::Invalid, *fault)),
        None => Ok(()),
    }
}

const BAD_NAME: &str = "a cookie's name is no token";
const BAD_VALUE: &str = "a cookie's value has a byte that it must not have";
const BAD_HOST: &str = "a cookie named __Host- has to be secure, with the path / and without a domain";

/// Adds a `Set-Cookie` field line beside those that are there (Go's `SetCookie`).
///
/// A later cookie does not replace an earlier one of its name: browsers take the last.
///
/// # Errors
/// As [`Cookie::validate`]; nothing is added then. Go leaves such a cookie out silently, or
/// sends what is left of it.
///
/// ```
/// use nethttp::{Cookie, Request, ResponseWriter, Result, set_cookie};
///
/// async fn log_in(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
///     set_cookie(w.header(), &Cookie { http_only: true, ..Cookie::new("session", "31d4d96e") })?;
///     w.write("welcome\n").await
/// }
/// # let _ = nethttp::ServeMux::new().handle("/", log_in);
/// ```
pub fn set_cookie(header: &mut Header, cookie: &Cookie) -> Result<()> {
    cookie.validate()?;
    header.add("Set-Cookie", cookie.to_string());
    Ok(())
}

/// Joins the pair to those of the `Cookie` field. RFC 6265bis §5.8.1: a request has one such
/// field; where there are several already, they become one.
pub(super) fn add_cookie(header: &mut Header, cookie: &Cookie) -> Result<()> {
    cookie.validate_pair()?;
    let pair = Cookie { quoted: cookie.quoted, ..Cookie::new(&cookie.name, &cookie.value) };
    let mut line = Vec::new();
    for present in header.values_bytes("Cookie").filter(|value| !value.is_empty()) {
        line.extend_from_slice(present);
        line.extend_from_slice(b"; ");
    }
    line.extend_from_slice(pair.to_string().as_bytes());
    header.set("Cookie", line);
    Ok(())
}

impl fmt::Display for Cookie {
    /// The text of a `Set-Cookie` field; with name and value alone that is also the pair of a
    /// `Cookie` field (Go's `String`).
    ///
    /// A cookie that is [valid](Cookie::validate) is written whole. Of any other what is wrong
    /// is left out: bytes of value and path, a domain, a date. Without a name that is a token
    /// there is no text at all. So no cookie can begin a second field or attribute.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !is_token(self.name.as_bytes()) {
            return Ok(());
        }
        write_pair(self, f)?;
        write_scope(self, f)?;
        write_lifetime(self, f)?;
        write_flags(self, f)
    }
}

fn write_pair(cookie: &Cookie, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let quote = if cookie.quoted || cookie.value.contains([' ', ',']) { "\"" } else { "" };
    write!(f, "{}={quote}", cookie.name)?;
    write_allowed(&cookie.value, is_value_byte, f)?;
    f.write_str(quote)
}

fn write_scope(cookie: &Cookie, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if !cookie.path.is_empty() {
        f.write_str("; Path=")?;
        write_allowed(&cookie.path, is_path_byte, f)?;
    }
    // Not cleaned: half a domain is another domain. Without one the cookie is the host's alone.
    if is_domain(&cookie.domain) {
        write!(f, "; Domain={}", cookie.domain.strip_prefix('.').unwrap_or(&cookie.domain))?;
    }
    Ok(())
}

fn write_lifetime(cookie: &Cookie, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let Some(date) = cookie.expires.and_then(date::written) {
        write!(f, "; Expires={date}")?;
    }
    if let Some(age) = cookie.max_age {
        // Up: cut off, what lives for half a second would be deleted.
        let seconds = age.as_secs().saturating_add(u64::from(age.subsec_nanos() > 0));
        write!(f, "; Max-Age={seconds}")?;
    }
    Ok(())
}

fn write_flags(cookie: &Cookie, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let same_site = match cookie.same_site {
        SameSite::Default => "",
        SameSite::Lax => "; SameSite=Lax",
        SameSite::Strict => "; SameSite=Strict",
        SameSite::None => "; SameSite=None",
    };
    f.write_str(if cookie.http_only { "; HttpOnly" } else { "" })?;
    f.write_str(if cookie.secure { "; Secure" } else { "" })?;
    f.write_str(same_site)?;
    f.write_str(if cookie.partitioned { "; Partitioned" } else { "" })
}

fn write_allowed(text: &str, is_allowed: fn(u8) -> bool, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    text.split(|c| !u8::try_from(c).is_ok_and(is_allowed)).try_for_each(|piece| f.write_str(piece))
}

/// Whether the byte may stand in a value. RFC 6265bis §4.1.1 leaves out spaces and commas, yet
/// they are common: such a value is written in quotes.
fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b';' | b'\\')
}

/// Whether the byte may stand in a path, or in what is no attribute of ours (RFC 6265bis
/// §4.1.1: any character but controls and the semicolon).
fn is_path_byte(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b';'
}

/// Whether this can be a `Domain`: the name of a host, perhaps after a dot, or an IPv4 address.
fn is_domain(domain: &str) -> bool {
    is_host_name(domain) || domain.parse::<Ipv4Addr>().is_ok()
}

/// RFC 1034 §3.5 with RFC 1123 §2.1, and with a letter somewhere: without one it would be a malformed
/// address.
fn is_host_name(domain: &str) -> bool {
    let name = domain.strip_prefix('.').unwrap_or(domain);
    let name = name.strip_suffix('.').unwrap_or(name);
    domain.len() <= MAX_DOMAIN_BYTES
        && name.split('.').all(is_label)
        && name.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

const MAX_DOMAIN_BYTES: usize = 255;

fn has_prefix(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}
