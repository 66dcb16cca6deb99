//! What the server does with a writer before and after the handler: it attaches the writer to a
//! connection, begins a response for each request, and finishes it. Until the head is sent, a response
//! can be rolled back or replaced.

use std::future::pending;
use std::panic::Location;

use http::StatusCode;
use tokio::time::Instant;

use super::decide::{Extent, Omitted, RequestTraits};
use super::kept_fields::kept_fields;
use super::sink::ResponseSink;
use super::writer::{ResponseWriter, Stage};
use crate::error::Error;
use crate::h1::{self, Outgoing};
use crate::message::Header;
use crate::net::TransferDeadlines;
use crate::server::close_reason::CloseReason;
use crate::server::record::{RequestRecord, ResponseEnd};

/// How much memory for held-back content a writer keeps between two exchanges.
const MAX_KEPT_PENDING_BYTES: usize = 16 * 1024;

impl ResponseWriter {
    pub(crate) fn new() -> ResponseWriter {
        ResponseWriter {
            header: Header::new(),
            trailer: Header::new(),
            status: None,
            stage: Stage::Over,
            pending: Vec::new(),
            written: 0,
            omitted: Omitted::default(),
            extras: None,
            traits: RequestTraits::default(),
            close: None,
            max_drain_bytes: 0,
            sink: None,
        }
    }

    /// Sets where responses go from now on; `None` is nowhere.
    pub(crate) fn attach(&mut self, sink: Option<ResponseSink>) {
        self.sink = sink;
    }

    /// Begins the response to a request, with a writer that is new or cleared. `close` is the reason for which the connection closes after
    /// it, if that is known already. Unread content of the request is drained up to `max_drain_bytes`.
    pub(crate) fn begin(&mut self, traits: RequestTraits, close: Option<CloseReason>, max_drain_bytes: u64) {
        self.stage = Stage::Open;
        self.traits = traits;
        self.close = close;
        self.max_drain_bytes = max_drain_bytes;
    }

    /// Forgets what was set and written.
    pub(crate) fn clear(&mut self) {
        self.header.clear();
        self.trailer.clear();
        self.status = None;
        self.stage = Stage::Open;
        self.pending.clear();
        self.pending.shrink_to(MAX_KEPT_PENDING_BYTES);
        self.written = 0;
        self.omitted = Omitted::default();
        if let Some(extras) = &mut self.extras {
            extras.clear();
        }
    }

    /// Sets what the client would switch to: what its `Upgrade` names.
    pub(crate) fn allow_upgrade(&mut self, request: &Header) {
        for offer in request.values_bytes("Upgrade") {
            let upgrades = &mut self.extras_mut().upgrades;
            upgrades.extend_from_slice(offer);
            upgrades.push(b',');
        }
    }

    /// Begins another response, of this status where it is known, in place of one that was not sent. Fields
    /// that are not about the content stay, and so do the hooks: middleware that adds fields to every
    /// response adds them to errors too.
    pub(crate) fn restart(&mut self, status: Option<StatusCode>) {
        let header = kept_fields(&self.header, status);
        let extras = self.extras.take();
        let omits_date = self.omitted.date;
        self.clear();
        self.header = header;
        self.extras = extras.map(|mut extras| {
            extras.restart();
            extras
        });
        self.omitted.date = omits_date;
    }

    /// Measures the response from now on.
    pub(crate) fn measure(&mut self) {
        self.extras_mut().measured_since = Some(Instant::now());
    }

    pub(super) fn note_head_decided(&mut self) {
        if let Some(extras) = self.extras.as_mut().filter(|extras| extras.measured_since.is_some()) {
            extras.head_decided = Some(Instant::now());
        }
    }

    /// Since when the response is measured, if it is, and when its head was decided.
    pub(crate) fn measured(&self) -> Option<(Instant, Option<Instant>)> {
        let extras = self.extras.as_ref()?;
        Some((extras.measured_since?, extras.head_decided))
    }

