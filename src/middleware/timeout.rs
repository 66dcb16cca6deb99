//! How long a handler may take.

use std::mem;
use std::time::Duration;

use http::StatusCode;

use crate::error::{Error, Phase, Result};
use crate::message::{Context, Request};
use crate::server::{Handler, Middleware, Next, ResponseWriter};

/// Limits the time of what it is around, for each request: of one route, of a group, of all of a mux. Of
/// several around each other each holds, so the shortest counts.
///
/// Nothing is held back for it: what the handler writes goes out as without this middleware, so a response
/// may stream and flush. When the time is over
///
/// - and nothing was sent yet, the handler is dropped where it waits, what it has set and written is forgotten
///   (what was set around it stays), and an error is returned to what stands around, which becomes a 503:
///   an error of [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut) in `Phase::Handler`. With
///   [`message`](Self::message) a response is written instead, and nothing is returned;
/// - and the response has begun, the handler is dropped too and the connection cut, so that the client can
///   see that the response is not whole. What stands around gets the same error.
///
/// Content that still waits in the writer (up to 2 KiB, unless flushed) is not sent. What the handler was
/// doing is abandoned at the `await` where it waits; a handler that blocks its thread cannot be interrupted.
/// Inside, [`Request::context`] is cancelled when the handler is done or dropped.
///
/// It bounds all of a response. To bound the time without progress there is
/// [`Server::stall_timeout`](crate::Server::stall_timeout), which lets long streams go on.
///
/// ```
/// use std::time::Duration;
///
/// use nethttp::middleware::Timeout;
/// use nethttp::{Handler, Request, ResponseWriter, ServeMux};
///
/// let report = async |w: &mut ResponseWriter, _: &mut Request| w.write("all is well\n").await;
///
/// let mux = ServeMux::new();
/// mux.wrap(Timeout::new(Duration::from_secs(30)));
/// mux.handle("GET /report", report.wrapped_in(Timeout::new(Duration::from_secs(5)).message("try again later")));
/// ```
#[derive(Clone, Debug)]
pub struct Timeout {
    limit: Duration,
    status: StatusCode,
    message: Option<String>,
}

impl Timeout {
    /// Allows so long. `Duration::ZERO` is no limit.
    pub fn new(limit: Duration) -> Timeout {
        Timeout { limit, status: StatusCode::SERVICE_UNAVAILABLE, message: None }
    }

    /// Sets the status that is answered in place of 503: 504 for a gateway, 408 as some clients expect it.
    #[must_use]
    pub fn status(self, status: StatusCode) -> Timeout {
        Timeout { status, ..self }
    }

    /// Sets content to be answered, in place of an error. Its type is found by looking at it, unless a
    /// middleware around this one has set `Content-Type`.
    #[must_use]
    pub fn message(self, message: impl Into<String>) -> Timeout {
        Timeout { message: Some(message.into()), ..self }
    }
}

impl Middleware for Timeout {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        if self.limit.is_zero() {
            return next.run(w, r).await;
        }
        let is_undone = match run_within(self.limit, w, r, next).await {
            RunWithin::Ended(result) => return result,
            RunWithin::Undone => true,
            RunWithin::Begun => false,
        };
        let Some(message) = self.message.as_ref().filter(|_| is_undone) else {
            return Err(Error::timed_out(Phase::Handler).with_status(self.status));
        };
        // What was set around the handler for the content that is not sent goes, as for every error response.
        let content_type = w.header().get_bytes("Content-Type").map(<[u8]>::to_vec);
        w.restart(Some(self.status));
        if let Some(content_type) = content_type {
            w.header().set("Content-Type", content_type);
        }
        w.write_header(self.status);
        w.write(message).await?;
        w.mark_plain_error();
        Ok(())
    }
}

/// How the time of a handler ended.
pub(super) enum RunWithin {
    /// It was done before.
    Ended(Result<()>),
    /// It was dropped, and nothing of its response was sent: the writer is as it was before.
    Undone,
    /// It was dropped within its response, which can be completed by nobody.
    Begun,
}

/// Runs what follows for so long, and drops it then.
pub(super) async fn run_within(limit: Duration, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> RunWithin {
    let checkpoint = w.checkpoint();
    let scoped = Scoped::new(r);
    let ended = tokio::time::timeout(limit, next.run(w, scoped.request)).await;
    // Ends the handler's context now: tasks that wait for it must not wait until the client has taken the response
    // that follows.
    drop(scoped);
    if let Ok(result) = ended {
        return RunWithin::Ended(result);
    }
    if w.rollback(checkpoint) {
        return RunWithin::Undone;
    }
    if !w.is_hijacked() {
        // Whoever gets the error, and be it that it is passed over: the peer sees that this is not whole.
        w.give_up(None);
    }
    RunWithin::Begun
}

/// Limits the time of the handler for each request, and responds with 503 in its place when that is over
/// (Go's `TimeoutHandler`). `Duration::ZERO` is no limit. As a middleware it is [`Timeout`].
///
/// Nothing is held back for it: what the handler writes goes out as without this middleware, so
/// a response may stream and flush. When the time is over
///
/// - and nothing was sent yet, the handler is dropped where it waits, what it has set and written
///   is forgotten (what was set around it stays), and the response is 503 with `message` as content,
///   or with a small page if that is empty;
/// - and the response has begun, the handler is dropped too and the connection cut, so that the client
///   can see that the response is not whole. The handlers around it get an error of
///   [`ErrorKind::TimedOut`](crate::ErrorKind::TimedOut) in [`Phase::Handler`].
///
/// Content that still waits in the writer (up to 2 KiB, unless flushed) is not sent.
///
/// Inside, [`Request::context`] is cancelled when the handler is done or dropped: tasks that the
/// handler has started, and that wait for [`Context::cancelled`], end with it. A handler that
/// blocks its thread cannot be interrupted.
///
/// The `Content-Type` of the message is found from its content, unless a handler around this one has
/// set it. A connection that the handler has taken over is bound by the limit for as long as the
/// handler keeps it, and not in another task.
///
/// ```
/// use std::time::Duration;
///
/// use nethttp::middleware::timeout_handler;
/// use nethttp::{Request, ResponseWriter, ServeMux};
///
/// let report = async |w: &mut ResponseWriter, _: &mut Request| w.write("all is well\n").await;
///
/// let mux = ServeMux::new();
/// mux.handle("GET /report", timeout_handler(report, Duration::from_secs(5), "try again later"));
/// ```
pub fn timeout_handler(handler: impl Handler, limit: Duration, message: impl Into<String>) -> impl Handler {
    let mut message = message.into();
    if message.is_empty() {
        message.push_str(PAGE);
    }
    handler.wrapped_in(Timeout::new(limit).message(message))
}

const PAGE: &str = "<!doctype html>\n<title>Timeout</title>\n<h1>Timeout</h1>\n";

/// A request with a context of its own, which is over when this is dropped: at the handler's end,
/// at its panic, or with the future that it runs in.
struct Scoped<'a> {
    request: &'a mut Request,
    outer: Context,
    /// Kept here too: the handler may have put its request under another.
    scoped: Context,
}

impl<'a> Scoped<'a> {
    fn new(request: &'a mut Request) -> Scoped<'a> {
        let scoped = request.context.scoped();
        let outer = mem::replace(&mut request.context, scoped.clone());
        Scoped { request, outer, scoped }
    }
}

impl Drop for Scoped<'_> {
    fn drop(&mut self) {
        mem::swap(&mut self.request.context, &mut self.outer);
        self.scoped.end_scope();
    }
}
