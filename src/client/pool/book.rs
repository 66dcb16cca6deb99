//! The pool's books: every key's connections, and what is decided over all of them.
//!
//! A decision takes all it needs, the time included, and what it cannot do itself, it leaves in an
//! [`After`]: nothing is closed and nobody woken under the lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Poll, Waker};

use tokio::time::Instant;

use crate::error::Error;

use super::rest::{Home, Moment, Rest};
use super::shelf::{Checkout, Origin, Served, Shelf, Ticket};
use super::{Limits, PoolKey, PoolStats, Pooled};

pub(super) struct Book<K, C> {
    /// In order: most clients know a few keys, which are compared sooner than hashed.
    shelves: BTreeMap<Arc<K>, Shelf<K, C>>,
    house: House,
    last_ticket: Ticket,
}

/// What the keys share.
pub(super) struct House {
    pub(super) limits: Limits,
    pub(super) returning: Returning,
    /// Idle connections over all keys.
    pub(super) idle: usize,
    /// Counts the connections that became idle: the lower, the longer ago.
    pub(super) last_stamp: u64,
    janitors: Vec<Home>,
    /// When the janitors come next, as far as they know.
    next_round: Option<Instant>,
}

/// What happens to a connection that nobody waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Returning {
    Kept,
    /// Idle ones were closed, and nobody wanted a connection since.
    Closed,
}

/// What is left to do when the lock is free again.
pub(super) struct After<C> {
    pub(super) closing: Vec<C>,
    pub(super) waking: Vec<Waker>,
    pub(super) watch: Watch,
}

/// What the janitors must know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Watch {
    Nothing,
    /// Something expires sooner than they think.
    Sooner,
    /// There is none on the runtime of what became idle.
    Start,
}

/// Where a want stands.
pub(super) enum Standing {
    Outside,
    InLine(Ticket),
    /// It was served with something that turned out to be dead: it may go back to its place.
    Stepped(Ticket),
}

/// What a want is to do.
pub(super) enum Step<C> {
    /// To look whether this is alive, and to come again if not.
    Candidate(Checkout<C>),
    Connection(Checkout<C>),
    Dial(Ticket),
    Failed(Error),
}

impl<K: PoolKey, C: Pooled> Book<K, C> {
    pub(super) fn new(limits: Limits) -> Book<K, C> {
        let house = House {
            limits,
            returning: Returning::Kept,
            idle: 0,
            last_stamp: 0,
            janitors: Vec::new(),
            next_round: None,
        };
        Book { shelves: BTreeMap::new(), house, last_ticket: 0 }
    }

    /// The idle connection of the key that was used last, or a share of one in use.
    pub(super) fn take(
        &mut self,
        key: &K,
        home: Home,
        now: Moment,
        after: &mut After<C>,
    ) -> Option<(Arc<K>, Checkout<C>)> {
        self.house.returning = Returning::Kept;
        self.at(key, |shelf, house| Some((shelf.key.clone(), shelf.take(home, now, house, after)?)))?
    }

    /// What there is for a want. One that is new gets what is idle, or a place in line.
    pub(super) fn poll(
        &mut self,
        key: &mut Arc<K>,
        standing: &mut Standing,
        home: Home,
        now: Moment,
        waker: &Waker,
        after: &mut After<C>,
    ) -> Poll<Step<C>> {
        if let Standing::InLine(ticket) = *standing {
            let step = self.at(key, |shelf, _| shelf.poll(ticket, waker));
            let step = step.expect("who is in line has a shelf, and is waiting there or served");
            if !matches!(step, Poll::Pending | Poll::Ready(Step::Dial(_))) {
                *standing = Standing::Stepped(ticket);
            }
            return step;
        }
        if let Some((_, checkout)) = self.take(key, home, now, after) {
            return Poll::Ready(Step::Candidate(checkout));
        }
        self.last_ticket += 1;
        *standing = Standing::InLine(self.last_ticket);
        let shelf = self.shelves.entry(key.clone()).or_insert_with(|| Shelf::new(key.clone()));
        key.clone_from(&shelf.key);
        shelf.enrol(self.last_ticket, home, now, &mut self.house, after);
        shelf.poll(self.last_ticket, waker)
    }

    /// A want goes back to its place in line, with what it was served still in its hands.
    pub(super) fn step_back(
        &mut self,
        key: &K,
        standing: &mut Standing,
        home: Home,
        now: Moment,
        after: &mut After<C>,
    ) {
        if let Standing::Stepped(ticket) = *standing {
            *standing = Standing::InLine(ticket);
            self.at(key, |shelf, house| shelf.enrol(ticket, home, now, house, after));
        }
    }

    /// A want goes. What it was given and did not come for is returned: a connection counts on.
    pub(super) fn leave(&mut self, key: &K, ticket: Ticket, now: Moment, after: &mut After<C>) -> Option<Served<C>> {
        self.at(key, |shelf, house| shelf.leave(ticket, now, house, after))?
    }

    /// A dial made a connection. A share of it that nobody waits for is returned.
    pub(super) fn established(
        &mut self,
        key: &K,
        ticket: Ticket,
        connection: C,
        home: Home,
        now: Moment,
        after: &mut After<C>,
    ) -> Option<Checkout<C>> {
        let share = self.at(key, |shelf, house| shelf.established(ticket, connection, home, now, house, after));
        self.evict(now, after);
        share?
    }

    /// The error, if it is nobody's.
    pub(super) fn failed(
        &mut self,
        key: &K,
        ticket: Ticket,
        error: Error,
        now: Moment,
        after: &mut After<C>,
    ) -> Option<Error> {
        self.at(key, |shelf, house| shelf.failed(ticket, error, now, house, after))?
    }

