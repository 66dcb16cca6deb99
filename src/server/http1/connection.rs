//! One HTTP/1 connection, from its first byte to its last: idle, head, turn, verdict, and again.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use http::StatusCode;
use tokio::time::{Instant, timeout};

use super::conn_io::{ConnIo, ConnIoState};
use super::request_body;
use crate::error::{Error, Refusal, Result};
use crate::h1::ParsedRequest;
use crate::message::{Protocols, TlsInfo};
use crate::net::Io;
use crate::server::cached_now;
use crate::server::close_reason::{AfterExchange, CloseReason};
use crate::server::event::{ConnState, ServerEvent};
use crate::server::exchange;
use crate::server::handshake;
use crate::server::http2::{self, Preface};
use crate::server::registration::Registration;
use crate::server::registry::Command;
use crate::server::response::decide::RequestTraits;
use crate::server::response::decide::Unread;
use crate::server::scratch::{self, Scratch};
use crate::server::settings::Settings;

pub(crate) struct Connection {
    pub(crate) settings: Arc<Settings>,
    pub(crate) conn_io: Arc<ConnIo>,
    pub(crate) registration: Registration,
    scratch: Option<Box<Scratch>>,
    waits: Waits,
    /// Whether a byte of the next head has come.
    has_begun: bool,
    pub(crate) accepted: Instant,
    /// When the first byte of the present head was seen; kept only where a deadline needs it.
    pub(crate) head_began: Option<Instant>,
    /// The number of the present exchange; they count from 1.
    pub(crate) exchange: u64,
    /// The session that the connection runs over.
    pub(crate) tls: Option<Arc<TlsInfo>>,
}

/// Serves a connection until it closes. Ends at once when the registry say so. No `async fn`, which would
/// have room for what it is given twice.
pub(crate) fn serve(
    settings: Arc<Settings>,
    conn_io: Arc<ConnIo>,
    registration: Registration,
) -> impl Future<Output = ()> + Send {
    let mut connection = Connection {
        settings,
        conn_io,
        registration,
        scratch: None,
        waits: Waits::Nothing,
        has_begun: false,
        accepted: Instant::now(),
        head_began: None,
        exchange: 0,
        tls: None,
    };
    async move {
        let entry = connection.registration.entry.clone();
        let reason = {
            let mut serving = pin!(connection.serve());
            poll_fn(|cx| {
                entry.set_waker(cx.waker());
                if entry.command() == Command::Stop {
                    return Poll::Ready(CloseReason::Cut);
                }
                cached_now::for_one_poll(|| serving.as_mut().poll(cx))
            })
            .await
        };
        connection.registration.set_close_reason(reason);
    }
}

impl Connection {
    async fn serve(&mut self) -> CloseReason {
        match handshake::open(self).await {
            Ok(()) => self.serve_exchanges().await,
            Err(NoHead::Http2) => Box::pin(http2::serve(self)).await,
            Err(NoHead::Silent(reason)) => self.close(reason).await,
            Err(NoHead::Refused(refusal)) => {
                self.scratch = Some(scratch::acquire_for(&self.conn_io, &mut self.conn_io.lock()));
                self.refuse(refusal);
                self.close(CloseReason::Refused).await
            }
        }
    }

    /// HTTP/1 from its first head on, unless the first bytes begin HTTP/2.
    async fn serve_exchanges(&mut self) -> CloseReason {
        let conn_io = self.conn_io.clone();
        loop {
            let head = match poll_fn(|cx| self.poll_next_head(&conn_io, cx)).await {
                Ok(head) => head,
                Err(NoHead::Silent(reason)) => return self.leave(reason).await,
                // Boxed: connections of HTTP/1 need no room for it.
                Err(NoHead::Http2) => return Box::pin(http2::serve(self)).await,
                Err(NoHead::Refused(refusal)) => {
                    self.refuse(refusal);
                    return self.close(CloseReason::Refused).await;
                }
            };
            let mut scratch = self.scratch.take().expect("a head was parsed on it");
            let verdict = exchange::run(self, &mut scratch, head).await;
            self.scratch = Some(scratch);
            if let AfterExchange::Close(reason) = verdict {
                return self.close(reason).await;
            }
        }
    }

    /// The next head. What the user's hook is told is told without the lock.
    fn poll_next_head(&mut self, conn_io: &ConnIo, cx: &mut TaskContext<'_>) -> Poll<Result<ParsedRequest, NoHead>> {
        let polled = self.poll_head_on(&mut conn_io.lock(), cx);
        let has_come = matches!(polled, Poll::Ready(Ok(_) | Err(NoHead::Refused(_))));
        if has_come || self.has_begun {
            self.registration.enter_state(ConnState::Active);
        } else if self.waits == Waits::Idle && self.registration.enter_state(ConnState::Idle) {
            // Who wanted room a moment ago has not seen it idle, and does not look again.
            if let (Poll::Pending, Some(reason)) = (&polled, self.closes_idle()) {
                return Poll::Ready(Err(NoHead::Silent(reason)));
            }
        }
        polled
    }

