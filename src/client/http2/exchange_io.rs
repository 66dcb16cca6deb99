//! What one exchange and the task of its connection share.
//!
//! # Theory of operation
//!
//! ```text
//!  exchange ─ submit ─▶ ┌───────────────────┐ ─ head, ≤ 64 KiB of content, end ──▶ task
//!           ─ content ▶ │    ExchangeIo     │
//!           ◀─ heads ── │ (a lock for one   │ ◀─ heads, content, trailer, end ──── task
//!           ◀─ content  │  push or take)    │
//!           ─ read ───▶ └───────────────────┘ ─ so much was read, given up ──────▶ task
//! ```
//!
//! **Who wakes whom.** Whoever changes something for the task lists the exchange once in
//! [`Http2State::ready`](super::state::Http2State), which wakes the task if it does not run. `is_listed`
//! says that it stands there, and is cleared when the task comes to it. The task wakes the exchange's
//! future: the reader for heads, content and the end, the writer when room was made or the last of the
//! request was taken.
//!
//! **Stages.** An exchange waits until the task has opened its stream, and until then nothing of it was
//! sent, which is what makes it safe to send it on another connection. Once its stream is over the task
//! looks at it no more, and what was received stays here to be read.
//!
//! ```text
//!  Waiting ──▶ Begun(slot) ──▶ Over
//!     └── given up, or the connection takes no more ──▲
//! ```

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

use super::content::{ContentIn, ContentOut, ContentOutEnd, NextOut};
use super::error::ExchangeEnd;
use super::request_head::HeadToSend;
use crate::h2::fault::ErrorCode;
use crate::message::Header;

/// How much content of a request is taken from its body before it is sent.
const MAX_CONTENT_AHEAD_BYTES: usize = 64 << 10;

pub(super) struct ExchangeIo(Mutex<ExchangeShared>);

struct ExchangeShared {
    stage: ExchangeStage,
    /// It stands in the list of those that have something for the task.
    is_listed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    head: Option<Box<HeadToSend>>,
    out: ContentOut,
    interims: VecDeque<ReceivedResponse>,
    interim_bytes: usize,
    response: Option<ReceivedResponse>,
    content: ContentIn,
    trailer: Option<Header>,
    end: Option<ExchangeEnd>,
    given_up: Option<ErrorCode>,
    /// So much has to be read before the task is told.
    told_bytes: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ExchangeStage {
    /// The task has not opened a stream for it.
    Waiting,
    /// Its stream has this slot.
    Begun(u32),
    /// The task looks at it no more.
    Over,
}

/// The head of a response, interim or final.
#[derive(Debug)]
pub(super) struct ReceivedResponse {
    pub(super) status: u16,
    pub(super) header: Header,
    pub(super) content_length: Option<u64>,
    /// What the fields count for against the limit of their size (RFC 9113 §10.5.1), and how many came.
    pub(super) bytes: usize,
    pub(super) field_count: usize,
    /// It went over a limit, so that fields are missing.
    pub(super) is_too_large: bool,
    /// No content follows.
    pub(super) ends: bool,
}

/// What an exchange has for the task.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Touch {
    /// A request that has to be begun.
    New {
        is_extended_connect: bool,
    },
    Begun {
        slot: u32,
        read: u32,
        wants_to_send: bool,
        given_up: Option<ErrorCode>,
    },
    Nothing,
}

/// What comes before the content.
pub(super) enum ReceivedHeads {
    Interim(ReceivedResponse),
    Final(ReceivedResponse),
    Ended(ExchangeEnd),
}

/// The next of the content.
pub(super) enum ReceivedContent {
    Data(Bytes),
    Trailer(Header),
    Ended(ExchangeEnd),
}

/// Whether the task has to be told of a change: the exchange is to be listed then.
#[must_use = "the task would not look at it"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tell {
    Task,
    Nobody,
}

impl ExchangeIo {
    /// An exchange that is listed first by [`submit`](super::exchange::Exchange).
    pub(super) fn new(head: Box<HeadToSend>, has_content: bool, told_bytes: u32) -> Arc<ExchangeIo> {
        let end = if has_content { ContentOutEnd::Open } else { ContentOutEnd::Sent };
        Arc::new(ExchangeIo(Mutex::new(ExchangeShared {
            stage: ExchangeStage::Waiting,
            is_listed: true,
            reader: None,
            writer: None,
            head: Some(head),
            out: ContentOut { end, ..ContentOut::default() },
            interims: VecDeque::new(),
            interim_bytes: 0,
            response: None,
            content: ContentIn::default(),
            trailer: None,
            end: None,
            given_up: None,
            told_bytes,
        })))
    }

    /// Poisoning is ignored: no code under this lock panics.
    fn lock(&self) -> MutexGuard<'_, ExchangeShared> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ------------------------------------------------------------ for the exchange

