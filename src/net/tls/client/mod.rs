//! The client's side of TLS: whom it trusts, what it shows, and the handshake. Nothing is loaded or
//! checked against the system before the first connection.

mod roots;
#[cfg(test)]
#[cfg(all(feature = "server", feature = "tls-aws-lc"))]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, KeyLogFile, SignatureScheme};
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

pub use roots::TlsRoots;

use crate::error::{Error, ErrorKind, Phase, Result};
use crate::message::{TlsInfo, TlsVersion};
use crate::net::Stream;
use crate::net::tls::certificate::{Certificate, certificates_in, invalid, read};
use crate::net::tls::error::{Peer, handshake_failed, tls_error};
use crate::net::tls::peek::Peek;
use crate::net::tls::provider;
use crate::net::tls::session::{TlsSession, info};

/// How a client does TLS (Go's `Transport.TLSClientConfig`).
///
/// The default trusts whom the system trusts, from TLS 1.2 on, with sessions resumed and, where
/// the provider can, a key exchange that withstands quantum computers.
///
/// ```no_run
/// use nethttp::tls::{Certificate, TlsConfig};
///
/// let tls = TlsConfig::new()
///     .add_root_pem_file("company-ca.pem")?
///     .client_certificate(Certificate::from_pem_files("me.pem", "me.key")?);
/// # Ok::<(), nethttp::Error>(())
/// ```
#[derive(Clone)]
pub struct TlsConfig {
    roots: TlsRoots,
    extra_roots: Vec<CertificateDer<'static>>,
    check: Check,
    certificate: Option<Certificate>,
    min_version: TlsVersion,
    server_name: Option<Box<str>>,
    key_log: KeyLog,
    provider: Option<Arc<CryptoProvider>>,
    ready_made: Option<Arc<ClientConfig>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    /// Chain, dates and name.
    Whole,
    /// Only that the server has the key of the certificate that it shows.
    KeyOnly,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeyLog {
    Off,
    FromEnvironment,
}

impl TlsConfig {
    /// The defaults.
    pub fn new() -> TlsConfig {
        TlsConfig {
            roots: TlsRoots::default(),
            extra_roots: Vec::new(),
            check: Check::Whole,
            certificate: None,
            min_version: TlsVersion::Tls12,
            server_name: None,
            key_log: KeyLog::Off,
            provider: None,
            ready_made: None,
        }
    }

    /// Whose roots are trusted. Default: the system's.
    ///
    /// They are loaded when a connection first needs them, once for the process. A system without
    /// any (a container without the package `ca-certificates`) fails that connection with an
    /// error that says so.
    #[must_use]
    pub fn roots(mut self, roots: TlsRoots) -> TlsConfig {
        self.roots = roots;
        self
    }

    /// Trusts the certificates of a PEM text as well.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) without a well-formed certificate in it.
    pub fn add_root_pem(mut self, text: impl AsRef<[u8]>) -> Result<TlsConfig> {
        self.extra_roots.extend(certificates_in(text.as_ref())?);
        Ok(self)
    }

    /// Trusts the certificates of a PEM file as well.
    ///
    /// # Errors
    /// As [`add_root_pem`](Self::add_root_pem), and [`ErrorKind::Io`](crate::ErrorKind::Io) when
    /// it cannot be read.
    pub fn add_root_pem_file(self, path: impl AsRef<Path>) -> Result<TlsConfig> {
        self.add_root_pem(read(path.as_ref())?)
    }

    /// Trusts a certificate in DER as well. Whether it is one is found at the first connection.
    #[must_use]
    pub fn add_root_der(mut self, certificate: impl Into<Vec<u8>>) -> TlsConfig {
        self.extra_roots.push(CertificateDer::from(certificate.into()));
        self
    }

    /// Shows this certificate to servers that ask for one.
    #[must_use]
    pub fn client_certificate(mut self, certificate: Certificate) -> TlsConfig {
        self.certificate = Some(certificate);
        self
    }

