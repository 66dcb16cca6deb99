//! HTTP/2 as a client speaks it: many exchanges on one connection.

use std::sync::Arc;

use tokio::time::Instant;

use super::connection::Shared;
use super::http1::Made;
use crate::error::{Error, ErrorKind, Result};
use crate::h1::HeadLimits;
use crate::net::Stream;

/// Whether this build speaks it.
pub(crate) const IS_BUILT: bool = false;

pub(crate) async fn connect(
    _: Box<dyn Stream>,
    _: Arc<Made>,
    _: Option<Instant>,
    _: &HeadLimits,
) -> Result<Arc<dyn Shared>> {
    Err(Error::new(ErrorKind::Unsupported, "HTTP/2 needs the feature `http2`"))
}
