//! The context of a request: the server and the connection that it came in on, and whether its peer
//! still waits.

use std::any::Any;
use std::fmt;
use std::future::{Future, poll_fn};
use std::iter;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::task::Poll;
use std::time::Instant;

use http::Extensions;

use super::connection::Addr;
use super::signal::Signal;
use crate::error::{Error, ErrorKind};

/// The context of one request: cheap to clone, and can be moved to other tasks.
///
/// [`cancelled`](Context::cancelled) completes when the request is over for its peer: the client closed
/// its connection, a write to it failed, or the handler returned or was dropped by a `timeout_handler`.
/// A further request that already waits on the connection does not cancel this one (Go's
/// `Request.Context`). Over HTTP/1 a close is noticed only when the content of the request was read to
/// its end, because it arrives after that.
///
/// Others are made from it, and end with it: [`with_cancel`](Context::with_cancel),
/// [`with_timeout`](Context::with_timeout), [`with_deadline`](Context::with_deadline);
/// [`with_value`](Context::with_value) adds a value. To drop a context, or a clone of it, ends nothing.
#[derive(Clone)]
pub struct Context {
    /// `None` is the background context. In a static `Arc` it would have one reference count, for which all
    /// threads contend.
    connection: Option<Arc<ConnContext>>,
    exchange: u64,
    /// What was made from the context of the exchange, the innermost first.
    scope: Option<Arc<Scope>>,
}

/// What one context adds to the one that it was made from.
struct Scope {
    adds: ScopeKind,
    outer: Option<Arc<Scope>>,
}

enum ScopeKind {
    /// An end of its own.
    Cancel(Signal),
    Deadline(Box<dyn ContextTimer>),
    Value(Box<dyn Any + Send + Sync>),
}

/// A moment, and how to wait for it: this layer knows no clock.
pub(crate) trait ContextTimer: Send + Sync {
    fn at(&self) -> Instant;

    fn has_passed(&self) -> bool;

    /// Completes when it has passed.
    fn wait(&self) -> TimerFuture;
}

