//! The task that closes what is idle too long when nobody comes by who would notice.

use std::pin::pin;
use std::sync::{Arc, Weak};

use tokio::runtime::Handle;
use tokio::time::{Instant, timeout_at};

use super::idle::{RuntimeId, Timestamp};
use super::{Inner, Pool, PoolKey, Pooled};

/// Starts a janitor on this runtime, unless there is one. Each runtime has its own: one that
/// stands still must not keep the connections of another open.
pub(super) fn start<K: PoolKey, C: Pooled>(pool: &Pool<K, C>) {
    let Ok(runtime) = Handle::try_current() else {
        // Without a runtime nothing can wait. What is idle is still looked at before it is used.
        return;
    };
    let id = RuntimeId::of(&runtime);
    if !pool.decide(|state, _| state.register_reaper(id)) {
        // It may think that it has more time than it has.
        return pool.0.round.notify_waiters();
    }
    let mut reaper = Reaper { pool: Arc::downgrade(&pool.0), hired: Some(id) };
    let round = pool.0.round.clone();
    // Ends when nothing is idle, or the pool is gone: it is told so, and holds no part of it.
    runtime.spawn(async move {
        loop {
            let mut sooner = pin!(round.notified());
            // Before the look, so that nothing is missed between the two.
            sooner.as_mut().enable();
            let Some(next) = reaper.clean() else { break };
            let _either = timeout_at(next, sooner).await;
        }
    });
}

struct Reaper<K: PoolKey, C: Pooled> {
    pool: Weak<Inner<K, C>>,
    /// Where it is on the books; `None` once it is off them.
    hired: Option<RuntimeId>,
}

impl<K: PoolKey, C: Pooled> Reaper<K, C> {
    /// Closes what is idle too long. When to come again; `None` when there is nothing to wait for.
    fn clean(&mut self) -> Option<Instant> {
        let (pool, runtime) = (self.pool.upgrade()?, self.hired?);
        let (next, _) = pool.decide(|state, actions| state.clean(runtime, Timestamp::now(), actions));
        if next.is_none() {
            self.hired = None;
        }
        next
    }
}

/// A runtime that ends drops its tasks: whoever uses the pool next needs a janitor of its own.
impl<K: PoolKey, C: Pooled> Drop for Reaper<K, C> {
    fn drop(&mut self) {
        if let (Some(pool), Some(runtime)) = (self.pool.upgrade(), self.hired) {
            pool.decide(|state, _| state.remove_reaper(runtime));
        }
    }
}
