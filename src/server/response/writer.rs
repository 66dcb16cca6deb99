//! The response to a request, as a handler writes it.
//!
//! The writer decides what a response is (its status, its length, whether it has content), the
//! codec how that looks in bytes, and the wire when the bytes leave.

use std::future::poll_fn;
use std::panic::Location;

use bytes::Bytes;
use http::StatusCode;
use tokio::time::Instant;

use super::decide::{HandlerFields, Omitted, RequestTraits, length_of};
use super::sink::ResponseSink;
use super::write_buffer::{DirectWrite, MIN_DIRECT_WRITE_BYTES};
use crate::error::{Error, ErrorKind, Result};
use crate::h1::{self, Outgoing};
use crate::message::Header;
use crate::server::hijack::Hijacked;

/// Writes the response to one request (Go's `ResponseWriter`).
///
/// The first write sends status and header; without [`write_header`](Self::write_header) the
/// status is 200. Content of up to 2 KiB waits until the handler returns and then leaves in one
/// piece with its `Content-Length`; more is sent in chunks as it is written, or as it is where
/// the handler has set `Content-Length`. [`flush`](Self::flush) sends what waits at once.
///
/// Written by the server itself, unless the handler sets them: `Date`, and a `Content-Type` found
/// by looking at the content. Written by the server alone, whatever the header says:
/// `Content-Length` (a length that is set is held to), `Transfer-Encoding`, and `Connection` (with
/// `close` in it the connection closes after the response).
///
/// Writes wait until the peer takes them; a peer that takes nothing for
/// [`stall_timeout`](crate::Server::stall_timeout) ends them with an error. A write that was
/// dropped before it was done leaves the response incomplete: later writes fail, and the connection
/// is closed.
///
/// It is also an [`AsyncWrite`](tokio::io::AsyncWrite): `tokio::io::copy(&mut file, w)`.
#[derive(Debug)]
pub struct ResponseWriter {
    pub(super) header: Header,
    pub(super) trailer: Header,
    pub(super) status: Option<StatusCode>,
    pub(super) stage: Stage,
    /// Content that waits: for the head to be decided, or to make a chunk that is worth it.
    pub(super) pending: Vec<u8>,
    /// How much content was written so far.
    pub(super) written: u64,
    pub(super) omitted: Omitted,
    pub(super) hooks: Vec<HeadHook>,
    /// The first status that was set in vain, and where.
    pub(super) ignored: Option<(StatusCode, &'static Location<'static>)>,
    pub(super) traits: RequestTraits,
    pub(super) sink: Option<ResponseSink>,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// Nothing was sent; all may still change.
    Open,
    /// The head is sent, or on its way; content follows in this form.
    Sent {
        outgoing: Outgoing,
        declared: Option<u64>,
    },
    /// A write has failed, and so will all that follow.
    Failed,
    /// The response is whole.
    Over,
    Hijacked,
}

/// A field that the server writes by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum AutoField {
    /// `Date`.
    Date,
    /// `Content-Type`, found by looking at the content.
    ContentType,
    /// `Content-Length` of content that is known when the head is sent.
    ContentLength,
}

pub(super) struct HeadHook(Box<dyn FnOnce(StatusCode, &mut Header) + Send>);

impl std::fmt::Debug for HeadHook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HeadHook")
    }
}

/// Content waits up to this size (Go's number): a response that is whole within it has a length.
const PENDING: usize = 2048;

impl ResponseWriter {
    /// The fields of the response, to be changed until the head is sent: by the first
    /// [`flush`](Self::flush), by content over 2 KiB, or when the handler returns.
    pub fn header(&mut self) -> &mut Header {
        &mut self.header
    }

    /// Fields that follow the content (RFC 9110 §6.5). They can be set until the handler
    /// returns; they are sent where the content is chunked, which a name set here before the head
    /// is sent, or listed in the `Trailer` field, brings about. HTTP/1.0 has no trailers.
    ///
    /// Fields that decide framing, routing or credentials are left out (Go's rule).
    pub fn trailer(&mut self) -> &mut Header {
        &mut self.trailer
    }

