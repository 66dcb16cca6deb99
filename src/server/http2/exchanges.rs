//! The exchanges of a connection that are under way, and the tasks they run on.
//!
//! Most handlers are done when they are polled for the first time. Where the runtime has one thread,
//! the connection's task does that itself, request by request as they came, and only an exchange that
//! waits for something becomes a task: a task, its entry in the set and two wakeups cost as much as all
//! else that this crate does for a request. Where there are several threads each exchange is a task at
//! once, so that the handlers of one connection can have them all, and one that blocks its thread
//! delays no other.

use std::collections::VecDeque;
use std::future::Future as _;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{JoinError, JoinSet};

use super::exchange::{Arrival, PendingExchange, StreamsShared};

pub(super) struct Exchanges {
    /// The exchanges that run as tasks.
    tasks: JoinSet<()>,
    /// The exchanges that have not begun yet.
    waiting: VecDeque<Arrival>,
    begin: Begin,
}

/// Where an exchange begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    /// In the connection's task.
    Here,
    /// In a task of its own.
    Apart,
}

/// The most exchanges that begin in a row before bytes are moved and other tasks run.
const MAX_BEGUN_IN_A_ROW_COUNT: usize = 64;

impl Exchanges {
    /// For a connection whose task is the present one.
    pub(super) fn new() -> Exchanges {
        let begin = match Handle::current().runtime_flavor() {
            RuntimeFlavor::CurrentThread => Begin::Here,
            _ => Begin::Apart,
        };
        Exchanges { tasks: JoinSet::new(), waiting: VecDeque::new(), begin }
    }

    /// How many are under way.
    pub(super) fn len(&self) -> usize {
        self.tasks.len() + self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty() && self.waiting.is_empty()
    }

    /// Whether some have not begun yet.
    pub(super) fn any_wait(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Starts an exchange, or has it wait for [`run_some`](Self::run_some).
    pub(super) fn start(&mut self, shared: &Arc<StreamsShared>, arrival: Arrival) {
        match self.begin {
            Begin::Here => self.waiting.push_back(arrival),
            Begin::Apart => self.spawn(shared, arrival),
        }
    }

    /// Begins some of the exchanges that wait. Returns whether there were any.
    pub(super) fn run_some(&mut self, shared: &Arc<StreamsShared>, cx: &mut Context<'_>) -> bool {
        let mut began = false;
        for _ in 0..MAX_BEGUN_IN_A_ROW_COUNT {
            let Some(arrival) = self.waiting.pop_front() else { break };
            began = true;
            let mut exchange = Box::pin(PendingExchange::new(shared, arrival).begin().run());
            if exchange.as_mut().poll(cx).is_pending() {
                // Polled once more by its task, which is what is woken from then on. Ends as others.
                self.tasks.spawn(exchange);
            }
        }
        began
    }

    /// Forgets the tasks that have ended, and is woken when the next one does.
    pub(super) fn reap(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(ended)) = self.tasks.poll_join_next(cx) {
            // An exchange catches what a handler throws: another panic is a bug of this crate, and is shown.
            if let Err(Ok(payload)) = ended.map_err(JoinError::try_into_panic) {
                resume_unwind(payload);
            }
        }
    }

    /// Until all have run, those too that have not begun yet.
    pub(super) async fn end(&mut self, shared: &Arc<StreamsShared>) {
        for arrival in std::mem::take(&mut self.waiting) {
            self.spawn(shared, arrival);
        }
        while self.tasks.join_next().await.is_some() {}
    }

    fn spawn(&mut self, shared: &Arc<StreamsShared>, arrival: Arrival) {
        // Boxed: a task is moved while it is made.
        let exchange = Box::new(PendingExchange::new(shared, arrival));
        // Ends with its handler; when the connection's task ends before, the set ends it.
        self.tasks.spawn(async move { exchange.begin().run().await });
    }
}
