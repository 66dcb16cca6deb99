//! The pool's lock, and what happens when it is free again.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use super::contract::{Limits, PoolKey, Pooled};
use super::global::Reaping;
use super::state::PoolState;

pub(super) struct PoolCore<K: PoolKey, C: Pooled> {
    state: Mutex<PoolState<K, C>>,
    /// Wakes the reapers: something expires sooner than they think, or the pool is gone. They hold it
    /// themselves, and only a weak handle on the rest.
    pub(super) reap_sooner: Arc<Notify>,
    /// Wakes the dials: idle connections were closed, and perhaps nobody wants theirs.
    pub(super) closed_idle: Notify,
}

impl<K: PoolKey, C: Pooled> PoolCore<K, C> {
    pub(super) fn new(limits: Limits) -> PoolCore<K, C> {
        let state = Mutex::new(PoolState::new(limits));
        PoolCore { state, reap_sooner: Arc::default(), closed_idle: Notify::new() }
    }

    /// Decides under the lock, then closes and wakes without it. The caller starts a reaper if one
    /// is needed.
    pub(super) fn decide<R>(&self, decision: impl FnOnce(&mut PoolState<K, C>) -> R) -> (R, Reaping) {
        // A decision does not panic half-way; if one does, its state is still better than none.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let result = decision(&mut state);
        let actions = state.actions.take();
        // Closing a connection may call the pool again, and a waker may run any code.
        drop(state);
        let Some(actions) = actions else { return (result, Reaping::AsPlanned) };
        let reaping = actions.reaping;
        actions.close_and_wake();
        if reaping == Reaping::Sooner {
            self.reap_sooner.notify_waiters();
        }
        (result, reaping)
    }
}

/// Lets the reapers end.
impl<K: PoolKey, C: Pooled> Drop for PoolCore<K, C> {
    fn drop(&mut self) {
        self.reap_sooner.notify_waiters();
    }
}
