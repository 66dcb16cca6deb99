//! Sends a request: its head, then its body in the framing that the head announced.

use std::io::IoSlice;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::super::exchange::{SendError, SendProgress, SendState, wrong_length};
use crate::error::{Error, Phase, Sent};
use crate::h1::{self, Outgoing};
use crate::message::{Body, Header};
use crate::net::Io;

/// What is still to be sent of one request.
pub(super) struct Upload {
    /// Encoded bytes: the head, the size of a chunk, the trailer.
    out: Vec<u8>,
    /// Content that follows them, in the memory where the body has it.
    content: Bytes,
    /// The end of a chunk, after its content.
    chunk_end: &'static [u8],
    /// How much of these three the socket has taken.
    taken: usize,
    body: Body,
    outgoing: Outgoing,
    trailer: Header,
    /// How much content the body has given.
    counted: u64,
    pub(super) state: SendState,
    /// How many bytes the socket took in all.
    sent: u64,
    wrote_head: bool,
    /// TLS has taken everything, and the socket has no room for it yet.
    is_flushing: bool,
}

/// Content up to this length is copied after the head: cheaper than a vectored write.
const MAX_COPIED_CONTENT_BYTES: usize = 4 * 1024;

impl Upload {
    /// An upload of an encoded head and a body. [`begin`](Self::begin) is called once this is in its
    /// final place, so that no content is moved.
    pub(super) fn new(head: Vec<u8>, body: Body, outgoing: Outgoing, trailer: &Header) -> Upload {
        Upload {
            out: head,
            content: Bytes::new(),
            chunk_end: b"",
            taken: 0,
            body,
            outgoing,
            trailer: trailer.clone(),
            counted: 0,
            state: SendState::Head,
            sent: 0,
            wrote_head: false,
            is_flushing: false,
        }
    }

    /// With `waits`, the body comes only after [`SendState::proceed`].
    pub(super) fn begin(&mut self, waits: bool) {
        match self.outgoing {
            Outgoing::None => self.state = SendState::Flushing,
            _ if waits => {}
            _ => {
                self.state = SendState::Body;
                self.push_memory();
            }
        }
    }

    /// Content in memory leaves together with the head.
    fn push_memory(&mut self) {
        let Outgoing::Length(length) = self.outgoing else { return };
        if let Some(content) = self.body.take_memory().filter(|content| content.len() as u64 == length) {
            if content.len() <= MAX_COPIED_CONTENT_BYTES {
                self.out.extend_from_slice(&content);
            } else {
                self.content = content;
            }
            self.counted = length;
            self.state = SendState::Flushing;
        }
    }

    /// Sends as much as possible. Ready when all is sent, or when only a `100 Continue` lets it go on.
    pub(super) fn poll(&mut self, io: &mut Io, cx: &mut Context<'_>) -> Poll<Result<SendProgress, SendError>> {
        self.poll_first_piece(cx)?;
        loop {
            ready!(self.poll_write(io, cx))?;
            match self.state {
                SendState::Head => {
                    ready!(self.poll_flush(io, cx))?;
                    self.state = SendState::AwaitingContinue;
                }
                SendState::AwaitingContinue => return Poll::Ready(Ok(SendProgress::AwaitsContinue)),
                SendState::Body => match self.body.poll_chunk(cx) {
                    Poll::Ready(Some(chunk)) => self.push(chunk.map_err(SendError::Body)?)?,
                    Poll::Ready(None) => self.finish()?,
                    Poll::Pending => {
                        // The body may produce its next piece only after the peer has responded to the ones
                        // before, so they must leave now.
                        ready!(self.poll_flush(io, cx))?;
                        return Poll::Pending;
                    }
                },
                SendState::Flushing => {
                    ready!(self.poll_flush(io, cx))?;
                    self.state = SendState::Sent;
                }
                SendState::Sent => return Poll::Ready(Ok(SendProgress::Sent)),
                SendState::Failed(_) | SendState::Stalled(_) | SendState::Abandoned => return Poll::Pending,
            }
        }
    }

