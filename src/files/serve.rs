//! `serve_content`, `serve_file`, and what the file server shares with them: what was found, sent.

use std::ffi::OsStr;
use std::io::SeekFrom;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use http::StatusCode;
use tokio::io::{AsyncRead, AsyncSeek, AsyncSeekExt as _};

use super::condition::{Conditions, MethodKind, Selection, Validators, time_of_change};
use super::dir::Dir;
use super::file_system::FileSystem;
use super::listing;
use super::lookup::{FileQuery, INDEX_NAME, NamedBy, NotServed, OpenedFile, Resource, look_up, unless_blocked};
use super::path::{RequestedPath, Spelling, leads_upwards};
use super::range::ByteRange;
use super::response::{Representation, not_modified, precondition_failed, refuse_with, respond, set_validators};
use super::source::{Blocking, ContentSource, FileSource, SNIFFED_BYTES, SeekableSource, run_blocking};
use crate::error::{Error, Result};
use crate::message::{Request, detect_content_type, type_by_extension};
use crate::server::ResponseWriter;

/// Answers with content that can be read from any place (Go's `ServeContent`).
///
/// - The size is found by seeking to the end.
/// - `Content-Type` is what was set before, else what the extension of `name` tells, else what the
///   content looks like ([`detect_content_type`](crate::body::detect_content_type)). `name` serves for
///   nothing else and may be empty.
/// - `modified` is sent as `Last-Modified`, unless it is `None` or lies before 1990: such times
///   are set by builds, for every version the same, and tell no change. To have an entity tag as
///   well, set `ETag` before.
/// - `If-Match`, `If-Unmodified-Since`, `If-None-Match`, `If-Modified-Since` and `If-Range` are
///   held against those two, in the order of RFC 9110 §13.2.2: 304 where the client's copy is
///   still good, 412 where what it wants to act on has changed.
/// - A `Range` of a GET is answered 206: a single part as it is, several as
///   `multipart/byteranges`. It is ignored where it has more than 200 ranges, or where they come
///   to more than the whole. What lies beyond the end is 416 with the size in `Content-Range`.
/// - `HEAD` is answered without content; any other method as GET, without ranges.
///
/// Where `Content-Encoding` was set before, the whole is sent without `Content-Length`, so that
/// middleware can encode it (Go's rule).
///
/// At most 64 KiB are read at a time, and held.
///
/// # Errors
/// Those of the content, when it cannot be read or has become shorter (an answer that was begun
/// is then cut, so that the client can see it), and those of
/// [`ResponseWriter::write`](crate::ResponseWriter::write).
///
/// # Cancel safety
/// None: dropped half-way, the answer is incomplete and the connection closes.
///
/// ```
/// use std::io::Cursor;
/// use nethttp::files::serve_content;
/// use nethttp::{Request, ResponseWriter, Result};
///
/// async fn report(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
///     w.header().set("ETag", "\"v1\"");
///     serve_content(w, r, "report.csv", None, Cursor::new("a,b\n1,2\n")).await
/// }
/// ```
pub async fn serve_content(
    w: &mut ResponseWriter,
    r: &Request,
    name: impl AsRef<Path>,
    modified: Option<SystemTime>,
    mut content: impl AsyncRead + AsyncSeek + Send + Unpin,
) -> Result<()> {
    let size = content.seek(SeekFrom::End(0)).await?;
    let mut source = SeekableSource { content, at: size };
    let content_type = match name.as_ref().file_name().and_then(type_by_extension) {
        Some(by_extension) => Some(by_extension),
        None if w.header().contains("Content-Type") => None,
        None => {
            let beginning = source.read(ByteRange { start: 0, length: size.min(SNIFFED_BYTES) }).await?;
            Some(detect_content_type(&beginning))
        }
    };
    let validators =
        Validators { etag: w.header().get_bytes("ETag").map(<[u8]>::to_vec), modified: time_of_change(modified) };
    let conditions = Conditions::of(r);
    let selection = conditions.select(&validators, size);
    let content_type = content_type.map(Into::into);
    let representation =
        Representation { status: StatusCode::OK, size, validators, content_type, encoding: None, on_the_fly: None };
    respond(w, conditions.method, &representation, &selection, &mut source).await
}

/// Answers with a file, or with a directory as its index or a listing (Go's `ServeFile`).
///
/// `path` is trusted and may lead anywhere: links are followed, hidden names served (though not listed). Do not
/// build it from what a peer has sent; [`file_server`](crate::file_server) is there for that. As a safeguard
/// for programs that do, a request whose path has an element `..`, escaped or not, is refused with 400.
///
/// All else is as [`serve_content`](crate::files::serve_content) and [`FileServer`](crate::files::FileServer) describe it: `ETag`,
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
    let path = path.as_ref();
    serve_named(w, r, Arc::new(Dir::trusted(path)), PathBuf::new(), path.file_name()).await
}