    /// How the response ended, as far as its writer knows; `close` is why its connection closes.
    pub(crate) fn end(&self, close: Option<CloseReason>) -> ResponseEnd {
        let has_left = self.sink.as_ref().is_some_and(|sink| sink.is_peer_gone(self.traits.exchange));
        let write_error = self.sink.as_ref().and_then(|sink| sink.check().err()).map(|error| error.kind());
        ResponseEnd::of(close, has_left, write_error)
    }

    /// The function that waits for the end of the request and was added last.
    pub(crate) fn next_end_hook(&mut self) -> Option<impl FnOnce(&RequestRecord) + use<>> {
        let hook = self.extras.as_mut()?.end_hooks.pop()?;
        Some(|record: &RequestRecord| hook.run(record))
    }

    /// Drops hooks and filters: one of them has panicked.
    pub(crate) fn forget_hooks(&mut self) {
        if let Some(extras) = &mut self.extras {
            extras.hooks.clear();
            extras.filters = None;
            extras.ignored_status = None;
        }
    }

    /// Sets status and content of a response that the server writes in place of a handler.
    pub(crate) fn write_whole(&mut self, status: StatusCode, content: &[u8]) {
        self.status = Some(status);
        self.pending.clear();
        if h1::may_send_content(status) {
            self.pending.extend_from_slice(content);
        }
        self.written = self.pending.len() as u64;
    }

    /// Says that the response, as it is written so far, is a plain error of this crate's: if nothing is added
    /// to it, `on_error` may give another in its place when the handler is done. Not before, because middleware
    /// is to see it too.
    pub(crate) fn mark_plain_error(&mut self) {
        if self.is_open() {
            self.extras_mut().plain_error_bytes = Some(self.written);
        }
    }

    /// The plain error that the response is, if it is one and can still be replaced.
    pub(crate) fn plain_error(&self) -> Option<(Error, StatusCode)> {
        let is_plain_error = self.is_open() && self.extras.as_ref()?.plain_error_bytes == Some(self.written);
        let status = self.status.filter(|_| is_plain_error)?;
        // What is a page says nothing that another form could repeat.
        let is_text = self.header.get("Content-Type").is_some_and(|value| value.starts_with("text/plain"));
        let text = if is_text { String::from_utf8_lossy(&self.pending) } else { "".into() };
        Some((Error::answer(status, text.trim_end().to_owned()), status))
    }

    /// Encodes what was held back and the end of the content; nothing is sent yet. Returns why the
    /// connection must close after this response, if it must.
    pub(crate) fn finish(&mut self) -> Option<CloseReason> {
        match self.stage {
            Stage::Hijacked => return Some(CloseReason::Hijacked),
            Stage::Failed => return Some(CloseReason::WriteFailed),
            Stage::Open | Stage::Sent { .. } | Stage::Over => {}
        }
        // Only the response that stands in for another can fail here: of one that a handler wrote, the
        // filters were ended before.
        if self.end_filters().is_err() {
            self.stage = Stage::Failed;
            return Some(CloseReason::HandlerFailed);
        }
        // Taken out while `commit` reads them, and put back for their memory.
        let pending = std::mem::take(&mut self.pending);
        let with_content = self.commit(Extent::Whole(&pending));
        self.pending = pending;
        let Stage::Sent { outgoing, .. } = self.stage else { return self.close };
        // The response to HEAD declares the length of content that is never written.
        // With filters it was checked when they ended.
        let promised = !self.traits.head_request && self.filters().is_none();
        let short = promised && matches!(outgoing, Outgoing::Length(length) if self.written < length);
        if !with_content {
            self.collect(&[]);
        }
        match &self.sink {
            Some(ResponseSink::Http1(conn_io)) if outgoing == Outgoing::Chunked && !self.traits.head_request => {
                h1::encode_last_chunk(conn_io.lock().write_buffer.bytes(), &self.trailer);
            }
            Some(ResponseSink::Http2(stream)) if !short => stream.end(&self.trailer),
            Some(ResponseSink::Call(call)) if !short => call.end(&self.trailer),
            _ => {}
        }
        self.stage = Stage::Over;
        if short { Some(CloseReason::ContentShort) } else { self.close }
    }
}