    /// Content that is here already leaves in one write with the head. Only that of a body that can be had again:
    /// nothing of the head may have left when the connection turns out to be dead.
    fn poll_first_piece(&mut self, cx: &mut Context<'_>) -> Result<(), SendError> {
        let is_first = !self.wrote_head && self.counted == 0 && matches!(self.state, SendState::Body);
        if !is_first || !self.body.is_replayable() {
            return Ok(());
        }
        match self.body.poll_chunk(cx) {
            Poll::Ready(Some(Ok(chunk))) => self.push(chunk),
            Poll::Ready(None) => self.finish(),
            // An error is met again behind the head.
            Poll::Ready(Some(Err(_))) | Poll::Pending => Ok(()),
        }
    }

    /// Writes all encoded bytes and content.
    fn poll_write(&mut self, io: &mut Io, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        while self.taken < self.pushed() {
            let written = if self.content.is_empty() && self.chunk_end.is_empty() {
                io.poll_write(cx, &[IoSlice::new(self.out.get(self.taken..).unwrap_or_default())])
            } else {
                let mut skip = self.taken;
                let parts = [&self.out[..], &self.content, self.chunk_end].map(|part| {
                    let from = skip.min(part.len());
                    skip -= from;
                    IoSlice::new(part.get(from..).unwrap_or_default())
                });
                io.poll_write(cx, &parts)
            };
            let written = ready!(written).map_err(write_failed)?;
            self.taken += written;
            self.sent = self.sent.saturating_add(written as u64);
        }
        self.out.clear();
        self.content = Bytes::new();
        self.chunk_end = b"";
        self.taken = 0;
        self.wrote_head = true;
        Poll::Ready(Ok(()))
    }

    fn poll_flush(&mut self, io: &mut Io, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let flushed = io.poll_flush(cx);
        self.is_flushing = flushed.is_pending();
        flushed.map_err(write_failed)
    }

    fn pushed(&self) -> usize {
        self.out.len() + self.content.len() + self.chunk_end.len()
    }

    /// Content in the form that the head has announced.
    fn push(&mut self, chunk: Bytes) -> Result<(), SendError> {
        self.counted = self.counted.saturating_add(chunk.len() as u64);
        match self.outgoing {
            Outgoing::Length(length) if self.counted > length => return Err(wrong_length(length, "is longer than")),
            Outgoing::Chunked => {
                h1::encode_chunk_head(&mut self.out, chunk.len());
                self.chunk_end = b"\r\n";
            }
            _ => {}
        }
        self.content = chunk;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), SendError> {
        match self.outgoing {
            Outgoing::Length(length) if self.counted < length => return Err(wrong_length(length, "is shorter than")),
            Outgoing::Chunked => {
                // What a body brings itself, as one that a server has received does, follows what was set.
                if let Some(trailer) = self.body.take_trailer() {
                    self.trailer.extend(trailer.iter());
                }
                h1::encode_last_chunk(&mut self.out, &self.trailer);
            }
            _ => {}
        }
        self.state = SendState::Flushing;
        Ok(())
    }

    pub(super) fn wrote_head(&self) -> bool {
        self.wrote_head
    }

    /// How many bytes the socket has accepted, if the upload waits for the socket. `None` if it waits
    /// for the body.
    pub(super) fn taken_while_writing(&self) -> Option<u64> {
        (self.is_flushing || self.taken < self.pushed()).then_some(self.sent)
    }

    /// The body, if nothing of it was read: the whole head is written before the body is read.
    pub(super) fn take_unread(&mut self) -> Option<Body> {
        (!self.wrote_head && self.counted == 0).then(|| std::mem::take(&mut self.body))
    }

    /// The body, if it still waits for `100 Continue`.
    pub(super) fn take_body_that_waits(&mut self) -> Option<Body> {
        let waits = matches!(self.state, SendState::Head | SendState::AwaitingContinue);
        waits.then(|| std::mem::take(&mut self.body))
    }

    pub(super) fn sent(&self) -> Sent {
        match &self.state {
            _ if self.sent == 0 => Sent::No,
            SendState::Sent => Sent::Fully,
            _ => Sent::Partly,
        }
    }

    /// The memory of the head, for the connection's next one.
    pub(super) fn take_memory(&mut self) -> Vec<u8> {
        self.out.clear();
        std::mem::take(&mut self.out)
    }
}

fn write_failed(error: std::io::Error) -> SendError {
    SendError::Write(Error::from(error).during(Phase::Write))
}
