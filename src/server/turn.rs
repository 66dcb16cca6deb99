//! A turn: one request on a server's connection, from its parsed head to the verdict.

use std::any::Any;
use std::future::poll_fn;
use std::task::Poll;

use http::{Method, StatusCode};
use tokio::time::{Instant, timeout};

use super::answer::Asked;
use super::connection::Connection;
use super::content::{self, TurnBody};
use super::desk::Desk;
use super::event::{RequestRecord, ServerEvent};
use super::line::{Line, Unread};
use super::settings::{Settings, catch, panic_message};
use super::verdict::{CloseReason, Verdict};
use super::writer::ResponseWriter;
use crate::error::{Error, ErrorKind};
use crate::h1::{Expectation, Framing, ParsedRequest};
use crate::message::{Body, Request};

/// How a handler ended.
pub(crate) enum Outcome {
    Done,
    Failed(Error),
    Panicked(String),
    Aborted,
}

/// What [`abort`] unwinds with.
struct AbortHandler;

/// Ends a handler at once and cuts its connection, without a word in any log (Go's
/// `panic(http.ErrAbortHandler)`): for an answer that has begun and cannot be completed.
///
/// # Panics
/// Always; only to be called from a handler, on its own task.
pub fn abort() -> ! {
    std::panic::resume_unwind(Box::new(AbortHandler))
}

/// Runs the handler on a request and completes its answer.
pub(crate) async fn run(connection: &mut Connection, desk: &mut Desk, head: ParsedRequest) -> Verdict {
    let watched = connection.settings.on_request.is_some().then(Instant::now);
    begin(connection, desk, &head);
    let outcome = match preset_answer(&connection.settings, desk, head.expect) {
        Some(outcome) => outcome,
        None => handle(connection, desk).await,
    };
    let close = conclude(&connection.settings, desk, outcome);
    let close = match head.framing {
        Framing::Empty => close,
        Framing::Length(_) | Framing::Chunked | Framing::UntilClose => {
            settle_content(&connection.line, &connection.settings, close).await
        }
    };
    connection.line.end_turn(connection.turn);
    report_ignored_status(&connection.settings, desk);
    record(&connection.settings, desk, watched);
    desk.clear_turn();
    close.map_or(Verdict::Reuse, Verdict::Close)
}

/// Lays the desk out for this request.
fn begin(connection: &mut Connection, desk: &mut Desk, head: &ParsedRequest) {
    connection.turn += 1;
    let turn = connection.turn;
    let request = &mut desk.request;
    // Each time: a handler may have changed it, or put another request in the place of this one.
    request.remote_addr.clone_from(&connection.booked.info.remote_addr);
    request.tls.clone_from(&connection.tls);
    request.context.enter(&connection.line.context, turn);
    match head.framing {
        // The body is empty: what a turn leaves is let go of at its end.
        Framing::Empty => {}
        Framing::Length(_) | Framing::Chunked | Framing::UntilClose => {
            let awaits_continue = matches!(head.expect, Expectation::Continue);
            connection.line.lock().begin_content(turn, &head.framing, awaits_continue);
            request.body = Body::from_source(TurnBody::new(connection.line.clone(), turn));
        }
    }
    set_limits(connection);
    let mut asked = Asked::by(request, turn);
    asked.drain_bytes = connection.settings.drain_bytes;
    asked.close = close_known_beforehand(request, head);
    desk.writer.begin(asked);
}

