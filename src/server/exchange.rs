//! What an exchange does in the same way in both protocols: it runs the handler, and finishes its
//! response or replaces it by an error.
//!
//! How bytes move meanwhile differs: see `http1/exchange.rs` and `http2/exchange.rs`.

use std::any::Any;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use http::{Method, StatusCode};
use tokio::time::Instant;

use super::close_reason::CloseReason;
use super::error_info::{ErrorInfo, status_of};
use super::error_response::{self, write_failure};
use super::event::ServerEvent;
use super::handler::Handler;
use super::record::RequestRecord;
use super::response::ResponseWriter;
use super::scratch::Scratch;
use super::settings::{Settings, catch, panic_message};
use crate::error::{Error, Refusal};
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
    /// It failed, and the response to that is written.
    Answered(Error),
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

/// Whether this is what [`abort`] unwinds with.
pub(crate) fn is_abort(payload: &(dyn Any + Send)) -> bool {
    payload.is::<AbortHandler>()
}

fn panicked(payload: &(dyn Any + Send)) -> HandlerOutcome {
    if is_abort(payload) { HandlerOutcome::Aborted } else { HandlerOutcome::Panicked(panic_message(payload)) }
}

/// The response to the few requests that the server responds to without calling its handler.
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
    handler: &impl Handler,
    scratch: &mut Scratch,
    mut meanwhile: impl FnMut(&mut TaskContext<'_>),
) -> HandlerOutcome {
    let Scratch { request, writer, .. } = scratch;
    // A handler may panic while its future is made.
    let mut handling = match catch(move || handler.serve_http_boxed(writer, request)) {
        Ok(handling) => handling,
        Err(payload) => return panicked(&*payload),
    };
    let outcome = poll_fn(|cx| {
        match catch(|| handling.as_mut().poll(cx)) {
            Ok(Poll::Ready(Ok(()))) => return Poll::Ready(HandlerOutcome::Done),
            Ok(Poll::Ready(Err(error))) => return Poll::Ready(HandlerOutcome::Failed(error)),
            Ok(Poll::Pending) => {}
            Err(payload) => return Poll::Ready(panicked(&*payload)),
        }
        meanwhile(cx);
        Poll::Pending
    })
    .await;
    drop(handling);
    match outcome {
        // Boxed, as it is rare.
        HandlerOutcome::Failed(error) if scratch.writer.is_open() && is_streamed(&error) => {
            Box::pin(send_error(settings, scratch, error, meanwhile)).await
        }
        outcome => outcome,
    }
}

/// Whether an error carries a response whose content is still to come.
fn is_streamed(error: &Error) -> bool {
    error.response().is_some_and(|response| !response.body.is_in_memory())
}

