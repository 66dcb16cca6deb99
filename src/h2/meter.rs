//! Counts what a peer does beside sending requests and content.
//!
//! These frames are allowed, but each costs work, and the protocol has no limit for some of them: the
//! floods of CVE-2019-9512 and the like, and rapid reset (CVE-2023-44487). Only incoming frames are
//! counted; content that is sent to the peer, and answered requests, lower the counts.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// How many of these frames a peer may send in [`METER_PERIOD`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct MeterLimits {
    /// Frames that bring neither a request nor content.
    pub(crate) control: u32,
    /// RST_STREAM.
    pub(crate) resets: u32,
}

/// The time over which frames are counted.
const METER_PERIOD: Duration = Duration::from_secs(10);
/// How many frames may answer a DATA frame that was sent: WINDOW_UPDATE, and PING by peers that measure
/// the round trip.
const ALLOWED_FRAME_COUNT: u64 = 10;
/// The size of a DATA frame as peers take them unless they ask for more.
const DATA_FRAME_BYTES: u64 = 16 << 10;

/// Why a connection must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// RFC 9113 §3.4: the first frame is SETTINGS.
    NotSettings,
    ControlFrames,
    Resets,
}

impl Fault {
    pub(crate) fn code(self) -> u32 {
        match self {
            Fault::NotSettings => h2::Reason::PROTOCOL_ERROR.into(),
            Fault::ControlFrames | Fault::Resets => h2::Reason::ENHANCE_YOUR_CALM.into(),
        }
    }

    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Fault::NotSettings => "the first frame is not SETTINGS",
            Fault::ControlFrames => "too many frames without a request or content",
            Fault::Resets => "too many requests were given up",
        }
    }
}

/// What is known of one connection's frames. The wire counts them, the connection's task checks the
/// counts, and streams lower them.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: MeterLimits,
    control: AtomicI64,
    resets: AtomicI64,
    fault: AtomicU8,
    began: AtomicBool,
    in_head: AtomicBool,
    /// How many times something was read.
    reads: AtomicU64,
    /// How much content has left for the peer.
    content_written: AtomicU64,
    /// The peer takes nothing at present, and is not read from therefore.
    blocked: AtomicBool,
    /// What the last GOAWAY said, once all is said.
    said_last: OnceLock<&'static str>,
}

impl Meter {
    pub(crate) fn new(limits: MeterLimits) -> Meter {
        Meter {
            limits,
            control: AtomicI64::new(0),
            resets: AtomicI64::new(0),
            fault: AtomicU8::new(0),
            began: AtomicBool::new(false),
            in_head: AtomicBool::new(false),
            reads: AtomicU64::new(0),
            content_written: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            said_last: OnceLock::new(),
        }
    }

    /// Why the connection must end, if it must.
    pub(crate) fn fault(&self) -> Option<Fault> {
        match self.fault.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Fault::NotSettings),
            2 => Some(Fault::ControlFrames),
            _ => Some(Fault::Resets),
        }
    }

    /// Whether the peer's SETTINGS have come, which end its preface.
    pub(crate) fn has_begun(&self) -> bool {
        self.began.load(Ordering::Relaxed)
    }

    /// Whether the rest of a header block, or of any frame but one of content, is waited for.
    pub(crate) fn is_in_head(&self) -> bool {
        self.in_head.load(Ordering::Relaxed) && !self.blocked.load(Ordering::Relaxed)
    }

    /// What the peer was told last, where `h2` said it.
    pub(super) fn said_last(&self) -> Option<&'static str> {
        self.said_last.get().copied()
    }

    pub(super) fn say_last(&self, words: &'static str) {
        let _ = self.said_last.set(words);
    }

    pub(super) fn set_blocked(&self, blocked: bool) {
        self.blocked.store(blocked, Ordering::Relaxed);
    }

    /// Changes with everything that comes in.
    pub(crate) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// How much content has left for the peer, on all streams: this changes with nothing else.
    pub(crate) fn content_written(&self) -> u64 {
        self.content_written.load(Ordering::Relaxed)
    }

    pub(super) fn add_content_written(&self, len: u64) {
        self.content_written.fetch_add(len, Ordering::Relaxed);
    }

    /// Records that this much content was sent.
    pub(crate) fn sent_data(&self, len: usize) {
        let frames = len as u64 / DATA_FRAME_BYTES + 1;
        make_up(&self.control, i64::try_from(frames * ALLOWED_FRAME_COUNT).unwrap_or(i64::MAX));
    }

    /// A request was answered.
    pub(crate) fn answered(&self) {
        make_up(&self.resets, 1);
    }

    fn set_fault(&self, fault: Fault) {
        self.fault.store(fault as u8 + 1, Ordering::Relaxed);
    }
}

