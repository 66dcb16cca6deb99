//! Looks a request's file up: opens it, decides what of it is sent, and reads the first chunk.
//!
//! Each function here takes a [`Blocking`] and may run twice; `blocking.rs` says why.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::StatusCode;

use super::condition::{Conditions, MethodKind, Selection, Validators, tag_of, time_of_change};
use super::encoding::Encoding;
use super::file_system::{File, FileInfo, FileKind, FileSystem};
use super::gzip::OnTheFly;
use super::listing;
use super::path::{NameRules, RequestedPath, Spelling, encode_name};
use super::range::ByteRange;
use super::response::Representation;
use super::source::{Blocking, CHUNK_BYTES, SNIFFED_BYTES, first_chunk};
use crate::message::{detect_content_type, type_by_extension};

/// Served in place of a listing where a directory has it.
pub(super) const INDEX_NAME: &str = "index.html";

/// What to look for, and the fields of the request and of the handlers around that matter for it.
pub(super) struct FileQuery {
    pub(super) file_system: Arc<dyn FileSystem>,
    pub(super) path: RequestedPath,
    pub(super) named_by: NamedBy,
    pub(super) conditions: Conditions,
    /// The tag that a handler around this one has set.
    pub(super) etag: Option<Vec<u8>>,
    /// The codings to look for, the best one first.
    pub(super) encodings: Vec<Encoding>,
    /// How to encode text that has no encoded sibling.
    pub(super) on_the_fly: Option<OnTheFly>,
    /// Which entries of a directory are listed.
    pub(super) rules: NameRules,
    pub(super) listings: Listings,
    /// The file that is served for the directory it lies in; empty for none.
    pub(super) index: Arc<str>,
}

/// How directories without an index are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listings {
    Shown,
    NotFound,
}

impl FileQuery {
    /// What the path names.
    pub(super) fn new(file_system: Arc<dyn FileSystem>, path: RequestedPath, index: Arc<str>) -> FileQuery {
        FileQuery {
            file_system,
            path,
            named_by: NamedBy::Path,
            conditions: Conditions::default(),
            etag: None,
            encodings: Vec::new(),
            on_the_fly: None,
            rules: NameRules::DEFAULT,
            listings: Listings::Shown,
            index,
        }
    }
}

/// Where the name of the served file comes from.
pub(super) enum NamedBy {
    /// The request's path. It must then end as fits what it names: a directory with a slash, a file
    /// without one. A path that does not is redirected.
    Path,
    /// The program. `name` tells the content type; `last_segment` is how the request's path ends, as
    /// it was sent.
    Handler { name: Option<OsString>, last_segment: String },
}

/// What was found.
pub(super) enum Resource {
    File(OpenedFile),
    Listing {
        page: String,
        modified: Option<SystemTime>,
    },
    /// A directory whose listing is not sent, because the client's copy is still good or its
    /// precondition does not hold.
    ListingNotSent {
        selection: Selection,
        modified: Option<SystemTime>,
    },
    /// It is there, but the path ends with a slash too many or too few. Where it is, relative to the
    /// path of the request.
    Moved(String),
}

/// A regular file, opened.
pub(super) struct OpenedFile {
    pub(super) file: Arc<dyn File>,
    pub(super) representation: Representation,
    pub(super) selection: Selection,
    /// The first chunk of what was selected, with the offset it starts at, if it was read already.
    pub(super) first: Option<(u64, Bytes)>,
}

/// Why there is nothing to serve.
#[derive(Debug)]
pub(super) enum NotServed {
    NotFound,
    Forbidden,
    /// An error of the system, answered 500. Its text names paths: it goes to the log and not to the client.
    Fault(io::Error),
}

impl From<io::Error> for NotServed {
    fn from(error: io::Error) -> NotServed {
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::CrossesDevices => {
                NotServed::NotFound
            }
            io::ErrorKind::PermissionDenied => NotServed::Forbidden,
            _ => NotServed::Fault(error),
        }
    }
}

/// `None` if the lookup stopped because it would have had to block: it is then run again where it may.
pub(super) fn unless_blocked<T>(found: Result<T, NotServed>) -> Option<Result<T, NotServed>> {
    match found {
        Err(NotServed::Fault(error)) if error.kind() == io::ErrorKind::WouldBlock => None,
        found => Some(found),
    }
}

