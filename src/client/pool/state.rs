//! The pool's books: every key's connections, and what is decided over all of them.
//!
//! A decision takes all it needs, the time included, and what it cannot do itself, it leaves in an
//! [`Actions`]: nothing is closed and nobody woken under the lock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Poll, Waker};

use tokio::time::Instant;

use crate::error::Error;

use super::idle::{IdleInfo, RuntimeId, Timestamp};
use super::per_key::{Checkout, Origin, PerKey, Served, WaiterId};
use super::{Limits, PoolKey, PoolStats, Pooled};

pub(super) struct PoolState<K, C> {
    /// In order: most clients know a few keys, which are compared sooner than hashed.
    keys: BTreeMap<Arc<K>, PerKey<K, C>>,
    global: Global,
    last_waiter: WaiterId,
}

/// What the keys share.
pub(super) struct Global {
    pub(super) limits: Limits,
    pub(super) on_return: OnReturn,
    /// Idle connections over all keys.
    pub(super) idle: usize,
    /// Counts the connections that became idle: the lower, the longer ago.
    pub(super) last_stamp: u64,
    reapers: Vec<RuntimeId>,
    /// When the janitors come next, as far as they know.
    next_round: Option<Instant>,
}

/// What happens to a connection that nobody waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OnReturn {
    Kept,
    /// Idle ones were closed, and nobody wanted a connection since.
    Closed,
}

/// What is left to do when the lock is free again.
pub(super) struct Actions<C> {
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
pub(super) enum WaiterState {
    Outside,
    InLine(WaiterId),
    /// It was served with something that turned out to be dead: it may go back to its place.
    Stepped(WaiterId),
}

/// What a want is to do.
pub(super) enum Step<C> {
    /// To look whether this is alive, and to come again if not.
    Candidate(Checkout<C>),
    Connection(Checkout<C>),
    Dial(WaiterId),
    Failed(Error),
}

impl<K: PoolKey, C: Pooled> PoolState<K, C> {
    pub(super) fn new(limits: Limits) -> PoolState<K, C> {
        let global =
            Global { limits, on_return: OnReturn::Kept, idle: 0, last_stamp: 0, reapers: Vec::new(), next_round: None };
        PoolState { keys: BTreeMap::new(), global, last_waiter: 0 }
    }

    /// The idle connection of the key that was used last, or a share of one in use.
    pub(super) fn take(
        &mut self,
        key: &K,
        runtime: RuntimeId,
        now: Timestamp,
        actions: &mut Actions<C>,
    ) -> Option<(Arc<K>, Checkout<C>)> {
        self.global.on_return = OnReturn::Kept;
        self.at(key, |per_key, global| Some((per_key.key.clone(), per_key.take(runtime, now, global, actions)?)))?
    }

    /// What there is for a want. One that is new gets what is idle, or a place in line.
    pub(super) fn poll(
        &mut self,
        key: &mut Arc<K>,
        waiter_state: &mut WaiterState,
        runtime: RuntimeId,
        now: Timestamp,
        waker: &Waker,
        actions: &mut Actions<C>,
    ) -> Poll<Step<C>> {
        if let WaiterState::InLine(waiter) = *waiter_state {
            let step = self.at(key, |per_key, _| per_key.poll(waiter, waker));
            let step = step.expect("who is in line has a per_key, and is waiting there or served");
            if !matches!(step, Poll::Pending | Poll::Ready(Step::Dial(_))) {
                *waiter_state = WaiterState::Stepped(waiter);
            }
            return step;
        }
        if let Some((_, checkout)) = self.take(key, runtime, now, actions) {
            return Poll::Ready(Step::Candidate(checkout));
        }
        self.last_waiter += 1;
        *waiter_state = WaiterState::InLine(self.last_waiter);
        let per_key = self.keys.entry(key.clone()).or_insert_with(|| PerKey::new(key.clone()));
        key.clone_from(&per_key.key);
        per_key.enqueue(self.last_waiter, runtime, now, &mut self.global, actions);
        per_key.poll(self.last_waiter, waker)
    }

