//! The response with content that is there: its head, and its bytes chunk by chunk.

use std::borrow::Cow;
use std::time::SystemTime;

use http::StatusCode;

use super::condition::{MethodKind, Selection, Validators};
use super::gzip::OnTheFly;
use super::range::{ByteRange, Parts, content_range};
use super::source::{CHUNK_BYTES, ContentSource};
use crate::error::Result;
use crate::message::coding::is_compressible;
use crate::message::{format_time, random_boundary};
use crate::server::ResponseWriter;

/// The most that the system is asked to send at a time.
const WINDOW_BYTES: u64 = 1024 * 1024;

/// The content's description in the head of the response.
pub(super) struct Representation {
    pub(super) status: StatusCode,
    pub(super) size: u64,
    pub(super) validators: Validators,
    /// The content type, unless a handler around this one has set one.
    pub(super) content_type: Option<Cow<'static, str>>,
    /// The coding that it is stored in.
    pub(super) encoding: Option<&'static str>,
    /// How to encode it while it is sent, if that is worth it.
    pub(super) on_the_fly: Option<OnTheFly>,
}

/// Sends what was selected of the content.
pub(super) async fn respond(
    w: &mut ResponseWriter,
    method: MethodKind,
    representation: &Representation,
    selection: &Selection,
    source: &mut impl ContentSource,
) -> Result<()> {
    let whole = ByteRange { start: 0, length: representation.size };
    set_validators(w, &representation.validators);
    let on_the_fly = worth_encoding(w, representation, selection);
    if on_the_fly.is_some() {
        weaken_tag(w);
    }
    let parts = match selection {
        Selection::NotModified => return not_modified(w),
        Selection::PreconditionFailed => return precondition_failed(w),
        Selection::Unsatisfiable(reason) => return unsatisfiable(w, representation.size, reason).await,
        Selection::Whole => Parts::single(whole),
        Selection::Parts(ranges) => select_parts(w, representation, ranges),
    };
    let status = match selection {
        Selection::Parts(_) => StatusCode::PARTIAL_CONTENT,
        _ => representation.status,
    };
    if let Some(on_the_fly) = on_the_fly.filter(|_| *selection == Selection::Whole) {
        return send_encoded(w, method, representation, on_the_fly, source).await;
    }
    // A handler around this one that has set `Content-Encoding` may be encoding what is written here: it
    // alone knows the length (Go's rule). Parts are cut out of what is stored, so their length is known.
    if status == StatusCode::PARTIAL_CONTENT || !w.header().contains("Content-Encoding") {
        w.header().set("Content-Length", parts.length.to_string());
    }
    set_content(w, representation);
    w.write_header(status);
    if method == MethodKind::Head { Ok(()) } else { send(w, &parts, source).await }
}

/// Sets `ETag` and `Last-Modified`, where they are known.
pub(super) fn set_validators(w: &mut ResponseWriter, validators: &Validators) {
    if let Some(etag) = &validators.etag {
        w.header().set("ETag", etag);
    }
    if let Some(modified) = validators.modified {
        // RFC 9110 §8.8.2.1: not later than the response, whatever the file says.
        w.header().set("Last-Modified", format_time(modified.min(SystemTime::now())));
    }
}

/// Sets the fields that tell how to read the content.
fn set_content(w: &mut ResponseWriter, representation: &Representation) {
    if let Some(content_type) = &representation.content_type {
        if !w.header().contains("Content-Type") {
            w.header().set("Content-Type", &**content_type);
        }
    }
    if let Some(encoding) = representation.encoding {
        w.header().set("Content-Encoding", encoding);
    }
    if representation.status == StatusCode::OK {
        w.header().set("Accept-Ranges", "bytes");
    }
}

pub(super) fn not_modified(w: &mut ResponseWriter) -> Result<()> {
    // RFC 9110 §15.4.5: no fields that describe the content, and no time where there is a tag, which is
    // the better validator.
    for name in ["Content-Type", "Content-Length", "Content-Encoding"] {
        w.header().del(name);
    }
    if w.header().contains("ETag") {
        w.header().del("Last-Modified");
    }
    w.write_header(StatusCode::NOT_MODIFIED);
    Ok(())
}

pub(super) fn precondition_failed(w: &mut ResponseWriter) -> Result<()> {
    for name in ["Content-Type", "Content-Encoding"] {
        w.header().del(name);
    }
    w.header().set("Content-Length", "0");
    w.write_header(StatusCode::PRECONDITION_FAILED);
    Ok(())
}

async fn unsatisfiable(w: &mut ResponseWriter, size: u64, reason: &str) -> Result<()> {
    // RFC 9110 §14.4: with the size, the client can ask again for a range that there is.
    w.header().set("Content-Range", format!("bytes */{size}"));
    refuse_with(w, StatusCode::RANGE_NOT_SATISFIABLE, reason).await
}

