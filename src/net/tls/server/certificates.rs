//! Which certificate a client is shown. They are swapped as a whole: a handshake sees those before
//! or those after, and never a mixture.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::SignatureScheme;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::error::Result;
use crate::net::tls::certificate::{Certificate, invalid};

pub(super) struct Certificates(RwLock<Arc<ByName>>);

/// At least one certificate, and where the names lead that they are for.
struct ByName {
    all: Vec<Arc<CertifiedKey>>,
    /// By the name as it is, and by what follows the `*.` of a wildcard.
    exact: HashMap<Box<str>, Vec<Arc<CertifiedKey>>>,
    wildcard: HashMap<Box<str>, Vec<Arc<CertifiedKey>>>,
}

impl Certificates {
    pub(super) fn new(
        provider: &CryptoProvider,
        certificates: impl IntoIterator<Item = Certificate>,
    ) -> Result<Certificates> {
        Ok(Certificates(RwLock::new(Arc::new(ByName::new(provider, certificates)?))))
    }

    /// Replaces all certificates by these, if each of them can be used.
    pub(super) fn replace(
        &self,
        provider: &CryptoProvider,
        certificates: impl IntoIterator<Item = Certificate>,
    ) -> Result<()> {
        let new = Arc::new(ByName::new(provider, certificates)?);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(())
    }

    fn current(&self) -> Arc<ByName> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.current().choose(hello.server_name(), hello.signature_schemes())
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Certificates").field(&self.current().all.len()).finish()
    }
}

impl ByName {
    fn new(provider: &CryptoProvider, certificates: impl IntoIterator<Item = Certificate>) -> Result<ByName> {
        let mut by_name = ByName { all: Vec::new(), exact: HashMap::new(), wildcard: HashMap::new() };
        for certificate in certificates {
            by_name.add(&certificate.certified(provider)?)?;
        }
        if by_name.all.is_empty() {
            return Err(invalid("a server needs a certificate"));
        }
        Ok(by_name)
    }

    fn add(&mut self, certified: &Arc<CertifiedKey>) -> Result<()> {
        let malformed = |error| invalid("the certificate is malformed").with_source(error);
        let leaf =
            certified.end_entity_cert().map_err(|error| invalid("there is no certificate").with_source(error))?;
        let leaf = webpki::EndEntityCert::try_from(leaf).map_err(malformed)?;
        for name in leaf.valid_dns_names() {
            let name = name.to_ascii_lowercase();
            let (names, name) = match name.strip_prefix("*.") {
                Some(parent) => (&mut self.wildcard, parent),
                None => (&mut self.exact, name.as_str()),
            };
            names.entry(name.into()).or_default().push(certified.clone());
        }
        self.all.push(certified.clone());
        Ok(())
    }

    /// RFC 6066 §3, RFC 9525 §6.3: the exact name before a wildcard, which stands for one label.
    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let name = name.unwrap_or_default().to_ascii_lowercase();
        let by_wildcard = || name.split_once('.').and_then(|(_, parent)| self.wildcard.get(parent));
        let fitting = self.exact.get(name.as_str()).or_else(by_wildcard).unwrap_or(&self.all);
        let usable = fitting.iter().find(|certified| certified.key.choose_scheme(schemes).is_some());
        usable.or(fitting.first()).cloned()
    }
}
