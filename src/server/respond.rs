//! Handlers that return their response instead of writing it.

use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::pin;
use std::task::{Poll, ready};

use bytes::Bytes;
use http::StatusCode;

use super::handle_with::StateOf;
use super::handler::Handler;
use super::response::ResponseWriter;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::message::{Body, Request, Response};

/// What a handler can return as its response: text, bytes, a status, a [`Response`], or any of these
/// with a status before it, or in a `Result`.
///
/// ```
/// use nethttp::{IntoResponse, StatusCode};
///
/// assert_eq!("hello".into_response().status, StatusCode::OK);
/// assert_eq!((StatusCode::CREATED, "made").into_response().status, StatusCode::CREATED);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be answered",
    note = "text, bytes, `StatusCode`, `(StatusCode, …)`, `Json(…)`, `Response` and `http::Response` can"
)]
pub trait IntoResponse {
    /// The response.
    fn into_response(self) -> Response;
}

impl IntoResponse for Response {
    fn into_response(self) -> Response {
        self
    }
}

impl<B: Into<Body>> IntoResponse for http::Response<B> {
    fn into_response(self) -> Response {
        self.into()
    }
}

impl IntoResponse for () {
    fn into_response(self) -> Response {
        Response::new(Body::empty())
    }
}

impl IntoResponse for StatusCode {
    /// The status with its reason as text, where it allows content.
    fn into_response(self) -> Response {
        let text = self.canonical_reason().filter(|_| crate::h1::may_send_content(self)).unwrap_or_default();
        Response::new(text).with_status(self)
    }
}

impl<T: IntoResponse> IntoResponse for (StatusCode, T) {
    fn into_response(self) -> Response {
        self.1.into_response().with_status(self.0)
    }
}

/// Whatever can be answered can be an error, so that `?` takes an application's own error type once that is an
/// [`IntoResponse`]: see [`Error::from_response`]. A text has no status of an error: it becomes a plain 500,
/// and is seen in the log alone.
///
/// ```
/// use nethttp::{IntoResponse, Request, Response, Result, StatusCode, respond};
///
/// enum StockError {
///     NoSuchItem,
///     SoldOut,
/// }
///
/// impl IntoResponse for StockError {
///     fn into_response(self) -> Response {
///         match self {
///             StockError::NoSuchItem => (StatusCode::NOT_FOUND, "no such item\n").into_response(),
///             StockError::SoldOut => (StatusCode::CONFLICT, "sold out\n").into_response(),
///         }
///     }
/// }
///
/// fn buy(item: &str) -> Result<u32, StockError> {
///     if item == "tea" { Err(StockError::SoldOut) } else { Err(StockError::NoSuchItem) }
/// }
///
/// let mux = nethttp::ServeMux::new();
/// mux.handle(
///     "POST /items/{id}",
///     respond(async |r: &mut Request| -> Result<String> {
///         let left = buy(r.path_value("id"))?;
///         Ok(format!("{left} left\n"))
///     }),
/// );
/// ```
impl<E: IntoResponse> From<E> for Error {
    fn from(error: E) -> Error {
        Error::from_response(error.into_response())
    }
}

macro_rules! text_into_response {
    ($($text:ty),*) => {$(
        impl IntoResponse for $text {
            fn into_response(self) -> Response {
                Response::new(self).with_header("Content-Type", "text/plain; charset=utf-8")
            }
        }
    )*};
}

