//! The handle on a pool.

use std::sync::Arc;

use super::contract::{Limits, PoolKey, PoolStats, Pooled};
use super::core::PoolCore;
use super::global::Reaping;
use super::idle::Timestamp;
use super::reaper;
use super::state::PoolState;

/// All connections of a transport, by key. A clone is another handle on the same pool; with the
/// last one, those inside connections and permits included, what is idle is closed.
///
/// How a connection is asked for is in `acquire.rs`.
pub(crate) struct Pool<K: PoolKey, C: Pooled>(Arc<PoolCore<K, C>>);

impl<K: PoolKey, C: Pooled> Pool<K, C> {
    pub(crate) fn new(limits: Limits) -> Pool<K, C> {
        Pool(Arc::new(PoolCore::new(limits)))
    }

    pub(super) fn of(core: Arc<PoolCore<K, C>>) -> Pool<K, C> {
        Pool(core)
    }

    /// Closes what is idle, and until the next time that a connection is asked for, of any key, what
    /// becomes idle. Dials that nobody waits for learn it (`DialPermit::abandoned`). What is in use
    /// stays open.
    pub(crate) fn close_idle(&self) {
        self.decide(|state| state.close_idle(Timestamp::now()));
        self.0.closed_idle.notify_waiters();
    }

    /// Closes what is idle of this key: one of them was found dead in use, and what ended that one
    /// has ended the others more often than not.
    pub(crate) fn close_idle_of(&self, key: &K) {
        let now = Timestamp::now();
        self.decide(|state| state.close_idle_of(key, now));
    }

    /// What the connections of each key do; a key that has neither connections nor waiters is left
    /// out.
    pub(crate) fn stats(&self) -> Vec<(K, PoolStats)> {
        self.decide(|state| state.stats())
    }

    /// Decides under the lock, and acts on it when the lock is free again.
    pub(super) fn decide<R>(&self, decision: impl FnOnce(&mut PoolState<K, C>) -> R) -> R {
        let (result, reaping) = self.0.decide(decision);
        if reaping == Reaping::Start {
            reaper::start(&self.0);
        }
        result
    }

    pub(super) fn core(&self) -> &Arc<PoolCore<K, C>> {
        &self.0
    }
}

impl<K: PoolKey, C: Pooled> Clone for Pool<K, C> {
    fn clone(&self) -> Pool<K, C> {
        Pool(self.0.clone())
    }
}
