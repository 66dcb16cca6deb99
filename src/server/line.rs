//! The line to a peer: one connection's bytes, shared by the three that need them.
//!
//! The connection's task reads heads and watches for the peer's leaving, the turn's writer sends,
//! and the request's body reads: each locks the line for one poll, never across an await. They
//! are polled by the same task unless a handler sends the body elsewhere, so the lock is free.
//!
//! A body is a ticket for one turn. When the turn is over the number on the ticket is too old
//! and the body reads as an error, wherever it was moved to.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::time::Instant;

use super::hijack::Hijacked;
use crate::error::{Error, ErrorKind, Phase, Refusal, Result};
use crate::h1::{Chunked, ChunkedReader, Framing};
use crate::message::{ConnContext, Frame, Header, Source};
use crate::net::{Io, give_back};

pub(crate) struct Line {
    state: Mutex<LineState>,
    /// What the requests of this connection share; announces the end of each turn.
    pub(crate) context: Arc<ConnContext>,
    hijacked: AtomicBool,
    /// How many connections of the server were taken over and are still open.
    open_hijacked: Arc<AtomicUsize>,
}

pub(crate) struct LineState {
    /// Gone once the connection was hijacked.
    io: Option<Io>,
    /// The number of the present turn.
    turn: u64,
    content: Content,
    interim: Interim,
    /// How long the peer may make no progress, and until when it must be done at all.
    pub(crate) stall: Option<Duration>,
    pub(crate) read_until: Option<Instant>,
    pub(crate) write_until: Option<Instant>,
    read_waits: bool,
    write_waits: bool,
    /// Whether the last write was taken in part: what follows must be the rest of it.
    half_written: bool,
    /// Who waits for content of the turn, perhaps in another task than the connection's.
    reader: Option<Waker>,
}

/// How much of the present request's content is still to be read.
enum Content {
    Over,
    Length(u64),
    Chunked(Box<ChunkedReader>),
    /// It cannot be read further: the peer broke its framing, left, or was too slow.
    Broken,
}

/// The `100 Continue` that a client may wait for before it sends its content (RFC 9110 §10.1.1).
enum Interim {
    NotAwaited,
    /// To be sent when the content is first read.
    Awaited,
    /// This much of it is still to be sent.
    Sending(&'static [u8]),
}

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// The most that one read of a large body asks for.
const BODY_READ: u64 = 64 * 1024;
/// Content up to this size is copied out of the read buffer, so that the buffer can be kept.
const SMALL_CONTENT: usize = 2048;

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
    pub(crate) fn new(
        io: Io,
        context: Arc<ConnContext>,
        stall: Option<Duration>,
        open_hijacked: Arc<AtomicUsize>,
    ) -> Line {
        let state = LineState {
            io: Some(io),
            turn: 0,
            content: Content::Over,
            interim: Interim::NotAwaited,
            stall,
            read_until: None,
            write_until: None,
            read_waits: false,
            write_waits: false,
            half_written: false,
            reader: None,
        };
        Line { state: Mutex::new(state), context, hijacked: AtomicBool::new(false), open_hijacked }
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
        Ok(Hijacked::new(io, self.open_hijacked.clone()))
    }

