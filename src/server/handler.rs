//! Handlers, and the forms in which one may be written: an `async fn`, a closure, a struct, a function
//! with a state; and what may stand around one: a middleware.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::response::ResponseWriter;
use crate::error::Result;
use crate::message::{Header, Request};

/// The future of a handler, boxed: the only allocation of a plain request.
#[doc(hidden)]
pub type HandlerFuture<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// Answers requests (Go's `Handler`).
///
/// Plain `async fn` items and closures that capture nothing are handlers; so are structs that
/// implement this trait, [`handle_with`](crate::handle_with) for a function with a state, and
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
///
/// # When it does not compile
/// | the compiler says | do this |
/// |---|---|
/// | "type mismatch in function arguments" | give it the form `async fn(w: &mut ResponseWriter, r: &mut Request)`: both are `&mut`, in this order |
/// | "`Result<…>` is not a future" | write `async` before its `fn` |
/// | "implementation of `HandlerFn` is not general enough", at a closure | write the types of its arguments: `async \|w: &mut ResponseWriter, r: &mut Request\|` |
/// | "async closure does not implement `Fn` because it captures state" | what it captures is the state of [`handle_with`](crate::handle_with) or [`respond_with`](crate::respond_with) |
/// | "expected … to be a future that resolves to `Result<(), Error>`" | return [`nethttp::Result`](crate::Result), or use [`err_into`](crate::server::err_into) |
/// | "`?` couldn't convert the error" | make it an [`IntoResponse`](crate::IntoResponse), or write `.map_err(Error::other)?`, which becomes a 500 |
/// | "future cannot be sent between threads safely" | drop what is not `Send` (an `Rc`, the guard of a lock, the borrow of a `RefCell`) before the `.await`: put it into a block of its own |
/// | "`…` cannot be answered" | return text, bytes, [`Json`](crate::Json), a status, a [`Response`](crate::Response), or a `Result` of one of them |
/// | "type annotations needed", at an `Ok(…)` in a closure for [`respond`](crate::respond()) | write its result: `async \|r: &mut Request\| -> Result<String> { … }` |
/// | "expected function signature `fn(&_, …)`", at [`handle_with`](crate::handle_with) | the function takes its state by reference, `&App`, also where the state is an `Arc<App>` |
/// | "expected function signature `fn(&&_, …)`" | the state has to be owned: a `String`, and no `&str` |
/// | "function is expected to take 1 argument, but it takes 2 arguments", at [`respond`](crate::respond()) | a function that writes is a handler as it is |
/// | "`…` is no handler", at a service of tower | [`tower::handler`](crate::tower::handler), with the feature `tower` |
/// | "`…` is no state for a function that takes `&…`" | the state is what the function takes by reference, or an `Arc` of that |
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler",
    label = "not `async fn(&mut ResponseWriter, &mut Request) -> Result<()>`",
    note = "a handler is an `async fn(w: &mut ResponseWriter, r: &mut Request) -> Result<()>`, or a struct that implements `Handler`",
    note = "a closure needs its argument types: `async |w: &mut ResponseWriter, r: &mut Request| …`",
    note = "a function that returns its response goes through `respond(f)`; one with a state through `handle_with(state, f)`; one with another error type through `server::err_into(f)`; a service of tower through `tower::handler(service)`"
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

    /// The response to this preflight by the rules of the middleware within, as [`Middleware::preflight`] has it.
    #[doc(hidden)]
    fn preflight(&self, _: &Request) -> Option<Header> {
        None
    }

    /// This handler behind a middleware, which sees each request first. Of
    /// `handler.wrapped_in(inner).wrapped_in(outer)` the outer one is called first.
    ///
    /// For all routes of a mux there is [`ServeMux::wrap`](crate::ServeMux::wrap), for some of them
    /// [`ServeMux::group`](crate::ServeMux::group).
    ///
    /// ```
    /// use nethttp::{Error, Handler, Next, Request, ResponseWriter, Result, ServeMux, StatusCode};
    ///
    /// async fn only_inside(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
    ///     match r.header.get("X-Inside") {
    ///         Some(_) => next.run(w, r).await,
    ///         None => Err(Error::answer(StatusCode::FORBIDDEN, "not from outside")),
    ///     }
    /// }
    ///
    /// async fn numbers(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    ///     w.write("1 2 3\n").await
    /// }
    ///
    /// ServeMux::new().handle("GET /numbers", numbers.wrapped_in(only_inside));
    /// ```
    fn wrapped_in<M: Middleware>(self, middleware: M) -> Wrapped<M, Self>
    where
        Self: Sized,
    {
        Wrapped { middleware, handler: self }
    }

    /// This handler behind one pointer, so that handlers of different types have one; see
    /// [`BoxHandler`].
    fn boxed(self) -> BoxHandler
    where
        Self: Sized,
    {
        BoxHandler(Arc::new(self))
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
    note = "a function that returns its response goes through `respond(f)`; one with a state through `handle_with(state, f)`; one with another error type through `server::err_into(f)`; a service of tower through `tower::handler(service)`"
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

    fn preflight(&self, r: &Request) -> Option<Header> {
        (**self).preflight(r)
    }
}

