//! An exchange on a stream: one request, from its head to the end of its response.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, ready};

use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use http::request::Parts;
use tokio::time::{Instant, timeout};

use super::exchanges::Arrival;
use super::stream_io::{Shared, StreamIo, StreamRequestBody};
use crate::error::{Error, Refusal};
use crate::h1::Expectation;
use crate::h2::{Received, content_length, fill_request};
use crate::message::{Addr, Body, ConnContext, Frame, TlsInfo};
use crate::server::close_reason::CloseReason;
use crate::server::event::ServerEvent;
use crate::server::exchange::{self, HandlerOutcome};
use crate::server::response::decide::RequestTraits;
use crate::server::response::sink::ResponseSink;
use crate::server::scratch::{self, Scratch};
use crate::server::settings::{Settings, catch};

/// What the exchanges of one connection have in common.
pub(super) struct Host {
    pub(super) settings: Arc<Settings>,
    pub(super) remote_addr: Addr,
    pub(super) tls: Option<Arc<TlsInfo>>,
    /// What the contexts of its requests are made from.
    pub(super) context: Arc<ConnContext>,
    pub(super) shared: Arc<Shared>,
    /// A line that an exchange has left and nobody holds: the next one has it.
    pub(super) spare: Mutex<Option<Arc<StreamIo>>>,
}

/// A request that came in. Many may wait to begin, so it has no scratch yet.
pub(super) struct PendingExchange {
    host: Arc<Host>,
    stream_io: Arc<StreamIo>,
    parts: Parts,
    ends: bool,
}

/// One that has begun: laid out on a scratch, which is one that another has just left. Small.
pub(super) struct StartedExchange {
    host: Arc<Host>,
    stream_io: Arc<StreamIo>,
    scratch: Box<Scratch>,
    head: Result<Expectation, Refusal>,
    watched: Option<Instant>,
}

impl PendingExchange {
    pub(super) fn new(host: &Arc<Host>, (request, respond): Arrival) -> PendingExchange {
        let (parts, stream) = request.into_parts();
        let ends = stream.is_end_stream();
        let received = (!ends).then(|| Received::new(stream, content_length(&parts.headers)));
        let stream_io = host.stream_io(respond, received);
        PendingExchange { host: host.clone(), stream_io, parts, ends }
    }

    pub(super) fn begin(self) -> StartedExchange {
        let PendingExchange { host, stream_io, parts, ends } = self;
        let watched = host.settings.on_request.is_some().then(Instant::now);
        let mut scratch = scratch::acquire();
        scratch.request.remote_addr.clone_from(&host.remote_addr);
        scratch.request.tls.clone_from(&host.tls);
        scratch.request.context.enter(&stream_io.context, stream_io.exchange);
        let filled = fill_request(&mut scratch.request, parts, ends, &host.settings.head_limits);
        let awaits_continue = matches!(&filled, Ok(facts) if facts.expect == Expectation::Continue);
        stream_io.begin(awaits_continue, std::mem::take(&mut scratch.memory));
        scratch.writer.attach(Some(ResponseSink::Http2(stream_io.clone())));
        scratch.writer.begin(RequestTraits::of(&scratch.request, stream_io.exchange), None, 0);
        if matches!(&filled, Ok(facts) if facts.has_content) {
            scratch.request.body = Body::from_source(StreamRequestBody(stream_io.clone()));
        }
        StartedExchange { host, stream_io, scratch, head: filled.map(|facts| facts.expect), watched }
    }
}

