//! The accept loop: which failures pass, how long it pauses for them, and what ends it.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nethttp::error::Phase;
use nethttp::server::ServerEvent;
use nethttp::{ErrorKind, Server};
use tokio::time::{Instant, sleep};

use crate::support::{GET, Running, hello, millis, quiet, secs, serve, settle, start};

/// What a listener says when the process has too many files open.
fn out_of_descriptors() -> io::Error {
    io::Error::from_raw_os_error(24)
}

fn fail(running: &Running, times: usize) {
    for _ in 0..times {
        running.dialer.fail_next_accept(out_of_descriptors());
    }
}

#[tokio::test(start_paused = true)]
async fn pauses_double_from_5_ms_to_a_second() {
    let waited = [0, 5, 15, 35, 75, 155, 315, 635, 1275, 2275, 3275, 4275];
    for (failures, waited) in waited.into_iter().enumerate() {
        let running = serve(hello);
        fail(&running, failures);
        let mut peer = running.dial().await;
        assert_eq!(peer.ask(GET).await.content, "hello");
        assert_eq!(peer.age(), millis(waited), "after {failures} failures");
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_makes_the_next_pause_short_again() {
    let running = serve(hello);
    fail(&running, 6);
    running.dial().await.ask(GET).await;
    fail(&running, 2);
    let mut peer = running.dial().await;
    peer.ask(GET).await;
    assert_eq!(peer.age(), millis(15));
}

#[tokio::test(start_paused = true)]
async fn what_passes_by_itself_does_not_end_the_server() {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted, TimedOut};
    for kind in [ConnectionAborted, ConnectionReset, Interrupted, TimedOut] {
        let running = serve(hello);
        running.dialer.fail_next_accept(kind.into());
        assert_eq!(running.dial().await.ask(GET).await.content, "hello", "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn connections_that_are_open_do_not_notice_a_pause() {
    let running = serve(hello);
    let mut peer = running.dial().await;
    peer.ask(GET).await;
    fail(&running, 20);
    sleep(secs(3)).await;
    peer.ask(GET).await;
    assert_eq!(peer.age(), secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_failures_is_reported_every_5_s_with_their_number() {
    let reports = Arc::new(Mutex::new(Vec::new()));
    let told = reports.clone();
    let began = Instant::now();
    let mut server = Server::new(hello);
    server.on_event = Some(Arc::new(move |event: &ServerEvent| {
        let ServerEvent::AcceptFailed { error, pause, unreported } = event else { panic!("{event}") };
        assert_eq!(error.raw_os_error(), Some(24));
        assert!(event.is_own_fault());
        told.lock().unwrap().push((began.elapsed(), *pause, *unreported));
    }));
    let running = start(server);
    // Those of the first five seconds are at 0, 5, 15, … 1275, 2275, 3275 and 4275 ms.
    fail(&running, 20);
    running.dial().await.ask(GET).await;
    let second = Duration::from_secs(1);
    assert_eq!(
        *reports.lock().unwrap(),
        [(Duration::ZERO, millis(5), 0), (millis(5275), second, 11), (millis(10_275), second, 4)]
    );
}

#[tokio::test(start_paused = true)]
async fn any_other_failure_ends_serving_and_leaves_connections_be() {
    let running = serve(hello);
    let mut peer = running.dial().await;
    peer.ask(GET).await;
    running.dialer.fail_next_accept(io::Error::other("the socket is broken"));
    let error = running.serving.await.unwrap().unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Io, Some(Phase::Accept)));
    assert_eq!(error.to_string(), "the listener failed: the socket is broken (while accepting a connection)");
    assert!(running.dialer.dial().await.is_err(), "the listener is closed");
    assert_eq!(peer.ask(GET).await.content, "hello");
}

#[tokio::test(start_paused = true)]
async fn a_failure_while_the_server_ends_is_no_failure() {
    let running = serve(hello);
    settle().await;
    running.server.close();
    running.dialer.fail_next_accept(io::Error::other("closed under it"));
    assert_eq!(running.serving.await.unwrap().unwrap_err().kind(), ErrorKind::ServerClosed);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_the_end_of_a_pause() {
    let running = start(quiet(hello));
    fail(&running, 20);
    sleep(millis(1500)).await;
    let began = Instant::now();
    running.server.shutdown(secs(100)).await;
    assert_eq!(running.serving.await.unwrap().unwrap_err().kind(), ErrorKind::ServerClosed);
    assert_eq!(began.elapsed(), Duration::ZERO);
}
