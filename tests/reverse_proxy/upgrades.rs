//! Connections that speak another protocol after a while.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nethttp::client::Upgraded;
use nethttp::reverse_proxy::{ProxyEnd, ReverseProxy};
use nethttp::{Client, Request, Response, ResponseWriter, Result, StatusCode, Version, handle_with, testing};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy, split};

use crate::fake::{FakeServer, OK, fake, millis, secs, settle};
use crate::kit::{BOTH, Chain, Records, Spoken, on_all_chains, plain, raw, raw_with, take_tunnels};
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

// ------------------------------------------------------------ between the versions of HTTP

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn accept_of(key: &str) -> String {
    let hash = sha1_smol::Sha1::from(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    STANDARD.encode(hash.digest().bytes())
}

/// What a WebSocket's server does with a handshake, over either protocol; then it sends back what it gets.
async fn websocket(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    if r.path() == "/refused" {
        w.write_header(StatusCode::FORBIDDEN);
        return w.write("not you").await;
    }
    assert_eq!((r.method.as_str(), r.header.get("Sec-WebSocket-Version")), ("GET", Some("13")));
    if r.proto == Version::HTTP_11 {
        let key = r.header.get("Sec-WebSocket-Key").expect("HTTP/1.1 has a key").to_owned();
        assert_eq!(STANDARD.decode(&key).unwrap().len(), 16);
        w.header().set("Sec-WebSocket-Accept", accept_of(&key));
    }
    w.header().set("Sec-WebSocket-Protocol", "chat");
    w.header().set("Upgrade", "websocket");
    let (mut read, mut write) = split(w.upgrade().await?);
    copy(&mut read, &mut write).await?;
    write.write_all(b", and the end").await?;
    Ok(write.shutdown().await?)
}

/// As a client asks for a WebSocket over the chain's first protocol.
async fn ask(client: &Client, before: Spoken, url: &str) -> Response {
    let mut request = Request::get(url).unwrap();
    let fields = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")];
    request.header.extend(fields);
    if before == Spoken::Http1 {
        request.header.set("Sec-WebSocket-Key", KEY);
    }
    client.send(request).await.unwrap()
}

async fn opened(chain: &Chain) -> Upgraded {
    let mut response = ask(&chain.client, chain.before, &chain.url("/chat")).await;
    let fields = ["Sec-WebSocket-Accept", "Upgrade", "Sec-WebSocket-Protocol"].map(|name| response.header.get(name));
    match chain.before {
        Spoken::Http1 => {
            assert_eq!(response.status, StatusCode::SWITCHING_PROTOCOLS);
            assert_eq!(fields, [Some(accept_of(KEY).as_str()), Some("websocket"), Some("chat")]);
        }
        Spoken::Http2 => {
            assert_eq!((response.status, fields), (StatusCode::OK, [None, None, Some("chat")]));
        }
    }
    response.upgrade().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_websocket_passes_over_every_pair_of_protocols() {
    on_all_chains(websocket, async |chain| {
        let mut tunnel = opened(&chain).await;
        let sent = "x".repeat(300_000);
        let (mut read, mut write) = split(&mut tunnel);
        let mut heard = String::new();
        let writing = async {
            write.write_all(sent.as_bytes()).await.unwrap();
            write.shutdown().await.unwrap();
        };
        tokio::join!(writing, async { read.read_to_string(&mut heard).await.unwrap() });
        assert!(heard == format!("{sent}, and the end"), "{} bytes", heard.len());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_websocket_is_a_response_over_every_pair_of_protocols() {
    on_all_chains(websocket, async |chain| {
        for _ in 0..2 {
            let mut response = ask(&chain.client, chain.before, &chain.url("/refused")).await;
            assert_eq!((response.status, response.text().await.unwrap().as_str()), (StatusCode::FORBIDDEN, "not you"));
        }
        drop(opened(&chain).await);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_of_either_protocol_ends_soon_after_the_server_begins_to_shut_down() {
    on_all_chains(websocket, async |chain| {
        let mut tunnel = opened(&chain).await;
        let begun = tokio::time::Instant::now();
        let stopping = chain.front.server().shutdown(secs(30));
        let reading = async { tunnel.read_to_end(&mut Vec::new()).await };
        let (report, _) = tokio::join!(stopping, reading);
        assert!(begun.elapsed() < secs(2), "{:?} {report:?}", begun.elapsed());
    })
    .await;
}

/// A client of HTTP/2, and an upstream of HTTP/1.1 that the test plays.
fn from_http2() -> (testing::Server, Client, FakeServer) {
    let (transport, upstream) = fake();
    let proxy = ReverseProxy::to("http://u.test").unwrap().transport(plain(&transport));
    let front = testing::Server::builder(proxy).in_memory().configure(take_tunnels).http2().start();
    let client = front.client();
    (front, client, upstream)
}

#[tokio::test(start_paused = true)]
async fn what_an_upstream_switches_to_is_checked_for_clients_of_http2_too() {
    for (protocol, accept) in [("other", Some(KEY)), ("websocket", Some("another key")), ("websocket", None)] {
        let (front, client, mut upstream) = from_http2();
        let url = format!("{}/chat", front.url());
        let asking = ask(&client, Spoken::Http2, &url);
        let serving = async {
            let mut conn = upstream.accept().await;
            let head = conn.head().await;
            let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap().to_owned();
            let accept = accept.map(|text| accept_of(if text == KEY { &key } else { text }));
            let accept = accept.map(|accept| format!("Sec-WebSocket-Accept: {accept}\r\n")).unwrap_or_default();
            let head = format!("HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: {protocol}\r\n{accept}\r\n");
            conn.send(head).await;
            assert!(conn.is_closed().await);
        };
        let (response, ()) = tokio::join!(asking, serving);
        assert_eq!(response.status, StatusCode::BAD_GATEWAY, "{protocol} {accept:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_upstream_of_http2_that_knows_no_upgrade_says_so_and_the_connection_lives() {
    for before in BOTH {
        let chain =
            Chain::start(before, Spoken::Http2, async |w: &mut ResponseWriter, _: &mut Request| w.write("plain").await);
        // It answers 2xx without an upgrade, for which its server says 501.
        let response = ask(&chain.client, before, &chain.url("/")).await;
        assert_eq!(response.status, StatusCode::NOT_IMPLEMENTED, "{before:?}");
        let mut response = chain.client.get(chain.url("/")).await.unwrap();
        assert_eq!((response.status, response.text().await.unwrap().as_str()), (StatusCode::OK, "plain"));
    }
}

// ------------------------------------------------------------ what is told where nothing is left to be answered

#[tokio::test(start_paused = true)]
async fn an_exchange_that_the_server_cuts_is_told_of() {
    // A connection of HTTP/1 that is a tunnel is not the server's any more.
    for (before, path) in [(Spoken::Http1, "/waits"), (Spoken::Http2, "/waits"), (Spoken::Http2, "/chat")] {
        let (records, (told, mut asked)) = (Records::default(), tokio::sync::mpsc::unbounded_channel());
        let handler = handle_with(told, waits_or_upgrades);
        let chain = Chain::with(before, Spoken::Http1, handler, |proxy| records.of(proxy));
        let (client, url) = (chain.client.clone(), chain.url(path));
        let asking = tokio::spawn(async move {
            let mut tunnel = ask(&client, before, &url).await.upgrade().unwrap();
            tunnel.write_all(b"hello").await.unwrap();
            tunnel.read_to_end(&mut Vec::new()).await
        });
        asked.recv().await.unwrap();
        chain.front.server().close();
        // However it ends.
        let _ = asking.await;
        settle().await;
        let record = records.last();
        let sent = if path == "/chat" { 5 } else { 0 };
        assert_eq!((record.end, record.request_bytes), (ProxyEnd::Dropped, sent), "{before:?} {path}");
    }
}

/// Tells that it was asked, or that bytes have come through its tunnel, and waits.
async fn waits_or_upgrades(
    told: &tokio::sync::mpsc::UnboundedSender<()>,
    w: &mut ResponseWriter,
    r: &mut Request,
) -> Result<()> {
    if r.path() == "/waits" {
        told.send(()).unwrap();
        std::future::pending::<()>().await;
    }
    w.header().set("Sec-WebSocket-Accept", accept_of(r.header.get("Sec-WebSocket-Key").unwrap()));
    w.header().set("Upgrade", "websocket");
    let mut tunnel = w.upgrade().await?;
    tunnel.read_exact(&mut [0; 5]).await?;
    told.send(()).unwrap();
    Ok(_ = tunnel.read_to_end(&mut Vec::new()).await?)
}
