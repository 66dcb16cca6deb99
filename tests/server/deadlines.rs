//! Deadlines: what a peer may keep the server waiting for, and for how long.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nethttp::error::Phase;
use nethttp::server::CloseReason;
use nethttp::{Context, ErrorKind, Request, ResponseWriter, Result, handle_with};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep};

use crate::support::{End, GET, States, dial, echo, hello, millis, quiet, secs, serve, settle, start};

const HOUR: Duration = Duration::from_secs(3600);
/// Longer than any head timeout when dripped.
const LONG_HEAD: &str = "GET / HTTP/1.1\r\nHost: h\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

// ------------------------------------------------------------ heads

#[tokio::test(start_paused = true)]
async fn a_silent_connection_is_closed_after_10_s_without_a_response() {
    let mut server = quiet(hello);
    let states = States::of(&mut server);
    let mut peer = start(server).dial().await;
    assert_eq!(peer.end().await, End::silent(secs(10)));
    settle().await;
    assert_eq!((states.line(1).as_str(), states.reason(1)), ("new closed", Some(CloseReason::HeadTimeout)));
}

#[tokio::test(start_paused = true)]
async fn a_first_head_that_drips_is_closed_10_s_after_accept() {
    let mut server = quiet(hello);
    let states = States::of(&mut server);
    let mut peer = start(server).dial().await;
    sleep(secs(3)).await;
    assert_eq!(peer.drip(LONG_HEAD, secs(1)).await, End::silent(secs(10)));
    settle().await;
    assert_eq!(states.reason(1), Some(CloseReason::HeadTimeout), "and is gone at once");
}

#[tokio::test(start_paused = true)]
async fn empty_lines_do_not_extend_the_first_head() {
    let mut peer = serve(hello).dial().await;
    assert_eq!(peer.drip(&format!("\r\n\r\n{LONG_HEAD}"), secs(1)).await, End::silent(secs(10)));
}

#[tokio::test(start_paused = true)]
async fn a_later_head_that_drips_is_closed_10_s_after_its_first_byte() {
    let mut peer = serve(hello).dial().await;
    peer.ask(GET).await;
    peer.assert_open_at(secs(50)).await;
    assert_eq!(peer.drip(LONG_HEAD, secs(1)).await, End::silent(secs(60)));
}

#[tokio::test(start_paused = true)]
async fn clients_that_drip_do_not_delay_a_fresh_request() {
    let running = serve(hello);
    for _ in 0..200 {
        let mut peer = running.dial().await;
        tokio::spawn(async move { peer.drip(LONG_HEAD, secs(1)).await });
    }
    sleep(millis(5500)).await;
    let mut fresh = running.dial().await;
    assert_eq!(fresh.ask(GET).await.content, "hello");
    assert_eq!(fresh.age(), Duration::ZERO);
    assert_eq!(running.server.connections(), 201);
}

#[tokio::test(start_paused = true)]
async fn the_head_timeout_can_be_set_and_falls_back_to_the_read_timeout() {
    let mut server = quiet(hello);
    server.read_header_timeout = secs(3);
    server.read_timeout = secs(5);
    assert_eq!(start(server.clone()).dial().await.end().await, End::silent(secs(3)));
    server.read_header_timeout = Duration::ZERO;
    assert_eq!(start(server).dial().await.end().await, End::silent(secs(5)));
}

