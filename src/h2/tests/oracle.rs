//! The table of RFC 9113 §5.1: what each frame does in each state of a stream, on both sides.
//!
//! The engine has no such table; it asks each stream what it may receive, and `LateFrame` what becomes of
//! the rest. So the table can be held against it. A stream is brought into each state, one frame comes for it,
//! and what is seen, sent and left of the state has to be what the table says. States that a stream can have
//! without a slot are tried with and without one: the driver decides when a slot is closed, and a peer must
//! not be able to tell.
//!
//! | word | what comes of the frame |
//! | --- | --- |
//! | `event` | it is told to the driver |
//! | `-` | nothing: it is taken without an event, or ignored |
//! | `R1` `R5` | a stream error: RST_STREAM with PROTOCOL_ERROR, STREAM_CLOSED |
//! | `G1` `G5` | a connection error: GOAWAY with them |
//!
//! Where RFC 9113 leaves a choice, this is what was chosen. DATA on a stream that the peer has ended or reset
//! is a stream error (§5.1 "closed" allows any error); HEADERS there is a connection error, since it changes
//! the tables of both sides and who sends it has lost count. What this side has reset, or said with GOAWAY
//! that it does not look at, is ignored (§5.1, §6.8). CONTINUATION without a block is a connection error
//! whatever its stream is (§6.10), and so is a push, which no client here allows and no client may send (§8.4).

use super::super::fault::ErrorCode;
use super::super::frame::{CONNECTION_PREFACE, FrameKind};
use super::super::stream::{ClosedBy, Http2StreamState};
use super::peer::*;
use super::*;
use crate::message::Header;

/// The frames, in the order of the columns.
const FRAMES: [&str; 12] = [
    "DATA",
    "DATA, end",
    "HEADERS",
    "HEADERS, end",
    "trailer",
    "PRIORITY",
    "RST_STREAM",
    "PUSH_PROMISE",
    "WINDOW_UPDATE",
    "CONTINUATION",
    "PRIORITY_UPDATE",
    "unknown",
];

/// What a server sees of a client's streams.
const SERVER: [(State, &str); 8] = [
    //                        DATA  D+end H     H+end trail PRIO  RST   PUSH  WU    CONT  PUPD  unknown
    (State::Idle, /*      */ "G1    G1    event event R1    -     G1    G1    G1    G1    -     -"),
    (State::Open, /*      */ "event event R1    R1    event -     event G1    -     G1    -     -"),
    (State::LocalEnded, /**/ "event event R1    R1    event -     event G1    -     G1    -     -"),
    (State::PeerEnded, /* */ "R5    R5    R5    R5    R5    -     event G1    -     G1    -     -"),
    (State::BothEnded, /* */ "R5    R5    G5    G5    G5    -     -     G1    -     G1    -     -"),
    (State::ResetHere, /* */ "-     -     -     -     -     -     -     G1    -     G1    -     -"),
    (State::ResetByPeer, /**/ "R5    R5    G5    G5    G5    -     -     G1    -     G1    -     -"),
    (State::PassedOver, /**/ "R5    R5    G1    G1    G1    -     -     G1    -     G1    -     -"),
];

/// What a client sees of its own streams.
const CLIENT: [(State, &str); 10] = [
    //                        DATA  D+end H     H+end trail PRIO  RST   PUSH  WU    CONT  PUPD  unknown
    (State::Idle, /*      */ "G1    G1    G1    G1    G1    -     G1    G1    G1    G1    G1    -"),
    (State::Open, /*      */ "R1    R1    event event R1    -     event G1    -     G1    G1    -"),
    (State::Answered, /*  */ "event event R1    R1    event -     event G1    -     G1    G1    -"),
    (State::LocalEnded, /**/ "R1    R1    event event R1    -     event G1    -     G1    G1    -"),
    (State::EndedAnswered, "  event event R1    R1    event -     event G1    -     G1    G1    -"),
    (State::PeerEnded, /* */ "R5    R5    R5    R5    R5    -     event G1    -     G1    G1    -"),
    (State::BothEnded, /* */ "R5    R5    G5    G5    G5    -     -     G1    -     G1    G1    -"),
    (State::ResetHere, /* */ "-     -     -     -     -     -     -     G1    -     G1    G1    -"),
    (State::ResetByPeer, /**/ "R5    R5    G5    G5    G5    -     -     G1    -     G1    G1    -"),
    (State::LeftOut, /*   */ "-     -     -     -     -     -     -     G1    -     G1    G1    -"),
];

