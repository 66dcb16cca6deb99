//! A client and a server against each other.

use super::super::connection::Http2Core;
use super::super::event::{CoreEvent, NewRequest, Role};
use super::super::fault::ErrorCode;
use super::super::fields_to_send::{Http2RequestHead, Http2ResponseHead};
use super::super::frame::{FrameFlags, FrameHead, FrameKind, SettingId, SettingValue};
use super::super::received_head::ReceivedHead;
use super::super::send::MessageEnd;
use super::super::settings::CoreSettings;
use super::super::stream::Http2StreamState;
use super::StepScript;
use crate::message::Header;

/// What one side knows of a stream.
#[derive(Debug, Default)]
struct StreamModel {
    /// As much content is still to be sent.
    to_send: usize,
    sends_trailer: bool,
    /// This side's message may begin.
    is_ready: bool,
    unreleased: u32,
    received: usize,
    /// The peer's message is over, or will not be.
    is_received: bool,
}

struct Side {
    core: Http2Core<StreamModel>,
    /// What the peer has sent and this side has not taken.
    pipe: Vec<u8>,
    unread: Vec<u8>,
    head: ReceivedHead,
    sent_bytes: usize,
    received_bytes: usize,
    /// Streams that were reset: content that was on its way is lost.
    resets: usize,
    /// Messages are no longer than some of the other side's windows.
    max_len: usize,
    /// What the other side has said of itself.
    peer: CoreSettings,
}

/// A client and a server against each other.
pub(crate) fn check_pair(script: &[u8]) {
    let mut script = StepScript(script);
    let mut client = Side::new(Role::Client, script.settings());
    let mut server = Side::new(Role::Server, script.settings());
    (client.peer, server.peer) = (server.core.settings, client.core.settings);
    client.max_len = 40 * client.peer.stream_window_bytes as usize;
    server.max_len = 40 * server.peer.stream_window_bytes as usize;
    while !script.0.is_empty() {
        step(&mut client, &mut server, &mut script);
        client.check();
        server.check();
    }
    finish(&mut client, &mut server);
}

fn step(client: &mut Side, server: &mut Side, script: &mut StepScript<'_>) {
    match script.byte() % 14 {
        0 | 1 => client.begin_request(script),
        2 => client.write_to(server, script.byte() * 97),
        3 => server.write_to(client, script.byte() * 97),
        4 => client.write_to(server, usize::MAX),
        5 => server.write_to(client, usize::MAX),
        6 => client.send(script.byte() % 8),
        7 => server.send(script.byte() % 8),
        8 => client.release_some(script.byte()),
        9 => server.release_some(script.byte()),
        10 if script.byte() % 2 == 0 => client.reset_one(script.byte()),
        10 => server.reset_one(script.byte()),
        11 => client.hear_of_change(script),
        12 => server.hear_of_change(script),
        _ => server.answer_one(script),
    }
}

/// Everything that can go on goes on. At most so many rounds are needed for the largest content through the
/// smallest window.
fn finish(client: &mut Side, server: &mut Side) {
    client.hear_setting(SettingId::InitialWindowSize, client.peer.stream_window_bytes);
    server.hear_setting(SettingId::InitialWindowSize, server.peer.stream_window_bytes);
    let mut rounds_without_progress = 0;
    while rounds_without_progress < 3 {
        let before = (client.progress(), server.progress());
        while let Some(slot) = server.unanswered() {
            server.answer(slot, 5, false);
        }
        client.finish_round();
        server.finish_round();
        client.write_to(server, usize::MAX);
        server.write_to(client, usize::MAX);
        let is_same = before == (client.progress(), server.progress());
        rounds_without_progress = if is_same { rounds_without_progress + 1 } else { 0 };
    }
    assert_eq!((client.core.stream_count(), server.core.stream_count()), (0, 0), "streams that nobody woke");
    assert!(!client.core.has_output() && !server.core.has_output(), "output that nobody took");
    for (sender, receiver) in [(&*client, &*server), (&*server, &*client)] {
        assert_eq!(receiver.core.receive_window.unreleased(), 0, "credit that leaked");
        let (may_send, may_come) = (sender.core.send_window.available(), receiver.core.receive_window.available());
        assert_eq!(may_send, may_come, "both sides count the same window");
        assert!(receiver.received_bytes <= sender.sent_bytes);
        if client.resets + server.resets == 0 {
            assert_eq!(receiver.received_bytes, sender.sent_bytes, "content was lost");
        }
    }
    let held = client.core.held() + server.core.held();
    assert!(held < 4 << 20, "{held} bytes");
}

impl Side {
    fn new(role: Role, settings: CoreSettings) -> Side {
        Side {
            core: Http2Core::new(role, settings),
            pipe: Vec::new(),
            unread: Vec::new(),
            head: ReceivedHead::default(),
            sent_bytes: 0,
            received_bytes: 0,
            resets: 0,
            max_len: 0,
            peer: settings,
        }
    }

