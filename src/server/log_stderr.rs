//! Events without a sink: own faults go to standard error, what peers do to nobody.

use super::event::ServerEvent;

pub(crate) fn log(event: &ServerEvent) {
    if event.is_own_fault() {
        eprintln!("nethttp: {event}");
    }
}
