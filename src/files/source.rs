//! Where the content of a response comes from, and calls that may wait for a disk.
//!
//! A lookup runs twice where it must, with the same code. First with [`Blocking::Never`], on the
//! thread that serves the request: what the system has in memory is had without a hop to another
//! thread, which would cost more than the read itself. If anything would have to wait, the whole
//! lookup runs again with [`Blocking::Allowed`], on a thread of tokio's pool for blocking calls.

use std::fs;
use std::io::{self, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncSeek, AsyncSeekExt as _};
use tokio::task::spawn_blocking;

use super::file_system::{File, FileSystem};
use super::range::ByteRange;
use crate::error::{Error, ErrorKind, Result};

/// Content that can be read at any offset.
pub(super) trait ContentSource: Send {
    /// Reads from the start of this range, which is not empty: all of it, or at least one byte.
    fn read(&mut self, range: ByteRange) -> impl Future<Output = Result<Bytes>> + Send;

    /// The file of the system that this range is part of, if the system has it in memory.
    fn in_memory(&self, range: ByteRange) -> Option<&fs::File> {
        let _ = range;
        None
    }
}

/// The most that is read at once, and so the most that is held for a slow client. Small enough to be
/// still in the processor's cache when it is sent.
pub(super) const CHUNK_BYTES: u64 = 64 * 1024;
/// The first read of content that is longer than a chunk. It only has to show that the content can be
/// read, before the head of the response is sent.
const FIRST_READ_BYTES: u64 = 4 * 1024;

/// How much of the content is looked at for its type.
pub(super) const SNIFFED_BYTES: u64 = 512;

/// The part of the range that is read before anything is sent.
pub(super) fn first_chunk(range: ByteRange) -> ByteRange {
    if range.length <= CHUNK_BYTES { range } else { range.first(FIRST_READ_BYTES) }
}

/// A file of a tree. What the system has in memory is read on the thread that sends it; else each
/// chunk takes a hop to a blocking thread. No thread is kept for a whole file: a few hundred slow
/// clients would then occupy all of them.
pub(super) struct FileSource {
    pub(super) file: Arc<dyn File>,
    /// What was read when the file was looked up, with the offset it starts at.
    pub(super) first: Option<(u64, Bytes)>,
}

impl ContentSource for FileSource {
    fn in_memory(&self, range: ByteRange) -> Option<&fs::File> {
        let file = self.file.system_file()?;
        // Only the last byte of the range is probed. The system reads files ahead in order, so if the
        // last byte is in memory the bytes before it mostly are. Where that is wrong, sending waits
        // for the disk, on this thread.
        let is_there = self.file.try_read_at(range.last(), 1).is_ok_and(|byte| !byte.is_empty());
        is_there.then_some(file)
    }

    async fn read(&mut self, range: ByteRange) -> Result<Bytes> {
        if let Some((start, chunk)) = self.first.take() {
            if start == range.start && chunk.len() as u64 <= range.length {
                return Ok(chunk);
            }
        }
        match Blocking::Never.read(&*self.file, range) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let file = self.file.clone();
                Ok(run_blocking(move || Blocking::Allowed.read(&*file, range)).await??)
            }
            read => Ok(read?),
        }
    }
}

/// Content with one position, which is moved before a read where it has to be.
pub(super) struct SeekableSource<R> {
    pub(super) content: R,
    /// The position.
    pub(super) at: u64,
}

impl<R: AsyncRead + AsyncSeek + Send + Unpin> ContentSource for SeekableSource<R> {
    async fn read(&mut self, range: ByteRange) -> Result<Bytes> {
        let ByteRange { start, length } = range;
        if self.at != start {
            self.content.seek(SeekFrom::Start(start)).await?;
        }
        let mut chunk = BytesMut::with_capacity(usize::try_from(length).unwrap_or_default());
        let mut part = (&mut self.content).take(length);
        while (chunk.len() as u64) < length && part.read_buf(&mut chunk).await? > 0 {}
        if (chunk.len() as u64) < length {
            return Err(Error::new(ErrorKind::Io, "the content became shorter while it was sent"));
        }
        self.at = start.saturating_add(length);
        Ok(chunk.freeze())
    }
}

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
