//! The states of a stream (RFC 9113 §5.1), and the streams of a connection.

use std::collections::VecDeque;

use super::limits::KNOWN_RESET_COUNT;
use super::priority::Priority;
use super::window::{ReceiveWindow, StreamSendWindow};

/// RFC 9113 §5.1, without the states of pushed streams. An idle stream is one that is not there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Http2StreamState {
    Open,
    /// This side has sent its end.
    HalfClosedLocal,
    /// The peer has sent its end.
    HalfClosedRemote,
    Closed(ClosedBy),
}

/// How a stream came to be closed: that decides what becomes of frames that come for it still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClosedBy {
    /// Both sides have sent their ends.
    Ends,
    /// This side reset it. What the peer sent before it knew is ignored.
    Us,
    /// The peer reset it, and must not send anything more.
    Peer,
    /// It is above what the peer's GOAWAY says will be looked at (RFC 9113 §6.8).
    Goaway,
}

impl Http2StreamState {
    pub(crate) fn can_receive(self) -> bool {
        matches!(self, Http2StreamState::Open | Http2StreamState::HalfClosedLocal)
    }

    pub(crate) fn can_send(self) -> bool {
        matches!(self, Http2StreamState::Open | Http2StreamState::HalfClosedRemote)
    }

    pub(crate) fn is_closed(self) -> bool {
        matches!(self, Http2StreamState::Closed(_))
    }

    /// END_STREAM has come.
    pub(crate) fn end_received(self) -> Http2StreamState {
        match self {
            Http2StreamState::Open => Http2StreamState::HalfClosedRemote,
            Http2StreamState::HalfClosedLocal => Http2StreamState::Closed(ClosedBy::Ends),
            Http2StreamState::HalfClosedRemote | Http2StreamState::Closed(_) => self,
        }
    }

    /// END_STREAM was sent.
    pub(crate) fn end_sent(self) -> Http2StreamState {
        match self {
            Http2StreamState::Open => Http2StreamState::HalfClosedLocal,
            Http2StreamState::HalfClosedRemote => Http2StreamState::Closed(ClosedBy::Ends),
            Http2StreamState::HalfClosedLocal | Http2StreamState::Closed(_) => self,
        }
    }
}

/// What becomes of DATA or HEADERS for a stream that takes none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LateFrame {
    Ignore,
    /// RST_STREAM with STREAM_CLOSED.
    ResetStream,
    /// GOAWAY with STREAM_CLOSED.
    EndConnection,
}

impl LateFrame {
    /// RFC 9113 §5.1, for a stream in this state. `is_head`: HEADERS changes what both sides have in their
    /// tables, so that a peer that sends it on a closed stream has lost count of more than one stream.
    pub(crate) fn on(state: Http2StreamState, is_head: bool) -> LateFrame {
        match state {
            // "MUST ignore frames that it receives on closed streams after it has sent a RST_STREAM frame."
            Http2StreamState::Closed(ClosedBy::Us | ClosedBy::Goaway) => LateFrame::Ignore,
            // "MAY treat receipt of any other type of frame on a closed stream as a connection error."
            Http2StreamState::Closed(ClosedBy::Ends | ClosedBy::Peer) if is_head => LateFrame::EndConnection,
            // Half-closed (remote): a stream error. DATA shows no more than that its stream is another's.
            _ => LateFrame::ResetStream,
        }
    }
}

/// Why a stream that has something to send is not in the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendWait {
    /// It has nothing to send, as far as this side knows.
    Content,
    /// It is in the scheduler.
    Scheduled,
    /// It was taken from the scheduler, and the driver has not said yet what it sends.
    Asked,
    StreamWindow,
    ConnectionWindow,
}

/// Which head of the peer's comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExpectedHead {
    /// A client waits for the final response (RFC 9113 §8.1).
    Response,
    Trailer,
}

/// What the content of the peer's message may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContentRule {
    /// As long as `Content-Length` says, where it is there.
    Any,
    /// None, whatever the head says of a length: a response to HEAD (RFC 9110 §9.3.2).
    ToHead,
    /// That of the tunnel, whatever the head says, if the response is successful (RFC 9110 §9.3.6).
    ToConnect,
}

