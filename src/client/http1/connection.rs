//! A connection that serves one exchange at a time.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::super::connection::Made;
use crate::h1::ResponseParser;
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