/// Finds what the query asks for.
pub(super) fn look_up(query: &FileQuery, blocking: Blocking) -> Result<Resource, NotServed> {
    let relative = &query.path.relative;
    let file = blocking.open(&*query.file_system, relative)?;
    let info = file.info()?;
    match (info.kind, query.path.spelling, &query.named_by) {
        (FileKind::Directory, Spelling::Slash, _) => open_directory(query, blocking, &*file),
        (FileKind::File, Spelling::Name, NamedBy::Path) => {
            open_file(query, blocking, (file, info), relative, relative.file_name())
        }
        (FileKind::File, _, NamedBy::Handler { name, .. }) => {
            open_file(query, blocking, (file, info), relative, name.as_deref())
        }
        (FileKind::Directory, Spelling::Name, NamedBy::Path) => moved(relative, "", "/"),
        // After a dot and a slash, no segment can be taken for a scheme or a host.
        (FileKind::Directory, Spelling::Name, NamedBy::Handler { last_segment, .. }) => {
            Ok(Resource::Moved(format!("./{last_segment}/")))
        }
        (FileKind::File, Spelling::Slash, NamedBy::Path) => moved(relative, "../", ""),
        (FileKind::Other, ..) => Err(NotServed::NotFound),
    }
}

/// The page that is sent, with 404, in place of what is not found.
pub(super) fn look_up_page(
    file_system: &dyn FileSystem,
    blocking: Blocking,
    page: &Path,
    method: MethodKind,
) -> Result<OpenedFile, NotServed> {
    let file = blocking.open(file_system, page)?;
    let info = file.info()?;
    if info.kind != FileKind::File {
        return Err(NotServed::NotFound);
    }
    // The request's conditions and ranges are about what it asked for, not about this page.
    let conditions = Conditions::none(method);
    let representation = Representation {
        status: StatusCode::NOT_FOUND,
        size: info.length,
        validators: Validators::default(),
        content_type: page.file_name().and_then(type_by_extension).map(Into::into),
        encoding: None,
        on_the_fly: None,
    };
    select(file, blocking, representation, &conditions)
}

