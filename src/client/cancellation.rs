//! Ends a round trip with the context of its request (Go's contexts do): what a handler has asked of another server
//! is over when its own client has left, or its own time.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context as TaskContext, Poll};

use super::observe::Progress;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::message::{Body, Context, Frame, Response, Source};

/// The response, unless the context ends before its head is there: then the round trip is dropped where it is, which
/// closes its connection or resets its stream. The response's content ends with the context too.
pub(super) async fn until_cancelled(
    context: Context,
    progress: Progress,
    round_trip: impl Future<Output = Result<Response>>,
) -> Result<Response> {
    let response = {
        let mut round_trip = pin!(round_trip);
        let mut cancelled = pin!(context.cancelled());
        poll_fn(|cx| {
            // Looked at first: nothing is sent for one who is gone already.
            if cancelled.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            round_trip.as_mut().poll(cx).map(Some)
        })
        .await
    };
    match response {
        Some(Ok(mut response)) => {
            response.body = body_until_cancelled(context, std::mem::take(&mut response.body));
            Ok(response)
        }
        Some(Err(error)) => Err(error),
        None => Err(ended_during(progress.phase(), &context).with_sent(progress.sent())),
    }
}

fn ended_during(phase: Phase, context: &Context) -> Error {
    let error = context.error().unwrap_or_else(|| Error::new(ErrorKind::Cancelled, "the context has ended"));
    error.during(phase)
}

fn body_until_cancelled(context: Context, body: Body) -> Body {
    // Content that is here already is waited for by nobody.
    if body.is_in_memory() {
        return body;
    }
    let waiting = context.clone();
    let cancelled: CancelledFuture = Box::pin(async move { waiting.cancelled().await });
    Body::from_source(CancelledBody { body, context, cancelled })
}

type CancelledFuture = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

struct CancelledBody {
    body: Body,
    context: Context,
    /// Completes when the context has ended.
    cancelled: CancelledFuture,
}

impl Source for CancelledBody {
    fn poll_frame(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<Result<Frame>>> {
        // Only where the content waits is there anything to be woken for.
        if !self.context.is_cancelled() {
            if let Poll::Ready(next) = self.body.poll_chunk(cx) {
                return Poll::Ready(match next {
                    Some(chunk) => Some(chunk.map(Frame::Data)),
                    None => self.body.take_trailer().map(|trailer| Ok(Frame::Trailer(trailer))),
                });
            }
            if self.cancelled.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        // With it goes the exchange, now: whoever has this body may keep it.
        self.body = Body::empty();
        Poll::Ready(Some(Err(ended_during(Phase::Body, &self.context))))
    }

    fn remaining(&self) -> Option<u64> {
        self.body.remaining()
    }
}
