//! Trying again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nethttp::{Response, StatusCode};

use crate::support::{Folder, Site, bytes, get};

/// Answers with this so many times, then with "at last".
fn failing(times: u32, failure: impl Fn() -> Response + Send + Sync + 'static) -> (Site, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let count = asked.clone();
    let site = Site::answering(move |_| match count.fetch_add(1, Ordering::SeqCst) {
        number if number < times => failure(),
        _ => Response::new("at last"),
    });
    (site, asked)
}

fn unavailable() -> Response {
    Response::new("busy").with_status(StatusCode::SERVICE_UNAVAILABLE)
}

#[test]
fn what_passes_is_tried_again_as_often_as_allowed() {
    let (site, asked) = failing(2, unavailable);
    get(&["-s", "--retry", "2", "--retry-delay", "0", &site.url("/")]).says("at last");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    let (site, asked) = failing(9, unavailable);
    get(&["-s", "--retry", "1", "--retry-delay", "0", &site.url("/")]).says("busy");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    get(&["-sf", "--retry", "1", "--retry-delay", "0", &site.url("/")]).is(5);
}

#[test]
fn each_try_is_told_of_unless_silence_is_asked_for() {
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
    let (site, asked) = failing(1, || unavailable().with_header("Retry-After", "601"));
    get(&["-sf", "--retry", "3", "--retry-delay", "0", &site.url("/")]).is(5);
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[test]
fn what_may_have_had_an_effect_is_not_repeated() {
    let (site, asked) = failing(1, || Response::new("oh").with_status(StatusCode::INTERNAL_SERVER_ERROR));
    get(&["--retry", "3", "--retry-delay", "0", "-d", "x", &site.url("/")]).says("oh");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    let (site, asked) = failing(1, unavailable);
    get(&["-s", "--retry", "3", "--retry-delay", "0", "-d", "x", &site.url("/")]).says("at last");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[test]
fn a_status_that_does_not_pass_is_not_tried_again() {
    let (site, asked) = failing(1, || Response::new("no").with_status(StatusCode::NOT_FOUND));
    get(&["--retry", "3", "--retry-delay", "0", &site.url("/")]).says("no");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
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
