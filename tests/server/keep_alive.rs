//! Whether a connection lives on behind an answer, and how it closes when it does not.

use std::time::Duration;

use nethttp::{Body, Request, ResponseWriter, Result, StatusCode, handle_with};
use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep};

use crate::wire::{Answer, GET, Host, closed, exchange, kept, post, post_chunked};

const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: -\r\n";

async fn nothing(_: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    Ok(())
}

/// Answers with the target.
async fn target(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    w.omit(nethttp::server::AutoField::ContentType);
    w.write(r.request_uri.clone()).await
}

fn answer(content: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nDate: -\r\n\r\n{content}", content.len())
}

fn last_answer(content: &str) -> String {
    answer(content).replace("Date: -\r\n", "Date: -\r\nConnection: close\r\n")
}

// ------------------------------------------------------------ who asks for what

#[tokio::test(start_paused = true)]
async fn http_1_1_keeps_the_connection() {
    let host = Host::new(target);
    let mut peer = host.connect();
    for at in 0..20 {
        let request = format!("GET /{at} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(peer.talk(request).await, kept(answer(&format!("/{at}"))));
    }
    drop(peer);
    sleep(Duration::from_millis(1)).await;
    let states = host.states();
    assert_eq!(states[..5], ["new", "active", "idle", "active", "idle"]);
    assert_eq!(states.last().unwrap(), "closed (the peer left)");
}

#[tokio::test(start_paused = true)]
async fn close_is_a_member_of_the_connection_list_in_any_case_on_any_line() {
    for fields in [
        "Connection: close",
        "Connection: Close",
        "connection:CLOSE",
        "CONNECTION: \t close \t",
        "Connection: keep-alive, close",
        "Connection: close,keep-alive",
        "Connection: ,, close ,x",
        "Connection: keep-alive\r\nConnection: close",
        "Connection: close\r\nConnection: keep-alive",
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{GET}");
        let heard = exchange(nothing, request).await;
        assert_eq!(heard, closed(format!("{EMPTY}Connection: close\r\n\r\n")), "{fields}: once, and nothing behind it");
    }
    for value in ["closed", "x-close", "\"close\"", "clo se", "close;q=1", "", "clo\u{17f}e", "keep-alive"] {
        let request = format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: {value}\r\n\r\n");
        assert_eq!(exchange(nothing, request).await, kept(format!("{EMPTY}\r\n")), "{value}");
    }
}

#[tokio::test(start_paused = true)]
async fn http_1_0_keeps_the_connection_only_when_asked_and_when_the_end_is_clear() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        w.omit(nethttp::server::AutoField::ContentType);
        match r.escaped_path() {
            "/204" => w.write_header(StatusCode::NO_CONTENT),
            "/304" => w.write_header(StatusCode::NOT_MODIFIED),
            "/close" => w.header().set("Connection", "close"),
            "/flush" => w.flush().await?,
            "/large" => w.write(vec![b'x'; 3000]).await?,
            "/declared" => {
                w.header().set("Content-Length", "3000");
                w.write(vec![b'x'; 3000]).await?;
            }
            _ => w.write("a").await?,
        }
        Ok(())
    };
    let host = Host::new(handler);
    for (line, fields, is_kept) in [
        ("GET /", "", false),
        ("GET /", "Connection: keep-alive\r\n", true),
        ("GET /", "Connection: KEEP-ALIVE\r\n", true),
        ("GET /", "Connection: x, keep-alive\r\n", true),
        ("GET /", "Connection: keep-alive, close\r\n", false),
        ("GET /", "Connection: x\r\n", false),
        ("GET /", "Keep-Alive: timeout=5\r\n", false),
        ("GET /204", "Connection: keep-alive\r\n", true),
        ("GET /304", "Connection: keep-alive\r\n", true),
        ("GET /declared", "Connection: keep-alive\r\n", true),
        ("GET /large", "Connection: keep-alive\r\n", false),
        ("GET /flush", "Connection: keep-alive\r\n", false),
        ("GET /close", "Connection: keep-alive\r\n", false),
        ("HEAD /", "Connection: keep-alive\r\n", true),
        ("HEAD /large", "Connection: keep-alive\r\n", true),
        ("HEAD /", "", false),
    ] {
        let heard = host.connect().talk(format!("{line} HTTP/1.0\r\n{fields}\r\n")).await;
        assert_eq!(heard.closed, !is_kept, "{line} {fields}");
        assert_eq!(heard.text.contains("\r\nConnection: keep-alive\r\n"), is_kept, "{line} {fields}");
        assert!(!heard.text.contains("chunked"), "{line} {fields}");
    }
}

