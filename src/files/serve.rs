//! What is found, sent: `serve_file`, and what the file server shares with it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::StatusCode;
use tokio::task::spawn_blocking;

use super::answer::{Source, answer, not_modified, precondition_failed, refuse_with, set_validators};
use super::condition::{Asked, Conditions, Selection, Validators};
use super::dir::Dir;
use super::file_system::File;
use super::listing;
use super::lookup::{Absence, Found, FoundFile, INDEX_NAME, Patience, Place, Wanted, look_up, try_look_up};
use super::path::{RequestedPath, Spelling, leads_upwards};
use super::range::ByteRange;
use crate::error::{Error, Result};
use crate::message::Request;
use crate::server::ResponseWriter;

/// Answers with a file, or with a directory as its index or a listing (Go's `ServeFile`).
///
/// `path` is the program's word and may lead anywhere: links are followed, hidden names served
/// (though not listed).
/// Do not make it of what a peer has sent; [`file_server`](crate::file_server) is there for that. As a safeguard for
/// programs that do, a request whose path has an element `..`, escaped or not, is answered 400.
///
/// All else is as [`serve_content`](crate::serve_content) and [`FileServer`](crate::FileServer) describe it: `ETag`,
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
    let wanted = Wanted { place, ..Wanted::new(Arc::new(Dir::trusted(path)), requested, INDEX_NAME.into()) };
    let wanted = self::wanted(w, r, wanted);
    match found(wanted).await? {
        Ok(found) => send(w, r, found).await,
        Err(absence) => refuse(w, absence).await,
    }
}

/// With what the request and the handlers around this one say.
pub(super) fn wanted(w: &mut ResponseWriter, r: &Request, wanted: Wanted) -> Wanted {
    let etag = w.header().get_bytes("ETag").map(<[u8]>::to_vec);
    Wanted { conditions: Conditions::of(r), etag, ..wanted }
}

pub(super) async fn found(wanted: Wanted) -> Result<Result<Found, Absence>> {
    match try_look_up(&wanted) {
        Some(found) => Ok(found),
        None => apart(move || look_up(&wanted, Patience::Waits)).await,
    }
}

/// Does what may block where that harms nobody.
pub(super) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.map_err(Error::other)
}

pub(super) async fn send(w: &mut ResponseWriter, r: &Request, found: Found) -> Result<()> {
    match found {
        Found::File(file) => send_file(w, Conditions::of(r).method, file).await,
        Found::Listing { page, modified } => {
            set_modified(w, modified);
            for (name, value) in
                [("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", listing::POLICY)]
            {
                if !w.header().contains(name) {
                    w.header().set(name, value);
                }
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

pub(super) async fn send_file(w: &mut ResponseWriter, asked: Asked, found: FoundFile) -> Result<()> {
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
    fn in_memory(&self, range: ByteRange) -> Option<&fs::File> {
        let file = self.file.system_file()?;
        // The last byte stands for all: what comes before the range was just read or sent, and who
        // reads a file reads it in order. Where that is wrong, the disk is waited for.
        let is_there = self.file.try_read_at(range.last(), 1).is_ok_and(|byte| !byte.is_empty());
        is_there.then_some(file)
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
pub(super) fn redirect(w: &mut ResponseWriter, r: &Request, reference: &str) -> Result<()> {
    let location = match r.uri.query() {
        Some(query) => format!("{reference}?{query}"),
        None => reference.to_owned(),
    };
    w.header().set("Location", location);
    w.header().set("Content-Length", "0");
    w.write_header(StatusCode::MOVED_PERMANENTLY);
    Ok(())
}

pub(super) async fn refuse(w: &mut ResponseWriter, absence: Absence) -> Result<()> {
    match absence {
        Absence::NotFound => refuse_with(w, StatusCode::NOT_FOUND, "404 page not found").await,
        Absence::Forbidden => refuse_with(w, StatusCode::FORBIDDEN, "403 Forbidden").await,
        // The server's edge answers 500 and logs it.
        Absence::Fault(error) => Err(Error::other(error)),
    }
}
