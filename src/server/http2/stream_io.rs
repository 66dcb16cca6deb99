//! One stream, shared by the tasks that read and write it: what [`ConnIo`] is for a connection of HTTP/1.
//!
//! # Theory of operation
//!
//! ```text
//!  writer, body, exchange ──▶ Mutex<StreamState> ◀── the connection's task, which has the engine
//!            └──── slot ────▶ ReadyList ───────────────▶ looks at the streams that are listed
//! ```
//!
//! Neither side waits for the other: each takes the lock for one push or one take. Whoever changes something
//! that the connection's task has to act on (a head, content, an end, room that was read free) lists the
//! stream; the task does that, and wakes whoever waits in `StreamState`: the reader when content or an end has
//! come, the writer when content has left, the watcher when the peer is gone.
//!
//! A request that ends at its handler's first poll never has a stream, and is never listed: the connection's
//! task is the one that polls, looks when that returns, and sends what it finds. So `slot` is empty until the
//! exchange has to wait, or content is to come.
//!
//! Locks: the list has one, which is taken under that of a stream and never the other way round.
//!
//! [`ConnIo`]: crate::server::http1::conn_io::ConnIo

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::response_head::StreamHead;
use super::stream_state::{Content, Sending, StreamLimits, StreamState};
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::h2::ErrorCode;
use crate::message::{ConnContext, Frame, Header, Signal, Source};
use crate::net::{ReadyList, TransferDeadlines, TransferLimit};
use crate::server::response::write_buffer::{DirectWrite, WriteBuffer};

/// What all streams of a connection share with its task.
#[derive(Debug)]
pub(super) struct ConnSignals {
    pub(super) ready: ReadyList<u32>,
    /// A handler has set `Connection: close`: no more requests are accepted on this connection.
    pub(super) wants_close: AtomicBool,
}

pub(crate) struct StreamIo {
    state: Mutex<Listable>,
    pub(super) context: StreamContext,
    signals: Arc<ConnSignals>,
}

/// What announces the end of an exchange.
pub(super) struct StreamContext {
    /// The stream's own.
    pub(super) conn: Arc<ConnContext>,
    /// The number of the present exchange: streams may use this one after the other.
    pub(super) exchange: u64,
}

/// A stream's state, and its place in the list.
struct Listable {
    state: StreamState,
    /// Where the engine has the stream, once it is one.
    slot: Option<u32>,
    /// The connection's task has not looked since it was listed.
    is_listed: bool,
}

impl StreamIo {
    pub(super) fn new(
        context: StreamContext,
        stall: Option<Duration>,
        limits: StreamLimits,
        signals: &Arc<ConnSignals>,
    ) -> StreamIo {
        let limit = || TransferLimit::new(stall, None);
        let state = StreamState::new(limits, limit(), limit());
        let state = Mutex::new(Listable { state, slot: None, is_listed: false });
        StreamIo { state, context, signals: signals.clone() }
    }

    /// Takes it off its connection, whose exchanges on it are over.
    pub(super) fn detach(&mut self, no_context: Arc<ConnContext>, no_signals: Arc<ConnSignals>) -> StreamContext {
        let state = &mut self.state.get_mut().unwrap_or_else(PoisonError::into_inner).state;
        // Timers are of a runtime, and know the task that they wake.
        (state.read_deadline, state.write_deadline) = Default::default();
        self.signals = no_signals;
        std::mem::replace(&mut self.context, StreamContext { conn: no_context, exchange: 0 })
    }

    /// Gives it to a connection, which has these limits.
    pub(super) fn attach(
        &mut self,
        context: StreamContext,
        stall: Option<Duration>,
        limits: StreamLimits,
        signals: &Arc<ConnSignals>,
    ) {
        let state = &mut self.state.get_mut().unwrap_or_else(PoisonError::into_inner).state;
        state.limits = limits;
        (state.read_limit, state.write_limit) = (TransferLimit::new(stall, None), TransferLimit::new(stall, None));
        self.signals = signals.clone();
        self.context = context;
    }

    /// Serves another stream of the same connection, whose content, where there is some, has this length. The
    /// exchange before is over; its context says so for good, as the new exchange has another number.
    pub(super) fn serve_next(&mut self, content: Option<Option<u64>>, deadlines: TransferDeadlines) {
        self.context.exchange += 1;
        let listable = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        (listable.slot, listable.is_listed) = (None, false);
        let state = &mut listable.state;
        state.restart(content);
        state.read_limit.restart(deadlines.read);
        state.write_limit.restart(deadlines.write);
    }

