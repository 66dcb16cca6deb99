//! What a tree of files is to the server: opened by name, read from any place.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

/// A tree of files (Go's `FileSystem`).
///
/// [`Dir`](crate::Dir) is one on the disk, [`EmbeddedFiles`](crate::EmbeddedFiles) one in the
/// program. Its calls may block: they are made on threads where that harms nobody, unless
/// [`try_open`](Self::try_open) says that there is nothing to wait for.
pub trait FileSystem: Send + Sync + 'static {
    /// Opens a file or a directory for reading.
    ///
    /// The name is relative and has only plain parts, none of them `.` or `..`; the empty one is
    /// the root of the tree.
    ///
    /// # Errors
    /// [`NotFound`](io::ErrorKind::NotFound) and [`NotADirectory`](io::ErrorKind::NotADirectory)
    /// are answered 404, as is [`CrossesDevices`](io::ErrorKind::CrossesDevices), which stands for
    /// what lies outside of the tree; [`PermissionDenied`](io::ErrorKind::PermissionDenied) 403,
    /// and all else 500. No text reaches the client.
    fn open(&self, name: &Path) -> io::Result<Arc<dyn File>>;

    /// As [`open`](Self::open), where that can be done without waiting for a disk or a peer. It is
    /// called first, and on a thread that must not wait; the hop to one that may costs more than
    /// to open and read a small file that is in memory anyway.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock), and then `open` is called where it may wait. That
    /// is also what it does unless it is written.
    fn try_open(&self, name: &Path) -> io::Result<Arc<dyn File>> {
        let _ = name;
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// What was opened (Go's `File`): a file, a directory, or something else. It is closed when it is
/// dropped.
pub trait File: Send + Sync {
    /// What is known of it, as it is now. Does not wait for what
    /// [`try_open`](FileSystem::try_open) has opened.
    ///
    /// # Errors
    /// As [`FileSystem::open`].
    fn info(&self) -> io::Result<FileInfo>;

    /// Reads `length` bytes from `offset` on; fewer only where the file ends.
    ///
    /// # Errors
    /// Those of the system; any of them ends the answer.
    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes>;

    /// As [`read_at`](Self::read_at), as much of it as can be had without waiting: fewer bytes,
    /// but not none, where the rest would take longer.
    ///
    /// # Errors
    /// [`WouldBlock`](io::ErrorKind::WouldBlock), and then `read_at` is called where it may wait.
    /// That is also what it does unless it is written.
    fn try_read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let _ = (offset, length);
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// The file of the system that has this content, from its first byte on. On Linux, what of it
    /// is in memory anyway goes from there to a TCP connection (`sendfile`), without passing
    /// through the program. There is none unless this is written.
    fn system_file(&self) -> Option<&std::fs::File> {
        None
    }

    /// What the directory contains, in any order. What went away meanwhile, and what could not be
    /// opened, is left out.
    ///
    /// # Errors
    /// As [`FileSystem::open`].
    fn read_dir(&self) -> io::Result<Vec<DirEntry>>;
}

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// What it is.
    pub kind: FileKind,
    /// Its length in bytes; of no meaning for a directory.
    pub length: u64,
    /// When it was last changed, where that is known.
    pub modified: Option<SystemTime>,
}

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A pipe, a socket, a device: it is not served.
    Other,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, without the path.
    pub name: OsString,
    /// What it leads to; a link, where it is followed, to what it points at.
    pub info: FileInfo,
}
