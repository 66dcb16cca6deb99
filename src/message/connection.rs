//! Properties of a connection: the addresses of its ends, its TLS session, and the protocols that it may
//! speak.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

/// One end of a connection: an internet address, a Unix socket, or a name that a user's own listener
/// gives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Addr {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A Unix socket; a client's end usually has no path.
    Unix(Option<Arc<Path>>),
    /// Anything else, named by the listener.
    Named(Arc<str>),
}

impl Addr {
    /// The end of a stream whose address is not known.
    pub(crate) fn unknown() -> Addr {
        Addr::Unix(None)
    }

    /// The address of a socket. A listener on `[::]` reports peers that came over IPv4 as IPv4-mapped
    /// IPv6 addresses (RFC 4291 §2.5.5.2). They are turned back into IPv4 addresses, as in Go, so that
    /// logs and address lists need to handle one form only.
    pub(crate) fn of_socket(addr: SocketAddr) -> Addr {
        Addr::Tcp(SocketAddr::new(addr.ip().to_canonical(), addr.port()))
    }

    /// Whether this is the wildcard address (`0.0.0.0`, `::`) of a listener on all interfaces. No connection
    /// has such an address.
    pub(crate) fn is_wildcard(&self) -> bool {
        self.ip().is_some_and(|ip| ip.is_unspecified())
    }

    /// The IP address, where there is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Addr::Tcp(addr) => Some(addr.ip()),
            _ => None,
        }
    }

    /// The port, where there is one.
    pub fn port(&self) -> Option<u16> {
        match self {
            Addr::Tcp(addr) => Some(addr.port()),
            _ => None,
        }
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Addr::Tcp(addr) => addr.fmt(f),
            Addr::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            Addr::Unix(None) => f.write_str("unix:"),
            Addr::Named(name) => f.write_str(name),
        }
    }
}

impl From<SocketAddr> for Addr {
    fn from(addr: SocketAddr) -> Addr {
        Addr::Tcp(addr)
    }
}

/// The TLS session that a request or a response came over (Go's `tls.ConnectionState`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsInfo {
    /// The version of the protocol.
    pub version: TlsVersion,
    /// The cipher suite, by its registered name.
    pub cipher_suite: &'static str,
    /// The protocol that ALPN chose (`h2`, `http/1.1`); `None` where none was negotiated.
    pub alpn: Option<Bytes>,
    /// The name that the client asked for (SNI). On a client, the name that was verified.
    pub server_name: Option<Box<str>>,
    /// The peer's certificates in DER, its own first. Empty where it sent none.
    pub peer_certificates: Vec<Bytes>,
    /// Whether an earlier session was resumed.
    pub resumed: bool,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    Tls12,
    /// TLS 1.3 (RFC 8446).
    Tls13,
}

/// Which protocols a server speaks (Go's `Protocols`). All of them by default.
///
/// ```
/// use nethttp::server::Protocols;
///
/// let only_http1 = Protocols { http2: false, unencrypted_http2: false, ..Protocols::default() };
/// assert!(only_http1.http1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Protocols {
    /// HTTP/1.0 and HTTP/1.1, with TLS and without.
    pub http1: bool,
    /// HTTP/2 over TLS, where both sides agree on it (ALPN).
    pub http2: bool,
    /// HTTP/2 without TLS, by prior knowledge (RFC 9113 §3.3): a server recognises it by its first
    /// bytes.
    pub unencrypted_http2: bool,
}

impl Default for Protocols {
    fn default() -> Protocols {
        Protocols { http1: true, http2: true, unencrypted_http2: true }
    }
}
