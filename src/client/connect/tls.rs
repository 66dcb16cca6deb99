//! TLS by rustls.

use std::sync::Arc;

use super::super::transport::Transport;
use super::key::Offer;
use super::secure::{SecureFuture, SecureTransport};
use crate::net::{AlpnOffer, Stream, TlsConfig, TlsConnector};

impl Transport {
    /// How TLS is done: whom to trust, what to show. Default: [`TlsConfig::new`]. Must be called
    /// before the first request.
    ///
    /// ```
    /// use nethttp::{TlsConfig, TlsVersion, Transport};
    ///
    /// let mut transport = Transport::new();
    /// transport.set_tls(TlsConfig::new().min_version(TlsVersion::Tls13));
    /// ```
    pub fn set_tls(&mut self, config: TlsConfig) {
        self.secure = Arc::new(TlsConnector::new(config));
    }
}

/// TLS as it is where nobody has said how.
pub(crate) fn default_secure() -> Arc<dyn SecureTransport> {
    Arc::new(TlsConnector::new(TlsConfig::new()))
}

impl SecureTransport for TlsConnector {
    fn secure<'a>(&'a self, stream: Box<dyn Stream>, host: &'a str, offer: Offer) -> SecureFuture<'a> {
        let offer = match offer {
            Offer::Http1 => AlpnOffer::Http1,
            Offer::Negotiate => AlpnOffer::Http2OrHttp1,
            Offer::Http2 => AlpnOffer::Http2,
        };
        Box::pin(self.connect(stream, host, offer))
    }
}
