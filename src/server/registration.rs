//! A connection's entry in the registry, as its task holds it: removed when the task ends, however.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::close_reason::CloseReason;
use super::event::{ConnInfo, ConnState};
use super::registry::Entry;
use super::settings::Settings;

/// A connection's entry in the registry, and the state that the `conn_state` hook is called with. When
/// it is dropped the connection counts as closed: also after a panic, or when the runtime drops the task.
pub(crate) struct Registration {
    pub(crate) entry: Arc<Entry>,
    pub(crate) info: ConnInfo,
    state: ConnState,
    settings: Arc<Settings>,
}

impl Registration {
    /// For a new connection. Calls the hook.
    pub(crate) fn new(settings: Arc<Settings>, entry: Arc<Entry>, info: ConnInfo) -> Registration {
        let registration = Registration { entry, info, state: ConnState::New, settings };
        registration.call_hook();
        registration
    }

    /// Sets the state, and calls the hook if it is another one. Returns whether it is.
    pub(crate) fn enter_state(&mut self, state: ConnState) -> bool {
        let changes = self.state != state && self.state != ConnState::Hijacked;
        if changes {
            self.state = state;
            self.entry.set_state(state);
            self.call_hook();
        }
        changes
    }

    /// Whether the connection is kept alive, and waits for the next request.
    pub(crate) fn is_idle(&self) -> bool {
        self.state == ConnState::Idle
    }

    /// Sets why the connection closes, for the hook.
    pub(crate) fn set_close_reason(&mut self, reason: CloseReason) {
        self.info.reason = Some(reason);
    }

    /// Removes the connection at once, though the handler that has hijacked it still runs: a shutdown
    /// must neither wait for it nor cut it.
    pub(crate) fn set_hijacked(&mut self) {
        if self.state != ConnState::Hijacked {
            self.settings.state.registry.taken_over.fetch_add(1, Ordering::SeqCst);
            self.settings.state.registry.remove(self.entry.id);
            self.enter_state(ConnState::Hijacked);
        }
    }

    fn call_hook(&self) {
        if let Some(hook) = &self.settings.conn_state {
            self.settings.call("conn_state", || hook(&self.info, self.state));
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if self.state != ConnState::Hijacked {
            self.enter_state(ConnState::Closed);
            self.settings.state.registry.remove(self.entry.id);
        }
    }
}
