//! TLS as the client sees it: something that may be there, or not.
//!
//! Features choose whole items, so the transport has no field that comes and goes. It has this,
//! which without TLS makes no session and says so.

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
