//! An exchange: one request on a server's connection, from its parsed head to the verdict.

use std::any::Any;
use std::future::poll_fn;
use std::task::Poll;

use http::{Method, StatusCode};
use tokio::time::{Instant, timeout};

use super::close_reason::{AfterExchange, CloseReason};
use super::event::{RequestRecord, ServerEvent};
use super::http1::conn_io::ConnIo;
use super::http1::connection::Connection;
use super::http1::request_body::{self, RequestBody};
use super::response::ResponseWriter;
use super::response::decide::{RequestTraits, Unread};
use super::scratch::Scratch;
use super::settings::{Settings, catch, panic_message};
use crate::error::{Error, ErrorKind};
use crate::h1::{Expectation, Framing, ParsedRequest};
use crate::message::{Body, Request};

/// How a handler ended.
pub(crate) enum HandlerOutcome {
    Done,
    Failed(Error),
    Panicked(String),
    Aborted,
}

/// What [`abort`] unwinds with.
struct AbortHandler;

/// Ends a handler at once and cuts its connection, without a word in any log (Go's
/// `panic(http.ErrAbortHandler)`): for a response that has begun and cannot be completed.
///
/// # Panics
/// Always; only to be called from a handler, on its own task.
pub fn abort() -> ! {
    std::panic::resume_unwind(Box::new(AbortHandler))
}

/// Runs the handler on a request and completes its response.
pub(crate) async fn run(connection: &mut Connection, scratch: &mut Scratch, head: ParsedRequest) -> AfterExchange {
    let watched = connection.settings.on_request.is_some().then(Instant::now);
    begin(connection, scratch, &head);
    let outcome = match built_in_response(&connection.settings, scratch, head.expect) {
        Some(outcome) => outcome,
        None => handle(connection, scratch).await,
    };
    let close = finish_response(&connection.settings, scratch, outcome);
    let close = match head.framing {
        Framing::Empty => close,
        Framing::Length(_) | Framing::Chunked | Framing::UntilClose => {
            drain_request_body(&connection.conn_io, &connection.settings, close).await
        }
    };
    connection.conn_io.end_exchange(connection.exchange);
    report_ignored_status(&connection.settings, scratch);
    record(&connection.settings, scratch, watched);
    scratch.clear_exchange();
    close.map_or(AfterExchange::Reuse, AfterExchange::Close)
}

/// Lays the scratch out for this request.
fn begin(connection: &mut Connection, scratch: &mut Scratch, head: &ParsedRequest) {
    connection.exchange += 1;
    let exchange = connection.exchange;
    let request = &mut scratch.request;
    // Each time: a handler may have changed it, or put another request in the place of this one.
    request.remote_addr.clone_from(&connection.registration.info.remote_addr);
    request.tls.clone_from(&connection.tls);
    request.context.enter(&connection.conn_io.context, exchange);
    match head.framing {
        // The body is empty: what an exchange leaves is let go of at its end.
        Framing::Empty => {}
        Framing::Length(_) | Framing::Chunked | Framing::UntilClose => {
            let awaits_continue = matches!(head.expect, Expectation::Continue);
            connection.conn_io.lock().begin_content(exchange, &head.framing, awaits_continue);
            request.body = Body::from_source(RequestBody::new(connection.conn_io.clone(), exchange));
        }
    }
    set_limits(connection);
    let traits = RequestTraits::of(request, exchange);
    let close = close_known_beforehand(request, head);
    scratch.writer.begin(traits, close, connection.settings.drain_bytes);
}

/// The absolute limits of this exchange, in place of those of the exchange before.
fn set_limits(connection: &mut Connection) {
    let settings = &connection.settings;
    if settings.read_timeout.is_none() && settings.write_timeout.is_none() && !connection.conn_io.has_limits() {
        return;
    }
    let now = Instant::now();
    let began = connection.head_began.take().unwrap_or(now);
    let mut state = connection.conn_io.lock();
    state.read_limit.set_until(settings.read_timeout.map(|limit| began + limit));
    state.write_limit.set_until(settings.write_timeout.map(|limit| now + limit));
}

/// RFC 9112 §9.3: what the request's head already says.
fn close_known_beforehand(request: &Request, head: &ParsedRequest) -> Option<CloseReason> {
    if head.keep_alive {
        None
    } else if request.proto == http::Version::HTTP_10 {
        Some(CloseReason::Http10)
    } else {
        Some(CloseReason::PeerAsked)
    }
}

/// What the server answers without its handler.
pub(crate) fn built_in_response(
    settings: &Settings,
    scratch: &mut Scratch,
    expect: Expectation,
) -> Option<HandlerOutcome> {
    if matches!(expect, Expectation::Unknown) {
        let status = StatusCode::EXPECTATION_FAILED;
        if scratch.writer.owns_connection() {
            scratch.writer.header().set("Connection", "close");
        }
        return Some(HandlerOutcome::Failed(Error::answer(status, "the expectation cannot be met")));
    }
    let general = scratch.request.method == Method::OPTIONS && scratch.request.request_uri == "*";
    if general && settings.answers_general_options {
        scratch.writer.write_header(StatusCode::OK);
        return Some(HandlerOutcome::Done);
    }
    None
}