    /// What is there is parsed; before waiting for more, the responses that were collected leave,
    /// and memory that is not needed goes back. They also leave when they are many: a peer that
    /// sends and does not read is served no further than it reads.
    fn poll_head_on(
        &mut self,
        state: &mut ConnIoState,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<ParsedRequest, NoHead>> {
        loop {
            if state.write_buffer.is_full() {
                ready!(state.poll_flush(cx)).map_err(write_failed)?;
            }
            if let Some(parsed) = self.parse_input(state) {
                self.waits = Waits::Nothing;
                return Poll::Ready(parsed);
            }
            ready!(state.poll_flush(cx)).map_err(write_failed)?;
            ready!(self.poll_more_input(state, cx)).map_err(NoHead::Silent)?;
        }
    }

    fn parse_input(&mut self, state: &mut ConnIoState) -> Option<Result<ParsedRequest, NoHead>> {
        if !state.has_input() {
            return None;
        }
        if self.scratch.is_none() {
            self.scratch = Some(scratch::acquire_for(&self.conn_io, state));
        }
        let (Some(scratch), Ok(io)) = (&mut self.scratch, state.io()) else { return None };
        if self.exchange == 0 {
            match decide(self.settings.protocols, self.tls.as_deref(), &io.input) {
                Decision::Http1 => {}
                Decision::Open => return None,
                Decision::Http2 => return Some(Err(NoHead::Http2)),
                Decision::Neither => return Some(Err(NoHead::Refused(NOT_SERVED))),
            }
        }
        let head = match scratch.parser.parse(&io.input, &self.settings.head_limits, &mut scratch.request) {
            Ok(head) => head?,
            Err(refusal) => return Some(Err(NoHead::Refused(refusal))),
        };
        io.input.advance(head.consumed.min(io.input.len()));
        Some(Ok(head))
    }

    /// Waits for bytes under the deadline of the present phase.
    fn poll_more_input(&mut self, state: &mut ConnIoState, cx: &mut TaskContext<'_>) -> Poll<Result<(), CloseReason>> {
        // Empty lines ahead of a request are no request, but they are still looked at.
        if !state.has_input() {
            if let Some(scratch) = self.scratch.take() {
                scratch::release_from(scratch, state);
            }
        }
        let Ok(io) = state.io() else { return Poll::Ready(Err(CloseReason::Hijacked)) };
        self.has_begun = self.scratch.as_ref().is_some_and(|scratch| scratch.parser.has_begun(&io.input));
        self.set_deadline(io);
        match io.poll_fill(cx) {
            Poll::Ready(Ok(1..)) => Poll::Ready(Ok(())),
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(CloseReason::PeerGone)),
            Poll::Pending => {
                // Only now: a request that has arrived is answered, not thrown away.
                if let Some(reason) = self.closes_idle().filter(|_| !self.has_begun) {
                    return Poll::Ready(Err(reason));
                }
                ready!(io.read_deadline.poll(cx));
                Poll::Ready(Err(match self.waits {
                    Waits::Idle => CloseReason::IdleTimeout,
                    Waits::Nothing | Waits::First | Waits::Head => CloseReason::HeadTimeout,
                }))
            }
        }
    }

    /// Sets the read deadline where the phase has changed: a drip of bytes does not move it.
    fn set_deadline(&mut self, io: &mut Io) {
        let waits = self.waits.next(self.has_begun, self.registration.state());
        if waits == self.waits {
            return;
        }
        self.waits = waits;
        let (since, limit) = waits.since(self.accepted, &self.settings);
        io.read_deadline.set(limit.map(|limit| since + limit));
        self.head_began = (waits != Waits::Idle).then_some(since);
        // Only who must make room asks for it.
        if waits == Waits::Idle && self.settings.max_connections > 0 {
            self.settings.state.registry.note_idle(&self.registration.entry, since);
        }
    }

    /// Why a connection with nothing under way closes now, if it does.
    fn closes_idle(&self) -> Option<CloseReason> {
        let kept = self.waits == Waits::Idle;
        let state = &self.settings.state;
        match self.registration.entry.command().close_reason() {
            None if kept && state.registry.wants_room() => Some(CloseReason::Evicted),
            None if kept && !state.keep_alives() => Some(CloseReason::KeepAlivesOff),
            reason => reason,
        }
    }

