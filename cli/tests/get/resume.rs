//! Files that were left half-way.

use std::sync::atomic::{AtomicU32, Ordering};

use nethttp::{Handler, Request, Response, ResponseWriter, StatusCode, file_server};

#[cfg(unix)]
use crate::support::command;
use crate::support::{Folder, Log, Site, bytes};

/// `http://address/` with a part of it there, and notes on it.
fn half(folder: &Folder, address: std::net::SocketAddr, part: &str, validator: &str, length: usize) -> String {
    let url = format!("http://{address}/");
    folder.write("file.part", part);
    let notes = serde_json::json!({ "url": url, "validator": validator, "length": length });
    folder.write("file.part.json", notes.to_string());
    url
}

/// Ten digits under an entity tag, in ranges; noted.
fn digits(tag: &'static str) -> (Site, Log) {
    let log = Log::default();
    let noted = log.clone();
    let site = Site::answering(move |received| {
        noted.note(received);
        let whole = Response::new("0123456789").with_header("ETag", tag);
        if received.field("If-Range") != Some(tag) {
            return whole;
        }
        let from = received.field("Range").unwrap().strip_prefix("bytes=").unwrap().strip_suffix('-').unwrap();
        let rest = &"0123456789"[from.parse().unwrap()..];
        Response::new(rest)
            .with_status(StatusCode::PARTIAL_CONTENT)
            .with_header("ETag", tag)
            .with_header("Content-Range", format!("bytes {from}-9/10"))
    });
    (site, log)
}

#[test]
fn what_broke_off_is_gone_on_with() {
    let folder = Folder::new();
    let half = b"HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 10\r\n\r\n0123".to_vec();
    let rest = b"HTTP/1.1 206 Partial Content\r\nETag: \"v1\"\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6\r\n\r\n456789";
    let (address, server) = bytes(vec![half, rest.to_vec()]);
    let url = format!("http://{address}/x");
    folder.get(&["-o", "file", &url]).is(7);
    assert_eq!(folder.names(), ["file.part", "file.part.json"]);
    folder.get(&["-o", "file", &url]).says("");
    assert_eq!((folder.names(), folder.read("file")), (vec!["file".to_owned()], b"0123456789".to_vec()));
    let heads = server.join().unwrap();
    assert!(!heads[0].contains("Range"), "{}", heads[0]);
    assert!(heads[1].contains("\r\nRange: bytes=4-\r\nIf-Range: \"v1\"\r\n"), "{}", heads[1]);
}

#[test]
fn what_has_changed_comes_whole_again() {
    let (site, folder) = (digits("\"v2\"").0, Folder::new());
    // It was longer.
    let url = half(&folder, site.address, "abcdefghijklmnop", "\"v1\"", 20);
    folder.get(&["-o", "file", &url]).says("");
    assert_eq!((folder.names(), folder.read("file")), (vec!["file".to_owned()], b"0123456789".to_vec()));
}

#[test]
fn what_is_all_there_is_asked_for_its_last_byte_and_renamed() {
    let ((site, log), folder) = (digits("\"v1\""), Folder::new());
    let url = half(&folder, site.address, "012345678X and too much", "\"v1\"", 10);
    folder.get(&["-o", "file", &url]).says("");
    assert_eq!(log.only().field("Range"), Some("bytes=9-"));
    assert_eq!((folder.names(), folder.read("file")), (vec!["file".to_owned()], b"0123456789".to_vec()));
}

#[test]
fn a_partial_file_of_another_version_is_not_continued() {
    let ((site, log), folder) = (digits("\"v1\""), Folder::new());
    let url = half(&folder, site.address, "abcd", "\"v1\"", 10);
    folder.get(&["-o", "file", &format!("{url}other")]).says("");
    assert_eq!(log.only().field("Range"), None);
    half(&folder, site.address, "abcd", "\"v1\"", 10);
    folder.get(&["--no-continue", "-o", "file", &url]).says("");
    assert_eq!(log.only().field("Range"), None);
    half(&folder, site.address, "abcd", "\"v1\"", 10);
    folder.write("file.part.json", "{ not JSON");
    folder.get(&["-o", "file", &url]).says("");
    assert_eq!(log.only().field("Range"), None);
    assert_eq!(folder.read("file"), b"0123456789");
}

