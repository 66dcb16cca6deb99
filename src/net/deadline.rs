//! Deadlines for one direction of a connection: the timer, and the limits on a transfer.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::task::coop::has_budget_remaining;
use tokio::time::{Instant, Sleep, sleep_until};

/// A deadline that is cheap to move.
///
/// Moving it only stores the moment. The timer beneath is made when something first waits, and
/// is armed anew only when it fires too early or the deadline has come nearer: a connection that
/// is kept alive touches the runtime's timer wheel about once in an idle timeout, not once a
/// request.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    at: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    /// The task that the timer wakes.
    waiting: Option<Waker>,
}

impl Deadline {
    /// Moves the deadline; `None` waits for ever.
    pub(crate) fn set(&mut self, at: Option<Instant>) {
        self.at = at;
        if at.is_none() {
            self.waiting = None;
        }
    }

    /// Whether there is one.
    pub(crate) fn is_set(&self) -> bool {
        self.at.is_some()
    }

    /// Wakes the task that waits at this moment at the latest, so that it polls again: for a deadline
    /// that comes nearer while it is waited for.
    pub(crate) fn wake_at(&mut self, at: Instant) {
        if let Some(timer) = self.timer.as_mut().filter(|timer| at < timer.deadline()) {
            timer.as_mut().reset(at);
        }
    }

    /// Ready once the deadline has passed.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at else { return Poll::Pending };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if at < timer.deadline() {
            timer.as_mut().reset(at);
        }
        let waits_already = self.waiting.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if waits_already && !timer.is_elapsed() {
            return Poll::Pending;
        }
        loop {
            // When the task's cooperative budget is used up, tokio returns `Pending` before the timer
            // has registered the waker. Such a waker must not be remembered as one that the timer will
            // wake.
            let is_registered = has_budget_remaining();
            if timer.as_mut().poll(cx).is_pending() {
                self.waiting = is_registered.then(|| cx.waker().clone());
                return Poll::Pending;
            }
            if timer.deadline() >= at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
    }
}

/// How long one direction of a transfer may take: in all, and without progress.
///
/// The timer is the connection's own and comes with each call, for a connection waits for heads on
/// the same one. As long as the peer keeps up nothing looks at the clock.
#[derive(Debug, Default)]
pub(crate) struct TransferLimit {
    /// How long the peer may make no progress.
    stall: Option<Duration>,
    /// When the transfer must be done, whatever progress it makes.
    until: Option<Instant>,
    /// Since when something waits for the peer to make progress.
    waiting_since: Option<Instant>,
}

impl TransferLimit {
    /// `stall` limits the time without progress, `until` the whole transfer.
    pub(crate) fn new(stall: Option<Duration>, until: Option<Instant>) -> TransferLimit {
        TransferLimit { stall, until, waiting_since: None }
    }

    /// Another transfer begins, which must be done at this moment.
    pub(crate) fn restart(&mut self, until: Option<Instant>) {
        self.until = until;
        self.waiting_since = None;
    }

    /// When it must be done.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Moves that moment. A wait that is under way does not notice: see [`wake`](Self::wake).
    pub(crate) fn set_until(&mut self, at: Option<Instant>) {
        self.until = at;
    }

    /// Makes a wait that is under way, perhaps in another task, notice a limit that came nearer.
    pub(crate) fn wake(&self, timer: &mut Deadline) {
        if let (Some(at), Some(_)) = (self.until, self.waiting_since) {
            timer.wake_at(at);
        }
    }

    /// Whether the transfer should be done by now. As long as the peer makes progress all the time, the
    /// timer is never polled, so each step checks this first.
    pub(crate) fn has_passed(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }

    /// The peer has made progress.
    pub(crate) fn progressed(&mut self) {
        self.waiting_since = None;
    }

    /// Ready once the transfer should be done, whether anything waits for the peer or not.
    pub(crate) fn poll_until(&self, timer: &mut Deadline, cx: &mut Context<'_>) -> Poll<()> {
        let Some(until) = self.until else { return Poll::Pending };
        if self.has_passed() {
            return Poll::Ready(());
        }
        // Whoever waits for the peer has armed the timer, for no later than this. It may have given up
        // since, so what fires is not always that moment.
        if self.waiting_since.is_some() && timer.is_set() && timer.poll(cx).is_pending() {
            return Poll::Pending;
        }
        timer.set(Some(until));
        timer.poll(cx)
    }

    /// Ready once the peer has made no progress for too long, or the transfer should be done.
    pub(crate) fn poll(&mut self, timer: &mut Deadline, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let stalls_at = self.stall.map(|stall| since + stall);
        timer.set(match (stalls_at, self.until) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        });
        timer.poll(cx)
    }
}