    /// The connection is over: its stream closes, whoever still holds a body of it.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.end_turn();
        let io = state.io.take();
        drop(state);
        drop(io);
    }

    /// Whether the bytes are no longer the server's.
    pub(crate) fn is_hijacked(&self) -> bool {
        self.hijacked.load(Ordering::SeqCst)
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

    /// Begins a turn: from here on, content of this framing is the body's to read.
    pub(crate) fn begin_turn(&mut self, framing: &Framing, awaits_continue: bool) -> u64 {
        self.content = match framing {
            Framing::Empty | Framing::Length(0) => Content::Over,
            Framing::Length(length) => Content::Length(*length),
            Framing::Chunked => Content::Chunked(Box::new(ChunkedReader::new(MAX_TRAILER_BYTES, MAX_TRAILER_VALUES))),
        };
        self.interim = if awaits_continue { Interim::Awaited } else { Interim::NotAwaited };
        self.read_waits = false;
        self.write_waits = false;
        self.turn
    }

    /// Whether an earlier turn left limits behind that this one must not inherit.
    pub(crate) fn has_limits(&self) -> bool {
        self.read_until.is_some() || self.write_until.is_some()
    }

    /// Ends the turn: bodies with its number read as errors.
    pub(crate) fn end_turn(&mut self) {
        self.turn += 1;
        self.wake_reader();
    }

    /// Whether content of this turn is still to be read.
    pub(crate) fn content_is_over(&self) -> bool {
        matches!(self.content, Content::Over)
    }

    pub(crate) fn unread(&self) -> Unread {
        let known = match &self.content {
            Content::Over => return Unread::Nothing,
            Content::Broken => return Unread::Broken,
            Content::Length(left) => Some(*left),
            Content::Chunked(_) => None,
        };
        Unread::Some { known, awaits_continue: !matches!(self.interim, Interim::NotAwaited) }
    }

    /// A final status, or a 100 of the handler's own, is on its way: none of ours may follow.
    pub(crate) fn forgo_continue(&mut self) {
        if matches!(self.interim, Interim::Awaited) {
            self.interim = Interim::NotAwaited;
        }
    }

    /// The next piece of content. The stall limit runs while this waits and starts anew with
    /// each piece; `read_until` does not.
    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let step = match self.poll_content_step(cx) {
            Poll::Pending => {
                ready!(self.poll_read_deadline(cx));
                Poll::Ready(Some(Err(Error::timed_out(Phase::Body))))
            }
            ready => {
                self.read_waits = false;
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
        ready!(self.poll_send_continue(cx))?;
        let Some(io) = &mut self.io else { return Poll::Ready(Some(Err(hijacked()))) };
        match &mut self.content {
            Content::Over => Poll::Ready(None),
            Content::Broken => Poll::Ready(Some(Err(Error::cut_off(Phase::Body)))),
            Content::Length(left) => {
                let chunk = ready!(poll_some(io, cx, *left))?;
                *left = left.saturating_sub(chunk.len() as u64);
                if *left == 0 {
                    self.content = Content::Over;
                }
                Poll::Ready(Some(Ok(Frame::Data(chunk))))
            }
            Content::Chunked(reader) => {
                let piece = ready!(poll_chunked(reader, io, cx))?;
                Poll::Ready(match piece {
                    Piece::Data(chunk) => Some(Ok(Frame::Data(chunk))),
                    Piece::End(trailer) => {
                        self.content = Content::Over;
                        trailer.map(|trailer| Ok(Frame::Trailer(trailer)))
                    }
                })
            }
        }
    }

    fn poll_send_continue(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        loop {
            let rest = match self.interim {
                Interim::NotAwaited => return Poll::Ready(Ok(())),
                Interim::Awaited => CONTINUE,
                Interim::Sending(rest) => rest,
            };
            let half_written = self.half_written;
            let io = self.io()?;
            // A client that has sent content already does not wait, and none waits for ever
            // (RFC 9110 §10.1.1): a 100 within another answer would be worse than none.
            if rest.len() == CONTINUE.len() && (half_written || !io.input.is_empty()) {
                self.interim = Interim::NotAwaited;
                return Poll::Ready(Ok(()));
            }
            let sent = ready!(io.poll_write(cx, &[IoSlice::new(rest)]))?;
            let rest = rest.get(sent..).unwrap_or_default();
            self.interim = if rest.is_empty() { Interim::NotAwaited } else { Interim::Sending(rest) };
        }
    }

    fn poll_read_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (stall, until, waits) = (self.stall, self.read_until, self.read_waits);
        let Some(io) = &mut self.io else { return Poll::Pending };
        if !waits {
            io.read_deadline.set(earlier(stall.map(|stall| Instant::now() + stall), until));
            self.read_waits = true;
        }
        io.read_deadline.poll(cx)
    }

    /// Writes some of these bytes, under the stall limit and `write_until`.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        if self.write_until.is_some_and(|until| until <= Instant::now()) {
            return Poll::Ready(Err(Error::timed_out(Phase::Write)));
        }
        match self.poll_write_step(cx, parts) {
            Poll::Ready(written) => {
                self.write_waits = false;
                Poll::Ready(written.map_err(|error| error.during(Phase::Write)))
            }
            Poll::Pending => {
                ready!(self.poll_write_deadline(cx));
                Poll::Ready(Err(Error::timed_out(Phase::Write)))
            }
        }
    }

    fn poll_write_step(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        // A read that was dropped, or that waits elsewhere, has begun a 100: no answer goes into it.
        if matches!(self.interim, Interim::Sending(_)) {
            ready!(self.poll_send_continue(cx))?;
            self.wake_reader();
        }
        let written = ready!(self.io()?.poll_write(cx, parts))?;
        self.half_written = written < parts.iter().map(|part| part.len()).sum();
        Poll::Ready(Ok(written))
    }

    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Passes on what a layer beneath still holds. What was written before has its deadline; a
    /// stream that holds bytes back for ever is cut by the next one.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        match self.io()?.poll_flush(cx) {
            Poll::Ready(flushed) => Poll::Ready(flushed.map_err(|error| Error::from(error).during(Phase::Write))),
            Poll::Pending => {
                ready!(self.poll_write_deadline(cx));
                Poll::Ready(Err(Error::timed_out(Phase::Write)))
            }
        }
    }

    fn poll_write_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (stall, until, waits) = (self.stall, self.write_until, self.write_waits);
        let Some(io) = &mut self.io else { return Poll::Pending };
        if !waits {
            io.write_deadline.set(earlier(stall.map(|stall| Instant::now() + stall), until));
            self.write_waits = true;
        }
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

    /// Lets an empty read buffer go.
    pub(crate) fn rest(&mut self) {
        if let Some(io) = &mut self.io {
            if io.input.is_empty() && io.input.capacity() > 0 {
                give_back(std::mem::take(&mut io.input));
            }
        }
    }
}

