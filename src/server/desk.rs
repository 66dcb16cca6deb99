//! What a turn works with: a request, a writer and a parser, with the memory they have grown.
//!
//! A connection that waits has none. It borrows one when a head's first bytes are there and
//! gives it back when it waits again; each thread keeps a few.

use std::cell::RefCell;
use std::sync::Arc;

use http::{Method, Uri};

use super::line::{Line, LineState};
use super::outlet::Outlet;
use super::writer::ResponseWriter;
use crate::h1::RequestParser;
use crate::message::{Body, Context, Request, Timeouts};

#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) request: Request,
    pub(crate) writer: ResponseWriter,
    pub(crate) parser: RequestParser,
    /// Memory for what the connection is to send.
    pub(crate) memory: Vec<u8>,
}

/// How many desks a thread keeps. More are simply freed.
const KEPT: usize = 32;
/// A desk that holds more memory than this is freed rather than kept: one peer's large head must
/// not cost it for good.
const KEPT_BYTES: usize = 32 * 1024;

thread_local! {
    // Boxed, because what moves between connections is the pointer.
    #[expect(clippy::vec_box, reason = "a desk is large and handed on as its box")]
    static DESKS: RefCell<Vec<Box<Desk>>> = const { RefCell::new(Vec::new()) };
}

/// A clear desk for this connection.
pub(crate) fn borrow(line: &Arc<Line>, state: &mut LineState) -> Box<Desk> {
    let mut desk = take();
    desk.writer.attach(Some(Outlet::Line(line.clone())));
    state.outbox.use_memory(std::mem::take(&mut desk.memory));
    desk
}

/// A clear desk, for nobody yet.
#[inline]
pub(crate) fn take() -> Box<Desk> {
    DESKS.with_borrow_mut(Vec::pop).unwrap_or_else(|| {
        Box::new(Desk {
            request: Request::new(Method::GET, Uri::default(), Body::empty()),
            writer: ResponseWriter::new(),
            parser: RequestParser::default(),
            memory: Vec::new(),
        })
    })
}

/// Takes a desk back, which has no turn's things on it any more, and clears it of all else that
/// belonged to a peer.
pub(crate) fn give_back(mut desk: Box<Desk>, state: &mut LineState) {
    desk.memory = state.outbox.lend_memory();
    put_back(desk);
}

/// The same for a desk that has its memory already.
#[inline]
pub(crate) fn put_back(mut desk: Box<Desk>) {
    desk.request.context = Context::background();
    desk.request.tls = None;
    desk.writer.reset();
    desk.writer.attach(None);
    desk.parser.reset();
    desk.request.header.clear();
    if desk.held() > KEPT_BYTES {
        return;
    }
    // A thread that ends has no place for desks any more: a runtime may be the last thing it drops.
    let _ = DESKS.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() < KEPT {
            kept.push(desk);
        }
    });
}

impl Desk {
    /// Lets go of what a turn has left here.
    pub(crate) fn clear_turn(&mut self) {
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
    use crate::server::settings::State;

    fn line() -> Arc<Line> {
        let context = Arc::new(ConnContext::new(Addr::unknown(), Arc::default(), Arc::default()));
        Arc::new(Line::new(Io::new(tokio::io::empty()), context, None, Arc::new(State::new())))
    }

    #[tokio::test]
    async fn a_desk_that_came_back_is_borrowed_again_unless_it_has_grown_large() {
        let line = line();
        let state = &mut line.lock();
        for (size, kept) in [(1_000, true), (100_000, false)] {
            let mut desk = borrow(&line, state);
            desk.request.header.load(&vec![b'x'; size], 0);
            give_back(desk, state);
            assert_eq!(borrow(&line, state).request.header.held() >= size, kept, "{size}");
        }
    }
}
