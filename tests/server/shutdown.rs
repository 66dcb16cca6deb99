//! How a server ends: gracefully, at once, and for each kind of connection.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nethttp::server::{CloseReason, ShutdownReport};
use nethttp::{Context, ErrorKind, Request, ResponseWriter, Result, Server, handle_with, testing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::support::{End, GET, Running, States, dial, hello, millis, quiet, secs, serve, settle, start};

/// Longer than anything here takes.
const GRACE: Duration = Duration::from_secs(1000);

/// Answers after ten seconds.
async fn slow(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    sleep(secs(10)).await;
    w.write("at last").await
}

/// The numbers of a report: drained, cut, hijacked.
fn numbers(report: ShutdownReport) -> (usize, usize, usize) {
    (report.drained, report.cut, report.hijacked)
}

async fn assert_closed(running: Running) {
    let ended = running.serving.await.unwrap().unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::ServerClosed);
    assert_eq!(running.dialer.dial().await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}

// ------------------------------------------------------------ shutdown

#[tokio::test(start_paused = true)]
async fn without_connections_a_shutdown_is_done_at_once() {
    let running = serve(hello);
    settle().await;
    let began = Instant::now();
    assert_eq!(numbers(running.server.shutdown(GRACE).await), (0, 0, 0));
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_closed(running).await;
}

#[tokio::test(start_paused = true)]
async fn connections_that_never_spoke_and_idle_ones_close_at_once() {
    let mut server = quiet(hello);
    let states = States::of(&mut server);
    let running = start(server);
    let (mut idle, mut silent) = (running.dial().await, running.dial().await);
    idle.ask(GET).await;
    idle.wait_until(secs(3)).await;
    assert_eq!(numbers(running.server.shutdown(GRACE).await), (2, 0, 0));
    assert_eq!((idle.end().await, silent.end().await), (End::silent(secs(3)), End::silent(secs(3))));
    assert_eq!(
        (states.reason(1), states.reason(2)),
        (Some(CloseReason::ShuttingDown), Some(CloseReason::ShuttingDown))
    );
    assert_closed(running).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_under_way_is_answered_and_the_answer_says_close() {
    let running = serve(slow);
    let mut peer = running.dial().await;
    peer.send(GET).await;
    peer.wait_until(secs(2)).await;
    assert_eq!(numbers(running.server.shutdown(GRACE).await), (1, 0, 0));
    assert_eq!(peer.age(), secs(10));
    let answer = peer.answer().await;
    assert_eq!((answer.status, answer.content.as_str(), answer.closes()), (200, "at last", true));
    assert_eq!(peer.end().await, End::silent(secs(10)));
    assert_closed(running).await;
}

#[tokio::test(start_paused = true)]
async fn a_request_that_has_arrived_but_was_not_read_yet_is_answered() {
    let running = serve(hello);
    let mut peer = running.dial().await;
    peer.ask(GET).await;
    settle().await;
    peer.send(GET).await;
    assert_eq!(numbers(running.server.shutdown(GRACE).await), (1, 0, 0));
    let answer = peer.answer().await;
    assert_eq!((answer.content.as_str(), answer.closes()), ("hello", true));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_has_begun_goes_on_to_its_end() {
    let streaming = async |w: &mut ResponseWriter, _: &mut Request| {
        for _ in 0..5 {
            w.write("tick ").await?;
            w.flush().await?;
            sleep(secs(1)).await;
        }
        Ok(())
    };
    let running = serve(streaming);
    let mut peer = running.dial().await;
    peer.send(GET).await;
    peer.wait_until(millis(1500)).await;
    assert_eq!(numbers(running.server.shutdown(GRACE).await), (1, 0, 0));
    let end = peer.end().await;
    assert_eq!(end.received.matches("tick ").count(), 5);
    assert!(end.received.ends_with("\r\n0\r\n\r\n"), "{}", end.received);
    assert_eq!(end.at, secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_pipelined_request_behind_the_one_under_way_is_not_begun() {
    let running = serve(slow);
    let mut peer = running.dial().await;
    peer.send([GET, GET].concat()).await;
    peer.wait_until(secs(2)).await;
    tokio::join!(running.server.shutdown(GRACE), async {
        assert!(peer.answer().await.closes());
        assert_eq!(peer.end().await, End::silent(secs(10)));
    });
}

#[tokio::test(start_paused = true)]
async fn a_head_that_has_begun_may_be_finished() {
    let running = serve(hello);
    let mut peer = running.dial().await;
    peer.send("GET / HTTP/1.1\r\nHo").await;
    settle().await;
    let server = running.server.clone();
    let ending = tokio::spawn(async move { server.shutdown(GRACE).await });
    peer.assert_open_at(secs(4)).await;
    let answer = peer.ask("st: h\r\n\r\n").await;
    assert_eq!((answer.content.as_str(), answer.closes()), ("hello", true));
    assert_eq!(peer.end().await, End::silent(secs(4)));
    assert_eq!(numbers(ending.await.unwrap()), (1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_never_finished_is_cut_at_the_end_of_the_grace() {
    let mut server = quiet(hello);
    let states = States::of(&mut server);
    let running = start(server);
    let mut peer = running.dial().await;
    peer.send("GET / HTTP/1.1\r\nHo").await;
    settle().await;
    assert_eq!(numbers(running.server.shutdown(millis(4999)).await), (0, 1, 0));
    assert_eq!(peer.end().await, End::silent(secs(5)));
    assert_eq!(states.reason(1), Some(CloseReason::Cut));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_ignores_the_shutdown_is_cut_at_the_end_of_the_grace() {
    let mut server = quiet(async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("begun").await?;
        w.flush().await?;
        std::future::pending().await
    });
    let states = States::of(&mut server);
    let running = start(server);
    let mut peer = running.dial().await;
    peer.send(GET).await;
    settle().await;
    assert_eq!(numbers(running.server.shutdown(millis(29_999)).await), (0, 1, 0));
    let end = peer.end().await;
    assert_eq!(end.at, secs(30));
    assert!(end.received.ends_with("begun\r\n"), "cut, without an end: {}", end.received);
    assert_eq!((states.line(1).as_str(), states.reason(1)), ("new active closed", Some(CloseReason::Cut)));
    assert_closed(running).await;
}

#[tokio::test(start_paused = true)]
async fn the_report_counts_what_drained_what_was_cut_and_what_was_taken_over() {
    async fn handler(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        match r.uri.path() {
            "/slow" => slow(w, r).await,
            "/never" => std::future::pending().await,
            _ => {
                let mut taken = w.hijack().await?;
                // Ends when the peer is gone.
                tokio::spawn(async move { taken.read(&mut [0]).await });
                Ok(())
            }
        }
    }
    let running = serve(handler);
    let mut peers = Vec::new();
    for path in ["/slow", "/slow", "/never", "/never", "/never", "/hijack", "/hijack-and-leave"] {
        let mut peer = running.dial().await;
        peer.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
        peers.push(peer);
    }
    settle().await;
    peers.pop();
    settle().await;
    let _idle = running.dial().await;
    settle().await;
    assert_eq!(numbers(running.server.shutdown(secs(20)).await), (3, 3, 1));
    assert_eq!(running.server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_taken_over_is_not_touched() {
    let echo = async |w: &mut ResponseWriter, _: &mut Request| {
        let mut taken = w.hijack().await?;
        // Ends when the peer is gone.
        tokio::spawn(async move {
            let mut bytes = [0; 4];
            while taken.read_exact(&mut bytes).await.is_ok() {
                taken.write_all(&bytes).await.unwrap();
            }
        });
        Ok(())
    };
    let running = serve(echo);
    let mut peer = running.dial().await;
    peer.send(GET).await;
    settle().await;
    assert_eq!(numbers(running.server.shutdown(GRACE).await), (0, 0, 1));
    running.server.close();
    peer.wait_until(secs(5000)).await;
    peer.send("ping").await;
    let mut back = [0; 4];
    peer.stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"ping");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_about_to_take_over_counts_as_taken_over_only() {
    let late = async |w: &mut ResponseWriter, _: &mut Request| {
        sleep(secs(1)).await;
        let taken = w.hijack().await?;
        sleep(secs(1)).await;
        drop(taken);
        Ok(())
    };
    let running = serve(late);
    let mut peer = running.dial().await;
    peer.send(GET).await;
    settle().await;
    assert_eq!(numbers(running.server.shutdown(GRACE).await), (0, 0, 1));
    assert_eq!(peer.age(), secs(1));
}

#[tokio::test(start_paused = true)]
async fn handlers_are_notified_that_the_server_drains() {
    let stream = async |w: &mut ResponseWriter, r: &mut Request| {
        assert!(!r.context().is_draining());
        r.context().draining().await;
        assert!(r.context().is_draining() && !r.context().is_cancelled());
        w.write("bye").await
    };
    let running = serve(stream);
    let mut peer = running.dial().await;
    peer.send(GET).await;
    peer.assert_open_at(secs(3)).await;
    assert_eq!(numbers(running.server.shutdown(GRACE).await), (1, 0, 0));
    assert_eq!((peer.answer().await.content.as_str(), peer.age()), ("bye", secs(3)));
}

#[tokio::test(start_paused = true)]
async fn hooks_are_started_once_and_not_waited_for() {
    let running = serve(slow);
    let called = Arc::new(AtomicUsize::new(0));
    for _ in 0..2 {
        let called = called.clone();
        running.server.register_on_shutdown(move || {
            called.fetch_add(1, Ordering::SeqCst);
        });
    }
    running.server.register_on_shutdown(|| panic!("a hook's own affair"));
    let mut peer = running.dial().await;
    peer.send(GET).await;
    settle().await;
    let (one, other) = tokio::join!(running.server.shutdown(GRACE), running.server.shutdown(GRACE));
    assert_eq!((numbers(one), numbers(other)), ((1, 0, 0), (1, 0, 0)));
    settle().await;
    assert_eq!(called.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn hooks_are_started_by_a_shutdown_after_a_close_too() {
    let running = serve(hello);
    let called = Arc::new(Notify::new());
    let calls = called.clone();
    running.server.register_on_shutdown(move || calls.notify_one());
    running.server.close();
    running.server.shutdown(GRACE).await;
    tokio::time::timeout(secs(1), called.notified()).await.expect("the hook was called");
}

#[tokio::test(start_paused = true)]
async fn the_shorter_grace_of_two_shutdowns_counts() {
    let running = serve(async |_: &mut ResponseWriter, _: &mut Request| std::future::pending().await);
    let mut peer = running.dial().await;
    peer.send(GET).await;
    settle().await;
    let (long, short) = tokio::join!(running.server.shutdown(GRACE), running.server.shutdown(millis(4999)));
    assert_eq!(peer.end().await, End::silent(secs(5)));
    assert_eq!(numbers(short), (0, 1, 0));
    assert_eq!(long.cut + long.drained, 1);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_was_dropped_leaves_the_server_draining() {
    let running = serve(slow);
    let (mut peer, mut idle) = (running.dial().await, running.dial().await);
    peer.send(GET).await;
    settle().await;
    assert!(tokio::time::timeout(secs(1), running.server.shutdown(secs(2))).await.is_err());
    assert!(peer.answer().await.closes(), "the grace has no end any more");
    assert_eq!(idle.end().await.received, "");
    assert_closed(running).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_shut_down_serves_no_more() {
    for end in [Server::close, |server: &Server| drop(tokio::spawn(shut_down(server.clone())))] {
        let server = quiet(hello);
        end(&server);
        settle().await;
        let (listener, dialer) = testing::listener();
        let ended = server.serve(listener).await.unwrap_err();
        assert_eq!(ended.kind(), ErrorKind::ServerClosed);
        assert_eq!(server.listen_and_serve().await.unwrap_err().kind(), ErrorKind::ServerClosed);
        assert!(dialer.dial().await.is_err());
    }
}

async fn shut_down(server: Server) {
    server.shutdown(GRACE).await;
}

#[tokio::test(start_paused = true)]
async fn all_listeners_of_a_server_end_together() {
    let server = quiet(hello);
    let (one, other) = (start(server.clone()), start(server.clone()));
    let (mut first, mut second) = (one.dial().await, other.dial().await);
    assert_eq!(first.ask(GET).await.content, "hello");
    assert_eq!(second.ask(GET).await.content, "hello");
    assert_eq!(server.connections(), 2);
    assert_eq!(numbers(server.shutdown(GRACE).await), (2, 0, 0));
    assert_eq!((first.end().await.received, second.end().await.received), (String::new(), String::new()));
    assert_closed(one).await;
    assert_closed(other).await;
}

// ------------------------------------------------------------ close, and dropping

#[tokio::test(start_paused = true)]
async fn close_cuts_all_connections_now_and_may_be_called_again() {
    let running = serve(slow);
    let (mut silent, mut begun, mut under_way) = (running.dial().await, running.dial().await, running.dial().await);
    begun.send("GET /").await;
    under_way.send(GET).await;
    settle().await;
    running.server.close();
    running.server.close();
    for peer in [&mut silent, &mut begun, &mut under_way] {
        assert_eq!(peer.end().await, End::silent(millis(1)));
    }
    assert_eq!(running.server.connections(), 0);
    assert_closed(running).await;
}

#[tokio::test(start_paused = true)]
async fn a_cut_request_is_cancelled_and_its_body_lets_the_connection_go() {
    async fn keep(kept: &Arc<Notify>, _: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let (context, mut body): (Context, _) = (r.context().clone(), std::mem::take(&mut r.body));
        let kept = kept.clone();
        tokio::spawn(async move {
            let read = body.chunk().await;
            assert_eq!(read.unwrap_err().kind(), ErrorKind::RequestOver);
            context.cancelled().await;
            kept.notify_one();
            sleep(secs(1 << 20)).await;
            drop(body);
        });
        std::future::pending().await
    }
    let kept = Arc::new(Notify::new());
    let running = serve(handle_with(kept.clone(), keep));
    let mut peer = running.dial().await;
    peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n").await;
    settle().await;
    running.server.close();
    assert_eq!(peer.end().await, End::silent(millis(1)));
    tokio::time::timeout(secs(1), kept.notified()).await.expect("the request was cancelled");
}

#[tokio::test(start_paused = true)]
async fn dropping_the_serving_future_closes_the_listener_and_leaves_connections_be() {
    let running = serve(hello);
    let mut peer = running.dial().await;
    peer.ask(GET).await;
    running.serving.abort();
    settle().await;
    assert!(running.dialer.dial().await.is_err());
    assert_eq!(peer.ask(GET).await.content, "hello");
    // The server itself is not shut down: it may serve another listener.
    let again = start(running.server.clone());
    assert_eq!(dial(&again.dialer).await.ask(GET).await.content, "hello");
    assert_eq!(numbers(running.server.shutdown(GRACE).await), (2, 0, 0));
}
