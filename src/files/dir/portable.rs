//! Files opened by their path, where no more is to be had.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::super::file_system::FileInfo;
use super::{Patience, outside, root_fault};

/// By its path alone: not every system opens directories.
pub(super) struct Opened(PathBuf);

/// Finds what `name` leads to from `root`, as long as it lies below it.
pub(super) fn open_beneath(root: &Path, name: &Path, patience: Patience) -> io::Result<Opened> {
    may_wait(patience)?;
    let root = fs::canonicalize(root).map_err(|error| root_fault(&error))?;
    if !root.is_dir() {
        return Err(root_fault(&io::ErrorKind::NotADirectory.into()));
    }
    let place = resolve(&root.join(name))?;
    if place.starts_with(&root) { Ok(Opened(place)) } else { Err(outside()) }
}

/// Finds what the path leads to.
pub(super) fn open_following(path: &Path, patience: Patience) -> io::Result<Opened> {
    may_wait(patience)?;
    resolve(path).map(Opened)
}

/// There is no way to be told that it would take a while.
fn may_wait(patience: Patience) -> io::Result<()> {
    match patience {
        Patience::None => Err(io::ErrorKind::WouldBlock.into()),
        Patience::Waits => Ok(()),
    }
}

/// Whatever but a permission keeps a name from being resolved is in the name: too long, a loop of links.
fn resolve(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => error,
        _ => io::Error::new(io::ErrorKind::NotFound, error),
    })
}

impl Opened {
    pub(super) fn metadata(&self) -> io::Result<Metadata> {
        fs::metadata(&self.0)
    }

    pub(super) fn system_file(&self) -> Option<&File> {
        None
    }

    pub(super) fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let mut file = File::open(&self.0)?;
        file.seek(SeekFrom::Start(offset))?;
        let mut chunk = Vec::with_capacity(length);
        file.take(length as u64).read_to_end(&mut chunk)?;
        Ok(chunk.into())
    }

    pub(super) fn try_read_at(&self, _: u64, _: usize) -> io::Result<Bytes> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// The names in the directory; each is looked up by itself.
    pub(super) fn entries(&self) -> io::Result<Vec<(OsString, Option<FileInfo>)>> {
        fs::read_dir(&self.0)?.map(|entry| Ok((entry?.file_name(), None))).collect()
    }
}
