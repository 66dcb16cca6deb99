//! The client against servers that others wrote: nginx, and HAProxy before it, over Unix sockets.
//! What is not on the machine is left out, and that is said.

use std::sync::Arc;
use std::time::Duration;

use nethttp::client::Proxy;
use nethttp::error::Sent;
use nethttp::net::UnixDialer;
use nethttp::{Body, Client, ErrorKind, Request, StatusCode, Transport};
use tokio::time::sleep;

use crate::programs::{Folder, Running};

/// A program that listens on `socket` in its folder.
struct Peer {
    _running: Running,
    folder: Folder,
}

impl Peer {
    async fn of(mut running: Running, folder: Folder) -> Option<Peer> {
        running.listens_at(&folder.path("socket")).await;
        Some(Peer { _running: running, folder })
    }
}

async fn nginx() -> Option<Peer> {
    let folder = Folder::new();
    folder.file("files/large", vec![b'x'; 1 << 20]);
    folder.file("files/text.txt", "hello ".repeat(1000));
    let path = folder.path("");
    let running = crate::programs::nginx(
        &folder,
        &format!(
            "gzip on; gzip_types *; gzip_min_length 1; client_max_body_size 100k; keepalive_requests 1000;
            server {{
                listen unix:{path}socket;
                location /hello {{ return 200 hello; }}
                location /close {{ keepalive_timeout 0; return 200 bye; }}
                location /few {{ keepalive_requests 3; return 200 few; }}
                location /empty {{ return 204; }}
                location /to {{ return 302 /hello; }}
                location /files/ {{ root {path}; gzip on; }}
                location /raw/ {{ alias {path}files/; gzip off; }}
                location /put/ {{ alias {path}files/; dav_methods PUT; }}
            }}"
        ),
    )?;
    Peer::of(running, folder).await
}

/// HAProxy before this server.
async fn haproxy(behind: &Folder) -> Option<Peer> {
    let folder = Folder::new();
    let (path, behind) = (folder.path(""), behind.path("socket"));
    let running = crate::programs::haproxy(
        &folder,
        &format!(
            "frontend in
                bind unix@{path}socket
                use_backend nobody if {{ path /nobody }}
                default_backend site
            backend site
                server nginx unix@{behind}
            backend nobody
                server none unix@{path}none"
        ),
    )?;
    Peer::of(running, folder).await
}

fn client(peer: &Peer, proxy: Proxy) -> (Client, Arc<Transport>) {
    let mut transport = Transport::new();
    transport.proxy = proxy;
    transport.dial = Arc::new(UnixDialer::new(peer.folder.path("socket")));
    let transport = Arc::new(transport);
    let mut client = Client::new();
    client.transport = transport.clone();
    client.timeout = Duration::from_secs(30);
    (client, transport)
}

async fn get(client: &Client, path: &str) -> (u16, bool, String) {
    let mut response = client.get(&*format!("http://a.test{path}")).await.unwrap();
    let text = response.text().await.unwrap();
    (response.status.as_u16(), response.is_reused(), text)
}

#[tokio::test]
async fn nginx_answers_are_read_and_its_connections_kept() {
    let Some(nginx) = nginx().await else { return };
    let (client, transport) = client(&nginx, Proxy::none());
    for reused in [false, true, true] {
        assert_eq!(get(&client, "/hello").await, (200, reused, "hello".to_owned()));
    }
    assert_eq!(get(&client, "/empty").await, (204, true, String::new()));
    assert_eq!(get(&client, "/to").await, (200, true, "hello".to_owned()));
    assert_eq!(client.head("http://a.test/raw/large").await.unwrap().content_length, Some(1 << 20));
    assert_eq!(get(&client, "/raw/large").await.2.len(), 1 << 20);
    assert_eq!(get(&client, "/none").await.0, 404);
    assert_eq!(transport.pool_stats()[0].idle, 1, "all of it over one connection");
    assert_eq!(get(&client, "/close").await, (200, true, "bye".to_owned()));
    assert!(transport.pool_stats().is_empty());
}

#[tokio::test]
async fn gzip_of_nginx_is_asked_for_and_decoded_unless_the_caller_asks_himself() {
    let Some(nginx) = nginx().await else { return };
    let (client, _) = client(&nginx, Proxy::none());
    let mut response = client.get("http://a.test/files/text.txt").await.unwrap();
    assert_eq!((response.header.get("Content-Encoding"), response.content_length), (None, None));
    assert_eq!(response.text().await.unwrap(), "hello ".repeat(1000));

    let mut request = Request::get("http://a.test/files/text.txt").unwrap();
    request.header.set("Accept-Encoding", "gzip");
    let mut response = client.send(request).await.unwrap();
    assert_eq!((response.header.get("Content-Encoding"), response.is_reused()), (Some("gzip"), true));
    let content = response.bytes().await.unwrap();
    assert!(content.starts_with(&[0x1f, 0x8b]) && content.len() < 1000);

    let mut request = Request::get("http://a.test/raw/large").unwrap();
    request.header.set("Range", "bytes=10-19");
    let mut response = client.send(request).await.unwrap();
    assert_eq!((response.status, response.text().await.unwrap().as_str()), (StatusCode::PARTIAL_CONTENT, "xxxxxxxxxx"));
}

