//! Files opened by their path, where the system offers no more.
//!
//! Nothing here is of one system, and its tests run on all of them: what Windows is served by is
//! tried wherever the crate is.

use std::ffi::OsString;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use bytes::Bytes;

use super::super::file_system::{FileInfo, FileKind};
use super::{Patience, outside, root_fault};

pub(super) enum Opened {
    /// Open, so that what is swapped for it meanwhile is not read in its place. Reading moves its
    /// one place, so readers take turns.
    File(Mutex<File>),
    /// By its path alone: not every system opens directories. So is what is no file, which may
    /// make its opening wait.
    Other(PathBuf),
}

/// Opens what `name` leads to from `root`, as long as it lies below it.
pub(super) fn open_beneath(root: &Path, name: &Path, patience: Patience) -> io::Result<Opened> {
    may_wait(patience)?;
    let root = fs::canonicalize(root).map_err(|error| root_fault(&error))?;
    if !root.is_dir() {
        return Err(root_fault(&io::ErrorKind::NotADirectory.into()));
    }
    let place = place_of(&root.join(name))?;
    if !place.starts_with(&root) {
        return Err(outside());
    }
    let opened = open(&place)?;
    // What was swapped for a link before it was opened is seen here, unless it was swapped back.
    if place_of(&place)? == place { Ok(opened) } else { Err(outside()) }
}

/// Opens what the path leads to.
pub(super) fn open_following(path: &Path, patience: Patience) -> io::Result<Opened> {
    may_wait(patience)?;
    open(&place_of(path)?)
}

/// There is no way to be told that it would take a while.
fn may_wait(patience: Patience) -> io::Result<()> {
    match patience {
        Patience::None => Err(io::ErrorKind::WouldBlock.into()),
        Patience::Waits => Ok(()),
    }
}

/// Where a path leads, with no link in it.
fn place_of(path: &Path) -> io::Result<PathBuf> {
    fs::canonicalize(path).map_err(absence)
}

fn open(place: &Path) -> io::Result<Opened> {
    let found = fs::symlink_metadata(place).map_err(absence)?;
    if !found.is_file() {
        return Ok(Opened::Other(place.to_owned()));
    }
    Ok(Opened::File(Mutex::new(File::open(place).map_err(absence)?)))
}

/// Whatever but a permission keeps a name from being opened is in the name: too long, a loop of links.
fn absence(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::PermissionDenied => error,
        _ => io::Error::new(io::ErrorKind::NotFound, error),
    }
}

impl Opened {
    pub(super) fn info(&self) -> io::Result<FileInfo> {
        let metadata = match self {
            Opened::File(file) => file.lock().unwrap_or_else(PoisonError::into_inner).metadata()?,
            Opened::Other(place) => fs::symlink_metadata(place)?,
        };
        Ok(info_of(&metadata))
    }

    pub(super) fn system_file(&self) -> Option<&File> {
        None
    }

    pub(super) fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let Opened::File(file) = self else { return Err(io::ErrorKind::IsADirectory.into()) };
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
        let Opened::Other(place) = self else { return Err(io::ErrorKind::NotADirectory.into()) };
        fs::read_dir(place)?.map(|entry| Ok((entry?.file_name(), None))).collect()
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

    struct Tree(PathBuf);

    impl Tree {
        fn new(name: &str) -> Tree {
            let tree = Tree(std::env::temp_dir().join(format!("nethttp-portable-{}-{name}", std::process::id())));
            fs::create_dir_all(tree.0.join("root/real")).unwrap();
            fs::write(tree.0.join("root/real/a"), "in").unwrap();
            fs::write(tree.0.join("a"), "out").unwrap();
            tree
        }

        fn root(&self) -> PathBuf {
            self.0.join("root")
        }

