//! Files opened relative to an open directory, so that no name is resolved twice.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use rustix::buffer::spare_capacity;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, open, openat, statat};
use rustix::io::{Errno, pread};

use crate::files::file_system::{FileInfo, FileKind, outside_of_root, root_fault};
use crate::files::source::Blocking;

/// `NONBLOCK`: opening a pipe does not wait for a writer.
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// For the directories on the way. On Linux, `O_PATH` needs no permission to list them.
#[cfg(any(target_os = "linux", target_os = "android"))]
const PASS: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const PASS: OFlags = READ.union(OFlags::DIRECTORY);

pub(super) struct UnixFile(File);

/// Opens what `name` leads to from `root`, as long as it lies below it.
pub(super) fn open_beneath(root: &Path, name: &Path, blocking: Blocking) -> io::Result<UnixFile> {
    let directory = open_path(root, PASS, blocking)
        .map_err(|errno| meaning_of(blocking, errno, |errno| root_fault(&errno.into())))?;
    if name.as_os_str().is_empty() {
        return Ok(opened(openat(&directory, ".", READ, Mode::empty()).map_err(open_error)?));
    }
    match (resolve(&directory, name, blocking), blocking) {
        (Ok(file), _) => Ok(opened(file)),
        (Err(Errno::NOSYS | Errno::PERM | Errno::XDEV | Errno::AGAIN | Errno::INVAL), Blocking::Never) => {
            Err(not_now())
        }
        // NOSYS and PERM: no such call here, or a sandbox forbids it. XDEV: a link that is absolute, or
        // leaves the root and perhaps comes back. AGAIN: the tree was changed during the call.
        (Err(Errno::NOSYS | Errno::PERM | Errno::XDEV | Errno::AGAIN), Blocking::Allowed) => {
            walk(root, directory, name)
        }
        (Err(errno), _) => Err(open_error(errno)),
    }
}

/// Opens what the path leads to.
pub(super) fn open_following(path: &Path, blocking: Blocking) -> io::Result<UnixFile> {
    Ok(opened(open_path(path, READ, blocking).map_err(|errno| meaning_of(blocking, errno, open_error))?))
}

fn opened(file: OwnedFd) -> UnixFile {
    UnixFile(File::from(file))
}

fn not_now() -> io::Error {
    io::ErrorKind::WouldBlock.into()
}

