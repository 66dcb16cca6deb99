//! A future that is dropped at a poll, wherever it is then.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Polls a future so often, and drops it then.
pub(crate) struct Cut<F> {
    doing: Option<Pin<Box<F>>>,
    polls: u64,
}

impl<F: Future> Cut<F> {
    pub(crate) fn after(polls: u64, doing: F) -> Cut<F> {
        Cut { doing: Some(Box::pin(doing)), polls }
    }
}

impl<F: Future> Future for Cut<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<F::Output>> {
        let Some(doing) = &mut self.doing else { return Poll::Ready(None) };
        if let Poll::Ready(done) = doing.as_mut().poll(cx) {
            return Poll::Ready(Some(done));
        }
        self.polls = self.polls.saturating_sub(1);
        if self.polls > 0 {
            return Poll::Pending;
        }
        self.doing = None;
        Poll::Ready(None)
    }
}
