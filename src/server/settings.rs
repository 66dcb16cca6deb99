//! The settings of a server as they were when serving began: its listeners and connections share them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use http::Extensions;

use super::event::{ConnInfo, ConnState, RequestRecord, ServerEvent};
use super::handler::AnyHandler;
use super::http2_settings::Http2Settings;
use super::state::State;
use crate::h1::HeadLimits;
use crate::message::Protocols;
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
    /// Does the TLS handshake of each connection before anything else is read from it.
    pub(crate) secure: Option<Arc<dyn TlsAccept>>,
}

impl Settings {
    /// Reports an event to the user's sink, else to the log. A sink that panics is not called about that.
    pub(crate) fn report(&self, event: &ServerEvent) {
        match &self.on_event {
            Some(sink) => _ = catch(|| sink(event)),
            None => event.log(),
        }
    }

    /// Calls a user's hook and catches its panic, which must not end the caller: an accept loop, or a
    /// connection that is being removed from the registry.
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

/// Catches a panic of the user's code. The state that the panic leaves half-changed is the user's, so unwind
/// safety is asserted.
pub(crate) fn catch<T>(act: impl FnOnce() -> T) -> Result<T, Box<dyn Any + Send>> {
    catch_unwind(AssertUnwindSafe(act))
}

/// The message of a panic.
pub(crate) fn panic_message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a value that is no text".to_owned())
}
