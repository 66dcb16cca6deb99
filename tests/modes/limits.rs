//! Time limits on both sides, each in its phase, and limits of size.

use std::time::Duration;

use nethttp::client::Timeouts;
use nethttp::error::Phase;
use nethttp::{Error, ErrorKind, Request, ResponseWriter, Result, handle_with};
use tokio::time::{Instant, sleep, timeout};

use crate::fake::fed;
use crate::site::{Site, in_all_modes, whole};
use crate::support::{hello, millis, secs, settle};

type Told = tokio::sync::mpsc::UnboundedSender<Error>;

/// Answers in time, late, with a pause, or never.
async fn slow(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    match r.escaped_path() {
        "/late" => sleep(secs(20)).await,
        "/pause" => {
            w.write("begun").await?;
            w.flush().await?;
            sleep(secs(20)).await;
        }
        _ => {}
    }
    w.write("end").await
}

/// Which limit, in which phase, after so many seconds.
fn passed(error: &Error, began: Instant) -> (Option<&'static str>, Option<Phase>, u64) {
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    (error.limit(), error.phase(), began.elapsed().as_secs())
}

// ------------------------------------------------------------ the client's

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_late_is_not_waited_for() {
    in_all_modes(async |mode| {
        let site = Site::with(mode, slow, |_| {}, |transport| transport.response_header_timeout = secs(7));
        let began = Instant::now();
        let error = site.get("/late").await.unwrap_err();
        assert_eq!(passed(&error, began), (Some("response_header_timeout"), Some(Phase::Head), 7));
        assert_eq!(site.ask("/").await, (200, "end".into()));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn content_that_stalls_is_not_waited_for() {
    in_all_modes(async |mode| {
        let site = Site::with(mode, slow, |_| {}, |transport| transport.stall_timeout = secs(7));
        let began = Instant::now();
        let mut response = site.get("/pause").await.unwrap();
        assert_eq!(response.body.chunk().await.unwrap().unwrap(), "begun");
        let error = response.body.chunk().await.unwrap_err();
        assert_eq!(passed(&error, began), (Some("stall_timeout"), Some(Phase::Body), 7));
        drop(response);
        settle().await;
        assert_eq!(site.ask("/").await, (200, "end".into()));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_limit_over_all_counts_for_the_head_and_for_the_content() {
    in_all_modes(async |mode| {
        let site = Site::start(mode, slow);
        for (path, phase) in [("/late", Phase::Head), ("/pause", Phase::Body)] {
            let mut request = site.request(nethttp::Method::GET, path, ());
            request.timeouts = Timeouts { total: Some(secs(7)), ..Timeouts::default() };
            let began = Instant::now();
            let error = match site.client.send(request).await {
                Ok(mut response) => response.text().await.unwrap_err(),
                Err(error) => error,
            };
            assert_eq!((error.phase(), began.elapsed().as_secs()), (Some(phase), 7), "{error}");
            assert!(error.is_timeout());
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_takes_nothing_is_given_up() {
    in_all_modes(async |mode| {
        let deaf = async |_: &mut ResponseWriter, r: &mut Request| {
            sleep(secs(100)).await;
            r.body.bytes(100).await.map(drop)
        };
        let site = Site::with(mode, deaf, |_| {}, |transport| transport.stall_timeout = secs(7));
        let began = Instant::now();
        let error = site.post("/", vec![b'x'; 20 << 20]).await.unwrap_err();
        assert_eq!(passed(&error, began), (Some("stall_timeout"), Some(Phase::Write), 7));
    })
    .await;
}

// ------------------------------------------------------------ the server's

#[tokio::test(start_paused = true)]
async fn a_client_that_stalls_within_its_content_is_given_up() {
    in_all_modes(async |mode| {
        let (told, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let read = async |told: &Told, _: &mut ResponseWriter, r: &mut Request| {
            told.send(r.body.bytes(1000).await.unwrap_err()).unwrap();
            Ok(())
        };
        let site = Site::start(mode, handle_with(told, read));
        let (feed, body) = fed();
        feed.send(Ok("a part".into())).unwrap();
        let (began, _answer) = (Instant::now(), tokio::spawn(async move { site.post("/", body).await.map(drop) }));
        let error = seen.recv().await.unwrap();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Some(Phase::Body)));
        assert_eq!(began.elapsed().as_secs(), 30, "stall_timeout");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_given_up() {
    in_all_modes(async |mode| {
        let (told, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let pour = async |told: &Told, w: &mut ResponseWriter, _: &mut Request| {
            loop {
                if let Err(error) = w.write(vec![b'x'; 100_000]).await {
                    told.send(error).unwrap();
                    return Ok(());
                }
            }
        };
        let site = Site::start(mode, handle_with(told, pour));
        let began = Instant::now();
        let mut response = site.get("/").await.unwrap();
        let error = seen.recv().await.unwrap();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Some(Phase::Write)));
        assert_eq!(began.elapsed().as_secs(), 30, "stall_timeout");
        // What had come is here; the end is an error.
        let ended = loop {
            match response.body.chunk().await {
                Ok(Some(_)) => {}
                Ok(None) => break Ok(()),
                Err(error) => break Err(error.kind()),
            }
        };
        assert_eq!(ended, Err(ErrorKind::CutOff));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn absolute_limits_and_deadlines_of_handlers_hold() {
    in_all_modes(async |mode| {
        let (told, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let handler = async |told: &Told, w: &mut ResponseWriter, r: &mut Request| {
            match r.escaped_path() {
                "/read-deadline" => w.set_read_deadline(Some(Instant::now() + secs(2))),
                "/write-deadline" => w.set_write_deadline(Some(Instant::now() + secs(3))),
                _ => {}
            }
            if r.path().starts_with("/read") {
                told.send(r.body.bytes(1000).await.unwrap_err()).unwrap();
                return Ok(());
            }
            loop {
                if let Err(error) = w.write("tick").await.and(w.flush().await) {
                    told.send(error).unwrap();
                    return Ok(());
                }
                sleep(millis(100)).await;
            }
        };
        let limits = |server: &mut nethttp::Server| {
            server.read_timeout = secs(5);
            server.write_timeout = secs(6);
        };
        let site = Site::with(mode, handle_with(told, handler), limits, |_| {});
        for (path, phase, after) in [
            ("/read", Phase::Body, 5),
            ("/write", Phase::Write, 6),
            ("/read-deadline", Phase::Body, 2),
            ("/write-deadline", Phase::Write, 3),
        ] {
            let (feed, body) = fed();
            let body = if path.starts_with("/read") { body } else { nethttp::Body::empty() };
            let (request, client) = (site.request(nethttp::Method::POST, path, body), site.client.clone());
            let began = Instant::now();
            let answer = tokio::spawn(async move { client.send(request).await?.text().await });
            let error = seen.recv().await.unwrap();
            assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Some(phase)), "{path}");
            assert_eq!(began.elapsed().as_secs(), after, "{path}");
            if phase == Phase::Write {
                assert!(answer.await.unwrap().is_err(), "{path} is not whole");
            }
            drop(feed);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_server_closed_for_silence_costs_no_request() {
    in_all_modes(async |mode| {
        let site = Site::with(mode, hello, |server| server.idle_timeout = secs(10), |_| {});
        for round in 1..=3 {
            assert_eq!(whole(site.post("/", "not to be sent twice").await).await, (200, "hello".into()));
            assert_eq!(site.states.all().iter().map(|(info, _)| info.id).max(), Some(round));
            sleep(secs(20)).await;
            assert_eq!(site.server.connections(), 0);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_client_kept_for_too_long_is_closed() {
    in_all_modes(async |mode| {
        let site = Site::with(mode, hello, |_| {}, |transport| transport.idle_conn_timeout = secs(10));
        site.assert_lives("/").await;
        sleep(secs(9)).await;
        assert_eq!((site.server.connections(), site.transport.pool_stats()[0].idle), (1, 1));
        sleep(secs(2)).await;
        assert_eq!((site.server.connections(), site.transport.pool_stats().len()), (0, 0));
        site.assert_lives("/").await;
    })
    .await;
}

// ------------------------------------------------------------ peers that stall before all that

#[tokio::test(start_paused = true)]
async fn fifty_peers_that_stall_before_their_first_request_delay_no_other_peer() {
    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    const CLIENT_HELLO: &[u8] = &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3, 7, 7, 7, 7];
    in_all_modes(async |mode| {
        let site = Site::start(mode, hello);
        site.assert_lives("/").await;
        let before = answered_in(&site).await;
        let mut stalled = Vec::new();
        for number in 0..50 {
            let mut peer = crate::support::dial(&site.dialer).await;
            let beginning = match mode.is_secure() {
                true => &CLIENT_HELLO[..number % CLIENT_HELLO.len()],
                false => &PREFACE[..number % PREFACE.len()],
            };
            peer.send(beginning).await;
            stalled.push(peer);
        }
        sleep(secs(5)).await;
        assert_eq!(site.server.connections(), 51);
        assert_eq!(answered_in(&site).await, before, "as fast as before");
        sleep(secs(6)).await;
        assert_eq!(site.server.connections(), 1, "what stalls is closed 10 s after it was accepted");
        assert!(answered_in(&site).await <= before);
    })
    .await;
}

/// How long a request takes on a connection of its own, in time that passes when all wait.
async fn answered_in(site: &Site) -> Duration {
    let began = Instant::now();
    let client = site.another_client();
    let answer = timeout(secs(60), client.get(&*site.url("/"))).await.unwrap();
    assert_eq!(whole(answer).await, (200, "hello".into()));
    let took = began.elapsed();
    drop(client);
    settle().await;
    took
}

// ------------------------------------------------------------ sizes

#[tokio::test(start_paused = true)]
async fn heads_over_their_limit_are_refused_on_both_sides() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        if r.path() == "/large" {
            w.header().set("X-Large", "x".repeat(20_000));
        }
        w.write("answered").await
    };
    in_all_modes(async |mode| {
        let small = |server: &mut nethttp::Server| server.max_header_bytes = 8 << 10;
        let site = Site::with(mode, handler, small, |transport| transport.max_response_header_bytes = 10_000);
        let large = site.request(nethttp::Method::GET, "/", ()).with_header("X-Large", "x".repeat(9_000));
        assert_eq!(site.client.send(large).await.unwrap().status.as_u16(), 431);
        let error = site.get("/large").await.unwrap_err();
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Refused, Some(Phase::Head)), "{error}");
        site.assert_lives("/").await;
    })
    .await;
}
