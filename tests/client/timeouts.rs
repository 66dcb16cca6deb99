//! Each time limit, in paused time: when it passes, what it is called, and what it leaves behind.

use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use nethttp::client::{Proxy, Timeouts};
use nethttp::error::{Phase, Sent};
use nethttp::net::{DialedStream, Resolve, Resolved, TcpDialer, dial_fn};
use nethttp::{Body, Error, ErrorKind, Request, Transport};
use tokio::time::Instant;

use crate::fake::{FakeServer, OK, URL, client_of, counts, fake, fake_with, fed, millis, outcome, secs, settle};

/// What an error says of the limit that passed, and when it came.
#[derive(Debug, PartialEq, Eq)]
struct Passed {
    limit: &'static str,
    phase: Phase,
    after: Duration,
}

fn passed(error: &Error, began: Instant) -> Passed {
    assert!(error.is_timeout() && error.kind() == ErrorKind::TimedOut, "{error}");
    Passed { limit: error.limit().unwrap(), phase: error.phase().unwrap(), after: began.elapsed() }
}

fn limit(limit: &'static str, phase: Phase, after: Duration) -> Passed {
    Passed { limit, phase, after }
}

/// Sends a GET that must run into a limit.
async fn get(transport: Transport) -> Passed {
    get_with(transport, URL, Timeouts::default()).await
}

async fn get_with(transport: Transport, url: &str, timeouts: Timeouts) -> Passed {
    let (client, transport) = client_of(transport);
    let mut request = Request::get(url).unwrap();
    request.timeouts = timeouts;
    let began = Instant::now();
    let error = client.send(request).await.unwrap_err();
    assert_eq!(error.url(), Some(url));
    let passed = passed(&error, began);
    settle().await;
    assert_eq!(counts(&transport), (0, 0, 0, 0), "nothing is left over");
    passed
}

fn direct() -> Transport {
    let mut transport = Transport::new();
    transport.proxy = Proxy::none();
    transport
}

struct Lost;

