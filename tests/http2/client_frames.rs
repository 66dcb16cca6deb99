//! What a client makes of a server's frames and sends itself, all read and written by hand: nothing here
//! knows how the frames are made on the other side.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nethttp::{Body, Bytes, Error, ErrorKind, Request, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::time::{Instant, sleep};

use crate::http2_peer::{SETTINGS, URL, frame, rig};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

const NO_ERROR: u32 = 0;
const CANCEL: u32 = 8;

const MIB: usize = 1 << 20;

fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A frame that came.
struct Came {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Came {
    /// The 32 bits at this place of the payload.
    fn number_at(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

/// A server's end of a connection.
struct Peer(DuplexStream);

impl Peer {
    /// Reads the client's preface, and gives room for any content.
    async fn begin(mut stream: DuplexStream) -> Option<Peer> {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await.ok()?;
        assert_eq!(&preface, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let window = (1_u32 << 30).to_be_bytes();
        let settings = frame(SETTINGS, 0, 0, &[&[0, 4][..], &window].concat());
        stream.write_all(&[settings, frame(WINDOW_UPDATE, 0, 0, &window)].concat()).await.ok()?;
        Some(Peer(stream))
    }

    async fn next(&mut self) -> Option<Came> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let mut payload = vec![0; usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2])];
        self.0.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Came { kind: head[3], flags: head[4], stream, payload })
    }

    async fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
    }

    /// Answers with this status and this content.
    async fn answer(&mut self, stream: u32, status: u16, content: &[u8]) {
        let mut bytes = head(stream, status, content.is_empty());
        if !content.is_empty() {
            bytes.extend(frame(DATA, END_STREAM, stream, content));
        }
        self.send(&bytes).await;
    }
}

/// The head of a response: `:status` alone, as a literal (RFC 7541 §6.2.2).
fn head(stream: u32, status: u16, ends: bool) -> Vec<u8> {
    let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
    frame(HEADERS, flags, stream, &[&[8, 3][..], status.to_string().as_bytes()].concat())
}

/// Pieces of 64 KiB, made when they are asked for.
struct Pieces(usize);

impl futures_core::Stream for Pieces {
    type Item = Result<Bytes, Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0 = self.0.saturating_sub(1);
        std::task::Poll::Ready((self.0 > 0).then_some(Ok(Bytes::from_static(&[b'x'; 64 * 1024]))))
    }
}

/// What a server that answers at the head of each request has seen of its stream.
#[derive(Clone, Copy, Default, Debug)]
struct Seen {
    content: usize,
    resets: usize,
    code: Option<u32>,
    is_whole: bool,
}

