//! Content, in both directions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use nethttp::{
    Body, Bytes, ErrorKind, Handler, Method, Request, Response, ResponseWriter, Result, ServeMux, StatusCode,
    handle_with,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, sleep, timeout};

use crate::fake::{fed, pieces};
use crate::site::{Mode, Site, in_all_modes, on_all_sites, whole};
use crate::support::{echo, hello, millis, secs, settle};

/// Sends back each piece as it comes.
async fn stream_back(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    while let Some(chunk) = r.body.chunk().await? {
        w.write_bytes(chunk).await?;
        w.flush().await?;
    }
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn content_streams_both_ways_at_once() {
    on_all_sites(stream_back, async |site| {
        let (feed, body) = fed();
        feed.send(Ok("piece 0".into())).unwrap();
        let mut response = site.post("/", body).await.unwrap();
        assert_eq!((response.content_length, response.header.get("Content-Length")), (None, None));
        for number in 0..20 {
            assert_eq!(response.body.chunk().await.unwrap().unwrap(), format!("piece {number}"));
            feed.send(Ok(format!("piece {}", number + 1).into())).unwrap();
        }
        drop(feed);
        assert_eq!(response.text().await.unwrap(), "piece 20");
        assert_eq!(whole(site.post("/", "again").await).await, (200, "again".into()));
        assert_eq!(site.server.connections(), 1);
    })
    .await;
}

/// A handler whose answers are fed by hand, through what it puts into the list.
fn fed_by_hand(feeds: &Feeds) -> impl Handler {
    handle_with(feeds.clone(), async |feeds: &Feeds, w: &mut ResponseWriter, _: &mut Request| {
        let (feed, body) = fed();
        feeds.lock().unwrap().push(feed);
        w.send(Response::new(body)).await
    })
}

type Feeds = Arc<Mutex<Vec<UnboundedSender<std::io::Result<Bytes>>>>>;

#[tokio::test(start_paused = true)]
async fn what_a_body_has_ready_leaves_while_it_waits_for_more() {
    in_all_modes(async |mode| {
        let feeds = Feeds::default();
        let site = Site::start(mode, fed_by_hand(&feeds));
        let asked = Instant::now();
        let mut response = site.get("/").await.unwrap();
        assert!(asked.elapsed() < millis(50), "the head leaves while the body has nothing");
        let feed = feeds.lock().unwrap().pop().unwrap();
        let feeding = tokio::spawn(async move {
            for event in ["one", "two", "three", "four"] {
                sleep(millis(250)).await;
                feed.send(Ok(event.into())).unwrap();
            }
        });
        for (number, event) in (1..).zip(["one", "two", "three", "four"]) {
            assert_eq!(response.body.chunk().await.unwrap().unwrap(), event);
            assert!(asked.elapsed() < millis(250 * number + 50), "{event} after {:?}", asked.elapsed());
        }
        feeding.await.unwrap();
        assert_eq!(response.body.chunk().await.unwrap(), None);
        assert!(site.events().await.is_empty());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_waits_is_dropped_when_its_client_leaves() {
    in_all_modes(async |mode| {
        let feeds = Feeds::default();
        let site = Site::start(mode, fed_by_hand(&feeds));
        for (begun, piece) in [(false, None), (true, Some("begun"))] {
            let mut response = site.get("/").await.unwrap();
            let feed = feeds.lock().unwrap().pop().unwrap();
            if let Some(piece) = piece {
                feed.send(Ok(piece.into())).unwrap();
                assert_eq!(response.body.chunk().await.unwrap().unwrap(), piece);
            }
            drop(response);
            timeout(millis(50 + 50), feed.closed()).await.unwrap_or_else(|_| panic!("kept, begun: {begun}"));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_body_without_end_is_not_read_for_head() {
    in_all_modes(async |mode| {
        let feeds = Feeds::default();
        let site = Site::start(mode, fed_by_hand(&feeds));
        let mut response = site.client.head(&*site.url("/")).await.unwrap();
        assert_eq!((response.status.as_u16(), response.content_length), (200, None));
        assert_eq!(response.text().await.unwrap(), "");
        assert!(feeds.lock().unwrap().pop().unwrap().is_closed());
    })
    .await;
}

const CHUNK: usize = 32 * 1024;

/// Content of so many chunks, which counts what was taken of it.
struct Counted {
    left: u64,
    taken: Arc<AtomicU64>,
    chunk: Bytes,
}

impl futures_core::Stream for Counted {
    type Item = Result<Bytes>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Bytes>>> {
        if self.left == 0 {
            return std::task::Poll::Ready(None);
        }
        self.left -= 1;
        self.taken.fetch_add(CHUNK as u64, Ordering::Relaxed);
        std::task::Poll::Ready(Some(Ok(self.chunk.clone())))
    }
}

/// Sends so much to be sent back, and returns how much was under way at most.
async fn most_held(site: &Site, total: u64) -> u64 {
    let taken = Arc::new(AtomicU64::new(0));
    let chunk = Bytes::from(vec![b'x'; CHUNK]);
    let counted = Counted { left: total / CHUNK as u64, taken: taken.clone(), chunk };
    let mut response = site.post("/", Body::from_stream(counted)).await.unwrap();
    let (mut received, mut held) = (0, 0);
    while let Some(chunk) = response.body.chunk().await.unwrap() {
        received += chunk.len() as u64;
        held = held.max(taken.load(Ordering::Relaxed) - received);
    }
    assert_eq!((received, taken.load(Ordering::Relaxed)), (total, total));
    held
}

#[tokio::test(start_paused = true)]
async fn of_64_mib_both_ways_little_is_held_at_any_time() {
    on_all_sites(stream_back, async |site| {
        let held = most_held(&site, 64 << 20).await;
        assert!(held < 3 << 20, "{held} bytes were under way at a time");
    })
    .await;
}

/// `cargo test --release --test modes -- --ignored --nocapture` says how much memory it took.
#[tokio::test(start_paused = true)]
#[ignore = "it takes minutes"]
async fn of_1_gib_both_ways_over_http2_little_is_held_at_any_time() {
    for mode in [Mode::Http2, Mode::Http2Tls] {
        let held = most_held(&Site::start(mode, stream_back), 1 << 30).await;
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("unknown");
        eprintln!("{mode:?}: {held} bytes under way at most, peak memory {peak}");
        assert!(held < 3 << 20, "{held} bytes were under way at a time");
    }
}

#[tokio::test(start_paused = true)]
async fn content_of_every_size_around_a_buffer_comes_back_as_it_went() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        let content = r.body.bytes(1 << 22).await?;
        w.write(content).await
    };
    on_all_sites(handler, async |site| {
        for around in [1, 2048, 4096, 16 << 10, 32 << 10, 64 << 10, 256 << 10, 1 << 20] {
            for length in around - 1..=around + 1 {
                let content: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
                let mut response = site.post("/", content.clone()).await.unwrap();
                assert!(response.bytes().await.unwrap() == content, "{length}");
            }
        }
        assert_eq!(site.server.connections(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn trailers_go_both_ways() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        w.header().set("Trailer", "X-Sum");
        let length = r.body.bytes(1000).await?.len();
        let sent = r.body.trailer().and_then(|trailer| trailer.get("X-Check")).unwrap_or("none").to_owned();
        w.write(sent).await?;
        w.trailer().set("X-Sum", length.to_string());
        Ok(())
    };
    on_all_sites(handler, async |site| {
        for body in [pieces(&["one ", "two"]), Body::from("one two")] {
            let mut request = site.request(Method::POST, "/", body);
            request.trailer.set("X-Check", "all there");
            let mut response = site.client.send(request).await.unwrap();
            assert_eq!(response.text().await.unwrap(), "all there");
            assert_eq!(response.body.trailer().unwrap().get("X-Sum"), Some("7"));
        }
        let mut response = site.post("/", "none").await.unwrap();
        assert_eq!(response.text().await.unwrap(), "none");
        assert_eq!(response.body.trailer().unwrap().get("X-Sum"), Some("4"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn content_over_a_limit_is_answered_413() {
    in_all_modes(async |mode| {
        let mux = ServeMux::new();
        mux.handle("/", nethttp::middleware::max_bytes_handler(echo, 10));
        let site = Site::start(mode, mux);
        assert_eq!(whole(site.post("/", "0123456789").await).await, (200, "0123456789".into()));
        assert_eq!(whole(site.post("/", "0123456789a").await).await.0, 413);
        assert_eq!(whole(site.post("/", pieces(&["012345", "6789a"])).await).await.0, 413);
        let much = Bytes::from(vec![b'x'; 20 << 20]);
        assert_eq!(whole(site.post("/", much).await).await.0, 413);
        site.assert_lives("/").await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn unread_content_delays_no_response_and_no_later_request() {
    on_all_sites(hello, async |site| {
        for length in [0, 1, 100_000, 200_000, 300_000, 20 << 20] {
            let content = Bytes::from(vec![b'x'; length]);
            assert_eq!(whole(site.post("/", content).await).await, (200, "hello".into()), "{length}");
            assert_eq!(site.ask("/").await, (200, "hello".into()), "behind {length}");
        }
        assert!(site.events().await.is_empty());
    })
    .await;
}

// ------------------------------------------------------------ content that does not end as it should

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_shorter_than_announced_is_an_error_and_no_shorter_content() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        if r.path() == "/ok" {
            return w.write("ok").await;
        }
        w.header().set("Content-Length", "10");
        w.write("12345").await?;
        if r.path() == "/flushed" { w.flush().await } else { Ok(()) }
    };
    on_all_sites(handler, async |site| {
        for path in ["/flushed", "/at-once"] {
            let kind = match site.get(path).await {
                Ok(mut response) => response.text().await.unwrap_err().kind(),
                Err(error) => error.kind(),
            };
            assert_eq!(kind, ErrorKind::CutOff, "{path}");
            site.assert_lives("/ok").await;
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_closed_cuts_answers_and_the_client_sees_it() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        if r.path() == "/length" {
            w.header().set("Content-Length", "100");
        }
        w.write("12345").await?;
        w.flush().await?;
        r.context().cancelled().await;
        Ok(())
    };
    in_all_modes(async |mode| {
        for path in ["/length", "/streamed"] {
            let site = Site::start(mode, handler);
            let mut response = site.get(path).await.unwrap();
            assert_eq!(response.body.chunk().await.unwrap().unwrap(), "12345");
            site.server.close();
            let error = response.body.chunk().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::CutOff, "{path}: {error}");
            assert_eq!(site.serving.await.unwrap().unwrap_err().kind(), ErrorKind::ServerClosed);
        }
    })
    .await;
}

/// Gives its body away, and waits for ever.
fn giving_its_body_away() -> (impl Handler, UnboundedReceiver<Body>) {
    let (taken, bodies) = tokio::sync::mpsc::unbounded_channel();
    let give = async |taken: &UnboundedSender<Body>, _: &mut ResponseWriter, r: &mut Request| {
        taken.send(std::mem::take(&mut r.body)).unwrap();
        std::future::pending().await
    };
    (handle_with(taken, give), bodies)
}

/// How reading ends, and reading again.
async fn ends_of(mut body: Body) -> [ErrorKind; 2] {
    let first = loop {
        if let Err(error) = body.chunk().await.map(|chunk| chunk.expect("it has no end")) {
            break error;
        }
    };
    [first.kind(), body.chunk().await.unwrap_err().kind()]
}

#[tokio::test(start_paused = true)]
async fn a_body_that_another_task_reads_fails_at_once_when_the_server_cuts_its_connection() {
    in_all_modes(async |mode| {
        for waits_already in [true, false] {
            let (handler, mut bodies) = giving_its_body_away();
            let site = Site::start(mode, handler);
            let (feed, content) = fed();
            feed.send(Ok("a part".into())).unwrap();
            let sending = site.client.send(site.request(Method::POST, "/", content));
            let reading = async {
                let body = bodies.recv().await.unwrap();
                if waits_already {
                    let reader = tokio::spawn(ends_of(body));
                    settle().await;
                    site.server.close();
                    timeout(millis(100), reader).await.map(|ended| ended.unwrap())
                } else {
                    site.server.close();
                    settle().await;
                    timeout(millis(100), ends_of(body)).await
                }
            };
            // The clock is paused: what waits for ever would run into this at once.
            let (sent, ends) = tokio::join!(timeout(secs(60), sending), reading);
            assert!(sent.expect("the client hears of it").is_err());
            let ends = ends.expect("nobody waits for what cannot come");
            assert!(ends.iter().all(|end| matches!(end, ErrorKind::CutOff | ErrorKind::RequestOver)), "{ends:?}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_content_fails_is_an_error_on_both_sides() {
    in_all_modes(async |mode| {
        let (told, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let handler = nethttp::handle_with(told, async |told: &Told, _: &mut ResponseWriter, r: &mut Request| {
            let read = r.body.bytes(1000).await;
            told.send(read.map(|content| content.len()).map_err(|error| error.kind())).unwrap();
            Ok(())
        });
        let site = Site::start(mode, handler);
        let (feed, body) = fed();
        feed.send(Ok("a part".into())).unwrap();
        feed.send(Err(std::io::Error::other("the disk is gone"))).unwrap();
        let error = site.post("/", body).await.unwrap_err();
        assert!(error.to_string().contains("the disk is gone"), "{error}");
        assert_eq!(seen.recv().await.unwrap(), Err(ErrorKind::CutOff));

        let mut request = site.request(Method::POST, "/", pieces(&["short"]));
        request.header.set("Content-Length", "10");
        site.client.send(request).await.unwrap_err();
        assert_eq!(seen.recv().await.unwrap(), Err(ErrorKind::CutOff));
    })
    .await;
}

type Told = tokio::sync::mpsc::UnboundedSender<Result<usize, ErrorKind>>;

#[tokio::test(start_paused = true)]
async fn a_response_before_the_content_was_sent_is_read() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        if r.path() == "/refuse" {
            w.write_header(StatusCode::FORBIDDEN);
        }
        w.write("no need").await
    };
    on_all_sites(handler, async |site| {
        let (feed, body) = fed();
        feed.send(Ok("a part".into())).unwrap();
        // The rest of it never comes.
        assert_eq!(whole(site.post("/refuse", body).await).await, (403, "no need".into()));
        // What could be completed at once would save the connection.
        sleep(millis(100)).await;
        assert!(feed.is_closed(), "the body was let go");
        site.assert_lives("/").await;
    })
    .await;
}
