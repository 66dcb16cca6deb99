//! The line to a peer: one connection's bytes, shared by the three that need them.
//!
//! The connection's task reads heads and watches for the peer's leaving, the turn's writer sends,
//! and the request's body reads: each locks the line for one poll, never across an await. They
//! are polled by the same task unless a handler sends the body elsewhere, so the lock is free.
//!
//! Whoever waits here sends what was collected first: an answer that is ready never waits for
//! the next one, nor a `100 Continue` for anything.
//!
//! A body is a ticket for one turn. When the turn is over the number on the ticket is too old
//! and the body reads as an error, wherever it was moved to.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::time::Instant;

use super::content::Content;
use super::hijack::Hijacked;
use super::outbox::Outbox;
use super::settings::State;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::h1::{self, Framing, Outgoing};
use crate::message::{ConnContext, Frame};
use crate::net::Io;

pub(crate) struct Line {
    state: Mutex<LineState>,
    /// What the requests of this connection share; announces the end of each turn.
    pub(crate) context: Arc<ConnContext>,
    hijacked: AtomicBool,
    /// Whether a turn has set limits that the next one must not inherit.
    limited: AtomicBool,
    pub(crate) server: Arc<State>,
}

pub(crate) struct LineState {
    /// Gone once the connection was hijacked.
    io: Option<Io>,
    /// The turn whose content may be read.
    turn: u64,
    content: Content,
    /// The client may wait for a `100 Continue` before it sends its content (RFC 9110 §10.1.1):
    /// it is to be sent when the content is first read.
    awaits_continue: bool,
    pub(crate) outbox: Outbox,
    /// How long the peer may make no progress, and until when it must be done at all.
    pub(crate) stall: Option<Duration>,
    pub(crate) read_until: Option<Instant>,
    pub(crate) write_until: Option<Instant>,
    /// Since when the peer makes no progress, while something waits for it to.
    read_waits_since: Option<Instant>,
    write_waits_since: Option<Instant>,
    /// Who waits for content. It may be another task than the connection's, which nothing else
    /// would wake at the end of the turn.
    reader: Option<Waker>,
}

/// The number of no turn: they count from 1.
const NO_TURN: u64 = 0;

/// How much content is taken in while an answer waits for its peer (Go's number).
const READ_AHEAD: usize = 256 << 10;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What is left of a request's content when its handler is done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unread {
    Nothing,
    /// So many bytes at least; the client may wait for a `100 Continue` before it sends them.
    Some {
        known: Option<u64>,
        awaits_continue: bool,
    },
    /// The next message's start is in doubt.
    Broken,
}

impl Line {
    pub(crate) fn new(io: Io, context: Arc<ConnContext>, stall: Option<Duration>, server: Arc<State>) -> Line {
        let state = LineState {
            io: Some(io),
            turn: NO_TURN,
            content: Content::Over,
            awaits_continue: false,
            outbox: Outbox::default(),
            stall,
            read_until: None,
            write_until: None,
            read_waits_since: None,
            write_waits_since: None,
            reader: None,
        };
        Line {
            state: Mutex::new(state),
            context,
            hijacked: AtomicBool::new(false),
            limited: AtomicBool::new(false),
            server,
        }
    }

    /// Nothing that panics runs under the lock, so a poisoned one is as good as any.
    pub(crate) fn lock(&self) -> MutexGuard<'_, LineState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the bytes away for good.
    pub(crate) fn hijack(&self) -> Result<Hijacked> {
        let mut state = self.lock();
        let mut io = state.io.take().ok_or_else(hijacked)?;
        state.content = Content::Broken;
        state.wake_reader();
        io.read_deadline.set(None);
        io.write_deadline.set(None);
        self.hijacked.store(true, Ordering::SeqCst);
        Ok(Hijacked::new(io, self.server.registry.hijacked.clone()))
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
        self.context.turns.announce(u64::MAX);
    }

    /// Whether an earlier turn has set limits that this one must not inherit.
    pub(crate) fn has_limits(&self) -> bool {
        self.limited.load(Ordering::Relaxed)
    }

    /// Sets the limit on the reading of this turn.
    pub(crate) fn set_read_until(&self, at: Option<Instant>) {
        self.limited.store(true, Ordering::Relaxed);
        self.lock().set_read_until(at);
    }

    /// Sets the limit on the writing of this turn.
    pub(crate) fn set_write_until(&self, at: Option<Instant>) {
        self.limited.store(true, Ordering::Relaxed);
        self.lock().write_until = at;
    }

    /// Sends all that was collected. Cancel safe.
    pub(crate) async fn flush(&self) -> Result<()> {
        poll_fn(|cx| self.lock().poll_flush(cx)).await
    }

