//! What goes out: heads and content that exchanges have handed over, in the order of the engine's scheduler.

use std::cell::RefCell;
use std::future::Future;
use std::io::IoSlice;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::connection::Http2Serving;
use super::free_streams;
use super::stream_io::StreamIo;
use super::stream_state::{Sending, StreamLoss, StreamState};
use crate::h2::{ErrorCode, Http2Core, Http2ResponseHead, MessageEnd, NewRequest, SendSlot};
use crate::message::append_date;
use crate::server::cached_now;
use crate::server::close_reason::CloseReason;
use crate::server::scratch;

/// As many pieces one write has.
const MAX_SLICE_COUNT: usize = 32;
/// With so much to be written it is, before more content is fetched.
const ENOUGH_TO_WRITE_BYTES: usize = 24 << 10;
/// Content up to this size is sent at once though the line is full: it waits in less memory so than a stream.
const MAX_SMALL_BYTES: usize = 4 << 10;
/// As many `StreamIo`s a connection keeps while it is busy, and so much memory each.
const MAX_SPARE_COUNT: usize = 64;
const MAX_SPARE_BYTES: usize = 16 << 10;
/// For as many an idle connection keeps room.
const MAX_IDLE_SPARE_COUNT: usize = 4;
/// What a buffer may have grown to that a thread keeps, and how many of them.
const MAX_KEPT_BUFFER_BYTES: usize = 128 << 10;
const MAX_KEPT_BUFFER_COUNT: usize = 16;

