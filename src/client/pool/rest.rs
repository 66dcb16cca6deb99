//! A connection at rest: since when, where, and for how long at most.

use std::time::{Duration, SystemTime};

use tokio::runtime::{Handle, Id};
use tokio::time::Instant;

use super::book::House;
use super::{Limits, Pooled};

/// A connection's being idle.
#[derive(Clone, Copy)]
pub(super) struct Rest {
    pub(super) stamp: u64,
    pub(super) home: Home,
    pub(super) since: Moment,
    /// When it is over, by the steady clock.
    pub(super) until: Option<Instant>,
}

/// The runtime that a connection belongs to, whose reactor wakes it: it is of no use on others,
/// which may outlive that one. Outside of any runtime is a home too.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Home(Option<Id>);

/// Now, by the clock that stops while the machine sleeps, and by the one that does not.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) steady: Instant,
    pub(super) wall: SystemTime,
}

impl Rest {
    pub(super) fn new<C: Pooled>(connection: &C, home: Home, now: Moment, house: &mut House) -> Rest {
        let timeout = house.limits.idle_timeout.and_then(|timeout| now.steady.checked_add(timeout));
        let until = timeout.into_iter().chain(connection.expires()).min();
        Rest { stamp: house.stamp(), home, since: now, until }
    }

    /// Whether it went on too long.
    pub(super) fn is_over(&self, now: Moment, limits: &Limits) -> bool {
        self.lasted(now, limits).is_none()
    }

    /// How long it has gone on, unless that is too long.
    pub(super) fn lasted(&self, now: Moment, limits: &Limits) -> Option<Duration> {
        let idle_for = now.since(self.since);
        let is_over = self.until.is_some_and(|until| until <= now.steady)
            || limits.idle_timeout.is_some_and(|timeout| idle_for >= timeout);
        (!is_over).then_some(idle_for)
    }
}

impl Home {
    pub(super) fn current() -> Home {
        Home(Handle::try_current().ok().map(|runtime| runtime.id()))
    }

    pub(super) fn of(runtime: &Handle) -> Home {
        Home(Some(runtime.id()))
    }
}

impl Moment {
    pub(crate) fn now() -> Moment {
        Moment { steady: Instant::now(), wall: SystemTime::now() }
    }

    /// So much later by the clock that stops, if the machine does not sleep meanwhile.
    pub(crate) fn later(self, by: Duration) -> Moment {
        Moment { steady: self.steady + by, wall: self.wall.checked_add(by).unwrap_or(self.wall) }
    }

    /// How long ago that was, by the clock that went further.
    pub(super) fn since(self, then: Moment) -> Duration {
        let wall = self.wall.duration_since(then.wall).unwrap_or_default();
        self.steady.saturating_duration_since(then.steady).max(wall)
    }
}