    /// Sends large content in this form, in two parts, behind what was collected. Dropped before
    /// it is done, it leaves an outbox that sends nothing more.
    pub(crate) async fn send_large(&self, outgoing: Outgoing, one: &[u8], two: &[u8]) -> Result<()> {
        let mut parts = [one, two, &[][..]];
        {
            let mut state = self.lock();
            state.outbox.check()?;
            if outgoing == Outgoing::Chunked {
                h1::encode_chunk_head(state.outbox.bytes(), one.len() + two.len());
                parts[2] = b"\r\n";
            }
            state.outbox.begin_large();
        }
        poll_fn(|cx| self.lock().poll_send(cx, &mut parts)).await?;
        self.lock().outbox.end_large();
        Ok(())
    }

    /// The turn is over for its peer: cancels the request's context.
    pub(crate) fn cancel(&self, turn: u64) {
        self.context.turns.announce(turn);
    }
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").finish_non_exhaustive()
    }
}

impl LineState {
    /// The bytes, as long as they are the server's.
    pub(crate) fn io(&mut self) -> Result<&mut Io> {
        self.io.as_mut().ok_or_else(hijacked)
    }

    /// Whether something was read and not yet used.
    pub(crate) fn has_input(&self) -> bool {
        self.io.as_ref().is_some_and(|io| !io.input.is_empty())
    }

    /// From here on, content of this framing is to be read by the body of this turn.
    pub(crate) fn begin_content(&mut self, turn: u64, framing: &Framing, awaits_continue: bool) {
        self.turn = turn;
        self.content = Content::framed(framing);
        self.awaits_continue = awaits_continue;
        self.read_waits_since = None;
    }

    /// Ends the turn: its body reads as an error.
    pub(crate) fn end_content(&mut self) {
        self.turn = NO_TURN;
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

    /// Whether content of this turn is still to be read.
    pub(crate) fn content_is_over(&self) -> bool {
        matches!(self.content, Content::Over)
    }

    /// What the peer has announced and nobody has read.
    pub(crate) fn unread(&self) -> Unread {
        let known = match &self.content {
            Content::Over => return Unread::Nothing,
            Content::Broken => return Unread::Broken,
            Content::Length(left) => Some(*left),
            Content::Chunked(_) => None,
        };
        Unread::Some { known, awaits_continue: self.awaits_continue }
    }

    /// How much is still to be read in this turn, where that is known.
    pub(crate) fn remaining(&self, turn: u64) -> Option<u64> {
        match &self.content {
            Content::Length(left) if self.turn == turn => Some(*left),
            _ => None,
        }
    }

    pub(crate) fn is_turn(&self, turn: u64) -> bool {
        self.turn == turn
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

    /// The next piece of content. The stall limit runs while this waits and starts anew with
    /// each piece; `read_until` does not.
    pub(crate) fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let step = match self.poll_content_step(cx) {
            Poll::Pending => {
                ready!(self.poll_read_deadline(cx));
                Poll::Ready(Some(Err(Error::timed_out(Phase::Body))))
            }
            ready => {
                self.read_waits_since = None;
                ready
            }
        };
        if matches!(step, Poll::Ready(Some(Err(_)))) {
            self.content = Content::Broken;
        }
        step
    }

    fn poll_content_step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        if self.read_until.is_some_and(|until| until <= Instant::now()) {
            return Poll::Ready(Some(Err(Error::timed_out(Phase::Body))));
        }
        self.queue_continue();
        let Some(io) = &mut self.io else { return Poll::Ready(Some(Err(hijacked()))) };
        let piece = self.content.poll(io, cx);
        if piece.is_pending() {
            // A peer that waits for what was collected would send nothing.
            if let Poll::Ready(Err(error)) = self.poll_flush(cx) {
                return Poll::Ready(Some(Err(error)));
            }
        }
        piece
    }

    /// A client that has sent content already does not wait for a 100, and none waits for ever
    /// (RFC 9110 §10.1.1): within another answer it would be worse than none.
    fn queue_continue(&mut self) {
        if std::mem::take(&mut self.awaits_continue) {
            let sends_already = self.io.as_ref().is_some_and(|io| !io.input.is_empty());
            if !sends_already && !self.outbox.is_half_sent() {
                self.outbox.bytes().extend_from_slice(CONTINUE);
            }
        }
    }

    /// Moves the limit on the reading of this turn, for a read that waits already too: the body
    /// may be read by another task.
    fn set_read_until(&mut self, at: Option<Instant>) {
        self.read_until = at;
        if let (Some(io), Some(at), Some(_)) = (&mut self.io, at, self.read_waits_since) {
            io.read_deadline.wake_at(at);
        }
    }

