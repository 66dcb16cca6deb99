//! The writer with which a handler writes its response.
//!
//! ```text
//!         the first flush, more than 2 KiB of content, or the end
//!  Open ───────────────────────────────────────────────────────────▶ Sent ── the end ──▶ Over
//!   │                                                                │  │
//!   └──────────────── hijack ──▶ Hijacked ◀── hijack ────────────────┘  └─▶ Failed
//!                                                       a write fails, or is dropped half-way
//! ```
//!
//! Open: nothing is encoded, and header, status and content can all change. The transition to Sent
//! decides the head, once. Failed: the peer has an incomplete response, so nothing more can be written.
//!
//! This file has the methods that handlers call; `head` decides and encodes the head, `content` decides
//! which bytes are copied and which are sent at once, `lifecycle` has what the server does with a
//! writer.

use std::future::poll_fn;
use std::panic::Location;

use bytes::Bytes;
use http::StatusCode;
use tokio::time::Instant;

use super::decide::{Extent, Omitted, RequestTraits};
use super::extras::{EndHook, HeadHook, ResponseExtras};
use super::filter::{FilterChain, FilterStep};
use super::sink::ResponseSink;
use crate::error::{Error, ErrorKind, Result};
use crate::h1::{self, Outgoing};
use crate::message::Header;
use crate::server::cached_now;
use crate::server::close_reason::CloseReason;
use crate::server::hijack::Hijacked;
use crate::server::record::RequestRecord;

/// Writes the response to one request (Go's `ResponseWriter`).
///
/// Without [`write_header`](Self::write_header) the status is 200. Content of up to 2 KiB is held back
/// until the handler returns, and then sent in one piece with its `Content-Length`. More is sent while
/// it is written: in chunks, or without them where the handler has set `Content-Length`.
/// [`flush`](Self::flush) sends what was held back.
///
/// Written by the server itself, unless the handler sets them: `Date`, and a `Content-Type` found
/// by looking at the content. Written by the server alone, whatever the header says:
/// `Content-Length` (writing more than a length that was set fails), `Transfer-Encoding`, and
/// `Connection` (with `close` in it the connection closes after the response).
///
/// Writes wait until the peer takes them; if it takes nothing for
/// [`stall_timeout`](crate::Server::stall_timeout) they fail. A write that is dropped before it is done
/// leaves the response incomplete: later writes fail, and the connection is closed.
///
/// It is also an [`AsyncWrite`](tokio::io::AsyncWrite): `tokio::io::copy(&mut file, w)`.
#[derive(Debug)]
pub struct ResponseWriter {
    pub(super) header: Header,
    pub(super) trailer: Header,
    pub(super) status: Option<StatusCode>,
    pub(super) stage: Stage,
    /// Content that is held back: until the head is decided, or until it makes a chunk of some size.
    pub(super) pending: Vec<u8>,
    /// How much content was written so far.
    pub(super) written: u64,
    pub(super) omitted: Omitted,
    /// `None` until a response of this writer has some: its memory is kept for those after it.
    pub(super) extras: Option<Box<ResponseExtras>>,
    pub(super) traits: RequestTraits,
    /// Why the connection closes after this response, as far as is known.
    pub(super) close: Option<CloseReason>,
    /// Unread content of the request up to this length is read and thrown away.
    pub(super) max_drain_bytes: u64,
    pub(super) sink: Option<ResponseSink>,
}

/// How far a response is; the drawing is at the top of this file.
#[derive(Debug)]
pub(super) enum Stage {
    Open,
    /// The head is encoded, perhaps not sent yet.
    Sent {
        /// How the content is delimited.
        outgoing: Outgoing,
        /// The length that the handler has declared, which is checked at each write.
        declared: Option<u64>,
    },
    Failed,
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

impl ResponseWriter {
    /// The fields of the response, to be changed until the head is sent: by the first
    /// [`flush`](Self::flush), by content over 2 KiB, or when the handler returns.
    ///
    /// When another response takes the place of one that was not sent (the handler returned an error or
    /// panicked, or [`reset`](Self::reset) was called), the fields stay that are not about its content:
    /// those of CORS, cookies, a request's number, a challenge, `Vary`, `Retry-After`, `Connection:
    /// close`. These go: `Content-Type`, `-Encoding`, `-Language`, `-Location`, `-Length`,
    /// `-Disposition`, digests, `ETag`, `Last-Modified`, `Accept-Ranges`, `Transfer-Encoding`, `Trailer`;
    /// `Cache-Control`, `Expires` and `Age`, unless they say `no-store`; `Location` unless the new status
    /// is 3xx, `Content-Range` unless it is 416, and `Upgrade` unless it is 426. (Go's `http.Error` takes
    /// away `Content-Length` alone, nginx keeps what `add_header … always` has set.)
    pub fn header(&mut self) -> &mut Header {
        &mut self.header
    }

