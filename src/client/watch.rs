//! Watches a connection being made: for the request's trace, for the timings of its response, and
//! to say what was waited for when a time limit passes.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::trace::Tracer;
use crate::error::Phase;
use crate::message::Addr;
use crate::net::{DialWatch, Resolved};

pub(crate) struct Watch {
    tracer: Tracer,
    began: Instant,
    seen: Mutex<Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    phase: Phase,
    resolved: Option<Duration>,
    connected: Option<Duration>,
    secured: Option<Duration>,
}

impl Watch {
    pub(crate) fn new(tracer: Tracer) -> Watch {
        let seen = Seen { phase: Phase::Connect, resolved: None, connected: None, secured: None };
        Watch { tracer, began: Instant::now(), seen: Mutex::new(seen) }
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
        self.seen().connected = Some(self.began.elapsed());
    }

    pub(crate) fn note_secured(&self) {
        self.seen().secured = Some(self.began.elapsed());
    }

    /// When name, connection and TLS were there.
    pub(crate) fn moments(&self) -> (Option<Duration>, Option<Duration>, Option<Duration>) {
        let Seen { resolved, connected, secured, .. } = *self.seen();
        (resolved, connected, secured)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DialWatch for Watch {
    fn dns_start(&self, host: &str) {
        self.enter(Phase::Resolve);
        self.tracer.tell(|trace| trace.dns_start(host));
    }

    fn dns_done(&self, host: &str, result: Result<&Resolved, &io::Error>) {
        // A lookup that was given up ends here too: then it is still what was waited for.
        if result.is_ok() {
            self.enter(Phase::Connect);
        }
        self.seen().resolved = result.is_ok().then(|| self.began.elapsed());
        self.tracer.tell(|trace| trace.dns_done(host, result));
    }

    fn connect_start(&self, addr: &Addr) {
        self.tracer.tell(|trace| trace.connect_start(addr));
    }

    fn connect_done(&self, addr: &Addr, result: Result<(), &io::Error>) {
        self.tracer.tell(|trace| trace.connect_done(addr, result));
    }
}
