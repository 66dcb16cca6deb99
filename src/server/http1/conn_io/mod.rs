//! The stream of an HTTP/1 connection, shared by the tasks that read and write it.
//!
//! # Theory of operation
//!
//! Three sides use one [`ConnIo`], each through an `Arc` of its own:
//!
//! ```text
//!  connection's task ── reads heads; while a handler runs: sends, and notices that the peer left ─┐
//!  ResponseWriter ───── collects in the write buffer, sends ──────────────────────────────────────┼─▶ Mutex<ConnIoState>
//!  RequestBody ──────── reads content; a handler may have moved it to another task ───────────────┘
//! ```
//!
//! The lock is held for one poll and never across an await. As long as the body stays with its handler,
//! all three are polled by one task, so the lock is never contended. No user code runs under it. The two
//! wakers below are called while it is held: they only schedule a task.
//!
//! The states of the request's content, and of the write buffer (`response/write_buffer`):
//!
//! ```text
//!  content: Over ── a head with content ──▶ Length, Chunked ─┬─ its last byte was read ─▶ Over
//!                                                            └─ error, limit, hijack ───▶ Broken
//!  writing: Good ── a direct write begins ──▶ Writing ─┬─ it is sent whole ─▶ Good
//!                                                      └─ error, dropped ───▶ Failed
//! ```
//!
//! Who is woken by what:
//!
//! - The socket keeps one waker for each direction: that of the last poll. While a handler runs, both the
//!   handler's own reads and writes and the connection's task poll it, and all of them are the same task.
//! - `reader` is the waker of a body that waits for content. It is woken by the end of the exchange and by
//!   a hijack, because a body on another task would wait for ever, and by a write that has read content
//!   ahead.
//! - `watcher` is the waker of the connection's task while content is still to be read. When a body on
//!   another task has read the last content, the watcher is woken, because only then may the
//!   connection's task itself read, to notice that the peer left. When that body finds the socket full,
//!   the watcher is woken too, because the socket has just replaced the writer's waker by the body's.
//! - The acting task is never woken by itself: it polls again anyway.
//!
//! Invariants:
//!
//! - Bytes leave in the order in which they were collected. While a [direct write] is under way nothing
//!   else is sent; one that was dropped half-way fails all later writes.
//! - Before a poll waits for the peer to send, it sends what was collected. So a response that is ready
//!   never waits for the next request, and a client that waits for `100 Continue` gets it.
//! - While a write waits, some content is read ahead: a client may send all before it reads anything.
//! - A body knows the number of its exchange. As soon as `exchange` has another value, the body reads
//!   as an error, wherever it was moved to; it never gets the next request's content.
//! - `io` is `None` after a hijack and after the end: then reads and writes fail, and do not panic.
//!
//! [direct write]: crate::server::response::write_buffer

mod receive;
mod send;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Result};
use crate::h1::Framing;
use crate::message::ConnContext;
use crate::net::{ContentReader, Io, TransferLimit};
use crate::server::hijack::Hijacked;
use crate::server::response::decide::Unread;
use crate::server::response::write_buffer::WriteBuffer;
use crate::server::state::State;

pub(crate) struct ConnIo {
    state: Mutex<ConnIoState>,
    /// The part of the context that all requests of this connection share. It also cancels them.
    pub(crate) context: Arc<ConnContext>,
    hijacked: AtomicBool,
    /// Whether an exchange has set limits that the next one must not inherit.
    limited: AtomicBool,
    pub(crate) server: Arc<State>,
}

pub(crate) struct ConnIoState {
    /// `None` once the connection was hijacked, or is over.
    io: Option<Io>,
    /// The number of the exchange whose content may be read.
    exchange: u64,
    content: ContentReader,
    /// The client may wait for a `100 Continue` before it sends its content (RFC 9110 §10.1.1). It is
    /// sent when the content is first read.
    awaits_continue: bool,
    /// The exchange whose final head was encoded last.
    responded: u64,
    /// The content of that response ends with the connection, and has not ended in order so far.
    pub(crate) ends_by_close: bool,
    pub(crate) write_buffer: WriteBuffer,
    /// On reading content, and on writing.
    pub(crate) read_limit: TransferLimit,
    pub(crate) write_limit: TransferLimit,
    /// The waker of a body that waits for content, perhaps on another task than the connection's.
    reader: Option<Waker>,
    /// The waker of the connection's task while content is still to be read, for what a body on another task
    /// does.
    watcher: Option<Waker>,
}