#[tokio::test]
async fn nginx_takes_content_of_known_and_of_unknown_length_and_after_100_continue() {
    let Some(nginx) = nginx().await else { return };
    let (client, transport) = client(&nginx, Proxy::none());
    for (name, expects) in [("known", false), ("chunked", false), ("expected", true)] {
        let url = format!("http://a.test/put/{name}");
        let body = match name {
            "chunked" => Body::from_stream(Pieces(20)),
            _ => Body::from(vec![b'p'; 20_000]),
        };
        let mut request = Request::put(&*url, body).unwrap();
        if expects {
            request.header.set("Expect", "100-continue");
        }
        let response = client.send(request).await.unwrap();
        assert_eq!(response.status, StatusCode::CREATED, "{name}");
        drop(response);
        assert_eq!(get(&client, &format!("/raw/{name}")).await.2, "p".repeat(20_000), "{name}");
    }
    assert_eq!(transport.pool_stats()[0].idle, 1);
}

/// So many pieces of a thousand bytes.
struct Pieces(usize);

impl futures_core::Stream for Pieces {
    type Item = std::io::Result<Vec<u8>>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<std::io::Result<Vec<u8>>>> {
        let left = self.0.checked_sub(1);
        self.0 = left.unwrap_or_default();
        std::task::Poll::Ready(left.map(|_| Ok(vec![b'p'; 1000])))
    }
}

#[tokio::test]
async fn a_refusal_by_nginx_before_the_content_is_sent_is_read() {
    let Some(nginx) = nginx().await else { return };
    let (client, _) = client(&nginx, Proxy::none());
    for _ in 0..10 {
        for body in [Body::from(vec![b'p'; 8 << 20]), Body::from_stream(Pieces(8000))] {
            let response = client.send(Request::put("http://a.test/put/large", body).unwrap()).await.unwrap();
            assert_eq!(response.status, StatusCode::PAYLOAD_TOO_LARGE);
        }
    }
    assert_eq!(get(&client, "/hello").await.2, "hello");
}

#[tokio::test]
async fn connections_that_nginx_closes_after_some_requests_cost_nothing() {
    let Some(nginx) = nginx().await else { return };
    let (client, _) = client(&nginx, Proxy::none());
    for number in 0..30 {
        assert_eq!(get(&client, "/few").await, (200, number % 3 != 0, "few".to_owned()), "{number}");
    }
}

#[tokio::test]
async fn idle_connections_that_haproxy_closes_are_not_used_whatever_the_moment() {
    let Some(nginx) = nginx().await else { return };
    let Some(haproxy) = haproxy(&nginx.folder).await else { return };
    let (client, _) = client(&haproxy, Proxy::none());
    for number in 0..60 {
        assert_eq!(get(&client, "/hello").await.2, "hello");
        sleep(Duration::from_millis(38 + number % 5)).await;
        // One that can be lost to the race is not sent twice, and says so.
        match client.post("http://a.test/hello", "text/plain", "x").await {
            // nginx wants no content here.
            Ok(response) => assert!(matches!(response.status.as_u16(), 200 | 405), "{}", response.status),
            Err(error) => assert!(error.sent() != Some(Sent::No) && error.kind() != ErrorKind::Refused, "{error}"),
        }
        sleep(Duration::from_millis(38 + number % 5)).await;
    }
}

#[tokio::test]
async fn haproxy_takes_requests_in_absolute_form_as_a_forward_proxy_does() {
    let Some(nginx) = nginx().await else { return };
    let Some(haproxy) = haproxy(&nginx.folder).await else { return };
    let (client, _) = client(&haproxy, Proxy::url("http://user:secret@proxy.test").unwrap());
    assert_eq!(get(&client, "/hello").await, (200, false, "hello".to_owned()));
    assert_eq!(get(&client, "/to").await.2, "hello");
    assert_eq!(get(&client, "/files/text.txt").await.2, "hello ".repeat(1000));
    assert_eq!(get(&client, "/nobody").await.0, 503);
    let mut request = Request::put("http://a.test/put/known", Body::from_stream(Pieces(20))).unwrap();
    request.header.set("Expect", "100-continue");
    assert_eq!(client.send(request).await.unwrap().status, StatusCode::CREATED);
    // A tunnel goes nowhere: neither of them connects to others.
    let error = client.get("https://a.test/").await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Proxy, Some(Sent::No)), "{error}");
}
