//! The interface to a tree of files: opened by name, read at any offset. `EmbeddedFiles` is the
//! simplest one; `Dir` has its own folder.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;

/// A tree of files (Go's `FileSystem`).
///
/// [`Dir`](crate::files::Dir) is one on the disk, [`EmbeddedFiles`](crate::files::EmbeddedFiles) one in the
/// program. Its calls may block: they are made on threads that hold up no connection, unless
/// [`try_open`](Self::try_open) says that there is nothing to wait for.
pub trait FileSystem: Send + Sync + 'static {
    /// Opens a file or a directory for reading.
    ///
    /// The name is relative and has only plain parts, none of them `.` or `..`; the empty one is
    /// the root of the tree. On Unix a part may have a backslash or a colon in it.
    ///
    /// # Errors
    /// [`NotFound`](io::ErrorKind::NotFound) and [`NotADirectory`](io::ErrorKind::NotADirectory)
    /// are refused with 404, as is [`CrossesDevices`](io::ErrorKind::CrossesDevices), which stands for
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
    /// Its present metadata. Does not wait for what [`try_open`](FileSystem::try_open) has opened.
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

/// The metadata of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileInfo {
    /// Its type.
    pub kind: FileKind,
    /// Its length in bytes; of no meaning for a directory.
    pub length: u64,
    /// When it was last changed, where that is known.
    pub modified: Option<SystemTime>,
}

/// The type of a file.
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

/// The root is the program's own setting: what is wrong with it is a fault (500), and not a file that
/// is not there (404).
pub(super) fn root_fault(error: &io::Error) -> io::Error {
    io::Error::other(format!("the root of the files cannot be opened: {error}"))
}

/// For a name that leads out of the tree: answered 404, see [`FileSystem::open`].
pub(super) fn outside_of_root() -> io::Error {
    io::Error::new(io::ErrorKind::CrossesDevices, "the name leads out of the root")
}

/// A tree of files that are in the program, as [`include_bytes!`] puts them there.
///
/// The names are paths with slashes between their parts, relative to the root. The directories
/// are those that the names pass through. What is served is never copied. There is no time of
/// change; to let clients keep what they have, set `ETag` in a handler around
/// [`file_server_fs`](crate::files::file_server_fs).
///
/// ```
/// use nethttp::files::{EmbeddedFiles, file_server_fs};
/// use nethttp::ServeMux;
///
/// static SITE: &[(&str, &[u8])] = &[
///     ("index.html", b"<!DOCTYPE html><title>Hello</title>"), // or include_bytes!("site/index.html")
///     ("style/main.css", b"body { color: green }"),
/// ];
///
/// let mux = ServeMux::new();
/// mux.handle("/", file_server_fs(EmbeddedFiles::new(SITE)));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct EmbeddedFiles {
    files: &'static [(&'static str, &'static [u8])],
}

impl EmbeddedFiles {
    /// A tree of these files. Where a name stands twice, the first one counts; a name that is also
    /// passed through is a file.
    pub const fn new(files: &'static [(&'static str, &'static [u8])]) -> EmbeddedFiles {
        EmbeddedFiles { files }
    }

    /// The names below a directory, relative to it, with their contents.
    fn below(self, directory: &Path) -> impl Iterator<Item = (&'static Path, &'static [u8])> {
        self.files.iter().filter_map(move |(name, content)| {
            let rest = Path::new(*name).strip_prefix(directory).ok()?;
            (!rest.as_os_str().is_empty()).then_some((rest, *content))
        })
    }
}

impl FileSystem for EmbeddedFiles {
    fn open(&self, name: &Path) -> io::Result<Arc<dyn File>> {
        if let Some((_, content)) = self.files.iter().find(|(known, _)| Path::new(known) == name) {
            return Ok(Arc::new(Embedded::File(content)));
        }
        let is_directory = name.as_os_str().is_empty() || self.below(name).next().is_some();
        if !is_directory {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Arc::new(Embedded::Directory(entries(self.below(name)))))
    }

    fn try_open(&self, name: &Path) -> io::Result<Arc<dyn File>> {
        self.open(name)
    }
}

/// The entries of a directory, from all names below it.
fn entries(below: impl Iterator<Item = (&'static Path, &'static [u8])>) -> Vec<DirEntry> {
    let mut entries: Vec<DirEntry> = Vec::new();
    for (path, content) in below {
        let mut components = path.components();
        let Some(Component::Normal(name)) = components.next() else { continue };
        let info = if components.next().is_none() { file_info(content) } else { DIRECTORY };
        if !entries.iter().any(|entry| OsStr::new(&entry.name) == name) {
            entries.push(DirEntry { name: name.to_owned(), info });
        }
    }
    entries
}

enum Embedded {
    File(&'static [u8]),
    Directory(Vec<DirEntry>),
}

const DIRECTORY: FileInfo = FileInfo { kind: FileKind::Directory, length: 0, modified: None };

fn file_info(content: &[u8]) -> FileInfo {
    FileInfo { kind: FileKind::File, length: content.len() as u64, modified: None }
}

impl File for Embedded {
    fn info(&self) -> io::Result<FileInfo> {
        Ok(match self {
            Embedded::File(content) => file_info(content),
            Embedded::Directory(_) => DIRECTORY,
        })
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let Embedded::File(content) = self else { return Err(io::ErrorKind::IsADirectory.into()) };
        let rest = usize::try_from(offset).ok().and_then(|offset| content.get(offset..)).unwrap_or_default();
        Ok(Bytes::from_static(rest.get(..length).unwrap_or(rest)))
    }

    fn try_read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        self.read_at(offset, length)
    }

    fn read_dir(&self) -> io::Result<Vec<DirEntry>> {
        match self {
            Embedded::File(_) => Err(io::ErrorKind::NotADirectory.into()),
            Embedded::Directory(entries) => Ok(entries.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: EmbeddedFiles =
        EmbeddedFiles::new(&[("a.txt", b"aaa"), ("d/b.txt", b"b"), ("d/e/c.txt", b"cc"), ("dd.txt", b"")]);

    fn names(directory: &str) -> Vec<(String, FileKind)> {
        let entries = TREE.open(Path::new(directory)).unwrap().read_dir().unwrap();
        entries.into_iter().map(|entry| (entry.name.into_string().unwrap(), entry.info.kind)).collect()
    }

    #[test]
    fn directories_are_what_names_pass_through() {
        let file = |name: &str| (name.to_owned(), FileKind::File);
        let directory = |name: &str| (name.to_owned(), FileKind::Directory);
        assert_eq!(names(""), [file("a.txt"), directory("d"), file("dd.txt")]);
        assert_eq!(names("d"), [file("b.txt"), directory("e")]);
        assert_eq!(names("d/e"), [file("c.txt")]);
        for absent in ["b.txt", "d/e/c", "a.txt/x", "dd"] {
            let error = TREE.open(Path::new(absent)).err().map(|error| error.kind());
            assert_eq!(error, Some(io::ErrorKind::NotFound), "{absent}");
        }
    }

    #[test]
    fn a_file_is_read_from_any_place_up_to_its_end() {
        let file = TREE.open(Path::new("a.txt")).unwrap();
        assert_eq!(file.info().unwrap().length, 3);
        assert_eq!(file.read_at(1, 1).unwrap(), "a");
        assert_eq!(file.read_at(1, 100).unwrap(), "aa");
        assert_eq!(file.read_at(3, 1).unwrap(), "");
        assert_eq!(file.read_at(u64::MAX, 1).unwrap(), "");
    }
}