    /// The next head, or the end of a stream that brings none.
    pub(super) fn poll_heads(&self, cx: &mut Context<'_>) -> Poll<ReceivedHeads> {
        let mut shared = self.lock();
        if let Some(interim) = shared.interims.pop_front() {
            shared.interim_bytes = shared.interim_bytes.saturating_sub(interim.bytes);
            return Poll::Ready(ReceivedHeads::Interim(interim));
        }
        if let Some(response) = shared.response.take() {
            return Poll::Ready(ReceivedHeads::Final(response));
        }
        if let Some(end) = shared.end {
            return Poll::Ready(ReceivedHeads::Ended(end));
        }
        keep_waker(&mut shared.reader, cx);
        Poll::Pending
    }

    /// The next of the content, and whether the task has to know what was read.
    pub(super) fn poll_content(&self, cx: &mut Context<'_>) -> Poll<(ReceivedContent, Tell)> {
        let mut shared = self.lock();
        if let Some(piece) = shared.content.pieces.pop_front() {
            let piece = piece.freeze();
            shared.content.read = shared.content.read.saturating_add(piece.len() as u32);
            let is_all = shared.content.pieces.is_empty() && shared.end.is_some();
            let tell = if is_all || shared.content.read >= shared.told_bytes { shared.list() } else { Tell::Nobody };
            return Poll::Ready((ReceivedContent::Data(piece), tell));
        }
        if let Some(trailer) = shared.trailer.take() {
            return Poll::Ready((ReceivedContent::Trailer(trailer), Tell::Nobody));
        }
        if let Some(end) = shared.end {
            return Poll::Ready((ReceivedContent::Ended(end), Tell::Nobody));
        }
        keep_waker(&mut shared.reader, cx);
        Poll::Pending
    }

    /// The content of a response that is here as a whole, in one piece and without a trailer.
    pub(super) fn take_whole(&self) -> Option<Bytes> {
        let mut shared = self.lock();
        let is_whole = shared.end == Some(ExchangeEnd::Whole) && shared.stage == ExchangeStage::Over;
        if !is_whole || shared.trailer.is_some() || shared.content.pieces.len() > 1 {
            return None;
        }
        Some(shared.content.pieces.pop_front().map(BytesMut::freeze).unwrap_or_default())
    }

    /// Waits until some content may be handed over, and returns how much. Content that can be made only
    /// once (`is_ahead` is false) is asked for when the request was begun: until then it can go elsewhere.
    /// `None`: the stream takes no more.
    pub(super) fn poll_room(&self, is_ahead: bool, cx: &mut Context<'_>) -> Poll<Option<usize>> {
        let mut shared = self.lock();
        if shared.takes_no_more() {
            return Poll::Ready(None);
        }
        let room = MAX_CONTENT_AHEAD_BYTES.saturating_sub(shared.out.bytes);
        if room > 0 && (is_ahead || shared.stage != ExchangeStage::Waiting) {
            return Poll::Ready(Some(room));
        }
        keep_waker(&mut shared.writer, cx);
        Poll::Pending
    }

    /// Hands content over; with `end`, the last of it, and the trailer section.
    pub(super) fn push_out(&self, piece: Bytes, end: Option<Header>) -> Tell {
        let mut shared = self.lock();
        if shared.takes_no_more() {
            return Tell::Nobody;
        }
        shared.out.bytes += piece.len();
        if !piece.is_empty() {
            shared.out.pieces.push_back(piece);
        }
        if let Some(trailer) = end {
            shared.out.end = ContentOutEnd::Due(trailer);
        }
        shared.list()
    }

