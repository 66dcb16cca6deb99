//! A request's content, from the wire to the handler, and what becomes of the part that no
//! handler reads.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nethttp::{Body, Bytes, ErrorKind, Request, ResponseWriter, Result, StatusCode, handle_with};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, sleep, timeout};

use crate::wire::{Answer, GET, Heard, Host, Peer, closed, exchange, kept, post, post_chunked};

const JSON: &str = "{\"a\":[1,2],\"b\":\"\u{e9}\"}";

/// The head of an answer with plain text of this length.
fn text(content: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nDate: -\r\n\r\n{content}",
        content.len()
    )
}

/// Answers with the content, read the way that the path names, and with the trailer.
async fn echo_whole(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let content = match r.escaped_path() {
        "/chunk" => {
            let mut content = Vec::new();
            while let Some(chunk) = r.body.chunk().await? {
                assert!(!chunk.is_empty());
                content.extend_from_slice(&chunk);
            }
            assert_eq!(r.body.chunk().await?, None, "the end stays the end");
            String::from_utf8(content).expect("what was sent")
        }
        "/bytes" => String::from_utf8(r.body.bytes(1 << 20).await?.to_vec()).expect("what was sent"),
        "/text" => r.body.text().await?,
        "/json" => r.body.json::<serde_json::Value>().await?.to_string(),
        "/read" => {
            let mut content = String::new();
            r.body.read_to_string(&mut content).await?;
            content
        }
        "/small" => {
            let mut content = Vec::new();
            let mut piece = [0; 3];
            while let read @ 1.. = r.body.read(&mut piece).await? {
                content.extend_from_slice(&piece[..read]);
            }
            String::from_utf8(content).expect("what was sent")
        }
        path => unreachable!("{path}"),
    };
    let trailer = r.body.trailer().map(|trailer| format!("{trailer:?}")).unwrap_or_default();
    w.header().set("Content-Type", "text/plain; charset=utf-8");
    w.write(format!("{content}{trailer}")).await
}

const WAYS: [&str; 6] = ["/chunk", "/bytes", "/text", "/json", "/read", "/small"];

/// Sends the bytes whole, and cut at every byte on a connection each: the responses must be the same,
/// and this.
async fn assert_heard_at_every_cut(host: &Host, request: &[u8], expected: &Heard) {
    assert_eq!(&host.connect().talk(request).await, expected, "whole");
    for cut in 1..request.len() {
        let mut peer = host.connect();
        peer.send(&request[..cut]).await;
        assert_eq!(&peer.talk(&request[cut..]).await, expected, "cut at {cut}");
    }
}

