//! Connections of HTTP/2 on the client: how many there are, what each carries, and how they end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use h2::{Reason, server};
use nethttp::error::Sent;
use nethttp::{Body, ErrorKind, Request, Response, StatusCode, Transport};
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};

use crate::http2_peer::{
    Rig, SETTINGS, URL, answer, frame, goaway, handled, read, rig, serve, silent, status, swallow,
};

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Servers that bear so many streams at a time, count the most there were, and answer when they are
/// let.
struct Gate {
    open: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    lets: Arc<Semaphore>,
}

fn gated(limit: Option<u32>, change: impl FnOnce(&mut Transport)) -> (Rig, Gate) {
    let gate = Gate { open: Arc::default(), most: Arc::default(), lets: Arc::new(Semaphore::new(0)) };
    let (open, most, lets) = (gate.open.clone(), gate.most.clone(), gate.lets.clone());
    let rig = rig(change, move |_, stream| {
        let mut builder = server::Builder::new();
        if let Some(limit) = limit {
            builder.max_concurrent_streams(limit);
        }
        let (open, most, lets) = (open.clone(), most.clone(), lets.clone());
        serve(builder, stream, move |_, respond| {
            let (open, most, lets) = (open.clone(), most.clone(), lets.clone());
            async move {
                most.fetch_max(open.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                lets.acquire().await.unwrap().forget();
                open.fetch_sub(1, Ordering::Relaxed);
                answer(respond, "hello");
            }
        })
    });
    (rig, gate)
}

fn start(rig: &Rig, count: usize) -> Vec<tokio::task::JoinHandle<String>> {
    let one = |_| {
        let client = rig.client.clone();
        tokio::spawn(async move { client.get(URL).await.unwrap().text().await.unwrap() })
    };
    (0..count).map(one).collect()
}

async fn finish(requests: Vec<tokio::task::JoinHandle<String>>) {
    for request in requests {
        assert_eq!(request.await.unwrap(), "hello");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_requests_that_start_together_share_one_connection() {
    let (rig, gate) = gated(None, |_| {});
    let requests = start(&rig, 100);
    sleep(secs(1)).await;
    assert_eq!((gate.open.load(Ordering::Relaxed), rig.dialed()), (100, 1));
    assert_eq!(rig.counts(), (0, 1, 0, 0));
    gate.lets.add_permits(100);
    finish(requests).await;
    assert_eq!((rig.dialed(), rig.counts()), (1, (1, 0, 0, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_full_connection_is_joined_by_another() {
    let (rig, gate) = gated(Some(10), |_| {});
    gate.lets.add_permits(1);
    finish(start(&rig, 1)).await;
    let requests = start(&rig, 25);
    sleep(secs(1)).await;
    assert_eq!((gate.open.load(Ordering::Relaxed) >= 25, rig.dialed()), (true, 3), "{:?}", rig.counts());
    gate.lets.add_permits(25);
    finish(requests).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_connection_is_waited_for_where_that_is_wanted() {
    for strict in [true, false] {
        let (rig, gate) = gated(Some(10), |transport| {
            transport.strict_max_concurrent_streams = strict;
            transport.max_conns_per_host = usize::from(!strict);
        });
        gate.lets.add_permits(1);
        finish(start(&rig, 1)).await;
        let requests = start(&rig, 25);
        sleep(secs(1)).await;
        assert_eq!((gate.open.load(Ordering::Relaxed), rig.dialed()), (10, 1));
        assert_eq!(rig.counts(), (0, 1, 0, 15));
        gate.lets.add_permits(25);
        finish(requests).await;
        assert_eq!((gate.most.load(Ordering::Relaxed), rig.dialed()), (10, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_waiter_gets_a_stream_when_the_server_allows_more() {
    let rig = rig(
        |transport| transport.strict_max_concurrent_streams = true,
        |_, mut stream| async move {
            stream.write_all(&streams(1)).await.unwrap();
            sleep(Duration::from_millis(2500)).await;
            stream.write_all(&streams(2)).await.unwrap();
            sleep(secs(1)).await;
            // `:status: 200`, and the end of the stream.
            let answers = [1, 3].map(|id| frame(1, 5, id, &[0x88])).concat();
            stream.write_all(&answers).await.unwrap();
            swallow(&mut stream).await;
        },
    );
    let get = || {
        let client = rig.client.clone();
        tokio::spawn(async move { client.get(URL).await.unwrap().status })
    };
    let first = get();
    sleep(secs(1)).await;
    let second = get();
    sleep(secs(1)).await;
    assert_eq!(rig.counts(), (0, 1, 0, 1));
    sleep(secs(1)).await;
    assert_eq!(rig.counts(), (0, 1, 0, 0));
    assert_eq!((first.await.unwrap(), second.await.unwrap()), (StatusCode::OK, StatusCode::OK));
    assert_eq!(rig.dialed(), 1);

    /// SETTINGS_MAX_CONCURRENT_STREAMS.
    fn streams(most: u32) -> Vec<u8> {
        frame(SETTINGS, 0, 0, &[&[0, 3][..], &most.to_be_bytes()].concat())
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_goaway_leaves_out_goes_over_another_connection() {
    let content = Arc::new(Mutex::new(Vec::new()));
    let got = content.clone();
    let rig = rig(
        |_| {},
        move |number, mut stream| {
            let got = got.clone();
            async move {
                if number == 1 {
                    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
                    sleep(secs(1)).await;
                    stream.write_all(&goaway(0)).await.unwrap();
                    return swallow(&mut stream).await;
                }
                serve(server::Builder::new(), stream, move |mut request, respond| {
                    let got = got.clone();
                    async move {
                        let content = read(request.body_mut()).await.unwrap();
                        got.lock().unwrap().push(content);
                        answer(respond, "hello");
                    }
                })
                .await;
            }
        },
    );
    // Not even idempotent: the server says that it did nothing.
    let mut response = rig.client.post(URL, "text/plain", "content").await.unwrap();
    assert_eq!(response.text().await.unwrap(), "hello");
    assert_eq!(*content.lock().unwrap(), [b"content"]);
    assert_eq!((rig.dialed(), rig.counts()), (2, (1, 0, 0, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_goes_away_finishes_what_it_has_and_gets_nothing_new() {
    let rig = rig(
        |_| {},
        |number, stream| async move {
            let mut connection = server::handshake(stream).await.unwrap();
            while let Some(Ok((_, respond))) = connection.accept().await {
                if number > 1 {
                    answer(respond, "second");
                    continue;
                }
                connection.graceful_shutdown();
                tokio::spawn(async move {
                    sleep(secs(3)).await;
                    answer(respond, "first");
                });
            }
        },
    );
    let first = tokio::spawn({
        let client = rig.client.clone();
        async move { client.get(URL).await.unwrap().text().await.unwrap() }
    });
    sleep(secs(1)).await;
    assert_eq!(rig.client.get(URL).await.unwrap().text().await.unwrap(), "second");
    assert_eq!(first.await.unwrap(), "first");
    sleep(secs(1)).await;
    assert_eq!((rig.dialed(), rig.counts()), (2, (1, 0, 0, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_refused_is_asked_for_again_and_not_for_ever() {
    for (refusals, expected) in [(1, Ok(2)), (6, Ok(7)), (100, Err(7))] {
        let asked = Arc::new(AtomicUsize::new(0));
        let counts = asked.clone();
        let rig = handled(server::Builder::new(), move |mut request, mut respond| {
            let refuses = counts.fetch_add(1, Ordering::Relaxed) < refusals;
            async move {
                if refuses {
                    return respond.send_reset(Reason::REFUSED_STREAM);
                }
                let content = read(request.body_mut()).await.unwrap();
                answer(respond, content);
            }
        });
        let began = Instant::now();
        let outcome = rig.client.post(URL, "text/plain", "content").await;
        // The second time at once, then after 100, 200, 400, 800 and 1,600 ms.
        assert_eq!(began.elapsed().as_millis(), if refusals == 1 { 0 } else { 3100 });
        match expected {
            Ok(_) => assert_eq!(outcome.unwrap().text().await.unwrap(), "content"),
            Err(_) => assert_eq!(outcome.unwrap_err().sent(), Some(Sent::No)),
        }
        let (Ok(times) | Err(times)) = expected;
        assert_eq!((asked.load(Ordering::Relaxed), rig.dialed()), (times, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_server_gave_up_on_is_not_sent_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counts = asked.clone();
    let rig = handled(server::Builder::new(), move |_, mut respond| {
        counts.fetch_add(1, Ordering::Relaxed);
        async move { respond.send_reset(Reason::INTERNAL_ERROR) }
    });
    let error = rig.client.get(URL).await.unwrap_err();
    assert_eq!((error.kind(), error.sent()), (ErrorKind::CutOff, Some(Sent::Fully)), "{error}");
    assert_eq!(asked.load(Ordering::Relaxed), 1);
}

/// A first connection that serves one request and then breaks at the next; others serve all.
fn breaking() -> Rig {
    rig(
        |_| {},
        |number, stream| async move {
            let mut connection = server::handshake(stream).await.unwrap();
            let mut served = 0;
            while let Some(Ok((mut request, respond))) = connection.accept().await {
                served += 1;
                if number == 1 && served == 2 {
                    return;
                }
                tokio::spawn(async move {
                    let _ = read(request.body_mut()).await;
                    answer(respond, number.to_string());
                });
            }
        },
    )
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_turns_out_to_be_dead_costs_an_idempotent_request_nothing() {
    let rig = breaking();
    for expected in ["1", "2"] {
        assert_eq!(rig.client.get(URL).await.unwrap().text().await.unwrap(), expected);
    }
    let rig = breaking();
    rig.client.get(URL).await.unwrap().text().await.unwrap();
    let error = rig.client.post(URL, "text/plain", "x").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::CutOff, "{error}");
    assert_ne!(error.sent(), Some(Sent::No));
}

#[tokio::test(start_paused = true)]
async fn a_silent_connection_gets_no_new_streams_and_dies_after_thirty_seconds() {
    let rig = rig(
        |_| {},
        |number, stream| async move {
            match number {
                1 => silent(stream).await,
                _ => serve(server::Builder::new(), stream, |_, respond| async { answer(respond, "hello") }).await,
            }
        },
    );
    let began = Instant::now();
    let lost = tokio::spawn({
        let client = rig.client.clone();
        async move { client.get(URL).await.map(|response| response.status) }
    });
    sleep(secs(17)).await;
    assert_eq!(rig.client.get(URL).await.unwrap().text().await.unwrap(), "hello");
    assert_eq!(rig.dialed(), 2);
    let error = lost.await.unwrap().unwrap_err();
    assert_eq!(began.elapsed(), secs(30));
    assert!(error.to_string().contains("did not answer a PING"), "{error}");
    assert_eq!(rig.counts(), (1, 0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_answers_pings_may_be_silent() {
    let rig = handled(server::Builder::new(), |_, respond| async move {
        sleep(secs(55)).await;
        answer(respond, "late");
    });
    assert_eq!(rig.client.get(URL).await.unwrap().text().await.unwrap(), "late");
    assert_eq!(rig.dialed(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_in_time_and_when_all_are() {
    let ended = Arc::new(AtomicUsize::new(0));
    let counts = ended.clone();
    let serve_one = move |_, stream| {
        let counts = counts.clone();
        async move {
            serve(server::Builder::new(), stream, |_, respond| async { answer(respond, "hello") }).await;
            counts.fetch_add(1, Ordering::Relaxed);
        }
    };
    let rig = rig(|transport| transport.idle_conn_timeout = secs(10), serve_one);
    finish(start(&rig, 1)).await;
    sleep(secs(9)).await;
    assert_eq!((rig.counts(), ended.load(Ordering::Relaxed)), ((1, 0, 0, 0), 0));
    sleep(secs(2)).await;
    assert_eq!((rig.counts(), ended.load(Ordering::Relaxed)), ((0, 0, 0, 0), 1));
    finish(start(&rig, 1)).await;
    rig.client.close_idle_connections();
    sleep(secs(1)).await;
    assert_eq!((rig.counts(), ended.load(Ordering::Relaxed), rig.dialed()), ((0, 0, 0, 0), 2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_being_read_keeps_its_connection_from_being_idle() {
    let rig = rig(
        |transport| transport.idle_conn_timeout = secs(10),
        |_, stream| {
            serve(server::Builder::new(), stream, |_, mut respond| async move {
                let mut stream = respond.send_response(status(200), false).unwrap();
                for _ in 0..5 {
                    sleep(secs(8)).await;
                    stream.send_data("x".into(), false).unwrap();
                }
                stream.send_data("y".into(), true).unwrap();
            })
        },
    );
    let mut response = rig.client.get(URL).await.unwrap();
    rig.client.close_idle_connections();
    assert_eq!(rig.counts(), (0, 1, 0, 0));
    assert_eq!(response.text().await.unwrap(), "xxxxxy");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_server_closes_is_forgotten() {
    let rig = rig(
        |_| {},
        |_, stream| async move {
            let mut connection = server::handshake(stream).await.unwrap();
            let Some(Ok((_, respond))) = connection.accept().await else { return };
            answer(respond, "hello");
            let _ = tokio::time::timeout(secs(1), connection.accept()).await;
        },
    );
    finish(start(&rig, 1)).await;
    sleep(secs(2)).await;
    assert_eq!(rig.counts(), (0, 0, 0, 0));
    finish(start(&rig, 1)).await;
    assert_eq!(rig.dialed(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_of_its_own_is_closed_after_its_request() {
    let (rig, gate) = gated(None, |_| {});
    gate.lets.add_permits(2);
    for _ in 0..2 {
        let mut request = Request::get(URL).unwrap();
        request.close = true;
        assert_eq!(rig.client.send(request).await.unwrap().text().await.unwrap(), "hello");
    }
    assert_eq!((rig.dialed(), rig.counts()), (2, (0, 0, 0, 0)));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_grew_too_old_takes_nothing_new() {
    let (rig, gate) = gated(None, |transport| transport.max_conn_lifetime = secs(10));
    gate.lets.add_permits(3);
    finish(start(&rig, 1)).await;
    sleep(secs(5)).await;
    finish(start(&rig, 1)).await;
    sleep(secs(6)).await;
    finish(start(&rig, 1)).await;
    assert_eq!(rig.dialed(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_speaks_http1_or_breaks_the_rules_is_told_from_one_that_is_gone() {
    let too_many = [frame(SETTINGS, 0, 0, &[]), frame(6, 0, 0, &[0; 8]).repeat(20_000)].concat();
    for (says, words) in [
        (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n".to_vec(), "not SETTINGS"),
        (frame(SETTINGS, 0, 1, &[]), "against the rules"),
        (too_many, "too many frames"),
    ] {
        let rig = rig(|_| {}, move |_, stream| say(stream, says.clone()));
        let error = rig.client.get(URL).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(rig.counts(), (0, 0, 0, 0));
    }

    async fn say(stream: DuplexStream, says: Vec<u8>) {
        let (mut read, mut write) = tokio::io::split(stream);
        tokio::join!(
            async {
                let _ = write.write_all(&says).await;
                sleep(secs(1)).await;
            },
            async {
                let _ = tokio::io::copy(&mut read, &mut tokio::io::sink()).await;
            }
        );
    }
}

#[tokio::test(start_paused = true)]
async fn long_uploads_are_not_taken_for_a_flood_of_what_answers_them() {
    let rig = handled(server::Builder::new(), |mut request, respond| async move {
        let length = read(request.body_mut()).await.unwrap().len();
        answer(respond, length.to_string());
    });
    let content = vec![b'x'; 256 << 20];
    let mut response: Response = rig.client.post(URL, "text/plain", Body::from(content)).await.unwrap();
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(response.text().await.unwrap(), (256_usize << 20).to_string());
}
