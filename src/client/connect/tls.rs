//! TLS by rustls.

use std::sync::Arc;

use super::key::{Offer, SecureFuture, SecureTransport};
use crate::net::{AlpnOffer, Stream, TlsConfig, TlsConnector};

/// TLS with the default settings.
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
