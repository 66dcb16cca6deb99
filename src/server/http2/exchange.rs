//! An exchange on a stream: one request, from its head to the end of its response.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::request::Parts;
use tokio::time::{Instant, timeout};

use super::stream_io::{ConnSignals, StreamIo, StreamRequestBody};
use crate::error::{Error, Refusal};
use crate::h1::Expectation;
use crate::h2::{Received, content_length, fill_request};
use crate::message::{Body, ConnContext, Frame};
use crate::net::TransferDeadlines;
use crate::server::close_reason::CloseReason;
use crate::server::error_response::write_refusal;
use crate::server::event::ServerEvent;
use crate::server::exchange::{self, ConnShared, HandlerOutcome};
use crate::server::response::decide::RequestTraits;
use crate::server::response::sink::ResponseSink;
use crate::server::scratch::{self, Scratch};
use crate::server::settings::Settings;

/// A request as the `h2` crate returns it.
pub(super) type Arrival = (http::Request<RecvStream>, SendResponse<Bytes>);

/// What the streams of one connection have in common.
pub(super) struct StreamsShared {
    pub(super) conn: ConnShared,
    /// The connection's part of its requests' contexts.
    pub(super) context: Arc<ConnContext>,
    pub(super) signals: Arc<ConnSignals>,
    /// The `StreamIo` of an exchange that is over, if nothing else refers to it: the next exchange reuses it.
    pub(super) spare: Mutex<Option<Arc<StreamIo>>>,
}

/// A request whose handler has not begun. Many may wait, so none has a scratch yet.
pub(super) struct PendingExchange {
    shared: Arc<StreamsShared>,
    stream_io: Arc<StreamIo>,
    parts: Parts,
    ends: bool,
}

/// An exchange whose handler runs or is about to.
pub(super) struct StartedExchange {
    shared: Arc<StreamsShared>,
    stream_io: Arc<StreamIo>,
    scratch: Box<Scratch>,
    head: Result<Expectation, Refusal>,
}

impl PendingExchange {
    pub(super) fn new(shared: &Arc<StreamsShared>, (request, respond): Arrival) -> PendingExchange {
        let (parts, stream) = request.into_parts();
        let ends = stream.is_end_stream();
        let received = (!ends).then(|| Received::new(stream, content_length(&parts.headers)));
        let stream_io = shared.stream_io(respond, received);
        PendingExchange { shared: shared.clone(), stream_io, parts, ends }
    }

    pub(super) fn begin(self) -> StartedExchange {
        let PendingExchange { shared, stream_io, parts, ends } = self;
        let mut scratch = scratch::acquire();
        shared.conn.prepare(&mut scratch.request, &stream_io.context, stream_io.exchange);
        let filled = fill_request(&mut scratch.request, parts, ends, &shared.conn.settings.head_limits);
        let awaits_continue = matches!(&filled, Ok(facts) if facts.expect == Expectation::Continue);
        stream_io.begin(awaits_continue, std::mem::take(&mut scratch.memory));
        scratch.writer.attach(Some(ResponseSink::Http2(stream_io.clone())));
        scratch.writer.begin(RequestTraits::of(&scratch.request, stream_io.exchange), None, 0);
        if shared.conn.settings.on_request.is_some() {
            scratch.writer.measure();
        }
        if matches!(&filled, Ok(facts) if facts.has_content) {
            scratch.request.body = Body::from_source(StreamRequestBody(stream_io.clone()));
        }
        StartedExchange { shared, stream_io, scratch, head: filled.map(|facts| facts.expect) }
    }
}

impl StartedExchange {
    /// Runs the handler on the request and completes its response.
    pub(super) async fn run(self) {
        let StartedExchange { shared, stream_io, mut scratch, head } = self;
        let settings = &shared.conn.settings;
        let outcome = match head {
            Ok(expect) => match exchange::built_in_response(settings, &mut scratch, expect) {
                Some(outcome) => outcome,
                None => run_handler(settings, &stream_io, &mut scratch).await,
            },
            Err(refusal) => refuse(&shared, &mut scratch, refusal),
        };
        let close = exchange::finish_response(settings, &mut scratch, outcome);
        send_rest(&stream_io, close).await;
        let (memory, unread) = stream_io.end_exchange();
        scratch.memory = memory;
        exchange::record(settings, &mut scratch, close);
        stream_io.cancel();
        exchange::report_ignored_status(settings, &scratch);
        scratch.clear_exchange();
        scratch::release(scratch);
        shared.keep(stream_io);
        if let Some(unread) = unread {
            // Boxed, as it is rare.
            Box::pin(drain(unread, settings)).await;
        }
    }
}

