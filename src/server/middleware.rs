//! The forms in which a middleware may be written: an `async fn`, a function with a state, one of any
//! type behind a pointer, a list.

use std::future::Future;
use std::sync::Arc;

use super::handler::{Chain, HandlerFuture, Middleware, Next, Position};
use super::response::ResponseWriter;
use crate::error::Result;
use crate::message::{Header, Request};

/// Functions that are middleware. The arguments have one lifetime, as those of
/// [`HandlerFn`](super::handler::HandlerFn) have.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no middleware",
    label = "not `async fn(&mut ResponseWriter, &mut Request, Next<'_>) -> Result<()>`",
    note = "a middleware is an `async fn(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()>`, or a struct that implements `Middleware`",
    note = "a closure needs its argument types: `async |w: &mut ResponseWriter, r: &mut Request, next: Next<'_>| …`, and captures nothing",
    note = "a function with a state goes through `middleware::with_state(state, f)`"
)]
pub trait MiddlewareFn<'a>: Send + Sync + 'static {
    type Future: Future<Output = Result<()>> + Send + 'a;

    fn call(&self, w: &'a mut ResponseWriter, r: &'a mut Request, next: Next<'a>) -> Self::Future;
}

impl<'a, F, Fut> MiddlewareFn<'a> for F
where
    F: Fn(&'a mut ResponseWriter, &'a mut Request, Next<'a>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send + 'a,
{
    type Future = Fut;

    fn call(&self, w: &'a mut ResponseWriter, r: &'a mut Request, next: Next<'a>) -> Fut {
        self(w, r, next)
    }
}

impl<F> Middleware for F
where
    F: for<'a> MiddlewareFn<'a>,
{
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        self.call(w, r, next).await
    }

    fn handle_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request, next: Next<'a>) -> HandlerFuture<'a> {
        Box::pin(self.call(w, r, next))
    }
}

impl<M: Middleware> Middleware for Arc<M> {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        (**self).handle(w, r, next).await
    }

    fn handle_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request, next: Next<'a>) -> HandlerFuture<'a> {
        (**self).handle_boxed(w, r, next)
    }

    fn preflight(&self, r: &Request) -> Option<Header> {
        (**self).preflight(r)
    }
}

/// `None` changes nothing and costs nothing: for a middleware that a setting turns on.
impl<M: Middleware> Middleware for Option<M> {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        match self {
            Some(middleware) => middleware.handle(w, r, next).await,
            None => next.run(w, r).await,
        }
    }

    fn handle_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request, next: Next<'a>) -> HandlerFuture<'a> {
        match self {
            Some(middleware) => middleware.handle_boxed(w, r, next),
            None => next.run(w, r),
        }
    }

    fn preflight(&self, r: &Request) -> Option<Header> {
        self.as_ref()?.preflight(r)
    }
}

/// A middleware of any type, behind one pointer: for lists of them, and for branches that have one of
/// two. Clones share the middleware.
///
/// A `Vec` of these is a middleware too. The first of it is the outermost, as with
/// [`ServeMux::wrap`](crate::ServeMux::wrap).
///
/// ```
/// use nethttp::middleware::BoxMiddleware;
/// use nethttp::{Next, Request, ResponseWriter, Result, ServeMux};
///
/// async fn log(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
///     println!("{} {}", r.method, r.path());
///     next.run(w, r).await
/// }
///
/// async fn no_store(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
///     w.header().set("Cache-Control", "no-store");
///     next.run(w, r).await
/// }
///
/// let mux = ServeMux::new();
/// mux.wrap(vec![BoxMiddleware::new(log), BoxMiddleware::new(no_store)]);
/// ```
#[derive(Clone)]
pub struct BoxMiddleware(Arc<dyn ErasedMiddleware>);

impl BoxMiddleware {
    /// A middleware behind one pointer.
    pub fn new(middleware: impl Middleware) -> BoxMiddleware {
        BoxMiddleware(Arc::new(middleware))
    }
}

