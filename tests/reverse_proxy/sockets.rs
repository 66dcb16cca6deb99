//! What only real sockets show: resets, and addresses.

use nethttp::reverse_proxy::ReverseProxy;
use nethttp::{ErrorKind, testing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

async fn upstream() -> (TcpListener, ReverseProxy) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = ReverseProxy::to(format!("http://{}", listener.local_addr().unwrap())).unwrap();
    (listener, proxy)
}

/// Reads the head of a request.
async fn head(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !read.windows(4).any(|four| four == b"\r\n\r\n") {
        assert!(stream.read_buf(&mut read).await.unwrap() > 0);
    }
    String::from_utf8(read).unwrap()
}

/// Ends the connection with a reset and not in order.
fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(stream);
}

#[tokio::test]
async fn the_upstream_hears_of_the_clients_address_and_a_request_goes_through() {
    let (listener, proxy) = upstream().await;
    let server = testing::Server::new(proxy);
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
        head
    });
    let text = server.client().get(server.url()).await.unwrap().text().await.unwrap();
    let head = serving.await.unwrap();
    assert_eq!(text, "ok");
    assert!(head.contains("\r\nX-Forwarded-For: 127.0.0.1\r\n"), "{head}");
    assert!(head.contains("\r\nForwarded: for=127.0.0.1;host=\"127.0.0.1:"), "{head}");
}

#[tokio::test]
async fn a_reset_within_an_answer_is_seen_as_a_cut() {
    for answer in ["Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "Content-Length: 10\r\n\r\nhello", "\r\nhello"] {
        let (listener, proxy) = upstream().await;
        let server = testing::Server::new(proxy);
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            head(&mut stream).await;
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{answer}").as_bytes()).await.unwrap();
            stream
        });
        let mut response = server.client().get(server.url()).await.unwrap();
        assert_eq!(response.body.chunk().await.unwrap().unwrap(), "hello", "{answer}");
        reset(serving.await.unwrap());
        assert_eq!(response.body.chunk().await.unwrap_err().kind(), ErrorKind::CutOff, "{answer}");
    }
}

#[tokio::test]
async fn a_reset_before_an_answer_is_a_502_and_a_refused_connection_too() {
    let (listener, proxy) = upstream().await;
    let server = testing::Server::new(proxy);
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        head(&mut stream).await;
        reset(stream);
    });
    let response = server.client().post(server.url(), "a/b", "content").await.unwrap();
    assert_eq!(response.status.as_u16(), 502);
    serving.await.unwrap();
    let response = server.client().get(server.url()).await.unwrap();
    assert_eq!(response.status.as_u16(), 502);
}
