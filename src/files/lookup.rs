//! What the file system has for a request: opened, decided on, and its first chunk read.
//!
//! The same code runs twice where it must. First with [`Patience::None`], where the request is
//! served: what the system has in memory is had without a hop. If anything would have to be waited
//! for, all of it is done again with [`Patience::Waits`], in one hop to a thread that may block.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::StatusCode;

use super::answer::{CHUNK_BYTES, Representation, first_chunk};
use super::condition::{Asked, Conditions, Selection, Validators};
use super::content::SNIFFED_BYTES;
use super::encoding::Encoding;
use super::etag::tag_of;
use super::file_system::{File, FileInfo, FileKind, FileSystem};
use super::gzip::OnTheFly;
use super::listing;
use super::mime::type_by_extension;
use super::path::{Hidden, RequestedPath, Spelling, encode_name};
use super::range::ByteRange;
use crate::message::detect_content_type;

/// Served in place of a listing where a directory has it.
pub(super) const INDEX_NAME: &str = "index.html";

/// What to look for.
pub(super) struct Wanted {
    pub(super) file_system: Arc<dyn FileSystem>,
    pub(super) path: RequestedPath,
    pub(super) place: Place,
    pub(super) conditions: Conditions,
    /// The tag that a handler around this one has set.
    pub(super) etag: Option<Vec<u8>>,
    /// The codings to look for, the best one first.
    pub(super) encodings: Vec<Encoding>,
    /// How to encode what has no such sibling and is worth it.
    pub(super) on_the_fly: Option<OnTheFly>,
    pub(super) hidden: Hidden,
    pub(super) listings: Listings,
    /// The name of what stands for the directory it lies in; empty for none.
    pub(super) index: Arc<str>,
}

/// What becomes of directories without an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listings {
    Shown,
    NotFound,
}

/// Whether the file system may be waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    None,
    Waits,
}

impl Patience {
    fn open(self, file_system: &dyn FileSystem, name: &Path) -> io::Result<Arc<dyn File>> {
        match self {
            Patience::None => file_system.try_open(name),
            Patience::Waits => file_system.open(name),
        }
    }

    /// Reads from the beginning of this range, which is not empty: at least a byte, and all of it
    /// where there is the patience.
    ///
    /// # Errors
    /// Also when the file has less: its length was announced, so what is missing is missed.
    pub(super) fn read(self, file: &dyn File, range: ByteRange) -> io::Result<Bytes> {
        let length = usize::try_from(range.length).map_err(io::Error::other)?;
        let chunk = match self {
            Patience::None => file.try_read_at(range.start, length)?,
            Patience::Waits => file.read_at(range.start, length)?,
        };
        // What came without patience may be short of what is there; what comes next tells.
        if chunk.is_empty() || (self == Patience::Waits && chunk.len() != length) {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was sent"));
        }
        Ok(chunk)
    }
}

impl Wanted {
    /// What the path names, plainly.
    pub(super) fn new(file_system: Arc<dyn FileSystem>, path: RequestedPath, index: Arc<str>) -> Wanted {
        Wanted {
            file_system,
            path,
            place: Place::OfThePath,
            conditions: Conditions::default(),
            etag: None,
            encodings: Vec::new(),
            on_the_fly: None,
            hidden: Hidden::Refused,
            listings: Listings::Shown,
            index,
        }
    }
}

/// How what is served came by its place.
pub(super) enum Place {
    /// The path names it, and so must be spelled as fits it.
    OfThePath,
    /// The handler chose it, by this name; the path ends with this segment, as it was sent.
    Chosen { name: Option<OsString>, last_segment: String },
}

/// What was found.
pub(super) enum Found {
    File(FoundFile),
    Listing {
        page: String,
        modified: Option<SystemTime>,
    },
    /// A listing that a condition keeps from being sent.
    NoListing {
        selection: Selection,
        modified: Option<SystemTime>,
    },
    /// It is there under another spelling: a reference relative to the one that was asked for.
    Moved(String),
}

/// A regular file, opened.
pub(super) struct FoundFile {
    pub(super) file: Arc<dyn File>,
    pub(super) representation: Representation,
    pub(super) selection: Selection,
    /// The first chunk of what was selected, and where it begins, where it was read.
    pub(super) first: Option<(u64, Bytes)>,
}

