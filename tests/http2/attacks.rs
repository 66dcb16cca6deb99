//! Floods and stalls over HTTP/2, by raw frames: each ends with its reason, and until then takes
//! no more handlers, memory or time than the settings say.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use nethttp::server::CloseReason;
use nethttp::testing::Dialer;
use nethttp::{Request, ResponseWriter, Result, Server, handle_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::frames::{
    CONTINUATION, DATA, ENHANCE_YOUR_CALM, Frame, GOAWAY, HEADERS, PING, PRIORITY, PROTOCOL_ERROR, RST_STREAM, RawPeer,
    SETTINGS, WINDOW_UPDATE, frame, get, post, reset,
};
use crate::support::{Running, States, hello, secs, settle, start};

/// A server that is attacked, and all it told.
struct Attacked {
    running: Running,
    states: States,
    events: Arc<Mutex<Vec<String>>>,
    handlers: Arc<Handlers>,
}

/// How many handlers run, and how many ran at most at a time.
#[derive(Default)]
struct Handlers {
    running: AtomicUsize,
    most: AtomicUsize,
    started: AtomicUsize,
}

/// Counts a handler for as long as it runs.
struct Counted<'a>(&'a Handlers);

impl Handlers {
    fn enter(&self) -> Counted<'_> {
        self.started.fetch_add(1, Ordering::SeqCst);
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        Counted(self)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Does not look whether its peer still waits.
async fn stubborn(handlers: &Arc<Handlers>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let _counted = handlers.enter();
    if r.path() == "/" {
        tokio::time::sleep(secs(1)).await;
    }
    w.write("done").await
}

fn attacked(change: impl FnOnce(&mut Server)) -> Attacked {
    let handlers = Arc::new(Handlers::default());
    let mut server = Server::new(handle_with(handlers.clone(), stubborn));
    let events: Arc<Mutex<Vec<String>>> = Arc::default();
    let told = events.clone();
    server.on_event = Some(Arc::new(move |event| told.lock().unwrap().push(event.to_string())));
    let states = States::of(&mut server);
    change(&mut server);
    Attacked { running: start(server), states, events, handlers }
}

impl Attacked {
    fn dialer(&self) -> &Dialer {
        &self.running.dialer
    }

    /// That the first connection was ended with this code, for this reason, and the server lives.
    async fn assert_ended(&self, frames: &[Frame], code: u32, words: &str) {
        let away = frames.iter().rev().find(|frame| frame.kind == GOAWAY).expect("the peer is told");
        assert_eq!(away.code(), code);
        settle().await;
        let told = self.events.lock().unwrap().clone();
        assert!(told.iter().any(|event| event.ends_with(words)), "{told:?}");
        // Its handlers run on, for a second.
        tokio::time::sleep(secs(2)).await;
        let reason = self.states.reason(1);
        let expected = if code == PROTOCOL_ERROR { CloseReason::ProtocolBroken } else { CloseReason::Flooded };
        assert_eq!(reason, Some(expected));
        let mut peer = self.running.dial().await;
        assert_eq!(peer.ask("GET /x HTTP/1.1\r\nHost: h\r\n\r\n").await.status, 200);
    }
}

/// Odd stream numbers from 1.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|number| 2 * number + 1)
}

// ---------------------------------------------------------------- resets

#[tokio::test(start_paused = true)]
async fn rapid_reset_runs_no_more_handlers_than_streams_are_allowed_and_ends() {
    let attacked = attacked(|server| {
        server.http2.max_concurrent_streams = 20;
        server.http2.max_pending_resets = 1_000_000;
    });
    let peer = RawPeer::dial(attacked.dialer(), &[]).await;
    let (read, mut write) = tokio::io::split(peer.stream);
    let sending = tokio::spawn(async move {
        for stream in streams(5000) {
            // One by one, so that each request is taken before it is given up.
            if write.write_all(&get(stream)).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
            let _ = write.write_all(&reset(stream)).await;
        }
    });
    let frames = all_frames(read).await;
    sending.abort();
    attacked.assert_ended(&frames, ENHANCE_YOUR_CALM, "too many requests were given up").await;
    assert!(attacked.handlers.most.load(Ordering::SeqCst) <= 20);
    assert!(attacked.handlers.started.load(Ordering::SeqCst) < 600);
}

