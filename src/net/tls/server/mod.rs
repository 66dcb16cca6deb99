//! The server's side of TLS: what it wants of a session, which certificate is shown, who may come in, and the
//! handshake.

mod certificates;

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::BytesMut;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{KeyLogFile, RootCertStore, ServerConfig};

use certificates::Certificates;

use crate::error::{Error, ErrorKind, Result};
use crate::message::TlsVersion;
use crate::net::Stream;
use crate::net::stream::{NoSession, Rewind, Secured, Securing, TlsAccept, Unsecured};
use crate::net::tls::certificate::{Certificate, certificates_in, invalid, read};
use crate::net::tls::error::{Peer, handshake_failed};
use crate::net::tls::peek::Peek;
use crate::net::tls::provider;
use crate::net::tls::session::{TlsSession, info};

/// How a server does TLS (Go's `Server.TLSConfig`).
///
/// The default speaks TLS 1.2 and 1.3, resumes sessions, asks clients for no certificate and,
/// where the provider can, exchanges keys in a way that withstands quantum computers.
///
/// Clones share their certificates: keep one to [`reload`](Self::reload) them while the server
/// runs.
///
/// ```no_run
/// use nethttp::tls::{Certificate, TlsServerConfig};
/// use nethttp::Server;
/// # async fn run(server: Server) -> nethttp::Result<()> {
/// let listener = tokio::net::TcpListener::bind("0.0.0.0:443").await?;
/// let tls = TlsServerConfig::new([
///     Certificate::from_pem_files("example.com.pem", "example.com.key")?, // where no name fits
///     Certificate::from_pem_files("example.org.pem", "example.org.key")?,
/// ])?;
/// let renewed = tls.clone();
/// tokio::spawn(async move {
///     // …when there are new ones:
///     renewed.reload_pem_files("example.com.pem", "example.com.key")
/// });
/// server.serve_tls(listener, &tls).await
/// # }
/// ```
#[derive(Clone)]
pub struct TlsServerConfig(Kind);

#[derive(Clone)]
enum Kind {
    Described(Described),
    ReadyMade(Arc<ServerConfig>),
}

#[derive(Clone)]
struct Described {
    provider: Arc<CryptoProvider>,
    certificates: Arc<Certificates>,
    client_auth: ClientAuth,
    client_roots: Vec<CertificateDer<'static>>,
    min_version: TlsVersion,
    logs_keys: bool,
}

/// Whether a server asks its clients for certificates (Go's `ClientAuthType`). Those that are
/// shown are verified in either case, and are in [`Request::tls`](crate::Request::tls).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ClientAuth {
    /// They are not asked for.
    #[default]
    None,
    /// A client may come without one (Go's `VerifyClientCertIfGiven`).
    Optional,
    /// A client must show one (Go's `RequireAndVerifyClientCert`).
    Required,
}

impl TlsServerConfig {
    /// Shows these certificates, each to the clients that ask for one of its names (SNI, with
    /// wildcards); the first one where no name fits or none is asked for. Of several for one name
    /// the first is shown whose key the client can deal with.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] for none at all, and for a certificate that is malformed or whose key
    /// is another's; [`ErrorKind::Unsupported`] where no feature has chosen a provider.
    pub fn new(certificates: impl IntoIterator<Item = Certificate>) -> Result<TlsServerConfig> {
        TlsServerConfig::with_provider(provider::chosen(None)?, certificates)
    }

