//! The handlers: `file_server` with its settings, and `serve_file`.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::task::spawn_blocking;

use super::answer::{Source, answer, not_modified, precondition_failed, refuse_with, set_validators};
use super::condition::{Asked, Conditions, Selection, Validators};
use super::dir::Dir;
use super::encoding::accepted;
use super::file_system::{File, FileSystem};
use super::lookup::{
    Absence, Found, FoundFile, INDEX_NAME, Patience, Place, Wanted, look_up, look_up_page, settled, try_look_up,
};
use super::path::{Hidden, RequestedPath, Spelling, leads_upwards, requested_path};
use super::range::ByteRange;
use crate::error::{Error, Result};
use crate::message::Request;
use crate::server::{Handler, ResponseWriter};

/// Serves the files below `root` (Go's `FileServer`): a [`FileServer`] over [`Dir::new`], with all
/// settings as they are from the start.
///
/// ```
/// use nethttp::{ServeMux, file_server};
///
/// let mux = ServeMux::new();
/// mux.handle("/", file_server("public"));
/// ```
pub fn file_server(root: impl Into<PathBuf>) -> FileServer {
    FileServer::new(Dir::new(root))
}

/// Serves the files of any tree (Go's `FileServer` and `FileServerFS`): a [`FileServer`] with all
/// settings as they are from the start.
pub fn file_server_fs(file_system: impl FileSystem) -> FileServer {
    FileServer::new(file_system)
}

/// A handler that serves the files of a tree.
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
/// - `Last-Modified` and `ETag` are sent, and conditions and ranges answered as
///   [`serve_content`](crate::serve_content) does. The tag is made of length and time of change,
///   and weak for the first two seconds after a change, in which another one might not show. A tag
///   that a handler around this one has set takes its place.
/// - Names that begin with a dot are neither served nor listed
///   ([`hidden_files`](Self::hidden_files)). Nor are those with a slash, a backslash, a colon or a
///   NUL in them, however escaped; on Windows, nor are names of devices.
/// - What links may lead to is for the tree to say; see [`Dir`].
/// - Only regular files are served: pipes, sockets and devices are not found.
///
/// What cannot be read for lack of permission is 403, any other fault of the system 500; the
/// text says no more than that. A file that becomes shorter while it is sent cuts the connection,
/// so that the client can see that the content is not whole.
///
/// ```
/// use nethttp::{Dir, FileServer, ServeMux};
///
/// let mux = ServeMux::new();
/// mux.handle("/", FileServer::new(Dir::new("public")).precompressed(true).not_found_page("404.html"));
/// ```
#[derive(Clone)]
pub struct FileServer {
    file_system: Arc<dyn FileSystem>,
    hidden: Hidden,
    precompressed: bool,
    not_found_page: Option<Arc<Path>>,
}

impl FileServer {
    /// Serves this tree.
    pub fn new(file_system: impl FileSystem) -> FileServer {
        FileServer {
            file_system: Arc::new(file_system),
            hidden: Hidden::Refused,
            precompressed: false,
            not_found_page: None,
        }
    }

    /// Whether names that begin with a dot are served and listed. They are not from the start:
    /// `.git` and `.env` lie in many a directory by accident.
    pub fn hidden_files(mut self, served: bool) -> FileServer {
        self.hidden = if served { Hidden::Served } else { Hidden::Refused };
        self
    }

    /// Whether `name.br`, `name.zst` or `name.gz` beside `name` is sent in its place, under its
    /// `Content-Type`, to clients whose `Accept-Encoding` takes it; `Vary` tells caches so. The
    /// plain file must be there, too, and whoever changes it changes the others. It is off from
    /// the start: it takes up to three more looks at the disk.
    ///
    /// Where a handler around this one has set `Content-Encoding`, the plain file is sent.
    pub fn precompressed(mut self, sent: bool) -> FileServer {
        self.precompressed = sent;
        self
    }

    /// The file of the tree that is sent, with 404, where there is nothing; by its name from the
    /// root. Without it, and where it is missing itself, a line of text is.
    pub fn not_found_page(mut self, name: impl Into<PathBuf>) -> FileServer {
        let name = name.into();
        self.not_found_page = Some(name.strip_prefix("/").unwrap_or(&name).into());
        self
    }
}

