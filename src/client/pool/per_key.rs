//! One key: its connections, its dials, and the queue of its waiters.
//!
//! After every decision this holds, by [`PerKey::serve_waiters`]: no waiter of a runtime waits while
//! a connection of that runtime can take an exchange, and none is without a dial while there is room
//! for one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::task::{Poll, Waker};

use tokio::time::Instant;

use super::checkout::{AcquireStep, Checkout, IdleInfo, Origin, RuntimeId, Served, WaiterId};
use super::contract::{Health, PoolKey, PoolStats, Pooled, WhenFull};
use super::global::{OnReturn, PoolContext, extract};
use super::multiplexed::Multiplexed;
use crate::error::{Error, ErrorKind, Phase};

pub(super) struct PerKey<K, C> {
    pub(super) key: Arc<K>,
    multiplexing: Multiplexing,
    /// Connections that are being made, and dials that were offered.
    dialing: usize,
    /// Exclusive connections that were handed out.
    in_use: usize,
    /// Exclusive connections that are idle: the last is the one used last.
    idle: Vec<Idle<C>>,
    multiplexed: Multiplexed<C>,
    waiters: BTreeMap<WaiterId, Waiter>,
    /// The waiters that have no dial.
    without_dial: BTreeSet<WaiterId>,
    /// What waiters were served with and have not fetched yet.
    served: HashMap<WaiterId, Served<C>>,
}

/// Whether the connections of a key are multiplexed, as far as the latest one showed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Multiplexing {
    Unknown,
    /// One exchange at a time.
    No,
    Yes,
}

struct Idle<C> {
    connection: C,
    info: IdleInfo,
}

struct Waiter {
    runtime: RuntimeId,
    dial: WaiterDial,
    waker: Option<Waker>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum WaiterDial {
    None,
    /// It may dial, and has not been polled since.
    Offered,
    Running,
}

impl<K: PoolKey, C: Pooled> PerKey<K, C> {
    pub(super) fn new(key: Arc<K>) -> PerKey<K, C> {
        let multiplexing = if key.may_share() { Multiplexing::Unknown } else { Multiplexing::No };
        PerKey {
            key,
            multiplexing,
            dialing: 0,
            in_use: 0,
            idle: Vec::new(),
            multiplexed: Multiplexed::new(),
            waiters: BTreeMap::new(),
            without_dial: BTreeSet::new(),
            served: HashMap::new(),
        }
    }

    /// An exchange on a multiplexed connection, or the exclusive connection that was used last. What
    /// is too old is closed on the way.
    pub(super) fn checkout(&mut self, runtime: RuntimeId, cx: &mut PoolContext<'_, C>) -> Option<Checkout<C>> {
        if let Some(checkout) = self.multiplexed.checkout(runtime, cx) {
            return Some(checkout);
        }
        while let Some(at) = self.idle.iter().rposition(|idle| idle.info.runtime == runtime) {
            let Idle { connection, info } = self.idle.remove(at);
            cx.global.idle_count -= 1;
            if let Some(idle_for) = info.lasted(cx.now) {
                self.in_use += 1;
                return Some(Checkout { connection, origin: Origin::Exclusive(runtime), idle_for: Some(idle_for) });
            }
            cx.close(connection);
        }
        None
    }

    /// Puts a waiter into the queue: a new one at the end, one that comes back at its old place.
    pub(super) fn enqueue(&mut self, waiter: WaiterId, runtime: RuntimeId, cx: &mut PoolContext<'_, C>) {
        self.waiters.insert(waiter, Waiter { runtime, dial: WaiterDial::None, waker: None });
        self.without_dial.insert(waiter);
        self.serve_waiters(cx);
    }

