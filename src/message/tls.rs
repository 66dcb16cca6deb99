//! What a TLS session agreed on.

use bytes::Bytes;

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
