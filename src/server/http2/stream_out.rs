//! What goes out on a stream: collected by the writer, handed over, and fetched by the connection's task.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::StatusCode;

use super::response_head::allowed_trailer;
use super::stream_state::{Sending, StreamLoss, StreamState, wake};
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::h2::ErrorCode;
use crate::message::Header;
use crate::server::response::write_buffer::{DirectWrite, MIN_DIRECT_WRITE_BYTES};

impl StreamState {
    // ---------------------------------------------------------------- out, for the writer

    /// Moves what was collected to what is sent, if there is room for it, and returns whether nothing is left
    /// to be moved.
    pub(super) fn hand_over_collected(&mut self) -> bool {
        let (bytes, _) = self.write_buffer.take();
        let len = bytes.len();
        let fits = len > 0 && (self.outbound.is_empty() || self.outbound_bytes + len <= self.limits.outbound_bytes);
        let kept = match fits {
            false => bytes,
            true if len < MIN_DIRECT_WRITE_BYTES => {
                self.push_outbound(Bytes::copy_from_slice(&bytes));
                bytes
            }
            true => {
                self.push_outbound(Bytes::from(bytes));
                Vec::new()
            }
        };
        let sent = if fits { kept.len() } else { 0 };
        let _ = self.write_buffer.after_send(kept, sent, if fits { Poll::Ready(Ok(())) } else { Poll::Pending });
        fits || len == 0
    }

    pub(super) fn push_outbound(&mut self, bytes: Bytes) {
        self.outbound_bytes += bytes.len();
        self.outbound.push_back(bytes);
    }

    /// Why nothing can be sent any more, if nothing can.
    fn check_sending(&mut self) -> Result<()> {
        self.write_buffer.check()?;
        match self.sending {
            Sending::Content | Sending::Ended => Ok(()),
            Sending::Head | Sending::Sent => Err(over()),
            Sending::Lost(loss) => Err(self.write_buffer.fail(loss.while_writing())),
        }
    }