    /// Answers what is no request.
    fn refuse(&mut self, refusal: Refusal) {
        self.settings.report(&ServerEvent::Refused {
            remote_addr: self.registration.info.remote_addr.clone(),
            status: refusal.status,
            reason: refusal.reason,
        });
        // The limit of the exchange before is not this response's.
        self.conn_io.lock().write_limit.set_until(self.settings.write_timeout.map(|limit| Instant::now() + limit));
        let Some(scratch) = &mut self.scratch else { return };
        scratch.writer.begin(RequestTraits::default(), Some(CloseReason::Refused), 0);
        exchange::write_error(&mut scratch.writer, refusal.status, Some(refusal.reason));
        scratch.writer.finish();
    }

    /// Sends what was collected, and lets the peer read it before the connection is gone.
    async fn close(&mut self, reason: CloseReason) -> CloseReason {
        if reason == CloseReason::Hijacked {
            self.registration.set_hijacked();
            return reason;
        }
        if reason.wants_flush() && self.conn_io.flush().await.is_err() {
            return CloseReason::WriteFailed;
        }
        if self.tls.is_some() && reason.cuts_answer() {
            return reason;
        }
        if reason.wants_flush() && (reason.wants_linger() || self.has_unread()) {
            // Whether the peer closed in time changes nothing: it had its chance to read. Boxed, as
            // it is rare: every idle connection would have room for its timer.
            let _ = Box::pin(timeout(self.settings.linger_timeout, request_body::linger(&self.conn_io))).await;
            return reason;
        }
        self.leave(reason).await
    }

    /// Goes without another word on HTTP. A session is closed in words before its connection is
    /// (RFC 9112 §9.8).
    async fn leave(&mut self, reason: CloseReason) -> CloseReason {
        if self.tls.is_some() && reason.wants_flush() {
            let _ = Box::pin(timeout(self.settings.linger_timeout, request_body::say_end(&self.conn_io))).await;
        }
        reason
    }

    /// Whether a close now would throw bytes of the peer away, and reset the connection for it.
    fn has_unread(&self) -> bool {
        let mut state = self.conn_io.lock();
        state.unread() != Unread::Nothing || state.io().is_ok_and(|io| !io.input.is_empty())
    }
}

/// Which protocol the first bytes of a connection speak.
enum Decision {
    /// It may still be one or the other.
    Open,
    Http1,
    Http2,
    Neither,
}

const NOT_SERVED: Refusal = Refusal::with(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "this protocol is not served here");

/// RFC 9113 §3.2 and §3.3: over TLS both sides have agreed; in the clear the preface tells.
fn decide(protocols: Protocols, tls: Option<&TlsInfo>, input: &[u8]) -> Decision {
    let Protocols { http1, unencrypted_http2, .. } = protocols;
    let agreed = tls.map(|tls| tls.alpn.as_deref() == Some(b"h2"));
    match (agreed.unwrap_or(unencrypted_http2), http2::preface(input)) {
        (true, Preface::Whole) => Decision::Http2,
        (true, Preface::Partial) => Decision::Open,
        _ if http1 && agreed != Some(true) => Decision::Http1,
        _ => Decision::Neither,
    }
}

/// What the connection's read deadline stands for at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    /// Nothing was set yet.
    Nothing,
    /// For the first byte of the first request, and its head.
    First,
    /// For the first byte of a next request.
    Idle,
    /// For the rest of a head.
    Head,
}

impl Waits {
    /// What is waited for now, with or without a byte of a head.
    fn next(self, begun: bool, state: ConnState) -> Waits {
        match (begun, state) {
            (_, ConnState::New) => Waits::First,
            // The first head's deadline runs from accept, whenever its first byte came.
            (true, _) if self == Waits::First => Waits::First,
            (true, _) => Waits::Head,
            (false, _) => Waits::Idle,
        }
    }

    /// From when the wait counts, and how long it may last.
    fn since(self, accepted: Instant, settings: &Settings) -> (Instant, Option<Duration>) {
        match self {
            Waits::First => (accepted, settings.head_timeout),
            Waits::Nothing | Waits::Head => (cached_now::now(), settings.head_timeout),
            Waits::Idle => (cached_now::now(), settings.idle_timeout),
        }
    }
}

/// Why there is no next head.
pub(crate) enum NoHead {
    Refused(Refusal),
    /// The connection speaks HTTP/2.
    Http2,
    /// Nothing is to be said to the peer.
    Silent(CloseReason),
}

/// For the responses to earlier requests, which only now were to leave.
fn write_failed(_: Error) -> NoHead {
    NoHead::Silent(CloseReason::WriteFailed)
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(scratch) = self.scratch.take() {
            scratch::release_from(scratch, &mut self.conn_io.lock());
        }
        self.conn_io.hang_up();
    }
}
