//! An exchange on a stream: one request, from its head to the end of its response.

use std::sync::Arc;

use http::Extensions;
use tokio::time::timeout;

use super::request::RequestInfo;
use super::stream_io::{ConnSignals, StreamIo, StreamRequestBody};
use crate::error::Refusal;
use crate::h1::Expectation;
use crate::h2::ErrorCode;
use crate::message::{Addr, Body, Signal};
use crate::server::close_reason::CloseReason;
use crate::server::error_response::write_refusal;
use crate::server::event::ServerEvent;
use crate::server::exchange::{self, ConnShared, HandlerOutcome};
use crate::server::response::decide::RequestTraits;
use crate::server::response::sink::ResponseSink;
use crate::server::scratch::{self, Scratch};
use crate::server::settings::Settings;

/// What the streams of one connection have in common.
pub(super) struct StreamsShared {
    pub(super) conn: ConnShared,
    // What the contexts of its requests are made from. Each stream has one of its own, since its exchanges are
    // numbered apart.
    pub(super) local_addr: Addr,
    pub(super) values: Arc<Extensions>,
    pub(super) draining: Arc<Signal>,
    pub(super) signals: Arc<ConnSignals>,
}

/// An exchange whose handler is about to run.
pub(super) struct StartedExchange {
    shared: Arc<StreamsShared>,
    stream_io: Arc<StreamIo>,
    scratch: Box<Scratch>,
    head: Result<Expectation, Refusal>,
}

impl StartedExchange {
    /// Of a request that `scratch` holds. `room` is how much the windows let a response have at once.
    pub(super) fn new(
        shared: &Arc<StreamsShared>,
        stream_io: Arc<StreamIo>,
        mut scratch: Box<Scratch>,
        filled: Result<RequestInfo, Refusal>,
        room: usize,
    ) -> StartedExchange {
        shared.conn.prepare(&mut scratch.request, &stream_io.context.conn, stream_io.context.exchange);
        let awaits_continue = matches!(&filled, Ok(info) if info.expect == Expectation::Continue);
        stream_io.begin(awaits_continue, std::mem::take(&mut scratch.memory), room);
        scratch.writer.attach(Some(ResponseSink::Http2(stream_io.clone())));
        scratch.writer.begin(RequestTraits::of(&scratch.request, stream_io.context.exchange), None, 0);
        if shared.conn.settings.on_request.is_some() {
            scratch.writer.measure();
        }
        if matches!(&filled, Ok(info) if info.wants_tunnel) {
            scratch.writer.allow_upgrade(&scratch.request.header);
        }
        if matches!(&filled, Ok(info) if info.has_content) {
            scratch.request.body = Body::from_source(StreamRequestBody(stream_io.clone()));
        }
        StartedExchange { shared: shared.clone(), stream_io, scratch, head: filled.map(|info| info.expect) }
    }

    pub(super) fn stream_io(&self) -> &Arc<StreamIo> {
        &self.stream_io
    }

    /// Runs the handler on the request and completes its response. What is left to be sent of that, and the end
    /// of its stream, are the connection's task's.
    pub(super) async fn run(self) -> Arc<StreamIo> {
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
        if close == Some(CloseReason::Hijacked) {
            // Boxed, as it is rare.
            return Box::pin(run_tunnel(shared, stream_io, scratch)).await;
        }
        send_rest(&stream_io, close).await;
        // What comes behind a tunnel that was refused is no content, and its end not worth waiting for.
        let drains = stream_io.end_exchange(settings.drain_bytes) && !scratch.writer.wants_tunnel();
        exchange::record(settings, &mut scratch, close);
        stream_io.cancel();
        exchange::report_ignored_status(settings, &scratch);
        scratch.clear_exchange();
        scratch::release(scratch);
        if drains {
            // The peer may end its message by itself. If it does not in time, closing the stream resets it with
            // NO_ERROR (RFC 9113 §8.1). By then the peer has had time to read the response; some peers discard it
            // when the stream is reset. If more content was announced than is worth reading, the reset follows
            // the response at once, as nginx does: curl (7.88) reads nothing else while it waits for room to
            // send, and would wait for ever. Boxed, as it is rare.
            let _ = Box::pin(timeout(settings.drain_timeout, stream_io.drained())).await;
        }
        stream_io
    }
}

/// Waits for the end of a stream that the handler took over. What the handler held is over with the handler; its
/// context ends then too, as that of a connection of HTTP/1 does.
async fn run_tunnel(shared: Arc<StreamsShared>, stream_io: Arc<StreamIo>, mut scratch: Box<Scratch>) -> Arc<StreamIo> {
    let settings = &shared.conn.settings;
    exchange::record(settings, &mut scratch, Some(CloseReason::Hijacked));
    stream_io.cancel();
    exchange::report_ignored_status(settings, &scratch);
    scratch.clear_exchange();
    scratch::release(scratch);
    stream_io.tunnel_over().await;
    send_rest(&stream_io, None).await;
    stream_io.end_exchange(0);
    stream_io
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

/// Hands over the rest of the response, or has the stream reset where the response cannot be completed.
async fn send_rest(stream_io: &StreamIo, close: Option<CloseReason>) {
    use CloseReason::{ContentShort, HandlerFailed, WriteFailed};
    match close {
        // Not `Panicked`: the error that was sent in place of that response is whole.
        Some(ContentShort | HandlerFailed | WriteFailed) => stream_io.reset(ErrorCode::INTERNAL_ERROR),
        _ => {
            if stream_io.finish().await.is_err() {
                stream_io.cancel();
                stream_io.reset(ErrorCode::INTERNAL_ERROR);
            }
        }
    }
}
