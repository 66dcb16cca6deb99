//! What this side sends: heads at once, content as far as windows and buffer allow.

use bytes::Bytes;

use super::connection::Http2Core;
use super::event::{CoreStage, NewRequest, Role};
use super::fault::ErrorCode;
use super::fields_to_send::{Http2RequestHead, Http2ResponseHead, encode_request, encode_response, encode_trailer};
use super::frame::{FRAME_HEAD_BYTES, FrameFlags, FrameHead, FrameKind};
use super::limits::{ENOUGH_CLIENT_OUTPUT_BYTES, ENOUGH_OUTPUT_BYTES};
use super::priority::Priority;
use super::stream::{ClosedBy, ContentRule, ExpectedHead, Http2StreamState, SendWait};
use crate::message::Header;

/// Why a request cannot be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CannotBegin {
    /// The peer allows no more streams at a time; it can later.
    Full,
    /// The connection is ending, on either side.
    Going,
    /// All identifiers have been used (RFC 9113 §5.1.1).
    UsedUp,
}

/// A stream whose frame is next. It has to be answered by one of [`send_content`](Http2Core::send_content),
/// [`send_slice`](Http2Core::send_slice), [`send_trailer`](Http2Core::send_trailer),
/// [`no_content`](Http2Core::no_content), [`wait_for_window`](Http2Core::wait_for_window) and
/// [`close`](Http2Core::close).
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the stream would never be asked again"]
pub(crate) struct SendSlot {
    pub(crate) slot: u32,
    /// How much content the frame may have. 0: an end can be sent, and nothing else.
    pub(crate) room: usize,
}

/// Whether a message goes on behind what is sent now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MessageEnd {
    MoreFollows,
    Here,
}

impl MessageEnd {
    fn is_here(self) -> bool {
        self == MessageEnd::Here
    }
}

impl<T> Http2Core<T> {
    // ------------------------------------------------------------ heads

