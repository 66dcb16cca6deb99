//! An HTTP/2 connection of the server, from its preface to its last frame.
//!
//! # Theory of operation
//!
//! ```text
//!  preface, SETTINGS ─▶ Active ◀──────▶ Idle ──idle_timeout, shutdown, eviction──▶ ending ─▶ closed
//!  (head_timeout)         │  no stream is open, no handler runs     (GOAWAY)         ▲
//!                         └── fault: the peer broke a rule or a cap ── GOAWAY, reset ─┘
//! ```
//!
//! One task owns `h2`'s connection, and with it the socket. Only its polls move bytes: an exchange
//! hands content to `h2`, which wakes this task. Each poll does, in this order:
//!
//! 1. carry out the registry's command and the server's switches;
//! 2. remove the exchanges that have ended;
//! 3. read frames and accept requests, no more at a time than handlers may run, and start their exchanges;
//!    what those write leaves in the same poll;
//! 4. check whether the [`Meter`] has found a fault;
//! 5. poll the deadlines: of a head, of the keep-alive ping, of idleness, of the end.
//!
//! Ending is graceful: after GOAWAY the streams that the peer has opened are served to their end, and the
//! connection closes when none is left and the peer has closed, or after `linger_timeout`. A fault ends all
//! streams at once. `ending` keeps the first reason, except that a fault replaces it.
//!
//! Who wakes whom: this task is woken by the socket, by an exchange that hands content to `h2` or
//! whose task ends, by a command of the registry, and by its deadlines. `h2` wakes the task of an
//! exchange when content arrives on its stream or room is there to send.
//!
//! Locks: each stream has one (`StreamIo`), held for one poll; `h2` has one of its own, which is only
//! taken under that of a stream, never the other way round. The meter is atomic.
//!
//! The connection's future ends only when no handler runs any more: a handler whose peer has left runs on,
//! as on HTTP/1, with its request's context cancelled.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, server};
use tokio::time::Instant;

use super::deadlines::{HeadDeadline, KeepAlive, Leftover};
use super::exchange::{Arrival, StreamsShared};
use super::exchanges::Exchanges;
use super::stream_io::ConnSignals;
use crate::h2::{Fault, Meter, MeterLimits, PREFACE, Wire, in_words};
use crate::message::ConnContext;
use crate::net::{Deadline, Io};
use crate::server::close_reason::CloseReason;
use crate::server::event::{ConnState, ServerEvent};
use crate::server::exchange::ConnShared;
use crate::server::registration::Registration;
use crate::server::settings::{Http2Settings, Settings};

/// Serves HTTP/2 on a connection, from the preface on. Returns when all its streams have ended.
pub(crate) async fn serve(
    conn: ConnShared,
    context: &ConnContext,
    io: Io,
    registration: &mut Registration,
    accepted: Instant,
) -> CloseReason {
    let settings = &conn.settings;
    let limits = MeterLimits { control: settings.http2.max_control_frames, resets: settings.http2.max_resets };
    let meter = Arc::new(Meter::new(limits));
    let until = settings.head_timeout.map(|limit| accepted + limit);
    let h2 = match shake_hands(io, &meter, settings, registration, until).await {
        Ok(h2) => h2,
        Err(reason) => return reason,
    };
    let ConnContext { local_addr, values, draining, .. } = context;
    let shared = StreamsShared {
        conn,
        // A context of its own: the exchanges of streams are numbered apart from those of HTTP/1.
        context: Arc::new(ConnContext::new(local_addr.clone(), values.clone(), draining.clone())),
        signals: Arc::new(ConnSignals::new(meter.clone())),
        spare: Mutex::default(),
    };
    Http2::new(h2, meter, Arc::new(shared), registration, until).serve().await
}

type Handshaken = server::Connection<Wire, Bytes>;

