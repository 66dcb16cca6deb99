//! What the pool requires of connections and keys, its limits, and its statistics.

use std::time::Duration;

use tokio::time::Instant;

/// The key of a connection: connections with equal keys can serve the same requests.
pub(crate) trait PoolKey: Clone + Ord + Send + Sync + 'static {
    /// Whether a connection of this key may turn out to be multiplexed (https with HTTP/2 on). The
    /// first dial then runs alone, and the other waiters wait for what it finds.
    fn may_share(&self) -> bool {
        false
    }
}

/// A connection as the pool sees it. Dropping it closes it; for a multiplexed one, it drops this handle
/// on it.
///
/// All but [`probe`](Pooled::probe) are called under the pool's lock: they must be short, and must
/// not call the pool.
pub(crate) trait Pooled: Send + Sized + 'static {
    /// Whether it is still open and the peer sent nothing unasked. Never waits. Called without the
    /// lock, before a connection that was idle is handed out.
    fn probe(&mut self) -> bool;

    /// Another handle on the same connection, for one more exchange; `None` for HTTP/1, and for a
    /// multiplexed connection that is full or takes no new exchanges. With no exchange open, `None`
    /// means that it never will again.
    fn share(&self) -> Option<Self> {
        None
    }

    /// Whether a multiplexed connection takes more exchanges.
    fn health(&self) -> Health {
        Health::Good
    }

    /// How many exchanges at a time a multiplexed connection takes.
    fn capacity(&self) -> Option<usize> {
        None
    }

    /// For how long it may be idle, by what its peer says; `None` where it says nothing.
    fn idle_timeout(&self) -> Option<Duration> {
        None
    }

    /// When it is too old to be used again, with the jitter already in it.
    fn expires(&self) -> Option<Instant> {
        None
    }
}

/// Whether a multiplexed connection is of further use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It takes exchanges, if not now, then when others end.
    Good,
    /// It looks dead, and gets no new exchanges until it shows that it is alive.
    Doubtful,
    /// It takes no more exchanges, ever.
    Spent,
}

/// What happens where every multiplexed connection of a key is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// Another connection is made.
    #[default]
    Dials,
    /// The next request waits until an exchange ends.
    Waits,
}

/// How many connections are kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Idle connections over all keys; 0 is no limit. One more closes the one that was idle longest.
    pub(crate) max_idle: usize,
    /// Idle connections of a key; 0 keeps none. One more is closed. Multiplexed ones do not count
    /// here, except that 0 keeps none of them either.
    pub(crate) max_idle_per_key: usize,
    /// Connections of a key that are being made, in use or idle, together; 0 is no limit.
    pub(crate) max_per_key: usize,
    /// How long one may be idle, by the clock that stops while the machine sleeps or by the one
    /// that does not; `None` is forever.
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) when_full: WhenFull,
}

/// The numbers of a key's connections, by state, and of its waiters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PoolStats {
    /// Kept for the next request. A multiplexed connection is idle when no exchange is open on it.
    pub(crate) idle: usize,
    /// Handed out. A multiplexed one counts once, however many exchanges are open on it.
    pub(crate) in_use: usize,
    /// Being made.
    pub(crate) dialing: usize,
    /// Waiters, those with a dial of their own included.
    pub(crate) waiting: usize,
}
