//! A body out of a stream of chunks.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;

use super::{Body, Frame, Source};
use crate::error::{Error, Result};

impl Body {
    /// A body of unknown length out of a stream of chunks. Empty chunks are passed over; an
    /// error ends it.
    pub fn from_stream<S, B, E>(stream: S) -> Body
    where
        S: Stream<Item = Result<B, E>> + Send + 'static,
        B: Into<Bytes>,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Body::from_source(StreamSource(Mutex::new(Box::pin(stream))))
    }
}

/// A stream in a mutex that is never locked (`get_mut` is enough): it only makes the stream `Sync`.
struct StreamSource<S: ?Sized>(Mutex<Pin<Box<S>>>);

impl<S, B, E> Source for StreamSource<S>
where
    S: Stream<Item = Result<B, E>> + Send + ?Sized,
    B: Into<Bytes>,
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        let stream = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        loop {
            match std::task::ready!(stream.as_mut().poll_next(cx)) {
                Some(Ok(chunk)) => {
                    let chunk = chunk.into();
                    if !chunk.is_empty() {
                        return Poll::Ready(Some(Ok(Frame::Data(chunk))));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(Error::from(error.into())))),
                None => return Poll::Ready(None),
            }
        }
    }

    fn remaining(&self) -> Option<u64> {
        None
    }
}