/// Not below zero: a peer cannot save up credit for a flood.
fn make_up(count: &AtomicI64, by: i64) {
    let now = count.load(Ordering::Relaxed);
    if now > 0 {
        count.fetch_sub(by.min(now), Ordering::Relaxed);
    }
}

/// Finds the frames in what comes in: their heads, not what is in them.
#[derive(Debug)]
pub(super) struct Scanner {
    /// How much of the present frame, or of the preface, is still to come.
    skip: usize,
    head: [u8; FRAME_HEAD_BYTES],
    have: usize,
    block: Block,
    /// Whether the present frame is DATA.
    is_data: bool,
    window_began: Instant,
}

/// The length of a frame's head (RFC 9113 §4.1).
const FRAME_HEAD_BYTES: usize = 9;

/// Where a header block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Block {
    None,
    /// More frames of it follow.
    Open,
    /// Its last frame is coming in.
    Last,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

impl Scanner {
    /// A scanner that skips this many bytes of preface first.
    pub(super) fn new(preface: usize) -> Scanner {
        Scanner {
            skip: preface,
            head: [0; FRAME_HEAD_BYTES],
            have: 0,
            block: Block::None,
            is_data: false,
            window_began: Instant::now(),
        }
    }

    /// Looks at the next bytes, in any pieces.
    pub(super) fn scan(&mut self, mut bytes: &[u8], meter: &Meter) {
        meter.reads.fetch_add(1, Ordering::Relaxed);
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            if self.skip == 0 && self.block == Block::Last {
                self.block = Block::None;
            }
            while let (Some((&byte, rest)), true) =
                (bytes.split_first(), self.skip == 0 && self.have < FRAME_HEAD_BYTES)
            {
                if let Some(place) = self.head.get_mut(self.have) {
                    *place = byte;
                }
                self.have += 1;
                bytes = rest;
            }
            if self.have == FRAME_HEAD_BYTES {
                self.have = 0;
                self.enter_frame(meter);
            }
        }
        if self.skip == 0 && self.block == Block::Last {
            self.block = Block::None;
        }
        let in_head = self.block != Block::None || self.have > 0 || (self.skip > 0 && !self.is_data);
        meter.in_head.store(in_head, Ordering::Relaxed);
    }

    fn enter_frame(&mut self, meter: &Meter) {
        let [high, mid, low, kind, flags, ..] = self.head;
        let len = usize::from(high) << 16 | usize::from(mid) << 8 | usize::from(low);
        self.skip = len;
        self.is_data = kind == DATA;
        if !meter.began.load(Ordering::Relaxed) {
            meter.began.store(true, Ordering::Relaxed);
            if kind != SETTINGS || flags & ACK != 0 {
                meter.set_fault(Fault::NotSettings);
            }
        }
        if matches!(kind, HEADERS | CONTINUATION) {
            self.block = if flags & END_HEADERS == 0 { Block::Open } else { Block::Last };
        }
        let over = match kind {
            HEADERS => false,
            DATA if len > 0 || flags & END_STREAM != 0 => false,
            RST_STREAM => count(&meter.resets, meter.limits.resets),
            _ => count(&meter.control, meter.limits.control),
        };
        if over && self.is_within_window(meter) {
            meter.set_fault(if kind == RST_STREAM { Fault::Resets } else { Fault::ControlFrames });
        }
    }

    /// The clock is read only where a count is over its limit.
    fn is_within_window(&mut self, meter: &Meter) -> bool {
        if self.window_began.elapsed() < METER_PERIOD {
            return true;
        }
        self.window_began = Instant::now();
        meter.control.store(0, Ordering::Relaxed);
        meter.resets.store(0, Ordering::Relaxed);
        false
    }
}

