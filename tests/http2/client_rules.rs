//! What holds of any engine behind a client's connection: windows of the server's, frames that are late or
//! without end, two GOAWAYs. The server is a script of frames by hand, judged by RFC 9113.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nethttp::client::Http2TransportSettings;
use nethttp::{Body, ErrorKind, Request, Response};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep, timeout};

use crate::http2_peer::{GOAWAY, Rig, SETTINGS, URL, frame, rig};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

const INITIAL_WINDOW_SIZE: u16 = 4;

/// `:status: 200`.
const OK: &[u8] = b"\x88";

fn setting(id: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

fn window_update(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

fn answer(stream: u32, content: &[u8]) -> Vec<u8> {
    [frame(HEADERS, END_HEADERS, stream, OK), frame(DATA, END_STREAM, stream, content)].concat()
}

fn goaway(last: u32) -> Vec<u8> {
    frame(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat())
}

/// A frame that came: kind, flags, stream, payload.
type Came = (u8, u8, u32, Vec<u8>);

/// A server's end of a connection, whose preface has come and whose SETTINGS were sent.
struct Peer(DuplexStream);

impl Peer {
    async fn begin(mut stream: DuplexStream, settings: &[u8]) -> Option<Peer> {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.ok()?;
        stream.write_all(settings).await.ok()?;
        Some(Peer(stream))
    }

    async fn next(&mut self) -> Option<Came> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
        self.0.read_exact(&mut payload).await.ok()?;
        Some((head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload))
    }

    /// The next frame of this kind, and all content that came before it.
    async fn until(&mut self, kind: u8) -> Option<Came> {
        loop {
            let came = self.next().await?;
            if came.0 == kind {
                return Some(came);
            }
        }
    }

    /// How much content comes until the client is silent.
    async fn content(&mut self) -> usize {
        let mut len = 0;
        while let Ok(Some((kind, _, _, payload))) = timeout(Duration::from_millis(20), self.next()).await {
            len += if kind == DATA { payload.len() } else { 0 };
        }
        len
    }

    async fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).await.is_ok()
    }
}

/// A client whose connections are played by this script.
fn scripted<F, Fut>(settings: Vec<u8>, script: F) -> Rig
where
    F: Fn(usize, Peer) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    rig(
        |_| {},
        move |number, stream| {
            let (settings, script) = (settings.clone(), script.clone());
            async move {
                if let Some(peer) = Peer::begin(stream, &settings).await {
                    script(number, peer).await;
                }
            }
        },
    )
}

async fn post(rig: &Rig, body: impl Into<Body>) -> nethttp::Result<Response> {
    rig.client.send(Request::post(URL, body).unwrap()).await
}

// RFC 9113 §6.9.2.
#[tokio::test(start_paused = true)]
async fn an_upload_follows_the_window_down_and_up() {
    let steps = Arc::new(Mutex::new(Vec::new()));
    let seen = steps.clone();
    let rig = scripted(setting(INITIAL_WINDOW_SIZE, 10), move |_, mut peer| {
        let seen = seen.clone();
        async move {
            let Some((.., stream, _)) = peer.until(HEADERS).await else { return };
            let mut sum = peer.content().await;
            let mut sums = vec![sum];
            for change in [
                setting(INITIAL_WINDOW_SIZE, 4),
                window_update(stream, 6),
                window_update(stream, 1),
                setting(INITIAL_WINDOW_SIZE, 11),
                setting(INITIAL_WINDOW_SIZE, 0),
                setting(INITIAL_WINDOW_SIZE, 1000),
            ] {
                peer.send(&change).await;
                sum += peer.content().await;
                sums.push(sum);
            }
            *seen.lock().unwrap() = sums;
            peer.send(&answer(stream, b"done")).await;
            peer.content().await;
        }
    });
    let mut response = post(&rig, vec![b'x'; 100]).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "done");
    assert_eq!(*steps.lock().unwrap(), [10, 10, 10, 11, 18, 18, 100]);
}

