//! The provider of cryptography, chosen by feature, and the versions of TLS.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{SupportedProtocolVersion, version};

use crate::error::{Error, ErrorKind, Result};
use crate::message::TlsVersion;

/// The provider that was given, else the feature's.
pub(super) fn chosen(given: Option<&Arc<CryptoProvider>>) -> Result<Arc<CryptoProvider>> {
    given.cloned().or_else(of_feature).ok_or_else(|| {
        let fixes = "no cryptography for TLS: enable the feature tls-aws-lc or tls-ring, or set a provider";
        Error::new(ErrorKind::Unsupported, fixes)
    })
}

#[cfg(feature = "tls-aws-lc")]
fn of_feature() -> Option<Arc<CryptoProvider>> {
    static PROVIDER: std::sync::LazyLock<Arc<CryptoProvider>> =
        std::sync::LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    Some(PROVIDER.clone())
}

#[cfg(all(feature = "tls-ring", not(feature = "tls-aws-lc")))]
fn of_feature() -> Option<Arc<CryptoProvider>> {
    static PROVIDER: std::sync::LazyLock<Arc<CryptoProvider>> =
        std::sync::LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));
    Some(PROVIDER.clone())
}

#[cfg(not(any(feature = "tls-ring", feature = "tls-aws-lc")))]
fn of_feature() -> Option<Arc<CryptoProvider>> {
    None
}

/// Encrypts sessions into tickets, so that clients store them and not the server. `None` where only the
/// program's own provider is there: the server then remembers a few sessions.
#[cfg(all(feature = "tls-aws-lc", feature = "server"))]
pub(super) fn ticketer() -> Option<Arc<dyn rustls::server::ProducesTickets>> {
    rustls::crypto::aws_lc_rs::Ticketer::new().ok()
}

#[cfg(all(feature = "tls-ring", not(feature = "tls-aws-lc"), feature = "server"))]
pub(super) fn ticketer() -> Option<Arc<dyn rustls::server::ProducesTickets>> {
    rustls::crypto::ring::Ticketer::new().ok()
}

#[cfg(all(not(any(feature = "tls-ring", feature = "tls-aws-lc")), feature = "server"))]
pub(super) fn ticketer() -> Option<Arc<dyn rustls::server::ProducesTickets>> {
    None
}

/// The versions from this one on, for rustls.
pub(super) fn versions_from(lowest: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static FROM_12: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
    static FROM_13: [&SupportedProtocolVersion; 1] = [&version::TLS13];
    match lowest {
        TlsVersion::Tls12 => &FROM_12,
        TlsVersion::Tls13 => &FROM_13,
    }
}
