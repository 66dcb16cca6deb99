//! Content filters: what changes the content of a response between its handler and its peer.
//!
//! ```text
//!  handler ──▶ pending ──▶ filter set last ──▶ … ──▶ filter set first ──▶ write buffer ──▶ socket
//! ```
//!
//! A filter is decided on when the head is: by then status, fields and the first content are known, and
//! nothing is sent. So a response that is rolled back or replaced by an error before that leaves no filter
//! behind that has seen its content. From then on [`FilterChain`] runs what is written through all of them.
//!
//! A step of the chain can be abandoned, when the future that writes is dropped between two pieces, and it
//! can fail. The filters have then seen content that the peer does not get, so no later content may follow:
//! the chain is marked as [`Running`](ChainState::Running) before the first piece and unmarked after the
//! last; a step that finds the mark fails, and the response is cut.
//!
//! This file knows no writer: `filtering` joins the two.

use http::StatusCode;

use crate::error::{Error, ErrorKind, Result};
use crate::h1::may_send_content;
use crate::message::{Header, add_to_vary};

/// Changes content on its way from a handler to the peer; see
/// [`ResponseWriter::filter_content`](crate::ResponseWriter::filter_content).
///
/// It sees every byte, in order, in pieces of any size up to 32 KiB, and appends to `out` what is to be sent
/// in their place: as much as it likes, now or at a later call. `out` may hold other content already, which
/// is not to be touched. An error cuts the response, or replaces it by 500 where nothing was sent.
///
/// The calls are made on the thread of the connection, and hold it up for as long as they take.
pub trait ContentFilter: Send {
    /// Takes the next piece of content, which is not empty.
    ///
    /// # Errors
    /// Content that the filter cannot pass on.
    fn write(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<()>;

    /// The handler flushes: whatever was written so far and can be passed on goes to `out` now. Not called
    /// where nothing was written since the last time.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn flush(&mut self, out: &mut Vec<u8>) -> Result<()> {
        let _ = out;
        Ok(())
    }

    /// The content is over: what is left goes to `out`, and fields for the peer that depend on all of the
    /// content to `trailer`, which is sent where the response has chunks, as
    /// [`ResponseWriter::trailer`](crate::ResponseWriter::trailer) says. Called once, and not at all for a
    /// response that is cut.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    fn end(&mut self, out: &mut Vec<u8>, trailer: &mut Header) -> Result<()> {
        let _ = (out, trailer);
        Ok(())
    }
}

/// The head of a response in the moment in which it is decided, for
/// [`ResponseWriter::filter_content`](crate::ResponseWriter::filter_content).
#[derive(Debug)]
pub struct ResponseHead<'a> {
    pub(super) status: StatusCode,
    pub(super) header: &'a mut Header,
    /// The type that the first content looks like, where the server would send that.
    pub(super) sniffed: Option<&'static str>,
    pub(super) content_length: Option<u64>,
    pub(super) head_request: bool,
}

impl ResponseHead<'_> {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The fields, with what [`before_head`](crate::ResponseWriter::before_head) and filters inside of this
    /// one have changed.
    pub fn header(&self) -> &Header {
        self.header
    }

    /// The fields, to be changed.
    pub fn header_mut(&mut self) -> &mut Header {
        self.header
    }

    /// The media type of the content: what the `Content-Type` field says, else what the content looks like.
    pub fn content_type(&self) -> Option<&str> {
        self.header.get("Content-Type").or(self.sniffed)
    }

    /// The length of the content that the filter would get, where it is known: all of it was written, or the
    /// handler has set `Content-Length`. In a response to `HEAD` it is known where it would be sent.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// Whether the request was `HEAD`: the response gets the fields that one to `GET` would have, and no
    /// content.
    pub fn is_head_request(&self) -> bool {
        self.head_request
    }

    /// Whether the status allows content: not 1xx, 204, 205 and 304. A filter for one that does not is not
    /// used.
    pub fn allows_content(&self) -> bool {
        may_send_content(self.status)
    }

    /// Whether the content is a part of a representation: 206, or anything with a `Content-Range`. Its
    /// offsets count unfiltered bytes, so what changes content must leave it alone.
    pub fn is_partial(&self) -> bool {
        self.status == StatusCode::PARTIAL_CONTENT || self.header.contains("Content-Range")
    }

    /// Makes a strong `ETag` weak. Done by itself where a filter is used.
    pub fn weaken_etag(&mut self) {
        weaken_etag(self.header);
    }

    /// Adds a name to the `Vary` field, unless it is there or the field is `*` (RFC 9110 §12.5.5).
    pub fn add_vary(&mut self, name: &str) {
        add_to_vary(self.header, &[name]);
    }
}

