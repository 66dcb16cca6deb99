//! HTTP/2 as its peers see it: the same handlers, limits, deadlines and ends as on HTTP/1.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use h2::client::{ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, Method};
use nethttp::middleware::max_bytes_handler;
use nethttp::server::{CloseReason, Protocols};
use nethttp::{Body, Bytes, ErrorKind, Header, Request, ResponseWriter, Result, Server, StatusCode, handle_with};
use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::frames::{GOAWAY, HEADERS, PREFACE, RST_STREAM, RawPeer, SETTINGS, frame, get};
use crate::support::{Running, States, hello, millis, quiet, secs, serve, settle, start};

type Client = SendRequest<Bytes>;

/// A client of the `h2` crate, and the task that runs its connection.
async fn connect(running: &Running) -> (Client, JoinHandle<std::result::Result<(), h2::Error>>) {
    let stream = running.dialer.dial().await.unwrap();
    let (client, connection) = h2::client::handshake(stream).await.unwrap();
    (client.ready().await.unwrap(), tokio::spawn(connection))
}

fn ask(method: Method, path: &str) -> http::Request<()> {
    http::Request::builder().method(method).uri(format!("http://h{path}")).body(()).unwrap()
}

fn send(client: &mut Client, request: http::Request<()>, ends: bool) -> (ResponseFuture, SendStream<Bytes>) {
    client.send_request(request, ends).unwrap()
}

async fn read(body: &mut RecvStream) -> std::result::Result<(Vec<u8>, Option<HeaderMap>), h2::Error> {
    let mut content = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len()).unwrap();
        content.extend_from_slice(&data);
    }
    Ok((content, body.trailers().await?))
}

/// The status and the content of a GET.
async fn get_ok(client: &mut Client, path: &str) -> (u16, String) {
    let (response, _) = send(client, ask(Method::GET, path), true);
    let (parts, mut body) = response.await.unwrap().into_parts();
    let (content, _) = read(&mut body).await.unwrap();
    (parts.status.as_u16(), String::from_utf8(content).unwrap())
}

// ---------------------------------------------------------------- requests and answers

#[tokio::test(start_paused = true)]
async fn one_port_serves_both_protocols_by_their_first_bytes() {
    let running = serve(async |w: &mut ResponseWriter, r: &mut Request| {
        w.write(format!("{:?} {} {} {}", r.proto, r.host, r.request_uri, r.remote_addr)).await
    });
    let (mut client, _) = connect(&running).await;
    assert_eq!(get_ok(&mut client, "/a?b").await, (200, "HTTP/2.0 h /a?b memory client 1".into()));
    let mut peer = running.dial().await;
    assert_eq!(peer.ask(crate::support::GET).await.content, "HTTP/1.1 h / memory client 2");
}

#[tokio::test(start_paused = true)]
async fn an_answer_has_length_type_and_date_and_no_field_of_a_connection() {
    let running = serve(async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Keep-Alive", "timeout=5");
        w.header().set("Upgrade", "h3");
        w.header().set("X-Own", "1");
        w.write("<!DOCTYPE html>").await
    });
    let (mut client, _) = connect(&running).await;
    let (response, _) = send(&mut client, ask(Method::GET, "/"), true);
    let response = response.await.unwrap();
    let mut names: Vec<&str> = response.headers().keys().map(http::HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "content-type", "date", "x-own"]);
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    assert_eq!(response.headers()["content-length"], "15");
}

