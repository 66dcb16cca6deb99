//! Writes of a connection: the write buffer, large content after it, and files.

use std::fs::File;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use super::{ConnIo, ConnIoState};
use crate::error::{Error, Phase, Result};
use crate::h1::{self, Outgoing};
use crate::net::Io;
use crate::server::response::write_buffer::DirectWrite;

/// How much content is read ahead while a response waits for its peer (Go's number).
const READ_AHEAD_BYTES: usize = 256 << 10;

impl ConnIo {
    /// Sends all that was collected. Cancel safe.
    pub(crate) async fn flush(&self) -> Result<()> {
        poll_fn(|cx| self.lock().poll_flush(cx)).await
    }

    /// Begins large content in this form, after what was collected. Until it is
    /// [sent](Self::poll_send_direct) whole, the write buffer sends nothing else.
    pub(crate) fn begin_direct(&self, outgoing: Outgoing, direct: &mut DirectWrite<'_>) -> Result<()> {
        let mut state = self.lock();
        state.write_buffer.check()?;
        if outgoing == Outgoing::Chunked {
            let [waited, written, end] = &mut direct.parts;
            h1::encode_chunk_head(state.write_buffer.bytes(), waited.len() + written.len());
            *end = b"\r\n";
        }
        state.write_buffer.begin_direct();
        Ok(())
    }

    /// Sends what is left of it.
    pub(crate) fn poll_send_direct(&self, cx: &mut Context<'_>, direct: &mut DirectWrite<'_>) -> Poll<Result<()>> {
        let mut state = self.lock();
        ready!(state.poll_send(cx, direct))?;
        state.write_buffer.end_direct();
        Poll::Ready(Ok(()))
    }

    /// Whether [`send_file`](Self::send_file) can send anything here.
    pub(crate) fn sends_files(&self) -> bool {
        self.lock().io.as_ref().is_some_and(Io::sends_files)
    }

    /// Sends `length` bytes of a file. All that was collected must be sent before. Dropped half-way, it
    /// leaves a write buffer that sends nothing more.
    pub(crate) async fn send_file(&self, file: &File, offset: u64, length: u64) -> Result<()> {
        {
            let mut state = self.lock();
            state.write_buffer.check()?;
            state.write_buffer.begin_direct();
        }
        let mut sent = 0;
        while sent < length {
            let at = offset.saturating_add(sent);
            sent += poll_fn(|cx| self.lock().poll_send_file(cx, file, at, length - sent)).await?;
        }
        self.lock().write_buffer.end_direct();
        Ok(())
    }
}

