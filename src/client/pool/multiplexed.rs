//! Connections that carry many exchanges at a time, of one key.

use std::time::Duration;

use super::idle::{IdleInfo, RuntimeId, Timestamp};
use super::per_key::{Checkout, Origin, PerKey, Served, extract};
use super::state::{Actions, Global, OnReturn};
use super::{Health, PoolKey, Pooled};

/// A connection that carries many exchanges. It is one place, however many there are.
pub(super) struct Multiplexed<C> {
    id: u64,
    pub(super) connection: C,
    exchanges: usize,
    standing: Drain,
    /// Since when no exchange is open; of the past while one is.
    pub(super) info: IdleInfo,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Drain {
    Open,
    /// It takes no more exchanges, and is closed with the last.
    Leaving,
}

impl<C: Pooled> Multiplexed<C> {
    /// One that was just made, with its first exchange.
    pub(super) fn new(connection: C, runtime: RuntimeId, now: Timestamp, global: &mut Global) -> Multiplexed<C> {
        let info = IdleInfo::new(&connection, runtime, now, global);
        Multiplexed { id: info.stamp, connection, exchanges: 1, standing: Drain::Open, info }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn is_idle(&self) -> bool {
        self.exchanges == 0
    }

    /// Whether it will take an exchange, now or when another ends.
    pub(super) fn takes_more(&self) -> bool {
        self.standing == Drain::Open && self.connection.health() == Health::Good
    }

    fn is_old(&self, now: Timestamp) -> bool {
        self.connection.expires().is_some_and(|expires| expires <= now.steady)
    }
}

impl<K: PoolKey, C: Pooled> PerKey<K, C> {
    /// Serves the line with shares, as long as there are any.
    pub(super) fn serve_shares(&mut self, now: Timestamp, global: &mut Global, actions: &mut Actions<C>) {
        let homes: Vec<RuntimeId> = self.shared.iter().map(|shared| shared.info.runtime).collect();
        for runtime in homes {
            while let Some(waiter) = self.first(runtime) {
                let Some(share) = self.lend(runtime, now, global, actions) else { break };
                self.serve(waiter, Served::Connection(share), actions);
            }
        }
    }

    /// A share of the first connection that takes another exchange. One that is dead or too old
    /// goes: at once, or with its last exchange.
    pub(super) fn lend(
        &mut self,
        runtime: RuntimeId,
        now: Timestamp,
        global: &mut Global,
        actions: &mut Actions<C>,
    ) -> Option<Checkout<C>> {
        let mut at = 0;
        while let Some(shared) = self.shared.get_mut(at) {
            at += 1;
            if shared.standing == Drain::Leaving || shared.info.runtime != runtime {
                continue;
            }
            let is_idle = shared.is_idle();
            let is_old = shared.is_old(now) || (is_idle && shared.info.is_over(now, &global.limits));
            let share = if is_old { None } else { shared.connection.share() };
            if let Some(connection) = share {
                global.idle -= usize::from(is_idle);
                shared.exchanges += 1;
                let idle_for = if is_idle { now.since(shared.info.since) } else { Duration::ZERO };
                return Some(Checkout { connection, origin: Origin::Share(shared.id), idle_for: Some(idle_for) });
            }
            if is_idle {
                global.idle -= 1;
                at -= 1;
                let dead = self.shared.remove(at);
                self.close(dead.connection, actions);
            } else if is_old {
                shared.standing = Drain::Leaving;
            }
        }
        None
    }

    pub(super) fn end_exchange(&mut self, id: u64, now: Timestamp, global: &mut Global, actions: &mut Actions<C>) {
        let Some(at) = self.shared.iter().position(|shared| shared.id == id) else { return };
        let waits = self.first(self.shared[at].info.runtime).is_some();
        let shared = &mut self.shared[at];
        shared.exchanges -= 1;
        if shared.exchanges > 0 {
            return;
        }
        let is_kept = global.on_return == OnReturn::Kept && global.limits.max_idle_per_key > 0;
        let is_spent = shared.standing == Drain::Leaving || shared.connection.health() == Health::Spent;
        if is_spent || shared.is_old(now) || !(is_kept || waits) {
            let gone = self.shared.remove(at);
            return self.close(gone.connection, actions);
        }
        shared.info = IdleInfo::new(&shared.connection, shared.info.runtime, now, global);
        global.note_idle(&shared.info, actions);
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        self.shared.iter().rev().find(|shared| shared.takes_more())?.connection.capacity()
    }

    /// Takes notice of what has become of the shared connections: those that are spent go, at once or
    /// with their last exchange, and what others take now goes to who waits.
    pub(super) fn look(&mut self, now: Timestamp, global: &mut Global, actions: &mut Actions<C>) {
        for shared in self.shared.iter_mut().filter(|shared| shared.connection.health() == Health::Spent) {
            shared.standing = Drain::Leaving;
        }
        let is_over = |shared: &Multiplexed<C>| shared.is_idle() && shared.standing == Drain::Leaving;
        for over in extract(&mut self.shared, is_over) {
            global.idle -= 1;
            self.close(over.connection, actions);
        }
        self.serve_waiters(now, global, actions);
    }

    /// A shared connection takes no more exchanges. Somebody has one open on it.
    pub(super) fn retire(&mut self, id: u64) {
        if let Some(shared) = self.shared.iter_mut().find(|shared| shared.id == id) {
            shared.standing = Drain::Leaving;
        }
    }
}