/// No exchange has this number: they count from 1.
const NO_EXCHANGE: u64 = 0;

impl ConnIo {
    pub(crate) fn new(io: Io, context: Arc<ConnContext>, stall: Option<Duration>, server: Arc<State>) -> ConnIo {
        let state = ConnIoState {
            io: Some(io),
            exchange: NO_EXCHANGE,
            content: ContentReader::Over,
            awaits_continue: false,
            responded: NO_EXCHANGE,
            ends_by_close: false,
            write_buffer: WriteBuffer::default(),
            read_limit: TransferLimit::new(stall, None),
            write_limit: TransferLimit::new(stall, None),
            reader: None,
            watcher: None,
        };
        ConnIo {
            state: Mutex::new(state),
            context,
            hijacked: AtomicBool::new(false),
            limited: AtomicBool::new(false),
            server,
        }
    }

    /// Poisoning is ignored: no code under this lock panics in the middle of a change.
    pub(crate) fn lock(&self) -> MutexGuard<'_, ConnIoState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the stream away from the server for good.
    pub(crate) fn hijack(&self) -> Result<Hijacked> {
        let mut state = self.lock();
        // Whose write failed, or whose peer was released, has no stream to take over.
        state.write_buffer.check()?;
        let mut io = state.io.take().ok_or_else(hijacked)?;
        state.content = ContentReader::Broken;
        state.wake_reader();
        io.read_deadline.set(None);
        io.write_deadline.set(None);
        self.hijacked.store(true, Ordering::SeqCst);
        Ok(Hijacked::new(io, self.server.registry.hijacked.clone()))
    }

    /// Takes the stream away for HTTP/2, which has deadlines of its own.
    pub(crate) fn take_io(&self) -> Option<Io> {
        let mut io = self.lock().io.take()?;
        io.read_deadline.set(None);
        io.write_deadline.set(None);
        Some(io)
    }

    /// Whether a handler has taken the stream.
    pub(crate) fn is_hijacked(&self) -> bool {
        self.hijacked.load(Ordering::SeqCst)
    }

    /// Ends the connection: closes the stream, even where a body still holds this `ConnIo`, and cancels
    /// the request that is under way.
    pub(crate) fn end_connection(&self) {
        let io = {
            let mut state = self.lock();
            state.end_content();
            state.reset_if_cut();
            state.io.take()
        };
        drop(io);
        self.context.exchanges.announce(u64::MAX);
    }

    /// Whether an earlier exchange has set limits that this one must not inherit.
    pub(crate) fn has_limits(&self) -> bool {
        self.limited.load(Ordering::Relaxed)
    }

    /// Sets the limit on the reading of this exchange.
    pub(crate) fn set_read_until(&self, at: Option<Instant>) {
        self.limited.store(true, Ordering::Relaxed);
        self.lock().set_read_until(at);
    }

    /// Sets the limit on the writing of this exchange.
    pub(crate) fn set_write_until(&self, at: Option<Instant>) {
        self.limited.store(true, Ordering::Relaxed);
        self.lock().write_limit.set_until(at);
    }

    /// The exchange is over for its peer: cancels the request's context.
    pub(crate) fn cancel(&self, exchange: u64) {
        self.context.exchanges.announce(exchange);
    }

    /// Ends the exchange. Announcing that costs more, so it is done only if the context may have been
    /// cloned: its two own references are the one here and the one in the request.
    pub(crate) fn end_exchange(&self, exchange: u64) {
        if Arc::strong_count(&self.context) > 2 {
            self.cancel(exchange);
        } else {
            self.context.exchanges.pass(exchange);
        }
    }
}

impl std::fmt::Debug for ConnIo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnIo").finish_non_exhaustive()
    }
}

impl ConnIoState {
    /// The stream, as long as it is the server's.
    pub(crate) fn io(&mut self) -> Result<&mut Io> {
        self.io.as_mut().ok_or_else(hijacked)
    }