    /// The next step for a waiter in the queue.
    pub(super) fn poll(&mut self, waiter: WaiterId, waker: &Waker) -> Poll<AcquireStep<C>> {
        match self.served.remove(&waiter) {
            Some(Served::Failed(error)) => return Poll::Ready(AcquireStep::Fail(error)),
            // It came from a dial or from another caller a moment ago, so it need not be probed.
            Some(Served::Connection(it)) if matches!(it.origin, Origin::Exclusive(_)) => {
                return Poll::Ready(AcquireStep::Use(it));
            }
            // Another exchange may have ended a multiplexed connection since.
            Some(Served::Connection(it)) => return Poll::Ready(AcquireStep::Probe(it)),
            None => {}
        }
        let waiting = self.waiters.get_mut(&waiter).expect("a queued waiter waits or was served");
        if waiting.dial == WaiterDial::Offered {
            waiting.dial = WaiterDial::Running;
            return Poll::Ready(AcquireStep::Dial(waiter));
        }
        match &mut waiting.waker {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        Poll::Pending
    }

    /// Removes a waiter for good. What it was served with and has not fetched is returned, so that the
    /// caller can give it back.
    pub(super) fn leave(&mut self, waiter: WaiterId, cx: &mut PoolContext<'_, C>) -> Option<Served<C>> {
        self.dequeue(waiter);
        self.serve_waiters(cx);
        self.served.remove(&waiter)
    }

    /// A dial made a connection. The exchange on a multiplexed one that no waiter is there for is
    /// returned.
    pub(super) fn established(
        &mut self,
        waiter: WaiterId,
        connection: C,
        runtime: RuntimeId,
        cx: &mut PoolContext<'_, C>,
    ) -> Option<Checkout<C>> {
        if let Some(first_exchange) = connection.share() {
            self.dialing -= 1;
            self.multiplexing = Multiplexing::Yes;
            let mut checkout = Some(self.multiplexed.add(connection, first_exchange, runtime, cx));
            if let Some(next) = self.own_or_first(Some(waiter), runtime) {
                self.serve(next, Served::Connection(checkout.take()?), cx);
            }
            self.serve_waiters(cx);
            return checkout;
        }
        if connection.health() == Health::Spent {
            cx.close(connection);
            let error = Error::new(ErrorKind::CutOff, "the server ended the connection at once").during(Phase::Connect);
            // If the waiter has left, the error is dropped.
            let _untold = self.failed(waiter, error, cx);
            return None;
        }
        self.dialing -= 1;
        self.multiplexing = Multiplexing::No;
        // Its age is not checked: its waiter has no other dial, and would wait for ever.
        self.hand_on(connection, runtime, Some(waiter), cx);
        self.serve_waiters(cx);
        None
    }

    /// A dial failed. The error is returned if its waiter has left.
    pub(super) fn failed(&mut self, waiter: WaiterId, error: Error, cx: &mut PoolContext<'_, C>) -> Option<Error> {
        self.dialing -= 1;
        let mut untold = Some(error);
        if self.waiters.contains_key(&waiter) {
            self.serve(waiter, Served::Failed(untold.take()?), cx);
        }
        self.serve_waiters(cx);
        untold
    }

    /// An exclusive connection comes back and can carry another exchange.
    pub(super) fn give_back(&mut self, connection: C, runtime: RuntimeId, cx: &mut PoolContext<'_, C>) {
        self.in_use -= 1;
        if cx.is_expired(&connection) {
            cx.close(connection);
        } else {
            self.hand_on(connection, runtime, None, cx);
        }
        self.serve_waiters(cx);
    }

    /// An exclusive connection was closed by its user, or an exchange on a multiplexed one is over.
    pub(super) fn release(&mut self, origin: Origin, cx: &mut PoolContext<'_, C>) {
        match origin {
            Origin::Exclusive(_) => self.in_use -= 1,
            Origin::Multiplexed(id) => {
                let runtime = self.multiplexed.runtime_of(id);
                let has_waiter = runtime.is_some_and(|runtime| self.first_waiter(runtime).is_some());
                self.multiplexed.end_exchange(id, has_waiter, cx);
            }
        }
        self.serve_waiters(cx);
    }

    /// This multiplexed connection takes no more exchanges.
    pub(super) fn retire(&mut self, id: u64) {
        self.multiplexed.retire(id);
    }

    /// A multiplexed connection takes more exchanges than before, or none any more.
    pub(super) fn refresh(&mut self, cx: &mut PoolContext<'_, C>) {
        self.multiplexed.close_spent(cx);
        self.serve_waiters(cx);
    }

    /// Closes the idle connections that are to go.
    pub(super) fn close_idle(&mut self, goes: impl Fn(&IdleInfo) -> bool, cx: &mut PoolContext<'_, C>) {
        if self.remove_idle(goes, cx) > 0 {
            // There is room for other dials now.
            self.serve_waiters(cx);
        }
    }

    pub(super) fn has_waiters(&self) -> bool {
        !self.waiters.is_empty()
    }

    /// Whether it can be removed: it has no connection, and nothing has a handle on it.
    pub(super) fn is_bare(&self) -> bool {
        self.conn_count() == 0 && self.waiters.is_empty() && self.served.is_empty()
    }

    pub(super) fn stats(&self) -> PoolStats {
        let idle = self.idle_infos().count();
        let in_use = self.conn_count() - self.dialing - idle;
        PoolStats { idle, in_use, dialing: self.dialing, waiting: self.waiters.len() }
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        self.multiplexed.capacity()
    }

    /// The stamp of the connection that was idle longest.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.idle_infos().map(|info| info.stamp).min()
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.idle_infos().filter_map(|info| info.until).min()
    }

    fn idle_infos(&self) -> impl Iterator<Item = &IdleInfo> {
        self.idle.iter().map(|idle| &idle.info).chain(self.multiplexed.idle_infos())
    }

    /// Connections that are being made, in use or idle.
    fn conn_count(&self) -> usize {
        self.dialing + self.in_use + self.idle.len() + self.multiplexed.len()
    }