// RFC 9113 §5.1: heads, content and trailers that were on their way when a request was given up.
#[tokio::test(start_paused = true)]
async fn what_comes_late_for_requests_that_were_given_up_harms_no_other() {
    const GIVEN_UP: usize = 2000;
    let rig = scripted(setting(3, 10_000), move |_, mut peer| async move {
        let mut begun = Vec::new();
        while let Some((kind, _, stream, _)) = peer.next().await {
            match kind {
                HEADERS if begun.len() < GIVEN_UP => begun.push(stream),
                HEADERS => {
                    for late in begun.drain(..) {
                        let trailer = frame(HEADERS, END_STREAM | END_HEADERS, late, b"\x00\x01x\x01y");
                        let content = frame(DATA, 0, late, b"late");
                        peer.send(&[frame(HEADERS, END_HEADERS, late, OK), content, trailer].concat()).await;
                    }
                    peer.send(&answer(stream, b"hello")).await;
                    begun = vec![0; GIVEN_UP + 1];
                }
                _ => {}
            }
        }
    });
    for _ in 0..GIVEN_UP / 100 {
        let asked: Vec<_> = (0..100)
            .map(|_| {
                let client = rig.client.clone();
                tokio::spawn(async move { timeout(Duration::from_millis(50), client.get(URL)).await.map(drop) })
            })
            .collect();
        for asked in asked {
            assert!(asked.await.unwrap().is_err(), "it was answered");
        }
    }
    assert_eq!(rig.client.get(URL).await.unwrap().text().await.unwrap(), "hello");
    assert_eq!(rig.dialed(), 1);
}

// RFC 9113 §6.8: the first GOAWAY of a shutdown leaves out nothing, the second what came after it.
#[tokio::test(start_paused = true)]
async fn what_the_second_goaway_leaves_out_is_asked_for_elsewhere() {
    let rig = scripted(frame(SETTINGS, 0, 0, b""), |number, mut peer| async move {
        let Some((.., first, _)) = peer.until(HEADERS).await else { return };
        if number == 1 {
            let Some((.., second, _)) = peer.until(HEADERS).await else { return };
            peer.send(&[goaway((1 << 31) - 1), goaway(first)].concat()).await;
            assert!(second > first);
        }
        peer.send(&answer(first, format!("from {number}").as_bytes())).await;
        while peer.next().await.is_some() {}
    });
    let (one, two) = tokio::join!(rig.client.get(URL), async {
        sleep(Duration::from_millis(1)).await;
        rig.client.get(URL).await
    });
    let texts = (one.unwrap().text().await.unwrap(), two.unwrap().text().await.unwrap());
    assert_eq!(texts, ("from 1".to_owned(), "from 2".to_owned()));
    assert_eq!(rig.dialed(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_post_that_a_goaway_leaves_out_is_sent_again_and_one_that_it_does_not_is_not() {
    for (last, expected) in [(0, Ok("from 2")), (1, Err(ErrorKind::CutOff))] {
        let rig = scripted(frame(SETTINGS, 0, 0, b""), move |number, mut peer| async move {
            let Some((.., stream, _)) = peer.until(HEADERS).await else { return };
            if number == 1 {
                peer.send(&goaway(last)).await;
                sleep(Duration::from_millis(10)).await;
                return;
            }
            peer.send(&answer(stream, b"from 2")).await;
            while peer.next().await.is_some() {}
        });
        let outcome = match post(&rig, "once").await {
            Ok(mut response) => Ok(response.text().await.unwrap()),
            Err(error) => Err(error.kind()),
        };
        assert_eq!(outcome.as_deref().map_err(|kind| *kind), expected, "last stream {last}");
    }
}

// CVE-2019-9512, CVE-2019-9515, CVE-2019-9518, CVE-2024-27316 and the like, from a server.
#[tokio::test(start_paused = true)]
async fn a_server_that_sends_without_end_and_says_nothing_is_given_up() {
    for (name, before, bytes) in [
        ("PING", vec![], frame(PING, 0, 0, b"12345678")),
        ("an acknowledged PING", vec![], frame(PING, ACK, 0, b"12345678")),
        ("SETTINGS", vec![], setting(INITIAL_WINDOW_SIZE, 70_000)),
        ("an acknowledgment", vec![], frame(SETTINGS, ACK, 0, b"")),
        ("WINDOW_UPDATE", vec![], window_update(0, 1)),
        ("an unknown frame", vec![], frame(0xee, 0, 0, b"")),
        ("empty DATA", frame(HEADERS, END_HEADERS, 1, OK), frame(DATA, 0, 1, b"")),
        ("CONTINUATION", frame(HEADERS, 0, 1, OK), frame(CONTINUATION, 0, 1, b"")),
        ("RST_STREAM", vec![], frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])),
    ] {
        assert_given_up(name, before, bytes).await;
    }
}

#[tokio::test(start_paused = true)]
async fn interim_responses_without_end_are_given_up() {
    assert_given_up("interim responses", vec![], frame(HEADERS, END_HEADERS, 1, b"\x08\x03103")).await;
}

/// A server that sends this again and again fails the request, and is not listened to for long.
async fn assert_given_up(name: &str, before: Vec<u8>, bytes: Vec<u8>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = sent.clone();
    let rig = scripted(frame(SETTINGS, 0, 0, b""), move |_, mut peer| {
        let (before, bytes, counted) = (before.clone(), bytes.repeat(100), counted.clone());
        async move {
            if peer.until(HEADERS).await.is_none() {
                return;
            }
            peer.send(&before).await;
            let (mut read, mut write) = tokio::io::split(peer.0);
            // What the client answers is read, or it would wait.
            let reading = tokio::spawn(async move {
                let mut buf = vec![0; 1 << 16];
                while matches!(read.read(&mut buf).await, Ok(1..)) {}
            });
            while counted.load(Ordering::Relaxed) < 1_000_000 && write.write_all(&bytes).await.is_ok() {
                counted.fetch_add(100, Ordering::Relaxed);
            }
            reading.abort();
        }
    });
    let outcome = async {
        let mut response = rig.client.get(URL).await?;
        response.text().await
    };
    let outcome = timeout(Duration::from_secs(3600), outcome).await;
    let failed = outcome.unwrap_or_else(|_| panic!("{name}: nobody ends it"));
    assert!(failed.is_err(), "{name}: {failed:?}");
    sleep(Duration::from_secs(1)).await;
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < 50_000, "{name}: {sent} frames were taken");
}

