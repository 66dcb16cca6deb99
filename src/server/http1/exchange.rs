//! An exchange on an HTTP/1 connection: one request and its response, from the parsed head on.

use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use http::StatusCode;
use tokio::time::{Instant, timeout};

use super::conn_io::ConnIo;
use super::request_body::RequestBody;
use crate::error::{Error, Phase};
use crate::h1::{Expectation, Framing, ParsedRequest};
use crate::message::{Body, Request};
use crate::server::close_reason::CloseReason;
use crate::server::error_info::ErrorInfo;
use crate::server::error_response::write_failure;
use crate::server::exchange::{self, ConnShared, HandlerOutcome};
use crate::server::registration::Registration;
use crate::server::response::ResponseWriter;
use crate::server::response::decide::{RequestTraits, Unread};
use crate::server::response::sink::ResponseSink;
use crate::server::scratch::Scratch;
use crate::server::settings::Settings;

/// What an exchange needs of its connection.
pub(super) struct Http1Exchange<'a> {
    shared: &'a ConnShared,
    conn_io: &'a Arc<ConnIo>,
    registration: &'a mut Registration,
    number: u64,
    /// When the first byte of the head came, if that was noted.
    head_began: Option<Instant>,
    /// The deadline of the response has passed while the handler ran, and the peer was told or cut off.
    is_released: bool,
}

impl<'a> Http1Exchange<'a> {
    pub(super) fn new(
        shared: &'a ConnShared,
        conn_io: &'a Arc<ConnIo>,
        registration: &'a mut Registration,
        number: u64,
        head_began: Option<Instant>,
    ) -> Http1Exchange<'a> {
        Http1Exchange { shared, conn_io, registration, number, head_began, is_released: false }
    }

    /// Runs the handler on the request that `scratch` holds, and finishes its response. Returns why the
    /// connection closes after it, if it does.
    pub(super) async fn run(mut self, scratch: &mut Scratch, head: ParsedRequest) -> Option<CloseReason> {
        let settings = &self.shared.settings;
        let traits = self.begin(scratch, &head);
        let outcome = match exchange::built_in_response(settings, scratch, head.expect) {
            Some(outcome) => outcome,
            None => self.run_handler(scratch, traits).await,
        };
        let mut close = exchange::finish_response(settings, scratch, outcome);
        if self.is_released {
            // What the handler has written since goes nowhere.
            self.conn_io.lock().write_buffer.abandon(&Error::timed_out(Phase::Write));
            close = Some(CloseReason::WriteTimeout);
        }
        let close = match head.framing {
            Framing::Empty => close,
            Framing::Length(_) | Framing::Chunked | Framing::UntilClose => {
                drain_request_body(self.conn_io, settings, close).await
            }
        };
        exchange::record(settings, scratch, close);
        self.conn_io.end_exchange(self.number);
        exchange::report_ignored_status(settings, scratch);
        scratch.clear_exchange();
        close
    }

    fn begin(&self, scratch: &mut Scratch, head: &ParsedRequest) -> RequestTraits {
        let request = &mut scratch.request;
        self.shared.prepare(request, &self.conn_io.context, self.number);
        match head.framing {
            // The body is empty already: `clear_exchange` has emptied it.
            Framing::Empty => {}
            Framing::Length(_) | Framing::Chunked | Framing::UntilClose => {
                let awaits_continue = matches!(head.expect, Expectation::Continue);
                self.conn_io.lock().begin_content(self.number, &head.framing, awaits_continue);
                request.body = Body::from_source(RequestBody::new(self.conn_io.clone(), self.number));
            }
        }
        self.set_limits();
        let close = close_known_beforehand(request, head);
        let traits = RequestTraits::of(request, self.number);
        scratch.writer.begin(traits, close, self.shared.settings.drain_bytes);
        if self.shared.settings.on_request.is_some() {
            scratch.writer.measure();
        }
        if head.upgrade {
            scratch.writer.allow_upgrade(&request.header);
        }
        traits
    }

    /// Sets the absolute limits of this exchange, in place of those of the one before.
    fn set_limits(&self) {
        let settings = &self.shared.settings;
        // By default there are none. Then neither the clock is read nor the lock taken.
        if settings.read_timeout.is_none() && settings.write_timeout.is_none() && !self.conn_io.has_limits() {
            return;
        }
        let now = Instant::now();
        let began = self.head_began.unwrap_or(now);
        let mut state = self.conn_io.lock();
        state.read_limit.set_until(settings.read_timeout.map(|limit| began + limit));
        state.write_limit.set_until(settings.write_timeout.map(|limit| now + limit));
    }

    /// Runs the handler. While it waits, what was collected is sent (responses to earlier requests of a
    /// pipeline, and what this one has written), the peer is watched, and released at the deadline of the
    /// response.
    async fn run_handler(&mut self, scratch: &mut Scratch, traits: RequestTraits) -> HandlerOutcome {
        let Http1Exchange { shared, conn_io, registration, number, is_released, .. } = self;
        let mut peer_left = false;
        let mut sent_status = None;
        let outcome = exchange::run_handler(&shared.settings, &shared.settings.handler, scratch, |cx| {
            if conn_io.is_hijacked() {
                registration.set_hijacked();
                return;
            }
            if *is_released {
                return;
            }
            let mut state = conn_io.lock();
            state.keep_watcher(cx.waker());
            let failed = matches!(state.poll_flush_beside(cx), Poll::Ready(Err(_)));
            if state.poll_write_until(cx).is_ready() {
                *is_released = true;
                drop(state);
                sent_status = release_peer(shared, conn_io, traits, cx);
                conn_io.cancel(*number);
                return;
            }
            if !peer_left && (failed || state.poll_peer_left(cx).is_ready()) {
                peer_left = true;
                // Unlocked first: cancelling wakes tasks, which may take the lock at once.
                drop(state);
                conn_io.cancel(*number);
            }
        })
        .await;
        if *is_released && !scratch.writer.is_hijacked() {
            scratch.writer.give_up(sent_status);
        }
        outcome
    }
}

