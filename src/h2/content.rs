//! The content of a stream on its way in, and on its way out: no more than the windows and the buffer take.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{RecvStream, SendStream};

use super::error::{gone, stream_error};
use super::fields::to_trailer;
use crate::error::{Error, Phase, Result};
use crate::message::Frame;

/// The content of a stream. What was read makes room in the windows, so a peer can send no further
/// ahead than they are wide. `h2` checks that the content has the announced length (RFC 9113 §8.1.1):
/// otherwise it resets the stream, and reading fails.
#[derive(Debug)]
pub(crate) struct Received {
    stream: RecvStream,
    left: Option<u64>,
    data_is_over: bool,
}

impl Received {
    /// Content of this length, where one was announced.
    pub(crate) fn new(stream: RecvStream, length: Option<u64>) -> Received {
        Received { stream, left: length, data_is_over: false }
    }

    /// How much is still to come, where that is known.
    pub(crate) fn remaining(&self) -> Option<u64> {
        self.left
    }

    /// The next piece. Room is made in the windows for as much as `most`: what goes beyond is read,
    /// and then the peer can send no more.
    pub(crate) fn poll_within(&mut self, cx: &mut Context<'_>, most: u64) -> Poll<Option<Result<Frame>>> {
        self.poll_releasing(cx, |len| if len as u64 <= most { len } else { 0 }, in_content)
    }

    /// The next piece; not to be asked after the end or an error.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        self.poll_or(cx, in_content)
    }

    /// The same, with errors in words of the caller's own.
    pub(crate) fn poll_or(
        &mut self,
        cx: &mut Context<'_>,
        in_words: impl Fn(h2::Error) -> Error,
    ) -> Poll<Option<Result<Frame>>> {
        self.poll_releasing(cx, |len| len, in_words)
    }

    fn poll_releasing(
        &mut self,
        cx: &mut Context<'_>,
        release: impl Fn(usize) -> usize,
        in_words: impl Fn(h2::Error) -> Error,
    ) -> Poll<Option<Result<Frame>>> {
        while !self.data_is_over {
            match ready!(self.stream.poll_data(cx)) {
                Some(Ok(data)) => {
                    // Fails only where more is released than came.
                    let _ = self.stream.flow_control().release_capacity(release(data.len()));
                    self.left = self.left.map(|left| left.saturating_sub(data.len() as u64));
                    if !data.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::Data(data))));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(in_words(error)))),
                None => self.data_is_over = true,
            }
        }
        Poll::Ready(match ready!(self.stream.poll_trailers(cx)) {
            Ok(fields) => fields.map(|fields| to_trailer(&fields)).filter(|fields| !fields.is_empty()),
            Err(error) => return Poll::Ready(Some(Err(in_words(error)))),
        })
        .map(|trailer| trailer.map(|trailer| Ok(Frame::Trailer(trailer))))
    }
}

fn in_content(error: h2::Error) -> Error {
    stream_error(error, Phase::Body)
}

/// Waits for room for some of this much content, and returns for how much: never more than can be
/// handed over at once, so that content that has to wait stays with its writer.
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
