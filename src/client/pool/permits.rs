//! The handles on everything that the pool counts: each gives back what it holds when it is dropped.

use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::{Arc, Weak};

use super::checkout::{Checkout, Origin, RuntimeId, Timestamp, WaiterId};
use super::contract::{PoolKey, Pooled};
use super::pool::{Pool, PoolCore};
use crate::error::{Error, ErrorKind, Phase};

/// A connection in use. Dropping it closes the connection and makes room for another; for a
/// multiplexed one it ends this exchange alone.
pub(crate) struct PooledConn<K: PoolKey, C: Pooled> {
    // Dropped in this order: the connection is closed before another may be made.
    connection: C,
    permit: ConnPermit<K, C>,
}

/// The place of a connection in the pool's counts, apart from the connection: dropping it makes room for
/// another.
pub(crate) struct ConnPermit<K: PoolKey, C: Pooled> {
    pool: Pool<K, C>,
    key: Arc<K>,
    /// `None` once the connection was given back.
    origin: Option<Origin>,
}

/// The right to make one connection of the key, which counts against `max_per_key` from here on.
/// Dropped without an outcome it is a dial that failed.
pub(crate) struct DialPermit<K: PoolKey, C: Pooled> {
    pool: Pool<K, C>,
    key: Arc<K>,
    /// The waiter that the dial was offered to; `None` once the outcome is reported.
    waiter: Option<WaiterId>,
}

/// Notifies the pool that a multiplexed connection of the key takes more exchanges than before, or none
/// any more. It keeps neither the pool nor a connection alive.
pub(crate) struct PoolNotifier<K: PoolKey, C: Pooled> {
    core: Weak<PoolCore<K, C>>,
    key: Arc<K>,
}

impl<K: PoolKey, C: Pooled> PooledConn<K, C> {
    pub(super) fn new(pool: Pool<K, C>, key: Arc<K>, checkout: Checkout<C>) -> PooledConn<K, C> {
        let Checkout { connection, origin, idle_for: _ } = checkout;
        PooledConn { connection, permit: ConnPermit { pool, key, origin: Some(origin) } }
    }

    /// Whether the connection is alive. If not, a multiplexed one is handed out no more; the caller
    /// drops this.
    pub(super) fn probe(&mut self) -> bool {
        let is_alive = self.connection.probe();
        if let (false, Some(Origin::Multiplexed(id))) = (is_alive, self.permit.origin) {
            let ConnPermit { pool, key, .. } = &self.permit;
            pool.decide(|state| state.retire(key, id, Timestamp::now()));
        }
        is_alive
    }

    /// Gives the connection back: see [`ConnPermit::give_back`].
    pub(crate) fn give_back(self) {
        let PooledConn { connection, permit } = self;
        permit.give_back(connection, Timestamp::now());
    }

    /// Separates the connection from its permit. The connection counts until the permit is dropped,
    /// which must happen when the connection closes.
    pub(crate) fn into_inner(self) -> (C, ConnPermit<K, C>) {
        (self.connection, self.permit)
    }
}

impl<K: PoolKey, C: Pooled> Deref for PooledConn<K, C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.connection
    }
}

impl<K: PoolKey, C: Pooled> DerefMut for PooledConn<K, C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.connection
    }
}

impl<K: PoolKey, C: Pooled> ConnPermit<K, C> {
    /// The exchange is over and its connection can carry another: it goes to the next waiter, or
    /// becomes idle, or is closed where it is one too many, too old, or idle ones are being closed.
    pub(crate) fn give_back(mut self, connection: C, now: Timestamp) {
        match self.origin.take() {
            Some(Origin::Exclusive(runtime)) => {
                self.pool.decide(|state| state.give_back(&self.key, connection, runtime, now));
            }
            multiplexed => {
                // A handle: closed before the drop of this permit ends its exchange.
                drop(connection);
                self.origin = multiplexed;
            }
        }
    }
}

impl<K: PoolKey, C: Pooled> Drop for ConnPermit<K, C> {
    fn drop(&mut self) {
        if let Some(origin) = self.origin.take() {
            let now = Timestamp::now();
            self.pool.decide(|state| state.release(&self.key, origin, now));
        }
    }
}

impl<K: PoolKey, C: Pooled> DialPermit<K, C> {
    pub(super) fn new(pool: Pool<K, C>, key: Arc<K>, waiter: WaiterId) -> DialPermit<K, C> {
        DialPermit { pool, key, waiter: Some(waiter) }
    }

    /// The dial made a connection: for its own waiter if that still waits, else for the next one, else
    /// it becomes idle. It belongs to the runtime that this is called on.
    pub(crate) fn established(mut self, connection: C) {
        if let Some(waiter) = self.waiter.take() {
            let (runtime, now) = (RuntimeId::current(), Timestamp::now());
            let unused = self.pool.decide(|state| state.established(&self.key, waiter, connection, runtime, now));
            // No caller waits for this exchange: it is ended like any other.
            drop(unused.map(|checkout| PooledConn::new(self.pool.clone(), self.key.clone(), checkout)));
        }
    }

    /// The dial failed. Only its own waiter gets the error, if it still waits.
    pub(crate) fn failed(mut self, error: Error) {
        self.fail(error);
    }

    /// For the connection that is being made, if it turns out to be multiplexed.
    pub(crate) fn notifier(&self) -> PoolNotifier<K, C> {
        PoolNotifier { core: Arc::downgrade(self.pool.core()), key: self.key.clone() }
    }

    /// Completes when idle connections were closed, no caller waits for this key, and no connection was
    /// asked for since: then nothing needs the dial. Cancel safe.
    pub(crate) async fn abandoned(&self) {
        loop {
            let mut closed_idle = pin!(self.pool.core().closed_idle.notified());
            // Enabled before the look: a call between the look and the wait would be lost otherwise.
            closed_idle.as_mut().enable();
            if self.pool.decide(|state| state.is_abandoned(&self.key)) {
                return;
            }
            closed_idle.await;
        }
    }

    fn fail(&mut self, error: Error) {
        if let Some(waiter) = self.waiter.take() {
            let now = Timestamp::now();
            // Returned if its waiter has left, and dropped here, without the lock.
            let _untold = self.pool.decide(|state| state.failed(&self.key, waiter, error, now));
        }
    }
}

impl<K: PoolKey, C: Pooled> Drop for DialPermit<K, C> {
    fn drop(&mut self) {
        if self.waiter.is_some() {
            self.fail(Error::new(ErrorKind::Io, "the connection was given up on").during(Phase::Connect));
        }
    }
}

impl<K: PoolKey, C: Pooled> PoolNotifier<K, C> {
    pub(crate) fn notify(&self) {
        if let Some(pool) = self.pool() {
            pool.decide(|state| state.refresh(&self.key, Timestamp::now()));
        }
    }

    /// How many exchanges the latest multiplexed connection of the key takes, if there is one: the
    /// best guess for a new one, whose server has not said so yet.
    pub(crate) fn capacity(&self) -> Option<usize> {
        self.pool()?.decide(|state| state.capacity(&self.key))
    }

    fn pool(&self) -> Option<Pool<K, C>> {
        self.core.upgrade().map(Pool::of)
    }
}