fn count(count: &AtomicI64, limit: u32) -> bool {
    count.fetch_add(1, Ordering::Relaxed) >= i64::from(limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(control: u32, resets: u32) -> Meter {
        Meter::new(MeterLimits { control, resets })
    }

    fn frame(kind: u8, flags: u8, len: usize) -> Vec<u8> {
        let mut frame = vec![(len >> 16) as u8, (len >> 8) as u8, len as u8, kind, flags, 0, 0, 0, 1];
        frame.resize(FRAME_HEAD_BYTES + len, 0xff);
        frame
    }

    /// What becomes of the meter when these bytes come in pieces of this size.
    fn scanned(bytes: &[u8], piece: usize, meter: &Meter) {
        let mut scanner = Scanner::new(3);
        for piece in [b"PRI", bytes].concat().chunks(piece) {
            scanner.scan(piece, meter);
        }
    }

    #[test]
    fn frames_are_counted_however_they_are_cut() {
        let bytes = [
            frame(SETTINGS, 0, 6),
            frame(HEADERS, END_HEADERS, 40),
            frame(DATA, 0, 0),
            frame(DATA, 0, 5),
            frame(DATA, END_STREAM, 0),
            frame(6, 0, 8),
            frame(0xee, 0, 0),
            frame(RST_STREAM, 0, 4),
        ]
        .concat();
        for piece in 1..bytes.len() {
            let meter = meter(100, 100);
            scanned(&bytes, piece, &meter);
            // SETTINGS, empty DATA, PING, unknown.
            assert_eq!((meter.control.load(Ordering::Relaxed), meter.resets.load(Ordering::Relaxed)), (4, 1));
            assert!(meter.has_begun() && !meter.is_in_head() && meter.fault().is_none());
        }
    }

    #[test]
    fn a_header_block_is_open_until_its_last_byte() {
        let bytes = [frame(SETTINGS, 0, 0), frame(HEADERS, 0, 3), frame(CONTINUATION, END_HEADERS, 2)].concat();
        for end in 1..=bytes.len() {
            let meter = meter(100, 100);
            scanned(&bytes[..end], 1, &meter);
            let open = end != FRAME_HEAD_BYTES && end < bytes.len();
            assert_eq!(meter.is_in_head(), open, "after {end} bytes");
        }
    }

    #[test]
    fn a_first_frame_other_than_settings_is_a_fault() {
        for (first, fault) in [
            (frame(SETTINGS, 0, 0), None),
            (frame(SETTINGS, ACK, 0), Some(Fault::NotSettings)),
            (frame(6, 0, 8), Some(Fault::NotSettings)),
        ] {
            let meter = meter(100, 100);
            scanned(&first, 4, &meter);
            assert_eq!(meter.fault(), fault);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_over_the_limit_within_the_window_is_a_flood() {
        let meter = meter(10, 10);
        let mut scanner = Scanner::new(0);
        for _ in 0..5 {
            for _ in 0..10 {
                scanner.scan(&frame(SETTINGS, 0, 0), &meter);
            }
            tokio::time::advance(METER_PERIOD).await;
        }
        assert_eq!(meter.fault(), None, "ten in a window are allowed");
        for _ in 0..20 {
            scanner.scan(&frame(SETTINGS, 0, 0), &meter);
        }
        assert_eq!(meter.fault(), Some(Fault::ControlFrames));
    }

    #[test]
    fn what_was_done_for_a_peer_makes_up_for_its_frames_and_is_not_saved() {
        let meter = meter(10, 10);
        for _ in 0..1000 {
            meter.sent_data(1);
            meter.answered();
        }
        let bytes = [frame(SETTINGS, 0, 0), frame(RST_STREAM, 0, 4).repeat(10)].concat();
        scanned(&bytes, 100, &meter);
        assert_eq!(meter.fault(), None);
        meter.answered();
        let mut scanner = Scanner::new(0);
        scanner.scan(&frame(RST_STREAM, 0, 4), &meter);
        assert_eq!(meter.fault(), None);
        scanner.scan(&frame(RST_STREAM, 0, 4), &meter);
        assert_eq!(meter.fault(), Some(Fault::Resets));
    }
}