text_into_response!(&'static str, String);

macro_rules! bytes_into_response {
    ($($bytes:ty),*) => {$(
        impl IntoResponse for $bytes {
            fn into_response(self) -> Response {
                Response::new(self)
            }
        }
    )*};
}

bytes_into_response!(Bytes, Vec<u8>, &'static [u8], Body);

/// Makes a handler of a function that returns its response. [`Handler`] says how an error that it
/// returns is answered.
///
/// ```
/// use nethttp::{IntoResponse, Request, Result, StatusCode, respond};
///
/// async fn create(r: &mut Request) -> Result<impl IntoResponse> {
///     let text = r.body.text().await?;
///     Ok((StatusCode::CREATED, format!("{} bytes", text.len())))
/// }
///
/// let mux = nethttp::ServeMux::new();
/// mux.handle("POST /things", respond(create));
/// mux.handle("GET /version", respond(async |_: &mut Request| "1.0"));
/// ```
pub fn respond<F>(function: F) -> impl Handler
where
    F: for<'a> RespondFn<'a>,
{
    Respond(function)
}

struct Respond<F>(F);

impl<F: for<'a> RespondFn<'a>> Handler for Respond<F> {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let response = self.0.call(r).await.try_into_response()?;
        w.send(response).await
    }
}

/// The same for a function with a state, which it gets by reference. The state may be in an `Arc`, as with
/// [`handle_with`](crate::handle_with).
///
/// ```
/// use std::sync::Arc;
/// use nethttp::{Error, Request, Result, StatusCode, respond_with};
///
/// struct App {
///     notes: Vec<String>,
/// }
///
/// impl App {
///     async fn show(&self, r: &mut Request) -> Result<String> {
///         let note = r.path_value("number").parse::<usize>().ok().and_then(|number| self.notes.get(number));
///         note.cloned().ok_or_else(|| Error::answer(StatusCode::NOT_FOUND, "no such note\n"))
///     }
/// }
///
/// let app = Arc::new(App { notes: vec!["milk".into()] });
/// let mux = nethttp::ServeMux::new();
/// mux.handle("GET /notes/{number}", respond_with(app.clone(), App::show));
/// mux.handle("GET /count", respond_with(app, async |app: &App, _: &mut Request| app.notes.len().to_string()));
/// ```
pub fn respond_with<S, T, F>(state: S, function: F) -> impl Handler
where
    S: StateOf<T>,
    T: Send + Sync + 'static,
    F: for<'a> RespondStateFn<'a, T>,
{
    RespondWith { state, function, takes: PhantomData }
}

struct RespondWith<S, T, F> {
    state: S,
    function: F,
    takes: PhantomData<fn() -> T>,
}

impl<S, T, F> Handler for RespondWith<S, T, F>
where
    S: StateOf<T>,
    T: Send + Sync + 'static,
    F: for<'a> RespondStateFn<'a, T>,
{
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let response = self.function.call(self.state.state(), r).await.try_into_response()?;
        w.send(response).await
    }
}

/// Functions with a state whose result is a response.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no function that `respond_with` takes",
    note = "it takes an `async fn(state: &State, r: &mut Request) -> impl IntoResponse`, which may be a method, or one that returns a `Result` of that",
    note = "a closure needs its argument types: `async |state: &State, r: &mut Request| …`"
)]
pub trait RespondStateFn<'a, T: 'static>: Send + Sync + 'static {
    type Output: TryIntoResponse;
    type Future: Future<Output = Self::Output> + Send + 'a;

    fn call(&self, state: &'a T, r: &'a mut Request) -> Self::Future;
}

impl<'a, T, F, Fut, Output> RespondStateFn<'a, T> for F
where
    T: 'static,
    F: Fn(&'a T, &'a mut Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Output> + Send + 'a,
    Output: TryIntoResponse,
{
    type Output = Output;
    type Future = Fut;

    fn call(&self, state: &'a T, r: &'a mut Request) -> Fut {
        self(state, r)
    }
}

/// Functions whose result is a response. The future is an associated type, as `HandlerFn` has it: of one
/// that a method returns as `impl Future`, Rust 1.85 cannot tell for every `'a` that it is `Send`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no function that `respond` takes",
    note = "it takes an `async fn(r: &mut Request) -> impl IntoResponse`, or one that returns a `Result` of that",
    note = "a closure needs its argument type, `async |r: &mut Request| …`, and captures nothing: what it needs goes through `respond_with(state, f)`"
)]
pub trait RespondFn<'a>: Send + Sync + 'static {
    type Output: TryIntoResponse;
    type Future: Future<Output = Self::Output> + Send + 'a;

