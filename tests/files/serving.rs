//! What `file_server` answers, over real sockets.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use nethttp::files::{
    Dir, DirEntry, EmbeddedFiles, File, FileInfo, FileKind, FileServer, FileSystem, file_server_fs, serve_content,
    serve_file_fs,
};
use nethttp::header::{format_time, parse_time};
use nethttp::{Bytes, Handler, Request, ResponseWriter, Result, ServeMux, Server, file_server, serve_file};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::files_kit::{Tree, ask, get, start};

#[tokio::test]
async fn a_file_comes_with_its_type_length_and_time() {
    let tree = Tree::new(&[("a.css", b"p {}")]);
    let modified = fs::metadata(tree.0.join("a.css")).unwrap().modified().unwrap();
    let answer = get(start(file_server(&tree.0)).await, "/a.css").await;
    assert_eq!((answer.status, answer.text()), (200, "p {}"));
    assert_eq!(answer.field("Content-Type"), Some("text/css; charset=utf-8"));
    assert_eq!(answer.field("Content-Length"), Some("4"));
    assert_eq!(answer.field("Last-Modified"), Some(format_time(modified).as_str()));
    assert_eq!(answer.field("X-Content-Type-Options"), Some("nosniff"));
}

#[tokio::test]
async fn an_empty_file_is_an_empty_answer() {
    let tree = Tree::new(&[("empty.txt", b"")]);
    let answer = get(start(file_server(&tree.0)).await, "/empty.txt").await;
    assert_eq!((answer.status, answer.field("Content-Length"), answer.text()), (200, Some("0"), ""));
}

#[tokio::test]
async fn a_file_comes_whole_whatever_number_of_chunks_it_takes() {
    const CHUNK: usize = 64 * 1024;
    const WINDOW: usize = 1024 * 1024;
    let whole: Vec<u8> = (0..3 * WINDOW + 5).map(|i| (i % 251) as u8).collect();
    let lengths = [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, WINDOW, 2 * WINDOW + 4096, 3 * WINDOW + 5];
    let tree = Tree::new(&[]);
    let addr = start(file_server(&tree.0)).await;
    for length in lengths {
        fs::write(tree.0.join("big.bin"), &whole[..length]).unwrap();
        let answer = get(addr, "/big.bin").await;
        assert_eq!(answer.field("Content-Length"), Some(length.to_string().as_str()));
        assert!(answer.content == whole[..length], "{length} bytes were sent, {} came", answer.content.len());
    }
}

#[tokio::test]
async fn a_head_request_has_the_same_fields_and_no_content() {
    let tree = Tree::new(&[("page", b"<!DOCTYPE html>"), ("dir/a", b"")]);
    let addr = start(file_server(&tree.0)).await;
    for target in ["/page", "/dir/", "/dir", "/none"] {
        let (head, get) = (ask(addr, "HEAD", target, "").await, get(addr, target).await);
        assert_eq!((head.status, head.content.len()), (get.status, 0), "{target}");
        for name in ["Content-Type", "Content-Length", "Last-Modified", "Location"] {
            assert_eq!(head.field(name), get.field(name), "{target} {name}");
        }
    }
}

#[tokio::test]
async fn any_method_is_answered_and_the_mux_refuses_what_no_pattern_names() {
    let tree = Tree::new(&[("a.txt", b"a")]);
    let any = start(file_server(&tree.0)).await;
    let mux = ServeMux::new();
    mux.handle("GET /", file_server(&tree.0));
    let some = start(mux).await;
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "get"] {
        let answer = ask(any, method, "/a.txt", "").await;
        assert_eq!((answer.status, answer.text()), (200, "a"), "{method}");
        let answer = ask(some, method, "/a.txt", "").await;
        assert_eq!((answer.status, answer.field("Allow")), (405, Some("GET, HEAD")), "{method}");
    }
    for method in ["GET", "HEAD"] {
        assert_eq!(ask(some, method, "/a.txt", "").await.status, 200);
    }
}

