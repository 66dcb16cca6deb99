//! What passes between the pool's state and the handles: a connection on its way to a caller, and
//! what a waiter is told.

use std::time::Duration;

use super::idle::RuntimeId;
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

/// What a connection in use is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// It carries one exchange at a time, and belongs to this runtime.
    Exclusive(RuntimeId),
    /// One exchange on the multiplexed connection with this number.
    Multiplexed(u64),
}

/// What was put aside for a waiter that has not been polled since.
pub(super) enum Served<C> {
    Connection(Checkout<C>),
    Failed(Error),
}

/// Where an `Acquire` stands.
pub(super) enum WaiterState {
    /// Before its first poll, and after it got what it waited for.
    NotQueued,
    Queued(WaiterId),
    /// It left the queue with a connection that is still to be probed. If that is dead, the waiter
    /// goes back to its old place.
    Probing(WaiterId),
}

/// What an `Acquire` is to do next.
pub(super) enum AcquireStep<C> {
    /// Probe this connection, and come back if it is dead.
    Probe(Checkout<C>),
    /// Use this connection.
    Use(Checkout<C>),
    Dial(WaiterId),
    Fail(Error),
}