    /// The bytes that it holds in memory, for which nothing waits.
    pub(super) fn held(&self) -> usize {
        self.lock().state.held()
    }

    /// Poisoning is ignored: no code under this lock panics in the middle of a change.
    fn lock(&self) -> MutexGuard<'_, Listable> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the connection's task look at it, unless it will anyway.
    fn list(&self, listable: &mut Listable) {
        if let (Some(slot), false) = (listable.slot, listable.is_listed) {
            listable.is_listed = true;
            self.signals.ready.push(slot);
        }
    }

    // ---------------------------------------------------------------- for the connection's task

    /// What is looked at by the connection's task is no longer listed.
    pub(super) fn look<T>(&self, act: impl FnOnce(&mut StreamState) -> T) -> T {
        let mut listable = self.lock();
        listable.is_listed = false;
        act(&mut listable.state)
    }

    /// The same for a stream that is looked at for another reason.
    pub(super) fn with_state<T>(&self, act: impl FnOnce(&mut StreamState) -> T) -> T {
        act(&mut self.lock().state)
    }

    /// Changes it from another task than the connection's, which looks at it where the change has left something
    /// for it to do.
    pub(super) fn change<T>(
        &self,
        needs_look: impl FnOnce(&StreamState) -> bool,
        act: impl FnOnce(&mut StreamState) -> T,
    ) -> T {
        let mut listable = self.lock();
        let result = act(&mut listable.state);
        if needs_look(&listable.state) {
            self.list(&mut listable);
        }
        result
    }

    /// The exchange has a stream from now on.
    pub(super) fn set_slot(&self, slot: u32) {
        self.lock().slot = Some(slot);
    }

    pub(super) fn slot(&self) -> Option<u32> {
        self.lock().slot
    }

    // ---------------------------------------------------------------- for the exchange's task

    /// An exchange begins: whether its client waits for a 100, memory to collect in, and how much the windows
    /// have room for.
    pub(super) fn begin(&self, awaits_continue: bool, memory: Vec<u8>, room: usize) {
        let state = &mut self.lock().state;
        state.awaits_continue = awaits_continue;
        state.write_buffer.give_memory(memory);
        state.room = room;
    }

