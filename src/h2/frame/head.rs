//! A frame's first nine bytes (RFC 9113 §4.1), and what can be said of a frame by them alone.

use super::super::fault::{ConnectionFault, ErrorCode, FrameFault, StreamFault};

pub(crate) const FRAME_HEAD_BYTES: usize = 9;

/// RFC 9113 §4.1: the first bit of a stream's identifier says nothing.
const STREAM_ID_BITS: u32 = 0x7fff_ffff;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameKind {
    Data,
    Headers,
    Priority,
    RstStream,
    Settings,
    PushPromise,
    Ping,
    Goaway,
    WindowUpdate,
    Continuation,
    /// RFC 9218 §7.1.
    PriorityUpdate,
    /// One that this side does not know, ALTSVC and ORIGIN among them, and ignores (RFC 9113 §5.5).
    Unknown,
}

impl FrameKind {
    fn of(byte: u8) -> FrameKind {
        match byte {
            0x0 => FrameKind::Data,
            0x1 => FrameKind::Headers,
            0x2 => FrameKind::Priority,
            0x3 => FrameKind::RstStream,
            0x4 => FrameKind::Settings,
            0x5 => FrameKind::PushPromise,
            0x6 => FrameKind::Ping,
            0x7 => FrameKind::Goaway,
            0x8 => FrameKind::WindowUpdate,
            0x9 => FrameKind::Continuation,
            0x10 => FrameKind::PriorityUpdate,
            _ => FrameKind::Unknown,
        }
    }

    fn byte(self) -> u8 {
        match self {
            FrameKind::Data => 0x0,
            FrameKind::Headers => 0x1,
            FrameKind::Priority => 0x2,
            FrameKind::RstStream => 0x3,
            FrameKind::Settings => 0x4,
            FrameKind::PushPromise => 0x5,
            FrameKind::Ping => 0x6,
            FrameKind::Goaway => 0x7,
            FrameKind::WindowUpdate => 0x8,
            FrameKind::Continuation => 0x9,
            FrameKind::PriorityUpdate => 0x10,
            // Never written; RFC 9113 §11.2 keeps it for experiments.
            FrameKind::Unknown => 0xff,
        }
    }
}

/// A frame's flags. Those that its kind does not define say nothing (RFC 9113 §4.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct FrameFlags(pub(crate) u8);

impl FrameFlags {
    pub(crate) const NONE: FrameFlags = FrameFlags(0);
    pub(crate) const ACK: FrameFlags = FrameFlags(0x1);
    pub(crate) const END_STREAM: FrameFlags = FrameFlags(0x1);
    pub(crate) const END_HEADERS: FrameFlags = FrameFlags(0x4);
    pub(crate) const PADDED: FrameFlags = FrameFlags(0x8);
    pub(crate) const PRIORITY: FrameFlags = FrameFlags(0x20);

    pub(crate) fn has(self, flag: FrameFlags) -> bool {
        self.0 & flag.0 != 0
    }

