//! Connections that begin with a header of the PROXY protocol.

use std::time::Duration;

use nethttp::net::{Addr, Listener, ProxyProtocolListener};
use nethttp::{Request, ResponseWriter, Server, testing};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

async fn who(w: &mut ResponseWriter, r: &mut Request) -> nethttp::Result<()> {
    w.write(r.remote_addr.to_string()).await
}

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn the_client_is_who_the_header_says_and_what_follows_is_read_from_its_first_byte() {
    let (listener, dialer) = testing::listener();
    tokio::spawn(async move { Server::new(who).serve(ProxyProtocolListener::new(listener)).await });
    for (header, client) in [
        (&b"PROXY TCP4 192.0.2.7 198.51.100.1 4000 443\r\n"[..], "192.0.2.7:4000"),
        (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x0f\xa0\x01\xbb", "192.0.2.7:4000"),
        // As Amazon's balancers check health.
        (b"\r\n\r\n\0\r\nQUIT\n\x20\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\x0f\xa0\x01\xbb", "memory client"),
    ] {
        let bytes = [header, REQUEST.as_bytes()].concat();
        // In one piece, and each byte by itself.
        for size in [bytes.len(), 1] {
            let mut stream = dialer.dial().await.unwrap();
            for piece in bytes.chunks(size) {
                stream.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.contains(&format!("\r\n\r\n{client}")), "{answer}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_that_does_not_come_holds_up_nobody_and_ends_after_5_s() {
    let (listener, dialer) = testing::listener();
    let mut listener = ProxyProtocolListener::new(listener);
    let mut silent = dialer.dial().await.unwrap();
    silent.write_all(b"PROXY TCP4 ").await.unwrap();
    let mut wrong = dialer.dial().await.unwrap();
    wrong.write_all(REQUEST.as_bytes()).await.unwrap();
    let mut right = dialer.dial().await.unwrap();
    right.write_all(b"PROXY TCP4 192.0.2.7 198.51.100.1 4000 443\r\n").await.unwrap();
    let (_stream, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, Addr::Tcp(([192, 0, 2, 7], 4000).into()));
    let (begun, mut byte) = (Instant::now(), [0]);
    tokio::select! {
        accepted = listener.accept() => panic!("{:?}", accepted.map(|(_, peer)| peer)),
        read = silent.read(&mut byte) => assert!(matches!(read, Ok(0) | Err(_))),
    }
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    assert!(matches!(wrong.read(&mut [0; 1]).await, Ok(0) | Err(_)));
}

#[tokio::test]
async fn a_header_is_believed_of_trusted_peers_alone() {
    for (trusted, answer) in [("127.0.0.0/8", "192.0.2.7:4000"), ("10.0.0.0/8", "400 Bad Request")] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let listener = ProxyProtocolListener::new(listener).trust([trusted]);
        tokio::spawn(async move { Server::new(who).serve(listener).await });
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let bytes = format!("PROXY TCP4 192.0.2.7 198.51.100.1 4000 443\r\n{REQUEST}");
        stream.write_all(bytes.as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert!(text.contains(answer), "{text}");
    }
}
