//! What the file system has for a request: everything that blocks, done in one hop.

use std::fs::{self, File, FileType, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::condition::is_unmodified;
use super::listing;
use super::mime::type_by_extension;
use super::path::{RequestedPath, Spelling, encode_name};
use crate::message::detect_content_type;

/// Served in place of a listing where a directory has it.
pub(super) const INDEX_NAME: &str = "index.html";

/// What to look for.
pub(super) struct Wanted {
    pub(super) root: Arc<Path>,
    pub(super) path: RequestedPath,
    /// From when the client has a copy.
    pub(super) since: Option<SystemTime>,
    /// How much of the content to read in the same hop, at most.
    pub(super) first_bytes: usize,
}

/// What was found.
pub(super) enum Found {
    File(OpenFile),
    Listing {
        page: String,
        modified: Option<SystemTime>,
    },
    /// The client's copy is still good.
    Unmodified(SystemTime),
    /// It is there under another spelling: a reference relative to the one that was asked for.
    Moved(String),
}

/// A regular file, opened.
pub(super) struct OpenFile {
    pub(super) file: File,
    pub(super) length: u64,
    pub(super) modified: Option<SystemTime>,
    /// The start of the content, of `first_bytes` or the whole.
    pub(super) first: Bytes,
    pub(super) content_type: &'static str,
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
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Absence::NotFound,
            io::ErrorKind::PermissionDenied => Absence::Forbidden,
            _ => Absence::Fault(error),
        }
    }
}

/// Finds what is wanted. Blocks on the file system.
pub(super) fn look_up(wanted: &Wanted) -> Result<Found, Absence> {
    // Anew for each request: the root may be a link that a deployment swaps.
    let root = fs::canonicalize(&wanted.root).map_err(Absence::Fault)?;
    let relative = &wanted.path.relative;
    let place = if relative.as_os_str().is_empty() { root.clone() } else { confine(&root, &root.join(relative))? };
    match (Kind::of(fs::metadata(&place)?.file_type()), wanted.path.spelling) {
        (Kind::Directory, Spelling::Slash) => open_directory(wanted, &root, &place),
        (Kind::File, Spelling::Name) => open_file(wanted, &place, relative),
        (Kind::Directory, Spelling::Name) => moved(relative, "", "/"),
        (Kind::File, Spelling::Slash) => moved(relative, "../", ""),
        (Kind::Special, _) => Err(Absence::NotFound),
    }
}

/// Where `path` leads once its links are followed. What is out of the root is not found.
///
/// The answer holds for the moment it is given: whoever may write below the root can swap a
/// directory for a link between this look and the opening, and so have the swapped path read.
/// Serving a directory that strangers can write to therefore needs more than this check.
pub(super) fn confine(root: &Path, path: &Path) -> Result<PathBuf, Absence> {
    // Whatever else keeps a name from being resolved is in the name: too long, a loop of links.
    let place = fs::canonicalize(path).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => Absence::Forbidden,
        _ => Absence::NotFound,
    })?;
    if place.starts_with(root) { Ok(place) } else { Err(Absence::NotFound) }
}

/// What can be served, and what cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
    /// A pipe, a socket, a device: opening it may block for ever, or do something.
    Special,
}

impl Kind {
    pub(super) fn of(file_type: FileType) -> Kind {
        match file_type {
            directory if directory.is_dir() => Kind::Directory,
            file if file.is_file() => Kind::File,
            _ => Kind::Special,
        }
    }
}

fn open_directory(wanted: &Wanted, root: &Path, directory: &Path) -> Result<Found, Absence> {
    let index = directory.join(INDEX_NAME);
    // An index that is there but may not be read is no reason to show what lies around it.
    if fs::symlink_metadata(&index).is_ok_and(|metadata| !metadata.is_dir()) {
        let place = confine(root, &index)?;
        return match Kind::of(fs::metadata(&place)?.file_type()) {
            Kind::File => open_file(wanted, &place, &index),
            Kind::Directory | Kind::Special => Err(Absence::NotFound),
        };
    }
    let listing = listing::read(root, directory)?;
    Ok(match unless_unmodified(listing.modified, wanted.since) {
        Some(unmodified) => unmodified,
        None => Found::Listing {
            page: listing::render(&wanted.path.relative, &listing.entries),
            modified: listing.modified,
        },
    })
}

/// Opens the regular file at `place`; `named` is what it is called there, which tells its type.
fn open_file(wanted: &Wanted, place: &Path, named: &Path) -> Result<Found, Absence> {
    let file = File::open(place)?;
    // Of what was opened, which may not be what was looked at.
    let metadata = file.metadata()?;
    if Kind::of(metadata.file_type()) != Kind::File {
        return Err(Absence::NotFound);
    }
    let modified = modified(&metadata);
    if let Some(unmodified) = unless_unmodified(modified, wanted.since) {
        return Ok(unmodified);
    }
    let length = metadata.len();
    let first = read_chunk(&file, at_most(length, wanted.first_bytes)).map_err(Absence::Fault)?;
    let content_type = named.file_name().and_then(type_by_extension).unwrap_or_else(|| detect_content_type(&first));
    Ok(Found::File(OpenFile { file, length, modified, first, content_type }))
}