/// Why there is nothing to serve.
#[derive(Debug)]
pub(super) enum Absence {
    NotFound,
    Forbidden,
    /// The system's fault, for the log: its text names paths that are not the client's business.
    Fault(io::Error),
}

impl From<io::Error> for Absence {
    fn from(error: io::Error) -> Absence {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::CrossesDevices => Absence::NotFound,
            io::ErrorKind::PermissionDenied => Absence::Forbidden,
            _ => Absence::Fault(error),
        }
    }
}

/// Finds what is wanted. `None` where it would have to be waited for.
pub(super) fn try_look_up(wanted: &Wanted) -> Option<Result<Found, Absence>> {
    settled(look_up(wanted, Patience::None))
}

/// `None` where the file system would have to be waited for.
pub(super) fn settled<T>(found: Result<T, Absence>) -> Option<Result<T, Absence>> {
    match found {
        Err(Absence::Fault(error)) if error.kind() == io::ErrorKind::WouldBlock => None,
        found => Some(found),
    }
}

/// Finds what is wanted.
pub(super) fn look_up(wanted: &Wanted, patience: Patience) -> Result<Found, Absence> {
    let relative = &wanted.path.relative;
    let file = patience.open(&*wanted.file_system, relative)?;
    let info = file.info()?;
    match (info.kind, wanted.path.spelling, &wanted.place) {
        (FileKind::Directory, Spelling::Slash, _) => open_directory(wanted, patience, &*file),
        (FileKind::File, Spelling::Name, Place::OfThePath) => {
            open_file(wanted, patience, (file, info), relative, relative.file_name())
        }
        (FileKind::File, _, Place::Chosen { name, .. }) => {
            open_file(wanted, patience, (file, info), relative, name.as_deref())
        }
        (FileKind::Directory, Spelling::Name, Place::OfThePath) => moved(relative, "", "/"),
        // Behind a dot and a slash, no segment can be taken for a scheme or a host.
        (FileKind::Directory, Spelling::Name, Place::Chosen { last_segment, .. }) => {
            Ok(Found::Moved(format!("./{last_segment}/")))
        }
        (FileKind::File, Spelling::Slash, Place::OfThePath) => moved(relative, "../", ""),
        (FileKind::Other, ..) => Err(Absence::NotFound),
    }
}

/// The page that stands in for what is not found.
pub(super) fn look_up_page(
    file_system: &dyn FileSystem,
    patience: Patience,
    page: &Path,
    asked: Asked,
) -> Result<FoundFile, Absence> {
    let file = patience.open(file_system, page)?;
    let info = file.info()?;
    if info.kind != FileKind::File {
        return Err(Absence::NotFound);
    }
    // Of the page, not of what is missing: no validators, no ranges, no conditions.
    let conditions = Conditions::none(asked);
    let representation = Representation {
        status: StatusCode::NOT_FOUND,
        size: info.length,
        validators: Validators::default(),
        content_type: page.file_name().and_then(type_by_extension).map(Into::into),
        encoding: None,
        on_the_fly: None,
    };
    select(file, patience, representation, &conditions)
}

