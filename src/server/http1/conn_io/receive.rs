//! Reads of a connection other than heads: content for a body, and the end of the peer's stream.

use std::task::{Context, Poll, ready};

use super::{ConnIoState, hijacked};
use crate::error::{Error, Phase, Result};
use crate::message::Frame;
use crate::net::ContentReader;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl ConnIoState {
    /// The next piece of content. The stall limit runs while this waits and starts anew with
    /// each piece; the moment by which all must be read does not move.
    pub(crate) fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let step = match self.poll_content_step(cx) {
            Poll::Pending => {
                ready!(self.poll_read_deadline(cx));
                Poll::Ready(Some(Err(Error::timed_out(Phase::Body))))
            }
            ready => {
                self.read_limit.progressed();
                ready
            }
        };
        if matches!(step, Poll::Ready(Some(Err(_)))) {
            self.content = ContentReader::Broken;
        }
        if matches!(self.content, ContentReader::Over | ContentReader::Broken) {
            self.wake_watcher(cx.waker());
        }
        step
    }

    fn poll_content_step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        if self.read_limit.has_passed() {
            return Poll::Ready(Some(Err(Error::timed_out(Phase::Body))));
        }
        self.queue_continue();
        let Some(io) = &mut self.io else { return Poll::Ready(Some(Err(hijacked()))) };
        let piece = self.content.poll(io, cx);
        if piece.is_pending() {
            // The peer may wait for bytes that are still in the write buffer before it sends more.
            match self.poll_flush_beside(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                // The socket has just replaced the writer's waker by this task's.
                Poll::Pending => self.wake_watcher(cx.waker()),
            }
        }
        piece
    }

    /// Collects the `100 Continue`, unless it is not needed or would do harm: a client that has sent
    /// content already does not wait for it, and within another response it would corrupt that. No client
    /// waits for ever (RFC 9110 §10.1.1).
    fn queue_continue(&mut self) {
        if std::mem::take(&mut self.awaits_continue) {
            let sends_already = self.io.as_ref().is_some_and(|io| !io.input.is_empty());
            if !sends_already && !self.write_buffer.is_half_sent() {
                self.write_buffer.bytes().extend_from_slice(CONTINUE);
            }
        }
    }

    fn poll_read_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(io) = &mut self.io else { return Poll::Pending };
        self.read_limit.poll(&mut io.read_deadline, cx)
    }

    /// Notices, while a handler runs, that the peer has left. Reads only when no content is left to read
    /// and no further request is in the input: those bytes are the body's or the next exchange's, and a
    /// peer that sends has not left.
    pub(crate) fn poll_peer_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_over = self.content_is_over();
        let Some(io) = &mut self.io else { return Poll::Pending };
        if io.ended && (is_over || io.input.is_empty()) {
            return Poll::Ready(());
        }
        if !is_over || !io.input.is_empty() {
            return Poll::Pending;
        }
        match ready!(io.poll_fill(cx)) {
            // A pipelined request: it waits in `input`, and reading on would only buffer more.
            Ok(1..) => Poll::Pending,
            Ok(0) | Err(_) => Poll::Ready(()),
        }
    }
}
