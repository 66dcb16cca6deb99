//! The objects that an exchange needs (a request, a response writer and a parser), kept with the memory
//! that they have grown to, so that the next exchange allocates nothing.
//!
//! An idle connection has none: it acquires one when the first bytes of a head are there, and releases it
//! before it waits with an empty input. Each thread keeps a few free ones.

use std::cell::RefCell;
use std::sync::Arc;

use http::{Method, Uri};

use super::http1::conn_io::{ConnIo, ConnIoState};
use super::response::ResponseWriter;
use super::response::sink::ResponseSink;
use crate::h1::RequestParser;
use crate::message::{Body, Context, Request, Timeouts};

#[derive(Debug)]
pub(crate) struct Scratch {
    pub(crate) request: Request,
    pub(crate) writer: ResponseWriter,
    pub(crate) parser: RequestParser,
    /// Memory for the write buffer, while no connection uses it.
    pub(crate) memory: Vec<u8>,
}

/// How many free ones a thread keeps.
const MAX_FREE_COUNT: usize = 32;
/// One that has grown larger than this is not kept: a peer's large head must not cost the memory for
/// good.
const MAX_FREE_BYTES: usize = 32 * 1024;

thread_local! {
    // Boxed, so that only a pointer moves between connections.
    #[expect(clippy::vec_box, reason = "large, and handed on as its box")]
    static FREE: RefCell<Vec<Box<Scratch>>> = const { RefCell::new(Vec::new()) };
}

/// A cleared one, to write responses to this connection.
pub(crate) fn acquire_for(conn_io: &Arc<ConnIo>, state: &mut ConnIoState) -> Box<Scratch> {
    let mut scratch = acquire();
    scratch.writer.attach(Some(ResponseSink::Http1(conn_io.clone())));
    state.write_buffer.give_memory(std::mem::take(&mut scratch.memory));
    scratch
}

/// A cleared one, whose writer is not attached yet.
#[inline]
pub(crate) fn acquire() -> Box<Scratch> {
    FREE.with_borrow_mut(Vec::pop).unwrap_or_else(|| {
        Box::new(Scratch {
            request: Request::new(Method::GET, Uri::default(), Body::empty()),
            writer: ResponseWriter::new(),
            parser: RequestParser::default(),
            memory: Vec::new(),
        })
    })
}

/// Clears everything that came from the peer, and keeps the scratch for the next exchange on this
/// thread. What belongs to one exchange is cleared before: see [`Scratch::clear_exchange`].
pub(crate) fn release_from(mut scratch: Box<Scratch>, state: &mut ConnIoState) {
    scratch.memory = state.write_buffer.take_memory();
    release(scratch);
}

/// The same for one that has its `memory` already.
#[inline]
pub(crate) fn release(mut scratch: Box<Scratch>) {
    scratch.request.context = Context::background();
    scratch.request.tls = None;
    scratch.writer.attach(None);
    scratch.parser.reset();
    scratch.request.header.clear();
    if scratch.held() > MAX_FREE_BYTES {
        return;
    }
    // `try_with`: a thread that ends may drop its runtime, and connections with it, after this list.
    let _ = FREE.try_with(|free| {
        let mut free = free.borrow_mut();
        if free.len() < MAX_FREE_COUNT {
            free.push(scratch);
        }
    });
}

/// Memory for the write buffer that no connection uses: for the next exchange on this thread.
pub(crate) fn give_memory(memory: Vec<u8>) {
    let _ = FREE.try_with(|free| {
        let mut free = free.borrow_mut();
        if let Some(scratch) = free.last_mut().filter(|scratch| scratch.memory.capacity() == 0) {
            scratch.memory = memory;
        }
    });
}

impl Scratch {
    /// Drops what belongs to one exchange; the memory of its fields stays.
    pub(crate) fn clear_exchange(&mut self) {
        self.writer.clear();
        let request = &mut self.request;
        request.body = Body::empty();
        request.pattern = None;
        request.path_values.clear();
        request.extensions.clear();
        request.trailer.clear();
        request.timeouts = Timeouts::default();
    }

    fn held(&mut self) -> usize {
        let Request { header, request_uri, .. } = &self.request;
        header.held() + request_uri.capacity() + self.parser.held() + self.writer.header().held()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Addr, ConnContext};
    use crate::net::Io;
    use crate::server::state::State;

    fn conn_io() -> Arc<ConnIo> {
        let context = Arc::new(ConnContext::new(Addr::unknown(), Arc::default(), Arc::default()));
        Arc::new(ConnIo::new(Io::new(tokio::io::empty()), context, None, Arc::new(State::new())))
    }

    #[tokio::test]
    async fn what_was_released_is_acquired_again_unless_it_has_grown_large() {
        let conn_io = conn_io();
        let state = &mut conn_io.lock();
        for (size, kept) in [(1_000, true), (100_000, false)] {
            let mut scratch = acquire_for(&conn_io, state);
            scratch.request.header.load(&vec![b'x'; size], 0);
            release_from(scratch, state);
            assert_eq!(acquire_for(&conn_io, state).request.header.held() >= size, kept, "{size}");
        }
    }
}