/// Exchanges prefaces, under the deadline of a head. A shutdown does not end it: the peer has begun to
/// speak, and what it asks for is served within the grace.
async fn shake_hands(
    io: Io,
    meter: &Arc<Meter>,
    settings: &Settings,
    registration: &Registration,
    until: Option<Instant>,
) -> Result<Handshaken, CloseReason> {
    let wire = Wire::new(io, PREFACE.len(), meter.clone(), settings.stall_timeout, settings.linger_timeout);
    let mut handshake = pin!(builder(settings).handshake::<_, Bytes>(wire));
    let mut deadline = Deadline::default();
    deadline.set(until);
    poll_fn(|cx| {
        if let Poll::Ready(done) = handshake.as_mut().poll(cx) {
            return Poll::Ready(done.map_err(|error| why_ended(settings, registration, meter, &error)));
        }
        if let Some(reason) = registration.entry.command().close_reason() {
            if reason != CloseReason::ShuttingDown {
                return Poll::Ready(Err(reason));
            }
        }
        ready!(deadline.poll(cx));
        Poll::Ready(Err(CloseReason::HeadTimeout))
    })
    .await
}

fn builder(settings: &Settings) -> server::Builder {
    let Http2Settings {
        max_concurrent_streams,
        max_read_frame_size,
        max_receive_buffer_per_connection,
        max_receive_buffer_per_stream,
        max_send_buffer_per_stream,
        max_decoder_header_table_size,
        max_pending_resets,
        max_local_resets,
        data_frame_budget,
        ..
    } = settings.http2;
    // Go's addition: what ten fields cost beyond their text (RFC 9113 §10.5.1).
    let max_head = settings.head_limits.max_bytes.saturating_add(320);
    let mut builder = server::Builder::new();
    builder
        .max_concurrent_streams(max_concurrent_streams)
        .max_frame_size(max_read_frame_size)
        .initial_connection_window_size(max_receive_buffer_per_connection)
        .initial_window_size(max_receive_buffer_per_stream)
        .max_send_buffer_size(max_send_buffer_per_stream as usize)
        .header_table_size(max_decoder_header_table_size)
        .max_header_list_size(u32::try_from(max_head).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(max_pending_resets as usize)
        .max_local_error_reset_streams(Some(max_local_resets as usize));
    if data_frame_budget > 0 {
        builder.data_frame_budget(data_frame_budget as usize);
    }
    builder
}

struct Http2<'a> {
    h2: Option<Handshaken>,
    meter: Arc<Meter>,
    shared: Arc<StreamsShared>,
    registration: &'a mut Registration,
    exchanges: Exchanges,
    has_served: bool,
    /// It began while the server was draining already, and its first request has not come. Its client has
    /// begun to speak, and would lose the request that it is about to send: that may take as long as a head.
    awaits_first: bool,
    ending: Option<CloseReason>,
    head: HeadDeadline,
    idle: Deadline,
    /// How long a connection that is ending may take without a stream.
    linger: Deadline,
    lingers: bool,
    leftover: Leftover,
    keep_alive: Option<KeepAlive>,
}

