//! What goes out on an HTTP/1 connection: encoded bytes on their way to the socket.
//!
//! Heads and small content collect here, so that an answer leaves in one write and the answers
//! of a pipeline leave together. Large content goes past the collection, straight from the
//! caller's memory, in one vectored write with what was collected before it.

use std::future::poll_fn;
use std::io::IoSlice;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::line::Line;
use crate::error::{Error, ErrorKind, Phase, Result};

/// Collected bytes past this are sent before more is collected.
const COLLECTED: usize = 16 * 1024;
/// Content of at least this size is not worth a copy.
const LARGE: usize = 4 * 1024;

#[derive(Debug)]
pub(crate) struct Wire {
    line: Option<Arc<Line>>,
    out: Vec<u8>,
    /// How much of `out` the socket has taken.
    sent: usize,
    state: Health,
}

#[derive(Debug)]
enum Health {
    Good,
    /// A large write is under way. Found so by the next one, it was abandoned half-way.
    Writing,
    Failed(Error),
}

impl Wire {
    pub(crate) const fn new() -> Wire {
        Wire { line: None, out: Vec::new(), sent: 0, state: Health::Good }
    }

    /// Serves this connection from now on.
    pub(crate) fn attach(&mut self, line: &Arc<Line>) {
        self.out.clear();
        self.sent = 0;
        self.state = Health::Good;
        self.line = Some(line.clone());
    }

    pub(crate) fn detach(&mut self) {
        self.line = None;
        self.out.clear();
        self.out.shrink_to(2 * COLLECTED);
    }

    pub(crate) fn line(&self) -> Option<&Arc<Line>> {
        self.line.as_ref()
    }

    /// Where heads and small content are appended.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    pub(crate) fn collected(&self) -> usize {
        self.out.len()
    }

    /// Whether no more should be collected before this is sent.
    pub(crate) fn is_full(&self) -> bool {
        self.out.len() >= COLLECTED
    }

    pub(crate) fn has_failed(&self) -> bool {
        !matches!(self.state, Health::Good)
    }

    /// Why nothing can be written any more, if nothing can.
    pub(crate) fn check(&mut self) -> Result<()> {
        match &self.state {
            Health::Good => Ok(()),
            Health::Failed(error) => Err(error.again()),
            Health::Writing => {
                let error = Error::new(ErrorKind::Io, "an earlier write was abandoned half-way").during(Phase::Write);
                Err(self.fail(error))
            }
        }
    }

    /// Sends these parts, in order, behind what was collected; small ones are collected instead.
    pub(crate) async fn send(&mut self, parts: [&[u8]; 3]) -> Result<()> {
        self.check()?;
        let size = parts.iter().fold(0_usize, |size, part| size.saturating_add(part.len()));
        if size >= LARGE {
            return self.send_through(parts).await;
        }
        for part in parts {
            self.out.extend_from_slice(part);
        }
        if self.out.len() >= COLLECTED { self.flush().await } else { Ok(()) }
    }

    async fn send_through(&mut self, mut parts: [&[u8]; 3]) -> Result<()> {
        self.state = Health::Writing;
        match poll_fn(|cx| self.poll_send_through(cx, &mut parts)).await {
            Ok(()) => {
                self.state = Health::Good;
                Ok(())
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    fn poll_send_through(&mut self, cx: &mut Context<'_>, parts: &mut [&[u8]; 3]) -> Poll<Result<()>> {
        let Some(line) = &self.line else { return Poll::Ready(Err(detached())) };
        let mut line = line.lock();
        while self.sent < self.out.len() || parts.iter().any(|part| !part.is_empty()) {
            let [one, two, three] = *parts;
            let collected = self.out.get(self.sent..).unwrap_or_default();
            let mut taken = ready!(line.poll_write(cx, &[collected, one, two, three].map(IoSlice::new)))?;
            let of_collected = taken.min(collected.len());
            self.sent += of_collected;
            taken -= of_collected;
            for part in parts.iter_mut() {
                let of_part = taken.min(part.len());
                *part = part.get(of_part..).unwrap_or_default();
                taken -= of_part;
            }
        }
        ready!(line.poll_flush(cx))?;
        drop(line);
        self.clear();
        Poll::Ready(Ok(()))
    }

    /// Sends all that was collected. Cancel safe.
    pub(crate) async fn flush(&mut self) -> Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Sends all that was collected, if anything was.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.out.is_empty() {
            return Poll::Ready(Ok(()));
        }
        self.check()?;
        match ready!(self.poll_send_collected(cx)) {
            Ok(()) => {
                self.clear();
                Poll::Ready(Ok(()))
            }
            Err(error) => Poll::Ready(Err(self.fail(error))),
        }
    }

    fn poll_send_collected(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(line) = &self.line else { return Poll::Ready(Err(detached())) };
        let mut line = line.lock();
        while let Some(rest) = self.out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            self.sent += ready!(line.poll_write(cx, &[IoSlice::new(rest)]))?;
        }
        line.poll_flush(cx)
    }

    /// No write will work after this one.
    pub(crate) fn fail(&mut self, error: Error) -> Error {
        self.state = Health::Failed(error.again());
        error
    }

    fn clear(&mut self) {
        self.out.clear();
        self.sent = 0;
    }
}

fn detached() -> Error {
    Error::new(ErrorKind::TurnOver, "the answer of this request is over")
}
