//! The task of a connection: it reads and writes all frames, sends a PING to a silent peer, and tells
//! the pool what has changed.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::{Ping, PingPong, client};
use tokio::time::Instant;

use super::super::connect::KeyNotifier;
use super::super::observe::ConnectionInfo;
use super::connection::{ConnectionCore, Http2Conn};
use super::error::{ConnectionEnd, PING_TIMEOUT, connection_error};
use super::state::{Http2State, Suspicion};
use crate::error::{Phase, Result};
use crate::h1::HeadLimits;
use crate::h2::{Meter, MeterLimits, Wire, client_builder};
use crate::net::{Deadline, Io, Stream};

/// How long the peer may be silent while streams are open, until it is sent a PING.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a PING may go unanswered before the connection gets no new streams.
const DOUBT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a peer may take to read the GOAWAY and what was sent before it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// The most frames in ten seconds that carry no data: a peer that sends more wastes this side's time
/// (CVE-2019-9512 and its like). No server has reason for a fraction of that.
const FRAME_LIMITS: MeterLimits = MeterLimits { control: 10_000, resets: 10_000 };

/// How many streams are opened before the SETTINGS of a peer have come, on this connection or another
/// of its key (Go's number; RFC 9113 §6.5.2 recommends no less).
const INITIAL_STREAM_COUNT: usize = 100;

/// Begins to speak HTTP/2 on a stream, and starts the connection's task. Waits for nothing but the
/// stream to take a few bytes.
pub(in super::super) async fn connect(
    stream: Box<dyn Stream>,
    info: Arc<ConnectionInfo>,
    expires: Option<Instant>,
    limits: &HeadLimits,
    notifier: KeyNotifier,
) -> Result<Http2Conn> {
    let (wire, meter) = Driver::wire(stream);
    let max_streams = notifier.capacity().unwrap_or(INITIAL_STREAM_COUNT);
    let shaken = client_builder(limits).initial_max_send_streams(max_streams).handshake(wire).await;
    let (requests, connection) = shaken.map_err(|error| connection_error(error, None, Phase::Connect))?;
    let state = Arc::new(Http2State::new(max_streams, meter));
    let core = Arc::new(ConnectionCore { requests: Mutex::new(requests), state, info, expires });
    Driver::start(connection, &core, notifier);
    Ok(Http2Conn::new(core))
}

struct Driver {
    connection: client::Connection<Wire, Bytes>,
    /// Weak, because the connection has to close when there are no more handles on it.
    core: Weak<ConnectionCore>,
    state: Arc<Http2State>,
    notifier: KeyNotifier,
    keep_alive: KeepAlive,
    close_deadline: Deadline,
}

impl Driver {
    /// The stream with a meter that counts its frames.
    fn wire(stream: Box<dyn Stream>) -> (Wire, Arc<Meter>) {
        let meter = Arc::new(Meter::new(FRAME_LIMITS));
        (Wire::new(Io::boxed(stream), 0, meter.clone(), None, Duration::ZERO), meter)
    }

    /// Starts the task.
    fn start(mut connection: client::Connection<Wire, Bytes>, core: &Arc<ConnectionCore>, notifier: KeyNotifier) {
        let keep_alive = KeepAlive::new(connection.ping_pong());
        let state = core.state.clone();
        let close_deadline = Deadline::default();
        let mut driver = Driver { connection, core: Arc::downgrade(core), state, notifier, keep_alive, close_deadline };
        // Ends with the connection: when the peer closes it, breaks its rules or is found dead, and
        // when there is no handle on it and no stream of it, at most CLOSE_TIMEOUT later.
        tokio::spawn(async move {
            let ended = poll_fn(|cx| driver.poll(cx)).await;
            let Driver { connection, state, notifier, .. } = driver;
            state.set_ended(ended);
            state.set_spent();
            // Wakes the exchanges of streams that are still open. They read the reason, so it is set
            // first.
            drop(connection);
            notifier.notify();
        });
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionEnd> {
        let polled = Pin::new(&mut self.connection).poll(cx);
        if let Some(fault) = self.state.meter.fault() {
            return Poll::Ready(ConnectionEnd::ProtocolError(fault.as_sent()));
        }
        if let Poll::Ready(result) = polled {
            return Poll::Ready(ConnectionEnd::of(result, &self.state.meter));
        }
        if self.poll_close(cx).is_ready() {
            return Poll::Ready(ConnectionEnd::Closed);
        }
        let suspicion = self.state.take_suspicion();
        let keep_alive = self.keep_alive.poll(self.state.meter.reads(), self.state.has_streams(), suspicion, cx);
        if keep_alive == PeerState::Dead {
            return Poll::Ready(ConnectionEnd::Silent);
        }
        let news = self.state.set_doubtful(keep_alive == PeerState::Doubtful) | self.check_streams();
        if news {
            self.notifier.notify();
        }
        Poll::Pending
    }

    /// Reads what the peer says of further streams. Returns whether the pool must know.
    fn check_streams(&mut self) -> bool {
        let Some(core) = self.core.upgrade() else { return false };
        let (max_streams, is_open) = core.room();
        let has_more = self.state.set_max_streams(max_streams);
        has_more | (!is_open && self.state.set_spent())
    }

    /// Without a handle `h2` closes the connection once all was sent. A peer that reads nothing would
    /// keep it open for ever.
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.core.strong_count() > 0 || self.state.has_streams() {
            return Poll::Pending;
        }
        if !self.close_deadline.is_set() {
            self.close_deadline.set(Some(Instant::now() + CLOSE_TIMEOUT));
        }
        self.close_deadline.poll(cx)
    }
}