    pub(super) fn give_back(&mut self, key: &K, connection: C, home: Home, now: Moment, after: &mut After<C>) {
        self.at(key, |shelf, house| shelf.put(connection, home, None, now, house, after));
        self.evict(now, after);
    }

    /// A connection was closed by its holder, or an exchange on a shared one is over.
    pub(super) fn release(&mut self, key: &K, origin: Origin, now: Moment, after: &mut After<C>) {
        self.at(key, |shelf, house| shelf.release(origin, now, house, after));
        self.evict(now, after);
    }

    /// A shared connection takes no more exchanges.
    pub(super) fn retire(&mut self, key: &K, id: u64) {
        self.at(key, |shelf, _| shelf.retire(id));
    }

    /// The shared connections of a key are not as they were.
    pub(super) fn look(&mut self, key: &K, now: Moment, after: &mut After<C>) {
        self.at(key, |shelf, house| shelf.look(now, house, after));
    }

    pub(super) fn capacity(&self, key: &K) -> Option<usize> {
        self.shelves.get(key).and_then(Shelf::capacity)
    }

    pub(super) fn is_abandoned(&self, key: &K) -> bool {
        self.house.returning == Returning::Closed && !self.shelves.get(key).is_some_and(Shelf::is_wanted)
    }

    pub(super) fn close_idle(&mut self, now: Moment, after: &mut After<C>) {
        self.house.returning = Returning::Closed;
        self.everywhere(|shelf, house| shelf.close_idle(|_| true, now, house, after));
    }

    /// The same for one key, and without consequences for what comes later.
    pub(super) fn close_idle_of(&mut self, key: &K, now: Moment, after: &mut After<C>) {
        self.at(key, |shelf, house| shelf.close_idle(|_| true, now, house, after));
    }

    pub(super) fn stats(&self) -> Vec<(K, PoolStats)> {
        self.shelves.values().map(|shelf| (K::clone(&shelf.key), shelf.stats())).collect()
    }

    /// What is idle over all keys, as it is counted.
    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.house.idle
    }

    /// A janitor for the runtime, unless it has one.
    pub(super) fn hire_janitor(&mut self, home: Home) -> bool {
        let is_needed = !self.house.janitors.contains(&home);
        if is_needed {
            self.house.janitors.push(home);
        }
        is_needed
    }

    pub(super) fn dismiss_janitor(&mut self, home: Home) {
        self.house.janitors.retain(|other| *other != home);
    }

    /// Closes what is idle too long. When that will next be so for anything; when it never will,
    /// the janitor who asks goes.
    pub(super) fn clean(&mut self, home: Home, now: Moment, after: &mut After<C>) -> Option<Instant> {
        let limits = self.house.limits;
        self.everywhere(|shelf, house| shelf.close_idle(|rest| rest.is_over(now, &limits), now, house, after));
        let next = self.shelves.values().filter_map(Shelf::next_expiry).min();
        self.house.next_round = next;
        if next.is_none() {
            self.dismiss_janitor(home);
        }
        next
    }

    /// Closes what was idle longest while there is too much. With many keys this looks at each;
    /// it happens only when one more became idle than is kept.
    fn evict(&mut self, now: Moment, after: &mut After<C>) {
        let most = self.house.limits.max_idle;
        while most > 0 && self.house.idle > most {
            let oldest =
                self.shelves.values().filter_map(|shelf| Some((shelf.oldest()?, &shelf.key))).min_by_key(|it| it.0);
            let Some((stamp, key)) = oldest else { return };
            let key = key.clone();
            self.at(&key, |shelf, house| shelf.close_idle(|rest| rest.stamp == stamp, now, house, after));
        }
    }

    /// Decides about one key, and forgets it if nothing is left of it.
    fn at<R>(&mut self, key: &K, decision: impl FnOnce(&mut Shelf<K, C>, &mut House) -> R) -> Option<R> {
        let shelf = self.shelves.get_mut(key)?;
        let result = decision(shelf, &mut self.house);
        if shelf.is_bare() {
            self.shelves.remove(key);
        }
        Some(result)
    }

    fn everywhere(&mut self, mut decision: impl FnMut(&mut Shelf<K, C>, &mut House)) {
        let house = &mut self.house;
        self.shelves.retain(|_, shelf| {
            decision(shelf, house);
            !shelf.is_bare()
        });
    }
}

impl House {
    /// A stamp for a connection that becomes idle.
    pub(super) fn stamp(&mut self) -> u64 {
        self.last_stamp += 1;
        self.last_stamp
    }

    /// Counts a connection that became idle, and sees to it that a janitor comes in time.
    pub(super) fn note_idle<C>(&mut self, rest: &Rest, after: &mut After<C>) {
        self.idle += 1;
        after.watch = after.watch.max(self.watch(rest));
    }

    fn watch(&mut self, rest: &Rest) -> Watch {
        let Some(until) = rest.until else { return Watch::Nothing };
        if !self.janitors.contains(&rest.home) {
            return Watch::Start;
        }
        if self.next_round.is_some_and(|next| next <= until) {
            return Watch::Nothing;
        }
        self.next_round = Some(until);
        Watch::Sooner
    }
}

impl<C> After<C> {
    /// What is to be done now, if anything is.
    pub(super) fn take(&mut self) -> Option<After<C>> {
        let is_nothing = self.closing.is_empty() && self.waking.is_empty() && self.watch == Watch::Nothing;
        (!is_nothing).then(|| std::mem::take(self))
    }

    pub(super) fn close_and_wake(self) {
        drop(self.closing);
        self.waking.into_iter().for_each(Waker::wake);
    }
}

impl<C> Default for After<C> {
    fn default() -> After<C> {
        After { closing: Vec::new(), waking: Vec::new(), watch: Watch::Nothing }
    }
}
