//! DATA: content, and what it costs of the windows.

use super::connection::Http2Core;
use super::event::{CoreEvent, PartialFrame, Role};
use super::fault::{ConnectionFault, StreamFault};
use super::frame::{DataPadding, FRAME_HEAD_BYTES, FrameFlags, FrameHead, read_padding};
use super::input::{Taken, skip};
use super::limits::SMALL_DATA_BYTES;
use super::stream::{ContentRule, ExpectedHead, LateFrame};

impl<T> Http2Core<T> {
    /// RFC 9113 §6.1. The windows are settled by the head: all of a frame counts, also that of a stream
    /// that takes none, whose share is given back at once.
    pub(super) fn begin_data<'a>(
        &mut self,
        input: &mut &'a [u8],
        head: FrameHead,
    ) -> Result<Taken<'a>, ConnectionFault> {
        if self.is_idle(head.stream_id) {
            return Err(ConnectionFault::protocol("DATA on an idle stream"));
        }
        let Some(parts) = read_padding(head, input.get(FRAME_HEAD_BYTES).copied())? else { return Ok(Taken::NeedMore) };
        let DataPadding { before, content, after } = parts;
        let ends = head.flags.has(FrameFlags::END_STREAM);
        if content == 0 && !ends {
            self.counts.empty_data(&self.settings.limits, self.now_ms)?;
        }
        if !self.receive_window.take(head.len) {
            return Err(ConnectionFault::flow_control("more content than the connection's window allows"));
        }
        skip(input, FRAME_HEAD_BYTES + before);
        let slot = self.streams.slot_of(head.stream_id);
        let admitted = self.admit_data(head, content, slot, ends);
        let is_taken = matches!(admitted, Ok(true));
        self.partial = PartialFrame::Data { slot: slot.filter(|_| is_taken), content, padding: after, ends };
        if is_taken {
            if let Some(slot) = slot.filter(|_| content < SMALL_DATA_BYTES && !ends) {
                self.count_small_data(slot, (SMALL_DATA_BYTES - content) as u32)?;
            }
            let overhead = (head.len - content) as u32;
            if let Some(slot) = slot.filter(|_| overhead > 0) {
                self.release_padding(slot, overhead);
            }
            return Ok(Taken::GoOn);
        }
        self.release_connection(head.len as u32);
        match admitted {
            Ok(_) => {
                // Content that a client had asked for is under way when it gives the request up, as much as
                // the window allows; of a client's that is refused, there is no reason to send much.
                if self.role == Role::Server || content == 0 {
                    self.count_control()?;
                }
                Ok(Taken::GoOn)
            }
            Err(fault) => self.refuse_stream(head.stream_id, slot, fault).map(Taken::of),
        }
    }

    /// Whether a stream takes this frame, and takes it off its window. `false`: it is ignored.
    pub(super) fn admit_data(
        &mut self,
        head: FrameHead,
        content: usize,
        slot: Option<u32>,
        ends: bool,
    ) -> Result<bool, StreamFault> {
        let state = self.state_of(head.stream_id, slot);
        let stream = slot.and_then(|slot| self.streams.get_mut(slot)).filter(|stream| stream.state.can_receive());
        let Some(stream) = stream else {
            return match LateFrame::on(state, false) {
                LateFrame::Ignore => Ok(false),
                LateFrame::ResetStream | LateFrame::EndConnection => {
                    Err(StreamFault::closed("content on a stream that is closed"))
                }
            };
        };
        if stream.expected == ExpectedHead::Response {
            return Err(StreamFault::protocol("content before its head"));
        }
        // RFC 9113 §8.1.1.
        let content = content as u64;
        match stream.content_left {
            Some(left) if content > left => return Err(StreamFault::protocol("more content than was announced")),
            Some(left) if ends && content < left => {
                return Err(StreamFault::protocol("less content than was announced"));
            }
            _ => {}
        }
        if stream.content_rule == ContentRule::ToHead && content > 0 {
            return Err(StreamFault::protocol("content of a response that has none"));
        }
        if !stream.receive_window.take(head.len) {
            return Err(StreamFault::flow_control("more content than the stream's window allows"));
        }
        stream.content_left = stream.content_left.map(|left| left - content);
        Ok(true)
    }

    fn count_small_data(&mut self, slot: u32, cost: u32) -> Result<(), ConnectionFault> {
        if let Some(stream) = self.streams.get_mut(slot) {
            stream.small_data_bytes = stream.small_data_bytes.saturating_add(cost);
        }
        self.counts.small_data(&self.settings.limits, cost)
    }

    /// Padding is done with when it has come.
    pub(super) fn release_padding(&mut self, slot: u32, bytes: u32) {
        if self.streams.get(slot).is_some() {
            self.note_unread(slot, bytes);
            self.release(slot, bytes);
        }
    }

    /// So much of a stream has come that is not released.
    fn note_unread(&mut self, slot: u32, bytes: u32) {
        let Some(stream) = self.streams.get_mut(slot) else { return };
        stream.unreleased = stream.unreleased.saturating_add(bytes);
        self.unread_bytes += u64::from(bytes);
        if self.unread_bytes <= self.settings.max_unread_bytes {
            self.release_connection(bytes);
        } else {
            self.owed_bytes += u64::from(bytes);
        }
    }

    /// So much of it is released: the connection's window gets what it did not get when that came.
    pub(super) fn settle_unread(&mut self, bytes: u32) {
        self.unread_bytes = self.unread_bytes.saturating_sub(u64::from(bytes));
        let due = self.owed_bytes.min(u64::from(bytes));
        self.owed_bytes -= due;
        self.release_connection(due as u32);
    }

    /// The next piece of a DATA frame, and its end.
    pub(super) fn take_data<'a>(&mut self, input: &mut &'a [u8]) -> Taken<'a> {
        let PartialFrame::Data { slot, content, padding, ends } = &mut self.partial else { return Taken::GoOn };
        let (slot, ends) = (*slot, *ends);
        if *content > 0 {
            let (bytes, rest) = input.split_at(input.len().min(*content));
            *input = rest;
            *content -= bytes.len();
            if bytes.is_empty() {
                return Taken::NeedMore;
            }
            let Some(slot) = slot else { return Taken::GoOn };
            self.note_unread(slot, bytes.len() as u32);
            return Taken::Event(CoreEvent::Data { slot, bytes });
        }
        *padding -= skip(input, *padding);
        if *padding > 0 {
            return Taken::NeedMore;
        }
        self.partial = PartialFrame::None;
        let Some(slot) = slot.filter(|_| ends) else { return Taken::GoOn };
        let Some(stream) = self.streams.get_mut(slot) else { return Taken::GoOn };
        stream.state = stream.state.end_received();
        Taken::Event(CoreEvent::End { slot })
    }
}