#[tokio::test(start_paused = true)]
async fn content_and_trailers_stream_both_ways_at_once() {
    async fn echo(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        w.header().set("Trailer", "X-Sum");
        while let Some(chunk) = r.body.chunk().await? {
            w.write_bytes(chunk).await?;
            w.flush().await?;
        }
        let sum = r.body.trailer().and_then(|trailer| trailer.get("x-sum").map(str::to_owned));
        w.trailer().set("X-Sum", sum.unwrap_or_default());
        w.trailer().set("Content-Length", "9");
        Ok(())
    }
    let running = serve(echo);
    let (mut client, _) = connect(&running).await;
    let (response, mut sender) = send(&mut client, ask(Method::POST, "/"), false);
    sender.send_data("one".into(), false).unwrap();
    let mut body = response.await.unwrap().into_body();
    for (next, echoed) in [("two", "one"), ("three", "two")] {
        assert_eq!(body.data().await.unwrap().unwrap(), echoed);
        sender.send_data(next.into(), false).unwrap();
    }
    let trailer = HeaderMap::from_iter([(http::HeaderName::from_static("x-sum"), "11".parse().unwrap())]);
    sender.send_trailers(trailer).unwrap();
    let (rest, trailer) = read(&mut body).await.unwrap();
    assert_eq!(rest, b"three");
    let trailer = trailer.unwrap();
    assert_eq!((trailer.len(), &trailer["x-sum"]), (1, &"11".parse().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn large_content_arrives_whole_however_it_was_written() {
    async fn large(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let content = vec![b'x'; 300_000];
        match r.escaped_path() {
            "/slice" => w.write(&content).await,
            "/bytes" => w.write_bytes(content.into()).await,
            "/small" => {
                for chunk in content.chunks(100) {
                    w.write(chunk).await?;
                }
                Ok(())
            }
            _ => {
                tokio::io::copy(&mut &content[..], w).await?;
                Ok(())
            }
        }
    }
    let running = serve(large);
    let (mut client, _) = connect(&running).await;
    for path in ["/slice", "/bytes", "/small", "/copy"] {
        let (status, content) = get_ok(&mut client, path).await;
        assert_eq!((status, content.len()), (200, 300_000), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_head_has_a_length_and_no_content() {
    let running = serve(hello);
    let (mut client, _) = connect(&running).await;
    let (response, _) = send(&mut client, ask(Method::HEAD, "/"), true);
    let response = response.await.unwrap();
    assert_eq!(response.headers()["content-length"], "5");
    assert!(response.body().is_end_stream());
}

#[tokio::test(start_paused = true)]
async fn informational_answers_come_before_the_final_one() {
    let running = serve(async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Link", "</a.css>; rel=preload");
        w.send_informational(StatusCode::EARLY_HINTS).await?;
        w.header().del("Link");
        w.write("done").await
    });
    let (mut client, _) = connect(&running).await;
    let (mut response, _) = send(&mut client, ask(Method::GET, "/"), true);
    let hints = poll_fn(|cx| response.poll_informational(cx)).await.unwrap().unwrap();
    assert_eq!((hints.status().as_u16(), hints.headers().len()), (103, 1));
    let last = response.await.unwrap();
    assert_eq!((last.status().as_u16(), last.headers().get("link")), (200, None));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_expects_it_gets_a_100_when_its_content_is_first_read() {
    let running = serve(crate::support::echo);
    let (mut client, _) = connect(&running).await;
    let mut request = ask(Method::POST, "/");
    request.headers_mut().insert("expect", "100-continue".parse().unwrap());
    let (mut response, mut sender) = send(&mut client, request, false);
    let interim = poll_fn(|cx| response.poll_informational(cx)).await.unwrap().unwrap();
    assert_eq!(interim.status(), 100);
    sender.send_data("hello".into(), true).unwrap();
    let mut body = response.await.unwrap().into_body();
    assert_eq!(read(&mut body).await.unwrap().0, b"hello");
}

#[tokio::test(start_paused = true)]
async fn a_connection_cannot_be_taken_over_by_one_of_its_requests() {
    let running = serve(async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Upgrade", "x");
        let kinds = [w.upgrade().await.unwrap_err().kind(), w.hijack().await.unwrap_err().kind()];
        w.write_header(StatusCode::SWITCHING_PROTOCOLS);
        w.write(format!("{kinds:?}")).await
    });
    let (mut client, _) = connect(&running).await;
    assert_eq!(get_ok(&mut client, "/").await, (200, "[Unsupported, Unsupported]".into()));
}

#[tokio::test(start_paused = true)]
async fn a_length_that_was_not_kept_is_a_stream_that_was_cut() {
    let running = serve(async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Content-Length", "10");
        w.write("short").await
    });
    let (mut client, _) = connect(&running).await;
    let (response, _) = send(&mut client, ask(Method::GET, "/"), true);
    let cut = async { read(&mut response.await?.into_body()).await }.await.unwrap_err();
    assert_eq!(cut.reason(), Some(Reason::INTERNAL_ERROR));
}

#[tokio::test(start_paused = true)]
async fn what_http1_would_refuse_is_refused_and_the_connection_lives() {
    let running = serve(hello);
    let (mut client, _) = connect(&running).await;
    for (uri, host) in [("http://a/%zz", "a"), ("http://a/", "b")] {
        let request = http::Request::get(uri).header("host", host).body(()).unwrap();
        let (response, _) = send(&mut client, request, true);
        assert_eq!(response.await.unwrap().status(), 400, "{uri}");
    }
    assert_eq!(get_ok(&mut client, "/").await.0, 200);
}

// ---------------------------------------------------------------- handlers

#[tokio::test(start_paused = true)]
async fn a_panic_ends_its_stream_and_no_other() {
    let running = serve(async |w: &mut ResponseWriter, r: &mut Request| match r.escaped_path() {
        "/early" => panic!("as asked"),
        "/late" => {
            w.write("partial").await?;
            w.flush().await?;
            panic!("as asked")
        }
        "/abort" => nethttp::server::abort(),
        _ => w.write("hello").await,
    });
    let (mut client, _) = connect(&running).await;
    assert_eq!(get_ok(&mut client, "/early").await.0, 500);
    for path in ["/late", "/abort"] {
        let (response, _) = send(&mut client, ask(Method::GET, path), true);
        let cut = async { read(&mut response.await?.into_body()).await }.await.unwrap_err();
        assert_eq!(cut.reason(), Some(Reason::INTERNAL_ERROR), "{path}");
    }
    assert_eq!(get_ok(&mut client, "/").await, (200, "hello".into()));
}

/// Waits for its request to be given up, and counts.
async fn wait(given_up: &Arc<AtomicU64>, _: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    r.context().cancelled().await;
    given_up.fetch_add(1, Ordering::SeqCst);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_reset_cancels_its_request_and_leaving_cancels_all() {
    let given_up = Arc::new(AtomicU64::new(0));
    let running = serve(handle_with(given_up.clone(), wait));
    let (mut client, connection) = connect(&running).await;
    let mut open: Vec<_> = (0..3).map(|_| send(&mut client, ask(Method::GET, "/"), true)).collect();
    settle().await;
    open[0].1.send_reset(Reason::CANCEL);
    settle().await;
    assert_eq!(given_up.load(Ordering::SeqCst), 1);
    connection.abort();
    drop((client, open));
    settle().await;
    assert_eq!(given_up.load(Ordering::SeqCst), 3);
    assert_eq!(running.server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_peer_left_is_registered_until_its_handlers_return() {
    let running = serve(async |_: &mut ResponseWriter, _: &mut Request| {
        tokio::time::sleep(secs(60)).await;
        Ok(())
    });
    let (mut client, connection) = connect(&running).await;
    let _open = send(&mut client, ask(Method::GET, "/"), true);
    settle().await;
    connection.abort();
    settle().await;
    assert_eq!(running.server.connections(), 1);
    tokio::time::sleep(secs(61)).await;
    assert_eq!(running.server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_was_kept_is_over_with_its_exchange() {
    type Kept = Arc<Mutex<Option<Body>>>;
    async fn keep(kept: &Kept, _: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        *kept.lock().unwrap() = Some(std::mem::take(&mut r.body));
        Ok(())
    }
    let kept = Kept::default();
    let running = serve(handle_with(kept.clone(), keep));
    let (mut client, _) = connect(&running).await;
    let (response, mut sender) = send(&mut client, ask(Method::POST, "/"), false);
    sender.send_data("content".into(), true).unwrap();
    assert_eq!(response.await.unwrap().status(), 200);
    settle().await;
    let mut body = kept.lock().unwrap().take().unwrap();
    assert_eq!(body.chunk().await.unwrap_err().kind(), ErrorKind::RequestOver);
}

#[tokio::test(start_paused = true)]
async fn a_body_over_its_limit_is_answered_413() {
    let running = serve(max_bytes_handler(crate::support::echo, 10));
    let (mut client, _) = connect(&running).await;
    for announced in [true, false] {
        let mut request = ask(Method::POST, "/");
        if announced {
            request.headers_mut().insert("content-length", "11".parse().unwrap());
        }
        let (response, mut sender) = send(&mut client, request, false);
        sender.send_data("01234567890".into(), true).unwrap();
        assert_eq!(response.await.unwrap().status(), 413);
    }
}

#[tokio::test(start_paused = true)]
async fn unread_content_is_drained_up_to_the_limit_and_then_reset() {
    let running = serve(hello);
    let (mut client, _) = connect(&running).await;
    for (len, asked_to_stop) in [(1000, false), (60_000, true)] {
        let (response, mut sender) = send(&mut client, ask(Method::POST, "/"), false);
        sender.send_data(Bytes::from(vec![b'x'; len]), !asked_to_stop).unwrap();
        let mut body = response.await.unwrap().into_body();
        assert_eq!(read(&mut body).await.unwrap().0, b"hello");
        if asked_to_stop {
            let reason = timeout(secs(5), poll_fn(|cx| sender.poll_reset(cx))).await.unwrap().unwrap();
            assert_eq!(reason, Reason::NO_ERROR);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn unread_content_gives_its_window_back_to_its_connection() {
    let running = serve(async |w: &mut ResponseWriter, r: &mut Request| match r.escaped_path() {
        "/read" => {
            let length = r.body.bytes(1 << 20).await?.len();
            w.write(length.to_string()).await
        }
        _ => w.write("hello").await,
    });
    let (mut client, _) = connect(&running).await;
    // More than twice the connection's window.
    for _ in 0..40 {
        let (response, mut sender) = send(&mut client, ask(Method::POST, "/"), false);
        sender.send_data(Bytes::from(vec![b'x'; 60_000]), true).unwrap();
        let mut body = response.await.unwrap().into_body();
        assert_eq!(read(&mut body).await.unwrap().0, b"hello");
        settle().await;
    }
    let (response, mut sender) = send(&mut client, ask(Method::POST, "/read"), false);
    sender.send_data(Bytes::from(vec![b'x'; 200_000]), true).unwrap();
    let mut body = timeout(secs(5), response).await.expect("there is room").unwrap().into_body();
    assert_eq!(read(&mut body).await.unwrap().0, b"200000");
}

// ---------------------------------------------------------------- back-pressure and deadlines

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_read_holds_its_peer_to_one_window() {
    let running = serve(async |_: &mut ResponseWriter, r: &mut Request| {
        r.context().cancelled().await;
        Ok(())
    });
    let (mut client, _) = connect(&running).await;
    let (_response, mut sender) = send(&mut client, ask(Method::POST, "/"), false);
    let mut sent = 0;
    sender.reserve_capacity(1 << 20);
    while let Ok(Some(Ok(room))) = timeout(secs(1), poll_fn(|cx| sender.poll_capacity(cx))).await {
        sender.send_data(Bytes::from(vec![b'x'; room]), false).unwrap();
        sent += room;
    }
    assert_eq!(sent, 256 << 10);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_holds_the_handler_and_in_the_end_its_stream_is_reset() {
    async fn pour(written: &Arc<AtomicU64>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        if r.path() == "/" {
            return w.write("hello").await;
        }
        loop {
            w.write([b'x'; 10_000]).await?;
            written.fetch_add(10_000, Ordering::SeqCst);
        }
    }
    let written = Arc::new(AtomicU64::new(0));
    let running = serve(handle_with(written.clone(), pour));
    let (mut client, _) = connect(&running).await;
    let (response, _) = send(&mut client, ask(Method::GET, "/pour"), true);
    let began = Instant::now();
    let mut body = response.await.unwrap().into_body();
    settle().await;
    assert!(written.load(Ordering::SeqCst) < 150_000, "{written:?} bytes for a window of 64 KiB");
    // Not released, so the window stays as it is.
    let mut held = Vec::new();
    let cut = loop {
        match body.data().await.unwrap() {
            Ok(data) => held.push(data),
            Err(error) => break error,
        }
    };
    assert_eq!((cut.reason(), began.elapsed().as_secs()), (Some(Reason::INTERNAL_ERROR), 30));
    // The window of the connection is all that this one took.
    let all = held.iter().map(Bytes::len).sum();
    body.flow_control().release_capacity(all).unwrap();
    assert_eq!(get_ok(&mut client, "/").await, (200, "hello".into()));
}

#[tokio::test(start_paused = true)]
async fn content_that_does_not_come_ends_the_reading_after_the_stall_timeout() {
    let running = serve(crate::support::echo);
    let (mut client, _) = connect(&running).await;
    let (response, mut sender) = send(&mut client, ask(Method::POST, "/"), false);
    let began = Instant::now();
    tokio::spawn(async move {
        tokio::time::sleep(secs(20)).await;
        sender.send_data("a bit".into(), false).unwrap();
        std::future::pending::<()>().await;
    });
    assert_eq!((response.await.unwrap().status().as_u16(), began.elapsed().as_secs()), (408, 50));
}

#[tokio::test(start_paused = true)]
async fn absolute_limits_hold_for_each_stream() {
    let mut server = quiet(async |w: &mut ResponseWriter, r: &mut Request| {
        if r.path() == "/read" {
            r.body.bytes(100).await?;
        }
        tokio::time::sleep(secs(3)).await;
        w.write([b'x'; 100_000]).await
    });
    (server.read_timeout, server.write_timeout) = (secs(5), secs(2));
    let running = start(server);
    let (mut client, _) = connect(&running).await;
    let began = Instant::now();
    let (response, _sender) = send(&mut client, ask(Method::POST, "/read"), false);
    let (other, _) = send(&mut client, ask(Method::GET, "/write"), true);
    let cut = async { read(&mut other.await?.into_body()).await }.await.unwrap_err();
    assert_eq!((cut.reason(), began.elapsed().as_secs()), (Some(Reason::INTERNAL_ERROR), 2));
    assert!(response.await.is_err(), "it reads for longer than its answer may take");
    assert_eq!(began.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_reset_at_the_deadline_of_its_response_though_the_handler_runs_on() {
    async fn slow(told: &Arc<Mutex<Vec<bool>>>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        if r.path() == "/own" {
            w.set_write_deadline(Some(Instant::now() + secs(1)));
        }
        tokio::time::sleep(millis(1001)).await;
        told.lock().unwrap().push(r.context().is_cancelled());
        tokio::time::sleep(secs(3)).await;
        w.write("too late").await
    }
    for (path, limit) in [("/", secs(1)), ("/own", std::time::Duration::ZERO)] {
        let told: Arc<Mutex<Vec<bool>>> = Arc::default();
        let mut server = quiet(handle_with(Arc::clone(&told), slow));
        server.write_timeout = limit;
        let running = start(server);
        let (mut client, _) = connect(&running).await;
        let began = Instant::now();
        let (response, _) = send(&mut client, ask(Method::GET, path), true);
        assert_eq!(response.await.unwrap_err().reason(), Some(Reason::INTERNAL_ERROR), "{path}");
        assert_eq!(began.elapsed().as_secs(), 1, "{path}");
        tokio::time::sleep(secs(4)).await;
        assert_eq!(*told.lock().unwrap(), [true], "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_preface_that_does_not_end_is_closed_by_the_deadline_of_a_head() {
    let running = serve(hello);
    let mut slow = Vec::new();
    for end in 0..50 {
        let mut peer = running.dial().await;
        let whole = [PREFACE, &frame(SETTINGS, 0, 0, &[0; 6])].concat();
        peer.send(&whole[..(1 + end) % 30]).await;
        slow.push(peer);
    }
    let (mut client, _) = connect(&running).await;
    let began = Instant::now();
    assert_eq!(get_ok(&mut client, "/").await.0, 200);
    assert!(began.elapsed() < millis(10));
    for mut peer in slow {
        while tokio::io::AsyncReadExt::read(&mut peer.stream, &mut [0; 1000]).await.unwrap() > 0 {}
        assert_eq!(peer.age().as_secs(), 10);
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_block_that_does_not_end_is_closed_by_the_deadline_of_a_head() {
    let running = serve(hello);
    let mut peer = RawPeer::dial(&running.dialer, &[]).await;
    settle().await;
    tokio::time::sleep(secs(50)).await;
    let began = Instant::now();
    peer.send(&frame(HEADERS, 1, 1, &crate::frames::GET_ROOT[..3])).await;
    peer.frames().await;
    assert_eq!(began.elapsed().as_secs(), 10);
}

// ---------------------------------------------------------------- the connection

#[tokio::test(start_paused = true)]
async fn a_connection_is_active_with_streams_and_idle_without_and_closes_when_that_lasts() {
    let mut server = quiet(hello);
    let states = States::of(&mut server);
    let running = start(server);
    let (mut client, connection) = connect(&running).await;
    settle().await;
    assert_eq!(states.line(1), "new active idle");
    get_ok(&mut client, "/").await;
    settle().await;
    assert_eq!(states.line(1), "new active idle active idle");
    let idle_since = Instant::now();
    connection.await.unwrap().unwrap();
    assert_eq!(idle_since.elapsed().as_secs(), 119, "120 s less what settling took");
    settle().await;
    assert_eq!(states.reason(1), Some(CloseReason::IdleTimeout));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_answers_what_is_under_way_and_takes_no_more() {
    async fn slow(go: &Arc<Notify>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        r.context().draining().await;
        go.notified().await;
        w.write("answered").await
    }
    let go = Arc::new(Notify::new());
    let running = serve(handle_with(go.clone(), slow));
    let (mut client, connection) = connect(&running).await;
    let (response, _) = send(&mut client, ask(Method::GET, "/"), true);
    let (_idle_client, idle) = connect(&running).await;
    settle().await;
    let ender = running.server.clone();
    let ending = tokio::spawn(async move { ender.shutdown(secs(30)).await });
    settle().await;
    assert!(idle.is_finished() && !connection.is_finished(), "what is idle closes at once");
    assert!(client.clone().ready().await.is_err(), "no more requests");
    go.notify_one();
    let mut body = response.await.unwrap().into_body();
    assert_eq!(read(&mut body).await.unwrap().0, b"answered");
    let report = ending.await.unwrap();
    assert_eq!((report.drained, report.cut), (2, 0));
    connection.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_not_answered_within_the_grace_is_cut() {
    let given_up = Arc::new(AtomicU64::new(0));
    let running = serve(handle_with(given_up.clone(), wait));
    let (mut client, _) = connect(&running).await;
    let (response, _) = send(&mut client, ask(Method::GET, "/"), true);
    settle().await;
    let began = Instant::now();
    let report = running.server.shutdown(secs(5)).await;
    assert_eq!((report.drained, report.cut, began.elapsed().as_secs()), (0, 1, 5));
    assert!(response.await.is_err());
    assert_eq!(given_up.load(Ordering::SeqCst), 0, "its handler was dropped");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_closes_its_connection_ends_it_behind_its_stream() {
    let mut server = quiet(async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("Connection", "close");
        w.write("last").await
    });
    let states = States::of(&mut server);
    let running = start(server);
    let (mut client, connection) = connect(&running).await;
    assert_eq!(get_ok(&mut client, "/").await, (200, "last".into()));
    connection.await.unwrap().unwrap();
    settle().await;
    assert_eq!(states.reason(1), Some(CloseReason::HandlerAsked));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_a_ping_is_closed() {
    let given_up = Arc::new(AtomicU64::new(0));
    let mut server = quiet(handle_with(given_up.clone(), wait));
    (server.http2.send_ping_timeout, server.http2.ping_timeout) = (secs(20), secs(15));
    let states = States::of(&mut server);
    let running = start(server);
    let (mut lively, _) = connect(&running).await;
    let (_open, _) = send(&mut lively, ask(Method::GET, "/"), true);
    let mut dead = RawPeer::dial(&running.dialer, &[]).await;
    dead.send(&get(1)).await;
    let began = Instant::now();
    dead.frames().await;
    assert_eq!(began.elapsed().as_secs(), 35);
    settle().await;
    assert_eq!((states.reason(2), states.reason(1)), (Some(CloseReason::PingTimeout), None));
    assert_eq!(given_up.load(Ordering::SeqCst), 1);
    tokio::time::sleep(secs(600)).await;
    assert_eq!(states.reason(1), None, "a peer that answers is kept while a request is under way");
}

#[tokio::test(start_paused = true)]
async fn a_protocol_that_is_not_served_is_answered_505() {
    for (protocols, bytes) in [
        (Protocols { unencrypted_http2: false, ..Protocols::default() }, PREFACE),
        (Protocols { http1: false, ..Protocols::default() }, crate::support::GET.as_bytes()),
    ] {
        let mut server = quiet(hello);
        server.protocols = protocols;
        let running = start(server);
        let mut peer = running.dial().await;
        peer.send(bytes).await;
        let answer = peer.answer().await;
        assert!(answer.status == 505 && answer.closes(), "{protocols:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_streams_than_allowed_and_no_more_handlers_than_streams() {
    let given_up = Arc::new(AtomicU64::new(0));
    let mut server = quiet(handle_with(given_up.clone(), wait));
    server.http2.max_concurrent_streams = 2;
    let running = start(server);
    let mut peer = RawPeer::dial(&running.dialer, &[]).await;
    peer.send(&[get(1), get(3), get(5)].concat()).await;
    let refused = peer.expect(RST_STREAM).await;
    assert_eq!((refused.stream, refused.code()), (5, Reason::REFUSED_STREAM.into()));
}

#[tokio::test(start_paused = true)]
async fn an_error_in_the_frames_ends_the_connection_with_its_reason() {
    let events: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = events.clone();
    let mut server = Server::new(hello);
    server.on_event = Some(Arc::new(move |event| told.lock().unwrap().push(event.to_string())));
    let running = start(server);
    let mut peer = RawPeer::dial(&running.dialer, &[]).await;
    peer.send(&frame(crate::frames::DATA, 0, 0, b"x")).await;
    let frames = peer.frames().await;
    assert_eq!(frames.iter().find(|frame| frame.kind == GOAWAY).unwrap().code(), crate::frames::PROTOCOL_ERROR);
    settle().await;
    let line = "ended the HTTP/2 connection of memory client 1 with error code 1: DATA on stream 0";
    assert_eq!(*events.lock().unwrap(), [line]);
}

#[tokio::test(start_paused = true)]
async fn content_of_another_length_than_announced_is_an_error_of_the_body() {
    type Seen = Arc<Mutex<Vec<ErrorKind>>>;
    async fn read_all(seen: &Seen, _: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        if let Err(error) = r.body.bytes(100).await {
            seen.lock().unwrap().push(error.kind());
        }
        Ok(())
    }
    let seen = Seen::default();
    let running = serve(handle_with(seen.clone(), read_all));
    for content in ["too long", "x"] {
        let mut peer = RawPeer::dial(&running.dialer, &[]).await;
        // `content-length: 5`, number 28 of the static table.
        let head = [crate::frames::POST_ROOT, &[0x0f, 28 - 15, 1], b"5"].concat();
        peer.send(&[frame(HEADERS, 4, 1, &head), frame(crate::frames::DATA, 1, 1, content.as_bytes())].concat()).await;
        assert_eq!(peer.expect(RST_STREAM).await.code(), crate::frames::PROTOCOL_ERROR);
    }
    settle().await;
    assert_eq!(*seen.lock().unwrap(), [ErrorKind::Refused, ErrorKind::Refused]);
}

#[tokio::test(start_paused = true)]
async fn requests_are_recorded_and_hooks_and_trailers_without_notice_work() {
    let records: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = records.clone();
    let mut server = quiet(async |w: &mut ResponseWriter, _: &mut Request| {
        w.before_head(|_, header: &mut Header| header.set("X-Hook", "1"));
        w.trailer().set("grpc-status", "0");
        Ok(())
    });
    server.on_request = Some(Arc::new(move |record| {
        told.lock()
            .unwrap()
            .push(format!("{} {} {:?} {:?}", record.method, record.target, record.proto, record.status));
    }));
    let running = start(server);
    let (mut client, _) = connect(&running).await;
    let (response, _) = send(&mut client, ask(Method::GET, "/a"), true);
    let (parts, mut body) = response.await.unwrap().into_parts();
    assert_eq!(parts.headers["x-hook"], "1");
    assert_eq!(read(&mut body).await.unwrap().1.unwrap()["grpc-status"], "0");
    settle().await;
    assert_eq!(*records.lock().unwrap(), ["GET /a HTTP/2.0 Some(200)"]);
}

#[tokio::test(start_paused = true)]
async fn a_writer_polled_in_a_task_of_its_own_is_woken_when_there_is_room() {
    use std::pin::pin;
    use std::sync::atomic::AtomicBool;
    use std::task::{Context, Poll, Wake, Waker};

    /// Wakes the task it stands for, and notes that it did.
    struct Inner {
        woken: AtomicBool,
        task: Mutex<Waker>,
    }
    impl Wake for Inner {
        fn wake(self: Arc<Self>) {
            self.woken.store(true, Ordering::SeqCst);
            self.task.lock().unwrap().wake_by_ref();
        }
    }
    // As a set of futures does it: polled again only where its own waker was used.
    let running = serve(async |w: &mut ResponseWriter, _: &mut Request| {
        let mut writing = pin!(w.write([b'x'; 200_000]));
        let mut inner: Option<Arc<Inner>> = None;
        poll_fn(move |cx| {
            let inner = inner.get_or_insert_with(|| {
                Arc::new(Inner { woken: AtomicBool::new(true), task: Mutex::new(cx.waker().clone()) })
            });
            inner.task.lock().unwrap().clone_from(cx.waker());
            if !inner.woken.swap(false, Ordering::SeqCst) {
                return Poll::Pending;
            }
            writing.as_mut().poll(&mut Context::from_waker(&Waker::from(inner.clone())))
        })
        .await
    });
    let (mut client, _) = connect(&running).await;
    assert_eq!(get_ok(&mut client, "/").await.1.len(), 200_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_several_threads_a_handler_that_keeps_its_own_holds_up_no_other_of_its_connection() {
    // Each waits for the other, without letting go of its thread.
    let both = Arc::new(std::sync::Barrier::new(2));
    let running =
        serve(handle_with(both, async |both: &Arc<std::sync::Barrier>, w: &mut ResponseWriter, _: &mut Request| {
            both.wait();
            w.write("met").await
        }));
    let (client, _) = connect(&running).await;
    let (mut one, mut other) = (client.clone(), client);
    let (one, other) = tokio::join!(get_ok(&mut one, "/"), get_ok(&mut other, "/"));
    assert_eq!((one.1.as_str(), other.1.as_str()), ("met", "met"));
}

#[tokio::test(start_paused = true)]
async fn a_half_closed_peer_of_http1_that_begins_like_a_preface_is_served() {
    let running = serve(hello);
    let mut peer = running.dial().await;
    for piece in ["P", "OST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"] {
        peer.send(piece).await;
        settle().await;
    }
    assert_eq!(peer.answer().await.status, 200);
    peer.stream.shutdown().await.unwrap();
}
