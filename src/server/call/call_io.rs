//! Where a writer's bytes go when no connection is there: what `ConnIo` is for a connection of HTTP/1.
//!
//! Two use it: the handler's future fills it, and the one who polls that future empties it. Both run in
//! turns, in one task, because the reader polls the handler; a handler that joins several futures gives
//! each of them a waker of its own, so the waker of one that waits for room is kept and woken.
//!
//! Content lies in three places, in this order: `content` is what the reader takes next, `write_buffer` what
//! was collected behind it, and a direct write what its caller still holds. A flush is done when what was
//! collected has moved to `content`. It moves while there is less than [`MAX_WAITING_BYTES`] there: that is
//! the back-pressure, and by it a call holds a bounded part of its response, however long that is.
//!
//! A limit on time exists only where a handler sets one; without any, no timer is made and no runtime needed.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context as TaskContext, Poll, Waker, ready};

use bytes::Bytes;
use http::StatusCode;
use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Phase, Result};
use crate::message::{Body, Context, Frame, Header};
use crate::net::{Deadline, TransferDeadlines, TransferLimit};
use crate::server::response::write_buffer::{DirectWrite, WriteBuffer};

/// With this much content that nobody has taken, writes wait.
const MAX_WAITING_BYTES: usize = 16 * 1024;
/// The most that is copied or handed on at once from a direct write.
const MAX_PIECE_BYTES: usize = 64 * 1024;

/// The head of a response, decided.
#[derive(Debug)]
pub(crate) struct CallHead {
    pub(crate) status: StatusCode,
    pub(crate) header: Header,
    /// How much content follows, where that is known.
    pub(crate) length: Option<u64>,
}

/// An informational response.
pub(crate) type Informational = (StatusCode, Header);

pub(crate) struct CallIo {
    state: Mutex<CallState>,
    /// The request's context, which ends with this call.
    context: Context,
}

struct CallState {
    head: Option<CallHead>,
    /// `None` where nobody will ask for them.
    informational: Option<Vec<Informational>>,
    content: VecDeque<Bytes>,
    content_bytes: usize,
    /// How much of the content the reader has still to take, where its length is known.
    left_to_take: Option<u64>,
    write_buffer: WriteBuffer,
    ending: CallEnding,
    is_flushed: bool,
    is_over: bool,
    read_limit: TransferLimit,
    write_limit: TransferLimit,
    read_deadline: Deadline,
    write_deadline: Deadline,
    /// Waits for room.
    writer: Option<Waker>,
}

enum CallEnding {
    /// The handler runs, or its response is not whole yet.
    Open,
    /// All content is there, and this trailer follows it.
    Whole(Header),
    Failed(Error),
    /// The reader has had the trailer.
    Over,
}

/// What a reader gets next.
pub(crate) enum CallContent {
    Data(Bytes),
    Trailer(Header),
    End,
}

impl CallIo {
    pub(crate) fn new(context: Context, informational: Option<Vec<Informational>>) -> CallIo {
        let state = CallState {
            head: None,
            informational,
            content: VecDeque::new(),
            content_bytes: 0,
            left_to_take: None,
            write_buffer: WriteBuffer::default(),
            ending: CallEnding::Open,
            is_flushed: false,
            is_over: false,
            read_limit: TransferLimit::default(),
            write_limit: TransferLimit::default(),
            read_deadline: Deadline::default(),
            write_deadline: Deadline::default(),
            writer: None,
        };
        CallIo { state: Mutex::new(state), context }
    }

    /// Poisoning is ignored: no code under this lock panics in the middle of a change.
    fn lock(&self) -> MutexGuard<'_, CallState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---------------------------------------------------------------- for the reader

    /// The head, once it is decided; the error, where there will be none.
    pub(super) fn take_head(&self) -> Option<Result<CallHead>> {
        let mut state = self.lock();
        if let Some(head) = state.head.take() {
            return Some(Ok(head));
        }
        if let CallEnding::Failed(error) = &state.ending { Some(Err(error.again())) } else { None }
    }

