//! Content of requests with codings, time limits as middleware, and handlers that are dropped.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;
use nethttp::middleware::{Decompression, DropOnDisconnect, Timeout};
use nethttp::{
    Body, ErrorKind, Handler as _, Method, Middleware, Next, Request, Response, ResponseWriter, Result, ServeMux,
    StatusCode, handle_with,
};

use crate::fake::fed;
use crate::site::{Site, in_all_modes, on_all_sites, whole};
use crate::support::{echo, hello, millis, secs, settle};

fn gzipped(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

async fn send(site: &Site, coding: &str, body: impl Into<Body>) -> Response {
    let mut request = site.request(Method::POST, "/", body);
    request.header.set("Content-Encoding", coding);
    site.client.send(request).await.unwrap()
}

/// Says what the handler sees of the content.
async fn facts(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let fields = (r.header.get("Content-Encoding").is_some(), r.header.get("Content-Length").is_some());
    let text = r.body.text().await?;
    w.write(format!("{text} {:?} {fields:?}", r.content_length)).await
}

#[tokio::test(start_paused = true)]
async fn a_handler_reads_decoded_content_and_sees_no_sign_of_the_coding() {
    on_all_sites(facts.wrapped_in(Decompression::new()), async |site| {
        for (coding, body) in [
            ("gzip", gzipped(b"hello")),
            ("GZIP", [gzipped(b"hel"), gzipped(b"lo")].concat()),
            ("gzip, gzip", gzipped(&gzipped(b"hello"))),
        ] {
            let answered = whole(Ok(send(&site, coding, body).await)).await;
            assert_eq!(answered, (200, "hello None (false, false)".into()), "{coding}");
        }
        assert_eq!(whole(site.post("/", "plain").await).await, (200, "plain Some(5) (false, true)".into()));
        assert_eq!(site.ask("/").await.0, 200);
        assert_eq!(site.server.connections(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_coding_that_is_not_known_is_415_with_those_that_are() {
    on_all_sites(echo.wrapped_in(Decompression::new()), async |site| {
        for coding in ["compress", "gzip, x", "gzip,gzip,gzip,gzip,gzip,gzip"] {
            let response = send(&site, coding, "content").await;
            assert_eq!(response.status.as_u16(), 415, "{coding}");
            assert!(response.header.has_token("Accept-Encoding", "gzip"), "{:?}", response.header);
        }
        site.assert_lives("/").await;
        assert_eq!(site.server.connections(), 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn content_that_is_corrupt_cut_off_or_too_large_is_the_clients_fault() {
    let of_2_mib = Decompression::new().max_bytes(2 << 20).max_ratio(u64::MAX);
    on_all_sites(echo.wrapped_in(of_2_mib), async |site| {
        let coded = gzipped(b"hello");
        for (body, status) in [
            (b"no gzip at all".to_vec(), 400),
            (coded[..coded.len() - 3].to_vec(), 400),
            ([&coded[..], b"more"].concat(), 400),
            (gzipped(&vec![b'a'; 3 << 20]), 413),
            (gzipped(&vec![b'a'; 3 << 18]), 200),
        ] {
            assert_eq!(send(&site, "gzip", body).await.status.as_u16(), status);
        }
        assert!(site.events().await.iter().all(|event| !event.contains("answered 500")));
    })
    .await;
    let bomb = gzipped(&vec![0; 8 << 20]);
    on_all_sites(echo.wrapped_in(Decompression::new().max_bytes(1 << 30)), async |site| {
        assert_eq!(send(&site, "gzip", bomb.clone()).await.status.as_u16(), 413, "a thousand times its size");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_timeout_around_a_route_answers_in_the_place_of_a_handler_that_is_late() {
    let late = async |_: &mut ResponseWriter, _: &mut Request| std::future::pending::<Result<()>>().await;
    let begun = async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("begun").await?;
        w.flush().await?;
        std::future::pending::<Result<()>>().await
    };
    let set = async |w: &mut ResponseWriter, _: &mut Request| {
        w.header().set("X-Inner", "1");
        w.write("never sent").await?;
        std::future::pending::<Result<()>>().await
    };
    in_all_modes(async |mode| {
        let mux = ServeMux::new();
        mux.wrap(named);
        mux.wrap(Timeout::new(secs(20)));
        mux.handle("/late", late);
        mux.handle("/soon", late.wrapped_in(Timeout::new(secs(5)).status(StatusCode::GATEWAY_TIMEOUT)));
        mux.handle("/message", set.wrapped_in(Timeout::new(secs(5)).message("try again")));
        mux.handle("/begun", begun);
        mux.handle("/never", late.wrapped_in(Timeout::new(secs(0))));
        mux.handle("/", hello);
        let site = Site::start(mode, mux);
        for (path, after, status, content) in [
            ("/", 0, 200, "hello"),
            ("/late", 20, 503, "503 Service Unavailable\n"),
            ("/never", 20, 503, "503 Service Unavailable\n"),
            ("/soon", 5, 504, "504 Gateway Timeout\n"),
            ("/message", 5, 503, "try again"),
        ] {
            let began = tokio::time::Instant::now();
            let mut response = site.get(path).await.unwrap();
            assert_eq!((response.status.as_u16(), began.elapsed()), (status, secs(after)), "{path}");
            assert_eq!((response.header.get("X-Outer"), response.header.get("X-Inner")), (Some("1"), None));
            assert_eq!(response.text().await.unwrap(), content);
        }
        let mut response = site.get("/begun").await.unwrap();
        assert!(response.text().await.is_err(), "it was cut");
    })
    .await;
}

async fn named(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
    w.header().set("X-Outer", "1");
    next.run(w, r).await
}

/// Counts how handlers end: by themselves, or dropped.
#[derive(Clone, Default)]
struct Ends {
    ended: Arc<AtomicUsize>,
    dropped: Arc<AtomicUsize>,
    errors: Arc<AtomicUsize>,
}

struct CountsDrop<'a>(&'a AtomicUsize);

impl Drop for CountsDrop<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

async fn works(ends: &Ends, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let guard = CountsDrop(&ends.dropped);
    if r.query("wait").is_some() {
        tokio::time::sleep(secs(3600)).await;
    }
    std::mem::forget(guard);
    ends.ended.fetch_add(1, Ordering::SeqCst);
    w.write("done").await
}

struct Watch(Ends);

impl Middleware for Watch {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        let result = next.run(w, r).await;
        if let Err(error) = &result {
            assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::RequestOver, 499));
            self.0.errors.fetch_add(1, Ordering::SeqCst);
        }
        result
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_is_dropped_when_its_client_leaves_where_that_is_asked_for() {
    in_all_modes(async |mode| {
        for drops in [true, false] {
            let ends = Ends::default();
            let handler = handle_with(ends.clone(), works);
            let mux = ServeMux::new();
            mux.wrap(Watch(ends.clone()));
            mux.wrap(drops.then_some(DropOnDisconnect));
            mux.handle("/", handler);
            let site = Site::start(mode, mux);
            assert_eq!(site.ask("/").await, (200, "done".into()));
            assert!(tokio::time::timeout(secs(1), site.get("/?wait")).await.is_err());
            settle().await;
            tokio::time::sleep(millis(100)).await;
            let count = |of: &AtomicUsize| of.load(Ordering::SeqCst);
            let expected = if drops { (1, 1, 1) } else { (1, 0, 0) };
            assert_eq!((count(&ends.ended), count(&ends.dropped), count(&ends.errors)), expected);
            assert_eq!(site.ask("/").await, (200, "done".into()));
            assert!(site.events().await.iter().all(|event| event.contains("the client has left")));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_slowly_or_sends_late_has_not_left() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        let content = r.body.bytes(1 << 20).await?;
        tokio::time::sleep(secs(20)).await;
        w.write(content).await
    };
    on_all_sites(handler.wrapped_in(DropOnDisconnect), async |site| {
        let (feed, body) = fed();
        let sending = site.post("/", body);
        let feeding = async {
            for _ in 0..3 {
                tokio::time::sleep(secs(10)).await;
                feed.send(Ok("part ".into())).unwrap();
            }
            drop(feed);
        };
        let (response, ()) = tokio::join!(sending, feeding);
        assert_eq!(whole(response).await, (200, "part part part ".into()));
    })
    .await;
}