/// Decides whether a response is filtered, and by what.
pub(super) type DecideFilter = Box<dyn FnOnce(&mut ResponseHead<'_>) -> Option<Box<dyn ContentFilter>> + Send>;

/// The fields of a response whose content a filter changes: it is another representation of the resource
/// (RFC 9110 §8.8.1), so what counts bytes, or is computed from them, is not true of it.
pub(super) fn describe_other_content(header: &mut Header) {
    // RFC 9530 §2 and §3: digests of the bytes. Content-MD5 and Digest are their forerunners.
    for name in ["Content-Length", "Accept-Ranges", "Content-Digest", "Repr-Digest", "Content-MD5", "Digest"] {
        header.del(name);
    }
    weaken_etag(header);
}

/// RFC 9110 §8.8.3.3: other bytes need another strong tag. A weak one says only that the content means the
/// same.
fn weaken_etag(header: &mut Header) {
    if let Some(tag) = header.get_bytes("ETag").filter(|tag| tag.starts_with(b"\"")) {
        let weak = [b"W/", tag].concat();
        header.set("ETag", weak);
    }
}

/// The filters of one response, in the order in which content goes through them.
pub(super) struct FilterChain {
    filters: Vec<Box<dyn ContentFilter>>,
    state: ChainState,
    /// Whether content was written since the last flush.
    has_unflushed: bool,
    /// How much has come out of the last filter.
    pub(super) filtered_bytes: u64,
    /// The length that the handler has declared of its own content.
    pub(super) declared: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChainState {
    Waiting,
    /// Within a step. If the next step finds this, the one before was abandoned, or has failed.
    Running,
    Ended,
}

/// What comes after a piece of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FilterStep {
    More,
    Flush,
    End,
}

impl FilterChain {
    pub(super) fn new(declared: Option<u64>) -> FilterChain {
        FilterChain {
            filters: Vec::new(),
            state: ChainState::Waiting,
            has_unflushed: false,
            filtered_bytes: 0,
            declared,
        }
    }

    /// Adds one, nearer to the peer than those before.
    pub(super) fn push(&mut self, filter: Box<dyn ContentFilter>) {
        self.filters.push(filter);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state == ChainState::Ended
    }

    /// Begins a step: until [`complete`](Self::complete) is called it counts as abandoned.
    pub(super) fn begin(&mut self) -> Result<()> {
        match self.state {
            ChainState::Waiting => {
                self.state = ChainState::Running;
                Ok(())
            }
            ChainState::Running => {
                Err(Error::new(ErrorKind::Other, "an earlier write failed or was abandoned within a content filter"))
            }
            ChainState::Ended => Err(Error::new(ErrorKind::RequestOver, "the content has ended already")),
        }
    }

    /// Runs a piece of content through all filters.
    pub(super) fn write(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<()> {
        if content.is_empty() {
            return Ok(());
        }
        self.has_unflushed = true;
        self.pass(content, FilterStep::More, out, &mut Header::new())
    }

    /// Completes a step.
    pub(super) fn complete(&mut self, step: FilterStep, out: &mut Vec<u8>, trailer: &mut Header) -> Result<()> {
        let flushes_nothing = step == FilterStep::Flush && !self.has_unflushed;
        if step != FilterStep::More && !flushes_nothing {
            self.has_unflushed = false;
            self.pass(&[], step, out, trailer)?;
        }
        self.state = if step == FilterStep::End { ChainState::Ended } else { ChainState::Waiting };
        Ok(())
    }

    fn pass(&mut self, content: &[u8], step: FilterStep, out: &mut Vec<u8>, trailer: &mut Header) -> Result<()> {
        let before = out.len();
        pass(&mut self.filters, content, step, out, trailer)?;
        self.filtered_bytes += out.len().saturating_sub(before) as u64;
        Ok(())
    }
}

/// Lets the first filter do a step, and the others after it with what came out.
fn pass(
    filters: &mut [Box<dyn ContentFilter>],
    content: &[u8],
    step: FilterStep,
    out: &mut Vec<u8>,
    trailer: &mut Header,
) -> Result<()> {
    let Some((first, rest)) = filters.split_first_mut() else { return Ok(()) };
    let mut between = Vec::new();
    let own_out = if rest.is_empty() { &mut *out } else { &mut between };
    if !content.is_empty() {
        first.write(content, own_out)?;
    }
    match step {
        FilterStep::More => {}
        FilterStep::Flush => first.flush(own_out)?,
        FilterStep::End => {
            // What the handler, or a filter before this one, says of its bytes is not true of these.
            describe_other_content(trailer);
            first.end(own_out, trailer)?;
        }
    }
    pass(rest, &between, step, out, trailer)
}

impl std::fmt::Debug for FilterChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FilterChain").field("filters", &self.filters.len()).field("state", &self.state).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(fields: &[(&str, &str)]) -> Header {
        fields.iter().copied().collect()
    }

    #[test]
    fn what_counts_or_digests_bytes_is_not_said_of_other_content() {
        let mut fields = header(&[
            ("Content-Length", "5"),
            ("ETag", "\"a\""),
            ("Accept-Ranges", "bytes"),
            ("Repr-Digest", "sha-256=:AAAA:"),
            ("content-digest", "sha-256=:AAAA:"),
            ("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ]);
        describe_other_content(&mut fields);
        let left: Vec<_> = fields.iter().collect();
        assert_eq!(left, [("ETag", &b"W/\"a\""[..]), ("Last-Modified", b"Thu, 01 Jan 2026 00:00:00 GMT")]);
    }

    #[test]
    fn a_weak_tag_and_what_is_no_tag_stay() {
        for tag in ["W/\"a\"", "a", ""] {
            let mut fields = header(&[("ETag", tag)]);
            weaken_etag(&mut fields);
            assert_eq!(fields.get("ETag"), Some(tag));
        }
    }

    #[test]
    fn vary_gets_a_name_once() {
        for (before, after) in [
            (&[][..], &["Accept-Encoding"][..]),
            (&["Origin"], &["Origin, Accept-Encoding"]),
            (&["Origin", "Cookie, Accept"], &["Origin, Cookie, Accept, Accept-Encoding"]),
            (&["origin, ACCEPT-encoding"], &["origin, ACCEPT-encoding"]),
            (&["*"], &["*"]),
            (&[""], &["Accept-Encoding"]),
        ] {
            let mut fields: Header = before.iter().map(|value| ("Vary", *value)).collect();
            let mut head = ResponseHead {
                status: StatusCode::OK,
                header: &mut fields,
                sniffed: None,
                content_length: None,
                head_request: false,
            };
            head.add_vary("Accept-Encoding");
            assert_eq!(fields.values("Vary").collect::<Vec<_>>(), after);
        }
    }

    /// Puts a mark around each piece, and says what was called.
    struct Marks(char);

    impl ContentFilter for Marks {
        fn write(&mut self, content: &[u8], out: &mut Vec<u8>) -> Result<()> {
            out.extend_from_slice(format!("{}{}", self.0, String::from_utf8_lossy(content)).as_bytes());
            Ok(())
        }

        fn flush(&mut self, out: &mut Vec<u8>) -> Result<()> {
            out.push(b'|');
            Ok(())
        }

        fn end(&mut self, out: &mut Vec<u8>, trailer: &mut Header) -> Result<()> {
            out.push(b'.');
            trailer.add("X-Ended", self.0.to_string());
            Ok(())
        }
    }

    #[test]
    fn each_filter_gets_what_the_one_before_it_makes_at_its_end_too() {
        let mut chain = FilterChain::new(None);
        chain.push(Box::new(Marks('a')));
        chain.push(Box::new(Marks('b')));
        let (mut out, mut trailer) = (Vec::new(), Header::new());
        chain.begin().unwrap();
        chain.write(b"1", &mut out).unwrap();
        chain.complete(FilterStep::Flush, &mut out, &mut trailer).unwrap();
        assert_eq!(out, b"ba1b||");
        chain.begin().unwrap();
        chain.complete(FilterStep::Flush, &mut out, &mut trailer).unwrap();
        assert_eq!(out, b"ba1b||", "nothing new was flushed");
        chain.begin().unwrap();
        chain.complete(FilterStep::End, &mut out, &mut trailer).unwrap();
        assert_eq!((&*out, trailer.values("X-Ended").collect::<Vec<_>>()), (&b"ba1b||b.."[..], vec!["a", "b"]));
        assert!(chain.has_ended() && chain.begin().is_err());
    }

    #[test]
    fn a_step_that_was_not_completed_lets_none_follow() {
        let mut chain = FilterChain::new(None);
        chain.push(Box::new(Marks('a')));
        chain.begin().unwrap();
        chain.write(b"1", &mut Vec::new()).unwrap();
        assert!(chain.begin().is_err() && chain.begin().is_err());
    }
}