thread_local! {
    /// Buffers for frames: lent to a connection while it has something to write.
    static BUFFERS: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

impl<F: Future<Output = Arc<StreamIo>> + Send + 'static> Http2Serving<F> {
    // ---------------------------------------------------------------- exchanges

    /// Sends the response of an exchange that ended at its first poll: at once where it is whole and fits the
    /// windows, and then it never had a stream.
    pub(super) fn respond(&mut self, request: NewRequest, stream_io: Arc<StreamIo>) {
        self.borrow_buffer();
        note_date(&mut self.traffic.date);
        let (core, date, is_blocked) = (&mut self.core, &self.traffic.date, self.traffic.is_blocked);
        let mut request = Some(request);
        stream_io.with_state(|state| {
            let content_len = state.write_buffer.bytes().len();
            if !state.is_whole() || (is_blocked && content_len > MAX_SMALL_BYTES) {
                return;
            }
            let Some(new) = request.take() else { return };
            let StreamState { head, write_buffer, sending, .. } = state;
            match core.respond(new, &head.to_encode(date), write_buffer.bytes()) {
                Ok(()) => {
                    *sending = Sending::Sent;
                    head.clear();
                    write_buffer.bytes().clear();
                }
                Err(new) => request = Some(new),
            }
        });
        match request {
            None => self.keep(stream_io),
            Some(new) => {
                self.open(new, &stream_io);
                self.end_exchange(stream_io);
            }
        }
    }

    /// An exchange is over. What is left to be sent of it is sent, and then its stream ends.
    #[allow(clippy::needless_pass_by_value, reason = "it is used again once nobody has it")]
    pub(super) fn end_exchange(&mut self, stream_io: Arc<StreamIo>) {
        let Some(slot) = stream_io.slot() else { return };
        stream_io.with_state(|state| state.is_over = true);
        drop(stream_io);
        self.look_at(slot);
        self.close_if_over(slot);
    }

    /// Ends the stream of an exchange that is over, once nothing of it is left to be sent. What the peer still
    /// sends is not wanted.
    pub(super) fn close_if_over(&mut self, slot: u32) {
        let is_over = |stream_io: &mut Arc<StreamIo>| stream_io.with_state(|state| state.is_done_with());
        if self.core.user(slot).is_some_and(is_over) {
            if let Some(stream_io) = self.core.close(slot, ErrorCode::INTERNAL_ERROR) {
                self.keep(stream_io);
            }
        }
    }

    /// Keeps a `StreamIo` for another exchange, unless a body that a handler has moved elsewhere still holds it.
    fn keep(&mut self, mut stream_io: Arc<StreamIo>) {
        if self.spare.len() < MAX_SPARE_COUNT
            && Arc::get_mut(&mut stream_io).is_some_and(|only| only.held() <= MAX_SPARE_BYTES)
        {
            self.spare.push(stream_io);
        }
    }

    // ---------------------------------------------------------------- streams

    /// Looks at the streams that were touched.
    pub(super) fn look_at_listed(&mut self) {
        let mut listed = std::mem::take(&mut self.traffic.listed);
        self.shared.signals.ready.take(&mut listed);
        for slot in listed.drain(..) {
            self.look_at(slot);
        }
        self.traffic.listed = listed;
    }

    /// Takes what an exchange has handed over: room that was read free, heads, and whether there is content.
    pub(super) fn look_at(&mut self, slot: u32) {
        let Some(stream_io) = self.core.user(slot).cloned() else { return };
        note_date(&mut self.traffic.date);
        let (core, date) = (&mut self.core, &self.traffic.date);
        let (consumed, has_outbound) = stream_io.look(|state| {
            send_heads(core, slot, state, date);
            state.room = core.room_of(slot);
            (state.take_consumed(), state.has_outbound())
        });
        if consumed > 0 {
            self.core.release(slot, consumed);
        }
        if has_outbound {
            self.core.want_to_send(slot);
        }
    }

    /// Sends the next frame of a stream whose turn it is.
    fn send_next(&mut self, asked: &SendSlot) {
        let Some(stream_io) = self.core.user(asked.slot).cloned() else { return self.core.no_content(asked) };
        let core = &mut self.core;
        let (sent, is_over) = stream_io.with_state(|state| {
            let sent = send_piece(core, asked, state);
            state.room = core.room_of(asked.slot);
            (sent, state.is_done_with())
        });
        self.traffic.content_bytes += sent as u64;
        if is_over {
            drop(stream_io);
            self.close_if_over(asked.slot);
        }
    }

    // ---------------------------------------------------------------- bytes

    /// Fetches what may be sent, and writes it. Ready when all of it has left, or why the connection is closed.
    pub(super) fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        loop {
            if !self.traffic.is_blocked {
                self.borrow_buffer();
                while self.core.output().len() < ENOUGH_TO_WRITE_BYTES {
                    let Some(asked) = self.core.next_to_send() else { break };
                    self.send_next(&asked);
                }
            }
            // While the line was full, or a layer below, nothing was fetched.
            let had_output = !self.core.output().is_empty() || self.traffic.is_blocked;
            ready!(self.poll_write(cx))?;
            // A connection that has failed asks no stream any more, though some wait to be asked.
            if !had_output || !self.core.has_output() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// Writes what waits, under the stall limit.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        match self.poll_write_all(cx) {
            Poll::Ready(written) => {
                self.traffic.is_blocked = false;
                self.write_limit.progressed();
                Poll::Ready(written.map_err(|error| {
                    self.note_disconnected(error.kind());
                    CloseReason::PeerGone
                }))
            }
            Poll::Pending => {
                self.traffic.is_blocked = true;
                ready!(self.write_limit.poll(&mut self.io.write_deadline, cx));
                Poll::Ready(Err(CloseReason::WriteFailed))
            }
        }
    }

    fn poll_write_all(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        while !self.core.output().is_empty() {
            let output = self.core.output();
            let written = match output.only_frames() {
                Some(frames) => ready!(self.io.poll_write(cx, &[IoSlice::new(frames)]))?,
                None => {
                    let mut slices = [IoSlice::new(&[]); MAX_SLICE_COUNT];
                    let count = output.slices(&mut slices);
                    ready!(self.io.poll_write(cx, slices.get(..count).unwrap_or_default()))?
                }
            };
            output.advance(written);
            self.traffic.is_unflushed = true;
            self.write_limit.progressed();
        }
        if self.traffic.is_unflushed {
            ready!(self.io.poll_flush(cx))?;
            self.traffic.is_unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn borrow_buffer(&mut self) {
        if self.core.output().wants_memory() {
            if let Some(buffer) = BUFFERS.with_borrow_mut(Vec::pop) {
                self.core.output().give_memory(buffer);
            }
        }
    }

    /// Gives back what nothing waits in.
    pub(super) fn release_memory(&mut self) {
        if let Some(buffer) = self.core.output().take_memory() {
            // Fails on a thread that is ending, when its thread-locals are gone already.
            let _ = BUFFERS.try_with(|kept| {
                let mut kept = kept.borrow_mut();
                if buffer.capacity() <= MAX_KEPT_BUFFER_BYTES && kept.len() < MAX_KEPT_BUFFER_COUNT {
                    kept.push(buffer);
                }
            });
        }
        if !self.is_idle() {
            return;
        }
        self.core.release_memory();
        self.waiting = Vec::new();
        self.traffic.listed = Vec::new();
        while let Some(stream_io) = self.spare.pop() {
            scratch::give_memory(stream_io.with_state(StreamState::release_memory));
            if let Some(context) = free_streams::release(stream_io) {
                self.spare_context = Some(context);
            }
        }
        // Room for a few costs less than to allocate it for each request that comes alone.
        if self.spare.capacity() > MAX_IDLE_SPARE_COUNT {
            self.spare = Vec::new();
        }
    }
}

/// The present time as a field's value, once a poll.
fn note_date(date: &mut Vec<u8>) {
    if date.is_empty() {
        append_date(date, cached_now::now().into_std());
    }
}

/// Sends the heads that a stream has handed over.
fn send_heads(core: &mut Http2Core<Arc<StreamIo>>, slot: u32, state: &mut StreamState, date: &[u8]) {
    for (status, header) in state.take_interim() {
        let status = status.as_u16();
        let head = Http2ResponseHead { status, header: &header, content_length: None, content_type: None, date: None };
        core.send_response(slot, &head, MessageEnd::MoreFollows);
    }
    if state.head.is_there() {
        let end = if state.head.ends { MessageEnd::Here } else { MessageEnd::MoreFollows };
        core.send_response(slot, &state.head.to_encode(date), end);
        state.head.clear();
        if end == MessageEnd::Here && state.sending == Sending::Ended {
            state.sending = Sending::Sent;
        }
    }
}

/// Sends the next piece of a stream, its end, or the reset that was to follow them. Returns how much content
/// that was.
fn send_piece(core: &mut Http2Core<Arc<StreamIo>>, asked: &SendSlot, state: &mut StreamState) -> usize {
    let Some(piece) = state.pop_outbound() else {
        send_end(core, asked, state);
        return 0;
    };
    let len = piece.len();
    let end = if state.is_last_piece() { MessageEnd::Here } else { MessageEnd::MoreFollows };
    let rest = core.send_content(asked, piece, end);
    let sent = len - rest.len();
    if !rest.is_empty() {
        state.put_back(rest);
    } else if end == MessageEnd::Here {
        state.sending = Sending::Sent;
    }
    if sent > 0 {
        state.sent_some();
    } else if let Some(code) = state.reset.take() {
        // The window is shut: what lies behind it is not waited for.
        core.reset_stream(asked.slot, code);
        state.lose(StreamLoss::ByUs);
    }
    sent
}

fn send_end(core: &mut Http2Core<Arc<StreamIo>>, asked: &SendSlot, state: &mut StreamState) {
    if state.sending == Sending::Ended {
        match state.take_trailer() {
            Some(trailer) => core.send_trailer(asked, &trailer),
            None => _ = core.send_slice(asked, &[], MessageEnd::Here),
        }
        state.sending = Sending::Sent;
        state.sent_some();
    } else if let Some(code) = state.reset.take() {
        core.reset_stream(asked.slot, code);
        state.lose(StreamLoss::ByUs);
    } else {
        core.no_content(asked);
    }
}
