//! One key: its connections, idle and shared, its dials, and the line of those who wait.
//!
//! Nobody of a runtime waits while a connection of that runtime is idle, and nobody is without a
//! dial while there is room for one. Every decision ends in [`Shelf::settle`], which makes that so.

mod shared;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Phase};

use super::book::{After, House, Returning, Step};
use super::rest::{Home, Moment, Rest};
use super::{Health, PoolKey, PoolStats, Pooled, WhenFull};
use shared::Shared;

/// A place in line: the lower, the sooner served.
pub(super) type Ticket = u64;

pub(super) struct Shelf<K, C> {
    pub(super) key: Arc<K>,
    nature: Nature,
    /// Connections that are being made, in use or idle.
    places: usize,
    /// Those of them that are being made.
    dialing: usize,
    /// The one used last is the last.
    idle: Vec<Idle<C>>,
    shared: Vec<Shared<C>>,
    waiting: BTreeMap<Ticket, Waiter>,
    /// Those who wait and have no dial.
    without_dial: BTreeSet<Ticket>,
    /// What was given to who has not come for it yet.
    served: HashMap<Ticket, Served<C>>,
}

/// What the connections of a key are like, as far as the last one showed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nature {
    Unknown,
    /// One exchange at a time.
    Exclusive,
    /// Many at a time.
    Shared,
}

struct Idle<C> {
    connection: C,
    rest: Rest,
}

struct Waiter {
    home: Home,
    dial: Dial,
    waker: Option<Waker>,
}

/// The dial of one who waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dial {
    None,
    /// It may dial, and does not know yet.
    Offered,
    Running,
}

pub(super) enum Served<C> {
    Connection(Checkout<C>),
    Failed(Error),
}

/// A connection on its way to who uses it.
pub(super) struct Checkout<C> {
    pub(super) connection: C,
    pub(super) origin: Origin,
    pub(super) idle_for: Option<Duration>,
}

/// What a connection in use is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    /// Its user's alone; it belongs to this runtime.
    Own(Home),
    /// A share of the connection with this number.
    Share(u64),
}

impl<K: PoolKey, C: Pooled> Shelf<K, C> {
    pub(super) fn new(key: Arc<K>) -> Shelf<K, C> {
        let nature = if key.may_share() { Nature::Unknown } else { Nature::Exclusive };
        Shelf {
            key,
            nature,
            places: 0,
            dialing: 0,
            idle: Vec::new(),
            shared: Vec::new(),
            waiting: BTreeMap::new(),
            without_dial: BTreeSet::new(),
            served: HashMap::new(),
        }
    }

    /// The connection that was used last, or a share of one that takes another exchange. What is
    /// too old on the way there is closed.
    pub(super) fn take(
        &mut self,
        home: Home,
        now: Moment,
        house: &mut House,
        after: &mut After<C>,
    ) -> Option<Checkout<C>> {
        if let Some(share) = self.lend(home, now, house, after) {
            return Some(share);
        }
        while let Some(at) = self.idle.iter().rposition(|idle| idle.rest.home == home) {
            let Idle { connection, rest } = self.idle.remove(at);
            house.idle -= 1;
            if let Some(idle_for) = rest.lasted(now, &house.limits) {
                return Some(Checkout { connection, origin: Origin::Own(home), idle_for: Some(idle_for) });
            }
            self.close(connection, after);
        }
        None
    }

    /// Puts a want in line.
    pub(super) fn enrol(&mut self, ticket: Ticket, home: Home, now: Moment, house: &mut House, after: &mut After<C>) {
        self.waiting.insert(ticket, Waiter { home, dial: Dial::None, waker: None });
        self.without_dial.insert(ticket);
        self.settle(now, house, after);
    }

    /// What there is for who is in line.
    pub(super) fn poll(&mut self, ticket: Ticket, waker: &Waker) -> Poll<Step<C>> {
        match self.served.remove(&ticket) {
            Some(Served::Failed(error)) => return Poll::Ready(Step::Failed(error)),
            // It was alive when it was given; a shared one may have died of another's exchange.
            Some(Served::Connection(it)) if matches!(it.origin, Origin::Own(_)) => {
                return Poll::Ready(Step::Connection(it));
            }
            Some(Served::Connection(it)) => return Poll::Ready(Step::Candidate(it)),
            None => {}
        }
        let waiter = self.waiting.get_mut(&ticket).expect("who is in line waits or is served");
        if waiter.dial == Dial::Offered {
            waiter.dial = Dial::Running;
            return Poll::Ready(Step::Dial(ticket));
        }
        match &mut waiter.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        Poll::Pending
    }

