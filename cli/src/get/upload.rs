//! The content of requests: text of the command line, files, standard input, and forms made of these.
//! Files are sent as they are read, however large; they are read anew for each try.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use aws_lc_rs::rand;
use futures_core::Stream;
use nethttp::{Body, Bytes};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::failure::{Exit, Failure};
use super::pace::RateLimit;
use super::values::{FormPart, FormValue};

/// Content, as often as it is needed.
#[derive(Clone, Debug)]
pub(crate) struct Upload {
    pieces: Vec<Piece>,
    pub(crate) content_type: Option<String>,
    max_bytes_per_second: Option<u64>,
}

#[derive(Clone, Debug)]
enum Piece {
    Memory(Bytes),
    /// A file, and how long it was when the command began.
    File {
        path: PathBuf,
        length: u64,
    },
    /// What can be read once alone, and is of unknown length: a pipe, or standard input.
    Pipe(PathBuf),
}

const STDIN: &str = "-";
const CHUNK_BYTES: usize = 64 << 10;

impl Upload {
    /// Texts, files (`@FILE`) and standard input (`@-`), one after the other.
    pub(crate) fn of_data(parts: &[String], between: &'static str) -> Result<Upload, Failure> {
        let mut pieces = Vec::new();
        for (number, part) in parts.iter().enumerate() {
            if number > 0 && !between.is_empty() {
                pieces.push(Piece::Memory(Bytes::from_static(between.as_bytes())));
            }
            pieces.push(match part.strip_prefix('@') {
                Some(path) => file_or_memory(Path::new(path))?,
                None => Piece::Memory(part.clone().into()),
            });
        }
        Ok(Upload { pieces, content_type: None, max_bytes_per_second: None })
    }

    /// A file (`-T`).
    pub(crate) fn of_file(path: &Path) -> Result<Upload, Failure> {
        let piece = match regular_file(path)? {
            Some(file) => file,
            None => Piece::Pipe(path.to_owned()),
        };
        Ok(Upload { pieces: vec![piece], content_type: None, max_bytes_per_second: None })
    }

    /// A form (RFC 7578), of parts between boundaries.
    pub(crate) fn of_form(parts: &[FormPart]) -> Result<Upload, Failure> {
        let boundary = boundary()?;
        let mut pieces = Vec::new();
        for part in parts {
            let (content, file_name) = match &part.value {
                FormValue::Text(text) => (Piece::Memory(text.clone().into()), None),
                FormValue::TextOf(path) => (file_or_memory(path)?, None),
                FormValue::File(path) => (file_or_memory(path)?, Some(base_name(path))),
            };
            let file_name = part.file_name.clone().or(file_name);
            let content_type = part.content_type.clone().or_else(|| file_name.as_deref().map(type_of));
            let mut head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(&part.name));
            if let Some(name) = file_name {
                head += &format!("; filename=\"{}\"", quoted(&name));
            }
            if let Some(content_type) = content_type {
                head += &format!("\r\nContent-Type: {content_type}");
            }
            head += "\r\n\r\n";
            pieces.extend([Piece::Memory(head.into()), content, Piece::Memory("\r\n".into())]);
        }
        pieces.push(Piece::Memory(format!("--{boundary}--\r\n").into()));
        let content_type = Some(format!("multipart/form-data; boundary={boundary}"));
        Ok(Upload { pieces, content_type, max_bytes_per_second: None })
    }

    pub(crate) fn with_type(self, content_type: &str) -> Upload {
        Upload { content_type: Some(content_type.to_owned()), ..self }
    }

    pub(crate) fn no_faster_than(self, max_bytes_per_second: Option<u64>) -> Upload {
        Upload { max_bytes_per_second, ..self }
    }

    /// How long it is, where that is known.
    pub(crate) fn length(&self) -> Option<u64> {
        self.pieces.iter().try_fold(0_u64, |length, piece| length.checked_add(piece.length()?))
    }

    /// Whether it is there for another try, and for another URL.
    pub(crate) fn is_replayable(&self) -> bool {
        !self.pieces.iter().any(|piece| matches!(piece, Piece::Pipe(_)))
    }

    pub(crate) fn body(&self) -> nethttp::Result<Body> {
        if let Some(bytes) = self.in_memory() {
            return Ok(bytes.into());
        }
        let upload = self.clone();
        let make = move || Ok(Body::from_stream(Chunks::of(&upload)));
        if self.is_replayable() { Body::from_fn(make) } else { make() }
    }

    /// All of it, where it needs no reading and no pauses.
    fn in_memory(&self) -> Option<Bytes> {
        let mut bytes = Vec::new();
        for piece in &self.pieces {
            let Piece::Memory(memory) = piece else { return None };
            bytes.extend_from_slice(memory);
        }
        self.max_bytes_per_second.is_none().then(|| bytes.into())
    }
}

