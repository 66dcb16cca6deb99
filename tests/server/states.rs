//! The states of a connection as the hook gets them, why connections close, and how many there may be.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nethttp::net::Addr;
use nethttp::server::{CloseReason, ConnState, ServerEvent, abort};
use nethttp::{Request, ResponseWriter, Result, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use crate::support::{End, GET, Peer, Running, States, hello, millis, quiet, secs, serve, settle, start};

const GET_AND_CLOSE: &str = "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

/// Does what the path says.
async fn app(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    match r.uri.path() {
        "/slow" => sleep(secs(10)).await,
        "/close" => w.header().set("Connection", "close"),
        "/until-close" => w.header().set("Transfer-Encoding", "identity"),
        "/short" => w.header().set("Content-Length", "100"),
        "/panic" => panic!("as asked"),
        "/abort" => abort(),
        "/fail" => {
            w.flush().await?;
            return Err(std::io::Error::other("as asked").into());
        }
        _ => {}
    }
    w.write("hello").await
}

fn recorded(handler: impl nethttp::Handler) -> (Running, States) {
    let mut server = quiet(handler);
    let states = States::of(&mut server);
    (start(server), states)
}

/// Sends these bytes on a connection of its own, leaves when the server has ended it or after a
/// moment, and says which states it went through and why it was closed.
async fn course_of(bytes: &str) -> (String, Option<CloseReason>) {
    let (running, states) = recorded(app);
    let mut peer = running.dial().await;
    peer.send(bytes).await;
    // A peer that is gone is waited for no longer.
    let _ = tokio::time::timeout(secs(2), peer.end()).await;
    drop(peer);
    settle().await;
    (states.line(1), states.reason(1))
}

// ------------------------------------------------------------ sequences

#[tokio::test(start_paused = true)]
async fn a_kept_connection_is_active_during_requests_and_idle_between_them() {
    let (running, states) = recorded(hello);
    let mut peer = running.dial().await;
    settle().await;
    assert_eq!(states.line(1), "new");
    peer.ask(GET).await;
    settle().await;
    assert_eq!(states.line(1), "new active idle");
    peer.ask(GET_AND_CLOSE).await;
    peer.end().await;
    settle().await;
    assert_eq!(states.line(1), "new active idle active closed");
    assert_eq!(states.reason(1), Some(CloseReason::PeerAsked));
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_active_from_the_first_byte_to_the_end_of_the_answer() {
    let (running, states) = recorded(app);
    let mut peer = running.dial().await;
    peer.send("G").await;
    settle().await;
    assert_eq!(states.line(1), "new active");
    peer.send("ET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await;
    sleep(secs(9)).await;
    assert_eq!(states.line(1), "new active");
    peer.answer().await;
    settle().await;
    assert_eq!(states.line(1), "new active idle");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_connects_and_leaves_was_new_and_is_closed() {
    assert_eq!(course_of("").await, ("new closed".to_owned(), Some(CloseReason::PeerGone)));
    assert_eq!(course_of("\r\n").await, ("new closed".to_owned(), Some(CloseReason::PeerGone)), "no request yet");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_leaves_within_a_head_was_active_and_gets_no_response() {
    let (running, states) = recorded(hello);
    let mut peer = running.dial().await;
    peer.send("GET / HT").await;
    peer.stream.shutdown().await.unwrap();
    assert_eq!(peer.end().await, End::silent(Duration::ZERO));
    settle().await;
    assert_eq!((states.line(1).as_str(), states.reason(1)), ("new active closed", Some(CloseReason::PeerGone)));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_no_valid_request_was_active_and_is_closed() {
    let refused = ("new active closed".to_owned(), Some(CloseReason::Refused));
    assert_eq!(course_of("garbage\r\n\r\n").await, refused);
    assert_eq!(course_of(&format!("{GET}garbage\r\n\r\n")).await, refused);
}

#[tokio::test(start_paused = true)]
async fn pipelined_requests_are_one_stretch_of_activity() {
    let (running, states) = recorded(hello);
    let mut peer = running.dial().await;
    peer.send([GET, GET, GET].concat()).await;
    for _ in 0..3 {
        assert_eq!(peer.answer().await.content, "hello");
    }
    settle().await;
    assert_eq!(states.line(1), "new active idle");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_was_taken_over_is_never_closed_by_the_server() {
    for panics in ["", "and panic"] {
        let handler = async |w: &mut ResponseWriter, r: &mut Request| {
            let mut taken = w.hijack().await?;
            // Ends with its two writes.
            tokio::spawn(async move {
                taken.write_all(b"raw ").await.unwrap();
                sleep(secs(300)).await;
                taken.write_all(b"bytes").await.unwrap();
            });
            if r.header.contains("Panic") {
                panic!("behind a hijack");
            }
            Ok(())
        };
        let events = Arc::new(Mutex::new(Vec::new()));
        let told = events.clone();
        let mut server = Server::new(handler);
        server.on_event = Some(Arc::new(move |event: &ServerEvent| told.lock().unwrap().push(event.to_string())));
        let states = States::of(&mut server);
        let running = start(server);
        let mut peer = running.dial().await;
        let field = if panics.is_empty() { "" } else { "Panic: yes\r\n" };
        peer.send(format!("GET /up HTTP/1.1\r\nHost: h\r\n{field}\r\n")).await;
        settle().await;
        assert_eq!(running.server.connections(), 0);
        assert_eq!(peer.end().await, End { received: "raw bytes".to_owned(), at: secs(300) });
        assert_eq!(states.line(1), "new active hijacked");
        let expected: &[&str] = match panics {
            "" => &[],
            _ => &["a handler panicked on GET /up from memory client 1: behind a hijack"],
        };
        assert_eq!(*events.lock().unwrap(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_hijacked_while_the_handler_that_took_it_still_runs() {
    let holding = async |w: &mut ResponseWriter, _: &mut Request| {
        let mut taken = w.hijack().await?;
        let _ = taken.read(&mut [0]).await;
        Ok(())
    };
    let (running, states) = recorded(holding);
    let mut peer = running.dial().await;
    peer.send(GET).await;
    settle().await;
    assert_eq!(states.line(1), "new active hijacked");
    drop(peer);
    settle().await;
    assert_eq!(states.line(1), "new active hijacked");
}

#[tokio::test(start_paused = true)]
async fn the_hook_gets_the_connections_info() {
    let (running, states) = recorded(hello);
    let (mut first, mut second) = (running.dial().await, running.dial().await);
    second.ask(GET).await;
    first.ask(GET).await;
    let told = states.all();
    let peers: Vec<(u64, String)> = told
        .iter()
        .filter(|(_, state)| *state == ConnState::New)
        .map(|(info, _)| (info.id, info.remote_addr.to_string()))
        .collect();
    assert_eq!(peers, [(1, "memory client 1".to_owned()), (2, "memory client 2".to_owned())]);
    assert!(told.iter().all(|(info, _)| info.local_addr == Addr::Named("memory".into()) && info.reason.is_none()));
}

// ------------------------------------------------------------ reasons

#[tokio::test(start_paused = true)]
async fn every_close_has_its_reason() {
    let cases = [
        ("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", CloseReason::PeerAsked),
        ("GET /close HTTP/1.1\r\nHost: h\r\n\r\n", CloseReason::HandlerAsked),
        ("GET / HTTP/1.0\r\n\r\n", CloseReason::Http10),
        ("GET /until-close HTTP/1.1\r\nHost: h\r\n\r\n", CloseReason::FramingByClose),
        ("CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", CloseReason::Tunnel),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 300000\r\n\r\n", CloseReason::BodyUnread),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n", CloseReason::BodyUnread),
        ("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", CloseReason::BodyUnread),
        ("GET /short HTTP/1.1\r\nHost: h\r\n\r\n", CloseReason::ContentShort),
        ("GET /fail HTTP/1.1\r\nHost: h\r\n\r\n", CloseReason::HandlerFailed),
        ("GET /abort HTTP/1.1\r\nHost: h\r\n\r\n", CloseReason::HandlerFailed),
        ("GET /panic HTTP/1.1\r\nHost: h\r\n\r\n", CloseReason::Panicked),
        ("GET / HTTP/1.1\r\n\r\n", CloseReason::Refused),
    ];
    for (request, reason) in cases {
        assert_eq!(course_of(request).await, ("new active closed".to_owned(), Some(reason)), "{request}");
    }
    assert_eq!(course_of(GET).await, ("new active idle closed".to_owned(), Some(CloseReason::PeerGone)));
}

// ------------------------------------------------------------ how many

fn limited(most: usize) -> (Running, States) {
    let mut server = quiet(app);
    server.max_connections = most;
    let states = States::of(&mut server);
    (start(server), states)
}

async fn ask_and_wait(running: &Running) -> Peer {
    let mut peer = running.dial().await;
    assert_eq!(peer.ask(GET).await.content, "hello");
    sleep(secs(1)).await;
    peer
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_takes_the_place_of_the_one_that_has_been_idle_longest() {
    let (running, states) = limited(3);
    let mut first = ask_and_wait(&running).await;
    let mut second = ask_and_wait(&running).await;
    let _third = ask_and_wait(&running).await;
    first.ask(GET).await;
    sleep(secs(1)).await;
    let mut fourth = running.dial().await;
    assert_eq!((fourth.ask(GET).await.status, fourth.age()), (200, Duration::ZERO));
    assert_eq!(second.end().await, End::silent(secs(3)));
    assert_eq!(states.reason(2), Some(CloseReason::Evicted));
    settle().await;
    assert_eq!([states.reason(1), states.reason(3)], [None, None], "one was enough");
    assert_eq!(running.server.connections(), 3);
}

#[tokio::test(start_paused = true)]
async fn where_none_is_idle_one_that_has_said_nothing_for_a_second_makes_room() {
    let (running, states) = limited(2);
    let mut silent = running.dial().await;
    settle().await;
    let mut second = running.dial().await;
    settle().await;
    let mut third = running.dial().await;
    assert_eq!((third.ask(GET).await.status, third.age()), (200, secs(1)));
    assert_eq!(silent.end().await.received, "");
    assert_eq!(states.reason(1), Some(CloseReason::Evicted));
    assert_eq!(second.ask(GET).await.status, 200, "one was enough");
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_panics_ends_no_connection_and_no_listener() {
    let reported = Arc::<Mutex<Vec<String>>>::default();
    let mut server = quiet(app);
    let told = reported.clone();
    server.on_event = Some(Arc::new(move |event| told.lock().unwrap().push(event.to_string())));
    server.conn_state = Some(Arc::new(|_, state| panic!("cannot count {state}")));
    server.on_request = Some(Arc::new(|_| panic!("cannot log")));
    let running = start(server);
    for _ in 0..2 {
        let mut peer = running.dial().await;
        assert_eq!(peer.ask(GET).await.content, "hello");
        assert_eq!(peer.ask(GET).await.content, "hello");
    }
    let reported = reported.lock().unwrap().clone();
    assert!(reported.contains(&"the hook conn_state panicked: cannot count new".to_owned()), "{reported:?}");
    assert!(reported.contains(&"the hook on_request panicked: cannot log".to_owned()), "{reported:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_context_cannot_be_made_is_closed_alone() {
    let mut server = quiet(app);
    server.conn_context = Some(Arc::new(|values, info| if info.id == 1 { panic!("not this one") } else { values }));
    let running = start(server);
    let mut first = running.dial().await;
    assert_eq!(first.end().await, End::silent(Duration::ZERO));
    let mut second = running.dial().await;
    assert_eq!(second.ask(GET).await.content, "hello");
    assert_eq!(running.server.connections(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_connection_is_evicted_while_there_is_room() {
    let (running, _) = limited(2);
    let first = ask_and_wait(&running).await;
    let mut second = ask_and_wait(&running).await;
    drop(first);
    settle().await;
    let mut third = running.dial().await;
    third.ask(GET).await;
    second.assert_open_at(secs(60)).await;
    third.assert_open_at(secs(60)).await;
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_waits_while_all_others_are_busy() {
    let (running, states) = limited(1);
    let mut busy = running.dial().await;
    busy.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await;
    settle().await;
    let mut waiting = running.dial().await;
    waiting.send(GET).await;
    waiting.assert_open_at(secs(5)).await;
    assert_eq!(running.server.connections(), 1);
    assert_eq!(waiting.answer().await.content, "hello");
    assert_eq!(waiting.age(), secs(10) - millis(1));
    assert_eq!(busy.answer().await.content, "hello", "the busy one was answered");
    assert_eq!(busy.end().await.received, "", "and gave way instead of going idle");
    assert_eq!(states.reason(1), Some(CloseReason::Evicted));
}

#[tokio::test(start_paused = true)]
async fn connections_that_wait_for_room_come_in_one_after_the_other() {
    let (running, _) = limited(1);
    let mut peers = Vec::new();
    for _ in 0..3 {
        let mut peer = running.dial().await;
        peer.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await;
        peers.push(peer);
    }
    for (peer, at) in peers.iter_mut().zip([10, 20, 30]) {
        assert_eq!(peer.answer().await.content, "hello");
        assert_eq!(peer.age(), secs(at));
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_the_wait_for_room() {
    let (running, _) = limited(1);
    let mut busy = running.dial().await;
    busy.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await;
    settle().await;
    let mut waiting = running.dial().await;
    waiting.send(GET).await;
    settle().await;
    let report = running.server.shutdown(secs(100)).await;
    assert_eq!((report.drained, report.cut), (1, 0));
    assert_eq!(waiting.end().await.received, "");
    assert!(busy.answer().await.closes());
}

// ------------------------------------------------------------ keep-alives

#[tokio::test(start_paused = true)]
async fn switching_keep_alives_off_closes_idle_connections_at_once() {
    let (running, states) = recorded(hello);
    let mut idle = running.dial().await;
    idle.ask(GET).await;
    idle.wait_until(secs(3)).await;
    running.server.set_keep_alives_enabled(false);
    assert_eq!(idle.end().await, End::silent(secs(3)));
    settle().await;
    assert_eq!(states.reason(1), Some(CloseReason::KeepAlivesOff));
}

#[tokio::test(start_paused = true)]
async fn with_keep_alives_off_every_answer_says_close() {
    let (running, states) = recorded(app);
    let (mut silent, mut busy) = (running.dial().await, running.dial().await);
    busy.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await;
    settle().await;
    running.server.set_keep_alives_enabled(false);
    silent.assert_open_at(secs(2)).await;
    let mut fresh = running.dial().await;
    silent.send(GET).await;
    fresh.send(GET).await;
    for peer in [&mut silent, &mut fresh, &mut busy] {
        assert!(peer.answer().await.closes());
        assert_eq!(peer.end().await.received, "");
    }
    settle().await;
    assert_eq!([1, 2, 3].map(|id| states.reason(id)), [Some(CloseReason::KeepAlivesOff); 3]);
}

#[tokio::test(start_paused = true)]
async fn keep_alives_can_be_switched_on_again() {
    let running = serve(hello);
    running.server.set_keep_alives_enabled(false);
    assert!(running.dial().await.ask(GET).await.closes());
    running.server.set_keep_alives_enabled(true);
    let mut peer = running.dial().await;
    for _ in 0..2 {
        assert_eq!(peer.ask(GET).await.field("Connection"), None);
    }
}
