//! The settings of a proxy, and the functions that it calls.

use std::sync::Arc;
use std::time::Duration;

use super::outgoing::{ForwardingFields, HostChoice, OutgoingRequest, PeerTrust};
use super::record::ProxyRecord;
use super::tunnel::TunnelLimits;
use super::upstream::{ChooseUpstream, ChosenUpstream, Upstream};
use crate::client::{Proxy, RoundTripper, Transport};
use crate::error::{Error, Result};
use crate::message::{Request, Response, Timeouts};
use crate::net::IpNetwork;

pub(super) type RewriteHook = Arc<dyn Fn(&mut OutgoingRequest<'_>, &Request) -> Result<()> + Send + Sync>;
pub(super) type ModifyHook = Arc<dyn Fn(&mut Response, &Request) -> Result<()> + Send + Sync>;
pub(super) type FailureHook = Arc<dyn Fn(&Request, &Error) -> Option<Response> + Send + Sync>;
pub(super) type RecordHook = Arc<dyn Fn(&Request, &ProxyRecord) + Send + Sync>;

#[derive(Clone)]
pub(super) struct ProxySettings {
    pub(super) choice: UpstreamChoice,
    pub(super) transport: Arc<dyn RoundTripper>,
    pub(super) rewrite: Option<RewriteHook>,
    pub(super) modify_response: Option<ModifyHook>,
    pub(super) on_error: Option<FailureHook>,
    pub(super) on_exchange: Option<RecordHook>,
    pub(super) host: HostChoice,
    pub(super) forwarding: ForwardingFields,
    pub(super) trusted: Vec<IpNetwork>,
    /// What is thought of peers without an address.
    pub(super) unix_sockets: PeerTrust,
    pub(super) flush_interval: Duration,
    pub(super) timeouts: Timeouts,
    pub(super) max_retries: usize,
    pub(super) tunnel: TunnelLimits,
}

#[derive(Clone)]
pub(super) enum UpstreamChoice {
    /// Without a future in a box for each request.
    One(Upstream),
    Policy(Arc<dyn ChooseUpstream>),
}

impl ProxySettings {
    pub(super) fn new(choice: UpstreamChoice) -> ProxySettings {
        ProxySettings {
            choice,
            transport: Arc::new(proxy_transport()),
            rewrite: None,
            modify_response: None,
            on_error: None,
            on_exchange: None,
            host: HostChoice::Upstreams,
            forwarding: ForwardingFields::Both,
            trusted: Vec::new(),
            unix_sockets: PeerTrust::Unknown,
            flush_interval: Duration::ZERO,
            timeouts: Timeouts::default(),
            max_retries: 2,
            tunnel: TunnelLimits { idle: None, grace: Duration::from_secs(1) },
        }
    }

    /// Whether what this request's peer says of the client behind it is believed.
    pub(super) fn trust(&self, received: &Request) -> PeerTrust {
        match received.remote_addr.ip() {
            Some(address) if self.trusted.iter().any(|network| network.contains(address)) => PeerTrust::Trusted,
            Some(_) => PeerTrust::Unknown,
            None => self.unix_sockets,
        }
    }
}

impl UpstreamChoice {
    pub(super) async fn choose(&self, received: &Request, tried: &[Upstream]) -> Result<ChosenUpstream> {
        match self {
            UpstreamChoice::One(upstream) if tried.is_empty() => Ok(ChosenUpstream::new(upstream.clone())),
            UpstreamChoice::One(_) => Err(Error::other("there is no other upstream")),
            UpstreamChoice::Policy(policy) => policy.choose(received, tried).await,
        }
    }

    /// Whether there may be another upstream when one has failed.
    pub(super) fn has_others(&self) -> bool {
        matches!(self, UpstreamChoice::Policy(_))
    }
}

/// A transport as a proxy needs it: what it sends is what it was given, and what comes is handed on as it is. Change
/// its fields before it is given to [`ReverseProxy::transport`](super::ReverseProxy::transport).
///
/// It adds no `User-Agent`, requests and takes off no content coding, and asks the environment for no proxy. It
/// keeps up to 256 idle connections to each upstream ([`Transport`]: 32), and any number over all. Its time limits are
/// those of [`Transport::new`]: 30 s to connect, 60 s for a response's head, and none between bytes.
///
/// ```
/// use nethttp::client::ClientProtocols;
/// use nethttp::reverse_proxy::{ReverseProxy, proxy_transport};
///
/// // HTTP/2 to the upstream, without TLS.
/// let mut transport = proxy_transport();
/// transport.protocols = ClientProtocols::Http2;
/// let proxy = ReverseProxy::to("http://10.0.0.1:8000")?.transport(transport);
/// # Ok::<(), nethttp::Error>(())
/// ```
pub fn proxy_transport() -> Transport {
    let mut transport = Transport::new();
    transport.proxy = Proxy::none();
    transport.disable_compression = true;
    transport.user_agent = String::new();
    transport.max_idle_conns = 0;
    transport.max_idle_conns_per_host = 256;
    transport
}
