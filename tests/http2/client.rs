//! HTTP/2 on the client: what is sent, what is read, and in whatever order the two come.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, server};
use nethttp::client::Timeouts;
use nethttp::error::{Phase, Sent};
use nethttp::trace::{ClientTrace, GotConn};
use nethttp::{Body, Error, ErrorKind, Header, Method, Request, Result, StatusCode, Version};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::http2_peer::{Rig, URL, answer, handled, path, read, rig, send, serve, status};

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A body that is fed by hand.
struct Fed(mpsc::UnboundedReceiver<Result<Bytes, Error>>);

impl futures_core::Stream for Fed {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

fn fed() -> (mpsc::UnboundedSender<Result<Bytes, Error>>, Body) {
    let (feed, fed) = mpsc::unbounded_channel();
    (feed, Body::from_stream(Fed(fed)))
}

/// Pieces of 64 KiB, made when they are asked for, and counted.
struct Made {
    left: usize,
    made: Arc<AtomicUsize>,
}

const PIECE: usize = 64 * 1024;

impl futures_core::Stream for Made {
    type Item = Result<Bytes, Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.made.fetch_add(PIECE, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Bytes::from_static(&[b'x'; PIECE]))))
    }
}

fn made(pieces: usize) -> (Body, Arc<AtomicUsize>) {
    let made = Arc::new(AtomicUsize::new(0));
    (Body::from_stream(Made { left: pieces, made: made.clone() }), made)
}

fn echoing() -> Rig {
    handled(server::Builder::new(), |mut request, respond| async move {
        let content = read(request.body_mut()).await.unwrap();
        answer(respond, content);
    })
}

#[tokio::test(start_paused = true)]
async fn a_request_is_pseudo_fields_and_fields_and_a_response_says_how_it_came() {
    let seen = Arc::new(Mutex::new(None));
    let sees = seen.clone();
    let rig = handled(server::Builder::new(), move |request, respond| {
        let (parts, _) = request.into_parts();
        *sees.lock().unwrap() = Some((parts.method, parts.uri.to_string(), parts.headers));
        async { answer(respond, "hello") }
    });
    let mut request = Request::get("http://user:secret@H.test:81/a?b=c").unwrap();
    request.header.set("X-One", "1");
    request.header.set("Connection", "keep-alive");
    request.header.set("TE", "trailers, gzip");
    let mut response = rig.client.send(request).await.unwrap();
    assert_eq!((response.status, response.proto), (StatusCode::OK, Version::HTTP_2));
    assert_eq!(response.text().await.unwrap(), "hello");
    let (method, uri, fields) = seen.lock().unwrap().take().unwrap();
    assert_eq!((method, uri.as_str()), (Method::GET, "http://h.test:81/a?b=c"));
    assert_eq!(fields.get("x-one").unwrap(), "1");
    assert_eq!(fields.get("te").unwrap(), "trailers");
    assert!(!fields.contains_key("connection") && !fields.contains_key("host"));
    assert!(fields.get("user-agent").unwrap().to_str().unwrap().starts_with("nethttp/"));
}

#[tokio::test(start_paused = true)]
async fn a_body_arrives_with_its_length_or_without_and_comes_back() {
    let rig = handled(server::Builder::new(), |mut request, respond| async move {
        let length = request.headers().get("content-length").map(|length| length.to_str().unwrap().to_owned());
        let content = read(request.body_mut()).await.unwrap();
        answer(respond, format!("{} {length:?}", content.len()));
    });
    let mut response = rig.client.post(URL, "text/plain", vec![b'x'; 300_000]).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "300000 Some(\"300000\")");
    let (body, _) = made(3);
    let mut response = rig.client.post(URL, "text/plain", body).await.unwrap();
    assert_eq!(response.text().await.unwrap(), format!("{} None", 3 * PIECE));
    let mut response = rig.client.post(URL, "text/plain", "").await.unwrap();
    assert_eq!(response.text().await.unwrap(), "0 Some(\"0\")");
    assert_eq!(rig.dialed(), 1);
}

