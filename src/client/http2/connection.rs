//! A connection as its exchanges and the pool hold it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::super::observe::ConnectionInfo;
use super::super::pool::Health;
use super::state::{Http2State, StreamPermit};

/// A handle on a connection: the pool's, or that of one exchange. Without the last handle the
/// connection sends GOAWAY and closes.
pub(crate) struct Http2Conn {
    core: Arc<ConnectionCore>,
    /// The pool's own handle has none: it opens no stream.
    #[expect(dead_code, reason = "free again when this is dropped")]
    permit: Option<StreamPermit>,
}

/// What the handles of a connection share.
pub(super) struct ConnectionCore {
    pub(super) state: Arc<Http2State>,
    pub(super) info: Arc<ConnectionInfo>,
    pub(super) expires: Option<Instant>,
}

impl Http2Conn {
    /// Whether this build speaks HTTP/2.
    pub(in super::super) const IS_BUILT: bool = true;

    pub(super) fn new(core: Arc<ConnectionCore>) -> Http2Conn {
        Http2Conn { core, permit: None }
    }

    /// A handle with the right to one stream, if there is one free.
    pub(in super::super) fn share(&self) -> Option<Http2Conn> {
        let permit = self.core.state.acquire_stream()?;
        Some(Http2Conn { core: self.core.clone(), permit: Some(permit) })
    }

    pub(in super::super) fn health(&self) -> Health {
        self.core.state.health()
    }

    pub(in super::super) fn capacity(&self) -> usize {
        self.core.state.max_streams.load(Ordering::Relaxed)
    }

    pub(in super::super) fn info(&self) -> &ConnectionInfo {
        &self.core.info
    }

    pub(in super::super) fn has_served(&self) -> bool {
        self.core.state.has_served.load(Ordering::Relaxed)
    }

    pub(in super::super) fn expires(&self) -> Option<Instant> {
        self.core.expires
    }

    pub(super) fn state(&self) -> &Arc<Http2State> {
        &self.core.state
    }
}

impl Drop for ConnectionCore {
    fn drop(&mut self) {
        // The last handle: the task closes the connection.
        self.state.ready.wake();
    }
}
