//! Handlers made of functions that need something besides the request: a state, or another error type.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::handler::{Handler, HandlerFuture};
use super::response::ResponseWriter;
use crate::error::{Error, Result};
use crate::message::Request;

/// A handler made of a state and a function that gets it by reference. The state may be in an `Arc`: then
/// the function, or method, may take what is in it.
///
/// ```
/// use std::sync::Arc;
/// use nethttp::{Request, ResponseWriter, Result, handle_with};
///
/// struct App {
///     greeting: String,
/// }
///
/// impl App {
///     async fn greet(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
///         w.write(format!("{}, {}\n", self.greeting, r.path_value("name"))).await
///     }
/// }
///
/// let app = Arc::new(App { greeting: "good morning".into() });
/// let mux = nethttp::ServeMux::new();
/// mux.handle("GET /greet/{name}", handle_with(app.clone(), App::greet));
/// mux.handle(
///     "GET /greeting",
///     handle_with(app, async |app: &App, w: &mut ResponseWriter, _: &mut Request| w.write(&app.greeting).await),
/// );
/// ```
pub fn handle_with<S, T, F>(state: S, function: F) -> impl Handler
where
    S: StateOf<T>,
    T: Send + Sync + 'static,
    F: for<'a> StateFn<'a, T>,
{
    WithState { state, function, takes: PhantomData }
}

struct WithState<S, T, F> {
    state: S,
    function: F,
    takes: PhantomData<fn() -> T>,
}

impl<S, T, F> Handler for WithState<S, T, F>
where
    S: StateOf<T>,
    T: Send + Sync + 'static,
    F: for<'a> StateFn<'a, T>,
{
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        self.function.call(self.state.state(), w, r).await
    }

    fn serve_http_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        Box::pin(self.function.call(self.state.state(), w, r))
    }
}

/// A state for functions that take a `&T`: a `T`, or an `Arc` of one.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no state for a function that takes `&{T}`",
    note = "the state is what the function takes by reference, or an `Arc` of that"
)]
pub trait StateOf<T>: Send + Sync + 'static {
    fn state(&self) -> &T;
}

impl<T: Send + Sync + 'static> StateOf<T> for T {
    fn state(&self) -> &T {
        self
    }
}

impl<T: Send + Sync + 'static> StateOf<T> for Arc<T> {
    fn state(&self) -> &T {
        self
    }
}

/// Functions that are handlers together with a state.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no function that `handle_with` takes",
    label = "not `async fn(&State, &mut ResponseWriter, &mut Request) -> Result<()>`",
    note = "it takes an `async fn(state: &State, w: &mut ResponseWriter, r: &mut Request) -> Result<()>`, which may be a method",
    note = "a closure needs its argument types: `async |state: &State, w: &mut ResponseWriter, r: &mut Request| …`",
    note = "a function that returns its response goes through `respond_with(state, f)`; one with another error type through `server::err_into(f)`"
)]
pub trait StateFn<'a, T: 'static>: Send + Sync + 'static {
    type Future: Future<Output = Result<()>> + Send + 'a;

    fn call(&self, state: &'a T, w: &'a mut ResponseWriter, r: &'a mut Request) -> Self::Future;
}

