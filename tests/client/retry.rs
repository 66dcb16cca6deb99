//! What is sent a second time: what cannot do harm, once, where the connection was dead.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use nethttp::client::Proxy;
use nethttp::error::{Phase, Sent};
use nethttp::net::{DialedStream, dial_fn};
use nethttp::{Body, Client, ErrorKind, Method, Request, Transport};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::fake::{Conn, FakeServer, OK, URL, client_of, counts, outcome, pair, pieces};

/// A connection that has served once and waits.
async fn warm() -> (Client, Arc<Transport>, FakeServer, Conn) {
    let (client, transport, mut server) = pair();
    let (response, conn) = tokio::join!(client.get(URL), async {
        let mut conn = server.accept().await;
        conn.serve(OK).await;
        conn
    });
    outcome(response).await.unwrap();
    (client, transport, server, conn)
}

fn request(method: &str, body: impl Into<Body>, key: Option<&str>) -> Request {
    let mut request = Request::to(method.parse::<Method>().unwrap(), URL, body).unwrap();
    if let Some(key) = key {
        request.header.set(key, "7");
    }
    request
}

#[tokio::test(start_paused = true)]
async fn what_can_be_done_twice_is_sent_again_where_a_reused_connection_was_dead() {
    for (method, body, key) in [
        ("GET", "", None),
        ("HEAD", "", None),
        ("OPTIONS", "", None),
        ("DELETE", "", None),
        ("PUT", "content", None),
        ("POST", "content", Some("Idempotency-Key")),
        ("POST", "content", Some("X-Idempotency-Key")),
    ] {
        let (client, transport, mut server, mut conn) = warm().await;
        let (response, received) = tokio::join!(client.send(request(method, body, key)), async {
            conn.request().await;
            drop(conn);
            let mut second = server.accept().await;
            second.serve("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await
        });
        assert_eq!(response.unwrap().status.as_u16(), 200, "{method}");
        assert_eq!((received.text().as_str(), server.dials()), (body, 2), "{method}");
        assert_eq!(counts(&transport), (1, 0, 0, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn what_must_not_be_done_twice_is_sent_once_and_the_error_says_how_much_of_it() {
    for method in ["POST", "PATCH", "LOCK"] {
        let (client, _, server, mut conn) = warm().await;
        let (response, _) = tokio::join!(client.send(request(method, "content", None)), async {
            conn.request().await;
            drop(conn);
        });
        let error = response.unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::CutOff, Some(Phase::Head)), "{method}");
        assert_eq!((error.sent(), server.dials()), (Some(Sent::Fully), 1), "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_again_where_an_answer_had_begun() {
    for begun in ["H", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n", "nonsense"] {
        let (client, _, server, mut conn) = warm().await;
        let (response, ()) = tokio::join!(client.get(URL), async {
            conn.request().await;
            conn.send(begun).await;
            drop(conn);
        });
        assert!(response.is_err(), "{begun}");
        assert_eq!(server.dials(), 1, "{begun}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fresh_connection_that_closes_is_the_servers_answer() {
    let (client, _, mut server) = pair();
    let (response, ()) = tokio::join!(client.get(URL), async {
        server.accept().await.request().await;
    });
    let error = response.unwrap_err();
    assert_eq!((error.kind(), error.sent(), server.dials()), (ErrorKind::CutOff, Some(Sent::Fully), 1));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_sent_again_once_and_no_more() {
    let (client, _, mut server, mut conn) = warm().await;
    let (response, ()) = tokio::join!(client.get(URL), async {
        conn.request().await;
        drop(conn);
        server.accept().await.request().await;
    });
    assert_eq!(response.unwrap_err().kind(), ErrorKind::CutOff);
    assert_eq!(server.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_second_try_takes_a_connection_that_was_not_idle() {
    let (client, transport, mut server) = pair();
    let mut conns = Vec::new();
    let mut responses = Vec::new();
    for _ in 0..3 {
        let (response, conn) = tokio::join!(client.get(URL), async {
            let mut conn = server.accept().await;
            conn.request().await;
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").await;
            conn
        });
        responses.push(response.unwrap());
        conns.push(conn);
    }
    for (conn, mut response) in conns.iter_mut().zip(responses) {
        conn.send("ok").await;
        response.text().await.unwrap();
    }
    assert_eq!(counts(&transport), (3, 0, 0, 0));
    let (response, ()) = tokio::join!(client.get(URL), async {
        // The one that was used last.
        conns[2].request().await;
        conns.clear();
        server.accept().await.serve(OK).await;
    });
    assert!(!response.unwrap().is_reused());
    assert_eq!(server.dials(), 4, "the other idle ones share its fate");
}

#[tokio::test(start_paused = true)]
async fn a_body_that_can_be_made_again_is_and_one_that_cannot_is_not_sent_again() {
    let made = Arc::new(AtomicUsize::new(0));
    let count = made.clone();
    let replayed = Body::from_fn(move || {
        count.fetch_add(1, Ordering::Relaxed);
        Ok(pieces(&["con", "tent"]))
    })
    .unwrap();
    let (client, _, mut server, mut conn) = warm().await;
    let (response, received) = tokio::join!(client.send(request("PUT", replayed, None)), async {
        assert_eq!(conn.request().await.text(), "content");
        drop(conn);
        server.accept().await.serve(OK).await
    });
    assert_eq!(outcome(response).await, Ok((200, "ok".to_owned())));
    assert_eq!((received.text().as_str(), made.load(Ordering::Relaxed)), ("content", 2));

    let (client, _, server, mut conn) = warm().await;
    let (response, ()) = tokio::join!(client.send(request("PUT", pieces(&["content"]), None)), async {
        conn.request().await;
        drop(conn);
    });
    let error = response.unwrap_err();
    assert_eq!((error.kind(), error.sent(), server.dials()), (ErrorKind::CutOff, Some(Sent::Fully), 1));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_cannot_be_made_again_after_all_fails_with_its_own_error() {
    let left = Mutex::new(1);
    let body = Body::from_fn(move || {
        let mut left = left.lock().unwrap();
        *left -= 1;
        if *left < 0 { Err(nethttp::Error::other("it is gone")) } else { Ok(pieces(&["content"])) }
    });
    let (client, _, _server, mut conn) = warm().await;
    let (response, ()) = tokio::join!(client.send(request("PUT", body.unwrap(), None)), async {
        conn.request().await;
        drop(conn);
    });
    assert!(response.unwrap_err().to_string().contains("it is gone"));
}

/// A stream that looks alive, and takes so many bytes before it breaks.
struct Breaking {
    takes: usize,
    answer: &'static [u8],
}

impl AsyncRead for Breaking {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.answer.is_empty() {
            return if self.takes == 0 {
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            } else {
                Poll::Pending
            };
        }
        buf.put_slice(self.answer);
        self.answer = b"";
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Breaking {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let taken = bytes.len().min(self.takes);
        self.takes -= taken;
        if taken == 0 { Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())) } else { Poll::Ready(Ok(taken)) }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_of_which_nothing_was_sent_is_sent_again_whatever_it_does() {
    // What the first connection takes before it breaks; how much of the POST is said to be sent.
    for (takes, sent, dials) in [(0, None, 2), (1, Some(Sent::Partly), 1), (20, Some(Sent::Partly), 1)] {
        let (mut transport, count) = (Transport::new(), Arc::new(AtomicUsize::new(0)));
        transport.proxy = Proxy::none();
        let dials_so_far = count.clone();
        transport.dial = Arc::new(dial_fn(move |_, _| {
            let stream = match dials_so_far.fetch_add(1, Ordering::Relaxed) {
                0 => Breaking { takes, answer: b"" },
                _ => Breaking { takes: 10_000, answer: OK.as_bytes() },
            };
            async move { Ok(DialedStream::new(stream)) }
        }));
        let (client, _) = client_of(transport);
        let result = client.send(request("POST", pieces_again(), None)).await;
        assert_eq!(result.as_ref().err().map(nethttp::Error::sent), sent.map(Some), "{takes}");
        assert_eq!(count.load(Ordering::Relaxed), dials, "{takes}");
        if let Err(error) = result {
            assert_eq!((error.kind(), error.phase()), (ErrorKind::Io, Some(Phase::Write)));
        }
    }
}

fn pieces_again() -> Body {
    Body::from_fn(|| Ok(pieces(&["content"]))).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_dial_that_fails_is_not_tried_again() {
    let (mut transport, count) = (Transport::new(), Arc::new(AtomicUsize::new(0)));
    transport.proxy = Proxy::none();
    let dials = count.clone();
    transport.dial = Arc::new(dial_fn(move |_, _| {
        dials.fetch_add(1, Ordering::Relaxed);
        async { Err(io::ErrorKind::ConnectionRefused.into()) }
    }));
    let (client, transport) = client_of(transport);
    let error = client.get(URL).await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Io, Some(Phase::Connect)));
    assert_eq!((error.sent(), count.load(Ordering::Relaxed)), (Some(Sent::No), 1));
    assert_eq!(counts(&transport), (0, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_closed_while_idle_is_found_out_before_anything_is_sent() {
    let (client, _, mut server, conn) = warm().await;
    drop(conn);
    let (response, ()) = tokio::join!(client.send(request("POST", "content", None)), async {
        server.accept().await.serve(OK).await;
    });
    assert!(!response.unwrap().is_reused());
    assert_eq!(server.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_dialer_that_panics_fails_its_request_and_no_other() {
    let (mut transport, mut server) = crate::fake::fake();
    let (inner, count) = (transport.dial.clone(), AtomicUsize::new(0));
    transport.max_conns_per_host = 1;
    transport.dial = Arc::new(dial_fn(move |host, port| {
        let inner = inner.clone();
        assert!(count.fetch_add(1, Ordering::Relaxed) > 0, "a panic, for the test");
        async move { inner.dial(&nethttp::net::DialTarget::new(&host, port)).await }
    }));
    let (client, transport) = client_of(transport);
    let error = client.get(URL).await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Io, Some(Phase::Connect)));
    assert_eq!(counts(&transport), (0, 0, 0, 0));
    let (response, ()) = tokio::join!(client.get(URL), async {
        server.accept().await.serve(OK).await;
    });
    assert!(outcome(response).await.is_ok());
}
