//! One reading of the clock for all that happens within one poll of a connection's task.
//!
//! A request whose handler does not wait needs the time twice: for `Date`, and for the deadline of the
//! wait that follows. The time is never kept from one poll to the next, so a deadline is off by at most
//! the time that a handler computes without waiting.

use std::cell::Cell;

use tokio::time::Instant;

/// What this thread has read of the clock.
#[derive(Clone, Copy)]
enum Look {
    /// No connection is polled.
    Outside,
    /// One is, and has not read the clock yet.
    NotYet,
    At(Instant),
}

thread_local! {
    static LOOK: Cell<Look> = const { Cell::new(Look::Outside) };
}

/// Runs one poll of a connection's task.
pub(crate) fn for_one_poll<T>(poll: impl FnOnce() -> T) -> T {
    LOOK.set(Look::NotYet);
    let polled = poll();
    LOOK.set(Look::Outside);
    polled
}

/// The present time: within a poll, always the same.
pub(crate) fn now() -> Instant {
    let look = LOOK.get();
    if let Look::At(now) = look {
        return now;
    }
    let now = Instant::now();
    if matches!(look, Look::NotYet) {
        LOOK.set(Look::At(now));
    }
    now
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_stands_still_within_a_poll_and_nowhere_else() {
        let pause = || tokio::time::advance(Duration::from_secs(1));
        let outside = now();
        pause().await;
        assert_eq!(now(), outside + Duration::from_secs(1));
        let (first, again) = for_one_poll(|| (now(), now()));
        assert_eq!(first, again);
        pause().await;
        assert_eq!(for_one_poll(now), first + Duration::from_secs(1));
        pause().await;
        assert_eq!(now(), first + Duration::from_secs(2));
    }
}
