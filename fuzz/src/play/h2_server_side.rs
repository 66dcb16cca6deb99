//! A server and its one peer over HTTP/2, and what has to hold of what passed between them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nethttp::{Server, testing};
use tokio::time::sleep;

use super::frames::*;
use super::h2_script::Sender;
use super::handler::{ContentEnd, Outcome, Served, Stage};
use super::peer::Wire;
use super::script::Step;
use super::{ends, run, settle};
use crate::input::Input;

/// What passed, and what the handler saw and did.
pub struct Played {
    pub sender: Sender,
    /// The streams by the targets of their requests.
    pub targets: BTreeMap<String, u32>,
    pub served: Vec<Served>,
    pub frames: Vec<Frame>,
}

/// No peer keeps a server busy for longer that does nothing.
const MAX_LINGER: Duration = Duration::from_secs(3600);
/// What a handler may do here: a connection of HTTP/2 is not taken over.
const LETTERS: &[u8] = b"r1wWfizZltn4Nepac";

/// What a server is told, a bit each.
fn settings(server: &mut Server, how: u8) {
    if how & 1 != 0 {
        server.http2.max_concurrent_streams = 2;
    }
    if how & 2 != 0 {
        (server.http2.max_control_frames, server.http2.max_resets) = (20, 3);
        (server.http2.max_pending_resets, server.http2.max_local_resets) = (2, 3);
    }
    if how & 4 != 0 {
        (server.http2.max_receive_buffer_per_stream, server.http2.max_send_buffer_per_stream) = (300, 400);
    }
    if how & 16 != 0 {
        server.http2.send_ping_timeout = Duration::from_secs(5);
    }
}

/// Plays a script to a server to the end of its connection.
pub fn play(data: &[u8]) -> Played {
    let mut input = Input(data);
    let (how, window) = (input.byte(), input.pick(&[0x7fff_ffff, DEFAULT_WINDOW, 0, 1, 1 << 20]));
    run(async {
        let stage = Stage::default();
        let mut server = Server::new(stage.clone());
        server.on_event = Some(Arc::new(|_| {}));
        settings(&mut server, how);
        let (listener, dialer) = testing::listener();
        let serving = tokio::spawn({
            let server = server.clone();
            async move { server.serve(listener).await }
        });
        let small = dialer.clone().with_buffer_bytes(if how & 8 != 0 { 64 } else { 64 * 1024 });
        let mut sender = Sender::new(Wire::new(small.dial().await.expect("the server listens")));
        sender.is_calm = how & 0x17 == 0 && window == 0x7fff_ffff;
        sender.begin(PREFACE, window).await;
        let targets = std::cell::RefCell::new(BTreeMap::new());
        let head = |sender: &mut Sender, input: &mut Input<'_>| request(sender, input, &mut targets.borrow_mut());
        sender.play(&mut input, head).await;
        is_served_meanwhile(&dialer).await;
        sender.wire.act(&Step::ReadOn).await;
        sleep(MAX_LINGER).await;
        // A window that is taken back behind an answer may keep it, and nothing else may.
        assert!(sender.wire.is_over() || sender.takes_back, "the connection goes on for ever");
        sender.wire.act(&Step::Reset).await;
        sleep(MAX_LINGER).await;
        is_served_meanwhile(&dialer).await;
        assert_eq!(server.connections(), 0, "a connection outlives its peer");
        let report = ends("the shutdown", server.shutdown(Duration::from_secs(1000))).await;
        assert_eq!(report.cut, 0);
        assert!(serving.await.expect("serving ends").is_err());
        settle().await;
        let frames = frames(&sender.wire.received());
        let mut seen = stage.lock();
        assert_eq!(seen.wrong, None);
        Played { sender, targets: targets.into_inner(), served: std::mem::take(&mut seen.served), frames }
    })
}

