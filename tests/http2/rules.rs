//! What holds of any engine behind a server's connection: order, windows, tables, ends. Frames are written by
//! hand and judged by RFC 9113, so that nothing here depends on who reads them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use nethttp::server::CloseReason;
use nethttp::{Request, ResponseWriter, Result, Server, handle_with};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Frame, GET_ROOT, GOAWAY, HEADERS, PING, RST_STREAM,
    RawPeer, SETTINGS, WINDOW_UPDATE, frame, frames_until_end, get, post, reset,
};
use crate::support::{Running, States, echo, hello, millis, quiet, secs, serve, settle, start};

const ACK: u8 = 1;
const PRIORITY_UPDATE: u8 = 0x10;
const HEADER_TABLE_SIZE: u16 = 1;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;

fn setting(id: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

fn window_update(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

/// A literal field without indexing.
fn field(name: &str, value: &str) -> Vec<u8> {
    [&[0, name.len() as u8], name.as_bytes(), &[value.len() as u8], value.as_bytes()].concat()
}

/// All that a server says until it is silent, or closes.
async fn heard(peer: &mut RawPeer) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = timeout(millis(20), peer.frame()).await {
        frames.push(frame);
    }
    frames
}

/// The content of a stream in these frames.
fn content(frames: &[Frame], stream: u32) -> Vec<u8> {
    frames.iter().filter(|f| f.kind == DATA && f.stream == stream).flat_map(|f| f.payload.clone()).collect()
}

fn has_ended(frames: &[Frame], stream: u32) -> bool {
    let can_end = |f: &&Frame| f.stream == stream && matches!(f.kind, HEADERS | DATA);
    frames.iter().filter(can_end).any(|f| f.flags & END_STREAM != 0)
}

/// `GOAWAY`s as the last stream and the code.
fn goaways(frames: &[Frame]) -> Vec<(u32, u32)> {
    let last = |f: &Frame| u32::from_be_bytes(f.payload[..4].try_into().unwrap());
    frames.iter().filter(|f| f.kind == GOAWAY).map(|f| (last(f), f.code())).collect()
}

fn resets(frames: &[Frame]) -> Vec<(u32, u32)> {
    frames.iter().filter(|f| f.kind == RST_STREAM).map(|f| (f.stream, f.code())).collect()
}

/// Writes as much as its path says.
async fn write_many(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let count: usize = r.path()[1..].parse().unwrap_or(0);
    w.write(vec![b'x'; count]).await
}

/// `GET http://h/PATH`.
fn get_path(stream: u32, path: &str) -> Vec<u8> {
    let path = [&[0x04, path.len() as u8], path.as_bytes()].concat();
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &[&[0x82, 0x86][..], &path, b"\x01\x01h"].concat())
}

async fn dial(running: &Running, settings: &[(u16, u32)]) -> RawPeer {
    let mut peer = RawPeer::dial(&running.dialer, settings).await;
    peer.expect(SETTINGS).await;
    peer.send(&frame(SETTINGS, ACK, 0, b"")).await;
    peer
}

// ---------------------------------------------------------------- order

// RFC 9113 §6.7 and §6.5.3.
#[tokio::test(start_paused = true)]
async fn pings_and_settings_are_acknowledged_each_and_in_their_order() {
    let running = serve(hello);
    let mut peer = dial(&running, &[]).await;
    let mut sent = Vec::new();
    for number in 0..50_u64 {
        sent.extend(frame(PING, 0, 0, &number.to_be_bytes()));
        sent.extend(setting(INITIAL_WINDOW_SIZE, 1000 + number as u32));
        sent.extend(get(2 * number as u32 + 1));
        // An answer is answered by nobody.
        sent.extend(frame(PING, ACK, 0, b"no ping!"));
    }
    peer.send(&sent).await;
    let frames = heard(&mut peer).await;
    let pongs: Vec<u64> = frames
        .iter()
        .filter(|f| f.kind == PING)
        .inspect(|f| assert_eq!(f.flags, ACK))
        .map(|f| u64::from_be_bytes(f.payload[..].try_into().unwrap()))
        .collect();
    assert_eq!(pongs, (0..50).collect::<Vec<u64>>());
    let acknowledged = frames.iter().filter(|f| f.kind == SETTINGS && f.flags == ACK && f.payload.is_empty());
    assert_eq!(acknowledged.count(), 51, "those of the preface too");
    for stream in (0..50).map(|n| 2 * n + 1) {
        assert!(has_ended(&frames, stream) && content(&frames, stream) == b"hello", "stream {stream}");
    }
}