/// Answers with a file of a tree, or with a directory of it as its index or a listing (Go's `ServeFileFS`).
///
/// `name` is the path from the tree's root on, with plain names alone: one with `..` or a root of its own is
/// not found. All else is as with [`serve_file`](crate::serve_file), but that what leads out of the tree is
/// for the tree to refuse.
///
/// # Errors
/// As [`serve_file`](crate::serve_file).
///
/// ```
/// use std::sync::Arc;
///
/// use nethttp::files::{EmbeddedFiles, serve_file_fs};
/// use nethttp::{Request, ResponseWriter, Result, ServeMux};
///
/// static SITE: &[(&str, &[u8])] = &[("logo.svg", b"<svg/>")]; // or include_bytes!("site/logo.svg")
///
/// async fn logo(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
///     serve_file_fs(w, r, Arc::new(EmbeddedFiles::new(SITE)), "logo.svg").await
/// }
///
/// ServeMux::new().handle("GET /logo", logo);
/// ```
pub async fn serve_file_fs(
    w: &mut ResponseWriter,
    r: &Request,
    file_system: Arc<dyn FileSystem>,
    name: impl AsRef<Path>,
) -> Result<()> {
    let name = name.as_ref();
    if !name.components().all(|component| matches!(component, Component::Normal(_))) {
        return refuse(w, NotServed::NotFound).await;
    }
    serve_named(w, r, file_system, name.to_owned(), name.file_name()).await
}

/// Answers with what a program has named, whatever path the request has.
async fn serve_named(
    w: &mut ResponseWriter,
    r: &Request,
    file_system: Arc<dyn FileSystem>,
    relative: PathBuf,
    name: Option<&OsStr>,
) -> Result<()> {
    if leads_upwards(r.escaped_path()) {
        return refuse_with(w, StatusCode::BAD_REQUEST, "invalid URL path").await;
    }
    if r.escaped_path().ends_with("/index.html") {
        return redirect(w, r, "./");
    }
    let last_segment = r.escaped_path().rsplit('/').next().unwrap_or_default();
    let spelling = if last_segment.is_empty() { Spelling::Slash } else { Spelling::Name };
    let named_by = NamedBy::Handler { name: name.map(ToOwned::to_owned), last_segment: last_segment.to_owned() };
    let requested = RequestedPath { relative, spelling };
    let query = FileQuery { named_by, ..FileQuery::new(file_system, requested, INDEX_NAME.into()) };
    match find(with_request(w, r, query)).await? {
        Ok(found) => send(w, r, found).await,
        Err(not_served) => refuse(w, not_served).await,
    }
}

/// The query with what the request and the handlers around this one say.
pub(super) fn with_request(w: &mut ResponseWriter, r: &Request, query: FileQuery) -> FileQuery {
    let etag = w.header().get_bytes("ETag").map(<[u8]>::to_vec);
    FileQuery { conditions: Conditions::of(r), etag, ..query }
}

pub(super) async fn find(query: FileQuery) -> Result<Result<Resource, NotServed>> {
    match unless_blocked(look_up(&query, Blocking::Never)) {
        Some(found) => Ok(found),
        None => run_blocking(move || look_up(&query, Blocking::Allowed)).await,
    }
}

pub(super) async fn send(w: &mut ResponseWriter, r: &Request, found: Resource) -> Result<()> {
    match found {
        Resource::File(file) => send_file(w, Conditions::of(r).method, file).await,
        Resource::Listing { page, modified } => {
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
        Resource::ListingNotSent { selection, modified } => {
            set_modified(w, modified);
            match selection {
                Selection::PreconditionFailed => precondition_failed(w),
                _ => not_modified(w),
            }
        }
        Resource::Moved(reference) => redirect(w, r, &reference),
    }
}

fn set_modified(w: &mut ResponseWriter, modified: Option<SystemTime>) {
    set_validators(w, &Validators { etag: None, modified });
}

pub(super) async fn send_file(w: &mut ResponseWriter, method: MethodKind, found: OpenedFile) -> Result<()> {
    let OpenedFile { file, representation, selection, first } = found;
    respond(w, method, &representation, &selection, &mut FileSource { file, first }).await
}

/// Redirects to `reference`. It is relative: the client's path may have a prefix that was taken off
/// before this handler saw it.
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

pub(super) async fn refuse(w: &mut ResponseWriter, not_served: NotServed) -> Result<()> {
    match not_served {
        NotServed::NotFound => refuse_with(w, StatusCode::NOT_FOUND, "404 page not found").await,
        NotServed::Forbidden => refuse_with(w, StatusCode::FORBIDDEN, "403 Forbidden").await,
        // The server sends a 500 for it and logs it.
        NotServed::Fault(error) => Err(Error::other(error)),
    }
}
