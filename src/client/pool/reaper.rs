//! The task that closes what is idle too long when no request comes by that would notice.

use std::pin::pin;
use std::sync::{Arc, Weak};

use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use super::contract::{PoolKey, Pooled};
use super::core::PoolCore;
use super::idle::{RuntimeId, Timestamp};

/// Starts a reaper on this runtime, unless there is one. Each runtime has its own: one that
/// stands still must not keep the connections of another open.
pub(super) fn start<K: PoolKey, C: Pooled>(core: &Arc<PoolCore<K, C>>) {
    let Ok(handle) = Handle::try_current() else {
        // Without a runtime nothing can wait. What is idle is still checked before it is used.
        return;
    };
    let runtime = RuntimeId::of(&handle);
    if !core.decide(|state| state.global.register_reaper(runtime)).0 {
        // It may sleep for longer than it should.
        return core.reap_sooner.notify_waiters();
    }
    let mut reaper = Reaper { core: Arc::downgrade(core), registered: Some(runtime) };
    let reap_sooner = core.reap_sooner.clone();
    // Ends when nothing is idle any more, or when the pool is gone, of which it holds no part.
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
    /// Closes what was idle too long. When to come again; `None` when there is nothing to wait for.
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