    /// Waits until all that was handed over has been sent. `false`: the stream takes no more.
    pub(super) fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut shared = self.lock();
        if matches!(shared.out.end, ContentOutEnd::Sent) {
            return Poll::Ready(true);
        }
        if shared.takes_no_more() {
            return Poll::Ready(false);
        }
        keep_waker(&mut shared.writer, cx);
        Poll::Pending
    }

    /// Waits until the task has taken all content that was handed over. `false`: the stream takes no more.
    pub(super) fn poll_taken(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut shared = self.lock();
        if shared.out.bytes == 0 {
            return Poll::Ready(true);
        }
        if shared.takes_no_more() {
            return Poll::Ready(false);
        }
        keep_waker(&mut shared.writer, cx);
        Poll::Pending
    }

    /// How much content the task has sent.
    pub(super) fn taken(&self) -> u64 {
        self.lock().out.taken
    }

    /// How it has ended; as a whole where the peer wants no more of the request.
    pub(super) fn end(&self) -> ExchangeEnd {
        self.lock().end.unwrap_or(ExchangeEnd::Whole)
    }

    /// Gives the stream up: it is reset with this code if it is not over. Returns whether the request was
    /// begun: otherwise it never is.
    pub(super) fn give_up(&self, code: ErrorCode) -> (bool, Tell) {
        let mut shared = self.lock();
        let was_begun = shared.head.is_none();
        shared.given_up = Some(code);
        shared.content.pieces.clear();
        shared.out.close();
        (was_begun, shared.list())
    }

    // ------------------------------------------------------------ for the connection's task

    /// What the exchange has for the task, which is looking at it now.
    pub(super) fn take_touch(&self) -> Touch {
        let mut shared = self.lock();
        shared.is_listed = false;
        match shared.stage {
            ExchangeStage::Waiting if shared.given_up.is_some() => {
                shared.stage = ExchangeStage::Over;
                Touch::Nothing
            }
            ExchangeStage::Waiting => {
                let is_extended_connect = shared.head.as_ref().is_some_and(|head| head.is_extended_connect());
                Touch::New { is_extended_connect }
            }
            ExchangeStage::Begun(slot) => Touch::Begun {
                slot,
                read: std::mem::take(&mut shared.content.read),
                wants_to_send: shared.out.has_something(),
                given_up: shared.given_up,
            },
            ExchangeStage::Over => Touch::Nothing,
        }
    }

    /// The head of a request that is begun now, and whether content follows. `None` once it was given up.
    pub(super) fn take_head(&self) -> Option<(Box<HeadToSend>, bool)> {
        let mut shared = self.lock();
        if shared.given_up.is_some() {
            shared.stage = ExchangeStage::Over;
            return None;
        }
        let is_whole = match &shared.out.end {
            ContentOutEnd::Due(trailer) => trailer.is_empty() && shared.out.pieces.is_empty(),
            ContentOutEnd::Sent => true,
            ContentOutEnd::Open | ContentOutEnd::Closed => false,
        };
        if is_whole {
            shared.out.end = ContentOutEnd::Sent;
        }
        Some((shared.head.take()?, !is_whole))
    }

    /// Its stream has this slot. Returns whether it has content already, and whom to wake.
    pub(super) fn set_begun(&self, slot: u32) -> (bool, Option<Waker>) {
        let mut shared = self.lock();
        shared.stage = ExchangeStage::Begun(slot);
        (shared.out.has_something(), shared.writer.take())
    }

    /// What is to be sent next, no more than there is room for, and whom to wake for the room it makes.
    pub(super) fn next_out(&self, room: usize) -> (NextOut, Option<Waker>) {
        let mut shared = self.lock();
        let out = &mut shared.out;
        let next = out.next(room);
        let is_awaited =
            out.bytes <= MAX_CONTENT_AHEAD_BYTES / 2 && !matches!(next, NextOut::Window | NextOut::Nothing);
        let writer = if is_awaited { shared.writer.take() } else { None };
        (next, writer)
    }

    /// A head has come. Returns whom to wake, and whether more informational ones wait than may.
    pub(super) fn push_response(&self, response: ReceivedResponse, max_interim_bytes: usize) -> (Option<Waker>, bool) {
        let mut shared = self.lock();
        let mut is_over = false;
        if response.status < 200 {
            shared.interim_bytes = shared.interim_bytes.saturating_add(response.bytes);
            is_over = shared.interim_bytes > max_interim_bytes;
            if !is_over {
                shared.interims.push_back(response);
            }
        } else {
            if response.ends {
                shared.end = Some(ExchangeEnd::Whole);
            }
            shared.response = Some(response);
        }
        (shared.reader.take(), is_over)
    }

    /// Content has come. `false`: nobody wants it.
    pub(super) fn push_content(&self, bytes: &[u8]) -> (Option<Waker>, bool) {
        let mut shared = self.lock();
        if shared.given_up.is_some() {
            return (None, false);
        }
        shared.content.push(bytes);
        (shared.reader.take(), true)
    }

    /// The response is over.
    pub(super) fn push_end(&self, trailer: Option<Header>) -> Option<Waker> {
        let mut shared = self.lock();
        shared.trailer = trailer.filter(|trailer| !trailer.is_empty());
        shared.end.get_or_insert(ExchangeEnd::Whole);
        shared.reader.take()
    }

    /// The stream is closed. What has come of a response that is not whole can be read; then the reason
    /// follows. Returns reader and writer.
    pub(super) fn set_closed(&self, end: ExchangeEnd) -> [Option<Waker>; 2] {
        let mut shared = self.lock();
        shared.end.get_or_insert(end);
        if !matches!(shared.out.end, ContentOutEnd::Sent) {
            shared.out.close();
        }
        [shared.reader.take(), shared.writer.take()]
    }

    /// The task looks at it no more.
    pub(super) fn set_over(&self) {
        self.lock().stage = ExchangeStage::Over;
    }
}

impl ExchangeShared {
    fn list(&mut self) -> Tell {
        if self.is_listed || self.stage == ExchangeStage::Over {
            return Tell::Nobody;
        }
        self.is_listed = true;
        Tell::Task
    }

    fn takes_no_more(&self) -> bool {
        matches!(self.out.end, ContentOutEnd::Closed) || self.end.is_some_and(|end| end != ExchangeEnd::Whole)
    }
}

fn keep_waker(kept: &mut Option<Waker>, cx: &Context<'_>) {
    match kept {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *kept = Some(cx.waker().clone()),
    }
}
