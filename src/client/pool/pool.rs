//! The handle on a pool, its lock, and the task that closes connections that were idle for too long.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::checkout::{RuntimeId, Timestamp};
use super::contract::{Limits, PoolKey, PoolStats, Pooled};
use super::global::Reaping;
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
    /// becomes idle. Dials that no caller waits for are ended (`DialPermit::abandoned`). Connections in
    /// use stay open.
    pub(crate) fn close_idle(&self) {
        self.decide(|state| state.close_idle(Timestamp::now()));
        self.0.closed_idle.notify_waiters();
    }

    /// Closes the idle connections of this key: one of them was found dead in use, and most likely the
    /// same has ended the others.
    pub(crate) fn close_idle_of(&self, key: &K) {
        let now = Timestamp::now();
        self.decide(|state| state.close_idle_of(key, now));
    }

    /// The statistics of each key; a key that has neither connections nor waiters is left out.
    pub(crate) fn stats(&self) -> Vec<(K, PoolStats)> {
        self.decide(|state| state.stats())
    }

    /// Decides under the lock, and acts on it when the lock is free again.
    pub(super) fn decide<R>(&self, decision: impl FnOnce(&mut PoolState<K, C>) -> R) -> R {
        let (result, reaping) = self.0.decide(decision);
        if reaping == Reaping::Start {
            start_reaper(&self.0);
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

pub(super) struct PoolCore<K: PoolKey, C: Pooled> {
    state: Mutex<PoolState<K, C>>,
    /// Wakes the reapers: a connection expires sooner than they expect, or the pool is dropped. They
    /// have a strong handle on this, and only a weak one on the rest.
    pub(super) reap_sooner: Arc<Notify>,
    /// Wakes the dials after `close_idle`: perhaps theirs are not needed any more.
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
        // A decision does not panic. If one does all the same, going on with its state is better than failing
        // all requests.
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

/// Starts a reaper on this runtime, unless there is one. Each runtime has its own: a runtime that is
/// blocked must not keep the connections of another one open.
fn start_reaper<K: PoolKey, C: Pooled>(core: &Arc<PoolCore<K, C>>) {
    let Ok(handle) = Handle::try_current() else {
        // Without a runtime nothing can wait. What is idle is still checked before it is used.
        return;
    };
    let runtime = RuntimeId::of(&handle);
    if !core.decide(|state| state.global.register_reaper(runtime)).0 {
        // The runtime's reaper may sleep for longer than it should now.
        return core.reap_sooner.notify_waiters();
    }
    let mut reaper = Reaper { core: Arc::downgrade(core), registered: Some(runtime) };
    let reap_sooner = core.reap_sooner.clone();
    // Ends when nothing is idle any more, or when the pool is dropped: it has only a weak handle on it.
    handle.spawn(async move {
        loop {
            let mut sooner = pin!(reap_sooner.notified());
            // Enabled before the look: a call between the look and the wait would be lost otherwise.
            sooner.as_mut().enable();
            let Some(next) = reaper.reap() else { break };
            let _either = timeout_at(next, sooner).await;
        }
    });
}

struct Reaper<K: PoolKey, C: Pooled> {
    core: Weak<PoolCore<K, C>>,
    /// The runtime that it is registered for; `None` once it is removed.
    registered: Option<RuntimeId>,
}

impl<K: PoolKey, C: Pooled> Reaper<K, C> {
    /// Closes what was idle for too long. Returns when to reap again; `None` when nothing is idle.
    fn reap(&mut self) -> Option<Instant> {
        let (core, runtime) = (self.core.upgrade()?, self.registered?);
        let (next, _) = core.decide(|state| state.reap(runtime, Timestamp::now()));
        if next.is_none() {
            self.registered = None;
        }
        next
    }
}

/// A runtime that ends drops its tasks: the next connection that becomes idle needs a new reaper.
impl<K: PoolKey, C: Pooled> Drop for Reaper<K, C> {
    fn drop(&mut self) {
        if let (Some(core), Some(runtime)) = (self.core.upgrade(), self.registered) {
            core.decide(|state| state.global.remove_reaper(runtime));
        }
    }
}
