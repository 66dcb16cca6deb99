//! What surrounds a request: who serves it, where it came in, and whether anybody still waits.

use std::fmt;
use std::sync::{Arc, LazyLock};

use http::Extensions;

use super::addr::Addr;
use super::signal::Signal;

/// The surroundings of one request: cheap to clone, and free to be sent to other tasks.
///
/// [`cancelled`](Context::cancelled) completes when the request is over for its peer: the client
/// closed its connection, a write to it failed, or the handler returned. A next request that is
/// already waiting on the connection does not cancel this one (Go's `Request.Context`).
#[derive(Clone)]
pub struct Context {
    connection: Arc<ConnContext>,
    turn: u64,
}

/// What all requests of a connection share.
pub(crate) struct ConnContext {
    pub(crate) local_addr: Addr,
    pub(crate) values: Arc<Extensions>,
    pub(crate) turns: Signal,
    pub(crate) draining: Arc<Signal>,
}

impl ConnContext {
    pub(crate) fn new(local_addr: Addr, values: Arc<Extensions>, draining: Arc<Signal>) -> ConnContext {
        ConnContext { local_addr, values, turns: Signal::default(), draining }
    }
}

impl Context {
    /// A context that nothing surrounds and nothing cancels: what a request has that was made
    /// by hand.
    pub fn background() -> Context {
        static NOWHERE: LazyLock<Arc<ConnContext>> =
            LazyLock::new(|| Arc::new(ConnContext::new(Addr::unknown(), Arc::default(), Arc::default())));
        Context { connection: NOWHERE.clone(), turn: 0 }
    }

    /// Becomes the context of this turn.
    pub(crate) fn enter(&mut self, connection: &Arc<ConnContext>, turn: u64) {
        if !Arc::ptr_eq(&self.connection, connection) {
            self.connection = connection.clone();
        }
        self.turn = turn;
    }

    /// Completes once nobody waits for the answer any more. Cancel safe; may be awaited any
    /// number of times, in any task.
    pub async fn cancelled(&self) {
        self.connection.turns.wait(self.turn).await;
    }

    /// Whether [`cancelled`](Context::cancelled) would complete at once.
    pub fn is_cancelled(&self) -> bool {
        self.connection.turns.is_over(self.turn)
    }

    /// Completes once the server has begun to shut down: an answer that streams without end
    /// should then end itself, for the grace is bounded. Cancel safe.
    pub async fn draining(&self) {
        self.connection.draining.wait(0).await;
    }

    /// Whether the server has begun to shut down.
    pub fn is_draining(&self) -> bool {
        self.connection.draining.is_over(0)
    }

    /// The local address that the connection came in on.
    pub fn local_addr(&self) -> &Addr {
        &self.connection.local_addr
    }

    /// A value that `base_context` or `conn_context` of the server put there, by its type. The
    /// server puts itself there: `value::<Server>()`.
    pub fn value<T: Send + Sync + 'static>(&self) -> Option<&T> {
        self.connection.values.get()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("local_addr", self.local_addr())
            .field("turn", &self.turn)
            .field("cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}
