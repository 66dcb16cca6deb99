//! The state of a `StreamIo` under its lock, and the polls that receive and send content.

use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::header::HeaderMap;
use http::{StatusCode, Version};

use crate::error::{Error, ErrorKind, Phase, Result};
use crate::h2::{self as ours, Meter, Received, stream_error};
use crate::message::{Frame, Header};
use crate::net::{Deadline, TransferLimit};
use crate::server::response::write_buffer::WriteBuffer;

pub(super) struct StreamState {
    pub(super) received: Content,
    /// The client may wait for a `100 Continue` before it sends its content.
    pub(super) awaits_continue: bool,
    pub(super) sending: Sending,
    pub(super) write_buffer: WriteBuffer,
    pub(super) read_limit: TransferLimit,
    pub(super) write_limit: TransferLimit,
    pub(super) read_deadline: Deadline,
    pub(super) write_deadline: Deadline,
    /// The waker of a body that waits for content: perhaps of another task, which nothing else would wake at
    /// the exchange's end.
    pub(super) reader: Option<Waker>,
    /// The waker of a writer that waits for room. `h2` keeps only one waker, and that is mostly the
    /// exchange's task's.
    pub(super) writer: Option<Waker>,
}

/// The content that comes in.
pub(super) enum Content {
    Over,
    Coming(Received),
    /// It cannot be read further.
    Broken,
    /// The exchange is over, or was none.
    NoExchange,
}

/// How far the response is.
pub(super) enum Sending {
    Head(SendResponse<Bytes>),
    Content(SendStream<Bytes>),
    /// The same, and what is collected is the end, perhaps with a trailer after it.
    Ending(SendStream<Bytes>, Option<Box<HeaderMap>>),
    Over,
}

/// The most that is handed to `h2` at once.
const MAX_DATA_BYTES: usize = 64 << 10;

