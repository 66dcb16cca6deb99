//! What an attacker or an unlucky order of events must not get: memory that is out of proportion,
//! another request's data, a wakeup that never comes.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use nethttp::net::Addr;
use nethttp::{Body, Bytes, Method, Request, ResponseWriter, Result, Server, Uri, handle_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::support::{GET, dial, quiet, secs, serve, settle, start};

type Seen<T> = Arc<Mutex<Vec<T>>>;

// ---------------------------------------------------------------- data of another request

#[tokio::test(start_paused = true)]
async fn what_a_handler_does_to_its_request_is_not_seen_by_the_next_one() {
    async fn forge(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let from = r.remote_addr.to_string();
        if r.path() == "/replaced" {
            *r = Request::new(Method::GET, Uri::from_static("/"), Body::empty());
        } else {
            r.remote_addr = Addr::Named("forged".into());
        }
        w.write(from).await
    }
    let running = serve(forge);
    let mut peer = running.dial().await;
    // In one piece, so that the connection is never idle between them.
    peer.send(format!("{GET}GET /replaced HTTP/1.1\r\nHost: h\r\n\r\n{GET}")).await;
    for _ in 0..3 {
        assert_eq!(peer.answer().await.content, "memory client 1");
    }
}

// ---------------------------------------------------------------- memory

#[tokio::test(start_paused = true)]
async fn a_peer_that_pipelines_and_does_not_read_is_served_no_further_than_it_reads() {
    async fn fill(served: &Seen<()>, w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
        served.lock().unwrap().push(());
        w.write([b'x'; 2000]).await
    }
    let served: Seen<()> = Arc::default();
    let running = serve(handle_with(served.clone(), fill));
    let mut peer = dial(&running.dialer.with_buffer_bytes(8 << 10)).await;
    peer.send(&GET.repeat(200)).await;
    settle().await;
    assert!(served.lock().unwrap().len() < 20, "{} answers of 2 KB collected", served.lock().unwrap().len());
}

#[tokio::test(start_paused = true)]
async fn a_content_that_drips_takes_memory_for_what_came_and_not_for_what_was_announced() {
    async fn keep(kept: &Seen<Bytes>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        while let Some(chunk) = r.body.chunk().await? {
            kept.lock().unwrap().push(chunk);
        }
        w.write("done").await
    }
    for (head, byte) in [("Content-Length: 100000", "x"), ("Transfer-Encoding: chunked", "x")] {
        let kept: Seen<Bytes> = Arc::default();
        let running = serve(handle_with(kept.clone(), keep));
        let mut peer = running.dial().await;
        peer.send(format!("POST / HTTP/1.1\r\nHost: h\r\n{head}\r\n\r\n")).await;
        if head.contains("chunked") {
            peer.send("ffff\r\n").await;
        }
        for _ in 0..50 {
            settle().await;
            peer.send(byte).await;
        }
        settle().await;
        let kept = std::mem::take(&mut *kept.lock().unwrap());
        assert_eq!(kept.len(), 50);
        let held: usize =
            kept.into_iter().map(|chunk| chunk.try_into_mut().expect("nobody shares it").capacity()).sum();
        assert!(held < 50 * 1024, "{held} bytes held for 50 that came ({head})");
    }
}

#[test]
fn a_wait_that_was_given_up_leaves_nothing_behind() {
    struct Count;
    impl Wake for Count {
        fn wake(self: Arc<Self>) {}
    }
    let count = Arc::new(Count);
    let context = nethttp::Context::background();
    for _ in 0..3 {
        let waker = Waker::from(count.clone());
        let mut waiting = Box::pin(async { tokio::join!(context.draining(), context.cancelled()) });
        assert!(waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    assert_eq!(Arc::strong_count(&count), 1);
}

// ---------------------------------------------------------------- wakeups that do not come

/// Reads the content in a task of its own.
fn read_elsewhere(r: &mut Request) -> JoinHandle<Result<Bytes>> {
    let mut body = std::mem::take(&mut r.body);
    tokio::spawn(async move { body.bytes(1 << 20).await })
}

/// Waits for the peer's leaving while another task reads the content.
async fn watch(noticed: &Seen<Instant>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let reading = read_elsewhere(r);
    r.context().cancelled().await;
    noticed.lock().unwrap().push(Instant::now());
    let _ = reading.await;
    w.write("noticed").await
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_leaves_is_noticed_also_when_another_task_read_its_content() {
    for content in ["whole", "cut"] {
        let noticed: Seen<Instant> = Arc::default();
        let running = serve(handle_with(noticed.clone(), watch));
        let mut peer = running.dial().await;
        peer.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n").await;
        settle().await;
        peer.send(content).await;
        settle().await;
        let left = Instant::now();
        drop(peer);
        tokio::time::sleep(secs(100)).await;
        assert_eq!(*noticed.lock().unwrap(), [left], "{content} content");
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_write_that_waits_is_no_failure() {
    async fn large(cancelled: &Seen<bool>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let written = w.write([b'x'; 5_000]).await;
        cancelled.lock().unwrap().push(r.context().is_cancelled());
        written
    }
    let cancelled: Seen<bool> = Arc::default();
    let running = serve(handle_with(cancelled.clone(), large));
    // So little room that not even the head is taken in one piece.
    let mut peer = dial(&running.dialer.with_buffer_bytes(16)).await;
    peer.send(GET).await;
    settle().await;
    assert_eq!(peer.answer().await.status, 200);
    settle().await;
    assert_eq!(*cancelled.lock().unwrap(), [false]);
}

#[tokio::test(start_paused = true)]
async fn content_that_another_task_waits_for_disturbs_no_write() {
    async fn duplex(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let reading = read_elsewhere(r);
        tokio::task::yield_now().await;
        w.write(vec![b'x'; if r.path() == "/large" { 5_000 } else { 5 }]).await?;
        w.flush().await?;
        w.write("flushed").await?;
        w.flush().await?;
        let content = reading.await.expect("it does not panic")?;
        w.write(content).await
    }
    let running = serve(duplex);
    for path in ["/large", "/small"] {
        // So little room that both writes wait for the peer.
        let mut peer = dial(&running.dialer.with_buffer_bytes(16)).await;
        peer.send(format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n")).await;
        settle().await;
        peer.send("h").await;
        settle().await;
        let mut received = String::new();
        while !received.contains("flushed\r\n") {
            let mut piece = [0; 16];
            let read = timeout(secs(1), peer.stream.read(&mut piece)).await.expect("the writer was woken").unwrap();
            received.push_str(std::str::from_utf8(&piece[..read]).unwrap());
        }
        peer.send("ello").await;
        peer.stream.shutdown().await.unwrap();
        assert!(peer.end().await.received.ends_with("hello\r\n0\r\n\r\n"), "{path}");
    }
}

// ---------------------------------------------------------------- ends

#[test]
fn a_runtime_may_end_with_its_thread() {
    thread_local! {
        static RUNTIME: RefCell<Option<tokio::runtime::Runtime>> = const { RefCell::new(None) };
    }
    let ended = std::thread::spawn(|| {
        // First, so that it goes last: what connections give back then has no place any more.
        RUNTIME.with_borrow_mut(|place| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let server: Server = quiet(crate::support::hello);
                let running = start(server);
                let mut peer = running.dial().await;
                assert_eq!(peer.ask(GET).await.status, 200);
                peer.stream.write_all(b"GET / HT").await.unwrap();
                tokio::task::yield_now().await;
                std::mem::forget(peer);
            });
            *place = Some(runtime);
        });
    })
    .join();
    assert!(ended.is_ok());
}

/// Threads on purpose: what is looked for happens between two of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_becomes_idle_while_a_new_one_waits_for_room_closes() {
    let mut server = quiet(crate::support::hello);
    server.max_connections = 1;
    let running = start(server);
    let mut old = running.dial().await;
    for round in 0..5_000 {
        let dialer = running.dialer.clone();
        let dialing = tokio::spawn(async move {
            let mut new = dial(&dialer).await;
            new.send(GET).await;
            new
        });
        // It may have had to leave already.
        let _ = old.stream.write_all(GET.as_bytes()).await;
        let mut new = dialing.await.unwrap();
        assert_eq!(
            timeout(secs(5), new.answer()).await.unwrap_or_else(|_| panic!("no room in round {round}")).status,
            200
        );
        old = new;
    }
}
