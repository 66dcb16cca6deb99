//! Frames as a peer writes them, and one end of a connection that answers as a simple program would.

use super::super::fault::ConnectionFault;
use super::super::frame::{CONNECTION_PREFACE, FrameHead, FrameKind};
use super::super::hpack::{HpackDecoder, ListLimits};
pub(super) use super::script::*;
use super::*;
use crate::message::Header;

/// A frame that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SentFrame {
    pub(super) kind: FrameKind,
    pub(super) flags: u8,
    pub(super) id: u32,
    pub(super) payload: Vec<u8>,
}

pub(super) fn frames(mut bytes: &[u8]) -> Vec<SentFrame> {
    let mut frames = Vec::new();
    bytes = bytes.strip_prefix(CONNECTION_PREFACE).unwrap_or(bytes);
    while let Some(head) = FrameHead::read(bytes) {
        let payload = bytes[9..9 + head.len].to_vec();
        frames.push(SentFrame { kind: head.kind, flags: head.flags.0, id: head.stream_id, payload });
        bytes = &bytes[9 + head.len..];
    }
    assert!(bytes.is_empty(), "half a frame was sent: {bytes:?}");
    frames
}

/// What a stream of the program below has still to send.
#[derive(Debug, Default)]
pub(super) struct Pending {
    pub(super) content: Vec<u8>,
    pub(super) sent: usize,
    pub(super) received: usize,
}

/// One end of a connection. A server answers each request, once it is whole, with this content; a client has
/// begun requests before anything comes. Both read all content at once.
pub(super) struct End {
    pub(super) core: Http2Core<Pending>,
    pub(super) content: Vec<u8>,
    pub(super) told: Vec<String>,
    pub(super) sent: Vec<u8>,
    pub(super) fault: Option<ConnectionFault>,
    /// Whether content is released as it comes.
    pub(super) reads: bool,
    head: ReceivedHead,
    unread: Vec<u8>,
}

impl End {
    pub(super) fn server(settings: CoreSettings) -> End {
        End::new(Http2Core::new(Role::Server, settings))
    }

    /// A client that has sent a GET on stream 1, and a POST on stream 3 whose content it never sends.
    pub(super) fn client(settings: CoreSettings) -> End {
        let mut end = End::new(Http2Core::new(Role::Client, settings));
        let header = Header::new();
        for (method, message_end) in [("GET", MessageEnd::Here), ("POST", MessageEnd::MoreFollows)] {
            end.core.begin_request(&request(method, &header), message_end, Pending::default()).unwrap();
        }
        end
    }