#[tokio::test(start_paused = true)]
async fn keep_alives_that_are_off_close_behind_each_answer() {
    let host = Host::new(nothing);
    let mut idle = host.connect();
    assert_eq!(idle.talk(GET).await, kept(format!("{EMPTY}\r\n")));
    host.server.set_keep_alives_enabled(false);
    assert_eq!(idle.hear().await, closed(""), "idle ones at once");
    assert_eq!(host.connect().talk(GET).await, closed(format!("{EMPTY}Connection: close\r\n\r\n")));
    host.server.set_keep_alives_enabled(true);
    assert_eq!(host.connect().talk(GET).await, kept(format!("{EMPTY}\r\n")));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_nothing_gets_nothing() {
    for start in ["", "GET / HT", "GET / HTTP/1.1\r\nHost: a\r\n", "\r\n"] {
        let host = Host::new(nothing);
        let mut peer = host.connect();
        peer.send(start).await;
        peer.end().await;
        assert_eq!(peer.hear().await, closed(""), "{start:?}");
        assert_eq!(host.events(), [""; 0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_has_shut_down_its_side_still_gets_its_responses() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        sleep(Duration::from_secs(1)).await;
        target(w, r).await
    };
    let mut peer = Host::new(handler).connect();
    peer.send("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    peer.end().await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(peer.hear().await, closed(format!("{}{}", answer("/1"), answer("/2"))));
}

#[tokio::test(start_paused = true)]
async fn empty_lines_ahead_of_a_request_are_passed_over() {
    let mut peer = Host::new(target).connect();
    assert_eq!(peer.talk([post("/1", b"hello"), b"\r\n".to_vec()].concat()).await, kept(answer("/1")));
    assert_eq!(peer.talk("\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n").await, kept(answer("/2")));
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_that_no_handler_takes_is_ignored() {
    let request = "GET /x HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
                   HTTP2-Settings: AAMAAABk\r\n\r\n";
    let mut peer = Host::new(target).connect();
    for _ in 0..2 {
        assert_eq!(peer.talk(request).await, kept(answer("/x")));
    }
}

#[tokio::test(start_paused = true)]
async fn connect_is_the_last_request_and_has_no_framing_when_it_succeeds() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        assert_eq!((r.method.as_str(), r.host.as_str(), r.request_uri.as_str()), ("CONNECT", "b:443", "b:443"));
        if r.header.contains("X-Refuse") {
            w.write_header(StatusCode::FORBIDDEN);
        } else {
            w.header().set("Content-Length", "0");
        }
        Ok(())
    };
    let accepted = exchange(handler, format!("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n{GET}")).await;
    assert_eq!(accepted, closed("HTTP/1.1 200 OK\r\nDate: -\r\n\r\n"));
    let refused = exchange(handler, format!("CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\nX-Refuse: 1\r\n\r\n{GET}")).await;
    assert_eq!(refused, closed("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nDate: -\r\nConnection: close\r\n\r\n"));
}

// ------------------------------------------------------------ content that was not read

#[tokio::test(start_paused = true)]
async fn the_response_does_not_wait_for_unread_content() {
    let host = Host::new(target);
    for request in [post("/1", &[b'x'; 5000]), post_chunked("/1", &[b'x'; 5000], &[1000])] {
        let mut peer = host.connect();
        assert_eq!(peer.talk(&request[..100]).await, kept(answer("/1")));
        assert_eq!(peer.talk(&request[100..]).await, kept(""));
        assert_eq!(peer.talk("GET /2 HTTP/1.1\r\nHost: a\r\n\r\n").await, kept(answer("/2")));
    }
}

#[tokio::test(start_paused = true)]
async fn unread_content_of_256_kib_is_drained_and_a_byte_more_closes() {
    const MOST: usize = 256 << 10;
    let host = Host::new(target);
    let next = b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    let both = format!("{}{}", answer("/1"), answer("/2"));
    for (len, expected) in [(1, kept(&both)), (MOST, kept(&both)), (MOST + 1, closed(last_answer("/1")))] {
        let request = [&post("/1", &vec![b'x'; len])[..], next].concat();
        assert_eq!(host.connect_through(9000).talk(&request).await, expected, "{len}");
    }
    // In chunks nobody can know beforehand, so nothing says that it closes.
    for (len, expected) in [(1, kept(&both)), (MOST, kept(&both)), (MOST + 1, closed(answer("/1")))] {
        let request = [&post_chunked("/1", &vec![b'x'; len], &[60_000])[..], next].concat();
        assert_eq!(host.connect_through(9000).talk(&request).await, expected, "{len} in chunks");
    }
}

#[tokio::test(start_paused = true)]
async fn the_limit_of_what_is_drained_is_a_setting() {
    let host = Host::with(target, |server| server.drain_bytes = 10);
    let next = b"GET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
    let both = format!("{}{}", answer("/1"), answer("/2"));
    assert_eq!(host.connect().talk([&post("/1", &[b'x'; 10])[..], next].concat()).await, kept(both));
    assert_eq!(host.connect().talk([&post("/1", &[b'x'; 11])[..], next].concat()).await, closed(last_answer("/1")));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_the_handler_replaced_is_drained_all_the_same() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        r.body = Body::from("mine");
        target(w, r).await
    };
    let requests = [post("/1", b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"), post("/2", b"")].concat();
    assert_eq!(exchange(handler, requests).await, kept(format!("{}{}", answer("/1"), answer("/2"))));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_reads_enough_of_a_large_body_keeps_the_connection() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        while r.body.remaining().is_some_and(|left| left > 100_000) {
            r.body.chunk().await?;
        }
        target(w, r).await
    };
    let requests = [post("/1", &vec![b'x'; 1 << 20]), post("/2", b"")].concat();
    let heard = Host::new(handler).connect_through(9000).talk(requests).await;
    assert_eq!(heard, kept(format!("{}{}", answer("/1"), answer("/2"))));
}

// ------------------------------------------------------------ lingering

async fn refuse(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.write_header(StatusCode::PAYLOAD_TOO_LARGE);
    Ok(())
}

const REFUSED: &str = "HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\nDate: -\r\nConnection: close\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn an_early_answer_to_a_large_upload_reaches_a_peer_that_reads_only_when_all_is_sent() {
    let host = Host::new(refuse);
    let upload = post("/", &vec![b'x'; 8 << 20]);
    let mut peer = host.connect_through(64 << 10);
    peer.stream.write_all(&upload).await.expect("the server goes on reading until it may close");
    assert_eq!(peer.hear().await, closed(REFUSED));
}

#[tokio::test(start_paused = true)]
async fn after_an_early_answer_a_slow_upload_is_read_for_the_linger_time_and_no_longer() {
    let host = Host::new(refuse);
    let mut peer = host.connect();
    let upload = post("/", &vec![b'x'; 8 << 20]);
    let began = Instant::now();
    assert_eq!(peer.talk(&upload[..1000]).await, closed(REFUSED), "the end is said before the linger time");
    assert!(began.elapsed() < Duration::from_millis(10));
    let mut sent = 0;
    while peer.stream.write_all(&[b'x'; 1000]).await.is_ok() {
        sent += 1;
        sleep(Duration::from_millis(50)).await;
    }
    assert!((9..=11).contains(&sent), "{sent} pieces of 50 ms each");
    assert_eq!(host.states().last().unwrap(), "closed (the request's content was left unread)");
}

#[tokio::test(start_paused = true)]
async fn lingering_ends_when_the_peer_closes() {
    let host = Host::new(refuse);
    let mut peer = host.connect();
    assert_eq!(peer.talk(&post("/", &vec![b'x'; 8 << 20])[..1000]).await, closed(REFUSED));
    assert_eq!(host.states(), ["new", "active"]);
    let began = Instant::now();
    drop(peer);
    while host.states().len() == 2 {
        sleep(Duration::from_millis(1)).await;
    }
    assert!(began.elapsed() < Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_reaches_a_peer_that_goes_on_sending() {
    let host = Host::new(nothing);
    let mut peer = host.connect_through(4096);
    peer.stream.write_all(&[b"\x16\x03\x01".to_vec(), vec![b'x'; 1 << 20]].concat()).await.expect("it is read");
    let heard = peer.hear().await;
    assert!(heard.closed && heard.text.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn pipelined_requests_that_are_not_served_do_not_reset_the_answer() {
    let handler =
        handle_with(Duration::from_millis(50), async |pause: &Duration, w: &mut ResponseWriter, r: &mut Request| {
            w.header().set("Connection", "close");
            sleep(*pause).await;
            target(w, r).await
        });
    let mut peer = Host::new(handler).connect_through(4096);
    peer.stream.write_all(GET.repeat(1000).as_bytes()).await.expect("the server reads what it does not serve");
    let heard = peer.talk_bytes("").await;
    assert!(heard.1);
    assert_eq!(Answer::all(&heard.0).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_has_its_status_and_reason_and_repeats_no_input() {
    let host = Host::new(nothing);
    for (request, status) in [
        ("GET /<script> HTTP/1.1\r\n\r\n", "400 Bad Request"),
        ("<script> / HTTP/1.1\r\nHost: a\r\n\r\n", "400 Bad Request"),
        ("GET / HTTP/1.1\r\nHost: <script>\r\n\r\n", "400 Bad Request"),
        ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: <script>\r\n\r\n", "501 Not Implemented"),
        ("GET /script HTTP/1.2\r\nHost: a\r\n\r\n", "505 HTTP Version Not Supported"),
    ] {
        let heard = host.connect().talk(request).await;
        assert!(heard.closed && heard.text.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{heard:?}");
        for part in ["\r\nContent-Type: text/plain; charset=utf-8\r\n", "\r\nConnection: close\r\n"] {
            assert!(heard.text.contains(part), "{part} in {heard:?}");
        }
        assert!(heard.text.contains(&format!("\r\n\r\n{status}")) && !heard.text.contains("script"), "{heard:?}");
    }
}