    /// The same with the cryptography of this provider: needed with `tls-no-provider` alone.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_provider(
        provider: Arc<CryptoProvider>,
        certificates: impl IntoIterator<Item = Certificate>,
    ) -> Result<TlsServerConfig> {
        let certificates = Certificates::new(&provider, certificates)?;
        Ok(TlsServerConfig(Kind::Described(Described {
            provider,
            certificates: Arc::new(certificates),
            client_auth: ClientAuth::None,
            client_roots: Vec::new(),
            min_version: TlsVersion::Tls12,
            logs_keys: false,
        })))
    }

    /// One certificate from PEM files; see [`Certificate::from_pem_files`].
    ///
    /// # Errors
    /// As that and [`new`](Self::new).
    pub fn from_pem_files(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<TlsServerConfig> {
        TlsServerConfig::new([Certificate::from_pem_files(certificate, key)?])
    }

    /// One certificate from PEM texts; see [`Certificate::from_pem`].
    ///
    /// # Errors
    /// As that and [`new`](Self::new).
    pub fn from_pem(certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<TlsServerConfig> {
        TlsServerConfig::new([Certificate::from_pem(certificate, key)?])
    }

    /// Takes a configuration of rustls 0.23. All settings here are then of no effect, and
    /// [`reload`](Self::reload) fails. Of its ALPN list, `h2` and `http/1.1` are replaced by what
    /// the server speaks; others stay, after them.
    pub fn from_rustls_0_23(config: Arc<ServerConfig>) -> TlsServerConfig {
        TlsServerConfig(Kind::ReadyMade(config))
    }

    /// Whether clients are asked for certificates. Default: no. Who may have signed them is said
    /// with [`client_roots_pem`](Self::client_roots_pem).
    #[must_use]
    pub fn client_auth(self, wanted: ClientAuth) -> TlsServerConfig {
        self.with(|described| described.client_auth = wanted)
    }

    /// Accepts client certificates that these have signed; may be called again for more.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] without a well-formed certificate in it.
    pub fn client_roots_pem(self, text: impl AsRef<[u8]>) -> Result<TlsServerConfig> {
        let roots = certificates_in(text.as_ref())?;
        Ok(self.with(|described| described.client_roots.extend(roots)))
    }

    /// The same from a file.
    ///
    /// # Errors
    /// As [`client_roots_pem`](Self::client_roots_pem), and [`ErrorKind::Io`] when it cannot be
    /// read.
    pub fn client_roots_pem_file(self, path: impl AsRef<Path>) -> Result<TlsServerConfig> {
        self.client_roots_pem(read(path.as_ref())?)
    }

    /// The lowest version that is spoken. Default: TLS 1.2.
    #[must_use]
    pub fn min_version(self, version: TlsVersion) -> TlsServerConfig {
        self.with(|described| described.min_version = version)
    }

    /// Writes the keys of all sessions to the file that the environment variable `SSLKEYLOGFILE`
    /// names, so that a recording of the traffic can be read. Default: no.
    #[must_use]
    pub fn key_log(self, wanted: bool) -> TlsServerConfig {
        self.with(|described| described.logs_keys = wanted)
    }

    /// Shows these certificates from now on, in place of all before, on every server that was given
    /// this configuration or a clone. Handshakes under way and open connections keep what they
    /// have.
    ///
    /// # Errors
    /// As [`new`](Self::new); then nothing has changed. [`ErrorKind::Unsupported`] for a
    /// configuration of rustls.
    pub fn reload(&self, certificates: impl IntoIterator<Item = Certificate>) -> Result<()> {
        match &self.0 {
            Kind::Described(described) => described.certificates.replace(&described.provider, certificates),
            Kind::ReadyMade(_) => {
                Err(Error::new(ErrorKind::Unsupported, "a configuration of rustls has certificates of its own"))
            }
        }
    }

    /// The same with one certificate from PEM files. Reads them at once: not for a thread that must
    /// not block.
    ///
    /// # Errors
    /// As [`reload`](Self::reload) and [`Certificate::from_pem_files`].
    pub fn reload_pem_files(&self, certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<()> {
        self.reload([Certificate::from_pem_files(certificate, key)?])
    }

    /// The acceptor for a server that speaks these protocols (ALPN), the preferred one first.
    pub(crate) fn acceptor(&self, protocols: &[&[u8]]) -> Result<Arc<dyn TlsAccept>> {
        let mut config = match &self.0 {
            Kind::Described(described) => described.build()?,
            Kind::ReadyMade(config) => ServerConfig::clone(config),
        };
        let others = config.alpn_protocols.iter().filter(|name| !matches!(name.as_slice(), b"h2" | b"http/1.1"));
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).chain(others.cloned()).collect();
        Ok(Arc::new(Acceptor::new(config)))
    }

    fn with(mut self, change: impl FnOnce(&mut Described)) -> TlsServerConfig {
        if let Kind::Described(described) = &mut self.0 {
            change(described);
        }
        self
    }
}

impl Described {
    fn build(&self) -> Result<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(provider::versions_from(self.min_version))
            .map_err(|error| invalid("the provider of cryptography lacks a version of TLS").with_source(error))?
            .with_client_cert_verifier(self.verifier()?)
            .with_cert_resolver(self.certificates.clone());
        if let Some(ticketer) = provider::ticketer() {
            config.ticketer = ticketer;
        }
        if self.logs_keys {
            config.key_log = Arc::new(KeyLogFile::new());
        }
        Ok(config)
    }

    fn verifier(&self) -> Result<Arc<dyn ClientCertVerifier>> {
        if self.client_auth == ClientAuth::None {
            return Ok(Arc::new(NoClientAuth));
        }
        let mut roots = RootCertStore::empty();
        for root in &self.client_roots {
            roots.add(root.clone()).map_err(|error| invalid("a root for clients is malformed").with_source(error))?;
        }
        if roots.is_empty() {
            return Err(invalid("client certificates are asked for, and no roots are set that may have signed them"));
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), self.provider.clone());
        let builder = match self.client_auth {
            ClientAuth::Required => builder,
            ClientAuth::Optional | ClientAuth::None => builder.allow_unauthenticated(),
        };
        builder.build().map_err(|error| invalid("the roots for clients cannot be used").with_source(error))
    }
}