/// Answers with a line of text that says what is wrong.
pub(super) async fn refuse_with(w: &mut ResponseWriter, status: StatusCode, text: &str) -> Result<()> {
    // Handlers around this one have set these for the content that is not sent: with them, a cache would
    // keep the error.
    for name in ["Cache-Control", "Content-Encoding", "ETag", "Last-Modified"] {
        w.header().del(name);
    }
    let text = format!("{text}\n");
    w.header().set("X-Content-Type-Options", "nosniff");
    w.header().set("Content-Type", "text/plain; charset=utf-8");
    w.header().set("Content-Length", text.len().to_string());
    w.write_header(status);
    w.write(text).await?;
    w.mark_plain_error();
    Ok(())
}

fn select_parts(w: &mut ResponseWriter, representation: &Representation, ranges: &[ByteRange]) -> Parts {
    let size = representation.size;
    if let [range] = ranges {
        w.header().set("Content-Range", content_range(*range, size));
        return Parts::single(*range);
    }
    let boundary = random_boundary();
    let set = w.header().get_bytes("Content-Type");
    let content_type = set.or(representation.content_type.as_deref().map(str::as_bytes));
    let parts = Parts::multipart(ranges, size, content_type, &boundary);
    w.header().set("Content-Type", format!("multipart/byteranges; boundary={boundary}"));
    parts
}

/// Writes the parts. At most one chunk is held, however long the content and however slow the client:
/// the next one is read when the socket has taken the last.
async fn send(w: &mut ResponseWriter, parts: &Parts, source: &mut impl ContentSource) -> Result<()> {
    for piece in &parts.pieces {
        if !piece.before.is_empty() {
            w.write_bytes(piece.before.clone()).await?;
        }
        let mut rest = piece.range;
        let by_the_system = rest.length > CHUNK_BYTES && w.may_send_files();
        while rest.length > 0 {
            let window = rest.first(WINDOW_BYTES);
            let in_memory = if by_the_system { source.in_memory(window) } else { None };
            let sent = match in_memory.filter(|_| w.sends_files()) {
                Some(file) => {
                    w.send_file(file, window.start, window.length).await?;
                    window.length
                }
                None => {
                    let chunk = source.read(rest.first(CHUNK_BYTES)).await?;
                    let length = chunk.len() as u64;
                    w.write_bytes(chunk).await?;
                    length
                }
            };
            rest = rest.after(sent);
        }
    }
    if parts.end.is_empty() { Ok(()) } else { w.write_bytes(parts.end.clone()).await }
}

/// How to encode what was selected, if at all. Also for 304, which is about a copy that was encoded when
/// it was sent: its tag has to be the same.
fn worth_encoding(w: &mut ResponseWriter, representation: &Representation, selection: &Selection) -> Option<OnTheFly> {
    let set = w.header().get("Content-Type").map(ToOwned::to_owned);
    let content_type = set.as_deref().or(representation.content_type.as_deref());
    let is_worth_it = match selection {
        Selection::Whole | Selection::NotModified => representation.size >= WORTH_ENCODING_BYTES,
        _ => false,
    };
    // For 304 the content was not read, so its type may be unknown: it was text when it was sent.
    let shrinks = content_type.map_or(*selection == Selection::NotModified, shrinks);
    representation.on_the_fly.filter(|_| is_worth_it && shrinks)
}

/// Below this, the head is most of the response, and encoding saves nothing.
const WORTH_ENCODING_BYTES: u64 = 1024;

/// Whether content of this type is worth it.
fn shrinks(content_type: &str) -> bool {
    // Events have to arrive at once, and this encoder is flushed at the end alone.
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    is_compressible(content_type) && !essence.eq_ignore_ascii_case("text/event-stream")
}

/// RFC 9110 §8.8.3.3: encoded content has other bytes and so needs another strong tag. A weak one says
/// only that it means the same.
fn weaken_tag(w: &mut ResponseWriter) {
    if let Some(tag) = w.header().get_bytes("ETag").filter(|tag| !tag.starts_with(b"W/")) {
        let weak = [b"W/", tag].concat();
        w.header().set("ETag", weak);
    }
}

/// Sends all of the content, encoded. Its length is not known before.
async fn send_encoded(
    w: &mut ResponseWriter,
    method: MethodKind,
    representation: &Representation,
    on_the_fly: OnTheFly,
    source: &mut impl ContentSource,
) -> Result<()> {
    set_content(w, representation);
    w.header().del("Accept-Ranges");
    w.header().del("Content-Length");
    w.header().set("Content-Encoding", on_the_fly.name());
    w.write_header(representation.status);
    if method == MethodKind::Head { Ok(()) } else { on_the_fly.send(w, representation.size, source).await }
}
