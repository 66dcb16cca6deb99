//! The client over TLS: whom it talks to, and what an end without a word means there.

use std::sync::Arc;

use nethttp::error::{Phase, Sent};
use nethttp::tls::{TlsConfig, TlsRoots, TlsVersion};
use nethttp::{Client, ErrorKind, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::server::TlsStream;

use crate::certificates::Authority;
use crate::fake::{FakeServer, client_of, counts, fake, outcome};

const URL: &str = "https://a.test/";

fn client(authority: &Authority) -> (Client, Arc<Transport>, FakeServer) {
    let (mut transport, server) = fake();
    transport.set_tls(TlsConfig::new().roots(TlsRoots::None).add_root_pem(authority.pem()).unwrap());
    let (client, transport) = client_of(transport);
    (client, transport, server)
}

/// Does the server's part of a handshake, with a certificate for this name.
async fn secure(authority: &Authority, name: &str, stream: DuplexStream) -> std::io::Result<TlsStream<DuplexStream>> {
    let issued = authority.issue(&[name]);
    crate::foreign_tls::acceptor(&issued, &[]).accept(stream).await
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum End {
    /// With the alert that says so.
    Said,
    Cut,
}

#[tokio::test]
async fn content_that_the_close_ends_is_whole_only_where_the_session_was_ended_too() {
    for (answer, end, expected) in [
        ("HTTP/1.1 200 OK\r\n\r\nhello", End::Said, Ok("hello")),
        ("HTTP/1.1 200 OK\r\n\r\nhello", End::Cut, Err(())),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", End::Cut, Ok("hello")),
        ("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", End::Said, Err(())),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", End::Cut, Err(())),
    ] {
        let authority = Authority::new("ca");
        let (client, transport, mut server) = client(&authority);
        let (response, ()) = tokio::join!(client.get(URL), async {
            let mut stream = secure(&authority, "a.test", server.accept().await.stream).await.unwrap();
            let mut asked = [0; 4096];
            assert!(stream.read(&mut asked).await.unwrap() > 0);
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            if end == End::Said {
                stream.shutdown().await.unwrap();
            }
        });
        let outcome = outcome(response).await;
        assert_eq!(outcome.as_ref().map(|(_, text)| text.as_str()).map_err(|_| ()), expected, "{answer:?} {end:?}");
        if expected.is_err() {
            assert_eq!(counts(&transport), (0, 0, 0, 0));
        }
    }
}

#[tokio::test]
async fn a_response_has_its_tls_session() {
    let authority = Authority::new("ca");
    let (client, _, mut server) = client(&authority);
    let (response, _stream) = tokio::join!(client.get(URL), async {
        let mut stream = secure(&authority, "a.test", server.accept().await.stream).await.unwrap();
        let mut asked = [0; 4096];
        assert!(stream.read(&mut asked).await.unwrap() > 0);
        stream.write_all(crate::fake::OK.as_bytes()).await.unwrap();
        stream
    });
    let response = response.unwrap();
    let tls = response.tls.as_ref().unwrap();
    assert_eq!((tls.version, tls.server_name.as_deref()), (TlsVersion::Tls13, Some("a.test")));
    let timings = response.timings();
    assert!(timings.connected <= timings.secured && timings.secured.is_some(), "{timings:?}");
}

#[tokio::test]
async fn a_peer_that_is_not_who_it_should_be_gets_no_request() {
    let (trusted, stranger) = (Authority::new("ca"), Authority::new("another"));
    for (authority, name) in [(&trusted, "b.test"), (&stranger, "a.test")] {
        let (client, transport, mut server) = client(&trusted);
        let (response, came) = tokio::join!(client.post(URL, "text/plain", "a secret"), async {
            secure(authority, name, server.accept().await.stream).await.is_ok()
        });
        let error = response.unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Tls, Some(Phase::Tls)), "{error}");
        assert_eq!((error.sent(), came), (Some(Sent::No), false), "{name}");
        assert_eq!(counts(&transport), (0, 0, 0, 0));
    }
}

#[tokio::test]
async fn a_server_without_tls_is_told_from_one_with_it() {
    let authority = Authority::new("ca");
    for (answer, says) in
        [("HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP response to HTTPS client"), ("nonsense", ""), ("", "")]
    {
        let (client, _, mut server) = client(&authority);
        let (response, ()) = tokio::join!(client.get(URL), async {
            let mut conn = server.accept().await;
            conn.take(5).await.unwrap();
            conn.send(answer).await;
        });
        let error = response.unwrap_err();
        assert_eq!((error.phase(), error.sent()), (Some(Phase::Tls), Some(Sent::No)), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_says_so_to_a_large_upload() {
    for protocols in [&[&b"http/1.1"[..]][..], &[&b"h2"[..]]] {
        let authority = Authority::new("ca");
        let acceptor =
            crate::foreign_tls::acceptor_for_clients_of(&authority, &authority.issue(&["localhost"]), protocols);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Closed with what was not read, which resets the connection.
                drop(acceptor.accept(stream).await);
            }
        });
        let mut transport = Transport::new();
        transport.proxy = nethttp::client::Proxy::none();
        transport.set_tls(TlsConfig::new().roots(TlsRoots::None).add_root_pem(authority.pem()).unwrap());
        let (client, _) = client_of(transport);
        for _ in 0..5 {
            let error = client.post(&*url, "text/plain", vec![b'x'; 16 << 20]).await.unwrap_err();
            assert!(error.to_string().contains("requires a client certificate"), "{protocols:?}: {error}");
        }
    }
}
