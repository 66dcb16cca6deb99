//! The multiplexed connections of one key: each carries many exchanges at a time.

use std::time::Duration;

use super::checkout::{Checkout, IdleInfo, Origin, RuntimeId};
use super::contract::{Health, Pooled};
use super::global::{OnReturn, PoolContext, extract};

/// In the order in which they were made. Each counts once, however many exchanges it carries.
pub(super) struct Multiplexed<C>(Vec<MultiplexedConn<C>>);

struct MultiplexedConn<C> {
    id: u64,
    connection: C,
    exchange_count: usize,
    /// It takes no more exchanges, and is closed with the last one.
    is_draining: bool,
    /// Since when no exchange is open; out of date while one is.
    info: IdleInfo,
}

impl<C: Pooled> Multiplexed<C> {
    pub(super) fn new() -> Multiplexed<C> {
        Multiplexed(Vec::new())
    }

    /// Adds a connection that was just made, and whose first exchange is this handle.
    pub(super) fn add(
        &mut self,
        connection: C,
        first_exchange: C,
        runtime: RuntimeId,
        cx: &mut PoolContext<'_, C>,
    ) -> Checkout<C> {
        let info = cx.idle_info(&connection, runtime);
        let id = info.stamp;
        self.0.push(MultiplexedConn { id, connection, exchange_count: 1, is_draining: false, info });
        Checkout { connection: first_exchange, origin: Origin::Multiplexed(id), idle_for: None }
    }

    /// An exchange on the first connection of the runtime that takes one. A connection that is dead or
    /// too old is closed: at once if it is idle, else with its last exchange.
    pub(super) fn checkout(&mut self, runtime: RuntimeId, cx: &mut PoolContext<'_, C>) -> Option<Checkout<C>> {
        let mut at = 0;
        while let Some(it) = self.0.get_mut(at) {
            at += 1;
            if it.is_draining || it.info.runtime != runtime {
                continue;
            }
            let is_idle = it.is_idle();
            let is_old = cx.is_expired(&it.connection) || (is_idle && it.info.is_over(cx.now));
            let share = if is_old { None } else { it.connection.share() };
            if let Some(connection) = share {
                cx.global.idle_count -= usize::from(is_idle);
                it.exchange_count += 1;
                let idle_for = if is_idle { cx.now.since(it.info.since) } else { Duration::ZERO };
                return Some(Checkout { connection, origin: Origin::Multiplexed(it.id), idle_for: Some(idle_for) });
            }
            if is_idle && !is_old && it.connection.health() == Health::Doubtful {
                // It is being asked whether it lives.
                continue;
            }
            if is_idle {
                // With no exchange open it still does not share, so it never will.
                cx.global.idle_count -= 1;
                at -= 1;
                cx.close(self.0.remove(at).connection);
            } else if is_old {
                it.is_draining = true;
            }
            // Otherwise it is full, and takes another exchange when one ends.
        }
        None
    }

    /// An exchange is over. With the last one, the connection becomes idle or is closed; one that
    /// a waiter is there for is kept in any case.
    pub(super) fn end_exchange(&mut self, id: u64, has_waiter: bool, cx: &mut PoolContext<'_, C>) {
        let Some(at) = self.0.iter().position(|it| it.id == id) else { return };
        let it = &mut self.0[at];
        it.exchange_count -= 1;
        if it.exchange_count > 0 {
            return;
        }
        let is_kept = cx.global.on_return == OnReturn::Keep && cx.global.limits.max_idle_per_key > 0;
        let is_spent = it.is_draining || it.connection.health() == Health::Spent;
        if is_spent || cx.is_expired(&it.connection) || !(is_kept || has_waiter) {
            return cx.close(self.0.remove(at).connection);
        }
        it.info = cx.idle_info(&it.connection, it.info.runtime);
        cx.note_idle(&it.info);
    }

    /// Closes the connections that report that they are spent: at once, or with their last exchange.
    pub(super) fn close_spent(&mut self, cx: &mut PoolContext<'_, C>) {
        for it in self.0.iter_mut().filter(|it| it.connection.health() == Health::Spent) {
            it.is_draining = true;
        }
        for it in extract(&mut self.0, |it| it.is_idle() && it.is_draining) {
            cx.global.idle_count -= 1;
            cx.close(it.connection);
        }
    }

    /// This connection takes no more exchanges. The caller has one open on it.
    pub(super) fn retire(&mut self, id: u64) {
        if let Some(it) = self.0.iter_mut().find(|it| it.id == id) {
            it.is_draining = true;
        }
    }

    /// Takes out the idle connections that are to go. The caller counts and closes them.
    pub(super) fn remove_idle(&mut self, goes: impl Fn(&IdleInfo) -> bool) -> impl ExactSizeIterator<Item = C> {
        extract(&mut self.0, |it| it.is_idle() && goes(&it.info)).into_iter().map(|it| it.connection)
    }

    /// How many exchanges at a time the latest connection takes.
    pub(super) fn capacity(&self) -> Option<usize> {
        self.0.iter().rev().find(|it| it.is_of_use())?.connection.capacity()
    }

    /// Whether a connection of the runtime takes an exchange, now or when another ends.
    pub(super) fn is_of_use_on(&self, runtime: RuntimeId) -> bool {
        self.0.iter().any(|it| it.info.runtime == runtime && it.is_of_use())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn runtimes(&self) -> impl Iterator<Item = RuntimeId> + '_ {
        self.0.iter().map(|it| it.info.runtime)
    }

    pub(super) fn runtime_of(&self, id: u64) -> Option<RuntimeId> {
        self.0.iter().find(|it| it.id == id).map(|it| it.info.runtime)
    }

    pub(super) fn idle_infos(&self) -> impl Iterator<Item = &IdleInfo> {
        self.0.iter().filter(|it| it.is_idle()).map(|it| &it.info)
    }
}

impl<C: Pooled> MultiplexedConn<C> {
    fn is_idle(&self) -> bool {
        self.exchange_count == 0
    }

    fn is_of_use(&self) -> bool {
        !self.is_draining && self.connection.health() == Health::Good
    }
}
