//! Serving over TLS.

use std::path::Path;

use super::handler::Handler;
use super::server::Server;
use crate::error::Result;
use crate::message::Protocols;
use crate::net::{Listener, TlsServerConfig};

/// The protocols that are spoken over TLS (ALPN, RFC 7301), the preferred one first.
fn spoken(protocols: Protocols) -> Vec<&'static [u8]> {
    let Protocols { http1, http2, .. } = protocols;
    [(http2, &b"h2"[..]), (http1, b"http/1.1")]
        .into_iter()
        .filter_map(|(spoken, name)| spoken.then_some(name))
        .collect()
}

impl Server {
    /// Serves the connections of a listener over TLS (Go's `ServeTLS`), otherwise as
    /// [`serve`](Self::serve) does. May be called beside it, for another listener.
    ///
    /// A handshake runs in its connection's task and counts against
    /// [`read_header_timeout`](Self::read_header_timeout): a peer that stalls in it delays nobody.
    /// Those that fail are reported as [`ServerEvent::HandshakeFailed`](crate::server::ServerEvent). A request
    /// without TLS is refused with 400 and a text that says so.
    ///
    /// # Errors
    /// As [`serve`](Self::serve); [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) at once for a
    /// configuration that cannot work.
    pub async fn serve_tls(&self, listener: impl Listener, config: &TlsServerConfig) -> Result<()> {
        let secure = config.acceptor(&spoken(self.protocols))?;
        self.serve_secured(listener, Some(secure)).await
    }

    /// Listens on [`addr`](Self::addr), port 443 where it is empty, and serves over TLS until the
    /// server is shut down (Go's `ListenAndServeTLS`).
    ///
    /// # Errors
    /// As [`serve_tls`](Self::serve_tls) and [`listen_and_serve`](Self::listen_and_serve).
    pub async fn listen_and_serve_tls(&self, config: &TlsServerConfig) -> Result<()> {
        let secure = config.acceptor(&spoken(self.protocols))?;
        let addr = if self.addr.is_empty() { ":443" } else { &self.addr };
        self.listen_and_serve_secured(addr, Some(secure)).await
    }

    /// Serves over TLS as [`serve_per_core`](Self::serve_per_core) does in the clear. The threads
    /// share the configuration, so that a session of one can be resumed on another.
    ///
    /// # Errors
    /// As [`serve_tls`](Self::serve_tls) and [`serve_per_core`](Self::serve_per_core).
    pub fn serve_tls_per_core(&self, count: usize, config: &TlsServerConfig) -> Result<()> {
        let secure = config.acceptor(&spoken(self.protocols))?;
        self.serve_secured_per_core(count, Some(&secure))
    }
}

/// Listens on an address and serves a handler over TLS, with the certificate and the key of these
/// PEM files and the default settings (Go's `ListenAndServeTLS`). `None` serves the process-wide
/// mux.
///
/// ```no_run
/// # use nethttp::{Request, ResponseWriter, listen_and_serve_tls};
/// # async fn run() -> nethttp::Result<()> {
/// let hello = async |w: &mut ResponseWriter, _: &mut Request| w.write("hello\n").await;
/// listen_and_serve_tls("127.0.0.1:8443", "site.pem", "site.key", hello).await
/// # }
/// ```
///
/// # Errors
/// As [`TlsServerConfig::from_pem_files`] and [`Server::listen_and_serve_tls`].
pub async fn listen_and_serve_tls(
    addr: impl Into<String>,
    certificate: impl AsRef<Path>,
    key: impl AsRef<Path>,
    handler: impl Handler,
) -> Result<()> {
    let config = TlsServerConfig::from_pem_files(certificate, key)?;
    let mut server = Server::new(handler);
    server.addr = addr.into();
    server.listen_and_serve_tls(&config).await
}

/// Serves a handler on a listener over TLS with the default settings (Go's `ServeTLS`).
///
/// # Errors
/// As [`Server::serve_tls`].
pub async fn serve_tls(listener: impl Listener, config: &TlsServerConfig, handler: impl Handler) -> Result<()> {
    Server::new(handler).serve_tls(listener, config).await
}
