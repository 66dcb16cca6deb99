//! TLS by rustls.

use std::sync::Arc;

use super::key::Offer;
use super::secure::{Secure, SecureFuture};
use super::transport::Transport;
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
pub(super) fn default_secure() -> Arc<dyn Secure> {
    Arc::new(TlsConnector::new(TlsConfig::new()))
}

impl Secure for TlsConnector {
    fn secure<'a>(&'a self, stream: Box<dyn Stream>, host: &'a str, offer: Offer) -> SecureFuture<'a> {
        let offer = match offer {
            Offer::Http1 => AlpnOffer::Http1,
            Offer::Negotiate => AlpnOffer::Http2OrHttp1,
            Offer::Http2 => AlpnOffer::Http2,
        };
        Box::pin(self.connect(stream, host, offer))
    }
}
