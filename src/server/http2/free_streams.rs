//! The `StreamIo`s that no connection uses, for the next request of any connection on this thread.
//!
//! Most connections are idle most of the time, and a `StreamIo` with the memory of its head is a quarter of what
//! one would cost. What belongs to its connection stays there: the context, which says for good that the
//! exchanges before are over.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::stream_io::{ConnSignals, StreamContext, StreamIo};
use crate::message::{Addr, ConnContext};
use crate::net::ReadyList;

/// How many a thread keeps.
const MAX_FREE_COUNT: usize = 32;

struct FreeStreams {
    streams: Vec<Arc<StreamIo>>,
    /// What one refers to while it has no connection.
    no_context: Arc<ConnContext>,
    no_signals: Arc<ConnSignals>,
}

thread_local! {
    static FREE: RefCell<FreeStreams> = RefCell::new(FreeStreams {
        streams: Vec::new(),
        no_context: Arc::new(ConnContext::new(Addr::unknown(), Arc::default(), Arc::default())),
        no_signals: Arc::new(ConnSignals { ready: ReadyList::new(), wants_close: AtomicBool::new(false) }),
    });
}

/// One that nobody else refers to, to be [attached](StreamIo::attach).
pub(super) fn acquire() -> Option<Arc<StreamIo>> {
    FREE.with_borrow_mut(|free| free.streams.pop())
}

/// Keeps one that has given back its memory, and returns what belongs to its connection. `None` where somebody
/// else refers to it, or the thread is ending.
pub(super) fn release(mut stream_io: Arc<StreamIo>) -> Option<StreamContext> {
    let kept = FREE.try_with(|free| {
        let free = &mut *free.borrow_mut();
        let only = Arc::get_mut(&mut stream_io)?;
        let context = only.detach(free.no_context.clone(), free.no_signals.clone());
        if free.streams.len() < MAX_FREE_COUNT {
            free.streams.push(stream_io);
        }
        Some(context)
    });
    kept.ok().flatten()
}
