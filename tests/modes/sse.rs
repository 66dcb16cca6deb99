//! Server-sent events, sent by the server and read by the client.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use nethttp::middleware::Compression;
use nethttp::sse::{self, Event, EventReceiver, EventSource, EventStream, SlowReader, last_event_id};
use nethttp::{
    ErrorKind, Method, Request, Response, ResponseWriter, Result, ServeMux, StatusCode, handle_with, respond_with,
};
use tokio::time::{Duration, Instant, sleep};

use crate::site::{Site, in_all_modes};
use crate::support::{millis, secs, settle};

/// The queue whose events the next request gets.
type Next = Arc<Mutex<Option<EventReceiver>>>;

async fn written(next: &Next, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let events = next.lock().unwrap().take().unwrap();
    EventStream::start(w, r).await?.send_from(events).await
}

async fn returned(next: &Next, r: &mut Request) -> Response {
    let events = next.lock().unwrap().take().unwrap();
    sse::response(r, events)
}

/// Both forms of a handler.
fn service(next: &Next) -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("GET /written", handle_with(next.clone(), written));
    mux.handle("GET /returned", respond_with(next.clone(), returned));
    mux
}

async fn on_both_handlers(test: impl AsyncFn(&Site, &str, &Next)) {
    in_all_modes(async |mode| {
        for path in ["/written", "/returned"] {
            eprintln!("of {path}");
            let next = Next::default();
            test(&Site::start(mode, service(&next)), path, &next).await;
        }
    })
    .await;
}

