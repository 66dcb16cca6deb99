//! The pool: idle connections, and the callers that wait for one. Go's algorithm.
//!
//! # Theory of operation
//!
//! A caller needs a connection of a key (scheme, authority, proxy, protocols offered). There are three
//! cases. *One is idle*, or a multiplexed one takes another exchange: it is handed out, the one used
//! last first. *There is room for a new one*: the caller waits for its own dial or for a connection
//! that another caller gives back, whichever comes first; the other one serves the next waiter or
//! becomes idle. *There is no room* (`max_per_key`, or a first dial still finds out whether the server
//! speaks HTTP/2): the caller waits in the queue, which is served in order.
//!
//! ```text
//! a waiter                                          a connection
//!
//!                 nothing idle                                  dial fails, or is abandoned
//!   NotQueued ───────────────────► Queued             Dialing ──────────────────────────► gone
//!       ▲  ▲                     served │ ▲              │ established                      ▲ ▲
//!       │  └─ connection, failure ──────┤ │ dead         ▼         dropped, broken, too old │ │
//!       │     alive                     ▼ │            In use ──────────────────────────────┘ │
//!       └─────────────────────────── Probing             │ ▲                                  │
//!                                               given back│ │ checkout                        │
//!   a queued waiter's dial:                              ▼ │   too old, too many, closed      │
//!   None ──► Offered ──► Running                        Idle ─────────────────────────────────┘
//! ```
//!
//! **The lock.** All of this is decided by [`PoolState`](state::PoolState) under one mutex, in
//! [`PoolCore::decide`](pool::PoolCore::decide) alone. A decision reads no clock and touches no task or
//! socket: the time is an argument. It closes and wakes nothing itself, but collects that in
//! [`Actions`](global::Actions), which are carried out after the lock is released: first the
//! connections are closed, then the waiters woken, then a reaper is woken or started. A connection is
//! probed without the lock too, between two decisions.
//!
//! **Who is woken by what.** A waiter: by the decision that serves it or offers it a dial. A dial's
//! task: by `close_idle`, to check whether it is abandoned. A reaper (one for each runtime with idle
//! connections): by its timer, when something expires sooner than it thinks, and by the drop of the
//! pool. The driver of a multiplexed connection wakes no waiter itself: it calls
//! `PoolNotifier::notify`, whose decision serves the waiters.
//!
//! **Handles.** Everything that counts against a limit is held by a handle whose drop gives it back:
//! [`PooledConn`] and [`ConnPermit`] a connection in use, [`DialPermit`] a dial, [`Acquire`](acquire::Acquire)
//! a place in the queue. A future that is dropped at any await loses neither a connection nor the right to make
//! one.
//!
//! **Invariants**, after each decision:
//! - `dialing + in use + idle` of a key is at most `max_per_key`; idle ones are at most
//!   `max_idle_per_key` of a key, and `max_idle` over all (only by the end of the decision).
//! - No waiter waits while a connection of its runtime can take an exchange, and none is without a
//!   dial while there is room for one. A connection serves its own runtime alone.
//! - A waiter is in the queue or was served, never both; one that was served is woken once.
//! - A key with neither connections nor waiters is forgotten.

mod acquire;
mod checkout;
mod contract;
mod global;
mod multiplexed;
mod per_key;
mod permits;
#[expect(clippy::module_inception, reason = "the handle is the pool")]
mod pool;
mod state;

#[cfg(test)]
mod tests;

pub(crate) use acquire::Acquired;
pub(crate) use checkout::Timestamp;
pub(crate) use contract::{Health, Limits, PoolKey, PoolStats, Pooled, WhenFull};
pub(crate) use permits::{ConnPermit, DialPermit, PoolNotifier, PooledConn};
pub(crate) use pool::Pool;
