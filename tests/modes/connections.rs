//! Connections: how many there are, in which states, and who gets one.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use nethttp::client::{ClientProtocols, HostStats};
use nethttp::server::{CloseReason, Protocols};
use nethttp::{Request, ResponseWriter, Result, Transport, Version, handle_with};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::fake::counts;
use crate::site::{Mode, Site, in_all_modes, whole};
use crate::support::{hello, millis, secs, settle};

/// Sends so many requests at once, and waits for their answers.
async fn all_at_once(site: &Site, count: usize) -> Vec<(u16, String)> {
    let mut asking = JoinSet::new();
    for number in 0..count {
        let request = site.request(nethttp::Method::POST, &format!("/{number}"), format!("content {number}"));
        let client = site.client.clone();
        asking.spawn(async move { whole(client.send(request).await).await });
    }
    asking.join_all().await
}

/// Answers after a second with target and content, and counts how many do so at a time.
#[derive(Default)]
struct Crowd {
    now: AtomicUsize,
    most: AtomicUsize,
}

async fn crowded(crowd: &Arc<Crowd>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let now = crowd.now.fetch_add(1, Ordering::SeqCst) + 1;
    crowd.most.fetch_max(now, Ordering::SeqCst);
    let content = r.body.text().await?;
    tokio::time::sleep(secs(1)).await;
    crowd.now.fetch_sub(1, Ordering::SeqCst);
    w.write(format!("{} {content}", r.path())).await
}

