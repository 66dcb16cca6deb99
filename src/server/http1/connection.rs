//! A server's connection, from its first byte to its last.
//!
//! # Theory of operation
//!
//! ```text
//!  accept ─▶ handshake (TLS) ─▶ New ──byte──▶ FirstHead ──head──▶ exchange ─┬─▶ close
//!                               │                 │                  ▲      │ kept
//!                               │ preface of HTTP/2                  │      ▼
//!                               └─────────────────┴─▶ http2::serve   └─Head ◀──byte── Idle
//! ```
//!
//! One task does all of this: it waits for a head, runs the exchange's handler, and waits for the next
//! head. Between two heads it holds no memory but its own struct: the request, the writer and the parser
//! are a [`Scratch`], acquired when bytes are there and released before the task waits without any.
//!
//! Waiting for a head is one poll function, [`Connection::poll_next_head`], which does in this order:
//! parse what is there; send the responses that were collected, for the peer may send nothing before it
//! has them; set the deadline; read; and only when nothing is there to be read, look whether the
//! connection should close instead. A request that has arrived is thus always answered, also during a
//! shutdown. A pipeline is parsed to its end before anything is sent, except when the write buffer is
//! full: then a peer that does not read is not served further.
//!
//! The [`ReadPhase`] says what the read deadline stands for. It is set when reading first has to wait in
//! a phase, and does not move within it, however slowly the bytes drip:
//!
//! | phase            | deadline counts from   | limit          | when it passes           |
//! |------------------|------------------------|----------------|--------------------------|
//! | New, FirstHead   | accept                 | `head_timeout` | `HeadTimeout`, no answer |
//! | Idle             | the first wait         | `idle_timeout` | `IdleTimeout`            |
//! | Head             | the head's first byte  | `head_timeout` | `HeadTimeout`, no answer |
//!
//! After a head was parsed no deadline runs until reading waits again: requests of a pipeline that lie
//! there already cost no look at the clock. While an exchange runs, its body reads under limits of its own
//! (`conn_io`), on the same timer.
//!
//! The registry may give a command at any time (make room, finish, stop) and then wakes the task. `Stop`
//! is looked at in each poll and drops whatever runs; the others only where nothing is under way. The
//! hook for connection states is the user's code: it is never called under the connection's lock.

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
use crate::server::event::{ConnState, ServerEvent};
use crate::server::exchange::{self, ConnShared};
use crate::server::handshake::{Detected, Handshake, detect_protocol, handshake};
use crate::server::http2;
use crate::server::registration::Registration;
use crate::server::registry::Command;
use crate::server::response::decide::{RequestTraits, Unread};
use crate::server::scratch::{self, Scratch};
use crate::server::settings::Settings;

struct Connection {
    shared: ConnShared,
    conn_io: Arc<ConnIo>,
    registration: Registration,
    /// There while bytes of a head are, and until the exchange is over.
    scratch: Option<Box<Scratch>>,
    accepted: Instant,
    phase: ReadPhase,
    /// Since when the phase counts. `None` until reading has to wait in it: no deadline runs before.
    phase_since: Option<Instant>,
    /// How many exchanges have begun, and the number of the present one.
    exchange: u64,
}

/// What the connection reads for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadPhase {
    /// For the first byte of all.
    New,
    /// For the rest of the first head.
    FirstHead,
    /// For the first byte of another head.
    Idle,
    /// For the rest of another head.
    Head,
}

/// What follows on a connection that waits for a head.
enum Next {
    Request {
        head: ParsedRequest,
        /// When its first byte was seen. `None` if no deadline needed to know.
        began: Option<Instant>,
    },
    /// The client speaks HTTP/2.
    Http2,
    /// What came is no request that is served here: an error is sent, and the connection closes.
    Refuse(Refusal),
    /// The connection closes without another response.
    Close(CloseReason),
}

const NOT_SERVED: Refusal = Refusal::with(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "this protocol is not served here");

