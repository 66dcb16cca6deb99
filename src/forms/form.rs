//! A form that was read whole, and its files: the public types.

use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::{future::Future as _, pin::Pin};

use bytes::Bytes;
use http::StatusCode;
use tokio::task::{JoinHandle, spawn_blocking};

use super::temp_file::TempFile;
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Body, Frame, Header, Source, Values};

/// A multipart form that was read whole (Go's `multipart.Form`): see
/// [`Request::multipart_form`](crate::Request::multipart_form).
///
/// A handle: clones are the same form. Its temporary file is removed with the last clone of the form
/// and of its files.
#[derive(Clone, Debug)]
pub struct MultipartForm(Arc<FormData>);

#[derive(Debug)]
struct FormData {
    values: Arc<Values>,
    files: Vec<(String, FormFile)>,
}

impl MultipartForm {
    pub(super) fn new(values: Values, files: Vec<(String, FormFile)>) -> MultipartForm {
        MultipartForm(Arc::new(FormData { values: Arc::new(values), files }))
    }

    /// The parts that are not files.
    pub fn values(&self) -> &Values {
        &self.0.values
    }

    pub(super) fn shared_values(&self) -> Arc<Values> {
        self.0.values.clone()
    }

    /// The first file of this name.
    ///
    /// # Errors
    /// [`ErrorKind::MissingFile`], whose response is 400, when there is none. A field for a file that
    /// was left empty brings none.
    pub fn file(&self, name: &str) -> Result<&FormFile> {
        self.files(name).next().ok_or_else(|| {
            Error::new(ErrorKind::MissingFile, "a file is missing in the form").with_status(StatusCode::BAD_REQUEST)
        })
    }

    /// All files of this name, in order.
    pub fn files(&self, name: &str) -> impl Iterator<Item = &FormFile> {
        self.all_files().filter(move |(n, _)| *n == name).map(|(_, file)| file)
    }

    /// All files with their names in the form, in order.
    pub fn all_files(&self) -> impl ExactSizeIterator<Item = (&str, &FormFile)> {
        self.0.files.iter().map(|(name, file)| (name.as_str(), file))
    }
}

/// A file of a form (Go's `multipart.FileHeader`). Clones share its content.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FormFile {
    /// The name that its sender gave it, without directories: see
    /// [`Part::file_name`](crate::forms::Part::file_name).
    pub file_name: String,
    /// The fields of its part: its `Content-Type` is what its sender says it is.
    pub header: Header,
    /// How many bytes it has.
    pub size: u64,
    pub(super) content: FileContent,
}

/// Where the bytes of a file are.
#[derive(Clone, Debug)]
pub(super) enum FileContent {
    Memory(Bytes),
    /// In the form's temporary file, from there on.
    Disk(Arc<TempFile>, u64),
}

impl FormFile {
    /// Its content from the start, however often it was opened. A [`Body`], and so an
    /// [`AsyncRead`](tokio::io::AsyncRead) and an answer's content; it may outlive the form. To be
    /// read on a tokio runtime, as blocking reads are done on its threads for that.
    pub fn open(&self) -> Body {
        match &self.content {
            FileContent::Memory(bytes) => Body::from(bytes.clone()),
            FileContent::Disk(file, at) => {
                Body::from_source(OnDisk { file: file.clone(), at: *at, left: self.size, reading: None })
            }
        }
    }

    /// Its whole content, of `limit` bytes at most.
    ///
    /// # Errors
    /// [`ErrorKind::BodyTooLarge`], whose response is 413, when it has more; [`ErrorKind::Io`] where
    /// the disk fails.
    pub async fn bytes(&self, limit: u64) -> Result<Bytes> {
        self.open().bytes(limit).await
    }
}

/// A file's content in a temporary file.
struct OnDisk {
    file: Arc<TempFile>,
    /// Where the next bytes are.
    at: u64,
    left: u64,
    reading: Option<JoinHandle<std::io::Result<Bytes>>>,
}

/// How much is read for each hop to a blocking thread.
const READ_BYTES: u64 = 64 * 1024;

impl Source for OnDisk {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let (file, at, length) = (&self.file, self.at, self.left.min(READ_BYTES));
        let reading = self.reading.get_or_insert_with(|| {
            let file = file.clone();
            spawn_blocking(move || file.read(at, length))
        });
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        let chunk = read.map_err(Error::other)??;
        self.at += chunk.len() as u64;
        self.left = self.left.saturating_sub(chunk.len() as u64);
        Poll::Ready(Some(Ok(Frame::Data(chunk))))
    }

    fn remaining(&self) -> Option<u64> {
        Some(self.left)
    }
}
