//! Which versions of HTTP are spoken.

/// Which protocols a server speaks (Go's `Protocols`). All of them by default.
///
/// ```
/// use nethttp::Protocols;
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
    /// HTTP/2 without TLS, by prior knowledge (RFC 9113 §3.3): on a server's port it is told from
    /// HTTP/1 by its first bytes.
    pub unencrypted_http2: bool,
}

impl Default for Protocols {
    fn default() -> Protocols {
        Protocols { http1: true, http2: true, unencrypted_http2: true }
    }
}
