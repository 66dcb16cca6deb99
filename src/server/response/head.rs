//! The head of a response: decided once, then encoded as bytes (HTTP/1) or as fields (HTTP/2).

use http::{StatusCode, Version};

use super::decide::{Extent, HandlerFields, sniffed_content_type};
use super::sink::ResponseSink;
use super::writer::{ResponseWriter, Stage};
use crate::h1::{self, Outgoing, ResponseToSend, allows_content, may_send_content};
use crate::server::cached_now;
use crate::server::call::call_io::{CallHead, CallIo};
use crate::server::http1::conn_io::ConnIo;
use crate::server::http2::{StreamHead, StreamIo};

impl ResponseWriter {
    /// Decides the head and encodes it; a second time does nothing. Content that is whole is encoded
    /// right after it, except in chunks. Returns whether it was.
    pub(super) fn commit(&mut self, content: Extent<'_>) -> bool {
        if !matches!(self.stage, Stage::Open) {
            return false;
        }
        let whole = match content {
            Extent::Start(_) => None,
            Extent::Whole(content) => Some(content.len() as u64),
        };
        let status = self.decided_status();
        if self.extras.is_some() {
            self.note_head_decided();
            // Before the fields are read: hooks may change them.
            self.run_hooks(status, content);
        }
        let status = self.switched_status(status);
        let fields = HandlerFields::of(&self.header);
        // `check_length` has checked each write, but not a length that was set later, or by a hook, and
        // that is less than what was written. With it, the peer would see the response end in the
        // middle.
        let fields = HandlerFields { length: fields.length.filter(|&length| length >= self.written), ..fields };
        let response = self.traits.outgoing_response(
            status,
            &fields,
            whole.filter(|_| !self.omitted.content_length),
            &self.trailer,
        );
        let outgoing = h1::outgoing_response(&response);
        if response.trailers && outgoing == Outgoing::Chunked && !fields.trailer {
            let names: Vec<&str> = self.trailer.iter().map(|(name, _)| name).collect();
            self.header.set("Trailer", names.join(", "));
        }
        let declared = match self.filters() {
            Some(filters) => filters.declared,
            None => fields.length,
        };
        if !self.traits.has_content(outgoing) {
            self.drop_filters();
        }
        // Taken out while the calls borrow the rest of `self`. A clone would cost an atomic count.
        let sink = self.sink.take();
        let (outgoing, with_content) = match &sink {
            Some(ResponseSink::Http1(conn_io)) => {
                (outgoing, self.encode_head(conn_io, status, outgoing, &fields, content))
            }
            Some(ResponseSink::Http2(stream)) => self.send_head(stream, status, outgoing, &fields, content),
            Some(ResponseSink::Call(call)) => (self.hand_over_head(call, status, outgoing, &fields, content), false),
            None => return false,
        };
        self.sink = sink;
        self.stage = Stage::Sent { outgoing, declared };
        with_content
    }

    /// Encodes the head for HTTP/1, and decides with it whether the connection closes. Whole content
    /// is encoded after the head, except in chunks. Returns whether it was.
    fn encode_head(
        &mut self,
        conn_io: &ConnIo,
        status: StatusCode,
        outgoing: Outgoing,
        fields: &HandlerFields,
        content: Extent<'_>,
    ) -> bool {
        let mut state = conn_io.lock();
        let unread = state.final_head(self.traits.exchange, outgoing == Outgoing::UntilClose);
        self.close = self
            .close
            .or_else(|| conn_io.server.closes_all())
            .or_else(|| self.traits.close_reason(status, fields, outgoing))
            .or_else(|| unread.close_reason(self.max_drain_bytes));
        let head = ResponseToSend {
            version: if self.traits.http10 { Version::HTTP_10 } else { Version::HTTP_11 },
            status,
            header: &self.header,
            outgoing,
            connection: self.traits.connection_field(status, self.close),
            content_type: self.guessed_content_type(status, fields, content),
            date: (!self.omitted.date).then(|| cached_now::now().into_std()),
        };
        let out = state.write_buffer.bytes();
        h1::encode_response_head(out, &head);
        let with_content = content.is_whole() && outgoing != Outgoing::Chunked;
        if with_content && self.traits.has_content(outgoing) {
            out.extend_from_slice(content.next());
        }
        with_content
    }

    /// Sends the head on an HTTP/2 stream, and whole content after it. Says in which form content
    /// follows, and whether it was whole.
    fn send_head(
        &mut self,
        stream: &StreamIo,
        status: StatusCode,
        outgoing: Outgoing,
        fields: &HandlerFields,
        content: Extent<'_>,
    ) -> (Outgoing, bool) {
        let outgoing = without_connection(outgoing, status);
        let has_content = self.traits.has_content(outgoing);
        let is_empty = content.is_whole() && content.next().is_empty() && self.trailer.is_empty();
        // If a length was declared and nothing written, the stream is reset: a stream that ends
        // normally would look like a complete response.
        let may_end_empty = matches!(outgoing, Outgoing::Chunked | Outgoing::Length(0));
        let head = StreamHead {
            status,
            header: &self.header,
            outgoing,
            content_type: self.guessed_content_type(status, fields, content),
            date: !self.omitted.date,
            ends: !has_content || (is_empty && may_end_empty),
            trailer: !self.trailer.is_empty(),
        };
        stream.send_head(&head, if content.is_whole() && has_content { content.next() } else { &[] });
        if fields.close {
            stream.close_connection();
        }
        (outgoing, content.is_whole())
    }

    /// Hands the head to the one who has called the handler. Says in which form content follows.
    fn hand_over_head(
        &mut self,
        call: &CallIo,
        status: StatusCode,
        outgoing: Outgoing,
        fields: &HandlerFields,
        content: Extent<'_>,
    ) -> Outgoing {
        let outgoing = without_connection(outgoing, status);
        let content_type = self.guessed_content_type(status, fields, content);
        let mut header = self.header.clone();
        if let Some(content_type) = content_type {
            header.set("Content-Type", content_type);
        }
        if status == StatusCode::NOT_MODIFIED {
            // RFC 9110 §15.4.5: it describes what the client has, and that has its type.
            header.del("Content-Type");
        }
        // How the content is delimited is decided anew where the response is sent on.
        header.del("Transfer-Encoding");
        match outgoing {
            Outgoing::Length(length) => header.set("Content-Length", length.to_string()),
            _ => _ = header.del("Content-Length"),
        }
        let length = match outgoing {
            outgoing if !self.traits.has_content(outgoing) => Some(0),
            Outgoing::Length(length) => Some(length),
            _ => None,
        };
        call.send_head(CallHead { status, header, length });
        outgoing
    }

    // As `HandlerFields::of`.
    #[inline(always)]
    pub(super) fn guessed_content_type(
        &self,
        status: StatusCode,
        fields: &HandlerFields,
        content: Extent<'_>,
    ) -> Option<&'static str> {
        if self.omitted.content_type || fields.content_type || fields.coded || !may_send_content(status) {
            return None;
        }
        sniffed_content_type(&self.pending, content.next())
    }
}

/// How content follows where no connection ends with it. `Chunked` stands for content of unknown length: HTTP/2
/// has frames of its own.
fn without_connection(outgoing: Outgoing, status: StatusCode) -> Outgoing {
    match outgoing {
        // RFC 9113 §8.5: after a 2xx to CONNECT the stream is the tunnel.
        Outgoing::None if allows_content(status) => Outgoing::Chunked,
        // The end of the connection cannot end the content: other streams run on it.
        Outgoing::UntilClose => Outgoing::Chunked,
        outgoing => outgoing,
    }
}
