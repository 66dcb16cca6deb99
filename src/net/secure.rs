//! What a server needs of a layer that secures its connections. It is there without TLS too, so that
//! the server looks the same with and without it.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::io::Stream;
use crate::error::Error;
use crate::message::TlsInfo;

/// Does the server's half of a handshake.
pub(crate) trait TlsAccept: Send + Sync + 'static {
    /// Has no deadline of its own. Dropping it drops the stream.
    fn secure(&self, stream: Box<dyn Stream>) -> Securing<'_>;
}

pub(crate) type Securing<'a> = Pin<Box<dyn Future<Output = Result<Secured, Unsecured>> + Send + 'a>>;

/// A stream whose bytes are plain on this side only.
pub(crate) struct Secured {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) info: Arc<TlsInfo>,
}

/// A stream that could not be secured, so that it can be closed as the peer needs it, and why.
pub(crate) struct Unsecured {
    pub(crate) stream: Box<dyn Stream>,
    pub(crate) reason: NoSession,
}

#[allow(dead_code, reason = "without TLS there is nothing that secures, and nothing that fails to")]
pub(crate) enum NoSession {
    /// The peer has begun a request in the clear.
    PlainHttp,
    Failed(Error),
}
