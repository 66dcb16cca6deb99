//! HTTP/2 as others speak it: nghttpd and nginx, over sockets, and which protocol TLS chooses. What
//! is not on the machine is left out, and that is said.

use std::sync::Arc;

use nethttp::client::{ClientProtocols, Proxy};
use nethttp::tls::{TlsConfig, TlsRoots};
use nethttp::{Client, ErrorKind, Request, StatusCode, Transport, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::certificates::{Authority, Issued};
use crate::http2_peer::{answer, read};
use crate::programs::{Folder, Running, free_port, has};

fn client(authority: &Authority, protocols: ClientProtocols) -> (Client, Arc<Transport>) {
    let mut transport = Transport::new();
    transport.proxy = Proxy::none();
    transport.protocols = protocols;
    transport.set_tls(TlsConfig::new().roots(TlsRoots::None).add_root_pem(authority.pem()).unwrap());
    let transport = Arc::new(transport);
    let mut client = Client::new();
    client.transport = transport.clone();
    (client, transport)
}

/// A server over TLS that agrees to these protocols, and says which it was.
async fn choosing(issued: &Issued, protocols: &[&[u8]]) -> u16 {
    let acceptor = crate::foreign_tls::acceptor(issued, protocols);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                    let mut connection = h2::server::handshake(stream).await.unwrap();
                    while let Some(Ok((_, respond))) = connection.accept().await {
                        answer(respond, "two");
                    }
                    return;
                }
                let mut buf = [0; 4096];
                while matches!(stream.read(&mut buf).await, Ok(1..)) {
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none").await.unwrap();
                }
            });
        }
    });
    port
}

#[tokio::test]
async fn tls_chooses_the_protocol_and_http1_is_spoken_where_it_does_not() {
    let authority = Authority::new("peers");
    let issued = authority.issue(&["localhost", "127.0.0.1"]);
    for (offered, protocols, expected) in [
        (&[&b"h2"[..], b"http/1.1"][..], ClientProtocols::Auto, Ok((Version::HTTP_2, "two"))),
        (&[b"http/1.1"], ClientProtocols::Auto, Ok((Version::HTTP_11, "one"))),
        (&[], ClientProtocols::Auto, Ok((Version::HTTP_11, "one"))),
        (&[b"h2", b"http/1.1"], ClientProtocols::Http1, Ok((Version::HTTP_11, "one"))),
        (&[b"h2", b"http/1.1"], ClientProtocols::Http2, Ok((Version::HTTP_2, "two"))),
        (&[b"http/1.1"], ClientProtocols::Http2, Err(ErrorKind::Tls)),
        (&[], ClientProtocols::Http2, Err(ErrorKind::Tls)),
    ] {
        let port = choosing(&issued, offered).await;
        let (client, transport) = client(&authority, protocols);
        let url = format!("https://127.0.0.1:{port}/");
        let many = (0..5).map(|_| {
            let (client, url) = (client.clone(), url.clone());
            tokio::spawn(async move {
                let mut response = client.get(url.as_str()).await.map_err(|error| error.kind())?;
                Ok((response.proto, response.text().await.unwrap()))
            })
        });
        for one in many.collect::<Vec<_>>() {
            let outcome = one.await.unwrap();
            assert_eq!(
                outcome,
                expected.map(|(version, text)| (version, text.to_owned())),
                "{offered:?} {protocols:?}"
            );
        }
        if expected.is_ok_and(|(version, _)| version == Version::HTTP_2) {
            assert_eq!(transport.pool_stats()[0].idle, 1, "one connection for all");
        }
    }
}

#[tokio::test]
async fn an_upgrade_goes_over_http1_although_the_server_prefers_http2() {
    let authority = Authority::new("peers");
    let port = choosing(&authority.issue(&["127.0.0.1"]), &[b"h2", b"http/1.1"]).await;
    let (client, _) = client(&authority, ClientProtocols::Auto);
    let mut request = Request::get(format!("https://127.0.0.1:{port}/").as_str()).unwrap();
    request.header.set("Connection", "Upgrade");
    request.header.set("Upgrade", "echo");
    assert_eq!(client.send(request).await.unwrap().proto, Version::HTTP_11);
}

#[tokio::test]
async fn a_server_that_wants_http1_for_a_request_gets_it() {
    let authority = Authority::new("peers");
    let issued = authority.issue(&["127.0.0.1"]);
    let acceptor = crate::foreign_tls::acceptor(&issued, &[b"h2", b"http/1.1"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = acceptor.accept(stream).await.unwrap();
            if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
                let mut buf = [0; 4096];
                assert!(stream.read(&mut buf).await.unwrap() > 0);
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\none").await.unwrap();
                continue;
            }
            tokio::spawn(async move {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((mut request, mut respond))) = connection.accept().await {
                    tokio::spawn(async move {
                        read(request.body_mut()).await.unwrap();
                        respond.send_reset(h2::Reason::HTTP_1_1_REQUIRED);
                    });
                }
            });
        }
    });
    let (client, _) = client(&authority, ClientProtocols::Auto);
    let mut response = client.post(format!("https://127.0.0.1:{port}/").as_str(), "text/plain", "x").await.unwrap();
    assert_eq!((response.proto, response.text().await.unwrap().as_str()), (Version::HTTP_11, "one"));
}

