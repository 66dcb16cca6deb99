//! The task of a connection: it owns the stream, the engine and the deadlines, and does all reading and
//! writing.

mod ending;
mod events;
mod keep_alive;
mod transfer;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use self::keep_alive::{Activity, KeepAlive, PeerState};
use super::super::connect::KeyNotifier;
use super::super::observe::ConnectionInfo;
use super::super::settings::TransportSettings;
use super::connection::{ConnectionCore, Http2Conn};
use super::error::{ConnectionEnd, ExchangeEnd};
use super::exchange_io::{ExchangeIo, Touch};
use super::state::Http2State;
use crate::error::Result;
use crate::h2::fault::ErrorCode;
use crate::h2::{
    CannotBegin, CoreSettings, EngineLimits, Http2Core, Http2StreamState, ListLimits, MessageEnd, ReceivedHead, Role,
};
use crate::message::Header;
use crate::net::{Deadline, Io, Stream};

/// The most frames in ten seconds that carry no data: a peer that sends more wastes this side's time
/// (CVE-2019-9512 and its like). No server has reason for a fraction of that.
const MAX_FRAME_COUNT: u32 = 10_000;

/// How many streams are opened before the SETTINGS of a peer have come, on this connection or another
/// of its key (Go's number; RFC 9113 §6.5.2 recommends no less).
const INITIAL_STREAM_COUNT: usize = 100;

/// Content of a response that is whole is given back to the windows before it is read, up to this size: its
/// stream is done with then.
const MAX_READ_LATER_BYTES: u32 = 64 << 10;

/// Rounds of reading and writing before others have their turn.
const MAX_ROUND_COUNT: usize = 16;

/// How often the preface waits for the first request, to leave with it: the request's task has to run before.
const PREFACE_DELAY_COUNT: u8 = 2;

/// What a PING carries: one is under way at a time.
const PING_PAYLOAD: [u8; 8] = *b"nethttp\0";

/// The headers that are kept for their memory.
const MAX_SPARE_HEADER_COUNT: usize = 32;

/// Begins to speak HTTP/2 on a stream, and starts the connection's task. Nothing is waited for: the preface
/// leaves with the first request.
#[allow(clippy::unnecessary_wraps, reason = "a build without HTTP/2 has none")]
pub(in super::super) fn connect(
    stream: Box<dyn Stream>,
    info: Arc<ConnectionInfo>,
    expires: Option<Instant>,
    settings: &TransportSettings,
    notifier: KeyNotifier,
) -> Result<Http2Conn> {
    let max_streams = notifier.capacity().unwrap_or(INITIAL_STREAM_COUNT);
    let state = Arc::new(Http2State::new(max_streams, &settings.http2));
    let core = Arc::new(ConnectionCore { state, info, expires });
    Driver::start(Io::boxed(stream), &core, settings, notifier);
    Ok(Http2Conn::new(core))
}

