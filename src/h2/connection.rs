//! One connection: what has come in and what may go out, and nothing that waits.
//!
//! # How it is driven
//!
//! The driver hands [`next`](Http2Core::next) what it has read, and gets one event a call, until there is
//! none: then what is left of the input is part of a frame, and is given again with what comes after it.
//! Content is passed on as it comes; all other frames are taken whole. Time is a number that
//! [`set_now_ms`](Http2Core::set_now_ms) sets once for what was read together.
//!
//! Whatever is sent goes into [`output`](Http2Core::output). Heads go there at once. Content is *asked
//! for*: [`want_to_send`](Http2Core::want_to_send) puts a stream into the scheduler,
//! [`next_to_send`](Http2Core::next_to_send) names the stream whose frame is next and how much it may be,
//! and the driver answers with content, with the end, with nothing, or that it needs more room. Windows
//! are taken when a frame is made and are reserved for nobody, so that no stream can hold what another
//! needs.
//!
//! # Who wakes whom
//!
//! A stream is in exactly one [`SendWait`]: in the scheduler, asked at this moment, without content (the
//! driver calls `want_to_send`), or short of a window (the WINDOW_UPDATE or SETTINGS frame that opens it
//! puts the stream back). [`has_output`](Http2Core::has_output) says whether something can be written or
//! made without anything new coming in; a driver that has polled until it says no has left nothing behind.
//!
//! # Which streams there are
//!
//! A request is an event that carries a [`NewRequest`], and no stream yet. The driver answers it at once
//! ([`respond`](Http2Core::respond)), and then there never was one; or it opens a stream for it, which has a
//! slot until the driver closes it, however the stream itself ends before. So no slot changes its meaning
//! behind the driver's back, and the requests that a peer gave up count as long as somebody works on them.

use super::event::{CoreEvent, CoreStage, GoawayState, NewRequest, OpenBlock, PartialFrame, Role};
use super::fault::{ConnectionFault, ErrorCode, StreamFault};
use super::frame::{CONNECTION_PREFACE, FrameFlags, FrameKind};
use super::hpack::{HpackDecoder, HpackEncoder};
use super::limits::{ENOUGH_OUTPUT_BYTES, EngineLimits, FloodCounts};
use super::out_buffer::OutBuffer;
use super::priority::Priority;
use super::received_head::ExtendedConnect;
use super::scheduler::Scheduler;
use super::settings::{CoreSettings, PeerSettings};
use super::stream::{ClosedBy, ContentRule, ExpectedHead, Http2StreamState, SendWait, StreamEntry, StreamTable};
use super::window::{DEFAULT_WINDOW_BYTES, ReceiveWindow, SendWindow, StreamSendWindow};

/// A connection. `T` is what the driver keeps for each stream.
#[derive(Debug)]
pub(crate) struct Http2Core<T> {
    pub(super) role: Role,
    pub(super) stage: CoreStage,
    pub(super) settings: CoreSettings,
    pub(super) peer: PeerSettings,
    pub(super) output: OutBuffer,
    pub(super) streams: StreamTable<T>,
    pub(super) scheduler: Scheduler,
    /// Streams that wait for the connection's window.
    pub(super) short_of_window: Vec<u32>,
    pub(super) decoder: HpackDecoder,
    pub(super) encoder: HpackEncoder,
    pub(super) receive_window: ReceiveWindow,
    /// Content of all streams that is not released, and how much of it the connection's window waits for.
    pub(super) unread_bytes: u64,
    pub(super) owed_bytes: u64,
    pub(super) send_window: SendWindow,
    pub(super) partial: PartialFrame,
    pub(super) block: Option<Box<OpenBlock>>,
    pub(super) counts: FloodCounts,
    pub(super) now_ms: u64,
    /// The last stream that the client has begun: the peer, or this side.
    pub(super) last_stream_id: u32,
    /// The identifiers that the client passed over last: first and end.
    pub(super) skipped: (u32, u32),
    /// A priority that came before its stream (RFC 9218 §7.1).
    pub(super) early_priority: Option<(u32, Priority)>,
    pub(super) goaway: GoawayState,
}

