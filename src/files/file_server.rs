//! The handler for a tree of files: `file_server`, with its settings.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::condition::Conditions;
use super::dir::Dir;
use super::encoding::accepted;
use super::file_system::FileSystem;
use super::gzip::OnTheFly;
use super::lookup::{FileQuery, INDEX_NAME, Listings, NamedBy, NotServed, Resource, look_up_page, unless_blocked};
use super::path::{Hidden, NameRules, Names, RequestedPath, Spelling, requested_path};
use super::serve::{find, redirect, refuse, send, send_file, with_request};
use super::source::{Blocking, run_blocking};
use crate::error::Result;
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
/// while it does not, or is not a directory, requests get a 500.
///
/// - Any method is answered, as in Go: `HEAD` without content, all others with it. To have others
///   than `GET` and `HEAD` refused, name one to the mux: `GET /` takes both, and what else there is
///   for the path is refused with 405.
/// - A directory is served as its `index.html` if it has one, else as a listing. `/dir` leads to
///   `/dir/`, `/dir/index.html` to `/dir/` and `/file/` to `/file`, with 301, relative and with
///   the query kept.
/// - `Content-Type` is what the handler around this one has set, else what the extension tells,
///   else what the content looks like ([`detect_content_type`](crate::body::detect_content_type));
///   `nosniff` keeps browsers from guessing otherwise.
/// - `Last-Modified` and `ETag` are sent, and conditions and ranges answered as
///   [`serve_content`](crate::files::serve_content) does. The tag is made of length and time of change,
///   and weak for the first two seconds after a change, in which another one might not show. A tag
///   that a handler around this one has set takes its place. Neither is sent for a time before 1990:
///   reproducible builds give all files the same time (1 s after the epoch, 1980, 1985), so that two
///   versions of a page may differ in nothing that the server could look at. Such files are sent
///   each time; set `ETag` in a handler around this one to have them kept.
/// - Names that begin with a dot are neither served nor listed
///   ([`hidden_files`](Self::hidden_files)). Nor are those with a slash or a NUL in them, however
///   escaped. On Windows, nor are names with a backslash or a colon (another directory, another
///   drive, a stream of a file), names of devices (`CON`, `nul.txt`), those that end with a dot or a
///   space, that look like short names (`GIT~1`), that have `<>"|?*` or control characters in them,
///   or that are not Unicode; on Apple's systems, nor are hidden names behind letters that do not
///   count, and `..namedfork`. [`portable_names`](Self::portable_names) has all of these rules
///   everywhere.
/// - What links may lead to is for the tree to say; see [`Dir`].
/// - Only regular files are served: pipes, sockets and devices are not found.
///
/// What cannot be read for lack of permission is 403, any other fault of the system 500; the
/// text says no more than that. A file that becomes shorter while it is sent cuts the connection,
/// so that the client can see that the content is not whole.
///
/// ```
/// use nethttp::files::{Dir, FileServer};
/// use nethttp::ServeMux;
///
/// let mux = ServeMux::new();
/// mux.handle("/", FileServer::new(Dir::new("public")).precompressed(true).not_found_page("404.html"));
/// ```
#[derive(Clone)]
pub struct FileServer {
    file_system: Arc<dyn FileSystem>,
    rules: NameRules,
    listings: Listings,
    index: Arc<str>,
    precompressed: bool,
    on_the_fly: Option<OnTheFly>,
    not_found_page: Option<Arc<Path>>,
    fallback_page: Option<Arc<Path>>,
}

impl FileServer {
    /// Serves this tree.
    pub fn new(file_system: impl FileSystem) -> FileServer {
        FileServer {
            file_system: Arc::new(file_system),
            rules: NameRules::DEFAULT,
            listings: Listings::Shown,
            index: INDEX_NAME.into(),
            precompressed: false,
            on_the_fly: None,
            not_found_page: None,
            fallback_page: None,
        }
    }

