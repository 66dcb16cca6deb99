//! The streams of one connection that have something to say to the task that owns the connection.
//!
//! # Theory of operation
//!
//! ```text
//!  stream ──push(slot)──▶ slots ──take──▶ the connection's task
//!                           │
//!                           └─▶ wakes it, unless it runs, or was woken since it ran
//! ```
//!
//! A connection's task has many streams, and it must not look at each of them whenever one was touched. So
//! whoever touches a stream pushes its slot. Two bits say the rest:
//!
//! - [`RUNNING`]: the task is being polled, and will look at the list before it returns;
//! - [`LISTED`]: something was pushed since the task last took what there was.
//!
//! A push stores the slot, and then sets `LISTED`. It wakes the task only where neither bit was set before:
//! if the task runs, [`leave`](ReadyList::leave) sees the bit; if something was listed while the task did
//! not run, whoever pushed that has woken it. `leave` stores the waker before it clears `RUNNING`, so that
//! a push that finds the bit cleared finds the waker. `take` clears `LISTED` before it takes the slots: what is
//! pushed in between is taken now, and the bit that it sets makes the next look find nothing, which is
//! harmless; the other way round a slot would be left behind with no bit to say so.
//!
//! A poll of a task that nothing was pushed for costs three operations on the bits, and one lock for the waker.

use std::sync::PoisonError;
use std::task::Waker;

use super::sync::{AtomicU8, Mutex, MutexGuard, Ordering};

/// The connection's task is being polled.
const RUNNING: u8 = 1;
/// Something was pushed that was not taken yet.
const LISTED: u8 = 2;

/// The slots that were pushed, and whom to wake for them.
#[derive(Debug)]
pub(crate) struct ReadyList<T> {
    bits: AtomicU8,
    inner: Mutex<Inner<T>>,
}

#[derive(Debug)]
struct Inner<T> {
    slots: Vec<T>,
    waker: Option<Waker>,
}

/// So many slots are held in memory that is kept from one look to the next.
const MAX_KEPT_SLOT_COUNT: usize = 64;

impl<T> ReadyList<T> {
    pub(crate) fn new() -> ReadyList<T> {
        ReadyList { bits: AtomicU8::new(0), inner: Mutex::new(Inner { slots: Vec::new(), waker: None }) }
    }

    /// Poisoning is ignored: no code under this lock panics.
    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---------------------------------------------------------------- for whoever touches a stream

    /// Lists a slot, and wakes the task if it does not run. A slot may be listed twice: who does not want
    /// that remembers under the stream's own lock that it is listed, and forgets it when the task has come.
    pub(crate) fn push(&self, slot: T) {
        self.lock().slots.push(slot);
        self.wake();
    }

    /// Has the task look, though no stream has anything for it.
    pub(crate) fn wake(&self) {
        if self.bits.fetch_or(LISTED, Ordering::AcqRel) == 0 {
            let waker = self.lock().waker.clone();
            // Not under the lock: a waker is the runtime's code.
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    // ---------------------------------------------------------------- for the connection's task

    /// The task is being polled: from now on it is not woken for what is pushed.
    pub(crate) fn enter(&self) {
        self.bits.fetch_or(RUNNING, Ordering::AcqRel);
    }

    /// Whether nothing was pushed since the last look.
    pub(crate) fn is_empty(&self) -> bool {
        self.bits.load(Ordering::Acquire) & LISTED == 0
    }

    /// Appends what was pushed, and returns whether that was anything.
    pub(crate) fn take(&self, into: &mut Vec<T>) -> bool {
        if self.is_empty() {
            return false;
        }
        self.take_last(into)
    }

    /// The same of a task that looks for the last time: also what is pushed at this moment. Whoever pushes
    /// later sees what the task did before.
    pub(crate) fn take_last(&self, into: &mut Vec<T>) -> bool {
        self.bits.fetch_and(!LISTED, Ordering::AcqRel);
        let slots = &mut self.lock().slots;
        let any = !slots.is_empty();
        into.append(slots);
        slots.shrink_to(MAX_KEPT_SLOT_COUNT);
        any
    }

    /// The task is about to wait. Returns whether it may: if not, something was pushed meanwhile, and it has
    /// to look again. In either case it does not run any more, as far as the list knows.
    #[must_use = "what was pushed meanwhile wakes nobody"]
    pub(crate) fn leave(&self, waker: &Waker) -> bool {
        {
            let mut inner = self.lock();
            if !inner.waker.as_ref().is_some_and(|kept| kept.will_wake(waker)) {
                inner.waker = Some(waker.clone());
            }
        }
        self.bits.fetch_and(!RUNNING, Ordering::AcqRel) & LISTED == 0
    }
}