fn open_directory(query: &FileQuery, blocking: Blocking, directory: &dyn File) -> Result<Resource, NotServed> {
    let index = query.path.relative.join(&*query.index);
    match blocking.open(&*query.file_system, &index) {
        Ok(file) => {
            let info = file.info()?;
            match info.kind {
                FileKind::File => return open_file(query, blocking, (file, info), &index, index.file_name()),
                FileKind::Other => return Err(NotServed::NotFound),
                FileKind::Directory => {}
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // An index that is there but may not be read is no reason to show what lies around it.
        Err(error) => return Err(error.into()),
    }
    if query.listings == Listings::NotFound {
        return Err(NotServed::NotFound);
    }
    if blocking == Blocking::Never {
        return Err(NotServed::Fault(io::ErrorKind::WouldBlock.into()));
    }
    let listing = listing::read(directory, query.rules)?;
    let modified = listing.modified;
    match query.conditions.precondition(&Validators { etag: None, modified }) {
        Some(selection) => Ok(Resource::ListingNotSent { selection, modified }),
        None => Ok(Resource::Listing { page: listing::render(&query.path.relative, &listing.entries), modified }),
    }
}

/// What to send of a regular file that lies at `path`; its content type comes from `name`.
fn open_file(
    query: &FileQuery,
    blocking: Blocking,
    (file, info): (Arc<dyn File>, FileInfo),
    path: &Path,
    name: Option<&OsStr>,
) -> Result<Resource, NotServed> {
    let encoded = open_encoded(query, blocking, path)?;
    let by_name = name.and_then(type_by_extension);
    let (plain, (file, info, encoding)) = match encoded {
        Some((encoded, info, encoding)) => (Some(file), (encoded, info, Some(encoding))),
        None => (None, (file, info, None)),
    };
    let content_type = match (by_name, plain) {
        // Encoded bytes tell nothing of the type: the plain file is looked at.
        (None, Some(plain)) => Some(sniff(&*plain, blocking)?),
        (by_name, _) => by_name,
    };
    let modified = time_of_change(info.modified);
    let variant = encoding.map_or("", |encoding| encoding.variant);
    let own = || tag_of(info.length, modified, SystemTime::now(), variant).map(String::into_bytes);
    let representation = Representation {
        status: StatusCode::OK,
        size: info.length,
        validators: Validators { etag: query.etag.clone().or_else(own), modified },
        content_type: content_type.map(Into::into),
        encoding: encoding.map(|encoding| encoding.name),
        on_the_fly: query.on_the_fly.filter(|_| encoding.is_none()),
    };
    select(file, blocking, representation, &query.conditions).map(Resource::File)
}

/// The best of the encoded siblings that are there.
fn open_encoded(
    query: &FileQuery,
    blocking: Blocking,
    path: &Path,
) -> Result<Option<(Arc<dyn File>, FileInfo, Encoding)>, NotServed> {
    for encoding in &query.encodings {
        let mut sibling = path.as_os_str().to_owned();
        sibling.push(encoding.suffix);
        let opened = blocking.open(&*query.file_system, Path::new(&sibling)).and_then(|file| Ok((file.info()?, file)));
        match opened {
            Ok((info, file)) if info.kind == FileKind::File => return Ok(Some((file, info, *encoding))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(NotServed::Fault(error)),
            // Whatever is wrong with the sibling, the plain file can still be sent.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(None)
}

/// Decides what is sent of the file, and reads the first chunk of that. A file that cannot be read is
/// found out here, while the response can still be an error.
fn select(
    file: Arc<dyn File>,
    blocking: Blocking,
    mut representation: Representation,
    conditions: &Conditions,
) -> Result<OpenedFile, NotServed> {
    let selection = conditions.select(&representation.validators, representation.size);
    let begin = match &selection {
        Selection::Whole => Some(ByteRange { start: 0, length: representation.size }),
        Selection::Parts(parts) => parts.first().copied(),
        _ => None,
    };
    let begin = begin.filter(|range| range.length > 0 && conditions.method != MethodKind::Head);
    let begin = begin.filter(|range| !is_sent_unread(&*file, blocking, *range)).map(first_chunk);
    let first = match begin {
        Some(range) => Some((range.start, blocking.read(&*file, range).map_err(NotServed::Fault)?)),
        None => None,
    };
    if representation.content_type.is_none() {
        representation.content_type = match (&selection, &first) {
            (Selection::Whole | Selection::Parts(_), Some((0, chunk)))
                if chunk.len() as u64 >= SNIFFED_BYTES.min(representation.size) =>
            {
                Some(detect_content_type(chunk).into())
            }
            (Selection::Whole | Selection::Parts(_), _) => Some(sniff(&*file, blocking)?.into()),
            _ => None,
        };
    }
    Ok(OpenedFile { file, representation, selection, first })
}

/// Whether to leave this range unread until it is sent: the system may send it from its own memory,
/// and then a read here would be a copy for nothing. What is not in memory is read while sending.
fn is_sent_unread(file: &dyn File, blocking: Blocking, range: ByteRange) -> bool {
    blocking == Blocking::Never && range.length > CHUNK_BYTES && file.system_file().is_some()
}

/// The type that the content looks like.
fn sniff(file: &dyn File, blocking: Blocking) -> Result<&'static str, NotServed> {
    let length = file.info()?.length.min(SNIFFED_BYTES);
    if length == 0 {
        return Ok(detect_content_type(b""));
    }
    let beginning = blocking.read(file, ByteRange { start: 0, length }).map_err(NotServed::Fault)?;
    if (beginning.len() as u64) < length {
        return Err(NotServed::Fault(io::ErrorKind::WouldBlock.into()));
    }
    Ok(detect_content_type(&beginning))
}

fn moved(relative: &Path, before: &str, after: &str) -> Result<Resource, NotServed> {
    match relative.file_name() {
        Some(name) => Ok(Resource::Moved(format!("{before}{}{after}", encode_name(name)))),
        // Only the root has no name, and its path always ends with a slash: it must be a file.
        None => Err(NotServed::Fault(io::Error::new(io::ErrorKind::NotADirectory, "the root is no directory"))),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Duration, UNIX_EPOCH};

    use super::super::dir::Dir;
    use super::super::path::{Names, requested_path};
    use super::super::temp_tree::TempTree;
    use super::*;
    use crate::message::{Request, format_time};

    fn query_in(dir: Dir, path: &str) -> FileQuery {
        FileQuery::new(Arc::new(dir), requested_path(path, NameRules::DEFAULT).unwrap(), INDEX_NAME.into())
    }

    fn query(tree: &TempTree, path: &str) -> FileQuery {
        query_in(Dir::new(tree.root()), path)
    }

    fn look_up_in(tree: &TempTree, path: &str) -> Result<Resource, NotServed> {
        look_up(&query(tree, path), Blocking::Allowed)
    }

    /// What is at this path, as a short text.
    fn at(tree: &TempTree, path: &str) -> String {
        match look_up_in(tree, path) {
            Ok(Resource::File(found)) => {
                let (content_type, content) = (found.representation.content_type.unwrap(), content(&*found.file));
                format!("{content_type} {content}")
            }
            Ok(Resource::Listing { page, .. }) => page,
            Ok(Resource::ListingNotSent { selection, .. }) => format!("{selection:?}"),
            Ok(Resource::Moved(reference)) => format!("moved {reference}"),
            Err(not_served) => format!("{not_served:?}"),
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

    #[test]
    fn a_file_is_opened_with_its_length_and_its_first_bytes() {
        let tree = TempTree::new(&[("root/dir/a b.txt", "hello, you")]);
        let Ok(Resource::File(found)) = look_up_in(&tree, "/dir/a%20b.txt") else { panic!("not found") };
        let (start, first) = found.first.unwrap();
        assert_eq!((found.representation.size, start, &first[..]), (10, 0, &b"hello, you"[..]));
        assert_eq!(Blocking::Allowed.read(&*found.file, ByteRange { start: 4, length: 6 }).unwrap(), "o, you");
        assert_eq!(found.representation.content_type.as_deref(), Some("text/plain; charset=utf-8"));
    }

    #[test]
    fn where_the_name_tells_no_type_the_content_does() {
        let tree = TempTree::new(&[("root/README", "read"), ("root/data.unknown", "\0\x01"), ("root/page.txt", "<p>")]);
        assert_eq!(at(&tree, "/README"), "text/plain; charset=utf-8 read");
        assert_eq!(at(&tree, "/data.unknown"), "application/octet-stream \0\x01");
        assert_eq!(at(&tree, "/page.txt"), "text/plain; charset=utf-8 <p>", "the name has the first word");
    }

    #[test]
    fn a_spelling_that_does_not_fit_leads_to_the_one_that_does() {
        let tree = TempTree::new(&[("root/a b/c?.txt", "")]);
        assert_eq!(at(&tree, "/a%20b"), "moved a%20b/");
        assert_eq!(at(&tree, "/a%20b/c%3f.txt/"), "moved ../c%3F.txt");
    }

    #[test]
    fn a_directory_is_its_index_or_a_listing() {
        let tree = TempTree::new(&[("root/with/index.html", "<p>"), ("root/without/a.txt", "")]);
        assert_eq!(at(&tree, "/with/"), "text/html; charset=utf-8 <p>");
        assert!(at(&tree, "/without/").contains("<a href=\"a.txt\">"));
    }

    #[test]
    fn a_listing_has_directories_first_and_leaves_out_what_is_hidden() {
        let files = ["root/b.txt", "root/a.txt", "root/z/x", "root/.git/config", "root/.env", "root/B.txt", "root/y/x"];
        let tree = TempTree::new(&files.map(|name| (name, "12345")));
        let page = at(&tree, "/");
        let links: Vec<_> = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(links, ["y/", "z/", "B.txt", "a.txt", "b.txt"]);
        assert_eq!(page.matches("5 B").count(), 3);
    }

    #[test]
    fn what_is_not_there_is_not_found() {
        let tree = TempTree::new(&[("root/a.txt", "")]);
        let long = format!("/{}", "x".repeat(5000));
        for path in ["/b.txt", "/no/a.txt", "/a.txt/b.txt", &long] {
            assert_eq!(at(&tree, path), "NotFound", "{path:.20}");
        }
    }

    #[test]
    fn a_root_that_is_missing_or_a_file_is_a_fault() {
        let tree = TempTree::new(&[("file/x", "")]);
        for root in ["file/x", "none"] {
            for path in ["/", "/a"] {
                let found = look_up(&query_in(Dir::new(tree.path().join(root)), path), Blocking::Allowed);
                assert!(matches!(found, Err(NotServed::Fault(_))), "{root} {path}");
            }
        }
    }

    #[test]
    fn a_copy_as_new_as_the_file_is_not_read_again() {
        let tree = TempTree::new(&[("root/a.txt", "old")]);
        let time = UNIX_EPOCH + Duration::from_millis(1_000_000_000_500);
        fs::File::options().write(true).open(tree.path().join("root/a.txt")).unwrap().set_modified(time).unwrap();
        let selected = |seconds| {
            let conditions = since(http::Method::GET, UNIX_EPOCH + Duration::from_secs(seconds));
            match look_up(&FileQuery { conditions, ..query(&tree, "/a.txt") }, Blocking::Allowed) {
                Ok(Resource::File(found)) => (found.selection, found.first.is_some()),
                _ => panic!("not found"),
            }
        };
        assert_eq!(selected(1_000_000_000), (Selection::NotModified, false));
        assert_eq!(selected(999_999_999), (Selection::Whole, true));
    }

    #[cfg(unix)]
    fn set_modified(tree: &TempTree, name: &str, time: SystemTime) {
        // A directory can be opened on Unix alone, and only for reading.
        fs::File::open(tree.path().join(name)).unwrap().set_modified(time).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn two_versions_with_the_time_of_a_reproducible_build_are_both_sent() {
        for seconds in [1, 315_532_800, 499_162_500] {
            let time = UNIX_EPOCH + Duration::from_secs(seconds);
            let tree = TempTree::new(&[("root/a.txt", "old")]);
            for content in ["old", "new"] {
                fs::write(tree.root().join("a.txt"), content).unwrap();
                set_modified(&tree, "root/a.txt", time);
                set_modified(&tree, "root", time);
                let conditions = since(http::Method::GET, time);
                let query = FileQuery { conditions, ..query(&tree, "/a.txt") };
                let Ok(Resource::File(found)) = look_up(&query, Blocking::Allowed) else { panic!("not found") };
                assert_eq!(found.selection, Selection::Whole, "{content} of {seconds}");
                let validators = found.representation.validators;
                assert_eq!((validators.etag, validators.modified), (None, None), "{content} of {seconds}");
            }
            let conditions = since(http::Method::GET, time);
            let listing = look_up(&FileQuery { conditions, ..query(&tree, "/") }, Blocking::Allowed);
            assert!(matches!(listing, Ok(Resource::Listing { modified: None, .. })), "a listing of {seconds}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_grows_makes_the_listing_new() {
        let tree = TempTree::new(&[("root/a.txt", "old")]);
        let before = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let later = before + Duration::from_secs(100);
        for name in ["root/a.txt", "root"] {
            set_modified(&tree, name, before);
        }
        let conditions = || since(http::Method::GET, before);
        let found = look_up(&FileQuery { conditions: conditions(), ..query(&tree, "/") }, Blocking::Allowed);
        assert!(matches!(found, Ok(Resource::ListingNotSent { selection: Selection::NotModified, .. })));
        set_modified(&tree, "root/a.txt", later);
        let found = look_up(&FileQuery { conditions: conditions(), ..query(&tree, "/") }, Blocking::Allowed);
        assert!(matches!(found, Ok(Resource::Listing { modified: Some(after), .. }) if after == later));
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error() {
        let tree = TempTree::new(&[("root/a.txt", "0123456789")]);
        let Ok(Resource::File(found)) = look_up_in(&tree, "/a.txt") else { panic!("not found") };
        fs::File::options().write(true).open(tree.path().join("root/a.txt")).unwrap().set_len(7).unwrap();
        let read = Blocking::Allowed.read(&*found.file, ByteRange { start: 4, length: 6 });
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[cfg(unix)]
    mod unix {
        use std::os::unix::fs::symlink;

        use super::*;

        #[test]
        fn a_link_is_followed_inside_the_root_and_not_out_of_it() {
            let tree = TempTree::new(&[("root/real/a.txt", "in"), ("root-secret/a.txt", "out")]);
            let link = |to: &str, name: &str| symlink(to, tree.root().join(name)).unwrap();
            link("real", "dir");
            link("real/a.txt", "file.txt");
            link("../root/real/a.txt", "round.txt");
            link("../root-secret", "outdir");
            link("../root-secret/a.txt", "out.txt");
            link("/", "top");
            link("nowhere", "dangling");
            link("loop", "loop");
            for path in ["/dir/a.txt", "/file.txt", "/round.txt"] {
                assert_eq!(at(&tree, path), "text/plain; charset=utf-8 in", "{path}");
            }
            for path in ["/outdir", "/outdir/", "/outdir/a.txt", "/out.txt", "/top/", "/top/etc/", "/dangling", "/loop"]
            {
                assert_eq!(at(&tree, path), "NotFound", "{path}");
            }
            let page = at(&tree, "/");
            let links: Vec<_> = page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
            assert_eq!(links, ["dir/", "real/", "file.txt", "round.txt"], "what is not served is not listed");
        }

        #[test]
        fn an_index_that_leads_out_of_the_root_gives_no_listing_instead() {
            let tree = TempTree::new(&[("root/dir/a.txt", ""), ("secret", "")]);
            symlink("../../secret", tree.path().join("root/dir/index.html")).unwrap();
            assert_eq!(at(&tree, "/dir/"), "NotFound");
        }

        #[test]
        fn a_root_that_is_a_link_is_followed_where_it_leads_now() {
            let tree = TempTree::new(&[("one/a.txt", "1"), ("two/a.txt", "2")]);
            let root = tree.path().join("current");
            for (release, content) in [("one", "1"), ("two", "2")] {
                let _ = fs::remove_file(&root);
                symlink(release, &root).unwrap();
                let found = look_up(&query_in(Dir::new(&root), "/a.txt"), Blocking::Allowed);
                assert!(matches!(found, Ok(Resource::File(found)) if self::content(&*found.file) == content));
            }
        }

        #[test]
        fn names_with_a_colon_or_a_backslash_are_served_and_listed() {
            let tree = TempTree::new(&[("root/12:30.log", "noon"), ("root/a\\b.txt", "ab"), ("root/c:/d.txt", "cd")]);
            assert_eq!(at(&tree, "/12:30.log"), "text/plain; charset=utf-8 noon");
            assert_eq!(at(&tree, "/a%5Cb.txt"), "text/plain; charset=utf-8 ab");
            assert_eq!(at(&tree, "/c%3A/d.txt"), "text/plain; charset=utf-8 cd");
            assert_eq!(at(&tree, "/c:"), "moved c%3A/", "a reference that has no scheme");
            let page = at(&tree, "/");
            for link in ["href=\"12%3A30.log\"", "href=\"a%5Cb.txt\"", "href=\"c%3A/\""] {
                assert!(page.contains(link), "{link}: {page}");
            }
            let rules = NameRules { names: Names::Portable, ..NameRules::DEFAULT };
            let listing = look_up(&FileQuery { rules, ..query(&tree, "/") }, Blocking::Allowed);
            assert!(matches!(listing, Ok(Resource::Listing { page, .. }) if page.contains("Empty")));
        }

        #[test]
        fn a_socket_is_neither_served_nor_listed() {
            let tree = TempTree::new(&[]);
            let _listener = std::os::unix::net::UnixListener::bind(tree.path().join("root/s")).unwrap();
            assert_eq!(at(&tree, "/s"), "NotFound");
            assert!(!at(&tree, "/").contains("href"));
        }

        #[test]
        fn a_pipe_is_refused_without_waiting_for_a_writer() {
            let tree = TempTree::new(&[]);
            let made = std::process::Command::new("mkfifo").arg(tree.path().join("root/pipe")).status();
            assert!(made.is_ok_and(|status| status.success()), "mkfifo is part of POSIX");
            assert_eq!(at(&tree, "/pipe"), "NotFound");
        }

        #[test]
        fn an_absolute_link_is_followed_inside_the_root_alone() {
            let tree = TempTree::new(&[("root/real/a.txt", "in"), ("out.txt", "out")]);
            let top = fs::canonicalize(tree.path()).unwrap();
            symlink(top.join("root/real"), tree.path().join("root/dir")).unwrap();
            symlink(top.join("out.txt"), tree.path().join("root/out.txt")).unwrap();
            assert_eq!(at(&tree, "/dir/a.txt"), "text/plain; charset=utf-8 in");
            assert_eq!(at(&tree, "/out.txt"), "NotFound");
        }

        #[test]
        fn a_trusted_tree_follows_links_wherever_they_lead() {
            let tree = TempTree::new(&[("root/a.txt", "in"), ("out/b.txt", "out")]);
            symlink("../out", tree.path().join("root/dir")).unwrap();
            let found = look_up(&query_in(Dir::trusted(tree.root()), "/dir/b.txt"), Blocking::Allowed);
            assert!(matches!(found, Ok(Resource::File(found)) if content(&*found.file) == "out"));
            let Ok(Resource::Listing { page, .. }) =
                look_up(&query_in(Dir::trusted(tree.root()), "/"), Blocking::Allowed)
            else {
                panic!("no listing")
            };
            assert!(page.contains("href=\"dir/\""));
        }
    }
}
