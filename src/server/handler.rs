//! Handlers, and the forms in which one may be written: an `async fn`, a closure, a struct, a function
//! with a state.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::response::ResponseWriter;
use crate::error::Result;
use crate::message::Request;

/// The future of a handler, boxed: the only allocation of a plain request.
#[doc(hidden)]
pub type HandlerFuture<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// Answers requests (Go's `Handler`).
///
/// Plain `async fn` items and closures that capture nothing are handlers; so are structs that
/// implement this trait, [`handle_with`] for a function with a state, and
/// [`respond`](crate::respond) for functions that return their response.
///
/// When the function returns, the response is complete: what it wrote is sent, and writer and body
/// can no longer be used. An error becomes a response where nothing was sent yet
/// ([`Error::status`](crate::Error::status), else 500), and cuts the connection where something
/// was, so that the peer can see that the response is not complete. A panic does the same and is
/// reported; other connections go on.
///
/// When the client goes away the handler is not dropped: it runs to its end, unless it watches
/// [`Context::cancelled`](crate::Context::cancelled).
///
/// ```
/// use nethttp::{Handler, Request, ResponseWriter, Result};
///
/// // A function.
/// async fn hello(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
///     w.write(format!("hello, {}\n", r.path_value("name"))).await
/// }
///
/// // A struct with a state of its own.
/// struct Counter(std::sync::atomic::AtomicU64);
///
/// impl Handler for Counter {
///     async fn serve_http(&self, w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
///         let n = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///         w.write(format!("{n}\n")).await
///     }
/// }
///
/// let mux = nethttp::ServeMux::new();
/// mux.handle("GET /hello/{name}", hello);
/// mux.handle("GET /count", Counter(0.into()));
/// mux.handle("GET /now", async |w: &mut ResponseWriter, _: &mut Request| w.write("now").await);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler",
    label = "not `async fn(&mut ResponseWriter, &mut Request) -> Result<()>`",
    note = "a handler is an `async fn(w: &mut ResponseWriter, r: &mut Request) -> Result<()>`, or a struct that implements `Handler`",
    note = "a closure needs its argument types: `async |w: &mut ResponseWriter, r: &mut Request| …`",
    note = "a function that returns its response goes through `respond(f)`; one with a state through `handle_with(state, f)`"
)]
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> impl Future<Output = Result<()>> + Send;

    /// The same in a box. A handler that only chooses another one (a mux) returns the box of its
    /// choice, so that a request costs one allocation however many handlers lie around its own.
    #[doc(hidden)]
    fn serve_http_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        Box::pin(self.serve_http(w, r))
    }
}

/// Functions that are handlers. Both arguments have one lifetime: the future of an `async fn` borrows
/// both, and an associated type can name only a lifetime that the trait knows.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler",
    label = "not `async fn(&mut ResponseWriter, &mut Request) -> Result<()>`",
    note = "a handler is an `async fn(w: &mut ResponseWriter, r: &mut Request) -> Result<()>`, or a struct that implements `Handler`",
    note = "a closure needs its argument types: `async |w: &mut ResponseWriter, r: &mut Request| …`",
    note = "a function that returns its response goes through `respond(f)`; one with a state through `handle_with(state, f)`"
)]
pub trait HandlerFn<'a>: Send + Sync + 'static {
    type Future: Future<Output = Result<()>> + Send + 'a;

    fn call(&self, w: &'a mut ResponseWriter, r: &'a mut Request) -> Self::Future;
}

impl<'a, F, Fut> HandlerFn<'a> for F
where
    F: Fn(&'a mut ResponseWriter, &'a mut Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send + 'a,
{
    type Future = Fut;

    fn call(&self, w: &'a mut ResponseWriter, r: &'a mut Request) -> Fut {
        self(w, r)
    }
}

impl<F> Handler for F
where
    F: for<'a> HandlerFn<'a>,
{
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        self.call(w, r).await
    }

    fn serve_http_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        Box::pin(self.call(w, r))
    }
}

impl<H: Handler> Handler for Arc<H> {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        (**self).serve_http(w, r).await
    }

    fn serve_http_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        (**self).serve_http_boxed(w, r)
    }
}

/// A handler of any type, behind one pointer.
#[derive(Clone)]
pub(crate) struct AnyHandler(Arc<dyn Erased>);

impl AnyHandler {
    pub(crate) fn new(handler: impl Handler) -> AnyHandler {
        AnyHandler(Arc::new(handler))
    }

    pub(crate) fn serve<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        self.0.serve(w, r)
    }
}

impl std::fmt::Debug for AnyHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AnyHandler")
    }
}

trait Erased: Send + Sync {
    fn serve<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a>;
}

impl<H: Handler> Erased for H {
    fn serve<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        self.serve_http_boxed(w, r)
    }
}

/// A handler made of a state and a function that gets it by reference.
///
/// ```
/// use nethttp::{Request, ResponseWriter, handle_with};
///
/// let mux = nethttp::ServeMux::new();
/// let greeting = String::from("good morning");
/// mux.handle(
///     "GET /greet",
///     handle_with(greeting, async |greeting: &String, w: &mut ResponseWriter, _: &mut Request| w.write(greeting).await),
/// );
/// ```
pub fn handle_with<S, F>(state: S, function: F) -> impl Handler
where
    S: Send + Sync + 'static,
    F: for<'a> StateFn<'a, S>,
{
    WithState { state, function }
}

struct WithState<S, F> {
    state: S,
    function: F,
}

impl<S, F> Handler for WithState<S, F>
where
    S: Send + Sync + 'static,
    F: for<'a> StateFn<'a, S>,
{
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        self.function.call(&self.state, w, r).await
    }

    fn serve_http_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        Box::pin(self.function.call(&self.state, w, r))
    }
}

/// Functions that are handlers together with a state.
#[doc(hidden)]
pub trait StateFn<'a, S: 'static>: Send + Sync + 'static {
    type Future: Future<Output = Result<()>> + Send + 'a;

    fn call(&self, state: &'a S, w: &'a mut ResponseWriter, r: &'a mut Request) -> Self::Future;
}

impl<'a, S, F, Fut> StateFn<'a, S> for F
where
    S: 'static,
    F: Fn(&'a S, &'a mut ResponseWriter, &'a mut Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send + 'a,
{
    type Future = Fut;

    fn call(&self, state: &'a S, w: &'a mut ResponseWriter, r: &'a mut Request) -> Fut {
        self(state, w, r)
    }
}