    fn call(&self, r: &'a mut Request) -> Self::Future;
}

impl<'a, F, Fut, Output> RespondFn<'a> for F
where
    F: Fn(&'a mut Request) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Output> + Send + 'a,
    Output: TryIntoResponse,
{
    type Output = Output;
    type Future = Fut;

    fn call(&self, r: &'a mut Request) -> Fut {
        self(r)
    }
}

/// A response, or an error in its place.
#[doc(hidden)]
pub trait TryIntoResponse {
    fn try_into_response(self) -> Result<Response>;
}

impl<T: IntoResponse> TryIntoResponse for T {
    fn try_into_response(self) -> Result<Response> {
        Ok(self.into_response())
    }
}

impl<T: IntoResponse, E: Into<Error>> TryIntoResponse for Result<T, E> {
    fn try_into_response(self) -> Result<Response> {
        self.map(IntoResponse::into_response).map_err(Into::into)
    }
}

impl ResponseWriter {
    /// Writes a complete response: its status, its fields in place of those of the same names, and
    /// its content as it comes.
    ///
    /// Each time the body has nothing ready, what was written before is sent, the head included: events
    /// that come one by one arrive one by one. While the body is waited for, so is the client: when it
    /// leaves, the body is dropped at once, and the error says so. A client that closes only its
    /// sending half counts as gone, as for [`Context::cancelled`](crate::Context::cancelled).
    ///
    /// In response to HEAD, and with a status that has no content, the body is dropped unread; a length
    /// that it knows is announced to HEAD.
    ///
    /// # Errors
    /// Those of reading its body and of [`write`](ResponseWriter::write);
    /// [`ErrorKind::CutOff`](crate::ErrorKind::CutOff) when the client left while the body had nothing
    /// ready.
    pub async fn send(&mut self, response: Response) -> Result<()> {
        let Response { status, header, mut body, .. } = response;
        self.write_header(status);
        // The first value of a name replaces what was set before, further ones are added.
        let mut seen: Vec<&str> = Vec::new();
        for (name, value) in header.iter() {
            if seen.iter().any(|earlier| earlier.eq_ignore_ascii_case(name)) {
                self.header().add(name, value);
            } else {
                self.header().set(name, value);
                seen.push(name);
            }
        }
        if !crate::h1::may_send_content(status) {
            return Ok(());
        }
        if let Some(length) = body.remaining().filter(|_| !self.header().contains("Content-Length")) {
            self.header().set("Content-Length", length.to_string());
        }
        if body.is_in_memory() {
            while let Some(chunk) = body.chunk().await? {
                self.write_bytes(chunk).await?;
            }
        } else if !self.is_for_head() {
            // Boxed: a handler's future would have the room for it also where its content is in memory.
            Box::pin(self.send_streaming(&mut body)).await?;
        }
        if let Some(trailer) = body.trailer() {
            self.trailer().extend(trailer.iter());
        }
        Ok(())
    }

    async fn send_streaming(&mut self, body: &mut Body) -> Result<()> {
        while let Some(chunk) = self.next_chunk(body).await? {
            self.write_bytes(chunk).await?;
        }
        Ok(())
    }

    /// The next chunk of a body. What was written before leaves while the body has none.
    async fn next_chunk(&mut self, body: &mut Body) -> Result<Option<Bytes>> {
        let ready = poll_fn(|cx| Poll::Ready(body.poll_chunk(cx))).await;
        if let Poll::Ready(chunk) = ready {
            return chunk.transpose();
        }
        self.flush().await?;
        let mut gone = pin!(self.client_gone());
        poll_fn(|cx| {
            if let Poll::Ready(chunk) = body.poll_chunk(cx) {
                return Poll::Ready(chunk.transpose());
            }
            ready!(gone.as_mut().poll(cx));
            let text = "the client left before the response was complete";
            Poll::Ready(Err(Error::new(ErrorKind::CutOff, text).during(Phase::Write)))
        })
        .await
    }
}

#[cfg(feature = "json")]
mod json {
    use http::StatusCode;

    use super::IntoResponse;
    use crate::message::Response;

    /// A value as a response in JSON.
    ///
    /// ```
    /// use nethttp::{Json, Request, respond};
    ///
    /// let mux = nethttp::ServeMux::new();
    /// mux.handle("GET /list", respond(async |_: &mut Request| Json([1, 2, 3])));
    /// ```
    #[derive(Debug, Clone, Copy)]
    pub struct Json<T>(pub T);

    impl<T: serde::Serialize> IntoResponse for Json<T> {
        /// A value that cannot be written as JSON (a map whose keys are not text) becomes a plain 500.
        fn into_response(self) -> Response {
            match serde_json::to_vec(&self.0) {
                Ok(text) => Response::new(text).with_header("Content-Type", "application/json"),
                Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
            }
        }
    }
}

#[cfg(feature = "json")]
pub use json::Json;
