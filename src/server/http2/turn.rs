//! A turn on a stream: one request, from its head to the end of its answer.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::request::Parts;
use tokio::time::Instant;

use super::line::{Shared, StreamBody, StreamLine, TURN};
use crate::error::{Error, Refusal};
use crate::h1::Expectation;
use crate::h2::{Received, fill_request};
use crate::message::{Addr, Body, ConnContext};
use crate::server::answer::Asked;
use crate::server::desk::{self, Desk};
use crate::server::event::ServerEvent;
use crate::server::outlet::Outlet;
use crate::server::settings::{Settings, catch};
use crate::server::turn::{self, Outcome};
use crate::server::verdict::CloseReason;

/// What the turns of one connection have in common.
pub(super) struct Host {
    pub(super) settings: Arc<Settings>,
    pub(super) remote_addr: Addr,
    /// What the contexts of its requests are made from.
    pub(super) context: Arc<ConnContext>,
    pub(super) shared: Arc<Shared>,
}

/// A request that came in.
pub(super) struct Arrival {
    parts: Parts,
    line: Arc<StreamLine>,
    /// Whether no content follows.
    ends: bool,
    came: Instant,
}

impl Arrival {
    pub(super) fn new(host: &Host, request: http::Request<RecvStream>, respond: SendResponse<bytes::Bytes>) -> Arrival {
        let (parts, stream) = request.into_parts();
        let ends = stream.is_end_stream();
        let length = parts.headers.get(http::header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let received = (!ends).then(|| Received::new(stream, length));
        let ConnContext { local_addr, values, draining, .. } = &*host.context;
        let context = Arc::new(ConnContext::new(local_addr.clone(), values.clone(), draining.clone()));
        let line = StreamLine::new(respond, received, context, host.shared.clone(), host.settings.stall_timeout);
        Arrival { parts, line: Arc::new(line), ends, came: Instant::now() }
    }
}

/// Runs the handler on a request and completes its answer.
pub(super) async fn run(host: Arc<Host>, arrival: Arrival) {
    let settings = &host.settings;
    let watched = settings.on_request.is_some().then(Instant::now);
    let line = arrival.line.clone();
    let mut desk = desk::take();
    desk.writer.attach(Some(Outlet::Stream(line.clone())));
    let outcome = match begin(&host, &mut desk, arrival) {
        Ok(expect) => match turn::preset_answer(settings, &mut desk, expect) {
            Some(outcome) => outcome,
            None => handle(settings, &line, &mut desk).await,
        },
        Err(refusal) => refuse(&host, &mut desk, refusal),
    };
    let close = turn::conclude(settings, &mut desk, outcome);
    complete(&line, close).await;
    desk.memory = line.end_turn();
    line.cancel();
    turn::report_ignored_status(settings, &desk);
    turn::record(settings, &mut desk, watched);
    desk::put_back(desk);
}

/// Lays the desk out for this request.
fn begin(host: &Host, desk: &mut Desk, arrival: Arrival) -> Result<Expectation, Refusal> {
    let Arrival { parts, line, ends, came } = arrival;
    let request = &mut desk.request;
    request.remote_addr.clone_from(&host.remote_addr);
    request.context.enter(&line.context, TURN);
    let filled = fill_request(request, parts, ends, &host.settings.head_limits);
    let awaits_continue = matches!(&filled, Ok(facts) if facts.expect == Expectation::Continue);
    let limits =
        (host.settings.read_timeout.map(|limit| came + limit), host.settings.write_timeout.map(|limit| came + limit));
    line.begin(limits, awaits_continue, std::mem::take(&mut desk.memory));
    desk.writer.begin(Asked::by(request, TURN));
    let facts = filled?;
    if facts.has_content {
        request.body = Body::from_source(StreamBody(line));
    }
    Ok(facts.expect)
}

/// Answers what is no acceptable request. Its stream is one of many: the connection lives.
fn refuse(host: &Host, desk: &mut Desk, refusal: Refusal) -> Outcome {
    host.settings.report(&ServerEvent::Refused {
        remote_addr: host.remote_addr.clone(),
        status: refusal.status,
        reason: refusal.reason,
    });
    turn::write_error(&mut desk.writer, refusal.status, Some(refusal.reason));
    Outcome::Done
}

/// Runs the handler, with an eye on the peer. While it waits, what it has written leaves.
async fn handle(settings: &Settings, line: &StreamLine, desk: &mut Desk) -> Outcome {
    let Desk { request, writer, .. } = desk;
    // A handler may panic before it has a future.
    let mut answering = match catch(move || settings.handler.serve(writer, request)) {
        Ok(answering) => answering,
        Err(payload) => return turn::panicked(&*payload),
    };
    let mut left = false;
    poll_fn(|cx| {
        match catch(|| answering.as_mut().poll(cx)) {
            Ok(Poll::Ready(Ok(()))) => return Poll::Ready(Outcome::Done),
            Ok(Poll::Ready(Err(error))) => return Poll::Ready(Outcome::Failed(error)),
            Ok(Poll::Pending) => {}
            Err(payload) => return Poll::Ready(turn::panicked(&*payload)),
        }
        if !left && line.poll_peer_left(cx).is_ready() {
            left = true;
            line.cancel();
        }
        Poll::Pending
    })
    .await
}

/// Sends what is left of the answer, or cuts it where it cannot be whole.
async fn complete(line: &StreamLine, close: Option<CloseReason>) {
    use CloseReason::{ContentShort, HandlerFailed, WriteFailed};
    match close {
        // Of a handler that panicked: what was answered in its place is whole.
        Some(ContentShort | HandlerFailed | WriteFailed) => line.reset(Reason::INTERNAL_ERROR),
        _ => {
            let sent: Result<(), Error> = line.complete().await;
            if sent.is_err() {
                line.cancel();
                line.reset(Reason::INTERNAL_ERROR);
            }
        }
    }
}