#[tokio::test(start_paused = true)]
async fn an_upload_stops_at_an_answer_that_wants_no_more_of_it() {
    for (status, content, expects) in
        [(401, "no", false), (413, "", false), (413, "no", true), (302, "no", false), (500, "", true)]
    {
        let seen = Arc::new(Mutex::new(HashMap::<u32, Seen>::new()));
        let sees = seen.clone();
        let rig = rig(
            |_| {},
            move |_, stream| {
                let seen = sees.clone();
                async move {
                    let Some(mut peer) = Peer::begin(stream).await else { return };
                    while let Some(came) = peer.next().await {
                        let mut of = seen.lock().unwrap().get(&came.stream).copied().unwrap_or_default();
                        match came.kind {
                            HEADERS if came.stream == 1 => peer.answer(1, status, content.as_bytes()).await,
                            HEADERS => peer.answer(came.stream, 200, b"").await,
                            DATA => of.content += came.payload.len(),
                            RST_STREAM => (of.resets, of.code) = (of.resets + 1, Some(came.number_at(0))),
                            _ => {}
                        }
                        of.is_whole |= matches!(came.kind, HEADERS | DATA) && came.flags & END_STREAM != 0;
                        seen.lock().unwrap().insert(came.stream, of);
                    }
                }
            },
        );
        let mut request = Request::post(URL, Body::from_stream(Pieces(50 * MIB / (64 * 1024)))).unwrap();
        if expects {
            request.header.set("Expect", "100-continue");
        }
        let mut response = rig.client.send(request).await.unwrap();
        assert_eq!((response.status.as_u16(), response.text().await.unwrap().as_str()), (status, content));
        drop(response);
        sleep(secs(1)).await;
        assert_eq!(rig.client.get(URL).await.unwrap().status, StatusCode::OK);
        assert_eq!(rig.dialed(), 1, "the connection lives on");
        let of = seen.lock().unwrap()[&1];
        assert!(of.content <= if expects { 0 } else { 2 * MIB }, "{status} {expects}: {of:?}");
        assert!(!of.is_whole && of.resets == 1, "{status} {expects}: {of:?}");
        assert!(matches!(of.code, Some(NO_ERROR | CANCEL)), "{status} {expects}: {of:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_that_are_dropped_cost_their_streams_one_reset_each_and_the_connection_nothing() {
    const DROPPED: u32 = 150;
    let resets = Arc::new(Mutex::new(HashMap::<u32, usize>::new()));
    let counts = resets.clone();
    let rig = rig(
        |_| {},
        move |_, stream| {
            let resets = counts.clone();
            async move {
                let Some(mut peer) = Peer::begin(stream).await else { return };
                while let Some(came) = peer.next().await {
                    match came.kind {
                        HEADERS if came.stream < 2 * DROPPED => {
                            let data = frame(DATA, 0, came.stream, &[b'x'; 16_000]);
                            peer.send(&[head(came.stream, 200, false), data.repeat(3)].concat()).await;
                        }
                        HEADERS => peer.answer(came.stream, 200, b"hello").await,
                        RST_STREAM => {
                            *resets.lock().unwrap().entry(came.stream).or_default() += 1;
                            // What was on its way when the reset came, of this stream and of those before.
                            for late in (1..=came.stream).step_by(2) {
                                peer.send(&frame(DATA, 0, late, b"late")).await;
                            }
                        }
                        _ => {}
                    }
                }
            }
        },
    );
    for _ in 0..DROPPED {
        let mut response = rig.client.get(URL).await.unwrap();
        assert!(response.body.chunk().await.unwrap().is_some());
        drop(response);
    }
    sleep(secs(1)).await;
    assert_eq!(rig.client.get(URL).await.unwrap().text().await.unwrap(), "hello", "an innocent request");
    assert_eq!(rig.dialed(), 1);
    let resets = resets.lock().unwrap();
    assert_eq!(resets.len(), DROPPED as usize);
    assert!(resets.values().all(|&count| count == 1), "{resets:?}");
}

/// A server that answers its first requests, and then says nothing more: to a PING it answers or does not.
async fn falls_silent(stream: DuplexStream, mut answers: usize, answers_pings: bool, pings: Arc<AtomicUsize>) {
    let Some(mut peer) = Peer::begin(stream).await else { return };
    while let Some(came) = peer.next().await {
        match came.kind {
            HEADERS if answers > 0 => {
                answers -= 1;
                peer.answer(came.stream, 200, b"hello").await;
            }
            PING if came.flags & ACK == 0 => {
                pings.fetch_add(1, Ordering::Relaxed);
                if answers_pings {
                    peer.send(&frame(PING, ACK, 0, &came.payload)).await;
                }
            }
            _ => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_request_pays_for_a_connection_that_fell_silent() {
    for limit_is_over_all in [false, true] {
        let pings = Arc::new(AtomicUsize::new(0));
        let counted = pings.clone();
        let mut rig = rig(
            |transport| {
                if !limit_is_over_all {
                    transport.response_header_timeout = secs(5);
                }
            },
            move |number, stream| falls_silent(stream, if number == 1 { 1 } else { 100 }, number > 1, counted.clone()),
        );
        if limit_is_over_all {
            // Shorter than anything that the connection itself waits for.
            rig.client.timeout = Duration::from_millis(300);
        }
        let began = Instant::now();
        let mut outcomes = Vec::new();
        for _ in 0..10 {
            outcomes.push(rig.client.get(URL).await.map(|response| response.status).map_err(|error| error.kind()));
        }
        let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
        assert_eq!((failed, rig.dialed()), (1, 2), "{outcomes:?}");
        assert_eq!(outcomes[1], Err(ErrorKind::TimedOut));
        assert!(began.elapsed() <= secs(5), "{:?}", began.elapsed());
        assert_eq!(pings.load(Ordering::Relaxed), 1, "it was asked whether it lives");
        sleep(secs(20)).await;
        assert_eq!(rig.counts().0, 1, "the silent one is closed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_answers_its_ping_is_used_again() {
    let pings = Arc::new(AtomicUsize::new(0));
    let counted = pings.clone();
    let mut rig = rig(
        |_| {},
        move |_, stream| {
            let pings = counted.clone();
            async move {
                let Some(mut peer) = Peer::begin(stream).await else { return };
                while let Some(came) = peer.next().await {
                    match came.kind {
                        HEADERS if came.stream != 3 => peer.answer(came.stream, 200, b"hello").await,
                        PING if came.flags & ACK == 0 => {
                            pings.fetch_add(1, Ordering::Relaxed);
                            peer.send(&frame(PING, ACK, 0, &came.payload)).await;
                        }
                        _ => {}
                    }
                }
            }
        },
    );
    rig.client.timeout = secs(2);
    assert_eq!(rig.client.get(URL).await.unwrap().text().await.unwrap(), "hello");
    assert!(rig.client.get(URL).await.unwrap_err().is_timeout());
    sleep(Duration::from_millis(10)).await;
    assert_eq!(rig.client.get(URL).await.unwrap().text().await.unwrap(), "hello");
    assert_eq!((rig.dialed(), pings.load(Ordering::Relaxed)), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_connection_lets_its_server_be_64_mib_ahead_of_all_readers_and_4_of_each() {
    let windows = Arc::new(Mutex::new((65_535, 65_535)));
    let seen = windows.clone();
    let rig = rig(
        |_| {},
        move |_, stream| {
            let seen = seen.clone();
            async move {
                let Some(mut peer) = Peer::begin(stream).await else { return };
                while let Some(came) = peer.next().await {
                    match came.kind {
                        SETTINGS if came.flags & ACK == 0 => {
                            for setting in came.payload.chunks(6).filter(|setting| setting[..2] == [0, 4]) {
                                seen.lock().unwrap().1 = u32::from_be_bytes(setting[2..].try_into().unwrap());
                            }
                        }
                        WINDOW_UPDATE if came.stream == 0 => seen.lock().unwrap().0 += came.number_at(0),
                        HEADERS => peer.answer(came.stream, 200, b"hello").await,
                        _ => {}
                    }
                }
            }
        },
    );
    rig.client.get(URL).await.unwrap();
    sleep(secs(1)).await;
    assert_eq!(*windows.lock().unwrap(), (64 << 20, 4 << 20));
}
