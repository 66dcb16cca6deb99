//! The trace of a request (Go's `httptrace`), and its progress, for the time limit over all of it: when
//! that passes, the error names the phase.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;
use std::{fmt, io};

use http::StatusCode;

use crate::error::{Error, Phase, Result, Sent};
use crate::message::{Addr, Header, Request, TlsInfo};
use crate::net::Resolved;

/// Called at each step of a request (Go's `ClientTrace`). Implement the methods that matter; the others
/// do nothing.
///
/// Methods run where the step is taken, some of them in the task of a dial: keep them short. A
/// dial belongs to the request that began it, even if another request gets its connection.
///
/// ```
/// use std::sync::Arc;
/// use nethttp::trace::{ClientTrace, GotConn};
///
/// struct Reuse;
///
/// impl ClientTrace for Reuse {
///     fn got_conn(&self, conn: &GotConn) {
///         println!("{} reused: {}", conn.remote_addr, conn.reused);
///     }
/// }
///
/// # fn example() -> nethttp::Result<()> {
/// let mut request = nethttp::Request::get("http://example.com/")?;
/// request.set_trace(Arc::new(Reuse));
/// # Ok(())
/// # }
/// ```
pub trait ClientTrace: Send + Sync + 'static {
    /// A connection to this host and port is needed, an idle one or a new one.
    fn get_conn(&self, _host_port: &str) {}
    /// The request has got a connection. Not called when it gets none.
    fn got_conn(&self, _conn: &GotConn) {}
    /// The connection has become idle, or could not be kept: said by the second value. Not
    /// called for HTTP/2, nor where keep-alives are off.
    fn put_idle_conn(&self, _kept: bool) {}
    /// A name is being resolved.
    fn dns_start(&self, _host: &str) {}
    /// It has addresses, or none. [`Resolved`] also says whether the lookup was another request's,
    /// which this one shared.
    fn dns_done(&self, _host: &str, _result: Result<&Resolved, &io::Error>) {}
    /// A connection to this address is being made; several may be under way at a time.
    fn connect_start(&self, _addr: &Addr) {}
    /// It has been made, or has failed, or lost to another one
    /// ([`Interrupted`](io::ErrorKind::Interrupted)).
    fn connect_done(&self, _addr: &Addr, _result: Result<(), &io::Error>) {}
    /// A TLS handshake begins, behind the proxy where there is one.
    fn tls_handshake_start(&self) {}
    /// It is done, or has failed.
    fn tls_handshake_done(&self, _result: &Result<Arc<TlsInfo>>) {}
    /// The head of the request was written.
    fn wrote_headers(&self) {}
    /// The request waits for `100 Continue` before it sends its body.
    fn wait_100_continue(&self) {}
    /// `100 Continue` came.
    fn got_100_continue(&self) {}
    /// The request was written, or could not be. Called again when it is sent again.
    fn wrote_request(&self, _result: &Result<()>) {}
    /// The first byte of the response came.
    fn got_first_response_byte(&self) {}
    /// An informational response came, 100 included (Go's `Got1xxResponse`). How many may come is
    /// then up to this method; without a trace they share one limit with the final head.
    ///
    /// # Errors
    /// An error ends the request with it.
    fn got_1xx_response(&self, _status: StatusCode, _header: &Header) -> Result<()> {
        Ok(())
    }
}

/// A connection that a request got (Go's `GotConnInfo`).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GotConn {
    /// The peer's address: the proxy's where there is one.
    pub remote_addr: Addr,
    /// Our end's.
    pub local_addr: Addr,
    /// Whether it has served a request before.
    pub reused: bool,
    /// How long it was idle; `None` for a new one, and for HTTP/2 that others use too.
    pub idle: Option<Duration>,
}

/// The observers of one request: its trace and its progress. Most requests have neither.
#[derive(Clone, Default)]
pub(crate) struct Tracer {
    trace: Option<Arc<dyn ClientTrace>>,
    progress: Option<Progress>,
}

#[derive(Clone)]
struct Attached(Arc<dyn ClientTrace>);

impl Request {
    /// Calls this trace at each step that a client takes for this request.
    pub fn set_trace(&mut self, trace: Arc<dyn ClientTrace>) {
        self.extensions.insert(Attached(trace));
    }
}

