//! A body whose content comes in pieces.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use nethttp::Body;

struct Pieces(std::vec::IntoIter<Bytes>);

impl Stream for Pieces {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next().map(Ok))
    }
}

/// Pieces of this size; at once, where it is 0.
pub fn pieces(content: &[u8], size: usize) -> Body {
    if size == 0 {
        return Body::from(content.to_vec());
    }
    let pieces: Vec<Bytes> = content.chunks(size).map(Bytes::copy_from_slice).collect();
    Body::from_stream(Pieces(pieces.into_iter()))
}
