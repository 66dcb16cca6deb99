//! Content as it comes, in both directions at once, with its trailers.

use nethttp::reverse_proxy::ReverseProxy;
use nethttp::{Body, Header, Method, Request, ResponseWriter, Result};

use tokio::io::AsyncWriteExt;

use crate::fake::{OK, fed, millis, settle};
use crate::kit::{Chain, Spoken, on_all_chains, raw, raw_narrow, raw_with};
use crate::wire::{GET, closed, kept};

const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn each_piece_passes_as_it_comes_in_both_directions_at_once() {
    let (host, mut upstream) = raw();
    let mut client = host.connect();
    client.send(CHUNKED).await;
    let mut conn = upstream.accept().await;
    assert!(conn.head().await.ends_with("\r\nTransfer-Encoding: chunked\r\n\r\n"));
    client.send("3\r\none\r\n").await;
    assert_eq!(conn.here().await, "3\r\none\r\n");
    // The response begins before the request is whole.
    conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nONE\r\n").await;
    let begun = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDate: -\r\n\r\n3\r\nONE\r\n";
    assert_eq!(client.hear().await, kept(begun));
    for (sent, answered) in [("two", "TWO"), ("six", "SIX")] {
        client.send(format!("3\r\n{sent}\r\n")).await;
        assert_eq!(conn.here().await, format!("3\r\n{sent}\r\n"));
        conn.send(format!("3\r\n{answered}\r\n")).await;
        assert_eq!(client.hear().await, kept(format!("3\r\n{answered}\r\n")));
    }
    client.send("0\r\n\r\n").await;
    assert_eq!(conn.here().await, "0\r\n\r\n");
    conn.send("0\r\n\r\n").await;
    assert_eq!(client.hear().await, kept("0\r\n\r\n"));
    client.send(GET).await;
    conn.serve(OK).await;
    assert!(client.hear().await.text.ends_with("ok"), "both connections are in order");
}