    /// Whether names that begin with a dot are served and listed. They are not from the start:
    /// `.git` and `.env` lie in many a directory by accident.
    pub fn hidden_files(mut self, served: bool) -> FileServer {
        self.rules.hidden = if served { Hidden::Served } else { Hidden::Refused };
        self
    }

    /// Whether only names that every system can have are served and listed. It is off from the start:
    /// what the system has names for is served, and a file `12:30.log` is one on Unix and none on
    /// Windows. With it the same names are served everywhere, those of Windows.
    pub fn portable_names(mut self, only: bool) -> FileServer {
        self.rules.names = if only { Names::Portable } else { Names::OfTheSystem };
        self
    }

    /// Whether a directory without an index is shown as a listing, as it is from the start.
    /// Otherwise it is not found.
    pub fn listings(mut self, shown: bool) -> FileServer {
        self.listings = if shown { Listings::Shown } else { Listings::NotFound };
        self
    }

    /// The file that is served for the directory that it lies in, in place of `index.html`. With an
    /// empty name no file is.
    pub fn index_page(mut self, name: impl Into<String>) -> FileServer {
        self.index = name.into().into();
        self
    }

    /// Whether `name.br`, `name.zst` or `name.gz` beside `name` is sent in its place, under its
    /// `Content-Type`, to clients whose `Accept-Encoding` takes it; `Vary` says so to caches. The
    /// plain file must be there, too, and whoever changes it changes the others. It is off from
    /// the start: it takes up to three more looks at the disk.
    ///
    /// Where a handler around this one has set `Content-Encoding`, the plain file is sent.
    pub fn precompressed(mut self, sent: bool) -> FileServer {
        self.precompressed = sent;
        self
    }

    /// Whether text of 1 KiB and more is encoded with gzip while it is sent, to clients whose
    /// `Accept-Encoding` takes it: `text/*`, JSON, XML, SVG, scripts and WebAssembly, by their
    /// `Content-Type`. It is off from the start: it costs far more than to send the file, and each
    /// time anew; [`precompressed`](Self::precompressed) files cost nothing and come first.
    ///
    /// Such an answer has no `Content-Length` and takes no ranges, and its entity tag is weak, as
    /// other bytes mean the same. `Vary` says so to caches. Parts are sent of the plain file. Where a
    /// handler around this one has set `Content-Encoding`, nothing is encoded.
    #[cfg(feature = "gzip")]
    pub fn compressed(mut self, encoded: bool) -> FileServer {
        self.on_the_fly = encoded.then_some(OnTheFly::Gzip);
        self
    }

    /// The file of the tree that is sent, with 404, where there is nothing; by its name from the
    /// root. Without it, and where it is missing itself, a line of text is.
    pub fn not_found_page(mut self, name: impl Into<PathBuf>) -> FileServer {
        self.not_found_page = Some(from_root(&name.into()));
        self
    }

    /// The file of the tree that is sent, with 200, where there is nothing: for applications that
    /// read the path in the browser. It is sent for paths whose last part has no dot in it, and for
    /// others to clients that name `text/html` in `Accept`: a script that is missing stays so. By
    /// its name from the root. Where it is missing itself, it is as if it were not set.
    pub fn fallback_page(mut self, name: impl Into<PathBuf>) -> FileServer {
        self.fallback_page = Some(from_root(&name.into()));
        self
    }
}

fn from_root(name: &Path) -> Arc<Path> {
    name.strip_prefix("/").unwrap_or(name).into()
}

impl std::fmt::Debug for FileServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileServer")
            .field("rules", &self.rules)
            .field("listings", &self.listings)
            .field("index", &self.index)
            .field("precompressed", &self.precompressed)
            .field("on_the_fly", &self.on_the_fly)
            .field("not_found_page", &self.not_found_page)
            .field("fallback_page", &self.fallback_page)
            .finish_non_exhaustive()
    }
}