    fn new(core: Http2Core<Pending>) -> End {
        End {
            core,
            content: b"hello".to_vec(),
            told: Vec::new(),
            sent: Vec::new(),
            fault: None,
            reads: true,
            head: ReceivedHead::default(),
            unread: Vec::new(),
        }
    }

    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        let unread = std::mem::take(&mut self.unread);
        let mut input = &unread[..];
        let mut head = std::mem::take(&mut self.head);
        loop {
            match self.core.next(&mut input, &mut head) {
                Ok(Some(event)) => self.on_event(event, &head),
                Ok(None) => break,
                Err(fault) => {
                    self.told.push(format!("fault: {}", fault.words));
                    self.fault = Some(fault);
                }
            }
        }
        self.head = head;
        self.unread = input.to_vec();
        self.send();
    }

    fn on_event(&mut self, event: CoreEvent<'_>, head: &ReceivedHead) {
        match event {
            CoreEvent::Request(request) => {
                let shown = (request.stream_id(), request.ends(), request.is_too_large());
                self.told.push(format!("request {shown:?} {} {:?}", show(head.path()), head.header));
                self.on_request(request);
            }
            CoreEvent::Data { slot, bytes } => {
                // Pieces are not told: they depend on the cuts.
                self.core.user(slot).unwrap().received += bytes.len();
                if self.reads {
                    self.core.release(slot, bytes.len() as u32);
                }
            }
            CoreEvent::End { slot } => self.on_end(slot, "end"),
            CoreEvent::Trailer { slot } => {
                let words = format!("trailer {:?}", head.header);
                self.on_end(slot, &words);
            }
            CoreEvent::Response { slot, status, ends } => {
                let id = self.core.stream_id(slot).unwrap();
                self.told.push(format!("response {status} of {id}, ends: {ends}, {:?}", head.header));
                if ends {
                    self.core.close(slot, fault::ErrorCode::CANCEL);
                }
            }
            CoreEvent::Reset { slot, by, code } => {
                let id = self.core.stream_id(slot).unwrap();
                self.told.push(format!("reset of {id} by {by:?} with {}", code.0));
                self.core.close(slot, fault::ErrorCode::CANCEL);
            }
            CoreEvent::Settings => self.told.push("settings".to_owned()),
            CoreEvent::Pong(payload) => self.told.push(format!("pong {payload:?}")),
            CoreEvent::Goaway { last_stream_id, code } => {
                self.told.push(format!("goaway {last_stream_id} {}", code.0));
            }
        }
    }

    fn on_request(&mut self, request: NewRequest) {
        let (header, content) = (Header::new(), self.content.clone());
        let status = if request.is_too_large() { 431 } else { 200 };
        if request.ends() || request.is_too_large() {
            if let Err(request) = self.core.respond(request, &response(status, &header), &content) {
                let slot = self.core.open(request, Pending { content, ..Pending::default() });
                self.answer(slot);
            }
        } else {
            self.core.open(request, Pending::default());
        }
    }

    fn on_end(&mut self, slot: u32, words: &str) {
        let id = self.core.stream_id(slot).unwrap();
        let received = self.core.user(slot).unwrap().received;
        self.told.push(format!("{words} of {id} after {received} bytes"));
        if self.core.role == Role::Server {
            self.core.user(slot).unwrap().content = self.content.clone();
            self.answer(slot);
        } else {
            self.core.close(slot, fault::ErrorCode::CANCEL);
        }
    }

    fn answer(&mut self, slot: u32) {
        self.core.send_response(slot, &response(200, &Header::new()), MessageEnd::MoreFollows);
        self.core.want_to_send(slot);
    }

    /// Sends what can be sent.
    pub(super) fn send(&mut self) {
        while let Some(asked) = self.core.next_to_send() {
            let pending = self.core.user(asked.slot).unwrap();
            let (content, sent) = (std::mem::take(&mut pending.content), pending.sent);
            let now = self.core.send_slice(&asked, &content[sent..], MessageEnd::Here);
            let pending = self.core.user(asked.slot).unwrap();
            (pending.content, pending.sent) = (content, sent + now);
            if self.core.stream_state(asked.slot).unwrap().is_closed() {
                self.core.close(asked.slot, fault::ErrorCode::INTERNAL_ERROR);
            }
        }
        self.sent.extend_from_slice(&self.core.output().take_all());
    }
}

pub(super) fn response(status: u16, header: &Header) -> Http2ResponseHead<'_> {
    Http2ResponseHead { status, header, content_length: None, content_type: None, date: None }
}

pub(super) fn request<'a>(method: &'a str, header: &'a Header) -> Http2RequestHead<'a> {
    Http2RequestHead {
        method,
        scheme: Some("http"),
        authority: "a",
        path: Some("/"),
        protocol: None,
        header,
        content_length: None,
    }
}

fn show(text: &[u8]) -> String {
    text.escape_ascii().to_string()
}

/// What was seen and sent.
pub(super) struct Outcome {
    pub(super) told: Vec<String>,
    pub(super) frames: Vec<SentFrame>,
    pub(super) fault: Option<ConnectionFault>,
}

/// Runs a script, whole and in every way cut in two, and returns what came of it.
pub(super) fn run(make: &dyn Fn() -> End, script: &[u8]) -> Outcome {
    let run_pieces = |pieces: &[&[u8]]| {
        let mut end = make();
        pieces.iter().for_each(|piece| end.take(piece));
        end
    };
    let whole = run_pieces(&[script]);
    let cuts = (0..script.len()).filter(|cut| script.len() < 2000 || cut % 97 == 0);
    for cut in cuts {
        let (before, after) = script.split_at(cut);
        let cut_in_two = run_pieces(&[before, after]);
        assert_eq!(cut_in_two.told, whole.told, "cut at {cut}");
        assert!(same_but_for_order(&cut_in_two.sent, &whole.sent), "cut at {cut}");
    }
    if script.len() < 20_000 {
        let bytes: Vec<&[u8]> = script.chunks(1).collect();
        assert_eq!(run_pieces(&bytes).told, whole.told, "byte by byte");
    }
    Outcome { told: whole.told, frames: frames(&whole.sent), fault: whole.fault }
}

