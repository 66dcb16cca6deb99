//! How long work is wanted: the context of a request, and those that are made from it.
//!
//! ```
//! use std::time::Duration;
//!
//! use nethttp::context::Context;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let (context, guard) = Context::background().with_cancel();
//! let inner = context.with_timeout(Duration::from_secs(5));
//! let work = tokio::spawn(async move {
//!     tokio::select! {
//!         () = inner.cancelled() => "given up",
//!         () = tokio::time::sleep(Duration::from_secs(600)) => "done",
//!     }
//! });
//! drop(guard);
//! assert_eq!(work.await.unwrap(), "given up");
//! # }
//! ```
//!
//! | Go | here | it ends |
//! |---|---|---|
//! | `context.WithCancel` | [`with_cancel`](Context::with_cancel) | when its [`CancelGuard`] says so, or is dropped |
//! | `context.WithTimeout` | [`with_timeout`](Context::with_timeout) | when so much time has passed |
//! | `context.WithDeadline` | [`with_deadline`](Context::with_deadline) | at that moment |
//! | `context.WithValue` | [`with_value`](Context::with_value) | never by itself |
//!
//! Each ends with the context that it was made from as well, and none ends that one. None has a task of its own, so
//! that there is nothing to be released, and Go's `defer cancel()` is needed for none.
//!
//! The guide has it on its pages on handlers and on the client: `docs/guide/handlers.md`, `docs/guide/client.md`.

use std::time::{Duration, Instant};

use tokio::time;

pub use crate::message::{CancelGuard, Context};
use crate::message::{ContextTimer, TimerFuture};

impl Context {
    /// The same context, which ends after this much time too (Go's `context.WithTimeout`): zero is an end at once, and
    /// what is too long to be counted is none.
    ///
    /// A client's request that is under it fails with [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut); its content
    /// is in this time too. [`Timeouts`](crate::client::Timeouts) are for the steps of one request, and this is
    /// for all that one piece of work may do.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use nethttp::{Client, Request, ResponseWriter, Result, handle_with};
    ///
    /// async fn both(client: &Client, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    ///     // Two seconds for the two of them, and no longer than our client waits.
    ///     let context = r.context().with_timeout(Duration::from_secs(2));
    ///     let one = Request::get("http://one.example/")?.with_context(context.clone());
    ///     let two = Request::get("http://two.example/")?.with_context(context);
    ///     let (mut one, mut two) = tokio::try_join!(client.send(one), client.send(two))?;
    ///     w.write(one.text().await? + &two.text().await?).await
    /// }
    ///
    /// nethttp::ServeMux::new().handle("GET /both", handle_with(Client::new(), both));
    /// ```
    #[must_use]
    pub fn with_timeout(&self, timeout: Duration) -> Context {
        match time::Instant::now().checked_add(timeout) {
            Some(at) => self.with_timer(Box::new(ContextDeadline(at))),
            None => self.clone(),
        }
    }

    /// The same context, which ends at this moment too (Go's `context.WithDeadline`), as
    /// [`with_timeout`](Context::with_timeout) does. It is a moment of tokio's clock: in tests where that is paused,
    /// `tokio::time::Instant::now().into_std()` is the present.
    #[must_use]
    pub fn with_deadline(&self, at: Instant) -> Context {
        self.with_timer(Box::new(ContextDeadline(at.into())))
    }
}

struct ContextDeadline(time::Instant);

impl ContextTimer for ContextDeadline {
    fn at(&self) -> Instant {
        self.0.into_std()
    }

    fn has_passed(&self) -> bool {
        time::Instant::now() >= self.0
    }

    fn wait(&self) -> TimerFuture {
        Box::pin(time::sleep_until(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const SECOND: Duration = Duration::from_secs(1);

    fn ends(context: &Context) -> Option<ErrorKind> {
        assert_eq!(context.is_cancelled(), context.error().is_some());
        context.error().map(|error| error.kind())
    }

    #[tokio::test(start_paused = true)]
    async fn a_context_ends_at_the_earliest_deadline_of_those_that_it_is_made_of() {
        let began = time::Instant::now();
        let outer = Context::background().with_timeout(5 * SECOND);
        let shorter = outer.with_timeout(2 * SECOND);
        let longer = outer.with_deadline((began + 9 * SECOND).into_std()).with_value(());
        let deadlines = [&outer, &shorter, &longer].map(|context| context.deadline().unwrap() - began.into_std());
        assert_eq!(deadlines, [5 * SECOND, 2 * SECOND, 5 * SECOND]);
        shorter.cancelled().await;
        assert_eq!((began.elapsed().as_secs(), ends(&shorter), ends(&outer)), (2, Some(ErrorKind::TimedOut), None));
        longer.cancelled().await;
        assert_eq!(began.elapsed().as_secs(), 5);
        assert_eq!([&outer, &longer].map(ends), [Some(ErrorKind::TimedOut); 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_guard_ends_it_before_its_deadline_and_a_deadline_before_its_guard() {
        let began = time::Instant::now();
        let (outer, guard) = Context::background().with_cancel();
        let inner = outer.with_timeout(SECOND);
        let (innermost, _kept) = inner.with_cancel();
        let later = outer.with_timeout(60 * SECOND);
        let waiting = tokio::spawn({
            let later = later.clone();
            async move { later.cancelled().await }
        });
        innermost.cancelled().await;
        assert_eq!((began.elapsed(), ends(&innermost), ends(&outer)), (SECOND, Some(ErrorKind::TimedOut), None));
        guard.cancel();
        waiting.await.unwrap();
        assert_eq!((began.elapsed(), ends(&later)), (SECOND, Some(ErrorKind::Cancelled)));
    }

    #[tokio::test(start_paused = true)]
    async fn no_time_is_an_end_at_once_and_time_without_end_is_none() {
        let context = Context::background();
        assert_eq!(ends(&context.with_timeout(Duration::ZERO)), Some(ErrorKind::TimedOut));
        assert_eq!(context.with_timeout(Duration::MAX).deadline(), None);
        assert!(!context.with_timeout(Duration::MAX).may_end());
    }
}
