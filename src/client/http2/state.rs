//! The state of a connection that its task, its handles and the pool share.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::super::http2_settings::Http2TransportSettings;
use super::super::pool::Health;
use super::error::ConnectionEnd;
use super::exchange_io::{ExchangeIo, Tell};
use crate::net::ReadyList;

/// What was read is told to the task in portions of at most this size, so that not each piece wakes it.
const MAX_TOLD_BYTES: u32 = 4 << 10;

/// As many streams may have read a little that they have not told: that is no large part of the window.
const UNTOLD_STREAM_COUNT: u32 = 4096;

fn told_bytes(settings: &Http2TransportSettings) -> u32 {
    let of_stream = settings.max_receive_buffer_per_stream / 8;
    let of_connection = settings.max_receive_buffer_per_connection / UNTOLD_STREAM_COUNT;
    of_stream.min(of_connection).clamp(1, MAX_TOLD_BYTES)
}

/// Shared by the handles and the task. It holds no handle itself, which would keep the connection
/// open.
pub(super) struct Http2State {
    /// How many streams exchanges hold.
    streams: AtomicUsize,
    /// The most streams that the peer takes at a time.
    pub(super) max_streams: AtomicUsize,
    health: AtomicU8,
    pub(super) has_served: AtomicBool,
    /// A request has ended without an answer: a [`Suspicion`].
    suspicion: AtomicU8,
    /// How many reads have brought something.
    reads: AtomicU64,
    /// So much of a stream's content has to be read before the task is told.
    pub(super) told_bytes: u32,
    ended: OnceLock<ConnectionEnd>,
    /// Exchanges that have something for the task.
    pub(super) ready: ReadyList<Arc<ExchangeIo>>,
}

/// The right to one stream. Free again when this is dropped.
pub(super) struct StreamPermit(Arc<Http2State>);

impl Http2State {
    pub(super) fn new(max_streams: usize, settings: &Http2TransportSettings) -> Http2State {
        Http2State {
            streams: AtomicUsize::new(0),
            max_streams: AtomicUsize::new(max_streams),
            health: AtomicU8::new(Health::Good as u8),
            has_served: AtomicBool::new(false),
            suspicion: AtomicU8::new(Suspicion::None as u8),
            reads: AtomicU64::new(0),
            told_bytes: told_bytes(settings),
            ended: OnceLock::new(),
            ready: ReadyList::new(),
        }
    }

    /// `None` where the peer takes no more streams at a time, or the connection none at all.
    pub(super) fn acquire_stream(self: &Arc<Http2State>) -> Option<StreamPermit> {
        if self.health() != Health::Good {
            return None;
        }
        let max_streams = self.max_streams.load(Ordering::Relaxed);
        let taken = self
            .streams
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |open| (open < max_streams).then_some(open + 1));
        taken.ok().map(|_| StreamPermit(self.clone()))
    }

    pub(super) fn has_streams(&self) -> bool {
        self.streams.load(Ordering::Relaxed) > 0
    }

    /// An exchange begins. Returns whether the connection had served before.
    pub(super) fn note_served(&self) -> bool {
        self.has_served.load(Ordering::Relaxed) || self.has_served.swap(true, Ordering::Relaxed)
    }

    /// Lists an exchange that has something for the task.
    pub(super) fn tell(&self, io: &Arc<ExchangeIo>, tell: Tell) {
        if tell == Tell::Task {
            self.ready.push(io.clone());
        }
    }

    /// Changes with everything that comes in.
    pub(super) fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Only the task counts.
    pub(super) fn count_read(&self) {
        self.reads.store(self.reads().wrapping_add(1), Ordering::Relaxed);
    }

    /// Returns whether the limit has grown: waiting requests may then have a stream.
    pub(super) fn set_max_streams(&self, max_streams: usize) -> bool {
        self.max_streams.swap(max_streams, Ordering::Relaxed) < max_streams
    }

    pub(super) fn health(&self) -> Health {
        match self.health.load(Ordering::Relaxed) {
            GOOD => Health::Good,
            DOUBTFUL => Health::Doubtful,
            _ => Health::Spent,
        }
    }

    /// The peer does not answer a PING, or has sent something again; a spent connection stays spent.
    /// Returns whether this changed anything.
    pub(super) fn set_doubtful(&self, is_doubtful: bool) -> bool {
        let (from, to) = if is_doubtful { (GOOD, DOUBTFUL) } else { (DOUBTFUL, GOOD) };
        self.health.load(Ordering::Relaxed) == from
            && self.health.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// A request has got no answer, nor has the connection brought anything else since it was sent. The
    /// task looks at this when the request's stream is reset.
    pub(super) fn suspect(&self, suspicion: Suspicion) {
        self.suspicion.fetch_max(suspicion as u8, Ordering::Relaxed);
        if suspicion == Suspicion::Doubt {
            // At once, and not when the task comes to it: the next request must not be the next to wait.
            self.set_doubtful(true);
        }
    }

    pub(super) fn take_suspicion(&self) -> Suspicion {
        if self.suspicion.load(Ordering::Relaxed) == NO_SUSPICION {
            return Suspicion::None;
        }
        match self.suspicion.swap(Suspicion::None as u8, Ordering::Relaxed) {
            NO_SUSPICION => Suspicion::None,
            PROBE => Suspicion::Probe,
            _ => Suspicion::Doubt,
        }
    }

    /// The connection takes no more exchanges. Returns whether it took any before.
    pub(super) fn set_spent(&self) -> bool {
        self.health.swap(Health::Spent as u8, Ordering::Relaxed) != Health::Spent as u8
    }

    /// Why the connection ended. The first reason counts: what follows comes of it.
    pub(super) fn set_ended(&self, ended: ConnectionEnd) {
        let _ = self.ended.set(ended);
    }

    pub(super) fn ended(&self) -> Option<&ConnectionEnd> {
        self.ended.get()
    }
}

/// What a request that got no answer says of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Suspicion {
    None,
    /// It was given up soon: the peer is asked whether it is there.
    Probe,
    /// It had waited long enough: no further request is sent until the peer was heard.
    Doubt,
}

const NO_SUSPICION: u8 = Suspicion::None as u8;
const PROBE: u8 = Suspicion::Probe as u8;

const GOOD: u8 = Health::Good as u8;
const DOUBTFUL: u8 = Health::Doubtful as u8;

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}