    /// Changes with everything that goes on.
    fn progress(&mut self) -> (usize, usize, usize, usize) {
        (self.sent_bytes, self.received_bytes, self.core.stream_count(), self.core.output().len() + self.pipe.len())
    }

    fn check(&self) {
        assert!(self.core.send_window.available() >= 0, "the connection's window is below zero");
        let initial = self.core.peer.initial_window_bytes;
        for slot in self.core.slots() {
            let stream = self.core.streams.get(slot).expect("a slot that is listed has a stream");
            // The default window, or the largest that was ever said, may have been used before a smaller one came.
            let largest = self.peer.stream_window_bytes.max(65_535);
            let least = (i64::from(initial) - i64::from(largest)).min(0);
            assert!(stream.send_window.available(initial) >= least, "a stream's window is below zero");
        }
    }

    /// The other side says something new of itself, and never more than it said at first: what it takes does
    /// not depend on it. A client changes the priority of a stream.
    fn hear_of_change(&mut self, script: &mut StepScript<'_>) {
        let (kind, choice) = (script.byte() % 6, script.byte() as u32);
        let peer = self.peer;
        let few = [0, 1, choice * 97, u32::MAX][(choice % 4) as usize];
        match kind {
            0 | 1 => self.hear_setting(SettingId::InitialWindowSize, few.min(peer.stream_window_bytes)),
            2 => self.hear_setting(SettingId::HeaderTableSize, few.min(peer.header_table_bytes)),
            3 => self.hear_setting(SettingId::MaxFrameSize, (16_384 + few % 5000).min(peer.max_frame_bytes)),
            4 => self.hear_setting(SettingId::MaxConcurrentStreams, few.min(peer.max_concurrent_streams).max(1)),
            _ if self.core.role == Role::Server => {
                let update =
                    [&(choice | 1).to_be_bytes()[..], [&b"u=0"[..], b"u=6, i", b"i"][choice as usize % 3]].concat();
                self.hear(FrameKind::PriorityUpdate, &update);
            }
            _ => self.hear(FrameKind::Ping, b"12345678"),
        }
    }

    fn hear_setting(&mut self, id: SettingId, value: u32) {
        self.hear(FrameKind::Settings, &SettingValue { id, value }.bytes());
    }

    /// A frame comes behind all that is under way.
    fn hear(&mut self, kind: FrameKind, payload: &[u8]) {
        if self.core.has_begun() {
            let head = FrameHead { len: payload.len(), kind, flags: FrameFlags::NONE, stream_id: 0 };
            self.pipe.extend([&head.bytes()[..], payload].concat());
        }
    }

    fn begin_request(&mut self, script: &mut StepScript<'_>) {
        let (len, kind) = ((script.byte() * script.byte() * 3).min(self.max_len), script.byte());
        let header: Header = [("x-len", len.to_string()), ("cookie", "secret".to_owned())].into_iter().collect();
        let head = Http2RequestHead {
            method: if len > 0 { "POST" } else { "GET" },
            scheme: Some("http"),
            authority: "a",
            path: Some("/"),
            protocol: None,
            header: &header,
            content_length: (kind % 2 == 0).then_some(len as u64),
        };
        let end = if len > 0 { MessageEnd::MoreFollows } else { MessageEnd::Here };
        let model =
            StreamModel { to_send: len, sends_trailer: kind % 3 == 0, is_ready: true, ..StreamModel::default() };
        if let Ok(slot) = self.core.begin_request(&head, end, model) {
            self.core.want_to_send(slot);
        }
    }

    /// Writes so many bytes, which the other side takes.
    fn write_to(&mut self, other: &mut Side, bytes: usize) {
        let mut waiting = Vec::new();
        while !self.core.output().is_empty() {
            let mut slices = [std::io::IoSlice::new(&[]); 8];
            let filled = self.core.output().slices(&mut slices);
            let here = slices[..filled].iter().map(|slice| slice.len()).sum();
            slices[..filled].iter().for_each(|slice| waiting.extend_from_slice(slice));
            self.core.output().advance(here);
        }
        other.pipe.extend_from_slice(&waiting);
        let taken = bytes.min(other.pipe.len());
        let piece: Vec<u8> = other.pipe.drain(..taken).collect();
        other.take(&piece);
    }

    fn take(&mut self, piece: &[u8]) {
        self.unread.extend_from_slice(piece);
        let unread = std::mem::take(&mut self.unread);
        let mut input = &unread[..];
        let mut head = std::mem::take(&mut self.head);
        loop {
            match self.core.next(&mut input, &mut head) {
                Ok(Some(event)) => self.on_event(event),
                Ok(None) => break,
                Err(fault) => panic!("one of these two has done something wrong: {fault:?}"),
            }
        }
        self.head = head;
        self.unread = input.to_vec();
    }

