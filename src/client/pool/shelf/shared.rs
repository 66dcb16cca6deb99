//! Connections that carry many exchanges at a time, of one key.

use std::time::Duration;

use super::super::book::{After, House, Returning};
use super::super::rest::{Home, Moment, Rest};
use super::super::{Health, PoolKey, Pooled};
use super::{Checkout, Origin, Served, Shelf, extract};

/// A connection that carries many exchanges. It is one place, however many there are.
pub(super) struct Shared<C> {
    id: u64,
    pub(super) connection: C,
    exchanges: usize,
    standing: Standing,
    /// Since when no exchange is open; of the past while one is.
    pub(super) rest: Rest,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Open,
    /// It takes no more exchanges, and is closed with the last.
    Leaving,
}

impl<C: Pooled> Shared<C> {
    /// One that was just made, with its first exchange.
    pub(super) fn new(connection: C, home: Home, now: Moment, house: &mut House) -> Shared<C> {
        let rest = Rest::new(&connection, home, now, house);
        Shared { id: rest.stamp, connection, exchanges: 1, standing: Standing::Open, rest }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn is_idle(&self) -> bool {
        self.exchanges == 0
    }

    /// Whether it will take an exchange, now or when another ends.
    pub(super) fn takes_more(&self) -> bool {
        self.standing == Standing::Open && self.connection.health() == Health::Good
    }

    fn is_old(&self, now: Moment) -> bool {
        self.connection.expires().is_some_and(|expires| expires <= now.steady)
    }
}

impl<K: PoolKey, C: Pooled> Shelf<K, C> {
    /// Serves the line with shares, as long as there are any.
    pub(super) fn serve_shares(&mut self, now: Moment, house: &mut House, after: &mut After<C>) {
        let homes: Vec<Home> = self.shared.iter().map(|shared| shared.rest.home).collect();
        for home in homes {
            while let Some(ticket) = self.first(home) {
                let Some(share) = self.lend(home, now, house, after) else { break };
                self.serve(ticket, Served::Connection(share), after);
            }
        }
    }

    /// A share of the first connection that takes another exchange. One that is dead or too old
    /// goes: at once, or with its last exchange.
    pub(super) fn lend(
        &mut self,
        home: Home,
        now: Moment,
        house: &mut House,
        after: &mut After<C>,
    ) -> Option<Checkout<C>> {
        let mut at = 0;
        while let Some(shared) = self.shared.get_mut(at) {
            at += 1;
            if shared.standing == Standing::Leaving || shared.rest.home != home {
                continue;
            }
            let is_idle = shared.is_idle();
            let is_old = shared.is_old(now) || (is_idle && shared.rest.is_over(now, &house.limits));
            let share = if is_old { None } else { shared.connection.share() };
            if let Some(connection) = share {
                house.idle -= usize::from(is_idle);
                shared.exchanges += 1;
                let idle_for = if is_idle { now.since(shared.rest.since) } else { Duration::ZERO };
                return Some(Checkout { connection, origin: Origin::Share(shared.id), idle_for: Some(idle_for) });
            }
            if is_idle {
                house.idle -= 1;
                at -= 1;
                let dead = self.shared.remove(at);
                self.close(dead.connection, after);
            } else if is_old {
                shared.standing = Standing::Leaving;
            }
        }
        None
    }

    pub(super) fn end_exchange(&mut self, id: u64, now: Moment, house: &mut House, after: &mut After<C>) {
        let Some(at) = self.shared.iter().position(|shared| shared.id == id) else { return };
        let waits = self.first(self.shared[at].rest.home).is_some();
        let shared = &mut self.shared[at];
        shared.exchanges -= 1;
        if shared.exchanges > 0 {
            return;
        }
        let is_kept = house.returning == Returning::Kept && house.limits.max_idle_per_key > 0;
        let is_spent = shared.standing == Standing::Leaving || shared.connection.health() == Health::Spent;
        if is_spent || shared.is_old(now) || !(is_kept || waits) {
            let gone = self.shared.remove(at);
            return self.close(gone.connection, after);
        }
        shared.rest = Rest::new(&shared.connection, shared.rest.home, now, house);
        house.note_idle(&shared.rest, after);
    }

    pub(in super::super) fn capacity(&self) -> Option<usize> {
        self.shared.iter().rev().find(|shared| shared.takes_more())?.connection.capacity()
    }

    /// Takes notice of what has become of the shared connections: those that are spent go, at once or
    /// with their last exchange, and what others take now goes to who waits.
    pub(in super::super) fn look(&mut self, now: Moment, house: &mut House, after: &mut After<C>) {
        for shared in self.shared.iter_mut().filter(|shared| shared.connection.health() == Health::Spent) {
            shared.standing = Standing::Leaving;
        }
        let is_over = |shared: &Shared<C>| shared.is_idle() && shared.standing == Standing::Leaving;
        for over in extract(&mut self.shared, is_over) {
            house.idle -= 1;
            self.close(over.connection, after);
        }
        self.settle(now, house, after);
    }

    /// A shared connection takes no more exchanges. Somebody has one open on it.
    pub(in super::super) fn retire(&mut self, id: u64) {
        if let Some(shared) = self.shared.iter_mut().find(|shared| shared.id == id) {
            shared.standing = Standing::Leaving;
        }
    }
}