// RFC 9113 §6.8: a GOAWAY that announces the end, and the last one when all that was on its way has come.
#[tokio::test(start_paused = true)]
async fn a_request_that_is_on_its_way_when_a_shutdown_begins_is_served() {
    async fn wait(go: &Arc<Notify>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        if r.path() == "/" {
            go.notified().await;
        }
        w.write("served").await
    }
    let go = Arc::new(Notify::new());
    let running = serve(handle_with(go.clone(), wait));
    let mut peer = dial(&running, &[]).await;
    peer.send(&get(1)).await;
    settle().await;
    let ender = running.server.clone();
    let ending = tokio::spawn(async move { ender.shutdown(secs(60)).await });
    let first = heard(&mut peer).await;
    assert_eq!(goaways(&first), [((1 << 31) - 1, 0)], "{first:?}");
    let ping = first.iter().find(|f| f.kind == PING && f.flags == 0).expect("a PING shows what has come");
    // The client had sent it before it heard of the end.
    peer.send(&[get_path(3, "/late"), frame(PING, ACK, 0, &ping.payload)].concat()).await;
    let second = heard(&mut peer).await;
    assert_eq!(goaways(&second), [(3, 0)], "{second:?}");
    assert_eq!(content(&second, 3), b"served");
    // And this one it sent in spite of it: it is not looked at.
    peer.send(&get_path(5, "/too-late")).await;
    go.notify_one();
    let rest = heard(&mut peer).await;
    assert_eq!((content(&rest, 1), content(&rest, 5)), (b"served".to_vec(), vec![]), "{rest:?}");
    let report = ending.await.unwrap();
    assert_eq!((report.drained, report.cut), (1, 0));
}

// ---------------------------------------------------------------- windows

// RFC 9113 §6.9.2.
#[tokio::test(start_paused = true)]
async fn a_change_of_the_window_counts_for_streams_that_are_under_way() {
    let running = serve(write_many);
    let mut peer = dial(&running, &[(INITIAL_WINDOW_SIZE, 10)]).await;
    peer.send(&[get_path(1, "/100"), get_path(3, "/12")].concat()).await;
    let mut frames = heard(&mut peer).await;
    let lens = |frames: &[Frame]| (content(frames, 1).len(), content(frames, 3).len());
    assert_eq!(lens(&frames), (10, 10));
    // Below zero: 10 bytes were sent of 4.
    for (change, expected) in [
        (setting(INITIAL_WINDOW_SIZE, 4), (10, 10)),
        (window_update(1, 6), (10, 10)),
        (window_update(1, 1), (11, 10)),
        (setting(INITIAL_WINDOW_SIZE, 11), (18, 11)),
        (setting(INITIAL_WINDOW_SIZE, 0), (18, 11)),
        (setting(INITIAL_WINDOW_SIZE, 1000), (100, 12)),
    ] {
        peer.send(&change).await;
        frames.extend(heard(&mut peer).await);
        assert_eq!(lens(&frames), expected, "after {change:?}");
    }
    assert!(has_ended(&frames, 1) && has_ended(&frames, 3));
    assert!(resets(&frames).is_empty() && goaways(&frames).is_empty());
}

// RFC 9113 §6.9.1 and §6.9.2.
#[tokio::test(start_paused = true)]
async fn a_window_beyond_its_limit_ends_what_it_belongs_to() {
    let running = serve(write_many);
    let with = async |bytes: Vec<u8>| {
        let mut peer = dial(&running, &[(INITIAL_WINDOW_SIZE, 10)]).await;
        peer.send(&get_path(1, "/100")).await;
        heard(&mut peer).await;
        peer.send(&bytes).await;
        let frames = heard(&mut peer).await;
        (resets(&frames), goaways(&frames).last().map(|(_, code)| *code))
    };
    let all = (1 << 31) - 1;
    assert_eq!(with(window_update(1, all)).await, (vec![], None), "0 and all of it");
    assert_eq!(with([window_update(1, all), window_update(1, 100)].concat()).await.0, [(1, 3)]);
    assert_eq!(with(window_update(0, all)).await, (vec![], Some(3)));
    assert_eq!(with(window_update(0, 0)).await, (vec![], Some(1)));
}

