//! When the steps of a dial and of an exchange are done, for the response's info.
//!
//! Reading the clock is not free: steps that are done at the same time share one reading.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::super::pool::Timestamp;
use super::trace::Tracer;
use crate::error::Phase;
use crate::message::{Addr, ResponseInfo, Timings, TlsInfo};
use crate::net::{DialWatch, Resolved};

/// How a connection was made.
#[derive(Debug)]
pub(crate) struct ConnectionInfo {
    pub(crate) local_addr: Addr,
    pub(crate) remote_addr: Addr,
    pub(crate) tls: Option<Arc<TlsInfo>>,
    pub(crate) timings: DialTimings,
}

/// When each step of the dial was done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct DialTimings {
    pub(crate) resolved: Option<Instant>,
    pub(crate) connected: Option<Instant>,
    pub(crate) secured: Option<Instant>,
}

impl ConnectionInfo {
    /// What a response shows of its connection. An exchange that found it made (`reused`) spent no time
    /// on resolving, connecting and TLS.
    pub(crate) fn response_info(&self, stopwatch: &Stopwatch, reused: bool) -> Box<ResponseInfo> {
        let mut info = Box::<ResponseInfo>::default();
        let timings = &mut info.timings;
        *timings = stopwatch.timings;
        if !reused {
            // Another request may have begun the dial, before this one began: such steps took no time of
            // this one, which is zero here.
            let since = |done: Option<Instant>| done.map(|at| at.saturating_duration_since(stopwatch.started().steady));
            timings.resolved = since(self.timings.resolved);
            timings.connected = since(self.timings.connected);
            timings.secured = since(self.timings.secured);
        }
        info.local_addr = Some(self.local_addr.clone());
        info.remote_addr = Some(self.remote_addr.clone());
        info.reused = reused;
        info
    }
}

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

/// Notes when steps are done, counted from when the request was begun.
#[derive(Clone, Debug)]
pub(crate) struct Stopwatch {
    start: Timestamp,
    pub(crate) timings: Timings,
}

impl Stopwatch {
    /// For a request that was begun at `start`, and got its connection this much later.
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

    /// Now, with one reading of the steady clock; the wall clock is assumed to have advanced as much.
    /// If the machine slept meanwhile, the result is too early: a connection that becomes idle now then
    /// seems to be idle for longer, and is closed too early rather than too late.
    pub(crate) fn now(&self) -> Timestamp {
        self.start.later(self.elapsed())
    }

    /// When the head was complete. For a caller that has not waited since, this is the present time without
    /// reading the clock.
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
