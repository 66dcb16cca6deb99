//! Where HTTP/2 was not compiled in.

use std::sync::Arc;

use tokio::time::Instant;

use super::connect::{KeyNotifier, PoolConnPermit};
use super::exchange::{Attempt, FailedAttempt};
use super::observe::ConnectionInfo;
use super::pool::Health;
use super::settings::TransportSettings;
use crate::error::{Error, ErrorKind, Result};
use crate::message::Response;
use crate::net::Stream;

/// A connection that there cannot be.
pub(crate) enum Http2Conn {}

pub(super) fn connect(
    _: Box<dyn Stream>,
    _: Arc<ConnectionInfo>,
    _: Option<Instant>,
    _: &TransportSettings,
    _: KeyNotifier,
) -> Result<Http2Conn> {
    Err(Error::new(ErrorKind::Unsupported, "HTTP/2 needs the feature `http2`"))
}

pub(super) async fn round_trip(
    conn: Http2Conn,
    _: PoolConnPermit,
    _: Attempt<'_>,
    _: &mut Response,
) -> Result<(), FailedAttempt> {
    match conn {}
}

impl Http2Conn {
    /// Whether this build speaks HTTP/2.
    pub(super) const IS_BUILT: bool = false;

    pub(super) fn share(&self) -> Option<Http2Conn> {
        match *self {}
    }

    pub(super) fn health(&self) -> Health {
        match *self {}
    }

    pub(super) fn capacity(&self) -> usize {
        match *self {}
    }

    pub(super) fn info(&self) -> &ConnectionInfo {
        match *self {}
    }

    pub(super) fn has_served(&self) -> bool {
        match *self {}
    }

    pub(super) fn expires(&self) -> Option<Instant> {
        match *self {}
    }
}