// RFC 9113 §6.5.2 names the code, §6.9 and §6.3 have these as errors of the stream, and §8.1.1 has all that is
// malformed as one.
#[tokio::test(start_paused = true)]
async fn a_fault_costs_no_more_than_the_rfc_says_and_has_its_code() {
    let running = serve(write_many);
    let with = async |bytes: Vec<u8>| {
        let mut peer = dial(&running, &[]).await;
        peer.send(&[post(1), bytes].concat()).await;
        let frames = heard(&mut peer).await;
        (resets(&frames), goaways(&frames).last().map(|(_, code)| *code))
    };
    assert_eq!(with(setting(INITIAL_WINDOW_SIZE, 1 << 31)).await, (vec![], Some(3)));
    assert_eq!(with(window_update(1, 0)).await, (vec![(1, 1)], None));
    assert_eq!(with(frame(2, 0, 1, b"1234")).await, (vec![(1, 6)], None), "PRIORITY of a wrong size");
    let malformed = [GET_ROOT, &field("X-Capitals", "y")].concat();
    assert_eq!(with(frame(HEADERS, END_STREAM | END_HEADERS, 3, &malformed)).await, (vec![(3, 1)], None));
    assert_eq!(with(frame(HEADERS, END_STREAM | END_HEADERS, 3, b"\x82\xbe")).await, (vec![], Some(9)));
    assert_eq!(with(frame(PING, 0, 0, b"1234567")).await, (vec![], Some(6)));
}

// RFC 9113 §5.2.2: what a stream may not send it leaves to the others.
#[tokio::test(start_paused = true)]
async fn a_stream_without_a_window_holds_up_no_other() {
    let running = serve(write_many);
    let mut peer = dial(&running, &[(INITIAL_WINDOW_SIZE, 30_000)]).await;
    peer.send(&[get_path(1, "/50000"), get_path(3, "/35000")].concat()).await;
    let mut frames = heard(&mut peer).await;
    assert_eq!((content(&frames, 1).len(), content(&frames, 3).len()), (30_000, 30_000));
    peer.send(&window_update(3, 10_000)).await;
    frames.extend(heard(&mut peer).await);
    assert_eq!(content(&frames, 3).len(), 35_000);
    assert!(has_ended(&frames, 3) && !has_ended(&frames, 1));
    peer.send(&[reset(1), get_path(5, "/500")].concat()).await;
    frames.extend(heard(&mut peer).await);
    assert_eq!(content(&frames, 5).len(), 500, "what is left of the connection's window");
}

