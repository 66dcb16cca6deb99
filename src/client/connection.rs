//! A connection as the pool knows it: one that serves one exchange at a time, or one that many
//! share.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::http1::{Failed, Http1, Made};
use super::key::Key;
use super::outbound::Outbound;
use super::pool::{self, Pooled};
use super::trace::GotConn;
use crate::error::Result;
use crate::message::Response;

/// The right to make a connection.
pub(crate) type PoolSlot = pool::Slot<Key, Connection>;
/// What a connection counts for.
pub(crate) type PoolPlace = pool::Place<Key, Connection>;

pub(crate) enum Connection {
    /// HTTP/1.1: whoever has it has it alone.
    Http1(Box<Http1>),
    /// HTTP/2: a handle; others have their own.
    Shared(Arc<dyn Shared>),
}

/// A connection that carries many exchanges at a time.
pub(crate) trait Shared: Send + Sync + 'static {
    /// One exchange.
    fn round_trip<'a>(
        &'a self,
        outbound: &'a mut Outbound<'_>,
    ) -> Pin<Box<dyn Future<Output = Result<Response, Failed>> + Send + 'a>>;

    /// Whether it takes one more exchange now.
    fn has_room(&self) -> bool;

    /// Whether it can serve at all.
    fn is_alive(&self) -> bool;

    fn made(&self) -> &Made;

    /// Whether it has begun an exchange.
    fn has_served(&self) -> bool;

    fn expires(&self) -> Option<Instant>;
}

impl Connection {
    /// What a trace is told of it.
    pub(crate) fn described(&self, idle: Option<Duration>) -> GotConn {
        let made = self.made();
        let reused = match self {
            Connection::Http1(http1) => http1.served > 0,
            Connection::Shared(shared) => shared.has_served(),
        };
        GotConn { remote_addr: made.remote_addr.clone(), local_addr: made.local_addr.clone(), reused, idle }
    }

    fn made(&self) -> &Made {
        match self {
            Connection::Http1(http1) => &http1.made,
            Connection::Shared(shared) => shared.made(),
        }
    }
}

impl Pooled for Connection {
    fn probe(&mut self) -> bool {
        match self {
            Connection::Http1(http1) => http1.is_quiet(),
            Connection::Shared(shared) => shared.is_alive(),
        }
    }

    fn share(&self) -> Option<Connection> {
        match self {
            Connection::Http1(_) => None,
            Connection::Shared(shared) => shared.has_room().then(|| Connection::Shared(shared.clone())),
        }
    }

    fn expires(&self) -> Option<Instant> {
        match self {
            Connection::Http1(http1) => http1.expires,
            Connection::Shared(shared) => shared.expires(),
        }
    }
}