// A body that is not read is bounded by its window, and gives the connection's window back when it is dropped.
#[tokio::test(start_paused = true)]
async fn content_that_is_dropped_unread_leaves_all_of_the_window_to_the_next() {
    let rig = scripted(frame(SETTINGS, 0, 0, b""), |_, mut peer| async move {
        // What the client allows: of all streams, and of each.
        let (mut connection, mut initial) = (65_535_i64, 65_535_i64);
        let number = |bytes: &[u8]| i64::from(u32::from_be_bytes(bytes.try_into().unwrap()));
        while let Some((kind, flags, stream, payload)) = peer.next().await {
            match kind {
                SETTINGS if flags & ACK == 0 => {
                    for setting in payload.chunks(6).filter(|setting| setting[..2] == [0, 4]) {
                        initial = number(&setting[2..]);
                    }
                    peer.send(&frame(SETTINGS, ACK, 0, b"")).await;
                }
                WINDOW_UPDATE if stream == 0 => connection += number(&payload),
                HEADERS => {
                    let mut of_stream = initial;
                    peer.send(&frame(HEADERS, END_HEADERS, stream, OK)).await;
                    // As much as there is room for, and no end.
                    while of_stream.min(connection) > 0 {
                        let len = of_stream.min(connection).min(16_384);
                        (of_stream, connection) = (of_stream - len, connection - len);
                        peer.send(&frame(DATA, 0, stream, &vec![b'x'; len as usize])).await;
                    }
                }
                _ => {}
            }
        }
    });
    // 40 times 4 MiB are more than the 64 MiB of the connection.
    for round in 0..40 {
        let mut response = rig.client.get(URL).await.unwrap();
        let first = timeout(Duration::from_secs(10), response.body.chunk()).await;
        assert!(matches!(first, Ok(Ok(Some(_)))), "round {round}: {first:?}");
        drop(response);
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(rig.dialed(), 1);
}

// RFC 9113 §8.1: both directions are their own, and each ends by itself.
#[tokio::test(start_paused = true)]
async fn a_response_that_ends_before_the_request_is_whole_and_one_that_is_reset_is_not() {
    for (code, is_whole) in [(0, true), (8, false)] {
        let rig = scripted(frame(SETTINGS, 0, 0, b""), move |_, mut peer| async move {
            let Some((.., stream, _)) = peer.until(HEADERS).await else { return };
            let response = if is_whole {
                answer(stream, b"enough")
            } else {
                [frame(HEADERS, END_HEADERS, stream, OK), frame(DATA, 0, stream, b"enough")].concat()
            };
            peer.send(&[response, frame(RST_STREAM, 0, stream, &[0, 0, 0, code])].concat()).await;
            while peer.next().await.is_some() {}
        });
        let mut response = post(&rig, vec![b'x'; 1 << 20]).await.unwrap();
        let text = response.text().await;
        assert_eq!(text.is_ok(), is_whole, "{text:?}");
    }
}

// ---------------------------------------------------------------- the transport's settings

/// A client with these settings, whose connections are played by this script.
fn set<F, Fut>(http2: Http2TransportSettings, script: F) -> Rig
where
    F: Fn(usize, Peer) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    rig(
        |transport| {
            transport.http2 = http2;
            transport.response_header_timeout = Duration::ZERO;
        },
        move |number, stream| {
            let script = script.clone();
            async move {
                if let Some(peer) = Peer::begin(stream, &frame(SETTINGS, 0, 0, b"")).await {
                    script(number, peer).await;
                }
            }
        },
    )
}

