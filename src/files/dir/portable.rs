//! Files opened by their path, where the system offers no more.
//!
//! This is what serves files on Windows. Nothing here needs Windows, and the tests run on every
//! system.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use bytes::Bytes;

use crate::files::file_system::{FileInfo, FileKind, outside_of_root, root_fault};
use crate::files::source::Blocking;

pub(super) enum PortableFile {
    /// Kept open, so that a file which is put in its place later is not read instead. It has one
    /// position that reading moves, so the lock lets one reader at it at a time.
    File(Mutex<File>),
    /// Known by its path only: not every system can open a directory, and opening a pipe may wait.
    Other(PathBuf),
}

/// Opens what `name` leads to from `root`, as long as it lies below it.
pub(super) fn open_beneath(root: &Path, name: &Path, blocking: Blocking) -> io::Result<PortableFile> {
    may_wait(blocking)?;
    let root = fs::canonicalize(root).map_err(|error| root_fault(&error))?;
    if !root.is_dir() {
        return Err(root_fault(&io::ErrorKind::NotADirectory.into()));
    }
    let path = resolved(&root.join(name))?;
    if !path.starts_with(&root) {
        return Err(outside_of_root());
    }
    let opened = open(&path)?;
    // What was swapped for a link before it was opened is seen here, unless it was swapped back.
    if resolved(&path)? == path { Ok(opened) } else { Err(outside_of_root()) }
}

/// Opens what the path leads to.
pub(super) fn open_following(path: &Path, blocking: Blocking) -> io::Result<PortableFile> {
    may_wait(blocking)?;
    open(&resolved(path)?)
}

/// The standard library cannot say whether a call would have to wait.
fn may_wait(blocking: Blocking) -> io::Result<()> {
    match blocking {
        Blocking::Never => Err(io::ErrorKind::WouldBlock.into()),
        Blocking::Allowed => Ok(()),
    }
}

/// Where a path leads, with no link in it.
fn resolved(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path).map_err(open_error)
}

fn open(path: &Path) -> io::Result<PortableFile> {
    let found = fs::symlink_metadata(path).map_err(open_error)?;
    if !found.is_file() {
        return Ok(PortableFile::Other(path.to_owned()));
    }
    Ok(PortableFile::File(Mutex::new(File::open(path).map_err(open_error)?)))
}

/// Apart from a missing permission, what keeps a name from being opened lies in the name itself: it is
/// too long, or it is a loop of links. To the client it is not found.
fn open_error(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::PermissionDenied => error,
        _ => io::Error::new(io::ErrorKind::NotFound, error),
    }
}

impl PortableFile {
    pub(super) fn info(&self) -> io::Result<FileInfo> {
        let metadata = match self {
            PortableFile::File(file) => file.lock().unwrap_or_else(PoisonError::into_inner).metadata()?,
            PortableFile::Other(path) => fs::symlink_metadata(path)?,
        };
        Ok(info_of(&metadata))
    }

    pub(super) fn system_file(&self) -> Option<&File> {
        None
    }

    pub(super) fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let PortableFile::File(file) = self else { return Err(io::ErrorKind::IsADirectory.into()) };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(offset))?;
        let mut chunk = Vec::with_capacity(length);
        (&mut *file).take(length as u64).read_to_end(&mut chunk)?;
        Ok(chunk.into())
    }

    pub(super) fn try_read_at(&self, _: u64, _: usize) -> io::Result<Bytes> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// The names in the directory; each is looked up by itself.
    pub(super) fn entries(&self) -> io::Result<Vec<(OsString, Option<FileInfo>)>> {
        let PortableFile::Other(path) = self else { return Err(io::ErrorKind::NotADirectory.into()) };
        fs::read_dir(path)?.map(|entry| Ok((entry?.file_name(), None))).collect()
    }
}

