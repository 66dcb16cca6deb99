//! One side against any frames.

use super::super::connection::Http2Core;
use super::super::event::{CoreEvent, Role};
use super::super::fault::ErrorCode;
use super::super::fields_to_send::Http2RequestHead;
use super::super::frame::{CONNECTION_PREFACE, FRAME_HEAD_BYTES, FrameHead, FrameKind};
use super::super::out_buffer::OutBuffer;
use super::super::received_head::ReceivedHead;
use super::super::send::MessageEnd;
use super::super::settings::CoreSettings;
use super::StepScript;
use crate::message::Header;

/// A server is given frames that nobody made with care: nothing panics, and no cut changes what happens.
pub(crate) fn check_server_bytes(data: &[u8]) {
    check_bytes(Role::Server, data);
}

/// The same for a client with two requests under way.
pub(crate) fn check_client_bytes(data: &[u8]) {
    check_bytes(Role::Client, data);
}

fn check_bytes(role: Role, data: &[u8]) {
    let mut script = StepScript(data);
    let settings = CoreSettings { stream_window_bytes: script.pick(&[1, 1000, 65_535]), ..CoreSettings::default() };
    let cut = script.byte() * 2;
    let wire = wire_of(role, &mut script);
    let whole = seen(role, settings, &[&wire]);
    let (before, after) = wire.split_at(cut.min(wire.len()));
    assert_eq!(seen(role, settings, &[before, after]), whole, "cut at {cut}");
    let bytes: Vec<&[u8]> = wire.chunks(1).collect();
    assert_eq!(seen(role, settings, &bytes), whole, "byte by byte");
}

/// Each frame is its kind, flags, stream and length, and what follows; an odd first byte leaves the bytes as
/// they are.
fn wire_of(role: Role, script: &mut StepScript<'_>) -> Vec<u8> {
    let mut wire = if role == Role::Server { CONNECTION_PREFACE.to_vec() } else { Vec::new() };
    if script.byte() % 2 == 1 {
        wire.extend_from_slice(script.0);
        return wire;
    }
    wire.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0]);
    while !script.0.is_empty() {
        let [kind, flags, id, len] = [script.byte() % 18, script.byte(), script.byte() % 8, script.byte() % 40];
        let (payload, rest) = script.0.split_at(len.min(script.0.len()));
        script.0 = rest;
        wire.extend_from_slice(&[0, 0, payload.len() as u8, kind as u8, flags as u8, 0, 0, 0, id as u8]);
        wire.extend_from_slice(payload);
    }
    wire
}

/// What one side sees of these pieces, and says by itself. Content is read at once, and requests answered
/// when they have come whole.
fn seen(role: Role, settings: CoreSettings, pieces: &[&[u8]]) -> (Vec<String>, usize) {
    let mut core: Http2Core<usize> = Http2Core::new(role, settings);
    let (header, mut head) = (Header::new(), ReceivedHead::default());
    if role == Role::Client {
        for method in ["GET", "HEAD"] {
            let head = Http2RequestHead {
                method,
                scheme: Some("http"),
                authority: "a",
                path: Some("/"),
                protocol: None,
                header: &header,
                content_length: None,
            };
            core.begin_request(&head, MessageEnd::Here, 0).expect("nothing stands against it");
        }
    }
    let (mut told, mut unread) = (Vec::new(), Vec::new());
    for piece in pieces {
        unread.extend_from_slice(piece);
        let bytes = std::mem::take(&mut unread);
        let mut input = &bytes[..];
        loop {
            match core.next(&mut input, &mut head) {
                Ok(None) => break,
                Err(fault) => told.push(format!("{fault:?}")),
                Ok(Some(CoreEvent::Data { slot, bytes })) => {
                    *core.user(slot).expect("content has a stream") += bytes.len();
                    core.release(slot, bytes.len() as u32);
                }
                Ok(Some(CoreEvent::Request(request))) => {
                    told.push(format!("{request:?} {:?}", head.header));
                    core.open(request, 0);
                }
                Ok(Some(CoreEvent::Reset { slot, by, code })) => {
                    let received = core.close(slot, ErrorCode::CANCEL);
                    told.push(format!("reset {slot} {by:?} {code:?} {received:?}"));
                }
                Ok(Some(event)) => told.push(format!("{event:?} {:?}", head.header)),
            }
        }
        unread = input.to_vec();
        assert!(core.held() < 4 << 20);
    }
    let unreleased = core.receive_window.unreleased();
    // What has come of a DATA frame's head counts before its content is here.
    assert!((0..=40).contains(&unreleased), "{unreleased} bytes of credit are gone");
    (told, sent_but_updates(core.output()))
}

/// The length of what waits to be written. Windows are opened when half of one was read, so that their frames
/// alone depend on the pieces in which content was.
fn sent_but_updates(output: &mut OutBuffer) -> usize {
    let mut slices = [std::io::IoSlice::new(&[]); 8];
    let filled = output.slices(&mut slices);
    let sent: Vec<u8> = slices[..filled].iter().flat_map(|slice| slice.to_vec()).collect();
    let (mut rest, mut len) = (sent.strip_prefix(CONNECTION_PREFACE).unwrap_or(&sent), 0);
    while let Some(head) = FrameHead::read(rest) {
        if head.kind != FrameKind::WindowUpdate {
            len += FRAME_HEAD_BYTES + head.len;
        }
        rest = &rest[FRAME_HEAD_BYTES + head.len..];
    }
    len
}
