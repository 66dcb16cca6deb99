//! One stream, shared by the tasks that read and write it: what [`ConnIo`] is for a connection of HTTP/1.
//!
//! The exchange's task watches and sends, its writer collects, and the request's body reads: each locks
//! the stream for one poll. Small content collects here and is handed to `h2` when something waits
//! or when it is much; large content is handed over as it comes. Both wait until the windows and the
//! buffer have room, so that a handler writes no faster than its peer reads.
//!
//! [`ConnIo`]: crate::server::http1::conn_io::ConnIo

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::StatusCode;
use tokio::time::Instant;

use super::response_head::{StreamHead, response_of, trailer_of};
use super::stream_state::{Content, Sending, StreamState};
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::h2::{Meter, Received, stream_error};
use crate::message::{ConnContext, Frame, Header, Signal, Source};
use crate::net::{Deadline, TransferDeadlines, TransferLimit};
use crate::server::response::write_buffer::{DirectWrite, WriteBuffer};

/// What all streams of a connection share.
#[derive(Debug)]
pub(super) struct ConnSignals {
    pub(super) meter: Arc<Meter>,
    /// A handler has set `Connection: close`: no more requests are accepted on this connection.
    pub(super) wants_close: AtomicBool,
}

pub(crate) struct StreamIo {
    state: Mutex<StreamState>,
    /// The stream's own: announces the end of its exchange.
    pub(super) context: Arc<ConnContext>,
    /// The number of the present exchange: streams may use this one after the other.
    pub(super) exchange: u64,
    signals: Arc<ConnSignals>,
}

impl ConnSignals {
    pub(super) fn new(meter: Arc<Meter>) -> ConnSignals {
        ConnSignals { meter, wants_close: AtomicBool::new(false) }
    }
}

impl StreamIo {
    /// For a stream whose content is `received`, where it has some.
    pub(super) fn new(
        respond: SendResponse<Bytes>,
        received: Option<Received>,
        context: Arc<ConnContext>,
        stall_timeout: Option<Duration>,
        deadlines: TransferDeadlines,
        signals: &Arc<ConnSignals>,
    ) -> StreamIo {
        let state = StreamState {
            received: received.map_or(Content::Over, Content::Coming),
            awaits_continue: false,
            sending: Sending::Head(respond),
            write_buffer: WriteBuffer::default(),
            read_limit: TransferLimit::new(stall_timeout, deadlines.read),
            write_limit: TransferLimit::new(stall_timeout, deadlines.write),
            read_deadline: Deadline::default(),
            write_deadline: Deadline::default(),
            reader: None,
            writer: None,
        };
        StreamIo { state: Mutex::new(state), context, exchange: 1, signals: signals.clone() }
    }

    /// Serves another stream of the same connection. The exchange before is over; its context says so for
    /// good, as the new exchange has another number.
    pub(super) fn serve_next(
        &mut self,
        respond: SendResponse<Bytes>,
        received: Option<Received>,
        deadlines: TransferDeadlines,
    ) {
        self.exchange += 1;
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.received = received.map_or(Content::Over, Content::Coming);
        state.awaits_continue = false;
        state.sending = Sending::Head(respond);
        state.write_buffer = WriteBuffer::default();
        state.read_limit.restart(deadlines.read);
        state.write_limit.restart(deadlines.write);
        state.reader = None;
        state.writer = None;
    }

    /// Poisoning is ignored: no code under this lock panics in the middle of a change.
    fn lock(&self) -> MutexGuard<'_, StreamState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---------------------------------------------------------------- for the exchange's task

    /// An exchange begins: whether its client waits for a 100, and memory to collect in.
    pub(super) fn begin(&self, awaits_continue: bool, memory: Vec<u8>) {
        let mut state = self.lock();
        state.awaits_continue = awaits_continue;
        state.write_buffer.give_memory(memory);
    }