#[tokio::test]
async fn a_copy_that_is_still_good_is_not_sent_again() {
    let tree = Tree::new(&[("a.txt", b"a"), ("dir/a", b"")]);
    let addr = start(file_server(&tree.0)).await;
    for target in ["/a.txt", "/dir/"] {
        let modified = get(addr, target).await.field("Last-Modified").unwrap().to_owned();
        let answer = ask(addr, "GET", target, &format!("If-Modified-Since: {modified}\r\n")).await;
        assert_eq!((answer.status, answer.content.len()), (304, 0), "{target}");
        // Where there is a tag, it says all.
        let expected = if answer.field("ETag").is_some() { None } else { Some(modified.as_str()) };
        assert_eq!(answer.field("Last-Modified"), expected);
        assert_eq!((answer.field("Content-Type"), answer.field("Content-Length")), (None, None));
        let before = format_time(SystemTime::now() - Duration::from_secs(1 << 20));
        assert_eq!(ask(addr, "GET", target, &format!("If-Modified-Since: {before}\r\n")).await.status, 200);
    }
}

#[tokio::test]
async fn redirects_are_relative_and_keep_the_query() {
    let tree = Tree::new(&[("dir/index.html", b"index"), ("a.txt", b"")]);
    let addr = start(file_server(&tree.0)).await;
    let cases = [
        ("/dir", "dir/"),
        ("/dir?a=b&c", "dir/?a=b&c"),
        ("//dir", "dir/"),
        ("/dir/index.html", "./"),
        ("/index.html?x", "./?x"),
        ("/a.txt/", "../a.txt"),
    ];
    for (target, location) in cases {
        let answer = get(addr, target).await;
        assert_eq!((answer.status, answer.field("Location")), (301, Some(location)), "{target}");
    }
    assert_eq!(get(addr, "/dir/").await.text(), "index");
}

#[tokio::test]
async fn nothing_is_read_out_of_the_root() {
    let tree = Tree::new(&[("secret.txt", b"secret"), ("root/a.txt", b"a"), ("root/.hidden", b"hidden")]);
    let addr = start(file_server(tree.0.join("root"))).await;
    let targets = [
        "/../secret.txt",
        "/a/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/%2e%2e%2fsecret.txt",
        "/..%5csecret.txt",
        "/.hidden",
        "/%2ehidden",
        "/a.txt%00",
    ];
    for target in targets {
        let answer = get(addr, target).await;
        assert!([400, 404].contains(&answer.status), "{target} is {}", answer.status);
        assert!(!answer.text().contains("secret") && !answer.text().contains("hidden"), "{target}");
    }
    assert_eq!(get(addr, "/a.txt").await.text(), "a");
}

#[tokio::test]
async fn a_listing_leads_to_what_it_lists() {
    let names = ["a b.txt", "100%.txt", "q?x#y.txt", "\"quoted\".txt", "<i>.txt", "né.txt", "&amp;.txt"];
    let tree = Tree::new(&names.map(|name| (name, name.as_bytes())));
    let addr = start(file_server(&tree.0)).await;
    let page = get(addr, "/").await;
    assert_eq!((page.status, page.field("Content-Type")), (200, Some("text/html; charset=utf-8")));
    let mut reached = Vec::new();
    for link in page.text().split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        reached.push(get(addr, &format!("/{link}")).await.text().to_owned());
    }
    let mut expected = names;
    expected.sort_unstable();
    assert_eq!(reached, expected);
}

#[tokio::test]
async fn a_refusal_does_not_keep_the_fields_of_the_file_that_is_not_there() {
    struct Cached<H>(H);

    impl<H: Handler> Handler for Cached<H> {
        async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
            w.header().set("Cache-Control", "max-age=3600");
            w.header().set("ETag", "\"1\"");
            w.header().set("Content-Type", "text/x-own");
            self.0.serve_http(w, r).await
        }
    }

    let tree = Tree::new(&[("a.txt", b"a")]);
    let addr = start(Cached(file_server(&tree.0))).await;
    let found = get(addr, "/a.txt").await;
    assert_eq!((found.field("Cache-Control"), found.field("Content-Type")), (Some("max-age=3600"), Some("text/x-own")));
    let missing = get(addr, "/b.txt").await;
    assert_eq!((missing.status, missing.text()), (404, "404 page not found\n"));
    assert_eq!((missing.field("Cache-Control"), missing.field("ETag")), (None, None));
    assert_eq!(missing.field("Content-Type"), Some("text/plain; charset=utf-8"));
}