    /// Hands over all that was collected. Waits while there is no room for it.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.write_buffer.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.check_sending()?;
        if self.hand_over_collected() {
            return Poll::Ready(Ok(()));
        }
        self.poll_write_limit(cx).map(Err)
    }

    /// Hands over large content, as far as there is room.
    pub(super) fn poll_send_direct(&mut self, cx: &mut Context<'_>, direct: &mut DirectWrite<'_>) -> Poll<Result<()>> {
        // The write that is under way is no fault here.
        if self.write_buffer.is_sending_direct() {
            self.write_buffer.end_direct();
        }
        let polled = self.poll_send_pieces(cx, direct);
        if polled.is_pending() {
            self.write_buffer.begin_direct();
        }
        polled
    }

    fn poll_send_pieces(&mut self, cx: &mut Context<'_>, direct: &mut DirectWrite<'_>) -> Poll<Result<()>> {
        self.check_sending()?;
        if !self.hand_over_collected() {
            return self.poll_write_limit(cx).map(Err);
        }
        while direct.len_of_piece() > 0 {
            let room = self.limits.outbound_bytes.saturating_sub(self.outbound_bytes);
            let piece = direct.len_of_piece();
            // Not in crumbs, as the peer's window opens.
            let is_enough = room >= piece.min(self.limits.outbound_bytes / 2);
            if !is_enough && !self.outbound.is_empty() {
                return self.poll_write_limit(cx).map(Err);
            }
            let len = piece.min(room.max(1));
            self.push_outbound(direct.piece(len));
            direct.advance(len);
        }
        Poll::Ready(Ok(()))
    }

    /// Under the limits on writing, while there is no room.
    fn poll_write_limit(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        if !self.write_limit.has_passed() {
            ready!(self.write_limit.poll(&mut self.write_deadline, cx));
        }
        Poll::Ready(self.write_buffer.fail(Error::timed_out(Phase::Write)))
    }

    /// All content was collected; this follows it.
    pub(super) fn end(&mut self, trailer: &Header) {
        if self.sending == Sending::Content {
            self.sending = Sending::Ended;
            let trailer = allowed_trailer(trailer);
            self.trailer = (!trailer.is_empty()).then(|| Box::new(trailer));
        }
    }

    /// Waits until what is left of a response that was ended fits the windows: then the connection's task
    /// has the rest of it. One that was not ended is an error. Without a stream it stays collected, so that
    /// it can be sent as a whole.
    pub(super) fn poll_finish(&mut self, cx: &mut Context<'_>, has_stream: bool) -> Poll<Result<()>> {
        if self.sending == Sending::Sent {
            return Poll::Ready(Ok(()));
        }
        self.check_sending()?;
        if self.sending != Sending::Ended {
            return Poll::Ready(Err(over()));
        }
        if self.write_limit.has_passed() {
            return Poll::Ready(Err(self.write_buffer.fail(Error::timed_out(Phase::Write))));
        }
        let collected = self.write_buffer.bytes().len();
        if self.outbound_bytes + collected <= self.room && (has_stream || self.outbound.is_empty()) {
            if has_stream && collected > 0 {
                self.hand_over_without_limit();
            }
            return Poll::Ready(Ok(()));
        }
        if has_stream {
            self.hand_over_collected();
        }
        self.poll_write_limit(cx).map(Err)
    }

    /// Hands over what is collected, however much waits before it.
    fn hand_over_without_limit(&mut self) {
        let limit = std::mem::replace(&mut self.limits.outbound_bytes, usize::MAX);
        self.hand_over_collected();
        self.limits.outbound_bytes = limit;
    }

    /// Whether the whole response is collected, so that it can be sent without a stream.
    pub(super) fn is_whole(&self) -> bool {
        let plain = self.interim.is_empty() && self.trailer.is_none() && self.reset.is_none();
        plain && self.sending == Sending::Ended && self.head.is_there() && self.outbound.is_empty()
    }

    pub(super) fn push_interim(&mut self, status: StatusCode, header: &Header) {
        if self.sending == Sending::Head {
            self.interim.push((status, header.clone()));
        }
    }

    /// The stream is to be reset behind what was handed over.
    pub(super) fn ask_for_reset(&mut self, code: ErrorCode) {
        if !matches!(self.sending, Sending::Sent | Sending::Lost(_)) {
            self.reset = Some(code);
            self.sending = Sending::Lost(StreamLoss::ByUs);
            self.trailer = None;
        }
    }

    /// Nothing more leaves, not even what was handed over.
    pub(super) fn abandon(&mut self, error: &Error) {
        self.write_buffer.abandon(error);
        self.outbound.clear();
        self.outbound_bytes = 0;
        self.head.clear();
    }

    // ---------------------------------------------------------------- out, for the connection's task

    pub(super) fn take_interim(&mut self) -> Vec<(StatusCode, Header)> {
        std::mem::take(&mut self.interim)
    }

    /// Whether there is content to send, or an end, or a reset behind content.
    pub(super) fn has_outbound(&self) -> bool {
        !self.outbound.is_empty() || self.sending == Sending::Ended || self.reset.is_some()
    }

    /// The next piece of content.
    pub(super) fn pop_outbound(&mut self) -> Option<Bytes> {
        if self.outbound.is_empty() && self.sending == Sending::Ended {
            // The last of it, which was collected and has not left.
            self.hand_over_without_limit();
        }
        let piece = self.outbound.pop_front()?;
        self.outbound_bytes -= piece.len();
        Some(piece)
    }

    /// What of a piece was not sent.
    pub(super) fn put_back(&mut self, rest: Bytes) {
        self.outbound_bytes += rest.len();
        self.outbound.push_front(rest);
    }

    /// Whether what was popped is the last of the message, with no trailer behind it.
    pub(super) fn is_last_piece(&self) -> bool {
        let has_more = !self.outbound.is_empty() || !self.write_buffer.is_empty() || self.trailer.is_some();
        self.sending == Sending::Ended && !has_more
    }

    pub(super) fn take_trailer(&mut self) -> Option<Box<Header>> {
        self.trailer.take()
    }

    /// The peer makes progress: there is room again.
    pub(super) fn sent_some(&mut self) {
        self.write_limit.progressed();
        wake(&mut self.writer);
    }
}

fn over() -> Error {
    Error::new(ErrorKind::RequestOver, "the response to this request is over")
}
