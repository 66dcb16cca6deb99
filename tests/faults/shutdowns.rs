//! Shutdowns under load, with clients that have died or stopped in each phase among those that are well.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nethttp::client::{ClientProtocols, Proxy};
use nethttp::error::Sent;
use nethttp::server::ServerEvent;
use nethttp::tls::{TlsConfig, TlsRoots};
use nethttp::{Client, Error, ErrorKind, Request, ResponseWriter, Result, Server, Transport, handle_with};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::alone::{alone, descriptors, is_alone, until};
use crate::moments::{MOMENTS, Moment, bring, die_on, exists};
use crate::paths::{AUTHORITY, listener, server_tls};
use crate::site::{MODES, Mode};
use crate::support::{secs, settle};

const GRACE: u64 = 100;

/// How long a shutdown waits for a client that has stopped there: not at all, until its limit passes, or
/// for the whole grace.
fn waits(mode: Mode, moment: Moment) -> u64 {
    match moment {
        Moment::Accepted | Moment::Idle => 0,
        // Who has begun a handshake has begun to speak.
        Moment::Handshake | Moment::Head => 10,
        Moment::Content | Moment::Answer => 30,
        // A second more for the rest of the content; HTTP/1 closes on it.
        Moment::Unread if mode.is_http2() => 61,
        Moment::Handler | Moment::Unread => 60,
    }
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_a_client_that_has_stopped_as_long_as_its_phase_may_last_and_no_longer() {
    for mode in MODES {
        for moment in MOMENTS.into_iter().filter(|moment| exists(mode, *moment)) {
            let (told, _seen) = unbounded_channel();
            let mut server = Server::new(handle_with(told, die_on));
            server.on_event = Some(Arc::new(|_: &ServerEvent| {}));
            let (listener, dialer) = listener();
            let serving = server.clone();
            tokio::spawn(async move {
                match mode.is_secure() {
                    true => serving.serve_tls(listener, &server_tls()).await,
                    false => serving.serve(listener).await,
                }
            });
            let (stream, _) = dialer.dial();
            let stopped = bring(mode, moment, stream).await;
            settle().await;
            let began = Instant::now();
            let report = server.shutdown(secs(GRACE)).await;
            let waited = (began.elapsed() + Duration::from_millis(490)).as_secs();
            assert_eq!((report.drained, report.cut, waited), (1, 0, waits(mode, moment)), "{mode:?} {moment:?}");
            drop(stopped);
            settle().await;
            assert_eq!(Handle::current().metrics().num_alive_tasks(), 0, "{mode:?} {moment:?} left a task");
        }
    }
}

// ------------------------------------------------------------ on sockets

#[test]
fn what_was_taken_is_answered_when_a_server_on_sockets_ends_under_load() {
    alone("shutdowns::end_under_load", "");
}

/// Answers with what it was sent, after a moment.
async fn work(begun: &Arc<AtomicU64>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    if r.path() != "/work" {
        r.context().draining().await;
        return w.write("ended").await;
    }
    begun.fetch_add(1, Ordering::SeqCst);
    let content = r.body.bytes(1 << 20).await?;
    tokio::task::yield_now().await;
    w.write_bytes(content).await
}

fn client(mode: Mode) -> Client {
    let mut transport = Transport::new();
    transport.proxy = Proxy::none();
    transport.protocols = match mode {
        Mode::Http2 => ClientProtocols::Http2,
        Mode::Http1Tls => ClientProtocols::Http1,
        Mode::Http1 | Mode::Http2Tls => ClientProtocols::Auto,
    };
    transport.set_tls(TlsConfig::new().roots(TlsRoots::None).add_root_pem(AUTHORITY.pem()).unwrap());
    let mut client = Client::new();
    client.transport = Arc::new(transport);
    client
}

/// Asks until the server is gone: how many were answered, and what the last one met.
async fn ask_to_the_end(client: Client, url: String) -> (u64, Error) {
    let content = "0123456789".repeat(1000);
    for answered in 0.. {
        // POST is not sent again by itself once the server may have seen it.
        let asked = async { client.post(&*url, "text/plain", content.clone()).await?.text().await };
        match asked.await {
            Ok(text) => assert!(text == content, "an answer that looks whole is whole"),
            Err(error) => return (answered, error),
        }
    }
    unreachable!("the server ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by the test above, in a process of its own"]
async fn end_under_load() {
    if !is_alone() {
        return;
    }
    // What is made once and kept.
    load(Mode::Http1Tls, Way::Shutdown).await;
    let metrics = Handle::current().metrics();
    until("all is over", || metrics.num_alive_tasks() == 0).await;
    let open = descriptors();
    for mode in MODES {
        for way in [Way::Shutdown, Way::Close] {
            load(mode, way).await;
            until("no task is left", || metrics.num_alive_tasks() == 0).await;
            until("no descriptor is left", || descriptors() == open).await;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Shutdown,
    Close,
}

async fn load(mode: Mode, way: Way) {
    let begun = Arc::new(AtomicU64::new(0));
    let mut server = Server::new(handle_with(begun.clone(), work));
    server.on_event = Some(Arc::new(|_: &ServerEvent| {}));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = socket.local_addr().unwrap();
    let serving = server.clone();
    let served = tokio::spawn(async move {
        match mode.is_secure() {
            true => serving.serve_tls(socket, &server_tls()).await,
            false => serving.serve(socket).await,
        }
    });
    let scheme = if mode.is_secure() { "https" } else { "http" };
    let url = format!("{scheme}://{addr}/work");
    let mut workers = JoinSet::new();
    for _ in 0..4 {
        let client = client(mode);
        for _ in 0..4 {
            workers.spawn(ask_to_the_end(client.clone(), url.clone()));
        }
    }
    // Among them those that stopped and will not go on.
    let mut stopped = Vec::new();
    for moment in [Moment::Accepted, Moment::Idle, Moment::Handler] {
        let stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        if moment != Moment::Idle {
            stopped.push(bring(mode, moment, stream).await);
        }
    }
    until("there is load", || begun.load(Ordering::SeqCst) > 500).await;
    match way {
        Way::Shutdown => assert_eq!(server.shutdown(secs(60)).await.cut, 0, "{mode:?}"),
        Way::Close => server.close(),
    }
    assert_eq!(served.await.unwrap().unwrap_err().kind(), ErrorKind::ServerClosed);
    let mut answered = 0;
    for (count, error) in workers.join_all().await {
        answered += count;
        // HTTP/1 has no word for it: a request may be on its way to a connection that closes as idle. No
        // handler begins it, as is counted below. HTTP/2 says which requests it has not taken.
        let is_known = mode.is_http2() && way == Way::Shutdown;
        assert!(!is_known || error.sent() == Some(Sent::No), "{mode:?}: {error}");
    }
    if way == Way::Shutdown {
        assert_eq!(begun.load(Ordering::SeqCst), answered, "{mode:?}: what a handler began was answered");
    }
    drop(stopped);
    until("no connection is left", || server.connections() == 0).await;
}
