//! Where HTTP/2 was not compiled in.

use std::sync::Arc;

use tokio::time::Instant;

use super::attempt::{Attempt, Failed};
use super::connection::Made;
use super::connection::{PoolBell, PoolPlace};
use super::pool::Health;
use crate::error::{Error, ErrorKind, Result};
use crate::h1::HeadLimits;
use crate::message::Response;
use crate::net::Stream;

/// Whether this build speaks it.
pub(super) const IS_BUILT: bool = false;

/// A connection that there cannot be.
pub(crate) enum Http2 {}

pub(super) async fn connect(
    _: Box<dyn Stream>,
    _: Arc<Made>,
    _: Option<Instant>,
    _: &HeadLimits,
    _: PoolBell,
) -> Result<Http2> {
    Err(Error::new(ErrorKind::Unsupported, "HTTP/2 needs the feature `http2`"))
}

impl Http2 {
    pub(super) async fn round_trip(self, _: PoolPlace, _: Attempt<'_>) -> Result<Response, Failed> {
        match self {}
    }

    pub(super) fn share(&self) -> Option<Http2> {
        match *self {}
    }

    pub(super) fn health(&self) -> Health {
        match *self {}
    }

    pub(super) fn capacity(&self) -> usize {
        match *self {}
    }

    pub(super) fn made(&self) -> &Made {
        match *self {}
    }

    pub(super) fn has_served(&self) -> bool {
        match *self {}
    }

    pub(super) fn expires(&self) -> Option<Instant> {
        match *self {}
    }
}