#[tokio::test(start_paused = true)]
async fn trailers_go_both_ways() {
    let rig = handled(server::Builder::new(), |mut request, mut respond| async move {
        assert_eq!(request.headers().get("trailer").unwrap(), "X-Sum");
        read(request.body_mut()).await.unwrap();
        let trailer = request.body_mut().trailers().await.unwrap().unwrap();
        let mut stream = respond.send_response(status(200), false).unwrap();
        stream.send_data(Bytes::from_static(b"hello"), false).unwrap();
        stream.send_trailers(trailer).unwrap();
    });
    let mut request = Request::post(URL, "content").unwrap();
    request.trailer.set("X-Sum", "7");
    let mut response = rig.client.send(request).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "hello");
    assert_eq!(response.body.trailer().unwrap().get("X-Sum"), Some("7"));
    assert_eq!(rig.counts(), (1, 0, 0, 0));
}

#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap().push(what.into());
    }
}

impl ClientTrace for Told {
    fn got_conn(&self, conn: &GotConn) {
        self.note(format!("conn {} {:?}", conn.reused, conn.idle));
    }
    fn wrote_headers(&self) {
        self.note("head");
    }
    fn wait_100_continue(&self) {
        self.note("waits");
    }
    fn got_100_continue(&self) {
        self.note("continue");
    }
    fn wrote_request(&self, result: &Result<()>) {
        self.note(format!("request {}", result.is_ok()));
    }
    fn got_first_response_byte(&self) {
        self.note("first");
    }
    fn got_1xx_response(&self, status: StatusCode, header: &Header) -> Result<()> {
        self.note(format!("{} {:?}", status.as_u16(), header.get("link")));
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn informational_responses_are_traced_and_a_100_releases_the_body() {
    let rig = handled(server::Builder::new(), |mut request, mut respond| async move {
        let hints = http::Response::builder().status(103).header("link", "a").body(()).unwrap();
        respond.send_informational(hints).unwrap();
        sleep(Duration::from_millis(100)).await;
        respond.send_informational(status(100)).unwrap();
        let content = read(request.body_mut()).await.unwrap();
        answer(respond, content);
    });
    let told = Arc::new(Told::default());
    let mut request = Request::post(URL, "content").unwrap();
    request.header.set("Expect", "100-continue");
    request.set_trace(told.clone());
    let mut response = rig.client.send(request).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "content");
    let expected =
        ["conn false None", "head", "waits", "first", "103 Some(\"a\")", "100 None", "continue", "request true"];
    assert_eq!(*told.0.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_body_is_sent_without_a_100_that_takes_too_long() {
    let rig = echoing();
    let mut request = Request::post(URL, "content").unwrap();
    request.header.set("Expect", "100-continue");
    let began = Instant::now();
    assert_eq!(rig.client.send(request).await.unwrap().text().await.unwrap(), "content");
    assert_eq!(began.elapsed().as_millis(), 1000);
}

#[tokio::test(start_paused = true)]
async fn what_417_refuses_is_sent_again_without_expect() {
    let rig = handled(server::Builder::new(), |mut request, mut respond| async move {
        if request.headers().contains_key("expect") {
            respond.send_response(status(417), true).unwrap();
            return;
        }
        let content = read(request.body_mut()).await.unwrap();
        answer(respond, content);
    });
    let (body, _) = made(1);
    for body in [Body::from("content"), body] {
        let mut request = Request::post(URL, body).unwrap();
        request.header.set("Expect", "100-continue");
        let began = Instant::now();
        let mut response = rig.client.send(request).await.unwrap();
        assert_eq!((response.status, began.elapsed().as_millis()), (StatusCode::OK, 0));
        assert!(!response.bytes().await.unwrap().is_empty());
    }
    assert_eq!(rig.dialed(), 1);
}

#[tokio::test(start_paused = true)]
async fn credentials_for_a_proxy_are_not_shown_to_a_server() {
    let rig = handled(server::Builder::new(), |request, respond| async move {
        answer(respond, request.headers().contains_key("proxy-authorization").to_string());
    });
    let mut request = Request::get(URL).unwrap();
    request.header.set("Proxy-Authorization", "Basic c2VjcmV0");
    assert_eq!(rig.client.send(request).await.unwrap().text().await.unwrap(), "false");
}

#[tokio::test(start_paused = true)]
async fn informational_responses_share_the_heads_limit_and_101_is_refused() {
    let flood = handled(server::Builder::new(), |_, mut respond| async move {
        let hints = || http::Response::builder().status(103).header("link", "x".repeat(9000)).body(()).unwrap();
        while respond.send_informational(hints()).is_ok() {
            sleep(Duration::from_millis(1)).await;
        }
    });
    let error = flood.client.get(URL).await.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Refused, Some(Phase::Head)), "{error}");
    let switching = handled(server::Builder::new(), |_, mut respond| async move {
        let _ = respond.send_informational(status(101));
        sleep(secs(1)).await;
    });
    let error = switching.client.get(URL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_is_not_for_http2() {
    let rig = echoing();
    let mut request = Request::get(URL).unwrap();
    request.header.set("Connection", "Upgrade");
    request.header.set("Upgrade", "echo");
    let error = rig.client.send(request).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::Unsupported, Some(Sent::No)));
    let mut response = rig.client.get(URL).await.unwrap();
    assert_eq!(response.upgrade().unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_by_connect_is_a_stream() {
    let rig = handled(server::Builder::new(), |request, mut respond| async move {
        assert_eq!((request.method(), request.uri().to_string().as_str()), (&Method::CONNECT, "h.test:81"));
        let mut stream = respond.send_response(status(200), false).unwrap();
        stream.send_data(Bytes::from_static(b"through"), true).unwrap();
    });
    let mut request = Request::new(Method::CONNECT, "http://h.test:81".parse().unwrap(), Body::empty());
    request.host = "h.test:81".to_owned();
    let mut response = rig.client.send(request).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "through");
}

#[tokio::test(start_paused = true)]
async fn an_early_response_is_handed_out_and_the_upload_goes_on_beside_it() {
    let rig = handled(server::Builder::new(), |mut request, mut respond| async move {
        let mut stream = respond.send_response(status(200), false).unwrap();
        while let Some(Ok(data)) = request.body_mut().data().await {
            let _ = request.body_mut().flow_control().release_capacity(data.len());
            stream.send_data(data.to_ascii_uppercase().into(), false).unwrap();
        }
        stream.send_data(Bytes::new(), true).unwrap();
    });
    let (feed, body) = fed();
    let mut response = rig.client.post(URL, "text/plain", body).await.unwrap();
    for (said, heard) in [("one", "ONE"), ("two", "TWO")] {
        feed.send(Ok(said.into())).unwrap();
        assert_eq!(response.body.chunk().await.unwrap().unwrap(), heard);
    }
    assert_eq!(rig.counts(), (0, 1, 0, 0), "the body holds its place");
    drop(feed);
    assert_eq!(response.body.chunk().await.unwrap(), None);
    assert_eq!(rig.counts(), (1, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_response_counts_although_the_server_wants_no_more_of_the_request() {
    let rig = handled(server::Builder::new(), |_, mut respond| async move {
        let mut stream = respond.send_response(status(413), false).unwrap();
        // With the request unread, this says that no more of it is wanted.
        stream.send_data(Bytes::from_static(b"big"), true).unwrap();
    });
    let (body, made) = made(10_000);
    let mut response = rig.client.post(URL, "text/plain", body).await.unwrap();
    assert_eq!(response.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(response.text().await.unwrap(), "big");
    assert!(made.load(Ordering::Relaxed) < 10_000 * PIECE);
    assert_eq!(rig.counts(), (1, 0, 0, 0), "the connection lives");
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_dropped_resets_its_stream_and_the_connection_lives() {
    let resets = Arc::new(Mutex::new(Vec::new()));
    let noted = resets.clone();
    let rig = handled(server::Builder::new(), move |request, mut respond| {
        let noted = noted.clone();
        async move {
            if request.uri().path() == "/short" {
                return answer(respond, "hello");
            }
            let mut stream = respond.send_response(status(200), false).unwrap();
            stream.send_data(Bytes::from_static(b"first"), false).unwrap();
            let reason = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
            noted.lock().unwrap().push(reason.unwrap());
        }
    });
    let mut response = rig.client.get(URL).await.unwrap();
    assert_eq!(response.body.chunk().await.unwrap().unwrap(), "first");
    drop(response);
    // The future of a request that waits for its head, too.
    let waiting = rig.client.get("http://h.test/short");
    assert_eq!(waiting.await.unwrap().text().await.unwrap(), "hello");
    assert_eq!(*resets.lock().unwrap(), [Reason::CANCEL]);
    assert_eq!((rig.dialed(), rig.counts()), (1, (1, 0, 0, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_before_its_head_resets_its_stream() {
    let (sender, mut resets) = mpsc::unbounded_channel();
    let rig = handled(server::Builder::new(), move |_, mut respond| {
        let sender = sender.clone();
        async move {
            let reason = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
            sender.send(reason.unwrap()).unwrap();
        }
    });
    assert!(tokio::time::timeout(secs(1), rig.client.get(URL)).await.is_err());
    assert_eq!(resets.recv().await, Some(Reason::CANCEL));
    assert_eq!(rig.counts(), (1, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn an_error_of_the_requests_body_resets_the_stream_and_is_the_error() {
    let (sender, mut resets) = mpsc::unbounded_channel();
    let rig = handled(server::Builder::new(), move |mut request, _respond| {
        let sender = sender.clone();
        async move {
            let error = read(request.body_mut()).await.unwrap_err();
            sender.send(error.reason()).unwrap();
            drop(_respond);
        }
    });
    let (feed, body) = fed();
    feed.send(Ok("some".into())).unwrap();
    feed.send(Err(Error::other("the disk is gone"))).unwrap();
    let error = rig.client.post(URL, "text/plain", body).await.unwrap_err();
    assert!(error.to_string().contains("the disk is gone"), "{error}");
    assert_eq!(error.sent(), Some(Sent::Partly));
    assert_eq!(resets.recv().await, Some(Some(Reason::CANCEL)));

    let (feed, body) = fed();
    let mut request = Request::post(URL, body).unwrap();
    request.header.set("Content-Length", "9");
    feed.send(Ok("short".into())).unwrap();
    drop(feed);
    let error = rig.client.send(request).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ContentLength);
    assert_eq!(resets.recv().await, Some(Some(Reason::CANCEL)));
    assert_eq!(rig.counts(), (1, 0, 0, 0), "the connection lives");
}

#[tokio::test(start_paused = true)]
async fn content_of_another_length_than_announced_is_an_error() {
    for (announced, content) in [("7", "short"), ("3", "longer")] {
        let rig = handled(server::Builder::new(), move |_, mut respond| async move {
            let head = http::Response::builder().header("content-length", announced).body(()).unwrap();
            let mut stream = respond.send_response(head, false).unwrap();
            let _ = stream.send_data(content.into(), true);
        });
        let outcome = async { rig.client.get(URL).await?.text().await }.await;
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{announced} {content}");
        assert_eq!(error.status(), Some(StatusCode::BAD_GATEWAY), "what a gateway answers");
        assert_eq!((error.sent(), error.url()), (Some(Sent::Fully), Some(URL)), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_of_a_response_has_its_length_and_no_content() {
    let rig = handled(server::Builder::new(), |_, mut respond| async move {
        let head = http::Response::builder().header("content-length", "7").body(()).unwrap();
        respond.send_response(head, true).unwrap();
    });
    let mut response = rig.client.head(URL).await.unwrap();
    assert_eq!(response.content_length, Some(7));
    assert_eq!(response.text().await.unwrap(), "");
    assert_eq!(rig.counts(), (1, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_head_over_the_limit_is_refused_in_bytes_and_in_values() {
    for (bytes, values) in [(2000, 0), (0, 20)] {
        let rig = rig(
            |transport| {
                transport.max_response_header_bytes = bytes;
                transport.max_response_header_value_count = values;
            },
            |_, stream| {
                serve(server::Builder::new(), stream, |_, mut respond| async move {
                    let head = (0..30)
                        .fold(http::Response::builder(), |head, at| head.header(format!("x-{at}"), "y".repeat(100)));
                    let _ = respond.send_response(head.body(()).unwrap(), true);
                })
            },
        );
        let error = rig.client.get(URL).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_time_limit_says_its_name_and_lets_the_connection_live() {
    let rig = handled(server::Builder::new(), |request, mut respond| async move {
        match request.uri().path() {
            "/head" => sleep(secs(100)).await,
            "/upload" => {
                let _held = request;
                sleep(secs(100)).await;
            }
            _ => {
                let mut stream = respond.send_response(status(200), false).unwrap();
                stream.send_data(Bytes::from_static(b"first"), false).unwrap();
                sleep(secs(100)).await;
            }
        }
    });
    let limits = Timeouts { response_header: Some(secs(2)), stall: Some(secs(3)), ..Timeouts::default() };
    for (uri, limit) in [
        ("http://h.test/head", "response_header_timeout"),
        ("http://h.test/upload", "stall_timeout"),
        ("http://h.test/body", "stall_timeout"),
    ] {
        let body = if uri.ends_with("upload") { made(100).0 } else { Body::empty() };
        let mut request = Request::post(uri, body).unwrap();
        request.timeouts = limits;
        let outcome = async { rig.client.send(request).await?.text().await }.await;
        let error = outcome.unwrap_err();
        assert_eq!((error.is_timeout(), error.limit()), (true, Some(limit)), "{uri} {error}");
        // The server is asked whether it is there, and answers.
        sleep(Duration::from_millis(1)).await;
    }
    let mut request = Request::get("http://h.test/body").unwrap();
    request.timeouts.total = Some(secs(4));
    let began = Instant::now();
    let outcome = async { rig.client.send(request).await?.text().await }.await;
    assert!(outcome.unwrap_err().is_timeout());
    assert_eq!((began.elapsed(), rig.dialed()), (secs(4), 1));
}

#[tokio::test(start_paused = true)]
async fn an_upload_waits_for_a_server_that_does_not_read() {
    let rig = handled(server::Builder::new(), |mut request, respond| async move {
        sleep(secs(5)).await;
        let length = read(request.body_mut()).await.unwrap().len();
        answer(respond, length.to_string());
    });
    let (body, made) = made(64);
    let (response, waiting) = tokio::join!(rig.client.post(URL, "text/plain", body), async {
        sleep(secs(4)).await;
        made.load(Ordering::Relaxed)
    });
    assert_eq!(response.unwrap().text().await.unwrap(), (64 * PIECE).to_string());
    assert!(waiting <= 3 * PIECE, "{waiting} bytes were made for a window of 65,535");
}

#[tokio::test(start_paused = true)]
async fn an_unread_body_fills_its_own_window_and_delays_no_other_body() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counts = sent.clone();
    let rig = handled(server::Builder::new(), move |request, mut respond| {
        let counts = counts.clone();
        async move {
            if request.uri().path() == "/short" {
                return answer(respond, "hello");
            }
            let mut stream = respond.send_response(status(200), false).unwrap();
            while send(&mut stream, Bytes::from_static(&[b'x'; PIECE]), false).await.is_ok() {
                counts.fetch_add(PIECE, Ordering::Relaxed);
            }
        }
    });
    let held = [rig.client.get(URL).await.unwrap(), rig.client.get(URL).await.unwrap()];
    sleep(secs(1)).await;
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent <= held.len() * (4 << 20), "{sent} bytes for bodies that nobody reads");
    assert!(sent > 4 << 20, "the windows are used: {sent}");
    let mut response = rig.client.get("http://h.test/short").await.unwrap();
    assert_eq!(response.text().await.unwrap(), "hello");
}

#[tokio::test(start_paused = true)]
async fn large_bodies_go_both_ways_at_a_time_and_little_of_them_is_held() {
    const PIECES: usize = 1024;
    let rig = handled(server::Builder::new(), |mut request, mut respond| async move {
        let mut stream = respond.send_response(status(200), false).unwrap();
        while let Some(data) = request.body_mut().data().await {
            let data = data.unwrap();
            let len = data.len();
            send(&mut stream, data, false).await.unwrap();
            let _ = request.body_mut().flow_control().release_capacity(len);
        }
        stream.send_data(Bytes::new(), true).unwrap();
    });
    let (body, made) = made(PIECES);
    let mut response = rig.client.post(URL, "text/plain", body).await.unwrap();
    let (mut got, mut most) = (0, 0);
    while let Some(chunk) = response.body.chunk().await.unwrap() {
        got += chunk.len();
        most = most.max(made.load(Ordering::Relaxed) - got);
    }
    assert_eq!(got, PIECES * PIECE);
    assert!(most < 6 << 20, "{most} bytes were underway at a time");
}

#[tokio::test(start_paused = true)]
async fn a_path_of_100_ms_carries_80_mbit_both_ways() {
    const CONTENT: usize = 32 << 20;
    let rig = rig(
        |transport| {
            transport.dial = Arc::new(nethttp::net::dial_fn(|_, _| {
                let (near, far) = path(Duration::from_millis(50));
                let mut builder = server::Builder::new();
                builder.initial_window_size(4 << 20).initial_connection_window_size(4 << 20);
                tokio::spawn(serve_far(builder, far));
                async { Ok(nethttp::net::DialedStream::new(near)) }
            }));
        },
        |_, _| async {},
    );
    rig.client.get("http://h.test/small").await.unwrap().text().await.unwrap();
    let began = Instant::now();
    let mut response = rig.client.get("http://h.test/large").await.unwrap();
    let mut got = 0;
    while let Some(chunk) = response.body.chunk().await.unwrap() {
        got += chunk.len();
    }
    let down = mbit_per_second(got, began);
    let began = Instant::now();
    let (body, _) = made(CONTENT / PIECE);
    rig.client.post("http://h.test/upload", "text/plain", body).await.unwrap().text().await.unwrap();
    let up = mbit_per_second(CONTENT, began);
    println!("down {down:.0} Mbit/s, up {up:.0} Mbit/s");
    assert_eq!(got, CONTENT);
    assert!(down > 80.0 && up > 80.0, "down {down:.0} Mbit/s, up {up:.0} Mbit/s");

    async fn serve_far(builder: server::Builder, far: tokio::io::DuplexStream) {
        serve(builder, far, |mut request, mut respond| async move {
            read(request.body_mut()).await.unwrap();
            if request.uri().path() != "/large" {
                return answer(respond, "done");
            }
            let mut stream = respond.send_response(status(200), false).unwrap();
            send(&mut stream, vec![b'x'; CONTENT].into(), true).await.unwrap();
        })
        .await;
    }
}

fn mbit_per_second(bytes: usize, began: Instant) -> f64 {
    bytes as f64 * 8.0 / 1e6 / began.elapsed().as_secs_f64()
}
