//! The writer as tokio's [`AsyncWrite`]: a reader can be copied into an answer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::{Extent, ResponseWriter, Stage};
use crate::error::Result;
use crate::h1::{self, Outgoing};
use crate::server::outlet::Outlet;

impl AsyncWrite for ResponseWriter {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, content: &[u8]) -> Poll<io::Result<usize>> {
        let writer = &mut *self;
        ready!(writer.poll_make_room(cx))?;
        let content = content.get(..content.len().min(AT_ONCE)).unwrap_or_default();
        if !writer.accept(content)? {
            writer.written += content.len() as u64;
            writer.commit(Extent::Start(content));
            writer.collect(content);
        }
        Poll::Ready(Ok(content.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let writer = &mut *self;
        writer.may_write()?;
        writer.commit(Extent::Start(&[]));
        writer.collect(&[]);
        let Some(outlet) = &writer.outlet else { return Poll::Ready(Ok(())) };
        let flushed = ready!(outlet.poll_flush(cx));
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
    /// Sends what was collected, if that is much.
    pub(super) fn poll_make_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(outlet) = self.outlet.as_ref().filter(|outlet| outlet.is_full()) else { return Poll::Ready(Ok(())) };
        let sent = ready!(outlet.poll_flush(cx));
        Poll::Ready(self.noticed(sent))
    }

    /// Encodes what waits and this content behind it, to be sent with what is collected.
    pub(super) fn collect(&mut self, content: &[u8]) {
        let Stage::Sent { outgoing, .. } = self.stage else { return };
        let len = self.pending.len() + content.len();
        if let Some(outlet) = self.outlet.as_ref().filter(|_| len > 0 && self.asked.has_content(outgoing)) {
            let in_chunks = outgoing == Outgoing::Chunked && matches!(outlet, Outlet::Line(_));
            outlet.with_outbox(|outbox| {
                let out = outbox.bytes();
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
