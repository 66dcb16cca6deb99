//! Content on its way out: no more than the windows and the buffer take.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::SendStream;

use super::error::{gone, stream_error};
use crate::error::{Error, Phase, Result};

/// Waits for room for some of so much content, and says for how much: never more than can be handed
/// over at once, so that what waits for the peer waits with who wrote it.
pub(crate) fn poll_room(stream: &mut SendStream<Bytes>, want: usize, cx: &mut Context<'_>) -> Poll<Result<usize>> {
    stream.reserve_capacity(want);
    loop {
        let room = stream.capacity();
        if room > 0 {
            return Poll::Ready(Ok(room.min(want)));
        }
        match ready!(stream.poll_capacity(cx)) {
            // The room is looked at again: another may have taken it.
            Some(Ok(_)) => {}
            Some(Err(error)) => return Poll::Ready(Err(stream_error(error, Phase::Write))),
            None => return Poll::Ready(Err(why_closed(stream, cx))),
        }
    }
}

fn why_closed(stream: &mut SendStream<Bytes>, cx: &mut Context<'_>) -> Error {
    match stream.poll_reset(cx) {
        Poll::Ready(Ok(reason)) => gone(Phase::Write).with_source(h2::Error::from(reason)),
        Poll::Ready(Err(error)) => stream_error(error, Phase::Write),
        Poll::Pending => gone(Phase::Write),
    }
}
