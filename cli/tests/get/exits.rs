//! How the command ends when it does not end well.

use std::net::TcpListener;

use nethttp::{Response, StatusCode};

use crate::support::{Folder, Site, bytes, get};

fn not_found() -> Site {
    Site::answering(|_| Response::new("nothing").with_status(StatusCode::NOT_FOUND))
}

#[test]
fn the_help_has_every_exit_code() {
    let ended = get(&["--help"]);
    for code in ["  0 ", "  1 ", "  2 ", "  3 ", "  4 ", "  5 ", "  6 ", "  7 ", "  8 ", "  141 "] {
        assert!(ended.is(0).stdout().contains(&format!("\n{code}")), "{code}");
    }
}

#[test]
fn arguments_that_make_no_sense_are_2() {
    let wrong: [&[&str]; 16] = [
        &[],
        &["ftp://a.test/"],
        &["http://a.test:x/"],
        &["-H", "no colon", "a.test"],
        &["-H", "Bad name: x", "a.test"],
        &["-H", "X: a\r\nY: b", "a.test"],
        &["-X", "G T", "a.test"],
        &["--max-time", "-1", "a.test"],
        &["--resolve", "a.test", "a.test"],
        &["-x", "ftp://proxy.test", "a.test"],
        &["-u", "me", "a.test"],
        &["-d", "x", "--json", "y", "a.test"],
        &["-I", "-d", "x", "a.test"],
        &["-I", "-X", "GET", "a.test"],
        &["--http1.1", "--http2-prior-knowledge", "a.test"],
        &["--parallel-max", "0", "a.test"],
    ];
    for arguments in wrong {
        let ended = get(arguments);
        assert!(!ended.is(2).stderr().is_empty(), "{arguments:?}");
    }
    let ended = get(&["http://me:secret@a.test:x/"]);
    assert!(!ended.is(2).stderr().contains("secret"), "{}", ended.stderr());
}

#[test]
fn no_connection_is_3() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ended = get(&[&format!("http://me:secret@{free}/")]);
    let text = ended.is(3).stderr();
    assert!(text.starts_with(&format!("nethttp: GET http://{free}/: ")) && text.lines().count() == 1, "{text}");
    // A proxy that says no, and one that is not there.
    let (refusing, server) = bytes(vec![b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_vec()]);
    get(&["-x", &format!("http://{refusing}"), "https://a.test/"]).is(3);
    server.join().unwrap();
    get(&["-x", &format!("socks5://{free}"), "http://a.test/"]).is(3);
}

#[test]
fn a_time_limit_that_passes_is_4() {
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let ended = get(&["--max-time", "0.05", &url]);
    assert!(ended.is(4).stderr().contains("50ms"), "{}", ended.stderr());
    let folder = Folder::new();
    folder.get(&["--max-time", "0.05", "-o", "file", &url]).is(4);
    assert_eq!(folder.names(), [""; 0]);
    let ended = get(&["--connect-timeout", "0.05", &url.replace("http", "https")]);
    assert!(ended.is(4).stderr().contains("50ms"), "{}", ended.stderr());
}

#[test]
fn with_fail_a_bad_status_exits_with_5_and_writes_nothing() {
    let (site, folder) = (not_found(), Folder::new());
    get(&[&site.url("/")]).says("nothing");
    let ended = get(&["--fail", &site.url("/x")]);
    let said = format!("nethttp: {}: the status is 404 Not Found\n", site.url("/x"));
    assert_eq!((ended.is(5).stdout(), ended.stderr()), ("", said.as_str()));
    folder.get(&["-f", "-o", "file", &site.url("/")]).is(5);
    assert_eq!(folder.names(), [""; 0]);
}

#[test]
fn what_is_broken_is_7() {
    let broken: [&[u8]; 4] = [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n\r\n",
    ];
    for answer in broken {
        let (address, server) = bytes(vec![answer.to_vec()]);
        get(&["-X", "POST", &format!("http://{address}/")]).is(7);
        server.join().unwrap();
    }
    let answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nxyz".to_vec();
    let (address, server) = bytes(vec![answer]);
    get(&["--compressed", &format!("http://{address}/")]).is(7);
    server.join().unwrap();
}

#[test]
fn a_redirect_too_many_is_8() {
    let site = Site::answering(|received| {
        let next = format!("{}x", received.target);
        Response::new("on").with_status(StatusCode::FOUND).with_header("Location", next)
    });
    get(&[&site.url("/")]).says("on");
    let ended = get(&["-L", "--max-redirs", "2", &site.url("/")]);
    assert!(ended.is(8).stderr().contains("stopped after 2 redirects"), "{}", ended.stderr());
    get(&["-L", "--max-redirs", "0", &site.url("/")]).says("on");
}

#[test]
fn of_several_urls_the_first_that_failed_says_the_code_and_the_others_are_got() {
    let site = not_found();
    let good = Site::answering(|_| Response::new("good"));
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = format!("http://{free}/");
    let ended = get(&["-f", &good.url("/"), &site.url("/"), &refused, &good.url("/")]);
    assert_eq!((ended.is(5).stdout(), ended.stderr().lines().count()), ("goodgood", 2));
    get(&["-f", &refused, &site.url("/")]).is(3);
    let folder = Folder::new();
    folder.get(&["-fO", &good.url("/a"), &refused.replace("/\n", ""), &good.url("/b")]).is(2);
    folder.get(&["-fO", &good.url("/a"), &format!("{refused}c"), &good.url("/b")]).is(3);
    assert_eq!(folder.names(), ["a", "b"]);
}
