//! What a peer does wrong, and what it is told (RFC 9113 §5.4 and §7).

use std::fmt;

use super::hpack::HpackFault;

/// An error code, as GOAWAY and RST_STREAM carry it. One that no RFC has is taken as it is: none of them
/// makes this side do anything else (RFC 9113 §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ErrorCode(pub(crate) u32);

impl ErrorCode {
    pub(crate) const NO_ERROR: ErrorCode = ErrorCode(0x0);
    pub(crate) const PROTOCOL_ERROR: ErrorCode = ErrorCode(0x1);
    pub(crate) const INTERNAL_ERROR: ErrorCode = ErrorCode(0x2);
    pub(crate) const FLOW_CONTROL_ERROR: ErrorCode = ErrorCode(0x3);
    pub(crate) const STREAM_CLOSED: ErrorCode = ErrorCode(0x5);
    pub(crate) const FRAME_SIZE_ERROR: ErrorCode = ErrorCode(0x6);
    pub(crate) const REFUSED_STREAM: ErrorCode = ErrorCode(0x7);
    pub(crate) const CANCEL: ErrorCode = ErrorCode(0x8);
    pub(crate) const COMPRESSION_ERROR: ErrorCode = ErrorCode(0x9);
    pub(crate) const ENHANCE_YOUR_CALM: ErrorCode = ErrorCode(0xb);
    pub(crate) const HTTP_1_1_REQUIRED: ErrorCode = ErrorCode(0xd);
}

/// The names of RFC 9113 §7, by number.
const CODE_NAMES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match CODE_NAMES.get(self.0 as usize) {
            Some(name) => f.write_str(name),
            None => write!(f, "error code {:#x}", self.0),
        }
    }
}

/// Why a connection must end (RFC 9113 §5.4.1). The words are fixed: they go to the peer in GOAWAY, and to
/// whoever reads this side's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ConnectionFault {
    pub(crate) code: ErrorCode,
    pub(crate) words: &'static str,
}

/// Why a stream must end, and its connection goes on (RFC 9113 §5.4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamFault {
    pub(crate) code: ErrorCode,
    pub(crate) words: &'static str,
}

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameFault {
    Connection(ConnectionFault),
    Stream(StreamFault),
}

impl ConnectionFault {
    pub(crate) const fn protocol(words: &'static str) -> ConnectionFault {
        ConnectionFault { code: ErrorCode::PROTOCOL_ERROR, words }
    }

    pub(crate) const fn frame_size(words: &'static str) -> ConnectionFault {
        ConnectionFault { code: ErrorCode::FRAME_SIZE_ERROR, words }
    }

    pub(crate) const fn flow_control(words: &'static str) -> ConnectionFault {
        ConnectionFault { code: ErrorCode::FLOW_CONTROL_ERROR, words }
    }

    pub(crate) const fn closed(words: &'static str) -> ConnectionFault {
        ConnectionFault { code: ErrorCode::STREAM_CLOSED, words }
    }

    /// A flood.
    pub(crate) const fn calm(words: &'static str) -> ConnectionFault {
        ConnectionFault { code: ErrorCode::ENHANCE_YOUR_CALM, words }
    }
}

impl StreamFault {
    pub(crate) const fn protocol(words: &'static str) -> StreamFault {
        StreamFault { code: ErrorCode::PROTOCOL_ERROR, words }
    }

    pub(crate) const fn flow_control(words: &'static str) -> StreamFault {
        StreamFault { code: ErrorCode::FLOW_CONTROL_ERROR, words }
    }

    pub(crate) const fn closed(words: &'static str) -> StreamFault {
        StreamFault { code: ErrorCode::STREAM_CLOSED, words }
    }
}

impl From<HpackFault> for ConnectionFault {
    /// RFC 9113 §4.3: both sides' tables are no longer the same.
    fn from(fault: HpackFault) -> ConnectionFault {
        ConnectionFault { code: ErrorCode::COMPRESSION_ERROR, words: fault.in_words() }
    }
}

impl From<ConnectionFault> for FrameFault {
    fn from(fault: ConnectionFault) -> FrameFault {
        FrameFault::Connection(fault)
    }
}

impl From<StreamFault> for FrameFault {
    fn from(fault: StreamFault) -> FrameFault {
        FrameFault::Stream(fault)
    }
}
