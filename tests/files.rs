//! What `file_server` answers, over real sockets.
#![cfg(feature = "server")]
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use nethttp::{Handler, Request, ResponseWriter, Result, Server, file_server, format_time};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A directory of its own for a test, removed at its end.
struct Tree(PathBuf);

impl Tree {
    fn new(files: &[(&str, &[u8])]) -> Tree {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let tree = Tree(std::env::temp_dir().join(format!("nethttp-files-{}-{number}", std::process::id())));
        fs::create_dir_all(&tree.0).unwrap();
        for (name, content) in files {
            let path = tree.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        tree
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // Left behind, it only takes place.
        let _ = fs::remove_dir_all(&self.0);
    }
}

struct Answer {
    status: u16,
    head: String,
    content: Vec<u8>,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.content).unwrap()
    }
}

async fn start(handler: impl Handler) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = Server::new(handler);
    tokio::spawn(async move { server.serve(listener).await });
    addr
}

/// Sends a request with these fields (each with its line end) on a connection of its own.
async fn ask(addr: SocketAddr, method: &str, target: &str, fields: &str) -> Answer {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("{method} {target} HTTP/1.1\r\nHost: files.test\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head");
    let content = bytes.split_off(end + 4);
    let head = String::from_utf8(bytes).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, content }
}

async fn get(addr: SocketAddr, target: &str) -> Answer {
    ask(addr, "GET", target, "").await
}

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
    const CHUNK: usize = 256 * 1024;
    let whole: Vec<u8> = (0..3 * CHUNK + 5).map(|i| (i % 251) as u8).collect();
    let lengths = [CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 5];
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
async fn other_methods_are_refused_with_those_that_are_not() {
    let tree = Tree::new(&[("a.txt", b"a")]);
    let addr = start(file_server(&tree.0)).await;
    for method in ["POST", "PUT", "DELETE", "get"] {
        let answer = ask(addr, method, "/a.txt", "").await;
        assert_eq!((answer.status, answer.field("Allow")), (405, Some("GET, HEAD")), "{method}");
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
        assert_eq!(answer.field("Last-Modified"), Some(modified.as_str()));
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
async fn a_missing_root_is_a_fault_whose_path_is_not_told() {
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

#[test]
fn the_root_may_be_borrowed_for_the_call_alone() {
    fn is_static(_: impl Handler) {}

    let root = String::from("public");
    let handler = file_server(Path::new(&root));
    drop(root);
    is_static(handler);
}
