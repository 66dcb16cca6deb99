//! Files that go from the system's memory to a socket without passing through the program's.

use std::fs::File;
use std::io;
#[cfg(target_os = "linux")]
use std::task::ready;
use std::task::{Context, Poll};

#[cfg(target_os = "linux")]
use rustix::fs::sendfile;
#[cfg(target_os = "linux")]
use tokio::io::Interest;
#[cfg(target_os = "linux")]
use tokio::net::TcpStream;

use super::io::Io;
#[cfg(target_os = "linux")]
use super::stream::Stream;

impl Io {
    /// Whether files can be sent here: on TCP, with nothing in between that has to see the bytes.
    #[cfg(target_os = "linux")]
    pub(crate) fn sends_files(&self) -> bool {
        (*self.stream).as_any().is::<TcpStream>()
    }

    /// Sends some of what the file has from here on, at most `most` bytes. Never returns 0: the end of
    /// the file is an error. Waits for the socket, but blocks on the disk.
    #[cfg(target_os = "linux")]
    pub(crate) fn poll_send_file(
        &mut self,
        cx: &mut Context<'_>,
        file: &File,
        offset: u64,
        most: u64,
    ) -> Poll<io::Result<u64>> {
        let stream = tcp(&*self.stream)?;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        loop {
            ready!(stream.poll_write_ready(cx))?;
            let mut sent = 0;
            let tried = stream.try_io(Interest::WRITABLE, || {
                let mut at = offset;
                sent = sendfile(stream, file, Some(&mut at), most)?;
                // Less than there is: the socket's buffer is full. We wait until it has reasonable room;
                // another call now would send one small segment at a time.
                let is_full = sent > 0 && sent < most && has_more(file, at);
                if is_full { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match tried {
                _ if sent > 0 => return Poll::Ready(Ok(sent as u64)),
                Ok(()) => return Poll::Ready(Err(became_shorter())),
                Err(error) if passes(&error) => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn sends_files(&self) -> bool {
        false
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn poll_send_file(&mut self, _: &mut Context<'_>, _: &File, _: u64, _: u64) -> Poll<io::Result<u64>> {
        Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
    }
}

#[cfg(target_os = "linux")]
fn tcp(stream: &dyn Stream) -> io::Result<&TcpStream> {
    stream.as_any().downcast_ref::<TcpStream>().ok_or_else(|| io::ErrorKind::Unsupported.into())
}

/// Whether it is worth another try.
#[cfg(target_os = "linux")]
fn passes(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Whether the file goes on at this offset. Where that is not known, the next try shows it.
#[cfg(target_os = "linux")]
fn has_more(file: &File, at: u64) -> bool {
    rustix::fs::fstat(file).is_ok_and(|stat| u64::try_from(stat.st_size).is_ok_and(|size| size > at))
}

#[cfg(target_os = "linux")]
fn became_shorter() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was sent")
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::future::poll_fn;
    use std::io::Write as _;

    use tokio::io::AsyncReadExt as _;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    struct Removed(std::path::PathBuf);

    impl Drop for Removed {
        fn drop(&mut self) {
            // Left behind, it only takes place.
            let _ = std::fs::remove_file(&self.0);
        }
    }

    fn file_of(content: &[u8]) -> (Removed, File) {
        let path = std::env::temp_dir().join(format!("nethttp-send-file-{}", std::process::id()));
        File::create(&path).unwrap().write_all(content).unwrap();
        let file = File::open(&path).unwrap();
        (Removed(path), file)
    }

    #[tokio::test]
    async fn a_file_is_sent_from_any_place_on_tcp_and_its_end_is_an_error() {
        let (_removed, file) = file_of(b"0123456789");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut io = Io::new(listener.accept().await.unwrap().0);
        assert!(io.sends_files());
        assert_eq!(poll_fn(|cx| io.poll_send_file(cx, &file, 3, 4)).await.unwrap(), 4);
        assert_eq!(poll_fn(|cx| io.poll_send_file(cx, &file, 8, 100)).await.unwrap(), 2);
        let ended = poll_fn(|cx| io.poll_send_file(cx, &file, 10, 1)).await;
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        drop(io);
        let mut came = Vec::new();
        peer.read_to_end(&mut came).await.unwrap();
        assert_eq!(came, b"345689");
    }

    #[tokio::test]
    async fn what_is_no_socket_sends_no_files() {
        assert!(!Io::new(tokio::io::empty()).sends_files());
    }
}
