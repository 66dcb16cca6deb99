//! The task of a connection: it reads and writes all frames, asks a silent peer for a sign of life,
//! and tells the pool what has changed.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use h2::{Ping, PingPong, client};
use tokio::time::Instant;

use super::super::connection::PoolBell;
use super::connection::{Core, State};
use super::trouble::Ended;
use crate::h2::{Meter, MeterLimits, Wire};
use crate::net::{Deadline, Io, Stream};

/// Silence with streams open, until a PING asks for a sign of life.
const SILENCE: Duration = Duration::from_secs(15);
/// Without an answer for so long, the connection gets no new streams.
const DOUBT: Duration = Duration::from_secs(1);
/// Without an answer for so long, it is dead.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// How long a peer may take to take our goodbye.
const GOODBYE: Duration = Duration::from_secs(5);
/// In ten seconds. No server has reason for a fraction of that.
const FRAMES: MeterLimits = MeterLimits { control: 10_000, resets: 10_000 };

pub(super) struct Driver {
    connection: client::Connection<Wire, Bytes>,
    /// Not held: the connection closes when nobody has a handle on it.
    core: Weak<Core>,
    state: Arc<State>,
    bell: PoolBell,
    pulse: Pulse,
    goodbye: Deadline,
}

impl Driver {
    /// Lays the counting of frames over a stream.
    pub(super) fn wire(stream: Box<dyn Stream>) -> (Wire, Arc<Meter>) {
        let meter = Arc::new(Meter::new(FRAMES));
        (Wire::new(Io::boxed(stream), 0, meter.clone(), None, Duration::ZERO), meter)
    }

    /// Starts the task.
    pub(super) fn start(mut connection: client::Connection<Wire, Bytes>, core: &Arc<Core>, bell: PoolBell) {
        let pulse = Pulse::new(connection.ping_pong());
        let state = core.state.clone();
        let goodbye = Deadline::default();
        let mut driver = Driver { connection, core: Arc::downgrade(core), state, bell, pulse, goodbye };
        // Ends with the connection: when the peer closes it, breaks its rules or is found dead, and
        // when nobody has a handle on it or a stream of it, after a goodbye of limited length.
        tokio::spawn(async move {
            let ended = poll_fn(|cx| driver.poll(cx)).await;
            let Driver { connection, state, bell, .. } = driver;
            state.set_ended(ended);
            state.set_spent();
            // Streams that are still open hear of it now, and find the reason.
            drop(connection);
            bell.ring();
        });
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        let polled = Pin::new(&mut self.connection).poll(cx);
        if let Some(fault) = self.state.meter.fault() {
            return Poll::Ready(Ended::Rules(fault.in_words()));
        }
        if let Poll::Ready(result) = polled {
            return Poll::Ready(Ended::of(result, &self.state.meter));
        }
        if self.poll_goodbye(cx).is_ready() {
            return Poll::Ready(Ended::Closed);
        }
        let pulse = self.pulse.poll(self.state.meter.reads(), self.state.has_streams(), cx);
        if pulse == Heard::Dead {
            return Poll::Ready(Ended::Silent);
        }
        let news = self.state.set_doubtful(pulse == Heard::Nothing) | self.look();
        if news {
            self.bell.ring();
        }
        Poll::Pending
    }

    /// What the peer says of further streams. Whether the pool must know.
    fn look(&mut self) -> bool {
        let Some(core) = self.core.upgrade() else { return false };
        let (most, is_open) = core.room();
        let has_more = self.state.set_most(most);
        has_more | (!is_open && self.state.set_spent())
    }

    /// Without a handle the crate closes the connection, as far as the peer takes what is sent.
    fn poll_goodbye(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.core.strong_count() > 0 || self.state.has_streams() {
            return Poll::Pending;
        }
        if !self.goodbye.is_set() {
            self.goodbye.set(Some(Instant::now() + GOODBYE));
        }
        self.goodbye.poll(cx)
    }
}

/// What is heard of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// It was heard of lately, or nothing is expected of it.
    Lately,
    /// It was asked for a sign of life, and gave none yet.
    Nothing,
    Dead,
}

/// Asks a peer that is silent while streams are open whether it lives. Whatever comes is a sign of
/// life.
struct Pulse {
    pings: Option<PingPong>,
    /// How many reads there had been when it was last heard of.
    reads: u64,
    deadline: Deadline,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    Listens,
    Asked,
    Doubts,
}

impl Pulse {
    fn new(pings: Option<PingPong>) -> Pulse {
        Pulse { pings, reads: 0, deadline: Deadline::default(), stage: Stage::Idle }
    }

    fn poll(&mut self, reads: u64, has_streams: bool, cx: &mut Context<'_>) -> Heard {
        self.take_pong(cx);
        if !has_streams {
            self.enter(Stage::Idle, None);
            return Heard::Lately;
        }
        if self.stage == Stage::Idle || reads != self.reads {
            self.reads = reads;
            self.enter(Stage::Listens, Some(SILENCE));
        }
        while self.deadline.poll(cx).is_ready() {
            match self.stage {
                Stage::Idle | Stage::Listens => {
                    if let Some(pings) = &mut self.pings {
                        // Fails where one is on its way, or the connection has ended.
                        let _ = pings.send_ping(Ping::opaque());
                    }
                    self.enter(Stage::Asked, Some(DOUBT));
                }
                Stage::Asked => self.enter(Stage::Doubts, Some(PATIENCE - DOUBT)),
                Stage::Doubts => return Heard::Dead,
            }
        }
        self.take_pong(cx);
        if self.stage == Stage::Doubts { Heard::Nothing } else { Heard::Lately }
    }

    /// The answer was read like all else; this makes room for the next PING.
    fn take_pong(&mut self, cx: &mut Context<'_>) {
        if let (Some(pings), true) = (&mut self.pings, matches!(self.stage, Stage::Asked | Stage::Doubts)) {
            let _ = pings.poll_pong(cx);
        }
    }

    fn enter(&mut self, stage: Stage, length: Option<Duration>) {
        self.stage = stage;
        self.deadline.set(length.map(|length| Instant::now() + length));
    }
}

impl Core {
    /// How many streams the peer bears, and whether it takes any.
    fn room(&self) -> (usize, bool) {
        let mut requests = self.requests_locked();
        let ready = requests.poll_ready(&mut Context::from_waker(Waker::noop()));
        (requests.current_max_send_streams(), !matches!(ready, Poll::Ready(Err(_))))
    }
}
