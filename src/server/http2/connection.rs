//! An HTTP/2 connection of the server, from its preface to its last frame.
//!
//! # Theory of operation
//!
//! ```text
//!  preface, SETTINGS ─▶ Active ◀──────▶ Idle ──idle_timeout, shutdown, eviction──▶ ending ─▶ closed
//!  (head_timeout)         │  no stream is open, no handler runs     (GOAWAY)         ▲
//!                         └── fault: the peer broke a rule or a limit ── GOAWAY ─────┘
//! ```
//!
//! One task owns the bytes ([`Io`]), the engine ([`Http2Core`]), the deadlines, and the exchanges that have not
//! left it. Each poll does, in this order:
//!
//! 1. carry out the registry's command and the server's switches;
//! 2. read, and take in what has come: requests begin at once, those with content when all that was read is
//!    taken in, so that most find their content there (`input`);
//! 3. look at the streams that are listed, and at the exchanges that have ended;
//! 4. fetch what may be sent, in the order of the engine's scheduler, and write it, all of a round in one write
//!    (`output`);
//! 5. poll the deadlines: of a head, of the keep-alive ping, of idleness, of the end.
//!
//! 2 to 4 are repeated until a read has to wait, for a number of rounds; then others run first. After
//! [`MAX_BEGUN_IN_A_ROW_COUNT`] requests others run too, and what has not begun waits as bytes. Nothing is read
//! while much waits to be written, and content is fetched only while the line takes it: what a stream may
//! send is decided as late as possible.
//!
//! Ending is graceful: after GOAWAY the streams that the peer has opened are served to their end, and the
//! connection closes when none is left, or `linger_timeout` later where the peer does not answer the PING
//! behind the first GOAWAY. A fault ends all streams at once. `ending` keeps the first reason, except that a
//! fault replaces it.
//!
//! Who wakes whom: this task is woken by the socket, by whoever touches a stream ([`ReadyList`]), by an
//! exchange whose task ends, by a command of the registry, and by its deadlines. It wakes readers, writers
//! and watchers of streams when it has done something for them (`stream_io`).
//!
//! The connection's future ends only when no handler runs any more: a handler whose peer has left runs on,
//! as on HTTP/1, with its request's context cancelled.
//!
//! [`ReadyList`]: crate::net::ReadyList

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::time::Instant;

use super::deadlines::ConnDeadlines;
use super::exchange::{StartedExchange, StreamsShared};
use super::exchanges::Exchanges;
use super::stream_io::{ConnSignals, StreamContext, StreamIo};
use super::stream_state::{StreamLimits, StreamLoss};
use crate::h2::{ConnectionFault, CoreSettings, EngineLimits, ErrorCode, Http2Core, ListLimits, Role};
use crate::message::ConnContext;
use crate::net::{Io, ReadyList, TransferLimit};
use crate::server::cached_now;
use crate::server::close_reason::CloseReason;
use crate::server::conn_task::{SwitchingConn, unless_cut};
use crate::server::event::{ConnState, ServerEvent};
use crate::server::registration::Registration;
use crate::server::settings::Settings;

/// Serves HTTP/2 on a connection, from the preface on. Ends when all its streams have ended.
pub(crate) fn serve(conn: SwitchingConn) -> impl Future<Output = ()> + Send {
    let mut serving = Http2Serving::new(conn, StartedExchange::run);
    async move {
        let entry = serving.registration.entry.clone();
        let ended = unless_cut(entry, pin!(serving.serve())).await;
        serving.registration.set_close_reason(ended.unwrap_or(CloseReason::Cut));
    }
}

/// The connection, as its task has it.
pub(super) struct Http2Serving<F> {
    pub(super) io: Io,
    pub(super) core: Http2Core<Arc<StreamIo>>,
    pub(super) shared: Arc<StreamsShared>,
    pub(super) exchanges: Exchanges<F>,
    /// Exchanges with content, which begin when all that was read is taken in.
    pub(super) waiting: Vec<StartedExchange>,
    /// The `StreamIo`s of exchanges that are over and that nothing else refers to.
    pub(super) spare: Vec<Arc<StreamIo>>,
    /// That of an exchange that is over, while the connection has no spare `StreamIo`.
    pub(super) spare_context: Option<StreamContext>,
    pub(super) stage: ConnStage,
    pub(super) has_served: bool,
    /// It began while the server was draining already, and its first request has not come. Its client has
    /// begun to speak, and would lose the request that it is about to send: that may take as long as a head.
    pub(super) awaits_first: bool,
    pub(super) ending: Option<CloseReason>,
    pub(super) fault: Option<ConnectionFault>,
    /// What reading or writing has failed with; `UnexpectedEof` where the peer has closed.
    disconnected: Option<io::ErrorKind>,
    pub(super) deadlines: ConnDeadlines,
    pub(super) write_limit: TransferLimit,
    pub(super) traffic: Traffic,
    began: Instant,
    /// Last: the registry may know of its end only when no handler runs any more.
    pub(super) registration: Registration,
}