/// How a stream came to be what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    /// Nothing has ended; of a client's stream no response has come.
    Open,
    /// The final response has come, without an end.
    Answered,
    /// Half-closed (local).
    LocalEnded,
    EndedAnswered,
    /// Half-closed (remote).
    PeerEnded,
    BothEnded,
    ResetHere,
    ResetByPeer,
    /// A client began a higher one, and this one never (§5.1.1).
    PassedOver,
    /// The server's GOAWAY leaves it out (§6.8).
    LeftOut,
}

impl State {
    /// Whether it can be without a slot, once the driver has closed it.
    fn is_closed(self) -> bool {
        matches!(self, State::BothEnded | State::ResetHere | State::ResetByPeer | State::LeftOut)
    }
}

/// A connection with a stream in one state.
struct Stage {
    core: Http2Core<()>,
    head: ReceivedHead,
    id: u32,
    slot: Option<u32>,
}

impl Stage {
    fn server(state: State) -> Stage {
        let mut stage = Stage::new(Role::Server, &[CONNECTION_PREFACE, &frame(SETTINGS, 0, 0, &[])].concat());
        match state {
            State::Idle => return stage,
            State::PassedOver => {
                stage.id = 3;
                stage.take_request(&get(5));
                // Not the one that is asked about.
                stage.slot = None;
                return stage;
            }
            State::PeerEnded | State::BothEnded => stage.take_request(&get(1)),
            _ => stage.take_request(&post(1)),
        }
        let slot = stage.slot.expect("the request is open");
        match state {
            State::LocalEnded | State::BothEnded => {
                assert!(stage.core.send_response(slot, &response(200, &Header::new()), MessageEnd::Here));
            }
            State::ResetHere => stage.core.reset_stream(slot, ErrorCode::CANCEL),
            State::ResetByPeer => drop(stage.take(&reset(1, 8))),
            _ => {}
        }
        stage
    }

    fn client(state: State) -> Stage {
        let mut stage = Stage::new(Role::Client, &frame(SETTINGS, 0, 0, &[]));
        if state == State::Idle {
            return stage;
        }
        let ends = matches!(state, State::LocalEnded | State::EndedAnswered | State::BothEnded);
        let end = if ends { MessageEnd::Here } else { MessageEnd::MoreFollows };
        let header = Header::new();
        let slot = stage.core.begin_request(&request("POST", &header), end, ()).expect("nothing stands against it");
        stage.slot = Some(slot);
        match state {
            State::Answered | State::EndedAnswered => drop(stage.take(&head_of(Role::Client, 1, 0))),
            State::PeerEnded | State::BothEnded => drop(stage.take(&head_of(Role::Client, 1, END_STREAM))),
            State::ResetHere => stage.core.reset_stream(slot, ErrorCode::CANCEL),
            State::ResetByPeer => drop(stage.take(&reset(1, 8))),
            State::LeftOut => drop(stage.take(&frame(GOAWAY, 0, 0, &[0; 8]))),
            _ => {}
        }
        stage
    }

    fn new(role: Role, begins: &[u8]) -> Stage {
        let core = Http2Core::new(role, CoreSettings::default());
        let mut stage = Stage { core, head: ReceivedHead::default(), id: 1, slot: None };
        stage.take(begins);
        stage.core.output().take_all();
        stage
    }