impl Piece {
    fn length(&self) -> Option<u64> {
        match self {
            Piece::Memory(bytes) => u64::try_from(bytes.len()).ok(),
            Piece::File { length, .. } => Some(*length),
            Piece::Pipe(_) => None,
        }
    }
}

/// A file is read when it is sent; what is none, or standard input, is read now: it can be read once.
fn file_or_memory(path: &Path) -> Result<Piece, Failure> {
    if let Some(file) = regular_file(path)? {
        return Ok(file);
    }
    let mut content = Vec::new();
    let read = match path == Path::new(STDIN) {
        true => io::stdin().lock().read_to_end(&mut content),
        false => std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut content)),
    };
    read.map_err(|error| Failure::local(display(path), &error))?;
    Ok(Piece::Memory(content.into()))
}

fn regular_file(path: &Path) -> Result<Option<Piece>, Failure> {
    if path == Path::new(STDIN) {
        return Ok(None);
    }
    // Opened too: whether it can be read is better known before anything is sent.
    let found = std::fs::metadata(path).and_then(|found| {
        let file = if found.is_file() { Some(std::fs::File::open(path)?) } else { None };
        Ok((found, file))
    });
    let (found, file) = found.map_err(|error| Failure::local(display(path), &error))?;
    if found.is_dir() {
        return Err(Failure::new(Exit::Local, format!("{}: it is a directory", path.display())));
    }
    Ok(file.map(|_| Piece::File { path: path.to_owned(), length: found.len() }))
}

fn display(path: &Path) -> String {
    if path == Path::new(STDIN) { "standard input".to_owned() } else { path.display().to_string() }
}

fn base_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// A line that stands in no content but by a chance of one in 2^128.
fn boundary() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| Failure::new(Exit::Local, "the system gives no random bytes"))?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("----nethttp-{digits}"))
}

/// As browsers write names between quotes (HTML, "multipart form data").
fn quoted(name: &str) -> String {
    name.replace('\r', "%0D").replace('\n', "%0A").replace('"', "%22")
}

/// By the end of the name; the server may know better.
fn type_of(name: &str) -> String {
    let end = name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).unwrap_or_default();
    let content_type = match &*end {
        "txt" => "text/plain",
        "html" | "htm" => "text/html",
        "csv" => "text/csv",
        "json" => "application/json",
        "xml" => "application/xml",
        "pdf" => "application/pdf",
        "zip" => "application/zip",
        "gz" => "application/gzip",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    };
    content_type.to_owned()
}

type Step = Pin<Box<dyn Future<Output = (Reader, Option<io::Result<Bytes>>)> + Send>>;

/// The chunks of an upload as a stream: each step takes the reader, and gives it back with a chunk.
struct Chunks(Option<Step>);

impl Chunks {
    fn of(upload: &Upload) -> Chunks {
        let reader = Reader {
            left: upload.pieces.iter().cloned().collect(),
            open: None,
            rate_limit: upload.max_bytes_per_second.map(RateLimit::new),
        };
        Chunks(Some(Box::pin(reader.step())))
    }
}

impl Stream for Chunks {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let Some(step) = &mut self.0 else { return Poll::Ready(None) };
        let (reader, chunk) = ready!(step.as_mut().poll(cx));
        // An error is the end of it.
        self.0 = if matches!(chunk, Some(Ok(_))) { Some(Box::pin(reader.step())) } else { None };
        Poll::Ready(chunk)
    }
}

struct Reader {
    left: VecDeque<Piece>,
    open: Option<OpenPiece>,
    rate_limit: Option<RateLimit>,
}

