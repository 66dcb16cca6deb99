//! TLS as the client sees it. A feature may not add a field to `Transport`, so it has this trait
//! object in every build; without TLS its handshake is an error that says so.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::key::Offer;
use crate::error::Result;
use crate::message::TlsInfo;
use crate::net::Stream;

/// Makes TLS sessions.
pub(crate) trait SecureTransport: Send + Sync + 'static {
    /// A session with this host over this stream. Dropped, it drops the stream.
    fn secure<'a>(&'a self, stream: Box<dyn Stream>, host: &'a str, offer: Offer) -> SecureFuture<'a>;
}

pub(crate) type SecureFuture<'a> = Pin<Box<dyn Future<Output = Result<(Box<dyn Stream>, Arc<TlsInfo>)>> + Send + 'a>>;
