//! Streams that a peer neglects: what they keep of the server, and from other streams. Frames are written by
//! hand, so that nothing here depends on who reads them.

use std::collections::HashMap;
use std::sync::Arc;

use nethttp::{Request, ResponseWriter, Result, handle_with};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout};

use crate::frames::{DATA, END_STREAM, HEADERS, RawPeer, SETTINGS, WINDOW_UPDATE, frame, get, post, reset};
use crate::support::{millis, quiet, secs, settle, start};

const INITIAL_WINDOW_SIZE: u16 = 4;
const ACK: u8 = 1;

/// Answers with more than the line holds, and less than a window.
async fn large(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.write([b'x'; 30_000]).await
}

#[tokio::test(start_paused = true)]
async fn what_is_left_to_be_sent_of_exchanges_that_are_over_has_a_stall_limit_too() {
    let mut server = quiet(large);
    server.stall_timeout = secs(30);
    let running = start(server);
    let mut peer = RawPeer::dial(&running.dialer.with_buffer_bytes(1000), &[]).await;
    // Nothing is read, so what is handed over for both fills the line and then waits behind it.
    peer.send(&get(1)).await;
    peer.send(&get(3)).await;
    settle().await;
    let shut = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &0_u32.to_be_bytes()].concat();
    let (read, mut write) = tokio::io::split(peer.stream);
    let sending = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        write.write_all(&[frame(SETTINGS, 0, 0, &shut), reset(1)].concat()).await.unwrap();
        // And no more is said, nor is the connection closed.
        std::future::pending::<()>().await;
        drop(write);
    });
    let began = Instant::now();
    let ended = timeout(secs(3600), crate::frames::frames_until_end(read)).await;
    let frames = ended.expect("the connection is kept for ever");
    let content: usize =
        frames.iter().filter(|frame| frame.kind == DATA && frame.stream == 3).map(|f| f.payload.len()).sum();
    assert!(content < 30_000, "all of it came, so nothing was left");
    assert!(began.elapsed() <= secs(61), "{:?}", began.elapsed());
    settle().await;
    assert_eq!(running.server.connections(), 0);
    sending.abort();
}

/// Reads its content when it may.
async fn read_later(may: &Arc<Semaphore>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    if r.header.get("Content-Length").is_none() {
        let _permit = may.acquire().await.map_err(nethttp::Error::other)?;
    }
    let content = r.body.bytes(1 << 20).await?;
    w.write(content.len().to_string()).await
}

/// How much the peer may still send, by its own account.
struct Windows {
    connection: i64,
    initial: i64,
    streams: HashMap<u32, i64>,
}

impl Windows {
    /// Takes in what the server has said, until it is silent.
    async fn hear(&mut self, peer: &mut RawPeer) {
        while let Ok(Some(frame)) = timeout(millis(5), peer.frame()).await {
            let number = |bytes: &[u8]| i64::from(u32::from_be_bytes(bytes.try_into().unwrap()));
            match (frame.kind, frame.stream) {
                (SETTINGS, _) => {
                    for setting in frame.payload.chunks(6).filter(|setting| setting[1] == 4) {
                        self.initial = number(&setting[2..]);
                    }
                }
                (WINDOW_UPDATE, 0) => self.connection += number(&frame.payload),
                (WINDOW_UPDATE, stream) => *self.streams.entry(stream).or_default() += number(&frame.payload),
                _ => {}
            }
        }
    }
}

// RFC 9113 §5.2: the window of the connection is given back as content arrives in the bounded memory of its
// stream, or is as wide as those of all streams: content that one handler does not read holds up no other.
#[tokio::test(start_paused = true)]
async fn uploads_that_nobody_reads_hold_up_no_other_stream() {
    let may = Arc::new(Semaphore::new(0));
    let running = start(quiet(handle_with(may.clone(), read_later)));
    let mut peer = RawPeer::dial(&running.dialer, &[]).await;
    let mut windows = Windows { connection: 65_535, initial: 65_535, streams: HashMap::new() };
    windows.hear(&mut peer).await;
    // The server's settings hold when they are acknowledged: before that its streams have 65,535 bytes.
    peer.send(&frame(SETTINGS, ACK, 0, b"")).await;
    for stream in [1, 3, 5, 7] {
        peer.send(&post(stream)).await;
        let mut left = 300_000;
        loop {
            windows.hear(&mut peer).await;
            let room = (windows.initial + windows.streams.get(&stream).copied().unwrap_or_default())
                .min(windows.connection)
                .min(16_384)
                .min(left);
            if room <= 0 {
                break;
            }
            peer.send(&frame(DATA, 0, stream, &vec![b'x'; usize::try_from(room).unwrap()])).await;
            *windows.streams.entry(stream).or_default() -= room;
            windows.connection -= room;
            left -= room;
        }
    }
    windows.hear(&mut peer).await;
    assert!(windows.connection >= 5, "no room for a fifth: {}", windows.connection);
    // `content-length: 5`, a literal with an indexed name (28): this one is read at once.
    let head = [crate::frames::POST_ROOT, &[0x0f, 0x0d, 0x01, b'5']].concat();
    peer.send(&[frame(HEADERS, 4, 9, &head), frame(DATA, END_STREAM, 9, b"small")].concat()).await;
    let began = Instant::now();
    loop {
        let answer = peer.expect(HEADERS).await;
        if answer.stream == 9 {
            assert_eq!(answer.payload.first(), Some(&0x88), "200");
            break;
        }
    }
    assert!(began.elapsed() < secs(1), "{:?}", began.elapsed());
    may.add_permits(4);
}

// As over HTTP/1.1: characters that browsers and curl send raw are taken, in path and query alike. The `h2`
// crate refuses those that `http::Uri` does not take: `<`, `>`, a quote in the query, a backtick in the path.
#[tokio::test(start_paused = true)]
async fn characters_that_no_uri_has_are_taken_raw_in_path_and_query() {
    let running = start(quiet(async |w: &mut ResponseWriter, r: &mut Request| w.write(r.request_uri.clone()).await));
    let mut peer = RawPeer::dial(&running.dialer, &[]).await;
    let mut stream = 1;
    for letter in "\"<>{}|^`".chars() {
        for target in [format!("/a{letter}"), format!("/?a={letter}")] {
            // `:method GET`, `:scheme http`, `:path` as a literal, `:authority h`.
            let length = u8::try_from(target.len()).unwrap();
            let head = [&[0x82, 0x86, 0x04, length][..], target.as_bytes(), &[0x01, 0x01, b'h']].concat();
            peer.send(&frame(HEADERS, END_STREAM | 4, stream, &head)).await;
            let answer = loop {
                let frame = peer.frame().await.expect("the connection goes on");
                if frame.stream == stream {
                    break frame;
                }
            };
            assert_eq!((answer.kind, answer.payload.first()), (HEADERS, Some(&0x88)), "{target}");
            stream += 2;
        }
    }
}
