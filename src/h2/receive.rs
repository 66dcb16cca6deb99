//! What each frame of the peer's does.

use super::connection::Http2Core;
use super::event::{CoreEvent, CoreStage, PartialFrame};
use super::fault::{ConnectionFault, FrameFault, StreamFault};
use super::frame::{
    CONNECTION_PREFACE, FRAME_HEAD_BYTES, FrameFlags, FrameHead, FrameKind, depends_on_itself, read_ping, read_reset,
    read_window_update,
};
use super::input::{Taken, skip};
use super::received_head::ReceivedHead;

impl<T> Http2Core<T> {
    /// The next event of this input, which is shortened by what was looked at. `None`: the rest is part of
    /// a frame, and is to be given again with what comes after it.
    ///
    /// A fault ends the connection: GOAWAY waits in the output, and no more input is looked at.
    pub(crate) fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
        head: &mut ReceivedHead,
    ) -> Result<Option<CoreEvent<'a>>, ConnectionFault> {
        loop {
            match self.take_some(input, head) {
                Ok(Taken::Event(event)) => return Ok(Some(event)),
                Ok(Taken::GoOn) => {}
                Ok(Taken::NeedMore) => return Ok(None),
                Err(fault) => {
                    self.fail(fault);
                    *input = &[];
                    return Err(fault);
                }
            }
        }
    }

    pub(super) fn take_some<'a>(
        &mut self,
        input: &mut &'a [u8],
        head: &mut ReceivedHead,
    ) -> Result<Taken<'a>, ConnectionFault> {
        if self.goaway.has_streams_above {
            if let Some(event) = self.reset_above_goaway() {
                return Ok(Taken::Event(event));
            }
        }
        match self.stage {
            CoreStage::Failed => {
                *input = &[];
                return Ok(Taken::NeedMore);
            }
            CoreStage::Preface => return self.take_preface(input),
            CoreStage::FirstSettings | CoreStage::Open => {}
        }
        match &mut self.partial {
            PartialFrame::None => self.take_frame(input, head),
            PartialFrame::Skip(left) => {
                *left -= skip(input, *left);
                if *left > 0 {
                    return Ok(Taken::NeedMore);
                }
                self.partial = PartialFrame::None;
                Ok(Taken::GoOn)
            }
            PartialFrame::Data { .. } => Ok(self.take_data(input)),
        }
    }

    /// RFC 9113 §3.4. A wrong byte is known before the rest has come: who speaks another protocol may wait
    /// for an answer.
    pub(super) fn take_preface<'a>(&mut self, input: &mut &'a [u8]) -> Result<Taken<'a>, ConnectionFault> {
        let len = CONNECTION_PREFACE.len().min(input.len());
        if input.get(..len) != CONNECTION_PREFACE.get(..len) {
            return Err(ConnectionFault::protocol("no connection preface"));
        }
        if len < CONNECTION_PREFACE.len() {
            return Ok(Taken::NeedMore);
        }
        skip(input, len);
        self.stage = CoreStage::FirstSettings;
        Ok(Taken::GoOn)
    }

    pub(super) fn take_frame<'a>(
        &mut self,
        input: &mut &'a [u8],
        received: &mut ReceivedHead,
    ) -> Result<Taken<'a>, ConnectionFault> {
        let Some(head) = FrameHead::read(input) else { return Ok(Taken::NeedMore) };
        self.check_order(head)?;
        match head.check(self.settings.max_frame_bytes) {
            Ok(()) => {}
            Err(FrameFault::Connection(fault)) => return Err(fault),
            Err(FrameFault::Stream(fault)) => {
                skip(input, FRAME_HEAD_BYTES);
                self.partial = PartialFrame::Skip(head.len);
                self.count_control()?;
                return self.on_stream_fault(head.stream_id, fault).map(Taken::of);
            }
        }
        if head.kind == FrameKind::Data {
            return self.begin_data(input, head);
        }
        if head.kind == FrameKind::Unknown {
            self.count_control()?;
            skip(input, FRAME_HEAD_BYTES);
            self.partial = PartialFrame::Skip(head.len);
            return Ok(Taken::GoOn);
        }
        let payload_end = FRAME_HEAD_BYTES + head.len;
        let Some((frame, rest)) = input.split_at_checked(payload_end) else { return Ok(Taken::NeedMore) };
        *input = rest;
        if self.stage == CoreStage::FirstSettings {
            self.stage = CoreStage::Open;
        }
        let payload = frame.get(FRAME_HEAD_BYTES..).unwrap_or_default();
        match self.on_frame(head, payload, received) {
            Ok(event) => Ok(Taken::of(event)),
            Err(FrameFault::Connection(fault)) => Err(fault),
            Err(FrameFault::Stream(fault)) => self.on_stream_fault(head.stream_id, fault).map(Taken::of),
        }
    }

    /// What may come at this place, whatever it is by itself.
    pub(super) fn check_order(&self, head: FrameHead) -> Result<(), ConnectionFault> {
        let is_settings = head.kind == FrameKind::Settings && !head.flags.has(FrameFlags::ACK);
        if self.stage == CoreStage::FirstSettings && !is_settings {
            // RFC 9113 §3.4.
            return Err(ConnectionFault::protocol("the first frame is not SETTINGS"));
        }
        // RFC 9113 §6.10: nothing, not even an unknown frame, stands between the pieces of a block.
        match &self.block {
            Some(block) if head.kind != FrameKind::Continuation || head.stream_id != block.stream_id => {
                Err(ConnectionFault::protocol("a header block is interrupted"))
            }
            None if head.kind == FrameKind::Continuation => {
                Err(ConnectionFault::protocol("CONTINUATION without a header block"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn on_frame(
        &mut self,
        head: FrameHead,
        payload: &[u8],
        received: &mut ReceivedHead,
    ) -> Result<Option<CoreEvent<'static>>, FrameFault> {
        if head.kind != FrameKind::Headers && head.kind != FrameKind::RstStream {
            self.count_control()?;
        }
        match head.kind {
            FrameKind::Headers => self.on_headers(head, payload, received),
            FrameKind::Continuation => self.on_continuation(head, payload, received),
            FrameKind::Priority if depends_on_itself(head.stream_id, payload) => {
                // Of RFC 7540 this alone is left; see `HeadersPayload`.
                Err(StreamFault::protocol("a stream depends on itself").into())
            }
            FrameKind::RstStream => self.on_reset(head.stream_id, read_reset(payload)),
            FrameKind::Settings => self.on_settings(head.flags, payload),
            // RFC 9113 §8.4: a client must not push, and a server was told not to.
            FrameKind::PushPromise => Err(ConnectionFault::protocol("PUSH_PROMISE").into()),
            FrameKind::Ping => self.on_ping(head.flags, read_ping(payload)),
            FrameKind::Goaway => self.on_goaway(payload),
            FrameKind::WindowUpdate => self.on_window_update(head.stream_id, read_window_update(payload)),
            FrameKind::PriorityUpdate => self.on_priority_update(payload),
            FrameKind::Data | FrameKind::Priority | FrameKind::Unknown => Ok(None),
        }
    }

    pub(super) fn count_control(&mut self) -> Result<(), ConnectionFault> {
        self.counts.control_frame(&self.settings.limits, self.now_ms)
    }

    /// Whether no stream of this identifier has begun (RFC 9113 §5.1.1).
    pub(super) fn is_idle(&self, stream_id: u32) -> bool {
        stream_id % 2 == 0 || stream_id > self.last_stream_id
    }

    pub(super) fn on_stream_fault(
        &mut self,
        stream_id: u32,
        fault: StreamFault,
    ) -> Result<Option<CoreEvent<'static>>, ConnectionFault> {
        if self.is_idle(stream_id) {
            // RFC 9113 §6.4: a stream that has not begun cannot be reset.
            return Err(ConnectionFault { code: fault.code, words: fault.words });
        }
        let slot = self.streams.slot_of(stream_id);
        self.refuse_stream(stream_id, slot, fault)
    }
}
