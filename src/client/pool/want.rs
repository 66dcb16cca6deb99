//! Somebody who wants a connection, and what it gets.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::error::Error;

use super::book::{Standing, Step};
use super::rest::{Home, Moment};
use super::shelf::Served;
use super::{Lease, Pool, PoolKey, Pooled, Slot};

/// A wish for a connection, and a place in the line from the first poll of [`next`](Want::next)
/// to its drop. What was meant for a want that is dropped goes to the next in line, or is kept.
pub(crate) struct Want<K: PoolKey, C: Pooled> {
    pool: Pool<K, C>,
    key: Arc<K>,
    standing: Standing,
}

/// What a want gets.
pub(crate) enum Granted<K: PoolKey, C: Pooled> {
    /// A connection, and how long it was idle: `None` for one that comes fresh from a dial, or
    /// from another's hands; zero for one that others are using at this moment.
    Connection { lease: Lease<K, C>, idle_for: Option<Duration> },
    /// The right to dial. The holder starts the dial, in a task of its own, since the connection is of
    /// use to others when this want goes away, and goes on waiting with [`Want::next`].
    Dial(Slot<K, C>),
    /// The dial that this want asked for failed.
    Failed(Error),
}

impl<K: PoolKey, C: Pooled> Want<K, C> {
    pub(super) fn new(pool: Pool<K, C>, key: K) -> Want<K, C> {
        Want { pool, key: Arc::new(key), standing: Standing::Outside }
    }

    /// Waits for whichever comes first. After a connection or a failure the wish is fulfilled, and
    /// to ask again is to wish again.
    ///
    /// Cancel safe: a future that is dropped took nothing, and the place in the line is kept.
    pub(crate) async fn next(&mut self) -> Granted<K, C> {
        loop {
            let step = poll_fn(|cx| self.poll_step(cx)).await;
            // No await below: what was taken from the book is in a handle before it can be lost.
            let (checkout, is_known_to_live) = match step {
                Step::Candidate(checkout) => (checkout, false),
                Step::Connection(checkout) => (checkout, true),
                Step::Dial(ticket) => return Granted::Dial(Slot::new(self.pool.clone(), self.key.clone(), ticket)),
                Step::Failed(error) => {
                    self.standing = Standing::Outside;
                    return Granted::Failed(error);
                }
            };
            let idle_for = checkout.idle_for;
            let mut lease = Lease::new(self.pool.clone(), self.key.clone(), checkout);
            // What a dial made for this want is its result, whatever has become of it since: a server
            // that ends every connection at once must not be dialed without end.
            let is_result = idle_for.is_none();
            if is_known_to_live || is_result || lease.probe() {
                self.standing = Standing::Outside;
                return Granted::Connection { lease, idle_for };
            }
            // Back in line, before the dead one's place is free for somebody else.
            self.step_back();
        }
    }

    fn poll_step(&mut self, cx: &Context<'_>) -> Poll<Step<C>> {
        let Want { pool, key, standing } = self;
        let (home, now) = (Home::current(), Moment::now());
        pool.decide(|book, after| book.poll(key, standing, home, now, cx.waker(), after))
    }

    fn step_back(&mut self) {
        let Want { pool, key, standing } = self;
        let (home, now) = (Home::current(), Moment::now());
        pool.decide(|book, after| book.step_back(key, standing, home, now, after));
    }
}

impl<K: PoolKey, C: Pooled> Drop for Want<K, C> {
    fn drop(&mut self) {
        if let Standing::InLine(ticket) = self.standing {
            let Want { pool, key, .. } = &*self;
            let given = pool.decide(|book, after| book.leave(key, ticket, Moment::now(), after));
            if let Some(Served::Connection(checkout)) = given {
                Lease::new(pool.clone(), key.clone(), checkout).give_back();
            }
        }
    }
}
