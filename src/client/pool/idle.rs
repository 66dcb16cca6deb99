//! A connection at rest: since when, where, and for how long at most.

use std::time::{Duration, SystemTime};

use tokio::runtime::{Handle, Id};
use tokio::time::Instant;

use super::state::Global;
use super::{Limits, Pooled};

/// A connection's being idle.
#[derive(Clone, Copy)]
pub(super) struct IdleInfo {
    pub(super) stamp: u64,
    pub(super) runtime: RuntimeId,
    pub(super) since: Timestamp,
    /// When it is over, by the steady clock.
    pub(super) until: Option<Instant>,
}

/// The runtime that a connection belongs to, whose reactor wakes it: it is of no use on others,
/// which may outlive that one. Outside of any runtime is a home too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RuntimeId(Option<Id>);

/// Now, by the clock that stops while the machine sleeps, and by the one that does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timestamp {
    pub(crate) steady: Instant,
    pub(super) wall: SystemTime,
}

impl IdleInfo {
    pub(super) fn new<C: Pooled>(connection: &C, runtime: RuntimeId, now: Timestamp, global: &mut Global) -> IdleInfo {
        let timeout = global.limits.idle_timeout.and_then(|timeout| now.steady.checked_add(timeout));
        let until = timeout.into_iter().chain(connection.expires()).min();
        IdleInfo { stamp: global.stamp(), runtime, since: now, until }
    }

    /// Whether it went on too long.
    pub(super) fn is_over(&self, now: Timestamp, limits: &Limits) -> bool {
        self.lasted(now, limits).is_none()
    }

    /// How long it has gone on, unless that is too long.
    pub(super) fn lasted(&self, now: Timestamp, limits: &Limits) -> Option<Duration> {
        let idle_for = now.since(self.since);
        let is_over = self.until.is_some_and(|until| until <= now.steady)
            || limits.idle_timeout.is_some_and(|timeout| idle_for >= timeout);
        (!is_over).then_some(idle_for)
    }
}

impl RuntimeId {
    pub(super) fn current() -> RuntimeId {
        RuntimeId(Handle::try_current().ok().map(|runtime| runtime.id()))
    }

    pub(super) fn of(runtime: &Handle) -> RuntimeId {
        RuntimeId(Some(runtime.id()))
    }
}

impl Timestamp {
    pub(crate) fn now() -> Timestamp {
        Timestamp { steady: Instant::now(), wall: SystemTime::now() }
    }

    /// So much later by the clock that stops, if the machine does not sleep meanwhile.
    pub(crate) fn later(self, by: Duration) -> Timestamp {
        Timestamp { steady: self.steady + by, wall: self.wall.checked_add(by).unwrap_or(self.wall) }
    }

    /// How long ago that was, by the clock that went further.
    pub(super) fn since(self, then: Timestamp) -> Duration {
        let wall = self.wall.duration_since(then.wall).unwrap_or_default();
        self.steady.saturating_duration_since(then.steady).max(wall)
    }
}