/// A trailer section may be this long and hold so many values.
const MAX_TRAILER_BYTES: usize = 16 * 1024;
const MAX_TRAILER_VALUES: usize = 500;

/// Content of a known length: what was read already, else a read of its own.
fn poll_some(io: &mut Io, cx: &mut Context<'_>, left: u64) -> Poll<Result<Bytes>> {
    if io.input.is_empty() && left > SMALL_CONTENT as u64 {
        let most = usize::try_from(left.min(BODY_READ)).unwrap_or(usize::MAX);
        return Poll::Ready(not_empty(ready!(io.poll_read(cx, most))?));
    }
    if io.input.is_empty() && ready!(io.poll_fill(cx))? == 0 {
        return Poll::Ready(Err(Error::cut_off(Phase::Body)));
    }
    let here = usize::try_from(left).map_or(io.input.len(), |left| left.min(io.input.len()));
    Poll::Ready(Ok(take(io, here)))
}

enum Piece {
    Data(Bytes),
    End(Option<Header>),
}

fn poll_chunked(reader: &mut ChunkedReader, io: &mut Io, cx: &mut Context<'_>) -> Poll<Result<Piece>> {
    loop {
        if io.input.is_empty() && reader.chunk_left() > SMALL_CONTENT as u64 {
            let most = usize::try_from(reader.chunk_left().min(BODY_READ)).unwrap_or(usize::MAX);
            let chunk = not_empty(ready!(io.poll_read(cx, most))?)?;
            reader.took(chunk.len() as u64);
            return Poll::Ready(Ok(Piece::Data(chunk)));
        }
        match reader.read(&io.input).map_err(in_content)? {
            Chunked::Data { skip, len } => {
                io.input.advance(skip.min(io.input.len()));
                let len = len.min(io.input.len());
                return Poll::Ready(Ok(Piece::Data(take(io, len))));
            }
            Chunked::End { consumed, trailer } => {
                io.input.advance(consumed.min(io.input.len()));
                return Poll::Ready(Ok(Piece::End(trailer)));
            }
            Chunked::NeedMore { consumed } => {
                io.input.advance(consumed.min(io.input.len()));
                if ready!(io.poll_fill(cx))? == 0 {
                    return Poll::Ready(Err(Error::cut_off(Phase::Body)));
                }
            }
        }
    }
}

/// The first bytes of the input: copied when they are few, so that the buffer's memory stays its
/// own, else cut off.
fn take(io: &mut Io, len: usize) -> Bytes {
    if len > SMALL_CONTENT {
        return io.input.split_to(len).freeze();
    }
    let copy = io.input.get(..len).map(Bytes::copy_from_slice).unwrap_or_default();
    io.input.advance(copy.len());
    copy
}

fn not_empty(chunk: Bytes) -> Result<Bytes> {
    if chunk.is_empty() { Err(Error::cut_off(Phase::Body)) } else { Ok(chunk) }
}

fn in_content(refusal: Refusal) -> Error {
    Error::from(refusal).during(Phase::Body)
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

/// A request's body on an HTTP/1 connection: a ticket for its turn.
pub(crate) struct TurnBody {
    line: Arc<Line>,
    turn: u64,
}

impl TurnBody {
    pub(crate) fn new(line: Arc<Line>, turn: u64) -> TurnBody {
        TurnBody { line, turn }
    }
}

impl Source for TurnBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let mut state = self.line.lock();
        if state.turn != self.turn {
            return Poll::Ready(Some(Err(Error::new(ErrorKind::TurnOver, "the request of this body is over"))));
        }
        let frame = state.poll_content(cx);
        state.reader = frame.is_pending().then(|| cx.waker().clone());
        frame
    }

    fn remaining(&self) -> Option<u64> {
        let state = self.line.lock();
        match &state.content {
            Content::Length(left) if state.turn == self.turn => Some(*left),
            _ => None,
        }
    }
}

/// Reads on and throws away, until the end of the content or until this many bytes were read.
/// Says whether the end was reached.
pub(crate) async fn drain(line: &Line, most: u64) -> bool {
    let mut left = most;
    loop {
        match std::future::poll_fn(|cx| line.lock().poll_content(cx)).await {
            None | Some(Ok(Frame::Trailer(_))) => return true,
            Some(Ok(Frame::Data(chunk))) => match left.checked_sub(chunk.len() as u64) {
                Some(rest) => left = rest,
                None => return line.lock().content_is_over(),
            },
            Some(Err(_)) => return false,
        }
    }
}

/// Says that nothing more comes, and reads what the peer still sends until it closes too: a
/// close with unread bytes would reset the connection, and the answer on its way with it.
pub(crate) async fn linger(line: &Line) -> io::Result<()> {
    std::future::poll_fn(|cx| match line.lock().io() {
        Ok(io) => io.poll_shutdown(cx),
        Err(_) => Poll::Ready(Ok(())),
    })
    .await?;
    std::future::poll_fn(|cx| {
        let mut state = line.lock();
        let Ok(io) = state.io() else { return Poll::Ready(Ok(())) };
        loop {
            io.input.clear();
            if io.ended || ready!(io.poll_fill(cx))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    })
    .await
}
