//! What the task of a connection does whichever protocol it speaks.
//!
//! ```text
//!  accept ─▶ http1::serve ──┬─▶ closed
//!                           └─ the preface of HTTP/2: SwitchingConn ─▶ http2::serve ─▶ closed
//! ```
//!
//! The two futures follow each other and are never there together: a connection of HTTP/2 is kept for long and
//! is mostly idle, and would pay for the memory of an HTTP/1.1 exchange all that time.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::time::Instant;

use super::cached_now;
use super::exchange::ConnShared;
use super::registration::Registration;
use super::registry::{Command, Entry};
use crate::message::ConnContext;
use crate::net::Io;

/// A connection whose client speaks HTTP/2, with the bytes that have shown that.
pub(crate) struct SwitchingConn {
    pub(crate) shared: ConnShared,
    pub(crate) context: Arc<ConnContext>,
    pub(crate) io: Io,
    pub(crate) accepted: Instant,
    pub(crate) registration: Registration,
}

/// Until it ends by itself, or `None` once the registry's command is `Stop`. The task is known to the registry
/// from the first poll on.
pub(crate) fn unless_cut<F: Future>(
    entry: Arc<Entry>,
    mut serving: Pin<&mut F>,
) -> impl Future<Output = Option<F::Output>> {
    poll_fn(move |cx| {
        entry.set_waker(cx.waker());
        if entry.command() == Command::Stop {
            return Poll::Ready(None);
        }
        cached_now::for_one_poll(|| serving.as_mut().poll(cx)).map(Some)
    })
}
