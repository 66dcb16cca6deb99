//! The exchanges of a connection that are under way, and the tasks they run on.
//!
//! Most handlers are done when they are polled for the first time. The connection's task does that itself,
//! request by request as they came, and only an exchange that waits for something becomes a task: a task, its
//! entry in the set and two wakeups cost more than all else that this crate does for a request, and on a
//! runtime of several threads three times that. The memory of an exchange's future is used again by the next.
//!
//! A handler that computes for long, or that blocks its thread, would hold up all others of its connection
//! that way. So where there are several threads, a connection's first requests begin as tasks of their own,
//! and so do the next ones whenever those that began in a row have taken [`MAX_ROW_TIME`]: handlers have to
//! show that they are quick. Where there is one thread nothing is gained by a task.

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
    /// The memory of one that is over.
    spare: Option<Pin<Box<Option<F>>>>,
    /// The exchanges that run as tasks.
    tasks: JoinSet<Arc<StreamIo>>,
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
        Exchanges { run, spare: None, tasks: JoinSet::new(), begin, row_began: None }
    }

    /// Whether none runs as a task.
    pub(super) fn is_empty(&self) -> bool {
        self.tasks.is_empty()
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

    /// Polls an exchange for the first time. One that waits is left in `spare` until it
    /// [goes on](Self::go_on).
    pub(super) fn begin(&mut self, exchange: StartedExchange, cx: &mut Context<'_>) -> Begun {
        let is_timed = self.begin != Begin::Here;
        if is_timed && self.row_began.is_none() {
            self.row_began = Some(Instant::now());
        }
        let mut place = self.spare.take().unwrap_or_else(|| Box::pin(None));
        place.as_mut().set(Some((self.run)(exchange)));
        let Some(future) = place.as_mut().as_pin_mut() else { return Begun::Waits };
        let polled = future.poll(cx);
        if is_timed && self.row_began.is_some_and(|began| began.elapsed() > MAX_ROW_TIME) {
            self.begin = Begin::Apart(APART_COUNT);
        }
        if let Poll::Ready(stream_io) = polled {
            place.as_mut().set(None);
            self.spare = Some(place);
            return Begun::Done(stream_io);
        }
        self.spare = Some(place);
        Begun::Waits
    }

    /// The exchange that waits goes on as a task. It is polled once more by that, which is what is woken from
    /// then on.
    pub(super) fn go_on(&mut self) {
        if let Some(place) = self.spare.take() {
            // Ends with its handler; when the connection's task ends before, the set ends it.
            self.tasks.spawn(Placed(place));
        }
    }

    /// Begins an exchange as a task.
    pub(super) fn begin_apart(&mut self, exchange: StartedExchange) {
        // Boxed: a task is moved while it is made. Ends as above.
        self.tasks.spawn(Placed(Box::pin(Some((self.run)(exchange)))));
    }

    /// The next task that has ended. Wakes this task when another does.
    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Arc<StreamIo>> {
        if self.tasks.is_empty() {
            return Poll::Pending;
        }
        match self.tasks.poll_join_next(cx) {
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
        while self.tasks.join_next().await.is_some() {}
    }
}

/// A future in memory that other futures were in before.
struct Placed<F>(Pin<Box<Option<F>>>);

impl<F: Future> Future for Placed<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        match self.0.as_mut().as_pin_mut() {
            Some(future) => future.poll(cx),
            None => Poll::Pending,
        }
    }
}