    /// Sends a whole response for a request that has no stream, where the windows allow it. Otherwise the
    /// request comes back, to be opened. A request whose content is still to come is reset behind it
    /// (RFC 9113 §8.1).
    pub(crate) fn respond(
        &mut self,
        request: NewRequest,
        head: &Http2ResponseHead<'_>,
        content: &[u8],
    ) -> Result<(), NewRequest> {
        if content.len() > self.room_at_once() {
            return Err(request);
        }
        let id = request.id;
        self.put_head(id, content.is_empty(), |core, into| encode_response(&mut core.encoder, into, head));
        self.send_window.take(content.len());
        let mut rest = content;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(self.peer.max_frame_bytes as usize));
            rest = after;
            let flags = FrameFlags::NONE.with(FrameFlags::END_STREAM, rest.is_empty());
            self.output.frame(FrameKind::Data, flags, id, piece);
            self.counts.sent_data();
        }
        self.counts.sent_message();
        if !request.ends {
            self.send_reset(id, ErrorCode::NO_ERROR);
            self.streams.remember_reset(id);
        }
        Ok(())
    }

    /// Refuses a request, which the client may send again (RFC 9113 §8.7).
    #[allow(clippy::needless_pass_by_value, reason = "a request is refused once")]
    pub(crate) fn refuse(&mut self, request: NewRequest) {
        let NewRequest { id, .. } = request;
        self.send_reset(id, ErrorCode::REFUSED_STREAM);
        self.streams.remember_reset(id);
    }

    /// Sends the head of a response; several where all but the last are interim ones. Returns whether the
    /// stream takes it.
    pub(crate) fn send_response(&mut self, slot: u32, head: &Http2ResponseHead<'_>, end: MessageEnd) -> bool {
        let Some(stream) = self.streams.get_mut(slot).filter(|stream| stream.state.can_send()) else { return false };
        let id = stream.id;
        if end.is_here() {
            stream.state = stream.state.end_sent();
            self.counts.sent_message();
        }
        self.put_head(id, end.is_here(), |core, into| encode_response(&mut core.encoder, into, head));
        true
    }

    /// Begins a request (client), and returns its slot.
    pub(crate) fn begin_request(
        &mut self,
        head: &Http2RequestHead<'_>,
        end: MessageEnd,
        user: T,
    ) -> Result<u32, CannotBegin> {
        let id = self.next_stream_id()?;
        self.last_stream_id = id;
        self.counts.began_request();
        let state = if end.is_here() { Http2StreamState::HalfClosedLocal } else { Http2StreamState::Open };
        let slot = self.insert_stream(id, state, (ExpectedHead::Response, None, Priority::UNAWARE), user);
        if let Some(stream) = self.streams.get_mut(slot) {
            stream.content_rule = match head.method {
                "HEAD" => ContentRule::ToHead,
                "CONNECT" => ContentRule::ToConnect,
                _ => ContentRule::Any,
            };
        }
        self.put_head(id, end.is_here(), |core, into| encode_request(&mut core.encoder, into, head));
        Ok(slot)
    }

    /// Whether a request can be begun now.
    pub(crate) fn check_begin(&self) -> Result<(), CannotBegin> {
        self.next_stream_id().map(|_| ())
    }

    fn next_stream_id(&self) -> Result<u32, CannotBegin> {
        if self.role == Role::Server
            || self.stage == CoreStage::Failed
            || self.is_going()
            || self.goaway.received_last.is_some()
        {
            return Err(CannotBegin::Going);
        }
        let id = if self.last_stream_id == 0 { 1 } else { self.last_stream_id + 2 };
        if id >= 1 << 31 {
            return Err(CannotBegin::UsedUp);
        }
        // RFC 9113 §5.1.2: those that are closed do not count, whether their slots are or not.
        let is_open = |slot: &u32| self.streams.get(*slot).is_some_and(|stream| !stream.state.is_closed());
        let max = self.peer.max_concurrent_streams.map_or(usize::MAX, |max| max as usize);
        if self.streams.len() >= max && self.streams.slots().filter(is_open).count() >= max {
            return Err(CannotBegin::Full);
        }
        Ok(id)
    }

    /// HEADERS, and CONTINUATION as far as the peer's frame size makes it necessary (RFC 9113 §4.3).
    fn put_head(&mut self, id: u32, ends: bool, encode: impl FnOnce(&mut Http2Core<T>, &mut Vec<u8>)) {
        let at = self.output.begin_frame();
        let mut buffer = std::mem::take(self.output.buffer());
        encode(self, &mut buffer);
        let len = buffer.len() - at - FRAME_HEAD_BYTES;
        let max = self.peer.max_frame_bytes as usize;
        let rest = if len > max { buffer.split_off(at + FRAME_HEAD_BYTES + max) } else { Vec::new() };
        *self.output.buffer() = buffer;
        let flags = FrameFlags::NONE.with(FrameFlags::END_STREAM, ends).with(FrameFlags::END_HEADERS, rest.is_empty());
        let head = FrameHead { len: len.min(max), kind: FrameKind::Headers, flags, stream_id: id };
        self.output.write_head(at, head);
        let mut pieces = rest.chunks(max).peekable();
        while let Some(piece) = pieces.next() {
            let flags = FrameFlags::NONE.with(FrameFlags::END_HEADERS, pieces.peek().is_none());
            self.output.frame(FrameKind::Continuation, flags, id, piece);
        }
    }

    // ------------------------------------------------------------ content

    /// The stream has something to send: content, or its end.
    pub(crate) fn want_to_send(&mut self, slot: u32) {
        let Some(stream) = self.streams.get(slot) else { return };
        match stream.send_wait {
            SendWait::Content | SendWait::StreamWindow if stream.state.can_send() => self.schedule(slot),
            SendWait::ConnectionWindow if stream.state.can_send() => {
                self.short_of_window.retain(|other| *other != slot);
                self.schedule(slot);
            }
            // It is asked anyway, or has ended.
            _ => {}
        }
    }

    /// Whether more should be made to be written.
    pub(crate) fn wants_content(&self) -> bool {
        let enough = if self.role == Role::Client { ENOUGH_CLIENT_OUTPUT_BYTES } else { ENOUGH_OUTPUT_BYTES };
        self.output.len() < enough
    }

    /// The stream whose frame is next. `None`: nobody has anything that can be sent now, or enough waits to
    /// be written.
    pub(crate) fn next_to_send(&mut self) -> Option<SendSlot> {
        while self.wants_content() && self.stage != CoreStage::Failed {
            let slot = self.scheduler.pop()?;
            let room = self.room(slot);
            let Some(stream) = self.streams.get_mut(slot) else { continue };
            stream.send_wait = SendWait::Content;
            if stream.state.can_send() {
                stream.send_wait = SendWait::Asked;
                return Some(SendSlot { slot, room });
            }
        }
        None
    }

    /// How much content a response could have that is sent at once, for a request without a stream.
    pub(crate) fn room_at_once(&self) -> usize {
        let window = self.send_window.available().min(i64::from(self.peer.initial_window_bytes));
        usize::try_from(window).unwrap_or_default()
    }

    /// How much the windows let a stream send now, in as many frames as that takes.
    pub(crate) fn room_of(&self, slot: u32) -> usize {
        let Some(stream) = self.streams.get(slot) else { return 0 };
        let window = stream.send_window.available(self.peer.initial_window_bytes).min(self.send_window.available());
        usize::try_from(window).unwrap_or_default()
    }

    fn room(&self, slot: u32) -> usize {
        self.room_of(slot).min(self.peer.max_frame_bytes as usize)
    }

    /// Sends content, no more than there is room for: what is beyond stays the driver's, and comes back.
    pub(crate) fn send_content(&mut self, asked: &SendSlot, mut content: Bytes, end: MessageEnd) -> Bytes {
        let rest = content.split_off(content.len().min(asked.room));
        let end = if rest.is_empty() { end } else { MessageEnd::MoreFollows };
        if let Some(id) = self.begin_content(asked, content.len(), end) {
            let flags = FrameFlags::NONE.with(FrameFlags::END_STREAM, end.is_here());
            let head = FrameHead { len: content.len(), kind: FrameKind::Data, flags, stream_id: id };
            self.output.buffer().extend_from_slice(&head.bytes());
            self.output.content(content);
        }
        rest
    }

    /// The same with content that is copied. Returns how much of it was sent.
    pub(crate) fn send_slice(&mut self, asked: &SendSlot, content: &[u8], end: MessageEnd) -> usize {
        let piece = content.get(..asked.room).unwrap_or(content);
        let end = if piece.len() == content.len() { end } else { MessageEnd::MoreFollows };
        let Some(id) = self.begin_content(asked, piece.len(), end) else { return 0 };
        let flags = FrameFlags::NONE.with(FrameFlags::END_STREAM, end.is_here());
        self.output.frame(FrameKind::Data, flags, id, piece);
        piece.len()
    }

    /// Takes the frame off the windows, and puts the stream back into the scheduler if it goes on. `None`:
    /// there is nothing to send, or nobody to send it to.
    fn begin_content(&mut self, asked: &SendSlot, len: usize, end: MessageEnd) -> Option<u32> {
        let stream = self.streams.get_mut(asked.slot).filter(|stream| stream.state.can_send())?;
        if len == 0 && !end.is_here() {
            // RFC 9113 §6.1 allows an empty frame, and peers count them as a flood.
            if asked.room == 0 {
                self.wait_for_window(asked);
            } else {
                self.no_content(asked);
            }
            return None;
        }
        let (id, priority) = (stream.id, stream.priority);
        stream.send_window.take(len);
        self.send_window.take(len);
        self.counts.sent_data();
        if end.is_here() {
            stream.state = stream.state.end_sent();
            stream.send_wait = SendWait::Content;
            self.counts.sent_message();
        } else {
            stream.send_wait = SendWait::Scheduled;
            self.scheduler.put_back(asked.slot, priority);
        }
        Some(id)
    }

    /// Sends a trailer section, which ends the message. It needs no window.
    pub(crate) fn send_trailer(&mut self, asked: &SendSlot, trailer: &Header) {
        let Some(stream) = self.streams.get_mut(asked.slot).filter(|stream| stream.state.can_send()) else { return };
        let id = stream.id;
        stream.state = stream.state.end_sent();
        stream.send_wait = SendWait::Content;
        self.counts.sent_message();
        self.put_head(id, true, |core, into| encode_trailer(&mut core.encoder, into, trailer));
    }

    /// The stream has nothing to send at present.
    pub(crate) fn no_content(&mut self, asked: &SendSlot) {
        if let Some(stream) = self.streams.get_mut(asked.slot).filter(|stream| stream.send_wait == SendWait::Asked) {
            stream.send_wait = SendWait::Content;
        }
    }

    /// The stream has content, and no room for it. It is asked again when the window opens that is shut.
    pub(crate) fn wait_for_window(&mut self, asked: &SendSlot) {
        let (slot, initial) = (asked.slot, self.peer.initial_window_bytes);
        let is_connection_open = self.send_window.available() > 0;
        let Some(stream) = self.streams.get_mut(slot).filter(|stream| stream.send_wait == SendWait::Asked) else {
            return;
        };
        if stream.send_window.available(initial) <= 0 {
            stream.send_wait = SendWait::StreamWindow;
        } else if !is_connection_open {
            stream.send_wait = SendWait::ConnectionWindow;
            self.short_of_window.push(slot);
        } else {
            // There is room: then it is asked again at once.
            self.schedule(slot);
        }
    }

    /// Resets a stream, whose slot remains.
    pub(crate) fn reset_stream(&mut self, slot: u32, code: ErrorCode) {
        let Some(stream) = self.streams.get(slot).filter(|stream| !stream.state.is_closed()) else { return };
        let id = stream.id;
        self.send_reset(id, code);
        self.set_closed(slot, ClosedBy::Us);
    }

    // ------------------------------------------------------------ the scheduler

    pub(super) fn schedule(&mut self, slot: u32) {
        if let Some(stream) = self.streams.get_mut(slot) {
            stream.send_wait = SendWait::Scheduled;
            self.scheduler.push(slot, stream.priority);
        }
    }

    /// The connection's window is open again.
    pub(super) fn schedule_short_of_window(&mut self) {
        for slot in std::mem::take(&mut self.short_of_window) {
            if self.streams.get(slot).is_some_and(|stream| stream.send_wait == SendWait::ConnectionWindow) {
                self.schedule(slot);
            }
        }
    }

    /// The windows of all streams have grown.
    pub(super) fn schedule_short_streams(&mut self) {
        let initial = self.peer.initial_window_bytes;
        let slots: Vec<u32> = self.streams.slots().collect();
        for slot in slots {
            let is_open_now = |stream: &&super::stream::StreamEntry<T>| {
                stream.send_wait == SendWait::StreamWindow && stream.send_window.available(initial) > 0
            };
            if self.streams.get(slot).filter(is_open_now).is_some() {
                self.schedule(slot);
            }
        }
    }

    pub(super) fn set_priority(&mut self, slot: u32, priority: Priority) {
        let Some(stream) = self.streams.get_mut(slot) else { return };
        let before = std::mem::replace(&mut stream.priority, priority);
        if stream.send_wait == SendWait::Scheduled && before != priority {
            self.scheduler.remove(slot, before);
            self.scheduler.push(slot, priority);
        }
    }
}