    fn take_request(&mut self, bytes: &[u8]) {
        let event = self.core.next(&mut &bytes[..], &mut self.head);
        let Ok(Some(CoreEvent::Request(request))) = event else { panic!("no request: {event:?}") };
        self.slot = Some(self.core.open(request, ()));
    }

    /// The events that these bytes bring, in words.
    fn take(&mut self, mut bytes: &[u8]) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            match self.core.next(&mut bytes, &mut self.head) {
                Ok(Some(event)) => told.push(format!("{event:?}")),
                Ok(None) => return told,
                Err(fault) => told.push(format!("fault {}", fault.code.0)),
            }
        }
    }

    fn state(&self) -> Option<Http2StreamState> {
        self.core.stream_state(self.slot?)
    }
}

/// A head as the other side of `role` begins a message with.
fn head_of(role: Role, id: u32, flags: u8) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | flags, id, if role == Role::Server { POST } else { b"\x88" })
}

fn frame_of(role: Role, column: usize, id: u32) -> Vec<u8> {
    match column {
        0 => data(id, b"x"),
        1 => last_data(id, b"x"),
        2 => head_of(role, id, 0),
        3 => head_of(role, id, END_STREAM),
        4 => frame(HEADERS, WHOLE, id, &literal("x", "y")),
        5 => frame(PRIORITY, 0, id, &[0, 0, 0, 0, 1]),
        6 => reset(id, 8),
        7 => frame(PUSH_PROMISE, END_HEADERS, id, b"\0\0\0\x02\x82"),
        8 => window_update(id, 1),
        9 => frame(CONTINUATION, END_HEADERS, id, b""),
        10 => frame(PRIORITY_UPDATE, 0, 0, &[&id.to_be_bytes()[..], b"u=1"].concat()),
        _ => frame(0xee, 0xff, id, b"x"),
    }
}

/// What came of a frame, in the words of the table.
fn outcome(stage: &mut Stage, bytes: &[u8]) -> String {
    let before = stage.state();
    stage.core.output().take_all();
    let told = stage.take(bytes);
    let sent = frames(&stage.core.output().take_all());
    let code = |frame: &SentFrame, at: usize| u32::from_be_bytes(frame.payload[at..at + 4].try_into().unwrap());
    let id = stage.id;
    let of_kind = |kind: FrameKind| sent.iter().find(|frame| frame.kind == kind);
    if let Some(goaway) = of_kind(FrameKind::Goaway) {
        let code = code(goaway, 4);
        assert_eq!(told, [format!("fault {code}")], "who fails a connection is told why, and nothing else");
        assert_eq!(sent.len(), 1, "{sent:?}");
        return format!("G{code}");
    }
    if let Some(reset) = of_kind(FrameKind::RstStream) {
        assert_eq!((reset.id, sent.len()), (id, 1), "{sent:?}");
        let code = code(reset, 0);
        let was_open = before.is_some_and(|state| !state.is_closed());
        assert_eq!(told.len(), usize::from(was_open), "the driver is told of what it does not know: {told:?}");
        assert!(told.iter().all(|event| event.starts_with("Reset") && event.contains("by: Us")), "{told:?}");
        let is_reset = |state| matches!(state, Http2StreamState::Closed(ClosedBy::Us));
        assert!(stage.state().is_none_or(is_reset), "{:?}", stage.state());
        return format!("R{code}");
    }
    // Windows are told of in their own time.
    assert!(sent.iter().all(|frame| frame.kind == FrameKind::WindowUpdate), "{sent:?}");
    if told.is_empty() {
        assert_eq!(stage.state(), before, "what is ignored changes nothing");
        return "-".to_owned();
    }
    "event".to_owned()
}

