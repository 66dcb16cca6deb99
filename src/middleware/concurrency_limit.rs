//! How many requests are handled at a time.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use super::error::error;
use crate::error::Result;
use crate::message::{Context, Request};
use crate::server::{Middleware, Next, ResponseWriter};

const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Lets so many requests be handled at a time, and responds with 503 to the others, with `Retry-After`: a server that
/// has more to do than it can is of use to those whom it serves, and lets the others know at once.
///
/// By default nobody waits. With [`queue`](ConcurrencyLimit::queue) so many requests wait for so long, the one that
/// came first before the others. A request whose client leaves gives its place in the queue up; over HTTP/1 that is
/// noticed once its content is read, as [`Context::cancelled`](crate::Context::cancelled) says.
///
/// A place is taken until the handler is done, that is until the client has taken nearly all of the response; a
/// handler that runs on when its client has left keeps it, unless [`DropOnDisconnect`](super::DropOnDisconnect) lies
/// inside. Content of requests that wait is not read.
///
/// The limit is that of one process. Clones share it, so one limit can lie around several routes.
///
/// ```
/// use std::time::Duration;
///
/// use nethttp::ServeMux;
/// use nethttp::middleware::ConcurrencyLimit;
///
/// let mux = ServeMux::new();
/// mux.wrap(ConcurrencyLimit::new(200).queue(100, Duration::from_secs(2)));
/// ```
#[derive(Clone)]
pub struct ConcurrencyLimit {
    places: Arc<Semaphore>,
    queue: Arc<Semaphore>,
    max_wait: Duration,
    retry_after: Duration,
}

impl ConcurrencyLimit {
    /// So many at a time, and no queue.
    ///
    /// # Panics
    /// With 0, and with more than `usize::MAX >> 3`.
    #[track_caller]
    pub fn new(max: usize) -> ConcurrencyLimit {
        assert!(max > 0, "with a limit of 0 nothing would ever be handled");
        ConcurrencyLimit {
            places: Arc::new(Semaphore::new(max)),
            queue: Arc::new(Semaphore::new(0)),
            max_wait: Duration::ZERO,
            retry_after: DEFAULT_RETRY_AFTER,
        }
    }

    /// Lets this many requests wait, each for `max_wait` at most. A queue is for a burst: where more comes than can
    /// be done for longer, it makes each request as late as it may be.
    ///
    /// # Panics
    /// With more than `usize::MAX >> 3`.
    #[must_use]
    #[track_caller]
    pub fn queue(mut self, len: usize, max_wait: Duration) -> ConcurrencyLimit {
        self.queue = Arc::new(Semaphore::new(len));
        self.max_wait = max_wait;
        self
    }

    /// What `Retry-After` says, in whole seconds, 1 by default. `Duration::ZERO` leaves it out.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> ConcurrencyLimit {
        self.retry_after = after;
        self
    }

    /// A place, at once or after a wait; `None` where there is none for this request.
    async fn place(&self, context: &Context) -> Option<SemaphorePermit<'_>> {
        // The semaphore gives what comes free to those who wait, so this overtakes nobody.
        if let Ok(place) = self.places.try_acquire() {
            return Some(place);
        }
        // Held while this waits: dropping it, as when the handler around is dropped, frees the place in the queue.
        let _waiting = self.queue.try_acquire().ok()?;
        timeout(self.max_wait, self.place_unless_cancelled(context)).await.ok().flatten()
    }

    async fn place_unless_cancelled(&self, context: &Context) -> Option<SemaphorePermit<'_>> {
        let (mut place, mut cancelled) = (pin!(self.places.acquire()), pin!(context.cancelled()));
        poll_fn(|cx| {
            // First, so that no place is taken for a client that is gone.
            if cancelled.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            // The semaphore is never closed.
            place.as_mut().poll(cx).map(std::result::Result::ok)
        })
        .await
    }
}

impl Middleware for ConcurrencyLimit {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        if let Some(_place) = self.place(r.context()).await {
            return next.run(w, r).await;
        }
        let seconds = self.retry_after.as_secs();
        if seconds > 0 {
            w.before_head(move |_, header| header.set("Retry-After", seconds.to_string()));
        }
        // Written and not returned: an error of 500 and above is reported as a fault, and that for each request
        // that is turned away would make of one load another.
        error(w, "too many requests are being handled", StatusCode::SERVICE_UNAVAILABLE).await
    }
}

impl fmt::Debug for ConcurrencyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimit")
            .field("free", &self.places.available_permits())
            .field("max_wait", &self.max_wait)
            .finish_non_exhaustive()
    }
}