    /// A want goes back to its place in line, with what it was served still in its hands.
    pub(super) fn requeue(
        &mut self,
        key: &K,
        waiter_state: &mut WaiterState,
        runtime: RuntimeId,
        now: Timestamp,
        actions: &mut Actions<C>,
    ) {
        if let WaiterState::Stepped(waiter) = *waiter_state {
            *waiter_state = WaiterState::InLine(waiter);
            self.at(key, |per_key, global| per_key.enqueue(waiter, runtime, now, global, actions));
        }
    }

    /// A want goes. What it was given and did not come for is returned: a connection counts on.
    pub(super) fn leave(
        &mut self,
        key: &K,
        waiter: WaiterId,
        now: Timestamp,
        actions: &mut Actions<C>,
    ) -> Option<Served<C>> {
        self.at(key, |per_key, global| per_key.leave(waiter, now, global, actions))?
    }

    /// A dial made a connection. A share of it that nobody waits for is returned.
    pub(super) fn established(
        &mut self,
        key: &K,
        waiter: WaiterId,
        connection: C,
        runtime: RuntimeId,
        now: Timestamp,
        actions: &mut Actions<C>,
    ) -> Option<Checkout<C>> {
        let share =
            self.at(key, |per_key, global| per_key.established(waiter, connection, runtime, now, global, actions));
        self.evict(now, actions);
        share?
    }

    /// The error, if it is nobody's.
    pub(super) fn failed(
        &mut self,
        key: &K,
        waiter: WaiterId,
        error: Error,
        now: Timestamp,
        actions: &mut Actions<C>,
    ) -> Option<Error> {
        self.at(key, |per_key, global| per_key.failed(waiter, error, now, global, actions))?
    }

    pub(super) fn give_back(
        &mut self,
        key: &K,
        connection: C,
        runtime: RuntimeId,
        now: Timestamp,
        actions: &mut Actions<C>,
    ) {
        self.at(key, |per_key, global| per_key.put(connection, runtime, None, now, global, actions));
        self.evict(now, actions);
    }

    /// A connection was closed by its holder, or an exchange on a shared one is over.
    pub(super) fn release(&mut self, key: &K, origin: Origin, now: Timestamp, actions: &mut Actions<C>) {
        self.at(key, |per_key, global| per_key.release(origin, now, global, actions));
        self.evict(now, actions);
    }

    /// A shared connection takes no more exchanges.
    pub(super) fn retire(&mut self, key: &K, id: u64) {
        self.at(key, |per_key, _| per_key.retire(id));
    }

    /// The shared connections of a key are not as they were.
    pub(super) fn look(&mut self, key: &K, now: Timestamp, actions: &mut Actions<C>) {
        self.at(key, |per_key, global| per_key.look(now, global, actions));
    }

    pub(super) fn capacity(&self, key: &K) -> Option<usize> {
        self.keys.get(key).and_then(PerKey::capacity)
    }

    pub(super) fn is_abandoned(&self, key: &K) -> bool {
        self.global.on_return == OnReturn::Closed && !self.keys.get(key).is_some_and(PerKey::is_wanted)
    }

    pub(super) fn close_idle(&mut self, now: Timestamp, actions: &mut Actions<C>) {
        self.global.on_return = OnReturn::Closed;
        self.everywhere(|per_key, global| per_key.close_idle(|_| true, now, global, actions));
    }

    /// The same for one key, and without consequences for what comes later.
    pub(super) fn close_idle_of(&mut self, key: &K, now: Timestamp, actions: &mut Actions<C>) {
        self.at(key, |per_key, global| per_key.close_idle(|_| true, now, global, actions));
    }

    pub(super) fn stats(&self) -> Vec<(K, PoolStats)> {
        self.keys.values().map(|per_key| (K::clone(&per_key.key), per_key.stats())).collect()
    }

