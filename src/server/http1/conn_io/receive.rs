//! Reads of a connection other than heads: content for a body, and the end of the peer's stream.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use super::{ConnIo, ConnIoState, hijacked};
use crate::error::{Error, Phase, Result};
use crate::message::Frame;
use crate::net::ContentReader;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// How much is read ahead of content that nobody reads yet, and of further requests, to notice that the
/// peer has left. With the head before it, it fits into one buffer.
const WATCH_AHEAD_BYTES: usize = 16 << 10;

impl ConnIo {
    /// Reads content and throws it away, up to so many bytes. Says whether its end was reached.
    pub(crate) async fn drain(&self, most: u64) -> bool {
        let mut left = most;
        loop {
            let piece = poll_fn(|cx| {
                let mut state = self.lock();
                let polled = state.poll_content(cx);
                state.keep_reader(polled.is_pending().then(|| cx.waker()));
                polled
            });
            match piece.await {
                None | Some(Ok(Frame::Trailer(_))) => return true,
                Some(Ok(Frame::Data(chunk))) => match left.checked_sub(chunk.len() as u64) {
                    Some(rest) => left = rest,
                    None => return self.lock().content_is_over(),
                },
                Some(Err(_)) => return false,
            }
        }
    }
}

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

    /// Notices, while a handler runs, that the peer has left. Content that nobody reads yet and further
    /// requests are read ahead for that, up to a limit: the end of the stream is only seen behind them. A
    /// peer that has ended its half behind such bytes still waits for what they ask; one whose connection
    /// broke does not.
    pub(crate) fn poll_peer_left(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let most = match (self.content_is_over(), &self.reader) {
            (true, _) | (false, None) => WATCH_AHEAD_BYTES,
            // Whoever waits for content sees the end by itself.
            (false, Some(_)) => 0,
        };
        let Some(io) = &mut self.io else { return Poll::Pending };
        let mut came = false;
        while !io.ended && io.input.len() < most {
            match io.poll_fill(cx) {
                Poll::Ready(Ok(1..)) => came = true,
                Poll::Ready(Ok(0) | Err(_)) | Poll::Pending => break,
            }
        }
        let has_left = io.broken || (io.ended && io.input.is_empty());
        if came && !self.content_is_over() {
            // A reader that is about to wait would wait for the stream, which has nothing more for it.
            cx.waker().wake_by_ref();
        }
        if has_left { Poll::Ready(()) } else { Poll::Pending }
    }
}
