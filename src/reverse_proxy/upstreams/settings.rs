//! What users say of a group of upstreams.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::{StatusCode, Uri};

use crate::error::{Error, ErrorKind, Result};
use crate::reverse_proxy::upstream::Upstream;

/// How [`Upstreams`](super::Upstreams) spreads requests. Default: round robin.
///
/// All of them leave out upstreams that are failing, draining or full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadBalancing {
    /// One after the other, as often as their weights say, and without long runs.
    #[default]
    RoundRobin,
    /// The one with the fewest requests under way for its weight. One that is stuck or slow gets few, also when its
    /// clients give up.
    LeastConnections,
    /// Two at random, and of them the one with fewer requests under way. Where several proxies share upstreams,
    /// they do not all find the same one the best.
    RandomTwo,
    /// The same one for the same key, as long as it is there: when one goes, only its keys move (rendezvous
    /// hashing), and when it comes back, they return. Every proxy with the same upstreams decides alike. Requests
    /// without the key go round robin.
    Hash(HashKey),
}

/// What [`LoadBalancing::Hash`] takes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HashKey {
    /// The client's address ([`Request::client_ip`](crate::Request::client_ip)): of IPv6 the first 64 bits, which a
    /// client keeps.
    ClientAddr,
    /// The value of this field.
    Field(Arc<str>),
    /// The value of this cookie.
    Cookie(Arc<str>),
}

/// A server of [`Upstreams`](super::Upstreams): its URL, and what it may be given.
///
/// ```
/// use nethttp::reverse_proxy::UpstreamServer;
///
/// let big = UpstreamServer::new("http://10.0.0.1:8000")?.weight(3).max_connections(200);
/// let local = UpstreamServer::new("unix:/run/app.sock")?;
/// # Ok::<(), nethttp::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct UpstreamServer {
    pub(super) upstream: Upstream,
    pub(super) socket: Option<PathBuf>,
    pub(super) weight: u32,
    pub(super) max_connections: usize,
}

impl UpstreamServer {
    /// The server at this URL of `http` or `https`; `unix:PATH` is one that speaks HTTP on a Unix socket, and is
    /// called `localhost`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for what is no such URL.
    pub fn new(url: &str) -> Result<UpstreamServer> {
        let (url, socket) = match url.strip_prefix("unix:") {
            Some("") => return Err(Error::new(ErrorKind::Invalid, "there is no path behind unix:")),
            Some(path) => ("http://localhost/", Some(path.into())),
            None => (url, None),
        };
        Ok(UpstreamServer { upstream: Upstream::new(url)?, socket, weight: 1, max_connections: 0 })
    }

    pub(super) fn url(&self) -> &Uri {
        self.upstream.url()
    }

    /// How much of the requests it gets, beside the weights of the others. Default: 1. 0 counts as 1: to send it
    /// nothing, [drain](super::Upstreams::drain) it.
    #[must_use]
    pub fn weight(self, weight: u32) -> UpstreamServer {
        UpstreamServer { weight: weight.max(1), ..self }
    }

    /// The most requests at a time, tunnels among them; others go elsewhere, or [wait](super::Upstreams::queue).
    /// Of a name that stands for several addresses, each may have so many. Default and 0: no limit.
    #[must_use]
    pub fn max_connections(self, count: usize) -> UpstreamServer {
        UpstreamServer { max_connections: count, ..self }
    }
}

impl FromStr for UpstreamServer {
    type Err = Error;

    fn from_str(text: &str) -> Result<UpstreamServer> {
        UpstreamServer::new(text)
    }
}

/// As it is written: its URL, or `unix:` and the path.
impl fmt::Display for UpstreamServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Some(path) => write!(f, "unix:{}", path.display()),
            None => {
                let url = self.url().to_string();
                f.write_str(if self.url().path() == "/" { url.strip_suffix('/').unwrap_or(&url) } else { &url })
            }
        }
    }
}

/// Asks each server whether it is well, again and again: it gets requests as long as it answers a `GET` as it
/// should.
///
/// ```
/// use std::time::Duration;
/// use nethttp::reverse_proxy::HealthCheck;
///
/// let check = HealthCheck::new("/healthz").interval(Duration::from_secs(2)).thresholds(3, 2);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    pub(super) target: Arc<str>,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    pub(super) status: Option<StatusCode>,
    pub(super) checks_to_fail: u32,
    pub(super) checks_to_pass: u32,
}

impl HealthCheck {
    /// A `GET` of this path, and query, every 5 s. The path of the server's URL does not stand before it.
    pub fn new(path: &str) -> HealthCheck {
        HealthCheck {
            target: path.into(),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
            status: None,
            checks_to_fail: 1,
            checks_to_pass: 1,
        }
    }

    /// The time from one check to the next, up to a tenth more or less, so that several proxies do not ask in
    /// step. Default: 5 s. At least 10 ms.
    #[must_use]
    pub fn interval(self, interval: Duration) -> HealthCheck {
        HealthCheck { interval: interval.max(Duration::from_millis(10)), ..self }
    }

    /// How long the head of the answer may take, connecting included. Default: 5 s. Zero: no limit but those of the
    /// transport.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> HealthCheck {
        HealthCheck { timeout, ..self }
    }

    /// The status that is well. Default: any from 200 to 399.
    #[must_use]
    pub fn status(self, status: StatusCode) -> HealthCheck {
        HealthCheck { status: Some(status), ..self }
    }

    /// How many checks in a row must fail until a server gets no more requests, and how many must pass until it gets
    /// them again. Default: one each. 0 counts as 1.
    #[must_use]
    pub fn thresholds(self, to_fail: u32, to_pass: u32) -> HealthCheck {
        HealthCheck { checks_to_fail: to_fail.max(1), checks_to_pass: to_pass.max(1), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_written_as_it_was_given() {
        for text in ["http://10.0.0.1:8000", "https://example.com/base", "unix:/run/app.sock", "http://[::1]:8000"] {
            assert_eq!(UpstreamServer::new(text).unwrap().to_string(), text);
        }
        assert_eq!(UpstreamServer::new("http://10.0.0.1:8000/").unwrap().to_string(), "http://10.0.0.1:8000");
        for text in ["", "unix:", "10.0.0.1:8000", "ftp://a.test", "/a"] {
            assert_eq!(UpstreamServer::new(text).unwrap_err().kind(), ErrorKind::Invalid, "{text}");
        }
    }
}