impl ConnIoState {
    /// Sends all that was collected. What is left when this returns `Pending` is sent by the next poll,
    /// whichever task does it.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.write_buffer.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.write_buffer.check()?;
        self.poll_send(cx, &mut DirectWrite::new(&[], &[], None))
    }

    /// The same for a task that waits for something else. During a direct write there is nothing to do:
    /// the direct write itself sends what was collected before it.
    pub(crate) fn poll_flush_beside(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.write_buffer.is_sending_direct() { Poll::Ready(Ok(())) } else { self.poll_flush(cx) }
    }

    /// Sends all that was collected, and this after it.
    fn poll_send(&mut self, cx: &mut Context<'_>, direct: &mut DirectWrite<'_>) -> Poll<Result<()>> {
        let (bytes, mut sent) = self.write_buffer.take();
        let polled = self.poll_write_all(cx, &bytes, &mut sent, direct);
        self.write_buffer.after_send(bytes, sent, polled.map_err(|error| error.during(Phase::Write)))
    }

    fn poll_write_all(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        sent: &mut usize,
        direct: &mut DirectWrite<'_>,
    ) -> Poll<Result<()>> {
        while *sent < bytes.len() || direct.len_of_piece() > 0 {
            let collected = bytes.get(*sent..).unwrap_or_default();
            let taken = match direct.parts {
                [[], [], []] => ready!(self.poll_write(cx, &[IoSlice::new(collected)]))?,
                [one, two, three] => ready!(self.poll_write(cx, &[collected, one, two, three].map(IoSlice::new)))?,
            };
            let of_collected = taken.min(collected.len());
            *sent += of_collected;
            direct.advance(taken - of_collected);
        }
        let flushed = self.io()?.poll_flush(cx);
        self.under_write_deadline(cx, flushed)
    }

    /// Writes some of these bytes, under the limits on writing.
    fn poll_write(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<Result<usize>> {
        self.write_in_time()?;
        let written = self.io()?.poll_write(cx, parts);
        self.under_write_deadline(cx, written)
    }

    /// Sends some of a file, under the same limits.
    fn poll_send_file(&mut self, cx: &mut Context<'_>, file: &File, at: u64, most: u64) -> Poll<Result<u64>> {
        let sent = match self.write_in_time().and_then(|()| Ok(self.io()?.poll_send_file(cx, file, at, most))) {
            // The file has become shorter: not a failure of the write, so no phase is set.
            Ok(Poll::Ready(Err(error))) if error.kind() == io::ErrorKind::UnexpectedEof => Err(error.into()),
            Ok(sent) => ready!(self.under_write_deadline(cx, sent)).map_err(|error| error.during(Phase::Write)),
            Err(error) => Err(error.during(Phase::Write)),
        };
        Poll::Ready(sent.map_err(|error| self.write_buffer.fail(error)))
    }

    fn write_in_time(&self) -> Result<()> {
        if self.write_limit.has_passed() { Err(Error::timed_out(Phase::Write)) } else { Ok(()) }
    }

    fn under_write_deadline<T>(&mut self, cx: &mut Context<'_>, step: Poll<io::Result<T>>) -> Poll<Result<T>> {
        match step {
            Poll::Ready(done) => {
                self.write_limit.progressed();
                Poll::Ready(done.map_err(Error::from))
            }
            Poll::Pending => {
                self.read_ahead(cx);
                ready!(self.poll_write_deadline(cx));
                Poll::Ready(Err(Error::timed_out(Phase::Write)))
            }
        }
    }

    /// Ready once the response should be written, whether a write waits or not.
    pub(crate) fn poll_write_until(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(io) = &mut self.io else { return Poll::Pending };
        self.write_limit.poll_until(&mut io.write_deadline, cx)
    }

    /// Ends the response now, though its handler still runs: the peer waits no longer, and nothing that is
    /// written from here on leaves. If the write buffer holds a `whole` response that can leave at once, the
    /// server's half of the stream ends behind it; else the stream is closed. Says whether it left.
    pub(crate) fn release_peer(&mut self, whole: bool, cx: &mut Context<'_>) -> bool {
        self.write_limit.set_until(None);
        let has_left = whole && matches!(self.poll_flush(cx), Poll::Ready(Ok(())));
        self.write_buffer.abandon(&Error::timed_out(Phase::Write));
        if !has_left {
            self.reset_if_cut();
        }
        let Some(io) = &mut self.io else { return has_left };
        if has_left {
            // Where it cannot end yet, the close behind the handler ends it.
            let _ = io.poll_shutdown(cx);
        } else {
            io.close();
        }
        has_left
    }

    fn poll_write_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(io) = &mut self.io else { return Poll::Pending };
        self.write_limit.poll(&mut io.write_deadline, cx)
    }

    /// Called when the peer accepts no bytes. It may read only after it has sent all its content, so some
    /// of that is read ahead; otherwise both sides would wait until a limit passes. Not needed if another
    /// task reads the body.
    fn read_ahead(&mut self, cx: &mut Context<'_>) {
        let read_elsewhere = self.reader.as_ref().is_some_and(|reader| !reader.will_wake(cx.waker()));
        if self.content_is_over() || read_elsewhere {
            return;
        }
        let Some(io) = &mut self.io else { return };
        let mut came = false;
        while io.input.len() < READ_AHEAD_BYTES && !io.ended && matches!(io.poll_fill(cx), Poll::Ready(Ok(1..))) {
            came = true;
        }
        if came {
            self.wake_reader();
        }
    }
}
