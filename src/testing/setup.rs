//! How a test's server is to serve, for the server and for its client.

/// The settings of a builder.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerSetup {
    pub(super) place: ListenPlace,
    pub(super) security: Security,
    pub(super) protocol: SpokenProtocol,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListenPlace {
    Port,
    Memory,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    Clear,
    Tls,
}

/// What the server's client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SpokenProtocol {
    /// HTTP/1.1 in the clear, and what both agree on over TLS.
    Agreed,
    Http1,
    Http2,
}
