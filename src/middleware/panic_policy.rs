//! What becomes of a handler's panic.

use std::any::Any;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use crate::error::{Error, Result};
use crate::message::{Request, Response};
use crate::server::{IntoResponse, Middleware, Next, ResponseWriter, catch, is_abort, panic_message};

/// Decides what becomes of a panic inside.
///
/// Without it the server responds with 500 where nothing was sent, cuts the connection, and reports the panic
/// ([`ServerEvent::HandlerPanicked`](crate::server::ServerEvent::HandlerPanicked)); what the server says of errors,
/// panics included, is changed by [`Server::on_error`](crate::Server::on_error). This is for a part of a site with
/// answers of its own, and for programs that would rather end than go on after a panic.
///
/// An [`abort`](crate::server::abort) is no panic, and passes. Where panics do not unwind (`panic = "abort"`), the
/// process ends at the panic, whatever is said here.
///
/// ```
/// use nethttp::middleware::PanicPolicy;
/// use nethttp::{Request, ServeMux, StatusCode};
///
/// let mux = ServeMux::new();
/// mux.wrap(PanicPolicy::answer(|_: &str, r: &Request| {
///     (StatusCode::INTERNAL_SERVER_ERROR, format!("something broke behind {}\n", r.escaped_path()))
/// }));
/// ```
#[derive(Clone)]
pub struct PanicPolicy {
    what: OnPanic,
}

#[derive(Clone)]
enum OnPanic {
    Answer(Arc<dyn Fn(&str, &Request) -> Response + Send + Sync>),
    AbortProcess,
}

impl PanicPolicy {
    /// Answers with what this function makes of the panic's message and of the request. The message is for you, and
    /// not for the client: it may hold anything that the program knows.
    ///
    /// The response takes the place of the handler's where nothing was sent yet, goes out as an error of the handler
    /// that has it ([`Error::from_response`](crate::Error::from_response)), and is reported as such; a status below
    /// 300 becomes a plain 500. The connection goes on. Where the response has begun, the panic goes on to the
    /// server, which cuts it.
    pub fn answer<F, Answer>(answer: F) -> PanicPolicy
    where
        F: Fn(&str, &Request) -> Answer + Send + Sync + 'static,
        Answer: IntoResponse,
    {
        let answer = move |message: &str, r: &Request| answer(message, r).into_response();
        PanicPolicy { what: OnPanic::Answer(Arc::new(answer)) }
    }

    /// Ends the process, with a line on standard error behind that of the panic itself: where a panic may leave
    /// behind what must not be used any more, and something outside starts the program again. All other requests
    /// end with it.
    pub fn abort_process() -> PanicPolicy {
        PanicPolicy { what: OnPanic::AbortProcess }
    }

    fn decide(&self, payload: Box<dyn Any + Send>, w: &ResponseWriter, r: &Request) -> Result<()> {
        if is_abort(&*payload) {
            std::panic::resume_unwind(payload);
        }
        match &self.what {
            OnPanic::Answer(_) if w.is_sent() => std::panic::resume_unwind(payload),
            OnPanic::Answer(answer) => {
                let message = panic_message(&*payload);
                let response = answer(&message, r);
                Err(Error::from_response(response).with_source(format!("a handler panicked: {message}")))
            }
            OnPanic::AbortProcess => {
                eprintln!("nethttp: the process ends, as its policy for panics says");
                std::process::abort();
            }
        }
    }
}

impl Middleware for PanicPolicy {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        match run(w, r, next).await {
            Ok(result) => result,
            Err(payload) => self.decide(payload, w, r),
        }
    }
}

/// Runs what is inside to its end or its panic, which may come while its future is made.
async fn run(
    w: &mut ResponseWriter,
    r: &mut Request,
    next: Next<'_>,
) -> std::result::Result<Result<()>, Box<dyn Any + Send>> {
    let mut handling = catch(|| next.run(w, r))?;
    poll_fn(|cx| match catch(|| handling.as_mut().poll(cx)) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(result)) => Poll::Ready(Ok(result)),
        Err(payload) => Poll::Ready(Err(payload)),
    })
    .await
}

impl fmt::Debug for PanicPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.what {
            OnPanic::Answer(_) => "PanicPolicy::answer",
            OnPanic::AbortProcess => "PanicPolicy::abort_process",
        })
    }
}