async fn chunk(response: &mut Response) -> String {
    String::from_utf8(response.body.chunk().await.unwrap().unwrap().to_vec()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_head_comes_at_once_and_each_event_when_it_happens() {
    on_both_handlers(async |site, path, next| {
        let (sender, events) = sse::channel(1, SlowReader::Wait);
        *next.lock().unwrap() = Some(events);
        let mut response = site.get(path).await.unwrap();
        let fields = ["Content-Type", "Cache-Control", "X-Accel-Buffering", "Content-Length"];
        let values = fields.map(|name| response.header.get(name));
        assert_eq!(values, [Some("text/event-stream"), Some("no-cache"), Some("no"), None]);
        for number in 0..3 {
            sender.send(Event { id: Some(number.to_string()), ..Event::new("a\nb") }).await.unwrap();
            assert_eq!(chunk(&mut response).await, format!("id: {number}\ndata: a\ndata: b\n\n"));
        }
        drop(sender);
        assert_eq!(response.body.chunk().await.unwrap(), None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_silence_of_15_s_is_broken_by_a_comment() {
    on_both_handlers(async |site, path, next| {
        let (sender, events) = sse::channel(1, SlowReader::Wait);
        *next.lock().unwrap() = Some(events);
        let mut response = site.get(path).await.unwrap();
        let began = Instant::now();
        assert_eq!(chunk(&mut response).await, ":\n\n");
        assert!((secs(15)..secs(16)).contains(&began.elapsed()), "{:?}", began.elapsed());
        sleep(secs(10)).await;
        sender.send(Event::new("x")).await.unwrap();
        assert_eq!(chunk(&mut response).await, "data: x\n\n");
        let began = Instant::now();
        assert_eq!(chunk(&mut response).await, ":\n\n");
        assert!((secs(15)..secs(16)).contains(&began.elapsed()), "an event breaks it too: {:?}", began.elapsed());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_silence_can_be_set_and_zero_is_forever() {
    in_all_modes(async |mode| {
        let quiet = async |_: &(), w: &mut ResponseWriter, r: &mut Request| {
            let interval = if r.escaped_path() == "/never" { Duration::ZERO } else { secs(2) };
            let mut events = EventStream::start(w, r).await?;
            events.set_keep_alive(interval);
            events.wait(sleep(secs(60))).await?;
            events.send(&Event::new("x")).await
        };
        let site = Site::start(mode, handle_with((), quiet));
        let (began, mut response) = (Instant::now(), site.get("/").await.unwrap());
        assert_eq!(chunk(&mut response).await, ":\n\n");
        assert!(began.elapsed() < secs(3));
        let mut response = site.get("/never").await.unwrap();
        assert_eq!(chunk(&mut response).await, "data: x\n\n");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_a_stream_whole() {
    on_both_handlers(async |site, path, next| {
        let (sender, events) = sse::channel(1, SlowReader::Wait);
        *next.lock().unwrap() = Some(events);
        let mut response = site.get(path).await.unwrap();
        sender.send(Event::new("x")).await.unwrap();
        assert_eq!(chunk(&mut response).await, "data: x\n\n");
        let (report, end) = tokio::join!(site.server.shutdown(secs(5)), response.body.chunk());
        assert_eq!(end.unwrap(), None);
        assert_eq!(report.cut, 0, "{report:?}");
        assert!(sender.is_closed());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_is_noticed_without_an_event() {
    on_both_handlers(async |site, path, next| {
        let (sender, events) = sse::channel(1, SlowReader::Wait);
        *next.lock().unwrap() = Some(events);
        let response = site.get(path).await.unwrap();
        settle().await;
        assert!(!sender.is_closed());
        drop(response);
        // The client itself reads on for 50 ms, in case it can keep the connection.
        sleep(millis(100)).await;
        assert!(sender.is_closed());
        // Of a response that is a value the error says so, as of any other.
        let reported = site.events().await.len();
        assert!(path != "/written" || reported == 0, "nobody need hear of it");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn compression_holds_no_event_back() {
    in_all_modes(async |mode| {
        for path in ["/written", "/returned"] {
            let next = Next::default();
            let mux = service(&next);
            mux.wrap(Compression::new());
            let site = Site::start(mode, mux);
            let (sender, events) = sse::channel(1, SlowReader::Wait);
            *next.lock().unwrap() = Some(events);
            let mut source = EventSource::new(&site.client, &*site.url(path)).unwrap();
            for number in 0..3 {
                let (sent, event) = tokio::join!(sender.send(Event::new(number.to_string())), source.next());
                sent.unwrap();
                assert_eq!(event.unwrap().unwrap().data, number.to_string());
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn head_is_the_head_alone() {
    in_all_modes(async |mode| {
        let next = Next::default();
        let site = Site::start(mode, service(&next));
        let (_sender, events) = sse::channel(1, SlowReader::Wait);
        *next.lock().unwrap() = Some(events);
        let response = site.client.send(site.request(Method::HEAD, "/written", "")).await.unwrap();
        assert_eq!(response.header.get("Content-Type"), Some("text/event-stream"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_overrun_is_cut_off_in_the_middle_of_a_write() {
    in_all_modes(async |mode| {
        let next = Next::default();
        let site = Site::start(mode, service(&next));
        let (sender, events) = sse::channel(4, SlowReader::Disconnect);
        *next.lock().unwrap() = Some(events);
        let mut response = site.get("/written").await.unwrap();
        // Nothing is read: windows and buffers fill, then the queue.
        let large = "x".repeat(1 << 20);
        let mut count = 0;
        while sender.send(Event::new(large.clone())).await.is_ok() {
            settle().await;
            count += 1;
            assert!(count < 100, "somebody holds it all");
        }
        let end = loop {
            match response.body.chunk().await {
                Ok(Some(_)) => {}
                other => break other,
            }
        };
        assert!(end.is_err(), "what was cut off is not whole");
    })
    .await;
}

/// What each connection is answered, and the id that it came with.
#[derive(Default)]
struct Script {
    seen: Mutex<Vec<Option<String>>>,
    count: AtomicUsize,
}

impl Script {
    async fn serve(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        self.seen.lock().unwrap().push(last_event_id(r).map(str::to_owned));
        match self.count.fetch_add(1, Ordering::SeqCst) {
            0 => {
                let mut events = EventStream::start(w, r).await?;
                let retry = Some(millis(500));
                events.send(&Event { id: Some("1".into()), retry, ..Event::new("a") }).await
            }
            1 => {
                w.header().set("Content-Type", "Text/Event-Stream; charset=utf-8");
                w.write("id: \u{fc}\ndata: b\n\nid: 3\ndata: half").await?;
                w.flush().await?;
                Err(nethttp::Error::other("cut off"))
            }
            2 => {
                w.write_header(StatusCode::SERVICE_UNAVAILABLE);
                Ok(())
            }
            3 => w.write("a page").await,
            _ => {
                w.write_header(StatusCode::NO_CONTENT);
                Ok(())
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_goes_on_behind_the_last_event_that_came_whole() {
    in_all_modes(async |mode| {
        let script = Arc::new(Script::default());
        let site = Site::start(mode, handle_with(script.clone(), Script::serve));
        let mut source = EventSource::new(&site.client, &*site.url("/")).unwrap();
        let event = source.next().await.unwrap().unwrap();
        assert_eq!((event.data.as_str(), event.id.as_deref(), event.retry), ("a", Some("1"), Some(millis(500))));
        let began = Instant::now();
        let event = source.next().await.unwrap().unwrap();
        assert_eq!((event.data.as_str(), event.id.as_deref()), ("b", Some("\u{fc}")));
        assert!((millis(500)..millis(600)).contains(&began.elapsed()), "the server's wait: {:?}", began.elapsed());
        // Half an event is none, and its id does not count.
        let error = source.next().await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Status, Some(StatusCode::SERVICE_UNAVAILABLE)));
        assert_eq!(source.next().await.unwrap_err().kind(), ErrorKind::Malformed);
        assert_eq!(source.next().await.unwrap(), None);
        assert_eq!(source.next().await.unwrap(), None, "204 is for good");
        let id = Some("\u{fc}".to_owned());
        assert_eq!(*script.seen.lock().unwrap(), [None, Some("1".into()), id.clone(), id.clone(), id]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_source_whose_server_is_gone_gives_up_after_so_many_attempts() {
    in_all_modes(async |mode| {
        let site = Site::start(
            mode,
            handle_with((), async |_: &(), w: &mut ResponseWriter, _: &mut Request| w.write("").await),
        );
        site.server.close();
        let mut source = EventSource::new(&site.client, &*site.url("/")).unwrap();
        source.set_max_failures(3);
        let began = Instant::now();
        source.next().await.unwrap_err();
        // Two waits, of 3 s and 6 s and a quarter of chance at most.
        assert!((secs(9)..secs(12)).contains(&began.elapsed()), "{:?}", began.elapsed());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_next_that_is_dropped_loses_nothing() {
    on_both_handlers(async |site, path, next| {
        let (sender, events) = sse::channel(8, SlowReader::Wait);
        *next.lock().unwrap() = Some(events);
        let mut source = EventSource::new(&site.client, &*site.url(path)).unwrap();
        let mut numbers = Vec::new();
        sender.send(Event::new("0")).await.unwrap();
        numbers.push(source.next().await.unwrap().unwrap().data);
        for number in 1..4 {
            assert!(tokio::time::timeout(secs(1), source.next()).await.is_err());
            sender.send(Event::new(number.to_string())).await.unwrap();
            numbers.push(source.next().await.unwrap().unwrap().data);
        }
        assert_eq!(numbers, ["0", "1", "2", "3"]);
    })
    .await;
}