/// Another connection is served, whatever is done on the first one.
async fn is_served_meanwhile(dialer: &testing::Dialer) {
    let mut wire = Wire::new(dialer.dial().await.expect("it still listens"));
    wire.send(b"GET /w HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let answered = tokio::time::timeout(Duration::from_secs(5), wire.end()).await.expect("another one is served");
    assert!(answered.received.ends_with(b"some words"), "{}", answered.received.escape_ascii());
}

/// The head of the next request: bits for how it is written, and its handler's letters up to a blank.
fn request(sender: &mut Sender, input: &mut Input<'_>, targets: &mut BTreeMap<String, u32>) -> Vec<u8> {
    let (how, letters) = (input.byte(), input.until(b' '));
    let stream = sender.streams.keys().next_back().map_or(1, |last| last + 2);
    let letters = letters.iter().take(6).map(|letter| match LETTERS.contains(letter) {
        true => *letter,
        false => LETTERS[usize::from(*letter) % LETTERS.len()],
    });
    let target = format!("/{}?{stream}", String::from_utf8_lossy(&letters.collect::<Vec<_>>()));
    let mut block = Block::default();
    block.indexed(if how & 1 != 0 { 3 } else { 2 });
    block.indexed(6);
    block.named(4, target.as_bytes());
    block.named(1, b"a");
    let (is_end, has_length) = (how & 2 == 0, how & 4 != 0);
    if has_length {
        block.named(28, input.pick(&["0", "3", "10", "300", "70000"]).as_bytes());
    }
    if how & 8 != 0 {
        block.field(b"expect", b"100-continue");
    }
    if how & 16 != 0 {
        block.field(b"cookie", b"a=b");
        block.kept_field(b"cookie", b"c=d");
        block.field(b"te", b"trailers");
    }
    let cuts = if how & 32 != 0 { input.piece() } else { b"" };
    let cuts = &cuts[..cuts.len().min(4)];
    sender.began(stream, is_end, has_length);
    sender.is_calm &= !target.contains(['l', 'e', 'p', 'a', 'c', 'Z', 'z']);
    targets.insert(target, stream);
    let flags = if is_end { END_STREAM } else { 0 } | if how & 128 != 0 { WITH_PRIORITY } else { 0 };
    block.frames(stream, flags, 0, cuts)
}

/// What was served was sent, once, and whole only if it was.
pub fn was_sent(played: &Played) {
    let mut targets = std::collections::BTreeSet::new();
    for served in played.served.iter().filter(|served| served.target != "/w") {
        if played.sender.is_raw {
            continue;
        }
        assert!(targets.insert(&served.target), "{} is served twice", served.target);
        let stream = played.targets.get(&served.target).unwrap_or_else(|| panic!("{} was not sent", served.target));
        let sent = &played.sender.streams[stream];
        assert!(sent.content.starts_with(&served.content), "content that was not sent: {served:?}");
        let is_whole = sent.is_ended && sent.content == served.content;
        assert!(served.content_end != ContentEnd::Ended || is_whole, "cut off content passes for whole: {served:?}");
    }
}

/// What was answered is what the handler wrote, and all of it where the stream says that it is whole.
pub fn is_answered(played: &Played) {
    played.sender.was_kept_to(&played.frames);
    for (target, stream) in &played.targets {
        let of_stream = || played.frames.iter().filter(|frame| frame.stream == *stream);
        let content: Vec<u8> = of_stream().filter(|frame| frame.kind == DATA).flat_map(data).collect();
        let is_whole = of_stream().any(|frame| matches!(frame.kind, DATA | HEADERS) && frame.has(END_STREAM));
        let is_reset = of_stream().any(|frame| frame.kind == RST_STREAM);
        let served = played.served.iter().find(|served| served.target == *target);
        // A handler that failed has its stream reset, if its head was sent already.
        let is_done = served.is_some_and(|served| served.outcome == Outcome::Done);
        let is_due = played.sender.is_calm && played.sender.streams.values().all(|sent| sent.is_ended);
        assert!(!is_due || is_whole || (is_reset && !is_done), "{target} is not answered");
        let Some(served) = served.filter(|served| served.outcome == Outcome::Done && !played.sender.is_raw) else {
            assert!(content.is_empty() || is_whole || is_reset || !played.sender.is_calm);
            continue;
        };
        assert!(served.attempted.starts_with(&content), "content that the handler did not write: {target}");
        let is_all = content == served.written || target.contains(['l', 'n', 'N']);
        assert!(!is_whole || is_all, "not all that the handler wrote: {target}");
    }
}

/// The content of a DATA frame.
pub fn data(frame: &Frame) -> Vec<u8> {
    let padding = if frame.has(PADDED) { 1 + usize::from(frame.payload[0]) } else { 0 };
    let from = usize::from(frame.has(PADDED));
    frame.payload[from..frame.payload.len() + from - padding].to_vec()
}