    fn on_event(&mut self, event: CoreEvent<'_>) {
        match event {
            CoreEvent::Request(request) => self.on_request(request),
            CoreEvent::Response { slot, ends, .. } => self.on_received(slot, ends),
            CoreEvent::Data { slot, bytes } => {
                self.received_bytes += bytes.len();
                let model = self.core.user(slot).expect("content has a stream");
                assert!(!model.is_received, "content behind the end");
                model.received += bytes.len();
                model.unreleased += bytes.len() as u32;
            }
            CoreEvent::Trailer { slot } | CoreEvent::End { slot } => self.on_received(slot, true),
            CoreEvent::Reset { slot, .. } => {
                self.resets += 1;
                self.core.close(slot, ErrorCode::CANCEL).expect("it is closed once");
            }
            CoreEvent::Settings | CoreEvent::Pong(_) | CoreEvent::Goaway { .. } => {}
        }
    }

    /// Every third is answered at once, where the window lets it; others wait for a step.
    fn on_request(&mut self, request: NewRequest) {
        let (id, ends) = (request.stream_id(), request.ends());
        let request = if id % 3 == 0 && ends {
            let header = Header::new();
            match self.core.respond(request, &response(&header), &[b'x'; 300]) {
                Ok(()) => {
                    self.sent_bytes += 300;
                    return;
                }
                Err(request) => request,
            }
        } else {
            request
        };
        self.core.open(request, StreamModel { is_received: ends, ..StreamModel::default() });
    }

    fn on_received(&mut self, slot: u32, ends: bool) {
        if ends {
            let model = self.core.user(slot).expect("an end has a stream");
            assert!(!std::mem::replace(&mut model.is_received, true), "it ends once");
            self.close_if_over(slot);
        }
    }

    fn unanswered(&mut self) -> Option<u32> {
        let slots: Vec<u32> = self.core.slots().collect();
        slots.into_iter().find(|slot| self.core.user(*slot).is_some_and(|model| !model.is_ready))
    }

    fn answer_one(&mut self, script: &mut StepScript<'_>) {
        let (len, kind) = ((script.byte() * script.byte() * 3).min(self.max_len), script.byte());
        if let Some(slot) = self.unanswered() {
            self.answer(slot, len, kind % 2 == 0);
        }
    }

    fn answer(&mut self, slot: u32, len: usize, sends_trailer: bool) {
        let header = Header::new();
        self.core.send_response(slot, &response(&header), MessageEnd::MoreFollows);
        let model = self.core.user(slot).expect("it is there");
        (model.to_send, model.sends_trailer, model.is_ready) = (len, sends_trailer, true);
        self.core.want_to_send(slot);
    }

    /// As many frames of content.
    fn send(&mut self, frames: usize) {
        for _ in 0..frames {
            let Some(asked) = self.core.next_to_send() else { return };
            let slot = asked.slot;
            let model = self.core.user(slot).expect("who is asked is there");
            let (len, sends_trailer) = (model.to_send, model.sends_trailer);
            if len == 0 && sends_trailer {
                let trailer = [("x-sum", "1")].into_iter().collect();
                self.core.send_trailer(&asked, &trailer);
            } else {
                let end = if sends_trailer { MessageEnd::MoreFollows } else { MessageEnd::Here };
                let sent = if len % 2 == 0 {
                    self.core.send_slice(&asked, &vec![b's'; len], end)
                } else {
                    len - self.core.send_content(&asked, vec![b'c'; len].into(), end).len()
                };
                assert!(sent <= asked.room);
                self.sent_bytes += sent;
                self.core.user(slot).expect("it is there still").to_send -= sent;
            }
            self.close_if_over(slot);
        }
    }

    fn release_some(&mut self, bytes: usize) {
        let slots: Vec<u32> = self.core.slots().collect();
        for slot in slots {
            let model = self.core.user(slot).expect("a slot that is listed has a stream");
            let released = model.unreleased.min(bytes as u32 * 50);
            model.unreleased -= released;
            self.core.release(slot, released);
        }
    }

    fn finish_round(&mut self) {
        self.send(1000);
        self.release_some(usize::from(u16::MAX));
        self.check();
    }

    fn reset_one(&mut self, nth: usize) {
        let slots: Vec<u32> = self.core.slots().collect();
        if let Some(slot) = slots.get(nth % slots.len().max(1)) {
            self.resets += 1;
            self.core.close(*slot, ErrorCode::CANCEL);
        }
    }

    /// Both messages are over.
    fn close_if_over(&mut self, slot: u32) {
        if self.core.stream_state(slot).is_some_and(Http2StreamState::is_closed) {
            self.core.close(slot, ErrorCode::CANCEL);
        }
    }
}

fn response(header: &Header) -> Http2ResponseHead<'_> {
    Http2ResponseHead { status: 200, header, content_length: None, content_type: None, date: None }
}