#[tokio::test(start_paused = true)]
async fn a_hundred_requests_at_once_are_each_answered_with_their_own() {
    in_all_modes(async |mode| {
        let crowd = Arc::new(Crowd::default());
        let site = Site::start(mode, handle_with(crowd.clone(), crowded));
        let began = tokio::time::Instant::now();
        let mut answers = all_at_once(&site, 100).await;
        assert_eq!((crowd.most.load(Ordering::SeqCst), began.elapsed().as_secs()), (100, 1));
        answers.sort();
        let mut expected: Vec<_> = (0..100).map(|n| (200, format!("/{n} content {n}"))).collect();
        expected.sort();
        assert_eq!(answers, expected);
        settle().await;
        let connections = if mode.is_http2() { 1 } else { 32 };
        assert_eq!(counts(&site.transport), (connections, 0, 0, 0));
        assert_eq!(site.server.connections(), connections, "Go keeps 2 and we 32; one is enough for HTTP/2");
        assert!(site.events().await.is_empty());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_pool_says_what_its_connections_do() {
    async fn wait(go: &Arc<Notify>, w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
        go.notified().await;
        w.write("waited").await
    }
    in_all_modes(async |mode| {
        let go = Arc::new(Notify::new());
        let site = Site::start(mode, handle_with(go.clone(), wait));
        assert!(site.transport.pool_stats().is_empty());
        let (client, url) = (site.client.clone(), site.url("/"));
        let mut asking = JoinSet::new();
        for _ in 0..3 {
            let (client, url) = (client.clone(), url.clone());
            asking.spawn(async move { whole(client.get(&*url).await).await });
        }
        settle().await;
        let connections = if mode.is_http2() { 1 } else { 3 };
        assert_eq!(counts(&site.transport), (0, connections, 0, 0));
        let HostStats { host, .. } = &site.transport.pool_stats()[0];
        assert_eq!(*host, if mode.is_secure() { "https://a.test:443" } else { "http://a.test:80" });
        go.notify_waiters();
        asking.join_all().await;
        settle().await;
        assert_eq!(counts(&site.transport), (connections, 0, 0, 0));
        site.client.close_idle_connections();
        settle().await;
        assert_eq!((counts(&site.transport), site.server.connections()), ((0, 0, 0, 0), 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn requests_wait_for_one_of_few_connections_in_their_order() {
    in_all_modes(async |mode| {
        let crowd = Arc::new(Crowd::default());
        let handler = handle_with(crowd.clone(), crowded);
        let site = Site::with(mode, handler, |_| {}, |transport| transport.max_conns_per_host = 2);
        assert_eq!(all_at_once(&site, 10).await.len(), 10);
        let most = if mode.is_http2() { 10 } else { 2 };
        assert_eq!(crowd.most.load(Ordering::SeqCst), most);
        assert!(site.server.connections() <= 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_few_streams_gets_more_connections_or_none() {
    for mode in [Mode::Http2, Mode::Http2Tls] {
        for strict in [false, true] {
            let crowd = Arc::new(Crowd::default());
            let few = |server: &mut nethttp::Server| server.http2.max_concurrent_streams = 3;
            let choose = |transport: &mut Transport| transport.strict_max_concurrent_streams = strict;
            let site = Site::with(mode, handle_with(crowd.clone(), crowded), few, choose);
            // The peer says how many it takes in its first frame.
            assert_eq!(all_at_once(&site, 1).await.len(), 1);
            assert_eq!(all_at_once(&site, 10).await.len(), 10);
            let (most, connections) = (crowd.most.load(Ordering::SeqCst), site.server.connections());
            if strict {
                assert_eq!((most, connections), (3, 1));
            } else {
                // A new connection gets all that wait, before it has said how many it takes.
                assert!(most > 3 && connections > 1, "{most} on {connections}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn connections_that_are_idle_make_room_for_new_ones() {
    in_all_modes(async |mode| {
        let site = Site::with(mode, hello, |server| server.max_connections = 2, |_| {});
        let clients: Vec<_> = (0..10).map(|_| site.another_client()).collect();
        for _ in 0..2 {
            for client in &clients {
                assert_eq!(whole(client.get(&*site.url("/")).await).await, (200, "hello".into()));
                settle().await;
                assert!(site.server.connections() <= 2);
            }
        }
        assert_eq!(site.states.reason(1), Some(CloseReason::Evicted));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_waits_where_no_other_is_idle() {
    in_all_modes(async |mode| {
        let crowd = Arc::new(Crowd::default());
        let handler = handle_with(crowd.clone(), crowded);
        let site = Site::with(mode, handler, |server| server.max_connections = 2, |_| {});
        let mut asking = JoinSet::new();
        for number in 0..6 {
            let (client, url) = (site.another_client(), site.url(&format!("/{number}")));
            asking.spawn(async move { whole(client.get(&*url).await).await.0 });
        }
        assert_eq!(asking.join_all().await, [200; 6]);
        assert_eq!(crowd.most.load(Ordering::SeqCst), 2);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn states_are_reported_in_order() {
    in_all_modes(async |mode| {
        let site = Site::start(mode, hello);
        for _ in 0..2 {
            site.assert_lives("/").await;
            settle().await;
        }
        // In the clear HTTP/2 is there before the first request is; over TLS, with it.
        let expected = ["new active idle active idle", "new active idle active idle active idle"];
        let line = site.states.line(1);
        assert!(line == expected[0] || mode.is_http2() && line == expected[1], "{line}");
        site.client.close_idle_connections();
        settle().await;
        assert_eq!(site.states.line(1), format!("{line} closed"));
        assert_eq!(site.states.reason(1), Some(CloseReason::PeerGone));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn without_keep_alive_each_request_has_a_connection() {
    in_all_modes(async |mode| {
        let site = Site::with(mode, hello, |_| {}, |transport| transport.disable_keep_alives = true);
        for round in 1..=3 {
            site.assert_lives("/").await;
            settle().await;
            assert_eq!(site.server.connections(), 0);
            assert_eq!(site.states.all().iter().map(|(info, _)| info.id).max(), Some(round));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_keeps_no_connection_answers_each_request_all_the_same() {
    in_all_modes(async |mode| {
        let site = Site::start(mode, hello);
        site.server.set_keep_alives_enabled(false);
        for round in 1..=3 {
            site.assert_lives("/").await;
            tokio::time::sleep(secs(1)).await;
            assert_eq!(site.server.connections(), 0);
            assert_eq!(site.states.all().iter().map(|(info, _)| info.id).max(), Some(round));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_every_connection_at_once_is_not_dialled_for_ever() {
    // SETTINGS, and GOAWAY before any stream.
    const GOODBYE: &[u8] = b"\0\0\0\x04\0\0\0\0\0\0\0\x08\x07\0\0\0\0\0\0\0\0\0\0\0\0\0";
    let (transport, mut server) = crate::fake::fake();
    let mut transport = transport;
    transport.protocols = ClientProtocols::Http2;
    let (client, transport) = crate::fake::client_of(transport);
    let (dials, began) = (server.dials.clone(), tokio::time::Instant::now());
    tokio::spawn(async move {
        let mut conns = Vec::new();
        while let Some(mut conn) = server.next().await {
            conn.send(GOODBYE).await;
            conns.push(conn);
        }
    });
    let error = tokio::time::timeout(secs(60), client.get("http://a.test/")).await.unwrap().unwrap_err();
    assert_eq!(error.sent(), Some(nethttp::error::Sent::No), "{error}");
    assert_eq!(dials.load(Ordering::Relaxed), 7, "{error}");
    assert_eq!(began.elapsed().as_millis() / 100, 31, "with pauses that double");
    settle().await;
    assert_eq!(counts(&transport), (0, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_protocol_that_both_sides_support_is_chosen() {
    let only = |http1, http2| Protocols { http1, http2, ..Protocols::default() };
    use ClientProtocols::{Auto, Http1, Http2};
    for (client, server, spoken) in [
        (Auto, only(true, true), Some(Version::HTTP_2)),
        (Auto, only(true, false), Some(Version::HTTP_11)),
        (Auto, only(false, true), Some(Version::HTTP_2)),
        (Http1, only(true, true), Some(Version::HTTP_11)),
        (Http1, only(false, true), None),
        (Http2, only(true, true), Some(Version::HTTP_2)),
        (Http2, only(true, false), None),
    ] {
        let choose = |transport: &mut Transport| transport.protocols = client;
        let site = Site::with(Mode::Http2Tls, hello, |settings| settings.protocols = server, choose);
        match site.get("/").await {
            Ok(response) => assert_eq!(Some(response.proto), spoken, "{client:?} {server:?}"),
            Err(error) => {
                assert_eq!(spoken, None, "{error}");
                assert_eq!(error.kind(), nethttp::ErrorKind::Tls, "{error}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn requests_are_recorded_when_they_are_over() {
    in_all_modes(async |mode| {
        let records: Arc<Mutex<Vec<String>>> = Arc::default();
        let told = records.clone();
        let handler = async |w: &mut ResponseWriter, r: &mut Request| {
            tokio::time::sleep(millis(1500)).await;
            if r.path() == "/fails" { Err(nethttp::Error::other("no")) } else { w.write("hello").await }
        };
        let record = |server: &mut nethttp::Server| {
            server.on_request = Some(Arc::new(move |record: &nethttp::server::RequestRecord| {
                let status = record.status.map_or(0, |status| status.as_u16());
                let nethttp::server::RequestRecord { method, target, proto, content_bytes, duration, .. } = record;
                let line = format!("{method} {target} {proto:?} {status} {content_bytes} {}", duration.as_millis());
                told.lock().unwrap().push(line);
            }));
        };
        let site = Site::with(mode, handler, record, |_| {});
        site.ask("/a?b").await;
        site.ask("/fails").await;
        settle().await;
        let proto = if mode.is_http2() { "HTTP/2.0" } else { "HTTP/1.1" };
        let expected = [format!("GET /a?b {proto} 200 5 1500"), format!("GET /fails {proto} 500 26 1500")];
        assert_eq!(*records.lock().unwrap(), expected);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_long_wait_on_a_kept_connection_is_no_sign_of_a_dead_peer() {
    let slow = async |served: &Arc<AtomicUsize>, w: &mut ResponseWriter, _: &mut Request| {
        served.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(secs(30)).await;
        w.write("slow").await
    };
    in_all_modes(async |mode| {
        let served = Arc::new(AtomicUsize::new(0));
        let site = Site::start(mode, handle_with(served.clone(), slow));
        for number in 1..=3 {
            let began = tokio::time::Instant::now();
            assert_eq!(site.ask("/").await, (200, "slow".into()));
            // Twice as long where the client took the connection for dead, and asked again.
            assert_eq!((began.elapsed(), served.load(Ordering::SeqCst)), (secs(30), number));
        }
        assert_eq!(site.server.connections(), 1);
    })
    .await;
}