    /// Takes a want out of the line. What it was given and did not come for is returned.
    pub(super) fn leave(
        &mut self,
        ticket: Ticket,
        now: Moment,
        house: &mut House,
        after: &mut After<C>,
    ) -> Option<Served<C>> {
        self.step_out(ticket);
        self.settle(now, house, after);
        self.served.remove(&ticket)
    }

    /// A dial made a connection. A share of it that nobody waits for is returned.
    pub(super) fn established(
        &mut self,
        ticket: Ticket,
        connection: C,
        home: Home,
        now: Moment,
        house: &mut House,
        after: &mut After<C>,
    ) -> Option<Checkout<C>> {
        self.dialing -= 1;
        let Some(share) = connection.share() else {
            if connection.health() == Health::Spent {
                after.closing.push(connection);
                let error =
                    Error::new(ErrorKind::CutOff, "the server ended the connection at once").during(Phase::Connect);
                // Nobody's error is nobody's.
                let _untold = self.fail(ticket, error, now, house, after);
                return None;
            }
            self.nature = Nature::Exclusive;
            self.put(connection, home, Some(ticket), now, house, after);
            return None;
        };
        self.nature = Nature::Shared;
        let shared = Shared::new(connection, home, now, house);
        let mut share = Some(Checkout { connection: share, origin: Origin::Share(shared.id()), idle_for: None });
        self.shared.push(shared);
        if let Some(next) = self.own_or_first(Some(ticket), home) {
            self.serve(next, Served::Connection(share.take()?), after);
        }
        self.settle(now, house, after);
        share
    }

    /// A dial failed. The error is returned if its want waits no more.
    pub(super) fn failed(
        &mut self,
        ticket: Ticket,
        error: Error,
        now: Moment,
        house: &mut House,
        after: &mut After<C>,
    ) -> Option<Error> {
        self.dialing -= 1;
        self.fail(ticket, error, now, house, after)
    }

    fn fail(
        &mut self,
        ticket: Ticket,
        error: Error,
        now: Moment,
        house: &mut House,
        after: &mut After<C>,
    ) -> Option<Error> {
        self.places -= 1;
        let mut untold = Some(error);
        if self.waiting.contains_key(&ticket) {
            self.serve(ticket, Served::Failed(untold.take()?), after);
        }
        self.settle(now, house, after);
        untold
    }

    /// A connection that can carry an exchange: for its own want, whatever runtime that is on, for
    /// the next in line, or to be kept.
    pub(super) fn put(
        &mut self,
        connection: C,
        home: Home,
        own: Option<Ticket>,
        now: Moment,
        house: &mut House,
        after: &mut After<C>,
    ) {
        // One that is fresh is taken as it is: its want has no other dial.
        let is_old = own.is_none() && connection.expires().is_some_and(|expires| expires <= now.steady);
        match self.own_or_first(own, home) {
            _ if is_old => self.close(connection, after),
            Some(next) => {
                let checkout = Checkout { connection, origin: Origin::Own(home), idle_for: None };
                self.serve(next, Served::Connection(checkout), after);
            }
            None if house.returning == Returning::Closed || self.idle.len() >= house.limits.max_idle_per_key => {
                self.close(connection, after);
            }
            None => {
                let rest = Rest::new(&connection, home, now, house);
                self.idle.push(Idle { connection, rest });
                house.note_idle(&rest, after);
            }
        }
        self.settle(now, house, after);
    }

    /// A connection was closed by who used it, or an exchange on a shared one is over.
    pub(super) fn release(&mut self, origin: Origin, now: Moment, house: &mut House, after: &mut After<C>) {
        match origin {
            Origin::Own(_) => self.places -= 1,
            Origin::Share(id) => self.end_exchange(id, now, house, after),
        }
        self.settle(now, house, after);
    }

    /// Closes the idle connections that are to go.
    pub(super) fn close_idle(
        &mut self,
        goes: impl Fn(&Rest) -> bool,
        now: Moment,
        house: &mut House,
        after: &mut After<C>,
    ) {
        let before = self.idle_count();
        let idle = extract(&mut self.idle, |idle| goes(&idle.rest));
        after.closing.extend(idle.into_iter().map(|idle| idle.connection));
        let shared = extract(&mut self.shared, |shared| shared.is_idle() && goes(&shared.rest));
        after.closing.extend(shared.into_iter().map(|shared| shared.connection));
        let closed = before - self.idle_count();
        if closed > 0 {
            house.idle -= closed;
            self.places -= closed;
            self.settle(now, house, after);
        }
    }