impl ContentRule {
    /// How much content comes behind a response of this status and announced length.
    pub(crate) fn content_of_response(self, status: u16, announced: Option<u64>) -> Option<u64> {
        match (self, status) {
            // RFC 9110 §8.6: a 304 has the length that a 200 would have.
            (ContentRule::ToHead, _) | (_, 204 | 304) | (ContentRule::ToConnect, 200..=299) => None,
            _ => announced,
        }
    }
}

#[derive(Debug)]
pub(crate) struct StreamEntry<T> {
    pub(crate) id: u32,
    pub(crate) state: Http2StreamState,
    pub(crate) expected: ExpectedHead,
    /// What `Content-Length` leaves to come.
    pub(crate) content_left: Option<u64>,
    pub(crate) receive_window: ReceiveWindow,
    /// Content that the driver has, and that is not released.
    pub(crate) unreleased: u32,
    /// What the small frames among it cost.
    pub(crate) small_data_bytes: u32,
    pub(crate) send_window: StreamSendWindow,
    pub(crate) send_wait: SendWait,
    pub(crate) priority: Priority,
    pub(crate) content_rule: ContentRule,
    pub(crate) user: T,
}

/// The streams that last: a slot for each, and their identifiers in order.
#[derive(Debug)]
pub(crate) struct StreamTable<T> {
    slots: Vec<Option<StreamEntry<T>>>,
    free: Vec<u32>,
    /// Identifier and slot. Streams begin in order, and nearly always the last one is asked for.
    index: Vec<(u32, u32)>,
    /// The last streams that this side has reset and that have no slot any more.
    known_resets: VecDeque<u32>,
    /// No stream above this one was reset here and is not among them.
    forgotten_up_to: u32,
}