async fn all_frames(read: tokio::io::ReadHalf<tokio::io::DuplexStream>) -> Vec<Frame> {
    let mut read = read;
    let mut bytes = Vec::new();
    read.read_to_end(&mut bytes).await.unwrap();
    let mut frames = Vec::new();
    let mut rest = &bytes[..];
    while rest.len() >= 9 {
        let len = usize::from(rest[0]) << 16 | usize::from(rest[1]) << 8 | usize::from(rest[2]);
        let stream = u32::from_be_bytes(rest[5..9].try_into().unwrap());
        frames.push(Frame { kind: rest[3], flags: rest[4], stream, payload: rest[9..9 + len].to_vec() });
        rest = &rest[9 + len..];
    }
    frames
}

#[tokio::test(start_paused = true)]
async fn requests_given_up_before_they_are_taken_are_few() {
    let attacked = attacked(|_| {});
    let mut peer = RawPeer::dial(attacked.dialer(), &[]).await;
    peer.send(&streams(30).flat_map(|stream| [get(stream), reset(stream)].concat()).collect::<Vec<u8>>()).await;
    let frames = peer.frames().await;
    attacked.assert_ended(&frames, ENHANCE_YOUR_CALM, "too many requests were given up before they were taken").await;
    assert!(attacked.handlers.started.load(Ordering::SeqCst) <= 21);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_gives_up_now_and_then_is_no_attacker() {
    let attacked = attacked(|server| server.http2.max_resets = 10);
    let mut peer = RawPeer::dial(attacked.dialer(), &[]).await;
    // A path of its own: `/x`, so that the handler answers at once.
    let quick = |stream| frame(HEADERS, 5, stream, &[0x82, 0x86, 0x04, 2, b'/', b'x', 0x01, 1, b'h']);
    for stream in streams(100).step_by(2) {
        peer.send(&[post(stream), quick(stream + 2)].concat()).await;
        while peer.expect(DATA).await.stream != stream + 2 {}
        peer.send(&reset(stream)).await;
        settle().await;
    }
    assert_eq!(*attacked.events.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_server_made_to_reset_streams_does_so_a_bounded_number_of_times() {
    for breaking in [
        // A window that grows by nothing, and one that overflows.
        |stream: u32| frame(WINDOW_UPDATE, 0, stream, &[0; 4]),
        |stream: u32| frame(WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff]),
    ] {
        let attacked = attacked(|server| server.http2.max_local_resets = 100);
        let peer = RawPeer::dial(attacked.dialer(), &[]).await;
        let bytes = streams(500).flat_map(|stream| [post(stream), breaking(stream)].concat()).collect();
        let frames = peer.flood(bytes, 1).await;
        assert!(frames.iter().filter(|frame| frame.kind == RST_STREAM).count() <= 101);
        let code = frames.iter().rev().find(|frame| frame.kind == GOAWAY).unwrap().code();
        assert!(matches!(code, PROTOCOL_ERROR | ENHANCE_YOUR_CALM), "{code}");
        assert!(attacked.handlers.most.load(Ordering::SeqCst) <= 250);
        settle().await;
        assert_eq!(attacked.events.lock().unwrap().len(), 1);
    }
}

// ---------------------------------------------------------------- frames without end

#[tokio::test(start_paused = true)]
async fn frames_that_bring_nothing_are_counted_and_end_the_connection() {
    const NOTHING: &str = "too many frames without a request or content";
    for (flood, words) in [
        (frame(PING, 0, 0, &[0; 8]), NOTHING),
        (frame(SETTINGS, 0, 0, b""), NOTHING),
        (frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 16]), NOTHING),
        (frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]), NOTHING),
        (frame(0xaa, 0, 0, b"x"), NOTHING),
        // These the crate counts too, and is the first.
        (frame(DATA, 0, 1, b""), "too many small DATA frames"),
    ] {
        let attacked = attacked(|server| server.http2.max_control_frames = 1000);
        let mut peer = RawPeer::dial(attacked.dialer(), &[]).await;
        peer.send(&post(1)).await;
        let frames = peer.flood(flood.repeat(100), 1000).await;
        attacked.assert_ended(&frames, ENHANCE_YOUR_CALM, words).await;
        assert!(frames.len() < 4000, "{} answers", frames.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_requests_and_does_not_read_is_closed_after_the_stall_timeout() {
    let attacked = attacked(|server| server.http2.max_control_frames = u32::MAX);
    let mut peer = RawPeer::dial(&attacked.dialer().with_buffer_bytes(1000), &[]).await;
    let began = Instant::now();
    let pings = frame(PING, 0, 0, &[0; 8]).repeat(10);
    while peer.stream.write_all(&pings).await.is_ok() {}
    assert_eq!(began.elapsed().as_secs(), 30);
    settle().await;
    assert_eq!(attacked.states.reason(1), Some(CloseReason::WriteFailed));
}

#[tokio::test(start_paused = true)]
async fn a_header_block_in_empty_pieces_ends_soon() {
    let attacked = attacked(|server| server.max_header_bytes = 32 << 10);
    let mut peer = RawPeer::dial(attacked.dialer(), &[]).await;
    peer.send(&frame(HEADERS, 1, 1, b"")).await;
    let frames = peer.flood(frame(CONTINUATION, 0, 1, b"").repeat(10), 1000).await;
    attacked.assert_ended(&frames, ENHANCE_YOUR_CALM, "too many CONTINUATION frames").await;
}

#[tokio::test(start_paused = true)]
async fn small_unread_data_frames_are_bounded_by_their_cost() {
    let attacked = attacked(|_| {});
    let mut peer = RawPeer::dial(attacked.dialer(), &[]).await;
    peer.send(&post(1)).await;
    let frames = peer.flood(frame(DATA, 0, 1, b"x").repeat(100), 1000).await;
    attacked.assert_ended(&frames, ENHANCE_YOUR_CALM, "too many small DATA frames").await;
}

#[tokio::test(start_paused = true)]
async fn a_first_frame_other_than_settings_is_refused() {
    let attacked = attacked(|_| {});
    let mut stream = attacked.dialer().dial().await.unwrap();
    stream.write_all(&[crate::frames::PREFACE, &frame(PING, 0, 0, &[0; 8])].concat()).await.unwrap();
    let frames = RawPeer { stream }.frames().await;
    attacked.assert_ended(&frames, PROTOCOL_ERROR, "the first frame is not SETTINGS").await;
}

// ---------------------------------------------------------------- heads

#[tokio::test(start_paused = true)]
async fn a_head_of_many_small_fields_is_answered_431_and_not_kept_in_memory() {
    let attacked = attacked(|_| {});
    // Windows of nothing: the answers cannot leave.
    let mut peer = RawPeer::dial(attacked.dialer(), &[(4, 0)]).await;
    // `cookie: c` into the table, and then one byte for each crumb.
    let crumbs = [&[0x60, 1, b'c'][..], &[0xbe; 4000]].concat();
    for stream in streams(20) {
        peer.send(&frame(HEADERS, 5, stream, &[crate::frames::GET_ROOT, &crumbs].concat())).await;
    }
    settle().await;
    let events = attacked.events.lock().unwrap().clone();
    assert_eq!(events, ["refused bytes from memory client 1 with 431: too many header fields"; 20]);
    assert_eq!(attacked.handlers.started.load(Ordering::SeqCst), 0);
    peer.send(&frame(WINDOW_UPDATE, 0, 1, &[0, 0, 4, 0])).await;
    assert_eq!(peer.expect(DATA).await.stream, 1);
}

#[tokio::test(start_paused = true)]
async fn a_head_over_its_size_is_answered_431_and_one_far_over_it_ends_the_connection() {
    let attacked = attacked(|server| server.max_header_bytes = 1000);
    let mut peer = RawPeer::dial(attacked.dialer(), &[]).await;
    let value = |len: usize| [&[0x00, 1, b'x', 0x7f], &varint(len - 127)[..], &vec![b'v'; len]].concat();
    peer.send(&frame(HEADERS, 5, 1, &[crate::frames::GET_ROOT, &value(2000)].concat())).await;
    assert_eq!(peer.expect(HEADERS).await.stream, 1);
    // Four times the size and more.
    peer.send(&frame(HEADERS, 5, 3, &[crate::frames::GET_ROOT, &value(6000)].concat())).await;
    let frames = peer.frames().await;
    attacked.assert_ended(&frames, ENHANCE_YOUR_CALM, "far too many header fields").await;
    assert_eq!(attacked.handlers.started.load(Ordering::SeqCst), 1, "that of the last look alone");
}

/// The bytes behind a prefix that is full (RFC 7541 §5.1).
fn varint(mut rest: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while rest >= 128 {
        bytes.push((rest % 128) as u8 | 0x80);
        rest /= 128;
    }
    bytes.push(rest as u8);
    bytes
}

#[tokio::test(start_paused = true)]
async fn a_head_that_is_no_request_starts_no_handler() {
    let field = |name: &str, value: &str| {
        let length = |text: &str| [u8::try_from(text.len()).unwrap()];
        [&[0], &length(name)[..], name.as_bytes(), &length(value), value.as_bytes()].concat()
    };
    for (what, head) in [
        ("a method twice", [crate::frames::GET_ROOT, &[0x82]].concat()),
        ("a path behind a field", [&[0x82, 0x86][..], &field("x", "y"), &[0x84]].concat()),
        ("no path", vec![0x82, 0x86]),
        ("an unknown pseudo-field", [crate::frames::GET_ROOT, &field(":x", "y")].concat()),
        ("a capital letter", [crate::frames::GET_ROOT, &field("X", "y")].concat()),
        ("a field of a connection", [crate::frames::GET_ROOT, &field("connection", "close")].concat()),
        ("a coding", [crate::frames::GET_ROOT, &field("transfer-encoding", "chunked")].concat()),
        ("another TE", [crate::frames::GET_ROOT, &field("te", "gzip")].concat()),
    ] {
        let attacked = attacked(|_| {});
        let mut peer = RawPeer::dial(attacked.dialer(), &[]).await;
        peer.send(&frame(HEADERS, 5, 1, &head)).await;
        let frames = peer.frames().await;
        let refuses = |frame: &Frame| match frame.kind {
            RST_STREAM | GOAWAY => frame.code() == PROTOCOL_ERROR,
            DATA => frame.payload.starts_with(b"400 Bad Request"),
            _ => false,
        };
        assert!(frames.iter().any(refuses), "{what}");
        assert_eq!(attacked.handlers.started.load(Ordering::SeqCst), 0, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_frame_over_its_size_ends_the_connection_and_one_of_that_size_does_not() {
    const FRAME_SIZE_ERROR: u32 = 6;
    let attacked = attacked(|server| server.http2.max_read_frame_size = 20_000);
    let mut peer = RawPeer::dial(attacked.dialer(), &[]).await;
    peer.send(&[post(1), frame(DATA, 1, 1, &[0; 20_000])].concat()).await;
    assert_eq!(peer.expect(HEADERS).await.stream, 1);
    peer.send(&[post(3), frame(DATA, 0, 3, &[0; 20_001])].concat()).await;
    let frames = peer.frames().await;
    let away = frames.iter().rev().find(|frame| frame.kind == GOAWAY).expect("the peer is told");
    assert_eq!(away.code(), FRAME_SIZE_ERROR);
}

// ---------------------------------------------------------------- stalls

#[tokio::test(start_paused = true)]
async fn windows_of_nothing_hold_handlers_for_the_stall_timeout_only() {
    let attacked = attacked(|_| {});
    let mut peer = RawPeer::dial(attacked.dialer(), &[(4, 0)]).await;
    peer.send(&streams(250).flat_map(get).collect::<Vec<u8>>()).await;
    let began = Instant::now();
    for _ in 0..250 {
        peer.expect(RST_STREAM).await;
    }
    // The handlers wait a second, and then their answers cannot leave.
    assert_eq!(began.elapsed().as_secs(), 31);
    let handlers = &attacked.handlers;
    assert_eq!((handlers.most.load(Ordering::SeqCst), handlers.running.load(Ordering::SeqCst)), (250, 0));
}

#[tokio::test(start_paused = true)]
async fn frames_of_any_kind_flags_and_length_make_nothing_panic() {
    let attacked = attacked(|_| {});
    for kind in 0..=255 {
        for len in 0..10 {
            for (stream, flags) in [(0, 0), (0, 0xff), (1, 0), (1, 0xff)] {
                let mut peer = RawPeer::dial(attacked.dialer(), &[]).await;
                let _ = peer.stream.write_all(&[post(1), frame(kind, flags, stream, &vec![1; len])].concat()).await;
                let _ = peer.stream.shutdown().await;
                peer.frames().await;
            }
        }
    }
    settle().await;
    let events = attacked.events.lock().unwrap();
    assert!(!events.iter().any(|event| event.contains("panic")));
    assert_eq!(attacked.running.server.connections(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_only_pings_is_idle_all_the_same() {
    let mut server = crate::support::quiet(hello);
    let states = States::of(&mut server);
    let running = start(server);
    let peer = RawPeer::dial(&running.dialer, &[]).await;
    let (read, mut write) = tokio::io::split(peer.stream);
    let began = Instant::now();
    let pinging = tokio::spawn(async move {
        while write.write_all(&frame(PING, 0, 0, &[0; 8])).await.is_ok() {
            tokio::time::sleep(secs(1)).await;
        }
    });
    let frames = all_frames(read).await;
    assert!(frames.iter().any(|frame| frame.kind == GOAWAY) && began.elapsed().as_secs() == 120);
    pinging.abort();
    settle().await;
    assert_eq!(states.reason(1), Some(CloseReason::IdleTimeout));
}
