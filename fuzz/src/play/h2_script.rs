//! One side of an HTTP/2 connection that does what a script says, frame by frame, and knows what it sent.
//!
//! Each step is a letter and its arguments, most of them a byte. What is no letter of a step stands for
//! one too, so each mutation is a script.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::sleep;

use super::frames::*;
use super::peer::Wire;
use super::script::Step;
use super::settle;
use crate::input::Input;

/// What was sent on a stream.
#[derive(Debug, Default)]
pub struct SentStream {
    pub has_head: bool,
    pub content: Vec<u8>,
    pub is_ended: bool,
    /// Something was sent that need not mean anything.
    pub is_odd: bool,
    pub windows: u64,
}

pub struct Sender {
    pub wire: Wire,
    pub streams: BTreeMap<u32, SentStream>,
    /// Whether bytes were sent that may be any frame.
    pub is_raw: bool,
    /// Whether the peer may count on this side: nothing that disturbs was done.
    pub is_calm: bool,
    /// Whether a window may have become smaller behind what was promised.
    pub takes_back: bool,
    /// The largest window that a stream may begin with.
    initial_window: u64,
    windows: u64,
    /// How long the script has waited, in sum.
    waited: Duration,
    last: Vec<u8>,
}

/// How long a side may be silent that answers no PING before a client gives it up. No idle connection is closed
/// as soon.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(30);
/// More steps than this show nothing new.
const MAX_STEPS: usize = 96;
const STEPS: &[u8] = b"HHHDDDTRUSAPGXB,wWhrsg2!Op";
const WINDOWS: [u32; 6] = [0, 1, 100, DEFAULT_WINDOW, 1 << 20, 0x7fff_ffff];
const SETTING_VALUES: [u32; 8] = [0, 1, 100, 4096, 16_384, DEFAULT_WINDOW, 1 << 20, u32::MAX];
const SIZES: [usize; 8] = [0, 1, 3, 10, 300, 1000, MAX_FRAME_BYTES, MAX_FRAME_BYTES + 1];

impl Sender {
    pub fn new(wire: Wire) -> Sender {
        Sender {
            wire,
            streams: BTreeMap::new(),
            is_raw: false,
            is_calm: true,
            takes_back: false,
            initial_window: DEFAULT_WINDOW.into(),
            windows: DEFAULT_WINDOW.into(),
            waited: Duration::ZERO,
            last: Vec::new(),
        }
    }

