//! The line to a peer on one stream: what [`Line`](crate::server::line::Line) is for a connection.
//!
//! The turn's task watches and sends, its writer collects, and the request's body reads: each
//! locks the line for one poll. Small content collects here and is handed to the crate when
//! something waits or when it is much; large content is handed over as it comes. Either waits until
//! the windows and the buffer have room, so that a peer that does not read holds its handler.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderMap, HeaderValue};
use http::{StatusCode, Version};
use tokio::time::Instant;

use super::turn::Host;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::h1::Outgoing;
use crate::h2::{self as ours, Meter, Received, stream_error};
use crate::message::{ConnContext, Frame, Header, Source, append_now};
use crate::net::Deadline;
use crate::server::outbox::Outbox;
use crate::server::outlet::Deadlines;

/// What all streams of a connection share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(super) meter: Arc<Meter>,
    /// A handler wants no more requests on this connection.
    pub(super) wants_close: AtomicBool,
}

pub(crate) struct StreamLine {
    state: Mutex<StreamState>,
    /// The stream's own: announces the end of its turn.
    pub(super) context: Arc<ConnContext>,
    shared: Arc<Shared>,
}

struct StreamState {
    received: Content,
    /// The client may wait for a `100 Continue` before it sends its content.
    awaits_continue: bool,
    sending: Sending,
    outbox: Outbox,
    stall: Option<Duration>,
    read_until: Option<Instant>,
    write_until: Option<Instant>,
    read_waits_since: Option<Instant>,
    write_waits_since: Option<Instant>,
    read_deadline: Deadline,
    write_deadline: Deadline,
    /// Who waits for content: perhaps another task, which nothing would wake at the turn's end.
    reader: Option<Waker>,
    /// Who waits for room. The crate keeps one waker, and the turn's task watches with its own.
    writer: Option<Waker>,
}

/// The content that comes in.
enum Content {
    Over,
    Coming(Received),
    /// It cannot be read further.
    Broken,
    /// The turn is over, or was none.
    NoTurn,
}

/// How far the answer is.
enum Sending {
    Head(SendResponse<Bytes>),
    Content(SendStream<Bytes>),
    /// The same, and what is collected is the end, perhaps with a trailer behind it.
    Ending(SendStream<Bytes>, Option<Box<HeaderMap>>),
    Over,
}

/// The head of an answer.
pub(crate) struct StreamHead<'a> {
    pub(crate) status: StatusCode,
    /// The handler's fields.
    pub(crate) header: &'a Header,
    pub(crate) outgoing: Outgoing,
    /// The type that was guessed, for a header without one.
    pub(crate) content_type: Option<&'static str>,
    /// Whether to say when it was, in a header without `Date`.
    pub(crate) date: bool,
    /// Whether nothing follows.
    pub(crate) ends: bool,
}

/// What is handed to the crate at once.
const AT_ONCE: usize = 64 << 10;

impl Shared {
    pub(super) fn new(meter: Arc<Meter>) -> Shared {
        Shared { meter, wants_close: AtomicBool::new(false) }
    }
}

impl StreamLine {
    /// The line of a stream whose content is `received`, where it has some. `memory` is to collect
    /// in.
    pub(super) fn new(
        respond: SendResponse<Bytes>,
        received: Option<Received>,
        awaits_continue: bool,
        context: Arc<ConnContext>,
        host: &Host,
        memory: Vec<u8>,
    ) -> StreamLine {
        let settings = &host.settings;
        let until = |limit: Option<Duration>| limit.map(|limit| Instant::now() + limit);
        let mut outbox = Outbox::default();
        outbox.use_memory(memory);
        let state = StreamState {
            received: received.map_or(Content::Over, Content::Coming),
            awaits_continue,
            sending: Sending::Head(respond),
            outbox,
            stall: settings.stall_timeout,
            read_until: until(settings.read_timeout),
            write_until: until(settings.write_timeout),
            read_waits_since: None,
            write_waits_since: None,
            read_deadline: Deadline::default(),
            write_deadline: Deadline::default(),
            reader: None,
            writer: None,
        };
        StreamLine { state: Mutex::new(state), context, shared: host.shared.clone() }
    }

    /// Nothing that panics runs under the lock, so a poisoned one is as good as any.
    fn lock(&self) -> MutexGuard<'_, StreamState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---------------------------------------------------------------- for the turn's task