/// Runs the handler, with an eye on the peer. While it waits, what was collected leaves: answers
/// to earlier requests of a pipeline, and what this one has written.
async fn handle(connection: &mut Connection, scratch: &mut Scratch) -> HandlerOutcome {
    let exchange = connection.exchange;
    let Connection { settings, conn_io, registration, .. } = connection;
    let handler = &settings.handler;
    let Scratch { request, writer, .. } = scratch;
    // A handler may panic before it has a future.
    let handling = catch(move || handler.serve(writer, request));
    let mut handling = match handling {
        Ok(handling) => handling,
        Err(payload) => return panicked(&*payload),
    };
    let mut left = false;
    poll_fn(|cx| {
        match catch(|| handling.as_mut().poll(cx)) {
            Ok(Poll::Ready(Ok(()))) => return Poll::Ready(HandlerOutcome::Done),
            Ok(Poll::Ready(Err(error))) => return Poll::Ready(HandlerOutcome::Failed(error)),
            Ok(Poll::Pending) => {}
            Err(payload) => return Poll::Ready(panicked(&*payload)),
        }
        if conn_io.is_hijacked() {
            registration.set_hijacked();
            return Poll::Pending;
        }
        let mut state = conn_io.lock();
        state.keep_watcher(cx.waker());
        let failed = matches!(state.poll_flush_beside(cx), Poll::Ready(Err(_)));
        if !left && (failed || state.poll_peer_left(cx).is_ready()) {
            left = true;
            drop(state);
            conn_io.cancel(exchange);
        }
        Poll::Pending
    })
    .await
}

pub(crate) fn panicked(payload: &(dyn Any + Send)) -> HandlerOutcome {
    if payload.is::<AbortHandler>() {
        HandlerOutcome::Aborted
    } else {
        HandlerOutcome::Panicked(panic_message(payload))
    }
}

/// Completes the response. That runs the handler's hooks, which may panic as it may.
pub(crate) fn finish_response(
    settings: &Settings,
    scratch: &mut Scratch,
    outcome: HandlerOutcome,
) -> Option<CloseReason> {
    match catch(|| apply_outcome(settings, scratch, outcome)) {
        Ok(close) => close,
        Err(payload) => {
            scratch.writer.forget_hooks();
            apply_outcome(settings, scratch, panicked(&*payload))
        }
    }
}

/// Completes the response, or puts another in its place, or leaves it cut.
fn apply_outcome(settings: &Settings, scratch: &mut Scratch, outcome: HandlerOutcome) -> Option<CloseReason> {
    let writer = &mut scratch.writer;
    if writer.is_hijacked() {
        if let HandlerOutcome::Panicked(message) = outcome {
            report_panic(settings, &scratch.request, message);
        }
        return Some(CloseReason::Hijacked);
    }
    match outcome {
        HandlerOutcome::Done => writer.finish(),
        HandlerOutcome::Aborted => Some(CloseReason::HandlerFailed),
        HandlerOutcome::Panicked(message) => {
            let open = writer.is_open();
            if open {
                writer.restart();
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
                    let close = writer.header().has_token("Connection", "close");
                    writer.restart();
                    if close {
                        writer.header().set("Connection", "close");
                    }
                    write_error(writer, status, shown_to_peer(&error));
                    writer.finish()
                }
                None => Some(CloseReason::HandlerFailed),
            };
            report_failure(settings, &scratch.request, error, status);
            close
        }
    }
}

/// The message of an error that is meant for the peer: its own doing, or the handler's words.
fn shown_to_peer(error: &Error) -> Option<&str> {
    let meant = matches!(
        error.kind(),
        ErrorKind::Answer
            | ErrorKind::Refused
            | ErrorKind::BodyTooLarge
            | ErrorKind::Malformed
            | ErrorKind::NotMultipart
            | ErrorKind::MissingBoundary
            | ErrorKind::MissingFile
    );
    Some(error.message()).filter(|message| meant && !message.is_empty())
}

/// A plain response that says what is wrong, in fixed words or the handler's: never the peer's.
pub(crate) fn write_error(writer: &mut ResponseWriter, status: StatusCode, message: Option<&str>) {
    let header = writer.header();
    header.set("Content-Type", "text/plain; charset=utf-8");
    header.set("X-Content-Type-Options", "nosniff");
    let reason = status.canonical_reason().unwrap_or("error");
    let text = match message {
        Some(message) => format!("{} {reason}: {message}\n", status.as_u16()),
        None => format!("{} {reason}\n", status.as_u16()),
    };
    writer.write_whole(status, text.as_bytes());
}

/// What the handler left of the request's content: a little is read and thrown away, so that the
/// connection can be kept; with more, it closes. The response leaves first.
async fn drain_request_body(conn_io: &ConnIo, settings: &Settings, close: Option<CloseReason>) -> Option<CloseReason> {
    if close == Some(CloseReason::Hijacked) {
        return close;
    }
    let unread = {
        let mut state = conn_io.lock();
        state.end_content();
        state.unread()
    };
    match (close, unread) {
        (Some(_), _) | (None, Unread::Nothing) => close,
        (None, Unread::Broken) => Some(CloseReason::BodyBroken),
        (None, Unread::Some { .. }) => {
            if conn_io.flush().await.is_err() {
                return Some(CloseReason::WriteFailed);
            }
            let draining = request_body::drain(conn_io, settings.drain_bytes);
            // Boxed, as it is rare: every idle connection would have room for its timer.
            let drained = Box::pin(timeout(settings.drain_timeout, draining)).await.unwrap_or(false);
            (!drained).then_some(CloseReason::BodyUnread)
        }
    }
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
