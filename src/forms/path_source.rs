//! The content of a file of a path, read while it is sent.

use std::fs::{self, File};
use std::future::Future as _;
use std::io::{self, Read as _};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::error::{Error, ErrorKind, Result};
use crate::message::{Body, Frame, Source};

/// How much is read for each hop to a blocking thread.
const READ_BYTES: u64 = 64 << 10;

/// The content of this file, as long as it is now, and opened anew each time it is asked for.
pub(super) async fn body_of(path: &Path) -> Result<Body> {
    let path: Arc<Path> = path.into();
    let found = path.clone();
    let length = spawn_blocking(move || length_of(&found)).await.map_err(Error::other)??;
    Body::from_fn(move || {
        Ok(Body::from_source(PathSource { path: path.clone(), left: length, reading: None, file: None }))
    })
}

fn length_of(path: &Path) -> Result<u64> {
    let found = fs::metadata(path).map_err(|error| about(path, &error))?;
    if !found.is_file() {
        return Err(Error::new(ErrorKind::Invalid, "what is sent as a file is no regular file"));
    }
    // Whether it can be read is better known before anything is sent.
    File::open(path).map_err(|error| about(path, &error))?;
    Ok(found.len())
}

struct PathSource {
    path: Arc<Path>,
    /// How much of what was announced is still to come.
    left: u64,
    reading: Option<JoinHandle<io::Result<(File, Bytes)>>>,
    /// Not before the first read, and not during one.
    file: Option<File>,
}

impl Source for PathSource {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let reading = self.reading.get_or_insert_with(|| {
            let (path, file, length) = (self.path.clone(), self.file.take(), self.left.min(READ_BYTES));
            spawn_blocking(move || read(file, &path, length).map_err(|error| about(&path, &error)))
        });
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        let (file, chunk) = read.map_err(Error::other)??;
        self.file = Some(file);
        self.left = self.left.saturating_sub(chunk.len() as u64);
        Poll::Ready(Some(Ok(Frame::Data(chunk))))
    }

    fn remaining(&self) -> Option<u64> {
        Some(self.left)
    }
}

/// Some of the next bytes. All of them were announced, so that none is an error.
fn read(file: Option<File>, path: &Path, length: u64) -> io::Result<(File, Bytes)> {
    let mut file = match file {
        Some(file) => file,
        None => File::open(path)?,
    };
    let mut chunk = Vec::with_capacity(usize::try_from(length).unwrap_or_default());
    (&mut file).take(length).read_to_end(&mut chunk)?;
    if chunk.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it has become shorter while it was sent"));
    }
    Ok((file, chunk.into()))
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of this test alone, which is removed at its end.
    struct Temporary(std::path::PathBuf);

    impl Temporary {
        fn new(name: &str, content: &str) -> Temporary {
            let path = std::env::temp_dir().join(format!("nethttp-sent-{}-{name}", std::process::id()));
            fs::write(&path, content).unwrap();
            Temporary(path)
        }
    }

    impl Drop for Temporary {
        fn drop(&mut self) {
            let _ = fs::remove_file(&self.0);
        }
    }

    #[tokio::test]
    async fn a_file_is_sent_as_long_as_it_was_or_it_is_an_error() {
        let whole = "0123456789".repeat(20_000);
        for (name, at_first, then, sent) in
            [("same", &*whole, &*whole, &*whole), ("grown", "0123", "0123456", "0123"), ("empty", "", "0123", "")]
        {
            let file = Temporary::new(name, at_first);
            let mut body = body_of(&file.0).await.unwrap();
            assert_eq!(body.remaining(), Some(at_first.len() as u64));
            fs::write(&file.0, then).unwrap();
            let mut again = body.try_clone().unwrap().unwrap();
            assert!(body.text().await.unwrap() == sent, "{name}");
            assert!(again.text().await.unwrap() == sent, "{name}, opened anew");
        }
        let file = Temporary::new("shrunk", "0123");
        let mut body = body_of(&file.0).await.unwrap();
        fs::write(&file.0, "01").unwrap();
        let error = body.text().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        let said = error.to_string();
        assert!(said.contains("-shrunk: ") && said.contains("has become shorter"), "{said}");
    }

    #[tokio::test]
    async fn what_is_no_file_is_found_before_anything_is_sent() {
        let absent = body_of(Path::new("/nothing/here.txt")).await.unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::Io);
        assert!(absent.to_string().contains("/nothing/here.txt"), "{absent}");
        assert_eq!(body_of(&std::env::temp_dir()).await.unwrap_err().kind(), ErrorKind::Invalid);
    }
}
