//! What comes in: read, taken in event by event, and begun.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Buf;
use tokio::time::Instant;

use super::connection::{Http2Serving, MAX_BEGUN_IN_A_ROW_COUNT, stream_limits};
use super::exchange::{StartedExchange, StreamsShared};
use super::exchanges::Begun;
use super::free_streams;
use super::request::fill_request;
use super::stream_io::{StreamContext, StreamIo};
use super::stream_state::StreamLoss;
use crate::h2::{ClosedBy, ConnectionFault, CoreEvent, NewRequest, ReceivedHead};
use crate::message::ConnContext;
use crate::net::TransferDeadlines;
use crate::server::event::ConnState;
use crate::server::scratch;

/// As many reads a round has. What they bring is answered in one write.
const MAX_READ_COUNT: usize = 4;
/// With less room than this behind part of a frame, a read would bring crumbs.
const MIN_READ_BYTES: usize = 8 << 10;
/// What a head holds that is kept for the next one.
const MAX_KEPT_HEAD_BYTES: usize = 32 << 10;

const GIVEN_UP: ConnectionFault = ConnectionFault::calm("too many requests were given up before they were taken");

thread_local! {
    /// What heads are decoded into: lent to a connection for one poll.
    static RECEIVED: Cell<Option<Box<ReceivedHead>>> = const { Cell::new(None) };
}