impl Resolve for Lost {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Pin<Box<dyn Future<Output = io::Result<Resolved>> + Send + 'a>> {
        Box::pin(pending())
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_not_resolved_is_given_up_while_resolving() {
    let mut transport = direct();
    transport.dial = Arc::new(TcpDialer::new().with_resolver(Lost));
    assert_eq!(get(transport).await, limit("connect_timeout", Phase::Resolve, secs(30)));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_not_made_is_given_up_while_connecting() {
    let mut transport = direct();
    transport.dial = Arc::new(dial_fn(|_, _| pending()));
    transport.connect_timeout = secs(3);
    assert_eq!(get(transport).await, limit("connect_timeout", Phase::Connect, secs(3)));
}

#[tokio::test(start_paused = true)]
async fn a_silent_proxy_is_given_up_while_talking_to_it() {
    for scheme in ["http", "socks5"] {
        let (mut transport, mut server) = fake();
        transport.proxy = Proxy::url(&format!("{scheme}://proxy.test")).unwrap();
        transport.connect_timeout = secs(5);
        let url = if scheme == "http" { "https://a.test/" } else { URL };
        let (passed, _conn) = tokio::join!(get_with(transport, url, Timeouts::default()), server.accept());
        assert_eq!(passed, limit("connect_timeout", Phase::Proxy, secs(5)));
    }
}

#[cfg(feature = "tls")]
#[tokio::test(start_paused = true)]
async fn a_peer_that_is_silent_in_the_tls_handshake_has_a_limit_of_its_own() {
    let (mut transport, mut server) = fake();
    transport.connect_timeout = secs(2);
    let (passed, mut conn) = tokio::join!(get_with(transport, "https://a.test/", Timeouts::default()), server.accept());
    assert_eq!(passed, limit("tls_handshake_timeout", Phase::Tls, secs(10)));
    assert!(conn.is_closed().await);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_is_given_up_however_it_drips() {
    let (transport, mut server) = fake();
    let dripping = async {
        let mut conn = server.accept().await;
        conn.request().await;
        for byte in b"HTTP/1.1 200 OK\r\n".iter().cycle() {
            tokio::time::sleep(secs(4)).await;
            if tokio::io::AsyncWriteExt::write_all(&mut conn.stream, &[*byte]).await.is_err() {
                break;
            }
        }
    };
    let (passed, ()) = tokio::join!(get(transport), dripping);
    assert_eq!(passed, limit("response_header_timeout", Phase::Head, secs(60)));
}

#[tokio::test(start_paused = true)]
async fn the_head_is_waited_for_from_the_requests_last_byte_on() {
    let (mut transport, mut server) = fake();
    transport.response_header_timeout = secs(5);
    let (client, _) = client_of(transport);
    let (feed, body) = fed();
    let began = Instant::now();
    let (response, _conn) = tokio::join!(client.send(Request::post(URL, body).unwrap()), async {
        let mut conn = server.accept().await;
        tokio::time::sleep(secs(100)).await;
        drop(feed);
        conn.request().await;
        conn
    });
    let error = response.unwrap_err();
    assert_eq!(passed(&error, began), limit("response_header_timeout", Phase::Head, secs(105)));
    assert_eq!(error.sent(), Some(Sent::Fully));
}

#[tokio::test(start_paused = true)]
async fn the_head_is_waited_for_no_longer_where_something_came_before_the_request_was_sent() {
    for early in ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\n\r\n", "HTTP/1.1 2"] {
        let (mut transport, mut server) = fake();
        transport.response_header_timeout = secs(5);
        transport.expect_continue_timeout = secs(1);
        let (client, _) = client_of(transport);
        let mut request = Request::post(URL, "content").unwrap();
        request.header.set("Expect", "100-continue");
        let began = Instant::now();
        let (response, _conn) = tokio::join!(tokio::time::timeout(secs(60), client.send(request)), async {
            let mut conn = server.accept().await;
            conn.head().await;
            conn.send(early).await;
            assert_eq!(conn.take(7).await.unwrap(), b"content");
            conn
        });
        let error = response.expect("it ends").unwrap_err();
        let sent = if early.contains("100") { secs(0) } else { secs(1) };
        assert_eq!(passed(&error, began), limit("response_header_timeout", Phase::Head, sent + secs(5)), "{early}");
        assert_eq!(error.sent(), Some(Sent::Fully));
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up_when_the_stall_has_lasted() {
    for header in [secs(60), Duration::ZERO] {
        let (mut transport, mut server) = fake_with(1000);
        transport.stall_timeout = secs(5);
        transport.response_header_timeout = header;
        let (client, _) = client_of(transport);
        let began = Instant::now();
        let (response, _conn) = tokio::join!(client.post(URL, "text/plain", vec![b'x'; 5000]), async {
            let mut conn = server.accept().await;
            tokio::time::sleep(secs(3)).await;
            conn.take(500).await.unwrap();
            conn
        });
        let error = response.unwrap_err();
        assert_eq!(passed(&error, began), limit("stall_timeout", Phase::Write, secs(8)));
        assert_eq!(error.sent(), Some(Sent::Partly));
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_up_and_one_that_is_only_slow_is_not() {
    let (mut transport, mut server) = fake();
    transport.stall_timeout = secs(5);
    let (client, transport) = client_of(transport);
    let began = Instant::now();
    let reading = async {
        let mut response = client.get(URL).await.unwrap();
        let error = response.text().await.unwrap_err();
        passed(&error, began)
    };
    let (passed, mut conn) = tokio::join!(reading, async {
        let mut conn = server.accept().await;
        conn.serve("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n").await;
        for _ in 0..10 {
            tokio::time::sleep(secs(4)).await;
            conn.send("x").await;
        }
        conn
    });
    assert_eq!(passed, limit("stall_timeout", Phase::Body, secs(45)));
    assert!(conn.is_closed().await);
    assert_eq!(counts(&transport), (0, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_stall_counts_although_the_request_is_completed_meanwhile() {
    let (mut transport, mut server) = fake();
    transport.stall_timeout = secs(5);
    let (client, _) = client_of(transport);
    let (feed, body) = fed();
    let reading = async {
        let mut response = client.send(Request::post(URL, body).unwrap()).await.unwrap();
        let began = Instant::now();
        passed(&response.text().await.unwrap_err(), began)
    };
    let (passed, _conn) = tokio::join!(reading, async {
        let mut conn = server.accept().await;
        conn.head().await;
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n").await;
        tokio::time::sleep(secs(3)).await;
        drop(feed);
        conn
    });
    assert_eq!(passed, limit("stall_timeout", Phase::Body, secs(5)));
}

#[tokio::test(start_paused = true)]
async fn the_limit_over_all_passes_wherever_the_request_is() {
    type Play = fn(FakeServer) -> Pin<Box<dyn Future<Output = Vec<crate::fake::Conn>> + Send>>;
    let silent: Play = |mut server| {
        Box::pin(async move {
            let mut conn = server.accept().await;
            conn.request().await;
            vec![conn]
        })
    };
    let redirecting: Play = |mut server| {
        Box::pin(async move {
            let mut conn = server.accept().await;
            for hop in 0..3 {
                conn.request().await;
                tokio::time::sleep(secs(3)).await;
                if hop < 2 {
                    conn.send("HTTP/1.1 302 F\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n").await;
                }
            }
            vec![conn]
        })
    };
    for (play, url) in [(silent, URL), (redirecting, "http://a.test/next")] {
        let (transport, server) = fake();
        let (mut client, transport) = client_of(transport);
        client.timeout = secs(7);
        let began = Instant::now();
        let (response, conns) = tokio::join!(client.get(URL), play(server));
        let error = response.unwrap_err();
        assert_eq!(passed(&error, began).limit, "timeout");
        assert_eq!((error.phase(), error.url(), error.sent()), (Some(Phase::Head), Some(url), Some(Sent::Fully)));
        assert_eq!(counts(&transport), (0, 0, 0, 0));
        for mut conn in conns {
            assert!(conn.is_closed().await);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_limit_over_all_covers_the_body_too() {
    let (transport, mut server) = fake();
    let (mut client, transport) = client_of(transport);
    client.timeout = secs(7);
    let began = Instant::now();
    let (response, mut conn) = tokio::join!(client.get(URL), async {
        let mut conn = server.accept().await;
        conn.serve("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello").await;
        conn
    });
    let mut response = response.unwrap();
    assert_eq!(response.body.chunk().await.unwrap().unwrap(), "hello");
    let error = response.body.chunk().await.unwrap_err();
    assert_eq!(passed(&error, began), limit("timeout", Phase::Body, secs(7)));
    assert!(response.body.chunk().await.unwrap_err().is_timeout(), "and it stays so");
    tokio::time::sleep(millis(60)).await;
    assert!(conn.is_closed().await);
    assert_eq!(counts(&transport), (0, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_limit_over_all_names_the_phase_in_which_it_passes() {
    let mut stuck = direct();
    stuck.dial = Arc::new(dial_fn(|_, _| pending()));
    let mut lost = direct();
    lost.dial = Arc::new(TcpDialer::new().with_resolver(Lost));
    for (transport, phase) in [(stuck, Phase::Connect), (lost, Phase::Resolve)] {
        let (mut client, _) = client_of(transport);
        client.timeout = secs(1);
        let error = client.get(URL).await.unwrap_err();
        assert_eq!((error.phase(), error.sent(), error.limit()), (Some(phase), Some(Sent::No), Some("timeout")));
    }

    let (mut transport, mut server) = fake();
    transport.max_conns_per_host = 1;
    let (mut client, _) = client_of(transport);
    let other = client.clone();
    let first = tokio::spawn(async move { outcome(other.get(URL).await).await });
    let mut conn = server.accept().await;
    client.timeout = secs(1);
    let error = client.get(URL).await.unwrap_err();
    assert_eq!((error.phase(), error.sent()), (Some(Phase::Pool), Some(Sent::No)));
    conn.serve(OK).await;
    assert!(first.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_request_has_limits_of_its_own_in_place_of_the_others() {
    let one = |set: fn(&mut Timeouts)| {
        let mut timeouts = Timeouts::default();
        set(&mut timeouts);
        timeouts
    };
    let silent = async |timeouts| {
        let (transport, mut server) = fake();
        tokio::join!(get_with(transport, URL, timeouts), async {
            let mut conn = server.accept().await;
            conn.request().await;
            conn
        })
        .0
    };
    let header = one(|timeouts| timeouts.response_header = Some(secs(2)));
    assert_eq!(silent(header).await, limit("response_header_timeout", Phase::Head, secs(2)));
    let total = one(|timeouts| timeouts.total = Some(secs(4)));
    assert_eq!(silent(total).await, limit("timeout", Phase::Head, secs(4)));
    // Zero is none: only the other one passes.
    let mut both = one(|timeouts| timeouts.response_header = Some(Duration::ZERO));
    both.total = Some(secs(1000));
    assert_eq!(silent(both).await, limit("timeout", Phase::Head, secs(1000)));

    let mut transport = direct();
    transport.dial = Arc::new(dial_fn(|_, _| pending()));
    let connect = one(|timeouts| timeouts.connect = Some(secs(1)));
    assert_eq!(get_with(transport, URL, connect).await, limit("connect_timeout", Phase::Connect, secs(1)));

    let (transport, mut server) = fake();
    let stall = one(|timeouts| timeouts.stall = Some(secs(1)));
    let (client, _) = client_of(transport);
    let mut request = Request::get(URL).unwrap();
    request.timeouts = stall;
    let (response, _conn) = tokio::join!(client.send(request), async {
        let mut conn = server.accept().await;
        conn.serve("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n").await;
        conn
    });
    assert_eq!(response.unwrap().text().await.unwrap_err().limit(), Some("stall_timeout"));
}

#[tokio::test(start_paused = true)]
async fn limits_that_are_not_reached_say_nothing_and_end_nothing() {
    let (mut transport, server) = fake();
    (transport.stall_timeout, transport.idle_conn_timeout) = (secs(5), Duration::ZERO);
    let (mut client, transport) = client_of(transport);
    client.timeout = secs(20);
    let log = server.answer(|_| OK.into());
    let (feed, body) = fed();
    let feeding = async {
        for _ in 0..3 {
            // Longer than the stall limit: the reader is slow, which is no stall of the peer.
            tokio::time::sleep(secs(6)).await;
            feed.send(Ok("slow".into())).unwrap();
        }
        drop(feed);
    };
    let (response, ()) = tokio::join!(client.send(Request::post(URL, body).unwrap()), feeding);
    assert_eq!(outcome(response).await, Ok((200, "ok".to_owned())));
    tokio::time::sleep(secs(100_000)).await;
    let mut response = client.get(URL).await.unwrap();
    tokio::time::sleep(secs(100)).await;
    assert_eq!(response.text().await.unwrap(), "ok", "what is here needs no time");
    assert!(response.is_reused());
    assert_eq!((log.all().len(), counts(&transport)), (2, (1, 0, 0, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_connection_whose_request_timed_out_is_not_used_again() {
    let (mut transport, mut server) = fake();
    transport.response_header_timeout = secs(1);
    let (client, transport) = client_of(transport);
    let (response, mut conn) = tokio::join!(client.get(URL), async {
        let mut conn = server.accept().await;
        conn.request().await;
        conn
    });
    assert!(response.unwrap_err().is_timeout());
    assert!(conn.is_closed().await);
    assert_eq!(counts(&transport), (0, 0, 0, 0));
    let (response, ()) = tokio::join!(client.get(URL), async {
        server.accept().await.serve(OK).await;
    });
    assert_eq!(outcome(response).await, Ok((200, "ok".to_owned())));
    assert_eq!(server.dials(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_never_answered_with_a_second_try() {
    let (mut transport, mut server) = fake();
    transport.response_header_timeout = secs(1);
    let (client, _) = client_of(transport);
    let (response, mut conn) = tokio::join!(client.get(URL), async {
        let mut conn = server.accept().await;
        conn.serve(OK).await;
        conn
    });
    outcome(response).await.unwrap();
    let (response, _) = tokio::join!(client.send(Request::put(URL, Body::from("x")).unwrap()), conn.request());
    assert!(response.unwrap_err().is_timeout());
    assert_eq!(server.dials(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_dialer_that_answers_late_is_not_waited_for() {
    let mut transport = direct();
    transport.dial = Arc::new(dial_fn(|_, _| async {
        tokio::time::sleep(secs(31)).await;
        Ok(DialedStream::new(tokio::io::empty()))
    }));
    assert_eq!(get(transport).await, limit("connect_timeout", Phase::Connect, secs(30)));
}
