//! The end of a connection (RFC 9113 §6.8 and §5.4.1).

use super::connection::Http2Core;
use super::event::{CoreStage, PartialFrame, Role};
use super::fault::{ConnectionFault, ErrorCode};
use super::frame::{FrameFlags, FrameKind};

/// What the PING of a shutdown carries.
const SHUTDOWN_PING: [u8; 8] = *b"shutdown";

/// RFC 9113 §6.8: a GOAWAY that only announces the next one.
const LAST_POSSIBLE_STREAM_ID: u32 = (1 << 31) - 1;

impl<T> Http2Core<T> {
    /// Begins a graceful end (RFC 9113 §6.8): the peer is told that there will be one, and told for good with
    /// the last stream once all that was on its way has come, which the answer to a PING shows.
    pub(crate) fn begin_shutdown(&mut self) {
        if self.stage == CoreStage::Failed || self.goaway.awaits_pong || self.goaway.sent_last.is_some() {
            return;
        }
        if self.role == Role::Client {
            // A server opens no streams: there is nothing on its way.
            return self.goaway(ErrorCode::NO_ERROR, "");
        }
        self.goaway.awaits_pong = true;
        self.send_goaway(LAST_POSSIBLE_STREAM_ID, ErrorCode::NO_ERROR, "");
        self.ping(SHUTDOWN_PING);
    }

    /// Takes no more streams than those that have come.
    pub(crate) fn goaway(&mut self, code: ErrorCode, words: &str) {
        self.goaway.awaits_pong = false;
        // What the other side may open is what is named: this side looks at no stream of a server's.
        let last = if self.role == Role::Server { self.last_stream_id } else { 0 };
        // RFC 9113 §6.8: it must not grow.
        let last = self.goaway.sent_last.map_or(last, |before| before.min(last));
        self.goaway.sent_last = Some(last);
        self.send_goaway(last, code, words);
    }

    /// Whether GOAWAY was sent for good.
    pub(crate) fn is_going(&self) -> bool {
        self.goaway.sent_last.is_some()
    }

    /// Ends the connection for a fault of the peer's. What comes after is not looked at.
    pub(crate) fn fail(&mut self, fault: ConnectionFault) {
        if self.stage != CoreStage::Failed {
            self.goaway(fault.code, fault.words);
            self.stage = CoreStage::Failed;
            self.partial = PartialFrame::None;
            self.block = None;
        }
    }

    /// Whether the shutdown's PING has come back; then the last GOAWAY is sent.
    pub(super) fn take_shutdown_pong(&mut self, payload: [u8; 8]) -> bool {
        let is_it = self.goaway.awaits_pong && payload == SHUTDOWN_PING;
        if is_it {
            self.goaway(ErrorCode::NO_ERROR, "");
        }
        is_it
    }

    fn send_goaway(&mut self, last_stream_id: u32, code: ErrorCode, words: &str) {
        let mut payload = Vec::with_capacity(8 + words.len());
        payload.extend_from_slice(&last_stream_id.to_be_bytes());
        payload.extend_from_slice(&code.0.to_be_bytes());
        payload.extend_from_slice(words.as_bytes());
        self.output.frame(FrameKind::Goaway, FrameFlags::NONE, 0, &payload);
    }
}
