//! A request on its way out: its head, then its body in the form that the head announced.

use std::io::IoSlice;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Phase, Sent};
use crate::h1::{self, Outgoing};
use crate::message::{Body, Header};
use crate::net::Io;

/// What is still to be sent of one request.
pub(crate) struct Upload {
    /// Encoded bytes: the head, the size of a chunk, the trailer.
    out: Vec<u8>,
    /// Content that leaves behind them, straight from its owner's memory.
    content: Bytes,
    /// The end of a chunk, behind its content.
    chunk_end: &'static [u8],
    /// How much of these three the socket has taken.
    taken: usize,
    body: Body,
    outgoing: Outgoing,
    trailer: Header,
    /// How much content was handed on.
    counted: u64,
    stage: Stage,
    /// How many bytes the socket took in all.
    sent: u64,
    wrote_head: bool,
    /// The socket has no room for what a layer above it, as TLS, has taken.
    is_flushing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The head is on its way, and the body follows.
    Head,
    /// The head was sent; the body waits for `100 Continue`.
    Waiting,
    Body,
    /// All was handed on.
    Last,
    Done,
    Failed,
}

/// How far an upload has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// It waits for `100 Continue`.
    Waits,
    Done,
}

/// Why an upload ends before its end.
pub(crate) enum Failed {
    /// The body could not be had: its own error, or it is not as long as was announced.
    Body(Error),
    /// The connection took no more. A response may have come nevertheless.
    Write(Error),
}

/// Content that leaves with the head in one copy rather than in a vectored write.
const MAX_COPIED_CONTENT_BYTES: usize = 4 * 1024;

impl Upload {
    /// Of an encoded head, and what follows it. It is to [`begin`](Self::begin) where it lies.
    pub(crate) fn new(head: Vec<u8>, body: Body, outgoing: Outgoing, trailer: &Header) -> Upload {
        Upload {
            out: head,
            content: Bytes::new(),
            chunk_end: b"",
            taken: 0,
            body,
            outgoing,
            trailer: trailer.clone(),
            counted: 0,
            stage: Stage::Head,
            sent: 0,
            wrote_head: false,
            is_flushing: false,
        }
    }

    /// With `waits`, the body comes only after [`proceed`](Self::proceed).
    pub(crate) fn begin(&mut self, waits: bool) {
        match self.outgoing {
            Outgoing::None => self.stage = Stage::Last,
            _ if waits => {}
            _ => {
                self.stage = Stage::Body;
                self.take_small_content();
            }
        }
    }

    /// Content in memory leaves together with the head.
    fn take_small_content(&mut self) {
        let Outgoing::Length(length) = self.outgoing else { return };
        if let Some(content) = self.body.take_memory().filter(|content| content.len() as u64 == length) {
            if content.len() <= MAX_COPIED_CONTENT_BYTES {
                self.out.extend_from_slice(&content);
            } else {
                self.content = content;
            }
            self.counted = length;
            self.stage = Stage::Last;
        }
    }

    /// Sends on. Ready when all is sent, or when nothing more is before a `100 Continue`.
    pub(crate) fn poll(&mut self, io: &mut Io, cx: &mut Context<'_>) -> Poll<Result<Progress, Failed>> {
        let polled = self.poll_stages(io, cx);
        if let Poll::Ready(Err(_)) = polled {
            self.stage = Stage::Failed;
        }
        polled
    }

    fn poll_stages(&mut self, io: &mut Io, cx: &mut Context<'_>) -> Poll<Result<Progress, Failed>> {
        loop {
            ready!(self.poll_write(io, cx))?;
            match self.stage {
                Stage::Head => {
                    ready!(self.poll_flush(io, cx))?;
                    self.stage = Stage::Waiting;
                }
                Stage::Waiting => return Poll::Ready(Ok(Progress::Waits)),
                Stage::Body => match self.body.poll_chunk(cx) {
                    Poll::Ready(Some(chunk)) => self.hand_on(chunk.map_err(Failed::Body)?)?,
                    Poll::Ready(None) => self.conclude()?,
                    Poll::Pending => {
                        // The next piece may come only when the peer has answered the ones before.
                        ready!(self.poll_flush(io, cx))?;
                        return Poll::Pending;
                    }
                },
                Stage::Last => {
                    ready!(self.poll_flush(io, cx))?;
                    self.stage = Stage::Done;
                }
                Stage::Done => return Poll::Ready(Ok(Progress::Done)),
                Stage::Failed => return Poll::Ready(Err(write_failed(std::io::ErrorKind::BrokenPipe.into()))),
            }
        }
    }

    /// Writes all that was handed on.
    fn poll_write(&mut self, io: &mut Io, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        while self.taken < self.handed_on() {
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

    fn poll_flush(&mut self, io: &mut Io, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        let flushed = io.poll_flush(cx);
        self.is_flushing = flushed.is_pending();
        flushed.map_err(write_failed)
    }

    fn handed_on(&self) -> usize {
        self.out.len() + self.content.len() + self.chunk_end.len()
    }

    /// Content in the form that the head has announced.
    fn hand_on(&mut self, chunk: Bytes) -> Result<(), Failed> {
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

    fn conclude(&mut self) -> Result<(), Failed> {
        match self.outgoing {
            Outgoing::Length(length) if self.counted < length => return Err(wrong_length(length, "is shorter than")),
            Outgoing::Chunked => h1::encode_last_chunk(&mut self.out, &self.trailer),
            _ => {}
        }
        self.stage = Stage::Last;
        Ok(())
    }

    /// Lets a body go that waits for `100 Continue`.
    pub(crate) fn proceed(&mut self) {
        if matches!(self.stage, Stage::Waiting | Stage::Head) {
            self.stage = Stage::Body;
        }
    }

    /// Whether the body waits for `100 Continue`.
    pub(crate) fn waits(&self) -> bool {
        self.stage == Stage::Waiting
    }

    /// Whether there may be content that was not handed on.
    pub(crate) fn has_more(&self) -> bool {
        matches!(self.stage, Stage::Head | Stage::Waiting | Stage::Body)
    }

    pub(crate) fn wrote_head(&self) -> bool {
        self.wrote_head
    }

    /// Whether the socket takes no more for now, and not the body that brings no more.
    pub(crate) fn is_writing(&self) -> bool {
        self.is_flushing || self.taken < self.handed_on()
    }

    /// The body, if nothing was asked of it: the head is written before it is.
    pub(crate) fn take_unread(&mut self) -> Option<Body> {
        (!self.wrote_head && self.counted == 0).then(|| std::mem::take(&mut self.body))
    }

    /// How many bytes the socket took.
    pub(crate) fn taken(&self) -> u64 {
        self.sent
    }

    pub(crate) fn sent(&self) -> Sent {
        match (self.sent, self.stage) {
            (0, _) => Sent::No,
            (_, Stage::Done) => Sent::Fully,
            (_, _) => Sent::Partly,
        }
    }

    /// The memory of the head, for the connection's next one.
    pub(crate) fn take_memory(&mut self) -> Vec<u8> {
        self.out.clear();
        std::mem::take(&mut self.out)
    }
}

fn write_failed(error: std::io::Error) -> Failed {
    Failed::Write(Error::from(error).during(Phase::Write))
}

fn wrong_length(length: u64, what: &str) -> Failed {
    let text = format!("the body {what} its Content-Length of {length} bytes");
    Failed::Body(Error::new(ErrorKind::ContentLength, text).during(Phase::Write))
}
