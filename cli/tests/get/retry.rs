//! Trying again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nethttp::{Response, StatusCode};

use crate::support::{Folder, Site, bytes, get, silent_after};

/// Answers with this so many times, then with "at last".
fn failing(times: u32, failure: impl Fn() -> Response + Send + Sync + 'static) -> (Site, Arc<AtomicU32>) {
    let count = Arc::new(AtomicU32::new(0));
    let counted = count.clone();
    let site = Site::answering(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        number if number < times => failure(),
        _ => Response::new("at last"),
    });
    (site, count)
}

fn unavailable() -> Response {
    Response::new("busy").with_status(StatusCode::SERVICE_UNAVAILABLE)
}

#[test]
fn what_passes_is_tried_again_as_often_as_allowed() {
    let (site, count) = failing(2, unavailable);
    get(&["-s", "--retry", "2", "--retry-delay", "0", &site.url("/")]).says("at last");
    assert_eq!(count.load(Ordering::SeqCst), 3);
    let (site, count) = failing(9, unavailable);
    get(&["-s", "--retry", "1", "--retry-delay", "0", &site.url("/")]).says("busy");
    assert_eq!(count.load(Ordering::SeqCst), 2);
    get(&["-sf", "--retry", "1", "--retry-delay", "0", &site.url("/")]).is(5);
}

#[test]
fn each_retry_is_reported_unless_silent() {
    let (site, _) = failing(1, unavailable);
    let ended = get(&["--retry", "1", "--retry-delay", "0", &site.url("/")]);
    let said = format!("nethttp: {}: the status is 503 Service Unavailable; trying again in 0ns\n", site.url("/"));
    assert_eq!((ended.is(0).stderr(), ended.stdout()), (said.as_str(), "at last"));
}