    /// What is idle over all keys, as it is counted.
    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.global.idle
    }

    /// A janitor for the runtime, unless it has one.
    pub(super) fn register_reaper(&mut self, runtime: RuntimeId) -> bool {
        let is_needed = !self.global.reapers.contains(&runtime);
        if is_needed {
            self.global.reapers.push(runtime);
        }
        is_needed
    }

    pub(super) fn remove_reaper(&mut self, runtime: RuntimeId) {
        self.global.reapers.retain(|other| *other != runtime);
    }

    /// Closes what is idle too long. When that will next be so for anything; when it never will,
    /// the janitor who asks goes.
    pub(super) fn clean(&mut self, runtime: RuntimeId, now: Timestamp, actions: &mut Actions<C>) -> Option<Instant> {
        let limits = self.global.limits;
        self.everywhere(|per_key, global| per_key.close_idle(|info| info.is_over(now, &limits), now, global, actions));
        let next = self.keys.values().filter_map(PerKey::next_expiry).min();
        self.global.next_round = next;
        if next.is_none() {
            self.remove_reaper(runtime);
        }
        next
    }

    /// Closes what was idle longest while there is too much. With many keys this looks at each;
    /// it happens only when one more became idle than is kept.
    fn evict(&mut self, now: Timestamp, actions: &mut Actions<C>) {
        let most = self.global.limits.max_idle;
        while most > 0 && self.global.idle > most {
            let oldest =
                self.keys.values().filter_map(|per_key| Some((per_key.oldest()?, &per_key.key))).min_by_key(|it| it.0);
            let Some((stamp, key)) = oldest else { return };
            let key = key.clone();
            self.at(&key, |per_key, global| per_key.close_idle(|info| info.stamp == stamp, now, global, actions));
        }
    }

    /// Decides about one key, and forgets it if nothing is left of it.
    fn at<R>(&mut self, key: &K, decision: impl FnOnce(&mut PerKey<K, C>, &mut Global) -> R) -> Option<R> {
        let per_key = self.keys.get_mut(key)?;
        let result = decision(per_key, &mut self.global);
        if per_key.is_bare() {
            self.keys.remove(key);
        }
        Some(result)
    }

    fn everywhere(&mut self, mut decision: impl FnMut(&mut PerKey<K, C>, &mut Global)) {
        let global = &mut self.global;
        self.keys.retain(|_, per_key| {
            decision(per_key, global);
            !per_key.is_bare()
        });
    }
}

impl Global {
    /// A stamp for a connection that becomes idle.
    pub(super) fn stamp(&mut self) -> u64 {
        self.last_stamp += 1;
        self.last_stamp
    }

    /// Counts a connection that became idle, and sees to it that a janitor comes in time.
    pub(super) fn note_idle<C>(&mut self, info: &IdleInfo, actions: &mut Actions<C>) {
        self.idle += 1;
        actions.watch = actions.watch.max(self.watch(info));
    }

    fn watch(&mut self, info: &IdleInfo) -> Watch {
        let Some(until) = info.until else { return Watch::Nothing };
        if !self.reapers.contains(&info.runtime) {
            return Watch::Start;
        }
        if self.next_round.is_some_and(|next| next <= until) {
            return Watch::Nothing;
        }
        self.next_round = Some(until);
        Watch::Sooner
    }
}

impl<C> Actions<C> {
    /// What is to be done now, if anything is.
    pub(super) fn take(&mut self) -> Option<Actions<C>> {
        let is_nothing = self.closing.is_empty() && self.waking.is_empty() && self.watch == Watch::Nothing;
        (!is_nothing).then(|| std::mem::take(self))
    }

    pub(super) fn close_and_wake(self) {
        drop(self.closing);
        self.waking.into_iter().for_each(Waker::wake);
    }
}

impl<C> Default for Actions<C> {
    fn default() -> Actions<C> {
        Actions { closing: Vec::new(), waking: Vec::new(), watch: Watch::Nothing }
    }
}