impl<'a, T, F, Fut> StateFn<'a, T> for F
where
    T: 'static,
    F: Fn(&'a T, &'a mut ResponseWriter, &'a mut Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<()>> + Send + 'a,
{
    type Future = Fut;

    fn call(&self, state: &'a T, w: &'a mut ResponseWriter, r: &'a mut Request) -> Fut {
        self(state, w, r)
    }
}

/// The same function with its error made an [`Error`], so that a handler may have an error type of its own:
/// `err_into(f)` for `async fn f(w, r) -> Result<(), E>`, and `handle_with(state, err_into(f))` for one with
/// a state. `E` is whatever becomes an [`Error`]: an [`IntoResponse`](crate::IntoResponse) of the
/// application's, an `io::Error`.
///
/// It has to be said, because a closure that ends in `Ok(())` would otherwise not say what its error is.
/// [`respond`](crate::respond()) needs it not. Nor does a handler that returns
/// [`nethttp::Result`](crate::Result) and uses `?` on such errors.
///
/// ```
/// use nethttp::server::err_into;
/// use nethttp::{IntoResponse, Request, Response, ResponseWriter, StatusCode};
///
/// struct NotToday;
///
/// impl IntoResponse for NotToday {
///     fn into_response(self) -> Response {
///         (StatusCode::SERVICE_UNAVAILABLE, "not today\n").into_response()
///     }
/// }
///
/// async fn report(_: &mut ResponseWriter, _: &mut Request) -> Result<(), NotToday> {
///     Err(NotToday)
/// }
///
/// nethttp::ServeMux::new().handle("GET /report", err_into(report));
/// ```
pub fn err_into<F>(function: F) -> ErrInto<F> {
    ErrInto(function)
}

/// A function whose error is made an [`Error`]: see [`err_into`].
#[derive(Clone, Copy, Debug)]
pub struct ErrInto<F>(F);

impl<F> Handler for ErrInto<F>
where
    F: for<'a> OwnErrorFn<'a>,
{
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        self.0.call(w, r).await
    }

    fn serve_http_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        Box::pin(self.0.call(w, r))
    }
}

// Where a function is no such thing, this is not what it should have been.
#[diagnostic::do_not_recommend]
impl<'a, T, F> StateFn<'a, T> for ErrInto<F>
where
    T: 'static,
    F: OwnErrorStateFn<'a, T>,
{
    type Future = F::Future;

    fn call(&self, state: &'a T, w: &'a mut ResponseWriter, r: &'a mut Request) -> F::Future {
        self.0.call_with(state, w, r)
    }
}

/// Functions that [`err_into`] makes a handler of.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no function that `err_into` makes a handler of",
    label = "not `async fn(&mut ResponseWriter, &mut Request) -> Result<(), E>`",
    note = "`E` is an error that becomes a `nethttp::Error`: one that is an `IntoResponse`, or that `Error` is `From`"
)]
pub trait OwnErrorFn<'a>: Send + Sync + 'static {
    type Future: Future<Output = Result<()>> + Send + 'a;

    fn call(&self, w: &'a mut ResponseWriter, r: &'a mut Request) -> Self::Future;
}

impl<'a, F, Fut, E> OwnErrorFn<'a> for F
where
    F: Fn(&'a mut ResponseWriter, &'a mut Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>> + Send + 'a,
    E: Into<Error>,
{
    type Future = ErrIntoFuture<Fut>;

    fn call(&self, w: &'a mut ResponseWriter, r: &'a mut Request) -> ErrIntoFuture<Fut> {
        ErrIntoFuture { future: self(w, r) }
    }
}

/// The same with a state.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no function with a state that `err_into` changes",
    label = "not `async fn(&State, &mut ResponseWriter, &mut Request) -> Result<(), E>`",
    note = "`E` is an error that becomes a `nethttp::Error`: one that is an `IntoResponse`, or that `Error` is `From`"
)]
pub trait OwnErrorStateFn<'a, T: 'static>: Send + Sync + 'static {
    type Future: Future<Output = Result<()>> + Send + 'a;

    fn call_with(&self, state: &'a T, w: &'a mut ResponseWriter, r: &'a mut Request) -> Self::Future;
}

impl<'a, T, F, Fut, E> OwnErrorStateFn<'a, T> for F
where
    T: 'static,
    F: Fn(&'a T, &'a mut ResponseWriter, &'a mut Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>> + Send + 'a,
    E: Into<Error>,
{
    type Future = ErrIntoFuture<Fut>;

    fn call_with(&self, state: &'a T, w: &'a mut ResponseWriter, r: &'a mut Request) -> ErrIntoFuture<Fut> {
        ErrIntoFuture { future: self(state, w, r) }
    }
}

pin_project! {
    /// The future of a handler whose error is made an [`Error`]. As large as that is.
    #[doc(hidden)]
    pub struct ErrIntoFuture<Fut> {
        #[pin]
        future: Fut,
    }
}

impl<Fut, E> Future for ErrIntoFuture<Fut>
where
    Fut: Future<Output = Result<(), E>>,
    E: Into<Error>,
{
    type Output = Result<()>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.project().future.poll(cx).map_err(Into::into)
    }
}
