//! The handles on what the pool counts: each gives back what it holds when it is dropped.

use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::{Arc, Weak};

use crate::error::{Error, ErrorKind, Phase};

use super::idle::{RuntimeId, Timestamp};
use super::per_key::{Checkout, Origin};
use super::{Inner, Pool, PoolKey, Pooled};

/// The right to make one connection of the key, which counts against `max_per_key` from here on.
/// Dropped without an outcome it is a dial that failed.
pub(crate) struct DialPermit<K: PoolKey, C: Pooled> {
    pool: Pool<K, C>,
    key: Arc<K>,
    /// Whose dial it is; `None` once its outcome was told.
    waiter: Option<u64>,
}

/// A connection in use. Dropping it closes the connection and makes its place free; for a shared
/// one it ends this exchange alone.
pub(crate) struct PooledConn<K: PoolKey, C: Pooled> {
    // Dropped in this order: closed first, and another may be made then.
    connection: C,
    permit: ConnPermit<K, C>,
}

/// What a connection counts for, away from the connection: it is free again when this is dropped.
pub(crate) struct ConnPermit<K: PoolKey, C: Pooled> {
    pool: Pool<K, C>,
    key: Arc<K>,
    /// `None` once it was given back.
    origin: Option<Origin>,
}

/// Has the pool look again at the shared connections of a key: one of them takes more exchanges than
/// it did, or none any more. It keeps neither the pool nor a connection.
pub(crate) struct PoolNotifier<K: PoolKey, C: Pooled> {
    pool: Weak<Inner<K, C>>,
    key: Arc<K>,
}

impl<K: PoolKey, C: Pooled> PoolNotifier<K, C> {
    pub(crate) fn notify(&self) {
        if let Some(pool) = self.pool.upgrade().map(Pool) {
            pool.decide(|state, actions| state.look(&self.key, Timestamp::now(), actions));
        }
    }

    /// How many exchanges the latest shared connection of the key takes, if there is one: its server
    /// has not said so on a new one.
    pub(crate) fn capacity(&self) -> Option<usize> {
        let pool = self.pool.upgrade().map(Pool)?;
        pool.decide(|state, _| state.capacity(&self.key))
    }
}

impl<K: PoolKey, C: Pooled> DialPermit<K, C> {
    pub(super) fn new(pool: Pool<K, C>, key: Arc<K>, waiter: u64) -> DialPermit<K, C> {
        DialPermit { pool, key, waiter: Some(waiter) }
    }

    /// The dial made a connection: for its own want if that still waits, else for the next in
    /// line, else to be kept. It belongs to the runtime that this is called on.
    pub(crate) fn established(mut self, connection: C) {
        if let Some(waiter) = self.waiter.take() {
            let (runtime, now) = (RuntimeId::current(), Timestamp::now());
            let decision = self
                .pool
                .decide(|state, actions| state.established(&self.key, waiter, connection, runtime, now, actions));
            // A share for nobody: ended like any other.
            drop(decision.map(|share| PooledConn::new(self.pool.clone(), self.key.clone(), share)));
        }
    }

    /// The dial failed. Its own want is told, if it still waits, and nobody else.
    pub(crate) fn failed(mut self, error: Error) {
        self.fail(error);
    }

    /// For the connection that is being made, if it turns out to be shared.
    pub(crate) fn notifier(&self) -> PoolNotifier<K, C> {
        PoolNotifier { pool: Arc::downgrade(&self.pool.0), key: self.key.clone() }
    }

    /// Ends when idle connections were closed, nobody waits for this key, and nobody wanted a
    /// connection since: then the dial is not worth going on with. Cancel safe.
    pub(crate) async fn abandoned(&self) {
        loop {
            let mut closing = pin!(self.pool.0.closing.notified());
            // Before the look, so that no call is missed between the two.
            closing.as_mut().enable();
            if self.pool.decide(|state, _| state.is_abandoned(&self.key)) {
                return;
            }
            closing.await;
        }
    }

    fn fail(&mut self, error: Error) {
        if let Some(waiter) = self.waiter.take() {
            let now = Timestamp::now();
            // An error for nobody is dropped here, without the lock.
            let _untold = self.pool.decide(|state, actions| state.failed(&self.key, waiter, error, now, actions));
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

impl<K: PoolKey, C: Pooled> PooledConn<K, C> {
    pub(super) fn new(pool: Pool<K, C>, key: Arc<K>, checkout: Checkout<C>) -> PooledConn<K, C> {
        let Checkout { connection, origin, idle_for: _ } = checkout;
        PooledConn { connection, permit: ConnPermit { pool, key, origin: Some(origin) } }
    }

    /// Whether its connection is alive. If not, that is shared no more, and the lease is to be dropped.
    pub(super) fn probe(&mut self) -> bool {
        let is_alive = self.connection.probe();
        if let (false, Some(Origin::Share(id))) = (is_alive, self.permit.origin) {
            let ConnPermit { pool, key, .. } = &self.permit;
            pool.decide(|state, _| state.retire(key, id));
        }
        is_alive
    }

    /// Gives the connection back: see [`ConnPermit::give_back`].
    pub(crate) fn give_back(self) {
        let PooledConn { connection, permit } = self;
        permit.give_back(connection, Timestamp::now());
    }

    /// Takes the connection out of the pool's hands: for an upgrade, or a tunnel. It counts until
    /// the place is dropped, which is to be done when the connection closes.
    pub(crate) fn into_inner(self) -> (C, ConnPermit<K, C>) {
        (self.connection, self.permit)
    }
}

impl<K: PoolKey, C: Pooled> ConnPermit<K, C> {
    /// The exchange is over and its connection can carry another: it goes to the next in line,
    /// or is kept, or is closed where it is one too many, too old, or idle ones are being closed.
    pub(crate) fn give_back(mut self, connection: C, now: Timestamp) {
        match self.origin.take() {
            Some(Origin::Own(runtime)) => {
                self.pool.decide(|state, actions| state.give_back(&self.key, connection, runtime, now, actions));
            }
            share => {
                drop(connection);
                self.origin = share;
            }
        }
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

impl<K: PoolKey, C: Pooled> Drop for ConnPermit<K, C> {
    fn drop(&mut self) {
        if let Some(origin) = self.origin.take() {
            let now = Timestamp::now();
            self.pool.decide(|state, actions| state.release(&self.key, origin, now, actions));
        }
    }
}