fn moved(relative: &Path, before: &str, after: &str) -> Result<Found, Absence> {
    match relative.file_name() {
        Some(name) => Ok(Found::Moved(format!("{before}{}{after}", encode_name(name)))),
        // The root has no name, and is spelled with a slash: it is a file.
        None => Err(Absence::Fault(io::Error::new(io::ErrorKind::NotADirectory, "the root is no directory"))),
    }
}

fn unless_unmodified(modified: Option<SystemTime>, since: Option<SystemTime>) -> Option<Found> {
    modified.filter(|_| is_unmodified(modified, since)).map(Found::Unmodified)
}

/// The time of the last change, where the file system keeps it: 0 stands for none.
pub(super) fn modified(metadata: &Metadata) -> Option<SystemTime> {
    metadata.modified().ok().filter(|time| *time > UNIX_EPOCH)
}

/// The smaller one of what there is and what is asked for.
pub(super) fn at_most(there: u64, asked: usize) -> usize {
    usize::try_from(there).map_or(asked, |there| there.min(asked))
}

/// Reads exactly `length` bytes from where the file stands. Blocks.
///
/// # Errors
/// Also when the file has fewer: its length was announced, so what is missing is missed.
pub(super) fn read_chunk(mut file: &File, length: usize) -> io::Result<Bytes> {
    let mut chunk = Vec::with_capacity(length);
    file.by_ref().take(length as u64).read_to_end(&mut chunk)?;
    if chunk.len() < length {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was sent"));
    }
    Ok(chunk.into())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use super::super::path::requested_path;
    use super::*;

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
            let path = requested_path(path).unwrap();
            Wanted { root: self.0.join("root").into(), path, since: None, first_bytes: 4 }
        }

        fn look_up(&self, path: &str) -> Result<Found, Absence> {
            look_up(&self.wanted(path))
        }

        /// What is at this path, in a word or two.
        fn at(&self, path: &str) -> String {
            match self.look_up(path) {
                Ok(Found::File(file)) => format!("{} {}", file.content_type, String::from_utf8_lossy(&file.first)),
                Ok(Found::Listing { page, .. }) => page,
                Ok(Found::Unmodified(_)) => "unmodified".into(),
                Ok(Found::Moved(reference)) => format!("moved {reference}"),
                Err(absence) => format!("{absence:?}"),
            }
        }
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
        assert_eq!((found.length, &found.first[..]), (10, &b"hell"[..]));
        assert_eq!(read_chunk(&found.file, 6).unwrap(), "o, you", "the rest begins where the first bytes end");
        assert_eq!(found.content_type, "text/plain; charset=utf-8");
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
        let root: Arc<Path> = tree.0.join("file/x").into();
        assert!(matches!(look_up(&Wanted { root, ..tree.wanted("/") }), Err(Absence::Fault(_))));
        let root: Arc<Path> = tree.0.join("none").into();
        assert!(matches!(look_up(&Wanted { root, ..tree.wanted("/a") }), Err(Absence::Fault(_))));
    }

    #[test]
    fn a_copy_as_new_as_the_file_is_unmodified() {
        let tree = Tree::new(&[("root/a.txt", "old")]);
        let time = UNIX_EPOCH + Duration::from_millis(1_000_000_500);
        File::options().write(true).open(tree.0.join("root/a.txt")).unwrap().set_modified(time).unwrap();
        let since = |seconds| {
            look_up(&Wanted { since: Some(UNIX_EPOCH + Duration::from_secs(seconds)), ..tree.wanted("/a.txt") })
        };
        assert!(matches!(since(1_000_000), Ok(Found::Unmodified(at)) if at == time));
        assert!(matches!(since(999_999), Ok(Found::File(_))));
    }

    #[test]
    fn a_file_that_grows_makes_the_listing_new() {
        let tree = Tree::new(&[("root/a.txt", "old")]);
        let Ok(Found::Listing { modified: Some(before), .. }) = tree.look_up("/") else { panic!("no listing") };
        let later = before + Duration::from_secs(100);
        File::options().write(true).open(tree.0.join("root/a.txt")).unwrap().set_modified(later).unwrap();
        assert!(matches!(tree.look_up("/"), Ok(Found::Listing { modified: Some(after), .. }) if after == later));
    }

    #[test]
    fn a_file_that_became_shorter_is_an_error() {
        let tree = Tree::new(&[("root/a.txt", "0123456789")]);
        let Ok(Found::File(found)) = tree.look_up("/a.txt") else { panic!("not found") };
        File::options().write(true).open(tree.0.join("root/a.txt")).unwrap().set_len(7).unwrap();
        assert_eq!(read_chunk(&found.file, 6).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
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
            let root: Arc<Path> = tree.0.join("current").into();
            for (release, content) in [("one", "1"), ("two", "2")] {
                let _ = fs::remove_file(&root);
                symlink(release, &root).unwrap();
                let found = look_up(&Wanted { root: root.clone(), ..tree.wanted("/a.txt") });
                assert!(matches!(found, Ok(Found::File(file)) if file.first == content));
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
    }
}
