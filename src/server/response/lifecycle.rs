//! What the connection does with a writer, before and after the handler has it.

use std::panic::Location;

use http::StatusCode;

use super::decide::Omitted;
use super::decide::RequestTraits;
use super::sink::ResponseSink;
use super::writer::{Extent, ResponseWriter, Stage};
use crate::h1::{self, Outgoing};
use crate::message::Header;
use crate::server::close_reason::CloseReason;

/// What is left of a writer's memory between exchanges.
const KEPT: usize = 16 * 1024;

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
            hooks: Vec::new(),
            ignored: None,
            traits: RequestTraits::nothing(),
            sink: None,
        }
    }

    /// Answers there from now on, or nowhere.
    pub(crate) fn attach(&mut self, sink: Option<ResponseSink>) {
        self.sink = sink;
    }

    /// Whether the response has its connection for itself.
    pub(crate) fn owns_connection(&self) -> bool {
        !matches!(self.sink, Some(ResponseSink::Http2(_)))
    }

    /// Whether it may be 101: HTTP/2 has none (RFC 9113 §8.6), and HTTP/1.0 knows no informational
    /// answers (RFC 9110 §15.2).
    pub(crate) fn may_switch(&self) -> bool {
        self.owns_connection() && !self.traits.http10
    }

    /// Begins the response to a request.
    pub(crate) fn begin(&mut self, traits: RequestTraits) {
        self.reset();
        self.traits = traits;
    }

    /// Forgets all of a response that was not sent.
    pub(crate) fn reset(&mut self) {
        self.header.clear();
        self.trailer.clear();
        self.status = None;
        self.stage = Stage::Open;
        self.pending.clear();
        self.pending.shrink_to(KEPT);
        self.written = 0;
        self.omitted = Omitted::default();
        self.hooks.clear();
        self.ignored = None;
    }

    /// Starts over, for another response in place of one that was not sent. The hooks stay: what
    /// is added to every response is added to this one too.
    pub(crate) fn restart(&mut self) {
        let traits = self.traits.clone();
        let hooks = std::mem::take(&mut self.hooks);
        self.begin(traits);
        self.hooks = hooks;
    }

    /// The response goes without what others wanted to add to it.
    pub(crate) fn forget_hooks(&mut self) {
        self.hooks.clear();
        self.ignored = None;
    }

    /// A whole response with this content, in place of what a handler may write.
    pub(crate) fn write_whole(&mut self, status: StatusCode, content: &[u8]) {
        self.status = Some(status);
        self.pending.clear();
        if h1::allows_content(status) {
            self.pending.extend_from_slice(content);
        }
        self.written = self.pending.len() as u64;
    }

    /// The status that was set in vain, and where, if one was.
    pub(crate) fn ignored_status(&self) -> Option<(StatusCode, &'static Location<'static>)> {
        self.ignored
    }

    /// The status, if a response was sent.
    pub(crate) fn sent_status(&self) -> Option<StatusCode> {
        self.status.filter(|_| !matches!(self.stage, Stage::Open))
    }

    /// Completes the response: what waits is encoded, not yet sent. Says why the connection must
    /// close behind it, if it must.
    pub(crate) fn finish(&mut self) -> Option<CloseReason> {
        match self.stage {
            Stage::Hijacked => return Some(CloseReason::Hijacked),
            Stage::Failed => return Some(CloseReason::WriteFailed),
            Stage::Open | Stage::Sent { .. } | Stage::Over => {}
        }
        let pending = std::mem::take(&mut self.pending);
        let sent_whole = self.commit(Extent::Whole(&pending));
        self.pending = pending;
        let Stage::Sent { outgoing, .. } = self.stage else { return self.traits.close };
        let promised = !self.traits.head_request;
        let short = promised && matches!(outgoing, Outgoing::Length(length) if self.written < length);
        if !sent_whole {
            self.collect(&[]);
        }
        match &self.sink {
            Some(ResponseSink::Http1(conn_io)) if outgoing == Outgoing::Chunked && !self.traits.head_request => {
                h1::encode_last_chunk(conn_io.lock().write_buffer.bytes(), &self.trailer);
            }
            Some(ResponseSink::Http2(stream)) if !short => stream.end(&self.trailer),
            _ => {}
        }
        self.stage = Stage::Over;
        if short { Some(CloseReason::ContentShort) } else { self.traits.close }
    }

    /// Whether nothing of a response was sent, so that another one can take its place.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    pub(crate) fn is_hijacked(&self) -> bool {
        matches!(self.stage, Stage::Hijacked)
    }
}