    /// What comes next of the content, if anything is there.
    pub(super) fn take_content(&self) -> Option<Result<CallContent>> {
        let mut state = self.lock();
        if let Some(bytes) = state.content.pop_front() {
            state.content_bytes -= bytes.len();
            state.left_to_take = state.left_to_take.map(|left| left.saturating_sub(bytes.len() as u64));
            if let Some(writer) = state.writer.take() {
                drop(state);
                writer.wake();
            }
            return Some(Ok(CallContent::Data(bytes)));
        }
        match &state.ending {
            CallEnding::Open => None,
            CallEnding::Failed(error) => Some(Err(error.again())),
            CallEnding::Over => Some(Ok(CallContent::End)),
            CallEnding::Whole(_) => match std::mem::replace(&mut state.ending, CallEnding::Over) {
                CallEnding::Whole(trailer) if !trailer.is_empty() => Some(Ok(CallContent::Trailer(trailer))),
                _ => Some(Ok(CallContent::End)),
            },
        }
    }

    pub(super) fn take_informational(&self) -> Vec<Informational> {
        self.lock().informational.take().unwrap_or_default()
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.lock().is_flushed
    }

    // ---------------------------------------------------------------- around the handler

    /// Called while the handler waits: moves on what was collected, and ends the call where its response
    /// should be written by now.
    pub(super) fn poll_meanwhile(&self, cx: &mut TaskContext<'_>) {
        let state = &mut *self.lock();
        if !state.write_buffer.is_sending_direct() {
            state.move_collected();
        }
        if matches!(state.ending, CallEnding::Open)
            && state.write_limit.poll_until(&mut state.write_deadline, cx).is_ready()
        {
            state.fail(Error::timed_out(Phase::Write));
            self.context.end_scope();
        }
    }

    /// The handler is done. Where `cut` is set its response is not whole.
    pub(super) fn finish(&self, cut: bool) {
        let mut state = self.lock();
        // Also in front of a cut: the reader gets what was written before it.
        state.push_collected();
        // Open still: nobody has ended it, as behind a panic after the head was sent.
        if cut || matches!(state.ending, CallEnding::Open) {
            let error = state.write_buffer.check().err();
            state.fail(error.unwrap_or_else(cut_response));
        }
    }

    /// The request is over: its body reads as an error from now on, and its context is cancelled.
    pub(super) fn end_call(&self) {
        self.lock().is_over = true;
        self.context.end_scope();
    }

    // ---------------------------------------------------------------- for the writer

    pub(crate) fn with_write_buffer<T>(&self, act: impl FnOnce(&mut WriteBuffer) -> T) -> T {
        act(&mut self.lock().write_buffer)
    }

    pub(crate) fn send_head(&self, head: CallHead) {
        let mut state = self.lock();
        state.left_to_take = head.length;
        state.head = Some(head);
    }

    pub(crate) fn send_informational(&self, status: StatusCode, header: &Header) {
        if let Some(kept) = &mut self.lock().informational {
            kept.push((status, header.clone()));
        }
    }

    /// All content was collected; this follows it.
    pub(crate) fn end(&self, trailer: &Header) {
        let mut state = self.lock();
        if matches!(state.ending, CallEnding::Open) {
            state.ending = CallEnding::Whole(trailer.clone());
        }
    }

    /// The handler wants what it has written to leave now.
    pub(crate) fn note_flush(&self) {
        self.lock().is_flushed = true;
    }

    pub(crate) fn poll_flush(&self, cx: &mut TaskContext<'_>) -> Poll<Result<()>> {
        let mut state = self.lock();
        state.write_buffer.check()?;
        if !state.write_buffer.is_empty() {
            ready!(state.poll_room(cx))?;
            state.move_collected();
        }
        Poll::Ready(Ok(()))
    }

    /// Begins large content, after what was collected. Until it is [sent](Self::poll_send_direct) whole,
    /// nothing else is.
    pub(crate) fn begin_direct(&self) -> Result<()> {
        let mut state = self.lock();
        state.write_buffer.check()?;
        state.push_collected();
        state.write_buffer.begin_direct();
        Ok(())
    }

    /// Sends what is left of it.
    pub(crate) fn poll_send_direct(&self, cx: &mut TaskContext<'_>, direct: &mut DirectWrite<'_>) -> Poll<Result<()>> {
        let mut state = self.lock();
        while direct.len_of_piece() > 0 {
            ready!(state.poll_room(cx))?;
            let piece = direct.piece(direct.len_of_piece().min(MAX_PIECE_BYTES));
            direct.advance(piece.len());
            state.push(piece);
        }
        state.write_buffer.end_direct();
        Poll::Ready(Ok(()))
    }

