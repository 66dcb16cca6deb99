//! When the steps of an exchange are done.

use std::time::Duration;

use tokio::time::Instant;

use crate::message::Timings;

/// Notes moments, counted from when the request was begun.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    start: Instant,
    pub(crate) timings: Timings,
}

impl Clock {
    pub(crate) fn start() -> Clock {
        Clock { start: Instant::now(), timings: Timings::default() }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    pub(crate) fn note_connection(&mut self) {
        self.timings.got_connection = Some(self.elapsed());
    }

    pub(crate) fn note_wrote_head(&mut self) {
        self.timings.wrote_head = Some(self.elapsed());
    }

    pub(crate) fn note_wrote_request(&mut self) {
        self.timings.wrote_request = Some(self.elapsed());
    }

    pub(crate) fn note_first_byte(&mut self) {
        self.timings.first_byte = Some(self.elapsed());
    }

    pub(crate) fn note_head(&mut self) {
        self.timings.head = Some(self.elapsed());
    }
}