impl StreamsShared {
    fn stream_io(&self, respond: SendResponse<Bytes>, received: Option<Received>) -> Arc<StreamIo> {
        let settings = &self.conn.settings;
        let from_now = |limit: Option<Duration>| limit.map(|limit| Instant::now() + limit);
        let deadlines =
            TransferDeadlines { read: from_now(settings.read_timeout), write: from_now(settings.write_timeout) };
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut stream_io) = spare {
            if let Some(only) = Arc::get_mut(&mut stream_io) {
                only.serve_next(respond, received, deadlines);
                return stream_io;
            }
        }
        let ConnContext { local_addr, values, draining, .. } = &*self.context;
        let context = Arc::new(ConnContext::new(local_addr.clone(), values.clone(), draining.clone()));
        Arc::new(StreamIo::new(respond, received, context, settings.stall_timeout, deadlines, &self.signals))
    }

    /// Keeps a `StreamIo` for the next exchange, unless a body that the handler has moved elsewhere still
    /// holds it.
    fn keep(&self, stream_io: Arc<StreamIo>) {
        if Arc::strong_count(&stream_io) == 1 {
            self.spare.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(stream_io);
        }
    }
}

/// Reads and throws away what the handler has left of the request's content, if that is little, so that
/// the peer ends the stream by itself. If it does not in time, dropping `unread` resets the stream with
/// NO_ERROR (RFC 9113 §8.1). By then the peer has had time to read the response; some peers discard it
/// when the stream is reset. If more content was announced than is worth reading, the reset follows the
/// response at once, as nginx does: curl (7.88) reads nothing else while it waits for room to send, and
/// would wait for ever.
async fn drain(mut unread: Received, settings: &Settings) {
    let mut left = settings.drain_bytes;
    if unread.remaining().is_some_and(|announced| announced > left) {
        return;
    }
    let draining = poll_fn(|cx| {
        loop {
            match ready!(unread.poll_within(cx, left)) {
                Some(Ok(Frame::Data(data))) => left = left.saturating_sub(data.len() as u64),
                None | Some(Ok(Frame::Trailer(_)) | Err(_)) => return Poll::Ready(()),
            }
        }
    });
    let _ = timeout(settings.drain_timeout, draining).await;
}

/// Sends an error response to an unacceptable request. Only its stream ends: the connection stays open.
fn refuse(shared: &StreamsShared, scratch: &mut Scratch, refusal: Refusal) -> HandlerOutcome {
    shared.conn.settings.report(&ServerEvent::Refused {
        remote_addr: shared.conn.remote_addr.clone(),
        status: refusal.status,
        reason: refusal.reason,
    });
    write_refusal(&shared.conn.settings, &mut scratch.writer, refusal, &shared.conn.remote_addr);
    HandlerOutcome::Done
}

/// Runs the handler. While it waits, what it has written is sent, the peer is watched, and released at the
/// deadline of the response.
async fn run_handler(settings: &Settings, stream_io: &StreamIo, scratch: &mut Scratch) -> HandlerOutcome {
    let mut peer_left = false;
    let mut is_released = false;
    let outcome = exchange::run_handler(settings, &settings.handler, scratch, |cx| {
        if !peer_left && stream_io.poll_peer_left(cx).is_ready() {
            peer_left = true;
            stream_io.cancel();
        }
        if !is_released && stream_io.poll_release(cx).is_ready() {
            is_released = true;
            peer_left = true;
            stream_io.cancel();
        }
    })
    .await;
    if is_released {
        scratch.writer.give_up(None);
    }
    outcome
}

/// Sends the rest of the response, or resets the stream where the response cannot be completed.
async fn send_rest(stream_io: &StreamIo, close: Option<CloseReason>) {
    use CloseReason::{ContentShort, HandlerFailed, WriteFailed};
    match close {
        // Not `Panicked`: the error that was sent in place of that response is whole.
        Some(ContentShort | HandlerFailed | WriteFailed) => {
            // A reset discards what `h2` has not sent yet. Yielding lets the connection's task send
            // what the handler has flushed.
            tokio::task::yield_now().await;
            stream_io.reset(Reason::INTERNAL_ERROR);
        }
        _ => {
            let sent: Result<(), Error> = stream_io.finish().await;
            if sent.is_err() {
                stream_io.cancel();
                stream_io.reset(Reason::INTERNAL_ERROR);
            }
        }
    }
}
