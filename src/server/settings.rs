//! What a server's listeners and connections share: the settings as they were when serving began,
//! and the state that changes.

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::Extensions;

use super::event::{ConnInfo, ConnState, RequestRecord, ServerEvent};
use super::handler::AnyHandler;
use super::http2_settings::Http2Settings;
use super::log;
use super::registry::Registry;
use super::verdict::CloseReason;
use crate::h1::HeadLimits;
use crate::message::{Protocols, Signal};
use crate::net::TlsAccept;

/// Limits and hooks, resolved: `None` is no limit.
pub(crate) struct Settings {
    pub(crate) handler: AnyHandler,
    pub(crate) head_limits: HeadLimits,
    pub(crate) head_timeout: Option<Duration>,
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) write_timeout: Option<Duration>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) stall_timeout: Option<Duration>,
    pub(crate) drain_bytes: u64,
    pub(crate) drain_timeout: Duration,
    pub(crate) linger_timeout: Duration,
    pub(crate) max_connections: usize,
    pub(crate) protocols: Protocols,
    pub(crate) http2: Http2Settings,
    pub(crate) answers_general_options: bool,
    pub(crate) on_event: Option<Arc<dyn Fn(&ServerEvent) + Send + Sync>>,
    pub(crate) conn_state: Option<Arc<dyn Fn(&ConnInfo, ConnState) + Send + Sync>>,
    pub(crate) on_request: Option<Arc<dyn Fn(&RequestRecord) + Send + Sync>>,
    pub(crate) conn_context: Option<Arc<dyn Fn(Extensions, &ConnInfo) -> Extensions + Send + Sync>>,
    /// The values of every request's context.
    pub(crate) values: Arc<Extensions>,
    pub(crate) state: Arc<State>,
    /// What secures each connection before anything is read from it.
    pub(crate) secure: Option<Arc<dyn TlsAccept>>,
}

impl Settings {
    /// Tells the sink, else the log. A sink that panics is told no further.
    pub(crate) fn report(&self, event: &ServerEvent) {
        match &self.on_event {
            Some(sink) => _ = catch(|| sink(event)),
            None => log::log(event),
        }
    }

    /// Calls a hook of the user's. Its panic must not end what called it: an accept loop, a
    /// connection that is being struck off the books.
    pub(crate) fn call<T>(&self, hook: &'static str, act: impl FnOnce() -> T) -> Option<T> {
        match catch(act) {
            Ok(value) => Some(value),
            Err(payload) => {
                self.report(&ServerEvent::HookPanicked { hook, message: panic_message(&*payload) });
                None
            }
        }
    }
}

/// A panic of the user's code, as a value. What that code leaves half-done is its own.
pub(crate) fn catch<T>(act: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(act))
}

/// What a panic said.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a value that is no text".to_owned())
}

/// What changes while a server serves.
pub(crate) struct State {
    pub(crate) registry: Registry,
    /// Announced when a shutdown begins.
    pub(crate) draining: Arc<Signal>,
    keep_alives: AtomicBool,
    on_shutdown: Mutex<Vec<Arc<dyn Fn() + Send + Sync>>>,
    listening: Mutex<Vec<SocketAddr>>,
}

impl State {
    pub(crate) fn new() -> State {
        State {
            registry: Registry::new(),
            draining: Arc::default(),
            keep_alives: AtomicBool::new(true),
            on_shutdown: Mutex::default(),
            listening: Mutex::default(),
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.is_over(0)
    }

    pub(crate) fn begin_draining(&self) {
        self.draining.announce(0);
    }

    pub(crate) fn keep_alives(&self) -> bool {
        self.keep_alives.load(Ordering::SeqCst)
    }

    pub(crate) fn set_keep_alives(&self, enabled: bool) {
        self.keep_alives.store(enabled, Ordering::SeqCst);
    }

    /// Why every connection closes behind its present answer, if it does.
    pub(crate) fn closes_all(&self) -> Option<CloseReason> {
        if self.is_draining() {
            Some(CloseReason::ShuttingDown)
        } else if !self.keep_alives() {
            Some(CloseReason::KeepAlivesOff)
        } else {
            None
        }
    }

    pub(crate) fn add_shutdown_hook(&self, hook: Arc<dyn Fn() + Send + Sync>) {
        self.on_shutdown.lock().unwrap_or_else(PoisonError::into_inner).push(hook);
    }

    /// The hooks that no shutdown has started yet.
    pub(crate) fn take_shutdown_hooks(&self) -> Vec<Arc<dyn Fn() + Send + Sync>> {
        std::mem::take(&mut self.on_shutdown.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn listens_on(&self, addr: SocketAddr) {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).push(addr);
    }

    pub(crate) fn addrs(&self) -> Vec<SocketAddr> {
        self.listening.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("connections", &self.registry.len())
            .field("draining", &self.is_draining())
            .finish_non_exhaustive()
    }
}
