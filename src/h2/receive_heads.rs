//! Header blocks: requests, responses and trailer sections.

use super::connection::Http2Core;
use super::event::{CoreEvent, NewRequest, OpenBlock, Role};
use super::fault::{ConnectionFault, ErrorCode, FrameFault, StreamFault};
use super::frame::{FrameFlags, FrameHead, read_headers};
use super::priority::Priority;
use super::received_head::ReceivedHead;
use super::stream::{ClosedBy, ExpectedHead, Http2StreamState, LateFrame};

const FAR_TOO_MANY_FIELDS: &str = "far too many header fields";

impl<T> Http2Core<T> {
    pub(super) fn on_headers(
        &mut self,
        head: FrameHead,
        payload: &[u8],
        received: &mut ReceivedHead,
    ) -> Result<Option<CoreEvent<'static>>, FrameFault> {
        self.check_headers_stream(head.stream_id)?;
        let parts = read_headers(head, payload)?;
        if !head.flags.has(FrameFlags::END_HEADERS) {
            self.block = Some(Box::new(OpenBlock {
                stream_id: head.stream_id,
                flags: head.flags,
                depends_on_itself: parts.depends_on_itself,
                bytes: parts.block.to_vec(),
                continuations: 0,
            }));
            return Ok(None);
        }
        self.on_block(head, parts.block, parts.depends_on_itself, received)
    }

    /// RFC 9113 §5.1.1: a client's streams are odd, and a server opens none here.
    pub(super) fn check_headers_stream(&self, stream_id: u32) -> Result<(), ConnectionFault> {
        match self.role {
            Role::Server if stream_id % 2 == 0 => {
                Err(ConnectionFault::protocol("a stream of a client with an even number"))
            }
            Role::Client if self.is_idle(stream_id) => Err(ConnectionFault::protocol("HEADERS on an idle stream")),
            _ => Ok(()),
        }
    }

    pub(super) fn on_continuation(
        &mut self,
        head: FrameHead,
        payload: &[u8],
        received: &mut ReceivedHead,
    ) -> Result<Option<CoreEvent<'static>>, FrameFault> {
        // `check_order` has let it through: there is a block.
        let Some(mut block) = self.block.take() else { return Ok(None) };
        block.continuations += 1;
        let max_count = self.limits().max_continuation_count(self.settings.max_frame_bytes);
        if block.continuations > max_count {
            return Err(ConnectionFault::calm("too many CONTINUATION frames").into());
        }
        if block.bytes.len() + payload.len() > self.limits().max_block_bytes() {
            return Err(ConnectionFault::calm(FAR_TOO_MANY_FIELDS).into());
        }
        block.bytes.extend_from_slice(payload);
        if !head.flags.has(FrameFlags::END_HEADERS) {
            self.block = Some(block);
            return Ok(None);
        }
        let of_headers = FrameHead { flags: block.flags, ..head };
        self.on_block(of_headers, &block.bytes, block.depends_on_itself, received)
    }

    /// A whole block. It is decoded before anything else is asked: both sides' tables go on with it.
    pub(super) fn on_block(
        &mut self,
        head: FrameHead,
        block: &[u8],
        depends_on_itself: bool,
        received: &mut ReceivedHead,
    ) -> Result<Option<CoreEvent<'static>>, FrameFault> {
        received.clear();
        let list = self.decoder.decode(block, self.settings.limits.list, received).map_err(ConnectionFault::from)?;
        received.finish(list);
        if list.bytes > self.limits().max_decoded_bytes() {
            return Err(ConnectionFault::calm(FAR_TOO_MANY_FIELDS).into());
        }
        let ends = head.flags.has(FrameFlags::END_STREAM);
        let is_new = self.role == Role::Server && head.stream_id > self.last_stream_id;
        if is_new {
            if head.stream_id > self.last_stream_id + 2 {
                self.skipped = (self.last_stream_id + 1, head.stream_id);
            }
            self.last_stream_id = head.stream_id;
        }
        if depends_on_itself {
            return Err(StreamFault::protocol("a stream depends on itself").into());
        }
        if is_new { self.on_request(head.stream_id, ends, received) } else { self.on_next_head(head, ends, received) }
    }

    pub(super) fn on_request(
        &mut self,
        stream_id: u32,
        ends: bool,
        received: &ReceivedHead,
    ) -> Result<Option<CoreEvent<'static>>, FrameFault> {
        let early = self.early_priority.take_if(|(id, _)| *id <= stream_id).filter(|(id, _)| *id == stream_id);
        if self.goaway.sent_last.is_some_and(|last| stream_id > last) {
            // RFC 9113 §6.8: what comes above the last stream may be ignored. It costs work all the same.
            self.streams.remember_reset(stream_id);
            self.count_control()?;
            return Ok(None);
        }
        if self.streams.len() >= self.settings.max_concurrent_streams as usize {
            // RFC 9113 §5.1.2 and §8.7: the client may send it again.
            let words = "more streams than are allowed at a time";
            return Err(StreamFault { code: ErrorCode::REFUSED_STREAM, words }.into());
        }
        let facts = received.check_request(ends, self.extended_connect()).map_err(StreamFault::protocol)?;
        self.peer.knows_priorities |= early.is_some() || facts.priority.is_some();
        let unsaid = if self.peer.knows_priorities { Priority::DEFAULT } else { Priority::UNAWARE };
        // RFC 9218 §7: a frame for a stream that comes before it counts more than the field.
        let priority = early.map(|(_, priority)| priority).or(facts.priority).unwrap_or(unsaid);
        Ok(Some(CoreEvent::Request(NewRequest {
            id: stream_id,
            ends,
            content_length: facts.content_length,
            priority,
            is_too_large: received.list().is_too_large,
        })))
    }

    /// The head of a response, or a trailer section.
    pub(super) fn on_next_head(
        &mut self,
        head: FrameHead,
        ends: bool,
        received: &ReceivedHead,
    ) -> Result<Option<CoreEvent<'static>>, FrameFault> {
        let slot = self.streams.slot_of(head.stream_id);
        let stream = slot.and_then(|slot| Some((slot, self.streams.get_mut(slot)?)));
        let Some((slot, stream)) = stream.filter(|(_, stream)| stream.state.can_receive()) else {
            return self.on_late_head(head.stream_id, slot);
        };
        if stream.expected == ExpectedHead::Trailer {
            received.check_trailer(ends).map_err(StreamFault::protocol)?;
            if stream.content_left.is_some_and(|left| left > 0) {
                // RFC 9113 §8.1.1.
                return Err(StreamFault::protocol("less content than was announced").into());
            }
            stream.state = stream.state.end_received();
            return Ok(Some(CoreEvent::Trailer { slot }));
        }
        let status = received.check_response(ends).map_err(StreamFault::protocol)?;
        if status < 200 {
            // No limit of the protocol's: a server could send them for ever.
            self.counts.control_frame(&self.settings.limits, self.now_ms)?;
        } else {
            stream.expected = ExpectedHead::Trailer;
            stream.content_left = stream.content_rule.content_of_response(status, received.content_length());
            if ends && stream.content_left.is_some_and(|left| left > 0) {
                return Err(StreamFault::protocol("content that was announced and does not come").into());
            }
        }
        if ends {
            stream.state = stream.state.end_received();
        }
        Ok(Some(CoreEvent::Response { slot, status, ends }))
    }

    pub(super) fn on_late_head(
        &mut self,
        stream_id: u32,
        slot: Option<u32>,
    ) -> Result<Option<CoreEvent<'static>>, FrameFault> {
        match LateFrame::on(self.state_of(stream_id, slot), true) {
            LateFrame::Ignore => {
                self.count_control()?;
                Ok(None)
            }
            LateFrame::ResetStream => Err(StreamFault::closed("a head on a stream that is half-closed").into()),
            // RFC 9113 §5.1.1: it is closed, since a higher one has begun, and never was anything else.
            LateFrame::EndConnection if (self.skipped.0..self.skipped.1).contains(&stream_id) => {
                Err(ConnectionFault::protocol("a stream that is lower than the last one").into())
            }
            LateFrame::EndConnection => Err(ConnectionFault::closed("a head on a closed stream").into()),
        }
    }

    pub(super) fn state_of(&self, stream_id: u32, slot: Option<u32>) -> Http2StreamState {
        if let Some(stream) = slot.and_then(|slot| self.streams.get(slot)) {
            return stream.state;
        }
        // The driver may have closed its slot before all came that the server had sent of it.
        if self.role == Role::Client && self.goaway.received_last.is_some_and(|last| stream_id > last) {
            return Http2StreamState::Closed(ClosedBy::Goaway);
        }
        self.streams.state_of_gone(stream_id)
    }
}