impl StreamState {
    // ---------------------------------------------------------------- out

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.write_buffer.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.write_buffer.check()?;
        self.poll_collected(cx)
    }

    /// Hands over what was collected. It is not the end of the response.
    pub(super) fn poll_collected(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let (bytes, mut sent) = self.write_buffer.take();
        let polled = loop {
            let rest = bytes.get(sent..).unwrap_or_default();
            if rest.is_empty() {
                break Poll::Ready(Ok(()));
            }
            match self.poll_hand_over(cx, rest.len(), &mut |n| copy_of(rest, n)) {
                Poll::Ready(Ok(len)) => sent += len,
                Poll::Ready(Err(error)) => break Poll::Ready(Err(error)),
                Poll::Pending => break Poll::Pending,
            }
        };
        self.write_buffer.after_send(bytes, sent, polled)
    }

    pub(super) fn poll_send_some(
        &mut self,
        cx: &mut Context<'_>,
        len: usize,
        take: &mut dyn FnMut(usize) -> Bytes,
    ) -> Poll<Result<usize>> {
        if !self.write_buffer.is_empty() {
            ready!(self.poll_collected(cx))?;
        }
        match ready!(self.poll_hand_over(cx, len, take)) {
            Ok(len) => Poll::Ready(Ok(len)),
            Err(error) => Poll::Ready(Err(self.write_buffer.fail(error))),
        }
    }

    /// Waits for room for some of these bytes, and hands over as many.
    pub(super) fn poll_hand_over(
        &mut self,
        cx: &mut Context<'_>,
        len: usize,
        take: &mut dyn FnMut(usize) -> Bytes,
    ) -> Poll<Result<usize>> {
        let room = ready!(self.poll_room(cx, len.min(MAX_DATA_BYTES)))?;
        let Sending::Content(stream) = &mut self.sending else { return Poll::Ready(Err(over())) };
        let sent = stream.send_data(take(room), false);
        Poll::Ready(sent.map(|()| room).map_err(|error| stream_error(error, Phase::Write)))
    }

    /// Waits for room, under the limits on writing.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>, want: usize) -> Poll<Result<usize>> {
        if self.write_limit.has_passed() {
            return Poll::Ready(Err(Error::timed_out(Phase::Write)));
        }
        let (Sending::Content(stream) | Sending::Ending(stream, _)) = &mut self.sending else {
            return Poll::Ready(Err(over()));
        };
        let room = ours::poll_room(stream, want, cx);
        if room.is_ready() {
            self.write_limit.progressed();
            return room;
        }
        ready!(self.write_limit.poll(&mut self.write_deadline, cx));
        Poll::Ready(Err(Error::timed_out(Phase::Write)))
    }

    /// Hands over the rest of a response that was ended, with the end of the stream. A response that
    /// was not ended is an error.
    pub(super) fn poll_finish(&mut self, cx: &mut Context<'_>, meter: &Meter) -> Poll<Result<()>> {
        self.write_buffer.check()?;
        match self.sending {
            Sending::Over => return Poll::Ready(Ok(())),
            Sending::Head(_) | Sending::Content(_) => return Poll::Ready(Err(over())),
            Sending::Ending(..) => {}
        }
        let (bytes, mut sent) = self.write_buffer.take();
        let polled = self.poll_rest(cx, &bytes, &mut sent, meter);
        ready!(self.write_buffer.after_send(bytes, sent, polled))?;
        self.sending = Sending::Over;
        meter.answered();
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_rest(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        sent: &mut usize,
        meter: &Meter,
    ) -> Poll<Result<()>> {
        loop {
            let rest = bytes.get(*sent..).unwrap_or_default();
            let room = if rest.is_empty() { 0 } else { ready!(self.poll_room(cx, rest.len()))? };
            let is_last = room == rest.len();
            let Sending::Ending(stream, trailer) = &mut self.sending else { return Poll::Ready(Err(over())) };
            let handed = match (is_last, trailer.take_if(|_| is_last)) {
                (true, Some(trailer)) => {
                    let data = if room == 0 { Ok(()) } else { stream.send_data(copy_of(rest, room), false) };
                    data.and_then(|()| stream.send_trailers(*trailer))
                }
                _ => stream.send_data(copy_of(rest, room), is_last),
            };
            handed.map_err(|error| stream_error(error, Phase::Write))?;
            meter.sent_data(room);
            *sent += room;
            if is_last {
                return Poll::Ready(Ok(()));
            }
        }
    }

    pub(super) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.sending {
            Sending::Head(respond) => respond.poll_reset(cx).map(drop),
            Sending::Content(stream) | Sending::Ending(stream, _) => stream.poll_reset(cx).map(drop),
            Sending::Over => Poll::Pending,
        }
    }

    pub(super) fn reset(&mut self, reason: Reason) {
        match &mut self.sending {
            Sending::Head(respond) => respond.send_reset(reason),
            Sending::Content(stream) | Sending::Ending(stream, _) => stream.send_reset(reason),
            Sending::Over => {}
        }
        self.sending = Sending::Over;
    }

    pub(super) fn send_informational(&mut self, status: StatusCode, header: &Header) -> Result<()> {
        let Sending::Head(respond) = &mut self.sending else { return Ok(()) };
        let mut response = http::Response::new(());
        *response.status_mut() = status;
        *response.version_mut() = Version::HTTP_2;
        ours::append_fields(response.headers_mut(), header, status);
        respond.send_informational(response).map_err(|error| stream_error(error, Phase::Write))
    }

    pub(super) fn keep_writer(&mut self, waker: Option<&Waker>) {
        self.writer = waker.cloned();
    }

    /// `h2` keeps the waker of the last poll, which is the exchange's task's from here on: that
    /// task wakes the writer.
    pub(super) fn wake_writer(&mut self, acting: &Waker) {
        let has_room = match &self.sending {
            Sending::Content(stream) | Sending::Ending(stream, _) => stream.capacity() > 0,
            Sending::Head(_) | Sending::Over => true,
        };
        if let Some(writer) = self.writer.take_if(|writer| has_room && !writer.will_wake(acting)) {
            writer.wake();
        }
    }

    // ---------------------------------------------------------------- in

    /// The next piece of content. The stall limit runs while this waits and starts anew with each
    /// piece; the moment by which all must be read does not move.
    pub(super) fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let step = match self.poll_content_step(cx) {
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
            Poll::Ready(Some(Err(_))) => self.received = Content::Broken,
            Poll::Ready(None | Some(Ok(Frame::Trailer(_)))) => self.received = Content::Over,
            Poll::Ready(Some(Ok(Frame::Data(_)))) | Poll::Pending => {}
        }
        step
    }

    pub(super) fn poll_content_step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        if self.read_limit.has_passed() {
            return Poll::Ready(Some(Err(Error::timed_out(Phase::Body))));
        }
        let piece = match &mut self.received {
            Content::Over => return Poll::Ready(None),
            Content::Broken | Content::NoExchange => return Poll::Ready(Some(Err(Error::cut_off(Phase::Body)))),
            Content::Coming(received) => received.poll(cx),
        };
        if piece.is_pending() && std::mem::take(&mut self.awaits_continue) {
            // It has sent nothing yet, so it may wait for this (RFC 9110 §10.1.1). Where it cannot
            // be sent the stream has an end, and reading meets that.
            let _ = self.send_informational(StatusCode::CONTINUE, &Header::new());
        }
        piece
    }
}

fn over() -> Error {
    Error::new(ErrorKind::RequestOver, "the response to this request is over")
}

fn copy_of(bytes: &[u8], len: usize) -> Bytes {
    bytes.get(..len).map(Bytes::copy_from_slice).unwrap_or_default()
}
