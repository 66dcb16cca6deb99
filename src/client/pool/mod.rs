//! Connections that are kept, and who waits for one.
//!
//! Go's algorithm. Whoever wants a connection gets the one of its key that was used last. If
//! there is none, it waits for whichever comes first: a connection that someone gives back, or
//! its own dial. The one that loses is of use to the next. Who waits is served in order.
//!
//! ```text
//!            try_idle                      give_back
//!   caller ───────────► idle ◄───────────────────────────── PooledConn
//!      │ want            │ too old, too many: closed           ▲
//!      ▼                 ▼                                     │ Connection
//!     Acquire ───────────► line ──────────────────────────────────┤
//!                        │ Dial                                │
//!                        ▼                                     │
//!                       DialPermit ── established ── next in line ───┘
//! ```
//!
//! What happens is decided by [`PoolState`], under one lock, from nothing but its arguments: it has no
//! clock, no task and no socket, and it closes and wakes nobody. It leaves that in an [`Actions`]
//! that is acted on when the lock is free again. All else here is handles whose drop gives back
//! what they hold, so that a future that is dropped at any await loses neither a connection nor
//! the right to make one.

mod acquire;
mod idle;
mod multiplexed;
mod per_key;
mod permits;
mod reaper;
mod state;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

pub(crate) use acquire::{Acquire, Acquired};
use idle::RuntimeId;
pub(crate) use idle::Timestamp;
pub(crate) use permits::{ConnPermit, DialPermit, PoolNotifier, PooledConn};
use state::{Actions, PoolState, Watch};

/// What connections have in common that are of use to the same requests.
pub(crate) trait PoolKey: Clone + Ord + Send + Sync + 'static {
    /// Whether a connection of this key may turn out to carry many exchanges (https with HTTP/2
    /// on). Then one dial explores, and the others wait for what it finds.
    fn may_share(&self) -> bool {
        false
    }
}

/// A connection, as far as the pool looks at it. Dropping it closes it, or for one that is
/// shared, this handle on it.
pub(crate) trait Pooled: Send + Sized + 'static {
    /// Whether it is still open and the peer sent nothing unasked. Never waits. It is asked
    /// before a connection that was idle is handed out, without the pool's lock.
    fn probe(&mut self) -> bool;

    /// Another handle on the same connection, for one exchange more; `None` for HTTP/1, and for a
    /// connection that has as many exchanges as it takes or takes no new ones. With no exchange
    /// open, `None` means that it never will again. Asked under the pool's lock: it must be short
    /// and must not ask the pool anything.
    fn share(&self) -> Option<Self> {
        None
    }

    /// What is to be expected of one that takes many exchanges. Asked under the lock.
    fn health(&self) -> Health {
        Health::Good
    }

    /// How many exchanges at a time it takes, of one that takes many. Asked under the lock.
    fn capacity(&self) -> Option<usize> {
        None
    }

    /// When it is too old to be used again, with the jitter already in it. Asked under the lock.
    fn expires(&self) -> Option<Instant> {
        None
    }
}

/// What is to be expected of a shared connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It takes exchanges, if not now, then when others end.
    Good,
    /// It looks dead, and gets no new ones until it shows that it is not.
    Doubtful,
    /// It takes no more, ever.
    Spent,
}

/// What happens where every shared connection has as many exchanges as it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// Another connection is made.
    #[default]
    Dials,
    /// Who comes next waits for one of them to end.
    Waits,
}

/// How many connections are kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Idle ones over all keys; 0 is no limit. One more closes the one that was idle longest.
    pub(crate) max_idle: usize,
    /// Idle ones of a key; 0 keeps none. One more is closed. Multiplexed ones do not count here,
    /// except that 0 keeps none of them either.
    pub(crate) max_idle_per_key: usize,
    /// Connections of a key that are being made, in use or idle, together; 0 is no limit.
    pub(crate) max_per_key: usize,
    /// How long one may be idle, by the clock that stops while the machine sleeps or by the one
    /// that does not; `None` is forever.
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) when_full: WhenFull,
}

/// What a key's connections do at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PoolStats {
    /// Kept for the next request. A shared connection is idle when no exchange is open on it.
    pub(crate) idle: usize,
    /// Handed out. A shared one counts once, however many exchanges are open on it.
    pub(crate) in_use: usize,
    /// Being made.
    pub(crate) dialing: usize,
    /// Wants that wait, those with a dial of their own included.
    pub(crate) waiting: usize,
}