/// A handler of any type, behind one pointer: for lists and fields of handlers, and for branches that
/// have one of two.
///
/// Clones share the handler. A request costs no more allocations for it: the handler's own future is
/// the one that is in a box.
///
/// ```
/// use nethttp::{BoxHandler, Handler, Request, ResponseWriter, Result, ServeMux, not_found};
///
/// async fn report(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
///     w.write("all is well\n").await
/// }
///
/// fn if_enabled(enabled: bool) -> BoxHandler {
///     if enabled { report.boxed() } else { not_found.boxed() }
/// }
///
/// let routes: Vec<(&str, BoxHandler)> = vec![("GET /report", if_enabled(true)), ("/", not_found.boxed())];
/// let mux = ServeMux::new();
/// for (pattern, handler) in routes {
///     mux.handle(pattern, handler);
/// }
/// ```
#[derive(Clone)]
pub struct BoxHandler(Arc<dyn Erased>);

impl BoxHandler {
    /// A handler behind one pointer. One that is behind a pointer already stays as it is.
    pub fn new(handler: impl Handler) -> BoxHandler {
        handler.boxed()
    }
}

impl Handler for BoxHandler {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        self.0.serve(w, r).await
    }

    fn serve_http_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        self.0.serve(w, r)
    }

    fn preflight(&self, r: &Request) -> Option<Header> {
        self.0.preflight_within(r)
    }

    fn boxed(self) -> BoxHandler {
        self
    }
}

impl std::fmt::Debug for BoxHandler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BoxHandler")
    }
}

trait Erased: Send + Sync {
    fn serve<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a>;

    fn preflight_within(&self, r: &Request) -> Option<Header>;
}

impl<H: Handler> Erased for H {
    fn serve<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        self.serve_http_boxed(w, r)
    }

    fn preflight_within(&self, r: &Request) -> Option<Header> {
        self.preflight(r)
    }
}

/// What stands around handlers: it sees a request before the handler does, and the writer after it.
///
/// An `async fn(w, r, next: Next<'_>) -> Result<()>` is one, and so is a closure of this form that
/// captures nothing. A struct that implements this trait has settings;
/// [`middleware::with_state`](crate::middleware::with_state) gives a function a state.
///
/// It may
/// - change the request, and set fields of the response, before it calls [`Next::run`];
/// - respond itself and not call it, or return an error, which is answered as a handler's is;
/// - look at what came of it afterwards: the error, and what the writer says of the response. The
///   response may have been sent by then.
///
/// What it sets in `w.header()` beforehand is in the response unless the handler changes it. What it
/// changes in the request it changes back where the code around it must not see it.
///
/// # Where it goes
/// - [`ServeMux::wrap`](crate::ServeMux::wrap): around a mux, before a route is chosen, and around the
///   404, 405 and redirects of the mux too. The first that is given is the outermost.
/// - [`ServeMux::group`](crate::ServeMux::group): around some routes, with the pattern known.
/// - [`Handler::wrapped_in`]: around one handler of any kind.
///
/// # Cost
/// One allocation for each request and middleware, for the box of its future; none where there is no
/// middleware. Those of this crate that are done before what they are around begins have no box either.
///
/// # Cancel safety
/// The future of [`Next::run`] may be dropped, which drops the handler where it waits; see
/// [`timeout_handler`](crate::middleware::timeout_handler) for what then becomes of the response.
///
/// ```
/// use nethttp::{Middleware, Next, Request, ResponseWriter, Result, ServeMux};
///
/// // A function.
/// async fn log(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
///     let result = next.run(w, r).await;
///     println!("{} {} by {:?}", r.method, r.path(), r.pattern);
///     result
/// }
///
/// // A struct with a setting of its own.
/// struct ServerName(&'static str);
///
/// impl Middleware for ServerName {
///     async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
///         w.header().set("Server", self.0);
///         next.run(w, r).await
///     }
/// }
///
/// let mux = ServeMux::new();
/// mux.wrap(log);
/// mux.wrap(ServerName("example"));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no middleware",
    label = "not `async fn(&mut ResponseWriter, &mut Request, Next<'_>) -> Result<()>`",
    note = "a middleware is an `async fn(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()>`, or a struct that implements `Middleware`",
    note = "a closure needs its argument types: `async |w: &mut ResponseWriter, r: &mut Request, next: Next<'_>| …`, and captures nothing",
    note = "a function with a state goes through `middleware::with_state(state, f)`"
)]
pub trait Middleware: Send + Sync + 'static {
    /// Sees one request; `next` is all that this middleware is around.
    fn handle(
        &self,
        w: &mut ResponseWriter,
        r: &mut Request,
        next: Next<'_>,
    ) -> impl Future<Output = Result<()>> + Send;

    /// The same in a box.
    #[doc(hidden)]
    fn handle_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request, next: Next<'a>) -> HandlerFuture<'a> {
        Box::pin(self.handle(w, r, next))
    }

    /// The response to this request by the rules of this middleware, where the request is a preflight (Fetch,
    /// "CORS protocol") and the middleware has rules for it. A preflight is answered by the outermost such
    /// middleware, before it can reach anything that it must not reach, and by the rules of the innermost.
    #[doc(hidden)]
    fn preflight(&self, _: &Request) -> Option<Header> {
        None
    }
}

