//! The content of a response: held back, collected with other bytes, or sent past them.
//!
//! ```text
//!  write ──▶ pending ──▶ write buffer ──▶ socket    small content: copied, and sent with other bytes
//!  write ──▶ DirectWrite ───────────────▶ socket    from 4 KiB on: sent from the caller's memory
//!  send_file ───────────────────────────▶ socket    a file: sent by the system, from its memory
//! ```
//!
//! Up to 2 KiB are pending: before the head is decided, so that a short response gets a length; after
//! it, so that many small writes make one chunk.

use std::fs::File;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::StatusCode;
use tokio::io::AsyncWrite;

use super::decide::{Extent, declared_length};
use super::filter::FilterStep;
use super::sink::ResponseSink;
use super::write_buffer::{DirectWrite, MIN_DIRECT_WRITE_BYTES};
use super::writer::{ResponseWriter, Stage};
use crate::error::{Error, ErrorKind, Result};
use crate::h1::{self, Outgoing};

/// Content is held back up to this size (Go's number): a response that ends within it has a
/// `Content-Length`, and leaves in one write with its head.
const MAX_PENDING_BYTES: usize = 2048;

/// The most that one `poll_write` takes.
const MAX_POLL_WRITE_BYTES: usize = 64 * 1024;

impl ResponseWriter {
    /// Holds content back if there is room for it. Returns whether it did.
    pub(super) fn try_buffer(&mut self, content: &[u8]) -> Result<bool> {
        self.check_writable()?;
        self.check_length(content.len() as u64)?;
        self.status.get_or_insert(StatusCode::OK);
        if self.pending.len() + content.len() > MAX_PENDING_BYTES {
            return Ok(false);
        }
        self.pending.extend_from_slice(content);
        self.written += content.len() as u64;
        Ok(true)
    }

    /// Fails if this much more content is not allowed: by the status, or by the declared length.
    #[inline]
    fn check_length(&self, more: u64) -> Result<()> {
        let status = self.status.unwrap_or(StatusCode::OK);
        if more > 0 && !h1::may_send_content(status) {
            return Err(Error::new(ErrorKind::BodyNotAllowed, format!("{status} allows no content")));
        }
        let declared = match &self.stage {
            Stage::Sent { declared, .. } => *declared,
            _ => self.header.get_bytes("Content-Length").and_then(declared_length),
        };
        match declared {
            Some(declared) if self.written.saturating_add(more) > declared => {
                Err(Error::new(ErrorKind::ContentLength, format!("more content than the Content-Length of {declared}")))
            }
            _ => Ok(()),
        }
    }

    /// Writes content that cannot be held back. `shared` is the same content, where the caller has it
    /// as `Bytes`, which HTTP/2 can keep without a copy.
    pub(super) fn write_through<'a>(
        &'a mut self,
        content: &'a [u8],
        shared: Option<&'a Bytes>,
    ) -> impl Future<Output = Result<()>> + 'a {
        // Not an `async fn`: this part runs when the future is made and not in it, which keeps the
        // future small. It is a part of each handler's future, which is moved into a box for each
        // request.
        self.written += content.len() as u64;
        self.commit(Extent::Start(content));
        self.send_pending(content, shared, Some(FilterStep::More))
    }

    /// Sends what was held back and this content after it: through the filters with this step, if there are any,
    /// and as it is without one. Together they are collected if they are small, else sent at once.
    pub(super) async fn send_pending(
        &mut self,
        content: &[u8],
        shared: Option<&Bytes>,
        step: Option<FilterStep>,
    ) -> Result<()> {
        if let Some(step) = step.filter(|_| self.filters().is_some()) {
            return self.send_filtered(content, step).await;
        }
        if self.is_small(content) {
            self.collect(content);
            return poll_fn(|cx| self.poll_make_room(cx)).await;
        }
        let (&Stage::Sent { outgoing, .. }, Some(sink)) = (&self.stage, &self.sink) else { return Ok(()) };
        let mut direct = DirectWrite::new(&self.pending, content, shared);
        // The future may be dropped in the middle of the write, when the peer has half of a chunk. So
        // the response counts as failed until the write is complete.
        let sent_stage = std::mem::replace(&mut self.stage, Stage::Failed);
        let sent = match sink.begin_direct(outgoing, &mut direct) {
            Ok(()) => poll_fn(|cx| sink.poll_send_direct(cx, &mut direct)).await,
            Err(error) => Err(error),
        };
        self.pending.clear();
        self.stage = sent_stage;
        self.fail_on_error(sent)
    }

    /// Whether copying this content, with what was held back, costs less than a write of its own.
    /// Content that is not sent at all, as in the response to HEAD, counts as small: `collect` drops
    /// it.
    fn is_small(&self, content: &[u8]) -> bool {
        let Stage::Sent { outgoing, .. } = self.stage else { return false };
        self.pending.len() + content.len() < MIN_DIRECT_WRITE_BYTES || !self.traits.has_content(outgoing)
    }

    /// Collects what was held back and this content after it, through the filters if there are any.
    fn collect_step(&mut self, content: &[u8], step: FilterStep) -> Result<()> {
        if self.filters().is_some() {
            return self.collect_filtered(content, step);
        }
        self.collect(content);
        Ok(())
    }

    /// Encodes what was held back and this content after it into the write buffer.
    pub(super) fn collect(&mut self, content: &[u8]) {
        let Stage::Sent { outgoing, .. } = self.stage else { return };
        let len = self.pending.len() + content.len();
        if let Some(sink) = self.sink.as_ref().filter(|_| len > 0 && self.traits.has_content(outgoing)) {
            let in_chunks = outgoing == Outgoing::Chunked && matches!(sink, ResponseSink::Http1(_));
            sink.with_write_buffer(|write_buffer| {
                let out = write_buffer.bytes();
                if in_chunks {
                    h1::encode_chunk_head(out, len);
                }
                out.extend_from_slice(&self.pending);
                out.extend_from_slice(content);
                if in_chunks {
                    h1::encode_chunk_end(out);
                }
            });
        }
        self.pending.clear();
    }

    /// Waits until the write buffer is sent, if it is full: a handler writes no faster than its peer
    /// reads.
    fn poll_make_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(sink) = self.sink.as_ref().filter(|sink| sink.is_full()) else { return Poll::Ready(Ok(())) };
        let sent = ready!(sink.poll_flush(cx));
        Poll::Ready(self.fail_on_error(sent))
    }

    /// After a failed write the peer cannot get this response: the request's context is cancelled, so
    /// that the handler can stop.
    pub(super) fn fail_on_error(&mut self, result: Result<()>) -> Result<()> {
        if result.is_err() {
            self.stage = Stage::Failed;
            self.with_sink(|sink| sink.cancel(self.traits.exchange));
        }
        result
    }
}