    /// Accepts every certificate: of any issuer, for any name, of any date (Go's `InsecureSkipVerify`).
    /// An attacker on the way to the server can then read and change all that is sent. For tests; else
    /// add the server's certificate as a root.
    #[must_use]
    pub fn danger_accept_invalid_certs(mut self, accept: bool) -> TlsConfig {
        self.check = if accept { Check::KeyOnly } else { Check::Whole };
        self
    }

    /// The lowest version that is spoken. Default: TLS 1.2.
    #[must_use]
    pub fn min_version(mut self, version: TlsVersion) -> TlsConfig {
        self.min_version = version;
        self
    }

    /// The name that every server is asked for and must prove, in place of the host of the URL
    /// (Go's `ServerName`).
    #[must_use]
    pub fn server_name(mut self, name: impl Into<Box<str>>) -> TlsConfig {
        self.server_name = Some(name.into());
        self
    }

    /// Writes the keys of all sessions to the file that the environment variable `SSLKEYLOGFILE`
    /// names, so that a recording of the traffic can be read. Default: no.
    #[must_use]
    pub fn key_log(mut self, wanted: bool) -> TlsConfig {
        self.key_log = if wanted { KeyLog::FromEnvironment } else { KeyLog::Off };
        self
    }

    /// The provider of cryptography, in place of the one that the features choose. Needed with
    /// `tls-no-provider` alone.
    #[must_use]
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> TlsConfig {
        self.provider = Some(provider);
        self
    }

    /// Takes a configuration of rustls 0.23 as it is; all settings here but
    /// [`server_name`](Self::server_name) are then of no effect. Protocols in its ALPN list other
    /// than `h2` and `http/1.1` are offered after those.
    pub fn from_rustls_0_23(config: Arc<ClientConfig>) -> TlsConfig {
        TlsConfig { ready_made: Some(config), ..TlsConfig::new() }
    }

    /// The name to ask for and to verify, on a connection to this host.
    pub(super) fn name_for(&self, host: &str) -> Result<ServerName<'static>> {
        let name = self.server_name.as_deref().unwrap_or(host);
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        // A name may be written with its root (RFC 1034 §3.1); certificates never have it.
        let bare = bare.strip_suffix('.').unwrap_or(bare);
        let parsed = ServerName::try_from(bare.to_owned());
        parsed.map_err(|_| invalid(format!("{name:?} is no name of a server")).during(Phase::Tls))
    }

    /// The configuration for rustls. Reads files: not to be called where nothing may block.
    pub(super) fn build(&self) -> Result<Arc<ClientConfig>> {
        if let Some(ready_made) = &self.ready_made {
            return Ok(ready_made.clone());
        }
        let provider = provider::chosen(self.provider.as_ref())?;
        let verifier = match self.check {
            Check::Whole => roots::verifier(self.roots, &self.extra_roots, &provider)?,
            Check::KeyOnly => Arc::new(KeyOnly(provider.clone())),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(provider::versions_from(self.min_version))
            .map_err(|error| invalid("the provider of cryptography lacks a version of TLS").with_source(error))?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some(certificate) => {
                certificate.certified(builder.crypto_provider())?;
                let (chain, key) = certificate.to_rustls();
                let built = builder.with_client_auth_cert(chain, key);
                built.map_err(|error| invalid("the client certificate cannot be used").with_source(error))?
            }
        };
        if self.key_log == KeyLog::FromEnvironment {
            config.key_log = Arc::new(KeyLogFile::new());
        }
        Ok(Arc::new(config))
    }
}

impl Default for TlsConfig {
    fn default() -> TlsConfig {
        TlsConfig::new()
    }
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("roots", &self.roots)
            .field("extra_roots", &self.extra_roots.len())
            .field("check", &self.check)
            .field("certificate", &self.certificate)
            .field("min_version", &self.min_version)
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

/// Asks for nothing but the key of the certificate.
#[derive(Debug)]
struct KeyOnly(Arc<CryptoProvider>);

impl ServerCertVerifier for KeyOnly {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

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
                // The text of Go's `ErrSchemeMismatch`.
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
    /// The list to offer, where the configuration has entries of its own: they stay, after ours.
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
