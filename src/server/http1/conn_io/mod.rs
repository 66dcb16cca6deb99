//! The line to a peer: one connection's bytes, shared by the three that need them.
//!
//! The connection's task reads heads and watches for the peer's leaving, the exchange's writer sends,
//! and the request's body reads: each locks the line for one poll, never across an await. They
//! are polled by the same task unless a handler sends the body elsewhere, so the lock is free.
//!
//! Whoever waits here sends what was collected first: a response that is ready never waits for
//! the next one, nor a `100 Continue` for anything.
//!
//! A body is a ticket for one exchange. When the exchange is over the number on the ticket is too old
//! and the body reads as an error, wherever it was moved to.

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
    /// What the requests of this connection share; announces the end of each exchange.
    pub(crate) context: Arc<ConnContext>,
    hijacked: AtomicBool,
    /// Whether an exchange has set limits that the next one must not inherit.
    limited: AtomicBool,
    pub(crate) server: Arc<State>,
}

pub(crate) struct ConnIoState {
    /// Gone once the connection was hijacked.
    io: Option<Io>,
    /// The exchange whose content may be read.
    exchange: u64,
    content: ContentReader,
    /// The client may wait for a `100 Continue` before it sends its content (RFC 9110 §10.1.1):
    /// it is to be sent when the content is first read.
    awaits_continue: bool,
    pub(crate) write_buffer: WriteBuffer,
    /// On reading content, and on writing.
    pub(crate) read_limit: TransferLimit,
    pub(crate) write_limit: TransferLimit,
    /// Who waits for content. It may be another task than the connection's, which nothing else
    /// would wake at the end of the exchange.
    reader: Option<Waker>,
    /// The connection's task while content is to be read: it sends, and sees the peer leave. What
    /// another task does here would go unnoticed by it.
    watcher: Option<Waker>,
}

/// The number of no exchange: they count from 1.
const NO_EXCHANGE: u64 = 0;

impl ConnIo {
    pub(crate) fn new(io: Io, context: Arc<ConnContext>, stall: Option<Duration>, server: Arc<State>) -> ConnIo {
        let state = ConnIoState {
            io: Some(io),
            exchange: NO_EXCHANGE,
            content: ContentReader::Over,
            awaits_continue: false,
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

    /// Nothing that panics runs under the lock, so a poisoned one is as good as any.
    pub(crate) fn lock(&self) -> MutexGuard<'_, ConnIoState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the bytes away for good.
    pub(crate) fn hijack(&self) -> Result<Hijacked> {
        let mut state = self.lock();
        let mut io = state.io.take().ok_or_else(hijacked)?;
        state.content = ContentReader::Broken;
        state.wake_reader();
        io.read_deadline.set(None);
        io.write_deadline.set(None);
        self.hijacked.store(true, Ordering::SeqCst);
        Ok(Hijacked::new(io, self.server.registry.hijacked.clone()))
    }

    /// Gives the bytes to another protocol of the server's.
    pub(crate) fn take_io(&self) -> Option<Io> {
        let mut io = self.lock().io.take()?;
        io.read_deadline.set(None);
        io.write_deadline.set(None);
        Some(io)
    }

    /// Whether the bytes are no longer the server's.
    pub(crate) fn is_hijacked(&self) -> bool {
        self.hijacked.load(Ordering::SeqCst)
    }

    /// The connection is over: lets its bytes go, whoever still keeps a body, and cancels the
    /// request that was under way.
    pub(crate) fn hang_up(&self) {
        let io = {
            let mut state = self.lock();
            state.end_content();
            state.io.take()
        };
        drop(io);
        self.context.exchanges.announce(u64::MAX);
    }

    /// Whether an earlier turn has set limits that this one must not inherit.
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

    /// The exchange is over. Nobody need be told when nobody has kept its context: then the line has
    /// one of its own, the request has the other, and it is theirs alone.
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
    /// The bytes, as long as they are the server's.
    pub(crate) fn io(&mut self) -> Result<&mut Io> {
        self.io.as_mut().ok_or_else(hijacked)
    }

    /// Takes the bytes out for a while, or for good.
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

    /// From here on, content of this framing is to be read by the body of this exchange.
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

    /// Notes who waits for content, if anybody does.
    pub(crate) fn keep_reader(&mut self, waker: Option<&Waker>) {
        self.reader = waker.cloned();
    }

    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Notes the connection's task, as long as another one may read content.
    pub(crate) fn keep_watcher(&mut self, waker: &Waker) {
        if !self.content_is_over() && !self.watcher.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
            self.watcher = Some(waker.clone());
        }
    }

    /// Has the connection's task look again, unless it is the one that acts here.
    fn wake_watcher(&self, acting: &Waker) {
        if let Some(watcher) = self.watcher.as_ref().filter(|watcher| !watcher.will_wake(acting)) {
            watcher.wake_by_ref();
        }
    }

    /// Whether content of this exchange is still to be read.
    pub(crate) fn content_is_over(&self) -> bool {
        matches!(self.content, ContentReader::Over)
    }

    /// What the peer has announced and nobody has read.
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

    /// A final status is about to be sent: no 100 may follow it. Says what content it leaves unread.
    pub(crate) fn final_status(&mut self) -> Unread {
        let unread = self.unread();
        self.forgo_continue();
        unread
    }

    /// A final status, or a 100 of the handler's own, is on its way: none of ours may follow.
    pub(crate) fn forgo_continue(&mut self) {
        self.awaits_continue = false;
    }

    /// Moves the limit on the reading of this exchange, for a read that waits already too: the body
    /// may be read by another task.
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
