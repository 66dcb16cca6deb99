//! A turn on a stream: one request, from its head to the end of its answer.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, ready};

use bytes::Bytes;
use h2::Reason;
use h2::server::SendResponse;
use http::request::Parts;
use tokio::time::{Instant, timeout};

use super::line::{Shared, StreamBody, StreamLine};
use super::turns::Arrival;
use crate::error::{Error, Refusal};
use crate::h1::Expectation;
use crate::h2::{Received, content_length, fill_request};
use crate::message::{Addr, Body, ConnContext, Frame, TlsInfo};
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
    pub(super) tls: Option<Arc<TlsInfo>>,
    /// What the contexts of its requests are made from.
    pub(super) context: Arc<ConnContext>,
    pub(super) shared: Arc<Shared>,
    /// A line that a turn has left and nobody holds: the next one has it.
    pub(super) spare: Mutex<Option<Arc<StreamLine>>>,
}

/// A request that came in. Many may wait to begin, so it has no desk yet.
pub(super) struct Turn {
    host: Arc<Host>,
    line: Arc<StreamLine>,
    parts: Parts,
    ends: bool,
}

/// One that has begun: laid out on a desk, which is one that another has just left. Small.
pub(super) struct Begun {
    host: Arc<Host>,
    line: Arc<StreamLine>,
    desk: Box<Desk>,
    head: Result<Expectation, Refusal>,
    watched: Option<Instant>,
}

impl Turn {
    pub(super) fn new(host: &Arc<Host>, (request, respond): Arrival) -> Turn {
        let (parts, stream) = request.into_parts();
        let ends = stream.is_end_stream();
        let received = (!ends).then(|| Received::new(stream, content_length(&parts.headers)));
        let line = host.line(respond, received);
        Turn { host: host.clone(), line, parts, ends }
    }

    pub(super) fn begin(self) -> Begun {
        let Turn { host, line, parts, ends } = self;
        let watched = host.settings.on_request.is_some().then(Instant::now);
        let mut desk = desk::take();
        desk.request.remote_addr.clone_from(&host.remote_addr);
        desk.request.tls.clone_from(&host.tls);
        desk.request.context.enter(&line.context, line.turn);
        let filled = fill_request(&mut desk.request, parts, ends, &host.settings.head_limits);
        let awaits_continue = matches!(&filled, Ok(facts) if facts.expect == Expectation::Continue);
        line.begin(awaits_continue, std::mem::take(&mut desk.memory));
        desk.writer.attach(Some(Outlet::Stream(line.clone())));
        desk.writer.begin(Asked::by(&desk.request, line.turn));
        if matches!(&filled, Ok(facts) if facts.has_content) {
            desk.request.body = Body::from_source(StreamBody(line.clone()));
        }
        Begun { host, line, desk, head: filled.map(|facts| facts.expect), watched }
    }
}

impl Begun {
    /// Runs the handler on the request and completes its answer.
    pub(super) async fn run(self) {
        let Begun { host, line, mut desk, head, watched } = self;
        let settings = &host.settings;
        let outcome = match head {
            Ok(expect) => match turn::preset_answer(settings, &mut desk, expect) {
                Some(outcome) => outcome,
                None => handle(settings, &line, &mut desk).await,
            },
            Err(refusal) => refuse(&host, &mut desk, refusal),
        };
        let close = turn::conclude(settings, &mut desk, outcome);
        complete(&line, close).await;
        let (memory, unread) = line.end_turn();
        desk.memory = memory;
        line.cancel();
        turn::report_ignored_status(settings, &desk);
        turn::record(settings, &mut desk, watched);
        desk.clear_turn();
        desk::put_back(desk);
        host.keep(line);
        if let Some(unread) = unread {
            // Boxed, as it is rare.
            Box::pin(drain(unread, settings)).await;
        }
    }
}

impl Host {
    fn line(&self, respond: SendResponse<Bytes>, received: Option<Received>) -> Arc<StreamLine> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut line) = spare {
            if let Some(only) = Arc::get_mut(&mut line) {
                only.serve_next(respond, received, self);
                return line;
            }
        }
        let ConnContext { local_addr, values, draining, .. } = &*self.context;
        let context = Arc::new(ConnContext::new(local_addr.clone(), values.clone(), draining.clone()));
        Arc::new(StreamLine::new(respond, received, context, self))
    }

    /// A handler may have given its request's body away: then the line stays that body's.
    fn keep(&self, line: Arc<StreamLine>) {
        if Arc::strong_count(&line) == 1 {
            self.spare.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(line);
        }
    }
}

/// What the handler left of the request's content: a little is read and thrown away, so that the
/// peer is done with the stream by itself. Else it is told to send no more (RFC 9113 §8.1), and by
/// then it has had time to read the answer: some give it up when they are told. Of more than is worth
/// reading it is told at once, behind the answer, as nginx does: curl (7.88) looks for
/// nothing behind that, and would wait for ever for room to send.
async fn drain(mut unread: Received, settings: &Settings) {
    let mut left = settings.drain_bytes;
    if unread.remaining().is_some_and(|announced| announced > left) {
        return;
    }
    let draining = poll_fn(|cx| {
        loop {
            match ready!(unread.poll_within(cx, left)) {
                Some(Ok(Frame::Data(data))) => left = left.saturating_sub(data.len() as u64),
                None | Some(Ok(Frame::Trailer(_)) | Err(_)) => return Poll::Ready(()),
            }
        }
    });
    let _ = timeout(settings.drain_timeout, draining).await;
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
        Some(ContentShort | HandlerFailed | WriteFailed) => {
            // A reset takes back what still waits: what was flushed gets the chance to leave before.
            tokio::task::yield_now().await;
            line.reset(Reason::INTERNAL_ERROR);
        }
        _ => {
            let sent: Result<(), Error> = line.complete().await;
            if sent.is_err() {
                line.cancel();
                line.reset(Reason::INTERNAL_ERROR);
            }
        }
    }
}