    pub(crate) fn with(self, flag: FrameFlags, is_set: bool) -> FrameFlags {
        if is_set { FrameFlags(self.0 | flag.0) } else { self }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHead {
    /// The length of what follows.
    pub(crate) len: usize,
    pub(crate) kind: FrameKind,
    pub(crate) flags: FrameFlags,
    pub(crate) stream_id: u32,
}

impl FrameHead {
    /// The head that these bytes begin with, once it is whole.
    pub(crate) fn read(input: &[u8]) -> Option<FrameHead> {
        let &[l0, l1, l2, kind, flags, i0, i1, i2, i3] = input.first_chunk::<FRAME_HEAD_BYTES>()?;
        Some(FrameHead {
            len: u32::from_be_bytes([0, l0, l1, l2]) as usize,
            kind: FrameKind::of(kind),
            flags: FrameFlags(flags),
            stream_id: u32::from_be_bytes([i0, i1, i2, i3]) & STREAM_ID_BITS,
        })
    }

    pub(crate) fn bytes(self) -> [u8; FRAME_HEAD_BYTES] {
        let [_, l0, l1, l2] = (self.len as u32).to_be_bytes();
        let [i0, i1, i2, i3] = self.stream_id.to_be_bytes();
        [l0, l1, l2, self.kind.byte(), self.flags.0, i0, i1, i2, i3]
    }

    /// What is wrong with a frame of this head, before any of the rest is here: its length, and whether it
    /// may stand on its stream.
    pub(crate) fn check(self, max_frame_bytes: u32) -> Result<(), FrameFault> {
        use FrameKind::{
            Continuation, Data, Goaway, Headers, Ping, Priority, PriorityUpdate, PushPromise, RstStream, Settings,
            Unknown, WindowUpdate,
        };
        if self.len > max_frame_bytes as usize {
            // RFC 9113 §4.2 leaves a stream error for some kinds. A peer that ignores the limit is not worth it.
            return Err(ConnectionFault::frame_size("a frame that is too large").into());
        }
        let has_stream = self.stream_id != 0;
        match self.kind {
            Data if !has_stream => protocol("DATA on stream 0"),
            Headers if !has_stream => protocol("HEADERS on stream 0"),
            Priority if !has_stream => protocol("PRIORITY on stream 0"),
            RstStream if !has_stream => protocol("RST_STREAM on stream 0"),
            PushPromise if !has_stream => protocol("PUSH_PROMISE on stream 0"),
            Continuation if !has_stream => protocol("CONTINUATION on stream 0"),
            Settings if has_stream => protocol("SETTINGS on a stream"),
            Ping if has_stream => protocol("PING on a stream"),
            Goaway if has_stream => protocol("GOAWAY on a stream"),
            // RFC 9218 §7.1.
            PriorityUpdate if has_stream => protocol("PRIORITY_UPDATE on a stream"),
            // RFC 9113 §6.3: this one alone is a stream error.
            Priority if self.len != 5 => Err(FrameFault::Stream(StreamFault {
                code: ErrorCode::FRAME_SIZE_ERROR,
                words: "PRIORITY of a wrong size",
            })),
            RstStream if self.len != 4 => size("RST_STREAM of a wrong size"),
            Settings if self.flags.has(FrameFlags::ACK) && self.len > 0 => size("an acknowledgment with SETTINGS"),
            Settings if self.len % 6 != 0 => size("SETTINGS of a wrong size"),
            Ping if self.len != 8 => size("PING of a wrong size"),
            Goaway if self.len < 8 => size("GOAWAY of a wrong size"),
            WindowUpdate if self.len != 4 => size("WINDOW_UPDATE of a wrong size"),
            PriorityUpdate if self.len < 4 => size("PRIORITY_UPDATE of a wrong size"),
            Data | Headers | Priority | RstStream | Settings | PushPromise | Ping | Goaway | WindowUpdate
            | Continuation | PriorityUpdate | Unknown => Ok(()),
        }
    }
}

fn protocol(words: &'static str) -> Result<(), FrameFault> {
    Err(ConnectionFault::protocol(words).into())
}

fn size(words: &'static str) -> Result<(), FrameFault> {
    Err(ConnectionFault::frame_size(words).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(kind: u8, flags: u8, len: usize, stream_id: u32) -> FrameHead {
        FrameHead { len, kind: FrameKind::of(kind), flags: FrameFlags(flags), stream_id }
    }

    #[test]
    fn a_head_is_read_whole_and_its_reserved_bit_says_nothing() {
        let bytes = [0x01, 0x02, 0x03, 0x01, 0x25, 0xff, 0xff, 0xff, 0xff];
        let read = FrameHead::read(&bytes).unwrap();
        assert_eq!(read, head(1, 0x25, 0x0001_0203, 0x7fff_ffff));
        for end in 0..bytes.len() {
            assert_eq!(FrameHead::read(&bytes[..end]), None);
        }
    }

    #[test]
    fn what_is_written_is_read() {
        for kind in (0..=9).chain([0x10]) {
            for (len, stream_id) in [(0, 0), (16_384, 1), ((1 << 24) - 1, (1 << 31) - 1)] {
                let head = head(kind, 0xa5, len, stream_id);
                assert_eq!(FrameHead::read(&head.bytes()), Some(head));
                assert_eq!(head.bytes()[3], kind);
            }
        }
    }

    #[test]
    fn what_a_kind_does_not_allow_is_a_fault_of_its_error() {
        let connection = |code| move |fault: FrameFault| matches!(fault, FrameFault::Connection(f) if f.code == code);
        let (protocol, size) = (ErrorCode::PROTOCOL_ERROR, ErrorCode::FRAME_SIZE_ERROR);
        for (head, code) in [
            (head(0, 0, 16_385, 1), size),
            (head(0xbb, 0, 16_385, 1), size),
            (head(0, 0, 1, 0), protocol),
            (head(1, 0, 1, 0), protocol),
            (head(2, 0, 5, 0), protocol),
            (head(3, 0, 4, 0), protocol),
            (head(3, 0, 3, 1), size),
            (head(3, 0, 5, 1), size),
            (head(4, 0, 6, 1), protocol),
            (head(4, 0, 5, 0), size),
            (head(4, 1, 6, 0), size),
            (head(5, 0, 9, 0), protocol),
            (head(6, 0, 8, 1), protocol),
            (head(6, 0, 7, 0), size),
            (head(6, 1, 9, 0), size),
            (head(7, 0, 8, 1), protocol),
            (head(7, 0, 7, 0), size),
            (head(8, 0, 3, 0), size),
            (head(8, 0, 5, 1), size),
            (head(9, 0, 1, 0), protocol),
            (head(0x10, 0, 5, 1), protocol),
            (head(0x10, 0, 3, 0), size),
        ] {
            assert!(head.check(16_384).is_err_and(connection(code)), "{head:?}");
        }
        for len in [0, 4, 6] {
            let fault = head(2, 0, len, 1).check(16_384).unwrap_err();
            assert!(matches!(fault, FrameFault::Stream(f) if f.code == size), "PRIORITY of {len}");
        }
    }

    #[test]
    fn what_a_kind_allows_is_none() {
        for head in [
            head(0, 0xff, 0, 1),
            head(0, 0, 16_384, 1),
            head(1, 0xff, 0, 1),
            head(2, 0, 5, 1),
            head(3, 0, 4, 1),
            head(4, 0, 12, 0),
            head(4, 1, 0, 0),
            head(6, 0xfe, 8, 0),
            head(7, 0, 100, 0),
            head(8, 0, 4, 0),
            head(8, 0, 4, 1),
            head(9, 0, 0, 1),
            // ALTSVC and ORIGIN.
            head(0xa, 0, 3, 1),
            head(0xc, 0, 3, 7),
            head(0x10, 0, 4, 0),
            head(0xff, 0xff, 3, 0),
        ] {
            assert_eq!(head.check(16_384), Ok(()), "{head:?}");
        }
    }
}