struct Driver {
    io: Io,
    core: Http2Core<Arc<ExchangeIo>>,
    /// Where heads are decoded.
    head: ReceivedHead,
    /// Requests that have no stream yet: the peer takes no more at a time, or much waits to be written.
    waiting: VecDeque<Arc<ExchangeIo>>,
    /// Requests that depend on what the peer's settings say, which have not come.
    awaiting_settings: Vec<Arc<ExchangeIo>>,
    /// Exchanges that have something for the task: the list's memory.
    listed: Vec<Arc<ExchangeIo>>,
    /// Whom to wake once a batch of events is dealt with, so that none is woken twice for it.
    wakers: Vec<Waker>,
    spare_headers: Vec<Header>,
    /// Weak, because the connection has to close when there are no more handles on it.
    handles: Weak<ConnectionCore>,
    state: Arc<Http2State>,
    notifier: KeyNotifier,
    keep_alive: KeepAlive,
    stage: DriverStage,
    close_deadline: Deadline,
    max_head_bytes: usize,
    /// What the peer's GOAWAY said.
    goaway: Option<ErrorCode>,
    needs_flush: bool,
    /// Writing has failed, and what there is to be read is read.
    write_end: Option<ConnectionEnd>,
    preface_delays: u8,
    began: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DriverStage {
    Open,
    /// All exchanges have been told; what is left to be said is written.
    Closing,
    Closed,
}

impl Driver {
    fn start(io: Io, handles: &Arc<ConnectionCore>, settings: &TransportSettings, notifier: KeyNotifier) {
        let mut driver = Driver {
            io,
            core: Http2Core::new(Role::Client, core_settings(settings)),
            head: ReceivedHead::default(),
            waiting: VecDeque::new(),
            awaiting_settings: Vec::new(),
            listed: Vec::new(),
            wakers: Vec::new(),
            spare_headers: Vec::new(),
            handles: Arc::downgrade(handles),
            state: handles.state.clone(),
            notifier,
            keep_alive: KeepAlive::new(&settings.http2),
            stage: DriverStage::Open,
            close_deadline: Deadline::default(),
            max_head_bytes: settings.head_limits.max_bytes,
            goaway: None,
            needs_flush: false,
            write_end: None,
            preface_delays: PREFACE_DELAY_COUNT,
            began: Instant::now(),
        };
        // Ends with the connection: when the peer closes it, breaks its rules or is found dead, and
        // when there is no handle on it, at most CLOSE_TIMEOUT later.
        tokio::spawn(async move { poll_fn(|cx| driver.poll(cx)).await });
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.delays_preface() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.state.ready.enter();
        for _ in 0..MAX_ROUND_COUNT {
            if self.stage != DriverStage::Open {
                return self.poll_close(cx);
            }
            if self.round(cx) {
                continue;
            }
            let has_pinged = self.check_peer(cx);
            if self.stage == DriverStage::Open && !has_pinged && self.state.ready.leave(cx.waker()) {
                return Poll::Pending;
            }
            self.state.ready.enter();
        }
        // The others' turn.
        let _ = self.state.ready.leave(cx.waker());
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether the first request may still come, to be sent in one piece with the preface.
    fn delays_preface(&mut self) -> bool {
        let delays = self.preface_delays > 0 && self.state.ready.is_empty();
        self.preface_delays = if delays { self.preface_delays - 1 } else { 0 };
        delays
    }

    /// One round of everything. Returns whether anything was done that may allow more.
    fn round(&mut self, cx: &mut Context<'_>) -> bool {
        self.serve_listed();
        let read = self.poll_read(cx);
        self.wake_all();
        if self.stage != DriverStage::Open {
            return true;
        }
        let written = self.write(cx);
        if self.handles.strong_count() == 0 {
            // Those that were dropped last are listed.
            self.serve_listed();
            self.close(ConnectionEnd::Closed);
            return true;
        }
        if self.goaway.is_some() && self.core.stream_count() == 0 && self.waiting.is_empty() {
            self.close(match self.goaway {
                Some(code) if code != ErrorCode::NO_ERROR => ConnectionEnd::GoAway(code),
                _ => ConnectionEnd::Closed,
            });
            return true;
        }
        read || written
    }

    // ------------------------------------------------------------ from the exchanges

    fn serve_listed(&mut self) {
        let mut listed = std::mem::take(&mut self.listed);
        self.state.ready.take(&mut listed);
        for io in listed.drain(..) {
            match io.take_touch() {
                Touch::New { is_extended_connect: true } => self.admit_extended_connect(io),
                Touch::New { is_extended_connect: false } => self.waiting.push_back(io),
                Touch::Begun { slot, read, wants_to_send, given_up } => {
                    self.core.release(slot, read);
                    match given_up {
                        Some(code) => self.end_stream(slot, code),
                        None if wants_to_send => self.core.want_to_send(slot),
                        None => {}
                    }
                    self.end_if_over(slot);
                }
                Touch::Nothing => {}
            }
        }
        self.listed = listed;
        self.begin_waiting();
    }

    /// RFC 8441 §3: an extended CONNECT may be sent where the peer has said that it takes it.
    fn admit_extended_connect(&mut self, io: Arc<ExchangeIo>) {
        if !self.core.has_begun() {
            self.awaiting_settings.push(io);
        } else if self.core.peer_settings().enables_connect_protocol {
            self.waiting.push_back(io);
        } else {
            self.wakers.extend(io.set_closed(ExchangeEnd::NoConnectProtocol).into_iter().flatten());
            io.set_over();
        }
    }

    /// Begins requests, as many as the peer takes and as what waits to be written allows.
    fn begin_waiting(&mut self) {
        while !self.waiting.is_empty() && self.core.wants_content() {
            match self.core.check_begin() {
                Ok(()) => {}
                Err(CannotBegin::Full) => return,
                Err(CannotBegin::Going | CannotBegin::UsedUp) => return self.refuse_waiting(),
            }
            if let Some(io) = self.waiting.pop_front() {
                self.begin(&io);
            }
        }
    }

    fn begin(&mut self, io: &Arc<ExchangeIo>) {
        let Some((head, content_follows)) = io.take_head() else { return };
        let end = if content_follows { MessageEnd::MoreFollows } else { MessageEnd::Here };
        match self.core.begin_request(&head.as_sent(), end, io.clone()) {
            Ok(slot) => {
                let (wants_to_send, writer) = io.set_begun(slot);
                self.wakers.extend(writer);
                if wants_to_send {
                    self.core.want_to_send(slot);
                }
            }
            Err(_) => self.refuse(io),
        }
        self.keep_memory(head.into_memory());
    }

    /// The connection takes no more requests; another one does.
    fn refuse_waiting(&mut self) {
        if self.state.set_spent() {
            self.notifier.notify();
        }
        while let Some(io) = self.waiting.pop_front() {
            self.refuse(&io);
        }
    }

    fn refuse(&mut self, io: &Arc<ExchangeIo>) {
        let code = self.goaway.unwrap_or(ErrorCode::NO_ERROR);
        self.wakers.extend(io.set_closed(ExchangeEnd::NotTaken(code)).into_iter().flatten());
        io.set_over();
    }

    fn end_stream(&mut self, slot: u32, code: ErrorCode) {
        if let Some(io) = self.core.close(slot, code) {
            io.set_over();
        }
    }

    /// The slot of a stream that is closed goes once its content is read, or is little.
    fn end_if_over(&mut self, slot: u32) {
        let is_closed = matches!(self.core.stream_state(slot), Some(Http2StreamState::Closed(_)));
        if is_closed && self.core.unreleased(slot) <= MAX_READ_LATER_BYTES {
            self.end_stream(slot, ErrorCode::NO_ERROR);
        }
    }

    fn wake_all(&mut self) {
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
    }

    // ------------------------------------------------------------ the peer, and the end

    /// Returns whether there is a PING to be written now.
    fn check_peer(&mut self, cx: &mut Context<'_>) -> bool {
        self.check_broken(cx);
        if self.stage != DriverStage::Open {
            return false;
        }
        let activity = Activity {
            reads: self.state.reads(),
            has_streams: self.state.has_streams(),
            suspicion: self.state.take_suspicion(),
        };
        let peer = self.keep_alive.poll(activity, cx);
        if peer == PeerState::Dead {
            self.end(ConnectionEnd::Silent(self.keep_alive.ping_timeout()));
            self.stage = DriverStage::Closed;
        } else if self.state.set_doubtful(peer == PeerState::Doubtful) {
            self.notifier.notify();
        }
        let pings = self.keep_alive.take_ping();
        if pings {
            self.core.ping(PING_PAYLOAD);
        }
        pings
    }

    fn keep_memory(&mut self, header: Header) {
        if self.spare_headers.len() < MAX_SPARE_HEADER_COUNT {
            self.spare_headers.push(header);
        }
    }
}

/// What the engine is told of this transport's limits.
fn core_settings(of: &TransportSettings) -> CoreSettings {
    let (http2, limits) = (&of.http2, &of.head_limits);
    CoreSettings {
        stream_window_bytes: http2.max_receive_buffer_per_stream,
        connection_window_bytes: http2.max_receive_buffer_per_connection,
        max_frame_bytes: http2.max_read_frame_size,
        header_table_bytes: http2.max_decoder_header_table_size,
        encoder_table_bytes: http2.max_encoder_header_table_size,
        limits: EngineLimits {
            // One field more than the caller's limit: `:status`.
            list: ListLimits { max_bytes: limits.max_bytes, max_fields: limits.max_values.saturating_add(1) },
            max_control_frames: MAX_FRAME_COUNT,
            max_resets: MAX_FRAME_COUNT,
            max_local_resets: MAX_FRAME_COUNT,
            // What a server may send ahead is bounded by the windows, in however small pieces it comes.
            max_small_data_bytes: u32::MAX,
        },
        ..CoreSettings::default()
    }
}
