//! The accept loop: waits for a connection, registers it, and starts its task.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use http::Extensions;
use tokio::time::{Instant, sleep};

use super::event::{ConnInfo, ServerEvent};
use super::http1::conn_io::ConnIo;
use super::http1::connection;
use super::http2;
use super::registration::Registration;
use super::settings::Settings;
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::message::{Addr, ConnContext};
use crate::net::{Io, Listener, is_temporary};

/// Accepts until the server shuts down or the listener fails for good. Always returns an error.
pub(crate) async fn run(mut listener: impl Listener, settings: Arc<Settings>) -> Result<()> {
    let local_addr = listener.local_addr();
    listener.prepare();
    let state = settings.state.clone();
    state.accepting.announce(0);
    let mut draining = pin!(state.draining.wait(0));
    let mut pauses = Pauses::default();
    loop {
        match unless_draining(draining.as_mut(), listener.accept()).await {
            None => return Err(server_closed()),
            Some(Ok((stream, remote_addr))) => {
                pauses.reset();
                if settings.max_connections > 0 {
                    let room = state.registry.make_room(settings.max_connections);
                    if unless_draining(draining.as_mut(), room).await.is_none() {
                        return Err(server_closed());
                    }
                }
                let io = Io::new(stream);
                // A listener on all interfaces has no address that a connection could have, so each
                // connection is asked for its own: a system call, which other listeners need not make.
                let own = if local_addr.is_wildcard() { io.local_addr() } else { None };
                start(io, remote_addr, own.unwrap_or_else(|| local_addr.clone()), &settings);
            }
            Some(Err(error)) if is_temporary(&error) => {
                let pause = pauses.next(error, &settings);
                if unless_draining(draining.as_mut(), sleep(pause)).await.is_none() {
                    return Err(server_closed());
                }
            }
            Some(Err(error)) => {
                return Err(Error::new(ErrorKind::Io, "the listener failed").with_source(error).during(Phase::Accept));
            }
        }
    }
}

pub(crate) fn server_closed() -> Error {
    Error::new(ErrorKind::ServerClosed, "the server was shut down")
}

/// Registers a connection and serves it in a task of its own.
fn start(io: Io, remote_addr: Addr, local_addr: Addr, settings: &Arc<Settings>) {
    let state = &settings.state;
    let entry = state.registry.add();
    let info = ConnInfo { id: entry.id, remote_addr, local_addr: local_addr.clone(), reason: None };
    let registration = Registration::new(settings.clone(), entry, info);
    let values = match &settings.conn_context {
        Some(hook) => {
            let values = Extensions::clone(&settings.values);
            // If the hook panics, the handlers of this connection would miss the values that they rely
            // on (who is logged in, say), so the connection is closed.
            let Some(changed) = settings.call("conn_context", || hook(values, &registration.info)) else { return };
            Arc::new(changed)
        }
        None => settings.values.clone(),
    };
    let context = Arc::new(ConnContext::new(local_addr, values, state.draining.clone()));
    let conn_io = ConnIo::new(io, context, settings.stall_timeout, state.clone());
    // Boxed: tokio moves a task's future when the task is made and again when it ends, and this one
    // is large.
    let serving = Box::pin(connection::serve(settings.clone(), Arc::new(conn_io), registration));
    // Ends when the connection closes; a shutdown makes it close by a command in the registry.
    tokio::spawn(async move {
        // The first future is dropped before the second is made.
        let switched = serving.await.map(|conn| Box::pin(http2::serve(conn)));
        if let Some(serving) = switched {
            serving.await;
        }
    });
}

/// The future's outcome, or `None` once the server drains.
async fn unless_draining<F: Future>(mut draining: Pin<&mut impl Future<Output = ()>>, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        if draining.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        future.as_mut().poll(cx).map(Some)
    })
    .await
}

/// The pauses after failures to accept: 5 ms, doubling to a second, from the start again after a
/// success (Go's rule). Such failures come in series, as when file descriptors run out: the first is
/// reported, then one every few seconds with the number of those between.
#[derive(Default)]
struct Pauses {
    last: Option<Duration>,
    reported: Option<Instant>,
    unreported: u64,
}

const MIN_ACCEPT_PAUSE: Duration = Duration::from_millis(5);
const MAX_ACCEPT_PAUSE: Duration = Duration::from_secs(1);
const MIN_REPORT_INTERVAL: Duration = Duration::from_secs(5);

impl Pauses {
    fn next(&mut self, error: io::Error, settings: &Settings) -> Duration {
        let pause = self.last.map_or(MIN_ACCEPT_PAUSE, |last| (last * 2).min(MAX_ACCEPT_PAUSE));
        self.last = Some(pause);
        let now = Instant::now();
        if self.reported.is_none_or(|at| now.duration_since(at) >= MIN_REPORT_INTERVAL) {
            let unreported = std::mem::take(&mut self.unreported);
            settings.report(&ServerEvent::AcceptFailed { error, pause, unreported });
            self.reported = Some(now);
        } else {
            self.unreported += 1;
        }
        pause
    }

    fn reset(&mut self) {
        self.last = None;
    }
}