/// What is sent of content is sent after all that has come was looked at, so that its place between other
/// frames depends on the cut; each stream's own frames keep their order.
fn same_but_for_order(one: &[u8], other: &[u8]) -> bool {
    let by_stream = |bytes: &[u8]| {
        let mut frames = frames(bytes);
        frames.sort_by_key(|frame| frame.id);
        frames
    };
    by_stream(one) == by_stream(other)
}

/// Checks scripts, each of which follows the preface and settings of a client.
pub(super) fn check_server(cases: &[(&str, Expect, Vec<u8>)]) {
    for (name, expect, script) in cases {
        let settings = CoreSettings { max_concurrent_streams: 10, ..CoreSettings::default() };
        let script = [CONNECTION_PREFACE, &frame(SETTINGS, 0, 0, &[]), script].concat();
        check((Role::Server, name), expect, &|| End::server(settings), script);
    }
}

/// Checks scripts, each of which follows the settings of a server.
pub(super) fn check_client(cases: &[(&str, Expect, Vec<u8>)]) {
    for (name, expect, script) in cases {
        let script = [frame(SETTINGS, 0, 0, &[]), script.clone()].concat();
        check((Role::Client, name), expect, &|| End::client(CoreSettings::default()), script);
    }
}

/// A PING behind the script shows whether the connection goes on.
fn check((role, name): (Role, &str), expect: &Expect, make: &dyn Fn() -> End, mut script: Vec<u8>) {
    script.extend(frame(PING, 0, 0, b"behind!!"));
    let outcome = run(make, &script);
    differential::compare(role, name, &script, &outcome);
    let has = |kind, id, payload: &[u8]| {
        outcome.frames.iter().any(|frame| frame.kind == kind && frame.id == id && frame.payload == payload)
    };
    let what = || format!("{name}: {:?} {:?}", outcome.told, outcome.frames);
    let goes_on = has(FrameKind::Ping, 0, b"behind!!");
    match expect {
        Expect::Goaway(code) => {
            let last = outcome.frames.last().unwrap();
            assert_eq!(last.kind, FrameKind::Goaway, "{}", what());
            assert_eq!(last.payload[4..8], code.to_be_bytes(), "{}", what());
            assert!(!goes_on, "{}", what());
        }
        Expect::Reset(id, code) => {
            assert!(has(FrameKind::RstStream, *id, &code.to_be_bytes()) && goes_on, "{}", what());
        }
        Expect::Answers(ids) => {
            assert!(goes_on && !outcome.frames.iter().any(|frame| frame.kind == FrameKind::RstStream), "{}", what());
            assert_eq!(answered(&outcome.frames), *ids, "{}", what());
        }
        Expect::Told(words) => {
            assert!(goes_on && outcome.told.iter().any(|told| told.contains(words)), "{}", what());
        }
    }
}

/// The streams that were answered with 200, and to the end.
pub(super) fn answered(frames: &[SentFrame]) -> Vec<u32> {
    let mut decoder = HpackDecoder::new();
    let mut ids = Vec::new();
    for frame in frames.iter().filter(|frame| frame.kind == FrameKind::Headers) {
        let mut head = ReceivedHead::default();
        let limits = ListLimits { max_bytes: 10_000, max_fields: 100 };
        decoder.decode(&frame.payload, limits, &mut head).unwrap();
        let ended = frames.iter().any(|other| {
            let can_end = matches!(other.kind, FrameKind::Headers | FrameKind::Data);
            can_end && other.id == frame.id && other.flags & END_STREAM != 0
        });
        if head.check_response(false) == Ok(200) && ended {
            ids.push(frame.id);
        }
    }
    ids
}