impl<'a> Http2<'a> {
    fn new(
        mut h2: Handshaken,
        meter: Arc<Meter>,
        shared: Arc<StreamsShared>,
        registration: &'a mut Registration,
        until: Option<Instant>,
    ) -> Http2<'a> {
        let keep_alive = KeepAlive::new(&shared.conn.settings.http2, &mut h2);
        let awaits_first = shared.conn.settings.state.is_draining();
        Http2 {
            h2: Some(h2),
            meter,
            shared,
            registration,
            exchanges: Exchanges::new(),
            has_served: false,
            awaits_first,
            ending: None,
            head: HeadDeadline::new(until),
            idle: Deadline::default(),
            linger: Deadline::default(),
            lingers: false,
            leftover: Leftover::default(),
            keep_alive,
        }
    }

    /// Until the connection is closed and no handler runs any more: handlers whose peer has left
    /// run on, as on HTTP/1.
    async fn serve(mut self) -> CloseReason {
        self.registration.enter_state(ConnState::Active);
        let reason = poll_fn(|cx| self.poll_connection(cx)).await;
        // Dropped first: the streams that are left see now that their peer is gone.
        self.h2 = None;
        self.exchanges.end(&self.shared).await;
        reason
    }

    fn poll_connection(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        self.apply_command();
        self.exchanges.reap(cx);
        if let Poll::Ready(reason) = self.poll_frames(cx) {
            return Poll::Ready(self.ending.filter(|_| reason == CloseReason::PeerGone).unwrap_or(reason));
        }
        if let Some(fault) = self.meter.fault().filter(|_| self.ending != Some(CloseReason::Flooded)) {
            self.end_for(fault);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.shared.signals.wants_close.load(Ordering::Relaxed) {
            self.end(CloseReason::HandlerAsked);
        }
        self.poll_clocks(cx)
    }

    /// Carries out the registry's command, and what the server's switches say.
    fn apply_command(&mut self) {
        let state = &self.shared.conn.settings.state;
        let idle = self.registration.is_idle();
        let may_end = |reason: &CloseReason| match reason {
            // To make room is asked of connections that are idle.
            CloseReason::Evicted => idle,
            // One that has served nothing yet may answer its first request (Go's rule).
            CloseReason::KeepAlivesOff => self.has_served,
            CloseReason::ShuttingDown => !self.awaits_first || self.head.first_is_late(),
            _ => true,
        };
        let reason = match self.registration.entry.command().close_reason() {
            None if idle && state.registry.wants_room() => Some(CloseReason::Evicted),
            None => state.closes_all(),
            reason => reason,
        };
        if let Some(reason) = reason.filter(may_end) {
            self.end(reason);
        }
    }

    /// Moves bytes, takes requests in as long as handlers may run, and runs those. Their responses are
    /// sent together.
    fn poll_frames(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if let Poll::Ready(reason) = self.poll_arrivals(cx) {
            return Poll::Ready(reason);
        }
        while self.exchanges.run_some(&self.shared, cx) {
            if let Poll::Ready(reason) = self.poll_arrivals(cx) {
                return Poll::Ready(reason);
            }
            if self.exchanges.any_wait() {
                // Let other connections run before the rest begins.
                cx.waker().wake_by_ref();
                break;
            }
        }
        Poll::Pending
    }

    fn poll_arrivals(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let most = self.shared.conn.settings.http2.max_concurrent_streams as usize;
        loop {
            let Some(h2) = &mut self.h2 else { return Poll::Ready(CloseReason::PeerGone) };
            let ended = if self.exchanges.len() < most {
                match ready!(h2.poll_accept(cx)) {
                    Some(Ok(arrival)) => {
                        self.start(arrival);
                        continue;
                    }
                    Some(Err(error)) => Err(error),
                    None => Ok(()),
                }
            } else {
                // A handler that ends wakes this task.
                ready!(h2.poll_closed(cx))
            };
            return Poll::Ready(match ended {
                Ok(()) => CloseReason::PeerGone,
                Err(error) => why_ended(&self.shared.conn.settings, self.registration, &self.meter, &error),
            });
        }
    }

    fn start(&mut self, arrival: Arrival) {
        self.registration.enter_state(ConnState::Active);
        self.idle.set(None);
        self.has_served = true;
        self.awaits_first = false;
        self.exchanges.start(&self.shared, arrival);
    }

    /// Takes no more requests, and closes when those under way are answered.
    fn end(&mut self, reason: CloseReason) {
        if self.ending.is_none() {
            self.ending = Some(reason);
            if let Some(h2) = &mut self.h2 {
                h2.graceful_shutdown();
            }
        }
    }

    /// Ends all streams at once.
    fn end_for(&mut self, fault: Fault) {
        let reason = if fault == Fault::NotSettings { CloseReason::ProtocolBroken } else { CloseReason::Flooded };
        report(&self.shared.conn.settings, self.registration, fault.code(), fault.in_words());
        self.ending = Some(reason);
        self.let_linger();
        if let Some(h2) = &mut self.h2 {
            h2.abrupt_shutdown(Reason::from(fault.code()));
        }
    }

    /// The deadlines of a connection: for a head, for silence, for an end.
    fn poll_clocks(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let settings = &self.shared.conn.settings;
        if self.head.poll(cx, &self.meter, settings.head_timeout).is_ready() {
            return Poll::Ready(CloseReason::HeadTimeout);
        }
        if let Some(keep_alive) = &mut self.keep_alive {
            if keep_alive.poll(cx, &self.meter).is_ready() {
                return Poll::Ready(CloseReason::PingTimeout);
            }
        }
        let no_exchange = self.exchanges.is_empty();
        let has_streams = no_exchange && self.has_streams();
        let is_idle = no_exchange && self.meter.has_begun() && !has_streams;
        if self.leftover.poll(cx, has_streams, &self.meter, settings.stall_timeout).is_ready() {
            return Poll::Ready(CloseReason::WriteFailed);
        }
        if is_idle && self.registration.enter_state(ConnState::Idle) {
            let now = Instant::now();
            self.idle.set(settings.idle_timeout.map(|limit| now + limit));
            settings.state.registry.note_idle(&self.registration.entry, now);
            // A new connection that looked for an idle one just before has not seen this one: check for it
            // here.
            self.apply_command();
        }
        if self.ending.is_none() && self.idle.poll(cx).is_ready() {
            self.end(CloseReason::IdleTimeout);
        }
        if self.ending.is_none() && self.awaits_first {
            // Free as long as the connection does not end.
            self.linger.set(self.head.preface_until);
            if self.linger.poll(cx).is_ready() {
                self.end(CloseReason::ShuttingDown);
            }
        }
        self.poll_linger(cx, is_idle)
    }

    /// A connection that is ending closes when its peer closes, or `linger_timeout` after its last stream.
    fn poll_linger(&mut self, cx: &mut Context<'_>, is_idle: bool) -> Poll<CloseReason> {
        let Some(reason) = self.ending else { return Poll::Pending };
        // At a shutdown a head that has begun to come is a request under way. At another end it is not:
        // a peer could go on for ever with beginnings.
        let head_is_coming = reason == CloseReason::ShuttingDown && self.meter.is_in_head();
        if (!is_idle || head_is_coming) && self.meter.fault().is_none() {
            // The peer may open streams until it has read GOAWAY: those are served.
            self.lingers = false;
            return Poll::Pending;
        }
        if is_idle && !self.lingers {
            self.let_linger();
            // Poll again, so that `h2` sends GOAWAY.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if !self.lingers {
            return Poll::Pending;
        }
        ready!(self.linger.poll(cx));
        Poll::Ready(reason)
    }

    fn let_linger(&mut self) {
        self.lingers = true;
        self.linger.set(Some(Instant::now() + self.shared.conn.settings.linger_timeout));
    }

    fn has_streams(&self) -> bool {
        self.h2.as_ref().is_some_and(server::Connection::has_streams)
    }
}

/// Why `h2` ended a connection. What the peer did wrong is reported.
fn why_ended(settings: &Settings, registration: &Registration, meter: &Meter, error: &h2::Error) -> CloseReason {
    if !error.is_library() {
        let stalled = error.get_io().is_some_and(|io| io.kind() == std::io::ErrorKind::TimedOut);
        return if stalled { CloseReason::WriteFailed } else { CloseReason::PeerGone };
    }
    let code = error.reason().unwrap_or(Reason::PROTOCOL_ERROR);
    report(settings, registration, code.into(), in_words(error, Some(meter)));
    if code == Reason::ENHANCE_YOUR_CALM { CloseReason::Flooded } else { CloseReason::ProtocolBroken }
}

fn report(settings: &Settings, registration: &Registration, code: u32, reason: &'static str) {
    let remote_addr = registration.info.remote_addr.clone();
    settings.report(&ServerEvent::Http2Closed { remote_addr, code, reason });
}