impl fmt::Debug for TlsServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = f.debug_struct("TlsServerConfig");
        if let Kind::Described(described) = &self.0 {
            f.field("client_auth", &described.client_auth).field("min_version", &described.min_version);
        }
        f.finish_non_exhaustive()
    }
}

/// The handshake, by what was configured.
struct Acceptor(Arc<ServerConfig>);

impl Acceptor {
    fn new(config: ServerConfig) -> Acceptor {
        Acceptor(Arc::new(config))
    }

    async fn accept(&self, stream: Peek) -> Result<Secured, Unsecured> {
        let accepting = tokio_rustls::TlsAcceptor::from(self.0.clone()).accept(stream);
        match accepting.into_fallible().await {
            Ok(stream) => {
                let session = stream.get_ref().1;
                let info = Arc::new(info(session, session.server_name()));
                Ok(Secured { stream: TlsSession::boxed(stream, Peer::Client), info })
            }
            Err((error, stream)) => Err(unsecured(stream, error)),
        }
    }
}

impl TlsAccept for Acceptor {
    fn secure<'a>(&'a self, stream: Box<dyn Stream>, heard: &'a AtomicBool) -> Securing<'a> {
        let mut stream = Peek::new(stream);
        Box::pin(async move {
            let looked = stream.look().await;
            heard.store(true, Ordering::Relaxed);
            match looked {
                // Boxed, and begun only now: a peer that says nothing does not hold a session.
                Ok(()) => Box::pin(self.accept(stream)).await,
                Err(error) => Err(unsecured(stream, error)),
            }
        })
    }
}

fn unsecured(stream: Peek, error: io::Error) -> Unsecured {
    if looks_like_http(stream.first()) {
        // What was read of it is still to be read, where it is served after all.
        let ahead = BytesMut::from(stream.first());
        let stream = Box::new(Rewind::new(stream.into_inner(), ahead));
        return Unsecured { stream, reason: NoSession::PlainHttp };
    }
    Unsecured { stream: stream.into_inner(), reason: NoSession::Failed(handshake_failed(Peer::Client, error)) }
}

/// Whether a request may begin so: the five bytes in which a record's head would have been (Go's
/// rule, and more methods than Go's).
fn looks_like_http(first: &[u8]) -> bool {
    const METHODS: [&[u8]; 9] =
        [b"GET /", b"HEAD ", b"POST ", b"PUT /", b"OPTIO", b"DELET", b"PATCH", b"CONNE", b"TRACE"];
    METHODS.contains(&first)
}
