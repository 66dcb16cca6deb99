//! A connection's place in the registry, held by its task.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::close_reason::CloseReason;
use super::event::{ConnInfo, ConnState};
use super::registry::Entry;
use super::settings::Settings;

/// A connection's place in the registry, and its state as others see it. Dropping it strikes the
/// connection off, whatever ended it.
pub(crate) struct Registration {
    pub(crate) entry: Arc<Entry>,
    pub(crate) info: ConnInfo,
    state: ConnState,
    settings: Arc<Settings>,
}

impl Registration {
    /// Books a new connection and tells the hook.
    pub(crate) fn new(settings: Arc<Settings>, entry: Arc<Entry>, info: ConnInfo) -> Registration {
        let registration = Registration { entry, info, state: ConnState::New, settings };
        registration.tell();
        registration
    }

    /// Says whether the state has changed.
    pub(crate) fn enter_state(&mut self, state: ConnState) -> bool {
        let changes = self.state != state && self.state != ConnState::Hijacked;
        if changes {
            self.state = state;
            self.entry.set_state(state);
            self.tell();
        }
        changes
    }

    /// Whether it is kept, and waits for a next request.
    pub(crate) fn is_idle(&self) -> bool {
        self.state == ConnState::Idle
    }

    /// Why it is to be struck off.
    pub(crate) fn ends(&mut self, reason: CloseReason) {
        self.info.reason = Some(reason);
    }

    /// The connection is no longer the server's: nothing that the server does may touch it.
    pub(crate) fn hijacked(&mut self) {
        if self.state != ConnState::Hijacked {
            self.settings.state.registry.taken_over.fetch_add(1, Ordering::SeqCst);
            self.settings.state.registry.leave(self.entry.id);
            self.enter_state(ConnState::Hijacked);
        }
    }

    fn tell(&self) {
        if let Some(hook) = &self.settings.conn_state {
            self.settings.call("conn_state", || hook(&self.info, self.state));
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if self.state != ConnState::Hijacked {
            self.enter_state(ConnState::Closed);
            self.settings.state.registry.leave(self.entry.id);
        }
    }
}