    /// A connection that can carry an exchange: for the waiter that dialed it, whatever runtime that
    /// is on, else for the next waiter of its own runtime, else to be kept or closed.
    fn hand_on(&mut self, connection: C, runtime: RuntimeId, own: Option<WaiterId>, cx: &mut PoolContext<'_, C>) {
        if let Some(next) = self.own_or_first(own, runtime) {
            self.in_use += 1;
            let checkout = Checkout { connection, origin: Origin::Exclusive(runtime), idle_for: None };
            self.serve(next, Served::Connection(checkout), cx);
        } else if cx.global.on_return == OnReturn::Close || self.idle.len() >= cx.global.limits.max_idle_per_key {
            cx.close(connection);
        } else {
            let info = cx.idle_info(&connection, runtime);
            self.idle.push(Idle { connection, info });
            cx.note_idle(&info);
        }
    }

    /// Serves the waiters that can be served, and offers dials while there is room.
    fn serve_waiters(&mut self, cx: &mut PoolContext<'_, C>) {
        if self.waiters.is_empty() {
            return;
        }
        self.serve_from_multiplexed(cx);
        while let Some(&waiter) = self.without_dial.first() {
            // One dial finds out whether the key's connections are multiplexed: if they are, more
            // dials would be wasted.
            let may_dial = self.multiplexing == Multiplexing::No || self.dialing == 0;
            if !may_dial || self.waits_for_multiplexed(waiter, cx) || !self.make_room(cx) {
                return;
            }
            self.without_dial.remove(&waiter);
            self.dialing += 1;
            if let Some(waiting) = self.waiters.get_mut(&waiter) {
                waiting.dial = WaiterDial::Offered;
                cx.actions.wake.extend(waiting.waker.take());
            }
        }
    }

    fn serve_from_multiplexed(&mut self, cx: &mut PoolContext<'_, C>) {
        let runtimes: Vec<RuntimeId> = self.multiplexed.runtimes().collect();
        for runtime in runtimes {
            while let Some(waiter) = self.first_waiter(runtime) {
                let Some(checkout) = self.multiplexed.checkout(runtime, cx) else { break };
                self.serve(waiter, Served::Connection(checkout), cx);
            }
        }
    }

    /// Whether a waiter is to wait for an exchange on a multiplexed connection that is there, rather
    /// than to dial.
    fn waits_for_multiplexed(&self, waiter: WaiterId, cx: &PoolContext<'_, C>) -> bool {
        let runtime = self.waiters.get(&waiter).map(|waiting| waiting.runtime);
        cx.global.limits.when_full == WhenFull::Waits
            && runtime.is_some_and(|runtime| self.multiplexed.is_of_use_on(runtime))
    }

    /// Whether there is room for one more connection. An idle connection that exists while a caller
    /// waits belongs to another runtime, and is closed to make room.
    fn make_room(&mut self, cx: &mut PoolContext<'_, C>) -> bool {
        let most = cx.global.limits.max_per_key;
        if most == 0 || self.conn_count() < most {
            return true;
        }
        let oldest = self.oldest();
        oldest.is_some_and(|oldest| self.remove_idle(|info| info.stamp == oldest, cx) > 0)
    }

    /// Returns how many were removed.
    fn remove_idle(&mut self, goes: impl Fn(&IdleInfo) -> bool, cx: &mut PoolContext<'_, C>) -> usize {
        let exclusive = extract(&mut self.idle, |idle| goes(&idle.info));
        let multiplexed = self.multiplexed.remove_idle(goes);
        let count = exclusive.len() + multiplexed.len();
        cx.global.idle_count -= count;
        cx.actions.close.extend(exclusive.into_iter().map(|idle| idle.connection).chain(multiplexed));
        count
    }

    /// The waiter that asked for a dial, if it still waits; else the first one on this runtime.
    fn own_or_first(&self, own: Option<WaiterId>, runtime: RuntimeId) -> Option<WaiterId> {
        own.filter(|own| self.waiters.contains_key(own)).or_else(|| self.first_waiter(runtime))
    }

    fn first_waiter(&self, runtime: RuntimeId) -> Option<WaiterId> {
        self.waiters.iter().find(|(_, waiting)| waiting.runtime == runtime).map(|(waiter, _)| *waiter)
    }

    /// Sets something aside for a waiter, and wakes it.
    fn serve(&mut self, waiter: WaiterId, served: Served<C>, cx: &mut PoolContext<'_, C>) {
        cx.actions.wake.extend(self.dequeue(waiter));
        self.served.insert(waiter, served);
    }

    /// Takes a waiter out of the queue, and returns its waker. A dial that was offered to it and has
    /// not begun is withdrawn; one that runs goes on.
    fn dequeue(&mut self, waiter: WaiterId) -> Option<Waker> {
        let waiting = self.waiters.remove(&waiter)?;
        self.without_dial.remove(&waiter);
        if waiting.dial == WaiterDial::Offered {
            self.dialing -= 1;
        }
        waiting.waker
    }
}
