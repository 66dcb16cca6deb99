//! The content of a request on its way out, no faster than the peer takes it.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, SendStream};
use http::HeaderMap;

use crate::error::{Error, ErrorKind, Phase, Sent};
use crate::h1::Outgoing;
use crate::h2::{Meter, append_trailer, poll_room};
use crate::message::{Body, Header};

/// What is still to be sent of one request, behind its head.
pub(super) struct Upload {
    stream: SendStream<Bytes>,
    meter: Arc<Meter>,
    body: Body,
    outgoing: Outgoing,
    trailer: Header,
    /// Content that waits for room.
    chunk: Bytes,
    /// How much content the body has given.
    counted: u64,
    /// How much of it was handed over.
    taken: u64,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// For `100 Continue`.
    Waiting,
    Body,
    Done,
    Failed,
}

/// How far an upload has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It waits for `100 Continue`.
    Waits,
    Done,
}

/// Why an upload ends before its end.
pub(super) enum Failed {
    /// The body could not be had: its own error, or it is not as long as was announced.
    Body(Error),
    /// The peer takes no more. A response may have come nevertheless.
    Write(Error),
}

/// Whether content follows a head.
pub(super) fn has_content(outgoing: Outgoing) -> bool {
    !matches!(outgoing, Outgoing::None | Outgoing::Length(0))
}

impl Upload {
    /// With `waits`, the body comes only after [`proceed`](Self::proceed).
    pub(super) fn new(
        stream: SendStream<Bytes>,
        meter: Arc<Meter>,
        body: Body,
        outgoing: Outgoing,
        trailer: &Header,
        waits: bool,
    ) -> Upload {
        let stage = match waits {
            _ if !has_content(outgoing) => Stage::Done,
            true => Stage::Waiting,
            false => Stage::Body,
        };
        let trailer = trailer.clone();
        Upload { stream, meter, body, outgoing, trailer, chunk: Bytes::new(), counted: 0, taken: 0, stage }
    }

    /// Sends on. Ready when all is handed over, or when nothing more is before a `100 Continue`.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Progress, Failed>> {
        loop {
            match self.stage {
                Stage::Waiting => return Poll::Ready(Ok(Progress::Waits)),
                Stage::Done => return Poll::Ready(Ok(Progress::Done)),
                Stage::Failed => return Poll::Pending,
                Stage::Body => {}
            }
            if let Err(failed) = ready!(self.poll_piece(cx)) {
                self.stage = Stage::Failed;
                return Poll::Ready(Err(failed));
            }
        }
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        if self.chunk.is_empty() {
            return match ready!(self.body.poll_chunk(cx)) {
                Some(chunk) => Poll::Ready(chunk.map_err(Failed::Body).and_then(|chunk| self.take(chunk))),
                None => Poll::Ready(self.conclude()),
            };
        }
        let room = ready!(poll_room(&mut self.stream, self.chunk.len(), cx)).map_err(Failed::Write)?;
        let piece = self.chunk.split_to(room);
        self.taken = self.taken.saturating_add(room as u64);
        self.meter.sent_data(room);
        // Where the body says that this was all, its end needs no frame of its own.
        let is_last = self.chunk.is_empty() && self.trailer.is_empty() && self.body.remaining() == Some(0);
        if is_last {
            self.check_length()?;
            self.stage = Stage::Done;
        }
        Poll::Ready(self.stream.send_data(piece, is_last).map_err(closed))
    }

    fn take(&mut self, chunk: Bytes) -> Result<(), Failed> {
        self.counted = self.counted.saturating_add(chunk.len() as u64);
        match self.outgoing {
            Outgoing::Length(length) if self.counted > length => Err(wrong_length(length, "is longer than")),
            _ => {
                self.chunk = chunk;
                Ok(())
            }
        }
    }

    fn check_length(&self) -> Result<(), Failed> {
        match self.outgoing {
            Outgoing::Length(length) if self.counted < length => Err(wrong_length(length, "is shorter than")),
            _ => Ok(()),
        }
    }

    fn conclude(&mut self) -> Result<(), Failed> {
        self.check_length()?;
        self.stage = Stage::Done;
        if self.trailer.is_empty() {
            return self.stream.send_data(Bytes::new(), true).map_err(closed);
        }
        let mut fields = HeaderMap::with_capacity(self.trailer.len());
        append_trailer(&mut fields, &self.trailer);
        self.stream.send_trailers(fields).map_err(closed)
    }

    /// Gives the stream up. What was sent of it arrives first.
    pub(super) fn reset(&mut self, reason: Reason) {
        self.stage = Stage::Failed;
        self.stream.send_reset(reason);
    }

    /// Lets a body go that waits for `100 Continue`.
    pub(super) fn proceed(&mut self) {
        if self.stage == Stage::Waiting {
            self.stage = Stage::Body;
        }
    }

    /// Whether the body waits for `100 Continue`.
    pub(super) fn waits(&self) -> bool {
        self.stage == Stage::Waiting
    }

    pub(super) fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Whether the peer takes no more for now, and not the body that brings no more.
    pub(super) fn is_writing(&self) -> bool {
        !self.chunk.is_empty()
    }

    /// How much content was handed over.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// The head is always out of our hands.
    pub(super) fn sent(&self) -> Sent {
        if self.is_done() { Sent::Fully } else { Sent::Partly }
    }
}

fn closed(error: h2::Error) -> Failed {
    Failed::Write(Error::new(ErrorKind::CutOff, "the stream is closed").during(Phase::Write).with_source(error))
}

fn wrong_length(length: u64, what: &str) -> Failed {
    let text = format!("the body {what} its Content-Length of {length} bytes");
    Failed::Body(Error::new(ErrorKind::ContentLength, text).during(Phase::Write))
}
