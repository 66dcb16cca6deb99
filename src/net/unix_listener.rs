//! A Unix socket that the server makes itself, and removes again.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{UnixListener, UnixStream};

use super::listener::Listener;
use crate::message::Addr;

/// Listens on a Unix socket. Its file is removed when this is dropped.
pub(crate) struct OwnUnixListener {
    listener: UnixListener,
    _file: SocketFile,
}

impl Listener for OwnUnixListener {
    type Stream = UnixStream;

    async fn accept(&mut self) -> io::Result<(UnixStream, Addr)> {
        Listener::accept(&mut self.listener).await
    }

    fn local_addr(&self) -> Addr {
        Listener::local_addr(&self.listener)
    }
}

/// Listens at this path. A file that a server left behind there is replaced: one to which nobody listens.
///
/// # Errors
/// [`AddrInUse`](io::ErrorKind::AddrInUse) where somebody listens, and where another kind of file is: it is
/// never removed.
pub(crate) fn bind_unix(path: &Path) -> io::Result<OwnUnixListener> {
    let listener = bind_path(path)?;
    let file = SocketFile { path: path.to_owned(), identity: identity(path)? };
    Ok(OwnUnixListener { listener, _file: file })
}

/// The same without removing the file afterwards.
pub(super) fn bind_path(path: &Path) -> io::Result<UnixListener> {
    if let Ok(found) = path.symlink_metadata() {
        if !found.file_type().is_socket() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "the file there is no socket"));
        }
        if has_listener(path)? {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody else listens there"));
        }
        fs::remove_file(path)?;
    }
    UnixListener::bind(path)
}

/// Whether a socket's file has a listener. Found out by connecting, which must not block the runtime's
/// thread: it would where the listener's backlog is full.
fn has_listener(path: &Path) -> io::Result<bool> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(false),
        // It was removed in this moment.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Err(error),
        Ok(()) | Err(_) => Ok(true),
    }
}

/// Removed when nothing listens there any more, unless another server has taken the path over meanwhile.
struct SocketFile {
    path: PathBuf,
    identity: FileIdentity,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            // If it stays, the next server that listens there replaces it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Which file a path leads to: device, inode and time of writing. The last is needed because an inode that
/// becomes free may be given to the next file that is made.
type FileIdentity = (u64, u64, i64, i64);

fn identity(path: &Path) -> io::Result<FileIdentity> {
    let found = path.symlink_metadata()?;
    Ok((found.dev(), found.ino(), found.mtime(), found.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path of its own for a test, in a folder that is removed with it.
    struct Place(PathBuf);

    impl Place {
        fn new(name: &str) -> Place {
            let folder = std::env::temp_dir().join(format!("nethttp-unix-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Place(folder)
        }

        fn socket(&self) -> PathBuf {
            self.0.join("s")
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test]
    async fn a_socket_is_there_while_somebody_listens_and_not_for_two() {
        let place = Place::new("one");
        let first = bind_unix(&place.socket()).unwrap();
        let error = bind_unix(&place.socket()).err().unwrap();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (io::ErrorKind::AddrInUse, "somebody else listens there")
        );
        drop(first);
        assert!(!place.socket().exists());
    }

    #[tokio::test]
    async fn what_was_left_behind_is_replaced_and_another_file_is_not() {
        let place = Place::new("left");
        drop(std::os::unix::net::UnixListener::bind(place.socket()).unwrap());
        assert!(place.socket().exists(), "the standard library's listener leaves it behind");
        drop(bind_unix(&place.socket()).unwrap());

        fs::write(place.socket(), "dear diary").unwrap();
        assert_eq!(bind_unix(&place.socket()).err().unwrap().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(fs::read(place.socket()).unwrap(), b"dear diary");
    }

    #[tokio::test]
    async fn the_file_of_a_successor_stays() {
        let place = Place::new("next");
        let first = bind_unix(&place.socket()).unwrap();
        fs::remove_file(place.socket()).unwrap();
        let second = bind_unix(&place.socket()).unwrap();
        drop(first);
        assert!(place.socket().exists());
        drop(second);
        assert!(!place.socket().exists());
    }
}