/// What an error of `open` means. A system that has no `openat2`, or one whose `openat2` does not know
/// `RESOLVE_CACHED`, cannot open without waiting: where blocking is allowed, the open is tried again in
/// another way.
fn meaning_of(blocking: Blocking, errno: Errno, meaning: fn(Errno) -> io::Error) -> io::Error {
    match (blocking, errno) {
        (Blocking::Never, Errno::NOSYS | Errno::PERM | Errno::AGAIN | Errno::INVAL) => not_now(),
        _ => meaning(errno),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn open_path(path: &Path, flags: OFlags, blocking: Blocking) -> Result<OwnedFd, Errno> {
    use rustix::fs::{CWD, ResolveFlags, openat2};
    match blocking {
        Blocking::Never => openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED),
        Blocking::Allowed => open(path, flags, Mode::empty()),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn open_path(path: &Path, flags: OFlags, blocking: Blocking) -> Result<OwnedFd, Errno> {
    match blocking {
        Blocking::Never => Err(Errno::AGAIN),
        Blocking::Allowed => open(path, flags, Mode::empty()),
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn resolve(directory: &OwnedFd, name: &Path, blocking: Blocking) -> Result<OwnedFd, Errno> {
    use rustix::fs::{ResolveFlags, openat2};
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let how = if blocking == Blocking::Never { inside | ResolveFlags::CACHED } else { inside };
    openat2(directory, name, READ, Mode::empty(), how)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn resolve(_: &OwnedFd, _: &Path, _: Blocking) -> Result<OwnedFd, Errno> {
    Err(Errno::NOSYS)
}

/// Finds out where the links lead, then goes there without following any. A directory that was swapped
/// for a link in between is refused.
pub(super) fn walk(root: &Path, directory: OwnedFd, name: &Path) -> io::Result<UnixFile> {
    let root = fs::canonicalize(root).map_err(|error| root_fault(&error))?;
    let path = fs::canonicalize(root.join(name)).map_err(|error| match Errno::from_io_error(&error) {
        Some(errno) => open_error(errno),
        None => error,
    })?;
    let Ok(inside) = path.strip_prefix(&root) else { return Err(outside_of_root()) };
    let Some(last) = inside.file_name() else {
        return Ok(opened(openat(&directory, ".", READ, Mode::empty()).map_err(open_error)?));
    };
    let mut at = directory;
    for passed in inside.parent().into_iter().flatten() {
        at = openat(&at, passed, PASS | OFlags::NOFOLLOW, Mode::empty()).map_err(open_error)?;
    }
    Ok(opened(openat(&at, last, READ | OFlags::NOFOLLOW, Mode::empty()).map_err(open_error)?))
}

/// Most of what keeps a name from being opened lies in the name itself: it is too long, a loop of
/// links, a socket. To the client it is not found.
fn open_error(errno: Errno) -> io::Error {
    match errno {
        Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::NXIO | Errno::NODEV => {
            io::Error::new(io::ErrorKind::NotFound, errno)
        }
        _ => errno.into(),
    }
}

impl UnixFile {
    pub(super) fn info(&self) -> io::Result<FileInfo> {
        Ok(stat_info(&fstat(&self.0)?))
    }

    pub(super) fn system_file(&self) -> Option<&File> {
        Some(&self.0)
    }

    pub(super) fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let mut chunk = Vec::with_capacity(length);
        // The spare capacity may be more than was asked for, and all of it may be filled: the rest is
        // cut off below.
        while chunk.len() < length {
            let at = offset.saturating_add(chunk.len() as u64);
            match pread(&self.0, spare_capacity(&mut chunk), at) {
                Ok(0) => break,
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        chunk.truncate(length);
        Ok(chunk.into())
    }

    /// As much as the system has in memory, which may be less than the length.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub(super) fn try_read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        use rustix::io::{ReadWriteFlags, preadv2};
        let mut chunk = vec![0; length];
        let read = preadv2(&self.0, &mut [io::IoSliceMut::new(&mut chunk)], offset, ReadWriteFlags::NOWAIT);
        match read {
            Ok(read) => {
                chunk.truncate(read);
                Ok(chunk.into())
            }
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => Err(not_now()),
            Err(errno) => Err(errno.into()),
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    pub(super) fn try_read_at(&self, _: u64, _: usize) -> io::Result<Bytes> {
        Err(not_now())
    }

    /// The names in the directory, and what is known of them without following links.
    pub(super) fn entries(&self) -> io::Result<Vec<(OsString, Option<FileInfo>)>> {
        let mut entries = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.0)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            let Ok(stat) = statat(&self.0, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
            entries.push((name.to_owned(), if is_link { None } else { Some(stat_info(&stat)) }));
        }
        Ok(entries)
    }
}

fn stat_info(stat: &Stat) -> FileInfo {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => FileKind::Directory,
        FileType::RegularFile => FileKind::File,
        _ => FileKind::Other,
    };
    let since_epoch = match (u64::try_from(stat.st_mtime), u32::try_from(stat.st_mtime_nsec)) {
        (Ok(seconds), Ok(nanos)) => Duration::from_secs(seconds).checked_add(Duration::from_nanos(nanos.into())),
        _ => None,
    };
    let modified = since_epoch.and_then(|since| UNIX_EPOCH.checked_add(since)).filter(|time| *time > UNIX_EPOCH);
    FileInfo { kind, length: u64::try_from(stat.st_size).unwrap_or_default(), modified }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::files::temp_tree::TempTree;

    fn tree() -> TempTree {
        TempTree::new(&[("root/real/a", "in"), ("secret/a", "out")])
    }

    struct SetOnDrop<'a>(&'a AtomicBool);

    impl Drop for SetOnDrop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn content(opened: io::Result<UnixFile>) -> Result<Bytes, io::ErrorKind> {
        opened.and_then(|opened| opened.read_at(0, 10)).map_err(|error| error.kind())
    }

    fn walk_from(root: &Path, name: &str) -> Result<Bytes, io::ErrorKind> {
        content(walk(root, open(root, PASS, Mode::empty()).unwrap(), Path::new(name)))
    }

    #[test]
    fn both_ways_to_open_agree() {
        let tree = tree();
        symlink("real", tree.root().join("link")).unwrap();
        symlink("../secret", tree.root().join("out")).unwrap();
        symlink("../root/real/a", tree.root().join("round")).unwrap();
        symlink("/proc/self/root", tree.root().join("magic")).unwrap();
        let cases = [
            ("real/a", Ok("in")),
            ("link/a", Ok("in")),
            ("round", Ok("in")),
            ("none", Err(io::ErrorKind::NotFound)),
            ("real/a/b", Err(io::ErrorKind::NotFound)),
            ("out/a", Err(io::ErrorKind::CrossesDevices)),
            ("magic", Err(io::ErrorKind::CrossesDevices)),
        ];
        for (name, expected) in cases {
            let expected = expected.map(|text: &str| Bytes::from(text.to_owned()));
            assert_eq!(content(open_beneath(&tree.root(), Path::new(name), Blocking::Allowed)), expected, "{name}");
            assert_eq!(walk_from(&tree.root(), name), expected, "{name} by walking");
            let at_once = content(open_beneath(&tree.root(), Path::new(name), Blocking::Never));
            assert!(at_once == expected || at_once == Err(io::ErrorKind::WouldBlock), "{name} at once: {at_once:?}");
        }
    }

    #[test]
    fn no_swap_of_a_directory_for_a_link_leads_out() {
        let tree = tree();
        let (root, done) = (tree.root(), AtomicBool::new(false));
        fs::create_dir(root.join("flip")).unwrap();
        fs::write(root.join("flip/a"), "in").unwrap();
        std::thread::scope(|scope| {
            // Ends when the looking is over, or has failed.
            let _ending = SetOnDrop(&done);
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    fs::rename(root.join("flip"), root.join("aside")).unwrap();
                    symlink("../secret", root.join("flip")).unwrap();
                    fs::remove_file(root.join("flip")).unwrap();
                    fs::rename(root.join("aside"), root.join("flip")).unwrap();
                }
            });
            let mut found = 0;
            for _ in 0..5000 {
                let opened = |blocking| content(open_beneath(&root, Path::new("flip/a"), blocking));
                for content in [opened(Blocking::Allowed), opened(Blocking::Never), walk_from(&root, "flip/a")] {
                    found += usize::from(content.is_ok());
                    assert_ne!(content, Ok(Bytes::from_static(b"out")));
                }
            }
            assert!(found > 0, "the directory was never there");
        });
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_in_memory_is_had_at_once() {
        let tree = tree();
        // Some file systems tell nothing of what they have in memory.
        let Ok(opened) = open_beneath(&tree.root(), Path::new("real/a"), Blocking::Never) else { return };
        if let Ok(read) = opened.try_read_at(1, 100) {
            assert_eq!(read, "n");
            assert_eq!(opened.try_read_at(0, 1).unwrap(), "i");
            assert_eq!(opened.try_read_at(2, 1).unwrap(), "");
        }
        let followed = open_following(&tree.root().join("real/a"), Blocking::Never).unwrap();
        assert_eq!(followed.read_at(0, 10).unwrap(), "in");
    }

    #[test]
    fn no_more_is_read_than_was_asked_for() {
        let tree = tree();
        let opened = open_following(&tree.root().join("real/a"), Blocking::Allowed).unwrap();
        assert_eq!(opened.read_at(0, 1).unwrap(), "i");
        assert_eq!(opened.read_at(1, 100).unwrap(), "n");
        assert_eq!(opened.read_at(2, 1).unwrap(), "");
    }
}
