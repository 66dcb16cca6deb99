//! What an exchange works with: a request, a writer and a parser, with the memory they have grown.
//!
//! A connection that waits has none. It borrows one when a head's first bytes are there and
//! gives it back when it waits again; each thread keeps a few.

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
    /// Memory for what the connection is to send.
    pub(crate) memory: Vec<u8>,
}

/// How many scratches a thread keeps. More are simply freed.
const KEPT: usize = 32;
/// A scratch that holds more memory than this is freed rather than kept: one peer's large head must
/// not cost it for good.
const KEPT_BYTES: usize = 32 * 1024;

thread_local! {
    // Boxed, because what moves between connections is the pointer.
    #[expect(clippy::vec_box, reason = "large, and handed on as its box")]
    static SCRATCHES: RefCell<Vec<Box<Scratch>>> = const { RefCell::new(Vec::new()) };
}

/// A clear scratch for this connection.
pub(crate) fn acquire_for(conn_io: &Arc<ConnIo>, state: &mut ConnIoState) -> Box<Scratch> {
    let mut scratch = acquire();
    scratch.writer.attach(Some(ResponseSink::Http1(conn_io.clone())));
    state.write_buffer.give_memory(std::mem::take(&mut scratch.memory));
    scratch
}

/// A clear scratch, for nobody yet.
#[inline]
pub(crate) fn acquire() -> Box<Scratch> {
    SCRATCHES.with_borrow_mut(Vec::pop).unwrap_or_else(|| {
        Box::new(Scratch {
            request: Request::new(Method::GET, Uri::default(), Body::empty()),
            writer: ResponseWriter::new(),
            parser: RequestParser::default(),
            memory: Vec::new(),
        })
    })
}

/// Takes a scratch back, which has no exchange's things on it any more, and clears it of all else that
/// belonged to a peer.
pub(crate) fn release_from(mut scratch: Box<Scratch>, state: &mut ConnIoState) {
    scratch.memory = state.write_buffer.take_memory();
    release(scratch);
}

/// The same for a scratch that has its memory already.
#[inline]
pub(crate) fn release(mut scratch: Box<Scratch>) {
    scratch.request.context = Context::background();
    scratch.request.tls = None;
    scratch.writer.reset();
    scratch.writer.attach(None);
    scratch.parser.reset();
    scratch.request.header.clear();
    if scratch.held() > KEPT_BYTES {
        return;
    }
    // A thread that ends has no place for scratches any more: a runtime may be the last thing it drops.
    let _ = SCRATCHES.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() < KEPT {
            kept.push(scratch);
        }
    });
}

impl Scratch {
    /// Lets go of what an exchange has left here.
    pub(crate) fn clear_exchange(&mut self) {
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
    async fn a_desk_that_came_back_is_borrowed_again_unless_it_has_grown_large() {
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
