//! Where TLS was not compiled in.

use std::sync::Arc;

use super::key::{Offer, SecureFuture, SecureTransport};
use crate::error::{Error, ErrorKind, Phase};
use crate::net::Stream;

/// Refuses every session.
struct NoTls;

pub(crate) fn default_secure() -> Arc<dyn SecureTransport> {
    Arc::new(NoTls)
}

impl SecureTransport for NoTls {
    fn secure<'a>(&'a self, _: Box<dyn Stream>, _: &'a str, _: Offer) -> SecureFuture<'a> {
        let error = Error::new(ErrorKind::Unsupported, "https needs the feature `tls`");
        Box::pin(async { Err(error.during(Phase::Tls)) })
    }
}
