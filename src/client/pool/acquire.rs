//! Somebody who wants a connection, and what it gets.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::error::Error;

use super::idle::{RuntimeId, Timestamp};
use super::per_key::Served;
use super::state::{Step, WaiterState};
use super::{DialPermit, Pool, PoolKey, Pooled, PooledConn};

/// A wish for a connection, and a place in the line from the first poll of [`next`](Acquire::next)
/// to its drop. What was meant for a want that is dropped goes to the next in line, or is kept.
pub(crate) struct Acquire<K: PoolKey, C: Pooled> {
    pool: Pool<K, C>,
    key: Arc<K>,
    state: WaiterState,
}

/// What a want gets.
pub(crate) enum Acquired<K: PoolKey, C: Pooled> {
    /// A connection, and how long it was idle: `None` for one that comes fresh from a dial, or
    /// from another's hands; zero for one that others are using at this moment.
    Connection { conn: PooledConn<K, C>, idle_for: Option<Duration> },
    /// The right to dial. The holder starts the dial, in a task of its own, since the connection is of
    /// use to others when this want goes away, and goes on waiting with [`Acquire::next`].
    Dial(DialPermit<K, C>),
    /// The dial that this want asked for failed.
    Failed(Error),
}

impl<K: PoolKey, C: Pooled> Acquire<K, C> {
    pub(super) fn new(pool: Pool<K, C>, key: K) -> Acquire<K, C> {
        Acquire { pool, key: Arc::new(key), state: WaiterState::Outside }
    }

    /// Waits for whichever comes first. After a connection or a failure the wish is fulfilled, and
    /// to ask again is to wish again.
    ///
    /// Cancel safe: a future that is dropped took nothing, and the place in the line is kept.
    pub(crate) async fn next(&mut self) -> Acquired<K, C> {
        loop {
            let step = poll_fn(|cx| self.poll_step(cx)).await;
            // No await below: what was taken from the book is in a handle before it can be lost.
            let (checkout, is_known_to_live) = match step {
                Step::Candidate(checkout) => (checkout, false),
                Step::Connection(checkout) => (checkout, true),
                Step::Dial(waiter) => {
                    return Acquired::Dial(DialPermit::new(self.pool.clone(), self.key.clone(), waiter));
                }
                Step::Failed(error) => {
                    self.state = WaiterState::Outside;
                    return Acquired::Failed(error);
                }
            };
            let idle_for = checkout.idle_for;
            let mut conn = PooledConn::new(self.pool.clone(), self.key.clone(), checkout);
            // What a dial made for this want is its result, whatever has become of it since: a server
            // that ends every connection at once must not be dialed without end.
            let is_result = idle_for.is_none();
            if is_known_to_live || is_result || conn.probe() {
                self.state = WaiterState::Outside;
                return Acquired::Connection { conn, idle_for };
            }
            // Back in line, before the dead one's place is free for somebody else.
            self.requeue();
        }
    }

    fn poll_step(&mut self, cx: &Context<'_>) -> Poll<Step<C>> {
        let Acquire { pool, key, state } = self;
        let (runtime, now) = (RuntimeId::current(), Timestamp::now());
        pool.decide(|pool, actions| pool.poll(key, state, runtime, now, cx.waker(), actions))
    }

    fn requeue(&mut self) {
        let Acquire { pool, key, state } = self;
        let (runtime, now) = (RuntimeId::current(), Timestamp::now());
        pool.decide(|pool, actions| pool.requeue(key, state, runtime, now, actions));
    }
}

impl<K: PoolKey, C: Pooled> Drop for Acquire<K, C> {
    fn drop(&mut self) {
        if let WaiterState::InLine(waiter) = self.state {
            let Acquire { pool, key, .. } = &*self;
            let given = pool.decide(|pool, actions| pool.leave(key, waiter, Timestamp::now(), actions));
            if let Some(Served::Connection(checkout)) = given {
                PooledConn::new(pool.clone(), key.clone(), checkout).give_back();
            }
        }
    }
}
