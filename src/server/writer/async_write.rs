//! The writer as tokio's [`AsyncWrite`]: a reader can be copied into an answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::{ResponseWriter, Stage};
use crate::h1::{self, Outgoing};

impl AsyncWrite for ResponseWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, content: &[u8]) -> Poll<io::Result<usize>> {
        let writer = &mut *self;
        if writer.wire.collected() > 0 {
            let flushed = ready!(writer.wire.poll_flush(cx));
            writer.noticed(flushed)?;
        }
        let content = content.get(..content.len().min(AT_ONCE)).unwrap_or_default();
        if !writer.accept(content)? {
            writer.written += content.len() as u64;
            writer.commit(content, None);
            writer.collect(content);
        }
        Poll::Ready(Ok(content.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let writer = &mut *self;
        writer.may_write()?;
        writer.commit(&[], None);
        writer.collect(&[]);
        let flushed = ready!(writer.wire.poll_flush(cx));
        writer.noticed(flushed)?;
        Poll::Ready(Ok(()))
    }

    /// Flushes; the answer ends when the handler returns.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

/// The most that one `poll_write` takes.
const AT_ONCE: usize = 64 * 1024;

impl ResponseWriter {
    /// Encodes what waits and this content behind it into the wire's collection.
    fn collect(&mut self, content: &[u8]) {
        let Stage::Sent { outgoing, .. } = &self.stage else { return };
        let len = self.pending.len() + content.len();
        if len > 0 && self.asked.has_content(*outgoing) {
            let chunked = matches!(outgoing, Outgoing::Chunked);
            let out = self.wire.out();
            if chunked {
                h1::encode_chunk_head(out, len);
            }
            out.extend_from_slice(&self.pending);
            out.extend_from_slice(content);
            if chunked {
                h1::encode_chunk_end(out);
            }
        }
        self.pending.clear();
    }
}
