//! What an exchange does in the same way in both protocols: it runs the handler, and finishes its
//! response or replaces it by an error.
//!
//! How bytes move meanwhile differs: see `http1/exchange.rs` and `http2/exchange.rs`.

use std::any::Any;
use std::borrow::Cow;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use http::{Method, StatusCode};
use tokio::time::Instant;

use super::close_reason::CloseReason;
use super::event::{RequestRecord, ServerEvent};
use super::handler::Handler as _;
use super::response::ResponseWriter;
use super::scratch::Scratch;
use super::settings::{Settings, catch, panic_message};
use crate::error::{Error, ErrorKind, Refusal};
use crate::h1::Expectation;
use crate::message::{Addr, ConnContext, Request, TlsInfo};

/// What all exchanges of a connection share.
#[derive(Clone)]
pub(crate) struct ConnShared {
    pub(crate) settings: Arc<Settings>,
    pub(crate) remote_addr: Addr,
    /// The TLS session that the connection runs over.
    pub(crate) tls: Option<Arc<TlsInfo>>,
}

impl ConnShared {
    /// Sets the fields of a request that come from its connection. They are set for each request: the
    /// handler before may have changed them, or replaced the whole request.
    pub(crate) fn prepare(&self, request: &mut Request, context: &Arc<ConnContext>, exchange: u64) {
        request.remote_addr.clone_from(&self.remote_addr);
        request.tls.clone_from(&self.tls);
        request.context.enter(context, exchange);
    }
}

/// How a handler ended.
pub(crate) enum HandlerOutcome {
    Done,
    Failed(Error),
    Panicked(String),
    Aborted,
}

/// The payload that [`abort`] unwinds with.
struct AbortHandler;

/// Ends a handler at once and cuts its connection, without an entry in any log (Go's
/// `panic(http.ErrAbortHandler)`): for a response that has begun and cannot be completed.
///
/// # Panics
/// Always; only to be called from a handler, on its own task.
pub fn abort() -> ! {
    std::panic::resume_unwind(Box::new(AbortHandler))
}

fn panicked(payload: &(dyn Any + Send)) -> HandlerOutcome {
    if payload.is::<AbortHandler>() {
        HandlerOutcome::Aborted
    } else {
        HandlerOutcome::Panicked(panic_message(payload))
    }
}

/// The response to the few requests that the server answers without calling its handler.
pub(crate) fn built_in_response(
    settings: &Settings,
    scratch: &mut Scratch,
    expect: Expectation,
) -> Option<HandlerOutcome> {
    if matches!(expect, Expectation::Unknown) {
        let status = StatusCode::EXPECTATION_FAILED;
        // The content is not read, and the client may or may not send it: where the next request would start
        // is not known.
        if scratch.writer.owns_connection() {
            scratch.writer.header().set("Connection", "close");
        }
        let refusal = Refusal::with(status, "the expectation cannot be met");
        return Some(HandlerOutcome::Failed(refusal.into()));
    }
    let general = scratch.request.method == Method::OPTIONS && scratch.request.request_uri == "*";
    if general && settings.answers_general_options {
        scratch.writer.write_header(StatusCode::OK);
        return Some(HandlerOutcome::Done);
    }
    None
}