#[tokio::test(start_paused = true)]
async fn content_with_a_length_is_read_by_every_way_at_every_cut() {
    let host = Host::new(echo_whole);
    for way in WAYS {
        assert_heard_at_every_cut(&host, &post(way, JSON.as_bytes()), &kept(text(JSON))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn content_in_chunks_is_read_by_every_way_at_every_cut() {
    let host = Host::new(echo_whole);
    for way in WAYS {
        let request = post_chunked(way, JSON.as_bytes(), &[1, 7, 2]);
        assert_heard_at_every_cut(&host, &request, &kept(text(JSON))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_trailer_is_there_once_the_content_was_read() {
    let request = b"POST /chunk HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
                    5;ext=\"1\"\r\nhello\r\n00\r\nX-Sum: 5\r\nContent-Length: 9\r\nx-more:  b\r\n\r\n";
    let expected = kept(text("hello{\"X-Sum\": \"5\", \"x-more\": \"b\"}"));
    assert_heard_at_every_cut(&Host::new(echo_whole), request, &expected).await;

    let early = async |w: &mut ResponseWriter, r: &mut Request| {
        assert!(r.body.trailer().is_none());
        r.body.chunk().await?;
        assert!(r.body.trailer().is_none());
        w.write("read a piece").await
    };
    assert_eq!(exchange(early, request).await, kept(text("read a piece")));
}

#[tokio::test(start_paused = true)]
async fn what_is_announced_is_known_before_it_is_read() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        let said = format!("{:?} {:?} {}", r.content_length, r.body.remaining(), r.body.is_empty());
        w.write(said).await
    };
    for (request, expected) in [
        (GET.as_bytes().to_vec(), "Some(0) Some(0) true"),
        (post("/", b""), "Some(0) Some(0) true"),
        (post("/", b"hello"), "Some(5) Some(5) false"),
        (post_chunked("/", b"hello", &[5]), "None None false"),
    ] {
        assert_eq!(exchange(handler, request).await, kept(text(expected)));
    }
}

#[tokio::test(start_paused = true)]
async fn get_and_head_may_have_content_too() {
    let get = "GET /text HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    assert_eq!(exchange(echo_whole, get).await, kept(text("hello")));
    let head = get.replace("GET", "HEAD");
    assert_eq!(exchange(echo_whole, head).await, kept(text("hello").strip_suffix("hello").unwrap()));
}

#[tokio::test(start_paused = true)]
async fn text_that_is_none_and_json_that_is_none_are_the_peers_fault() {
    for (way, content) in [("/text", &b"caf\xe9"[..]), ("/json", b"{"), ("/json", b"")] {
        let heard = exchange(echo_whole, post(way, content)).await;
        assert!(!heard.closed && heard.text.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{heard:?}");
    }
}

// ------------------------------------------------------------ limits

#[tokio::test(start_paused = true)]
async fn content_over_its_limit_is_answered_413_and_a_little_of_it_keeps_the_connection() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        let content = r.body.bytes(4).await?;
        w.write(content).await
    };
    const REFUSED: &str = "HTTP/1.1 413 Payload Too Large\r\nContent-Type: text/plain; charset=utf-8\r\n\
                           X-Content-Type-Options: nosniff\r\nContent-Length: 67\r\nDate: -\r\n";
    const WORDS: &str = "\r\n413 Payload Too Large: the body is over its limit of 4 bytes\n";
    let host = Host::new(handler);
    for refused in [post("/", b"hello"), post_chunked("/", b"hello", &[2]), post_chunked("/", &[b'x'; 9000], &[5000])] {
        let requests = [refused, post("/", b"four")].concat();
        let heard = host.connect().talk(requests).await;
        let expected = REFUSED.replace("67", &(WORDS.len() - 2).to_string());
        assert_eq!(heard, kept(format!("{expected}{WORDS}{}", text("four"))));
    }
    let large = [post("/", &vec![b'x'; 300 << 10]), post("/", b"four")].concat();
    let heard = host.connect().talk(large).await;
    assert!(
        heard.closed && heard.text.contains("\r\nConnection: close\r\n") && heard.text.ends_with(WORDS),
        "{heard:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn text_has_a_limit_of_its_own() {
    let head = format!("POST /text HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", (10 << 20) + 1);
    let heard = exchange(echo_whole, head).await;
    assert!(heard.closed && heard.text.starts_with("HTTP/1.1 413 "), "before any content came: {heard:?}");
}

// ------------------------------------------------------------ content that breaks off or breaks its framing

#[tokio::test(start_paused = true)]
async fn content_that_breaks_off_is_an_error_and_never_shorter_content() {
    let host = Host::new(echo_whole);
    for way in WAYS {
        for request in [post(way, b"[1,2,3]"), post_chunked(way, b"[1,2,3]", &[1, 4])] {
            let content_at = request.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
            for cut in content_at..request.len() {
                let mut peer = host.connect();
                peer.send(&request[..cut]).await;
                peer.end().await;
                let heard = peer.hear().await;
                assert!(heard.closed && heard.text.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{cut}: {heard:?}");
            }
        }
    }
    assert!(host.events().iter().all(|event| event.contains("the peer closed in the middle of a message")));
}

#[tokio::test(start_paused = true)]
async fn pieces_that_came_before_a_break_are_read_and_then_the_error_again_and_again() {
    let handler = async |_: &mut ResponseWriter, r: &mut Request| {
        assert_eq!(r.body.chunk().await?.as_deref(), Some(&b"hel"[..]));
        for _ in 0..3 {
            assert_eq!(r.body.chunk().await.unwrap_err().kind(), ErrorKind::CutOff);
        }
        assert!(r.body.trailer().is_none());
        r.body.chunk().await.map(drop)
    };
    let host = Host::new(handler);
    for request in [&post("/", b"hello")[..], &post_chunked("/", b"hello", &[5])] {
        let cut = request.windows(3).position(|window| window == b"hel").unwrap() + 3;
        let mut peer = host.connect();
        peer.send(&request[..cut]).await;
        peer.end().await;
        assert!(peer.hear().await.text.starts_with("HTTP/1.1 400 "));
    }
    assert!(host.events().iter().all(|event| event.contains("a handler failed")), "{:?}", host.events());
}

#[tokio::test(start_paused = true)]
async fn broken_framing_closes_and_nothing_behind_it_is_a_request() {
    let host = Host::new(async |w: &mut ResponseWriter, r: &mut Request| {
        let read = match r.escaped_path() {
            "/read" => r.body.text().await.map(drop),
            "/read-quietly" => {
                let _ = r.body.text().await;
                Ok(())
            }
            _ => Ok(()),
        };
        w.write(r.request_uri.clone()).await?;
        read
    });
    for broken in
        ["5\nhello\r\n0\r\n\r\n", "5\r\nhelloX\r\n", "x\r\n", "+5\r\nhello\r\n0\r\n\r\n", "0\r\nbad name: 1\r\n\r\n"]
    {
        for (target, status) in [("/read", "400"), ("/read-quietly", "200"), ("/unread", "200")] {
            let request =
                format!("POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{broken}{GET}");
            let heard = host.connect().talk(request).await;
            assert!(heard.closed && heard.text.starts_with(&format!("HTTP/1.1 {status} ")), "{broken:?} {heard:?}");
            assert_eq!(heard.text.matches("HTTP/1.1").count(), 1, "{broken:?} {target}: {heard:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn content_that_stops_coming_is_an_error_after_the_stall_timeout() {
    let handler = async |_: &mut ResponseWriter, r: &mut Request| {
        let began = Instant::now();
        let error = r.body.text().await.unwrap_err();
        assert_eq!((error.kind(), began.elapsed()), (ErrorKind::TimedOut, Duration::from_secs(30)));
        Err(error)
    };
    let mut peer = Host::new(handler).connect();
    peer.send(&post("/", b"hello")[..50]).await;
    sleep(Duration::from_secs(31)).await;
    let heard = peer.hear().await;
    assert!(heard.closed && heard.text.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{heard:?}");
}

// ------------------------------------------------------------ Expect: 100-continue

const EXPECTS: &str = "POST /text HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nExpect: 100-Continue\r\n\r\n";
const CONTINUE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_client_that_waits_gets_a_100_when_the_handler_reads_and_not_before() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        assert_eq!(r.header.get("Expect"), Some("100-Continue"), "the handler sees it");
        sleep(Duration::from_secs(1)).await;
        let content = r.body.text().await?;
        w.write(content).await
    };
    let mut peer = Host::new(handler).connect();
    assert_eq!(peer.talk(EXPECTS).await, kept(""));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(peer.hear().await, kept(CONTINUE));
    assert_eq!(peer.talk("hello").await, kept(text("hello")), "and once only");
    assert_eq!(peer.talk(EXPECTS).await, kept(""), "and the connection is kept");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_did_not_wait_gets_no_100() {
    assert_eq!(exchange(echo_whole, format!("{EXPECTS}hello")).await, kept(text("hello")));
    assert_eq!(exchange(echo_whole, format!("{EXPECTS}hello{EXPECTS}world")).await.text.matches("100").count(), 0);
}

#[tokio::test(start_paused = true)]
async fn no_100_is_sent_without_content_or_to_http_1_0() {
    let empty = EXPECTS.replace("Content-Length: 5", "Content-Length: 0");
    assert_eq!(exchange(echo_whole, empty).await, kept(text("")));
    let mut peer = Host::new(echo_whole).connect();
    assert_eq!(peer.talk(EXPECTS.replace("HTTP/1.1", "HTTP/1.0")).await, kept(""));
    assert!(peer.talk("hello").await.text.starts_with("HTTP/1.0 200 OK\r\n"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_reading_says_nothing_of_continuing_and_closes() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        w.write_header(StatusCode::UNAUTHORIZED);
        Ok(())
    };
    let host = Host::new(handler);
    let expected = closed("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nDate: -\r\nConnection: close\r\n\r\n");
    assert_eq!(host.connect().talk(EXPECTS).await, expected);
    assert_eq!(host.connect().talk(format!("{EXPECTS}{GET}")).await, expected, "what follows is no request");
}

#[tokio::test(start_paused = true)]
async fn no_100_follows_a_final_status() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        w.write("early").await?;
        w.flush().await?;
        match timeout(Duration::from_secs(60), r.body.text()).await.expect("the read does not hang") {
            Ok(content) => w.write(content).await,
            Err(error) => w.write(format!("{:?}", error.kind())).await,
        }
    };
    let host = Host::new(handler);
    let early = "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nTransfer-Encoding: chunked\r\nDate: -\r\n\
                 Connection: close\r\n\r\n5\r\nearly\r\n";
    let mut sends = host.connect();
    assert_eq!(sends.talk(EXPECTS).await, kept(early));
    assert_eq!(sends.talk("hello").await, closed("5\r\nhello\r\n0\r\n\r\n"));
    let mut waits = host.connect();
    assert_eq!(waits.talk(EXPECTS).await, kept(early));
    sleep(Duration::from_secs(31)).await;
    assert_eq!(waits.hear().await, closed("8\r\nTimedOut\r\n0\r\n\r\n"));
}

#[tokio::test(start_paused = true)]
async fn a_100_of_the_handlers_own_takes_the_place_of_the_servers() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        w.send_informational(StatusCode::CONTINUE).await?;
        let content = r.body.text().await?;
        w.write(content).await
    };
    let mut peer = Host::new(handler).connect();
    assert_eq!(peer.talk(EXPECTS).await, kept(CONTINUE));
    assert_eq!(peer.talk("hello").await, kept(text("hello")));
}

/// Sends this through a line that holds seven bytes, and reads only after two seconds.
async fn talk_late(handler: impl nethttp::Handler, request: &str, content: &str) -> Heard {
    let mut peer = Host::new(handler).connect_through(7);
    for piece in request.as_bytes().chunks(7) {
        peer.send(piece).await;
    }
    sleep(Duration::from_secs(2)).await;
    peer.talk(content).await
}

#[tokio::test(start_paused = true)]
async fn an_answer_never_starts_within_a_100_that_is_half_sent() {
    let gives_up = async |w: &mut ResponseWriter, r: &mut Request| {
        assert!(timeout(Duration::from_secs(1), r.body.chunk()).await.is_err());
        w.write("done").await
    };
    let heard = talk_late(gives_up, EXPECTS, "").await;
    assert_eq!(heard, kept(format!("{CONTINUE}{}", text("done"))));

    let reads_elsewhere = async |w: &mut ResponseWriter, r: &mut Request| {
        let mut body = std::mem::take(&mut r.body);
        let reading = tokio::spawn(async move { body.text().await });
        sleep(Duration::from_secs(1)).await;
        w.write("early, ").await?;
        w.flush().await?;
        let content = reading.await.expect("no panic")?;
        w.write(content).await
    };
    let heard = talk_late(reads_elsewhere, EXPECTS, "hello").await;
    assert!(heard.text.starts_with(&format!("{CONTINUE}HTTP/1.1 200 OK\r\n")), "{heard:?}");
    assert!(heard.text.ends_with("\r\n7\r\nearly, \r\n5\r\nhello\r\n0\r\n\r\n"), "{heard:?}");
}

#[tokio::test(start_paused = true)]
async fn a_100_never_starts_within_an_informational_answer_that_is_half_sent() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        assert!(timeout(Duration::from_secs(1), w.send_informational(StatusCode::EARLY_HINTS)).await.is_err());
        let content = r.body.text().await?;
        w.write(content).await
    };
    let heard = talk_late(handler, EXPECTS, "hello").await;
    assert_eq!(heard, kept(format!("HTTP/1.1 103 Early Hints\r\n\r\n{}", text("hello"))));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_expectation_is_refused() {
    for expectation in ["200-ok", "100-continue, x", "100-continued"] {
        let host = Host::new(echo_whole);
        let request = EXPECTS.replace("100-Continue", expectation);
        let heard = host.connect().talk(request).await;
        assert!(heard.closed && heard.text.starts_with("HTTP/1.1 417 Expectation Failed\r\n"), "{heard:?}");
        assert!(heard.text.contains("\r\nConnection: close\r\n"));
    }
}

// ------------------------------------------------------------ bodies on their own way

#[tokio::test(start_paused = true)]
async fn a_body_may_be_read_in_another_task_while_the_handler_writes() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        let mut body = std::mem::take(&mut r.body);
        let (pieces, mut read) = tokio::sync::mpsc::channel::<Bytes>(1);
        let reading = tokio::spawn(async move {
            while let Some(piece) = body.chunk().await? {
                pieces.send(piece).await.expect("the handler takes them");
            }
            Result::Ok(())
        });
        while let Some(piece) = read.recv().await {
            w.write_bytes(piece).await?;
        }
        reading.await.expect("no panic")
    };
    assert_echoes(handler).await;
}

#[tokio::test(start_paused = true)]
async fn content_larger_than_all_buffers_is_echoed_without_standing_still() {
    assert_echoes(async |w: &mut ResponseWriter, r: &mut Request| {
        while let Some(chunk) = r.body.chunk().await? {
            w.write_bytes(chunk).await?;
        }
        Ok(())
    })
    .await;
    assert_echoes(async |w: &mut ResponseWriter, r: &mut Request| {
        tokio::io::copy(&mut r.body, w).await?;
        Ok(())
    })
    .await;
}

async fn assert_echoes(handler: impl nethttp::Handler) {
    let content = numbers(1 << 20);
    let host = Host::new(handler);
    for buffer in [1 << 10, 1 << 16] {
        for request in [post("/", &content), post_chunked("/", &content, &[1, 5000, 100_000, 9])] {
            let (bytes, _) = host.connect_through(buffer).talk_bytes(&request).await;
            let answers = Answer::all(&bytes);
            assert_eq!(answers.len(), 1);
            assert!(answers[0].content == content, "{} bytes", answers[0].content.len());
        }
    }
    assert_eq!(host.events(), [""; 0]);
}

/// Content in which no two places look alike for long.
fn numbers(len: usize) -> Vec<u8> {
    (0_u32..).flat_map(u32::to_be_bytes).take(len).collect()
}

/// Keeps the body beyond its exchange.
async fn keep(kept: &Arc<Mutex<Option<Body>>>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    *kept.lock().expect("no panic") = Some(std::mem::take(&mut r.body));
    w.write("kept").await
}

#[tokio::test(start_paused = true)]
async fn a_body_that_outlives_its_exchange_reads_as_an_error_and_takes_nothing_of_the_next() {
    let place = Arc::<Mutex<Option<Body>>>::default();
    let host = Host::new(handle_with(place.clone(), keep));
    let mut peer = host.connect();
    assert_eq!(peer.talk(post("/", b"hello")).await, kept(text("kept")));
    let mut body = place.lock().unwrap().take().unwrap();
    assert_eq!(body.remaining(), None);
    let next = post("/", b"second");
    peer.send(&next[..next.len() - 3]).await;
    for _ in 0..2 {
        assert_eq!(body.chunk().await.unwrap_err().kind(), ErrorKind::RequestOver);
    }
    assert_eq!(peer.talk("ond").await, kept(text("kept")));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_waits_in_another_task_is_woken_at_the_end_of_its_exchange() {
    type Ended = Arc<Mutex<Option<ErrorKind>>>;
    async fn leave_behind(ended: &Ended, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let (ended, mut body) = (ended.clone(), std::mem::take(&mut r.body));
        tokio::spawn(async move {
            let error = body.text().await.unwrap_err();
            *ended.lock().unwrap() = Some(error.kind());
        });
        sleep(Duration::from_millis(100)).await;
        w.write("left").await
    }
    for request in [post("/", b"hello"), post("/", &[b'x'; 5000])] {
        let ended = Ended::default();
        let mut peer = Host::new(handle_with(ended.clone(), leave_behind)).connect();
        peer.send(&request[..request.len() - 2]).await;
        sleep(Duration::from_millis(200)).await;
        assert_eq!(peer.hear().await, kept(text("left")));
        assert_eq!(*ended.lock().unwrap(), Some(ErrorKind::RequestOver));
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_kept_does_not_keep_its_connection_open() {
    let place = Arc::<Mutex<Option<Body>>>::default();
    let host = Host::new(handle_with(place.clone(), keep));
    let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    let mut peer = host.connect();
    assert!(peer.talk(request).await.closed);
    let mut body = place.lock().unwrap().take().unwrap();
    assert_eq!(body.chunk().await.unwrap_err().kind(), ErrorKind::RequestOver);
    place.lock().unwrap().replace(body);

    let mut cut = host.connect();
    cut.send(post("/", &[b'x'; 100])).await;
    host.server.close();
    assert!(cut.hear().await.closed, "also when the server cuts it");
}

// ------------------------------------------------------------ writes that are dropped

#[tokio::test(start_paused = true)]
async fn a_large_write_that_is_dropped_half_way_closes_the_connection() {
    let handler = async |w: &mut ResponseWriter, _: &mut Request| {
        let content = numbers(100_000);
        assert!(timeout(Duration::from_secs(1), w.write(&content)).await.is_err());
        assert_eq!(w.write("more").await.unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(w.flush().await.unwrap_err().kind(), ErrorKind::Io);
        Ok(())
    };
    let host = Host::new(handler);
    let mut peer = host.connect_through(1000);
    peer.send(GET).await;
    sleep(Duration::from_secs(2)).await;
    let heard = peer.talk_bytes(GET).await;
    assert!(heard.1 && heard.0.len() < 2000, "{} bytes", heard.0.len());
    assert_eq!(host.states().last().unwrap(), "closed (the answer could not be sent)");
}

#[tokio::test(start_paused = true)]
async fn a_small_write_that_is_dropped_half_way_never_sends_its_content_twice() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        if r.path() == "/declared" {
            w.header().set("Content-Length", "60000");
        }
        for piece in numbers(60_000).chunks(1500) {
            let _ = timeout(Duration::from_millis(10), w.write(piece)).await;
        }
        Ok(())
    };
    let host = Host::new(handler);
    for target in ["/chunked", "/declared"] {
        let mut peer = host.connect_through(1000);
        peer.send(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        sleep(Duration::from_secs(2)).await;
        let (bytes, was_closed) = peer.talk_bytes("").await;
        if was_closed {
            continue;
        }
        let answers = Answer::all(&bytes);
        assert_eq!(answers.len(), 1);
        assert!(answers[0].content == numbers(60_000), "{target}: {} bytes", answers[0].content.len());
    }
}

// ------------------------------------------------------------ content that is not read

/// Reads so many bytes of the content as the query says, then answers with its target.
async fn stop_at(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let mut left: usize = r.query("k").unwrap_or_default().parse().unwrap_or(0);
    if r.path() == "/exact" {
        r.body.read_exact(&mut vec![0; left]).await?;
    } else {
        while left > 0 {
            left = left.saturating_sub(r.body.chunk().await?.expect("there is as much").len());
        }
    }
    w.write(r.request_uri.clone()).await
}

/// Where a handler stops: everywhere in a short body, around the edges of a long one.
fn stops(len: usize) -> Vec<usize> {
    if len <= 40 {
        return (0..=len).collect();
    }
    const MOST: usize = 256 << 10;
    let around = [0, 1, 2048, 8192, 1 << 16, len / 3, len / 2, len.saturating_sub(MOST), len];
    let mut stops: Vec<_> =
        around.iter().flat_map(|at| [at.saturating_sub(1), *at, at + 1]).filter(|at| *at <= len).collect();
    stops.dedup();
    stops
}

#[tokio::test(start_paused = true)]
async fn wherever_a_handler_stops_reading_the_next_request_is_itself_or_none() {
    const MOST: usize = 256 << 10;
    let host = Host::new(stop_at);
    for len in [1, 5, 36, 2047, 2048, 2049, 8192, 65_537, MOST - 1, MOST, MOST + 1, MOST + 70_000, 600 << 10] {
        // Were any of it taken for a request, it would be answered.
        let content: Vec<u8> = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n".iter().copied().cycle().take(len).collect();
        for stop in stops(len) {
            for way in ["/exact", "/chunk"] {
                let target = format!("{way}?k={stop}");
                for request in [post(&target, &content), post_chunked(&target, &content, &[1, 36, 4096, 100_000, 3])] {
                    let framing =
                        if request.windows(7).take(200).any(|w| w == b"chunked") { "chunked" } else { "length" };
                    let what = format!("{target} of {len}, {framing}");
                    let served = assert_itself_or_none(&mut host.connect_through(8192), &target, &request, &what).await;
                    // What is left over is known but for what one read takes ahead.
                    let left = len - stop;
                    if left <= MOST {
                        assert!(served, "{what}: a little is drained");
                    } else if left > MOST + (64 << 10) {
                        assert!(!served, "{what}: much is not");
                    }
                }
            }
        }
    }
    assert_eq!(host.events(), [""; 0]);
}

/// Sends this request and a next one. Says whether the next one was served.
async fn assert_itself_or_none(peer: &mut Peer, target: &str, request: &[u8], what: &str) -> bool {
    let both = [request, b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
    let (bytes, was_closed) = peer.talk_bytes(both).await;
    let answers = Answer::all(&bytes);
    let texts: Vec<_> = answers.iter().map(|answer| (answer.status, answer.text())).collect();
    match texts[..] {
        [(200, first)] => {
            assert_eq!(first, target, "{what}");
            assert!(was_closed, "{what}: no answer, and no close");
            false
        }
        [(200, first), (200, next)] => {
            assert_eq!((first, next), (target, "/next"), "{what}");
            assert!(!was_closed, "{what}");
            true
        }
        _ => panic!("{what}: {texts:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_all_before_it_reads_gets_a_large_response_though_its_content_is_unread() {
    let handler = async |w: &mut ResponseWriter, r: &mut Request| {
        w.write(numbers(100_000)).await?;
        if r.path() == "/late" {
            assert_eq!(r.body.bytes(1 << 20).await?, numbers(200_000), "nothing of it was lost");
        }
        Ok(())
    };
    let host = Host::new(handler);
    for target in ["/unread", "/late"] {
        for request in [post(target, &numbers(200_000)), post_chunked(target, &numbers(200_000), &[9000])] {
            let mut peer = host.connect_through(4096);
            let sending = tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &request);
            timeout(Duration::from_secs(1), sending).await.expect("the server takes it").expect("the server is there");
            let (bytes, was_closed) = peer.talk_bytes(post("/next", b"")).await;
            let answers = Answer::all(&bytes);
            assert_eq!((answers.len(), was_closed), (2, false), "{target}");
            assert!(answers.iter().all(|answer| answer.content == numbers(100_000)));
        }
    }
    assert_eq!(host.events(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn while_an_answer_waits_no_more_content_is_taken_in_than_would_be_drained() {
    let host = Host::new(async |w: &mut ResponseWriter, _: &mut Request| w.write(numbers(100_000)).await);
    let mut peer = host.connect_through(4096);
    let request = post_chunked("/", &numbers(1 << 20), &[9000]);
    let sending = tokio::io::AsyncWriteExt::write_all(&mut peer.stream, &request);
    assert!(timeout(Duration::from_secs(1), sending).await.is_err());
    assert!((256 << 10..300 << 10).contains(&peer.bytes_read()), "{} bytes", peer.bytes_read());
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_stops_reading_a_body_that_never_comes_closes_after_a_second() {
    let host = Host::new(stop_at);
    let mut peer = host.connect();
    let request = post("/exact?k=2", &[b'x'; 1000]);
    assert_eq!(peer.talk(&request[..request.len() - 900]).await, kept(text("/exact?k=2")));
    sleep(Duration::from_millis(990)).await;
    assert_eq!(peer.hear().await, kept(""));
    sleep(Duration::from_millis(20)).await;
    assert_eq!(peer.hear().await, closed(""));
}