    /// Called while the handler waits: sends what was collected, as far as there is room, and notices
    /// that the peer has left.
    pub(super) fn poll_peer_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !state.write_buffer.is_sending_direct() && matches!(state.poll_flush(cx), Poll::Ready(Err(_))) {
            return Poll::Ready(());
        }
        state.wake_writer(cx.waker());
        state.poll_reset(cx)
    }

    /// Ready once the response should be written, whether a write waits or not. The stream is reset then:
    /// nothing that the handler writes from here on leaves.
    pub(super) fn poll_release(&self, cx: &mut Context<'_>) -> Poll<()> {
        let state = &mut *self.lock();
        ready!(state.write_limit.poll_until(&mut state.write_deadline, cx));
        state.write_buffer.abandon(&Error::timed_out(Phase::Write));
        state.reset(Reason::INTERNAL_ERROR);
        if let Some(writer) = state.writer.take() {
            writer.wake();
        }
        Poll::Ready(())
    }

    /// Sends what is left of a response that is whole.
    pub(super) async fn finish(&self) -> Result<()> {
        poll_fn(|cx| {
            let mut state = self.lock();
            ready!(state.poll_finish(cx, &self.signals.meter))?;
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Resets the stream, so that the peer can see that the response is incomplete.
    pub(super) fn reset(&self, reason: Reason) {
        self.lock().reset(reason);
    }

    /// Ends the exchange: its body reads as an error from now on. Returns the memory, and the content
    /// that is unread.
    pub(super) fn end_exchange(&self) -> (Vec<u8>, Option<Received>) {
        let mut state = self.lock();
        let received = std::mem::replace(&mut state.received, Content::NoExchange);
        let sending = std::mem::replace(&mut state.sending, Sending::Over);
        let memory = state.write_buffer.take_memory();
        let reader = state.reader.take();
        drop(state);
        drop(sending);
        if let Some(reader) = reader {
            reader.wake();
        }
        let unread = if let Content::Coming(received) = received { Some(received) } else { None };
        (memory, unread)
    }

    // ---------------------------------------------------------------- for the writer

    pub(crate) fn with_write_buffer<T>(&self, act: impl FnOnce(&mut WriteBuffer) -> T) -> T {
        act(&mut self.lock().write_buffer)
    }

    /// Sends all that was collected.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut state = self.lock();
        let polled = state.poll_flush(cx);
        state.keep_writer(polled.is_pending().then(|| cx.waker()));
        polled
    }

    /// Begins large content, after what was collected. Until it is [sent](Self::poll_send_direct)
    /// whole, the stream sends nothing else.
    pub(crate) fn begin_direct(&self) -> Result<()> {
        let mut state = self.lock();
        state.write_buffer.check()?;
        state.write_buffer.begin_direct();
        Ok(())
    }

    /// Sends what is left of it.
    pub(crate) fn poll_send_direct(&self, cx: &mut Context<'_>, direct: &mut DirectWrite<'_>) -> Poll<Result<()>> {
        let mut state = self.lock();
        while direct.len_of_piece() > 0 {
            let polled = state.poll_send_some(cx, direct.len_of_piece(), &mut |len| direct.piece(len));
            state.keep_writer(polled.is_pending().then(|| cx.waker()));
            let sent = ready!(polled)?;
            self.signals.meter.sent_data(sent);
            direct.advance(sent);
        }
        state.write_buffer.end_direct();
        Poll::Ready(Ok(()))
    }

    pub(crate) fn send_informational(&self, status: StatusCode, header: &Header) -> Result<()> {
        let mut state = self.lock();
        if status == StatusCode::CONTINUE {
            state.awaits_continue = false;
        }
        state.send_informational(status, header)
    }

    /// Sends the head, and collects content after it. If that fails, the next write returns the error.
    pub(crate) fn send_head(&self, head: &StreamHead<'_>, content: &[u8]) {
        let response = response_of(head);
        let mut state = self.lock();
        state.awaits_continue = false;
        let Sending::Head(respond) = &mut state.sending else { return };
        match respond.send_response(response, head.ends) {
            Ok(_) if head.ends => {
                state.sending = Sending::Over;
                self.signals.meter.answered();
            }
            Ok(mut stream) => {
                // A whole response that fits the windows is handed over at once, and nothing is left to
                // do at its end. With a deadline it is handed over at its end, where deadlines are
                // checked.
                if head.is_whole(content) && state.write_limit.until().is_none() && send_at_once(&mut stream, content) {
                    state.sending = Sending::Over;
                    self.signals.meter.sent_data(content.len());
                    self.signals.meter.answered();
                    return;
                }
                state.sending = Sending::Content(stream);
                state.write_buffer.bytes().extend_from_slice(content);
            }
            Err(error) => {
                state.write_buffer.fail(stream_error(error, Phase::Write));
            }
        }
    }

    /// All content was collected; this follows it.
    pub(crate) fn end(&self, trailer: &Header) {
        let mut state = self.lock();
        match std::mem::replace(&mut state.sending, Sending::Over) {
            Sending::Content(stream) => {
                let trailer =
                    (!trailer.is_empty()).then(|| trailer_of(trailer)).filter(|map| !map.is_empty()).map(Box::new);
                state.sending = Sending::Ending(stream, trailer);
            }
            other => state.sending = other,
        }
    }

    /// The connection takes no more requests (Go's rule for `Connection: close` from a handler).
    pub(crate) fn close_connection(&self) {
        self.signals.wants_close.store(true, Ordering::Relaxed);
    }

    /// The exchange is over for its peer: cancels the request's context.
    pub(crate) fn cancel(&self) {
        self.context.exchanges.announce(self.exchange);
    }

    /// What announces that this exchange is over for its peer.
    pub(crate) fn exchanges(&self) -> &Signal {
        &self.context.exchanges
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
}

/// Hands over all content of a stream, where the windows have room for it now. Returns whether it did.
fn send_at_once(stream: &mut SendStream<Bytes>, content: &[u8]) -> bool {
    stream.reserve_capacity(content.len());
    stream.capacity() >= content.len() && stream.send_data(Bytes::copy_from_slice(content), true).is_ok()
}

impl std::fmt::Debug for StreamIo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamIo").finish_non_exhaustive()
    }
}

/// A request's body on a stream. It reads as an error once its exchange is over.
pub(super) struct StreamRequestBody(pub(super) Arc<StreamIo>);

impl Source for StreamRequestBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let mut state = self.0.lock();
        if matches!(state.received, Content::NoExchange) {
            return Poll::Ready(Some(Err(Error::new(ErrorKind::RequestOver, "the request of this body is over"))));
        }
        let polled = state.poll_content(cx);
        state.reader = polled.is_pending().then(|| cx.waker().clone());
        polled
    }

    fn remaining(&self) -> Option<u64> {
        match &self.0.lock().received {
            Content::Coming(received) => received.remaining(),
            Content::Over => Some(0),
            Content::Broken | Content::NoExchange => None,
        }
    }
}
