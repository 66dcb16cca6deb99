//! Sends the content of a request, no faster than the connection's task takes it.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::super::exchange::{SendError, SendProgress, SendState, wrong_length};
use super::error::end_error;
use super::exchange_io::ExchangeIo;
use super::request_head::allowed_trailer;
use super::state::Http2State;
use crate::error::Phase;
use crate::h1::Outgoing;
use crate::message::{Body, Header};

/// What is still to be sent of one request, after its head.
pub(super) struct Upload {
    body: Body,
    outgoing: Outgoing,
    trailer: Header,
    /// Content that waits for room.
    chunk: Bytes,
    /// How much content the body has given.
    counted: u64,
    /// Content in memory is handed over with the head. Other content is read once the request is begun: it
    /// could not be had again for another connection.
    is_ahead: bool,
    /// The stream is awaited, and the body after it.
    awaits_stream: bool,
    pub(super) state: SendState,
}

/// Whether content follows a head.
pub(super) fn has_content(outgoing: Outgoing) -> bool {
    !matches!(outgoing, Outgoing::None | Outgoing::Length(0))
}

impl Upload {
    /// With `waits`, the body comes only after [`SendState::proceed`].
    pub(super) fn new(body: Body, outgoing: Outgoing, trailer: &Header, waits: bool) -> Upload {
        let state = match waits {
            _ if !has_content(outgoing) => SendState::Flushing,
            true => SendState::AwaitingContinue,
            false => SendState::Body,
        };
        let is_ahead = body.is_in_memory();
        let trailer = trailer.clone();
        Upload { body, outgoing, trailer, chunk: Bytes::new(), counted: 0, is_ahead, awaits_stream: false, state }
    }

    /// Sends as much as possible. Ready when all is sent, or when only a `100 Continue` lets it go on.
    pub(super) fn poll(
        &mut self,
        io: &Arc<ExchangeIo>,
        connection: &Http2State,
        cx: &mut Context<'_>,
    ) -> Poll<Result<SendProgress, SendError>> {
        loop {
            match self.state {
                SendState::Head | SendState::AwaitingContinue => {
                    return Poll::Ready(Ok(SendProgress::AwaitsContinue));
                }
                SendState::Body => ready!(self.poll_piece(io, connection, cx))?,
                SendState::Flushing if ready!(io.poll_sent(cx)) => self.state = SendState::Sent,
                SendState::Flushing => return Poll::Ready(Err(closed(io, connection))),
                SendState::Sent => return Poll::Ready(Ok(SendProgress::Sent)),
                SendState::Failed(_) | SendState::Stalled(_) | SendState::Abandoned => return Poll::Pending,
            }
        }
    }

    fn poll_piece(
        &mut self,
        io: &Arc<ExchangeIo>,
        connection: &Http2State,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError>> {
        let room = io.poll_room(self.is_ahead, cx);
        self.awaits_stream = room.is_pending();
        let room = ready!(room).ok_or_else(|| closed(io, connection))?;
        if self.chunk.is_empty() {
            match ready!(self.body.poll_chunk(cx)) {
                Some(chunk) => self.take(chunk.map_err(SendError::Body)?)?,
                None => return Poll::Ready(self.finish(io, connection)),
            }
        }
        let piece = self.chunk.split_to(room.min(self.chunk.len()));
        // Where the body says that this was all, its end is sent with it.
        let is_last = self.chunk.is_empty() && self.is_over(cx)?;
        if is_last {
            self.check_length()?;
            self.state = SendState::Flushing;
        }
        let trailer = is_last.then(|| allowed_trailer(std::mem::take(&mut self.trailer)));
        connection.tell(io, io.push_out(piece, trailer));
        Poll::Ready(Ok(()))
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

    fn finish(&mut self, io: &Arc<ExchangeIo>, connection: &Http2State) -> Result<(), SendError> {
        self.check_length()?;
        self.take_trailer();
        self.state = SendState::Flushing;
        let trailer = Some(allowed_trailer(std::mem::take(&mut self.trailer)));
        connection.tell(io, io.push_out(Bytes::new(), trailer));
        Ok(())
    }

    /// How much content was sent, if the upload waits for the peer. `None` if it waits for the body.
    pub(super) fn taken_while_writing(&self, io: &ExchangeIo) -> Option<u64> {
        let waits = self.awaits_stream || matches!(self.state, SendState::Flushing);
        waits.then(|| io.taken())
    }

    /// The body, if nothing of it was read.
    pub(super) fn take_unread(&mut self) -> Option<Body> {
        (self.counted == 0).then(|| std::mem::take(&mut self.body))
    }
}

/// The stream takes no more, and why.
fn closed(io: &ExchangeIo, connection: &Http2State) -> SendError {
    SendError::Write(end_error(io.end(), connection.ended(), Phase::Write))
}