#[tokio::test(start_paused = true)]
async fn a_transport_says_its_windows_frames_and_tables_and_uses_no_larger_table_itself() {
    let http2 = Http2TransportSettings {
        max_read_frame_size: 20_000,
        max_receive_buffer_per_connection: 100_000,
        max_receive_buffer_per_stream: 30_000,
        max_decoder_header_table_size: 100,
        max_encoder_header_table_size: 1,
        ..Http2TransportSettings::default()
    };
    let said = Arc::new(Mutex::new(Vec::new()));
    let told = said.clone();
    let rig = set(http2, move |_, mut peer| {
        let told = told.clone();
        async move {
            while let Some((kind, flags, stream, payload)) = peer.next().await {
                match kind {
                    SETTINGS if flags & ACK == 0 => told.lock().unwrap().extend(
                        payload.chunks(6).map(|s| (u32::from(s[1]), u32::from_be_bytes(s[2..].try_into().unwrap()))),
                    ),
                    WINDOW_UPDATE => {
                        told.lock().unwrap().push((0, u32::from_be_bytes(payload[..].try_into().unwrap())));
                    }
                    HEADERS => {
                        // RFC 7541 §6.3: a peer takes 4,096 for granted, so that the first block says the size.
                        told.lock().unwrap().push((99, u32::from(payload[0])));
                        // As large as a frame may be, and no table needed for it.
                        peer.send(&answer(stream, &[b'x'; 20_000])).await;
                    }
                    _ => {}
                }
            }
        }
    });
    let text = rig.client.get(URL).await.unwrap().text().await.unwrap();
    assert_eq!(text.len(), 20_000);
    let said = said.lock().unwrap().clone();
    for expected in [(1, 100), (4, 30_000), (5, 20_000), (0, 100_000 - 65_535), (99, 0x21)] {
        assert!(said.contains(&expected), "{expected:?}: {said:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transport_asks_a_silent_server_and_gives_it_up_as_its_settings_say() {
    let secs = Duration::from_secs;
    for (send_ping_timeout, ping_timeout, expected) in
        [(secs(2), secs(5), secs(7)), (secs(2), Duration::from_millis(300), Duration::from_millis(2300))]
    {
        let http2 = Http2TransportSettings { send_ping_timeout, ping_timeout, ..Http2TransportSettings::default() };
        let rig = set(http2, |_, mut peer| async move { while peer.next().await.is_some() {} });
        let began = Instant::now();
        let error = rig.client.get(URL).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CutOff);
        assert!(error.to_string().contains(&format!("{ping_timeout:?}")), "{error}");
        let took = began.elapsed();
        assert!(took >= expected && took < expected + Duration::from_millis(50), "{took:?}");
    }
    // Never: then it waits for as long as its caller does.
    let http2 = Http2TransportSettings { send_ping_timeout: Duration::MAX, ..Http2TransportSettings::default() };
    let rig = set(http2, |_, mut peer| async move { while peer.next().await.is_some() {} });
    assert!(timeout(secs(100_000), rig.client.get(URL)).await.is_err());
}

// Windows as small as can be: whatever is read is told.
#[tokio::test(start_paused = true)]
async fn content_comes_through_the_smallest_windows() {
    let http2 = Http2TransportSettings {
        max_receive_buffer_per_connection: 65_535,
        max_receive_buffer_per_stream: 10,
        ..Http2TransportSettings::default()
    };
    let rig = set(http2, |_, mut peer| async move {
        let (mut left, mut room, mut stream_id) = (1000_i64, 10_i64, 0);
        while let Some((kind, flags, stream, payload)) = peer.next().await {
            match kind {
                SETTINGS if flags & ACK == 0 => _ = peer.send(&frame(SETTINGS, ACK, 0, b"")).await,
                HEADERS => {
                    stream_id = stream;
                    peer.send(&frame(HEADERS, END_HEADERS, stream, OK)).await;
                }
                WINDOW_UPDATE if stream > 0 => room += i64::from(u32::from_be_bytes(payload[..].try_into().unwrap())),
                _ => {}
            }
            let len = room.min(left);
            if stream_id > 0 && len > 0 {
                (room, left) = (room - len, left - len);
                let flags = if left == 0 { END_STREAM } else { 0 };
                peer.send(&frame(DATA, flags, stream_id, &vec![b'x'; len as usize])).await;
            }
        }
    });
    let read = timeout(Duration::from_secs(60), async { rig.client.get(URL).await?.text().await });
    assert_eq!(read.await.expect("it comes").unwrap().len(), 1000);
}