#[test]
fn the_server_says_when() {
    let (site, _) = failing(1, || unavailable().with_header("Retry-After", "1"));
    let begun = Instant::now();
    // Its own pause would be too long to wait for here.
    get(&["-s", "--retry", "1", "--retry-delay", "500", &site.url("/")]).says("at last");
    assert!(begun.elapsed() >= Duration::from_secs(1));
    let (site, count) = failing(1, || unavailable().with_header("Retry-After", "601"));
    get(&["-sf", "--retry", "3", "--retry-delay", "0", &site.url("/")]).is(5);
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[test]
fn what_may_have_had_an_effect_is_not_repeated() {
    let (site, count) = failing(1, || Response::new("oh").with_status(StatusCode::INTERNAL_SERVER_ERROR));
    get(&["--retry", "3", "--retry-delay", "0", "-d", "x", &site.url("/")]).says("oh");
    assert_eq!(count.load(Ordering::SeqCst), 1);
    let (site, count) = failing(1, unavailable);
    get(&["-s", "--retry", "3", "--retry-delay", "0", "-d", "x", &site.url("/")]).says("at last");
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[test]
fn a_status_that_does_not_pass_is_not_tried_again() {
    let (site, count) = failing(1, || Response::new("no").with_status(StatusCode::NOT_FOUND));
    get(&["--retry", "3", "--retry-delay", "0", &site.url("/")]).says("no");
    assert_eq!(count.load(Ordering::SeqCst), 1);
}

#[test]
fn what_was_written_to_standard_output_is_not_written_twice() {
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123".to_vec();
    let (address, server) = bytes(vec![half]);
    let ended = get(&["--retry", "3", "--retry-delay", "0", &format!("http://{address}/")]);
    assert_eq!(ended.is(7).stdout(), "0123");
    assert_eq!(server.join().unwrap().len(), 1);
}

#[test]
fn a_file_without_a_validator_begins_anew() {
    let folder = Folder::new();
    let half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123".to_vec();
    let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nnew".to_vec();
    let (address, server) = bytes(vec![half, whole]);
    folder.get(&["-s", "--retry", "1", "--retry-delay", "0", "-o", "file", &format!("http://{address}/")]).says("");
    assert_eq!((folder.names(), folder.read("file")), (vec!["file".to_owned()], b"new".to_vec()));
    assert!(!server.join().unwrap()[1].contains("Range"));
}

#[test]
fn a_head_is_written_once_however_often_it_came() {
    let empty = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n".to_vec();
    let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Last: 1\r\n\r\nhello".to_vec();
    let (address, server) = bytes(vec![empty.clone(), empty.clone(), whole]);
    let url = format!("http://{address}/");
    let ended = get(&["-i", "-s", "--retry", "2", "--retry-delay", "0", &url]);
    let expected = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Last: 1\r\n\r\nhello";
    assert_eq!(ended.is(0).stdout(), expected);
    server.join().unwrap();
    // The last try writes what came.
    let (address, server) = bytes(vec![empty.clone(), empty]);
    let ended = get(&["-i", "-s", "--retry", "1", "--retry-delay", "0", &format!("http://{address}/")]);
    assert_eq!(ended.is(7).stdout(), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    server.join().unwrap();
}

#[test]
fn tries_are_counted_anew_after_progress() {
    let (folder, digits) = (Folder::new(), "0123456789");
    let mut answers = vec![b"HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 10\r\n\r\n01".to_vec()];
    for from in [2, 4, 6] {
        let head = format!("HTTP/1.1 206 Partial Content\r\nETag: \"v1\"\r\nContent-Range: bytes {from}-9/10\r\n");
        let two = &digits[from..from + 2];
        answers.push(format!("{head}Content-Length: {}\r\n\r\n{two}", 10 - from).into_bytes());
    }
    answers
        .push(b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 8-9/10\r\nContent-Length: 2\r\n\r\n89".to_vec());
    let (address, server) = bytes(answers);
    folder.get(&["-s", "--retry", "1", "--retry-delay", "0", "-o", "file", &format!("http://{address}/")]).says("");
    assert_eq!(folder.read("file"), digits.as_bytes());
    server.join().unwrap();
    // Twice in a row nothing comes of it.
    let none = || b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 2-9/10\r\nContent-Length: 8\r\n\r\n".to_vec();
    let half = b"HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 10\r\n\r\n01".to_vec();
    let (address, server) = bytes(vec![half, none()]);
    folder.get(&["-s", "--retry", "1", "--retry-delay", "0", "-o", "other", &format!("http://{address}/")]).is(7);
    server.join().unwrap();
}

#[test]
fn a_server_that_falls_silent_is_given_up() {
    // Before it answers, and within the content.
    for answer in [&b""[..], b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123"] {
        let (address, server, end) = silent_after(answer);
        let ended = get(&["--speed-time", "0.1", &format!("http://{address}/")]);
        assert!(ended.is(4).stderr().contains("100ms"), "{}", ended.stderr());
        drop(end);
        server.join().unwrap();
    }
    let (address, server, end) = silent_after(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123");
    // Something comes, and not enough.
    let ended = get(&["-y", "0.1", "-Y", "1K", &format!("http://{address}/")]);
    assert!(ended.is(4).stderr().contains("only 4 bytes came in 100ms"), "{}", ended.stderr());
    drop(end);
    server.join().unwrap();
    let help = get(&["--help"]);
    let (_, behind) = help.stdout().split_once("--speed-time <SECONDS>").unwrap();
    assert_eq!(behind.split_once("[default: ").unwrap().1.split(']').next(), Some("30"));
}

#[test]
fn a_server_that_takes_nothing_of_an_upload_is_given_up() {
    let folder = Folder::new();
    // More than sockets' buffers hold.
    std::fs::File::create(folder.path("large")).unwrap().set_len(256 << 20).unwrap();
    let (address, server, end) = silent_after(b"");
    let ended = folder.get(&["--speed-time", "0.2", "-T", "large", &format!("http://{address}/")]);
    assert!(ended.is(4).stderr().contains("200ms"), "{}", ended.stderr());
    drop(end);
    server.join().unwrap();
}
