//! One look at the clock for all that happens within one poll of a connection's task.
//!
//! A look costs as much as a twentieth of a plain request, and a request that is answered at once asks
//! twice: for `Date`, and for the deadline of the wait that follows. What lies between two polls is
//! never taken for one moment, so no deadline is off by more than a handler computes without a pause.

use std::cell::Cell;

use tokio::time::Instant;

/// What is known of the time on this thread.
#[derive(Clone, Copy)]
enum Known {
    /// No connection is polled.
    Nothing,
    /// One is, and has not asked yet.
    Unasked,
    Now(Instant),
}

thread_local! {
    static KNOWN: Cell<Known> = const { Cell::new(Known::Nothing) };
}

/// Runs one poll of a connection's task.
pub(crate) fn for_one_poll<T>(poll: impl FnOnce() -> T) -> T {
    KNOWN.set(Known::Unasked);
    let polled = poll();
    KNOWN.set(Known::Nothing);
    polled
}

/// When it is: within a poll, always the same.
pub(crate) fn now() -> Instant {
    let known = KNOWN.get();
    if let Known::Now(now) = known {
        return now;
    }
    let now = Instant::now();
    if matches!(known, Known::Unasked) {
        KNOWN.set(Known::Now(now));
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
