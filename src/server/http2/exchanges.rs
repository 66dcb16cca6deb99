//! The exchanges of a connection that are under way, and the tasks they run on.
//!
//! Most handlers are done when they are polled for the first time. The connection's task does that itself,
//! request by request as they came, and only an exchange that waits for something becomes a task: a task, its
//! entry in the set and two wakeups cost more than all else that this crate does for a request, and on a
//! runtime of several threads three times that. The memory of an exchange's future is used again by
//! the next on its thread.
//!
//! A handler that computes for long, or that blocks its thread, would hold up all others of its connection
//! that way. So where there are several threads, a connection's first requests begin as tasks of their own,
//! and so do the next ones whenever those that began in a row have taken [`MAX_ROW_TIME`]: handlers have to
//! show that they are quick. Where there is one thread nothing is gained by a task.

use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{JoinError, JoinSet};

use super::exchange::StartedExchange;
use super::stream_io::StreamIo;

pub(super) struct Exchanges<F> {
    /// Makes the future of an exchange.
    run: fn(StartedExchange) -> F,
    /// The exchange that has begun and waits, until it goes on as a task.
    waiting: Option<Box<Place<F>>>,
    /// The exchanges that run as tasks. Made for the first of them.
    tasks: Option<JoinSet<Arc<StreamIo>>>,
    begin: Begin,
    /// When the first of those began that begin in a row.
    row_began: Option<Instant>,
}

/// Where exchanges begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    /// In the connection's task, always.
    Here,
    /// As tasks of their own, so many more.
    Apart(u32),
}

/// How far an exchange is after its beginning.
pub(super) enum Begun {
    /// It is over.
    Done(Arc<StreamIo>),
    /// It waits, and is to be given a stream before it goes on as a task.
    Waits,
}

thread_local! {
    /// The [`Place`] of an exchange that is over.
    static SPARE: Cell<Option<Box<dyn Any>>> = const { Cell::new(None) };
}

/// How long the exchanges that begin in a row may take together before the next ones begin as tasks.
const MAX_ROW_TIME: Duration = Duration::from_micros(200);

/// So many begin as tasks then.
const APART_COUNT: u32 = 64;

impl<F: Future<Output = Arc<StreamIo>> + Send + 'static> Exchanges<F> {
    /// For a connection whose task is the present one.
    pub(super) fn new(run: fn(StartedExchange) -> F) -> Exchanges<F> {
        let begin = match Handle::current().runtime_flavor() {
            RuntimeFlavor::CurrentThread => Begin::Here,
            _ => Begin::Apart(APART_COUNT),
        };
        Exchanges { run, waiting: None, tasks: None, begin, row_began: None }
    }

    /// Whether none runs as a task.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.as_ref().is_none_or(JoinSet::is_empty)
    }

    /// Another row begins: bytes were moved, or other tasks ran.
    pub(super) fn end_row(&mut self) {
        self.row_began = None;
    }

    /// Whether the next exchange begins as a task of its own, and so needs a stream first.
    pub(super) fn begins_apart(&mut self) -> bool {
        match &mut self.begin {
            Begin::Apart(left) if *left > 0 => {
                *left -= 1;
                true
            }
            Begin::Here | Begin::Apart(_) => false,
        }
    }

    /// Polls an exchange for the first time. One that waits is kept until it [goes on](Self::go_on).
    pub(super) fn begin(&mut self, exchange: StartedExchange, cx: &mut Context<'_>) -> Begun {
        let is_timed = self.begin != Begin::Here;
        if is_timed && self.row_began.is_none() {
            self.row_began = Some(Instant::now());
        }
        let mut place = Place::acquire();
        place.0.as_mut().set(Some((self.run)(exchange)));
        let polled = Pin::new(&mut *place).poll(cx);
        if is_timed && self.row_began.is_some_and(|began| began.elapsed() > MAX_ROW_TIME) {
            self.begin = Begin::Apart(APART_COUNT);
        }
        if let Poll::Ready(stream_io) = polled {
            place.0.as_mut().set(None);
            SPARE.set(Some(place));
            return Begun::Done(stream_io);
        }
        self.waiting = Some(place);
        Begun::Waits
    }

    /// The exchange that waits goes on as a task. It is polled once more by that, which is what is woken from
    /// then on.
    pub(super) fn go_on(&mut self) {
        if let Some(place) = self.waiting.take() {
            // Ends with its handler; when the connection's task ends before, the set ends it.
            self.tasks.get_or_insert_default().spawn(*place);
        }
    }

    /// Begins an exchange as a task.
    pub(super) fn begin_apart(&mut self, exchange: StartedExchange) {
        // Boxed: a task is moved while it is made. Ends as above.
        self.tasks.get_or_insert_default().spawn(Place(Box::pin(Some((self.run)(exchange)))));
    }

    /// The next task that has ended. Wakes this task when another does.
    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Arc<StreamIo>> {
        let Some(tasks) = self.tasks.as_mut().filter(|tasks| !tasks.is_empty()) else { return Poll::Pending };
        match tasks.poll_join_next(cx) {
            Poll::Ready(Some(Ok(stream_io))) => Poll::Ready(stream_io),
            // An exchange catches what a handler throws: another panic is a bug of this crate, and is shown.
            Poll::Ready(Some(Err(error))) => match JoinError::try_into_panic(error) {
                Ok(payload) => resume_unwind(payload),
                Err(_) => Poll::Pending,
            },
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }

    /// Until all have ended.
    pub(super) async fn end(&mut self) {
        if let Some(tasks) = &mut self.tasks {
            while tasks.join_next().await.is_some() {}
        }
    }
}

/// A future in memory that other futures were in before.
struct Place<F>(Pin<Box<Option<F>>>);

impl<F: Send + 'static> Place<F> {
    /// The memory of one that is over on this thread, or new memory. All are of one type, as a program has one
    /// type of exchange.
    fn acquire() -> Box<Place<F>> {
        let spare = SPARE.take().and_then(|spare| spare.downcast().ok());
        spare.unwrap_or_else(|| Box::new(Place(Box::pin(None))))
    }
}

impl<F: Future> Future for Place<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.0.as_mut().as_pin_mut() {
            Some(future) => future.poll(cx),
            None => Poll::Pending,
        }
    }
}
