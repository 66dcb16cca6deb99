//! A directory of the disk as a tree of files.

#[cfg(any(not(unix), test))]
mod portable;
#[cfg(unix)]
mod unix;

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::file_system::{DirEntry, File, FileInfo, FileSystem};
use super::source::Blocking;
#[cfg(not(unix))]
use portable::{PortableFile as NativeFile, open_beneath, open_following};
#[cfg(unix)]
use unix::{UnixFile as NativeFile, open_beneath, open_following};

/// The files below a directory of the disk (Go's `Dir`), and nothing else.
///
/// Symbolic links are followed as long as they lead to something below the root. What is outside
/// is not found, by whatever way a name leads there. On Linux the kernel sees to that while it
/// opens the file (`openat2` with `RESOLVE_BENEATH`), so it holds against somebody who may write
/// below the root and swaps directories for links meanwhile. Where there is no such call, and for
/// links that are absolute or leave the root and come back, the way is first found out and then
/// gone link by link without following any, with the same outcome. On systems other than Unix the
/// way is checked before the file is opened and after it; a link that is there only in between is
/// not noticed, and names must be Unicode.
///
/// The root itself may be a link; it is followed anew for each request, so that a deployment can
/// switch it. As long as the root cannot be opened, opening anything fails with an error that is
/// answered 500.
///
/// On Linux, what the system has in memory is opened and read where the request is served, without
/// a thread (`RESOLVE_CACHED`, `RWF_NOWAIT`); all else on a thread that may wait for the disk.
///
/// Pipes are opened without waiting for a writer, and not served.
#[derive(Clone, Debug)]
pub struct Dir {
    root: Arc<Path>,
    links: Links,
}

#[derive(Clone, Copy, Debug)]
enum Links {
    Inside,
    Anywhere,
}

impl Dir {
    /// The tree below `root`; the empty path is the current directory.
    pub fn new(root: impl Into<PathBuf>) -> Dir {
        Dir::with(root.into(), Links::Inside)
    }

    /// The tree below `root`, and whatever links in it point at, wherever that is: for trees that
    /// only those can write to who may read all that the server may read. A root that is missing
    /// is not found, as any other file.
    pub fn trusted(root: impl Into<PathBuf>) -> Dir {
        Dir::with(root.into(), Links::Anywhere)
    }

    fn with(root: PathBuf, links: Links) -> Dir {
        let root = if root.as_os_str().is_empty() { PathBuf::from(".") } else { root };
        Dir { root: root.into(), links }
    }

    fn open_file(&self, name: &Path, blocking: Blocking) -> io::Result<DirFile> {
        if !name.components().all(|component| matches!(component, Component::Normal(_))) {
            return Err(io::Error::new(io::ErrorKind::NotFound, "a name in a tree has only plain parts"));
        }
        let opened = match self.links {
            Links::Inside => open_beneath(&self.root, name, blocking)?,
            Links::Anywhere if name.as_os_str().is_empty() => open_following(&self.root, blocking)?,
            Links::Anywhere => open_following(&self.root.join(name), blocking)?,
        };
        Ok(DirFile { opened, dir: self.clone(), name: name.to_owned() })
    }
}

impl FileSystem for Dir {
    fn open(&self, name: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(self.open_file(name, Blocking::Allowed)?))
    }

    fn try_open(&self, name: &Path) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(self.open_file(name, Blocking::Never)?))
    }
}

struct DirFile {
    opened: NativeFile,
    /// The path that it was opened by, for the links in it.
    dir: Dir,
    name: PathBuf,
}

impl File for DirFile {
    fn info(&self) -> io::Result<FileInfo> {
        self.opened.info()
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        if length == 0 { Ok(Bytes::new()) } else { self.opened.read_at(offset, length) }
    }

    fn try_read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        if length == 0 { Ok(Bytes::new()) } else { self.opened.try_read_at(offset, length) }
    }

    fn system_file(&self) -> Option<&std::fs::File> {
        self.opened.system_file()
    }

    fn read_dir(&self) -> io::Result<Vec<DirEntry>> {
        let mut entries = Vec::new();
        for (name, info) in self.opened.entries()? {
            let followed =
                || self.dir.open_file(&self.name.join(&name), Blocking::Allowed).and_then(|file| file.info()).ok();
            if let Some(info) = info.or_else(followed) {
                entries.push(DirEntry { name, info });
            }
        }
        Ok(entries)
    }
}
