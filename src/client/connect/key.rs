//! The key of connections that requests can share, and the interface to TLS.

use std::cmp::Ordering;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::{fmt, ptr};

use http::Uri;
use http::uri::Authority;

use super::super::pool::PoolKey;
use super::super::proxy::ProxyUrl;
use super::super::url::is_normal_authority;
use crate::error::{Error, ErrorKind, Result};
use crate::message::TlsInfo;
use crate::net::Stream;

/// Scheme, authority and proxy, and which protocols are offered. Plain HTTP through an HTTP proxy
/// has no authority: one connection to the proxy serves every host.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) scheme: Scheme,
    /// Without user and password, without the scheme's own port, and in lower case.
    pub(crate) authority: Option<Authority>,
    pub(crate) proxy: Option<Arc<ProxyUrl>>,
    pub(crate) offer: Offer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// The protocols that a connection may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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
    if is_normal_authority(uri.scheme_str().unwrap_or_default(), authority.as_str()) {
        return Ok(authority.clone());
    }
    if authority.host().is_empty() {
        return Err(no_host());
    }
    let port_is_own = authority.port_u16() == Some(scheme.port());
    let port = authority.port_u16().filter(|_| !port_is_own).map(|port| format!(":{port}")).unwrap_or_default();
    let normal = format!("{}{port}", authority.host().to_ascii_lowercase());
    Authority::try_from(normal).map_err(|error| Error::new(ErrorKind::Invalid, "the URL's host").with_source(error))
}

impl Key {
    /// What is compared: first what most keys differ in. The authority is compared as bytes:
    /// `Authority` itself compares letter by letter, ignoring case, and here all are in lower case.
    fn parts(&self) -> impl Ord {
        let proxy = self.proxy.as_deref().map(ProxyUrl::parts);
        (self.authority.as_ref().map(Authority::as_str), self.scheme, self.offer, proxy)
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Key) -> Ordering {
        // A connection that is given back has a reference to the very key that the pool has: most
        // comparisons end here.
        if ptr::eq(self, other) { Ordering::Equal } else { self.parts().cmp(&other.parts()) }
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Key) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Key) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Key {}

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

/// Makes TLS sessions. A feature may not add a field to `Transport`, so it has this trait object in every
/// build; without TLS its handshake is an error that says so.
pub(crate) trait SecureTransport: Send + Sync + 'static {
    /// A session with this host over this stream. Dropped, it drops the stream.
    fn secure<'a>(&'a self, stream: Box<dyn Stream>, host: &'a str, offer: Offer) -> SecureFuture<'a>;
}

pub(crate) type SecureFuture<'a> = Pin<Box<dyn Future<Output = Result<(Box<dyn Stream>, Arc<TlsInfo>)>> + Send + 'a>>;

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(text: &str) -> String {
        let uri = Uri::try_from(text).unwrap();
        let scheme = Scheme::of(&uri).unwrap();
        authority_of(&uri, scheme).unwrap().as_str().to_owned()
    }

    #[test]
    fn however_an_authority_is_written_it_makes_one_key() {
        for (text, expected) in [
            ("http://a.test", "a.test"),
            ("http://A.Test:80", "a.test"),
            ("http://a.test:", "a.test"),
            ("http://a.test:080", "a.test"),
            ("http://a.test:443", "a.test:443"),
            ("https://a.test:443", "a.test"),
            ("https://a.test:80", "a.test:80"),
            ("http://a.test:8080", "a.test:8080"),
            ("http://user:80@a.test", "a.test"),
            ("http://user@a.test:81", "a.test:81"),
            ("http://[::80]", "[::80]"),
            ("http://[::1]:80", "[::1]"),
            ("http://[::AB]:81", "[::ab]:81"),
            ("http://127.0.0.1:9", "127.0.0.1:9"),
        ] {
            assert_eq!(key_of(text), expected, "{text}");
        }
    }

    #[test]
    fn keys_that_differ_in_one_thing_are_two() {
        let proxy = |url| Some(Arc::new(ProxyUrl::parse(url).unwrap()));
        let authority = || Some(Authority::from_static("a.test"));
        let plain = Key { scheme: Scheme::Http, authority: authority(), proxy: None, offer: Offer::Http1 };
        let keys = [
            plain.clone(),
            Key { scheme: Scheme::Https, ..plain.clone() },
            Key { authority: None, ..plain.clone() },
            Key { authority: Some(Authority::from_static("b.test")), ..plain.clone() },
            Key { offer: Offer::Negotiate, ..plain.clone() },
            Key { proxy: proxy("http://p.test"), ..plain.clone() },
            Key { proxy: proxy("https://p.test:80"), ..plain.clone() },
            Key { proxy: proxy("http://p.test:81"), ..plain.clone() },
            Key { proxy: proxy("http://q.test"), ..plain.clone() },
            Key { proxy: proxy("http://u@p.test"), ..plain.clone() },
            Key { proxy: proxy("http://u:p@p.test"), ..plain.clone() },
        ];
        for (at, key) in keys.iter().enumerate() {
            let same: Vec<_> = keys.iter().map(|other| other.clone() == *key).collect();
            assert_eq!(same.iter().filter(|same| **same).count(), 1, "{key:?}");
            assert!(same[at], "{key:?}");
            assert!(keys.iter().all(|other| other.cmp(key) == key.cmp(other).reverse()), "{key:?}");
        }
    }
}