impl<T> StreamTable<T> {
    pub(crate) const fn new() -> StreamTable<T> {
        StreamTable {
            slots: Vec::new(),
            free: Vec::new(),
            index: Vec::new(),
            known_resets: VecDeque::new(),
            forgotten_up_to: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    pub(crate) fn slot_of(&self, id: u32) -> Option<u32> {
        match self.index.last() {
            Some(&(last, slot)) if last == id => Some(slot),
            _ => Some(self.index.get(self.position(id).ok()?)?.1),
        }
    }

    pub(crate) fn get(&self, slot: u32) -> Option<&StreamEntry<T>> {
        self.slots.get(slot as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: u32) -> Option<&mut StreamEntry<T>> {
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    pub(crate) fn insert(&mut self, stream: StreamEntry<T>) -> u32 {
        let id = stream.id;
        let slot = self.free.pop().unwrap_or(self.slots.len() as u32);
        match self.slots.get_mut(slot as usize) {
            Some(place) => *place = Some(stream),
            None => self.slots.push(Some(stream)),
        }
        let at = self.position(id).unwrap_or_else(|at| at);
        self.index.insert(at, (id, slot));
        slot
    }

    pub(crate) fn remove(&mut self, slot: u32) -> Option<StreamEntry<T>> {
        let stream = self.slots.get_mut(slot as usize)?.take()?;
        if let Ok(at) = self.position(stream.id) {
            self.index.remove(at);
        }
        self.free.push(slot);
        if stream.state == Http2StreamState::Closed(ClosedBy::Us) {
            self.remember_reset(stream.id);
        }
        Some(stream)
    }

    /// Slots, by their identifiers from the lowest on.
    pub(crate) fn slots(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.index.iter().map(|(_, slot)| *slot)
    }

    /// A stream was reset that never had a slot, or has none any more.
    pub(crate) fn remember_reset(&mut self, id: u32) {
        if self.known_resets.len() >= KNOWN_RESET_COUNT {
            let forgotten = self.known_resets.pop_front().unwrap_or_default();
            self.forgotten_up_to = self.forgotten_up_to.max(forgotten);
        }
        self.known_resets.push_back(id);
    }

    /// How a stream without a slot ended, which is not idle. One that may be forgotten was reset here: to hold
    /// what comes for it against the peer, where it only has not heard of the reset, would end a connection
    /// that nothing is wrong with.
    pub(crate) fn state_of_gone(&self, id: u32) -> Http2StreamState {
        let may_be_reset = id <= self.forgotten_up_to || self.known_resets.contains(&id);
        Http2StreamState::Closed(if may_be_reset { ClosedBy::Us } else { ClosedBy::Ends })
    }

    /// Gives memory back that no stream needs. What was reset is known on: its frames may come yet.
    pub(crate) fn release_memory(&mut self) {
        if self.index.is_empty() {
            (self.slots, self.free, self.index) = (Vec::new(), Vec::new(), Vec::new());
        }
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn held(&self) -> usize {
        self.slots.capacity() * size_of::<Option<StreamEntry<T>>>()
            + (self.free.capacity() + self.known_resets.capacity() + 2 * self.index.capacity()) * size_of::<u32>()
    }

    fn position(&self, id: u32) -> Result<usize, usize> {
        self.index.binary_search_by_key(&id, |(id, _)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u32) -> StreamEntry<u32> {
        StreamEntry {
            id,
            state: Http2StreamState::Open,
            expected: ExpectedHead::Trailer,
            content_left: None,
            receive_window: ReceiveWindow::new(1),
            unreleased: 0,
            small_data_bytes: 0,
            send_window: StreamSendWindow::default(),
            send_wait: SendWait::Content,
            priority: Priority::DEFAULT,
            content_rule: ContentRule::Any,
            user: id * 10,
        }
    }

    #[test]
    fn a_stream_is_found_by_its_identifier_as_long_as_it_is_there() {
        let mut table = StreamTable::new();
        let slots: Vec<u32> = [1, 3, 9, 5].map(|id| table.insert(entry(id))).to_vec();
        for (id, slot) in [1, 3, 9, 5].into_iter().zip(&slots) {
            assert_eq!(table.slot_of(id), Some(*slot));
            assert_eq!(table.get(*slot).unwrap().user, id * 10);
        }
        assert_eq!((table.slot_of(7), table.slot_of(11), table.slot_of(0)), (None, None, None));
        assert_eq!(table.remove(slots[1]).unwrap().id, 3);
        assert_eq!((table.slot_of(3), table.len()), (None, 3));
        assert!(table.remove(slots[1]).is_none());
        assert_eq!(table.insert(entry(13)), slots[1], "its slot is used again");
        let order: Vec<u32> = table.slots().map(|slot| table.get(slot).unwrap().id).collect();
        assert_eq!(order, [1, 5, 9, 13]);
    }

    #[test]
    fn what_was_reset_here_is_known_and_what_may_have_been_is_taken_for_it() {
        let mut table = StreamTable::new();
        let slot = table.insert(entry(1));
        table.get_mut(slot).unwrap().state = Http2StreamState::Closed(ClosedBy::Us);
        table.remove(slot);
        assert_eq!(table.state_of_gone(1), Http2StreamState::Closed(ClosedBy::Us));
        assert_eq!(table.state_of_gone(3), Http2StreamState::Closed(ClosedBy::Ends));
        for id in 0..2 * KNOWN_RESET_COUNT as u32 {
            table.remember_reset(2 * id + 101);
        }
        for forgotten in [1, 3, 101, 2 * KNOWN_RESET_COUNT as u32 + 99] {
            assert_eq!(table.state_of_gone(forgotten), Http2StreamState::Closed(ClosedBy::Us), "{forgotten}");
        }
        let last = 4 * KNOWN_RESET_COUNT as u32 + 99;
        assert_eq!(table.state_of_gone(last), Http2StreamState::Closed(ClosedBy::Us));
        assert_eq!(table.state_of_gone(last + 2), Http2StreamState::Closed(ClosedBy::Ends), "and no more than that");
        table.release_memory();
        assert!(table.held() < 3 * KNOWN_RESET_COUNT * size_of::<u32>(), "{}", table.held());
    }

    #[test]
    fn a_stream_is_closed_when_both_ends_were_sent_in_either_order() {
        let ended = Http2StreamState::Closed(ClosedBy::Ends);
        assert_eq!(Http2StreamState::Open.end_sent().end_received(), ended);
        assert_eq!(Http2StreamState::Open.end_received().end_sent(), ended);
        let reset = Http2StreamState::Closed(ClosedBy::Peer);
        assert_eq!((reset.end_sent(), reset.end_received()), (reset, reset));
    }
}
