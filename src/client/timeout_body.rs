//! A body under the time limit over all.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use crate::error::{Error, Phase, Result};
use crate::message::{Body, Frame, Source};

/// The same content, until the limit of this length passes.
pub(super) fn timeout_body(body: Body, until: Instant, length: Duration) -> Body {
    // Content that is here already cannot be late.
    if body.is_in_memory() {
        return body;
    }
    Body::from_source(TimeoutBody { body, until: Box::pin(sleep_until(until)), length })
}

struct TimeoutBody {
    body: Body,
    until: Pin<Box<Sleep>>,
    length: Duration,
}

impl Source for TimeoutBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        if self.until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(Error::over_limit(Phase::Body, "timeout", self.length))));
        }
        Poll::Ready(match ready!(self.body.poll_chunk(cx)) {
            Some(chunk) => Some(chunk.map(Frame::Data)),
            None => self.body.take_trailer().map(|trailer| Ok(Frame::Trailer(trailer))),
        })
    }

    fn remaining(&self) -> Option<u64> {
        self.body.remaining()
    }
}
