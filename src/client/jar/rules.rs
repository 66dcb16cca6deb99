//! Who may set a cookie for whom, and who gets it (RFC 6265bis §5.1, §5.7).

use std::net::{IpAddr, Ipv6Addr};

use http::Uri;

use super::set_cookie::SetCookie;

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
    let name = if line.name.is_empty() { &line.value } else { &line.name };
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
