//! What happens on a connection, and the states that it goes through.

use super::fault::ErrorCode;
use super::frame::FrameFlags;
use super::priority::Priority;
use super::stream::ClosedBy;

/// Which side of the connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Server,
}

/// What has happened. Heads are in the `ReceivedHead` that was lent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum CoreEvent<'a> {
    /// A request (server). It is to be answered, opened or refused before the next event is asked for.
    Request(NewRequest),
    /// A response (client). Interim ones, of a status below 200, may come before it.
    Response { slot: u32, status: u16, ends: bool },
    /// Content. It is to be released once it is done with.
    Data { slot: u32, bytes: &'a [u8] },
    /// A trailer section, which ends the peer's message.
    Trailer { slot: u32 },
    /// The peer's message is over, without a trailer section.
    End { slot: u32 },
    /// The stream is closed before its end. Its slot remains until the driver closes it.
    Reset { slot: u32, by: ClosedBy, code: ErrorCode },
    /// The peer's settings have come.
    Settings,
    /// The answer to a PING of the driver's.
    Pong([u8; 8]),
    /// The peer opens, or takes, no more streams. Those above `last_stream_id` follow as resets.
    Goaway { last_stream_id: u32, code: ErrorCode },
}

/// A request that has come and has no stream yet.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a request that is dropped is never answered"]
pub(crate) struct NewRequest {
    pub(super) id: u32,
    pub(super) ends: bool,
    pub(super) content_length: Option<u64>,
    pub(super) priority: Priority,
    pub(super) is_too_large: bool,
}

impl NewRequest {
    #[cfg(any(test, fuzzing))]
    pub(crate) fn stream_id(&self) -> u32 {
        self.id
    }

    /// Whether no content follows.
    pub(crate) fn ends(&self) -> bool {
        self.ends
    }

    /// Whether its fields went over the limits, so that some of them are missing.
    pub(crate) fn is_too_large(&self) -> bool {
        self.is_too_large
    }
}

/// How far the connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CoreStage {
    /// A server waits for the client's preface.
    Preface,
    /// The peer's first frame has to be SETTINGS (RFC 9113 §3.4).
    FirstSettings,
    Open,
    /// GOAWAY with a fault was sent: what comes is not looked at.
    Failed,
}

/// A frame that is not whole and has been begun.
#[derive(Debug)]
pub(super) enum PartialFrame {
    None,
    /// Of a frame that nobody wants.
    Skip(usize),
    /// The rest of a DATA frame. Without a slot it belongs to nobody, and its windows are settled.
    Data {
        slot: Option<u32>,
        content: usize,
        padding: usize,
        ends: bool,
    },
}

/// A header block whose last piece has not come.
#[derive(Debug)]
pub(super) struct OpenBlock {
    pub(super) stream_id: u32,
    pub(super) flags: FrameFlags,
    pub(super) depends_on_itself: bool,
    pub(super) bytes: Vec<u8>,
    pub(super) continuations: usize,
}

/// What was said and heard of GOAWAY (RFC 9113 §6.8).
#[derive(Debug, Default)]
pub(super) struct GoawayState {
    /// The last stream that this side will look at, once it has said so for good.
    pub(super) sent_last: Option<u32>,
    /// The first GOAWAY of a shutdown was sent, and its PING has not come back.
    pub(super) awaits_pong: bool,
    /// The last stream that the peer looks at.
    pub(super) received_last: Option<u32>,
    /// Streams above that may still be open.
    pub(super) has_streams_above: bool,
}
