//! A file that no other user can open, and that is removed when it is dropped. All calls here block.

use std::collections::hash_map::RandomState;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher as _, Hasher as _};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

#[derive(Debug)]
pub(super) struct TempFile {
    /// After a lock, because it has one position that reads and writes move.
    file: Mutex<File>,
    /// Its name, where it still has one.
    name: Option<PathBuf>,
}

/// How many names are tried. A random name is taken only if somebody guessed it to get in the way.
const MAX_ATTEMPT_COUNT: usize = 8;

impl TempFile {
    /// A new and empty file in this directory.
    pub(super) fn create(directory: &Path) -> io::Result<TempFile> {
        let mut last = io::Error::from(io::ErrorKind::AlreadyExists);
        for _ in 0..MAX_ATTEMPT_COUNT {
            let path = directory.join(format!("nethttp-{:016x}{:016x}", random(), random()));
            match open_new(&path) {
                Ok(file) => {
                    // Where an open file can lose its name, not even a crash leaves it behind.
                    let name = fs::remove_file(&path).err().map(|_| path);
                    return Ok(TempFile { file: Mutex::new(file), name });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => last = error,
                Err(error) => return Err(error),
            }
        }
        Err(last)
    }

    /// Writes after what was written before. Not to be used any more after a read.
    pub(super) fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.lock().write_all(bytes)
    }

    /// Reads `length` bytes, which were written there before.
    pub(super) fn read(&self, at: u64, length: u64) -> io::Result<Bytes> {
        let mut file = self.lock();
        file.seek(SeekFrom::Start(at))?;
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
        (&mut *file).take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 == length { Ok(bytes.into()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn lock(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // A destructor cannot report an error, and nothing else can be tried.
            let _ = fs::remove_file(name);
        }
    }
}

/// `create_new` follows no link and opens nothing that is there: others may write to the
/// directory too.
fn open_new(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// The standard library's only source of numbers that others cannot guess.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_appended_is_read_back_from_anywhere() {
        let file = TempFile::create(&std::env::temp_dir()).unwrap();
        file.append(b"hello ").unwrap();
        file.append(b"world").unwrap();
        assert_eq!(file.read(6, 5).unwrap(), "world");
        assert_eq!(file.read(0, 5).unwrap(), "hello");
        assert_eq!(file.read(6, 6).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_file_that_still_has_its_name_loses_it_with_the_drop() {
        let name = std::env::temp_dir().join(format!("nethttp-test-{:016x}", random()));
        let file = TempFile { file: Mutex::new(open_new(&name).unwrap()), name: Some(name.clone()) };
        assert_eq!(open_new(&name).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(name.exists());
        drop(file);
        assert!(!name.exists());
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        let error = TempFile::create(Path::new("/nonexistent/nethttp")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn it_has_no_name_and_no_permissions_for_other_users() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt};
        let file = TempFile::create(&std::env::temp_dir()).unwrap();
        let metadata = file.lock().metadata().unwrap();
        assert_eq!((metadata.nlink(), metadata.permissions().mode() & 0o777), (0, 0o600));
        assert_eq!(file.name, None);
    }
}