#[tokio::test(start_paused = true)]
async fn a_head_without_content_leaves_at_once() {
    for framing in ["Content-Length: 5", "Transfer-Encoding: chunked"] {
        let (host, mut upstream) = raw();
        let mut client = host.connect();
        client.send(GET).await;
        let mut conn = upstream.accept().await;
        conn.serve(&format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n")).await;
        assert!(client.hear().await.text.starts_with("HTTP/1.1 200 OK\r\n"), "{framing}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_there_is_held_back_for_the_interval_where_there_is_one_and_streams_never_are() {
    for (fields, waits) in [
        ("Content-Length: 100", true),
        ("Transfer-Encoding: chunked", false),
        ("Content-Type: text/event-stream\r\nContent-Length: 100", false),
        ("Content-Type: application/grpc\r\nContent-Length: 100", false),
    ] {
        let (host, mut upstream) = raw_with(|proxy| proxy.flush_interval(millis(50)));
        let mut client = host.connect();
        client.send(GET).await;
        let mut conn = upstream.accept().await;
        let piece = if fields.contains("chunked") { "3\r\nabc\r\n" } else { "abc" };
        conn.serve(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n{piece}")).await;
        let at_once = client.hear().await.text;
        assert_eq!(at_once.contains("abc"), !waits, "{fields}");
        if waits {
            tokio::time::sleep(millis(50)).await;
            assert!(client.hear().await.text.ends_with("abc"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn trailers_pass_in_both_directions_announced_or_not_and_say_nothing_that_the_proxy_says() {
    for (announced, content) in [("", "2\r\nok\r\n"), ("Trailer: X-Sum\r\n", "2\r\nok\r\n"), ("", "")] {
        let (host, mut upstream) = raw_with(ReverseProxy::without_forwarding);
        let mut client = host.connect();
        let trailer = "X-Sum: 1\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nConnection: close\r\n\r\n";
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{announced}Transfer-Encoding: chunked\r\n\r\n");
        client.send(format!("{head}{content}0\r\n{trailer}")).await;
        let mut conn = upstream.accept().await;
        let request = conn.request().await;
        assert_eq!(request.trailer, "X-Sum: 1\n");
        assert_eq!(request.field("Trailer").is_some(), !announced.is_empty());
        let answer = format!("HTTP/1.1 200 OK\r\n{announced}Transfer-Encoding: chunked\r\n\r\n{content}0\r\n");
        conn.send(format!("{answer}X-Sum: 2\r\nKeep-Alive: x\r\n\r\n")).await;
        let heard = client.hear().await;
        assert!(heard.text.ends_with(&format!("{content}0\r\nX-Sum: 2\r\n\r\n")) && !heard.closed, "{heard:?}");
    }
}

/// Sends the content back with the trailer that came, and one of its own.
async fn with_trailer(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    w.header().set("Trailer", "X-Back");
    while let Some(chunk) = r.body.chunk().await? {
        w.write_bytes(chunk).await?;
        w.flush().await?;
    }
    let sum = r.body.trailer().and_then(|trailer| trailer.get("X-Sum")).unwrap_or("none").to_owned();
    w.trailer().set("X-Back", sum);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn trailers_pass_over_every_pair_of_protocols() {
    on_all_chains(with_trailer, async |chain| {
        for content in ["", "content"] {
            let body = Body::from_http_body(Framed(content, Some(Header::from_iter([("X-Sum", "7")]))));
            let request = Request::to(Method::POST, &*chain.url("/"), body).unwrap();
            let mut request = request;
            request.content_length = None;
            let mut response = chain.client.send(request).await.unwrap();
            assert_eq!(response.text().await.unwrap(), content);
            assert_eq!(response.body.trailer().unwrap().get("X-Back"), Some("7"), "{content}");
        }
    })
    .await;
}

/// A body of unknown length with a trailer.
struct Framed(&'static str, Option<Header>);

impl http_body::Body for Framed {
    type Data = nethttp::Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<std::io::Result<http_body::Frame<nethttp::Bytes>>>> {
        let content = std::mem::take(&mut self.0);
        let frame = match content {
            "" => self.1.take().map(|trailer| http_body::Frame::trailers(trailer.into())),
            content => Some(http_body::Frame::data(content.into())),
        };
        std::task::Poll::Ready(frame.map(Ok))
    }
}

/// As a gRPC server answers a call that fails: a head, and nothing behind it.
async fn trailers_only(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.header().set("Content-Type", "application/grpc");
    w.header().set("Grpc-Status", "5");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_grpc_answer_of_trailers_only_passes_with_its_status() {
    on_all_chains(trailers_only, async |chain| {
        let mut response = chain.client.post(&*chain.url("/x"), "application/grpc", "call").await.unwrap();
        assert_eq!(response.header.get("Grpc-Status"), Some("5"));
        assert_eq!(response.header.get("Content-Type"), Some("application/grpc"));
        assert_eq!(response.text().await.unwrap(), "");
    })
    .await;
}

/// Sends back each piece as it comes.
async fn back(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    w.flush().await?;
    while let Some(chunk) = r.body.chunk().await? {
        w.write_bytes(chunk).await?;
        w.flush().await?;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn two_streams_talk_to_each_other_over_every_pair_of_protocols() {
    on_all_chains(back, async |chain| {
        let (feed, body) = fed();
        let request = Request::to(Method::POST, &*chain.url("/"), body).unwrap();
        let mut response = chain.client.send(request).await.unwrap();
        for number in 0..20 {
            feed.send(Ok(format!("message {number}").into())).unwrap();
            assert_eq!(response.body.chunk().await.unwrap().unwrap(), format!("message {number}"));
        }
        drop(feed);
        assert_eq!(response.body.chunk().await.unwrap(), None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_large_body_passes_whole_over_every_pair_of_protocols() {
    on_all_chains(back, async |chain| {
        let content: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
        let mut response = chain.client.post(&*chain.url("/"), "x/y", content.clone()).await.unwrap();
        assert_eq!(response.body.bytes(1 << 30).await.unwrap(), content);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_does_not_read_stops_the_client() {
    let (host, mut upstream) = raw_narrow(1024);
    let mut client = host.connect_through(1024);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n").await;
    let conn = upstream.accept().await;
    let content = vec![b'x'; 10_000_000];
    let heard = client.talk(content).await;
    assert_eq!(heard, kept(""));
    assert!(client.bytes_read() < 600_000, "{} bytes were taken of a client that nobody reads", client.bytes_read());
    drop(conn);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_until_it_has_sent_all_can_send_all() {
    let (host, mut upstream) = raw();
    let mut client = host.connect_through(1024);
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n").await;
    let mut conn = upstream.accept().await;
    conn.head().await;
    // The answer begins at once, and is more than the client's connection holds.
    conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n{}", "y".repeat(50_000))).await;
    settle().await;
    let content = vec![b'x'; 200_000];
    let sent = tokio::time::timeout(millis(5000), async {
        tokio::join!(client.stream.write_all(&content), conn.take(content.len()))
    });
    let (written, taken) = sent.await.expect("the upload goes on while the answer is not read");
    assert_eq!((written.is_ok(), taken.unwrap().len()), (true, 200_000));
    let heard = client.hear().await;
    assert!(heard.text.ends_with(&"y".repeat(50_000)) && !heard.closed);
}

#[tokio::test(start_paused = true)]
async fn an_early_refusal_reaches_a_client_that_still_sends_and_its_upstream_connection_is_not_used_again() {
    let (host, mut upstream) = raw();
    let mut client = host.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\nhello").await;
    let mut conn = upstream.accept().await;
    conn.head().await;
    conn.send("HTTP/1.1 413 Payload Too Large\r\nContent-Length: 2\r\n\r\nno").await;
    let heard = client.hear().await;
    assert!(heard.text.starts_with("HTTP/1.1 413 ") && heard.text.ends_with("\r\n\r\nno"), "{heard:?}");
    tokio::time::sleep(millis(2000)).await;
    assert!(conn.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn an_early_refusal_is_read_after_the_upstream_has_stopped_reading() {
    let (host, mut upstream) = raw_narrow(512);
    let mut client = host.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n").await;
    let mut conn = upstream.accept().await;
    conn.head().await;
    client.send(vec![b'x'; 50_000]).await;
    conn.send("HTTP/1.1 413 Payload Too Large\r\nContent-Length: 2\r\n\r\nno").await;
    // What is still to be written fails now.
    drop(conn);
    settle().await;
    let heard = client.hear().await;
    assert!(heard.text.starts_with("HTTP/1.1 413 ") && heard.text.ends_with("\r\n\r\nno"), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn heads_without_content_have_none() {
    for (method, answer, expected) in [
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: -\r\n\r\n",
        ),
        ("HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nDate: -\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\nDate: -\r\n\r\n"),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nDate: -\r\n\r\n",
        ),
        (
            "GET",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: -\r\n\r\n",
        ),
    ] {
        let (host, mut upstream) = raw();
        let mut client = host.connect();
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        let mut conn = upstream.accept().await;
        conn.serve(answer).await;
        assert_eq!(client.hear().await, kept(expected), "{method} {answer}");
        client.send(GET).await;
        conn.serve(OK).await;
        assert!(client.hear().await.text.ends_with("\r\n\r\nok"), "both connections are in order");
    }
}

#[tokio::test(start_paused = true)]
async fn an_http_1_0_upstream_does_not_show_and_content_that_ends_with_its_connection_comes_in_chunks() {
    let (host, mut upstream) = raw();
    for _ in 0..2 {
        let mut client = host.connect();
        client.send(GET).await;
        let mut conn = upstream.accept().await;
        conn.serve("HTTP/1.0 200 OK\r\n\r\nok").await;
        drop(conn);
        let expected = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDate: -\r\n\r\n2\r\nok\r\n0\r\n\r\n";
        assert_eq!(client.hear().await, kept(expected));
    }
    let mut client = host.connect();
    client.send("GET / HTTP/1.0\r\n\r\n").await;
    let mut conn = upstream.accept().await;
    conn.serve("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n").await;
    assert_eq!(client.hear().await, closed("HTTP/1.0 200 OK\r\nDate: -\r\nConnection: close\r\n\r\nok"));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_ends_the_exchange_with_the_upstream_at_once() {
    for answer in ["", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"] {
        let (host, mut upstream) = raw();
        let mut client = host.connect();
        client.send(GET).await;
        let mut conn = upstream.accept().await;
        conn.serve(answer).await;
        settle().await;
        drop(client);
        assert!(conn.is_closed().await, "{answer}");
    }
    // And over HTTP/2: the stream alone.
    let chain = Chain::start(Spoken::Http2, Spoken::Http2, async |w: &mut ResponseWriter, r: &mut Request| {
        w.flush().await?;
        r.context().cancelled().await;
        Ok(())
    });
    let response = chain.client.get(&*chain.url("/")).await.unwrap();
    drop(response);
    settle().await;
    assert!(chain.back.close().await.running.is_empty());
}
