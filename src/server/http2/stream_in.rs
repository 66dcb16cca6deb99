//! What comes in on a stream: received by the connection's task, and read by the request's body.

use std::task::{Context, Poll, ready};

use http::StatusCode;

use super::response_head::allowed_trailer;
use super::stream_state::{Content, InboundEnd, StreamState, wake};
use crate::error::{Error, Phase, Result};
use crate::message::{Frame, Header};

/// More pieces than this are not read before the engine is told: small DATA frames are counted until then.
const MAX_UNTOLD_PIECES: u32 = 64;

impl StreamState {
    // ---------------------------------------------------------------- in, for the connection's task

    /// Content has come. Returns how much of it is done with at once.
    pub(super) fn receive(&mut self, bytes: &[u8]) -> u32 {
        let len = bytes.len() as u32;
        match &mut self.content {
            Content::Coming => {
                self.inbound.extend_from_slice(bytes);
                wake(&mut self.reader);
                0
            }
            Content::Unread(left) => {
                // Beyond what is worth reading the peer gets no more room.
                let within = u64::from(len) <= *left;
                *left = left.saturating_sub(u64::from(len));
                if within { len } else { 0 }
            }
            Content::Over | Content::Broken | Content::NoExchange => len,
        }
    }

    pub(super) fn receive_end(&mut self, trailer: Option<Header>) {
        let trailer = trailer.filter(|trailer| !trailer.is_empty()).map(Box::new);
        self.inbound_end = trailer.map_or(InboundEnd::End, InboundEnd::Trailer);
        wake(&mut self.reader);
    }

    /// What was read since the last time.
    pub(super) fn take_consumed(&mut self) -> u32 {
        self.consumed_pieces = 0;
        std::mem::take(&mut self.consumed)
    }

    // ---------------------------------------------------------------- in, for the body

    /// How much is still to be read, where that is known.
    pub(super) fn remaining(&self) -> Option<u64> {
        match self.content {
            Content::Coming => self.remaining,
            Content::Over => Some(0),
            Content::Broken | Content::Unread(_) | Content::NoExchange => None,
        }
    }

    /// The next piece of content. The stall limit runs while this waits and starts anew with each
    /// piece; the moment by which all must be read does not move.
    pub(super) fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let step = match self.poll_content_step() {
            Poll::Pending => {
                ready!(self.read_limit.poll(&mut self.read_deadline, cx));
                Poll::Ready(Some(Err(Error::timed_out(Phase::Body))))
            }
            ready => {
                self.read_limit.progressed();
                ready
            }
        };
        match &step {
            Poll::Ready(Some(Err(_))) => self.content = Content::Broken,
            Poll::Ready(None | Some(Ok(Frame::Trailer(_)))) => self.content = Content::Over,
            Poll::Ready(Some(Ok(Frame::Data(_)))) | Poll::Pending => {}
        }
        step
    }

    /// The same under no limit but the moment by which all must be read, if there is one.
    pub(super) fn poll_content_step(&mut self) -> Poll<Option<Result<Frame>>> {
        if self.read_limit.has_passed() {
            return Poll::Ready(Some(Err(Error::timed_out(Phase::Body))));
        }
        match self.content {
            Content::Over => return Poll::Ready(None),
            Content::Broken | Content::Unread(_) | Content::NoExchange => {
                return Poll::Ready(Some(Err(Error::cut_off(Phase::Body))));
            }
            Content::Coming => {}
        }
        if !self.inbound.is_empty() {
            let piece = self.inbound.split().freeze();
            self.consumed = self.consumed.saturating_add(piece.len() as u32);
            self.consumed_pieces += 1;
            self.remaining = self.remaining.map(|left| left.saturating_sub(piece.len() as u64));
            return Poll::Ready(Some(Ok(Frame::Data(piece))));
        }
        match &mut self.inbound_end {
            InboundEnd::NotYet => {
                if std::mem::take(&mut self.awaits_continue) {
                    // It has sent nothing yet, so it may wait for this (RFC 9110 §10.1.1).
                    self.push_interim(StatusCode::CONTINUE, &Header::new());
                }
                Poll::Pending
            }
            InboundEnd::End => Poll::Ready(None),
            InboundEnd::Trailer(trailer) => {
                let trailer = allowed_trailer(trailer);
                Poll::Ready((!trailer.is_empty()).then(|| Ok(Frame::Trailer(trailer))))
            }
            InboundEnd::Lost(loss) => Poll::Ready(Some(Err(loss.while_reading()))),
        }
    }

    /// Whether enough was read that the peer should get room for more.
    pub(super) fn has_to_tell(&self) -> bool {
        self.consumed >= self.limits.told_bytes || self.consumed_pieces >= MAX_UNTOLD_PIECES || !self.interim.is_empty()
    }

    /// The exchange ends: from now on its body reads as an error. Content that is still to come is thrown away,
    /// up to this much. Returns whether that is worth waiting for, which it is not where it was waited for already,
    /// as long as a limit on reading let it.
    pub(super) fn end_content(&mut self, drain_bytes: u64) -> bool {
        let was_late = self.content == Content::Broken;
        let is_coming =
            matches!(self.content, Content::Coming | Content::Broken) && matches!(self.inbound_end, InboundEnd::NotYet);
        let len = std::mem::take(&mut self.inbound).len() as u64;
        let announced = self.remaining.map(|left| left.saturating_sub(len));
        wake(&mut self.reader);
        if !is_coming {
            self.content = Content::NoExchange;
            return false;
        }
        let left = drain_bytes.saturating_sub(len);
        if len <= drain_bytes {
            self.consumed = self.consumed.saturating_add(len as u32);
        }
        self.content = Content::Unread(left);
        !was_late && announced.is_none_or(|announced| announced <= left)
    }

    /// Waits for the end of content that is thrown away.
    pub(super) fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !matches!(self.inbound_end, InboundEnd::NotYet) {
            return Poll::Ready(());
        }
        self.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}
