//! `RateLimit`, `ConcurrencyLimit` and `BodyLimit`, to the millisecond.

use std::sync::Arc;
use std::time::Duration;

use nethttp::middleware::{BodyLimit, ConcurrencyLimit, GrpcDeadline, RateLimit};
use nethttp::{Handler, Method, Request, ResponseWriter, Result, ServeMux, handle_with};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use crate::site::{Mode, Site, in_all_modes, whole};
use crate::support::{millis, secs, settle};
use crate::{answer, ask, field, from_test_peer, get};

// ------------------------------------------------------------ rates

fn limited(mode: Mode, limit: RateLimit) -> Site {
    let mux = ServeMux::new();
    mux.handle("GET /", answer);
    mux.wrap(from_test_peer);
    mux.wrap(limit);
    Site::start(mode, mux)
}

async fn status_from(site: &Site, peer: &str) -> u16 {
    get(site, "/", &[("X-Test-Peer", peer)]).await.status.as_u16()
}

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_as_long_as_it_is_told_comes_in_again() {
    in_all_modes(async |mode| {
        let site = limited(mode, RateLimit::new(4, secs(10)).burst(2));
        let expected =
            [(200, "\"default\";r=1;t=3", ""), (200, "\"default\";r=0;t=5", ""), (429, "\"default\";r=0;t=5", "3")];
        for (status, limit, retry_after) in expected {
            let response = get(&site, "/", &[]).await;
            assert_eq!(response.status.as_u16(), status);
            assert_eq!(field(&response.header, "RateLimit-Policy"), "\"default\";q=4;w=10");
            assert_eq!(field(&response.header, "RateLimit"), limit);
            assert_eq!(field(&response.header, "Retry-After"), retry_after);
        }
        sleep(millis(2400)).await;
        assert_eq!(get(&site, "/", &[]).await.status.as_u16(), 429, "2.5 s are an interval");
        sleep(millis(100)).await;
        assert_eq!(get(&site, "/", &[]).await.status.as_u16(), 200);
        assert_eq!(get(&site, "/", &[]).await.status.as_u16(), 429);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_is_an_address_and_of_ipv6_a_network() {
    in_all_modes(async |mode| {
        let site = limited(mode, RateLimit::new(1, secs(60)));
        for (peer, status) in [
            ("1.1.1.1", 200),
            ("1.1.1.1", 429),
            ("1.1.1.2", 200),
            ("::ffff:1.1.1.1", 429),
            ("2001:db8:0:1::1", 200),
            ("2001:db8:0:1:ffff::2", 429),
            ("2001:db8:0:2::1", 200),
            // Peers without an address are one client.
            ("", 200),
            ("", 429),
        ] {
            assert_eq!(status_from(&site, peer).await, status, "{peer}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_has_no_key_is_not_limited_and_limits_add_up() {
    in_all_modes(async |mode| {
        let mux = ServeMux::new();
        mux.handle("GET /", answer);
        let by_key = |r: &Request| r.header.get("X-Key").map(str::to_owned);
        mux.wrap(RateLimit::new(1, secs(60)).name("keys").by(by_key));
        mux.wrap(RateLimit::new(5, secs(60)).name("all").by(|_| Some(())));
        let site = Site::start(mode, mux);
        let response = get(&site, "/", &[("X-Key", "a")]).await;
        assert_eq!(field(&response.header, "RateLimit-Policy"), "\"all\";q=5;w=60, \"keys\";q=1;w=60");
        // The outer one refuses, and the inner one has counted nothing.
        assert_eq!(get(&site, "/", &[("X-Key", "a")]).await.status.as_u16(), 429);
        for expected in [200, 200, 200, 200, 429] {
            let response = get(&site, "/", &[]).await;
            assert_eq!(response.status.as_u16(), expected);
            assert_eq!(response.header.values("RateLimit").count(), 1);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn fields_can_be_left_out_and_a_refusal_still_says_when() {
    in_all_modes(async |mode| {
        let limit = RateLimit::new(1, millis(1500)).without_fields();
        let site = limited(mode, limit);
        let names = |response: &nethttp::Response| {
            ["RateLimit", "RateLimit-Policy", "Retry-After"].map(|name| field(&response.header, name))
        };
        assert_eq!(names(&get(&site, "/", &[]).await), ["", "", ""]);
        assert_eq!(names(&get(&site, "/", &[]).await), ["", "", "2"]);
    })
    .await;
}

// ------------------------------------------------------------ requests at a time

/// A handler that holds each request until the test lets one go.
fn held() -> (Arc<Semaphore>, impl Handler) {
    let gate = Arc::new(Semaphore::new(0));
    let wait = async |gate: &Arc<Semaphore>, w: &mut ResponseWriter, _: &mut Request| {
        gate.acquire().await.unwrap().forget();
        w.write("done").await
    };
    (gate.clone(), handle_with(gate, wait))
}

fn spawn_get(site: &Site) -> tokio::task::JoinHandle<(u16, String)> {
    // A client of its own: over HTTP/1 a connection holds one request.
    let (client, url) = (site.another_client(), site.url("/"));
    tokio::spawn(async move { whole(client.get(&*url).await).await })
}

#[tokio::test(start_paused = true)]
async fn so_many_are_handled_so_many_wait_and_the_others_come_back_later() {
    in_all_modes(async |mode| {
        let (gate, handler) = held();
        let limit = ConcurrencyLimit::new(2).queue(1, secs(5)).retry_after(secs(3));
        let site = Site::start(mode, handler.wrapped_in(limit));
        let (one, two) = (spawn_get(&site), spawn_get(&site));
        settle().await;
        let three = spawn_get(&site);
        settle().await;
        let response = get(&site, "/", &[]).await;
        assert_eq!((response.status.as_u16(), field(&response.header, "Retry-After").as_str()), (503, "3"));
        assert_eq!(site.events().await, [""; 0], "nobody's fault, and no line in a log for each");
        gate.add_permits(3);
        for request in [one, two, three] {
            assert_eq!(request.await.unwrap(), (200, "done".into()));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_has_waited_long_enough_is_told_and_its_place_is_free() {
    in_all_modes(async |mode| {
        let (gate, handler) = held();
        let site = Site::start(mode, handler.wrapped_in(ConcurrencyLimit::new(1).queue(1, secs(5))));
        let one = spawn_get(&site);
        settle().await;
        let began = Instant::now();
        assert_eq!(get(&site, "/", &[]).await.status.as_u16(), 503);
        assert_eq!(began.elapsed().as_secs(), 5);
        // Its place in the queue is there for the next.
        let two = spawn_get(&site);
        settle().await;
        gate.add_permits(2);
        assert_eq!((one.await.unwrap().0, two.await.unwrap().0), (200, 200));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_left_frees_its_place_in_the_queue() {
    in_all_modes(async |mode| {
        let (gate, handler) = held();
        let site = Site::start(mode, handler.wrapped_in(ConcurrencyLimit::new(1).queue(1, secs(3600))));
        let one = spawn_get(&site);
        settle().await;
        let gone = spawn_get(&site);
        settle().await;
        gone.abort();
        settle().await;
        let two = spawn_get(&site);
        settle().await;
        gate.add_permits(2);
        assert_eq!((one.await.unwrap().0, two.await.unwrap().0), (200, 200));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_panics_or_fails_gives_its_place_back() {
    in_all_modes(async |mode| {
        let mux = ServeMux::new();
        mux.handle("GET /", answer);
        mux.wrap(ConcurrencyLimit::new(1));
        let site = Site::start(mode, mux);
        for (path, status) in [("/panic", 500), ("/error", 418), ("/panic", 500), ("/", 200)] {
            assert_eq!(get(&site, path, &[]).await.status.as_u16(), status, "{path}");
        }
    })
    .await;
}

// ------------------------------------------------------------ content

/// Answers with how much content there was.
async fn measure(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let mut length = 0;
    while let Some(chunk) = r.body.chunk().await? {
        length += chunk.len();
    }
    w.write(length.to_string()).await
}

#[tokio::test(start_paused = true)]
async fn the_innermost_limit_of_content_counts_be_it_larger_or_smaller() {
    in_all_modes(async |mode| {
        let mux = ServeMux::new();
        mux.handle("POST /", measure);
        mux.handle("POST /large", measure.wrapped_in(BodyLimit::new(1000)));
        mux.handle("POST /small", measure.wrapped_in(BodyLimit::new(10)));
        mux.handle("POST /deeper", measure.wrapped_in(BodyLimit::new(1000)).wrapped_in(BodyLimit::new(1)));
        mux.handle("POST /unread", answer);
        mux.wrap(BodyLimit::new(100));
        let site = Site::start(mode, mux);
        for (path, length, status) in [
            ("/", 100, 200),
            ("/", 101, 413),
            ("/large", 1000, 200),
            ("/large", 1001, 413),
            ("/small", 10, 200),
            ("/small", 11, 413),
            ("/deeper", 1000, 200),
            ("/deeper", 1001, 413),
            ("/unread", 1001, 200),
        ] {
            let (found, text) = whole(site.post(path, vec![b'x'; length]).await).await;
            assert_eq!(found, status, "{path} {length}");
            assert!(status != 200 || path == "/unread" || text == length.to_string(), "{path} {length}: {text}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_was_set_around_holds_besides() {
    in_all_modes(async |mode| {
        let outer = nethttp::middleware::max_bytes_handler(measure.wrapped_in(BodyLimit::new(1000)), 100);
        let site = Site::start(mode, outer);
        assert_eq!(whole(site.post("/", vec![b'x'; 100]).await).await, (200, "100".into()));
        assert_eq!(site.post("/", vec![b'x'; 101]).await.unwrap().status.as_u16(), 413);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_was_set_between_two_layers_is_not_lifted_by_the_inner_one() {
    in_all_modes(async |mode| {
        let inner = nethttp::middleware::max_bytes_handler(measure.wrapped_in(BodyLimit::new(1000)), 100);
        // The one between is as large as the one around it.
        let site = Site::start(mode, inner.wrapped_in(BodyLimit::new(100)));
        assert_eq!(whole(site.post("/", vec![b'x'; 100]).await).await, (200, "100".into()));
        assert_eq!(site.post("/", vec![b'x'; 101]).await.unwrap().status.as_u16(), 413);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_announces_too_much_is_not_told_to_send_it() {
    let mux = ServeMux::new();
    mux.handle("POST /", measure);
    mux.wrap(BodyLimit::new(100));
    let running = crate::support::serve(mux);
    let mut peer = running.dial().await;
    peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\nExpect: 100-continue\r\n\r\n").await;
    let end = peer.end().await;
    assert!(end.received.starts_with("HTTP/1.1 413 "), "{}", end.received);
    assert!(end.at < Duration::from_secs(2), "not after a wait for the content");
}

#[tokio::test(start_paused = true)]
async fn content_of_unknown_length_is_cut_off_at_the_limit_and_answered() {
    let mux = ServeMux::new();
    mux.handle("POST /", measure);
    mux.wrap(BodyLimit::new(100));
    let running = crate::support::serve(mux);
    let chunk = format!("32\r\n{}\r\n", "x".repeat(50));
    for (chunks, status) in [(2, 200), (3, 413)] {
        let mut peer = running.dial().await;
        peer.send("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n").await;
        peer.send(chunk.repeat(chunks) + "0\r\n\r\n").await;
        assert_eq!(peer.answer().await.status, status);
    }
}

#[tokio::test(start_paused = true)]
async fn a_grpc_call_ends_with_the_deadline_of_its_client_and_says_so() {
    let call = async |w: &mut ResponseWriter, r: &mut Request| {
        w.header().set("X-Of-Handler", "1");
        w.write("a part").await?;
        if r.path() == "/begun" {
            w.flush().await?;
        }
        sleep(secs(2)).await;
        Ok(())
    };
    in_all_modes(async |mode| {
        let site = Site::start(mode, call.wrapped_in(GrpcDeadline::new().at_most(secs(3))));
        let grpc = ("Content-Type", "application/grpc+proto");
        let begin = Instant::now();
        let response = ask(&site, Method::POST, "/late", &[grpc, ("grpc-timeout", "1500m")]).await;
        assert_eq!(begin.elapsed(), millis(1500));
        assert_eq!((response.status.as_u16(), response.header.get("Grpc-Status")), (200, Some("4")));
        assert_eq!(response.header.get("Content-Type"), Some("application/grpc"));
        assert!(!response.header.contains("X-Of-Handler"));
        assert_eq!(whole(Ok(response)).await.1, "");

        let mut begun = ask(&site, Method::POST, "/begun", &[grpc, ("grpc-timeout", "1S")]).await;
        assert_eq!((begun.status.as_u16(), begun.header.contains("Grpc-Status")), (200, false));
        begun.text().await.unwrap_err();

        // Those with more time, and what is no gRPC, end by themselves.
        let in_time = ask(&site, Method::POST, "/", &[grpc, ("grpc-timeout", "1M")]).await;
        assert_eq!(whole(Ok(in_time)).await.1, "a part");
        let other = ask(&site, Method::POST, "/", &[("grpc-timeout", "1S")]).await;
        assert_eq!(whole(Ok(other)).await.1, "a part");
    })
    .await;
}