#[tokio::test(start_paused = true)]
async fn without_head_and_read_timeout_a_head_may_take_for_ever() {
    let mut server = quiet(hello);
    server.read_header_timeout = Duration::ZERO;
    let mut peer = start(server).dial().await;
    peer.assert_open_at(HOUR).await;
    peer.send("GET / HTTP/1.1\r\n").await;
    peer.assert_open_at(2 * HOUR).await;
    assert_eq!(peer.ask("Host: h\r\n\r\n").await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn the_head_timeout_does_not_outlive_the_head() {
    let slow = async |w: &mut ResponseWriter, r: &mut Request| {
        let content = r.body.bytes(100).await?;
        sleep(secs(25)).await;
        w.write(content).await
    };
    let mut peer = serve(slow).dial().await;
    peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n").await;
    peer.assert_open_at(secs(25)).await;
    assert_eq!(peer.ask("ab").await.content, "ab");
    assert_eq!(peer.age(), secs(50));
}

// ------------------------------------------------------------ idle

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_after_120_s() {
    let mut server = quiet(hello);
    let states = States::of(&mut server);
    let mut peer = start(server).dial().await;
    peer.ask(GET).await;
    sleep(secs(30)).await;
    peer.ask(GET).await;
    assert_eq!(peer.end().await, End::silent(secs(150)));
    settle().await;
    assert_eq!(states.reason(1), Some(CloseReason::IdleTimeout));
}

#[tokio::test(start_paused = true)]
async fn the_idle_timeout_can_be_set_and_falls_back_to_the_read_timeout() {
    let mut server = quiet(hello);
    server.idle_timeout = secs(7);
    server.read_timeout = secs(4);
    let mut peer = start(server.clone()).dial().await;
    peer.ask(GET).await;
    assert_eq!(peer.end().await, End::silent(secs(7)));

    server.idle_timeout = Duration::ZERO;
    let mut peer = start(server).dial().await;
    peer.ask(GET).await;
    assert_eq!(peer.end().await, End::silent(secs(4)));
}

#[tokio::test(start_paused = true)]
async fn without_idle_and_read_timeout_a_connection_is_kept_for_ever() {
    let mut server = quiet(hello);
    server.idle_timeout = Duration::ZERO;
    let mut peer = start(server).dial().await;
    peer.ask(GET).await;
    peer.assert_open_at(HOUR).await;
    assert_eq!(peer.ask(GET).await.content, "hello");
}

#[tokio::test(start_paused = true)]
async fn time_spent_idle_is_not_time_spent_on_the_next_request() {
    let mut server = quiet(echo);
    server.read_header_timeout = secs(3);
    server.read_timeout = secs(5);
    let mut peer = start(server).dial().await;
    for round in 1..=3 {
        peer.assert_open_at(secs(100 * (round - 1))).await;
        peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Le").await;
        sleep(secs(2)).await;
        peer.send("ngth: 2\r\n\r\n").await;
        sleep(secs(2)).await;
        assert_eq!(peer.ask("ab").await.content, "ab");
    }
}

// ------------------------------------------------------------ content that comes in

const POST_10: &str = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn content_that_stalls_for_30_s_is_answered_408_and_the_connection_closes() {
    let mut server = quiet(echo);
    let states = States::of(&mut server);
    let mut peer = start(server).dial().await;
    peer.send(POST_10).await;
    sleep(secs(5)).await;
    peer.send("abc").await;
    let answer = peer.answer().await;
    assert_eq!((answer.status, answer.closes(), peer.age()), (408, true, secs(35)));
    assert_eq!(peer.end().await, End::silent(secs(35)));
    drop(peer);
    settle().await;
    assert_eq!(states.reason(1), Some(CloseReason::BodyBroken));
}

#[tokio::test(start_paused = true)]
async fn content_that_makes_progress_may_take_its_time() {
    for request in ["Content-Length: 30\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n1e\r\n"] {
        let mut peer = serve(echo).dial().await;
        peer.send(format!("POST / HTTP/1.1\r\nHost: h\r\n{request}")).await;
        for _ in 0..30 {
            sleep(secs(20)).await;
            peer.send("x").await;
        }
        if request.contains("chunked") {
            peer.send("\r\n0\r\n\r\n").await;
        }
        assert_eq!(peer.answer().await.content, "x".repeat(30));
        assert_eq!(peer.age(), secs(600));
    }
}

#[tokio::test(start_paused = true)]
async fn the_stall_timeout_can_be_set_and_switched_off() {
    let mut server = quiet(echo);
    server.stall_timeout = secs(4);
    let mut peer = start(server.clone()).dial().await;
    peer.send(POST_10).await;
    assert_eq!((peer.answer().await.status, peer.age()), (408, secs(4)));

    server.stall_timeout = Duration::ZERO;
    let mut peer = start(server).dial().await;
    peer.send(POST_10).await;
    peer.assert_open_at(HOUR).await;
    assert_eq!(peer.ask("0123456789").await.content, "0123456789");
}

#[tokio::test(start_paused = true)]
async fn time_in_which_the_body_is_not_read_is_no_stall() {
    let late = async |w: &mut ResponseWriter, r: &mut Request| {
        let first = r.body.chunk().await?.unwrap_or_default();
        sleep(HOUR).await;
        w.write(first).await?;
        w.write(r.body.bytes(100).await?).await
    };
    let mut peer = serve(late).dial().await;
    peer.send(format!("{POST_10}01234")).await;
    peer.assert_open_at(HOUR + secs(20)).await;
    assert_eq!(peer.ask("56789").await.content, "0123456789");
}

#[tokio::test(start_paused = true)]
async fn the_read_timeout_counts_from_the_first_byte_whatever_the_progress() {
    let mut server = quiet(echo);
    server.read_timeout = secs(6);
    let mut peer = start(server).dial().await;
    peer.ask(&format!("{POST_10}0123456789")).await;
    peer.wait_until(secs(3)).await;
    peer.send("POST / HTTP/1.1\r\n").await;
    peer.wait_until(secs(5)).await;
    peer.send("Host: h\r\nContent-Length: 10\r\n\r\n").await;
    for at in 6..9 {
        peer.wait_until(secs(at)).await;
        peer.send("x").await;
    }
    let answer = peer.answer().await;
    assert_eq!((answer.status, answer.closes(), peer.age()), (408, true, secs(9)));
}

#[tokio::test(start_paused = true)]
async fn unread_content_is_waited_for_a_second_and_the_answer_comes_first() {
    let mut peer = serve(hello).dial().await;
    let answer = peer.ask(POST_10).await;
    assert_eq!((answer.status, peer.age()), (200, Duration::ZERO));
    assert_eq!(peer.end().await, End::silent(secs(1)));
}

#[tokio::test(start_paused = true)]
async fn a_close_on_a_peer_that_still_sends_lingers_for_half_a_second() {
    let mut server = quiet(hello);
    let states = States::of(&mut server);
    let mut peer = start(server).dial().await;
    peer.send("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\nxyz").await;
    assert!(peer.answer().await.closes());
    assert_eq!(peer.end().await, End::silent(Duration::ZERO), "nothing more comes");
    peer.wait_until(millis(499)).await;
    peer.send("more of it").await;
    assert_eq!(states.line(1), "new active");
    sleep(millis(2)).await;
    assert_eq!((states.line(1).as_str(), states.reason(1)), ("new active closed", Some(CloseReason::BodyUnread)));
}

// ------------------------------------------------------------ answers that go out

/// How a handler's writing ended, and when.
type Ended = Arc<Mutex<Option<(Result<()>, Instant, Context)>>>;

/// Writes 64 KiB and keeps how that ended.
async fn pour(ended: &Ended, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let written = w.write(vec![b'x'; 64 << 10]).await;
    let again = w.write("more").await;
    assert_eq!(written.is_err(), again.is_err(), "what has failed stays failed");
    *ended.lock().unwrap() = Some((written, Instant::now(), r.context().clone()));
    again
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_ends_the_write_after_30_s_and_cancels_the_request() {
    let ended = Ended::default();
    let running = serve(handle_with(ended.clone(), pour));
    let mut peer = dial(&running.dialer.with_buffer_bytes(1000)).await;
    let began = Instant::now();
    peer.send(GET).await;
    sleep(secs(31)).await;
    let (written, at, context) = ended.lock().unwrap().take().unwrap();
    let error = written.unwrap_err();
    assert_eq!((error.kind(), error.phase()), (ErrorKind::TimedOut, Some(Phase::Write)));
    assert_eq!(at - began, secs(30));
    assert!(context.is_cancelled());
    assert_eq!(peer.end().await.received.len(), 1000, "cut, with no end of its own making");
    assert_eq!(running.server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_request_is_cancelled_as_soon_as_a_write_has_failed() {
    let seen = Arc::new(Mutex::new(None));
    async fn write_and_look(seen: &Arc<Mutex<Option<bool>>>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let before = r.context().is_cancelled();
        let written = w.write(vec![b'x'; 64 << 10]).await;
        *seen.lock().unwrap() = Some(!before && r.context().is_cancelled());
        written
    }
    let running = serve(handle_with(seen.clone(), write_and_look));
    let mut peer = dial(&running.dialer.with_buffer_bytes(1000)).await;
    peer.send(GET).await;
    sleep(secs(31)).await;
    assert_eq!(*seen.lock().unwrap(), Some(true));
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_some_every_20_s_gets_all_of_it() {
    let ended = Ended::default();
    let running = serve(handle_with(ended.clone(), pour));
    let mut peer = dial(&running.dialer.with_buffer_bytes(4 << 10)).await;
    peer.send(GET).await;
    let mut received = 0;
    while ended.lock().unwrap().is_none() {
        sleep(secs(20)).await;
        received += peer.stream.read(&mut [0; 2048]).await.unwrap();
    }
    assert!(ended.lock().unwrap().take().unwrap().0.is_ok());
    assert!(received >= 60 << 10 && peer.age() >= secs(500), "{received} in {:?}", peer.age());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_waits_to_leave_is_under_the_same_limit() {
    let mut server = quiet(hello);
    let states = States::of(&mut server);
    let running = start(server);
    let mut peer = dial(&running.dialer.with_buffer_bytes(50)).await;
    peer.send(GET).await;
    peer.wait_until(millis(29_999)).await;
    assert_eq!(running.server.connections(), 1);
    peer.wait_until(millis(30_001)).await;
    assert_eq!(states.reason(1), Some(CloseReason::WriteFailed));
    assert_eq!(peer.end().await.received.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn the_write_timeout_counts_from_the_end_of_the_head_whatever_the_progress() {
    let ended = Ended::default();
    let mut server = quiet(handle_with(ended.clone(), pour));
    server.write_timeout = secs(5);
    let running = start(server);
    let mut peer = dial(&running.dialer.with_buffer_bytes(1000)).await;
    sleep(secs(2)).await;
    peer.send(GET).await;
    for _ in 0..4 {
        sleep(secs(1)).await;
        assert_eq!(peer.stream.read(&mut [0; 100]).await.unwrap(), 100);
    }
    sleep(secs(2)).await;
    let (written, at, _) = ended.lock().unwrap().take().unwrap();
    assert_eq!(written.unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(at, Instant::now() - secs(1));
}

#[tokio::test(start_paused = true)]
async fn each_request_has_a_write_timeout_of_its_own() {
    let slow = async |w: &mut ResponseWriter, _: &mut Request| {
        sleep(secs(3)).await;
        w.write(vec![b'x'; 5000]).await
    };
    let mut server = quiet(slow);
    server.write_timeout = secs(5);
    let mut peer = start(server).dial().await;
    for _ in 0..3 {
        assert_eq!(peer.ask(GET).await.status, 200);
    }
    peer.assert_open_at(secs(60)).await;
    assert_eq!(peer.ask(GET).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn the_write_timeout_of_the_last_request_does_not_keep_a_refusal_from_its_peer() {
    let mut server = quiet(hello);
    server.write_timeout = secs(5);
    let mut peer = start(server).dial().await;
    peer.ask(GET).await;
    peer.assert_open_at(secs(60)).await;
    let answer = peer.ask("no request at all\r\n\r\n").await;
    assert_eq!((answer.status, answer.closes()), (400, true));
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_longer_than_the_write_timeout_is_not_waited_for() {
    let slow = async |w: &mut ResponseWriter, _: &mut Request| {
        sleep(secs(6)).await;
        w.write("late").await
    };
    let mut server = quiet(slow);
    server.write_timeout = secs(5);
    let mut peer = start(server).dial().await;
    assert_eq!(peer.ask(GET).await.status, 503);
    assert_eq!(peer.end().await, End::silent(secs(5)));
}

// ------------------------------------------------------------ deadlines of a handler's own

/// What a handler saw, in its own words.
type Seen = Arc<Mutex<Vec<String>>>;

fn note(seen: &Seen, began: Instant, what: &str, result: &Result<impl Sized>) {
    let outcome = match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => format!("{:?}", error.kind()),
    };
    seen.lock().unwrap().push(format!("{what} {outcome} at {}", began.elapsed().as_millis()));
}

#[tokio::test(start_paused = true)]
async fn a_read_deadline_ends_the_read_and_stays_passed() {
    async fn handler(seen: &Seen, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let began = Instant::now();
        w.set_read_deadline(Some(began + secs(2)));
        note(seen, began, "read", &r.body.chunk().await);
        w.set_read_deadline(Some(began + HOUR));
        note(seen, began, "again", &r.body.chunk().await);
        w.write("too slow").await
    }
    let seen = Seen::default();
    let mut peer = serve(handle_with(seen.clone(), handler)).dial().await;
    let answer = peer.ask(POST_10).await;
    assert_eq!((answer.status, answer.content.as_str(), answer.closes()), (200, "too slow", true));
    assert_eq!(*seen.lock().unwrap(), ["read TimedOut at 2000", "again TimedOut at 2000"]);
}

#[tokio::test(start_paused = true)]
async fn a_read_deadline_in_the_past_fails_even_what_is_there() {
    async fn handler(seen: &Seen, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let began = Instant::now();
        w.set_read_deadline(Some(began));
        let read = r.body.chunk().await;
        note(seen, began, "read", &read);
        read.map(|_| ())
    }
    let seen = Seen::default();
    let mut peer = serve(handle_with(seen.clone(), handler)).dial().await;
    let answer = peer.ask(&format!("{POST_10}0123456789")).await;
    assert_eq!((answer.status, answer.closes()), (408, true));
    assert_eq!(*seen.lock().unwrap(), ["read TimedOut at 0"]);
}

#[tokio::test(start_paused = true)]
async fn a_read_deadline_can_be_moved_while_nothing_comes() {
    async fn handler(seen: &Seen, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let began = Instant::now();
        w.set_read_deadline(Some(began + secs(2)));
        assert!(tokio::time::timeout(secs(1), r.body.chunk()).await.is_err());
        w.set_read_deadline(Some(began + secs(8)));
        note(seen, began, "read", &r.body.chunk().await);
        assert!(tokio::time::timeout(secs(1), r.body.chunk()).await.is_err());
        w.set_read_deadline(Some(began + secs(7)));
        note(seen, began, "read", &r.body.chunk().await);
        Ok(())
    }
    let seen = Seen::default();
    let mut peer = serve(handle_with(seen.clone(), handler)).dial().await;
    peer.send(POST_10).await;
    sleep(secs(5)).await;
    peer.send("abc").await;
    peer.answer().await;
    assert_eq!(*seen.lock().unwrap(), ["read ok at 5000", "read TimedOut at 7000"]);
}

#[tokio::test(start_paused = true)]
async fn a_read_deadline_reaches_a_read_that_waits_already() {
    async fn handler(seen: &Seen, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let began = Instant::now();
        let mut body = std::mem::take(&mut r.body);
        let reading = tokio::spawn(async move { body.chunk().await });
        sleep(secs(1)).await;
        w.set_read_deadline(Some(Instant::now() + secs(2)));
        note(seen, began, "read", &reading.await.unwrap());
        Ok(())
    }
    let seen = Seen::default();
    let mut peer = serve(handle_with(seen.clone(), handler)).dial().await;
    peer.ask(POST_10).await;
    assert_eq!(*seen.lock().unwrap(), ["read TimedOut at 3000"]);
}

#[tokio::test(start_paused = true)]
async fn a_read_deadline_taken_away_leaves_only_the_stall_limit() {
    let patient = async |w: &mut ResponseWriter, r: &mut Request| {
        w.set_read_deadline(None);
        w.write(r.body.bytes(100).await?).await
    };
    let mut server = quiet(patient);
    server.read_timeout = secs(5);
    let mut peer = start(server).dial().await;
    peer.send(POST_10).await;
    sleep(secs(25)).await;
    peer.send("01234").await;
    sleep(secs(25)).await;
    assert_eq!(peer.ask("56789").await.content, "0123456789");
    peer.send(POST_10).await;
    assert_eq!((peer.answer().await.status, peer.age()), (408, secs(80)));
}

#[tokio::test(start_paused = true)]
async fn a_write_deadline_ends_the_write_and_stays_passed() {
    async fn handler(seen: &Seen, w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
        let began = Instant::now();
        w.set_write_deadline(Some(began + secs(2)));
        note(seen, began, "write", &w.write(vec![b'x'; 10_000]).await);
        w.set_write_deadline(None);
        note(seen, began, "again", &w.write("more").await);
        note(seen, began, "flush", &w.flush().await);
        Ok(())
    }
    let seen = Seen::default();
    let running = serve(handle_with(seen.clone(), handler));
    let mut peer = dial(&running.dialer.with_buffer_bytes(1000)).await;
    peer.send(GET).await;
    peer.wait_until(secs(3)).await;
    assert_eq!(*seen.lock().unwrap(), ["write TimedOut at 2000", "again TimedOut at 2000", "flush TimedOut at 2000"]);
    assert_eq!(peer.end().await.received.len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn a_write_deadline_in_the_past_sends_nothing() {
    let refusing = async |w: &mut ResponseWriter, _: &mut Request| {
        w.set_write_deadline(Some(Instant::now()));
        w.write("never").await
    };
    let mut peer = serve(refusing).dial().await;
    peer.send(GET).await;
    assert_eq!(peer.end().await, End::silent(Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_write_deadline_can_be_moved_while_the_peer_takes_nothing() {
    async fn handler(seen: &Seen, w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
        let began = Instant::now();
        w.write("some").await?;
        w.set_write_deadline(Some(began + secs(2)));
        assert!(tokio::time::timeout(secs(1), w.flush()).await.is_err());
        w.set_write_deadline(Some(began + secs(8)));
        note(seen, began, "flush", &w.flush().await);
        Ok(())
    }
    let seen = Seen::default();
    let running = serve(handle_with(seen.clone(), handler));
    let mut peer = dial(&running.dialer.with_buffer_bytes(20)).await;
    peer.send(GET).await;
    peer.wait_until(secs(5)).await;
    assert!(peer.answer().await.head.starts_with("HTTP/1.1 200 OK"));
    assert_eq!(*seen.lock().unwrap(), ["flush ok at 5000"]);
}

#[tokio::test(start_paused = true)]
async fn deadlines_of_a_handler_end_with_its_request() {
    async fn handler(seen: &Seen, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        if seen.lock().unwrap().is_empty() {
            seen.lock().unwrap().push("first".to_owned());
            w.set_read_deadline(Some(Instant::now() + secs(3)));
            w.set_write_deadline(Some(Instant::now() + secs(3)));
        }
        w.write(r.body.bytes(100).await?).await
    }
    let mut peer = serve(handle_with(Seen::default(), handler)).dial().await;
    assert_eq!(peer.ask(&format!("{POST_10}0123456789")).await.status, 200);
    peer.assert_open_at(secs(60)).await;
    peer.send(POST_10).await;
    sleep(secs(10)).await;
    assert_eq!(peer.ask("0123456789").await.content, "0123456789");
}

// ------------------------------------------------------------ a handler that takes longer than its response may

/// Works for 4 s, whatever becomes of its peer, and answers then. Keeps whether it was told after 1 s.
async fn slow(told: &Arc<Mutex<Vec<bool>>>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    if r.path() == "/begun" {
        w.write("begun").await?;
        w.flush().await?;
    }
    if r.path() == "/own" {
        w.set_write_deadline(Some(Instant::now() + secs(1)));
    }
    sleep(millis(1001)).await;
    told.lock().unwrap().push(r.context().is_cancelled());
    sleep(secs(3)).await;
    w.write("too late").await
}

#[tokio::test(start_paused = true)]
async fn a_peer_is_released_at_the_deadline_of_its_response_though_the_handler_runs_on() {
    for (target, limit) in [("/", secs(1)), ("/own", Duration::ZERO)] {
        let told: Arc<Mutex<Vec<bool>>> = Arc::default();
        let mut server = quiet(handle_with(Arc::clone(&told), slow));
        server.write_timeout = limit;
        let states = States::of(&mut server);
        let running = start(server);
        let mut peer = running.dial().await;
        let answer = peer.ask(&format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n")).await;
        assert_eq!((answer.status, answer.closes(), peer.age()), (503, true, secs(1)), "{target}");
        assert_eq!(peer.end().await, End::silent(secs(1)), "{target}: no 200 behind it");
        sleep(secs(4)).await;
        assert_eq!(*told.lock().unwrap(), [true], "{target}");
        assert_eq!(states.reason(1), Some(CloseReason::WriteTimeout), "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_has_begun_is_cut_at_its_deadline() {
    let told: Arc<Mutex<Vec<bool>>> = Arc::default();
    let mut server = quiet(handle_with(Arc::clone(&told), slow));
    server.write_timeout = secs(1);
    let mut peer = start(server).dial().await;
    peer.send("GET /begun HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let end = peer.end().await;
    assert!(end.received.ends_with("\r\n\r\n5\r\nbegun\r\n"), "{}", end.received);
    assert_eq!(end.at, secs(1));
    sleep(secs(1)).await;
    assert_eq!(*told.lock().unwrap(), [true]);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_released_while_it_still_sends_reads_the_503() {
    let mut server = quiet(async |_: &mut ResponseWriter, r: &mut Request| {
        r.context().cancelled().await;
        Ok(())
    });
    server.write_timeout = secs(1);
    let records = Arc::new(Mutex::new(Vec::new()));
    let kept = records.clone();
    server.on_request =
        Some(Arc::new(move |record| kept.lock().unwrap().push(record.status.map(|status| status.as_u16()))));
    let mut peer = start(server).dial().await;
    peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9999999\r\n\r\nxyz").await;
    assert_eq!((peer.answer().await.status, peer.age()), (503, secs(1)));
    peer.send("more of it").await;
    assert_eq!(peer.end().await, End::silent(secs(1)));
    sleep(secs(1)).await;
    assert_eq!(*records.lock().unwrap(), [Some(503)], "what was sent, not what the handler had in mind");
}