impl Middleware for BoxMiddleware {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        self.0.handle(w, r, next).await
    }

    fn handle_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request, next: Next<'a>) -> HandlerFuture<'a> {
        self.0.handle(w, r, next)
    }

    fn preflight(&self, r: &Request) -> Option<Header> {
        self.0.preflight_rules(r)
    }
}

impl std::fmt::Debug for BoxMiddleware {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BoxMiddleware")
    }
}

trait ErasedMiddleware: Send + Sync {
    fn handle<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request, next: Next<'a>) -> HandlerFuture<'a>;

    fn preflight_rules(&self, r: &Request) -> Option<Header>;
}

impl<M: Middleware> ErasedMiddleware for M {
    fn handle<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request, next: Next<'a>) -> HandlerFuture<'a> {
        self.handle_boxed(w, r, next)
    }

    fn preflight_rules(&self, r: &Request) -> Option<Header> {
        self.preflight(r)
    }
}

impl Middleware for Vec<BoxMiddleware> {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        MiddlewareList { list: self, next }.run_from(Position::START, w, r).await
    }

    fn preflight(&self, r: &Request) -> Option<Header> {
        self.iter().rev().find_map(|middleware| middleware.preflight(r))
    }
}

/// The middleware of a list, and what comes after all of them.
struct MiddlewareList<'list> {
    list: &'list [BoxMiddleware],
    next: Next<'list>,
}

impl Chain for MiddlewareList<'_> {
    fn run_from<'a>(&'a self, position: Position, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        match self.list.get(position.index as usize) {
            Some(middleware) => middleware.handle_boxed(w, r, Next::at(self, position.after())),
            None => self.next.run(w, r),
        }
    }

    fn preflight_from(&self, position: Position, r: &Request) -> Option<Header> {
        let left = self.list.get(position.index as usize..).unwrap_or_default();
        self.next.preflight(r).or_else(|| left.iter().rev().find_map(|middleware| middleware.preflight(r)))
    }
}

/// A middleware made of a state and a function that gets it by reference, as
/// [`handle_with`](crate::handle_with) makes a handler.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use nethttp::{Next, Request, ResponseWriter, Result, ServeMux, middleware};
///
/// async fn count(n: &AtomicU64, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
///     let n = n.fetch_add(1, Ordering::Relaxed);
///     w.header().set("X-Request-Number", n.to_string());
///     next.run(w, r).await
/// }
///
/// ServeMux::new().wrap(middleware::with_state(AtomicU64::new(1), count));
/// ```
pub fn with_state<S, F>(state: S, function: F) -> impl Middleware
where
    S: Send + Sync + 'static,
    F: for<'a> MiddlewareStateFn<'a, S>,
{
    MiddlewareWithState { state, function }
}

struct MiddlewareWithState<S, F> {
    state: S,
    function: F,
}

impl<S, F> Middleware for MiddlewareWithState<S, F>
where
    S: Send + Sync + 'static,
    F: for<'a> MiddlewareStateFn<'a, S>,
{
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        self.function.call(&self.state, w, r, next).await
    }

    fn handle_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request, next: Next<'a>) -> HandlerFuture<'a> {
        Box::pin(self.function.call(&self.state, w, r, next))
    }
}

/// Functions that are middleware together with a state.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no function that `middleware::with_state` takes with a `{S}`",
    label = "not `async fn(&{S}, &mut ResponseWriter, &mut Request, Next<'_>) -> Result<()>`",
    note = "a closure needs its argument types, that of the state included, and captures nothing"
)]
pub trait MiddlewareStateFn<'a, S: 'static>: Send + Sync + 'static {
    type Future: Future<Output = Result<()>> + Send + 'a;

    fn call(&self, state: &'a S, w: &'a mut ResponseWriter, r: &'a mut Request, next: Next<'a>) -> Self::Future;
}

impl<'a, S, F, Fut> MiddlewareStateFn<'a, S> for F
where
    S: 'static,
    F: Fn(&'a S, &'a mut ResponseWriter, &'a mut Request, Next<'a>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send + 'a,
{
    type Future = Fut;

    fn call(&self, state: &'a S, w: &'a mut ResponseWriter, r: &'a mut Request, next: Next<'a>) -> Fut {
        self(state, w, r, next)
    }
}