impl std::fmt::Debug for FileServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileServer")
            .field("hidden", &self.hidden)
            .field("precompressed", &self.precompressed)
            .field("not_found_page", &self.not_found_page)
            .finish_non_exhaustive()
    }
}

impl Handler for FileServer {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        w.header().set("X-Content-Type-Options", "nosniff");
        if !matches!(r.method, Method::GET | Method::HEAD) {
            w.header().set("Allow", "GET, HEAD");
            return refuse_with(w, StatusCode::METHOD_NOT_ALLOWED, "405 method not allowed").await;
        }
        let Some(path) = requested_path(r.path(), self.hidden) else {
            return self.refuse(w, r, Absence::NotFound).await;
        };
        if path.spelling == Spelling::Name && path.relative.ends_with(INDEX_NAME) {
            return redirect(w, r, "./");
        }
        let mut encodings = Vec::new();
        if self.precompressed && !w.header().contains("Content-Encoding") {
            encodings = accepted(&r.header);
        }
        let file_system = self.file_system.clone();
        let wanted = wanted(w, r, Wanted { encodings, hidden: self.hidden, ..Wanted::new(file_system, path) });
        match found(wanted).await? {
            Ok(found) => {
                if self.precompressed && matches!(found, Found::File(_)) {
                    w.header().add("Vary", "Accept-Encoding");
                }
                send(w, r, found).await
            }
            Err(absence) => self.refuse(w, r, absence).await,
        }
    }
}

impl FileServer {
    async fn refuse(&self, w: &mut ResponseWriter, r: &Request, absence: Absence) -> Result<()> {
        let (Absence::NotFound, Some(page)) = (&absence, &self.not_found_page) else { return refuse(w, absence).await };
        let asked = Conditions::of(r).method;
        let found = match settled(look_up_page(&*self.file_system, Patience::None, page, asked)) {
            Some(found) => found,
            None => {
                let (file_system, page) = (self.file_system.clone(), page.clone());
                apart(move || look_up_page(&*file_system, Patience::Waits, &page, asked)).await?
            }
        };
        match found {
            Ok(found) => {
                // What a handler around this one has set for the file that is not there.
                for name in ["Cache-Control", "Content-Encoding", "Content-Type", "ETag", "Last-Modified"] {
                    w.header().del(name);
                }
                send_file(w, asked, found).await
            }
            Err(_) => refuse(w, absence).await,
        }
    }
}

/// Answers with a file, or with a directory as its index or a listing (Go's `ServeFile`).
///
/// `path` is the program's word and may lead anywhere: links are followed, hidden names served
/// (though not listed).
/// Do not make it of what a peer has sent; [`file_server`] is there for that. As a safeguard for
/// programs that do, a request whose path has an element `..`, escaped or not, is answered 400.
///
/// All else is as [`serve_content`](crate::serve_content) and [`FileServer`] describe it: `ETag`,
/// `Last-Modified`, conditions, ranges. Any method is answered. As in Go, a request for a path
/// that ends with `/index.html` is led to `./`, and one for a directory, whose path has no slash
/// at the end, to the path with one.
///
/// # Errors
/// Faults of the system that are not 404 or 403, and those of
/// [`ResponseWriter::write`](crate::ResponseWriter::write).
///
/// ```
/// use nethttp::{Request, ResponseWriter, Result, serve_file};
///
/// async fn manual(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
///     serve_file(w, r, "/usr/share/doc/manual.pdf").await
/// }
/// ```
pub async fn serve_file(w: &mut ResponseWriter, r: &Request, path: impl AsRef<Path>) -> Result<()> {
    if leads_upwards(r.path()) {
        return refuse_with(w, StatusCode::BAD_REQUEST, "invalid URL path").await;
    }
    if r.path().ends_with("/index.html") {
        return redirect(w, r, "./");
    }
    let path = path.as_ref();
    let last_segment = r.path().rsplit('/').next().unwrap_or_default();
    let spelling = if last_segment.is_empty() { Spelling::Slash } else { Spelling::Name };
    let place = Place::Chosen { name: path.file_name().map(ToOwned::to_owned), last_segment: last_segment.to_owned() };
    let requested = RequestedPath { relative: PathBuf::new(), spelling };
    let wanted = Wanted { place, ..Wanted::new(Arc::new(Dir::trusted(path)), requested) };
    let wanted = self::wanted(w, r, wanted);
    match found(wanted).await? {
        Ok(found) => send(w, r, found).await,
        Err(absence) => refuse(w, absence).await,
    }
}

