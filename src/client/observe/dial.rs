//! Observes a connection being made: for the request's trace, for the timings of its response, and
//! for the error when a time limit passes, which names the phase.

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
    state: Mutex<DialState>,
}

#[derive(Clone, Copy, Debug)]
struct DialState {
    phase: Phase,
    timings: DialTimings,
}

impl DialObserver {
    pub(crate) fn new(tracer: Tracer) -> DialObserver {
        let state = DialState { phase: Phase::Connect, timings: DialTimings::default() };
        DialObserver { tracer, state: Mutex::new(state) }
    }

    /// What is being waited for.
    pub(crate) fn phase(&self) -> Phase {
        self.state().phase
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.state().phase = phase;
        self.tracer.enter_in_dial(phase);
    }

    pub(crate) fn note_connected(&self) {
        self.state().timings.connected = Some(Instant::now());
    }

    pub(crate) fn note_secured(&self) {
        self.state().timings.secured = Some(Instant::now());
    }

    pub(crate) fn timings(&self) -> DialTimings {
        self.state().timings
    }

    fn state(&self) -> MutexGuard<'_, DialState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DialWatch for DialObserver {
    fn dns_start(&self, host: &str) {
        self.enter(Phase::Resolve);
        self.tracer.tell(|trace| trace.dns_start(host));
    }

    fn dns_done(&self, host: &str, result: Result<&Resolved, &io::Error>) {
        // A lookup that was given up by a time limit ends here too. The phase stays: it is what the
        // error must name.
        if result.is_ok() {
            self.enter(Phase::Connect);
        }
        self.state().timings.resolved = result.is_ok().then(Instant::now);
        self.tracer.tell(|trace| trace.dns_done(host, result));
    }

    fn connect_start(&self, addr: &Addr) {
        self.tracer.tell(|trace| trace.connect_start(addr));
    }

    fn connect_done(&self, addr: &Addr, result: Result<(), &io::Error>) {
        self.tracer.tell(|trace| trace.connect_done(addr, result));
    }
}
