//! Several requests on their way at once: answered one by one, in order, together, and never more
//! of them than the peer is willing to read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nethttp::{Request, ResponseWriter, Result, handle_with};
use tokio::time::sleep;

use crate::wire::{Answer, GET, Host, closed, kept, post, post_chunked};

async fn target(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    w.omit(nethttp::server::AutoField::ContentType);
    w.write(r.request_uri.clone()).await
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn answer(content: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nDate: -\r\n\r\n{content}", content.len())
}

#[tokio::test(start_paused = true)]
async fn sixteen_requests_in_one_write_are_answered_in_order_in_one_write() {
    let mut peer = Host::new(target).connect();
    let targets: Vec<_> = (0..16).map(|at| format!("/{at}")).collect();
    let requests: String = targets.iter().map(|target| get(target)).collect();
    let answers: String = targets.iter().map(|target| answer(target)).collect();
    assert_eq!(peer.talk(&requests).await, kept(&answers));
    assert_eq!(peer.writes(), 1);
    assert_eq!(peer.talk(&requests).await, kept(&answers));
    assert_eq!(peer.writes(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_ready_does_not_wait_for_a_handler_that_does() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        if r.request_uri == "/slow" {
            sleep(Duration::from_secs(60)).await;
        }
        target(w, r).await
    };
    let mut peer = Host::new(handler).connect();
    assert_eq!(peer.talk(get("/quick") + &get("/slow")).await, kept(answer("/quick")));
    sleep(Duration::from_secs(61)).await;
    assert_eq!(peer.hear().await, kept(answer("/slow")));
}

#[tokio::test(start_paused = true)]
async fn requests_cut_at_every_byte_are_answered_the_same() {
    let host = Host::new(target);
    let requests =
        [get("/1").into_bytes(), post("/2", b"abc"), post_chunked("/3", b"def", &[2]), get("/4").into_bytes()];
    let requests = requests.concat();
    let expected: String = ["/1", "/2", "/3", "/4"].map(answer).concat();
    for cut in 1..requests.len() {
        let mut peer = host.connect();
        let mut heard = peer.talk(&requests[..cut]).await;
        heard.text += &peer.talk(&requests[cut..]).await.text;
        assert_eq!(heard, kept(&expected), "cut at {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_leaves_in_one_write_with_its_content() {
    for len in [0, 5, 2048, 2049, 5000, 1 << 20] {
        let handler = handle_with(len, async |len: &usize, w: &mut ResponseWriter, _: &mut Request| {
            w.header().set("Content-Length", len.to_string());
            w.write(vec![b'x'; *len]).await
        });
        let mut peer = Host::new(handler).connect_through(2 << 20);
        let (bytes, _) = peer.talk_bytes(GET).await;
        assert_eq!(Answer::all(&bytes)[0].content.len(), len);
        assert_eq!(peer.writes(), 1, "{len} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_until_the_one_before_it_is_answered() {
    type Running = Arc<AtomicUsize>;
    async fn slow(running: &Running, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0, "one at a time");
        sleep(Duration::from_secs(1)).await;
        running.fetch_sub(1, Ordering::SeqCst);
        target(w, r).await
    }
    let mut peer = Host::new(handle_with(Running::default(), slow)).connect();
    peer.send(get("/1") + &get("/2") + &get("/3")).await;
    sleep(Duration::from_millis(3010)).await;
    assert_eq!(peer.hear().await, kept(["/1", "/2", "/3"].map(answer).concat()));
}

#[tokio::test(start_paused = true)]
async fn answers_leave_before_the_server_waits_for_content_of_the_next_request() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        r.body.text().await?;
        target(w, r).await
    };
    let mut peer = Host::new(handler).connect();
    let second = post("/2", b"abc");
    let (head, content) = second.split_at(second.len() - 3);
    assert_eq!(peer.talk([get("/1").as_bytes(), head].concat()).await, kept(answer("/1")));
    assert_eq!(peer.talk(content).await, kept(answer("/2")));
}

#[tokio::test(start_paused = true)]
async fn a_next_request_does_not_cancel_the_present_one() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        sleep(Duration::from_secs(1)).await;
        w.omit(nethttp::server::AutoField::ContentType);
        w.write(format!("cancelled: {}", r.context().is_cancelled())).await
    };
    let mut peer = Host::new(handler).connect();
    peer.send(GET).await;
    peer.send(GET).await;
    sleep(Duration::from_secs(3)).await;
    assert_eq!(peer.hear().await, kept(answer("cancelled: false").repeat(2)));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_comes_behind_the_answers_to_the_requests_before_it() {
    let host = Host::new(target);
    for bad in ["GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n"] {
        let requests = get("/1") + &get("/2") + bad + &get("/3");
        let heard = host.connect().talk(requests).await;
        let refusal = heard.text.strip_prefix(&(answer("/1") + &answer("/2"))).unwrap_or_else(|| panic!("{heard:?}"));
        assert!(heard.closed && refusal.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{heard:?}");
        assert!(!refusal.contains("/3"));
    }
}

#[tokio::test(start_paused = true)]
async fn behind_a_request_that_closes_nothing_is_served() {
    let host = Host::new(target);
    let closing = "GET /2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let heard = host.connect().talk(get("/1") + closing + &get("/3")).await;
    let last = answer("/2").replace("Date: -\r\n", "Date: -\r\nConnection: close\r\n");
    assert_eq!(heard, closed(answer("/1") + &last));
}

/// Content of an answer; a request for it is 100 times smaller.
const CONTENT: usize = 2000;

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_and_does_not_read_is_served_no_further_than_it_reads() {
    const REQUESTS: usize = 10_000;
    const LINE: usize = 16 << 10;
    let served = Arc::<AtomicUsize>::default();
    let handler =
        handle_with(served.clone(), async |served: &Arc<AtomicUsize>, w: &mut ResponseWriter, _: &mut Request| {
            let number = served.fetch_add(1, Ordering::SeqCst);
            w.write(format!("{number:CONTENT$}")).await
        });
    let mut peer = Host::new(handler).connect_through(LINE);
    let requests = GET.repeat(REQUESTS);
    let sending = tokio::time::timeout(Duration::from_secs(1), async {
        tokio::io::AsyncWriteExt::write_all(&mut peer.stream, requests.as_bytes()).await
    });
    assert!(sending.await.is_err(), "the server must not take them all");
    // What is on its way, and what the server may have collected behind it.
    let bytes_held = (served.load(Ordering::SeqCst) * CONTENT).saturating_sub(LINE);
    assert!(bytes_held < 100 << 10, "{bytes_held} bytes of answers are held in memory");
    assert!(peer.bytes_read() <= 16 << 10, "{} bytes of requests are", peer.bytes_read());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_late_gets_all_its_answers() {
    const REQUESTS: usize = 10_000;
    let served = Arc::<AtomicUsize>::default();
    let handler = handle_with(served, async |served: &Arc<AtomicUsize>, w: &mut ResponseWriter, _: &mut Request| {
        w.write(served.fetch_add(1, Ordering::SeqCst).to_string()).await
    });
    let mut peer = Host::new(handler).connect_through(16 << 10);
    let (bytes, was_closed) = peer.talk_bytes(GET.repeat(REQUESTS)).await;
    let answers = Answer::all(&bytes);
    assert!(!was_closed);
    assert_eq!(answers.len(), REQUESTS);
    assert!(answers.iter().enumerate().all(|(at, answer)| answer.text() == at.to_string()));
}
