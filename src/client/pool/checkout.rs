//! What passes between the pool's state and the handles: a connection on its way to a caller, the outcome
//! for a waiter, and since when a connection is idle, on which runtime, and until when.

use std::time::{Duration, SystemTime};

use tokio::runtime::{Handle, Id};
use tokio::time::Instant;

use super::contract::{Limits, Pooled};
use crate::error::Error;

/// A waiter's number in the queue of its key: the lowest is served first.
pub(super) type WaiterId = u64;

/// A connection on its way to a caller.
pub(super) struct Checkout<C> {
    pub(super) connection: C,
    pub(super) origin: Origin,
    /// `None` for a connection that comes fresh from a dial or from another caller's hands.
    pub(super) idle_for: Option<Duration>,
}

/// The kind of a connection in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// It carries one exchange at a time, and belongs to this runtime.
    Exclusive(RuntimeId),
    /// One exchange on the multiplexed connection with this number.
    Multiplexed(u64),
}

/// What is set aside for a waiter that was woken and has not been polled since.
pub(super) enum Served<C> {
    Connection(Checkout<C>),
    Failed(Error),
}

/// The state of an `Acquire`.
pub(super) enum WaiterState {
    /// Before its first poll, and after it got what it waited for.
    NotQueued,
    Queued(WaiterId),
    /// It left the queue with a connection that is still to be probed. If that is dead, the waiter
    /// goes back to its old place.
    Probing(WaiterId),
}

/// The next step of an `Acquire`.
pub(super) enum AcquireStep<C> {
    /// Probe this connection, and come back if it is dead.
    Probe(Checkout<C>),
    /// Use this connection.
    Use(Checkout<C>),
    Dial(WaiterId),
    Fail(Error),
}

#[derive(Clone, Copy)]
pub(super) struct IdleInfo {
    /// Its number in the order in which connections became idle.
    pub(super) stamp: u64,
    pub(super) runtime: RuntimeId,
    pub(super) since: Timestamp,
    timeout: Option<Duration>,
    /// When it has to be closed, by the steady clock.
    pub(super) until: Option<Instant>,
}

/// The runtime that a connection belongs to, whose reactor wakes it: it cannot be used on another
/// runtime, which may outlive that one. `None` is outside of any runtime.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RuntimeId(Option<Id>);

/// Now, by the clock that stops while the machine sleeps, and by the one that does not: a laptop
/// that wakes up must not use connections that the server closed hours ago.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timestamp {
    pub(crate) steady: Instant,
    pub(super) wall: SystemTime,
}

impl IdleInfo {
    pub(super) fn new<C: Pooled>(
        connection: &C,
        runtime: RuntimeId,
        now: Timestamp,
        stamp: u64,
        limits: &Limits,
    ) -> IdleInfo {
        let timeout = limits.idle_timeout.into_iter().chain(connection.idle_timeout()).min();
        let timeout_at = timeout.and_then(|timeout| now.steady.checked_add(timeout));
        let until = timeout_at.into_iter().chain(connection.expires()).min();
        IdleInfo { stamp, runtime, since: now, timeout, until }
    }

    /// Whether it was idle too long.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.lasted(now).is_none()
    }

    /// How long it was idle, unless that is too long.
    pub(super) fn lasted(&self, now: Timestamp) -> Option<Duration> {
        let idle_for = now.since(self.since);
        // `until` is by the steady clock alone; `idle_for` may be longer, by the wall clock.
        let is_over = self.until.is_some_and(|until| until <= now.steady)
            || self.timeout.is_some_and(|timeout| idle_for >= timeout);
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

    /// This much later by the steady clock, if the machine does not sleep meanwhile.
    pub(crate) fn later(self, by: Duration) -> Timestamp {
        Timestamp { steady: self.steady + by, wall: self.wall.checked_add(by).unwrap_or(self.wall) }
    }

    /// How long ago that was, by the clock that has advanced further.
    pub(super) fn since(self, then: Timestamp) -> Duration {
        let wall = self.wall.duration_since(then.wall).unwrap_or_default();
        self.steady.saturating_duration_since(then.steady).max(wall)
    }
}
