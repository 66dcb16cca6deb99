//! Whichever of two futures is done first.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// Which of two futures was done first.
pub(super) enum FirstOf<L, R> {
    Left(L),
    Right(R),
}

/// Polls both, the left one first, until one is done.
pub(super) async fn first_of<L: Future, R: Future>(
    mut left: Pin<&mut L>,
    mut right: Pin<&mut R>,
) -> FirstOf<L::Output, R::Output> {
    poll_fn(|cx| {
        if let Poll::Ready(output) = left.as_mut().poll(cx) {
            return Poll::Ready(FirstOf::Left(output));
        }
        right.as_mut().poll(cx).map(FirstOf::Right)
    })
    .await
}
