//! How the head of an answer goes out: as bytes on a line, as fields on a stream.

use http::{StatusCode, Version};

use super::{Extent, ResponseWriter};
use crate::h1::{self, Outgoing, ResponseToSend, allows_content};
use crate::server::answer::{HandlerFields, sniffed};
use crate::server::clock;
use crate::server::http2::{StreamHead, StreamLine};
use crate::server::line::Line;

impl ResponseWriter {
    /// Encodes the head, and content that is whole behind it, where it is sent as it is. Says
    /// whether it did.
    pub(super) fn encode_head(
        &mut self,
        line: &Line,
        status: StatusCode,
        outgoing: Outgoing,
        fields: &HandlerFields,
        content: Extent<'_>,
    ) -> bool {
        let mut state = line.lock();
        let unread = state.final_status();
        let close = self.asked.close.or_else(|| line.server.closes_all());
        self.asked.close = close.or_else(|| self.asked.close_behind(status, fields, outgoing, &unread));
        let head = ResponseToSend {
            version: if self.asked.http10 { Version::HTTP_10 } else { Version::HTTP_11 },
            status,
            header: &self.header,
            outgoing,
            connection: self.asked.connection_field(status),
            content_type: self.guessed_type(status, fields, content),
            date: (!self.omitted.date).then(|| clock::now().into_std()),
        };
        let out = state.outbox.bytes();
        h1::encode_response_head(out, &head);
        let at_once = content.is_whole() && outgoing != Outgoing::Chunked;
        if at_once && self.asked.has_content(outgoing) {
            out.extend_from_slice(content.next());
        }
        at_once
    }

    /// Sends the head, and takes content that is whole behind it. Says in which form content
    /// follows, and whether it was taken.
    pub(super) fn send_head(
        &mut self,
        stream: &StreamLine,
        status: StatusCode,
        outgoing: Outgoing,
        fields: &HandlerFields,
        content: Extent<'_>,
    ) -> (Outgoing, bool) {
        let outgoing = match outgoing {
            // RFC 9113 §8.5: behind a 2xx to CONNECT the stream is the tunnel. And there is no
            // connection whose end could be that of the content.
            Outgoing::None if allows_content(status) => Outgoing::Chunked,
            Outgoing::UntilClose => Outgoing::Chunked,
            outgoing => outgoing,
        };
        let has_content = self.asked.has_content(outgoing);
        let ends = !has_content || (content.is_whole() && content.next().is_empty() && self.trailer.is_empty());
        // What is declared and not there must not look like the whole.
        let ends = ends && (!has_content || matches!(outgoing, Outgoing::Chunked | Outgoing::Length(0)));
        let head = StreamHead {
            status,
            header: &self.header,
            outgoing,
            content_type: self.guessed_type(status, fields, content),
            date: !self.omitted.date,
            ends,
            trailer: !self.trailer.is_empty(),
        };
        stream.send_head(&head, if content.is_whole() && has_content { content.next() } else { &[] });
        if fields.close {
            stream.close_connection();
        }
        (outgoing, content.is_whole())
    }

    #[inline]
    fn guessed_type(&self, status: StatusCode, fields: &HandlerFields, content: Extent<'_>) -> Option<&'static str> {
        let silent = self.omitted.content_type || fields.content_type || fields.coded || !allows_content(status);
        if silent { None } else { sniffed(&self.pending, content.next()) }
    }
}

impl<'a> Extent<'a> {
    pub(super) fn next(self) -> &'a [u8] {
        match self {
            Extent::Start(next) | Extent::Whole(next) => next,
        }
    }

    pub(super) fn is_whole(self) -> bool {
        matches!(self, Extent::Whole(_))
    }
}