/// Queries of the server about a response.
impl ResponseWriter {
    /// Whether the response has its connection for itself, as in HTTP/1.
    pub(crate) fn owns_connection(&self) -> bool {
        !matches!(self.sink, Some(ResponseSink::Http2(_) | ResponseSink::Call(_)))
    }

    /// Whether the status may be 101: HTTP/2 has none (RFC 9113 §8.6), and HTTP/1.0 has no
    /// informational responses (RFC 9110 §15.2).
    pub(crate) fn may_switch(&self) -> bool {
        self.owns_connection() && !self.traits.http10
    }

    /// Whether the response is to HEAD, so that no content of it is sent.
    pub(crate) fn is_for_head(&self) -> bool {
        self.traits.head_request
    }

    /// Completes when nobody waits for the response any more, as the request's context says.
    pub(crate) fn client_gone(&self) -> impl Future<Output = ()> + Send + use<> {
        let (sink, exchange) = (self.sink.clone(), self.traits.exchange);
        async move {
            match &sink {
                Some(sink) => sink.peer_gone(exchange).await,
                None => pending().await,
            }
        }
    }

    /// Whether nothing of the response was sent, so that another one can take its place.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    pub(crate) fn is_hijacked(&self) -> bool {
        matches!(self.stage, Stage::Hijacked)
    }

    /// The peer was released while the handler still ran, with a response of the server's own if there is
    /// a status: this one goes nowhere any more.
    pub(crate) fn give_up(&mut self, status: Option<StatusCode>) {
        self.status = status.or(self.status);
        self.stage = Stage::Failed;
    }

    /// The length of the content for the peer: behind the filters, and none where the response has none.
    pub(crate) fn content_bytes(&self) -> u64 {
        let has_content = !self.traits.head_request && self.status.is_none_or(h1::may_send_content);
        match self.filters() {
            _ if !has_content => 0,
            Some(filters) => filters.filtered_bytes,
            None => self.written,
        }
    }

    /// The status, if a response was sent.
    pub(crate) fn sent_status(&self) -> Option<StatusCode> {
        self.status.filter(|_| !matches!(self.stage, Stage::Open))
    }

    /// The first status that could not be set, and where the handler tried to.
    pub(crate) fn ignored_status(&self) -> Option<(StatusCode, &'static Location<'static>)> {
        self.extras.as_ref()?.ignored_status
    }
}

/// A response as it was when [`ResponseWriter::checkpoint`] was called.
pub(crate) struct Checkpoint {
    header: Header,
    trailer: Header,
    status: Option<StatusCode>,
    pending_bytes: usize,
    written: u64,
    omitted: Omitted,
    hook_count: usize,
    deadlines: TransferDeadlines,
}

impl ResponseWriter {
    /// The response as it is now, for [`rollback`](Self::rollback). Costs no allocation while no field
    /// is set.
    pub(crate) fn checkpoint(&self) -> Checkpoint {
        Checkpoint {
            header: self.header.clone(),
            trailer: self.trailer.clone(),
            status: self.status,
            pending_bytes: self.pending.len(),
            written: self.written,
            omitted: self.omitted,
            hook_count: self.extras.as_ref().map_or(0, |extras| extras.hooks.len()),
            deadlines: self.sink.as_ref().map(ResponseSink::deadlines).unwrap_or_default(),
        }
    }

    /// Undoes what was set and written since the checkpoint. Returns whether that was possible: what was
    /// sent cannot be undone.
    pub(crate) fn rollback(&mut self, checkpoint: Checkpoint) -> bool {
        if !self.is_open() {
            return false;
        }
        self.header = checkpoint.header;
        self.trailer = checkpoint.trailer;
        self.status = checkpoint.status;
        // Nothing was sent, so what was pending then still lies at the front, and so do the hooks.
        self.pending.truncate(checkpoint.pending_bytes);
        self.written = checkpoint.written;
        self.omitted = checkpoint.omitted;
        if let Some(extras) = &mut self.extras {
            extras.plain_error_bytes = None;
            extras.hooks.truncate(checkpoint.hook_count);
        }
        self.set_read_deadline(checkpoint.deadlines.read);
        self.set_write_deadline(checkpoint.deadlines.write);
        true
    }
}
