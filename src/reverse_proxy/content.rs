//! The content of the received request, while it is sent on.
//!
//! It comes once. What is read of it is kept for as long as it is short, so that an upstream which did not act on the
//! request can be followed by another one. With the first byte beyond that it only passes through, and so it does
//! from the moment on that there is a response.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use super::fields::remove_hop_by_hop;
use super::forwarded::remove_forwarding;
use crate::error::{Error, ErrorKind, Result};
use crate::message::{Body, Frame, Source};

/// As much content is kept for another attempt.
const MAX_KEPT_BYTES: usize = 64 * 1024;

/// The content, of which each attempt gets a body.
pub(super) enum RelayedContent {
    /// All of it is here, perhaps nothing.
    Memory(Body),
    Streamed(Arc<Mutex<ContentState>>),
}

/// Content that arrives.
pub(super) struct ContentState {
    source: Body,
    /// The pieces that were read, all of them while this is kept.
    kept: Option<Vec<Bytes>>,
    kept_bytes: usize,
    read_bytes: u64,
    error: Option<Error>,
}

impl RelayedContent {
    pub(super) fn of(source: Body) -> RelayedContent {
        if source.is_in_memory() && source.is_replayable() && source.trailer().is_none() {
            return RelayedContent::Memory(source);
        }
        let state = ContentState { source, kept: Some(Vec::new()), kept_bytes: 0, read_bytes: 0, error: None };
        RelayedContent::Streamed(Arc::new(Mutex::new(state)))
    }

    /// A body for another attempt, from the start of the content; `None` where that is gone.
    pub(super) fn body(&self) -> Option<Body> {
        match self {
            RelayedContent::Memory(body) => body.try_clone().ok().flatten(),
            RelayedContent::Streamed(state) => {
                let state = state.clone();
                Body::from_fn(move || again(&state)).ok()
            }
        }
    }

    /// No attempt will follow.
    pub(super) fn stop_keeping(&self) {
        if let RelayedContent::Streamed(state) = self {
            lock(state).kept = None;
        }
    }

    /// How much of it was read.
    pub(super) fn read_bytes(&self) -> u64 {
        match self {
            RelayedContent::Memory(body) => body.remaining().unwrap_or_default(),
            RelayedContent::Streamed(state) => lock(state).read_bytes,
        }
    }

    /// The error that reading it has met, which is its sender's.
    pub(super) fn error(&self) -> Option<Error> {
        match self {
            RelayedContent::Memory(_) => None,
            RelayedContent::Streamed(state) => lock(state).error.as_ref().map(Error::again),
        }
    }
}

fn again(state: &Arc<Mutex<ContentState>>) -> Result<Body> {
    if lock(state).kept.is_none() {
        return Err(Error::new(ErrorKind::RequestOver, "the content was sent, and is not kept"));
    }
    Ok(Body::from_source(RelayedSource { state: state.clone(), next_piece: 0 }))
}

fn lock(state: &Mutex<ContentState>) -> MutexGuard<'_, ContentState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The content as one attempt reads it: first the pieces that an attempt before it has read.
struct RelayedSource {
    state: Arc<Mutex<ContentState>>,
    next_piece: usize,
}

impl Source for RelayedSource {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let mut state = lock(&self.state);
        let kept = state.kept.as_ref().and_then(|kept| kept.get(self.next_piece));
        if let Some(piece) = kept.cloned() {
            self.next_piece += 1;
            return Poll::Ready(Some(Ok(Frame::Data(piece))));
        }
        let frame = ready!(state.poll_frame(cx));
        self.next_piece += 1;
        Poll::Ready(frame)
    }

    fn remaining(&self) -> Option<u64> {
        let state = lock(&self.state);
        let repeated = state.kept.iter().flatten().skip(self.next_piece).map(|piece| piece.len() as u64);
        state.source.remaining()?.checked_add(repeated.sum())
    }
}

