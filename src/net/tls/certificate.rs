//! Certificates and keys, from PEM and from DER.

use std::borrow::Cow;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::error::{Error, ErrorKind, Result};

/// A certificate with its chain and its private key (Go's `tls.Certificate`).
///
/// ```no_run
/// let certificate = nethttp::tls::Certificate::from_pem_files("site.pem", "site.key")?;
/// # Ok::<(), nethttp::Error>(())
/// ```
pub struct Certificate {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Certificate {
    /// Reads both from PEM files (Go's `LoadX509KeyPair`): the certificate first, those that lead
    /// to its root after it; the key in PKCS #8, PKCS #1 or SEC 1, unencrypted. One file may hold
    /// both.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] for a file that cannot be read, [`ErrorKind::Invalid`] for one that does
    /// not hold what it should. Whether key and certificate belong together is found when they are
    /// first used.
    pub fn from_pem_files(certificate: impl AsRef<Path>, key: impl AsRef<Path>) -> Result<Certificate> {
        let (certificate, key) = (certificate.as_ref(), key.as_ref());
        let chain = certificates_in(&read(certificate)?).map_err(|error| in_file(certificate, error))?;
        let key = key_in(&read(key)?).map_err(|error| in_file(key, error))?;
        Ok(Certificate { chain, key })
    }

    /// The same from memory (Go's `X509KeyPair`).
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] where one of them is not there or is malformed.
    pub fn from_pem(certificate: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Certificate> {
        Ok(Certificate { chain: certificates_in(certificate.as_ref())?, key: key_in(key.as_ref())? })
    }

    /// The same from DER: the certificate first, then those that lead to its root.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] without a certificate, and for a key in no known format.
    pub fn from_der(chain: impl IntoIterator<Item = Vec<u8>>, key: Vec<u8>) -> Result<Certificate> {
        let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
        if chain.is_empty() {
            return Err(invalid("no certificate was given"));
        }
        let key = PrivateKeyDer::try_from(key).map_err(invalid)?;
        Ok(Certificate { chain, key })
    }

    /// The certificates in DER, its own first.
    pub fn chain(&self) -> impl Iterator<Item = &[u8]> {
        self.chain.iter().map(AsRef::as_ref)
    }

    /// Checks that the provider can use the key, and that it is the certificate's.
    pub(super) fn certified(&self, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>> {
        let certified = CertifiedKey::from_der(self.chain.clone(), self.key.clone_key(), provider);
        certified.map(Arc::new).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => invalid("the private key is not that of the certificate"),
            error => invalid("the certificate or its key cannot be used").with_source(error),
        })
    }

    #[cfg(feature = "client")]
    pub(super) fn to_rustls(&self) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
        (self.chain.clone(), self.key.clone_key())
    }
}

impl Clone for Certificate {
    fn clone(&self) -> Certificate {
        Certificate { chain: self.chain.clone(), key: self.key.clone_key() }
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("chain", &self.chain.len()).finish_non_exhaustive()
    }
}

/// All certificates of a PEM text; at least one.
pub(super) fn certificates_in(text: &[u8]) -> Result<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(text)
        .collect::<Result<_, _>>()
        .map_err(|error| invalid("a certificate is no well-formed PEM").with_source(error))?;
    if certificates.is_empty() {
        return Err(invalid("there is no BEGIN CERTIFICATE"));
    }
    Ok(certificates)
}

fn key_in(text: &[u8]) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound if is_encrypted(text) => invalid("the private key is encrypted: decrypt it first"),
        pem::Error::NoItemsFound => invalid("there is no BEGIN PRIVATE KEY"),
        error => invalid("the private key is no well-formed PEM").with_source(error),
    })
}

fn is_encrypted(text: &[u8]) -> bool {
    memchr::memmem::find(text, b"-----BEGIN ENCRYPTED PRIVATE KEY-----").is_some()
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path)
        .map_err(|error| Error::new(ErrorKind::Io, format!("cannot read {}", path.display())).with_source(error))
}

/// The same error, with the name of the file in front.
fn in_file(path: &Path, error: Error) -> Error {
    invalid(format!("{}", path.display())).with_source(error)
}

pub(super) fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Invalid, message)
}