/// The response should be written by now, and the handler still runs. Where nothing of a response has
/// left, and all of it can now, the peer gets a 503; else the connection is cut. Returns the status that
/// was sent.
fn release_peer(
    shared: &ConnShared,
    conn_io: &Arc<ConnIo>,
    traits: RequestTraits,
    cx: &mut TaskContext<'_>,
) -> Option<StatusCode> {
    let mut status = StatusCode::SERVICE_UNAVAILABLE;
    let has_begun = conn_io.lock().has_responded(traits.exchange);
    if !has_begun {
        // One of its own: the handler holds the other.
        let mut writer = ResponseWriter::new();
        writer.attach(Some(ResponseSink::Http1(conn_io.clone())));
        writer.begin(traits, Some(CloseReason::WriteTimeout), 0);
        let error = Error::timed_out(Phase::Handler).with_status(status);
        let failure = ErrorInfo { error: &error, status, request: None, remote_addr: &shared.remote_addr };
        write_failure(&shared.settings, &mut writer, &failure);
        writer.finish();
        status = writer.sent_status().unwrap_or(status);
    }
    let has_left = conn_io.lock().release_peer(!has_begun, cx);
    has_left.then_some(status)
}

/// RFC 9112 §9.3: the reasons to close that the request's head gives.
fn close_known_beforehand(request: &Request, head: &ParsedRequest) -> Option<CloseReason> {
    if head.keep_alive {
        None
    } else if request.proto == http::Version::HTTP_10 {
        Some(CloseReason::Http10)
    } else {
        Some(CloseReason::PeerAsked)
    }
}

/// Reads and discards what the handler has left of the request's content, up to `drain_bytes`, so that
/// the connection can be kept; with more content it closes. The response is sent first: the client may
/// wait for it before it sends the rest.
async fn drain_request_body(conn_io: &ConnIo, settings: &Settings, close: Option<CloseReason>) -> Option<CloseReason> {
    if close == Some(CloseReason::Hijacked) {
        return close;
    }
    let unread = {
        let mut state = conn_io.lock();
        state.end_content();
        state.unread()
    };
    match (close, unread) {
        (Some(_), _) | (None, Unread::Nothing) => close,
        (None, Unread::Broken) => Some(CloseReason::BodyBroken),
        (None, Unread::Some { .. }) => {
            if conn_io.flush().await.is_err() {
                return Some(CloseReason::WriteFailed);
            }
            let draining = conn_io.drain(settings.drain_bytes);
            // Boxed: it is rare, and every connection would hold the room for its timer.
            let drained = Box::pin(timeout(settings.drain_timeout, draining)).await.unwrap_or(false);
            (!drained).then_some(CloseReason::BodyUnread)
        }
    }
}