impl<T> Http2Core<T> {
    /// A connection whose settings, and preface in the case of a client, wait in the output.
    pub(crate) fn new(role: Role, settings: CoreSettings) -> Http2Core<T> {
        let mut core = Http2Core {
            role,
            stage: if role == Role::Server { CoreStage::Preface } else { CoreStage::FirstSettings },
            settings,
            peer: PeerSettings::default(),
            output: OutBuffer::default(),
            streams: StreamTable::new(),
            scheduler: Scheduler::default(),
            short_of_window: Vec::new(),
            decoder: HpackDecoder::new(),
            encoder: HpackEncoder::with_limit(settings.encoder_table_bytes as usize),
            receive_window: ReceiveWindow::new(settings.connection_window_bytes.max(DEFAULT_WINDOW_BYTES)),
            unread_bytes: 0,
            owed_bytes: 0,
            send_window: SendWindow::new(),
            partial: PartialFrame::None,
            block: None,
            counts: FloodCounts::default(),
            now_ms: 0,
            last_stream_id: 0,
            skipped: (0, 0),
            early_priority: None,
            goaway: GoawayState::default(),
        };
        core.send_preface();
        core
    }

    /// Milliseconds since any moment, which must not go back.
    pub(crate) fn set_now_ms(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    /// What waits to be written.
    pub(crate) fn output(&mut self) -> &mut OutBuffer {
        &mut self.output
    }

    /// Whether something waits to be written, or can be made from what streams want to send.
    pub(crate) fn has_output(&self) -> bool {
        !self.output.is_empty() || !self.scheduler.is_empty()
    }

    /// Whether more should be read. Not while much waits to be written: a peer that makes this side answer
    /// has to take the answers.
    pub(crate) fn wants_input(&self) -> bool {
        self.output.len() < ENOUGH_OUTPUT_BYTES
    }

    /// Whether the peer has said its settings, which end its preface.
    pub(crate) fn has_begun(&self) -> bool {
        !matches!(self.stage, CoreStage::Preface | CoreStage::FirstSettings)
    }

    /// Whether the rest of a head, or of any frame but one of content, is waited for: the peer owes it.
    /// `unread` is what [`next`](Self::next) has left of the input.
    pub(crate) fn is_mid_head(&self, unread: &[u8]) -> bool {
        self.block.is_some() || !unread.is_empty() || matches!(self.partial, PartialFrame::Skip(_))
    }

    /// The last stream that the client has begun.
    pub(crate) fn last_stream_id(&self) -> u32 {
        self.last_stream_id
    }

    /// How many streams have a slot.
    pub(crate) fn stream_count(&self) -> usize {
        self.streams.len()
    }

    pub(crate) fn user(&mut self, slot: u32) -> Option<&mut T> {
        Some(&mut self.streams.get_mut(slot)?.user)
    }

    pub(crate) fn stream_id(&self, slot: u32) -> Option<u32> {
        Some(self.streams.get(slot)?.id)
    }

    pub(crate) fn stream_state(&self, slot: u32) -> Option<Http2StreamState> {
        Some(self.streams.get(slot)?.state)
    }

    /// How much of a stream's content was handed out and not released.
    pub(crate) fn unreleased(&self, slot: u32) -> u32 {
        self.streams.get(slot).map_or(0, |stream| stream.unreleased)
    }

    /// The slots of all streams, in the order in which these began.
    pub(crate) fn slots(&self) -> impl DoubleEndedIterator<Item = u32> {
        self.streams.slots()
    }

    pub(crate) fn peer_settings(&self) -> &PeerSettings {
        &self.peer
    }

    /// Gives a request a stream.
    #[allow(clippy::needless_pass_by_value, reason = "a request is opened once")]
    pub(crate) fn open(&mut self, request: NewRequest, user: T) -> u32 {
        let NewRequest { id, ends, content_length, priority, .. } = request;
        let state = if ends { Http2StreamState::HalfClosedRemote } else { Http2StreamState::Open };
        self.insert_stream(id, state, (ExpectedHead::Trailer, content_length, priority), user)
    }

    pub(super) fn insert_stream(
        &mut self,
        id: u32,
        state: Http2StreamState,
        (expected, content_left, priority): (ExpectedHead, Option<u64>, Priority),
        user: T,
    ) -> u32 {
        let receive_window = if self.settings.is_acknowledged {
            ReceiveWindow::new(self.settings.stream_window_bytes)
        } else {
            ReceiveWindow::not_known_yet(self.settings.stream_window_bytes)
        };
        self.streams.insert(StreamEntry {
            id,
            state,
            expected,
            content_left,
            receive_window,
            unreleased: 0,
            small_data_bytes: 0,
            send_window: StreamSendWindow::default(),
            send_wait: SendWait::Content,
            priority,
            content_rule: ContentRule::Any,
            user,
        })
    }

    /// So much content of a stream is done with: the peer may send as much again.
    pub(crate) fn release(&mut self, slot: u32, bytes: u32) {
        let Some(stream) = self.streams.get_mut(slot) else { return };
        // More than came is released by nobody; a mistake must not widen the windows.
        let bytes = bytes.min(stream.unreleased);
        stream.unreleased -= bytes;
        let id = stream.id;
        let by = if stream.state.can_receive() { stream.receive_window.release(bytes) } else { None };
        if stream.unreleased == 0 && stream.small_data_bytes > 0 {
            self.counts.small_data_was_read(std::mem::take(&mut stream.small_data_bytes));
        }
        if let Some(by) = by {
            self.send_window_update(id, by);
        }
        self.settle_unread(bytes);
    }

    pub(super) fn release_connection(&mut self, bytes: u32) {
        if let Some(by) = self.receive_window.release(bytes) {
            self.send_window_update(0, by);
        }
    }

    /// Ends a stream's slot. What the stream has not ended by itself is reset: with NO_ERROR where this
    /// side has sent all of its message (RFC 9113 §8.1), else with `code`. Content that nobody has read makes
    /// room for that of other streams.
    pub(crate) fn close(&mut self, slot: u32, code: ErrorCode) -> Option<T> {
        let stream = self.streams.get_mut(slot)?;
        let (id, state, unreleased) = (stream.id, stream.state, std::mem::take(&mut stream.unreleased));
        self.counts.small_data_was_read(std::mem::take(&mut stream.small_data_bytes));
        self.settle_unread(unreleased);
        match state {
            Http2StreamState::Closed(_) => {}
            Http2StreamState::HalfClosedLocal if self.role == Role::Server => self.reset(slot, id, ErrorCode::NO_ERROR),
            _ => self.reset(slot, id, code),
        }
        self.forget_waits(slot);
        self.streams.remove(slot).map(|stream| stream.user)
    }

    fn reset(&mut self, slot: u32, id: u32, code: ErrorCode) {
        self.send_reset(id, code);
        self.set_closed(slot, ClosedBy::Us);
    }

    /// The stream is closed. What is still to come of a frame for it belongs to nobody now.
    pub(super) fn set_closed(&mut self, slot: u32, by: ClosedBy) {
        if let Some(stream) = self.streams.get_mut(slot) {
            stream.state = Http2StreamState::Closed(by);
        }
        self.drop_rest_of_data(slot);
        self.forget_waits(slot);
    }

    /// The rest of a DATA frame was counted with its head, and is in no driver's hands: it is released.
    fn drop_rest_of_data(&mut self, slot: u32) {
        let PartialFrame::Data { slot: of, content, .. } = &mut self.partial else { return };
        if *of != Some(slot) {
            return;
        }
        *of = None;
        let rest = *content as u32;
        self.release_connection(rest);
    }

    fn forget_waits(&mut self, slot: u32) {
        let Some(stream) = self.streams.get_mut(slot) else { return };
        match std::mem::replace(&mut stream.send_wait, SendWait::Content) {
            SendWait::Scheduled => self.scheduler.remove(slot, stream.priority),
            SendWait::ConnectionWindow => self.short_of_window.retain(|other| *other != slot),
            SendWait::Content | SendWait::Asked | SendWait::StreamWindow => {}
        }
    }

    pub(super) fn extended_connect(&self) -> ExtendedConnect {
        if self.settings.enables_connect_protocol { ExtendedConnect::Known } else { ExtendedConnect::Unknown }
    }

    pub(super) fn limits(&self) -> &EngineLimits {
        &self.settings.limits
    }

    /// Gives memory back while no stream is there and nothing waits. What the tables hold stays.
    pub(crate) fn release_memory(&mut self) {
        self.output.release_memory();
        self.streams.release_memory();
        self.scheduler.release_memory();
        if self.short_of_window.is_empty() {
            self.short_of_window = Vec::new();
        }
    }

    /// The bytes that it holds in memory beside its own size.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn held(&self) -> usize {
        self.output.held()
            + self.streams.held()
            + self.scheduler.held()
            + self.short_of_window.capacity() * size_of::<u32>()
            + self.decoder.held()
            + self.encoder.held()
            + self.block.as_ref().map_or(0, |block| size_of::<OpenBlock>() + block.bytes.capacity())
    }

