//! Extended CONNECT (RFC 8441) at the server, in frames that are written by hand.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nethttp::{Request, ResponseWriter, Result, handle_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::frames::{
    DATA, END_HEADERS, END_STREAM, Frame, HEADERS, PROTOCOL_ERROR, RST_STREAM, RawPeer, SETTINGS, WINDOW_UPDATE, frame,
    get, reset,
};
use crate::support::{Running, millis, quiet, start};

const INITIAL_WINDOW_SIZE: u16 = 4;
const ENABLE_CONNECT_PROTOCOL: [u8; 6] = [0, 8, 0, 0, 0, 1];

const PSEUDO_FIELDS: [(&str, &str); 5] =
    [(":method", "CONNECT"), (":protocol", "echo"), (":scheme", "http"), (":path", "/chat"), (":authority", "h")];

type Count = Arc<AtomicUsize>;

/// Shouts back, up to the peer's end or its own mistake.
async fn shout(begun: &Count, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    begun.fetch_add(1, Ordering::SeqCst);
    if !r.header.contains("Upgrade") {
        return w.write("plain").await;
    }
    w.header().set("Upgrade", "echo");
    let mut tunnel = w.upgrade().await?;
    let mut buffer = [0; 100];
    loop {
        let len = tunnel.read(&mut buffer).await?;
        if len == 0 {
            return Ok(tunnel.shutdown().await?);
        }
        tunnel.write_all(&buffer[..len].to_ascii_uppercase()).await?;
    }
}

fn shouting(is_enabled: bool) -> (Running, Count) {
    let begun = Count::default();
    let mut server = quiet(handle_with(begun.clone(), shout));
    server.http2.enable_connect_protocol = is_enabled;
    (start(server), begun)
}

