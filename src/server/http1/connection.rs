//! A server's connection, from its first byte to its last.
//!
//! # Theory of operation
//!
//! ```text
//!  accept ─▶ handshake (TLS) ─▶ New ──byte──▶ FirstHead ──head──▶ exchange ─┬─▶ close
//!                               │                 │                  ▲      │ kept
//!                               │ preface of HTTP/2                  │      ▼
//!                               └─────────────────┴─▶ SwitchingConn  └─Head ◀──byte── Idle
//! ```
//!
//! One task does all of this: it waits for a head, runs the exchange's handler, and waits for the next
//! head. While it is idle it holds no memory but its own struct: the request, the writer and the parser
//! are a [`Scratch`], acquired when the first bytes are there and released before the task waits with an
//! empty input.
//!
//! Waiting for a head is one poll function, [`Connection::poll_next_head`], which does in this order:
//! parse what is there; send the responses that were collected, for the peer may send nothing before it
//! has them; set the deadline; read; and only when there is nothing to read, check whether the
//! connection should close. So a request that has arrived is always answered, also during a shutdown.
//! All requests of a pipeline that are in the input are answered before anything is sent, except when
//! the write buffer is full: a peer that does not read is not served further.
//!
//! The [`ReadPhase`] says what the read deadline limits. The deadline is set when reading first has to
//! wait in a phase, and does not move within the phase, however slowly the bytes arrive:
//!
//! | phase            | deadline counts from   | limit          | when it passes           |
//! |------------------|------------------------|----------------|--------------------------|
//! | New, FirstHead   | accept                 | `head_timeout` | `HeadTimeout`, closed    |
//! | Idle             | the first wait         | `idle_timeout` | `IdleTimeout`            |
//! | Head             | the head's first byte  | `head_timeout` | `HeadTimeout`, closed    |
//!
//! After a head was parsed no deadline runs until reading waits again, so that a request that is in the
//! input already costs no reading of the clock. While an exchange runs, its body is read under limits of
//! its own (`conn_io`), with the same timer.
//!
//! The registry may give a command at any time (make room, finish, stop) and then wakes the task. `Stop`
//! is checked in each poll and drops whatever runs; the others are checked only where no request is
//! under way. The `conn_state` hook is the user's code: it is never called under the connection's lock.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};
use std::time::Duration;

use bytes::Buf;
use http::StatusCode;
use tokio::time::{Instant, timeout};

use super::conn_io::{ConnIo, ConnIoState};
use super::exchange::Http1Exchange;
use super::request_body;
use crate::error::{Error, Phase, Refusal};
use crate::h1::ParsedRequest;
use crate::net::{Io, TlsAccept};
use crate::server::cached_now;
use crate::server::close_reason::CloseReason;
use crate::server::conn_task::{SwitchingConn, unless_cut};
use crate::server::error_response::write_refusal;
use crate::server::event::{ConnState, ServerEvent};
use crate::server::exchange::ConnShared;
use crate::server::handshake::{Detected, Handshake, detect_protocol, handshake};
use crate::server::registration::Registration;
use crate::server::response::decide::{RequestTraits, Unread};
use crate::server::scratch::{self, Scratch};
use crate::server::settings::Settings;

struct Connection<'a> {
    shared: &'a mut ConnShared,
    conn_io: Arc<ConnIo>,
    registration: &'a mut Registration,
    /// `Some` from the first byte of a head until the connection waits with an empty input.
    scratch: Option<Box<Scratch>>,
    accepted: Instant,
    phase: ReadPhase,
    /// Since when the phase counts. `None` until reading has to wait in it: no deadline runs before.
    phase_since: Option<Instant>,
    /// How many exchanges have begun, and the number of the present one.
    exchange: u64,
}

/// What the connection is reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadPhase {
    /// The first byte of the connection.
    New,
    /// The rest of the first head.
    FirstHead,
    /// The first byte of a later head.
    Idle,
    /// The rest of a later head.
    Head,
}

/// What waiting for a head ended with.
enum AfterInput {
    Request {
        head: ParsedRequest,
        /// When its first byte was read. `None` if the head came in one read, so that the time was not noted.
        began: Option<Instant>,
    },
    /// The client speaks HTTP/2.
    Http2,
    /// The bytes are not a request that this server accepts: an error is sent, and the connection closes.
    Refuse(Refusal),
    /// The connection closes without another response.
    Close(CloseReason),
}

const NOT_SERVED: Refusal = Refusal::with(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "this protocol is not served here");

