//! One key: its connections, idle and shared, its dials, and the line of those who wait.
//!
//! Nobody of a runtime waits while a connection of that runtime is idle, and nobody is without a
//! dial while there is room for one. Every decision ends in [`PerKey::serve_waiters`], which makes that so.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::{Error, ErrorKind, Phase};

use super::idle::{IdleInfo, RuntimeId, Timestamp};
use super::multiplexed::Multiplexed;
use super::state::{Actions, Global, OnReturn, Step};
use super::{Health, PoolKey, PoolStats, Pooled, WhenFull};

/// A place in line: the lower, the sooner served.
pub(super) type WaiterId = u64;

pub(super) struct PerKey<K, C> {
    pub(super) key: Arc<K>,
    multiplexing: Multiplexing,
    /// Connections that are being made, in use or idle.
    places: usize,
    /// Those of them that are being made.
    dialing: usize,
    /// The one used last is the last.
    idle: Vec<Idle<C>>,
    pub(super) shared: Vec<Multiplexed<C>>,
    waiting: BTreeMap<WaiterId, Waiter>,
    /// Those who wait and have no dial.
    without_dial: BTreeSet<WaiterId>,
    /// What was given to who has not come for it yet.
    served: HashMap<WaiterId, Served<C>>,
}

/// What the connections of a key are like, as far as the last one showed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Multiplexing {
    Unknown,
    /// One exchange at a time.
    Exclusive,
    /// Many at a time.
    Multiplexed,
}

struct Idle<C> {
    connection: C,
    info: IdleInfo,
}

struct Waiter {
    runtime: RuntimeId,
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
    Own(RuntimeId),
    /// A share of the connection with this number.
    Share(u64),
}

