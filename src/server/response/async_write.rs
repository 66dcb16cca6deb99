//! The writer as tokio's [`AsyncWrite`]: a reader can be copied into a response.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::sink::ResponseSink;
use super::writer::{Extent, ResponseWriter, Stage};
use crate::error::Result;
use crate::h1::{self, Outgoing};

impl AsyncWrite for ResponseWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, content: &[u8]) -> Poll<io::Result<usize>> {
        let writer = &mut *self;
        ready!(writer.poll_make_room(cx))?;
        let content = content.get(..content.len().min(AT_ONCE)).unwrap_or_default();
        if !writer.try_buffer(content)? {
            writer.written += content.len() as u64;
            writer.commit(Extent::Start(content));
            writer.collect(content);
        }
        Poll::Ready(Ok(content.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let writer = &mut *self;
        writer.check_writable()?;
        writer.commit(Extent::Start(&[]));
        writer.collect(&[]);
        let Some(sink) = &writer.sink else { return Poll::Ready(Ok(())) };
        let flushed = ready!(sink.poll_flush(cx));
        writer.fail_on_error(flushed)?;
        Poll::Ready(Ok(()))
    }

    /// Flushes; the response ends when the handler returns.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

/// The most that one `poll_write` takes.
const AT_ONCE: usize = 64 * 1024;

impl ResponseWriter {
    /// Sends what was collected, if that is much.
    pub(super) fn poll_make_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(sink) = self.sink.as_ref().filter(|sink| sink.is_full()) else { return Poll::Ready(Ok(())) };
        let sent = ready!(sink.poll_flush(cx));
        Poll::Ready(self.fail_on_error(sent))
    }

    /// Encodes what waits and this content behind it, to be sent with what is collected.
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
}
