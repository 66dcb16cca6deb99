//! The handles on what the pool counts: each gives back what it holds when it is dropped.

use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::sync::{Arc, Weak};

use crate::error::{Error, ErrorKind, Phase};

use super::rest::{Home, Moment};
use super::shelf::{Checkout, Origin};
use super::{Inner, Pool, PoolKey, Pooled};

/// The right to make one connection of the key, which counts against `max_per_key` from here on.
/// Dropped without an outcome it is a dial that failed.
pub(crate) struct Slot<K: PoolKey, C: Pooled> {
    pool: Pool<K, C>,
    key: Arc<K>,
    /// Whose dial it is; `None` once its outcome was told.
    ticket: Option<u64>,
}

/// A connection in use. Dropping it closes the connection and makes its place free; for a shared
/// one it ends this exchange alone.
pub(crate) struct Lease<K: PoolKey, C: Pooled> {
    // Dropped in this order: closed first, and another may be made then.
    connection: C,
    place: Place<K, C>,
}

/// What a connection counts for, away from the connection: it is free again when this is dropped.
pub(crate) struct Place<K: PoolKey, C: Pooled> {
    pool: Pool<K, C>,
    key: Arc<K>,
    /// `None` once it was given back.
    origin: Option<Origin>,
}

/// Has the pool look again at the shared connections of a key: one of them takes more exchanges than
/// it did, or none any more. It keeps neither the pool nor a connection.
pub(crate) struct Bell<K: PoolKey, C: Pooled> {
    pool: Weak<Inner<K, C>>,
    key: Arc<K>,
}

impl<K: PoolKey, C: Pooled> Bell<K, C> {
    pub(crate) fn ring(&self) {
        if let Some(pool) = self.pool.upgrade().map(Pool) {
            pool.decide(|book, after| book.look(&self.key, Moment::now(), after));
        }
    }

    /// How many exchanges the latest shared connection of the key takes, if there is one: its server
    /// has not said so on a new one.
    pub(crate) fn capacity(&self) -> Option<usize> {
        let pool = self.pool.upgrade().map(Pool)?;
        pool.decide(|book, _| book.capacity(&self.key))
    }
}

impl<K: PoolKey, C: Pooled> Slot<K, C> {
    pub(super) fn new(pool: Pool<K, C>, key: Arc<K>, ticket: u64) -> Slot<K, C> {
        Slot { pool, key, ticket: Some(ticket) }
    }

    /// The dial made a connection: for its own want if that still waits, else for the next in
    /// line, else to be kept. It belongs to the runtime that this is called on.
    pub(crate) fn established(mut self, connection: C) {
        if let Some(ticket) = self.ticket.take() {
            let (home, now) = (Home::current(), Moment::now());
            let decision =
                self.pool.decide(|book, after| book.established(&self.key, ticket, connection, home, now, after));
            // A share for nobody: ended like any other.
            drop(decision.map(|share| Lease::new(self.pool.clone(), self.key.clone(), share)));
        }
    }

    /// The dial failed. Its own want is told, if it still waits, and nobody else.
    pub(crate) fn failed(mut self, error: Error) {
        self.fail(error);
    }

    /// For the connection that is being made, if it turns out to be shared.
    pub(crate) fn bell(&self) -> Bell<K, C> {
        Bell { pool: Arc::downgrade(&self.pool.0), key: self.key.clone() }
    }

    /// Ends when idle connections were closed, nobody waits for this key, and nobody wanted a
    /// connection since: then the dial is not worth going on with. Cancel safe.
    pub(crate) async fn abandoned(&self) {
        loop {
            let mut closing = pin!(self.pool.0.closing.notified());
            // Before the look, so that no call is missed between the two.
            closing.as_mut().enable();
            if self.pool.decide(|book, _| book.is_abandoned(&self.key)) {
                return;
            }
            closing.await;
        }
    }

    fn fail(&mut self, error: Error) {
        if let Some(ticket) = self.ticket.take() {
            let now = Moment::now();
            // An error for nobody is dropped here, without the lock.
            let _untold = self.pool.decide(|book, after| book.failed(&self.key, ticket, error, now, after));
        }
    }
}

impl<K: PoolKey, C: Pooled> Drop for Slot<K, C> {
    fn drop(&mut self) {
        if self.ticket.is_some() {
            self.fail(Error::new(ErrorKind::Io, "the connection was given up on").during(Phase::Connect));
        }
    }
}

impl<K: PoolKey, C: Pooled> Lease<K, C> {
    pub(super) fn new(pool: Pool<K, C>, key: Arc<K>, checkout: Checkout<C>) -> Lease<K, C> {
        let Checkout { connection, origin, idle_for: _ } = checkout;
        Lease { connection, place: Place { pool, key, origin: Some(origin) } }
    }

    /// Whether its connection is alive. If not, that is shared no more, and the lease is to be dropped.
    pub(super) fn probe(&mut self) -> bool {
        let is_alive = self.connection.probe();
        if let (false, Some(Origin::Share(id))) = (is_alive, self.place.origin) {
            let Place { pool, key, .. } = &self.place;
            pool.decide(|book, _| book.retire(key, id));
        }
        is_alive
    }

    /// Gives the connection back: see [`Place::give_back`].
    pub(crate) fn give_back(self) {
        let Lease { connection, place } = self;
        place.give_back(connection, Moment::now());
    }

    /// Takes the connection out of the pool's hands: for an upgrade, or a tunnel. It counts until
    /// the place is dropped, which is to be done when the connection closes.
    pub(crate) fn into_inner(self) -> (C, Place<K, C>) {
        (self.connection, self.place)
    }
}

impl<K: PoolKey, C: Pooled> Place<K, C> {
    /// The exchange is over and its connection can carry another: it goes to the next in line,
    /// or is kept, or is closed where it is one too many, too old, or idle ones are being closed.
    pub(crate) fn give_back(mut self, connection: C, now: Moment) {
        match self.origin.take() {
            Some(Origin::Own(home)) => {
                self.pool.decide(|book, after| book.give_back(&self.key, connection, home, now, after));
            }
            share => {
                drop(connection);
                self.origin = share;
            }
        }
    }
}

impl<K: PoolKey, C: Pooled> Deref for Lease<K, C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.connection
    }
}

impl<K: PoolKey, C: Pooled> DerefMut for Lease<K, C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.connection
    }
}

impl<K: PoolKey, C: Pooled> Drop for Place<K, C> {
    fn drop(&mut self) {
        if let Some(origin) = self.origin.take() {
            let now = Moment::now();
            self.pool.decide(|book, after| book.release(&self.key, origin, now, after));
        }
    }
}
