//! How the head of a response goes out: as bytes on a line, as fields on a stream.

use http::{StatusCode, Version};

use super::decide::{HandlerFields, sniffed};
use super::writer::{Extent, ResponseWriter};
use crate::h1::{self, Outgoing, ResponseToSend, allows_content};
use crate::server::cached_now;
use crate::server::http1::conn_io::ConnIo;
use crate::server::http2::{StreamHead, StreamIo};

impl ResponseWriter {
    /// Encodes the head, and content that is whole behind it, where it is sent as it is. Says
    /// whether it did.
    pub(super) fn encode_head(
        &mut self,
        conn_io: &ConnIo,
        status: StatusCode,
        outgoing: Outgoing,
        fields: &HandlerFields,
        content: Extent<'_>,
    ) -> bool {
        let mut state = conn_io.lock();
        let unread = state.final_status();
        let close = self.traits.close.or_else(|| conn_io.server.closes_all());
        self.traits.close = close.or_else(|| self.traits.close_behind(status, fields, outgoing, &unread));
        let head = ResponseToSend {
            version: if self.traits.http10 { Version::HTTP_10 } else { Version::HTTP_11 },
            status,
            header: &self.header,
            outgoing,
            connection: self.traits.connection_field(status),
            content_type: self.guessed_type(status, fields, content),
            date: (!self.omitted.date).then(|| cached_now::now().into_std()),
        };
        let out = state.write_buffer.bytes();
        h1::encode_response_head(out, &head);
        let at_once = content.is_whole() && outgoing != Outgoing::Chunked;
        if at_once && self.traits.has_content(outgoing) {
            out.extend_from_slice(content.next());
        }
        at_once
    }

    /// Sends the head, and takes content that is whole behind it. Says in which form content
    /// follows, and whether it was taken.
    pub(super) fn send_head(
        &mut self,
        stream: &StreamIo,
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
        let has_content = self.traits.has_content(outgoing);
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
