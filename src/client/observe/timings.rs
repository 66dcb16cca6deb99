//! When the steps of an exchange are done.
//!
//! Reading the clock is not free: steps that are done at the same time share one reading.

use std::time::Duration;

use tokio::time::Instant;

use super::super::pool::Timestamp;
use crate::message::Timings;

/// Notes when steps are done, counted from when the request was begun.
#[derive(Clone, Debug)]
pub(crate) struct Stopwatch {
    start: Timestamp,
    pub(crate) timings: Timings,
}

impl Stopwatch {
    /// Of a request that was begun then, and had its connection so much later.
    pub(crate) fn new(start: Timestamp, got_connection: Duration) -> Stopwatch {
        let timings = Timings { got_connection: Some(got_connection), ..Timings::default() };
        Stopwatch { start, timings }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.start.steady.elapsed()
    }

    /// When the request was begun.
    pub(crate) fn started(&self) -> Timestamp {
        self.start
    }

    /// Now, with one reading of the steady clock; the wall clock is taken to have gone on as much. It is
    /// behind if the machine slept meanwhile: a connection that becomes idle now then seems to be
    /// idle for longer, and is closed too early rather than too late.
    pub(crate) fn now(&self) -> Timestamp {
        self.start.later(self.elapsed())
    }

    /// When the head was complete. That is now for who has not waited since, and takes no reading.
    pub(crate) fn head_at(&self) -> Timestamp {
        self.timings.head.map_or_else(|| self.now(), |head| self.start.later(head))
    }

    pub(crate) fn note_wrote_head(&mut self) {
        self.timings.wrote_head = Some(self.elapsed());
    }

    /// The whole request, and its head if that was not noted before.
    pub(crate) fn note_wrote_request(&mut self) {
        let now = self.elapsed();
        self.timings.wrote_head.get_or_insert(now);
        self.timings.wrote_request = Some(now);
    }

    /// When the whole request was written.
    pub(crate) fn wrote_request_at(&self) -> Instant {
        self.timings.wrote_request.map_or_else(Instant::now, |wrote| self.start.steady + wrote)
    }

    pub(crate) fn note_first_byte(&mut self) {
        self.timings.first_byte = Some(self.elapsed());
    }

    pub(crate) fn note_head(&mut self) {
        self.timings.head = Some(self.elapsed());
    }

    /// A part of the head came: it may be the first one, or the last.
    pub(crate) fn note_part_of_head(&mut self) {
        if self.timings.first_byte.is_none() {
            self.note_first_byte();
            self.timings.head = self.timings.first_byte;
        } else {
            self.note_head();
        }
    }
}
