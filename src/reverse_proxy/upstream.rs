//! The seam between the proxy and the choice of an upstream.
//!
//! ```text
//!  ReverseProxy ── choose(request, tried) ──▶ ChooseUpstream
//!       ▲                                        │
//!       └──────────── ChosenUpstream ◀───────────┘
//!                      upstream: where the request goes
//!                      permit:   responded(…) or failed(…), once; dropped when the exchange is over
//! ```
//!
//! After a failure of which nothing was sent, the proxy chooses again and says which upstreams were tried.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{StatusCode, Uri};

use crate::client::{IntoUrl, RoundTripper};
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::message::Request;

/// A server that requests are sent on to: its URL, and how it is reached.
///
/// Cheap to clone: clones are the same upstream ([`is_same`](Upstream::is_same)).
///
/// ```
/// use nethttp::reverse_proxy::Upstream;
///
/// let upstream = Upstream::new("http://10.0.0.1:8000/base")?;
/// assert_eq!(upstream.url().path(), "/base");
/// assert!(upstream.is_same(&upstream.clone()));
/// # Ok::<(), nethttp::Error>(())
/// ```
#[derive(Clone)]
pub struct Upstream(Arc<UpstreamInner>);

struct UpstreamInner {
    url: Uri,
    name: Option<Box<str>>,
    transport: Option<Arc<dyn RoundTripper>>,
    /// The same in all that count as the same upstream.
    identity: Arc<()>,
}

impl Upstream {
    /// The upstream at this URL, reached by the proxy's own transport. A path in it is put before that of each
    /// request, a query before its query.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for what is no URL of `http` or `https`.
    pub fn new(url: impl IntoUrl) -> Result<Upstream> {
        let (url, identity) = (url.into_url()?, Arc::new(()));
        Ok(Upstream(Arc::new(UpstreamInner { url, name: None, transport: None, identity })))
    }

    /// The same with a transport of its own: for one behind a Unix socket, with other certificates, or at an
    /// address that its URL does not say. It is another upstream than the one that it was made from.
    ///
    /// What a proxy needs of its transport is in [`ReverseProxy::transport`](super::ReverseProxy::transport).
    #[must_use]
    pub fn with_transport(self, transport: Arc<dyn RoundTripper>) -> Upstream {
        let UpstreamInner { url, name, .. } = &*self.0;
        let (url, name, identity) = (url.clone(), name.clone(), Arc::new(()));
        Upstream(Arc::new(UpstreamInner { url, name, transport: Some(transport), identity }))
    }

    /// The same with a name for people, in place of its URL: where several are told apart by their addresses. It is
    /// another upstream than the one that it was made from.
    #[must_use]
    pub fn with_name(self, name: &str) -> Upstream {
        let UpstreamInner { url, transport, .. } = &*self.0;
        let (url, transport, identity) = (url.clone(), transport.clone(), Arc::new(()));
        Upstream(Arc::new(UpstreamInner { url, name: Some(name.into()), transport, identity }))
    }

    /// The same upstream, reached by this transport once.
    pub(super) fn via(&self, transport: Arc<dyn RoundTripper>) -> Upstream {
        let UpstreamInner { url, name, identity, .. } = &*self.0;
        let (url, name, identity) = (url.clone(), name.clone(), identity.clone());
        Upstream(Arc::new(UpstreamInner { url, name, transport: Some(transport), identity }))
    }

    /// Its URL in normal form.
    pub fn url(&self) -> &Uri {
        &self.0.url
    }

    /// Its own transport; `None` where the proxy's is used.
    pub fn transport(&self) -> Option<&Arc<dyn RoundTripper>> {
        self.0.transport.as_ref()
    }

    /// Whether both are clones of one: two that were made apart are not, even with the same URL.
    pub fn is_same(&self, other: &Upstream) -> bool {
        Arc::ptr_eq(&self.0.identity, &other.0.identity)
    }
}

/// Its name, where it has one, else its URL.
impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.name {
            Some(name) => f.write_str(name),
            None => self.0.url.fmt(f),
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Upstream").field(&self.0.url).finish()
    }
}

/// Chooses the upstream of each request: the policy of a [`ReverseProxy`](super::ReverseProxy).
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// use nethttp::reverse_proxy::{ChooseFuture, ChooseUpstream, ChosenUpstream, ReverseProxy, Upstream};
/// use nethttp::{Error, Request, StatusCode};
///
/// /// One after the other.
/// struct RoundRobin {
///     upstreams: Vec<Upstream>,
///     next: AtomicUsize,
/// }
///
/// impl ChooseUpstream for RoundRobin {
///     fn choose<'a>(&'a self, _: &'a Request, tried: &'a [Upstream]) -> ChooseFuture<'a> {
///         Box::pin(async move {
///             if tried.len() >= self.upstreams.len() {
///                 return Err(Error::answer(StatusCode::BAD_GATEWAY, "all upstreams were tried"));
///             }
///             let index = self.next.fetch_add(1, Ordering::Relaxed) % self.upstreams.len();
///             Ok(ChosenUpstream::new(self.upstreams[index].clone()))
///         })
///     }
/// }
///
/// let upstreams = vec![Upstream::new("http://10.0.0.1:8000")?, Upstream::new("http://10.0.0.2:8000")?];
/// let proxy = ReverseProxy::new(RoundRobin { upstreams, next: AtomicUsize::new(0) });
/// # Ok::<(), nethttp::Error>(())
/// ```
pub trait ChooseUpstream: Send + Sync + 'static {
    /// An upstream for this request as the client has sent it. `tried` are those that it was sent to and that did
    /// not take it, in order; empty at first. It may wait for a place at one: dropped, it gives up that place.
    ///
    /// # Errors
    /// Where there is none. At first this is answered with the error's own status
    /// ([`Error::status`](crate::Error::status), 503 for one); later with that of the failure before.
    fn choose<'a>(&'a self, request: &'a Request, tried: &'a [Upstream]) -> ChooseFuture<'a>;
}

