//! The pool's state: every key's connections, and the decisions about them.
//!
//! A decision takes all it needs as arguments, the time included. What must not happen under the
//! lock, it leaves in [`Actions`]: no connection is closed and no task woken here.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Poll, Waker};

use tokio::time::Instant;

use super::checkout::{AcquireStep, Checkout, Origin, RuntimeId, Served, Timestamp, WaiterId, WaiterState};
use super::contract::{Limits, PoolKey, PoolStats, Pooled};
use super::global::{Actions, Global, OnReturn, PoolContext};
use super::per_key::PerKey;
use crate::error::Error;

pub(super) struct PoolState<K, C> {
    /// A tree, not a hash table: most clients know a few keys, which are compared sooner than hashed.
    keys: BTreeMap<Arc<K>, PerKey<K, C>>,
    pub(super) global: Global,
    /// The actions that the present decision leaves: mostly none.
    pub(super) actions: Actions<C>,
    last_waiter: WaiterId,
}

impl<K: PoolKey, C: Pooled> PoolState<K, C> {
    pub(super) fn new(limits: Limits) -> PoolState<K, C> {
        PoolState { keys: BTreeMap::new(), global: Global::new(limits), actions: Actions::default(), last_waiter: 0 }
    }

    /// An exchange on a multiplexed connection of the key, or the idle connection used last.
    pub(super) fn checkout(&mut self, key: &K, runtime: RuntimeId, now: Timestamp) -> Option<(Arc<K>, Checkout<C>)> {
        self.global.on_return = OnReturn::Keep;
        self.at(key, now, |per_key, cx| Some((per_key.key.clone(), per_key.checkout(runtime, cx)?)))?
    }

    /// The next step for an `Acquire`. A new one gets an idle connection, or a place in the queue.
    pub(super) fn poll(
        &mut self,
        key: &mut Arc<K>,
        waiter_state: &mut WaiterState,
        runtime: RuntimeId,
        now: Timestamp,
        waker: &Waker,
    ) -> Poll<AcquireStep<C>> {
        if let WaiterState::Queued(waiter) = *waiter_state {
            let step = self.at(key, now, |per_key, _| per_key.poll(waiter, waker));
            let step = step.expect("a key with a queued waiter is not forgotten");
            if !matches!(step, Poll::Pending | Poll::Ready(AcquireStep::Dial(_))) {
                *waiter_state = WaiterState::Probing(waiter);
            }
            return step;
        }
        if let Some((_, checkout)) = self.checkout(key, runtime, now) {
            return Poll::Ready(AcquireStep::Probe(checkout));
        }
        self.last_waiter += 1;
        let waiter = self.last_waiter;
        *waiter_state = WaiterState::Queued(waiter);
        let per_key = self.keys.entry(key.clone()).or_insert_with(|| PerKey::new(key.clone()));
        // One allocation of the key for all handles.
        key.clone_from(&per_key.key);
        let mut cx = PoolContext { now, global: &mut self.global, actions: &mut self.actions };
        per_key.enqueue(waiter, runtime, &mut cx);
        per_key.poll(waiter, waker)
    }

    /// The connection that a waiter was served with is dead: the waiter goes back to its old place
    /// before it drops the connection, so that it is the first to get the room that this frees.
    pub(super) fn requeue(&mut self, key: &K, waiter_state: &mut WaiterState, runtime: RuntimeId, now: Timestamp) {
        if let WaiterState::Probing(waiter) = *waiter_state {
            *waiter_state = WaiterState::Queued(waiter);
            self.at(key, now, |per_key, cx| per_key.enqueue(waiter, runtime, cx));
        }
    }

    /// Removes a waiter. What it was served with and has not fetched is returned, and still counts.
    pub(super) fn leave(&mut self, key: &K, waiter: WaiterId, now: Timestamp) -> Option<Served<C>> {
        self.at(key, now, |per_key, cx| per_key.leave(waiter, cx))?
    }

    /// A dial made a connection. If no caller waits for an exchange on it, that exchange is returned.
    pub(super) fn established(
        &mut self,
        key: &K,
        waiter: WaiterId,
        connection: C,
        runtime: RuntimeId,
        now: Timestamp,
    ) -> Option<Checkout<C>> {
        let unused = self.at(key, now, |per_key, cx| per_key.established(waiter, connection, runtime, cx));
        self.evict(now);
        unused?
    }