/// All connections of a transport, by key. A clone is another handle on the same pool; with the
/// last one, those of leases and slots included, what is idle is closed.
pub(crate) struct Pool<K: PoolKey, C: Pooled>(Arc<Inner<K, C>>);

struct Inner<K: PoolKey, C: Pooled> {
    locked: Mutex<Locked<K, C>>,
    /// Wakes the janitors: something expires sooner than they think, or the pool is gone.
    round: Arc<Notify>,
    /// Wakes those who dial: idle connections were closed, and perhaps nobody wants theirs.
    closing: Notify,
}

struct Locked<K, C> {
    state: PoolState<K, C>,
    /// What the decision that is being made leaves to do: mostly nothing.
    actions: Actions<C>,
}

impl<K: PoolKey, C: Pooled> Pool<K, C> {
    pub(crate) fn new(limits: Limits) -> Pool<K, C> {
        let locked = Mutex::new(Locked { state: PoolState::new(limits), actions: Actions::default() });
        Pool(Arc::new(Inner { locked, round: Arc::default(), closing: Notify::new() }))
    }

    /// The connection of this key that was used last, if one is idle or takes another exchange,
    /// and how long it was idle. The fast path: who gets nothing asks with [`want`](Pool::want).
    pub(crate) fn try_idle(&self, key: &K, now: Timestamp) -> Option<(PooledConn<K, C>, Duration)> {
        let runtime = RuntimeId::current();
        loop {
            let (key, checkout) = self.decide(|state, actions| state.take(key, runtime, now, actions))?;
            let idle_for = checkout.idle_for.unwrap_or_default();
            let mut conn = PooledConn::new(self.clone(), key, checkout);
            if conn.probe() {
                return Some((conn, idle_for));
            }
        }
    }

    /// Asks for a connection of this key. Nothing happens before [`Acquire::next`] is polled.
    pub(crate) fn acquire(&self, key: K) -> Acquire<K, C> {
        Acquire::new(self.clone(), key)
    }

    /// Closes what is idle, and until the next time that somebody wants a connection, of any key,
    /// what becomes idle. Dials that nobody waits for are told ([`DialPermit::abandoned`]). What is in
    /// use stays so.
    pub(crate) fn close_idle(&self) {
        self.decide(|state, actions| state.close_idle(Timestamp::now(), actions));
        self.0.closing.notify_waiters();
    }

    /// Closes what is idle of this key: one of them was found dead in use, and they share its fate
    /// more often than not.
    pub(crate) fn close_idle_of(&self, key: &K) {
        let now = Timestamp::now();
        self.decide(|state, actions| state.close_idle_of(key, now, actions));
    }

    /// What the connections of each key do; a key that has none and is not wanted is left out.
    pub(crate) fn stats(&self) -> Vec<(K, PoolStats)> {
        self.decide(|state, _| state.stats())
    }

    /// Decides under the lock, and acts on it behind the lock.
    fn decide<R>(&self, decision: impl FnOnce(&mut PoolState<K, C>, &mut Actions<C>) -> R) -> R {
        let (result, watch) = self.0.decide(decision);
        if watch == Watch::Start {
            reaper::start(self);
        }
        result
    }
}

impl<K: PoolKey, C: Pooled> Inner<K, C> {
    /// Leaves to the caller no more than to start a janitor.
    fn decide<R>(&self, decision: impl FnOnce(&mut PoolState<K, C>, &mut Actions<C>) -> R) -> (R, Watch) {
        let mut locked = self.locked.lock().unwrap_or_else(PoisonError::into_inner);
        let Locked { state, actions } = &mut *locked;
        let result = decision(state, actions);
        let actions = actions.take();
        drop(locked);
        let Some(actions) = actions else { return (result, Watch::Nothing) };
        let watch = actions.watch;
        actions.close_and_wake();
        if watch == Watch::Sooner {
            self.round.notify_waiters();
        }
        (result, watch)
    }
}

impl<K: PoolKey, C: Pooled> Clone for Pool<K, C> {
    fn clone(&self) -> Pool<K, C> {
        Pool(self.0.clone())
    }
}

/// The janitors have nothing left to do.
impl<K: PoolKey, C: Pooled> Drop for Inner<K, C> {
    fn drop(&mut self) {
        self.round.notify_waiters();
    }
}
