//! Reading and writing.

use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use bytes::Buf;

use super::super::content::NextOut;
use super::super::error::ConnectionEnd;
use super::Driver;
use crate::h2::MessageEnd;
use crate::h2::fault::ConnectionFault;

/// How many slices a write has at most.
const SLICE_COUNT: usize = 32;

impl Driver {
    /// Reads once, and deals with what came. Returns whether something did.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.core.wants_input() && self.write_end.is_none() {
            return false;
        }
        match self.io.poll_fill(cx) {
            Poll::Ready(Ok(1..)) => {}
            Poll::Ready(Ok(0)) => {
                let end = self.write_end.take().unwrap_or(ConnectionEnd::EndOfStream);
                self.break_off(end);
                return true;
            }
            Poll::Ready(Err(error)) => {
                self.break_off(ConnectionEnd::of_io(&error));
                return true;
            }
            Poll::Pending => return false,
        }
        self.state.count_read();
        self.core.set_now_ms(self.began.elapsed().as_millis() as u64);
        if let Err(fault) = self.take_events() {
            self.close(ConnectionEnd::ProtocolError(fault));
        }
        true
    }

    fn take_events(&mut self) -> Result<(), ConnectionFault> {
        let input = std::mem::take(&mut self.io.input);
        let mut unread = &input[..];
        let mut taken = Ok(());
        loop {
            match self.core.next(&mut unread, &mut self.head) {
                Ok(Some(event)) => self.on_event(event),
                Ok(None) => break,
                Err(fault) => {
                    taken = Err(fault);
                    break;
                }
            }
        }
        let used = input.len() - unread.len();
        self.io.input = input;
        self.io.input.advance(used);
        taken
    }

    /// Makes frames of what streams have to send, and writes. Returns whether anything was written.
    pub(super) fn write(&mut self, cx: &mut Context<'_>) -> bool {
        let mut has_written = false;
        while self.write_end.is_none() {
            self.make_output();
            self.wake_all();
            match self.poll_write(cx) {
                Poll::Ready(Ok(0)) | Poll::Pending => return has_written,
                Poll::Ready(Ok(_)) => has_written = true,
                Poll::Ready(Err(error)) => {
                    self.stop_writing(ConnectionEnd::of_io(&error));
                    return true;
                }
            }
        }
        has_written
    }

    fn make_output(&mut self) {
        while let Some(asked) = self.core.next_to_send() {
            let Some(io) = self.core.user(asked.slot).cloned() else { continue };
            let (next, writer) = io.next_out(asked.room);
            self.wakers.extend(writer);
            match next {
                NextOut::Content { piece, is_last } => {
                    let end = if is_last { MessageEnd::Here } else { MessageEnd::MoreFollows };
                    // No more was taken than there is room for.
                    let _ = self.core.send_content(&asked, piece, end);
                }
                NextOut::Trailer(trailer) => self.core.send_trailer(&asked, &trailer),
                NextOut::End => {
                    self.core.send_slice(&asked, b"", MessageEnd::Here);
                }
                NextOut::Window => self.core.wait_for_window(&asked),
                NextOut::Nothing => self.core.no_content(&asked),
            }
            self.end_if_over(asked.slot);
        }
    }

    /// Writes some of what waits; 0 once all is written and flushed.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let output = self.core.output();
        if output.is_empty() {
            if self.needs_flush {
                ready!(self.io.poll_flush(cx))?;
                self.needs_flush = false;
            }
            return Poll::Ready(Ok(0));
        }
        let mut slices = [IoSlice::new(&[]); SLICE_COUNT];
        let count = output.slices(&mut slices);
        let written = ready!(self.io.poll_write(cx, slices.get(..count).unwrap_or_default()))?;
        output.advance(written);
        self.needs_flush = true;
        Poll::Ready(Ok(written))
    }
}
