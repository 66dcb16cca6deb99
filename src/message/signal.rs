//! A signal: something that is announced once a round, to any number of waiters.
//!
//! It is what cancels a request's context and tells handlers that the server drains. Written on
//! `std` alone because this layer knows no runtime. One signal serves a whole connection: each
//! exchange is a round of its own, so that a request costs no allocation.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

#[derive(Debug, Default)]
pub(crate) struct Signal {
    /// All rounds below this number are over.
    over: AtomicU64,
    /// How many wakers are kept; spares `announce` the lock in the usual case of none.
    waiting: AtomicUsize,
    queue: Mutex<WaiterQueue>,
}

#[derive(Debug, Default)]
struct WaiterQueue {
    next: u64,
    wakers: BTreeMap<u64, Waker>,
}

impl Signal {
    /// Ends this round and all before it, and wakes the waiters.
    pub(crate) fn announce(&self, round: u64) {
        self.over.fetch_max(round.saturating_add(1), Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        let wakers = {
            let mut queue = self.lock();
            self.waiting.store(0, Ordering::SeqCst);
            std::mem::take(&mut queue.wakers)
        };
        for waker in wakers.into_values() {
            waker.wake();
        }
    }

    /// Ends this round and all before it without waking anything. Only for a caller that knows that
    /// nothing waits and no other thread announces: it saves the usual request an atomic
    /// read-modify-write.
    pub(crate) fn pass(&self, round: u64) {
        let over = self.over.load(Ordering::Relaxed).max(round.saturating_add(1));
        self.over.store(over, Ordering::Release);
    }

    /// Whether this round is over.
    pub(crate) fn is_over(&self, round: u64) -> bool {
        self.over.load(Ordering::SeqCst) > round
    }

    /// Completes when this round is over. If it is dropped before that, its waker is removed: the
    /// signal that a server drains outlives every connection.
    pub(crate) async fn wait(&self, round: u64) {
        let mut waiter = self.waiter();
        poll_fn(|cx| waiter.poll(cx, round)).await;
    }

    /// A waiter, for a future that waits for several signals at once.
    pub(super) fn waiter(&self) -> SignalWaiter<'_> {
        SignalWaiter { signal: self, number: None }
    }

    fn lock(&self) -> MutexGuard<'_, WaiterQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A waiter. It has a number in the queue once it has had to wait.
pub(super) struct SignalWaiter<'a> {
    signal: &'a Signal,
    number: Option<u64>,
}

impl SignalWaiter<'_> {
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, round: u64) -> Poll<()> {
        let signal = self.signal;
        if signal.is_over(round) {
            return Poll::Ready(());
        }
        {
            let mut queue = signal.lock();
            let number = *self.number.get_or_insert_with(|| {
                queue.next += 1;
                queue.next
            });
            queue.wakers.entry(number).or_insert_with(|| cx.waker().clone()).clone_from(cx.waker());
            signal.waiting.store(queue.wakers.len(), Ordering::SeqCst);
        }
        // It may have been announced between the first look and the registration: then no one would
        // wake us, so we look again.
        if signal.is_over(round) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for SignalWaiter<'_> {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        let mut queue = self.signal.lock();
        queue.wakers.remove(&number);
        self.signal.waiting.store(queue.wakers.len(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_waiter_is_woken_once_and_only_for_its_round() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let waker = Waker::from(count.clone());
        let mut cx = Context::from_waker(&waker);
        let signal = Signal::default();
        let mut waiter = SignalWaiter { signal: &signal, number: None };

        assert!(waiter.poll(&mut cx, 3).is_pending());
        assert!(waiter.poll(&mut cx, 3).is_pending());
        assert_eq!(signal.lock().wakers.len(), 1, "one waiter is kept once");

        signal.announce(2);
        assert!(waiter.poll(&mut cx, 3).is_pending(), "round 2 is not round 3");
        signal.announce(3);
        assert!(waiter.poll(&mut cx, 3).is_ready());
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_waiter_that_gave_up_leaves_nothing_behind() {
        let signal = Signal::default();
        let mut cx = Context::from_waker(Waker::noop());
        let mut stays = SignalWaiter { signal: &signal, number: None };
        assert!(stays.poll(&mut cx, 0).is_pending());
        for _ in 0..10 {
            let mut leaves = SignalWaiter { signal: &signal, number: None };
            assert!(leaves.poll(&mut cx, 0).is_pending());
        }
        assert_eq!((signal.lock().wakers.len(), signal.waiting.load(Ordering::SeqCst)), (1, 1));
        drop(stays);
        assert_eq!((signal.lock().wakers.len(), signal.waiting.load(Ordering::SeqCst)), (0, 0));
    }

    #[test]
    fn a_round_that_is_over_stays_over() {
        let signal = Signal::default();
        signal.announce(7);
        signal.announce(2);
        assert!(signal.is_over(0) && signal.is_over(7) && !signal.is_over(8));
    }
}