#[tokio::test(start_paused = true)]
async fn a_response_is_whole_however_few_bytes_of_window_come_at_a_time() {
    let running = serve(write_many);
    let mut peer = dial(&running, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    peer.send(&get_path(1, "/300")).await;
    let mut frames = Vec::new();
    for _ in 0..300 {
        peer.send(&window_update(1, 1)).await;
        loop {
            let frame = peer.frame().await.unwrap();
            let is_content = frame.kind == DATA;
            frames.push(frame);
            if is_content {
                break;
            }
        }
    }
    frames.extend(heard(&mut peer).await);
    assert_eq!(content(&frames, 1), [b'x'; 300]);
    assert!(has_ended(&frames, 1));
}

#[tokio::test(start_paused = true)]
async fn an_empty_response_needs_no_window() {
    let running = serve(async |w: &mut ResponseWriter, r: &mut Request| {
        r.body.bytes(100).await?;
        w.header().set("X-Length", r.content_length.unwrap_or(0).to_string());
        Ok(())
    });
    let mut peer = dial(&running, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    peer.send(&[get(1), post(3), frame(DATA, END_STREAM, 3, b"x")].concat()).await;
    let frames = heard(&mut peer).await;
    assert!(has_ended(&frames, 1) && has_ended(&frames, 3), "{frames:?}");
}

// RFC 9113 §5.2.1: what was read makes room on the connection, over however many streams it is spread: none may
// keep for later what it has to tell, when the window is small.
#[tokio::test(start_paused = true)]
async fn content_that_was_read_makes_room_however_many_streams_have_a_little_of_it() {
    const STREAMS: u32 = 200;
    let mut server = quiet(async |w: &mut ResponseWriter, r: &mut Request| {
        let content = r.body.bytes(1 << 20).await?;
        w.write(content.len().to_string()).await
    });
    server.http2.max_receive_buffer_per_connection = 65_535;
    let running = start(server);
    let mut peer = dial(&running, &[]).await;
    let (mut window, mut frames) = (65_535_i64, Vec::new());
    for stream in (0..STREAMS).map(|n| 2 * n + 1) {
        peer.send(&post(stream)).await;
        for _ in 0..12 {
            while window < 1000 {
                let heard = heard(&mut peer).await;
                assert!(!heard.is_empty(), "no room for stream {stream}, and all was read");
                let updates = heard.iter().filter(|f| f.kind == WINDOW_UPDATE && f.stream == 0);
                window +=
                    updates.map(|f| i64::from(u32::from_be_bytes(f.payload[..].try_into().unwrap()))).sum::<i64>();
                frames.extend(heard);
            }
            window -= 1000;
            peer.send(&frame(DATA, 0, stream, &[0; 1000])).await;
        }
    }
    let ends: Vec<u8> = (0..STREAMS).flat_map(|n| frame(DATA, END_STREAM, 2 * n + 1, b"")).collect();
    peer.send(&ends).await;
    frames.extend(heard(&mut peer).await);
    assert!((0..STREAMS).all(|n| content(&frames, 2 * n + 1) == b"12000"));
}

// RFC 9113 §4.2.
#[tokio::test(start_paused = true)]
async fn no_frame_is_larger_than_the_peer_has_said_when_it_is_sent() {
    let running = serve(write_many);
    let mut peer = dial(&running, &[(INITIAL_WINDOW_SIZE, 1 << 20)]).await;
    peer.send(&window_update(0, 1 << 20)).await;
    let sizes = async |peer: &mut RawPeer, stream: u32| {
        peer.send(&get_path(stream, "/100000")).await;
        let frames = heard(peer).await;
        assert_eq!(content(&frames, stream).len(), 100_000);
        frames.iter().filter(|f| f.kind == DATA).map(|f| f.payload.len()).max().unwrap()
    };
    assert!(sizes(&mut peer, 1).await <= 16_384);
    peer.send(&setting(MAX_FRAME_SIZE, 20_000)).await;
    assert!(sizes(&mut peer, 3).await <= 20_000);
    // And back, while content waits for its window.
    peer.send(&[setting(MAX_FRAME_SIZE, 1 << 20), setting(INITIAL_WINDOW_SIZE, 0)].concat()).await;
    peer.send(&get_path(5, "/100000")).await;
    heard(&mut peer).await;
    peer.send(&[setting(MAX_FRAME_SIZE, 16_384), setting(INITIAL_WINDOW_SIZE, 1 << 20)].concat()).await;
    let frames = heard(&mut peer).await;
    assert_eq!(content(&frames, 5).len(), 100_000);
    assert!(frames.iter().all(|f| f.payload.len() <= 16_384));
}

// ---------------------------------------------------------------- header tables

/// The header block of the response to a GET.
async fn response_block(peer: &mut RawPeer, stream: u32) -> Vec<u8> {
    peer.send(&get(stream)).await;
    let frames = heard(peer).await;
    assert_eq!(content(&frames, stream), b"hello");
    frames.into_iter().find(|f| f.kind == HEADERS).unwrap().payload
}

/// The status of the response in a block that begins with it, and how many bytes of size changes stand
/// before it (RFC 7541 §6.3). A status that no table has is a literal.
fn status_of(block: &[u8]) -> (u16, Vec<usize>) {
    let (mut rest, mut sizes) = (block, Vec::new());
    while rest[0] & 0xe0 == 0x20 {
        let (mut size, mut shift) = (usize::from(rest[0] & 0x1f), 0);
        rest = &rest[1..];
        while size >= 0x1f {
            size += usize::from(rest[0] & 0x7f) << shift;
            shift += 7;
            let is_last = rest[0] & 0x80 == 0;
            rest = &rest[1..];
            if is_last {
                break;
            }
        }
        sizes.push(size);
    }
    let status = match rest[0] {
        0x88 => 200,
        0x8d => 404,
        other => panic!("{other:#x} is no status of the static table in {block:02x?}"),
    };
    (status, sizes)
}

// RFC 7541 §4.2 and RFC 9113 §4.3.1: the least size and the last one are said in the next block, and a table
// of 0 bytes means that nothing refers to what came before.
#[tokio::test(start_paused = true)]
async fn a_peer_changes_the_size_of_its_table_and_the_next_head_says_so() {
    let running = serve(hello);
    let mut peer = dial(&running, &[(HEADER_TABLE_SIZE, 0)]).await;
    let first = response_block(&mut peer, 1).await;
    assert_eq!(status_of(&first), (200, vec![0]));
    let second = response_block(&mut peer, 3).await;
    assert_eq!(status_of(&second), (200, vec![]), "said once");
    // Fields of a dynamic table would have an index from 62 on.
    assert_eq!(first[1..], second[..], "with no table, both are spelled out alike");
    peer.send(&[setting(HEADER_TABLE_SIZE, 4096), setting(HEADER_TABLE_SIZE, 100)].concat()).await;
    let third = status_of(&response_block(&mut peer, 5).await);
    assert!(third.1.last().is_some_and(|size| *size <= 100), "{third:?}");
    peer.send(&[setting(HEADER_TABLE_SIZE, 0), setting(HEADER_TABLE_SIZE, 4096)].concat()).await;
    let fourth = status_of(&response_block(&mut peer, 7).await);
    assert_eq!(fourth.1.first(), Some(&0), "what was there is gone: {fourth:?}");
}

// RFC 7541 §6.3: the peer takes 4,096 for granted, so that the first block says the size.
#[tokio::test(start_paused = true)]
async fn a_server_uses_no_larger_table_than_it_is_set_to() {
    let mut server = quiet(hello);
    server.http2.max_encoder_header_table_size = 1;
    let running = start(server);
    let mut peer = dial(&running, &[]).await;
    let first = response_block(&mut peer, 1).await;
    assert_eq!(status_of(&first), (200, vec![1]));
    assert_eq!(first[1..], response_block(&mut peer, 3).await[..], "nothing fits the table");
}

// RFC 9113 §4.3.1: this side's table is as large as it said, once the peer knows it.
#[tokio::test(start_paused = true)]
async fn fields_that_a_peer_has_put_into_the_table_are_known_in_later_requests() {
    let running = serve(async |w: &mut ResponseWriter, r: &mut Request| {
        w.write(r.header.get("X-Kept").unwrap_or("none").to_owned()).await
    });
    let mut peer = dial(&running, &[]).await;
    let kept = [GET_ROOT, b"\x40\x06x-kept\x05value"].concat();
    let indexed = [GET_ROOT, b"\xbe"].concat();
    // The stream is given up, and another one has no request in it: the table goes on with both.
    let malformed = [&GET_ROOT[1..], b"\x40\x06x-more\x05value", b"\xbf"].concat();
    peer.send(&[frame(HEADERS, END_HEADERS, 1, &kept), reset(1)].concat()).await;
    peer.send(&frame(HEADERS, END_STREAM | END_HEADERS, 3, &indexed)).await;
    peer.send(&frame(HEADERS, END_STREAM | END_HEADERS, 5, &malformed)).await;
    peer.send(&frame(HEADERS, END_STREAM | END_HEADERS, 7, &[GET_ROOT, b"\xbf"].concat())).await;
    let frames = heard(&mut peer).await;
    assert_eq!(content(&frames, 3), b"value");
    assert_eq!(content(&frames, 7), b"value", "{frames:?}");
    assert!(goaways(&frames).is_empty());
}

// ---------------------------------------------------------------- priorities

// RFC 9218 §7: a hint, which does no harm wherever it comes.
#[tokio::test(start_paused = true)]
async fn priorities_are_taken_in_every_form_and_place() {
    let running = serve(write_many);
    let mut peer = dial(&running, &[]).await;
    let update = |id: u32, value: &[u8]| frame(PRIORITY_UPDATE, 0, 0, &[&id.to_be_bytes()[..], value].concat());
    let with_priority = frame(HEADERS, END_STREAM | END_HEADERS, 3, &[GET_ROOT, &field("priority", "u=0, i")].concat());
    peer.send(&[update(1, b"u=1"), get_path(1, "/5"), update(1, b"nonsense \xff"), with_priority].concat()).await;
    // And the old ones, which say nothing any more (RFC 9113 §5.3.2).
    peer.send(&[frame(2, 0, 5, &[0, 0, 0, 3, 7]), get_path(5, "/7"), update(5, b"u=7")].concat()).await;
    let frames = heard(&mut peer).await;
    assert_eq!([1, 3, 5].map(|stream| content(&frames, stream).len()), [5, 0, 7]);
    assert!([1, 3, 5].into_iter().all(|stream| has_ended(&frames, stream)));
    assert!(goaways(&frames).is_empty() && resets(&frames).is_empty());
}

// RFC 9218 §10: of two responses that wait, the more urgent one is sent first.
#[tokio::test(start_paused = true)]
async fn what_is_more_urgent_is_sent_first() {
    let running = serve(write_many);
    let mut peer = dial(&running, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    let with_priority = |stream, value| {
        let path = [&[0x04, 6][..], b"/30000"].concat();
        let block = [&[0x82, 0x86][..], &path, b"\x01\x01h", &field("priority", value)].concat();
        frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)
    };
    peer.send(&[with_priority(1, "u=5"), with_priority(3, "u=1"), with_priority(5, "u=3")].concat()).await;
    heard(&mut peer).await;
    peer.send(&[window_update(0, 1 << 20), setting(INITIAL_WINDOW_SIZE, 1 << 20)].concat()).await;
    let frames = heard(&mut peer).await;
    let mut order: Vec<u32> = frames.iter().filter(|f| f.kind == DATA).map(|f| f.stream).collect();
    order.dedup();
    assert_eq!(order, [3, 5, 1]);
}

// ---------------------------------------------------------------- late frames

// RFC 9113 §5.1: what comes for a stream that this side has ended by a reset is ignored.
#[tokio::test(start_paused = true)]
async fn what_comes_for_a_stream_after_its_reset_is_ignored_and_its_window_goes_back() {
    let mut server = quiet(async |w: &mut ResponseWriter, _: &mut Request| w.write("enough").await);
    server.drain_timeout = millis(1);
    let running = start(server);
    let mut peer = dial(&running, &[]).await;
    peer.send(&[post(1), frame(DATA, 0, 1, b"some")].concat()).await;
    let frames = heard(&mut peer).await;
    assert_eq!((content(&frames, 1), resets(&frames)), (b"enough".to_vec(), vec![(1, 0)]), "{frames:?}");
    // More than the connection's window in sum: nobody reads it, and it comes back all the same.
    let mut back = 0;
    for _ in 0..200 {
        peer.send(&frame(DATA, 0, 1, &[0; 16_000])).await;
        for frame in heard(&mut peer).await {
            assert!(frame.kind == WINDOW_UPDATE && frame.stream == 0, "{frame:?}");
            back += u32::from_be_bytes(frame.payload[..].try_into().unwrap());
        }
    }
    assert!(back > 2_000_000, "{back}");
    peer.send(&[reset(1), window_update(1, 5), get(3)].concat()).await;
    let frames = heard(&mut peer).await;
    assert!(has_ended(&frames, 3) && goaways(&frames).is_empty(), "{frames:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_survives_a_reset_at_any_place_of_an_exchange() {
    let running = serve(echo);
    // A request with content and a trailer section; the peer gives it up behind each byte that it can.
    let whole = [
        post(1),
        frame(DATA, 0, 1, b"abc"),
        frame(DATA, 8, 1, b"\x02de\0\0"),
        frame(HEADERS, END_STREAM | END_HEADERS, 1, &field("x-sum", "5")),
    ];
    for count in 1..=whole.len() {
        for waits in [false, true] {
            let mut peer = dial(&running, &[]).await;
            peer.send(&whole[..count].concat()).await;
            if waits {
                heard(&mut peer).await;
            }
            peer.send(&[reset(1), window_update(1, 1), get(3)].concat()).await;
            let frames = heard(&mut peer).await;
            assert!(has_ended(&frames, 3) && goaways(&frames).is_empty(), "after {count}, {waits}: {frames:?}");
        }
    }
}

// Requests that wait because answers do are taken up again, when the peer takes many answers at once: nothing
// new comes from it then.
#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_in_large_gulps_gets_all_its_responses() {
    const COUNT: u32 = 2000;
    let mut server = quiet(write_many);
    server.http2.max_concurrent_streams = COUNT;
    let running = start(server);
    // Content that leaves with its head, and content that waits for its turn.
    let lengths = [1900, 10_000];
    for (buffer_bytes, len) in (200_000..=1_000_000).step_by(80_000).flat_map(|bytes| lengths.map(|len| (bytes, len))) {
        let dialer = running.dialer.with_buffer_bytes(buffer_bytes);
        let mut peer = RawPeer::dial(&dialer, &[(INITIAL_WINDOW_SIZE, 1 << 20)]).await;
        peer.send(&window_update(0, 1 << 26)).await;
        let path = format!("/{len}");
        let requests: Vec<u8> = (0..COUNT).flat_map(|n| get_path(2 * n + 1, &path)).collect();
        peer.send(&requests).await;
        let (mut bytes, mut gulp) = (Vec::new(), vec![0; buffer_bytes]);
        loop {
            settle().await;
            let read = timeout(secs(5), tokio::io::AsyncReadExt::read(&mut peer.stream, &mut gulp)).await;
            let Ok(Ok(len @ 1..)) = read else { break };
            bytes.extend_from_slice(&gulp[..len]);
        }
        let content: usize = whole_frames(&bytes).filter(|(kind, _)| *kind == DATA).map(|(_, len)| len).sum();
        assert_eq!(content, COUNT as usize * len, "of {len} bytes each, with {buffer_bytes} on the line");
    }
}

/// The kinds and lengths of the frames of these bytes.
fn whole_frames(mut bytes: &[u8]) -> impl Iterator<Item = (u8, usize)> {
    std::iter::from_fn(move || {
        let head = bytes.get(..9)?;
        let len = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let kind = head[3];
        bytes = bytes.get(9 + len..)?;
        Some((kind, len))
    })
}

// The deadline of a head is each head's: frames that come whole one after the other are no slow head, wherever
// what was read ends.
#[tokio::test(start_paused = true)]
async fn a_peer_whose_writes_end_within_frames_is_not_slow() {
    let mut server = quiet(hello);
    server.read_header_timeout = secs(10);
    let running = start(server);
    let mut peer = dial(&running, &[]).await;
    let mut waiting: Vec<u8> = Vec::new();
    for second in 0..40 {
        waiting.extend(get(2 * second + 1));
        // All but a few bytes, which come with the next ones.
        let left = waiting.split_off(waiting.len() - 5);
        peer.send(&std::mem::replace(&mut waiting, left)).await;
        tokio::time::sleep(secs(1)).await;
    }
    peer.send(&waiting).await;
    let frames = heard(&mut peer).await;
    assert!((0..40).all(|n| has_ended(&frames, 2 * n + 1)), "{:?}", goaways(&frames));
}

// ---------------------------------------------------------------- floods with a peer that does not read

/// Sends the same again and again, and reads nothing. Returns how much the server has taken of it.
async fn deaf_flood(running: &Running, bytes: Vec<u8>) -> usize {
    let dialer = running.dialer.with_buffer_bytes(4096);
    let peer = RawPeer::dial(&dialer, &[]).await;
    let (read, mut write) = tokio::io::split(peer.stream);
    let mut taken = 0;
    loop {
        use tokio::io::AsyncWriteExt as _;
        match timeout(secs(600), write.write(&bytes)).await {
            Ok(Ok(len)) => taken += len,
            Ok(Err(_)) => break,
            Err(_) => panic!("the server neither takes anything nor ends the connection"),
        }
        assert!(taken < 64 << 20, "there is no end of it");
    }
    drop(read);
    taken
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_sends_without_end_and_reads_nothing_is_closed() {
    for (name, bytes) in [
        ("PING", frame(PING, 0, 0, b"12345678").repeat(100)),
        ("SETTINGS", setting(INITIAL_WINDOW_SIZE, 70_000).repeat(100)),
        ("requests", (0..100).flat_map(|n| get(2 * n + 1)).collect()),
    ] {
        let mut server: Server = quiet(hello);
        server.stall_timeout = secs(20);
        let states = States::of(&mut server);
        let running = start(server);
        // What the peer gets into the server's memory is what it sends before that stops to read.
        let taken = deaf_flood(&running, bytes).await;
        assert!(taken < 1 << 20, "{name}: {taken} bytes");
        settle().await;
        let reason = states.reason(1);
        assert!(
            matches!(reason, Some(CloseReason::WriteFailed | CloseReason::Flooded | CloseReason::ProtocolBroken)),
            "{name}: {reason:?}"
        );
    }
}

// CVE-2024-27316 and CVE-2019-9517 in their plainest forms, where the peer reads.
#[tokio::test(start_paused = true)]
async fn a_block_without_end_is_ended_by_its_size() {
    let running = serve(hello);
    let peer = RawPeer::dial(&running.dialer, &[]).await;
    let mut peer = peer;
    peer.send(&frame(HEADERS, END_STREAM, 1, GET_ROOT)).await;
    // Each piece repeats an entry of the static table: 16 KiB that are 1.5 MiB decoded.
    let frames = peer.flood(frame(CONTINUATION, 0, 1, &[0x90; 16_384]), 10_000).await;
    assert_eq!(goaways(&frames).last().map(|(_, code)| *code), Some(ENHANCE_YOUR_CALM), "{frames:?}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_sees_that_its_peer_has_gone_at_every_place() {
    static LEFT: AtomicUsize = AtomicUsize::new(0);
    let running = serve(async |w: &mut ResponseWriter, r: &mut Request| {
        let context = r.context().clone();
        let content = r.body.bytes(1 << 20).await;
        if content.is_err() {
            context.cancelled().await;
            LEFT.fetch_add(1, Ordering::SeqCst);
            return content.map(|_| ());
        }
        w.write("whole").await
    });
    let bytes = [post(1), frame(DATA, 0, 1, b"abc"), frame(DATA, END_STREAM, 1, b"d")].concat();
    let first = post(1).len();
    for cut in first..bytes.len() {
        let mut peer = dial(&running, &[]).await;
        peer.send(&bytes[..cut]).await;
        settle().await;
        drop(peer);
        settle().await;
    }
    assert_eq!(LEFT.load(Ordering::SeqCst), bytes.len() - first);
    assert_eq!(running.server.connections(), 0);
    let peer = RawPeer::dial(&running.dialer, &[]).await;
    let (read, write) = tokio::io::split(peer.stream);
    drop(write);
    drop(frames_until_end(read));
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_before_it_began_makes_room_for_the_next_request_at_once() {
    let mut server = quiet(hello);
    server.http2.max_concurrent_streams = 2;
    let running = start(server);
    let mut peer = dial(&running, &[]).await;
    // All in one write: the server sees each request with its end.
    let given_up = (0..5).flat_map(|n| [post(2 * n + 1), reset(2 * n + 1)].concat());
    peer.send(&given_up.chain(get(11)).collect::<Vec<u8>>()).await;
    let frames = heard(&mut peer).await;
    assert_eq!(resets(&frames), [], "no stream is refused to a peer that has none open");
    assert_eq!(content(&frames, 11), b"hello");
}
