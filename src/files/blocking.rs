//! Calls that may wait for a disk.
//!
//! A lookup runs twice where it must, with the same code. First with [`Blocking::Never`], on the
//! thread that serves the request: what the system has in memory is had without a hop to another
//! thread, which would cost more than the read itself. If anything would have to wait, the whole
//! lookup runs again with [`Blocking::Allowed`], on a thread of tokio's pool for blocking calls.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::spawn_blocking;

use super::file_system::{File, FileSystem};
use super::range::ByteRange;
use crate::error::{Error, Result};

/// Whether a call may wait for the file system. Where it may not, it fails with
/// [`WouldBlock`](io::ErrorKind::WouldBlock) instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocking {
    Never,
    Allowed,
}

impl Blocking {
    pub(super) fn open(self, file_system: &dyn FileSystem, name: &Path) -> io::Result<Arc<dyn File>> {
        match self {
            Blocking::Never => file_system.try_open(name),
            Blocking::Allowed => file_system.open(name),
        }
    }

    /// Reads from the start of this range, which is not empty: at least one byte, and the whole
    /// range where blocking is allowed.
    ///
    /// # Errors
    /// Also when the file ends early: its length was announced, so a short file is an error.
    pub(super) fn read(self, file: &dyn File, range: ByteRange) -> io::Result<Bytes> {
        let length = usize::try_from(range.length).map_err(io::Error::other)?;
        let chunk = match self {
            Blocking::Never => file.try_read_at(range.start, length)?,
            Blocking::Allowed => file.read_at(range.start, length)?,
        };
        // A read that does not block may stop early because the rest is not in memory: only the
        // next read shows whether the file ends here.
        if chunk.is_empty() || (self == Blocking::Allowed && chunk.len() != length) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was sent"));
        }
        Ok(chunk)
    }
}

/// Runs a call that may block on a thread where it holds up no connection.
pub(super) async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.map_err(Error::other)
}
