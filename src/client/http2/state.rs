//! What the task of a connection and its exchanges know of it.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::super::pool::Health;
use super::error::ConnectionEnd;
use crate::h2::Meter;

/// What the driver knows of the connection. It holds no handle, which would keep it open.
pub(super) struct Http2State {
    /// How many exchanges have a seat.
    seats: AtomicUsize,
    /// How many there are, as the peer says.
    pub(super) max_streams: AtomicUsize,
    health: AtomicU8,
    pub(super) has_served: AtomicBool,
    ended: OnceLock<ConnectionEnd>,
    /// What was sent makes up for what the peer must answer it with.
    pub(super) meter: Arc<Meter>,
}

/// The right to one stream.
pub(super) struct StreamPermit(Arc<Http2State>);

impl Http2State {
    pub(super) fn new(max_streams: usize, meter: Arc<Meter>) -> Http2State {
        Http2State {
            seats: AtomicUsize::new(0),
            max_streams: AtomicUsize::new(max_streams),
            health: AtomicU8::new(Health::Good as u8),
            has_served: AtomicBool::new(false),
            ended: OnceLock::new(),
            meter,
        }
    }

    pub(super) fn acquire_stream(self: &Arc<Http2State>) -> Option<StreamPermit> {
        if self.health() != Health::Good {
            return None;
        }
        let max_streams = self.max_streams.load(Ordering::Relaxed);
        let taken = self
            .seats
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |seats| (seats < max_streams).then_some(seats + 1));
        taken.ok().map(|_| StreamPermit(self.clone()))
    }

    pub(super) fn has_streams(&self) -> bool {
        self.seats.load(Ordering::Relaxed) > 0
    }

    /// An exchange begins. Whether it had served before.
    pub(super) fn note_served(&self) -> bool {
        self.meter.answered();
        self.has_served.swap(true, Ordering::Relaxed)
    }

    /// How many streams the peer bears. Whether that is more than before.
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

    /// The peer does not answer; or it does again. What is spent stays so. Whether that is news.
    pub(super) fn set_doubtful(&self, is_doubtful: bool) -> bool {
        let (from, to) = if is_doubtful { (GOOD, DOUBTFUL) } else { (DOUBTFUL, GOOD) };
        self.health.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// It takes no more exchanges. Whether that is news.
    pub(super) fn set_spent(&self) -> bool {
        self.health.swap(Health::Spent as u8, Ordering::Relaxed) != Health::Spent as u8
    }

    /// Why it ended; the first reason counts.
    pub(super) fn set_ended(&self, ended: ConnectionEnd) {
        let _ = self.ended.set(ended);
    }

    pub(super) fn ended(&self) -> Option<&ConnectionEnd> {
        self.ended.get()
    }
}

const GOOD: u8 = Health::Good as u8;
const DOUBTFUL: u8 = Health::Doubtful as u8;

impl Drop for StreamPermit {
    fn drop(&mut self) {
        self.0.seats.fetch_sub(1, Ordering::Relaxed);
    }
}