    pub(super) fn is_wanted(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether nothing is left of it, and nobody has a handle on it.
    pub(super) fn is_bare(&self) -> bool {
        self.places == 0 && self.waiting.is_empty() && self.served.is_empty()
    }

    pub(super) fn stats(&self) -> PoolStats {
        let idle = self.idle_count();
        let in_use = self.places - self.dialing - idle;
        PoolStats { idle, in_use, dialing: self.dialing, waiting: self.waiting.len() }
    }

    /// The stamp of what was idle longest.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.rests().map(|rest| rest.stamp).min()
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.rests().filter_map(|rest| rest.until).min()
    }

    fn rests(&self) -> impl Iterator<Item = &Rest> {
        let shared = self.shared.iter().filter(|shared| shared.is_idle());
        self.idle.iter().map(|idle| &idle.rest).chain(shared.map(|shared| &shared.rest))
    }

    fn idle_count(&self) -> usize {
        self.idle.len() + self.shared.iter().filter(|shared| shared.is_idle()).count()
    }

    /// Serves who can be served, and lets dial who may.
    pub(super) fn settle(&mut self, now: Moment, house: &mut House, after: &mut After<C>) {
        if self.waiting.is_empty() {
            return;
        }
        self.serve_shares(now, house, after);
        while let Some(&ticket) = self.without_dial.first() {
            // What a connection will be like is found out by one dial, not by many.
            let finds_out = self.nature != Nature::Exclusive;
            if (finds_out && self.dialing > 0) || self.waits_for_share(ticket, house) || !self.has_room(house, after) {
                return;
            }
            self.without_dial.remove(&ticket);
            self.places += 1;
            self.dialing += 1;
            if let Some(waiter) = self.waiting.get_mut(&ticket) {
                waiter.dial = Dial::Offered;
                after.waking.extend(waiter.waker.take());
            }
        }
    }

    /// Whether a want is to wait for a share of what is there already.
    fn waits_for_share(&self, ticket: Ticket, house: &House) -> bool {
        let home = self.waiting.get(&ticket).map(|waiter| waiter.home);
        house.limits.when_full == WhenFull::Waits
            && self.shared.iter().any(|shared| Some(shared.rest.home) == home && shared.takes_more())
    }

    /// Whether there is room for one more. An idle connection that is there while somebody waits is
    /// another runtime's, and makes room.
    fn has_room(&mut self, house: &mut House, after: &mut After<C>) -> bool {
        let most = house.limits.max_per_key;
        if most == 0 || self.places < most {
            return true;
        }
        let Some(oldest) = self.oldest() else { return false };
        let idle = extract(&mut self.idle, |idle| idle.rest.stamp == oldest).pop().map(|idle| idle.connection);
        let is_oldest = |shared: &Shared<C>| shared.is_idle() && shared.rest.stamp == oldest;
        let shared = extract(&mut self.shared, is_oldest).pop().map(|shared| shared.connection);
        after.closing.extend(idle.or(shared));
        house.idle -= 1;
        self.places -= 1;
        true
    }

    /// The want that asked for a dial, if it waits; else the next in line, on this runtime.
    fn own_or_first(&self, own: Option<Ticket>, home: Home) -> Option<Ticket> {
        own.filter(|own| self.waiting.contains_key(own)).or_else(|| self.first(home))
    }

    fn first(&self, home: Home) -> Option<Ticket> {
        self.waiting.iter().find(|(_, waiter)| waiter.home == home).map(|(ticket, _)| *ticket)
    }

    /// Puts down for a want what it is to come for.
    fn serve(&mut self, ticket: Ticket, served: Served<C>, after: &mut After<C>) {
        after.waking.extend(self.step_out(ticket));
        self.served.insert(ticket, served);
    }

    /// Takes a want out of those who wait. A dial that it did not start is another's. Its waker.
    fn step_out(&mut self, ticket: Ticket) -> Option<Waker> {
        let waiter = self.waiting.remove(&ticket)?;
        self.without_dial.remove(&ticket);
        if waiter.dial == Dial::Offered {
            self.dialing -= 1;
            self.places -= 1;
        }
        waiter.waker
    }

    fn close(&mut self, connection: C, after: &mut After<C>) {
        self.places -= 1;
        after.closing.push(connection);
    }
}

/// Takes out of a list what is to go; what stays keeps its order.
fn extract<T>(list: &mut Vec<T>, goes: impl Fn(&T) -> bool) -> Vec<T> {
    if !list.iter().any(&goes) {
        return Vec::new();
    }
    let (gone, stays) = std::mem::take(list).into_iter().partition(goes);
    *list = stays;
    gone
}
