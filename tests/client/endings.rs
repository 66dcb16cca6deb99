//! What becomes of a connection behind its response: read on, handed over, or used again.

use nethttp::{Body, ErrorKind, Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::fake::{OK, URL, client_of, counts, fake_with, millis, pair, settle};

#[tokio::test(start_paused = true)]
async fn a_body_that_is_dropped_early_is_read_on_when_its_end_is_near() {
    // (content, sent at first, whether the rest comes at once, kept)
    for (length, rest_after, kept) in
        [(100_000, millis(10), true), (100_000, millis(60), false), (256 * 1024 + 100, millis(0), false)]
    {
        let (client, transport, mut server) = pair();
        let (response, mut conn) = tokio::join!(client.get(URL), async {
            let mut conn = server.accept().await;
            conn.serve(&format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nhello")).await;
            conn
        });
        let mut response = response.unwrap();
        assert_eq!(response.body.chunk().await.unwrap().unwrap(), "hello");
        drop(response);
        tokio::time::sleep(rest_after).await;
        // A connection that is closed takes nothing.
        let _ = conn.stream.write_all(&vec![b'x'; length - 5]).await;
        settle().await;
        assert_eq!(counts(&transport), (usize::from(kept), 0, 0, 0), "{length} after {rest_after:?}");
        assert_eq!(conn.is_closed().await, !kept);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_body_of_unknown_length_is_read_on_for_256_kib_and_no_further() {
    for (chunks, kept) in [(3, true), (40, false)] {
        let (transport, mut server) = fake_with(16 * 1024);
        let (client, transport) = client_of(transport);
        let (response, mut conn) = tokio::join!(client.get(URL), async {
            let mut conn = server.accept().await;
            conn.serve("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            conn
        });
        drop(response.unwrap());
        let mut taken = 0;
        for _ in 0..chunks {
            let chunk = format!("2000\r\n{}\r\n", "x".repeat(0x2000));
            if conn.stream.write_all(chunk.as_bytes()).await.is_err() {
                break;
            }
            taken += 0x2000;
        }
        let _ = conn.stream.write_all(b"0\r\n\r\n").await;
        settle().await;
        assert!(taken <= (256 + 32) * 1024, "{taken} bytes were read of what nobody wants");
        assert_eq!(counts(&transport), (usize::from(kept), 0, 0, 0), "{chunks}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_101_hands_the_connection_over_with_what_came_behind_the_head() {
    let (client, transport, mut server) = pair();
    let mut request = Request::get(URL).unwrap();
    request.header.set("Connection", "Upgrade");
    request.header.set("Upgrade", "echo");
    let (response, mut conn) = tokio::join!(client.send(request), async {
        let mut conn = server.accept().await;
        let head = conn.head().await;
        assert!(head.contains("Connection: Upgrade\r\n") && head.contains("Upgrade: echo\r\n"), "{head}");
        conn.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nfirst").await;
        conn
    });
    let mut response = response.unwrap();
    assert_eq!(response.status, StatusCode::SWITCHING_PROTOCOLS);
    let mut stream = response.upgrade().unwrap();
    assert_eq!(response.upgrade().unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(response.text().await.unwrap_err().kind(), ErrorKind::Hijacked);
    let mut first = [0; 5];
    stream.read_exact(&mut first).await.unwrap();
    stream.write_all(b"ping").await.unwrap();
    assert_eq!((&first, conn.take(4).await.unwrap().as_slice()), (b"first", &b"ping"[..]));
    stream.shutdown().await.unwrap();
    conn.send("and on").await;
    let mut rest = [0; 6];
    stream.read_exact(&mut rest).await.unwrap();
    assert_eq!((&rest, counts(&transport)), (b"and on", (0, 1, 0, 0)));
    drop(stream);
    settle().await;
    assert_eq!(counts(&transport), (0, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_2xx_to_connect_is_a_tunnel_and_another_status_is_an_answer() {
    for (answer, tunnels) in
        [("HTTP/1.1 200 OK\r\n\r\nraw", true), ("HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno", false)]
    {
        let (client, _, mut server) = pair();
        let request = Request::to(nethttp::Method::CONNECT, "http://a.test:443/", Body::empty()).unwrap();
        let (response, conn) = tokio::join!(client.send(request), async {
            let mut conn = server.accept().await;
            assert!(conn.head().await.starts_with("CONNECT a.test:443 HTTP/1.1\r\n"));
            conn.send(answer).await;
            conn
        });
        let mut response = response.unwrap();
        assert_eq!(response.upgrade().is_ok(), tunnels);
        drop(conn);
        assert_eq!(response.text().await.is_ok(), !tunnels);
    }
}

#[tokio::test(start_paused = true)]
async fn head_204_and_304_have_no_body_whatever_they_say_and_keep_the_connection() {
    let (client, _, server) = pair();
    let log = server.answer(|request| match request.line().split(' ').nth(1).unwrap() {
        "/204" => "HTTP/1.1 204 No Content\r\n\r\n".into(),
        "/304" => "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n".into(),
        "/head" => "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n".into(),
        _ => OK.into(),
    });
    for (path, length) in [("204", Some(0)), ("304", Some(0)), ("head", Some(500))] {
        let url = format!("{URL}{path}");
        let mut response = if path == "head" { client.head(&*url).await } else { client.get(&*url).await }.unwrap();
        assert_eq!((response.content_length, response.text().await.unwrap().as_str()), (length, ""), "{path}");
    }
    assert_eq!(client.get(URL).await.unwrap().text().await.unwrap(), "ok");
    assert!(log.all().iter().all(|request| request.conn == 0), "{:?}", log.lines());
}

#[tokio::test(start_paused = true)]
async fn a_body_that_was_not_waited_for_stays_unsent_however_long_the_answer_takes() {
    let (client, _, mut server) = pair();
    let mut request = Request::post(URL, "hello").unwrap();
    request.header.set("Expect", "100-continue");
    let reading = async {
        let mut response = client.send(request).await.unwrap();
        response.text().await.unwrap()
    };
    let (text, ()) = tokio::join!(reading, async {
        let mut conn = server.accept().await;
        conn.head().await;
        conn.send("HTTP/1.1 403 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nn").await;
        tokio::time::sleep(millis(5000)).await;
        conn.send("o").await;
        assert_eq!(conn.end().await, "", "the server does not count on it");
    });
    assert_eq!(text, "no");
}

#[tokio::test(start_paused = true)]
async fn a_switch_of_protocols_before_the_request_is_sent_is_refused() {
    let (client, transport, mut server) = pair();
    let (_feed, body) = crate::fake::fed();
    let mut request = Request::post(URL, body).unwrap();
    request.header.set("Connection", "Upgrade");
    request.header.set("Upgrade", "echo");
    let (response, mut conn) = tokio::join!(client.send(request), async {
        let mut conn = server.accept().await;
        conn.head().await;
        conn.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n").await;
        conn
    });
    // What is still to come of the request would be taken for the other protocol's.
    assert_eq!(response.unwrap_err().kind(), ErrorKind::Refused);
    assert!(conn.is_closed().await);
    assert_eq!(counts(&transport), (0, 0, 0, 0));
}
