//! Answers of upstreams that are not to be trusted: each is a 502 or one clean answer, and never the next client's.

use crate::fake::OK;
use crate::kit::raw;
use crate::wire::{GET, kept};

const OK_SENT: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDate: -\r\n\r\nok";

#[tokio::test(start_paused = true)]
async fn what_two_readers_could_read_differently_is_a_502() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!",
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 3\r\n\r\nok!",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 99 Low\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "ICY 200 OK\r\n\r\n",
        "nonsense\r\n\r\n",
        "\x15\x03\x01\x00\x02\x02\x16",
    ] {
        let (host, mut upstream) = raw();
        let mut client = host.connect();
        client.send(GET).await;
        let mut conn = upstream.accept().await;
        conn.serve(answer).await;
        let heard = client.hear().await;
        assert!(heard.text.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{answer:?}: {heard:?}");
        assert!(!heard.text.contains("ok!"), "{answer:?}");
        assert!(conn.is_closed().await, "{answer:?}: its connection is not used again");
        client.send(GET).await;
        upstream.accept().await.serve(OK).await;
        assert_eq!(client.hear().await, kept(OK_SENT), "{answer:?}: the next answer is that of the next request");
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_behind_an_answer_are_nobodys() {
    const EXTRA: &str = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    for (method, answer) in [
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\nContent-Length: 49\r\n\r\n"),
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ] {
        let (host, mut upstream) = raw();
        let mut client = host.connect();
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let mut conn = upstream.accept().await;
        conn.serve(&format!("{answer}{EXTRA}")).await;
        let heard = client.hear().await;
        assert!(!heard.text.contains("evil") && !heard.text.contains("502"), "{method} {answer}: {heard:?}");
        assert!(conn.is_closed().await, "{method} {answer}");
        client.send(GET).await;
        upstream.accept().await.serve(OK).await;
        assert_eq!(client.hear().await, kept(OK_SENT), "{method} {answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_has_asked_for_is_nobodys() {
    let (host, mut upstream) = raw();
    let mut client = host.connect();
    client.send(GET).await;
    let mut conn = upstream.accept().await;
    conn.serve(OK).await;
    assert_eq!(client.hear().await, kept(OK_SENT));
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil").await;
    client.send(GET).await;
    upstream.accept().await.serve(OK).await;
    assert_eq!(client.hear().await, kept(OK_SENT));
}

#[tokio::test(start_paused = true)]
async fn lines_that_are_folded_are_one_line() {
    let (host, mut upstream) = raw();
    let mut client = host.connect();
    client.send(GET).await;
    upstream.accept().await.serve("HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok").await;
    let heard = client.hear().await;
    let is_clean = heard.text.contains("\r\nX: a b\r\n") || heard.text.starts_with("HTTP/1.1 502 ");
    assert!(is_clean && !heard.text.contains("\r\n b"), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn no_type_is_invented_and_a_missing_date_is_added() {
    let (host, mut upstream) = raw();
    let mut client = host.connect();
    client.send(GET).await;
    upstream.accept().await.serve("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n<!DOCTYPE html>").await;
    let expected = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\nDate: -\r\n\r\n<!DOCTYPE html>";
    assert_eq!(client.hear().await, kept(expected));
}
