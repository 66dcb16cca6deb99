//! Multipart content, and one part of it: the public types.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;

use super::boundary::{BAD_BOUNDARY, Boundary, Input};
use super::head::PartHead;
use super::parser::{MultipartEvent, MultipartLimits, Parser};
use super::quoted_printable::QuotedPrintable;
use crate::error::{Error, Result};
use crate::message::body::{Body, DEFAULT_MAX_TEXT_BYTES};
use crate::message::form::malformed;
use crate::message::header::Header;

/// Multipart content, part by part as it arrives (Go's `multipart.Reader`): see
/// [`Request::multipart`](crate::Request::multipart).
///
/// Lines end with CRLF, and a head is read by the rules of a message's head: what two readers
/// could read in two ways is refused. What stands before the first boundary and after the last
/// one is passed over.
///
/// A `Content-Transfer-Encoding` of `quoted-printable` is undone by [`next_part`](Self::next_part), as
/// in Go, though RFC 7578 §4.7 says not to send one; [`next_raw_part`](Self::next_raw_part) gives the
/// content as it was sent. Other encodings (`base64`) are for the reader of the part.
///
/// A few kilobytes are held beyond what is asked for, and a part's head, which
/// [`limits`](Multipart::limits) bounds. The content as a whole is not limited here: see
/// [`Body::limit`].
#[derive(Debug)]
pub struct Multipart {
    /// How much there may be. To be changed before the first part is asked for.
    pub limits: MultipartLimits,
    body: Body,
    parser: Parser,
    failed: Option<Error>,
}

