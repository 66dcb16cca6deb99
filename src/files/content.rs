//! Content that the caller has opened: `serve_content`.

use std::io::SeekFrom;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncSeek, AsyncSeekExt as _};

use super::answer::{Representation, Source, answer};
use super::condition::{Conditions, Validators};
use super::mime::type_by_extension;
use super::range::ByteRange;
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Request, detect_content_type};
use crate::server::ResponseWriter;

/// How much of the content tells its type.
pub(super) const SNIFFED_BYTES: u64 = 512;

/// Answers with content that can be read from any place (Go's `ServeContent`).
///
/// - The size is found by seeking to the end.
/// - `Content-Type` is what was set before, else what the extension of `name` tells, else what the
///   content looks like ([`detect_content_type`](crate::detect_content_type)). `name` serves for
///   nothing else and may be empty.
/// - `modified` is sent as `Last-Modified`; `None` and the Unix epoch stand for not known. To have
///   an entity tag as well, set `ETag` before.
/// - `If-Match`, `If-Unmodified-Since`, `If-None-Match`, `If-Modified-Since` and `If-Range` are
///   held against those two, in the order of RFC 9110 §13.2.2: 304 where the client's copy is
///   still good, 412 where what it wants to act on has changed.
/// - A `Range` of a GET is answered 206: a single part as it is, several as
///   `multipart/byteranges`. It is ignored where it has more than 200 ranges, or where they come
///   to more than the whole. What lies beyond the end is 416 with the size in `Content-Range`.
/// - `HEAD` is answered without content; any other method as GET, without ranges.
///
/// Where `Content-Encoding` was set before, the whole is sent without `Content-Length`, so that
/// middleware can encode it (Go's rule).
///
/// At most 64 KiB are read at a time, and held.
///
/// # Errors
/// Those of the content, when it cannot be read or has become shorter (an answer that was begun
/// is then cut, so that the client can see it), and those of
/// [`ResponseWriter::write`](crate::ResponseWriter::write).
///
/// # Cancel safety
/// None: dropped half-way, the answer is incomplete and the connection closes.
///
/// ```
/// use std::io::Cursor;
/// use nethttp::{Request, ResponseWriter, Result, serve_content};
///
/// async fn report(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
///     w.header().set("ETag", "\"v1\"");
///     serve_content(w, r, "report.csv", None, Cursor::new("a,b\n1,2\n")).await
/// }
/// ```
pub async fn serve_content(
    w: &mut ResponseWriter,
    r: &Request,
    name: impl AsRef<Path>,
    modified: Option<SystemTime>,
    mut content: impl AsyncRead + AsyncSeek + Send + Unpin,
) -> Result<()> {
    let size = content.seek(SeekFrom::End(0)).await?;
    let mut source = Seekable { content, at: size };
    let content_type = match name.as_ref().file_name().and_then(type_by_extension) {
        Some(by_extension) => Some(by_extension),
        None if w.header().contains("Content-Type") => None,
        None => {
            let beginning = source.read(ByteRange { start: 0, length: size.min(SNIFFED_BYTES) }).await?;
            Some(detect_content_type(&beginning))
        }
    };
    let validators = Validators {
        etag: w.header().get_bytes("ETag").map(<[u8]>::to_vec),
        modified: modified.filter(|time| *time > UNIX_EPOCH),
    };
    let conditions = Conditions::of(r);
    let selection = conditions.select(&validators, size);
    let content_type = content_type.map(Into::into);
    let representation =
        Representation { status: StatusCode::OK, size, validators, content_type, encoding: None, on_the_fly: None };
    answer(w, conditions.method, &representation, &selection, &mut source).await
}

/// Content that has one place at which it is read.
struct Seekable<R> {
    content: R,
    /// That place.
    at: u64,
}

impl<R: AsyncRead + AsyncSeek + Send + Unpin> Source for Seekable<R> {
    async fn read(&mut self, range: ByteRange) -> Result<Bytes> {
        let ByteRange { start, length } = range;
        if self.at != start {
            self.content.seek(SeekFrom::Start(start)).await?;
        }
        let mut chunk = BytesMut::with_capacity(usize::try_from(length).unwrap_or_default());
        let mut part = (&mut self.content).take(length);
        while (chunk.len() as u64) < length && part.read_buf(&mut chunk).await? > 0 {}
        if (chunk.len() as u64) < length {
            return Err(Error::new(ErrorKind::Io, "the content became shorter while it was sent"));
        }
        self.at = start.saturating_add(length);
        Ok(chunk.freeze())
    }
}