    /// Takes the stream out, for a TLS handshake.
    pub(crate) fn take_io(&mut self) -> Option<Io> {
        self.io.take()
    }

    pub(crate) fn put_io(&mut self, io: Io) {
        self.io = Some(io);
    }

    /// Whether something was read and not yet used.
    pub(crate) fn has_input(&self) -> bool {
        self.io.as_ref().is_some_and(|io| !io.input.is_empty())
    }

    /// Content in this framing follows, to be read by the body of this exchange.
    pub(crate) fn begin_content(&mut self, exchange: u64, framing: &Framing, awaits_continue: bool) {
        self.exchange = exchange;
        self.content = ContentReader::framed(framing);
        self.awaits_continue = awaits_continue;
        self.read_limit.progressed();
    }

    /// Ends the exchange: its body reads as an error.
    pub(crate) fn end_content(&mut self) {
        self.exchange = NO_EXCHANGE;
        self.watcher = None;
        self.wake_reader();
    }

    /// Keeps the waker of a body that waits for content.
    pub(crate) fn keep_reader(&mut self, waker: Option<&Waker>) {
        self.reader = waker.cloned();
    }

    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Keeps the waker of the connection's task, as long as another task may read content.
    pub(crate) fn keep_watcher(&mut self, waker: &Waker) {
        if !self.content_is_over() && !self.watcher.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            self.watcher = Some(waker.clone());
        }
    }

    /// Wakes the connection's task, unless it is the acting task itself.
    fn wake_watcher(&self, acting: &Waker) {
        if let Some(watcher) = self.watcher.as_ref().filter(|watcher| !watcher.will_wake(acting)) {
            watcher.wake_by_ref();
        }
    }

    /// Whether all content of this exchange was read.
    pub(crate) fn content_is_over(&self) -> bool {
        matches!(self.content, ContentReader::Over)
    }

    /// The content that the peer has announced and that is unread.
    pub(crate) fn unread(&self) -> Unread {
        let known = match &self.content {
            ContentReader::Over => return Unread::Nothing,
            ContentReader::Broken => return Unread::Broken,
            ContentReader::Length(left) => Some(*left),
            ContentReader::Chunked(_) | ContentReader::UntilClose => None,
        };
        Unread::Some { known, awaits_continue: self.awaits_continue }
    }

    /// How much is still to be read in this exchange, where that is known.
    pub(crate) fn remaining(&self, exchange: u64) -> Option<u64> {
        match &self.content {
            ContentReader::Length(left) if self.exchange == exchange => Some(*left),
            _ => None,
        }
    }

    pub(crate) fn is_current(&self, exchange: u64) -> bool {
        self.exchange == exchange
    }

    /// The final head of an exchange is about to be sent: no 100 may follow it. `ends_by_close` says
    /// that its content will end with the connection. Returns what content of the request it leaves unread.
    pub(crate) fn final_head(&mut self, exchange: u64, ends_by_close: bool) -> Unread {
        self.responded = exchange;
        self.ends_by_close = ends_by_close;
        let unread = self.unread();
        self.cancel_continue();
        unread
    }

    /// Cancels the automatic 100: a final status, or a 100 of the handler's own, is being sent.
    pub(crate) fn cancel_continue(&mut self) {
        self.awaits_continue = false;
    }

    /// Whether the final head of this exchange was encoded.
    pub(crate) fn has_responded(&self, exchange: u64) -> bool {
        self.responded == exchange
    }

    /// Before the stream is closed: content that ends with it, and has not ended in order, must not look
    /// whole.
    fn reset_if_cut(&self) {
        if let Some(io) = self.io.as_ref().filter(|_| self.ends_by_close) {
            io.reset_on_close();
        }
    }

    /// Moves the limit on the reading of this exchange, also for a read that is already waiting,
    /// perhaps in another task.
    fn set_read_until(&mut self, at: Option<Instant>) {
        self.read_limit.set_until(at);
        if let Some(io) = &mut self.io {
            self.read_limit.wake(&mut io.read_deadline);
        }
    }
}

fn hijacked() -> Error {
    Error::new(ErrorKind::Hijacked, "the connection was taken over")
}
