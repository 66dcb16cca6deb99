//! Watches a connection being made: for the request's trace, for the timings of its response, and
//! to say what was waited for when a time limit passes.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::super::connect::DialTimings;
use super::trace::Tracer;
use crate::error::Phase;
use crate::message::Addr;
use crate::net::{DialWatch, Resolved};

pub(crate) struct DialObserver {
    tracer: Tracer,
    seen: Mutex<Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    phase: Phase,
    steps: DialTimings,
}

impl DialObserver {
    pub(crate) fn new(tracer: Tracer) -> DialObserver {
        let seen = Seen { phase: Phase::Connect, steps: DialTimings::default() };
        DialObserver { tracer, seen: Mutex::new(seen) }
    }

    /// What is being waited for.
    pub(crate) fn phase(&self) -> Phase {
        self.seen().phase
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.seen().phase = phase;
        self.tracer.enter_in_dial(phase);
    }

    pub(crate) fn note_connected(&self) {
        self.seen().steps.connected = Some(Instant::now());
    }

    pub(crate) fn note_secured(&self) {
        self.seen().steps.secured = Some(Instant::now());
    }

    pub(crate) fn steps(&self) -> DialTimings {
        self.seen().steps
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DialWatch for DialObserver {
    fn dns_start(&self, host: &str) {
        self.enter(Phase::Resolve);
        self.tracer.tell(|trace| trace.dns_start(host));
    }

    fn dns_done(&self, host: &str, result: Result<&Resolved, &io::Error>) {
        // A lookup that was given up ends here too: then it is still what was waited for.
        if result.is_ok() {
            self.enter(Phase::Connect);
        }
        self.seen().steps.resolved = result.is_ok().then(Instant::now);
        self.tracer.tell(|trace| trace.dns_done(host, result));
    }

    fn connect_start(&self, addr: &Addr) {
        self.tracer.tell(|trace| trace.connect_start(addr));
    }

    fn connect_done(&self, addr: &Addr, result: Result<(), &io::Error>) {
        self.tracer.tell(|trace| trace.connect_done(addr, result));
    }
}