struct OpenPiece {
    source: Box<dyn AsyncRead + Send + Unpin>,
    path: PathBuf,
    /// How much is still to come, where that is known.
    left: Option<u64>,
}

impl Reader {
    async fn step(mut self) -> (Reader, Option<io::Result<Bytes>>) {
        let chunk = self.next().await.transpose();
        if let (Some(limit), Some(Ok(chunk))) = (&mut self.rate_limit, &chunk) {
            limit.pause(chunk.len()).await;
        }
        (self, chunk)
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(open) = &mut self.open {
                match open.chunk().await? {
                    Some(chunk) => return Ok(Some(chunk)),
                    None => self.open = None,
                }
            }
            match self.left.pop_front() {
                None => return Ok(None),
                Some(Piece::Memory(bytes)) if bytes.is_empty() => {}
                Some(Piece::Memory(bytes)) => return Ok(Some(bytes)),
                Some(Piece::File { path, length }) => self.open = Some(OpenPiece::new(path, Some(length)).await?),
                Some(Piece::Pipe(path)) => self.open = Some(OpenPiece::new(path, None).await?),
            }
        }
    }
}

impl OpenPiece {
    async fn new(path: PathBuf, left: Option<u64>) -> io::Result<OpenPiece> {
        let source: Box<dyn AsyncRead + Send + Unpin> = match path == Path::new(STDIN) {
            true => Box::new(tokio::io::stdin()),
            false => Box::new(File::open(&path).await.map_err(|error| about(&path, &error))?),
        };
        Ok(OpenPiece { source, path, left })
    }

    /// The length was announced: what was added to the file since is not sent, and what was taken from
    /// it cannot be made up for.
    async fn chunk(&mut self) -> io::Result<Option<Bytes>> {
        let room = self.left.map_or(CHUNK_BYTES, |left| usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES));
        if room == 0 {
            return Ok(None);
        }
        let mut chunk = vec![0; room];
        let count = self.source.read(&mut chunk).await.map_err(|error| about(&self.path, &error))?;
        chunk.truncate(count);
        match (&mut self.left, count) {
            (Some(_), 0) => Err(about(&self.path, &io::Error::other("it has become shorter while it was sent"))),
            (None, 0) => Ok(None),
            (left, _) => {
                *left = left.map(|left| left.saturating_sub(u64::try_from(count).unwrap_or(u64::MAX)));
                Ok(Some(chunk.into()))
            }
        }
    }
}

fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", display(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_end_its_quotes_nor_its_line() {
        assert_eq!(quoted("a\"b\r\nc"), "a%22b%0D%0Ac");
    }

    #[test]
    fn two_boundaries_differ_and_fit_into_a_line() {
        let (first, second) = (boundary().unwrap(), boundary().unwrap());
        assert!(first != second && first.len() <= 70, "{first} {second}");
    }

    /// The content as it is sent when the file has become this by then.
    async fn sent(name: &str, at_first: &str, then: &str) -> nethttp::Result<Bytes> {
        let path = std::env::temp_dir().join(format!("nethttp-upload-{}-{name}", std::process::id()));
        std::fs::write(&path, at_first).unwrap();
        let upload = Upload::of_data(&["a=".into(), format!("@{}", path.display())], "").unwrap();
        assert!(upload.is_replayable() && upload.length() == Some(2 + at_first.len() as u64));
        std::fs::write(&path, then).unwrap();
        let mut body = upload.body().unwrap();
        let again = body.try_clone().unwrap();
        let sent = body.bytes(1 << 20).await;
        std::fs::remove_file(&path).unwrap();
        drop(again);
        sent
    }

    #[tokio::test]
    async fn a_file_is_sent_as_long_as_it_was_announced_or_it_is_an_error() {
        let whole = "0123456789".repeat(20_000);
        assert_eq!(sent("same", &whole, &whole).await.unwrap(), format!("a={whole}"));
        assert_eq!(sent("grown", "0123", "0123456").await.unwrap(), "a=0123");
        assert_eq!(sent("empty", "", "0123").await.unwrap(), "a=");
        let error = sent("shrunk", "0123", "01").await.unwrap_err().to_string();
        assert!(error.contains("it has become shorter while it was sent"), "{error}");
    }
}