    /// The call is over for its reader: cancels the request's context.
    pub(crate) fn cancel(&self) {
        self.context.end_scope();
    }

    /// Completes when nobody reads the response any more: by the end of this call, or of the request that it is a
    /// part of.
    pub(crate) async fn reader_gone(&self) {
        self.context.cancelled().await;
    }

    /// Whether it has left before it had all of the response. One that knows the length may leave with the last
    /// byte, before the handler is done.
    pub(crate) fn is_reader_gone(&self) -> bool {
        self.context.is_cancelled() && {
            let state = self.lock();
            state.head.is_some() || state.left_to_take != Some(0)
        }
    }

    pub(crate) fn deadlines(&self) -> TransferDeadlines {
        let state = self.lock();
        TransferDeadlines { read: state.read_limit.until(), write: state.write_limit.until() }
    }

    /// Moves the limit, for a read that waits already too: the body may be read by another task.
    pub(crate) fn set_read_until(&self, at: Option<Instant>) {
        let state = &mut *self.lock();
        state.read_limit.set_until(at);
        state.read_limit.wake(&mut state.read_deadline);
    }

    pub(crate) fn set_write_until(&self, at: Option<Instant>) {
        self.lock().write_limit.set_until(at);
    }

    // ---------------------------------------------------------------- for the request's body

    /// The next piece of the request's content, under the limit on reading. After the call it is an error,
    /// as on a connection.
    pub(super) fn poll_content(&self, cx: &mut TaskContext<'_>, body: &mut Body) -> Poll<Option<Result<Frame>>> {
        {
            let state = self.lock();
            if state.is_over {
                return Poll::Ready(Some(Err(Error::new(ErrorKind::RequestOver, "the request of this body is over"))));
            }
            if state.read_limit.has_passed() {
                return Poll::Ready(Some(Err(Error::timed_out(Phase::Body))));
            }
        }
        // Not under the lock: the body is a stranger's, and may call anything.
        let polled = body.poll_chunk(cx);
        let state = &mut *self.lock();
        match polled {
            Poll::Ready(next) => {
                state.read_limit.progressed();
                Poll::Ready(match next {
                    Some(chunk) => Some(chunk.map(Frame::Data)),
                    None => body.take_trailer().map(|trailer| Ok(Frame::Trailer(trailer))),
                })
            }
            Poll::Pending if state.read_limit.until().is_none() => Poll::Pending,
            Poll::Pending => {
                ready!(state.read_limit.poll(&mut state.read_deadline, cx));
                Poll::Ready(Some(Err(Error::timed_out(Phase::Body))))
            }
        }
    }
}

impl CallState {
    /// Waits until the reader has taken enough, under the limit on writing.
    fn poll_room(&mut self, cx: &mut TaskContext<'_>) -> Poll<Result<()>> {
        if self.write_limit.has_passed() {
            return Poll::Ready(Err(self.write_buffer.fail(Error::timed_out(Phase::Write))));
        }
        if self.content_bytes < MAX_WAITING_BYTES {
            self.write_limit.progressed();
            return Poll::Ready(Ok(()));
        }
        self.writer = Some(cx.waker().clone());
        if self.write_limit.until().is_none() {
            return Poll::Pending;
        }
        ready!(self.write_limit.poll(&mut self.write_deadline, cx));
        Poll::Ready(Err(self.write_buffer.fail(Error::timed_out(Phase::Write))))
    }

    /// Moves what was collected on, if there is room.
    fn move_collected(&mut self) {
        if self.content_bytes < MAX_WAITING_BYTES {
            self.push_collected();
        }
    }

    fn push_collected(&mut self) {
        if self.write_buffer.is_empty() {
            return;
        }
        // Handed on as it is, without a copy; the buffer gets new memory when it needs some.
        let (bytes, _) = self.write_buffer.take();
        self.push(bytes.into());
    }

    fn push(&mut self, bytes: Bytes) {
        self.content_bytes += bytes.len();
        self.content.push_back(bytes);
    }

    /// The response ends here, incomplete.
    fn fail(&mut self, error: Error) {
        self.write_buffer.abandon(&error);
        self.ending = CallEnding::Failed(error);
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}

fn cut_response() -> Error {
    Error::new(ErrorKind::CutOff, "the handler has not completed its response").during(Phase::Body)
}

impl std::fmt::Debug for CallIo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CallIo").finish_non_exhaustive()
    }
}