impl Tracer {
    pub(crate) fn of(request: &Request) -> Tracer {
        let trace = request.extensions.get::<Attached>().map(|attached| attached.0.clone());
        Tracer { trace, progress: Progress::of(request) }
    }

    /// Sets the phase: what is being waited for from now on.
    pub(crate) fn enter(&self, phase: Phase) {
        if let Some(progress) = &self.progress {
            progress.enter(phase);
        }
    }

    /// The same for the dial that the request began.
    pub(crate) fn enter_in_dial(&self, phase: Phase) {
        if let Some(progress) = &self.progress {
            progress.enter_in_dial(phase);
        }
    }

    /// Whether the time limit over all has passed.
    #[allow(dead_code, reason = "HTTP/2 looks at it, and is not always there")]
    pub(crate) fn is_expired(&self) -> bool {
        self.progress.as_ref().is_some_and(|progress| progress.0.load(Ordering::Relaxed) & EXPIRED != 0)
    }

    /// Whether there is a trace.
    pub(crate) fn is_on(&self) -> bool {
        self.trace.is_some()
    }

    pub(crate) fn tell(&self, step: impl FnOnce(&dyn ClientTrace)) {
        if let Some(trace) = &self.trace {
            step(&**trace);
        }
    }

    /// # Errors
    /// The hook's.
    pub(crate) fn informational(&self, status: StatusCode, header: &Header) -> Result<(), Error> {
        self.trace.as_ref().map_or(Ok(()), |trace| trace.got_1xx_response(status, header))
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_on() { "Tracer(on)" } else { "Tracer(off)" })
    }
}

/// Kept in the extensions of a request that has such a limit.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<AtomicU8>);

/// The phases in their order. The present one is kept as the index in this list.
const STEPS: [Phase; 7] =
    [Phase::Pool, Phase::Resolve, Phase::Connect, Phase::Proxy, Phase::Tls, Phase::Write, Phase::Head];

/// Laid over the index when the time is over.
const EXPIRED: u8 = 1 << 7;

impl Progress {
    /// Follows this request from now on.
    pub(crate) fn attach(request: &mut Request) -> Progress {
        let progress = Progress::default();
        request.extensions.insert(progress.clone());
        progress
    }

    /// That of a request, if it has one.
    pub(crate) fn of(request: &Request) -> Option<Progress> {
        request.extensions.get().cloned()
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.0.store(step(phase), Ordering::Relaxed);
    }

    /// The same for the dial that the request began. It goes on when the request has got another
    /// connection, and is then no longer what the request waits for: it changes nothing.
    pub(crate) fn enter_in_dial(&self, phase: Phase) {
        let has_connection = step(Phase::Write);
        let keep_later = |now| (now < has_connection).then(|| step(phase));
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, keep_later);
    }

    pub(crate) fn phase(&self) -> Phase {
        STEPS.get(usize::from(self.0.load(Ordering::Relaxed) & !EXPIRED)).copied().unwrap_or(Phase::Head)
    }

    /// The time is over: what is dropped now is dropped for that.
    pub(crate) fn expire(&self) {
        self.0.fetch_or(EXPIRED, Ordering::Relaxed);
    }

    /// How much of the request was sent, as far as the phase shows.
    pub(crate) fn sent(&self) -> Sent {
        match self.phase() {
            Phase::Head => Sent::Fully,
            Phase::Write => Sent::Partly,
            _ => Sent::No,
        }
    }
}

/// The index of a phase. One that is not in the list counts as the last.
fn step(phase: Phase) -> u8 {
    let step = STEPS.iter().position(|step| *step == phase).unwrap_or(STEPS.len() - 1);
    u8::try_from(step).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dial_does_not_change_the_phase_of_a_request_that_has_got_another_connection() {
        let progress = Progress::default();
        progress.enter_in_dial(Phase::Connect);
        assert_eq!((progress.phase(), progress.sent()), (Phase::Connect, Sent::No));
        for (phase, sent) in [(Phase::Write, Sent::Partly), (Phase::Head, Sent::Fully)] {
            progress.enter(phase);
            progress.enter_in_dial(Phase::Tls);
            assert_eq!((progress.phase(), progress.sent()), (phase, sent));
        }
        progress.enter(Phase::Pool);
        progress.enter_in_dial(Phase::Tls);
        assert_eq!((progress.phase(), progress.sent()), (Phase::Tls, Sent::No), "it is sent again");
    }
}