    /// Sets the status, once. A second call changes nothing, nor does an informational status, which
    /// goes through [`send_informational`](Self::send_informational), but for 101 in HTTP/1.1: both
    /// are reported as [`ServerEvent::StatusIgnored`](crate::ServerEvent::StatusIgnored), with the
    /// place of the call.
    #[track_caller]
    pub fn write_header(&mut self, status: StatusCode) {
        let switches = status == StatusCode::SWITCHING_PROTOCOLS && self.may_switch();
        let informational = status.is_informational() && !switches;
        if self.status.is_none() && !informational && matches!(self.stage, Stage::Open) {
            self.status = Some(status);
        } else {
            self.ignored.get_or_insert((status, Location::caller()));
        }
    }

    /// The status that was set or sent, if one was.
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// Whether the head is sent or on its way: header and status can no longer change.
    pub fn is_sent(&self) -> bool {
        !matches!(self.stage, Stage::Open)
    }

    /// How many bytes of content were written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Does without a field that the server would write by itself.
    pub fn omit(&mut self, field: AutoField) {
        match field {
            AutoField::Date => self.omitted.date = true,
            AutoField::ContentType => self.omitted.content_type = true,
            AutoField::ContentLength => self.omitted.content_length = true,
        }
    }

    /// Runs a function when the head is about to be sent, with the status and the header to be
    /// sent: how middleware adds to every response. Of several the last one added runs first.
    pub fn before_head(&mut self, hook: impl FnOnce(StatusCode, &mut Header) + Send + 'static) {
        self.hooks.push(HeadHook(Box::new(hook)));
    }

    /// Writes content.
    ///
    /// # Errors
    /// [`ErrorKind::BodyNotAllowed`] for a status without content (1xx, 204, 304);
    /// [`ErrorKind::ContentLength`] beyond the length that was set, and then nothing of this
    /// content is sent; [`ErrorKind::TimedOut`] or [`ErrorKind::Io`] when the peer does not take
    /// it, and then the request's context is cancelled; [`ErrorKind::Hijacked`].
    pub async fn write(&mut self, content: impl AsRef<[u8]>) -> Result<()> {
        let content = content.as_ref();
        if self.try_buffer(content)? { Ok(()) } else { self.write_through(content, None).await }
    }

    /// Writes content that lies in memory anyway: however large, it is not copied.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn write_bytes(&mut self, content: Bytes) -> Result<()> {
        if self.try_buffer(&content)? { Ok(()) } else { self.write_through(&content, Some(&content)).await }
    }

    /// Sends head and content written so far. The length is then no longer found by counting.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn flush(&mut self) -> Result<()> {
        self.check_writable()?;
        self.commit(Extent::Start(&[]));
        self.send_pending(&[], None).await?;
        self.flush_sink().await
    }

    /// Sends an informational response (1xx) with the present header, ahead of the final one: 103
    /// with `Link` fields, for example. The header stays for the final response. HTTP/1.0 knows no
    /// such answers: there nothing is sent.
    ///
    /// A 100 of the handler's own takes the place of the server's.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the status is not 1xx or is 101, or the head is sent already;
    /// else as [`write`](Self::write).
    pub async fn send_informational(&mut self, status: StatusCode) -> Result<()> {
        if !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Error::new(ErrorKind::Invalid, "an informational status is 100 or 102 to 199"));
        }
        self.check_writable()?;
        if self.is_sent() {
            return Err(Error::new(ErrorKind::Invalid, "the final status is sent already"));
        }
        if self.traits.http10 {
            return Ok(());
        }
        match &self.sink {
            Some(ResponseSink::Http1(conn_io)) => {
                let mut state = conn_io.lock();
                if status == StatusCode::CONTINUE {
                    state.forgo_continue();
                }
                h1::encode_informational(state.write_buffer.bytes(), status, &self.header);
            }
            Some(ResponseSink::Http2(stream)) => stream.send_informational(status, &self.header)?,
            None => {}
        }
        self.flush_sink().await
    }

    /// Takes the connection over: the raw stream, with all that was already read of it, content
    /// of this request included. The server never touches it again; a head that was set by
    /// [`write_header`](Self::write_header) is sent first. Nothing more can be written here.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] on HTTP/2, where a connection carries other requests too;
    /// [`ErrorKind::Hijacked`] the second time; what writing the head meets.
    pub async fn hijack(&mut self) -> Result<Hijacked> {
        if matches!(self.stage, Stage::Hijacked) {
            return Err(Error::new(ErrorKind::Hijacked, "the connection was taken over already"));
        }
        if !self.owns_connection() {
            return Err(Error::new(ErrorKind::Unsupported, "an HTTP/2 connection cannot be taken over by one request"));
        }
        if self.status.is_some() {
            self.flush().await?;
        }
        self.flush_sink().await?;
        let Some(ResponseSink::Http1(conn_io)) = &self.sink else {
            return Err(Error::new(ErrorKind::RequestOver, "the request is over"));
        };
        let hijacked = conn_io.hijack()?;
        self.stage = Stage::Hijacked;
        Ok(hijacked)
    }

    /// Answers `101 Switching Protocols` with the present header and takes the connection over
    /// (RFC 9110 §7.8). Set `Upgrade` to the protocol before; `Connection: Upgrade` is added.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] on HTTP/2 and to a client of HTTP/1.0; [`ErrorKind::Invalid`] without an
    /// `Upgrade` field; else as [`hijack`](Self::hijack).
    pub async fn upgrade(&mut self) -> Result<Hijacked> {
        if !self.may_switch() {
            return Err(Error::new(ErrorKind::Unsupported, "only HTTP/1.1 has upgrades"));
        }
        if !self.header.contains("Upgrade") || self.is_sent() {
            return Err(Error::new(ErrorKind::Invalid, "set `Upgrade`, and send nothing, before an upgrade"));
        }
        self.status = Some(StatusCode::SWITCHING_PROTOCOLS);
        self.hijack().await
    }

    /// Until when the request's content must be read; `None` takes the limit away. Once passed it
    /// stays passed: the read in question has failed, and with it the body.
    pub fn set_read_deadline(&mut self, at: Option<Instant>) {
        self.with_sink(|sink| sink.set_read_until(at));
    }

    /// Until when the response must be written; `None` takes the limit away. Once a write has
    /// failed for it, later ones fail too.
    pub fn set_write_deadline(&mut self, at: Option<Instant>) {
        self.with_sink(|sink| sink.set_write_until(at));
    }
}