/// When an exchange must have read its request and written its response.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TransferDeadlines {
    pub(crate) read: Option<Instant>,
    pub(crate) write: Option<Instant>,
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn passed(deadline: &mut Deadline) -> Duration {
        let start = Instant::now();
        poll_fn(|cx| deadline.poll(cx)).await;
        start.elapsed()
    }

    async fn is_pending(deadline: &mut Deadline) -> bool {
        poll_fn(|cx| Poll::Ready(deadline.poll(cx).is_pending())).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moved_away_is_met_there() {
        let mut deadline = Deadline::default();
        let start = Instant::now();
        deadline.set(Some(start + Duration::from_secs(1)));
        assert!(is_pending(&mut deadline).await);
        deadline.set(Some(start + Duration::from_secs(5)));
        assert_eq!(passed(&mut deadline).await, Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_came_nearer_is_met_there() {
        let mut deadline = Deadline::default();
        let start = Instant::now();
        deadline.set(Some(start + Duration::from_secs(100)));
        assert!(is_pending(&mut deadline).await);
        deadline.set(Some(start + Duration::from_secs(2)));
        assert_eq!(passed(&mut deadline).await, Duration::from_secs(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_wakes_the_last_waker_also_after_a_poll_without_budget() {
        let mut deadline = Deadline::default();
        for round in 1..5 {
            deadline.set(Some(Instant::now() + Duration::from_secs(1)));
            assert!(is_pending(&mut deadline).await);
            let mut moved = std::mem::take(&mut deadline);
            deadline = tokio::spawn(async move {
                while round % 2 == 0 && has_budget_remaining() {
                    tokio::task::consume_budget().await;
                }
                assert!(is_pending(&mut moved).await);
                let patience = Duration::from_secs(9);
                let passed = tokio::time::timeout(patience, passed(&mut moved)).await;
                assert_eq!(passed.expect("it is woken"), Duration::from_secs(1));
                moved
            })
            .await
            .unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_deadline_nothing_ends_the_wait() {
        let mut deadline = Deadline::default();
        deadline.set(None);
        assert!(tokio::time::timeout(Duration::from_secs(1 << 20), passed(&mut deadline)).await.is_err());
    }

    async fn waits(limit: &mut TransferLimit, timer: &mut Deadline) -> Duration {
        let start = Instant::now();
        poll_fn(|cx| limit.poll(timer, cx)).await;
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_transfer_ends_at_its_moment_or_when_it_stalls_whichever_comes_first() {
        let (stall, long) = (Duration::from_secs(3), Duration::from_secs(1 << 20));
        for (stall, until, expected) in [
            (Some(stall), None, Some(3)),
            (Some(stall), Some(2), Some(2)),
            (Some(stall), Some(5), Some(3)),
            (None, Some(5), Some(5)),
            (None, None, None),
        ] {
            let until = until.map(|secs| Instant::now() + Duration::from_secs(secs));
            let mut limit = TransferLimit::new(stall, until);
            let mut timer = Deadline::default();
            let waited = tokio::time::timeout(long, waits(&mut limit, &mut timer)).await.ok();
            assert_eq!(waited, expected.map(Duration::from_secs), "{stall:?} {until:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn progress_gives_the_stall_limit_anew_and_the_moment_stays() {
        let mut limit = TransferLimit::new(Some(Duration::from_secs(3)), None);
        limit.restart(Some(Instant::now() + Duration::from_secs(5)));
        let mut timer = Deadline::default();
        for expected in [false, true] {
            assert!(poll_fn(|cx| Poll::Ready(limit.poll(&mut timer, cx).is_pending())).await);
            tokio::time::advance(Duration::from_secs(2)).await;
            assert!(!limit.has_passed());
            if !expected {
                limit.progressed();
            }
        }
        assert_eq!(waits(&mut limit, &mut timer).await, Duration::from_secs(1), "of the wait, and of the whole");
        assert!(limit.has_passed());
        limit.restart(None);
        assert!(!limit.has_passed());
        assert_eq!(waits(&mut limit, &mut timer).await, Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn the_moment_comes_also_where_nothing_waits_for_the_peer_or_what_waited_has_given_up() {
        for waits_before in [false, true] {
            let start = Instant::now();
            let mut limit = TransferLimit::new(Some(Duration::from_secs(3)), Some(start + Duration::from_secs(5)));
            let mut timer = Deadline::default();
            if waits_before {
                assert!(poll_fn(|cx| Poll::Ready(limit.poll(&mut timer, cx).is_pending())).await);
            }
            poll_fn(|cx| limit.poll_until(&mut timer, cx)).await;
            assert_eq!(start.elapsed(), Duration::from_secs(5));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_under_way_notices_a_limit_that_came_nearer() {
        let mut limit = TransferLimit::new(Some(Duration::from_secs(30)), None);
        let mut timer = Deadline::default();
        assert!(poll_fn(|cx| Poll::Ready(limit.poll(&mut timer, cx).is_pending())).await);
        limit.set_until(Some(Instant::now() + Duration::from_secs(1)));
        limit.wake(&mut timer);
        assert_eq!(waits(&mut limit, &mut timer).await, Duration::from_secs(1));
    }
}
