//! Which root certificates a client trusts: the system's, Mozilla's, those that were added.

use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;

use crate::error::{Error, ErrorKind, Phase, Result};
use crate::net::tls::certificate::invalid;

/// Whose roots a client trusts, besides those that were added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsRoots {
    /// The system's (feature `tls`). Mozilla's, where those are compiled in (feature
    /// `webpki-roots`) and the system has none.
    #[default]
    Platform,
    /// Mozilla's, compiled in with the feature `webpki-roots`. They age with the program.
    Mozilla,
    /// None: only those that were added.
    None,
}

type Verifier = Arc<dyn ServerCertVerifier>;

/// The verifier of servers' certificates. May read many files.
pub(super) fn verifier(
    roots: TlsRoots,
    extra: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Verifier> {
    match roots {
        TlsRoots::Platform => match (platform(extra, provider), mozilla()) {
            (Ok(verifier), _) => Ok(verifier),
            (Err(_), Some(store)) => verifier_of(store, extra, provider),
            (Err(error), None) if extra.is_empty() => Err(error),
            (Err(_), None) => verifier_of(RootCertStore::empty(), extra, provider),
        },
        TlsRoots::Mozilla => match mozilla() {
            Some(store) => verifier_of(store, extra, provider),
            None => Err(Error::new(ErrorKind::Unsupported, "Mozilla's roots need the feature webpki-roots")),
        },
        TlsRoots::None if extra.is_empty() => Err(no_roots("no root certificate is trusted: add one")),
        TlsRoots::None => verifier_of(RootCertStore::empty(), extra, provider),
    }
}

fn verifier_of(
    mut store: RootCertStore,
    extra: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Verifier> {
    for certificate in extra {
        store
            .add(certificate.clone())
            .map_err(|error| invalid("a root certificate is malformed").with_source(error))?;
    }
    let built = WebPkiServerVerifier::builder_with_provider(store.into(), provider.clone()).build();
    Ok(built.map_err(|error| invalid("the root certificates cannot be used").with_source(error))?)
}

/// The system's verifier. Without roots of the caller's own it is made once for the process, because it
/// reads many files.
#[cfg(feature = "tls")]
fn platform(extra: &[CertificateDer<'static>], provider: &Arc<CryptoProvider>) -> Result<Verifier> {
    use std::sync::{Mutex, PoisonError};
    static LOADED: Mutex<Vec<(Arc<CryptoProvider>, Verifier)>> = Mutex::new(Vec::new());
    if !extra.is_empty() {
        return load_platform(extra, provider);
    }
    // Held while they are loaded, so that others wait for them instead of loading them too.
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, verifier)) = loaded.iter().find(|(of, _)| Arc::ptr_eq(of, provider)) {
        return Ok(verifier.clone());
    }
    let verifier = load_platform(extra, provider)?;
    // A program has one provider, or two. The list is bounded, in case a program makes them without end.
    if loaded.len() < 4 {
        loaded.push((provider.clone(), verifier.clone()));
    }
    Ok(verifier)
}

#[cfg(feature = "tls")]
fn load_platform(extra: &[CertificateDer<'static>], provider: &Arc<CryptoProvider>) -> Result<Verifier> {
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(extra.iter().cloned(), provider.clone());
    match verifier {
        Ok(verifier) => Ok(Arc::new(verifier)),
        Err(error) => Err(no_roots(
            "this system has no root certificates: install its package ca-certificates, set SSL_CERT_FILE, \
             add roots to the TlsConfig, or enable the feature webpki-roots",
        )
        .with_source(error)),
    }
}

#[cfg(not(feature = "tls"))]
fn platform(_extra: &[CertificateDer<'static>], _provider: &Arc<CryptoProvider>) -> Result<Verifier> {
    Err(no_roots(
        "no root certificates: enable the feature tls for the system's, or webpki-roots for Mozilla's, \
         or add roots to the TlsConfig",
    ))
}

#[cfg(feature = "webpki-roots")]
fn mozilla() -> Option<RootCertStore> {
    Some(RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() })
}

#[cfg(not(feature = "webpki-roots"))]
fn mozilla() -> Option<RootCertStore> {
    None
}

fn no_roots(message: &'static str) -> Error {
    Error::new(ErrorKind::Tls, message).during(Phase::Tls)
}
