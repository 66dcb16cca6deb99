//! Events without a sink go to `tracing`.

use super::event::ServerEvent;

pub(crate) fn log(event: &ServerEvent) {
    if event.is_own_fault() {
        tracing::error!(target: "nethttp::server", "{event}");
    } else {
        tracing::debug!(target: "nethttp::server", "{event}");
    }
}
