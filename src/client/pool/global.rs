//! The state that all keys share, and the actions that a decision leaves for after the lock.

use std::task::Waker;

use tokio::time::Instant;

use super::checkout::{IdleInfo, RuntimeId, Timestamp};
use super::contract::{Limits, Pooled};

/// The state that all keys share.
pub(super) struct Global {
    pub(super) limits: Limits,
    pub(super) on_return: OnReturn,
    /// Idle connections over all keys.
    pub(super) idle_count: usize,
    /// How many connections became idle so far: each takes its number from here.
    last_stamp: u64,
    /// The runtimes that have a reaper.
    reapers: Vec<RuntimeId>,
    /// When the reapers wake up next, as far as they know.
    next_reaping: Option<Instant>,
}

/// What happens to a connection that is given back while no caller waits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum OnReturn {
    Keep,
    /// Idle connections were closed, and none was asked for since.
    Close,
}

/// The actions to carry out after the lock is released.
pub(super) struct Actions<C> {
    pub(super) close: Vec<C>,
    pub(super) wake: Vec<Waker>,
    pub(super) reaping: Reaping,
}

/// What the reapers have to be notified of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reaping {
    AsPlanned,
    /// A connection expires sooner than they expect.
    Sooner,
    /// There is no reaper on the runtime of what became idle.
    Start,
}

/// The context of one decision: the time it is made at, what the keys share, and what it leaves to
/// be done.
pub(super) struct PoolContext<'a, C> {
    pub(super) now: Timestamp,
    pub(super) global: &'a mut Global,
    pub(super) actions: &'a mut Actions<C>,
}

impl Global {
    pub(super) fn new(limits: Limits) -> Global {
        Global {
            limits,
            on_return: OnReturn::Keep,
            idle_count: 0,
            last_stamp: 0,
            reapers: Vec::new(),
            next_reaping: None,
        }
    }

    /// Enters a reaper for the runtime. `false` if it has one.
    pub(super) fn register_reaper(&mut self, runtime: RuntimeId) -> bool {
        let is_needed = !self.reapers.contains(&runtime);
        if is_needed {
            self.reapers.push(runtime);
        }
        is_needed
    }

    pub(super) fn remove_reaper(&mut self, runtime: RuntimeId) {
        self.reapers.retain(|other| *other != runtime);
    }

    pub(super) fn plan_reaping(&mut self, next: Option<Instant>) {
        self.next_reaping = next;
    }

    fn reaping_for(&mut self, info: &IdleInfo) -> Reaping {
        let Some(until) = info.until else { return Reaping::AsPlanned };
        if !self.reapers.contains(&info.runtime) {
            return Reaping::Start;
        }
        if self.next_reaping.is_some_and(|next| next <= until) {
            return Reaping::AsPlanned;
        }
        self.next_reaping = Some(until);
        Reaping::Sooner
    }
}

impl<C: Pooled> PoolContext<'_, C> {
    /// The idle info of a connection that becomes idle now, or may later.
    pub(super) fn idle_info(&mut self, connection: &C, runtime: RuntimeId) -> IdleInfo {
        self.global.last_stamp += 1;
        IdleInfo::new(connection, runtime, self.now, self.global.last_stamp, &self.global.limits)
    }

    /// Counts a connection that became idle, and makes sure that a reaper wakes up in time.
    pub(super) fn note_idle(&mut self, info: &IdleInfo) {
        self.global.idle_count += 1;
        self.actions.reaping = self.actions.reaping.max(self.global.reaping_for(info));
    }

    /// Closes a connection when the lock is free again.
    pub(super) fn close(&mut self, connection: C) {
        self.actions.close.push(connection);
    }

    /// Whether a connection is too old to carry another exchange.
    pub(super) fn is_expired(&self, connection: &C) -> bool {
        connection.expires().is_some_and(|expires| expires <= self.now.steady)
    }
}

impl<C> Actions<C> {
    /// The actions to carry out now, if there are any.
    pub(super) fn take(&mut self) -> Option<Actions<C>> {
        let is_nothing = self.close.is_empty() && self.wake.is_empty() && self.reaping == Reaping::AsPlanned;
        (!is_nothing).then(|| std::mem::take(self))
    }

    pub(super) fn close_and_wake(self) {
        // Closed first: a task that is woken may count the open connections.
        drop(self.close);
        self.wake.into_iter().for_each(Waker::wake);
    }
}

impl<C> Default for Actions<C> {
    fn default() -> Actions<C> {
        Actions { close: Vec::new(), wake: Vec::new(), reaping: Reaping::AsPlanned }
    }
}

/// Removes the matching items from a list; the others keep their order.
pub(super) fn extract<T>(list: &mut Vec<T>, goes: impl Fn(&T) -> bool) -> Vec<T> {
    // Mostly nothing matches, and then nothing is moved or allocated.
    if !list.iter().any(&goes) {
        return Vec::new();
    }
    let (gone, stays) = std::mem::take(list).into_iter().partition(goes);
    *list = stays;
    gone
}
