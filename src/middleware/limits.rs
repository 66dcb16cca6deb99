//! Bounds on what a handler may be given, and on how long it may take.

use std::mem;
use std::time::Duration;

use http::StatusCode;

use crate::error::{Error, Phase, Result};
use crate::message::{Context, Request};
use crate::server::{Handler, HandlerFuture, ResponseWriter};

/// Lets the handler read at most `limit` bytes of a request's content (Go's `MaxBytesHandler`).
///
/// The read that would go beyond fails with
/// [`ErrorKind::BodyTooLarge`](crate::ErrorKind::BodyTooLarge); a handler that returns that error
/// has 413 answered. A length that is announced over the limit fails at the first read. 0 allows
/// no byte. Of several limits the smallest one holds; see [`Body::limit`](crate::Body::limit).
///
/// ```
/// use nethttp::middleware::max_bytes_handler;
/// use nethttp::{Request, ResponseWriter, Result, ServeMux};
///
/// async fn upload(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
///     let text = r.body.text().await?;
///     w.write(format!("{} bytes\n", text.len())).await
/// }
///
/// let mux = ServeMux::new();
/// mux.handle("POST /notes", max_bytes_handler(upload, 64 * 1024));
/// ```
pub fn max_bytes_handler(handler: impl Handler, limit: u64) -> impl Handler {
    MaxBytes { handler, limit }
}

struct MaxBytes<Inner> {
    handler: Inner,
    limit: u64,
}

impl<Inner: Handler> Handler for MaxBytes<Inner> {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        r.body.limit(self.limit);
        self.handler.serve_http(w, r).await
    }

    fn serve_http_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request) -> HandlerFuture<'a> {
        r.body.limit(self.limit);
        self.handler.serve_http_boxed(w, r)
    }
}

/// Limits the time of the handler for each request, and answers 503 in its place when that is over
/// (Go's `TimeoutHandler`). `Duration::ZERO` is no limit.
///
/// Nothing is held back for it: what the handler writes goes out as without this middleware, so
/// an answer may stream and flush. When the time is over
///
/// - and nothing was sent yet, the handler is dropped where it waits, what it has set and written
///   is forgotten (what was set around it stays), and 503 is answered with `message` as content,
///   or with a small page if that is empty;
/// - and the answer has begun, the handler is dropped too and the connection cut, so that the client
///   can see that the answer is not whole. The handlers around it get an error of
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
    Timeout { handler, limit, message }
}

struct Timeout<Inner> {
    handler: Inner,
    limit: Duration,
    message: String,
}

const PAGE: &str = "<!doctype html>\n<title>Timeout</title>\n<h1>Timeout</h1>\n";

impl<Inner: Handler> Handler for Timeout<Inner> {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        if self.limit.is_zero() {
            return self.handler.serve_http(w, r).await;
        }
        let checkpoint = w.checkpoint();
        let scoped = Scoped::new(r);
        let ended = tokio::time::timeout(self.limit, self.handler.serve_http(w, scoped.request)).await;
        // Ends the handler's context now: tasks that wait for it must not wait until the client has taken
        // the response below.
        drop(scoped);
        if let Ok(result) = ended {
            return result;
        }
        if !w.rollback(checkpoint) {
            return Err(Error::timed_out(Phase::Handler).with_status(StatusCode::SERVICE_UNAVAILABLE));
        }
        w.header().del("Content-Length");
        w.write_header(StatusCode::SERVICE_UNAVAILABLE);
        w.write(&self.message).await?;
        w.mark_plain_error();
        Ok(())
    }
}

/// A request with a context of its own, which is over when this is dropped: at the handler's end,
/// at its panic, or with the future that it runs in.
struct Scoped<'a> {
    request: &'a mut Request,
    outer: Context,
}

impl<'a> Scoped<'a> {
    fn new(request: &'a mut Request) -> Scoped<'a> {
        let scoped = request.context.scoped();
        let outer = mem::replace(&mut request.context, scoped);
        Scoped { request, outer }
    }
}

impl Drop for Scoped<'_> {
    fn drop(&mut self) {
        mem::swap(&mut self.request.context, &mut self.outer);
        self.outer.end_scope();
    }
}