/// Sends the response that an error carries, while the peer is watched as it is for a handler.
async fn send_error(
    settings: &Settings,
    scratch: &mut Scratch,
    mut error: Error,
    mut meanwhile: impl FnMut(&mut TaskContext<'_>),
) -> HandlerOutcome {
    let Scratch { request, writer, .. } = scratch;
    let failure = ErrorInfo::of(request, &error, status_of(&error));
    if error_response::write_chosen(settings, writer, &failure) {
        return HandlerOutcome::Answered(error);
    }
    let Some(response) = error.take_response() else { return HandlerOutcome::Failed(error) };
    writer.restart(Some(response.status));
    let mut sending = pin!(writer.send(response));
    poll_fn(|cx| {
        match catch(|| sending.as_mut().poll(cx)) {
            Ok(Poll::Ready(Ok(()))) => return Poll::Ready(Ok(())),
            Ok(Poll::Ready(Err(failed))) => return Poll::Ready(Err(HandlerOutcome::Failed(failed))),
            Ok(Poll::Pending) => {}
            Err(payload) => return Poll::Ready(Err(panicked(&*payload))),
        }
        meanwhile(cx);
        Poll::Pending
    })
    .await
    .map_or_else(|outcome| outcome, |()| HandlerOutcome::Answered(error))
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
    let Scratch { request, writer, .. } = scratch;
    if writer.is_hijacked() {
        if let HandlerOutcome::Panicked(message) = outcome {
            report_panic(settings, request, message);
        }
        return Some(CloseReason::Hijacked);
    }
    let outcome = match outcome {
        HandlerOutcome::Done => complete(settings, writer, request),
        other => other,
    };
    match outcome {
        HandlerOutcome::Done => writer.finish(),
        HandlerOutcome::Aborted => Some(CloseReason::HandlerFailed),
        HandlerOutcome::Panicked(message) => {
            if writer.is_open() {
                if writer.owns_connection() {
                    writer.header().set("Connection", "close");
                }
                let error = Error::other(message.as_str());
                write_failure(settings, writer, &ErrorInfo::of(request, &error, StatusCode::INTERNAL_SERVER_ERROR));
                writer.finish();
            }
            report_panic(settings, request, message);
            Some(CloseReason::Panicked)
        }
        HandlerOutcome::Failed(error) if writer.is_open() => {
            write_failure(settings, writer, &ErrorInfo::of(request, &error, status_of(&error)));
            finish_failed(settings, scratch, error)
        }
        HandlerOutcome::Answered(error) => finish_failed(settings, scratch, error),
        HandlerOutcome::Failed(error) => {
            report_failure(settings, request, error, None);
            Some(CloseReason::HandlerFailed)
        }
    }
}

/// The handler has written its response to the end. `on_error` sees it if it is a plain error, and then the
/// filters end: they may fail.
fn complete(settings: &Settings, writer: &mut ResponseWriter, request: &Request) -> HandlerOutcome {
    if settings.on_error.is_some() {
        if let Some((error, status)) = writer.plain_error() {
            error_response::write_chosen(settings, writer, &ErrorInfo::of(request, &error, status));
        }
    }
    writer.end_filters().map_or_else(HandlerOutcome::Failed, |()| HandlerOutcome::Done)
}

/// The response to an error is written.
fn finish_failed(settings: &Settings, scratch: &mut Scratch, error: Error) -> Option<CloseReason> {
    let close = scratch.writer.finish();
    report_failure(settings, &scratch.request, error, scratch.writer.sent_status());
    close
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

/// Tells whoever waits for it that the exchange is over. Before anything of it is cleared, and before its
/// context is cancelled: a context that is cancelled already says that the client has left.
pub(crate) fn record(settings: &Settings, scratch: &mut Scratch, close: Option<CloseReason>) {
    if let Some((since, head_decided)) = scratch.writer.measured() {
        record_measured(settings, scratch, close, (since, head_decided));
    }
}

#[cold]
fn record_measured(
    settings: &Settings,
    scratch: &mut Scratch,
    close: Option<CloseReason>,
    (since, head_decided): (Instant, Option<Instant>),
) {
    let Scratch { request, writer, .. } = scratch;
    let record = RequestRecord {
        method: request.method.clone(),
        // Lent to the record, with their memory, for as long as it lives.
        target: std::mem::take(&mut request.request_uri),
        host: std::mem::take(&mut request.host),
        header: std::mem::take(&mut request.header),
        proto: request.proto,
        remote_addr: request.remote_addr.clone(),
        tls: request.tls.clone(),
        pattern: request.pattern.take(),
        status: writer.sent_status(),
        content_bytes: writer.content_bytes(),
        first_byte: head_decided.map(|decided| decided.saturating_duration_since(since)),
        duration: since.elapsed(),
        end: writer.end(close),
    };
    while let Some(hook) = writer.next_end_hook() {
        settings.call("on_end", || hook(&record));
    }
    if let Some(hook) = &settings.on_request {
        settings.call("on_request", || hook(&record));
    }
    let RequestRecord { target, host, header, .. } = record;
    (request.request_uri, request.host, request.header) = (target, host, header);
}
