//! A connection that serves one exchange at a time.

use std::sync::Arc;

use tokio::time::Instant;

use super::super::connect::ConnectionInfo;
use crate::h1::ResponseParser;
use crate::net::Io;

/// The connection as the exchanges use it.
pub(crate) struct Http1Conn {
    pub(crate) io: Io,
    pub(crate) parser: ResponseParser,
    /// Memory for heads that are sent.
    pub(crate) memory: Vec<u8>,
    pub(crate) info: Arc<ConnectionInfo>,
    /// How many exchanges it has begun.
    pub(crate) served: u64,
    pub(crate) expires: Option<Instant>,
}

impl Http1Conn {
    pub(crate) fn new(io: Io, info: Arc<ConnectionInfo>, expires: Option<Instant>) -> Http1Conn {
        Http1Conn { io, parser: ResponseParser::default(), memory: Vec::new(), info, served: 0, expires }
    }

    /// Whether the connection is open and has sent nothing since its last response. Bytes that answer
    /// no request are a response too many, or the end of the connection: it cannot be used again.
    pub(crate) fn is_quiet(&mut self) -> bool {
        self.io.is_quiet()
    }
}