const LARGE: usize = 8 << 20;

/// Many requests at a time, a large response, and what is not there.
async fn look_around(client: &Client, base: &str) {
    let many = (0..50).map(|_| {
        let (client, url) = (client.clone(), format!("{base}/small"));
        tokio::spawn(async move { client.get(url.as_str()).await.unwrap().text().await.unwrap() })
    });
    for one in many.collect::<Vec<_>>() {
        assert_eq!(one.await.unwrap(), "hello");
    }
    let mut response = client.get(format!("{base}/large").as_str()).await.unwrap();
    assert_eq!((response.proto, response.content_length), (Version::HTTP_2, Some(LARGE as u64)));
    assert_eq!(response.body.bytes(LARGE as u64).await.unwrap(), vec![b'x'; LARGE]);
    let dropped = client.get(format!("{base}/large").as_str()).await.unwrap();
    drop(dropped);
    let response = client.get(format!("{base}/none").as_str()).await.unwrap();
    assert_eq!(response.status, StatusCode::NOT_FOUND);
    let response = client.head(format!("{base}/large").as_str()).await.unwrap();
    assert_eq!(response.content_length, Some(LARGE as u64));
}

#[tokio::test]
async fn nghttpd_is_understood_with_tls_and_without() {
    if !has("nghttpd") {
        return;
    }
    let folder = Folder::new();
    folder.file("small", "hello");
    folder.file("large", vec![b'x'; LARGE]);
    let authority = Authority::new("peers");
    let issued = authority.issue(&["127.0.0.1"]);
    let (key, certificate) = (folder.file("key.pem", &issued.key), folder.file("cert.pem", &issued.certificate));
    let root = folder.path("");
    let port = free_port();
    let number = port.to_string();
    let common = ["-a", "127.0.0.1", "-d", &root, "--echo-upload", "--trailer=x-sum: 7"];
    let plain = [&common[..], &["--no-tls", &number]].concat();
    {
        let mut running = Running::start("nghttpd", &plain);
        running.listens(port).await;
        let (client, transport) = client(&authority, ClientProtocols::Http2);
        let base = format!("http://127.0.0.1:{port}");
        look_around(&client, &base).await;
        let content = vec![b'y'; LARGE];
        let mut response = client.post(format!("{base}/echo").as_str(), "text/plain", content.clone()).await.unwrap();
        assert!(response.body.bytes(LARGE as u64).await.unwrap() == content);
        assert_eq!(response.body.trailer().and_then(|trailer| trailer.get("x-sum")), Some("7"));
        assert_eq!(transport.pool_stats().iter().map(|host| host.idle + host.in_use).sum::<usize>(), 1);
    }
    let port = free_port();
    let number = port.to_string();
    let secure = [&common[..], &[&number, &key, &certificate]].concat();
    let mut running = Running::start("nghttpd", &secure);
    running.listens(port).await;
    let (client, _) = client(&authority, ClientProtocols::Auto);
    look_around(&client, &format!("https://127.0.0.1:{port}")).await;
}

#[tokio::test]
async fn nginx_is_understood_and_the_connections_it_ends_are_replaced() {
    let folder = Folder::new();
    folder.file("small", "hello");
    folder.file("large", vec![b'x'; LARGE]);
    let authority = Authority::new("peers");
    let issued = authority.issue(&["127.0.0.1"]);
    let (key, certificate) = (folder.file("key.pem", &issued.key), folder.file("cert.pem", &issued.certificate));
    let (root, port) = (folder.path(""), free_port());
    let server = format!(
        "server {{
            listen 127.0.0.1:{port} ssl http2; keepalive_requests 60;
            ssl_certificate {certificate}; ssl_certificate_key {key}; root {root};
        }}"
    );
    let Some(mut running) = crate::programs::nginx(&folder, &server) else { return };
    running.listens(port).await;
    let (client, _) = client(&authority, ClientProtocols::Auto);
    // nginx says GOAWAY after 60 requests: more often than once here.
    for _ in 0..3 {
        look_around(&client, &format!("https://127.0.0.1:{port}")).await;
    }
    for _ in 0..200 {
        let url = format!("https://127.0.0.1:{port}/small");
        assert_eq!(client.get(url.as_str()).await.unwrap().text().await.unwrap(), "hello");
    }
}
