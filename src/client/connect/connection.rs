//! A connection as the pool knows it: one that serves one exchange at a time, or one that many
//! share.

use std::time::Duration;

use tokio::time::Instant;

use super::super::http1::Http1Conn;
use super::super::http2::Http2Conn;
use super::super::observe::{ConnectionInfo, GotConn};
use super::super::pool::{self, Health, Pooled};
use super::key::Key;

/// The right to make a connection.
pub(crate) type PoolDialPermit = pool::DialPermit<Key, HttpConnection>;
/// The permit of a connection in use: what it counts in the pool's limits.
pub(crate) type PoolConnPermit = pool::ConnPermit<Key, HttpConnection>;
/// With this a shared connection notifies the pool that its state has changed.
pub(crate) type KeyNotifier = pool::PoolNotifier<Key, HttpConnection>;

pub(crate) enum HttpConnection {
    /// One exchange at a time: its holder has it alone.
    Http1(Box<Http1Conn>),
    /// One of many handles.
    Http2(Http2Conn),
}

impl HttpConnection {
    /// Its description for a trace.
    pub(crate) fn described(&self, idle: Option<Duration>) -> GotConn {
        let info = self.info();
        let reused = match self {
            HttpConnection::Http1(http1) => http1.served > 0,
            HttpConnection::Http2(http2) => http2.has_served(),
        };
        // A connection that others use at this moment was not idle.
        let idle = idle.filter(|idle| matches!(self, HttpConnection::Http1(_)) || !idle.is_zero());
        GotConn { remote_addr: info.remote_addr.clone(), local_addr: info.local_addr.clone(), reused, idle }
    }

    fn info(&self) -> &ConnectionInfo {
        match self {
            HttpConnection::Http1(http1) => &http1.info,
            HttpConnection::Http2(http2) => http2.info(),
        }
    }
}

impl Pooled for HttpConnection {
    fn probe(&mut self) -> bool {
        match self {
            HttpConnection::Http1(http1) => http1.is_quiet(),
            HttpConnection::Http2(http2) => http2.health() != Health::Spent,
        }
    }

    fn share(&self) -> Option<HttpConnection> {
        match self {
            HttpConnection::Http1(_) => None,
            HttpConnection::Http2(http2) => http2.share().map(HttpConnection::Http2),
        }
    }

    fn health(&self) -> Health {
        match self {
            HttpConnection::Http1(_) => Health::Good,
            HttpConnection::Http2(http2) => http2.health(),
        }
    }

    fn capacity(&self) -> Option<usize> {
        match self {
            HttpConnection::Http1(_) => None,
            HttpConnection::Http2(http2) => Some(http2.capacity()),
        }
    }

    fn idle_timeout(&self) -> Option<Duration> {
        match self {
            HttpConnection::Http1(http1) => http1.idle_timeout(),
            // The field `Keep-Alive` has no meaning in HTTP/2 (RFC 9113 §8.2.2).
            HttpConnection::Http2(_) => None,
        }
    }

    fn expires(&self) -> Option<Instant> {
        match self {
            HttpConnection::Http1(http1) => http1.expires,
            HttpConnection::Http2(http2) => http2.expires(),
        }
    }
}