pub(crate) type TimerFuture = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

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

    /// Whether anything can cancel it: neither the background context, nor one that adds values to it.
    pub(crate) fn may_end(&self) -> bool {
        self.connection.is_some() || self.scopes().any(|scope| !matches!(scope.adds, ScopeKind::Value(_)))
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
    /// [`with_timeout`](Context::with_timeout) is for what may take only so long.
    #[must_use = "the context is cancelled when the guard is dropped"]
    pub fn with_cancel(&self) -> (Context, CancelGuard) {
        let scoped = self.scoped();
        let guard = CancelGuard(scoped.clone());
        (scoped, guard)
    }

    /// The same context with this value, which [`value`](Context::value) finds by its type (Go's
    /// `context.WithValue`, whose keys are types by good custom). A value of the same type that was there is hidden
    /// in the new context, and stays in this one.
    ///
    /// ```
    /// use nethttp::Context;
    ///
    /// struct Tenant(u32);
    ///
    /// let context = Context::background().with_value(Tenant(7));
    /// assert_eq!(context.value::<Tenant>().map(|tenant| tenant.0), Some(7));
    /// ```
    ///
    /// What one middleware tells the handler behind it goes into [`Request::extensions`](crate::Request::extensions)
    /// more cheaply; a value of the context goes with it, into other tasks and calls too.
    #[must_use]
    pub fn with_value<T: Send + Sync + 'static>(&self, value: T) -> Context {
        self.adding(ScopeKind::Value(Box::new(value)))
    }

    /// The same context, which ends at that moment too.
    pub(crate) fn with_timer(&self, timer: Box<dyn ContextTimer>) -> Context {
        self.adding(ScopeKind::Deadline(timer))
    }

    /// The same context, which [`end_scope`](Context::end_scope) can cancel separately.
    pub(crate) fn scoped(&self) -> Context {
        self.adding(ScopeKind::Cancel(Signal::default()))
    }

    fn adding(&self, adds: ScopeKind) -> Context {
        let scope = Scope { adds, outer: self.scope.clone() };
        Context { connection: self.connection.clone(), exchange: self.exchange, scope: Some(Arc::new(scope)) }
    }

    /// Cancels this context, which [`scoped`](Context::scoped) has made, and its clones, not the one that it was made
    /// from.
    pub(crate) fn end_scope(&self) {
        if let Some(Scope { adds: ScopeKind::Cancel(over), .. }) = self.scope.as_deref() {
            over.announce(0);
        }
    }

    fn connection(&self) -> &ConnContext {
        static NOWHERE: LazyLock<ConnContext> =
            LazyLock::new(|| ConnContext::new(Addr::unknown(), Arc::default(), Arc::default()));
        self.connection.as_deref().unwrap_or_else(|| &NOWHERE)
    }

    /// What this context was made of, from the inside out.
    fn scopes(&self) -> impl Iterator<Item = &Scope> {
        iter::successors(self.scope.as_deref(), |scope| scope.outer.as_deref())
    }

    /// The signals that cancel this context, each with its round.
    fn signals(&self) -> impl Iterator<Item = (&Signal, u64)> {
        let ends = self.scopes().filter_map(|scope| match &scope.adds {
            ScopeKind::Cancel(over) => Some((over, 0)),
            ScopeKind::Deadline(_) | ScopeKind::Value(_) => None,
        });
        iter::once((&self.connection().exchanges, self.exchange)).chain(ends)
    }

    fn timers(&self) -> impl Iterator<Item = &dyn ContextTimer> {
        self.scopes().filter_map(|scope| match &scope.adds {
            ScopeKind::Deadline(timer) => Some(&**timer),
            ScopeKind::Cancel(_) | ScopeKind::Value(_) => None,
        })
    }

    /// Completes once the peer no longer waits for the response, or whatever else ends this context. Cancel safe; may
    /// be awaited any number of times, in any task.
    pub async fn cancelled(&self) {
        let mut waiters = Vec::from_iter(self.signals().map(|(signal, round)| (signal.waiter(), round)));
        // The earliest deadline is enough; `None` without an allocation where there is none.
        let mut deadline = self.timers().min_by_key(|timer| timer.at()).map(ContextTimer::wait);
        poll_fn(|cx| {
            let over = waiters.iter_mut().any(|(waiter, round)| waiter.poll(cx, *round).is_ready())
                || deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready());
            if over { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Whether [`cancelled`](Context::cancelled) would complete at once.
    pub fn is_cancelled(&self) -> bool {
        self.signals().any(|(signal, round)| signal.is_over(round)) || self.has_timed_out()
    }

    /// When it ends at the latest, if that is known: the earliest of the deadlines of this context and of those that
    /// it was made from. The time limits of the server and of clients are not among them.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers().map(ContextTimer::at).min()
    }

    /// Why it has ended (Go's `Context.Err`): [`ErrorKind::TimedOut`] where its
    /// [deadline](Context::deadline) has passed, [`ErrorKind::Cancelled`] for all other ends, and `None` while it
    /// has not. Where both is so it is `TimedOut`.
    pub fn error(&self) -> Option<Error> {
        let ended = |kind, message| Some(Error::new(kind, message));
        match self.has_timed_out() {
            true => ended(ErrorKind::TimedOut, "the deadline of the context has passed"),
            false if self.is_cancelled() => ended(ErrorKind::Cancelled, "the context has ended"),
            false => None,
        }
    }

    fn has_timed_out(&self) -> bool {
        self.timers().any(ContextTimer::has_passed)
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

    /// A value that [`with_value`](Context::with_value), or `base_context` or `conn_context` of the server, put there,
    /// by its type; the innermost one. The server puts itself there: `value::<Server>()`.
    pub fn value<T: Send + Sync + 'static>(&self) -> Option<&T> {
        let added = self.scopes().find_map(|scope| match &scope.adds {
            ScopeKind::Value(value) => value.downcast_ref(),
            ScopeKind::Cancel(_) | ScopeKind::Deadline(_) => None,
        });
        added.or_else(|| self.connection().values.get())
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
/// it is dropped, so that work which nobody waits for any more does not go on. `let (context, _) = …` drops it at once.
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

    #[test]
    fn a_value_is_found_by_its_type_and_the_innermost_counts() {
        let mut values = Extensions::new();
        values.insert("outermost");
        values.insert(1_u8);
        let connection = Arc::new(ConnContext::new(Addr::unknown(), Arc::new(values), Arc::default()));
        let mut context = Context::background();
        context.enter(&connection, 1);
        let (inner, guard) = context.with_value("middle").with_value(2_u16).with_cancel();
        let innermost = inner.with_value("innermost");
        let of = |context: &Context| context.value::<&str>().copied();
        assert_eq!([&context, &inner, &innermost].map(of), [Some("outermost"), Some("middle"), Some("innermost")]);
        assert_eq!(
            (innermost.value::<u8>(), innermost.value(), innermost.value::<u32>()),
            (Some(&1), Some(&2_u16), None)
        );
        guard.cancel();
        assert_eq!([&context, &inner, &innermost].map(Context::is_cancelled), [false, true, true]);
    }

    #[test]
    fn a_value_gives_the_background_no_end() {
        let context = Context::background().with_value(1);
        assert!(!context.may_end() && context.error().is_none());
        let (context, guard) = context.with_cancel();
        assert!(context.may_end());
        drop(guard);
        assert_eq!(context.with_value(2).error().unwrap().kind(), ErrorKind::Cancelled);
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