/// How far the connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnStage {
    /// Its preface has not come.
    Preface,
    Open,
}

/// What has moved, and what holds the rest up.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    /// How many times something was read.
    pub(super) reads: u64,
    /// Whether the peer has answered a PING since this was looked at.
    pub(super) ponged: bool,
    /// How much content was fetched to be sent, on all streams.
    pub(super) content_bytes: u64,
    /// The input has frames that were not looked at.
    pub(super) has_unseen: bool,
    /// Nothing was read, since much waited to be written: no byte that comes wakes the task.
    pub(super) is_held_up: bool,
    /// The peer takes nothing at present.
    pub(super) is_blocked: bool,
    /// What was written may lie in a layer below.
    pub(super) is_unflushed: bool,
    /// Requests that began in this poll.
    pub(super) begun: usize,
    /// The last stream before what is being taken in, and how many of those after it were given up there.
    pub(super) last_id: u32,
    pub(super) given_up: u32,
    /// What came after the end.
    pub(super) thrown_away_bytes: usize,
    /// The slots that are looked at.
    pub(super) listed: Vec<u32>,
    /// The present time as a field's value, once it was needed in this poll.
    pub(super) date: Vec<u8>,
}

/// The most exchanges that begin in a row before other tasks run.
pub(super) const MAX_BEGUN_IN_A_ROW_COUNT: usize = 64;
/// So much of what comes after a fault is read, for the peer to read what it was told. A peer that sends on
/// does not read.
const MAX_THROWN_AWAY_BYTES: usize = 256 << 10;
/// As many rounds of reading and writing a poll has, before others run.
const MAX_ROUND_COUNT: usize = 8;

