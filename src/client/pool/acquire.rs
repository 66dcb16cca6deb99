//! How a caller gets a connection: at once from what is idle, or by waiting.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::checkout::{AcquireStep, RuntimeId, Served, Timestamp, WaiterState};
use super::contract::{PoolKey, Pooled};
use super::permits::{DialPermit, PooledConn};
use super::pool::Pool;
use crate::error::Error;

/// Waits for a connection, and has a place in the queue from the first poll of [`next`](Acquire::next)
/// to its drop. If it is dropped, what it was served with goes to the next waiter, or becomes idle.
pub(crate) struct Acquire<K: PoolKey, C: Pooled> {
    pool: Pool<K, C>,
    key: Arc<K>,
    state: WaiterState,
}

/// What an [`Acquire`] gets.
pub(crate) enum Acquired<K: PoolKey, C: Pooled> {
    /// A connection, and how long it was idle: `None` for one that comes directly from a dial or from
    /// another caller; zero for a multiplexed one that others use at this moment.
    Connection { conn: PooledConn<K, C>, idle_for: Option<Duration> },
    /// The right to dial. The holder starts the dial in a task of its own, since the connection is of
    /// use to others when this `Acquire` is dropped, and goes on waiting with [`Acquire::next`].
    Dial(DialPermit<K, C>),
    /// The dial that this asked for failed.
    Failed(Error),
}

impl<K: PoolKey, C: Pooled> Pool<K, C> {
    /// The connection of this key that was used last, if one is idle or takes another exchange,
    /// and how long it was idle. The fast path: a caller that gets nothing goes on with
    /// [`acquire`](Pool::acquire).
    pub(crate) fn try_idle(&self, key: &K, now: Timestamp) -> Option<(PooledConn<K, C>, Duration)> {
        let runtime = RuntimeId::current();
        loop {
            let (key, checkout) = self.decide(|state| state.checkout(key, runtime, now))?;
            let idle_for = checkout.idle_for.unwrap_or_default();
            let mut conn = PooledConn::new(self.clone(), key, checkout);
            // Without the lock: it may be a system call.
            if conn.probe() {
                return Some((conn, idle_for));
            }
        }
    }

    /// Begins to wait for a connection of this key. Nothing happens before [`Acquire::next`] is polled.
    pub(crate) fn acquire(&self, key: K) -> Acquire<K, C> {
        Acquire { pool: self.clone(), key: Arc::new(key), state: WaiterState::NotQueued }
    }
}

impl<K: PoolKey, C: Pooled> Acquire<K, C> {
    /// Waits for whichever comes first. After a connection or a failure this is done; a further call
    /// waits for another connection.
    ///
    /// Cancel safe: a future that is dropped took nothing, and the place in the queue is kept.
    pub(crate) async fn next(&mut self) -> Acquired<K, C> {
        loop {
            let step = poll_fn(|cx| self.poll_step(cx)).await;
            // No await from here on: what the pool handed out is in a handle before it can be lost.
            let (checkout, is_known_to_live) = match step {
                AcquireStep::Probe(checkout) => (checkout, false),
                AcquireStep::Use(checkout) => (checkout, true),
                AcquireStep::Dial(waiter) => {
                    return Acquired::Dial(DialPermit::new(self.pool.clone(), self.key.clone(), waiter));
                }
                AcquireStep::Fail(error) => {
                    self.state = WaiterState::NotQueued;
                    return Acquired::Failed(error);
                }
            };
            let idle_for = checkout.idle_for;
            let mut conn = PooledConn::new(self.pool.clone(), self.key.clone(), checkout);
            // A fresh connection is returned even if it is dead by now: if the server ends every
            // connection at once, the loop would dial without end.
            let is_fresh = idle_for.is_none();
            if is_known_to_live || is_fresh || conn.probe() {
                self.state = WaiterState::NotQueued;
                return Acquired::Connection { conn, idle_for };
            }
            // Queued again before the dead connection is dropped, so that the room it leaves goes to this
            // waiter.
            self.requeue();
        }
    }

    fn poll_step(&mut self, cx: &Context<'_>) -> Poll<AcquireStep<C>> {
        let Acquire { pool, key, state: waiter_state } = self;
        let (runtime, now) = (RuntimeId::current(), Timestamp::now());
        pool.decide(|state| state.poll(key, waiter_state, runtime, now, cx.waker()))
    }

    fn requeue(&mut self) {
        let Acquire { pool, key, state: waiter_state } = self;
        let (runtime, now) = (RuntimeId::current(), Timestamp::now());
        pool.decide(|state| state.requeue(key, waiter_state, runtime, now));
    }
}

impl<K: PoolKey, C: Pooled> Drop for Acquire<K, C> {
    fn drop(&mut self) {
        if let WaiterState::Queued(waiter) = self.state {
            let Acquire { pool, key, .. } = &*self;
            let served = pool.decide(|state| state.leave(key, waiter, Timestamp::now()));
            if let Some(Served::Connection(checkout)) = served {
                PooledConn::new(pool.clone(), key.clone(), checkout).give_back();
            }
        }
    }
}
