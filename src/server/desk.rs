//! What a turn works with: a request, a writer and a parser, with the memory they have grown.
//!
//! A connection that waits has none. It borrows one when a head's first bytes are there and
//! gives it back when it waits again; each thread keeps a few.

use std::cell::RefCell;
use std::sync::Arc;

use http::{Method, Uri};

use super::line::Line;
use super::writer::ResponseWriter;
use crate::h1::RequestParser;
use crate::message::{Addr, Body, Context, Request};

#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) request: Request,
    pub(crate) writer: ResponseWriter,
    pub(crate) parser: RequestParser,
}

/// How many desks a thread keeps. More are simply freed.
const KEPT: usize = 32;
/// A header that held more than this is freed rather than kept.
const KEPT_FIELDS: usize = 64;

thread_local! {
    // Boxed, because what moves between connections is the pointer.
    #[expect(clippy::vec_box, reason = "a desk is large and handed on as its box")]
    static DESKS: RefCell<Vec<Box<Desk>>> = const { RefCell::new(Vec::new()) };
}

/// A clear desk for this connection.
pub(crate) fn borrow(line: &Arc<Line>, remote_addr: &Addr) -> Box<Desk> {
    let mut desk = DESKS.with_borrow_mut(Vec::pop).unwrap_or_else(|| {
        Box::new(Desk {
            request: Request::new(Method::GET, Uri::default(), Body::empty()),
            writer: ResponseWriter::new(),
            parser: RequestParser::default(),
        })
    });
    desk.writer.wire().attach(line);
    desk.request.remote_addr = remote_addr.clone();
    desk
}

/// Takes a desk back and clears it of everything that belonged to a peer.
pub(crate) fn give_back(mut desk: Box<Desk>) {
    desk.clear_turn();
    desk.request.context = Context::background();
    desk.writer.reset();
    desk.parser.reset();
    desk.writer.wire().detach();
    if desk.request.header.len() > KEPT_FIELDS {
        desk.request.header = crate::message::Header::new();
    }
    desk.request.header.clear();
    DESKS.with_borrow_mut(|kept| {
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
    }
}