/// What a middleware is around: further middleware, and the handler at last.
///
/// To be run once as a rule. It is `Copy`: a middleware that tries again may run it twice, as long as
/// nothing of the first response was sent. Without any run the middleware itself has to respond.
#[derive(Clone, Copy)]
pub struct Next<'a> {
    chain: &'a (dyn Chain + 'a),
    position: Position,
}

/// A place in a chain that has several lists of middleware one behind the other: which list, and which
/// one of it. Lists grow at their ends while requests run, and places stay what they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) step: u32,
    pub(crate) index: u32,
}

impl Position {
    /// Where every chain begins.
    pub(crate) const START: Position = Position { step: 0, index: 0 };

    /// The next of the same list.
    pub(crate) fn after(self) -> Position {
        Position { index: self.index + 1, ..self }
    }

    /// The first of the next list.
    pub(crate) fn next_step(self) -> Position {
        Position { step: self.step + 1, index: 0 }
    }
}

impl<'a> Next<'a> {
    /// What runs from this position of a chain.
    pub(crate) fn at(chain: &'a (dyn Chain + 'a), position: Position) -> Next<'a> {
        Next { chain, position }
    }

    /// Has the request served by what follows.
    ///
    /// # Errors
    /// The handler's, or those of a middleware in between. Return it, unless the response says the same:
    /// the server responds to it where nothing was sent yet.
    pub fn run(self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        self.chain.run_from(self.position, w, r)
    }

    /// The response to this preflight by what follows, of which nothing runs.
    pub(crate) fn preflight(&self, r: &Request) -> Option<Header> {
        self.chain.preflight_from(self.position, r)
    }
}

impl std::fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Next")
    }
}

/// Middleware, one behind the other, and what they are around. That it is asked by position lets
/// [`Next`] be a value that owns nothing, and lets a mux keep its middleware in a list.
pub(crate) trait Chain: Send + Sync {
    fn run_from<'a>(&'a self, position: Position, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a>;

    /// The response to this preflight by the rules of the innermost middleware that has some, from this position on.
    fn preflight_from(&self, position: Position, r: &Request) -> Option<Header>;
}

/// A handler is a chain of nothing but itself.
impl<H: Handler> Chain for H {
    fn run_from<'a>(&'a self, _: Position, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        self.serve_http_boxed(w, r)
    }

    fn preflight_from(&self, _: Position, r: &Request) -> Option<Header> {
        self.preflight(r)
    }
}

/// A handler behind a middleware: what [`Handler::wrapped_in`] gives.
#[derive(Clone, Debug)]
pub struct Wrapped<M, H> {
    middleware: M,
    handler: H,
}

impl<M: Middleware, H: Handler> Handler for Wrapped<M, H> {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        self.middleware.handle(w, r, Next::at(&self.handler, Position::START)).await
    }

    fn serve_http_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        self.middleware.handle_boxed(w, r, Next::at(&self.handler, Position::START))
    }

    fn preflight(&self, r: &Request) -> Option<Header> {
        self.handler.preflight(r).or_else(|| self.middleware.preflight(r))
    }
}