    /// A dial failed. The error is returned if its waiter has left.
    pub(super) fn failed(&mut self, key: &K, waiter: WaiterId, error: Error, now: Timestamp) -> Option<Error> {
        self.at(key, now, |per_key, cx| per_key.failed(waiter, error, cx))?
    }

    /// An exclusive connection comes back and can carry another exchange.
    pub(super) fn give_back(&mut self, key: &K, connection: C, runtime: RuntimeId, now: Timestamp) {
        self.at(key, now, |per_key, cx| per_key.give_back(connection, runtime, cx));
        self.evict(now);
    }

    /// An exclusive connection was closed by its user, or an exchange on a multiplexed one is over.
    pub(super) fn release(&mut self, key: &K, origin: Origin, now: Timestamp) {
        self.at(key, now, |per_key, cx| per_key.release(origin, cx));
        self.evict(now);
    }

    /// A multiplexed connection takes no more exchanges.
    pub(super) fn retire(&mut self, key: &K, id: u64, now: Timestamp) {
        self.at(key, now, |per_key, _| per_key.retire(id));
    }

    /// A multiplexed connection of the key takes more exchanges than before, or none any more.
    pub(super) fn refresh(&mut self, key: &K, now: Timestamp) {
        self.at(key, now, PerKey::refresh);
    }

    pub(super) fn capacity(&self, key: &K) -> Option<usize> {
        self.keys.get(key).and_then(PerKey::capacity)
    }

    /// Whether no caller needs a dial for the key any more.
    pub(super) fn is_abandoned(&self, key: &K) -> bool {
        self.global.on_return == OnReturn::Close && !self.keys.get(key).is_some_and(PerKey::has_waiters)
    }

    pub(super) fn close_idle(&mut self, now: Timestamp) {
        self.global.on_return = OnReturn::Close;
        self.everywhere(now, |per_key, cx| per_key.close_idle(|_| true, cx));
    }

    /// The same for one key. Connections that become idle later are kept.
    pub(super) fn close_idle_of(&mut self, key: &K, now: Timestamp) {
        self.at(key, now, |per_key, cx| per_key.close_idle(|_| true, cx));
    }

    pub(super) fn stats(&self) -> Vec<(K, PoolStats)> {
        self.keys.values().map(|per_key| (K::clone(&per_key.key), per_key.stats())).collect()
    }

    /// Closes what was idle for too long. Returns when the next connection will be; if none is idle,
    /// the calling reaper is removed and ends.
    pub(super) fn reap(&mut self, runtime: RuntimeId, now: Timestamp) -> Option<Instant> {
        self.everywhere(now, |per_key, cx| per_key.close_idle(|info| info.is_over(now), cx));
        let next = self.keys.values().filter_map(PerKey::next_expiry).min();
        self.global.plan_reaping(next);
        if next.is_none() {
            self.global.remove_reaper(runtime);
        }
        next
    }

    /// Closes what was idle longest while there are too many idle connections. It visits every key, but
    /// only when one connection too many became idle.
    fn evict(&mut self, now: Timestamp) {
        let most = self.global.limits.max_idle;
        while most > 0 && self.global.idle_count > most {
            let oldest =
                self.keys.values().filter_map(|per_key| Some((per_key.oldest()?, &per_key.key))).min_by_key(|it| it.0);
            let Some((stamp, key)) = oldest else { return };
            let key = key.clone();
            self.at(&key, now, |per_key, cx| per_key.close_idle(|info| info.stamp == stamp, cx));
        }
    }

    /// Decides about one key, and forgets it if nothing is left of it.
    fn at<R>(
        &mut self,
        key: &K,
        now: Timestamp,
        decision: impl FnOnce(&mut PerKey<K, C>, &mut PoolContext<'_, C>) -> R,
    ) -> Option<R> {
        let per_key = self.keys.get_mut(key)?;
        let result = decision(per_key, &mut PoolContext { now, global: &mut self.global, actions: &mut self.actions });
        if per_key.is_bare() {
            self.keys.remove(key);
        }
        Some(result)
    }

    fn everywhere(&mut self, now: Timestamp, decision: impl Fn(&mut PerKey<K, C>, &mut PoolContext<'_, C>)) {
        let mut cx = PoolContext { now, global: &mut self.global, actions: &mut self.actions };
        self.keys.retain(|_, per_key| {
            decision(per_key, &mut cx);
            !per_key.is_bare()
        });
    }
}
