//! The context of a request: the server and the connection that it came in on, and whether its peer
//! still waits.

use std::fmt;
use std::future::poll_fn;
use std::iter;
use std::sync::{Arc, LazyLock};
use std::task::Poll;

use http::Extensions;

use super::connection::Addr;
use super::signal::Signal;

/// The context of one request: cheap to clone, and can be moved to other tasks.
///
/// [`cancelled`](Context::cancelled) completes when the request is over for its peer: the client closed
/// its connection, a write to it failed, or the handler returned or was dropped by a `timeout_handler`.
/// A further request that already waits on the connection does not cancel this one (Go's
/// `Request.Context`). Over HTTP/1 a close is noticed only when the content of the request was read to
/// its end, because it arrives after that.
#[derive(Clone)]
pub struct Context {
    /// `None` is the background context. In a static `Arc` it would have one reference count, for which all
    /// threads contend.
    connection: Option<Arc<ConnContext>>,
    exchange: u64,
    /// Set where a middleware may cancel the request before its exchange is over.
    scope: Option<Arc<Scope>>,
}

/// A part of an exchange that can be cancelled separately.
struct Scope {
    over: Signal,
    outer: Option<Arc<Scope>>,
}

/// What all requests of a connection share.
pub(crate) struct ConnContext {
    pub(crate) local_addr: Addr,
    pub(crate) values: Arc<Extensions>,
    pub(crate) exchanges: Signal,
    pub(crate) draining: Arc<Signal>,
}

impl ConnContext {
    pub(crate) fn new(local_addr: Addr, values: Arc<Extensions>, draining: Arc<Signal>) -> ConnContext {
        ConnContext { local_addr, values, exchanges: Signal::default(), draining }
    }
}

impl Context {
    /// A context without a connection, which is never cancelled: that of a request that was made by
    /// hand.
    pub fn background() -> Context {
        Context { connection: None, exchange: 0, scope: None }
    }

    /// Whether anything can cancel it: it is not the background context.
    pub(crate) fn may_end(&self) -> bool {
        self.connection.is_some() || self.scope.is_some()
    }

    /// Becomes the context of this exchange.
    pub(crate) fn enter(&mut self, connection: &Arc<ConnContext>, exchange: u64) {
        if !self.connection.as_ref().is_some_and(|own| Arc::ptr_eq(own, connection)) {
            self.connection = Some(connection.clone());
        }
        self.exchange = exchange;
        self.scope = None;
    }

    /// The same context, which can be cancelled before this one ends (Go's `context.WithCancel`); it ends with this one
    /// too. [`Request::with_context`](crate::Request::with_context) puts a client's request under it.
    ///
    /// ```
    /// use nethttp::Context;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (context, guard) = Context::background().with_cancel();
    /// let part = context.clone();
    /// let work = tokio::spawn(async move { part.cancelled().await });
    /// guard.cancel();
    /// work.await.unwrap();
    /// assert!(context.is_cancelled());
    /// # }
    /// ```
    ///
    /// For what may take only so long, Go's `context.WithTimeout`, put `tokio::time::timeout` around the work: what it
    /// drops is ended. A client's request has its own [`Timeouts`](crate::client::Timeouts).
    #[must_use = "the context is cancelled when the guard is dropped"]
    pub fn with_cancel(&self) -> (Context, CancelGuard) {
        let scoped = self.scoped();
        let guard = CancelGuard(scoped.clone());
        (scoped, guard)
    }

    /// The same context, which [`end_scope`](Context::end_scope) can cancel separately.
    pub(crate) fn scoped(&self) -> Context {
        let scope = Scope { over: Signal::default(), outer: self.scope.clone() };
        Context { connection: self.connection.clone(), exchange: self.exchange, scope: Some(Arc::new(scope)) }
    }

    /// Cancels this context and its clones, not the one that it was made from.
    pub(crate) fn end_scope(&self) {
        if let Some(scope) = &self.scope {
            scope.over.announce(0);
        }
    }

