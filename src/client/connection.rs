//! A connection as the pool knows it: one that serves one exchange at a time, or one that many
//! share.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::clock::Clock;
use super::http1::Http1;
use super::http2::Http2;
use super::key::Key;
use super::pool::{self, Health, Pooled};
use super::trace::GotConn;
use crate::message::{Addr, ResponseInfo, TlsInfo};

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

/// How a connection was made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) local_addr: Addr,
    pub(crate) remote_addr: Addr,
    pub(crate) tls: Option<Arc<TlsInfo>>,
    pub(crate) steps: Steps,
}

/// When each step of the dial was done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Steps {
    pub(crate) resolved: Option<Instant>,
    pub(crate) connected: Option<Instant>,
    pub(crate) secured: Option<Instant>,
}

impl Made {
    /// What a response tells of its connection. What was done to make it took no time of an
    /// exchange that found it made.
    pub(crate) fn info(&self, clock: &Clock, reused: bool) -> Box<ResponseInfo> {
        let mut info = Box::<ResponseInfo>::default();
        let timings = &mut info.timings;
        *timings = clock.timings;
        if !reused {
            // Another request may have begun the dial: what was done before this one took none of its time.
            let since = |step: Option<Instant>| step.map(|at| at.saturating_duration_since(clock.started().steady));
            timings.resolved = since(self.steps.resolved);
            timings.connected = since(self.steps.connected);
            timings.secured = since(self.steps.secured);
        }
        info.local_addr = Some(self.local_addr.clone());
        info.remote_addr = Some(self.remote_addr.clone());
        info.reused = reused;
        info
    }
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