impl ResponseWriter {
    pub(super) fn with_sink(&self, act: impl FnOnce(&ResponseSink)) {
        if let Some(sink) = &self.sink {
            act(sink);
        }
    }

    pub(super) fn check_writable(&self) -> Result<()> {
        match self.stage {
            Stage::Open | Stage::Sent { .. } => Ok(()),
            Stage::Failed => self.sink.as_ref().map_or(Ok(()), ResponseSink::check),
            Stage::Over => Err(Error::new(ErrorKind::RequestOver, "the answer of this request is over")),
            Stage::Hijacked => Err(Error::new(ErrorKind::Hijacked, "the connection was taken over")),
        }
    }

    /// Takes content if it can simply wait. Says whether it did.
    pub(super) fn try_buffer(&mut self, content: &[u8]) -> Result<bool> {
        self.check_writable()?;
        self.check_length(content.len() as u64)?;
        self.status.get_or_insert(StatusCode::OK);
        if self.pending.len() + content.len() > PENDING {
            return Ok(false);
        }
        self.pending.extend_from_slice(content);
        self.written += content.len() as u64;
        Ok(true)
    }

    /// Whether this much more content may be written at all.
    #[inline]
    pub(super) fn check_length(&self, more: u64) -> Result<()> {
        let status = self.status.unwrap_or(StatusCode::OK);
        if more > 0 && !h1::allows_content(status) {
            return Err(Error::new(ErrorKind::BodyNotAllowed, format!("{status} allows no content")));
        }
        let declared = match &self.stage {
            Stage::Sent { declared, .. } => *declared,
            _ => self.header.get_bytes("Content-Length").and_then(length_of),
        };
        match declared {
            Some(declared) if self.written.saturating_add(more) > declared => {
                Err(Error::new(ErrorKind::ContentLength, format!("more content than the Content-Length of {declared}")))
            }
            _ => Ok(()),
        }
    }