        fn content(&self, name: &str) -> Result<Bytes, io::ErrorKind> {
            content(open_beneath(&self.root(), Path::new(name), Patience::Waits))
        }
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            // Left behind, it only takes place.
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn content(opened: io::Result<Opened>) -> Result<Bytes, io::ErrorKind> {
        opened.and_then(|opened| opened.read_at(0, 10)).map_err(|error| error.kind())
    }

    #[test]
    fn a_file_is_read_from_any_place_and_no_further_than_was_asked_for() {
        let tree = Tree::new("read");
        let opened = open_beneath(&tree.root(), Path::new("real/a"), Patience::Waits).unwrap();
        for (offset, length, read) in [(0, 1, "i"), (1, 100, "n"), (2, 1, ""), (0, 2, "in")] {
            assert_eq!(opened.read_at(offset, length).unwrap(), read);
        }
        assert_eq!(opened.info().unwrap().length, 2);
        assert!(opened.system_file().is_none());
        assert_eq!(opened.entries().unwrap_err().kind(), io::ErrorKind::NotADirectory);
    }

    #[test]
    fn a_directory_has_its_names_and_no_content() {
        let tree = Tree::new("directory");
        for name in ["", "real"] {
            let opened = open_beneath(&tree.root(), Path::new(name), Patience::Waits).unwrap();
            assert_eq!(opened.info().unwrap().kind, FileKind::Directory);
            let names: Vec<_> = opened.entries().unwrap().into_iter().map(|(name, _)| name).collect();
            assert_eq!(names, [if name.is_empty() { "real" } else { "a" }]);
            assert_eq!(opened.read_at(0, 1).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        }
    }

    #[test]
    fn what_is_not_there_is_not_found_and_a_bad_root_is_a_fault() {
        let tree = Tree::new("none");
        let long = "x".repeat(5000);
        for name in ["none", "none/a", "real/a/b", &long] {
            assert_eq!(tree.content(name), Err(io::ErrorKind::NotFound), "{name:.20}");
        }
        for root in ["none", "a"] {
            let opened = content(open_beneath(&tree.0.join(root), Path::new("b"), Patience::Waits));
            assert_eq!(opened, Err(io::ErrorKind::Other), "{root}");
        }
    }

    #[test]
    fn whatever_is_asked_for_without_patience_would_block() {
        let tree = Tree::new("patience");
        let would_block = Err(io::ErrorKind::WouldBlock);
        assert_eq!(content(open_beneath(&tree.root(), Path::new("real/a"), Patience::None)), would_block);
        assert_eq!(content(open_following(&tree.0.join("a"), Patience::None)), would_block);
        let opened = open_following(&tree.0.join("a"), Patience::Waits).unwrap();
        assert_eq!(opened.try_read_at(0, 1).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(opened.read_at(0, 3).unwrap(), "out");
    }

    #[test]
    fn what_is_put_in_the_place_of_an_open_file_is_not_read() {
        let tree = Tree::new("replaced");
        let opened = open_beneath(&tree.root(), Path::new("real/a"), Patience::Waits).unwrap();
        fs::rename(tree.0.join("a"), tree.root().join("real/a")).unwrap();
        assert_eq!(opened.read_at(0, 10).unwrap(), "in");
        assert_eq!(opened.info().unwrap().length, 2);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_inside_the_root_alone() {
        use std::os::unix::fs::symlink;

        let tree = Tree::new("links");
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
            assert_eq!(tree.content(name), expected, "{name}");
        }
        assert_eq!(content(open_following(&tree.root().join("out"), Patience::Waits)), Ok(Bytes::from_static(b"out")));
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_not_waited_for() {
        let tree = Tree::new("pipe");
        let made = std::process::Command::new("mkfifo").arg(tree.root().join("pipe")).status();
        assert!(made.is_ok_and(|status| status.success()), "mkfifo is part of POSIX");
        let opened = open_beneath(&tree.root(), Path::new("pipe"), Patience::Waits).unwrap();
        assert_eq!(opened.info().unwrap().kind, FileKind::Other);
    }
}
