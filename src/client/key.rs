//! What connections are kept by: requests of one key can share them.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use http::Uri;
use http::uri::Authority;

use super::pool::PoolKey;
use super::proxy::ProxyUrl;
use crate::error::{Error, ErrorKind, Result};

/// Scheme, authority and proxy, and which protocols are offered. Plain HTTP through an HTTP proxy
/// has no authority: one connection to the proxy serves every host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) scheme: Scheme,
    /// Without user and password, and without the scheme's own port.
    pub(crate) authority: Option<Authority>,
    pub(crate) proxy: Option<Arc<ProxyUrl>>,
    pub(crate) offer: Offer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// The protocols that a connection may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Offer {
    Http1,
    /// HTTP/2 where the server chooses it in the TLS handshake, else HTTP/1.1.
    Negotiate,
    /// HTTP/2 without asking.
    Http2,
}

impl Scheme {
    pub(crate) fn of(uri: &Uri) -> Result<Scheme> {
        match uri.scheme_str() {
            Some("http") => Ok(Scheme::Http),
            Some("https") => Ok(Scheme::Https),
            Some(_) => Err(Error::new(ErrorKind::Invalid, "the URL's scheme is neither http nor https")),
            None => Err(Error::new(ErrorKind::Invalid, "the URL has no scheme")),
        }
    }

    pub(crate) fn port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

impl Key {
    /// Where the connection goes to in the end, with the port: `host:port`.
    pub(crate) fn host_port(&self) -> String {
        match (&self.authority, &self.proxy) {
            (Some(authority), _) => with_port(authority, self.scheme),
            (None, Some(proxy)) => format!("{}:{}", proxy.host(), proxy.port()),
            (None, None) => String::new(),
        }
    }
}

/// The authority with its port, the scheme's own where it names none.
pub(crate) fn with_port(authority: &Authority, scheme: Scheme) -> String {
    format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(scheme.port()))
}

/// The authority of a URL as a key has it.
pub(crate) fn authority_of(uri: &Uri, scheme: Scheme) -> Result<Authority> {
    let no_host = || Error::new(ErrorKind::Invalid, "the URL has no host");
    let authority = uri.authority().ok_or_else(no_host)?;
    if authority.host().is_empty() {
        return Err(no_host());
    }
    let text = authority.as_str();
    let bare = text.rsplit_once('@').map_or(text, |(_, bare)| bare);
    let port_is_own = authority.port_u16() == Some(scheme.port());
    let has_upper = text.bytes().any(|b| b.is_ascii_uppercase());
    // `host:` names no port either.
    if bare.len() == text.len() && !port_is_own && !has_upper && !text.ends_with(':') {
        return Ok(authority.clone());
    }
    let port = authority.port_u16().filter(|_| !port_is_own).map(|port| format!(":{port}")).unwrap_or_default();
    let normal = format!("{}{port}", authority.host().to_ascii_lowercase());
    Authority::try_from(normal).map_err(|error| Error::new(ErrorKind::Invalid, "the URL's host").with_source(error))
}

/// As [`Authority`]'s own, which goes from letter to letter, as they may differ in case: here they
/// do not ([`authority_of`]).
impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Key { scheme, authority, proxy, offer } = self;
        (scheme, authority.as_ref().map(Authority::as_str), proxy, offer).hash(state);
    }
}

impl PoolKey for Key {
    fn may_share(&self) -> bool {
        self.offer != Offer::Http1
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.host_port())
    }
}