impl<F: Future<Output = Arc<StreamIo>> + Send + 'static> Http2Serving<F> {
    /// Reads and takes in what there is, and returns whether there may be more. If not, the task is woken when
    /// more comes, or nothing can come.
    pub(super) fn poll_input(&mut self, cx: &mut Context<'_>) -> bool {
        let mut received = RECEIVED.take().unwrap_or_default();
        let mut may_have_more = false;
        for _ in 0..MAX_READ_COUNT {
            self.traffic.is_held_up = !self.core.wants_input();
            if self.fault.is_some() || self.traffic.is_held_up {
                break;
            }
            if !std::mem::take(&mut self.traffic.has_unseen) {
                match self.io.poll_fill(cx) {
                    Poll::Ready(Ok(1..)) => self.traffic.reads += 1,
                    Poll::Ready(Ok(0)) => {
                        self.note_disconnected(io::ErrorKind::UnexpectedEof);
                        break;
                    }
                    Poll::Ready(Err(error)) => {
                        self.note_disconnected(error.kind());
                        break;
                    }
                    Poll::Pending => {
                        may_have_more = false;
                        break;
                    }
                }
            }
            may_have_more = true;
            self.take_in(&mut received, cx);
            if self.traffic.has_unseen {
                break;
            }
        }
        self.begin_waiting(cx);
        if received.header.held() <= MAX_KEPT_HEAD_BYTES {
            RECEIVED.set(Some(received));
        }
        may_have_more
    }

    /// Takes in the input. As many requests as may begin in a row are begun; the rest stays.
    fn take_in(&mut self, received: &mut ReceivedHead, cx: &mut Context<'_>) {
        let mut input = std::mem::take(&mut self.io.input);
        let mut rest = &input[..];
        (self.traffic.last_id, self.traffic.given_up) = (self.core.last_stream_id(), 0);
        while self.fault.is_none() {
            if self.traffic.begun >= MAX_BEGUN_IN_A_ROW_COUNT {
                self.traffic.has_unseen = !rest.is_empty();
                break;
            }
            match self.core.next(&mut rest, received) {
                Ok(Some(event)) => self.on_event(event, received, cx),
                Ok(None) => break,
                Err(fault) => self.fault = Some(fault),
            }
        }
        let taken = input.len() - rest.len();
        input.advance(taken);
        if taken > 0 && !self.core.is_mid_head(b"") {
            self.deadlines.end_head();
        }
        if !input.is_empty() && input.capacity() - input.len() < MIN_READ_BYTES {
            input.reserve(2 * MIN_READ_BYTES);
        }
        self.io.input = input;
    }

    fn on_event(&mut self, event: CoreEvent<'_>, received: &mut ReceivedHead, cx: &mut Context<'_>) {
        match event {
            CoreEvent::Request(request) => self.on_request(request, received, cx),
            CoreEvent::Data { slot, bytes } => {
                let Some(stream_io) = self.core.user(slot) else { return };
                let done_with = stream_io.with_state(|state| state.receive(bytes));
                if done_with > 0 {
                    self.core.release(slot, done_with);
                }
            }
            CoreEvent::Trailer { slot } => {
                let trailer = std::mem::take(&mut received.header);
                self.on_end(slot, Some(trailer));
            }
            CoreEvent::End { slot } => self.on_end(slot, None),
            CoreEvent::Reset { slot, by, .. } => self.on_reset(slot, by),
            CoreEvent::Pong(_) => self.traffic.ponged = true,
            // What the settings change, the engine knows; of a client's GOAWAY nothing follows here, since this
            // side opens no streams.
            CoreEvent::Settings | CoreEvent::Goaway { .. } | CoreEvent::Response { .. } => {}
        }
    }

    fn on_end(&mut self, slot: u32, trailer: Option<crate::message::Header>) {
        if let Some(stream_io) = self.core.user(slot) {
            stream_io.with_state(|state| state.receive_end(trailer));
        }
    }

    fn on_reset(&mut self, slot: u32, by: ClosedBy) {
        let loss = if by == ClosedBy::Us { StreamLoss::BrokenRules } else { StreamLoss::ByPeer };
        let began_just_now = self.core.stream_id(slot).is_some_and(|id| id > self.traffic.last_id);
        if let Some(stream_io) = self.core.user(slot) {
            stream_io.with_state(|state| state.lose(loss));
        }
        if loss == StreamLoss::ByPeer {
            self.drop_waiting(slot);
        }
        self.close_if_over(slot);
        if loss == StreamLoss::ByPeer && began_just_now {
            // Nobody can have meant these (rapid reset).
            self.traffic.given_up += 1;
            if self.traffic.given_up > self.shared.conn.settings.http2.max_pending_resets {
                self.core.fail(GIVEN_UP);
                self.fault = Some(GIVEN_UP);
            }
        }
    }

    /// An exchange that has not begun when its peer gives it up never begins, and makes room for another request
    /// at once: the peer has no more streams than it may (RFC 9113 §5.1.2).
    fn drop_waiting(&mut self, slot: u32) {
        let Some(at) = self.waiting.iter().position(|exchange| exchange.stream_io().slot() == Some(slot)) else {
            return;
        };
        let exchange = self.waiting.remove(at);
        let stream_io = exchange.stream_io().clone();
        drop(exchange);
        self.end_exchange(stream_io);
    }

    // ---------------------------------------------------------------- requests

    fn on_request(&mut self, request: NewRequest, received: &mut ReceivedHead, cx: &mut Context<'_>) {
        self.enter_active();
        self.traffic.begun += 1;
        let mut scratch = scratch::acquire();
        let limits = &self.shared.conn.settings.head_limits;
        let filled = fill_request(&mut scratch.request, received, &request, limits);
        let content = (!request.ends()).then(|| received.content_length());
        let stream_io = self.stream_io(content);
        let room = self.core.room_at_once();
        let exchange = StartedExchange::new(&self.shared, stream_io, scratch, filled, room);
        // Once one was given up as soon as it came, the others wait to see whether they are meant.
        if !request.ends() || self.traffic.given_up > 0 {
            self.open(request, exchange.stream_io());
            self.waiting.push(exchange);
        } else if self.exchanges.begins_apart() {
            self.open(request, exchange.stream_io());
            self.exchanges.begin_apart(exchange);
        } else {
            let stream_io = exchange.stream_io().clone();
            match self.exchanges.begin(exchange, cx) {
                Begun::Done(done) => {
                    drop(stream_io);
                    self.respond(request, done);
                }
                Begun::Waits => {
                    let slot = self.open(request, &stream_io);
                    self.look_at(slot);
                    self.exchanges.go_on();
                }
            }
        }
    }

    fn enter_active(&mut self) {
        self.registration.enter_state(ConnState::Active);
        self.deadlines.leave_idle();
        self.has_served = true;
        self.awaits_first = false;
    }

    /// Gives a request a stream.
    pub(super) fn open(&mut self, request: NewRequest, stream_io: &Arc<StreamIo>) -> u32 {
        let slot = self.core.open(request, stream_io.clone());
        stream_io.set_slot(slot);
        slot
    }

    /// Begins the exchanges with content.
    fn begin_waiting(&mut self, cx: &mut Context<'_>) {
        let mut waiting = std::mem::take(&mut self.waiting);
        // Where the peer has sent no more than this and an end, it wants nothing any more either.
        let peer_is_gone = self.io.ended || self.fault.is_some();
        for exchange in waiting.drain(..) {
            if peer_is_gone || exchange.stream_io().with_state(|state| state.is_given_up()) {
                // Nobody waits for what its handler would do.
                let stream_io = exchange.stream_io().clone();
                drop(exchange);
                self.end_exchange(stream_io);
            } else if self.exchanges.begins_apart() {
                self.exchanges.begin_apart(exchange);
            } else {
                match self.exchanges.begin(exchange, cx) {
                    Begun::Done(stream_io) => self.end_exchange(stream_io),
                    Begun::Waits => self.exchanges.go_on(),
                }
            }
        }
        self.waiting = waiting;
    }

    /// A `StreamIo` for an exchange whose content, where there is some, has this length.
    fn stream_io(&mut self, content: Option<Option<u64>>) -> Arc<StreamIo> {
        let settings = &self.shared.conn.settings;
        let from_now = |limit: Option<Duration>| limit.map(|limit| Instant::now() + limit);
        let deadlines =
            TransferDeadlines { read: from_now(settings.read_timeout), write: from_now(settings.write_timeout) };
        let mut stream_io = match self.spare.pop() {
            Some(stream_io) => stream_io,
            None => acquire_stream_io(&self.shared, self.spare_context.take()),
        };
        if let Some(only) = Arc::get_mut(&mut stream_io) {
            only.serve_next(content, deadlines);
        }
        stream_io
    }
}

/// A `StreamIo` that was another connection's, or a new one. `context` was another exchange's of this connection.
fn acquire_stream_io(shared: &StreamsShared, context: Option<StreamContext>) -> Arc<StreamIo> {
    let StreamsShared { conn, local_addr, values, draining, signals } = shared;
    let (stall, limits) = (conn.settings.stall_timeout, stream_limits(&conn.settings));
    let context = context.unwrap_or_else(|| {
        let conn = Arc::new(ConnContext::new(local_addr.clone(), values.clone(), draining.clone()));
        StreamContext { conn, exchange: 0 }
    });
    if let Some(mut free) = free_streams::acquire() {
        if let Some(only) = Arc::get_mut(&mut free) {
            only.attach(context, stall, limits, signals);
            return free;
        }
    }
    Arc::new(StreamIo::new(context, stall, limits, signals))
}
