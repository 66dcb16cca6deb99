//! A connection as the pool knows it: one that serves one exchange at a time, or one that many
//! share.

use std::time::Duration;

use tokio::time::Instant;

use super::http1::{Http1, Made};
use super::http2::Http2;
use super::key::Key;
use super::pool::{self, Health, Pooled};
use super::trace::GotConn;

/// The right to make a connection.
pub(crate) type PoolSlot = pool::Slot<Key, Connection>;
/// What a connection counts for.
pub(crate) type PoolPlace = pool::Place<Key, Connection>;
/// What a shared connection tells the pool with.
pub(crate) type PoolBell = pool::Bell<Key, Connection>;

pub(crate) enum Connection {
    /// HTTP/1.1: whoever has it has it alone.
    Http1(Box<Http1>),
    /// A handle; others have their own.
    Http2(Http2),
}

impl Connection {
    /// What a trace is told of it.
    pub(crate) fn described(&self, idle: Option<Duration>) -> GotConn {
        let made = self.made();
        let reused = match self {
            Connection::Http1(http1) => http1.served > 0,
            Connection::Http2(http2) => http2.has_served(),
        };
        // What others use at this moment was not idle.
        let idle = idle.filter(|idle| matches!(self, Connection::Http1(_)) || !idle.is_zero());
        GotConn { remote_addr: made.remote_addr.clone(), local_addr: made.local_addr.clone(), reused, idle }
    }

    fn made(&self) -> &Made {
        match self {
            Connection::Http1(http1) => &http1.made,
            Connection::Http2(http2) => http2.made(),
        }
    }
}

impl Pooled for Connection {
    fn probe(&mut self) -> bool {
        match self {
            Connection::Http1(http1) => http1.is_quiet(),
            Connection::Http2(http2) => http2.health() != Health::Spent,
        }
    }

    fn share(&self) -> Option<Connection> {
        match self {
            Connection::Http1(_) => None,
            Connection::Http2(http2) => http2.share().map(Connection::Http2),
        }
    }

    fn health(&self) -> Health {
        match self {
            Connection::Http1(_) => Health::Good,
            Connection::Http2(http2) => http2.health(),
        }
    }

    fn capacity(&self) -> Option<usize> {
        match self {
            Connection::Http1(_) => None,
            Connection::Http2(http2) => Some(http2.capacity()),
        }
    }

    fn expires(&self) -> Option<Instant> {
        match self {
            Connection::Http1(http1) => http1.expires,
            Connection::Http2(http2) => http2.expires(),
        }
    }
}
