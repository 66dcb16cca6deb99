//! What the engine reports, told to the exchanges.

use super::super::error::ExchangeEnd;
use super::super::exchange_io::ReceivedResponse;
use super::super::request_head::allowed_trailer;
use super::Driver;
use crate::h2::fault::ErrorCode;
use crate::h2::{ClosedBy, CoreEvent};
use crate::message::Header;

impl Driver {
    pub(super) fn on_event(&mut self, event: CoreEvent<'_>) {
        match event {
            CoreEvent::Response { slot, status, ends } => self.on_response(slot, status, ends),
            CoreEvent::Data { slot, bytes } => self.on_content(slot, bytes),
            CoreEvent::Trailer { slot } => {
                let trailer = allowed_trailer(std::mem::take(&mut self.head.header));
                self.on_end(slot, Some(trailer));
            }
            CoreEvent::End { slot } => self.on_end(slot, None),
            CoreEvent::Reset { slot, by, code } => self.on_reset(slot, by, code),
            CoreEvent::Settings => self.on_settings(),
            CoreEvent::Pong(_) => self.keep_alive.on_pong(),
            CoreEvent::Goaway { code, .. } => self.on_goaway(code),
            // Only a server has them.
            CoreEvent::Request(request) => self.core.refuse(request),
        }
    }

    fn on_response(&mut self, slot: u32, status: u16, ends: bool) {
        let list = self.head.list();
        let content_length = self.head.content_length();
        let memory = self.spare_headers.pop().unwrap_or_default();
        let header = std::mem::replace(&mut self.head.header, memory);
        let response = ReceivedResponse {
            status,
            header,
            content_length,
            bytes: list.bytes,
            field_count: list.fields,
            is_too_large: list.is_too_large,
            ends,
        };
        let Some(io) = self.core.user(slot) else { return };
        let (reader, is_flood) = io.push_response(response, self.max_head_bytes);
        self.wakers.extend(reader);
        if is_flood {
            self.wakers.extend(io.set_closed(ExchangeEnd::TooManyInterims).into_iter().flatten());
            return self.end_stream(slot, ErrorCode::ENHANCE_YOUR_CALM);
        }
        if ends {
            self.end_if_over(slot);
        }
    }

    fn on_content(&mut self, slot: u32, bytes: &[u8]) {
        let Some(io) = self.core.user(slot) else { return };
        let (reader, is_wanted) = io.push_content(bytes);
        self.wakers.extend(reader);
        if !is_wanted {
            self.core.release(slot, bytes.len() as u32);
        }
    }

    fn on_end(&mut self, slot: u32, trailer: Option<Header>) {
        let Some(io) = self.core.user(slot) else { return };
        let reader = io.push_end(trailer);
        self.wakers.extend(reader);
        self.end_if_over(slot);
    }

    fn on_reset(&mut self, slot: u32, by: ClosedBy, code: ErrorCode) {
        let end = match by {
            ClosedBy::Us | ClosedBy::Ends => ExchangeEnd::AgainstRules,
            ClosedBy::Peer => ExchangeEnd::Reset(code),
            ClosedBy::Goaway => ExchangeEnd::NotTaken(self.goaway.unwrap_or(ErrorCode::NO_ERROR)),
        };
        let Some(io) = self.core.user(slot) else { return };
        let wakers = io.set_closed(end);
        self.wakers.extend(wakers.into_iter().flatten());
        self.end_if_over(slot);
    }

    fn on_settings(&mut self) {
        let max = self.core.peer_settings().max_concurrent_streams;
        if self.state.set_max_streams(max.map_or(usize::MAX, |max| max as usize)) {
            self.notifier.notify();
        }
        for io in std::mem::take(&mut self.awaiting_settings) {
            self.admit_extended_connect(io);
        }
    }

    /// The peer takes no more requests. Those that it has not looked at are reported one by one.
    fn on_goaway(&mut self, code: ErrorCode) {
        self.goaway = Some(code);
        if self.state.set_spent() {
            self.notifier.notify();
        }
    }
}