/// With what the request and the handlers around this one say.
fn wanted(w: &mut ResponseWriter, r: &Request, wanted: Wanted) -> Wanted {
    let etag = w.header().get_bytes("ETag").map(<[u8]>::to_vec);
    Wanted { conditions: Conditions::of(r), etag, ..wanted }
}

async fn found(wanted: Wanted) -> Result<Result<Found, Absence>> {
    match try_look_up(&wanted) {
        Some(found) => Ok(found),
        None => apart(move || look_up(&wanted, Patience::Waits)).await,
    }
}

/// Does what may block where that harms nobody.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.map_err(Error::other)
}

async fn send(w: &mut ResponseWriter, r: &Request, found: Found) -> Result<()> {
    match found {
        Found::File(file) => send_file(w, Conditions::of(r).method, file).await,
        Found::Listing { page, modified } => {
            set_modified(w, modified);
            if !w.header().contains("Content-Type") {
                w.header().set("Content-Type", "text/html; charset=utf-8");
            }
            w.header().set("Content-Length", page.len().to_string());
            w.write_bytes(page.into()).await
        }
        Found::NoListing { selection, modified } => {
            set_modified(w, modified);
            match selection {
                Selection::PreconditionFailed => precondition_failed(w),
                _ => not_modified(w),
            }
        }
        Found::Moved(reference) => redirect(w, r, &reference),
    }
}

fn set_modified(w: &mut ResponseWriter, modified: Option<SystemTime>) {
    set_validators(w, &Validators { etag: None, modified });
}

async fn send_file(w: &mut ResponseWriter, asked: Asked, found: FoundFile) -> Result<()> {
    let FoundFile { file, representation, selection, first } = found;
    answer(w, asked, &representation, &selection, &mut Opened { file, first }).await
}

/// A file that is read where it is sent, as long as the system has it in memory. Else with a hop
/// for each chunk, not a thread for each file: a slow client must hold none, or a few hundred of
/// them hold all.
struct Opened {
    file: Arc<dyn File>,
    /// What was read when the file was opened, and where that begins.
    first: Option<(u64, Bytes)>,
}

impl Source for Opened {
    fn in_memory(&self, range: ByteRange) -> Option<&std::fs::File> {
        let file = self.file.system_file()?;
        // The ends stand for what lies between: who reads a file reads it in order, and what is
        // dropped is dropped so. Where that is wrong, the disk is waited for.
        let is_there = |at| self.file.try_read_at(at, 1).is_ok_and(|byte| !byte.is_empty());
        (is_there(range.start) && is_there(range.last())).then_some(file)
    }

    async fn read(&mut self, range: ByteRange) -> Result<Bytes> {
        if let Some((start, chunk)) = self.first.take() {
            if start == range.start && chunk.len() as u64 <= range.length {
                return Ok(chunk);
            }
        }
        match Patience::None.read(&*self.file, range) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                let file = self.file.clone();
                Ok(apart(move || Patience::Waits.read(&*file, range)).await??)
            }
            read => Ok(read?),
        }
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

async fn refuse(w: &mut ResponseWriter, absence: Absence) -> Result<()> {
    match absence {
        Absence::NotFound => refuse_with(w, StatusCode::NOT_FOUND, "404 page not found").await,
        Absence::Forbidden => refuse_with(w, StatusCode::FORBIDDEN, "403 Forbidden").await,
        // The server's edge answers 500 and logs it.
        Absence::Fault(error) => Err(Error::other(error)),
    }
}