    // -------------------------------------------------------- frames that are sent whatever the streams are

    /// RFC 9113 §3.4.
    fn send_preface(&mut self) {
        if self.role == Role::Client {
            self.output.buffer().extend_from_slice(CONNECTION_PREFACE);
        }
        let mut payload = Vec::with_capacity(48);
        for setting in self.settings.to_send(self.role == Role::Client) {
            payload.extend_from_slice(&setting.bytes());
        }
        self.output.frame(FrameKind::Settings, FrameFlags::NONE, 0, &payload);
        let more = self.settings.connection_window_bytes.saturating_sub(DEFAULT_WINDOW_BYTES);
        if more > 0 {
            self.send_window_update(0, more);
        }
    }

    pub(crate) fn ping(&mut self, payload: [u8; 8]) {
        self.output.frame(FrameKind::Ping, FrameFlags::NONE, 0, &payload);
    }

    pub(super) fn send_reset(&mut self, id: u32, code: ErrorCode) {
        if self.stage == CoreStage::Failed {
            return;
        }
        self.output.frame(FrameKind::RstStream, FrameFlags::NONE, id, &code.0.to_be_bytes());
    }

    fn send_window_update(&mut self, id: u32, by: u32) {
        if self.stage != CoreStage::Failed {
            self.output.frame(FrameKind::WindowUpdate, FrameFlags::NONE, id, &by.to_be_bytes());
        }
    }

    /// Resets a stream for what the peer did; `None` where it has no slot.
    pub(super) fn refuse_stream(
        &mut self,
        id: u32,
        slot: Option<u32>,
        fault: StreamFault,
    ) -> Result<Option<CoreEvent<'static>>, ConnectionFault> {
        self.counts.local_reset(&self.settings.limits, self.now_ms)?;
        self.send_reset(id, fault.code);
        let Some(slot) = slot else {
            self.streams.remember_reset(id);
            return Ok(None);
        };
        let was_closed = self.streams.get(slot).is_none_or(|stream| stream.state.is_closed());
        self.set_closed(slot, ClosedBy::Us);
        let event = CoreEvent::Reset { slot, by: ClosedBy::Us, code: fault.code };
        Ok(if was_closed { None } else { Some(event) })
    }
}