/// Runs the handler. Each time the handler returns `Pending`, `meanwhile` is called: it sends what the
/// handler has written, and notices a peer that leaves. It must register the task's waker for both.
pub(crate) async fn run_handler(
    settings: &Settings,
    scratch: &mut Scratch,
    mut meanwhile: impl FnMut(&mut TaskContext<'_>),
) -> HandlerOutcome {
    let Scratch { request, writer, .. } = scratch;
    // A handler may panic while its future is made.
    let mut handling = match catch(move || settings.handler.serve_http_boxed(writer, request)) {
        Ok(handling) => handling,
        Err(payload) => return panicked(&*payload),
    };
    poll_fn(|cx| {
        match catch(|| handling.as_mut().poll(cx)) {
            Ok(Poll::Ready(Ok(()))) => return Poll::Ready(HandlerOutcome::Done),
            Ok(Poll::Ready(Err(error))) => return Poll::Ready(HandlerOutcome::Failed(error)),
            Ok(Poll::Pending) => {}
            Err(payload) => return Poll::Ready(panicked(&*payload)),
        }
        meanwhile(cx);
        Poll::Pending
    })
    .await
}

/// Finishes the response. Returns why the connection closes after it, if it does.
pub(crate) fn finish_response(
    settings: &Settings,
    scratch: &mut Scratch,
    outcome: HandlerOutcome,
) -> Option<CloseReason> {
    // The handler's hooks run here, and may panic as the handler itself may.
    match catch(|| apply_outcome(settings, scratch, outcome)) {
        Ok(close) => close,
        Err(payload) => {
            scratch.writer.forget_hooks();
            apply_outcome(settings, scratch, panicked(&*payload))
        }
    }
}

/// Finishes the response as the handler has left it, or replaces it by an error if nothing of it was
/// sent. A response that has begun and then failed stays cut.
fn apply_outcome(settings: &Settings, scratch: &mut Scratch, outcome: HandlerOutcome) -> Option<CloseReason> {
    let writer = &mut scratch.writer;
    if writer.is_hijacked() {
        if let HandlerOutcome::Panicked(message) = outcome {
            report_panic(settings, &scratch.request, message);
        }
        return Some(CloseReason::Hijacked);
    }
    let outcome = match outcome {
        HandlerOutcome::Done => writer.end_filters().map_or_else(HandlerOutcome::Failed, |()| HandlerOutcome::Done),
        other => other,
    };
    match outcome {
        HandlerOutcome::Done => writer.finish(),
        HandlerOutcome::Aborted => Some(CloseReason::HandlerFailed),
        HandlerOutcome::Panicked(message) => {
            if writer.is_open() {
                writer.restart(Some(StatusCode::INTERNAL_SERVER_ERROR));
                if writer.owns_connection() {
                    writer.header().set("Connection", "close");
                }
                write_error(writer, StatusCode::INTERNAL_SERVER_ERROR, None);
                writer.finish();
            }
            report_panic(settings, &scratch.request, message);
            Some(CloseReason::Panicked)
        }
        HandlerOutcome::Failed(error) => {
            let status = writer.is_open().then(|| error.status().unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
            let close = match status {
                Some(status) => {
                    writer.restart(Some(status));
                    write_text(writer, status, &text_of(&error, status));
                    writer.finish()
                }
                None => Some(CloseReason::HandlerFailed),
            };
            report_failure(settings, &scratch.request, error, status);
            close
        }
    }
}

/// The content of the response to a request that ended in this error. The message of [`Error::answer`] is the
/// whole content. Others are shown, behind the status, where the peer is the cause.
fn text_of(error: &Error, status: StatusCode) -> Cow<'_, str> {
    match error.kind() {
        ErrorKind::Answer if !error.message().is_empty() => Cow::Borrowed(error.message()),
        ErrorKind::Refused
        | ErrorKind::BodyTooLarge
        | ErrorKind::Malformed
        | ErrorKind::NotMultipart
        | ErrorKind::MissingBoundary
        | ErrorKind::MissingFile => Cow::Owned(status_line(status, error.message())),
        _ => Cow::Owned(status_line(status, "")),
    }
}

/// The status in words, and what is wrong, as one line.
fn status_line(status: StatusCode, what: &str) -> String {
    let reason = status.canonical_reason().unwrap_or("error");
    let colon = if what.is_empty() { "" } else { ": " };
    format!("{} {reason}{colon}{what}\n", status.as_u16())
}

/// Writes a plain response that says what is wrong. The text is fixed, never the peer's.
pub(crate) fn write_error(writer: &mut ResponseWriter, status: StatusCode, message: Option<&str>) {
    write_text(writer, status, &status_line(status, message.unwrap_or_default()));
}

fn write_text(writer: &mut ResponseWriter, status: StatusCode, text: &str) {
    let header = writer.header();
    header.set("Content-Type", "text/plain; charset=utf-8");
    // Taken away first, so that it stands here wherever the handler had it.
    header.del("X-Content-Type-Options");
    header.add("X-Content-Type-Options", "nosniff");
    writer.write_whole(status, text.as_bytes());
}

fn report_panic(settings: &Settings, request: &Request, message: String) {
    settings.report(&ServerEvent::HandlerPanicked {
        remote_addr: request.remote_addr.clone(),
        request: described(request),
        message,
    });
}

fn report_failure(settings: &Settings, request: &Request, error: Error, status: Option<StatusCode>) {
    settings.report(&ServerEvent::HandlerFailed {
        remote_addr: request.remote_addr.clone(),
        request: described(request),
        error,
        status,
    });
}

pub(crate) fn report_ignored_status(settings: &Settings, scratch: &Scratch) {
    let Some((status, location)) = scratch.writer.ignored_status() else { return };
    settings.report(&ServerEvent::StatusIgnored {
        remote_addr: scratch.request.remote_addr.clone(),
        request: described(&scratch.request),
        status,
        location,
    });
}

fn described(request: &Request) -> String {
    format!("{} {}", request.method, request.request_uri)
}

pub(crate) fn record(settings: &Settings, scratch: &mut Scratch, watched: Option<Instant>) {
    let (Some(hook), Some(began)) = (&settings.on_request, watched) else { return };
    let request = &mut scratch.request;
    let record = RequestRecord {
        method: request.method.clone(),
        target: request.request_uri.clone(),
        proto: request.proto,
        remote_addr: request.remote_addr.clone(),
        pattern: request.pattern.take(),
        status: scratch.writer.sent_status(),
        content_bytes: scratch.writer.written(),
        duration: began.elapsed(),
    };
    settings.call("on_request", || hook(&record));
}
