//! A dialer that connects to one Unix socket, whatever the host.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use tokio::net::UnixStream;

use super::watch::watched_connect;
use super::{Dial, DialTarget, DialedStream, connect_error};
use crate::message::Addr;

/// Dials one Unix socket for every host and port: a service on this machine (Docker's, systemd's).
/// The URL's host goes into the request's `Host` field and nowhere else.
///
/// On Linux a path that begins with `@` names a socket of the abstract namespace, as in Go; a file
/// of such a name is reached as `./@name`.
#[derive(Clone, Debug)]
pub struct UnixDialer {
    path: Arc<Path>,
}

impl UnixDialer {
    /// A dialer of the socket at this path.
    pub fn new(path: impl Into<PathBuf>) -> UnixDialer {
        UnixDialer { path: path.into().into() }
    }
}

impl Dial for UnixDialer {
    fn dial<'a>(
        &'a self,
        target: &'a DialTarget<'a>,
    ) -> Pin<Box<dyn Future<Output = io::Result<DialedStream>> + Send + 'a>> {
        Box::pin(async move {
            let remote = Addr::Unix(Some(self.path.clone()));
            let connecting = UnixStream::connect(system_path(&self.path));
            let stream = watched_connect(target.watch(), &remote, connecting).await.map_err(|error| {
                let message = format!("the socket {} cannot be reached", self.path.display());
                io::Error::new(error.kind(), connect_error(message).with_source(error))
            })?;
            Ok(DialedStream::new(stream).with_addrs(Addr::Unix(None), remote))
        })
    }
}

/// The path as the system knows it: abstract names begin with a zero byte.
fn system_path(path: &Path) -> PathBuf {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};

    match path.as_os_str().as_bytes() {
        [b'@', name @ ..] if cfg!(target_os = "linux") => OsString::from_vec([b"\0", name].concat()).into(),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;

    use super::*;
    use crate::error::{ErrorKind, Phase};
    use crate::net::dial::dial;

    #[tokio::test]
    async fn every_host_is_the_socket_and_a_missing_one_is_named() {
        let folder = std::env::temp_dir().join(format!("nethttp-dial-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        for host in ["a.test", "[::1]"] {
            let connection = dial(&UnixDialer::new(&path), &DialTarget::new(host, 80)).await.unwrap();
            assert_eq!(connection.remote_addr(), &Addr::Unix(Some(path.as_path().into())));
            listener.accept().await.unwrap();
        }
        std::fs::remove_dir_all(&folder).unwrap();
        let error = dial(&UnixDialer::new(&path), &DialTarget::new("a.test", 80)).await.unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("the socket {} cannot be reached: ", path.display())),
            "{error}"
        );
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Io, Some(Phase::Connect)));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn an_at_sign_begins_an_abstract_name() {
        let name = format!("nethttp-dial-{}", std::process::id());
        let _listener = UnixListener::bind(format!("\0{name}")).unwrap();
        dial(&UnixDialer::new(format!("@{name}")), &DialTarget::new("a.test", 80)).await.unwrap();
    }
}
