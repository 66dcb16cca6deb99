//! A signal: something that is announced once a round, to any number of waiters.
//!
//! It is what cancels a request's context and tells handlers that the server drains. Written on
//! `std` alone because this layer knows no runtime. One signal serves a whole connection: each
//! turn is a round of its own, so that a request costs no allocation.

use std::future::poll_fn;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

#[derive(Debug, Default)]
pub(crate) struct Signal {
    /// All rounds below this number are over.
    over: AtomicU64,
    /// How many wakers are kept; spares `announce` the lock in the usual case of none.
    waiting: AtomicUsize,
    wakers: Mutex<Vec<Waker>>,
}

impl Signal {
    /// Ends this round and all before it, and wakes who waits.
    pub(crate) fn announce(&self, round: u64) {
        self.over.fetch_max(round.saturating_add(1), Ordering::SeqCst);
        if self.waiting.load(Ordering::SeqCst) == 0 {
            return;
        }
        let wakers = std::mem::take(&mut *self.lock());
        self.waiting.store(0, Ordering::SeqCst);
        for waker in wakers {
            waker.wake();
        }
    }

    /// Whether this round is over.
    pub(crate) fn is_over(&self, round: u64) -> bool {
        self.over.load(Ordering::SeqCst) > round
    }

    /// Completes when this round is over. Dropping it is free: the waker stays until the round
    /// ends, and a task that asks again is kept once.
    pub(crate) async fn wait(&self, round: u64) {
        poll_fn(|cx| self.poll(cx, round)).await;
    }

    /// The same for a caller that waits for several.
    pub(super) fn poll(&self, cx: &mut Context<'_>, round: u64) -> Poll<()> {
        if self.is_over(round) {
            return Poll::Ready(());
        }
        {
            let mut wakers = self.lock();
            if !wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
                wakers.push(cx.waker().clone());
            }
            self.waiting.store(wakers.len(), Ordering::SeqCst);
        }
        // Announced between the look and the registration: nobody would wake us.
        if self.is_over(round) { Poll::Ready(()) } else { Poll::Pending }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Waker>> {
        self.wakers.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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

        assert!(signal.poll(&mut cx, 3).is_pending());
        assert!(signal.poll(&mut cx, 3).is_pending());
        assert_eq!(signal.lock().len(), 1, "one task is kept once");

        signal.announce(2);
        assert!(signal.poll(&mut cx, 3).is_pending(), "round 2 is not round 3");
        signal.announce(3);
        assert!(signal.poll(&mut cx, 3).is_ready());
        assert_eq!(count.0.load(Ordering::SeqCst), 2);
    }

    #[test]
    fn a_round_that_is_over_stays_over() {
        let signal = Signal::default();
        signal.announce(7);
        signal.announce(2);
        assert!(signal.is_over(0) && signal.is_over(7) && !signal.is_over(8));
    }
}