impl StartedExchange {
    /// Runs the handler on the request and completes its response.
    pub(super) async fn run(self) {
        let StartedExchange { host, stream_io, mut scratch, head, watched } = self;
        let settings = &host.settings;
        let outcome = match head {
            Ok(expect) => match exchange::built_in_response(settings, &mut scratch, expect) {
                Some(outcome) => outcome,
                None => handle(settings, &stream_io, &mut scratch).await,
            },
            Err(refusal) => refuse(&host, &mut scratch, refusal),
        };
        let close = exchange::finish_response(settings, &mut scratch, outcome);
        send_rest(&stream_io, close).await;
        let (memory, unread) = stream_io.end_exchange();
        scratch.memory = memory;
        stream_io.cancel();
        exchange::report_ignored_status(settings, &scratch);
        exchange::record(settings, &mut scratch, watched);
        scratch.clear_exchange();
        scratch::release(scratch);
        host.keep(stream_io);
        if let Some(unread) = unread {
            // Boxed, as it is rare.
            Box::pin(drain(unread, settings)).await;
        }
    }
}

impl Host {
    fn stream_io(&self, respond: SendResponse<Bytes>, received: Option<Received>) -> Arc<StreamIo> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut stream_io) = spare {
            if let Some(only) = Arc::get_mut(&mut stream_io) {
                only.serve_next(respond, received, self);
                return stream_io;
            }
        }
        let ConnContext { local_addr, values, draining, .. } = &*self.context;
        let context = Arc::new(ConnContext::new(local_addr.clone(), values.clone(), draining.clone()));
        Arc::new(StreamIo::new(respond, received, context, self))
    }

    /// A handler may have given its request's body away: then the line stays that body's.
    fn keep(&self, stream_io: Arc<StreamIo>) {
        if Arc::strong_count(&stream_io) == 1 {
            self.spare.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(stream_io);
        }
    }
}

/// What the handler left of the request's content: a little is read and thrown away, so that the
/// peer is done with the stream by itself. Else it is told to send no more (RFC 9113 §8.1), and by
/// then it has had time to read the response: some give it up when they are told. Of more than is worth
/// reading it is told at once, behind the response, as nginx does: curl (7.88) looks for
/// nothing behind that, and would wait for ever for room to send.
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

/// Answers what is no acceptable request. Its stream is one of many: the connection lives.
fn refuse(host: &Host, scratch: &mut Scratch, refusal: Refusal) -> HandlerOutcome {
    host.settings.report(&ServerEvent::Refused {
        remote_addr: host.remote_addr.clone(),
        status: refusal.status,
        reason: refusal.reason,
    });
    exchange::write_error(&mut scratch.writer, refusal.status, Some(refusal.reason));
    HandlerOutcome::Done
}

/// Runs the handler, with an eye on the peer. While it waits, what it has written leaves.
async fn handle(settings: &Settings, stream_io: &StreamIo, scratch: &mut Scratch) -> HandlerOutcome {
    let Scratch { request, writer, .. } = scratch;
    // A handler may panic before it has a future.
    let mut handling = match catch(move || settings.handler.serve(writer, request)) {
        Ok(handling) => handling,
        Err(payload) => return exchange::panicked(&*payload),
    };
    let mut left = false;
    poll_fn(|cx| {
        match catch(|| handling.as_mut().poll(cx)) {
            Ok(Poll::Ready(Ok(()))) => return Poll::Ready(HandlerOutcome::Done),
            Ok(Poll::Ready(Err(error))) => return Poll::Ready(HandlerOutcome::Failed(error)),
            Ok(Poll::Pending) => {}
            Err(payload) => return Poll::Ready(exchange::panicked(&*payload)),
        }
        if !left && stream_io.poll_peer_left(cx).is_ready() {
            left = true;
            stream_io.cancel();
        }
        Poll::Pending
    })
    .await
}

/// Sends what is left of the response, or cuts it where it cannot be whole.
async fn send_rest(stream_io: &StreamIo, close: Option<CloseReason>) {
    use CloseReason::{ContentShort, HandlerFailed, WriteFailed};
    match close {
        // Of a handler that panicked: what was answered in its place is whole.
        Some(ContentShort | HandlerFailed | WriteFailed) => {
            // A reset takes back what still waits: what was flushed gets the chance to leave before.
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
