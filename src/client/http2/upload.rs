//! Sends the content of a request, no faster than the peer's windows allow.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;

use super::super::exchange::{SendError, SendProgress, SendState, wrong_length};
use crate::error::{Error, ErrorKind, Phase, Sent};
use crate::h1::Outgoing;
use crate::h2::{Meter, append_trailer, poll_room};
use crate::message::{Body, Header};

/// What is still to be sent of one request, after its head.
pub(super) struct Upload {
    stream: SendStream<Bytes>,
    meter: Arc<Meter>,
    body: Body,
    outgoing: Outgoing,
    trailer: Header,
    /// Content that waits for room.
    chunk: Bytes,
    /// How much content the body has given.
    counted: u64,
    /// How much of it was handed over.
    taken: u64,
    pub(super) state: SendState,
}

/// Whether content follows a head.
pub(super) fn has_content(outgoing: Outgoing) -> bool {
    !matches!(outgoing, Outgoing::None | Outgoing::Length(0))
}

impl Upload {
    /// With `waits`, the body comes only after [`SendState::proceed`].
    pub(super) fn new(
        stream: SendStream<Bytes>,
        meter: Arc<Meter>,
        body: Body,
        outgoing: Outgoing,
        trailer: &Header,
        waits: bool,
    ) -> Upload {
        let state = match waits {
            _ if !has_content(outgoing) => SendState::Flushing,
            true => SendState::AwaitingContinue,
            false => SendState::Body,
        };
        let trailer = trailer.clone();
        Upload { stream, meter, body, outgoing, trailer, chunk: Bytes::new(), counted: 0, taken: 0, state }
    }

    /// Sends as much as possible. Ready when all is handed over, or when only a `100 Continue` lets it go on.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<SendProgress, SendError>> {
        loop {
            match self.state {
                SendState::Head | SendState::AwaitingContinue => {
                    return Poll::Ready(Ok(SendProgress::AwaitsContinue));
                }
                SendState::Body => ready!(self.poll_piece(cx))?,
                // What was handed over is written by the connection's task.
                SendState::Flushing => self.state = SendState::Sent,
                SendState::Sent => return Poll::Ready(Ok(SendProgress::Sent)),
                SendState::Failed(_) | SendState::Stalled(_) | SendState::Abandoned => return Poll::Pending,
            }
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if self.chunk.is_empty() {
            return match ready!(self.body.poll_chunk(cx)) {
                Some(chunk) => Poll::Ready(chunk.map_err(SendError::Body).and_then(|chunk| self.take(chunk))),
                None => Poll::Ready(self.finish()),
            };
        }
        let room = ready!(poll_room(&mut self.stream, self.chunk.len(), cx)).map_err(SendError::Write)?;
        let piece = self.chunk.split_to(room);
        self.taken = self.taken.saturating_add(room as u64);
        self.meter.sent_data(room);
        // Where the body says that this was all, its end needs no frame of its own.
        let is_last = self.chunk.is_empty() && self.is_over(cx)? && self.trailer.is_empty();
        if is_last {
            self.check_length()?;
            self.state = SendState::Sent;
        }
        Poll::Ready(self.stream.send_data(piece, is_last).map_err(closed))
    }

    /// Whether the body has ended after what was taken of it, without a trailer that is not known of yet. Only
    /// asked where no more content is announced: its end is at hand then.
    fn is_over(&mut self, cx: &mut Context<'_>) -> Result<bool, SendError> {
        if self.body.remaining() != Some(0) {
            return Ok(false);
        }
        match self.body.poll_chunk(cx) {
            Poll::Ready(None) => self.take_trailer(),
            Poll::Ready(Some(chunk)) => chunk.map_err(SendError::Body).and_then(|chunk| self.take(chunk))?,
            Poll::Pending => {}
        }
        Ok(self.body.is_empty() && self.chunk.is_empty())
    }

    /// What a body brings itself, as one that a server has received does, follows what was set.
    fn take_trailer(&mut self) {
        if let Some(trailer) = self.body.take_trailer() {
            self.trailer.extend(trailer.iter());
        }
    }

    fn take(&mut self, chunk: Bytes) -> Result<(), SendError> {
        self.counted = self.counted.saturating_add(chunk.len() as u64);
        match self.outgoing {
            Outgoing::Length(length) if self.counted > length => Err(wrong_length(length, "is longer than")),
            _ => {
                self.chunk = chunk;
                Ok(())
            }
        }
    }

    fn check_length(&self) -> Result<(), SendError> {
        match self.outgoing {
            Outgoing::Length(length) if self.counted < length => Err(wrong_length(length, "is shorter than")),
            _ => Ok(()),
        }
    }

    fn finish(&mut self) -> Result<(), SendError> {
        self.check_length()?;
        self.take_trailer();
        self.state = SendState::Sent;
        if self.trailer.is_empty() {
            return self.stream.send_data(Bytes::new(), true).map_err(closed);
        }
        let mut fields = HeaderMap::with_capacity(self.trailer.len());
        append_trailer(&mut fields, &self.trailer);
        self.stream.send_trailers(fields).map_err(closed)
    }

    /// Gives the stream up. What was sent of it arrives first.
    pub(super) fn reset(&mut self, reason: Reason) {
        self.state = SendState::Abandoned;
        self.stream.send_reset(reason);
    }

    /// How much content was handed over, if the upload waits for the peer. `None` if it waits for the
    /// body.
    pub(super) fn taken_while_writing(&self) -> Option<u64> {
        (!self.chunk.is_empty()).then_some(self.taken)
    }

    /// The body, if it still waits for `100 Continue`.
    pub(super) fn take_body_that_waits(&mut self) -> Option<Body> {
        matches!(self.state, SendState::AwaitingContinue).then(|| std::mem::take(&mut self.body))
    }

    /// The head is always handed over before.
    pub(super) fn sent(&self) -> Sent {
        if matches!(self.state, SendState::Sent) { Sent::Fully } else { Sent::Partly }
    }
}

fn closed(error: h2::Error) -> SendError {
    SendError::Write(Error::new(ErrorKind::CutOff, "the stream is closed").during(Phase::Write).with_source(error))
}