    /// Called while the handler waits: hands over what was collected, as far as there is room, and notices
    /// that the peer has left.
    pub(super) fn poll_peer_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut listable = self.lock();
        let state = &mut listable.state;
        if state.is_lost() {
            return Poll::Ready(());
        }
        if !state.watcher.as_ref().is_some_and(|watcher| watcher.will_wake(cx.waker())) {
            state.watcher = Some(cx.waker().clone());
        }
        if !state.write_buffer.is_sending_direct() && !state.write_buffer.is_empty() {
            state.hand_over_collected();
            self.list(&mut listable);
        }
        Poll::Pending
    }

    /// Ready once the response should be written, whether a write waits or not. The stream is reset then:
    /// nothing that the handler writes from here on leaves.
    pub(super) fn poll_release(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut listable = self.lock();
        let state = &mut listable.state;
        if state.write_limit.poll_until(&mut state.write_deadline, cx).is_pending() {
            return Poll::Pending;
        }
        state.abandon(&Error::timed_out(Phase::Write));
        state.ask_for_reset(ErrorCode::INTERNAL_ERROR);
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
        self.list(&mut listable);
        Poll::Ready(())
    }

    /// Hands over what is left of a response that is whole.
    pub(super) async fn finish(&self) -> Result<()> {
        poll_fn(|cx| {
            let mut listable = self.lock();
            let has_stream = listable.slot.is_some();
            let polled = listable.state.poll_finish(cx, has_stream);
            listable.state.writer = polled.is_pending().then(|| cx.waker().clone());
            self.list(&mut listable);
            polled
        })
        .await
    }

    /// Has the stream reset, so that the peer can see that the response is incomplete.
    pub(super) fn reset(&self, code: ErrorCode) {
        let mut listable = self.lock();
        listable.state.ask_for_reset(code);
        self.list(&mut listable);
    }

    /// Ends the exchange: its body reads as an error from now on. Returns whether content is still to come that
    /// is worth waiting for.
    pub(super) fn end_exchange(&self, drain_bytes: u64) -> bool {
        let mut listable = self.lock();
        let is_worth_it = listable.state.end_content(drain_bytes);
        self.list(&mut listable);
        is_worth_it
    }

    /// Until content that is thrown away has come to its end.
    pub(super) async fn drained(&self) {
        poll_fn(|cx| self.lock().state.poll_drained(cx)).await;
    }

    // ---------------------------------------------------------------- for the writer

    pub(crate) fn with_write_buffer<T>(&self, act: impl FnOnce(&mut WriteBuffer) -> T) -> T {
        act(&mut self.lock().state.write_buffer)
    }

    /// Sends all that was collected.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut listable = self.lock();
        let polled = listable.state.poll_flush(cx);
        listable.state.writer = polled.is_pending().then(|| cx.waker().clone());
        self.list(&mut listable);
        polled
    }

    /// Begins large content, after what was collected. Until it is [sent](Self::poll_send_direct)
    /// whole, the stream sends nothing else.
    pub(crate) fn begin_direct(&self) -> Result<()> {
        let write_buffer = &mut self.lock().state.write_buffer;
        write_buffer.check()?;
        write_buffer.begin_direct();
        Ok(())
    }

    /// Sends what is left of it.
    pub(crate) fn poll_send_direct(&self, cx: &mut Context<'_>, direct: &mut DirectWrite<'_>) -> Poll<Result<()>> {
        let mut listable = self.lock();
        let polled = listable.state.poll_send_direct(cx, direct);
        listable.state.writer = polled.is_pending().then(|| cx.waker().clone());
        self.list(&mut listable);
        polled
    }

    pub(crate) fn send_informational(&self, status: StatusCode, header: &Header) -> Result<()> {
        let mut listable = self.lock();
        if status == StatusCode::CONTINUE {
            listable.state.awaits_continue = false;
        }
        listable.state.push_interim(status, header);
        self.list(&mut listable);
        Ok(())
    }

    /// Takes the head, and collects content after it. If that fails, the next write returns the error.
    pub(crate) fn send_head(&self, head: &StreamHead<'_>, content: &[u8]) {
        let mut listable = self.lock();
        let state = &mut listable.state;
        state.awaits_continue = false;
        if state.sending != Sending::Head {
            return;
        }
        state.head.put(head);
        state.sending = if head.ends || head.is_whole(content) { Sending::Ended } else { Sending::Content };
        state.write_buffer.bytes().extend_from_slice(content);
        // What is whole is sent at its exchange's end, which is near; else nothing waits for anything else.
        if state.sending == Sending::Content {
            self.list(&mut listable);
        }
    }

    /// All content was collected; this follows it.
    pub(crate) fn end(&self, trailer: &Header) {
        self.lock().state.end(trailer);
    }

    /// The connection takes no more requests (Go's rule for `Connection: close` from a handler).
    pub(crate) fn close_connection(&self) {
        self.signals.wants_close.store(true, Ordering::Relaxed);
    }

    /// The exchange is over for its peer: cancels the request's context.
    pub(crate) fn cancel(&self) {
        self.context.conn.exchanges.announce(self.context.exchange);
    }

    /// What announces that this exchange is over for its peer.
    pub(crate) fn exchanges(&self) -> &Signal {
        &self.context.conn.exchanges
    }

    pub(crate) fn deadlines(&self) -> TransferDeadlines {
        let state = &self.lock().state;
        TransferDeadlines { read: state.read_limit.until(), write: state.write_limit.until() }
    }

    /// Moves the limit, for a read that waits already too: the body may be read by another task.
    pub(crate) fn set_read_until(&self, at: Option<Instant>) {
        let state = &mut self.lock().state;
        state.read_limit.set_until(at);
        state.read_limit.wake(&mut state.read_deadline);
    }

    pub(crate) fn set_write_until(&self, at: Option<Instant>) {
        self.lock().state.write_limit.set_until(at);
    }
}

impl std::fmt::Debug for StreamIo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamIo").finish_non_exhaustive()
    }
}

/// A request's body on a stream. It reads as an error once its exchange is over.
pub(super) struct StreamRequestBody(pub(super) Arc<StreamIo>);

impl Source for StreamRequestBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let mut listable = self.0.lock();
        if matches!(listable.state.content, Content::NoExchange | Content::Unread(_)) {
            return Poll::Ready(Some(Err(Error::new(ErrorKind::RequestOver, "the request of this body is over"))));
        }
        let polled = listable.state.poll_content(cx);
        listable.state.reader = polled.is_pending().then(|| cx.waker().clone());
        if listable.state.has_to_tell() {
            self.0.list(&mut listable);
        }
        polled
    }

    fn remaining(&self) -> Option<u64> {
        self.0.lock().state.remaining()
    }
}