fn open_directory(wanted: &Wanted, patience: Patience, directory: &dyn File) -> Result<Found, Absence> {
    let index = wanted.path.relative.join(&*wanted.index);
    match patience.open(&*wanted.file_system, &index) {
        Ok(file) => {
            let info = file.info()?;
            match info.kind {
                FileKind::File => return open_file(wanted, patience, (file, info), &index, index.file_name()),
                FileKind::Other => return Err(Absence::NotFound),
                FileKind::Directory => {}
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // An index that is there but may not be read is no reason to show what lies around it.
        Err(error) => return Err(error.into()),
    }
    if wanted.listings == Listings::NotFound {
        return Err(Absence::NotFound);
    }
    if patience == Patience::None {
        return Err(Absence::Fault(io::ErrorKind::WouldBlock.into()));
    }
    let listing = listing::read(directory, wanted.hidden)?;
    let modified = listing.modified;
    match wanted.conditions.precondition(&Validators { etag: None, modified }) {
        Some(selection) => Ok(Found::NoListing { selection, modified }),
        None => Ok(Found::Listing { page: listing::render(&wanted.path.relative, &listing.entries), modified }),
    }
}

/// What is to be sent of a regular file that lies at `path`; `name` is what it is called there,
/// which tells its type.
fn open_file(
    wanted: &Wanted,
    patience: Patience,
    (file, info): (Arc<dyn File>, FileInfo),
    path: &Path,
    name: Option<&OsStr>,
) -> Result<Found, Absence> {
    let encoded = open_encoded(wanted, patience, path)?;
    let by_name = name.and_then(type_by_extension);
    let (plain, (file, info, encoding)) = match encoded {
        Some((encoded, info, encoding)) => (Some(file), (encoded, info, Some(encoding))),
        None => (None, (file, info, None)),
    };
    let content_type = match (by_name, plain) {
        // What is encoded does not look like what it is.
        (None, Some(plain)) => Some(sniff(&*plain, patience)?),
        (by_name, _) => by_name,
    };
    let modified = info.modified.filter(|time| *time > UNIX_EPOCH);
    let variant = encoding.map_or("", |encoding| encoding.variant);
    let own = || tag_of(info.length, modified, SystemTime::now(), variant).map(String::into_bytes);
    let representation = Representation {
        status: StatusCode::OK,
        size: info.length,
        validators: Validators { etag: wanted.etag.clone().or_else(own), modified },
        content_type: content_type.map(Into::into),
        encoding: encoding.map(|encoding| encoding.name),
        on_the_fly: wanted.on_the_fly.filter(|_| encoding.is_none()),
    };
    select(file, patience, representation, &wanted.conditions).map(Found::File)
}

/// The best of the siblings that are there.
fn open_encoded(
    wanted: &Wanted,
    patience: Patience,
    path: &Path,
) -> Result<Option<(Arc<dyn File>, FileInfo, Encoding)>, Absence> {
    for encoding in &wanted.encodings {
        let mut sibling = path.as_os_str().to_owned();
        sibling.push(encoding.suffix);
        let opened = patience.open(&*wanted.file_system, Path::new(&sibling)).and_then(|file| Ok((file.info()?, file)));
        match opened {
            Ok((info, file)) if info.kind == FileKind::File => return Ok(Some((file, info, *encoding))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(Absence::Fault(error)),
            // Whatever is wrong with it: the plain file is there.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(None)
}

/// Decides what is sent of the file, and reads the beginning of that.
fn select(
    file: Arc<dyn File>,
    patience: Patience,
    mut representation: Representation,
    conditions: &Conditions,
) -> Result<FoundFile, Absence> {
    let selection = conditions.select(&representation.validators, representation.size);
    let begin = match &selection {
        Selection::Whole => Some(ByteRange { start: 0, length: representation.size }),
        Selection::Parts(parts) => parts.first().copied(),
        _ => None,
    };
    let begin = begin.filter(|range| range.length > 0 && conditions.method != Asked::Head);
    let begin = begin.filter(|range| !is_sent_unread(&*file, patience, *range)).map(first_chunk);
    let first = match begin {
        Some(range) => Some((range.start, patience.read(&*file, range).map_err(Absence::Fault)?)),
        None => None,
    };
    if representation.content_type.is_none() {
        representation.content_type = match (&selection, &first) {
            (Selection::Whole | Selection::Parts(_), Some((0, chunk)))
                if chunk.len() as u64 >= SNIFFED_BYTES.min(representation.size) =>
            {
                Some(detect_content_type(chunk).into())
            }
            (Selection::Whole | Selection::Parts(_), _) => Some(sniff(&*file, patience)?.into()),
            _ => None,
        };
    }
    Ok(FoundFile { file, representation, selection, first })
}

/// Whether it is left to the sending how to get at this range: the system may send it by itself, and
/// what it does not have in memory is waited for there as well as here.
fn is_sent_unread(file: &dyn File, patience: Patience, range: ByteRange) -> bool {
    patience == Patience::None && range.length > CHUNK_BYTES && file.system_file().is_some()
}

/// The type that the content looks like.
fn sniff(file: &dyn File, patience: Patience) -> Result<&'static str, Absence> {
    let length = file.info()?.length.min(SNIFFED_BYTES);
    if length == 0 {
        return Ok(detect_content_type(b""));
    }
    let beginning = patience.read(file, ByteRange { start: 0, length }).map_err(Absence::Fault)?;
    if (beginning.len() as u64) < length {
        return Err(Absence::Fault(io::ErrorKind::WouldBlock.into()));
    }
    Ok(detect_content_type(&beginning))
}

fn moved(relative: &Path, before: &str, after: &str) -> Result<Found, Absence> {
    match relative.file_name() {
        Some(name) => Ok(Found::Moved(format!("{before}{}{after}", encode_name(name)))),
        // The root has no name, and is spelled with a slash: it is a file.
        None => Err(Absence::Fault(io::Error::new(io::ErrorKind::NotADirectory, "the root is no directory"))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::super::dir::Dir;
    use super::super::path::requested_path;
    use super::*;
    use crate::message::{Request, format_time};

    /// A directory of its own for a test, removed at its end. What is served lies in `root`,
    /// so that there is something beside it.
    struct Tree(PathBuf);

    impl Tree {
        fn new(files: &[(&str, &str)]) -> Tree {
            static COUNT: AtomicU32 = AtomicU32::new(0);
            let number = COUNT.fetch_add(1, Ordering::Relaxed);
            let tree = Tree(std::env::temp_dir().join(format!("nethttp-lookup-{}-{number}", std::process::id())));
            fs::create_dir_all(tree.0.join("root")).unwrap();
            for (name, content) in files {
                let path = tree.0.join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, content).unwrap();
            }
            tree
        }

        fn wanted(&self, path: &str) -> Wanted {
            self.wanted_in(Dir::new(self.0.join("root")), path)
        }

        fn wanted_in(&self, dir: Dir, path: &str) -> Wanted {
            assert!(self.0.exists());
            Wanted::new(Arc::new(dir), requested_path(path, Hidden::Refused).unwrap(), INDEX_NAME.into())
        }

        fn look_up(&self, path: &str) -> Result<Found, Absence> {
            look_up(&self.wanted(path), Patience::Waits)
        }

        /// What is at this path, in a word or two.
        fn at(&self, path: &str) -> String {
            match self.look_up(path) {
                Ok(Found::File(found)) => {
                    let (content_type, content) = (found.representation.content_type.unwrap(), content(&*found.file));
                    format!("{content_type} {content}")
                }
                Ok(Found::Listing { page, .. }) => page,
                Ok(Found::NoListing { selection, .. }) => format!("{selection:?}"),
                Ok(Found::Moved(reference)) => format!("moved {reference}"),
                Err(absence) => format!("{absence:?}"),
            }
        }
    }

    fn content(file: &dyn File) -> String {
        String::from_utf8_lossy(&file.read_at(0, 1000).unwrap()).into_owned()
    }

    fn since(method: http::Method, time: SystemTime) -> Conditions {
        let mut request = Request::new(method, http::Uri::from_static("/"), ());
        request.header.set("If-Modified-Since", format_time(time));
        Conditions::of(&request)
    }

    impl Drop for Tree {
        fn drop(&mut self) {
            // Left behind, it only takes place.
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_file_is_opened_with_its_length_and_its_first_bytes() {
        let tree = Tree::new(&[("root/dir/a b.txt", "hello, you")]);
        let Ok(Found::File(found)) = tree.look_up("/dir/a%20b.txt") else { panic!("not found") };
        let (start, first) = found.first.unwrap();
        assert_eq!((found.representation.size, start, &first[..]), (10, 0, &b"hello, you"[..]));
        assert_eq!(Patience::Waits.read(&*found.file, ByteRange { start: 4, length: 6 }).unwrap(), "o, you");
        assert_eq!(found.representation.content_type.as_deref(), Some("text/plain; charset=utf-8"));
    }

    #[test]
    fn where_the_name_tells_no_type_the_content_does() {
        let tree = Tree::new(&[("root/README", "read"), ("root/data.unknown", "\0\x01"), ("root/page.txt", "<p>")]);
        assert_eq!(tree.at("/README"), "text/plain; charset=utf-8 read");
        assert_eq!(tree.at("/data.unknown"), "application/octet-stream \0\x01");
        assert_eq!(tree.at("/page.txt"), "text/plain; charset=utf-8 <p>", "the name has the first word");
    }

    #[test]
    fn a_spelling_that_does_not_fit_leads_to_the_one_that_does() {
        let tree = Tree::new(&[("root/a b/c?.txt", "")]);
        assert_eq!(tree.at("/a%20b"), "moved a%20b/");
        assert_eq!(tree.at("/a%20b/c%3f.txt/"), "moved ../c%3F.txt");
    }

    #[test]
    fn a_directory_is_its_index_or_a_listing() {
        let tree = Tree::new(&[("root/with/index.html", "<p>"), ("root/without/a.txt", "")]);
        assert_eq!(tree.at("/with/"), "text/html; charset=utf-8 <p>");
        assert!(tree.at("/without/").contains("<a href=\"a.txt\">"));
    }

    #[test]
    fn a_listing_has_directories_first_and_leaves_out_what_is_hidden() {
        let files = ["root/b.txt", "root/a.txt", "root/z/x", "root/.git/config", "root/.env", "root/B.txt", "root/y/x"];
        let tree = Tree::new(&files.map(|name| (name, "12345")));
        let page = tree.at("/");
        let links: Vec<_> = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(links, ["y/", "z/", "B.txt", "a.txt", "b.txt"]);
        assert_eq!(page.matches("5 B").count(), 3);
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let tree = Tree::new(&[("root/a.txt", "")]);
        let long = format!("/{}", "x".repeat(5000));
        for path in ["/b.txt", "/no/a.txt", "/a.txt/b.txt", &long] {
            assert_eq!(tree.at(path), "NotFound", "{path:.20}");
        }
    }

    #[test]
    fn a_root_that_is_missing_or_a_file_is_a_fault() {
        let tree = Tree::new(&[("file/x", "")]);
        for root in ["file/x", "none"] {
            for path in ["/", "/a"] {
                let found = look_up(&tree.wanted_in(Dir::new(tree.0.join(root)), path), Patience::Waits);
                assert!(matches!(found, Err(Absence::Fault(_))), "{root} {path}");
            }
        }
    }

    #[test]
    fn a_copy_as_new_as_the_file_is_not_read_again() {
        let tree = Tree::new(&[("root/a.txt", "old")]);
        let time = UNIX_EPOCH + Duration::from_millis(1_000_000_500);
        fs::File::options().write(true).open(tree.0.join("root/a.txt")).unwrap().set_modified(time).unwrap();
        let selected = |seconds| {
            let conditions = since(http::Method::GET, UNIX_EPOCH + Duration::from_secs(seconds));
            match look_up(&Wanted { conditions, ..tree.wanted("/a.txt") }, Patience::Waits) {
                Ok(Found::File(found)) => (found.selection, found.first.is_some()),
                _ => panic!("not found"),
            }
        };
        assert_eq!(selected(1_000_000), (Selection::NotModified, false));
        assert_eq!(selected(999_999), (Selection::Whole, true));
    }

    #[test]
    fn a_file_that_grows_makes_the_listing_new() {
        let tree = Tree::new(&[("root/a.txt", "old")]);
        let Ok(Found::Listing { modified: Some(before), .. }) = tree.look_up("/") else { panic!("no listing") };
        let later = before + Duration::from_secs(100);
        let conditions = || since(http::Method::GET, before);
        let found = look_up(&Wanted { conditions: conditions(), ..tree.wanted("/") }, Patience::Waits);
        assert!(matches!(found, Ok(Found::NoListing { selection: Selection::NotModified, .. })));
        fs::File::options().write(true).open(tree.0.join("root/a.txt")).unwrap().set_modified(later).unwrap();
        let found = look_up(&Wanted { conditions: conditions(), ..tree.wanted("/") }, Patience::Waits);
        assert!(matches!(found, Ok(Found::Listing { modified: Some(after), .. }) if after == later));
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error() {
        let tree = Tree::new(&[("root/a.txt", "0123456789")]);
        let Ok(Found::File(found)) = tree.look_up("/a.txt") else { panic!("not found") };
        fs::File::options().write(true).open(tree.0.join("root/a.txt")).unwrap().set_len(7).unwrap();
        let read = Patience::Waits.read(&*found.file, ByteRange { start: 4, length: 6 });
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[cfg(unix)]
    mod unix {
        use std::os::unix::fs::symlink;

        use super::*;

        #[test]
        fn a_link_is_followed_inside_the_root_and_not_out_of_it() {
            let tree = Tree::new(&[("root/real/a.txt", "in"), ("root-secret/a.txt", "out")]);
            let link = |to: &str, name: &str| symlink(to, tree.0.join("root").join(name)).unwrap();
            link("real", "dir");
            link("real/a.txt", "file.txt");
            link("../root/real/a.txt", "round.txt");
            link("../root-secret", "outdir");
            link("../root-secret/a.txt", "out.txt");
            link("/", "top");
            link("nowhere", "dangling");
            link("loop", "loop");
            for path in ["/dir/a.txt", "/file.txt", "/round.txt"] {
                assert_eq!(tree.at(path), "text/plain; charset=utf-8 in", "{path}");
            }
            for path in ["/outdir", "/outdir/", "/outdir/a.txt", "/out.txt", "/top/", "/top/etc/", "/dangling", "/loop"]
            {
                assert_eq!(tree.at(path), "NotFound", "{path}");
            }
            let page = tree.at("/");
            let links: Vec<_> = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            assert_eq!(links, ["dir/", "real/", "file.txt", "round.txt"], "what is not served is not listed");
        }

        #[test]
        fn an_index_that_leads_out_of_the_root_gives_no_listing_instead() {
            let tree = Tree::new(&[("root/dir/a.txt", ""), ("secret", "")]);
            symlink("../../secret", tree.0.join("root/dir/index.html")).unwrap();
            assert_eq!(tree.at("/dir/"), "NotFound");
        }

        #[test]
        fn a_root_that_is_a_link_is_followed_where_it_leads_now() {
            let tree = Tree::new(&[("one/a.txt", "1"), ("two/a.txt", "2")]);
            let root = tree.0.join("current");
            for (release, content) in [("one", "1"), ("two", "2")] {
                let _ = fs::remove_file(&root);
                symlink(release, &root).unwrap();
                let found = look_up(&tree.wanted_in(Dir::new(&root), "/a.txt"), Patience::Waits);
                assert!(matches!(found, Ok(Found::File(found)) if self::content(&*found.file) == content));
            }
        }

        #[test]
        fn a_socket_is_neither_served_nor_listed() {
            let tree = Tree::new(&[]);
            let _listener = std::os::unix::net::UnixListener::bind(tree.0.join("root/s")).unwrap();
            assert_eq!(tree.at("/s"), "NotFound");
            assert!(!tree.at("/").contains("href"));
        }

        #[test]
        fn a_pipe_is_refused_without_waiting_for_a_writer() {
            let tree = Tree::new(&[]);
            let made = std::process::Command::new("mkfifo").arg(tree.0.join("root/pipe")).status();
            assert!(made.is_ok_and(|status| status.success()), "mkfifo is part of POSIX");
            assert_eq!(tree.at("/pipe"), "NotFound");
        }

        #[test]
        fn an_absolute_link_is_followed_inside_the_root_alone() {
            let tree = Tree::new(&[("root/real/a.txt", "in"), ("out.txt", "out")]);
            let top = fs::canonicalize(&tree.0).unwrap();
            symlink(top.join("root/real"), tree.0.join("root/dir")).unwrap();
            symlink(top.join("out.txt"), tree.0.join("root/out.txt")).unwrap();
            assert_eq!(tree.at("/dir/a.txt"), "text/plain; charset=utf-8 in");
            assert_eq!(tree.at("/out.txt"), "NotFound");
        }

        #[test]
        fn a_trusted_tree_follows_links_wherever_they_lead() {
            let tree = Tree::new(&[("root/a.txt", "in"), ("out/b.txt", "out")]);
            symlink("../out", tree.0.join("root/dir")).unwrap();
            let found = look_up(&tree.wanted_in(Dir::trusted(tree.0.join("root")), "/dir/b.txt"), Patience::Waits);
            assert!(matches!(found, Ok(Found::File(found)) if content(&*found.file) == "out"));
            let Ok(Found::Listing { page, .. }) =
                look_up(&tree.wanted_in(Dir::trusted(tree.0.join("root")), "/"), Patience::Waits)
            else {
                panic!("no listing")
            };
            assert!(page.contains("href=\"dir/\""));
        }
    }
}
