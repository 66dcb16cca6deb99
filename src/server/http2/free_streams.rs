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

#[cfg(test)]
mod tests {
    use super::super::stream_state::StreamLimits;
    use super::*;

    fn signals() -> Arc<ConnSignals> {
        Arc::new(ConnSignals { ready: ReadyList::new(), wants_close: AtomicBool::new(false) })
    }

    fn context(exchange: u64) -> StreamContext {
        let conn = Arc::new(ConnContext::new(Addr::unknown(), Arc::default(), Arc::default()));
        StreamContext { conn, exchange }
    }

    #[test]
    fn a_free_stream_refers_to_nothing_of_its_connection_which_keeps_the_number_of_its_exchange() {
        let (limits, signals) = (StreamLimits { outbound_bytes: 1, told_bytes: 1 }, signals());
        let stream_io = Arc::new(StreamIo::new(context(7), None, limits, &signals));
        let kept = release(stream_io).unwrap();
        assert_eq!((kept.exchange, Arc::strong_count(&kept.conn), Arc::strong_count(&signals)), (7, 1, 1));
        let mut again = acquire().unwrap();
        assert!(acquire().is_none(), "there is one");
        assert_eq!(again.context.exchange, 0);
        Arc::get_mut(&mut again).unwrap().attach(kept, None, limits, &signals);
        assert_eq!((again.context.exchange, Arc::strong_count(&signals)), (7, 2));
    }

    #[test]
    fn one_that_a_handler_still_refers_to_is_not_given_to_others() {
        let limits = StreamLimits { outbound_bytes: 1, told_bytes: 1 };
        let stream_io = Arc::new(StreamIo::new(context(1), None, limits, &signals()));
        let body = stream_io.clone();
        assert!(release(stream_io).is_none() && acquire().is_none());
        assert_eq!(body.context.exchange, 1);
    }
}