fn info_of(metadata: &Metadata) -> FileInfo {
    let kind = match metadata.file_type() {
        directory if directory.is_dir() => FileKind::Directory,
        file if file.is_file() => FileKind::File,
        _ => FileKind::Other,
    };
    // 0 is what file systems say that keep no time.
    let modified = metadata.modified().ok().filter(|time| *time > UNIX_EPOCH);
    FileInfo { kind, length: metadata.len(), modified }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::temp_tree::TempTree;

    fn tree() -> TempTree {
        TempTree::new(&[("root/real/a", "in"), ("a", "out")])
    }

    fn content_in(tree: &TempTree, name: &str) -> Result<Bytes, io::ErrorKind> {
        content(open_beneath(&tree.root(), Path::new(name), Blocking::Allowed))
    }

    fn content(opened: io::Result<PortableFile>) -> Result<Bytes, io::ErrorKind> {
        opened.and_then(|opened| opened.read_at(0, 10)).map_err(|error| error.kind())
    }

    #[test]
    fn a_file_is_read_from_any_place_and_no_further_than_was_asked_for() {
        let tree = tree();
        let opened = open_beneath(&tree.root(), Path::new("real/a"), Blocking::Allowed).unwrap();
        for (offset, length, read) in [(0, 1, "i"), (1, 100, "n"), (2, 1, ""), (0, 2, "in")] {
            assert_eq!(opened.read_at(offset, length).unwrap(), read);
        }
        assert_eq!(opened.info().unwrap().length, 2);
        assert!(opened.system_file().is_none());
        assert_eq!(opened.entries().unwrap_err().kind(), io::ErrorKind::NotADirectory);
    }

    #[test]
    fn a_directory_has_its_names_and_no_content() {
        let tree = tree();
        for name in ["", "real"] {
            let opened = open_beneath(&tree.root(), Path::new(name), Blocking::Allowed).unwrap();
            assert_eq!(opened.info().unwrap().kind, FileKind::Directory);
            let names: Vec<_> = opened.entries().unwrap().into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, [if name.is_empty() { "real" } else { "a" }]);
            assert_eq!(opened.read_at(0, 1).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        }
    }

    #[test]
    fn what_is_not_there_is_not_found_and_a_bad_root_is_a_fault() {
        let tree = tree();
        let long = "x".repeat(5000);
        for name in ["none", "none/a", "real/a/b", &long] {
            assert_eq!(content_in(&tree, name), Err(io::ErrorKind::NotFound), "{name:.20}");
        }
        for root in ["none", "a"] {
            let opened = content(open_beneath(&tree.path().join(root), Path::new("b"), Blocking::Allowed));
            assert_eq!(opened, Err(io::ErrorKind::Other), "{root}");
        }
    }

    #[test]
    fn a_call_that_must_not_block_fails_where_it_would() {
        let tree = tree();
        let would_block = Err(io::ErrorKind::WouldBlock);
        assert_eq!(content(open_beneath(&tree.root(), Path::new("real/a"), Blocking::Never)), would_block);
        assert_eq!(content(open_following(&tree.path().join("a"), Blocking::Never)), would_block);
        let opened = open_following(&tree.path().join("a"), Blocking::Allowed).unwrap();
        assert_eq!(opened.try_read_at(0, 1).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(opened.read_at(0, 3).unwrap(), "out");
    }

    #[test]
    fn what_is_put_in_the_place_of_an_open_file_is_not_read() {
        let tree = tree();
        let opened = open_beneath(&tree.root(), Path::new("real/a"), Blocking::Allowed).unwrap();
        fs::rename(tree.path().join("a"), tree.root().join("real/a")).unwrap();
        assert_eq!(opened.read_at(0, 10).unwrap(), "in");
        assert_eq!(opened.info().unwrap().length, 2);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_inside_the_root_alone() {
        use std::os::unix::fs::symlink;

        let tree = tree();
        let links = [
            ("real", "link"),
            ("../root/real/a", "round"),
            ("../a", "out"),
            ("..", "up"),
            ("/", "top"),
            ("loop", "loop"),
            ("nowhere", "dangling"),
        ];
        for (to, name) in links {
            symlink(to, tree.root().join(name)).unwrap();
        }
        let inside = Ok(Bytes::from_static(b"in"));
        let cases = [
            ("link/a", inside.clone()),
            ("round", inside),
            ("out", Err(io::ErrorKind::CrossesDevices)),
            ("up/a", Err(io::ErrorKind::CrossesDevices)),
            ("top/etc", Err(io::ErrorKind::CrossesDevices)),
            ("loop", Err(io::ErrorKind::NotFound)),
            ("dangling", Err(io::ErrorKind::NotFound)),
        ];
        for (name, expected) in cases {
            assert_eq!(content_in(&tree, name), expected, "{name}");
        }
        assert_eq!(
            content(open_following(&tree.root().join("out"), Blocking::Allowed)),
            Ok(Bytes::from_static(b"out"))
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_not_waited_for() {
        let tree = tree();
        let made = std::process::Command::new("mkfifo").arg(tree.root().join("pipe")).status();
        assert!(made.is_ok_and(|status| status.success()), "mkfifo is part of POSIX");
        let opened = open_beneath(&tree.root(), Path::new("pipe"), Blocking::Allowed).unwrap();
        assert_eq!(opened.info().unwrap().kind, FileKind::Other);
    }
}