impl Multipart {
    /// Reads this content with this boundary, as the `boundary` parameter of its type says it.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) for a boundary that is empty, longer than 70 bytes, or of bytes
    /// that RFC 2046 §5.1.1 does not allow.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> nethttp::Result<()> {
    /// let content = "--x\r\nContent-Disposition: form-data; name=greeting\r\n\r\nhello\r\n--x--";
    /// let mut multipart = nethttp::forms::Multipart::new(content, "x")?;
    ///
    /// let mut part = multipart.next_part().await?.expect("there is one");
    /// assert_eq!(part.name(), "greeting");
    /// assert_eq!(part.text().await?, "hello");
    /// assert!(multipart.next_part().await?.is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(content: impl Into<Body>, boundary: &str) -> Result<Multipart> {
        let boundary = Boundary::new(boundary.as_bytes()).ok_or_else(|| malformed(BAD_BOUNDARY))?;
        Ok(Multipart::of(content.into(), boundary))
    }

    pub(in crate::message) fn of(body: Body, boundary: Boundary) -> Multipart {
        Multipart { limits: MultipartLimits::default(), body, parser: Parser::new(boundary), failed: None }
    }

    /// The next part; `None` after the last one. What was not read of the part before is passed
    /// over. Quoted-printable content is decoded, and the field that said so is gone (Go's `NextPart`).
    ///
    /// Cancel safe: when dropped it has at most passed over what would be passed over anyway.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed), whose response is 400;
    /// [`ErrorKind::CutOff`](crate::ErrorKind::CutOff), whose response is 400, for content that ends before its last
    /// boundary, or has none; [`ErrorKind::BodyTooLarge`](crate::ErrorKind::BodyTooLarge),
    /// which becomes a 413, over one of the [`limits`](Multipart::limits); else as [`Body::chunk`].
    /// An error is final: it is reported again.
    pub async fn next_part(&mut self) -> Result<Option<Part<'_>>> {
        let mut part = self.next_raw_part().await?;
        if let Some(part) = &mut part {
            let encoding = part.header.get("Content-Transfer-Encoding").unwrap_or_default();
            if encoding.eq_ignore_ascii_case("quoted-printable") {
                part.header.del("Content-Transfer-Encoding");
                part.decoder = Some(QuotedPrintable::default());
            }
        }
        Ok(part)
    }

    /// As [`next_part`](Self::next_part), with the content as it was sent (Go's `NextRawPart`).
    ///
    /// # Errors
    /// As [`next_part`](Self::next_part).
    pub async fn next_raw_part(&mut self) -> Result<Option<Part<'_>>> {
        let head = poll_fn(|cx| self.poll_part(cx)).await?;
        Ok(head.map(|PartHead { header, name, file_name }| Part {
            header,
            name,
            file_name,
            multipart: self,
            decoder: None,
            ready: Bytes::new(),
        }))
    }

    fn poll_part(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<PartHead>>> {
        loop {
            match ready!(self.poll_event(cx))? {
                MultipartEvent::Part(head) => return Poll::Ready(Ok(Some(head))),
                MultipartEvent::Over => return Poll::Ready(Ok(None)),
                MultipartEvent::Data(_) | MultipartEvent::PartEnd | MultipartEvent::NeedMore => {}
            }
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Result<MultipartEvent>> {
        if let Some(error) = &self.failed {
            return Poll::Ready(Err(error.again()));
        }
        let polled = ready!(self.poll_parser(cx));
        if let Err(error) = &polled {
            self.failed = Some(error.again());
        }
        Poll::Ready(polled)
    }

    fn poll_parser(&mut self, cx: &mut Context<'_>) -> Poll<Result<MultipartEvent>> {
        loop {
            match self.parser.next(&self.limits)? {
                MultipartEvent::NeedMore => match ready!(self.body.poll_chunk(cx)).transpose()? {
                    Some(chunk) => self.parser.feed(&chunk),
                    None => self.parser.end(),
                },
                event => return Poll::Ready(Ok(event)),
            }
        }
    }
}

/// A part of multipart content (Go's `multipart.Part`).
///
/// Read it with [`chunk`](Part::chunk), or whole with [`bytes`](Part::bytes) and
/// [`text`](Part::text). It is also an [`AsyncRead`](tokio::io::AsyncRead). All of these are
/// cancel safe, except that the whole-part helpers lose what they had collected.
pub struct Part<'a> {
    /// The fields of its head.
    pub header: Header,
    name: String,
    file_name: Option<String>,
    multipart: &'a mut Multipart,
    /// Until the content has ended, where it is encoded.
    decoder: Option<QuotedPrintable>,
    /// Content that was taken from the parser and not returned yet.
    ready: Bytes,
}

impl Part<'_> {
    /// The name of the form's field; empty where there is none (Go's `FormName`). There is none, and no
    /// file name either, where `Content-Disposition` is malformed, stands there twice, or has a name
    /// that is not UTF-8; the field is in [`header`](Part::header) as it was sent.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of the file that this is, as the sender calls it, without directories (Go's
    /// `FileName`). `None` where this is not a file, and where no name is left.
    ///
    /// It is still the sender's text. It may be any name of a file: one that exists, one that
    /// begins with a dot, one that means something to the system.
    pub fn file_name(&self) -> Option<&str> {
        self.file_name.as_deref()
    }

    /// The next bytes of the content, as they come; `None` at the end.
    ///
    /// # Errors
    /// As [`Multipart::next_part`].
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        poll_fn(|cx| self.poll_chunk(cx)).await.transpose()
    }

    /// The whole content, of `limit` bytes at most.
    ///
    /// # Errors
    /// As [`chunk`](Part::chunk); [`ErrorKind::BodyTooLarge`](crate::ErrorKind::BodyTooLarge), whose
    /// response is 413, when there is more. The next part can be asked for nevertheless.
    pub async fn bytes(&mut self, limit: u64) -> Result<Bytes> {
        let mut whole = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            if (whole.len() as u64).saturating_add(chunk.len() as u64) > limit {
                let error = Error::too_large(limit, format!("the part is over its limit of {limit} bytes"));
                return Err(error.with_status(StatusCode::PAYLOAD_TOO_LARGE));
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    }

    /// The whole content as text (UTF-8), of [`DEFAULT_MAX_TEXT_BYTES`] at most.
    ///
    /// # Errors
    /// As [`bytes`](Part::bytes); [`ErrorKind::Malformed`](crate::ErrorKind::Malformed), whose
    /// response is 400, when it is no UTF-8.
    pub async fn text(&mut self) -> Result<String> {
        let bytes = self.bytes(DEFAULT_MAX_TEXT_BYTES).await?;
        String::from_utf8(bytes.into()).map_err(|error| malformed("a part is no UTF-8").with_source(error))
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if !self.ready.is_empty() {
            return Poll::Ready(Some(Ok(std::mem::take(&mut self.ready))));
        }
        loop {
            let encoded = if self.multipart.parser.is_in_content() {
                match ready!(self.multipart.poll_event(cx)) {
                    Ok(MultipartEvent::Data(chunk)) => Some(chunk),
                    Ok(_) => None,
                    Err(error) => return Poll::Ready(Some(Err(error))),
                }
            } else {
                None
            };
            let chunk = match self.decode(encoded) {
                Ok(None) => return Poll::Ready(None),
                Ok(Some(chunk)) => chunk,
                Err(error) => {
                    self.multipart.failed = Some(error.again());
                    return Poll::Ready(Some(Err(error)));
                }
            };
            // A piece of quoted-printable content may decode to nothing.
            if !chunk.is_empty() {
                return Poll::Ready(Some(Ok(chunk)));
            }
        }
    }

    /// Decodes a piece, or what is left when there is no more; `None` at the end.
    fn decode(&mut self, encoded: Option<Bytes>) -> Result<Option<Bytes>> {
        match (encoded, &mut self.decoder) {
            (encoded, None) => Ok(encoded),
            (Some(encoded), Some(decoder)) => decoder.decode(&encoded, Input::Open).map(Some),
            (None, Some(decoder)) => {
                let last = decoder.decode(b"", Input::Ended)?;
                self.decoder = None;
                Ok(Some(last))
            }
        }
    }

    /// Reads at most `room` bytes: what [`AsyncRead`](tokio::io::AsyncRead) does with this part.
    pub(crate) fn poll_copy(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<Option<Result<Bytes>>> {
        let mut chunk = match ready!(self.poll_chunk(cx)) {
            Some(Ok(chunk)) => chunk,
            other => return Poll::Ready(other),
        };
        let taken = chunk.copy_to_bytes(room.min(chunk.len()));
        self.ready = chunk;
        Poll::Ready(Some(Ok(taken)))
    }
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("name", &self.name)
            .field("file_name", &self.file_name)
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}
