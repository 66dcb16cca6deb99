//! The head of a response, on its way from the writer to the connection's task, which encodes it.

use http::StatusCode;

use crate::h1::{Outgoing, may_be_trailer};
use crate::h2::Http2ResponseHead;
use crate::message::{Header, Known};

/// The head of a response as its writer has decided it.
pub(crate) struct StreamHead<'a> {
    pub(crate) status: StatusCode,
    /// The handler's fields.
    pub(crate) header: &'a Header,
    pub(crate) outgoing: Outgoing,
    /// The type that was guessed, for a header without one.
    pub(crate) content_type: Option<&'static str>,
    /// Whether to add a `Date` to a header without one.
    pub(crate) date: bool,
    /// Whether nothing follows.
    pub(crate) ends: bool,
    /// Whether a trailer follows the content.
    pub(crate) trailer: bool,
}

impl StreamHead<'_> {
    /// Whether this content is all that follows: as long as the head says, and no trailer after it.
    pub(super) fn is_whole(&self, content: &[u8]) -> bool {
        !self.trailer && self.outgoing == Outgoing::Length(content.len() as u64)
    }
}

/// A head of this size is kept in memory for the next one.
const MAX_KEPT_HEAD_BYTES: usize = 512;

/// The same, kept until the connection's task takes it. The handler may change its fields meanwhile, so they
/// are copied, into memory that is used again and again.
#[derive(Debug, Default)]
pub(super) struct KeptResponseHead {
    is_there: bool,
    status: u16,
    header: Header,
    content_length: Option<u64>,
    content_type: Option<&'static str>,
    date: bool,
    pub(super) ends: bool,
}

impl KeptResponseHead {
    pub(super) fn put(&mut self, head: &StreamHead<'_>) {
        self.is_there = true;
        self.status = head.status.as_u16();
        self.header.copy_from(head.header);
        self.content_length = if let Outgoing::Length(length) = head.outgoing { Some(length) } else { None };
        self.content_type = head.content_type;
        self.date = head.date;
        self.ends = head.ends;
        if self.header.iter_known().any(|(known, ..)| known == Known::Trailer) {
            self.name_trailers();
        }
    }

    /// Whether one waits to be sent.
    pub(super) fn is_there(&self) -> bool {
        self.is_there
    }

    /// It was sent, or nobody wants it any more.
    pub(super) fn clear(&mut self) {
        self.is_there = false;
    }

    /// As the engine takes it. `date` is the present time as a field's value.
    pub(super) fn to_encode<'a>(&'a self, date: &'a [u8]) -> Http2ResponseHead<'a> {
        Http2ResponseHead {
            status: self.status,
            header: &self.header,
            content_length: self.content_length,
            content_type: self.content_type.map(str::as_bytes),
            date: self.date.then_some(date),
        }
    }

    /// RFC 9110 §6.6.2: `Trailer` names fields that may be one, and no others.
    fn name_trailers(&mut self) {
        let values: Vec<&[u8]> = self.header.values_bytes("Trailer").collect();
        let names = values.iter().flat_map(|value| value.split(|&b| b == b',')).map(<[u8]>::trim_ascii);
        let allowed: Vec<_> = names.filter(|name| std::str::from_utf8(name).is_ok_and(may_be_trailer)).collect();
        let allowed = allowed.join(&b", "[..]);
        if allowed.is_empty() {
            self.header.del("Trailer");
        } else {
            self.header.set("Trailer", allowed);
        }
    }

    /// Gives back memory that a large head has taken.
    pub(super) fn release_memory(&mut self) {
        if self.held() > MAX_KEPT_HEAD_BYTES {
            self.header = Header::new();
        }
    }

    /// The bytes that it holds in memory.
    pub(super) fn held(&self) -> usize {
        self.header.held()
    }
}

/// The fields of a trailer that may be sent, or be seen, as one (RFC 9110 §6.5.1).
pub(super) fn allowed_trailer(trailer: &Header) -> Header {
    trailer.iter().filter(|(name, _)| may_be_trailer(name)).collect()
}