/// Serves a connection until it closes, or until the registry says that it must stop. Not an `async fn`:
/// its future would have room for the arguments twice.
pub(crate) fn serve(
    settings: Arc<Settings>,
    conn_io: Arc<ConnIo>,
    registration: Registration,
) -> impl Future<Output = ()> + Send {
    let remote_addr = registration.info.remote_addr.clone();
    let mut connection = Connection {
        shared: ConnShared { settings, remote_addr, tls: None },
        conn_io,
        registration,
        scratch: None,
        accepted: Instant::now(),
        phase: ReadPhase::New,
        phase_since: None,
        exchange: 0,
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
        if let Some(tls_accept) = self.shared.settings.secure.clone() {
            // Boxed: what a handshake needs is of no use to the connection afterwards.
            if let Err(closed) = Box::pin(self.secure(&*tls_accept)).await {
                return closed;
            }
        }
        self.serve_exchanges().await
    }

    async fn serve_exchanges(&mut self) -> CloseReason {
        let conn_io = self.conn_io.clone();
        loop {
            let (head, head_began) = match poll_fn(|cx| self.poll_next_head(&conn_io, cx)).await {
                Next::Request { head, began } => (head, began),
                // Boxed: connections of HTTP/1 need no room for it.
                Next::Http2 => return Box::pin(self.switch_to_http2()).await,
                Next::Refuse(refusal) => return self.refuse(refusal).await,
                Next::Close(reason) => return self.leave(reason).await,
            };
            self.exchange += 1;
            let mut scratch = self.scratch.take().expect("the head was parsed into it");
            let Connection { shared, registration, exchange: number, .. } = self;
            let exchange = Http1Exchange { shared, conn_io: &conn_io, registration, number: *number, head_began };
            let close = exchange.run(&mut scratch, head).await;
            self.scratch = Some(scratch);
            if let Some(reason) = close {
                return self.close(reason).await;
            }
        }
    }

    async fn switch_to_http2(&mut self) -> CloseReason {
        let Some(io) = self.conn_io.take_io() else { return CloseReason::Hijacked };
        http2::serve(self.shared.clone(), &self.conn_io.context, io, &mut self.registration, self.accepted).await
    }

    // ---------------------------------------------------------------- before the first head

    /// Puts a secured stream in the place of the connection's. Where there is no session, closes and says
    /// why.
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
                Err(self.refuse(Refusal::bad("client sent an HTTP request to an HTTPS server")).await)
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

    /// The next head. The state hook is called here, where the lock is free again.
    fn poll_next_head(&mut self, conn_io: &ConnIo, cx: &mut TaskContext<'_>) -> Poll<Next> {
        let polled = self.poll_head_locked(&mut conn_io.lock(), cx);
        let has_come = matches!(polled, Poll::Ready(Next::Request { .. } | Next::Refuse(_)));
        if has_come || self.phase.has_begun() {
            self.registration.enter_state(ConnState::Active);
        } else if self.is_idle() && self.registration.enter_state(ConnState::Idle) {
            // A new connection that wanted room just before this did not find this one idle, and does not
            // look again: so this one looks.
            if let (Poll::Pending, Some(reason)) = (&polled, self.closes_idle()) {
                return Poll::Ready(Next::Close(reason));
            }
        }
        polled
    }

    fn poll_head_locked(&mut self, state: &mut ConnIoState, cx: &mut TaskContext<'_>) -> Poll<Next> {
        loop {
            // A peer that sends requests and reads no responses is served no further.
            if state.write_buffer.is_full() && ready!(state.poll_flush(cx)).is_err() {
                return Poll::Ready(Next::Close(CloseReason::WriteFailed));
            }
            if let Some(next) = self.parse_input(state) {
                self.phase = ReadPhase::Idle;
                self.phase_since = None;
                return Poll::Ready(next);
            }
            if ready!(state.poll_flush(cx)).is_err() {
                return Poll::Ready(Next::Close(CloseReason::WriteFailed));
            }
            if let Err(reason) = ready!(self.poll_more_input(state, cx)) {
                return Poll::Ready(Next::Close(reason));
            }
        }
    }

    /// Parses what is there. `None` if more is needed.
    fn parse_input(&mut self, state: &mut ConnIoState) -> Option<Next> {
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
                Detected::Http2 => return Some(Next::Http2),
                Detected::Neither => return Some(Next::Refuse(NOT_SERVED)),
            }
        }
        let head = match scratch.parser.parse(&io.input, &settings.head_limits, &mut scratch.request) {
            Ok(head) => head?,
            Err(refusal) => return Some(Next::Refuse(refusal)),
        };
        io.input.advance(head.consumed.min(io.input.len()));
        // In `Idle` the whole head came at once, and its first byte was not looked at.
        let began = self.phase_since.filter(|_| self.phase != ReadPhase::Idle);
        Some(Next::Request { head, began })
    }

    /// Reads, or waits for bytes under the deadline of the phase.
    fn poll_more_input(&mut self, state: &mut ConnIoState, cx: &mut TaskContext<'_>) -> Poll<Result<(), CloseReason>> {
        // Empty lines ahead of a request stay in the input: they begin no head, but the parser that has
        // counted them is still needed.
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
                // Behind the read: a request that has arrived is answered, not thrown away.
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
        // The first head has one deadline, whenever its first byte came.
        let runs_already = phase == self.phase || phase.is_first();
        self.phase = phase;
        if runs_already && self.phase_since.is_some() {
            return;
        }
        let settings = &self.shared.settings;
        let since = if phase.is_first() { self.accepted } else { cached_now::now() };
        self.phase_since = Some(since);
        io.read_deadline.set(phase.limit(settings).map(|limit| since + limit));
        // Noted only where there is a limit on connections: nothing else asks for it.
        if phase == ReadPhase::Idle && settings.max_connections > 0 {
            settings.state.registry.note_idle(&self.registration.entry, since);
        }
    }

    /// Whether the connection waits for another head, and nothing of it is here.
    fn is_idle(&self) -> bool {
        self.phase == ReadPhase::Idle && self.phase_since.is_some()
    }

    /// Why a connection with nothing under way closes now, if it does.
    fn closes_idle(&self) -> Option<CloseReason> {
        let state = &self.shared.settings.state;
        match self.registration.entry.command().close_reason() {
            None if self.is_idle() && state.registry.wants_room() => Some(CloseReason::Evicted),
            None if self.is_idle() && !state.keep_alives() => Some(CloseReason::KeepAlivesOff),
            reason => reason,
        }
    }

    // ---------------------------------------------------------------- the end

    /// Sends the error to what is no request, and closes.
    async fn refuse(&mut self, refusal: Refusal) -> CloseReason {
        let settings = &self.shared.settings;
        settings.report(&ServerEvent::Refused {
            remote_addr: self.shared.remote_addr.clone(),
            status: refusal.status,
            reason: refusal.reason,
        });
        {
            let mut state = self.conn_io.lock();
            // In place of the limit of the exchange before.
            state.write_limit.set_until(settings.write_timeout.map(|limit| Instant::now() + limit));
            let scratch = self.scratch.get_or_insert_with(|| scratch::acquire_for(&self.conn_io, &mut state));
            drop(state);
            scratch.writer.begin(RequestTraits::default(), Some(CloseReason::Refused), 0);
            exchange::write_error(&mut scratch.writer, refusal.status, Some(refusal.reason));
            scratch.writer.finish();
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
        // A response that was cut short may not look whole: the session gets no orderly end.
        if self.shared.tls.is_some() && reason.cuts_response() {
            return reason;
        }
        if reason.wants_flush() && (reason.wants_linger() || self.has_unread()) {
            // Whether the peer closed in time changes nothing: it had its chance to read. Boxed: it is
            // rare, and every idle connection would hold the room for its timer.
            let linger_timeout = self.shared.settings.linger_timeout;
            let _ = Box::pin(timeout(linger_timeout, request_body::linger(&self.conn_io))).await;
            return reason;
        }
        self.leave(reason).await
    }

    /// Closes without another byte of HTTP. A TLS session is closed by an alert before its connection
    /// is (RFC 9112 §9.8).
    async fn leave(&mut self, reason: CloseReason) -> CloseReason {
        if self.shared.tls.is_some() && reason.wants_flush() {
            let linger_timeout = self.shared.settings.linger_timeout;
            let _ = Box::pin(timeout(linger_timeout, request_body::shut_down(&self.conn_io))).await;
        }
        reason
    }

    /// Whether a close now would throw bytes of the peer away: the system then resets the connection, and
    /// the peer may lose the response.
    fn has_unread(&self) -> bool {
        let mut state = self.conn_io.lock();
        state.unread() != Unread::Nothing || state.io().is_ok_and(|io| !io.input.is_empty())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(scratch) = self.scratch.take() {
            scratch::release_from(scratch, &mut self.conn_io.lock());
        }
        self.conn_io.hang_up();
    }
}

impl ReadPhase {
    /// The phase with or without a byte of a head.
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