    /// The steps in their order. `head` writes a head for its stream, which only one side's knows to write.
    pub async fn play(&mut self, input: &mut Input<'_>, head: impl Fn(&mut Sender, &mut Input<'_>) -> Vec<u8>) {
        for _ in 0..MAX_STEPS {
            if input.is_empty() {
                break;
            }
            let letter = input.byte();
            let letter = if STEPS.contains(&letter) { letter } else { STEPS[usize::from(letter) % STEPS.len()] };
            let bytes = match letter {
                b'H' => head(self, input),
                b'D' => self.data(input),
                b'T' => self.trailer(input),
                b'U' => self.window(input),
                b'S' => self.settings(input),
                b',' | b'w' | b'W' | b'h' | b'r' | b's' | b'g' => {
                    self.pass(letter, input).await;
                    continue;
                }
                _ => self.disturbing(letter, input),
            };
            self.send(&bytes).await;
            self.last = bytes;
        }
        settle().await;
    }

    pub async fn send(&mut self, bytes: &[u8]) {
        self.wire.send(bytes).await;
    }

    /// First settings, and what they grant.
    pub async fn begin(&mut self, preface: &[u8], window: u32) {
        self.initial_window = self.initial_window.max(window.into());
        let settings = frame(SETTINGS, 0, 0, &setting(INITIAL_WINDOW_SIZE, window));
        let connection = if window > DEFAULT_WINDOW { self.grant(0, 0x7fff_0000) } else { Vec::new() };
        self.send(&[preface, &settings, &connection].concat()).await;
        settle().await;
        self.send(&frame(SETTINGS, ACK, 0, b"")).await;
    }

    /// One of the streams that were begun, or one that was not.
    pub fn stream(&self, input: &mut Input<'_>) -> u32 {
        let at = input.number() % (self.streams.len() + 1);
        let next = self.streams.keys().next_back().map_or(1, |last| last + 2);
        self.streams.keys().nth(at).copied().unwrap_or(next)
    }

    /// Notes a head, and whether its stream ends with it.
    pub fn began(&mut self, stream: u32, is_end: bool, is_odd: bool) {
        let sent = self.streams.entry(stream).or_default();
        sent.is_odd |= is_odd || sent.has_head;
        sent.has_head = true;
        sent.is_ended |= is_end;
        self.is_calm &= !sent.is_odd;
    }

    fn data(&mut self, input: &mut Input<'_>) -> Vec<u8> {
        let (stream, how, content) = (self.stream(input), input.byte(), vec![input.byte(); input.pick(&SIZES)]);
        let mut flags = how & END_STREAM;
        let payload = padded(&mut flags, how >> 4, &content);
        self.is_calm &= payload.len() <= MAX_FRAME_BYTES;
        let sent = self.streams.entry(stream).or_default();
        sent.is_odd |= !sent.has_head;
        // More than so much may be more than the peer is ready to take.
        self.is_calm &= !sent.is_ended && !sent.is_odd && sent.content.len() + content.len() < 20_000;
        if !sent.is_ended {
            sent.content.extend(content);
            sent.is_ended = flags & END_STREAM != 0;
        }
        frame(DATA, flags, stream, &payload)
    }

    fn trailer(&mut self, input: &mut Input<'_>) -> Vec<u8> {
        let (stream, mut block) = (self.stream(input), Block::default());
        block.field(b"x-trailer", b"1");
        let sent = self.streams.entry(stream).or_default();
        sent.is_odd |= !sent.has_head;
        self.is_calm &= !sent.is_ended && !sent.is_odd;
        sent.is_ended = true;
        block.frames(stream, END_STREAM, 0, b"")
    }

    fn window(&mut self, input: &mut Input<'_>) -> Vec<u8> {
        let stream = if input.byte() % 2 == 0 { 0 } else { self.stream(input) };
        self.is_calm = false;
        self.grant(stream, input.pick(&WINDOWS))
    }

    fn grant(&mut self, stream: u32, by: u32) -> Vec<u8> {
        let windows = match stream {
            0 => &mut self.windows,
            _ => &mut self.streams.entry(stream).or_default().windows,
        };
        *windows += u64::from(by);
        frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
    }

    fn settings(&mut self, input: &mut Input<'_>) -> Vec<u8> {
        let (id, value) = (input.pick(&[1, 2, 3, INITIAL_WINDOW_SIZE, 6, 8, 99]), input.pick(&SETTING_VALUES));
        self.takes_back |= id == INITIAL_WINDOW_SIZE;
        if id == INITIAL_WINDOW_SIZE {
            self.initial_window = self.initial_window.max(value.into());
        }
        self.is_calm = false;
        frame(SETTINGS, 0, 0, &setting(id, value))
    }

    /// Time passes, or the connection changes.
    async fn pass(&mut self, letter: u8, input: &mut Input<'_>) {
        let step = match letter {
            b',' => Step::Settle,
            b'w' => {
                let wait = Duration::from_secs(input.pick(&[1, 2, 6, 31]));
                self.waited += wait;
                self.is_calm &= self.waited < SILENCE_TIMEOUT;
                return sleep(wait).await;
            }
            b'W' => Step::WaitLong,
            b'h' => Step::HalfClose,
            b'r' => Step::Reset,
            b's' => Step::StopReading,
            _ => Step::ReadOn,
        };
        self.is_calm &= letter == b',';
        self.wire.act(&step).await;
    }

    /// What a peer should not do, or seldom does.
    fn disturbing(&mut self, letter: u8, input: &mut Input<'_>) -> Vec<u8> {
        self.is_calm &= letter == b'P';
        self.is_raw |= matches!(letter, b'X' | b'B' | b'2' | b'!');
        self.takes_back |= self.is_raw;
        let stream = self.stream(input);
        match letter {
            b'R' => frame(RST_STREAM, 0, stream, &input.pick(&[0u32, 1, 7, 8, 13, 99]).to_be_bytes()),
            b'A' => frame(SETTINGS, ACK, 0, b""),
            b'P' => frame(PING, 0, 0, b"12345678"),
            b'O' => frame(PRIORITY, 0, stream, &[0, 0, 0, input.byte(), 16]),
            b'G' => {
                let code = input.pick(&[0u32, 1, 11, 13]);
                frame(GOAWAY, 0, 0, &[&stream.to_be_bytes()[..], &code.to_be_bytes(), input.piece()].concat())
            }
            b'p' => {
                let promised = [0, 0, 0, 2 + 2 * (input.byte() % 3)];
                let head = [0x82, 0x86, 0x84, 0x01, 1, b'a'];
                frame(PUSH_PROMISE, END_HEADERS, stream, &[&promised[..], &head].concat())
            }
            b'X' => frame(input.byte() % 12, input.byte(), stream, input.piece()),
            b'B' => Block(input.piece().to_vec()).frames(stream, input.byte() & END_STREAM, 0, b""),
            b'2' => {
                let times = input.pick(&[2, 5, 30, 300]);
                if self.last.len() * times < 1 << 20 { self.last.repeat(times) } else { Vec::new() }
            }
            _ => input.piece().to_vec(),
        }
    }

    /// The peer keeps to frames as they have to be, and to the windows that it was given.
    pub fn was_kept_to(&self, frames: &[Frame]) {
        let mut all = 0;
        let mut of_streams: BTreeMap<u32, (u64, bool)> = BTreeMap::new();
        for frame in frames {
            assert!(frame.payload.len() <= MAX_FRAME_BYTES, "a frame of {} bytes", frame.payload.len());
            let of_connection = matches!(frame.kind, SETTINGS | PING | GOAWAY);
            assert!(frame.kind > CONTINUATION || frame.kind == WINDOW_UPDATE || of_connection == (frame.stream == 0));
            let (sent, is_ended) = of_streams.entry(frame.stream).or_default();
            if matches!(frame.kind, DATA | HEADERS) {
                assert!(!*is_ended, "{frame:?} behind the end of its stream");
                *is_ended = frame.has(END_STREAM);
            }
            if frame.kind == DATA {
                *sent += frame.payload.len() as u64;
                all += frame.payload.len() as u64;
                let windows = self.streams.get(&frame.stream).map_or(0, |stream| stream.windows);
                let is_within = *sent <= self.initial_window + windows && all <= self.windows;
                assert!(
                    self.is_raw || is_within,
                    "more than the windows let through: {sent} of stream {}",
                    frame.stream
                );
            }
        }
    }
}