impl Handler for FileServer {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        w.header().set("X-Content-Type-Options", "nosniff");
        let Some(path) = requested_path(r.escaped_path(), self.rules) else {
            return self.refuse(w, r, NotServed::NotFound).await;
        };
        if path.spelling == Spelling::Name && path.relative.file_name().is_some_and(|name| *name == *self.index) {
            return redirect(w, r, "./");
        }
        let query = self.query(w, r, path);
        match find(query).await? {
            Ok(found) => self.send(w, r, found).await,
            Err(NotServed::NotFound) => self.fall_back(w, r).await,
            Err(not_served) => self.refuse(w, r, not_served).await,
        }
    }
}

impl FileServer {
    fn query(&self, w: &mut ResponseWriter, r: &Request, path: RequestedPath) -> FileQuery {
        let mut encodings = Vec::new();
        let mut on_the_fly = None;
        if self.negotiates() && !w.header().contains("Content-Encoding") {
            encodings = accepted(&r.header);
            on_the_fly = self.on_the_fly.filter(|_| encodings.iter().any(|encoding| encoding.name == "gzip"));
            if !self.precompressed {
                encodings.clear();
            }
        }
        let plainly = FileQuery::new(self.file_system.clone(), path, self.index.clone());
        with_request(w, r, FileQuery { encodings, on_the_fly, rules: self.rules, listings: self.listings, ..plainly })
    }

    fn negotiates(&self) -> bool {
        self.precompressed || self.on_the_fly.is_some()
    }

    async fn send(&self, w: &mut ResponseWriter, r: &Request, found: Resource) -> Result<()> {
        if self.negotiates() && matches!(found, Resource::File(_)) {
            w.header().add("Vary", "Accept-Encoding");
        }
        send(w, r, found).await
    }

    /// The application's page in place of a 404, for clients that accept HTML.
    async fn fall_back(&self, w: &mut ResponseWriter, r: &Request) -> Result<()> {
        let Some(page) = self.fallback_page.as_deref() else { return self.refuse(w, r, NotServed::NotFound).await };
        let last_segment = r.escaped_path().rsplit('/').next().unwrap_or_default();
        if last_segment.contains('.') {
            w.header().add("Vary", "Accept");
            if !r.header.values("Accept").any(|list| list.contains("text/html")) {
                return self.refuse(w, r, NotServed::NotFound).await;
            }
        }
        let named_by = NamedBy::Handler { name: page.file_name().map(ToOwned::to_owned), last_segment: String::new() };
        let path = RequestedPath { relative: page.to_owned(), spelling: Spelling::Name };
        let query = FileQuery { named_by, ..self.query(w, r, path) };
        match find(query).await? {
            Ok(found @ Resource::File(_)) => self.send(w, r, found).await,
            Ok(_) => self.refuse(w, r, NotServed::NotFound).await,
            Err(not_served) => self.refuse(w, r, not_served).await,
        }
    }

    async fn refuse(&self, w: &mut ResponseWriter, r: &Request, not_served: NotServed) -> Result<()> {
        let (NotServed::NotFound, Some(page)) = (&not_served, &self.not_found_page) else {
            return refuse(w, not_served).await;
        };
        let method = Conditions::of(r).method;
        let found = match unless_blocked(look_up_page(&*self.file_system, Blocking::Never, page, method)) {
            Some(found) => found,
            None => {
                let (file_system, page) = (self.file_system.clone(), page.clone());
                run_blocking(move || look_up_page(&*file_system, Blocking::Allowed, &page, method)).await?
            }
        };
        match found {
            Ok(found) => {
                // What a handler around this one has set for the file that is not there.
                for name in ["Cache-Control", "Content-Encoding", "Content-Type", "ETag", "Last-Modified"] {
                    w.header().del(name);
                }
                send_file(w, method, found).await
            }
            Err(_) => refuse(w, not_served).await,
        }
    }
}