#[tokio::test]
async fn a_missing_root_is_answered_500_without_its_path() {
    let answer = get(start(file_server("/nonexistent/root")).await, "/a.txt").await;
    assert_eq!(answer.status, 500);
    assert!(!answer.text().contains("nonexistent"));
}

#[tokio::test]
async fn a_file_that_becomes_shorter_while_it_is_sent_cuts_the_answer() {
    let tree = Tree::new(&[]);
    let path = tree.0.join("big.bin");
    let file = fs::File::create(&path).unwrap();
    // Far more than socket buffers take, and no bytes on the disk.
    file.set_len(1 << 30).unwrap();
    let mut stream = TcpStream::connect(start(file_server(&tree.0)).await).await.unwrap();
    stream.write_all(b"GET /big.bin HTTP/1.1\r\nHost: files.test\r\n\r\n").await.unwrap();
    stream.read_exact(&mut [0; 1000]).await.unwrap();
    file.set_len(1000).unwrap();
    // Cut, so the connection ends although it was to be kept.
    let mut rest = 0;
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        rest += read;
    }
    assert!(rest < 1 << 30);
}

#[tokio::test]
async fn who_takes_nothing_of_a_file_is_given_up() {
    let tree = Tree::new(&[]);
    fs::File::create(tree.0.join("big.bin")).unwrap().set_len(1 << 30).unwrap();
    let (told, mut ended) = tokio::sync::mpsc::unbounded_channel();
    let mut server = Server::new(file_server(&tree.0));
    server.stall_timeout = Duration::from_millis(50);
    server.on_event = Some(Arc::new(|_| {}));
    server.on_request = Some(Arc::new(move |record| told.send(record.content_bytes).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    tokio::spawn(async move { server.serve(listener).await });
    stream.write_all(b"GET /big.bin HTTP/1.1\r\nHost: files.test\r\n\r\n").await.unwrap();
    // It ends although nothing was read, and long before all of it was written.
    assert!(ended.recv().await.unwrap() < 1 << 30);
}

#[test]
fn the_root_may_be_borrowed_for_the_call_alone() {
    fn is_static(_: impl Handler) {}

    let root = String::from("public");
    let handler = file_server(Path::new(&root));
    drop(root);
    is_static(handler);
}

#[tokio::test]
async fn a_part_is_206_with_its_place() {
    let tree = Tree::new(&[("a.txt", b"0123456789"), ("empty.txt", b"")]);
    let addr = start(file_server(&tree.0)).await;
    let cases = [("0-4", "01234", "0-4"), ("2-", "23456789", "2-9"), ("-3", "789", "7-9"), ("5-5,99-", "5", "5-5")];
    for (range, content, place) in cases {
        let answer = ask(addr, "GET", "/a.txt", &format!("Range: bytes={range}\r\n")).await;
        assert_eq!((answer.status, answer.text()), (206, content), "{range}");
        assert_eq!(answer.field("Content-Range"), Some(format!("bytes {place}/10").as_str()));
        assert_eq!(answer.field("Content-Length"), Some(content.len().to_string().as_str()));
        assert_eq!(answer.field("Content-Type"), Some("text/plain; charset=utf-8"));
        assert_eq!(answer.field("Accept-Ranges"), Some("bytes"));
    }
    for (target, fields) in [("/a.txt", "Range: lines=0-4\r\n"), ("/empty.txt", "Range: bytes=0-4\r\n")] {
        let answer = ask(addr, "GET", target, fields).await;
        assert_eq!((answer.status, answer.field("Content-Range")), (200, None), "{target} {fields}");
    }
    let head = ask(addr, "HEAD", "/a.txt", "Range: bytes=0-4\r\n").await;
    assert_eq!((head.status, head.field("Content-Length"), head.content.len()), (200, Some("10"), 0));
}

#[tokio::test]
async fn several_parts_come_in_one_body_of_the_announced_length() {
    const CHUNK: usize = 256 * 1024;
    let whole: Vec<u8> = (0..2 * CHUNK + 5).map(|i| (i % 251) as u8).collect();
    let tree = Tree::new(&[("big.bin", &whole)]);
    let addr = start(file_server(&tree.0)).await;
    let last = CHUNK + 9;
    let answer = ask(addr, "GET", "/big.bin", &format!("Range: bytes=-2, 5-{last},0-0\r\n")).await;
    assert_eq!(answer.status, 206);
    let boundary = answer.field("Content-Type").unwrap().strip_prefix("multipart/byteranges; boundary=").unwrap();
    let size = whole.len();
    let mut expected = Vec::new();
    let parts = [(size - 2, size - 1), (5, last), (0, 0)];
    for (at, (first, last)) in parts.into_iter().enumerate() {
        let line_end = if at == 0 { "" } else { "\r\n" };
        let place = format!("Content-Range: bytes {first}-{last}/{size}");
        let head = format!("{line_end}--{boundary}\r\n{place}\r\nContent-Type: application/octet-stream\r\n\r\n");
        expected.extend_from_slice(head.as_bytes());
        expected.extend_from_slice(&whole[first..=last]);
    }
    expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    assert!(answer.content == expected);
    assert_eq!(answer.field("Content-Length"), Some(expected.len().to_string().as_str()));
}

#[tokio::test]
async fn a_part_beyond_the_end_is_416_with_the_size() {
    let tree = Tree::new(&[("a.txt", b"0123456789")]);
    let addr = start(file_server(&tree.0)).await;
    for (range, text) in [("10-", "invalid range: failed to overlap\n"), ("x", "invalid range\n")] {
        let answer = ask(addr, "GET", "/a.txt", &format!("Range: bytes={range}\r\n")).await;
        assert_eq!((answer.status, answer.text()), (416, text));
        assert_eq!(answer.field("Content-Range"), Some("bytes */10"));
        assert_eq!((answer.field("ETag"), answer.field("Last-Modified")), (None, None));
    }
}

#[tokio::test]
async fn a_tag_is_held_against_the_conditions() {
    let tree = Tree::new(&[("a.txt", b"0123456789")]);
    let addr = start(file_server(&tree.0)).await;
    assert!(get(addr, "/a.txt").await.field("ETag").unwrap().starts_with("W/"), "the file is too new for a strong one");
    tree.settle("a.txt");
    let first = get(addr, "/a.txt").await;
    let (tag, modified) = (first.field("ETag").unwrap(), first.field("Last-Modified").unwrap());
    assert!(tag.starts_with('"'));

    let same = ask(addr, "GET", "/a.txt", &format!("If-None-Match: {tag}\r\n")).await;
    assert_eq!((same.status, same.field("ETag"), same.field("Last-Modified")), (304, Some(tag), None));
    let cases = [
        (format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {modified}\r\n"), 200),
        (format!("If-Match: {tag}\r\n"), 200),
        ("If-Match: \"x\"\r\n".to_owned(), 412),
        ("If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n".to_owned(), 412),
        (format!("Range: bytes=0-1\r\nIf-Range: {tag}\r\n"), 206),
        (format!("Range: bytes=0-1\r\nIf-Range: {modified}\r\n"), 206),
        ("Range: bytes=0-1\r\nIf-Range: \"x\"\r\n".to_owned(), 200),
        (format!("Range: bytes=0-1\r\nIf-Range: W/{tag}\r\n"), 200),
    ];
    for (fields, status) in cases {
        assert_eq!(ask(addr, "GET", "/a.txt", &fields).await.status, status, "{fields}");
    }
    fs::write(tree.0.join("a.txt"), "9876543210").unwrap();
    tree.settle("a.txt");
    let resumed = ask(addr, "GET", "/a.txt", &format!("Range: bytes=5-\r\nIf-Range: {tag}\r\n")).await;
    assert_eq!((resumed.status, resumed.text()), (200, "9876543210"), "what has changed is not patched up");
}

#[tokio::test]
async fn a_time_in_the_future_makes_no_entity_tag() {
    let tree = Tree::new(&[("a.txt", b"a")]);
    let file = fs::File::options().write(true).open(tree.0.join("a.txt")).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(86_400)).unwrap();
    let answer = get(start(file_server(&tree.0)).await, "/a.txt").await;
    assert!(parse_time(answer.field("Last-Modified").unwrap()).unwrap() <= SystemTime::now());
}

#[tokio::test]
async fn content_of_the_caller_is_served_with_what_the_caller_set() {
    async fn content(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        w.header().set("ETag", "\"v1\"");
        if r.path() == "/encoded" {
            // Of what is shorter the server itself finds the length.
            w.header().set("Content-Encoding", "x-own");
            return serve_content(w, r, "page", None, std::io::Cursor::new([b'x'; 4096])).await;
        }
        let modified = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        serve_content(w, r, "page", Some(modified), std::io::Cursor::new("<html>0123456789")).await
    }

    let addr = start(content).await;
    let whole = get(addr, "/").await;
    assert_eq!((whole.status, whole.text()), (200, "<html>0123456789"));
    assert_eq!(whole.field("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(whole.field("Last-Modified"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_eq!(whole.field("Content-Length"), Some("16"));
    let part = ask(addr, "GET", "/", "Range: bytes=6-7\r\nIf-Range: \"v1\"\r\n").await;
    assert_eq!((part.status, part.text(), part.field("Content-Range")), (206, "01", Some("bytes 6-7/16")));
    assert_eq!(part.field("Content-Type"), Some("text/html; charset=utf-8"), "by the beginning, not by the part");
    let several = ask(addr, "GET", "/", "Range: bytes=14-15,6-6\r\n").await;
    assert!(several.text().contains("\r\n\r\n89\r\n--") && several.text().contains("\r\n\r\n0\r\n--"));
    let head = ask(addr, "HEAD", "/", "").await;
    assert_eq!((head.status, head.field("Content-Length"), head.content.len()), (200, Some("16"), 0));
    assert_eq!(ask(addr, "GET", "/", "If-None-Match: W/\"v1\"\r\n").await.status, 304);
    assert_eq!(ask(addr, "POST", "/", "If-None-Match: \"v1\"\r\nContent-Length: 0\r\n").await.status, 412);
    assert_eq!(ask(addr, "POST", "/", "Content-Length: 0\r\n").await.text(), "<html>0123456789");
    assert_eq!(get(addr, "/encoded").await.field("Content-Length"), None, "whoever encodes tells the length");
}

#[tokio::test]
async fn content_longer_than_a_chunk_comes_whole() {
    const LENGTH: usize = 600 * 1024;
    async fn content(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let content: Vec<u8> = (0..LENGTH).map(|i| (i % 251) as u8).collect();
        serve_content(w, r, "a.bin", None, std::io::Cursor::new(content)).await
    }

    let answer = get(start(content).await, "/").await;
    assert_eq!((answer.field("Content-Length"), answer.field("Last-Modified")), (Some("614400"), None));
    assert!(answer.content.iter().enumerate().all(|(at, byte)| *byte == (at % 251) as u8));
}

#[tokio::test]
async fn one_file_is_served_wherever_it_lies_and_no_path_with_a_way_up() {
    struct One(PathBuf);

    impl Handler for One {
        async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
            serve_file(w, r, &self.0).await
        }
    }

    let tree = Tree::new(&[(".dir/a.css", b"p {}"), (".dir/sub/b.txt", b"b")]);
    let addr = start(One(tree.0.join(".dir/a.css"))).await;
    for target in ["/", "/style", "/style/", "/a..b"] {
        let answer = get(addr, target).await;
        assert_eq!((answer.status, answer.text()), (200, "p {}"), "{target}");
        assert_eq!(answer.field("Content-Type"), Some("text/css; charset=utf-8"));
    }
    for target in ["/..", "/../a", "/a/..", "/%2e%2e/a", "/a%2f..%5cb"] {
        assert_eq!(get(addr, target).await.status, 400, "{target}");
    }
    assert_eq!(get(addr, "/x/index.html?q").await.field("Location"), Some("./?q"));
    let directory = start(One(tree.0.join(".dir/sub"))).await;
    assert_eq!(get(directory, "/some/dir?q").await.field("Location"), Some("./dir/?q"));
    assert!(get(directory, "/some/dir/").await.text().contains("href=\"b.txt\""));
    assert_eq!(get(start(One(tree.0.join("none"))).await, "/").await.status, 404);
}

#[tokio::test]
async fn one_file_of_a_tree_is_served_by_its_name() {
    static SITE: &[(&str, &[u8])] = &[("style/main.css", b"p {}"), ("docs/b.txt", b"b")];

    struct Named(&'static str);

    impl Handler for Named {
        async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
            serve_file_fs(w, r, std::sync::Arc::new(EmbeddedFiles::new(SITE)), self.0).await
        }
    }

    let addr = start(Named("style/main.css")).await;
    for target in ["/", "/style", "/other.html"] {
        let answer = get(addr, target).await;
        assert_eq!((answer.status, answer.text()), (200, "p {}"), "{target}");
        assert_eq!(answer.field("Content-Type"), Some("text/css; charset=utf-8"));
    }
    assert_eq!(ask(addr, "GET", "/", "Range: bytes=2-\r\n").await.text(), "{}");
    assert_eq!(get(addr, "/x/..").await.status, 400);
    assert_eq!(get(start(Named("docs")).await, "/some/dir").await.field("Location"), Some("./dir/"));
    for name in ["none", "../style/main.css", "/style/main.css", "docs/../style/main.css"] {
        assert_eq!(get(start(Named(name)).await, "/").await.status, 404, "{name}");
    }
}

#[tokio::test]
async fn files_in_the_program_are_served_as_those_on_the_disk() {
    static SITE: &[(&str, &[u8])] =
        &[("index.html", b"<p>home"), ("docs/a.txt", b"0123456789"), ("docs/deep/b.txt", b"b"), (".hidden", b"no")];

    let addr = start(file_server_fs(EmbeddedFiles::new(SITE))).await;
    assert_eq!(get(addr, "/").await.text(), "<p>home");
    let part = ask(addr, "GET", "/docs/a.txt", "Range: bytes=3-4,8-\r\n").await;
    assert_eq!(part.status, 206);
    assert!(part.text().contains("\r\n\r\n34\r\n--") && part.text().contains("\r\n\r\n89\r\n--"));
    assert_eq!(get(addr, "/docs").await.field("Location"), Some("docs/"));
    let listing = get(addr, "/docs/").await;
    assert!(listing.text().contains("href=\"deep/\"") && listing.text().contains("href=\"a.txt\""));
    for target in ["/none", "/docs/a", "/.hidden", "/docs/a.txt/x"] {
        assert_eq!(get(addr, target).await.status, 404, "{target}");
    }
}

#[tokio::test]
async fn hidden_files_are_served_where_that_is_said() {
    let tree = Tree::new(&[("root/.well-known/a.txt", b"a"), ("secret", b"s")]);
    let addr = start(FileServer::new(Dir::new(tree.0.join("root"))).hidden_files(true)).await;
    assert_eq!(get(addr, "/.well-known/a.txt").await.text(), "a");
    assert!(get(addr, "/").await.text().contains("href=\".well-known/\""));
    assert!([400, 404].contains(&get(addr, "/../secret").await.status));
    assert_eq!(get(addr, "/%2e%2e/secret").await.status, 404);
}

#[tokio::test]
async fn the_page_of_ours_says_what_is_not_found() {
    let tree = Tree::new(&[("404.html", b"<p>nothing"), ("a.txt", b"a")]);
    let server = || FileServer::new(Dir::new(&tree.0));
    let addr = start(server().not_found_page("404.html")).await;
    for target in ["/none", "/.git"] {
        let answer = ask(addr, "GET", target, "Range: bytes=0-1\r\nIf-None-Match: *\r\n").await;
        assert_eq!((answer.status, answer.text()), (404, "<p>nothing"), "{target}");
        assert_eq!(answer.field("Content-Type"), Some("text/html; charset=utf-8"));
        for name in ["ETag", "Last-Modified", "Accept-Ranges"] {
            assert_eq!(answer.field(name), None, "{name}");
        }
    }
    assert_eq!(get(addr, "/404.html").await.status, 200);
    let slash = start(server().not_found_page("/404.html")).await;
    assert_eq!(get(slash, "/none").await.text(), "<p>nothing");
    let missing = start(server().not_found_page("gone.html")).await;
    assert_eq!(get(missing, "/none").await.text(), "404 page not found\n");
}

#[tokio::test]
async fn a_file_that_lies_encoded_beside_the_plain_one_is_sent_to_who_takes_it() {
    let tree = Tree::new(&[
        ("a.js", b"plain"),
        ("a.js.gz", b"gzipped"),
        ("a.js.br", b"brotli"),
        ("b.js", b"alone"),
        ("c.js.gz", b"no plain one"),
        ("README", b"<html>plain"),
        ("README.zst", b"zstd"),
    ]);
    let server = || FileServer::new(Dir::new(&tree.0));
    let addr = start(server().precompressed(true)).await;
    let cases = [
        ("/a.js", "gzip, br", "brotli", Some("br")),
        ("/a.js", "gzip", "gzipped", Some("gzip")),
        ("/a.js", "zstd", "plain", None),
        ("/a.js", "gzip;q=0", "plain", None),
        ("/b.js", "gzip, br", "alone", None),
    ];
    let mut tags = Vec::new();
    for (target, accepts, content, encoding) in cases {
        let answer = ask(addr, "GET", target, &format!("Accept-Encoding: {accepts}\r\n")).await;
        assert_eq!((answer.text(), answer.field("Content-Encoding")), (content, encoding), "{target} {accepts}");
        assert_eq!(answer.field("Content-Type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(answer.field("Vary"), Some("Accept-Encoding"));
        assert_eq!(answer.field("Content-Length"), Some(content.len().to_string().as_str()));
        tags.push(answer.field("ETag").unwrap().to_owned());
    }
    assert!(tags[0].ends_with("-br\"") && tags[1].ends_with("-gzip\"") && tags[2] == tags[3]);
    let same = ask(addr, "GET", "/a.js", &format!("Accept-Encoding: br\r\nIf-None-Match: {}\r\n", tags[0])).await;
    assert_eq!((same.status, same.field("Vary"), same.field("Content-Encoding")), (304, Some("Accept-Encoding"), None));
    let sniffed = ask(addr, "GET", "/README", "Accept-Encoding: zstd\r\n").await;
    assert_eq!((sniffed.text(), sniffed.field("Content-Type")), ("zstd", Some("text/html; charset=utf-8")));
    let part = ask(addr, "GET", "/a.js", "Accept-Encoding: br\r\nRange: bytes=0-2\r\n").await;
    assert_eq!((part.status, part.text(), part.field("Content-Encoding")), (206, "bro", Some("br")));
    assert_eq!(ask(addr, "GET", "/c.js", "Accept-Encoding: gzip\r\n").await.status, 404);

    let off = start(server()).await;
    let answer = ask(off, "GET", "/a.js", "Accept-Encoding: gzip, br\r\n").await;
    assert_eq!((answer.text(), answer.field("Vary")), ("plain", None));
}

#[tokio::test]
async fn the_error_of_opening_a_file_decides_the_status_only() {
    struct Failing(ErrorKind);

    impl FileSystem for Failing {
        fn open(&self, _: &Path) -> io::Result<Arc<dyn File>> {
            Err(io::Error::new(self.0, "a secret path"))
        }
    }

    let cases = [
        (ErrorKind::NotFound, 404, "404 page not found\n"),
        (ErrorKind::NotADirectory, 404, "404 page not found\n"),
        (ErrorKind::CrossesDevices, 404, "404 page not found\n"),
        (ErrorKind::PermissionDenied, 403, "403 Forbidden\n"),
        (ErrorKind::Other, 500, "500 Internal Server Error\n"),
    ];
    for (kind, status, text) in cases {
        let answer = get(start(file_server_fs(Failing(kind))).await, "/a.txt").await;
        assert_eq!((answer.status, answer.text()), (status, text));
    }
}

#[tokio::test]
async fn a_tree_that_gives_less_than_it_announced_cuts_the_answer() {
    struct Short;

    impl FileSystem for Short {
        fn open(&self, _: &Path) -> io::Result<Arc<dyn File>> {
            Ok(Arc::new(Short))
        }
    }

    impl File for Short {
        fn info(&self) -> io::Result<FileInfo> {
            Ok(FileInfo { kind: FileKind::File, length: 1 << 20, modified: None })
        }

        fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
            Ok(Bytes::from(vec![b'x'; if offset == 0 { length } else { 1 }]))
        }

        fn read_dir(&self) -> io::Result<Vec<DirEntry>> {
            Err(ErrorKind::NotADirectory.into())
        }
    }

    let answer = get(start(file_server_fs(Short)).await, "/a.txt").await;
    assert_eq!((answer.status, answer.field("Content-Length")), (200, Some("1048576")));
    assert!(answer.content.len() < 1 << 20);
}