/// A reader can be copied into a response: `tokio::io::copy(&mut file, w)`.
impl AsyncWrite for ResponseWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, content: &[u8]) -> Poll<io::Result<usize>> {
        let writer = &mut *self;
        ready!(writer.poll_make_room(cx))?;
        // Content is copied here, because a poll that waits cannot keep what it was given. The limit
        // keeps the write buffer from growing to the size of the caller's buffer.
        let content = content.get(..content.len().min(MAX_POLL_WRITE_BYTES)).unwrap_or_default();
        if !writer.try_buffer(content)? {
            writer.written += content.len() as u64;
            writer.commit(Extent::Start(content));
            writer.collect_step(content, FilterStep::More)?;
        }
        Poll::Ready(Ok(content.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let writer = &mut *self;
        writer.check_writable()?;
        writer.note_flush();
        writer.commit(Extent::Start(&[]));
        writer.collect_step(&[], FilterStep::Flush)?;
        let Some(sink) = &writer.sink else { return Poll::Ready(Ok(())) };
        let flushed = ready!(sink.poll_flush(cx));
        writer.fail_on_error(flushed)?;
        Poll::Ready(Ok(()))
    }

    /// Flushes. The response itself ends when its handler returns.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

/// Content that is a file: the system sends it, and its bytes never pass through the program.
impl ResponseWriter {
    /// Whether the connection can send files at all. Decides nothing, unlike
    /// [`sends_files`](Self::sends_files).
    pub(crate) fn may_send_files(&self) -> bool {
        matches!(&self.sink, Some(ResponseSink::Http1(conn_io)) if conn_io.sends_files())
    }

    /// Decides the head, and with it whether [`send_file`](Self::send_file) can send content of this
    /// response: not in chunks, and not through TLS, which has to see the bytes.
    pub(crate) fn sends_files(&mut self) -> bool {
        if self.check_writable().is_err() {
            return false;
        }
        self.commit(Extent::Start(&[]));
        let Stage::Sent { outgoing, .. } = self.stage else { return false };
        // Filters have to see the bytes too.
        let as_it_is = self.filters().is_none() && outgoing != Outgoing::Chunked;
        as_it_is && self.traits.has_content(outgoing) && self.may_send_files()
    }

    /// Writes `length` bytes of a file from `offset` on, where [`sends_files`](Self::sends_files) says
    /// that this is possible. It blocks the thread where the system does not have them in memory.
    ///
    /// # Errors
    /// As [`write`](Self::write); and when the file ends before.
    pub(crate) async fn send_file(&mut self, file: &File, offset: u64, length: u64) -> Result<()> {
        // The head is sent first, in a write of its own: letting the system send it together with the
        // file was measured, and costs more.
        self.flush().await?;
        self.check_length(length)?;
        let (Stage::Sent { outgoing, declared }, Some(ResponseSink::Http1(conn_io))) = (&self.stage, &self.sink) else {
            return Ok(());
        };
        let sent_stage = Stage::Sent { outgoing: *outgoing, declared: *declared };
        self.written += length;
        // Failed until the write is complete, as in `send_pending`.
        self.stage = Stage::Failed;
        let sent = conn_io.send_file(file, offset, length).await;
        self.stage = sent_stage;
        self.fail_on_error(sent)
    }
}