    fn poll_read_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(io) = &mut self.io else { return Poll::Pending };
        let since = *self.read_waits_since.get_or_insert_with(Instant::now);
        io.read_deadline.set(earlier(self.stall.map(|stall| since + stall), self.read_until));
        io.read_deadline.poll(cx)
    }

    /// Sends all that was collected. What is left when this waits is sent by whoever asks next.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.outbox.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.outbox.check()?;
        self.poll_send(cx, &mut [])
    }

    /// Sends all that was collected, and these parts behind it; what is sent of them is cut off.
    pub(crate) fn poll_send(&mut self, cx: &mut Context<'_>, parts: &mut [&[u8]]) -> Poll<Result<()>> {
        let (bytes, mut sent) = self.outbox.take();
        let polled = self.poll_write_all(cx, &bytes, &mut sent, parts);
        self.outbox.put_back(bytes, sent);
        match ready!(polled) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(self.outbox.fail(error.during(Phase::Write)))),
        }
    }

    fn poll_write_all(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        sent: &mut usize,
        parts: &mut [&[u8]],
    ) -> Poll<Result<()>> {
        while *sent < bytes.len() || parts.iter().any(|part| !part.is_empty()) {
            let collected = bytes.get(*sent..).unwrap_or_default();
            let mut taken = match parts {
                [] => ready!(self.poll_write(cx, &[IoSlice::new(collected)]))?,
                [one, two, three] => ready!(self.poll_write(cx, &[collected, one, two, three].map(IoSlice::new)))?,
                _ => return Poll::Ready(Err(Error::new(ErrorKind::Other, "three parts or none are sent"))),
            };
            let of_collected = taken.min(collected.len());
            *sent += of_collected;
            taken -= of_collected;
            for part in parts.iter_mut() {
                let of_part = taken.min(part.len());
                *part = part.get(of_part..).unwrap_or_default();
                taken -= of_part;
            }
        }
        let flushed = self.io()?.poll_flush(cx);
        self.under_write_deadline(cx, flushed)
    }

    /// Writes some of these bytes, under the stall limit and `write_until`.
    fn poll_write(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        if self.write_until.is_some_and(|until| until <= Instant::now()) {
            return Poll::Ready(Err(Error::timed_out(Phase::Write)));
        }
        let written = self.io()?.poll_write(cx, parts);
        self.under_write_deadline(cx, written)
    }

    fn under_write_deadline<T>(&mut self, cx: &mut Context<'_>, step: Poll<io::Result<T>>) -> Poll<Result<T>> {
        match step {
            Poll::Ready(done) => {
                self.write_waits_since = None;
                Poll::Ready(done.map_err(Error::from))
            }
            Poll::Pending => {
                self.read_ahead(cx);
                ready!(self.poll_write_deadline(cx));
                Poll::Ready(Err(Error::timed_out(Phase::Write)))
            }
        }
    }

    /// The peer takes nothing: it may be one that reads only when all its content is sent. So some
    /// of that is taken in, unless another task reads it anyway.
    fn read_ahead(&mut self, cx: &mut Context<'_>) {
        let read_elsewhere = self.reader.as_ref().is_some_and(|reader| !reader.will_wake(cx.waker()));
        if self.content_is_over() || read_elsewhere {
            return;
        }
        let Some(io) = &mut self.io else { return };
        let mut came = false;
        while io.input.len() < READ_AHEAD && !io.ended && matches!(io.poll_fill(cx), Poll::Ready(Ok(1..))) {
            came = true;
        }
        if came {
            self.wake_reader();
        }
    }

    fn poll_write_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(io) = &mut self.io else { return Poll::Pending };
        let since = *self.write_waits_since.get_or_insert_with(Instant::now);
        io.write_deadline.set(earlier(self.stall.map(|stall| since + stall), self.write_until));
        io.write_deadline.poll(cx)
    }

    /// Notices, while a handler runs, that the peer has left. Reads nothing as long as content
    /// or a next request is there to be read: that is no leaving.
    pub(crate) fn poll_peer_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.content_is_over() {
            return Poll::Pending;
        }
        let Some(io) = &mut self.io else { return Poll::Pending };
        if io.ended {
            return Poll::Ready(());
        }
        if !io.input.is_empty() {
            return Poll::Pending;
        }
        match ready!(io.poll_fill(cx)) {
            Ok(1..) => Poll::Pending,
            Ok(0) | Err(_) => Poll::Ready(()),
        }
    }
}

fn hijacked() -> Error {
    Error::new(ErrorKind::Hijacked, "the connection was taken over")
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