/// Serves a connection until it closes, or until the registry's command is `Stop`. `Some` where its client
/// speaks HTTP/2. Not an `async fn`: the future of one would have room for the arguments twice.
pub(crate) fn serve(
    settings: Arc<Settings>,
    conn_io: Arc<ConnIo>,
    mut registration: Registration,
) -> impl Future<Output = Option<SwitchingConn>> + Send {
    let remote_addr = registration.info.remote_addr.clone();
    let mut shared = ConnShared { settings, remote_addr, tls: None };
    let accepted = Instant::now();
    async move {
        let switched = {
            let entry = registration.entry.clone();
            let mut connection = Connection {
                shared: &mut shared,
                conn_io,
                registration: &mut registration,
                scratch: None,
                accepted,
                phase: ReadPhase::New,
                phase_since: None,
                exchange: 0,
            };
            let ended = unless_cut(entry, pin!(connection.serve())).await;
            match ended.unwrap_or(Err(CloseReason::Cut)) {
                Ok(io) => Some((io, connection.conn_io.context.clone())),
                Err(reason) => {
                    connection.registration.set_close_reason(reason);
                    None
                }
            }
        };
        switched.map(|(io, context)| SwitchingConn { shared, context, io, accepted, registration })
    }
}

impl Connection<'_> {
    /// Until the client speaks HTTP/2 on the stream that is returned, or why the connection closes.
    async fn serve(&mut self) -> Result<Io, CloseReason> {
        if let Some(tls_accept) = self.shared.settings.secure.clone() {
            // Boxed: without the box, the connection's future would keep the room of the handshake for its
            // whole life.
            Box::pin(self.secure(&*tls_accept)).await?;
        }
        self.serve_exchanges().await
    }

    async fn serve_exchanges(&mut self) -> Result<Io, CloseReason> {
        let conn_io = self.conn_io.clone();
        loop {
            let (head, head_began) = match poll_fn(|cx| self.poll_next_head(&conn_io, cx)).await {
                AfterInput::Request { head, began } => (head, began),
                AfterInput::Http2 => return conn_io.take_io().ok_or(CloseReason::Hijacked),
                AfterInput::Refuse(refusal) => return Err(self.refuse(refusal).await),
                AfterInput::Close(reason) => return Err(self.leave(reason).await),
            };
            self.exchange += 1;
            let mut scratch = self.scratch.take().expect("the head was parsed into it");
            let Connection { shared, registration, exchange: number, .. } = self;
            let exchange = Http1Exchange::new(shared, &conn_io, registration, *number, head_began);
            let close = exchange.run(&mut scratch, head).await;
            self.scratch = Some(scratch);
            if let Some(reason) = close {
                return Err(self.close(reason).await);
            }
        }
    }

    // ---------------------------------------------------------------- before the first head

    /// Does the TLS handshake, and puts the secured stream in the place of the plain one. If the
    /// handshake fails, closes the connection and returns why.
    async fn secure(&mut self, tls_accept: &dyn TlsAccept) -> Result<(), CloseReason> {
        let Some(io) = self.conn_io.lock().take_io() else { return Err(CloseReason::Hijacked) };
        let deadline = self.shared.settings.head_timeout.map(|limit| self.accepted + limit);
        match handshake(tls_accept, io, &self.registration.entry, deadline).await {
            Handshake::Done(io, info) => {
                self.shared.tls = Some(info);
                self.conn_io.lock().put_io(io);
                Ok(())
            }
            Handshake::PlainHttp(io) => {
                self.conn_io.lock().put_io(io);
                let is_served = self.shared.settings.serves_plain_http;
                if is_served { Ok(()) } else { Err(self.refuse(Refusal::plain_http()).await) }
            }
            Handshake::Failed(io, error) => {
                self.report_handshake(error);
                self.conn_io.lock().put_io(io);
                Err(self.close(CloseReason::HandshakeFailed).await)
            }
            Handshake::Ended(reason) => {
                if reason == CloseReason::HeadTimeout {
                    self.report_handshake(Error::timed_out(Phase::Tls));
                }
                Err(self.close(reason).await)
            }
        }
    }

    fn report_handshake(&self, error: Error) {
        let remote_addr = self.shared.remote_addr.clone();
        self.shared.settings.report(&ServerEvent::HandshakeFailed { remote_addr, error });
    }

    // ---------------------------------------------------------------- waiting for a head

    /// Polls for the next head. The `conn_state` hook is called from here, because the lock is released here.
    fn poll_next_head(&mut self, conn_io: &ConnIo, cx: &mut TaskContext<'_>) -> Poll<AfterInput> {
        let polled = self.poll_head_locked(&mut conn_io.lock(), cx);
        let has_come = matches!(polled, Poll::Ready(AfterInput::Request { .. } | AfterInput::Refuse(_)));
        if has_come || self.phase.has_begun() {
            self.registration.enter_state(ConnState::Active);
        } else if self.is_idle() && self.registration.enter_state(ConnState::Idle) {
            // A new connection that looked for an idle one just before this has not seen this one, and
            // only looks again after a while. So this connection checks whether it has to make room.
            if let (Poll::Pending, Some(reason)) = (&polled, self.closes_idle()) {
                return Poll::Ready(AfterInput::Close(reason));
            }
        }
        polled
    }

    fn poll_head_locked(&mut self, state: &mut ConnIoState, cx: &mut TaskContext<'_>) -> Poll<AfterInput> {
        loop {
            // A full write buffer stops a peer that sends requests and does not read responses.
            if state.write_buffer.is_full() && ready!(state.poll_flush(cx)).is_err() {
                return Poll::Ready(AfterInput::Close(CloseReason::WriteFailed));
            }
            if let Some(next) = self.parse_input(state) {
                self.phase = ReadPhase::Idle;
                self.phase_since = None;
                return Poll::Ready(next);
            }
            if ready!(state.poll_flush(cx)).is_err() {
                return Poll::Ready(AfterInput::Close(CloseReason::WriteFailed));
            }
            if let Err(reason) = ready!(self.poll_more_input(state, cx)) {
                return Poll::Ready(AfterInput::Close(reason));
            }
        }
    }

    /// Parses the input. `None` if more is needed.
    fn parse_input(&mut self, state: &mut ConnIoState) -> Option<AfterInput> {
        if !state.has_input() {
            return None;
        }
        if self.scratch.is_none() {
            self.scratch = Some(scratch::acquire_for(&self.conn_io, state));
        }
        let (Some(scratch), Ok(io)) = (&mut self.scratch, state.io()) else { return None };
        let settings = &self.shared.settings;
        if self.phase.is_first() {
            match detect_protocol(settings.protocols, self.shared.tls.as_deref(), &io.input) {
                Detected::Http1 => {}
                Detected::Undecided => return None,
                Detected::Http2 => return Some(AfterInput::Http2),
                Detected::Neither => return Some(AfterInput::Refuse(NOT_SERVED)),
            }
        }
        let head = match scratch.parser.parse(&io.input, &settings.head_limits, &mut scratch.request) {
            Ok(head) => head?,
            Err(refusal) => return Some(AfterInput::Refuse(refusal)),
        };
        io.input.advance(head.consumed.min(io.input.len()));
        // In `Idle` the whole head came in one read, so no wait has noted the time of its first byte.
        let began = self.phase_since.filter(|_| self.phase != ReadPhase::Idle);
        Some(AfterInput::Request { head, began })
    }

    /// Reads, or waits for bytes under the deadline of the phase.
    fn poll_more_input(&mut self, state: &mut ConnIoState, cx: &mut TaskContext<'_>) -> Poll<Result<(), CloseReason>> {
        // Empty lines before a request stay in the input. They are not part of a head, but the parser
        // counts them, so the scratch is kept.
        if !state.has_input() {
            if let Some(scratch) = self.scratch.take() {
                scratch::release_from(scratch, state);
            }
        }
        let Ok(io) = state.io() else { return Poll::Ready(Err(CloseReason::Hijacked)) };
        let has_begun = self.scratch.as_ref().is_some_and(|scratch| scratch.parser.has_begun(&io.input));
        self.wait_in(self.phase.now(has_begun), io);
        match io.poll_fill(cx) {
            Poll::Ready(Ok(1..)) => Poll::Ready(Ok(())),
            Poll::Ready(Ok(0) | Err(_)) => Poll::Ready(Err(CloseReason::PeerGone)),
            Poll::Pending => {
                // Only after the read found nothing: a request that has arrived is answered, not dropped.
                if let Some(reason) = self.closes_idle().filter(|_| !has_begun) {
                    return Poll::Ready(Err(reason));
                }
                ready!(io.read_deadline.poll(cx));
                Poll::Ready(Err(match self.phase {
                    ReadPhase::Idle => CloseReason::IdleTimeout,
                    ReadPhase::New | ReadPhase::FirstHead | ReadPhase::Head => CloseReason::HeadTimeout,
                }))
            }
        }
    }

    /// Enters a phase, and sets its deadline if that does not run already.
    fn wait_in(&mut self, phase: ReadPhase, io: &mut Io) {
        // `New` and `FirstHead` share one deadline, which counts from accept.
        let runs_already = phase == self.phase || phase.is_first();
        self.phase = phase;
        if runs_already && self.phase_since.is_some() {
            return;
        }
        let settings = &self.shared.settings;
        let since = if phase.is_first() { self.accepted } else { cached_now::now() };
        self.phase_since = Some(since);
        io.read_deadline.set(phase.limit(settings).map(|limit| since + limit));
        // Only `max_connections` needs to know which connection is idle longest.
        if phase == ReadPhase::Idle && settings.max_connections > 0 {
            settings.state.registry.note_idle(&self.registration.entry, since);
        }
    }

    /// Whether the connection waits for a later head of which no byte has come.
    fn is_idle(&self) -> bool {
        self.phase == ReadPhase::Idle && self.phase_since.is_some()
    }

    /// Why a connection with nothing under way closes now, if it does.
    fn closes_idle(&self) -> Option<CloseReason> {
        let state = &self.shared.settings.state;
        match self.registration.entry.command().close_reason() {
            // The peer has done its TLS handshake: a shutdown waits for the request that it did it for.
            Some(CloseReason::ShuttingDown) if self.phase == ReadPhase::New && self.shared.tls.is_some() => None,
            None if self.is_idle() && state.registry.wants_room() => Some(CloseReason::Evicted),
            None if self.is_idle() && !state.keep_alives() => Some(CloseReason::KeepAlivesOff),
            reason => reason,
        }
    }

    // ---------------------------------------------------------------- the end

    /// Sends an error response to bytes that are not an acceptable request, and closes.
    async fn refuse(&mut self, refusal: Refusal) -> CloseReason {
        let settings = &self.shared.settings;
        let Refusal { status, reason } = refusal;
        settings.report(&ServerEvent::Refused { remote_addr: self.shared.remote_addr.clone(), status, reason });
        {
            let mut state = self.conn_io.lock();
            // Replaces the limit that the exchange before has left.
            state.write_limit.set_until(settings.write_timeout.map(|limit| Instant::now() + limit));
            let scratch = self.scratch.get_or_insert_with(|| scratch::acquire_for(&self.conn_io, &mut state));
            drop(state);
            scratch.writer.begin(RequestTraits::default(), Some(CloseReason::Refused), 0);
            write_refusal(settings, &mut scratch.writer, refusal, &self.shared.remote_addr);
            scratch.writer.finish();
            scratch.clear_exchange();
        }
        self.close(CloseReason::Refused).await
    }

    /// Sends what was collected, and gives the peer the time to read it before the connection is gone.
    async fn close(&mut self, reason: CloseReason) -> CloseReason {
        if reason == CloseReason::Hijacked {
            self.registration.set_hijacked();
            return reason;
        }
        if reason.wants_flush() && self.conn_io.flush().await.is_err() {
            return CloseReason::WriteFailed;
        }
        // A response that was cut short may not look whole: neither session nor stream ends in order.
        let ends_by_close = std::mem::take(&mut self.conn_io.lock().ends_by_close);
        if reason.cuts_response() && (ends_by_close || self.shared.tls.is_some()) {
            self.conn_io.lock().ends_by_close = ends_by_close;
            return reason;
        }
        if reason.wants_flush() && (reason.wants_linger() || self.has_unread()) {
            // Whether the peer has closed in time makes no difference. Boxed: lingering is rare, and
            // without the box every idle connection would have the room for its timer.
            let linger_timeout = self.shared.settings.linger_timeout;
            let _ = Box::pin(timeout(linger_timeout, request_body::linger(&self.conn_io))).await;
            return reason;
        }
        self.leave(reason).await
    }

    /// Closes without sending more HTTP. A TLS session ends with a close_notify alert first (RFC 9112
    /// §9.8).
    async fn leave(&mut self, reason: CloseReason) -> CloseReason {
        if self.shared.tls.is_some() && reason.wants_flush() {
            let linger_timeout = self.shared.settings.linger_timeout;
            let _ = Box::pin(timeout(linger_timeout, request_body::shut_down(&self.conn_io))).await;
        }
        reason
    }

    /// Whether the peer has sent bytes that were not read: on a close the system then resets the
    /// connection, and the peer may lose the response.
    fn has_unread(&self) -> bool {
        let mut state = self.conn_io.lock();
        state.unread() != Unread::Nothing || state.io().is_ok_and(|io| !io.input.is_empty())
    }
}

impl Drop for Connection<'_> {
    fn drop(&mut self) {
        if let Some(scratch) = self.scratch.take() {
            scratch::release_from(scratch, &mut self.conn_io.lock());
        }
        self.conn_io.end_connection();
    }
}

impl ReadPhase {
    /// The phase that this one becomes, by whether a byte of a head is there.
    fn now(self, has_begun: bool) -> ReadPhase {
        match (self.is_first(), has_begun) {
            (true, false) => ReadPhase::New,
            (true, true) => ReadPhase::FirstHead,
            (false, false) => ReadPhase::Idle,
            (false, true) => ReadPhase::Head,
        }
    }

    fn is_first(self) -> bool {
        matches!(self, ReadPhase::New | ReadPhase::FirstHead)
    }

    fn has_begun(self) -> bool {
        matches!(self, ReadPhase::FirstHead | ReadPhase::Head)
    }

    fn limit(self, settings: &Settings) -> Option<Duration> {
        if self == ReadPhase::Idle { settings.idle_timeout } else { settings.head_timeout }
    }
}