fn check(role: Role, state: State, row: &str) {
    let columns: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(columns.len(), FRAMES.len(), "{state:?}");
    let make = || if role == Role::Server { Stage::server(state) } else { Stage::client(state) };
    for (column, expected) in columns.into_iter().enumerate() {
        let keeps: &[bool] = if state.is_closed() { &[true, false] } else { &[true] };
        for keeps_slot in keeps {
            let mut stage = make();
            if let Some(slot) = stage.slot.filter(|_| !keeps_slot) {
                stage.core.close(slot, ErrorCode::CANCEL);
                stage.slot = None;
            }
            let what = format!("{role:?}, {state:?}, slot kept: {keeps_slot}, {}", FRAMES[column]);
            let bytes = frame_of(role, column, stage.id);
            assert_eq!(outcome(&mut stage, &bytes), expected, "{what}");
            check_afterwards(&mut stage, expected, &what);
        }
    }
}

/// The connection has ended, or goes on as if nothing had been; and no window has leaked.
fn check_afterwards(stage: &mut Stage, came: &str, what: &str) {
    stage.take(&ping());
    let answers = frames(&stage.core.output().take_all());
    let is_answer = |frame: &SentFrame| frame.kind == FrameKind::Ping && frame.flags == ACK;
    assert_eq!(answers.iter().any(is_answer), !came.starts_with('G'), "{what}: {answers:?}");
    if came != "event" {
        assert_eq!(stage.core.receive_window.unreleased(), 0, "{what}");
    }
}

#[test]
fn a_server_does_with_each_frame_in_each_state_what_section_5_1_says() {
    for (state, row) in SERVER {
        check(Role::Server, state, row);
    }
}

#[test]
fn a_client_does_with_each_frame_in_each_state_what_section_5_1_says() {
    for (state, row) in CLIENT {
        check(Role::Client, state, row);
    }
}

/// §5.1, the picture: which state each frame that is taken leads to.
#[test]
fn the_ends_that_come_and_go_lead_from_state_to_state() {
    use Http2StreamState::{Closed, HalfClosedLocal, HalfClosedRemote, Open};
    let ended = Closed(ClosedBy::Ends);
    let (end, trailer) = (last_data(1, b""), frame(HEADERS, WHOLE, 1, &literal("x", "y")));
    for (role, state, bytes, expected) in [
        (Role::Server, State::Open, data(1, b"x"), Open),
        (Role::Server, State::Open, end.clone(), HalfClosedRemote),
        (Role::Server, State::Open, trailer.clone(), HalfClosedRemote),
        (Role::Server, State::Open, reset(1, 0), Closed(ClosedBy::Peer)),
        (Role::Server, State::LocalEnded, data(1, b"x"), HalfClosedLocal),
        (Role::Server, State::LocalEnded, end.clone(), ended),
        (Role::Server, State::LocalEnded, trailer.clone(), ended),
        (Role::Server, State::PeerEnded, reset(1, 8), Closed(ClosedBy::Peer)),
        (Role::Client, State::Open, head_of(Role::Client, 1, 0), Open),
        (Role::Client, State::Open, head_of(Role::Client, 1, END_STREAM), HalfClosedRemote),
        (Role::Client, State::Answered, end.clone(), HalfClosedRemote),
        (Role::Client, State::EndedAnswered, end, ended),
        (Role::Client, State::EndedAnswered, trailer, ended),
        (Role::Client, State::LocalEnded, head_of(Role::Client, 1, END_STREAM), ended),
        (Role::Client, State::LocalEnded, reset(1, 8), Closed(ClosedBy::Peer)),
        (Role::Client, State::Open, frame(GOAWAY, 0, 0, &[0; 8]), Closed(ClosedBy::Goaway)),
    ] {
        let mut stage = if role == Role::Server { Stage::server(state) } else { Stage::client(state) };
        stage.take(&bytes);
        assert_eq!(stage.state(), Some(expected), "{role:?} {state:?} {bytes:?}");
    }
}