    /// Fields that follow the content (RFC 9110 §6.5). They can be set until the handler returns, and
    /// are sent if the content is chunked. It is chunked where a field was set here before the head is
    /// sent, or is named in the `Trailer` field. HTTP/1.0 has no trailers.
    ///
    /// Fields that decide framing, routing or credentials are left out (Go's rule).
    pub fn trailer(&mut self) -> &mut Header {
        &mut self.trailer
    }

    /// Sets the status, once. A second call changes nothing. Nor does an informational status, for
    /// which there is [`send_informational`](Self::send_informational); only 101 can be set, in
    /// HTTP/1.1. What changes nothing is reported as
    /// [`ServerEvent::StatusIgnored`](crate::server::ServerEvent::StatusIgnored), with the place of the call.
    #[track_caller]
    pub fn write_header(&mut self, status: StatusCode) {
        let switches = status == StatusCode::SWITCHING_PROTOCOLS && self.may_switch();
        let informational = status.is_informational() && !switches;
        if self.status.is_none() && !informational && matches!(self.stage, Stage::Open) {
            self.status = Some(status);
        } else {
            let location = Location::caller();
            self.extras_mut().ignored_status.get_or_insert((status, location));
        }
    }

    /// Forgets the response as it is, so that another can be written in its place: status, content,
    /// trailer, and the fields about the content; [`header`](Self::header) says which fields stay. What
    /// middleware has added with [`before_head`](Self::before_head) stays too. Returns whether that was
    /// possible: once the head is on its way nothing changes, and the answer is `false`.
    ///
    /// ```
    /// use nethttp::{ErrorKind, Handler, Request, ResponseWriter, Result, StatusCode};
    ///
    /// /// Answers with a page of its own where the inner handler runs into a limit.
    /// async fn with_page(inner: &impl Handler, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    ///     match inner.serve_http(w, r).await {
    ///         Err(error) if error.kind() == ErrorKind::BodyTooLarge && w.reset() => {
    ///             w.write_header(StatusCode::PAYLOAD_TOO_LARGE);
    ///             w.write("At most 1 MiB, please.\n").await
    ///         }
    ///         other => other,
    ///     }
    /// }
    /// ```
    pub fn reset(&mut self) -> bool {
        if self.is_open() {
            self.restart(None);
        }
        self.is_open()
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

    /// Leaves out a field that the server would write by itself.
    pub fn omit(&mut self, field: AutoField) {
        match field {
            AutoField::Date => self.omitted.date = true,
            AutoField::ContentType => self.omitted.content_type = true,
            AutoField::ContentLength => self.omitted.content_length = true,
        }
    }

    /// Calls a function just before the head is sent, with the status and the header: how middleware
    /// adds fields to every response. Of several functions the one that was added last runs first.
    ///
    /// It is called twice where a [content filter](Self::filter_content) fails at the end of a response of which
    /// nothing was sent: for that response, whose fields are then forgotten, and for the error in its place.
    pub fn before_head(&mut self, hook: impl FnMut(StatusCode, &mut Header) + Send + 'static) {
        self.extras_mut().hooks.push(HeadHook::Fields(Box::new(hook)));
    }

    /// Calls a function when the request is over, with what is known of it then: the final status, also
    /// after an error or a panic, what was sent, how long it took, whether the client left. Of several
    /// functions the one that was added last is called first, and [`Server::on_request`] after all of them.
    /// None is called for a connection that is cut by the server's end.
    ///
    /// It is called on the task of the request, and must not block. A panic in it is reported, and harms
    /// nothing.
    ///
    /// [`Server::on_request`]: crate::Server::on_request
    ///
    /// ```
    /// use nethttp::{Next, Request, ResponseWriter, Result, ServeMux};
    ///
    /// async fn measured(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
    ///     w.on_end(|record| println!("{} took {:?}, {}", record.target, record.duration, record.end));
    ///     next.run(w, r).await
    /// }
    ///
    /// let mux = ServeMux::new();
    /// mux.wrap(measured);
    /// ```
    pub fn on_end(&mut self, hook: impl FnOnce(&RequestRecord) + Send + 'static) {
        let extras = self.extras_mut();
        extras.measured_since.get_or_insert_with(cached_now::now);
        extras.end_hooks.push(EndHook(Box::new(hook)));
    }

    /// Writes content.
    ///
    /// # Errors
    /// [`ErrorKind::BodyNotAllowed`] for a status without content (1xx, 204, 205, 304);
    /// [`ErrorKind::ContentLength`] beyond the length that was set, and then nothing of this
    /// content is sent; [`ErrorKind::TimedOut`] or [`ErrorKind::Io`] when the peer does not take
    /// it, and then the request's context is cancelled; [`ErrorKind::Hijacked`].
    pub async fn write(&mut self, content: impl AsRef<[u8]>) -> Result<()> {
        let content = content.as_ref();
        if self.try_buffer(content)? { Ok(()) } else { self.write_through(content, None).await }
    }

    /// Writes content that lies in memory anyway. Large content is not copied.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn write_bytes(&mut self, content: Bytes) -> Result<()> {
        if self.try_buffer(&content)? { Ok(()) } else { self.write_through(&content, Some(&content)).await }
    }