/// What [`ChooseUpstream::choose`] returns.
pub type ChooseFuture<'a> = Pin<Box<dyn Future<Output = Result<ChosenUpstream>> + Send + 'a>>;

/// An upstream that was chosen for one exchange, with its place there.
pub struct ChosenUpstream {
    pub(super) upstream: Upstream,
    pub(super) permit: Option<Box<dyn UpstreamPermit>>,
}

impl ChosenUpstream {
    /// This upstream, and nobody who wants to know what becomes of the exchange.
    pub fn new(upstream: Upstream) -> ChosenUpstream {
        ChosenUpstream { upstream, permit: None }
    }

    /// The same with a permit, which is told what becomes of the exchange.
    #[must_use]
    pub fn with_permit(self, permit: impl UpstreamPermit) -> ChosenUpstream {
        ChosenUpstream { permit: Some(Box::new(permit)), ..self }
    }

    /// Where the request goes.
    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }
}

impl fmt::Debug for ChosenUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChosenUpstream").field("upstream", &self.upstream).finish_non_exhaustive()
    }
}

/// A place at an upstream for as long as an exchange lasts, its content and a tunnel included: dropping it says that
/// all is over. It is told at most once that the upstream [`responded`](UpstreamPermit::responded) and at most once
/// that it [`failed`](UpstreamPermit::failed), after a response too: in its content. Neither is told when the client
/// left first, or was itself at fault: that says nothing about the upstream.
///
/// Both are called on the task of the request, and must not block.
pub trait UpstreamPermit: Send + Sync + 'static {
    /// The head of the final response came, this long after the request was given to the upstream.
    fn responded(&mut self, status: StatusCode, head: Duration);

    /// The upstream failed, this long after the request was given to it.
    fn failed(&mut self, failure: UpstreamFailure, after: Duration);
}

/// How an upstream failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UpstreamFailure {
    /// No connection to it was made: its name, the connection or TLS. Nothing was sent.
    Connect,
    /// It took nothing of the request, or sent nothing of the response, for too long.
    TimedOut,
    /// It ended the connection or the stream before the response was whole.
    CutOff,
    /// What it sent is no response.
    Malformed,
}

impl UpstreamFailure {
    /// Which of them an error of the client is; `None` for one that the upstream is not to blame for.
    pub(super) fn of(error: &Error) -> Option<UpstreamFailure> {
        use ErrorKind::{BodyTooLarge, Cancelled, Invalid, RequestOver, Unsupported};
        match (error.kind(), error.phase()) {
            // The last is the wait for a place in the transport: the upstream was not asked.
            (Invalid | Unsupported | BodyTooLarge | RequestOver | Cancelled, _) | (_, Some(Phase::Pool)) => None,
            (_, Some(Phase::Resolve | Phase::Connect | Phase::Proxy | Phase::Tls)) => Some(UpstreamFailure::Connect),
            (ErrorKind::TimedOut, _) => Some(UpstreamFailure::TimedOut),
            (ErrorKind::Refused | ErrorKind::Malformed | ErrorKind::Decode, _) => Some(UpstreamFailure::Malformed),
            _ => Some(UpstreamFailure::CutOff),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_the_upstream_is_named_and_that_of_others_is_none() {
        let error = |kind, phase| Error::new(kind, "").during(phase);
        for (kind, phase, failure) in [
            (ErrorKind::Resolve, Phase::Resolve, Some(UpstreamFailure::Connect)),
            (ErrorKind::TimedOut, Phase::Connect, Some(UpstreamFailure::Connect)),
            (ErrorKind::Tls, Phase::Tls, Some(UpstreamFailure::Connect)),
            (ErrorKind::TimedOut, Phase::Head, Some(UpstreamFailure::TimedOut)),
            (ErrorKind::CutOff, Phase::Head, Some(UpstreamFailure::CutOff)),
            // The request's own context has ended, whatever the upstream did.
            (ErrorKind::Cancelled, Phase::Head, None),
            (ErrorKind::Cancelled, Phase::Connect, None),
            (ErrorKind::Io, Phase::Body, Some(UpstreamFailure::CutOff)),
            (ErrorKind::Refused, Phase::Head, Some(UpstreamFailure::Malformed)),
            (ErrorKind::TimedOut, Phase::Pool, None),
            (ErrorKind::Invalid, Phase::Write, None),
        ] {
            assert_eq!(UpstreamFailure::of(&error(kind, phase)), failure, "{kind:?} {phase:?}");
        }
    }
}