impl<K: PoolKey, C: Pooled> PerKey<K, C> {
    pub(super) fn new(key: Arc<K>) -> PerKey<K, C> {
        let multiplexing = if key.may_share() { Multiplexing::Unknown } else { Multiplexing::Exclusive };
        PerKey {
            key,
            multiplexing,
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
        runtime: RuntimeId,
        now: Timestamp,
        global: &mut Global,
        actions: &mut Actions<C>,
    ) -> Option<Checkout<C>> {
        if let Some(share) = self.lend(runtime, now, global, actions) {
            return Some(share);
        }
        while let Some(at) = self.idle.iter().rposition(|idle| idle.info.runtime == runtime) {
            let Idle { connection, info } = self.idle.remove(at);
            global.idle -= 1;
            if let Some(idle_for) = info.lasted(now, &global.limits) {
                return Some(Checkout { connection, origin: Origin::Own(runtime), idle_for: Some(idle_for) });
            }
            self.close(connection, actions);
        }
        None
    }

    /// Puts a want in line.
    pub(super) fn enqueue(
        &mut self,
        waiter: WaiterId,
        runtime: RuntimeId,
        now: Timestamp,
        global: &mut Global,
        actions: &mut Actions<C>,
    ) {
        self.waiting.insert(waiter, Waiter { runtime, dial: Dial::None, waker: None });
        self.without_dial.insert(waiter);
        self.serve_waiters(now, global, actions);
    }

    /// What there is for who is in line.
    pub(super) fn poll(&mut self, waiter: WaiterId, waker: &Waker) -> Poll<Step<C>> {
        match self.served.remove(&waiter) {
            Some(Served::Failed(error)) => return Poll::Ready(Step::Failed(error)),
            // It was alive when it was given; a shared one may have died of another's exchange.
            Some(Served::Connection(it)) if matches!(it.origin, Origin::Own(_)) => {
                return Poll::Ready(Step::Connection(it));
            }
            Some(Served::Connection(it)) => return Poll::Ready(Step::Candidate(it)),
            None => {}
        }
        let waiting = self.waiting.get_mut(&waiter).expect("who is in line waits or is served");
        if waiting.dial == Dial::Offered {
            waiting.dial = Dial::Running;
            return Poll::Ready(Step::Dial(waiter));
        }
        match &mut waiting.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        Poll::Pending
    }

    /// Takes a want out of the line. What it was given and did not come for is returned.
    pub(super) fn leave(
        &mut self,
        waiter: WaiterId,
        now: Timestamp,
        global: &mut Global,
        actions: &mut Actions<C>,
    ) -> Option<Served<C>> {
        self.dequeue(waiter);
        self.serve_waiters(now, global, actions);
        self.served.remove(&waiter)
    }

    /// A dial made a connection. A share of it that nobody waits for is returned.
    pub(super) fn established(
        &mut self,
        waiter: WaiterId,
        connection: C,
        runtime: RuntimeId,
        now: Timestamp,
        global: &mut Global,
        actions: &mut Actions<C>,
    ) -> Option<Checkout<C>> {
        self.dialing -= 1;
        let Some(share) = connection.share() else {
            if connection.health() == Health::Spent {
                actions.closing.push(connection);
                let error =
                    Error::new(ErrorKind::CutOff, "the server ended the connection at once").during(Phase::Connect);
                // Nobody's error is nobody's.
                let _untold = self.fail(waiter, error, now, global, actions);
                return None;
            }
            self.multiplexing = Multiplexing::Exclusive;
            self.put(connection, runtime, Some(waiter), now, global, actions);
            return None;
        };
        self.multiplexing = Multiplexing::Multiplexed;
        let shared = Multiplexed::new(connection, runtime, now, global);
        let mut share = Some(Checkout { connection: share, origin: Origin::Share(shared.id()), idle_for: None });
        self.shared.push(shared);
        if let Some(next) = self.own_or_first(Some(waiter), runtime) {
            self.serve(next, Served::Connection(share.take()?), actions);
        }
        self.serve_waiters(now, global, actions);
        share
    }

    /// A dial failed. The error is returned if its want waits no more.
    pub(super) fn failed(
        &mut self,
        waiter: WaiterId,
        error: Error,
        now: Timestamp,
        global: &mut Global,
        actions: &mut Actions<C>,
    ) -> Option<Error> {
        self.dialing -= 1;
        self.fail(waiter, error, now, global, actions)
    }

    fn fail(
        &mut self,
        waiter: WaiterId,
        error: Error,
        now: Timestamp,
        global: &mut Global,
        actions: &mut Actions<C>,
    ) -> Option<Error> {
        self.places -= 1;
        let mut untold = Some(error);
        if self.waiting.contains_key(&waiter) {
            self.serve(waiter, Served::Failed(untold.take()?), actions);
        }
        self.serve_waiters(now, global, actions);
        untold
    }

    /// A connection that can carry an exchange: for its own want, whatever runtime that is on, for
    /// the next in line, or to be kept.
    pub(super) fn put(
        &mut self,
        connection: C,
        runtime: RuntimeId,
        own: Option<WaiterId>,
        now: Timestamp,
        global: &mut Global,
        actions: &mut Actions<C>,
    ) {
        // One that is fresh is taken as it is: its want has no other dial.
        let is_old = own.is_none() && connection.expires().is_some_and(|expires| expires <= now.steady);
        match self.own_or_first(own, runtime) {
            _ if is_old => self.close(connection, actions),
            Some(next) => {
                let checkout = Checkout { connection, origin: Origin::Own(runtime), idle_for: None };
                self.serve(next, Served::Connection(checkout), actions);
            }
            None if global.on_return == OnReturn::Closed || self.idle.len() >= global.limits.max_idle_per_key => {
                self.close(connection, actions);
            }
            None => {
                let info = IdleInfo::new(&connection, runtime, now, global);
                self.idle.push(Idle { connection, info });
                global.note_idle(&info, actions);
            }
        }
        self.serve_waiters(now, global, actions);
    }

    /// A connection was closed by who used it, or an exchange on a shared one is over.
    pub(super) fn release(&mut self, origin: Origin, now: Timestamp, global: &mut Global, actions: &mut Actions<C>) {
        match origin {
            Origin::Own(_) => self.places -= 1,
            Origin::Share(id) => self.end_exchange(id, now, global, actions),
        }
        self.serve_waiters(now, global, actions);
    }

    /// Closes the idle connections that are to go.
    pub(super) fn close_idle(
        &mut self,
        goes: impl Fn(&IdleInfo) -> bool,
        now: Timestamp,
        global: &mut Global,
        actions: &mut Actions<C>,
    ) {
        let before = self.idle_count();
        let idle = extract(&mut self.idle, |idle| goes(&idle.info));
        actions.closing.extend(idle.into_iter().map(|idle| idle.connection));
        let shared = extract(&mut self.shared, |shared| shared.is_idle() && goes(&shared.info));
        actions.closing.extend(shared.into_iter().map(|shared| shared.connection));
        let closed = before - self.idle_count();
        if closed > 0 {
            global.idle -= closed;
            self.places -= closed;
            self.serve_waiters(now, global, actions);
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
        self.idle_infos().map(|info| info.stamp).min()
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.idle_infos().filter_map(|info| info.until).min()
    }

    fn idle_infos(&self) -> impl Iterator<Item = &IdleInfo> {
        let shared = self.shared.iter().filter(|shared| shared.is_idle());
        self.idle.iter().map(|idle| &idle.info).chain(shared.map(|shared| &shared.info))
    }

    fn idle_count(&self) -> usize {
        self.idle.len() + self.shared.iter().filter(|shared| shared.is_idle()).count()
    }

    /// Serves who can be served, and lets dial who may.
    pub(super) fn serve_waiters(&mut self, now: Timestamp, global: &mut Global, actions: &mut Actions<C>) {
        if self.waiting.is_empty() {
            return;
        }
        self.serve_shares(now, global, actions);
        while let Some(&waiter) = self.without_dial.first() {
            // What a connection will be like is found out by one dial, not by many.
            let finds_out = self.multiplexing != Multiplexing::Exclusive;
            if (finds_out && self.dialing > 0)
                || self.waits_for_share(waiter, global)
                || !self.has_room(global, actions)
            {
                return;
            }
            self.without_dial.remove(&waiter);
            self.places += 1;
            self.dialing += 1;
            if let Some(waiting) = self.waiting.get_mut(&waiter) {
                waiting.dial = Dial::Offered;
                actions.waking.extend(waiting.waker.take());
            }
        }
    }

    /// Whether a want is to wait for a share of what is there already.
    fn waits_for_share(&self, waiter: WaiterId, global: &Global) -> bool {
        let runtime = self.waiting.get(&waiter).map(|waiter| waiter.runtime);
        global.limits.when_full == WhenFull::Waits
            && self.shared.iter().any(|shared| Some(shared.info.runtime) == runtime && shared.takes_more())
    }

    /// Whether there is room for one more. An idle connection that is there while somebody waits is
    /// another runtime's, and makes room.
    fn has_room(&mut self, global: &mut Global, actions: &mut Actions<C>) -> bool {
        let most = global.limits.max_per_key;
        if most == 0 || self.places < most {
            return true;
        }
        let Some(oldest) = self.oldest() else { return false };
        let idle = extract(&mut self.idle, |idle| idle.info.stamp == oldest).pop().map(|idle| idle.connection);
        let is_oldest = |shared: &Multiplexed<C>| shared.is_idle() && shared.info.stamp == oldest;
        let shared = extract(&mut self.shared, is_oldest).pop().map(|shared| shared.connection);
        actions.closing.extend(idle.or(shared));
        global.idle -= 1;
        self.places -= 1;
        true
    }

    /// The want that asked for a dial, if it waits; else the next in line, on this runtime.
    fn own_or_first(&self, own: Option<WaiterId>, runtime: RuntimeId) -> Option<WaiterId> {
        own.filter(|own| self.waiting.contains_key(own)).or_else(|| self.first(runtime))
    }

    pub(super) fn first(&self, runtime: RuntimeId) -> Option<WaiterId> {
        self.waiting.iter().find(|(_, waiter)| waiter.runtime == runtime).map(|(waiter, _)| *waiter)
    }

    /// Puts down for a want what it is to come for.
    pub(super) fn serve(&mut self, waiter: WaiterId, served: Served<C>, actions: &mut Actions<C>) {
        actions.waking.extend(self.dequeue(waiter));
        self.served.insert(waiter, served);
    }

    /// Takes a want out of those who wait. A dial that it did not start is another's. Its waker.
    fn dequeue(&mut self, waiter: WaiterId) -> Option<Waker> {
        let waiting = self.waiting.remove(&waiter)?;
        self.without_dial.remove(&waiter);
        if waiting.dial == Dial::Offered {
            self.dialing -= 1;
            self.places -= 1;
        }
        waiting.waker
    }

    pub(super) fn close(&mut self, connection: C, actions: &mut Actions<C>) {
        self.places -= 1;
        actions.closing.push(connection);
    }
}

/// Takes out of a list what is to go; what stays keeps its order.
pub(super) fn extract<T>(list: &mut Vec<T>, goes: impl Fn(&T) -> bool) -> Vec<T> {
    if !list.iter().any(&goes) {
        return Vec::new();
    }
    let (gone, stays) = std::mem::take(list).into_iter().partition(goes);
    *list = stays;
    gone
}