impl ContentState {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        Poll::Ready(match ready!(self.source.poll_chunk(cx)) {
            Some(Ok(piece)) => {
                self.keep(&piece);
                Some(Ok(Frame::Data(piece)))
            }
            Some(Err(error)) => {
                self.error = Some(error.again());
                Some(Err(error))
            }
            None => self.trailer(),
        })
    }

    fn keep(&mut self, piece: &Bytes) {
        self.read_bytes = self.read_bytes.saturating_add(piece.len() as u64);
        self.kept_bytes = self.kept_bytes.saturating_add(piece.len());
        if self.kept_bytes > MAX_KEPT_BYTES {
            self.kept = None;
        }
        if let Some(kept) = &mut self.kept {
            kept.push(piece.clone());
        }
    }

    /// The trailer without what this proxy writes itself: behind the content a client could say it once more.
    fn trailer(&self) -> Option<Result<Frame>> {
        let mut trailer = self.source.trailer()?.clone();
        remove_hop_by_hop(&mut trailer);
        remove_forwarding(&mut trailer);
        (!trailer.is_empty()).then_some(Ok(Frame::Trailer(trailer)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Header;

    /// Pieces one by one, then a trailer.
    struct Pieces(Vec<Bytes>, Option<Header>);

    impl Source for Pieces {
        fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
            if self.0.is_empty() {
                return Poll::Ready(self.1.take().map(|trailer| Ok(Frame::Trailer(trailer))));
            }
            Poll::Ready(Some(Ok(Frame::Data(self.0.remove(0)))))
        }

        fn remaining(&self) -> Option<u64> {
            None
        }
    }

    fn streamed(pieces: &[&'static [u8]], trailer: &[(&str, &str)]) -> RelayedContent {
        let pieces = pieces.iter().map(|piece| Bytes::from_static(piece)).collect();
        RelayedContent::of(Body::from_source(Pieces(pieces, Some(trailer.iter().copied().collect()))))
    }

    #[tokio::test]
    async fn another_attempt_has_the_content_from_its_start() {
        let content = streamed(&[b"one ", b"two ", b"three"], &[]);
        let mut first = content.body().unwrap();
        assert_eq!(first.chunk().await.unwrap().unwrap(), "one ");
        assert_eq!(first.chunk().await.unwrap().unwrap(), "two ");
        drop(first);
        let mut second = content.body().unwrap();
        assert_eq!(second.text().await.unwrap(), "one two three");
        assert_eq!(content.read_bytes(), 13);
        assert_eq!(content.body().unwrap().text().await.unwrap(), "one two three");
    }

    #[tokio::test]
    async fn long_content_and_content_that_has_a_response_come_once() {
        let content = streamed(&[&[b'x'; MAX_KEPT_BYTES], b"y"], &[]);
        let mut body = content.body().unwrap();
        body.chunk().await.unwrap();
        assert!(body.is_replayable() && content.body().is_some());
        body.chunk().await.unwrap();
        assert!(content.body().is_none());
        assert_eq!(body.try_clone().unwrap_err().kind(), ErrorKind::RequestOver);

        let content = streamed(&[b"x"], &[]);
        content.stop_keeping();
        assert!(content.body().is_none());
    }

    #[tokio::test]
    async fn a_trailer_has_nothing_that_the_proxy_writes() {
        let fields = [("X-Sum", "1"), ("X-Forwarded-For", "6.6.6.6"), ("Forwarded", "for=x"), ("Connection", "x")];
        let mut body = streamed(&[b"x"], &fields).body().unwrap();
        body.text().await.unwrap();
        let trailer: Vec<_> = body.trailer().unwrap().iter().map(|(name, _)| name.to_owned()).collect();
        assert_eq!(trailer, ["X-Sum"]);
    }

    #[tokio::test]
    async fn the_error_of_its_sender_is_remembered() {
        struct Broken;
        impl Source for Broken {
            fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
                Poll::Ready(Some(Err(Error::cut_off(crate::error::Phase::Body))))
            }
            fn remaining(&self) -> Option<u64> {
                Some(5)
            }
        }
        let content = RelayedContent::of(Body::from_source(Broken));
        assert!(content.error().is_none());
        assert!(content.body().unwrap().chunk().await.is_err());
        assert_eq!(content.error().unwrap().kind(), ErrorKind::CutOff);
    }
}
