//! The client's handshake.

use std::sync::Arc;

use rustls::ClientConfig;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use super::config::TlsConfig;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::message::TlsInfo;
use crate::net::Stream;
use crate::net::tls::error::{Peer, handshake_failed, tls_error};
use crate::net::tls::peek::Peek;
use crate::net::tls::session::{TlsSession, info};

/// Which protocols are offered (ALPN, RFC 7301), the preferred one first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum AlpnOffer {
    Http2OrHttp1,
    Http1,
    Http2,
}

/// Makes sessions by one configuration, which is built when the first is made. Clones share it, and
/// the sessions that can be resumed.
#[derive(Clone, Debug)]
pub(crate) struct TlsConnector(Arc<ConnectorConfig>);

#[derive(Debug)]
struct ConnectorConfig {
    config: TlsConfig,
    built: OnceCell<Arc<ClientConfig>>,
}

impl TlsConnector {
    pub(crate) fn new(config: TlsConfig) -> TlsConnector {
        TlsConnector(Arc::new(ConnectorConfig { config, built: OnceCell::new() }))
    }

    /// Does the handshake with this host, a name or an address without its port. It has no
    /// deadline of its own; dropping it drops the stream.
    pub(crate) async fn connect(
        &self,
        stream: Box<dyn Stream>,
        host: &str,
        alpn: AlpnOffer,
    ) -> Result<(Box<dyn Stream>, Arc<TlsInfo>)> {
        let name = self.0.config.name_for(host)?;
        let config = self.built().await?;
        let connector = tokio_rustls::TlsConnector::from(config.clone());
        let offer = alpn.among(&config.alpn_protocols);
        let connecting = connector.with_alpn(offer).connect(name.clone(), Peek::new(stream));
        match connecting.into_fallible().await {
            Ok(stream) => {
                let info = info(stream.get_ref().1, Some(&name.to_str()));
                Ok((TlsSession::boxed(stream, Peer::Server), Arc::new(info)))
            }
            Err((_, stream)) if stream.first() == b"HTTP/" => {
                // Go's words (ErrSchemeMismatch).
                Err(tls_error("server gave HTTP response to HTTPS client").during(Phase::Tls))
            }
            Err((error, _)) => Err(handshake_failed(Peer::Server, error)),
        }
    }

    async fn built(&self) -> Result<&Arc<ClientConfig>> {
        let build = || async {
            let shared = self.0.clone();
            match spawn_blocking(move || shared.config.build()).await {
                Ok(built) => built.map_err(|error| error.during(Phase::Tls)),
                Err(stopped) => Err(Error::new(ErrorKind::Tls, "the roots were not loaded").with_source(stopped)),
            }
        };
        self.0.built.get_or_try_init(build).await
    }
}

impl AlpnOffer {
    /// The list to offer, where the configuration has entries of its own: they stay, behind ours.
    fn among(self, own: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let offered: &[&[u8]] = match self {
            AlpnOffer::Http2OrHttp1 => &[H2, HTTP_11],
            AlpnOffer::Http1 => &[HTTP_11],
            AlpnOffer::Http2 => &[H2],
        };
        let others = own.iter().filter(|protocol| ![H2, HTTP_11].contains(&protocol.as_slice()));
        offered.iter().map(|protocol| protocol.to_vec()).chain(others.cloned()).collect()
    }
}

const H2: &[u8] = b"h2";
const HTTP_11: &[u8] = b"http/1.1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_offered_is_chosen_here_and_foreign_entries_stay() {
        let own = [b"http/1.1".to_vec(), b"acme/1".to_vec(), b"h2".to_vec()];
        let list = |offer: AlpnOffer, own: &[Vec<u8>]| {
            offer.among(own).iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(list(AlpnOffer::Http2OrHttp1, &[]), "h2 http/1.1");
        assert_eq!(list(AlpnOffer::Http1, &own), "http/1.1 acme/1");
        assert_eq!(list(AlpnOffer::Http2, &own), "h2 acme/1");
    }
}
