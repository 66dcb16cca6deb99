//! What holds for a part of the routes: middleware, and handlers for 404 and 405. A mux has a scope, and
//! so does each group. A request goes through all scopes that its handler lies in, the outermost first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::arena::Arena;
use super::response::MuxResponse;
use crate::message::{Header, Request, Retargeted};
use crate::server::middleware::BoxMiddleware;
use crate::server::{BoxHandler, Chain, HandlerFuture, Middleware as _, Next, Position, ResponseWriter};

/// What was given to a mux or to a group, apart from routes. All of it may come while requests run.
#[derive(Default)]
pub(super) struct RouteScope {
    /// The outermost first.
    pub(super) middleware: Arena<BoxMiddleware>,
    pub(super) not_found: Latest,
    pub(super) method_not_allowed: Latest,
}

impl RouteScope {
    /// The response to a preflight by the rules of its middleware from this one on.
    pub(super) fn preflight_from(&self, index: usize, r: &Request) -> Option<Header> {
        self.middleware.iter().skip(index).fold(None, |outer, middleware| middleware.preflight(r).or(outer))
    }
}

/// A handler that the next one replaces. Requests that run keep the one that they have.
#[derive(Default)]
pub(super) struct Latest {
    all: Arena<BoxHandler>,
    /// How many there were when the last one came.
    count: AtomicUsize,
}

impl Latest {
    pub(super) fn set(&self, handler: BoxHandler) {
        let count = self.all.push(handler) + 1;
        self.count.store(count, Ordering::Release);
    }

    pub(super) fn get(&self) -> Option<&BoxHandler> {
        self.all.get(self.count.load(Ordering::Acquire).checked_sub(1)?)
    }
}

/// One step from the mux to a handler.
#[derive(Clone)]
pub(super) enum Step {
    /// Into a scope: through its middleware.
    Into(Arc<RouteScope>),
    /// Below a mount: so many segments of the path are taken off.
    Below(usize),
}

impl Step {
    fn is_same(&self, other: &Step) -> bool {
        match (self, other) {
            (Step::Into(one), Step::Into(other)) => Arc::ptr_eq(one, other),
            (Step::Below(one), Step::Below(other)) => one == other,
            _ => false,
        }
    }
}

/// The first steps that all of these have in common.
pub(super) fn common_steps<'a>(mut ways: impl Iterator<Item = &'a [Step]>) -> &'a [Step] {
    let first = ways.next().unwrap_or_default();
    let count = ways.fold(first.len(), |count, steps| {
        first.iter().zip(steps).take(count).take_while(|(one, other)| one.is_same(other)).count()
    });
    first.get(..count).unwrap_or_default()
}

/// The steps from the mux to a handler, without the mux's own scope: that one comes before a route is
/// chosen.
pub(super) type Steps = Arc<[Step]>;

/// Goes on from a position among the steps: to the next middleware, or behind the last step to the end.
/// `chain` is what has the steps; each middleware calls it again for what follows.
pub(super) fn follow<'a>(
    chain: &'a (dyn Chain + 'a),
    steps: &'a [Step],
    mut position: Position,
    w: &'a mut ResponseWriter,
    r: &'a mut Request,
    end: impl FnOnce(&'a mut ResponseWriter, &'a mut Request) -> HandlerFuture<'a>,
) -> HandlerFuture<'a> {
    while let Some(step) = steps.get(position.step as usize) {
        match step {
            Step::Into(scope) => {
                if let Some(middleware) = scope.middleware.get(position.index as usize) {
                    return middleware.handle_boxed(w, r, Next::at(chain, position.after()));
                }
            }
            Step::Below(segment_count) => {
                return Box::pin(below(chain, *segment_count, position.next_step(), w, r));
            }
        }
        position = position.next_step();
    }
    end(w, r)
}

/// The response to a preflight by the rules of the innermost scope from a position on that has some.
pub(super) fn preflight_by_steps(steps: &[Step], position: Position, r: &Request) -> Option<Header> {
    let left = steps.iter().enumerate().skip(position.step as usize);
    let scopes = left.filter_map(|(at, step)| match step {
        Step::Into(scope) => Some((if at == position.step as usize { position.index } else { 0 }, scope)),
        Step::Below(_) => None,
    });
    scopes.fold(None, |outer, (index, scope)| scope.preflight_from(index as usize, r).or(outer))
}

/// The rest of the steps, with a shorter path until they are done.
async fn below(
    chain: &(dyn Chain + '_),
    segment_count: usize,
    position: Position,
    w: &mut ResponseWriter,
    r: &mut Request,
) -> crate::error::Result<()> {
    match Retargeted::below(r, segment_count) {
        Ok(below) => chain.run_from(position, w, below.request).await,
        // A middleware before this step has set another path: nothing of the mount is there.
        Err(_) => MuxResponse::not_found().send(w).await,
    }
}