/// A head that does not end its stream, in literal fields without indexing.
fn head(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    let field = |(name, value): &(&str, &str)| {
        [&[0, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
    };
    frame(HEADERS, END_HEADERS, stream, &fields.iter().flat_map(field).collect::<Vec<u8>>())
}

/// All that the server says of this stream until it is silent.
async fn heard(peer: &mut RawPeer, stream: u32) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = timeout(millis(2000), peer.frame()).await {
        if frame.stream == stream && frame.kind != WINDOW_UPDATE {
            frames.push(frame);
        }
    }
    frames
}

/// Each frame's kind, whether it ends its stream, and its content, of a head the first byte.
fn in_short(frames: &[Frame]) -> Vec<(u8, bool, &[u8])> {
    let ends = |frame: &Frame| matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0;
    let len = |frame: &Frame| if frame.kind == HEADERS { 1 } else { frame.payload.len() };
    frames.iter().map(|frame| (frame.kind, ends(frame), &frame.payload[..len(frame)])).collect()
}

/// `:status` 200, from the static table.
const OK: &[u8] = &[0x88];
/// `:status` 400.
const BAD_REQUEST: u8 = 0x8c;

#[tokio::test(start_paused = true)]
async fn without_the_setting_a_protocol_is_malformed_and_no_handler_runs() {
    let (running, begun) = shouting(false);
    let mut peer = RawPeer::dial(&running.dialer, &[]).await;
    let settings = peer.expect(SETTINGS).await;
    assert!(!settings.payload.chunks(6).any(|setting| setting == ENABLE_CONNECT_PROTOCOL));
    peer.send(&head(1, &PSEUDO_FIELDS)).await;
    let reset = peer.expect(RST_STREAM).await;
    assert_eq!((reset.stream, reset.code(), begun.load(Ordering::SeqCst)), (1, PROTOCOL_ERROR, 0));
    peer.send(&get(3)).await;
    assert_eq!(peer.expect(HEADERS).await.stream, 3, "the connection lives");
}

#[tokio::test(start_paused = true)]
async fn with_it_what_lacks_a_pseudo_field_or_is_no_connect_is_malformed() {
    let (running, begun) = shouting(true);
    let mut peer = RawPeer::dial(&running.dialer, &[]).await;
    let settings = peer.expect(SETTINGS).await;
    assert!(settings.payload.chunks(6).any(|setting| setting == ENABLE_CONNECT_PROTOCOL));
    for (stream, missing) in [(1, ":scheme"), (3, ":path"), (5, ":authority")] {
        let fields: Vec<_> = PSEUDO_FIELDS.into_iter().filter(|(name, _)| *name != missing).collect();
        peer.send(&head(stream, &fields)).await;
        let reset = peer.expect(RST_STREAM).await;
        assert_eq!((reset.stream, reset.code()), (stream, PROTOCOL_ERROR), "without {missing}");
    }
    let get = PSEUDO_FIELDS.map(|(name, value)| (name, if name == ":method" { "GET" } else { value }));
    let with_upgrade = [&PSEUDO_FIELDS[..], &[("upgrade", "echo")]].concat();
    for (stream, fields) in [(7, &get[..]), (9, &with_upgrade)] {
        peer.send(&head(stream, fields)).await;
        assert_eq!(peer.expect(RST_STREAM).await.code(), PROTOCOL_ERROR, "{fields:?}");
    }
    assert_eq!(begun.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_protocol_that_is_no_name_is_refused_and_its_stream_ends_at_once() {
    let (running, begun) = shouting(true);
    let mut peer = RawPeer::dial(&running.dialer, &[]).await;
    for (stream, protocol) in [(1, "a, b"), (3, ""), (5, "a/"), (7, "a/b/c")] {
        let fields = PSEUDO_FIELDS.map(|(name, value)| (name, if name == ":protocol" { protocol } else { value }));
        peer.send(&head(stream, &fields)).await;
        let refused = heard(&mut peer, stream).await;
        let [answer, .., last] = &refused[..] else { panic!("{protocol:?}: {refused:?}") };
        assert_eq!((answer.kind, answer.payload[0], last.kind), (HEADERS, BAD_REQUEST, RST_STREAM), "{protocol:?}");
    }
    assert_eq!(begun.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_is_data_frames_both_ways_and_each_side_ends_with_end_stream() {
    let (running, _) = shouting(true);
    let mut peer = RawPeer::dial(&running.dialer, &[]).await;
    peer.send(&[head(1, &PSEUDO_FIELDS), frame(DATA, 0, 1, b"early")].concat()).await;
    let frames = heard(&mut peer, 1).await;
    assert_eq!(in_short(&frames), [(HEADERS, false, OK), (DATA, false, b"EARLY")]);
    peer.send(&frame(DATA, END_STREAM, 1, b"and late")).await;
    let frames = heard(&mut peer, 1).await;
    let data: Vec<u8> = frames.iter().flat_map(|frame| frame.payload.clone()).collect();
    let last = frames.last().map(|last| (last.kind, last.flags));
    assert_eq!((data.as_slice(), last), (&b"AND LATE"[..], Some((DATA, END_STREAM))));
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_sends_no_more_than_its_window() {
    let (running, _) = shouting(true);
    let mut peer = RawPeer::dial(&running.dialer, &[(INITIAL_WINDOW_SIZE, 4)]).await;
    peer.send(&[head(1, &PSEUDO_FIELDS), frame(DATA, 0, 1, b"abcdef")].concat()).await;
    let frames = heard(&mut peer, 1).await;
    assert_eq!(in_short(&frames), [(HEADERS, false, OK), (DATA, false, b"ABCD")]);
    peer.send(&frame(WINDOW_UPDATE, 0, 1, &10_u32.to_be_bytes())).await;
    assert_eq!(in_short(&heard(&mut peer, 1).await), [(DATA, false, &b"EF"[..])]);
}

#[tokio::test(start_paused = true)]
async fn a_reset_ends_a_tunnel_and_the_connection_lives() {
    let (running, begun) = shouting(true);
    let mut peer = RawPeer::dial(&running.dialer, &[]).await;
    for stream in [1, 3, 5] {
        peer.send(&[head(stream, &PSEUDO_FIELDS), frame(DATA, 0, stream, b"x")].concat()).await;
        assert_eq!(peer.expect(DATA).await.payload, b"X");
        peer.send(&reset(stream)).await;
    }
    peer.send(&get(7)).await;
    assert_eq!(peer.expect(DATA).await.payload, b"plain");
    assert_eq!(begun.load(Ordering::SeqCst), 4);
}