#[test]
fn a_rest_that_does_not_fit_is_not_taken_for_the_rest() {
    let ranges = [
        "206 Partial Content\r\nETag: \"v1\"\r\nContent-Range: bytes 3-9/10",
        "206 Partial Content\r\nETag: \"v2\"\r\nContent-Range: bytes 4-9/10",
        "206 Partial Content\r\nContent-Range: bytes 4-11/12",
        "206 Partial Content",
        "416 Range Not Satisfiable\r\nContent-Range: bytes */10",
    ];
    for wrong in ranges {
        let folder = Folder::new();
        let wrong = format!("HTTP/1.1 {wrong}\r\nContent-Length: 3\r\nConnection: close\r\n\r\nxyz");
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwhole".to_vec();
        let (address, server) = bytes(vec![wrong.clone().into_bytes(), whole]);
        let url = half(&folder, address, "0123", "\"v1\"", 10);
        folder.get(&["--fail", "-o", "file", &url]).says("");
        assert_eq!((folder.names(), folder.read("file")), (vec!["file".to_owned()], b"whole".to_vec()), "{wrong}");
        assert!(!server.join().unwrap()[1].contains("Range"), "{wrong}");
    }
}

/// The digits of v1 up to 4 are there; this response is not their rest.
fn is_no_rest(wrong: &str, validator: &str, length: Option<usize>) {
    let folder = Folder::new();
    let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nwhole".to_vec();
    let (address, server) = bytes(vec![format!("HTTP/1.1 206 Partial Content\r\n{wrong}").into_bytes(), whole]);
    let url = half(&folder, address, "0123", validator, 10);
    if length.is_none() {
        folder.write("file.part.json", serde_json::json!({ "url": url, "validator": validator }).to_string());
    }
    folder.get(&["-o", "file", &url]).says("");
    assert_eq!((folder.names(), folder.read("file")), (vec!["file".to_owned()], b"whole".to_vec()), "{wrong}");
    assert!(!server.join().unwrap()[1].contains("Range"), "{wrong}");
}

#[test]
fn a_rest_of_another_date_is_not_taken_for_the_rest() {
    let (early, late) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:38 GMT");
    let wrong = format!("Last-Modified: {late}\r\nContent-Range: bytes 4-9/10\r\nContent-Length: 6\r\n\r\n456789");
    is_no_rest(&wrong, early, Some(10));
}

#[test]
fn a_rest_that_is_not_as_long_as_it_says_is_not_taken_for_the_rest() {
    let lengths = [
        // Shorter and longer, by its own length and by what comes.
        "Content-Range: bytes 4-9/10\r\nContent-Length: 5\r\n\r\n45678",
        "Content-Range: bytes 4-9/10\r\nContent-Length: 7\r\n\r\n4567890",
        "Content-Range: bytes 4-9/10\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n45678\r\n0\r\n\r\n",
        "Content-Range: bytes 4-9/10\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n4567890\r\n0\r\n\r\n",
        "Content-Range: bytes 4-9/10\r\nConnection: close\r\n\r\n45678",
        // To the end, it seems; but the whole has ten.
        "Content-Range: bytes 4-8/*\r\nContent-Length: 5\r\n\r\n45678",
    ];
    for wrong in lengths {
        is_no_rest(wrong, "\"v1\"", Some(10));
    }
    // Nobody has said how long the whole is.
    is_no_rest("Content-Range: bytes 4-9/*\r\nContent-Length: 6\r\n\r\n456789", "\"v1\"", None);
}

