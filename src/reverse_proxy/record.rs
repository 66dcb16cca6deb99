//! What is known of an exchange when it is over.

use std::fmt;
use std::time::Duration;

use http::StatusCode;

use super::upstream::{Upstream, UpstreamFailure};

/// What became of one request that a proxy has sent on: what [`ReverseProxy::on_exchange`] is told.
///
/// [`ReverseProxy::on_exchange`]: super::ReverseProxy::on_exchange
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ProxyRecord {
    /// The upstream that it went to at last; `None` where none was chosen.
    pub upstream: Option<Upstream>,
    /// How many upstreams were tried before that one.
    pub retries: usize,
    /// How long it waited for an upstream to be chosen, all attempts together.
    pub queued: Duration,
    /// How long it took to get a connection to the last upstream, a kept one or a new one; `None` where there was no
    /// response.
    pub connect: Option<Duration>,
    /// How long after that attempt was begun the first byte of a response came; `None` where none came.
    pub first_byte: Option<Duration>,
    /// From when the proxy got the request to the end of all, a tunnel included.
    pub duration: Duration,
    /// The status of the upstream's final response; `None` where there was none.
    pub status: Option<StatusCode>,
    /// How the upstream failed, before its response was whole, if it did.
    pub failure: Option<UpstreamFailure>,
    /// How much content of the request was read, without framing. In a tunnel, what the client has sent.
    pub request_bytes: u64,
    /// How much content the upstream has sent.
    pub response_bytes: u64,
    /// How all of it ended.
    pub end: ProxyEnd,
}

/// How an exchange ended for the proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyEnd {
    /// The response was handed on whole, or a tunnel has ended.
    #[default]
    Whole,
    /// The client left, or broke its request off.
    ClientGone,
    /// There was an error: of the upstream, or of the proxy's own functions.
    Failed,
    /// The handler was dropped before: the server was closed, or had no more time to shut down, or a middleware around
    /// it had the request end.
    Dropped,
}

impl fmt::Display for ProxyRecord {
    /// For people: `http://10.0.0.1:8000/ 200 in 12ms (head 11ms, queued 0ns, retries 0), 12 bytes up, 4500 bytes down`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.upstream {
            Some(upstream) => write!(f, "{}", upstream.url())?,
            None => f.write_str("no upstream")?,
        }
        match (self.status, self.failure) {
            (Some(status), None) => write!(f, " {}", status.as_u16())?,
            (Some(status), Some(failure)) => write!(f, " {} {failure:?}", status.as_u16())?,
            (None, Some(failure)) => write!(f, " {failure:?}")?,
            (None, None) => f.write_str(" -")?,
        }
        let ProxyRecord { duration, queued, retries, request_bytes, response_bytes, .. } = self;
        let first_byte = self.first_byte.unwrap_or_default();
        write!(f, " in {duration:?} (head {first_byte:?}, queued {queued:?}, retries {retries})")?;
        write!(f, ", {request_bytes} bytes up, {response_bytes} bytes down")
    }
}