    /// While the handler waits for something: sends what was collected, as far as there is room,
    /// and sees the peer leave.
    pub(super) fn poll_peer_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !state.outbox.is_sending_large() && matches!(state.poll_flush(cx), Poll::Ready(Err(_))) {
            return Poll::Ready(());
        }
        state.wake_writer(cx.waker());
        state.poll_reset(cx)
    }

    /// Sends what is left of an answer that is whole.
    pub(super) async fn complete(&self) -> Result<()> {
        poll_fn(|cx| {
            let mut state = self.lock();
            ready!(state.poll_complete(cx, &self.shared.meter))?;
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Ends the stream without the rest of its answer: visibly cut.
    pub(super) fn reset(&self, reason: Reason) {
        self.lock().reset(reason);
    }

    /// The turn is over: its body reads as an error. The memory comes back, and content that nobody
    /// has read.
    pub(super) fn end_turn(&self) -> (Vec<u8>, Option<Received>) {
        let mut state = self.lock();
        let received = std::mem::replace(&mut state.received, Content::NoTurn);
        let sending = std::mem::replace(&mut state.sending, Sending::Over);
        let memory = state.outbox.lend_memory();
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

    pub(crate) fn with_outbox<T>(&self, act: impl FnOnce(&mut Outbox) -> T) -> T {
        act(&mut self.lock().outbox)
    }

    /// Sends all that was collected.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let mut state = self.lock();
        let polled = state.poll_flush(cx);
        state.keep_writer(polled.is_pending().then(|| cx.waker()));
        polled
    }

    /// Sends large content, in two parts, behind what was collected. Dropped before it is done, it
    /// leaves a line that sends nothing more.
    pub(crate) async fn send_large(&self, one: &[u8], two: &[u8]) -> Result<()> {
        self.begin_large()?;
        for mut part in [one, two] {
            while !part.is_empty() {
                let sent = poll_fn(|cx| self.poll_send_some(cx, part.len(), &mut |n| copy_of(part, n))).await?;
                part = part.get(sent..).unwrap_or_default();
            }
        }
        self.lock().outbox.end_large();
        Ok(())
    }

    /// The same for content that can be kept: it is not copied.
    pub(crate) async fn send_large_bytes(&self, one: &[u8], mut two: Bytes) -> Result<()> {
        self.begin_large()?;
        let mut one = one;
        while !one.is_empty() {
            let sent = poll_fn(|cx| self.poll_send_some(cx, one.len(), &mut |n| copy_of(one, n))).await?;
            one = one.get(sent..).unwrap_or_default();
        }
        while !two.is_empty() {
            let whole = &two;
            let sent = poll_fn(|cx| self.poll_send_some(cx, whole.len(), &mut |n| whole.slice(..n))).await?;
            two.advance(sent);
        }
        self.lock().outbox.end_large();
        Ok(())
    }

    pub(crate) fn send_informational(&self, status: StatusCode, header: &Header) -> Result<()> {
        let mut state = self.lock();
        if status == StatusCode::CONTINUE {
            state.awaits_continue = false;
        }
        state.send_informational(status, header)
    }

    /// Sends the head, and collects content behind it. What fails is told by the next write.
    pub(crate) fn send_head(&self, head: &StreamHead<'_>, content: &[u8]) {
        let response = response_of(head);
        let mut state = self.lock();
        state.awaits_continue = false;
        let Sending::Head(respond) = &mut state.sending else { return };
        match respond.send_response(response, head.ends) {
            Ok(_) if head.ends => {
                state.sending = Sending::Over;
                self.shared.meter.answered();
            }
            Ok(stream) => {
                state.sending = Sending::Content(stream);
                state.outbox.bytes().extend_from_slice(content);
            }
            Err(error) => {
                state.outbox.fail(stream_error(error, Phase::Write));
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
        self.shared.wants_close.store(true, Ordering::Relaxed);
    }

    /// The turn is over for its peer: cancels the request's context.
    pub(crate) fn cancel(&self) {
        self.context.turns.announce(TURN);
    }

    pub(crate) fn deadlines(&self) -> Deadlines {
        let state = self.lock();
        (state.read_until, state.write_until)
    }

    /// Moves the limit, for a read that waits already too: the body may be read by another task.
    pub(crate) fn set_read_until(&self, at: Option<Instant>) {
        let mut state = self.lock();
        state.read_until = at;
        if let (Some(at), Some(_)) = (at, state.read_waits_since) {
            state.read_deadline.wake_at(at);
        }
    }

    pub(crate) fn set_write_until(&self, at: Option<Instant>) {
        self.lock().write_until = at;
    }

    fn begin_large(&self) -> Result<()> {
        let mut state = self.lock();
        state.outbox.check()?;
        state.outbox.begin_large();
        Ok(())
    }

    /// Hands over what was collected, then some of these bytes: says how many.
    fn poll_send_some(
        &self,
        cx: &mut Context<'_>,
        len: usize,
        take: &mut dyn FnMut(usize) -> Bytes,
    ) -> Poll<Result<usize>> {
        let mut state = self.lock();
        let polled = state.poll_send_some(cx, len, take);
        state.keep_writer(polled.is_pending().then(|| cx.waker()));
        if let Poll::Ready(Ok(len)) = polled {
            self.shared.meter.sent_data(len);
        }
        polled
    }
}

/// The number of a stream's only turn.
pub(super) const TURN: u64 = 1;

impl StreamState {
    // ---------------------------------------------------------------- out

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.outbox.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.outbox.check()?;
        self.poll_collected(cx)
    }

    /// Hands over what was collected. It is not the end of the answer.
    fn poll_collected(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let (bytes, mut sent) = self.outbox.take();
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
        self.outbox.put_back(bytes, sent);
        match ready!(polled) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(self.outbox.fail(error))),
        }
    }

    fn poll_send_some(
        &mut self,
        cx: &mut Context<'_>,
        len: usize,
        take: &mut dyn FnMut(usize) -> Bytes,
    ) -> Poll<Result<usize>> {
        if !self.outbox.is_empty() {
            ready!(self.poll_collected(cx))?;
        }
        match ready!(self.poll_hand_over(cx, len, take)) {
            Ok(len) => Poll::Ready(Ok(len)),
            Err(error) => Poll::Ready(Err(self.outbox.fail(error))),
        }
    }

    /// Waits for room for some of so many bytes, and hands that many over.
    fn poll_hand_over(
        &mut self,
        cx: &mut Context<'_>,
        len: usize,
        take: &mut dyn FnMut(usize) -> Bytes,
    ) -> Poll<Result<usize>> {
        let room = ready!(self.poll_room(cx, len.min(AT_ONCE)))?;
        let Sending::Content(stream) = &mut self.sending else { return Poll::Ready(Err(over())) };
        let sent = stream.send_data(take(room), false);
        Poll::Ready(sent.map(|()| room).map_err(|error| stream_error(error, Phase::Write)))
    }

    /// Waits for room, under the stall limit and `write_until`.
    fn poll_room(&mut self, cx: &mut Context<'_>, want: usize) -> Poll<Result<usize>> {
        if self.write_until.is_some_and(|until| until <= Instant::now()) {
            return Poll::Ready(Err(Error::timed_out(Phase::Write)));
        }
        let (Sending::Content(stream) | Sending::Ending(stream, _)) = &mut self.sending else {
            return Poll::Ready(Err(over()));
        };
        let room = ours::poll_room(stream, want, cx);
        if room.is_ready() {
            self.write_waits_since = None;
            return room;
        }
        let since = *self.write_waits_since.get_or_insert_with(Instant::now);
        self.write_deadline.set(earlier(self.stall.map(|stall| since + stall), self.write_until));
        ready!(self.write_deadline.poll(cx));
        Poll::Ready(Err(Error::timed_out(Phase::Write)))
    }

    /// Hands over what is left of an answer that was ended, its end with it. One that was not is an
    /// error.
    fn poll_complete(&mut self, cx: &mut Context<'_>, meter: &Meter) -> Poll<Result<()>> {
        self.outbox.check()?;
        match self.sending {
            Sending::Over => return Poll::Ready(Ok(())),
            Sending::Head(_) | Sending::Content(_) => return Poll::Ready(Err(over())),
            Sending::Ending(..) => {}
        }
        let (bytes, mut sent) = self.outbox.take();
        let polled = self.poll_rest(cx, &bytes, &mut sent, meter);
        self.outbox.put_back(bytes, sent);
        if let Err(error) = ready!(polled) {
            return Poll::Ready(Err(self.outbox.fail(error)));
        }
        self.sending = Sending::Over;
        meter.answered();
        Poll::Ready(Ok(()))
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>, bytes: &[u8], sent: &mut usize, meter: &Meter) -> Poll<Result<()>> {
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

    fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.sending {
            Sending::Head(respond) => respond.poll_reset(cx).map(drop),
            Sending::Content(stream) | Sending::Ending(stream, _) => stream.poll_reset(cx).map(drop),
            Sending::Over => Poll::Pending,
        }
    }

    fn reset(&mut self, reason: Reason) {
        match &mut self.sending {
            Sending::Head(respond) => respond.send_reset(reason),
            Sending::Content(stream) | Sending::Ending(stream, _) => stream.send_reset(reason),
            Sending::Over => {}
        }
        self.sending = Sending::Over;
    }

    fn send_informational(&mut self, status: StatusCode, header: &Header) -> Result<()> {
        let Sending::Head(respond) = &mut self.sending else { return Ok(()) };
        let mut response = http::Response::new(());
        *response.status_mut() = status;
        *response.version_mut() = Version::HTTP_2;
        ours::append_fields(response.headers_mut(), header, status);
        respond.send_informational(response).map_err(|error| stream_error(error, Phase::Write))
    }

    fn keep_writer(&mut self, waker: Option<&Waker>) {
        self.writer = waker.cloned();
    }

    /// The crate keeps the waker of who asked last, and that is the turn's task from here on: it
    /// passes on what the writer waits for.
    fn wake_writer(&mut self, acting: &Waker) {
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
    /// piece; `read_until` does not.
    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let step = match self.poll_content_step(cx) {
            Poll::Pending => {
                let since = *self.read_waits_since.get_or_insert_with(Instant::now);
                self.read_deadline.set(earlier(self.stall.map(|stall| since + stall), self.read_until));
                ready!(self.read_deadline.poll(cx));
                Poll::Ready(Some(Err(Error::timed_out(Phase::Body))))
            }
            ready => {
                self.read_waits_since = None;
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

    fn poll_content_step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        if self.read_until.is_some_and(|until| until <= Instant::now()) {
            return Poll::Ready(Some(Err(Error::timed_out(Phase::Body))));
        }
        let piece = match &mut self.received {
            Content::Over => return Poll::Ready(None),
            Content::Broken | Content::NoTurn => return Poll::Ready(Some(Err(Error::cut_off(Phase::Body)))),
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
    Error::new(ErrorKind::TurnOver, "the answer of this request is over")
}

fn copy_of(bytes: &[u8], len: usize) -> Bytes {
    bytes.get(..len).map(Bytes::copy_from_slice).unwrap_or_default()
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn response_of(head: &StreamHead<'_>) -> http::Response<()> {
    let mut response = http::Response::new(());
    *response.status_mut() = head.status;
    *response.version_mut() = Version::HTTP_2;
    let map = response.headers_mut();
    map.reserve(head.header.len() + 3);
    let seen = ours::append_fields(map, head.header, head.status);
    if let Some(content_type) = head.content_type.filter(|_| !seen.content_type) {
        map.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    if let Outgoing::Length(length) = head.outgoing {
        map.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    if head.date && !seen.date {
        map.insert(DATE, now());
    }
    response
}

/// The present time as a field's value: one for all answers of a second.
fn now() -> HeaderValue {
    thread_local! {
        static NOW: std::cell::RefCell<(Vec<u8>, Option<HeaderValue>)> = const { std::cell::RefCell::new((Vec::new(), None)) };
    }
    NOW.with_borrow_mut(|(text, value)| {
        text.clear();
        append_now(text);
        match value {
            Some(value) if value.as_bytes() == text.as_slice() => value.clone(),
            _ => {
                let fresh = HeaderValue::from_bytes(text).unwrap_or(HeaderValue::from_static(""));
                value.insert(fresh).clone()
            }
        }
    })
}

fn trailer_of(trailer: &Header) -> HeaderMap {
    let mut map = HeaderMap::new();
    ours::append_trailer(&mut map, trailer);
    map
}

impl std::fmt::Debug for StreamLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamLine").finish_non_exhaustive()
    }
}

/// A request's body on a stream: a ticket for its turn.
pub(super) struct StreamBody(pub(super) Arc<StreamLine>);

impl Source for StreamBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let mut state = self.0.lock();
        if matches!(state.received, Content::NoTurn) {
            return Poll::Ready(Some(Err(Error::new(ErrorKind::TurnOver, "the request of this body is over"))));
        }
        let polled = state.poll_content(cx);
        state.reader = polled.is_pending().then(|| cx.waker().clone());
        polled
    }

    fn remaining(&self) -> Option<u64> {
        match &self.0.lock().received {
            Content::Coming(received) => received.remaining(),
            Content::Over => Some(0),
            Content::Broken | Content::NoTurn => None,
        }
    }
}
