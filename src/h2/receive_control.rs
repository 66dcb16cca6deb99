//! Frames that bring neither a head nor content.

use super::connection::Http2Core;
use super::event::{CoreEvent, Role};
use super::fault::{ConnectionFault, ErrorCode, FrameFault};
use super::frame::{FrameFlags, FrameKind, SettingId, read_goaway, read_priority_update, read_settings};
use super::limits::check_output;
use super::priority::Priority;
use super::stream::{ClosedBy, SendWait};
use super::window::MAX_WINDOW_BYTES;

impl<T> Http2Core<T> {
    pub(super) fn on_reset(
        &mut self,
        stream_id: u32,
        code: ErrorCode,
    ) -> Result<Option<CoreEvent<'static>>, FrameFault> {
        if self.is_idle(stream_id) {
            return Err(ConnectionFault::protocol("RST_STREAM on an idle stream").into());
        }
        self.counts.reset(&self.settings.limits, self.now_ms)?;
        let Some(slot) = self.streams.slot_of(stream_id) else { return Ok(None) };
        if self.streams.get(slot).is_none_or(|stream| stream.state.is_closed()) {
            return Ok(None);
        }
        self.set_closed(slot, ClosedBy::Peer);
        Ok(Some(CoreEvent::Reset { slot, by: ClosedBy::Peer, code }))
    }

    pub(super) fn on_window_update(
        &mut self,
        stream_id: u32,
        by: u32,
    ) -> Result<Option<CoreEvent<'static>>, FrameFault> {
        if stream_id == 0 {
            if self.send_window.grow(by)? {
                self.schedule_short_of_window();
            }
            return Ok(None);
        }
        if self.is_idle(stream_id) {
            return Err(ConnectionFault::protocol("WINDOW_UPDATE on an idle stream").into());
        }
        // RFC 9113 §5.1: it may come for a stream that is closed by now.
        let Some(slot) = self.streams.slot_of(stream_id) else { return Ok(None) };
        let initial = self.peer.initial_window_bytes;
        let Some(stream) = self.streams.get_mut(slot).filter(|stream| !stream.state.is_closed()) else {
            return Ok(None);
        };
        stream.send_window.grow(initial, by)?;
        if stream.send_wait == SendWait::StreamWindow && stream.send_window.available(initial) > 0 {
            self.schedule(slot);
        }
        Ok(None)
    }

    /// RFC 9218 §7.1.
    pub(super) fn on_priority_update(&mut self, payload: &[u8]) -> Result<Option<CoreEvent<'static>>, FrameFault> {
        let update = read_priority_update(payload);
        if self.role == Role::Client {
            return Err(ConnectionFault::protocol("PRIORITY_UPDATE from a server").into());
        }
        if update.stream_id % 2 == 0 {
            // Stream 0, or one that only a push could open.
            return Err(ConnectionFault::protocol("PRIORITY_UPDATE for a stream that cannot be").into());
        }
        self.peer.knows_priorities = true;
        let priority = Priority::parse(update.value);
        if update.stream_id > self.last_stream_id {
            // One is remembered: a client says it just before the request, and a bound is needed.
            self.early_priority = Some((update.stream_id, priority));
        } else if let Some(slot) = self.streams.slot_of(update.stream_id) {
            self.set_priority(slot, priority);
        }
        Ok(None)
    }

    pub(super) fn on_settings(
        &mut self,
        flags: FrameFlags,
        payload: &[u8],
    ) -> Result<Option<CoreEvent<'static>>, FrameFault> {
        if flags.has(FrameFlags::ACK) {
            self.on_settings_acknowledged();
            return Ok(None);
        }
        let before = self.peer.initial_window_bytes;
        for setting in read_settings(payload) {
            if let Some(size) = self.peer.take(setting, self.role == Role::Client)? {
                self.encoder.set_max_table_bytes(size as usize);
            }
            if setting.id == SettingId::InitialWindowSize {
                self.check_stream_windows()?;
            }
        }
        check_output(self.output.len())?;
        self.output.frame(FrameKind::Settings, FrameFlags::ACK, 0, &[]);
        if self.peer.initial_window_bytes > before {
            self.schedule_short_streams();
        }
        Ok(Some(CoreEvent::Settings))
    }

    /// RFC 9113 §6.9.2: the change counts for every stream, and may be too much for one.
    pub(super) fn check_stream_windows(&self) -> Result<(), ConnectionFault> {
        let initial = self.peer.initial_window_bytes;
        let is_over = |slot| {
            let window = self.streams.get(slot).map(|stream| stream.send_window.available(initial));
            window.is_some_and(|window| window > MAX_WINDOW_BYTES)
        };
        if self.streams.slots().any(is_over) {
            return Err(ConnectionFault::flow_control("a window that is too large"));
        }
        Ok(())
    }

    /// RFC 9113 §6.5.3. One is under way; more acknowledgments than that mean nothing.
    pub(super) fn on_settings_acknowledged(&mut self) {
        if std::mem::replace(&mut self.settings.is_acknowledged, true) {
            return;
        }
        self.decoder.set_max_table_bytes(self.settings.header_table_bytes as usize);
        let slots: Vec<u32> = self.streams.slots().collect();
        for slot in slots {
            if let Some(stream) = self.streams.get_mut(slot) {
                stream.receive_window.is_known_now();
            }
        }
    }

    pub(super) fn on_ping(
        &mut self,
        flags: FrameFlags,
        payload: [u8; 8],
    ) -> Result<Option<CoreEvent<'static>>, FrameFault> {
        if !flags.has(FrameFlags::ACK) {
            check_output(self.output.len())?;
            self.output.frame(FrameKind::Ping, FrameFlags::ACK, 0, &payload);
            return Ok(None);
        }
        let is_own = self.take_shutdown_pong(payload);
        Ok(if is_own { None } else { Some(CoreEvent::Pong(payload)) })
    }

    pub(super) fn on_goaway(&mut self, payload: &[u8]) -> Result<Option<CoreEvent<'static>>, FrameFault> {
        let goaway = read_goaway(payload);
        // RFC 9113 §6.8: the last stream must not grow.
        let last = self.goaway.received_last.map_or(goaway.last_stream_id, |before| before.min(goaway.last_stream_id));
        self.goaway.received_last = Some(last);
        self.goaway.has_streams_above = self.role == Role::Client;
        Ok(Some(CoreEvent::Goaway { last_stream_id: last, code: goaway.code }))
    }

    /// One stream after the other, those above the last that the peer looks at are closed: it has done
    /// nothing for them, and they can be begun again elsewhere.
    pub(super) fn reset_above_goaway(&mut self) -> Option<CoreEvent<'static>> {
        let last = self.goaway.received_last?;
        let is_above =
            |slot: &u32| self.streams.get(*slot).is_some_and(|stream| stream.id > last && !stream.state.is_closed());
        let Some(slot) = self.streams.slots().rev().find(is_above) else {
            self.goaway.has_streams_above = false;
            return None;
        };
        self.set_closed(slot, ClosedBy::Goaway);
        Some(CoreEvent::Reset { slot, by: ClosedBy::Goaway, code: ErrorCode::REFUSED_STREAM })
    }
}
