//! The state of a server that changes while it serves.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::close_reason::CloseReason;
use super::registry::Registry;
use crate::message::Signal;

/// The state of a server that changes while it serves: shared by all clones and connections.
pub(crate) struct State {
    pub(crate) registry: Registry,
    /// Announced when a shutdown begins.
    pub(crate) draining: Arc<Signal>,
    /// Announced when the first listener is accepted from.
    pub(crate) accepting: Signal,
    /// Announced when a signal has asked for the end, which may come later: the server wants no new clients.
    pub(crate) leaving: Signal,
    keep_alives: AtomicBool,
    on_shutdown: Mutex<Vec<Arc<dyn Fn() + Send + Sync>>>,
    listening: Mutex<Vec<SocketAddr>>,
}

impl State {
    pub(crate) fn new() -> State {
        State {
            registry: Registry::new(),
            draining: Arc::default(),
            accepting: Signal::default(),
            leaving: Signal::default(),
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

    /// Why every connection closes after its present response, if it does.
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
