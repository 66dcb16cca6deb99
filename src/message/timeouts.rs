//! A request's own time limits.

use std::time::Duration;

/// Time limits of one request, in place of its client's. `None` is the client's or transport's
/// own; `Some(Duration::ZERO)` is no limit. They matter to a client alone.
///
/// ```
/// use std::time::Duration;
/// use nethttp::{Body, Method, Request, Timeouts, Uri};
///
/// let mut request = Request::new(Method::GET, Uri::from_static("http://example.com/slow"), Body::empty());
/// request.timeouts = Timeouts { response_header: Some(Duration::from_secs(600)), ..Timeouts::default() };
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// From the call to the last byte of the response's body, redirects included.
    pub total: Option<Duration>,
    /// To resolve the name and to connect, proxies included, TLS excluded.
    pub connect: Option<Duration>,
    /// The TLS handshake.
    pub tls_handshake: Option<Duration>,
    /// From the request's last byte to the end of the response's head.
    pub response_header: Option<Duration>,
    /// How long a body waits for `100 Continue` before it is sent anyway.
    pub expect_continue: Option<Duration>,
    /// The longest pause while the request's body is taken or the response's body comes.
    pub stall: Option<Duration>,
}