impl<F: Future<Output = Arc<StreamIo>> + Send + 'static> Http2Serving<F> {
    fn new(conn: SwitchingConn, run: fn(StartedExchange) -> F) -> Http2Serving<F> {
        let SwitchingConn { shared: conn, context, mut io, accepted, registration } = conn;
        let signals = Arc::new(ConnSignals { ready: ReadyList::new(), wants_close: AtomicBool::new(false) });
        let ConnContext { local_addr, values, draining, .. } = &*context;
        let (local_addr, values, draining) = (local_addr.clone(), values.clone(), draining.clone());
        let shared = Arc::new(StreamsShared { conn, local_addr, values, draining, signals });
        let settings = &shared.conn.settings;
        Http2Serving {
            deadlines: ConnDeadlines::new(settings, accepted, std::mem::take(&mut io.read_deadline)),
            io,
            core: Http2Core::new(Role::Server, core_settings(settings)),
            exchanges: Exchanges::new(run),
            waiting: Vec::new(),
            spare: Vec::new(),
            spare_context: None,
            stage: ConnStage::Preface,
            has_served: false,
            awaits_first: false,
            ending: None,
            fault: None,
            disconnected: None,
            write_limit: TransferLimit::new(settings.stall_timeout, None),
            // The preface was read before.
            traffic: Traffic { has_unseen: true, ..Traffic::default() },
            began: Instant::now(),
            shared,
            registration,
        }
    }

    /// Until the connection is closed and no handler runs any more: handlers whose peer has left
    /// run on, as on HTTP/1.
    async fn serve(&mut self) -> CloseReason {
        let reason = poll_fn(|cx| self.poll(cx)).await;
        self.lose_streams();
        self.leave(reason).await;
        self.io.close();
        self.exchanges.end().await;
        reason
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        loop {
            self.shared.signals.ready.enter();
            let polled = self.poll_once(cx);
            if polled.is_ready() || self.shared.signals.ready.leave(cx.waker()) {
                return polled;
            }
        }
    }

    fn poll_once(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let age = cached_now::now().saturating_duration_since(self.began);
        self.core.set_now_ms(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        self.traffic.date.clear();
        if let Some(reason) = self.apply_command() {
            return Poll::Ready(reason);
        }
        if let Poll::Ready(reason) = self.poll_rounds(cx) {
            return Poll::Ready(self.ending.filter(|_| reason == CloseReason::PeerGone).unwrap_or(reason));
        }
        if let Some(fault) = self.fault {
            return Poll::Ready(self.report(fault));
        }
        if self.shared.signals.wants_close.load(Ordering::Relaxed) {
            self.end(CloseReason::HandlerAsked);
        }
        if let Poll::Ready(reason) = self.poll_deadlines(cx) {
            return Poll::Ready(reason);
        }
        // What the deadlines, or an end, have added.
        if self.core.has_output() {
            if let Poll::Ready(Err(reason)) = self.poll_output(cx) {
                return Poll::Ready(reason);
            }
        }
        if let Some(reason) = self.ending.filter(|_| self.core.is_going() && self.has_nothing_left()) {
            return Poll::Ready(reason);
        }
        if self.traffic.is_held_up && self.core.wants_input() {
            // It has left meanwhile.
            cx.waker().wake_by_ref();
        }
        self.release_memory();
        Poll::Pending
    }

    /// Carries out the registry's command, and what the server's switches say. Returns why the connection is
    /// closed at once, if it is.
    pub(super) fn apply_command(&mut self) -> Option<CloseReason> {
        let command = self.registration.entry.command().close_reason();
        if self.stage == ConnStage::Preface {
            // A shutdown does not end it: the peer has begun to speak, and what it asks for is served within
            // the grace.
            return command.filter(|reason| *reason != CloseReason::ShuttingDown);
        }
        let state = &self.shared.conn.settings.state;
        let idle = self.registration.is_idle();
        let may_end = |reason: &CloseReason| match reason {
            // To make room is asked of connections that are idle.
            CloseReason::Evicted => idle,
            // One that has served nothing yet may answer its first request (Go's rule).
            CloseReason::KeepAlivesOff => self.has_served,
            CloseReason::ShuttingDown => !self.awaits_first || self.deadlines.first_is_late(),
            _ => true,
        };
        let reason = match command {
            None if idle && state.registry.wants_room() => Some(CloseReason::Evicted),
            None => state.closes_all(),
            reason => reason,
        };
        if let Some(reason) = reason.filter(may_end) {
            self.end(reason);
        }
        None
    }

    /// Moves bytes, and runs what they bring.
    fn poll_rounds(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        self.traffic.begun = 0;
        for _ in 0..MAX_ROUND_COUNT {
            let may_have_more = self.poll_input(cx);
            self.enter_stage();
            self.look_at_listed();
            while let Poll::Ready(stream_io) = self.exchanges.poll_ended(cx) {
                self.end_exchange(stream_io);
            }
            let written = self.poll_output(cx);
            self.exchanges.end_row();
            if let Poll::Ready(Err(reason)) = written {
                return Poll::Ready(reason);
            }
            if self.fault.is_some() {
                return Poll::Pending;
            }
            if self.io.ended && !self.traffic.has_unseen {
                return Poll::Ready(CloseReason::PeerGone);
            }
            if !may_have_more {
                return Poll::Pending;
            }
            if self.traffic.begun >= MAX_BEGUN_IN_A_ROW_COUNT {
                break;
            }
        }
        // Let other connections run before the rest begins.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The preface is over when the peer's SETTINGS have come.
    fn enter_stage(&mut self) {
        if self.stage == ConnStage::Preface && self.core.has_begun() {
            self.stage = ConnStage::Open;
            self.awaits_first = !self.has_served && self.shared.conn.settings.state.is_draining();
            self.registration.enter_state(ConnState::Active);
        }
    }

    /// Takes no more requests, and closes when those under way are answered.
    pub(super) fn end(&mut self, reason: CloseReason) {
        if self.ending.is_none() {
            self.ending = Some(reason);
            self.core.begin_shutdown();
        }
    }

    /// Whether no exchange is under way, and nothing of one is left to be sent.
    pub(super) fn is_idle(&self) -> bool {
        self.stage == ConnStage::Open
            && self.exchanges.is_empty()
            && self.waiting.is_empty()
            && self.core.stream_count() == 0
    }

    fn has_nothing_left(&self) -> bool {
        self.is_idle() && !self.core.has_output() && !self.traffic.has_unseen && !self.traffic.is_unflushed
    }

    // ---------------------------------------------------------------- the end

    fn report(&self, fault: ConnectionFault) -> CloseReason {
        let ConnectionFault { code, words } = fault;
        let remote_addr = self.registration.info.remote_addr.clone();
        let event = ServerEvent::Http2Closed { remote_addr, code: code.0, reason: words };
        self.shared.conn.settings.report(&event);
        if code == ErrorCode::ENHANCE_YOUR_CALM { CloseReason::Flooded } else { CloseReason::ProtocolBroken }
    }

    /// Sends what is left, and the end of this side. After a fault, what still comes is read for a while: a
    /// close with unread bytes would reset the connection, and destroy what the peer was told.
    async fn leave(&mut self, reason: CloseReason) {
        if self.ending != Some(reason) && self.fault.is_none() {
            return;
        }
        if poll_fn(|cx| self.poll_shut_down(cx)).await.is_err() {
            return;
        }
        if self.fault.is_some() {
            let linger_timeout = self.shared.conn.settings.linger_timeout;
            // Boxed, as it is rare. Whether the peer has closed in time makes no difference.
            let _ = Box::pin(tokio::time::timeout(linger_timeout, poll_fn(|cx| self.poll_throw_away(cx)))).await;
        } else {
            poll_fn(|cx| Poll::Ready(self.poll_throw_away(cx).is_ready())).await;
        }
    }

    fn poll_shut_down(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseReason>> {
        ready!(self.poll_write(cx))?;
        match self.io.poll_shutdown(cx) {
            Poll::Ready(shut) => Poll::Ready(shut.map_err(|_| CloseReason::PeerGone)),
            Poll::Pending => {
                ready!(self.write_limit.poll(&mut self.io.write_deadline, cx));
                Poll::Ready(Err(CloseReason::WriteFailed))
            }
        }
    }

    fn poll_throw_away(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.traffic.thrown_away_bytes < MAX_THROWN_AWAY_BYTES {
            self.io.input.clear();
            match ready!(self.io.poll_fill(cx)) {
                Ok(len @ 1..) => self.traffic.thrown_away_bytes += len,
                Ok(0) | Err(_) => break,
            }
        }
        Poll::Ready(())
    }
}

impl<F> Http2Serving<F> {
    /// The peer is gone. The first failure says why.
    pub(super) fn note_disconnected(&mut self, error: io::ErrorKind) {
        self.disconnected.get_or_insert(error);
    }

    /// The connection is over, for all streams that there are.
    fn lose_streams(&mut self) {
        let loss = self.disconnected.map_or(StreamLoss::Connection, StreamLoss::Disconnected);
        self.waiting.clear();
        let slots: Vec<u32> = self.core.slots().collect();
        for slot in slots {
            if let Some(stream_io) = self.core.user(slot) {
                stream_io.with_state(|state| state.lose(loss));
            }
        }
    }
}

/// A server that cuts its connections drops their futures, and with them the exchanges. What a handler has given
/// to another task, a body or a stream that it took over, waits there, and nobody else would wake it.
impl<F> Drop for Http2Serving<F> {
    fn drop(&mut self) {
        self.lose_streams();
    }
}

/// What the engine is told of this server's limits.
fn core_settings(settings: &Settings) -> CoreSettings {
    let http2 = &settings.http2;
    let small_data = http2.data_frame_budget;
    CoreSettings {
        max_concurrent_streams: http2.max_concurrent_streams,
        stream_window_bytes: http2.max_receive_buffer_per_stream,
        connection_window_bytes: http2.max_receive_buffer_per_connection,
        max_frame_bytes: http2.max_read_frame_size,
        header_table_bytes: http2.max_decoder_header_table_size,
        encoder_table_bytes: http2.max_encoder_header_table_size,
        enables_connect_protocol: http2.enable_connect_protocol,
        limits: EngineLimits {
            list: ListLimits {
                // Go's addition: what ten fields cost beyond their text (RFC 9113 §10.5.1).
                max_bytes: settings.head_limits.max_bytes.saturating_add(320),
                // The pseudo-fields are none of them.
                max_fields: settings.head_limits.max_values.saturating_add(5),
            },
            max_control_frames: http2.max_control_frames,
            max_resets: http2.max_resets,
            max_local_resets: http2.max_local_resets,
            max_small_data_bytes: if small_data > 0 { small_data } else { http2.max_receive_buffer_per_connection / 2 },
        },
        // Unread content holds up no other until there is so much of it; after that it takes the window, which
        // holds as much again.
        max_unread_bytes: u64::from(http2.max_receive_buffer_per_connection),
        ..CoreSettings::default()
    }
}

/// How much of a stream may wait on either way.
pub(super) fn stream_limits(settings: &Settings) -> StreamLimits {
    let http2 = &settings.http2;
    StreamLimits {
        outbound_bytes: http2.max_send_buffer_per_stream as usize,
        // So little that it is not much even where each stream has as much.
        told_bytes: (http2.max_receive_buffer_per_connection / http2.max_concurrent_streams / 2)
            .min(http2.max_receive_buffer_per_stream / 8),
    }
}
