//! What a transport's connections do at a moment.

use super::connect::Key;
use super::pool::PoolStats;

/// The connections to one host, and the requests that wait for one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostStats {
    /// Scheme, host and port: `https://example.com:443`. Plain HTTP through a proxy has one entry
    /// for the proxy.
    pub host: String,
    /// Connections that wait for a request.
    pub idle: usize,
    /// Connections that serve one, or several.
    pub in_use: usize,
    /// Connections that are being made.
    pub dialing: usize,
    /// Requests that wait for a connection.
    pub waiting: usize,
}

impl HostStats {
    pub(crate) fn of(key: &Key, stats: PoolStats) -> HostStats {
        let PoolStats { idle, in_use, dialing, waiting } = stats;
        HostStats { host: key.to_string(), idle, in_use, dialing, waiting }
    }
}
