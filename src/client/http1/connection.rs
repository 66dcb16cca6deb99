//! A connection that serves one exchange at a time.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::h1::ResponseParser;
use crate::message::{Addr, Facts, Timings, TlsInfo};
use crate::net::Io;

/// The connection as the exchanges use it.
pub(crate) struct Http1 {
    pub(crate) io: Io,
    pub(crate) parser: ResponseParser,
    /// Memory for heads that are sent.
    pub(crate) memory: Vec<u8>,
    pub(crate) made: Arc<Made>,
    /// How many exchanges it has begun.
    pub(crate) served: u64,
    pub(crate) expires: Option<Instant>,
}

/// How a connection was made.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) local_addr: Addr,
    pub(crate) remote_addr: Addr,
    pub(crate) tls: Option<Arc<TlsInfo>>,
    /// How long after its beginning each step of the dial was done.
    pub(crate) resolved: Option<Duration>,
    pub(crate) connected: Option<Duration>,
    pub(crate) secured: Option<Duration>,
}

impl Made {
    /// What a response tells of its connection. What was done to make it took no time of an
    /// exchange that found it made.
    pub(crate) fn facts(&self, mut timings: Timings, reused: bool) -> Facts {
        if !reused {
            timings.resolved = self.resolved;
            timings.connected = self.connected;
            timings.secured = self.secured;
        }
        let (local_addr, remote_addr) = (Some(self.local_addr.clone()), Some(self.remote_addr.clone()));
        Facts { local_addr, remote_addr, reused, timings, ..Facts::default() }
    }
}

impl Http1 {
    pub(crate) fn new(io: Io, made: Arc<Made>, expires: Option<Instant>) -> Http1 {
        Http1 { io, parser: ResponseParser::default(), memory: Vec::new(), made, served: 0, expires }
    }

    /// Whether the connection is as an idle one must be: open, and without a byte that nobody
    /// asked for. Looks at what is there and waits for nothing.
    pub(crate) fn is_quiet(&mut self) -> bool {
        if self.io.ended || !self.io.input.is_empty() {
            return false;
        }
        matches!(self.io.poll_fill(&mut Context::from_waker(Waker::noop())), Poll::Pending)
    }
}