/// The absolute limits of this turn, in place of those of the turn before.
fn set_limits(connection: &mut Connection) {
    let settings = &connection.settings;
    if settings.read_timeout.is_none() && settings.write_timeout.is_none() && !connection.line.has_limits() {
        return;
    }
    let now = Instant::now();
    let began = connection.head_began.take().unwrap_or(now);
    let mut state = connection.line.lock();
    state.read_until = settings.read_timeout.map(|limit| began + limit);
    state.write_until = settings.write_timeout.map(|limit| now + limit);
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
pub(crate) fn preset_answer(settings: &Settings, desk: &mut Desk, expect: Expectation) -> Option<Outcome> {
    if matches!(expect, Expectation::Unknown) {
        let status = StatusCode::EXPECTATION_FAILED;
        if desk.writer.owns_connection() {
            desk.writer.header().set("Connection", "close");
        }
        return Some(Outcome::Failed(Error::answer(status, "the expectation cannot be met")));
    }
    let general = desk.request.method == Method::OPTIONS && desk.request.request_uri == "*";
    if general && settings.answers_general_options {
        desk.writer.write_header(StatusCode::OK);
        return Some(Outcome::Done);
    }
    None
}

/// Runs the handler, with an eye on the peer. While it waits, what was collected leaves: answers
/// to earlier requests of a pipeline, and what this one has written.
async fn handle(connection: &mut Connection, desk: &mut Desk) -> Outcome {
    let turn = connection.turn;
    let Connection { settings, line, booked, .. } = connection;
    let handler = &settings.handler;
    let Desk { request, writer, .. } = desk;
    // A handler may panic before it has a future.
    let answering = catch(move || handler.serve(writer, request));
    let mut answering = match answering {
        Ok(answering) => answering,
        Err(payload) => return panicked(&*payload),
    };
    let mut left = false;
    poll_fn(|cx| {
        match catch(|| answering.as_mut().poll(cx)) {
            Ok(Poll::Ready(Ok(()))) => return Poll::Ready(Outcome::Done),
            Ok(Poll::Ready(Err(error))) => return Poll::Ready(Outcome::Failed(error)),
            Ok(Poll::Pending) => {}
            Err(payload) => return Poll::Ready(panicked(&*payload)),
        }
        if line.is_hijacked() {
            booked.hijacked();
            return Poll::Pending;
        }
        let mut state = line.lock();
        state.keep_watcher(cx.waker());
        let failed = matches!(state.poll_flush_beside(cx), Poll::Ready(Err(_)));
        if !left && (failed || state.poll_peer_left(cx).is_ready()) {
            left = true;
            drop(state);
            line.cancel(turn);
        }
        Poll::Pending
    })
    .await
}

pub(crate) fn panicked(payload: &(dyn Any + Send)) -> Outcome {
    if payload.is::<AbortHandler>() { Outcome::Aborted } else { Outcome::Panicked(panic_message(payload)) }
}

/// Completes the answer. That runs the handler's hooks, which may panic as it may.
pub(crate) fn conclude(settings: &Settings, desk: &mut Desk, outcome: Outcome) -> Option<CloseReason> {
    match catch(|| complete(settings, desk, outcome)) {
        Ok(close) => close,
        Err(payload) => {
            desk.writer.forget_hooks();
            complete(settings, desk, panicked(&*payload))
        }
    }
}

/// Completes the answer, or puts another in its place, or leaves it cut.
fn complete(settings: &Settings, desk: &mut Desk, outcome: Outcome) -> Option<CloseReason> {
    let writer = &mut desk.writer;
    if writer.is_hijacked() {
        if let Outcome::Panicked(message) = outcome {
            report_panic(settings, &desk.request, message);
        }
        return Some(CloseReason::Hijacked);
    }
    match outcome {
        Outcome::Done => writer.finish(),
        Outcome::Aborted => Some(CloseReason::HandlerFailed),
        Outcome::Panicked(message) => {
            let open = writer.is_open();
            if open {
                writer.restart();
                if writer.owns_connection() {
                    writer.header().set("Connection", "close");
                }
                write_error(writer, StatusCode::INTERNAL_SERVER_ERROR, None);
                writer.finish();
            }
            report_panic(settings, &desk.request, message);
            Some(CloseReason::Panicked)
        }
        Outcome::Failed(error) => {
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
            report_failure(settings, &desk.request, error, status);
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

/// A plain answer that says what is wrong, in fixed words or the handler's: never the peer's.
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
/// connection can be kept; with more, it closes. The answer leaves first.
async fn settle_content(line: &Line, settings: &Settings, close: Option<CloseReason>) -> Option<CloseReason> {
    if close == Some(CloseReason::Hijacked) {
        return close;
    }
    let unread = {
        let mut state = line.lock();
        state.end_content();
        state.unread()
    };
    match (close, unread) {
        (Some(_), _) | (None, Unread::Nothing) => close,
        (None, Unread::Broken) => Some(CloseReason::BodyBroken),
        (None, Unread::Some { .. }) => {
            if line.flush().await.is_err() {
                return Some(CloseReason::WriteFailed);
            }
            let draining = content::drain(line, settings.drain_bytes);
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

pub(crate) fn report_ignored_status(settings: &Settings, desk: &Desk) {
    let Some((status, location)) = desk.writer.ignored_status() else { return };
    settings.report(&ServerEvent::StatusIgnored {
        remote_addr: desk.request.remote_addr.clone(),
        request: described(&desk.request),
        status,
        location,
    });
}

fn described(request: &Request) -> String {
    format!("{} {}", request.method, request.request_uri)
}

pub(crate) fn record(settings: &Settings, desk: &mut Desk, watched: Option<Instant>) {
    let (Some(hook), Some(began)) = (&settings.on_request, watched) else { return };
    let request = &mut desk.request;
    let record = RequestRecord {
        method: request.method.clone(),
        target: request.request_uri.clone(),
        proto: request.proto,
        remote_addr: request.remote_addr.clone(),
        pattern: request.pattern.take(),
        status: desk.writer.sent_status(),
        content_bytes: desk.writer.written(),
        duration: began.elapsed(),
    };
    settings.call("on_request", || hook(&record));
}