/// What the keep-alive knows of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PeerState {
    /// It has sent something lately, or need not: no stream is open.
    Alive,
    /// It has not answered a PING yet.
    Doubtful,
    Dead,
}

/// Sends a PING to a peer that is silent while streams are open, and at once when a request got no answer.
/// Whatever the peer sends then shows that it lives.
struct KeepAlive {
    pings: Option<PingPong>,
    /// How many reads had brought something when the silence began.
    reads: u64,
    deadline: Deadline,
    stage: KeepAliveStage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum KeepAliveStage {
    Idle,
    Listening,
    Pinged,
    Unanswered,
}

impl KeepAlive {
    fn new(pings: Option<PingPong>) -> KeepAlive {
        KeepAlive { pings, reads: 0, deadline: Deadline::default(), stage: KeepAliveStage::Idle }
    }

    fn poll(&mut self, reads: u64, has_streams: bool, suspicion: Suspicion, cx: &mut Context<'_>) -> PeerState {
        self.take_pong(cx);
        let is_heard = reads != self.reads;
        self.reads = reads;
        let is_asked = matches!(self.stage, KeepAliveStage::Pinged | KeepAliveStage::Unanswered) && !is_heard;
        match suspicion {
            Suspicion::None | Suspicion::Probe if is_asked => {}
            Suspicion::None if !has_streams => self.enter(KeepAliveStage::Idle, None),
            Suspicion::None if is_heard || self.stage == KeepAliveStage::Idle => {
                self.enter(KeepAliveStage::Listening, Some(SILENCE_TIMEOUT));
            }
            Suspicion::None => {}
            Suspicion::Probe => self.send_ping(),
            Suspicion::Doubt => {
                if !is_asked {
                    self.send_ping();
                }
                self.enter(KeepAliveStage::Unanswered, Some(PING_TIMEOUT));
            }
        }
        while self.deadline.poll(cx).is_ready() {
            match self.stage {
                KeepAliveStage::Idle | KeepAliveStage::Listening => self.send_ping(),
                KeepAliveStage::Pinged => self.enter(KeepAliveStage::Unanswered, Some(PING_TIMEOUT - DOUBT_TIMEOUT)),
                KeepAliveStage::Unanswered => return PeerState::Dead,
            }
        }
        self.take_pong(cx);
        if self.stage == KeepAliveStage::Unanswered { PeerState::Doubtful } else { PeerState::Alive }
    }

    fn send_ping(&mut self) {
        if let Some(pings) = &mut self.pings {
            // An error says that one is under way, or that the connection has ended: both are seen
            // elsewhere.
            let _ = pings.send_ping(Ping::opaque());
        }
        self.enter(KeepAliveStage::Pinged, Some(DOUBT_TIMEOUT));
    }

    /// Takes the answer to a PING, of which `h2` has one under way at a time. That something came was
    /// noticed by the number of reads. In every stage: an answer that comes when no stream is open any more
    /// and was left would keep `h2` from ever sending another PING, and a later silence would look like death.
    fn take_pong(&mut self, cx: &mut Context<'_>) {
        if let Some(pings) = &mut self.pings {
            let _ = pings.poll_pong(cx);
        }
    }

    fn enter(&mut self, stage: KeepAliveStage, length: Option<Duration>) {
        self.stage = stage;
        self.deadline.set(length.map(|length| Instant::now() + length));
    }
}

impl ConnectionCore {
    /// The most streams that the peer takes at a time, and whether it takes any.
    fn room(&self) -> (usize, bool) {
        let mut requests = self.requests_locked();
        let ready = requests.poll_ready(&mut Context::from_waker(Waker::noop()));
        (requests.current_max_send_streams(), !matches!(ready, Poll::Ready(Err(_))))
    }
}