    /// Sends the head and the content written so far. The server can then no longer count the content
    /// for a `Content-Length`.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn flush(&mut self) -> Result<()> {
        self.check_writable()?;
        self.note_flush();
        self.commit(Extent::Start(&[]));
        self.send_pending(&[], None, Some(FilterStep::Flush)).await?;
        self.flush_sink().await
    }

    /// Sends an informational response (1xx) with the present header, ahead of the final one: 103
    /// with `Link` fields, for example. The header stays for the final response. HTTP/1.0 knows no
    /// such responses: there nothing is sent.
    ///
    /// A handler that sends 100 itself does so in place of the server.
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
                // One 100 is enough: the client sends its content after the first.
                if status == StatusCode::CONTINUE {
                    state.cancel_continue();
                }
                h1::encode_informational(state.write_buffer.bytes(), status, &self.header);
            }
            Some(ResponseSink::Http2(stream)) => stream.send_informational(status, &self.header)?,
            Some(ResponseSink::Call(call)) => call.send_informational(status, &self.header),
            None => {}
        }
        self.flush_sink().await
    }

    /// Takes the connection from the server: the raw stream, with all bytes that were already read from
    /// it, content of this request included. A response that was begun with
    /// [`write_header`](Self::write_header) is sent first. After that the server does not touch the
    /// connection any more, and nothing can be written here.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] on HTTP/2, where a connection carries other requests too, and where
    /// there is no connection because the handler was [called](crate::server::call()) without one;
    /// [`ErrorKind::Hijacked`] the second time; what writing the head meets.
    pub async fn hijack(&mut self) -> Result<Hijacked> {
        if matches!(self.stage, Stage::Hijacked) {
            return Err(Error::new(ErrorKind::Hijacked, "the connection was taken over already"));
        }
        if !self.owns_connection() {
            return Err(Error::new(ErrorKind::Unsupported, "there is no connection that this request has for itself"));
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

    /// Sets until when the request's content must be read; `None` is no limit. A read that is waiting
    /// when that moment comes fails, and the body with it: a later deadline does not bring it back.
    pub fn set_read_deadline(&mut self, at: Option<Instant>) {
        self.with_sink(|sink| sink.set_read_until(at));
    }

    /// Sets until when the response must be written; `None` is no limit. After a write has failed for
    /// it, later ones fail too. When that moment comes while the handler does something else, the peer is
    /// released as at [`write_timeout`](crate::Server::write_timeout).
    pub fn set_write_deadline(&mut self, at: Option<Instant>) {
        self.with_sink(|sink| sink.set_write_until(at));
    }
}

impl ResponseWriter {
    /// To be added to. Costs an allocation where a writer has none yet.
    pub(super) fn extras_mut(&mut self) -> &mut ResponseExtras {
        self.extras.get_or_insert_default()
    }

    pub(super) fn filters(&self) -> Option<&FilterChain> {
        self.extras.as_ref()?.filters.as_deref()
    }

    pub(super) fn drop_filters(&mut self) {
        if let Some(extras) = &mut self.extras {
            extras.filters = None;
        }
    }

    pub(super) fn has_hooks(&self) -> bool {
        self.extras.as_ref().is_some_and(|extras| !extras.hooks.is_empty())
    }

    pub(super) fn with_sink(&self, act: impl FnOnce(&ResponseSink)) {
        if let Some(sink) = &self.sink {
            act(sink);
        }
    }

    /// Tells one who called the handler without a connection that it has flushed.
    pub(super) fn note_flush(&self) {
        if let Some(ResponseSink::Call(call)) = &self.sink {
            call.note_flush();
        }
    }

    /// Fails if nothing can be written (any more).
    pub(super) fn check_writable(&self) -> Result<()> {
        match self.stage {
            Stage::Open | Stage::Sent { .. } => Ok(()),
            Stage::Failed => self.sink.as_ref().map_or(Ok(()), ResponseSink::check),
            Stage::Over => Err(Error::new(ErrorKind::RequestOver, "the response to this request is over")),
            Stage::Hijacked => Err(Error::new(ErrorKind::Hijacked, "the connection was taken over")),
        }
    }

    async fn flush_sink(&mut self) -> Result<()> {
        let Some(sink) = &self.sink else { return Ok(()) };
        let flushed = poll_fn(|cx| sink.poll_flush(cx)).await;
        self.fail_on_error(flushed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_takes_little_room_in_the_future_of_its_handler() {
        let mut writer = ResponseWriter::new();
        // The handler's future, which has this one in it, is moved into a box for each request.
        assert!(size_of_val(&writer.write("hello")) <= 256);
        assert!(size_of_val(&writer.write_bytes(Bytes::new())) <= 256);
    }
}
