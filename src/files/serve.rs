//! The handler: which methods, which answer, and the content chunk by chunk.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::task::{JoinHandle, spawn_blocking};

use super::condition::if_modified_since;
use super::lookup::{Absence, Found, INDEX_NAME, OpenFile, Wanted, at_most, look_up, read_chunk};
use super::path::{Spelling, requested_path};
use crate::error::{Error, Result};
use crate::message::{Request, format_time};
use crate::server::{Handler, ResponseWriter};

/// How much of a file is read in one go. One chunk is read ahead while another one is written,
/// so an answer holds two at most, however long the file and however slow the client.
const CHUNK_BYTES: usize = 256 * 1024;

/// Enough of a file to tell its type, for an answer without content.
const HEAD_BYTES: usize = 512;

/// Serves the files below `root` (Go's `FileServer`).
///
/// The request's path is the path below the root; behind a prefix, take it off first with
/// [`strip_prefix`](crate::strip_prefix). Whether the root exists is seen at the first request:
/// while it does not, or is no directory, requests are answered 500.
///
/// - `GET` and `HEAD` are answered, other methods refused with 405.
/// - A directory is served as its `index.html` if it has one, else as a listing. `/dir` leads to
///   `/dir/`, `/dir/index.html` to `/dir/` and `/file/` to `/file`, with 301, relative and with
///   the query kept.
/// - `Content-Type` is what the handler around this one has set, else what the extension tells,
///   else what the content looks like ([`detect_content_type`](crate::detect_content_type));
///   `nosniff` keeps browsers from guessing otherwise.
/// - `Last-Modified` is sent, and `If-Modified-Since` answered 304.
/// - Names that begin with a dot are neither served nor listed. Nor are those with a slash, a
///   backslash, a colon or a NUL in them, however escaped.
/// - Symbolic links are followed as long as they stay below the root; one that leads out of it
///   is not found. The check is made before the opening, so it does not hold against somebody
///   who may write below the root and swaps a directory for a link in between.
/// - Only regular files are served: pipes, sockets and devices are not found.
///
/// What cannot be read for lack of permission is 403, any other fault of the system 500; the
/// text says no more than that. A file that becomes shorter while it is sent cuts the connection,
/// so that the client can see that the content is not whole.
///
/// ```
/// use nethttp::{ServeMux, file_server};
///
/// let mux = ServeMux::new();
/// mux.handle("/", file_server("public"));
/// ```
pub fn file_server(root: impl Into<PathBuf>) -> impl Handler {
    FileServer { root: root.into().into() }
}

struct FileServer {
    root: Arc<Path>,
}

impl Handler for FileServer {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        w.header().set("X-Content-Type-Options", "nosniff");
        let first_bytes = match r.method {
            Method::GET => CHUNK_BYTES,
            Method::HEAD => HEAD_BYTES,
            _ => return refuse_method(w).await,
        };
        let Some(path) = requested_path(r.path()) else { return refuse(w, Absence::NotFound).await };
        if path.spelling == Spelling::Name && path.relative.ends_with(INDEX_NAME) {
            return redirect(w, r, "./");
        }
        let since = if_modified_since(&r.header);
        let wanted = Wanted { root: self.root.clone(), path, since, first_bytes };
        match spawn_blocking(move || look_up(&wanted)).await.map_err(Error::other)? {
            Ok(Found::File(file)) => serve_file(w, r, file).await,
            Ok(Found::Listing { page, modified }) => serve_page(w, page, modified).await,
            Ok(Found::Unmodified(modified)) => {
                set_last_modified(w, Some(modified));
                w.write_header(StatusCode::NOT_MODIFIED);
                Ok(())
            }
            Ok(Found::Moved(reference)) => redirect(w, r, &reference),
            Err(absence) => refuse(w, absence).await,
        }
    }
}

async fn serve_file(w: &mut ResponseWriter, r: &Request, found: OpenFile) -> Result<()> {
    set_last_modified(w, found.modified);
    set_content_type(w, found.content_type);
    w.header().set("Content-Length", found.length.to_string());
    w.write_header(StatusCode::OK);
    if r.method == Method::HEAD {
        return Ok(());
    }
    send(w, found).await
}

/// Writes the content: the chunk that is there, while the next one is read.
async fn send(w: &mut ResponseWriter, found: OpenFile) -> Result<()> {
    let mut chunk = found.first;
    let mut left = found.length.saturating_sub(chunk.len() as u64);
    let mut ahead = read_ahead(found.file, left);
    loop {
        w.write_bytes(chunk).await?;
        let Some(reading) = ahead else { return Ok(()) };
        let (file, next) = reading.await.map_err(Error::other)??;
        left = left.saturating_sub(next.len() as u64);
        chunk = next;
        ahead = read_ahead(file, left);
    }
}

/// Begins to read the next chunk, where something is left. A hop for each chunk, not a thread
/// for each file: a slow client must hold none, or a few hundred of them hold all.
fn read_ahead(file: File, left: u64) -> Option<JoinHandle<std::io::Result<(File, Bytes)>>> {
    let length = at_most(left, CHUNK_BYTES);
    let read = move || read_chunk(&file, length).map(|chunk| (file, chunk));
    (length > 0).then(|| spawn_blocking(read))
}

async fn serve_page(w: &mut ResponseWriter, page: String, modified: Option<SystemTime>) -> Result<()> {
    set_last_modified(w, modified);
    set_content_type(w, "text/html; charset=utf-8");
    w.header().set("Content-Length", page.len().to_string());
    w.write_bytes(page.into()).await
}

fn set_last_modified(w: &mut ResponseWriter, modified: Option<SystemTime>) {
    if let Some(modified) = modified {
        w.header().set("Last-Modified", format_time(modified));
    }
}

fn set_content_type(w: &mut ResponseWriter, content_type: &str) {
    if !w.header().contains("Content-Type") {
        w.header().set("Content-Type", content_type);
    }
}

/// Leads to `reference`, relative to the path that was asked for: a prefix that was taken off
/// that path is still on the client's.
fn redirect(w: &mut ResponseWriter, r: &Request, reference: &str) -> Result<()> {
    let location = match r.uri.query() {
        Some(query) => format!("{reference}?{query}"),
        None => reference.to_owned(),
    };
    w.header().set("Location", location);
    w.header().set("Content-Length", "0");
    w.write_header(StatusCode::MOVED_PERMANENTLY);
    Ok(())
}

async fn refuse_method(w: &mut ResponseWriter) -> Result<()> {
    w.header().set("Allow", "GET, HEAD");
    refuse_with(w, StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed\n").await
}

async fn refuse(w: &mut ResponseWriter, absence: Absence) -> Result<()> {
    match absence {
        Absence::NotFound => refuse_with(w, StatusCode::NOT_FOUND, "404 page not found\n").await,
        Absence::Forbidden => refuse_with(w, StatusCode::FORBIDDEN, "403 forbidden\n").await,
        // The server's edge answers 500 and logs it.
        Absence::Fault(error) => Err(Error::other(error)),
    }
}

async fn refuse_with(w: &mut ResponseWriter, status: StatusCode, text: &'static str) -> Result<()> {
    // Set by handlers around this one for the file that is not there; a cache would keep the
    // refusal on their word.
    for name in ["Cache-Control", "Content-Encoding", "ETag", "Last-Modified"] {
        w.header().del(name);
    }
    w.header().set("Content-Type", "text/plain; charset=utf-8");
    w.header().set("Content-Length", text.len().to_string());
    w.write_header(status);
    w.write_bytes(Bytes::from_static(text.as_bytes())).await
}
