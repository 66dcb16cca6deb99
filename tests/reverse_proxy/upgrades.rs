//! Connections that speak another protocol after a while.

use std::time::Duration;

use nethttp::reverse_proxy::ReverseProxy;
use tokio::io::AsyncWriteExt;

use crate::fake::{OK, millis, secs, settle};
use crate::kit::{Records, raw, raw_with};
use crate::wire::{GET, kept};

const ASKED: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";
const SWITCHED: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: y\r\n\r\n";
const SWITCHED_SENT: &str = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: y\r\nUpgrade: WebSocket\r\nDate: -\r\nConnection: Upgrade\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn bytes_go_both_ways_after_a_101_those_in_its_packet_too_and_none_before() {
    let records = Records::default();
    let (host, mut upstream) = raw_with(|proxy| records.of(proxy.without_forwarding()));
    let mut client = host.connect();
    client.send(format!("{ASKED}early")).await;
    let mut conn = upstream.accept().await;
    let expected = "GET /chat HTTP/1.1\r\nHost: u.test\r\nSec-WebSocket-Key: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    assert_eq!(conn.head().await, expected);
    assert_eq!(conn.here().await, "", "nothing is tunnelled before the switch");
    conn.send(format!("{SWITCHED}first")).await;
    assert_eq!(client.hear().await, kept(format!("{SWITCHED_SENT}first")));
    assert_eq!(conn.here().await, "early");
    client.send("to the upstream").await;
    assert_eq!(conn.here().await, "to the upstream");
    conn.send("to the client").await;
    assert_eq!(client.hear().await, kept("to the client"));
    // Each half ends by itself.
    client.end().await;
    assert!(conn.is_closed().await);
    conn.send("last").await;
    drop(conn);
    let heard = client.hear().await;
    assert_eq!((heard.text.as_str(), heard.closed), ("last", true));
    settle().await;
    let record = records.last();
    assert_eq!((record.request_bytes, record.response_bytes), (20, 22));
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_ends_a_tunnel_ends_it_for_the_client() {
    let (host, mut upstream) = raw();
    let mut client = host.connect();
    client.send(ASKED).await;
    let mut conn = upstream.accept().await;
    conn.serve(SWITCHED).await;
    client.hear().await;
    drop(conn);
    assert!(client.hear().await.closed);
}

#[tokio::test(start_paused = true)]
async fn a_switch_to_another_protocol_and_one_that_nobody_has_asked_for_are_502() {
    for (asked, switched) in [
        (ASKED, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n"),
        (ASKED, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket, other\r\n\r\n"),
        (ASKED, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n"),
        (GET, SWITCHED),
    ] {
        let (host, mut upstream) = raw();
        let mut client = host.connect();
        client.send(asked).await;
        let mut conn = upstream.accept().await;
        conn.serve(&format!("{switched}tunnelled")).await;
        let heard = client.hear().await;
        assert!(heard.text.starts_with("HTTP/1.1 502 ") && !heard.text.contains("tunnelled"), "{switched}: {heard:?}");
        assert!(conn.is_closed().await);
        client.send(GET).await;
        upstream.accept().await.serve(OK).await;
        assert!(client.hear().await.text.ends_with("\r\n\r\nok"), "{switched}: the client's connection lives");
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_refusal_both_connections_live() {
    for status in ["400 Bad Request", "200 OK", "426 Upgrade Required"] {
        let (host, mut upstream) = raw();
        let mut client = host.connect();
        client.send(ASKED).await;
        let mut conn = upstream.accept().await;
        conn.serve(&format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nno")).await;
        assert_eq!(client.hear().await, kept(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\nDate: -\r\n\r\nno")));
        client.send(GET).await;
        conn.serve(OK).await;
        assert!(client.hear().await.text.ends_with("\r\n\r\nok"));
    }
}

#[tokio::test(start_paused = true)]
async fn http2_is_no_protocol_to_switch_to() {
    let (host, mut upstream) = raw_with(ReverseProxy::without_forwarding);
    let mut client = host.connect();
    client
        .send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n")
        .await;
    let mut conn = upstream.accept().await;
    assert_eq!(conn.serve(OK).await.head, "GET / HTTP/1.1\r\nHost: u.test\r\n\r\n");
    assert!(client.hear().await.text.ends_with("\r\n\r\nok"));
}

#[tokio::test(start_paused = true)]
async fn tunnels_end_soon_after_the_server_begins_to_shut_down() {
    let (host, mut upstream) = raw_with(|proxy| proxy.tunnel_grace(Duration::from_secs(3)));
    let mut client = host.connect();
    client.send(ASKED).await;
    let mut conn = upstream.accept().await;
    conn.serve(SWITCHED).await;
    client.hear().await;
    let server = host.server.clone();
    let stopping = tokio::spawn(async move { server.shutdown(secs(30)).await });
    tokio::time::sleep(secs(2)).await;
    client.stream.write_all(b"still here").await.unwrap();
    assert_eq!(conn.here().await, "still here");
    tokio::time::sleep(millis(1100)).await;
    assert!(client.hear().await.closed && conn.is_closed().await);
    stopping.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_may_be_silent_for_as_long_as_it_is_allowed_to() {
    let (host, mut upstream) = raw_with(|proxy| proxy.tunnel_idle_timeout(secs(30)));
    let mut client = host.connect();
    client.send(ASKED).await;
    let mut conn = upstream.accept().await;
    conn.serve(SWITCHED).await;
    client.hear().await;
    tokio::time::sleep(secs(29)).await;
    conn.send("x").await;
    assert_eq!(client.hear().await, kept("x"));
    tokio::time::sleep(secs(31)).await;
    assert!(client.hear().await.closed && conn.is_closed().await);
}
