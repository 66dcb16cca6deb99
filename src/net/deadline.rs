//! A moment after which waiting ends, for one direction of a connection.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use tokio::task::coop::has_budget_remaining;
use tokio::time::{Instant, Sleep, sleep_until};

/// A deadline that may be moved for free.
///
/// Moving it only stores the moment. The timer beneath is made when something first waits, and
/// is armed anew only when it fires too early or the deadline has come nearer: a connection that
/// is kept alive touches the runtime's timer wheel about once in an idle timeout, not once a
/// request.
#[derive(Debug, Default)]
pub(crate) struct Deadline {
    at: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    /// Whom the timer wakes.
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

    /// Has whoever waits look again at this moment, at the latest: for a deadline that comes
    /// nearer while it is waited for.
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
            // A task whose budget is used up is sent away before the timer has seen its waker.
            let is_heard = has_budget_remaining();
            if timer.as_mut().poll(cx).is_pending() {
                self.waiting = is_heard.then(|| cx.waker().clone());
                return Poll::Pending;
            }
            if timer.deadline() >= at {
                return Poll::Ready(());
            }
            timer.as_mut().reset(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

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
    async fn who_polls_with_another_waker_is_woken_and_who_has_no_budget_left_too() {
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
}
