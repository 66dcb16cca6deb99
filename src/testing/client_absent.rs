//! In place of the client of a test's server where the feature is off.

#[derive(Default)]
pub(super) struct ClientSlot;

impl ClientSlot {
    #[expect(clippy::unused_self, reason = "as where there is a client")]
    pub(super) fn close_idle_connections(&self) {}
}