    fn connection(&self) -> &ConnContext {
        static NOWHERE: LazyLock<ConnContext> =
            LazyLock::new(|| ConnContext::new(Addr::unknown(), Arc::default(), Arc::default()));
        self.connection.as_deref().unwrap_or_else(|| &NOWHERE)
    }

    /// The signals that cancel this context, each with its round.
    fn signals(&self) -> impl Iterator<Item = (&Signal, u64)> {
        let scopes = iter::successors(self.scope.as_deref(), |scope| scope.outer.as_deref());
        iter::once((&self.connection().exchanges, self.exchange)).chain(scopes.map(|scope| (&scope.over, 0)))
    }

    /// Completes once the peer no longer waits for the response. Cancel safe; may be awaited any number
    /// of times, in any task.
    pub async fn cancelled(&self) {
        let mut waiters = Vec::from_iter(self.signals().map(|(signal, round)| (signal.waiter(), round)));
        poll_fn(|cx| {
            let over = waiters.iter_mut().any(|(waiter, round)| waiter.poll(cx, *round).is_ready());
            if over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Whether [`cancelled`](Context::cancelled) would complete at once.
    pub fn is_cancelled(&self) -> bool {
        self.signals().any(|(signal, round)| signal.is_over(round))
    }

    /// Completes once the server has begun to shut down: a response that streams without end should
    /// then end itself, because the time for a shutdown is limited. Cancel safe.
    pub async fn draining(&self) {
        self.connection().draining.wait(0).await;
    }

    /// Whether the server has begun to shut down.
    pub fn is_draining(&self) -> bool {
        self.connection().draining.is_over(0)
    }

    /// The local address that the connection came in on.
    pub fn local_addr(&self) -> &Addr {
        &self.connection().local_addr
    }

    /// A value that `base_context` or `conn_context` of the server put there, by its type. The
    /// server puts itself there: `value::<Server>()`.
    pub fn value<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.connection().values.get()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("local_addr", self.local_addr())
            .field("exchange", &self.exchange)
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

/// Cancels the context that it was made with, by [`Context::with_cancel`]: when it is asked to, and at the latest when
/// it is dropped, so that work which nobody waits for any more does not go on.
#[derive(Debug)]
pub struct CancelGuard(Context);

impl CancelGuard {
    /// Cancels the context, its clones and what was made from it. The context that it was made from goes on. A second
    /// time does nothing.
    pub fn cancel(&self) {
        self.0.end_scope();
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        self.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_ends_with_its_guard_or_with_the_one_that_it_was_made_from() {
        let (outer, outer_guard) = Context::background().with_cancel();
        let (dropped, guard) = outer.with_cancel();
        let (inner, _kept) = outer.with_cancel();
        drop(guard);
        assert_eq!([&outer, &dropped, &inner].map(Context::is_cancelled), [false, true, false]);
        outer_guard.cancel();
        assert_eq!([&outer, &inner].map(Context::is_cancelled), [true, true]);
        assert!(!Context::background().is_cancelled());
    }

    #[tokio::test]
    async fn the_end_of_a_scope_cancels_what_is_within_and_nothing_around() {
        let outer = Context::background();
        let middle = outer.scoped();
        let inner = middle.scoped();
        let waiting = tokio::spawn({
            let inner = inner.clone();
            async move { inner.cancelled().await }
        });
        tokio::task::yield_now().await;

        middle.end_scope();
        waiting.await.unwrap();
        assert_eq!([&outer, &middle, &inner].map(Context::is_cancelled), [false, true, true]);
    }

    #[test]
    fn a_scope_is_over_with_its_exchange() {
        let connection = Arc::new(ConnContext::new(Addr::unknown(), Arc::default(), Arc::default()));
        let mut context = Context::background();
        context.enter(&connection, 4);
        let scoped = context.scoped();
        connection.exchanges.announce(3);
        assert!(!scoped.is_cancelled());
        connection.exchanges.announce(4);
        assert!(scoped.is_cancelled());
    }
}
