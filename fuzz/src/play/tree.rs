//! A file server over a tree in memory that knows what was opened.

use std::io;
use std::path::{Component, Path};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use nethttp::files::{DirEntry, File, FileInfo, FileKind, FileSystem, file_server_fs};
use nethttp::fuzzing::{FuzzContent, FuzzRequestKind};
use nethttp::{Server, testing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{ends, run};
use crate::heads::LIMITS;
use crate::reference::fields::Fields;
use crate::reference::{Read, chunked, response};

/// What each file of the tree has.
pub static CONTENT: LazyLock<Vec<u8>> = LazyLock::new(|| (0..=250).cycle().take(1000).collect());

const FILES: [&str; 5] = ["a", "a.txt", "a.txt.gz", "d/index.html", "d/e/f"];
const DIRECTORIES: [&str; 3] = ["", "d", "d/e"];
/// What a page must not show as it is, and what it must not show at all.
pub const UNSAFE_NAME: &str = "\"><script>";
pub const HIDDEN_NAME: &str = ".hidden";

/// What a file server is told to do, a letter each.
pub struct Settings(Vec<u8>);

impl Settings {
    pub fn of(letters: &[u8]) -> Settings {
        Settings(letters.to_vec())
    }

    fn has(&self, letter: u8) -> bool {
        self.0.contains(&letter)
    }

    pub fn method(&self) -> &'static [u8] {
        if self.has(b'H') { b"HEAD" } else { b"GET" }
    }
}

#[derive(Clone, Default)]
struct Tree(Arc<Mutex<Option<String>>>);

impl FileSystem for Tree {
    fn open(&self, name: &Path) -> io::Result<Arc<dyn File>> {
        let plain =
            |part: Component<'_>| matches!(part, Component::Normal(name) if !name.as_encoded_bytes().starts_with(b"."));
        if !name.components().all(plain) || name.as_os_str().as_encoded_bytes().contains(&0) {
            *self.0.lock().expect("nobody panics with it") = Some(format!("{name:?} is opened"));
        }
        let text = name.to_str().unwrap_or("none");
        let is_file = FILES.contains(&text);
        if !is_file && !DIRECTORIES.contains(&text) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Arc::new(Opened { is_file }))
    }

    fn try_open(&self, name: &Path) -> io::Result<Arc<dyn File>> {
        self.open(name)
    }
}

struct Opened {
    is_file: bool,
}

impl File for Opened {
    fn info(&self) -> io::Result<FileInfo> {
        let kind = if self.is_file { FileKind::File } else { FileKind::Directory };
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        Ok(FileInfo { kind, length: if self.is_file { 1000 } else { 0 }, modified: Some(modified) })
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let from = usize::try_from(offset).map_or(1000, |offset| offset.min(1000));
        Ok(Bytes::from_static(&CONTENT[from..from.saturating_add(length).min(1000)]))
    }

    fn try_read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        self.read_at(offset, length)
    }

    fn read_dir(&self) -> io::Result<Vec<DirEntry>> {
        let info = FileInfo { kind: FileKind::File, length: 1000, modified: None };
        Ok(["a", UNSAFE_NAME, HIDDEN_NAME].map(|name| DirEntry { name: name.into(), info: info.clone() }).into())
    }
}

/// A response of the server, whole.
#[derive(Debug)]
pub struct FileResponse {
    pub status: u16,
    pub fields: Fields,
    pub content: Vec<u8>,
    pub is_head: bool,
}

/// The response to this request.
pub fn response_to(settings: &Settings, request: &[u8]) -> FileResponse {
    let tree = Tree::default();
    let all = run(async {
        let mut files = file_server_fs(tree.clone());
        files = files.listings(settings.has(b'l')).precompressed(settings.has(b'p')).compressed(settings.has(b'c'));
        if settings.has(b'f') {
            files = files.fallback_page("a");
        }
        if settings.has(b'i') {
            files = files.index_page("f");
        }
        let mut server = Server::new(files.portable_names(settings.has(b'w')));
        server.on_event = Some(Arc::new(|_| {}));
        let (listener, dialer) = testing::listener();
        tokio::spawn(async move { server.serve(listener).await });
        let mut stream = dialer.dial().await.expect("it listens");
        stream.write_all(request).await.expect("it reads");
        let mut all = Vec::new();
        _ = ends("the answer", stream.read_to_end(&mut all)).await;
        all
    });
    assert_eq!(*tree.0.lock().expect("nobody panics with it"), None);
    let kind = if settings.has(b'H') { FuzzRequestKind::Head } else { FuzzRequestKind::Other };
    let Read::Whole(head) = response::head(&all, LIMITS, kind) else { panic!("no answer: {}", all.escape_ascii()) };
    let rest = &all[head.consumed..];
    let content = match head.content {
        FuzzContent::Chunked => chunked::content(rest, LIMITS).1.whole().expect("its end came").content,
        FuzzContent::UntilClose => panic!("content without a length: {head:?}"),
        FuzzContent::Length(length) => {
            assert_eq!(rest.len() as u64, length, "half an answer: {head:?}");
            rest.to_vec()
        }
        FuzzContent::Empty => rest.to_vec(),
    };
    FileResponse { status: head.status, fields: head.fields, content, is_head: settings.has(b'H') }
}