    /// Writes content that cannot wait. `kept` is the same content, where it can be kept.
    fn write_through<'a>(
        &'a mut self,
        content: &'a [u8],
        kept: Option<&'a Bytes>,
    ) -> impl Future<Output = Result<()>> + 'a {
        self.written += content.len() as u64;
        self.commit(Extent::Start(content));
        self.send_pending(content, kept)
    }

    /// Sends what waits and this content behind it: at once when it is large, else when enough
    /// has been collected.
    async fn send_pending(&mut self, content: &[u8], kept: Option<&Bytes>) -> Result<()> {
        if self.waits_for_more(content) {
            self.collect(content);
            return poll_fn(|cx| self.poll_make_room(cx)).await;
        }
        let (&Stage::Sent { outgoing, .. }, Some(sink)) = (&self.stage, &self.sink) else { return Ok(()) };
        let mut direct = DirectWrite::new(&self.pending, content, kept);
        // Until it is done, the response counts as failed; when this is dropped, that is what it stays.
        let sent_stage = std::mem::replace(&mut self.stage, Stage::Failed);
        let sent = match sink.begin_direct(outgoing, &mut direct) {
            Ok(()) => poll_fn(|cx| sink.poll_send_direct(cx, &mut direct)).await,
            Err(error) => Err(error),
        };
        self.pending.clear();
        self.stage = sent_stage;
        self.fail_on_error(sent)
    }

    /// Whether what waits and this content are to be collected rather than sent.
    fn waits_for_more(&self, content: &[u8]) -> bool {
        let Stage::Sent { outgoing, .. } = self.stage else { return false };
        self.pending.len() + content.len() < MIN_DIRECT_WRITE_BYTES || !self.traits.has_content(outgoing)
    }

    async fn flush_sink(&mut self) -> Result<()> {
        let Some(sink) = &self.sink else { return Ok(()) };
        let flushed = poll_fn(|cx| sink.poll_flush(cx)).await;
        self.fail_on_error(flushed)
    }

    /// A write that failed means that nobody waits for the response any more.
    pub(super) fn fail_on_error(&mut self, result: Result<()>) -> Result<()> {
        if result.is_err() {
            self.stage = Stage::Failed;
            self.with_sink(|sink| sink.cancel(self.traits.exchange));
        }
        result
    }

    /// Decides and encodes the head, once. Content that is whole goes with it, where it is sent as
    /// it is; says whether it did.
    pub(super) fn commit(&mut self, content: Extent<'_>) -> bool {
        if !matches!(self.stage, Stage::Open) {
            return false;
        }
        let whole = match content {
            Extent::Start(_) => None,
            Extent::Whole(content) => Some(content.len() as u64),
        };
        let status = *self.status.get_or_insert(StatusCode::OK);
        while let Some(HeadHook(hook)) = self.hooks.pop() {
            hook(status, &mut self.header);
        }
        let fields = HandlerFields::of(&self.header);
        // Set behind content that is longer, or by a hook: it would end the response within it.
        let fields = HandlerFields { length: fields.length.filter(|&length| length >= self.written), ..fields };
        let facts = self.traits.facts(status, &fields, whole.filter(|_| !self.omitted.content_length), &self.trailer);
        let outgoing = h1::outgoing_response(&facts);
        if facts.trailers && outgoing == Outgoing::Chunked && !fields.trailer {
            let names: Vec<&str> = self.trailer.iter().map(|(name, _)| name).collect();
            self.header.set("Trailer", names.join(", "));
        }
        let declared = fields.length;
        let sink = self.sink.take();
        let (outgoing, at_once) = match &sink {
            Some(ResponseSink::Http1(conn_io)) => {
                (outgoing, self.encode_head(conn_io, status, outgoing, &fields, content))
            }
            Some(ResponseSink::Http2(stream)) => self.send_head(stream, status, outgoing, &fields, content),
            None => return false,
        };
        self.sink = sink;
        self.stage = Stage::Sent { outgoing, declared };
        at_once
    }
}

/// What is known of the content when the head is decided, beside what waits.
#[derive(Clone, Copy)]
pub(super) enum Extent<'a> {
    /// It goes on like this, and then perhaps further.
    Start(&'a [u8]),
    /// This is all of it.
    Whole(&'a [u8]),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_takes_little_room_in_the_future_of_its_handler() {
        let mut writer = ResponseWriter::new();
        // It is copied into a box for each request, whether the write has to wait or not.
        assert!(size_of_val(&writer.write("hello")) <= 256);
        assert!(size_of_val(&writer.write_bytes(Bytes::new())) <= 256);
    }
}
