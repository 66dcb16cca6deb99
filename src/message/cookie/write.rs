//! Cookies as text: a pair for `Cookie`, a pair with attributes for `Set-Cookie`.

use std::fmt;

use super::{Cookie, SameSite, date, is_domain, is_path_byte, is_value_byte};
use crate::message::octets::is_token;

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