#[test]
fn what_came_with_a_wrong_rest_is_not_kept() {
    let folder = Folder::new();
    let wrong = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 4-9/10\r\nTransfer-Encoding: chunked\r\n\r\n\
                  3\r\nxyz\r\n0\r\n\r\n";
    let (address, server) = bytes(vec![wrong.to_vec(), b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec()]);
    let url = half(&folder, address, "0123", "\"v1\"", 10);
    folder.get(&["-o", "file", &url]).is(7);
    server.join().unwrap();
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn a_206_to_a_request_without_a_range_is_not_the_whole_file() {
    for range in ["Content-Range: bytes 0-3/10\r\n", "Content-Range: bytes 0-3/4\r\n", ""] {
        let part = format!("HTTP/1.1 206 Partial Content\r\n{range}Content-Length: 4\r\n\r\n0123").into_bytes();
        let folder = Folder::new();
        folder.write("file", "old");
        let (address, server) = bytes(vec![part.clone(), part]);
        let url = format!("http://{address}/");
        let ended = folder.get(&["-o", "file", &url]);
        assert!(ended.is(7).stderr().contains("a part where the whole was asked for"), "{}", ended.stderr());
        assert_eq!((folder.names(), folder.read("file")), (vec!["file".to_owned()], b"old".to_vec()), "{range}");
        assert_eq!(folder.get(&[&url]).is(7).stdout(), "");
        server.join().unwrap();
    }
}

#[test]
fn a_file_that_is_not_modified_is_left_as_it_is() {
    let (site, folder) = (Site::answering(|_| Response::new("").with_status(StatusCode::NOT_MODIFIED)), Folder::new());
    folder.write("file", "old");
    folder.get(&["-s", "-H", "If-None-Match: \"v1\"", "-o", "file", &site.url("/")]).says("");
    assert_eq!((folder.names(), folder.read("file")), (vec!["file".to_owned()], b"old".to_vec()));
}

#[test]
fn what_is_as_long_as_the_server_has_it_is_complete_where_that_is_asked_for() {
    let (files, folder) = (Folder::new(), Folder::new());
    files.write("file", "0123456789");
    let site = Site::start(file_server(&files.0));
    let (url, complete) = (site.url("/file"), ["-C", "-", "-s", "-o", "file"]);
    // As long, and something else: it is left alone.
    folder.write("file", "abcdefghij");
    let ended = folder.get(&["-C", "-", "-o", "file", &url]);
    assert_eq!(ended.is(0).stderr(), "nethttp: file is complete already\n");
    assert_eq!((folder.names(), folder.read("file")), (vec!["file".to_owned()], b"abcdefghij".to_vec()));
    // Shorter, longer, empty and missing: it is fetched. Nothing says that a shorter one is its beginning.
    for there in ["abcd", "abcdefghijkl", ""] {
        folder.write("file", there);
        folder.get(&[&complete[..], &["--fail", &url]].concat()).says("");
        assert_eq!((folder.names(), folder.read("file")), (vec!["file".to_owned()], b"0123456789".to_vec()), "{there}");
    }
    std::fs::remove_file(folder.path("file")).unwrap();
    folder.get(&[&complete[..], &[&url]].concat()).says("");
    assert_eq!(folder.read("file"), b"0123456789");
    // A server without ranges says how long it is all the same.
    let plain = Site::answering(|_| Response::new("9876543210"));
    folder.get(&[&complete[..], &[&plain.url("/")]].concat()).says("");
    assert_eq!(folder.read("file"), b"0123456789");
    assert_eq!(folder.get(&["-C", "100", &url]).is(2).stdout(), "");
}

#[test]
fn what_is_not_newer_is_left_and_files_get_the_time_of_the_server_where_that_is_asked_for() {
    let (files, folder) = (Folder::new(), Folder::new());
    files.write("file", "new");
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(784_111_777);
    std::fs::File::options().write(true).open(files.path("file")).unwrap().set_modified(time).unwrap();
    let site = Site::start(file_server(&files.0));
    let modified = || std::fs::metadata(folder.path("file")).unwrap().modified().unwrap();
    folder.get(&["-o", "file", &site.url("/file")]).says("");
    assert_ne!(modified(), time);
    folder.get(&["-R", "-o", "file", &site.url("/file")]).says("");
    assert_eq!(modified(), time);
    folder.write("file", "mine");
    folder.get(&["-s", "--timestamping", "-o", "file", &site.url("/file")]).says("");
    assert_eq!(folder.read("file"), b"mine", "it is newer than the server's");
    let older = time - std::time::Duration::from_secs(1);
    std::fs::File::options().write(true).open(folder.path("file")).unwrap().set_modified(older).unwrap();
    folder.get(&["-s", "--timestamping", "-o", "file", &site.url("/file")]).says("");
    assert_eq!((folder.names(), folder.read("file"), modified()), (vec!["file".to_owned()], b"new".to_vec(), time));
}

#[test]
fn an_error_does_not_cost_what_is_there() {
    let folder = Folder::new();
    let site = Site::answering(|_| Response::new("gone").with_status(StatusCode::NOT_FOUND));
    let url = half(&folder, site.address, "0123", "\"v1\"", 10);
    folder.get(&["-o", "file", &url]).is(5);
    assert_eq!((folder.names().len(), folder.read("file.part")), (2, b"0123".to_vec()));
}

#[test]
fn a_file_without_a_strong_validator_is_not_kept_for_another_try() {
    for validator in ["X: y", "ETag: W/\"v1\"", "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT"] {
        let folder = Folder::new();
        let answer = format!("HTTP/1.1 200 OK\r\n{validator}\r\nContent-Length: 10\r\n\r\n0123");
        let (address, server) = bytes(vec![answer.into_bytes()]);
        folder.get(&["-o", "file", &format!("http://{address}/")]).is(7);
        server.join().unwrap();
        assert_eq!(folder.names(), [""; 0], "{validator}");
    }
}

#[test]
fn a_date_is_a_validator_when_it_is_old_enough() {
    let folder = Folder::new();
    let (early, late) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:50:37 GMT");
    let half = format!("HTTP/1.1 200 OK\r\nLast-Modified: {early}\r\nDate: {late}\r\nContent-Length: 4\r\n\r\n01");
    let rest = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-3/4\r\nContent-Length: 2\r\n\r\n23".to_vec();
    let (address, server) = bytes(vec![half.into_bytes(), rest]);
    let url = format!("http://{address}/");
    folder.get(&["-o", "file", &url]).is(7);
    folder.get(&["-o", "file", &url]).says("");
    assert_eq!(folder.read("file"), b"0123");
    assert!(server.join().unwrap()[1].contains(&format!("\r\nIf-Range: {early}\r\n")));
}

#[test]
fn a_retry_asks_for_the_rest_alone() {
    let folder = Folder::new();
    let half = b"HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 6\r\n\r\n012".to_vec();
    let rest = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 3-5/6\r\nContent-Length: 3\r\n\r\n345".to_vec();
    let (address, server) = bytes(vec![half, rest]);
    let arguments = ["--retry", "1", "--retry-delay", "0", "-s", "-o", "file", &format!("http://{address}/")];
    folder.get(&arguments).says("");
    assert_eq!(folder.read("file"), b"012345");
    assert!(server.join().unwrap()[1].contains("\r\nRange: bytes=3-\r\n"));
}

/// Files, but the first answer is cut half-way.
struct CutOnce<H> {
    received: AtomicU32,
    files: H,
}

impl<H: Handler> Handler for CutOnce<H> {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> nethttp::Result<()> {
        if self.received.fetch_add(1, Ordering::SeqCst) > 0 {
            return self.files.serve_http(w, r).await;
        }
        w.header().set("ETag", r.header.get("X-Tag").unwrap_or_default());
        w.header().set("Content-Length", "300000");
        w.write(vec![0_u8; 100]).await?;
        w.flush().await?;
        nethttp::server::abort();
    }
}

#[test]
fn the_file_server_sends_the_rest_of_a_file() {
    let (files, folder) = (Folder::new(), Folder::new());
    let content: Vec<u8> = (0..300_000_u32).map(|number| (number % 251) as u8).collect();
    files.write("big", &content);
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    std::fs::File::options().write(true).open(files.path("big")).unwrap().set_modified(old).unwrap();
    let site = Site::start(CutOnce { received: AtomicU32::new(0), files: file_server(&files.0) });
    let url = site.url("/big");
    // The tag that the file server gives it.
    let tag = {
        let twin = Site::start(file_server(&files.0));
        let head = folder.get(&["-I", &twin.url("/big")]);
        head.is(0).stdout().lines().find_map(|line| line.strip_prefix("ETag: ")).unwrap().to_owned()
    };
    assert!(tag.starts_with('"'), "{tag}");
    folder.get(&["-H", &format!("X-Tag: {tag}"), "-o", "big", &url]).is(7);
    let part = folder.read("big.part").len() as u64;
    assert_eq!(part, 100);
    folder.write("big.part", &content[..200_000]);
    let ended = folder.get(&["-v", "-o", "big", &url]);
    assert!(ended.is(0).stderr().contains("\n< Content-Length: 100000\n"), "{}", ended.stderr());
    assert!(folder.read("big") == content && folder.names() == ["big"]);
}

#[cfg(unix)]
#[test]
fn a_command_that_was_killed_leaves_what_can_be_gone_on_with() {
    let (half_sent, folder) = (digits_that_stop(), Folder::new());
    let url = half_sent.url("/");
    let mut child = command(&["-o", "file", &url]).current_dir(&folder.0).spawn().unwrap();
    let part = folder.0.join("file.part");
    while std::fs::metadata(&part).map_or(0, |found| found.len()) < 4 {
        assert!(child.try_wait().unwrap().is_none(), "it waits for the rest");
        std::thread::yield_now();
    }
    // Meanwhile it is nobody else's.
    let other = folder.get(&["-o", "file", &url]);
    assert!(other.is(1).stderr().contains("another download is writing it"), "{}", other.stderr());
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(folder.names(), ["file.part", "file.part.json"]);
    folder.get(&["-o", "file", &url]).says("");
    assert_eq!((folder.names(), folder.read("file")), (vec!["file".to_owned()], b"0123456789".to_vec()));
}

#[test]
fn after_a_stall_the_next_try_requests_the_rest() {
    let (site, folder) = (digits_that_stop(), Folder::new());
    let patience = ["--speed-time", "0.1", "--retry", "1", "--retry-delay", "0", "-s"];
    folder.get(&[&patience[..], &["-o", "file", &site.url("/")]].concat()).says("");
    assert_eq!((folder.names(), folder.read("file")), (vec!["file".to_owned()], b"0123456789".to_vec()));
}

/// Without a range it sends four digits, and then nothing.
fn digits_that_stop() -> Site {
    Site::start(async |w: &mut ResponseWriter, r: &mut Request| {
        w.header().set("ETag", "\"v1\"");
        if r.header.get("Range") == Some("bytes=4-") {
            w.header().set("Content-Range", "bytes 4-9/10");
            w.write_header(StatusCode::PARTIAL_CONTENT);
            return w.write("456789").await;
        }
        w.header().set("Content-Length", "10");
        w.write("0123").await?;
        w.flush().await?;
        r.context().cancelled().await;
        nethttp::server::abort()
    })
}
