//! In place of TLS for a test's server where the feature is off: there is no way to ask for it.

#[cfg(feature = "client")]
use crate::client::Transport;
use crate::error::Result;
use crate::net::Listener;
use crate::server;

pub(super) enum TlsSetup {}

impl TlsSetup {
    #[expect(clippy::unused_async, reason = "as where there is TLS")]
    pub(super) async fn serve(self, _: &server::Server, _: impl Listener) -> Result<()> {
        match self {}
    }
}

#[cfg(feature = "client")]
pub(super) fn trust_certificate(_: &mut Transport) {}
