//! The members of a group as they are reached: servers become endpoints, one for each, or one for each address of
//! a name.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{StatusCode, Uri};

use super::latency::LatencyHistogram;
use super::owned_task::OwnedTask;
use super::policy::hash_of;
use super::settings::UpstreamServer;
use super::state::{MemberId, MemberSpec};
use crate::client::Transport;
use crate::message::{Addr, Request};
use crate::net::{Dial, FixedResolver, ProxyProtocolDialer, ProxyProtocolVersion, TcpDialer};
use crate::reverse_proxy::settings::proxy_transport;
use crate::reverse_proxy::upstream::Upstream;

/// Where requests of one member go.
pub(super) struct Endpoint {
    pub(super) id: MemberId,
    pub(super) spec: EndpointSpec,
    /// What its transports are like.
    like: Option<Transport>,
    pub(super) upstream: Upstream,
    pub(super) records: EndpointRecords,
    /// Asks how it is, where that is wanted.
    pub(super) check: OnceLock<OwnedTask>,
}

impl Endpoint {
    /// With a transport of its own where one is given, or where it is reached otherwise than by its URL.
    pub(super) fn new(id: MemberId, spec: &EndpointSpec, like: Option<&Transport>) -> Endpoint {
        let needs_own = like.is_some() || spec.server.socket.is_some() || !spec.addrs.is_empty();
        let mut upstream = spec.server.upstream.clone().with_name(&spec.name);
        if needs_own {
            upstream = upstream.with_transport(Arc::new(transport_for(spec, like)));
        }
        let (spec, like, records, check) = (spec.clone(), like.cloned(), EndpointRecords::new(), OnceLock::new());
        Endpoint { id, spec, like, upstream, records, check }
    }

    /// A transport whose connections begin with a header that says who the client of this request is.
    pub(super) fn transport_of_client(&self, version: ProxyProtocolVersion, request: &Request) -> Transport {
        let mut transport = transport_for(&self.spec, self.like.as_ref());
        let dialer = transport.dial.clone();
        let ends = (&request.remote_addr, request.context().local_addr());
        transport.dial = match ends {
            (Addr::Tcp(client), Addr::Tcp(connected_to)) => {
                Arc::new(ProxyProtocolDialer::for_client(dialer, version, *client, *connected_to))
            }
            _ => Arc::new(ProxyProtocolDialer::for_itself(dialer, version)),
        };
        transport.disable_keep_alives = true;
        transport
    }

    /// A transport for the checks of this endpoint.
    pub(super) fn transport_of_checks(
        &self,
        like: Option<&Transport>,
        header: Option<ProxyProtocolVersion>,
    ) -> Transport {
        let mut transport = transport_for(&self.spec, like);
        if let Some(version) = header {
            transport.dial = Arc::new(ProxyProtocolDialer::for_itself(transport.dial.clone(), version));
        }
        transport
    }
}

/// What is counted of an endpoint besides what the choice needs.
pub(super) struct EndpointRecords {
    pub(super) latency: LatencyHistogram,
    /// Responses by the first digit of their status, from 1 on.
    by_class: [AtomicU64; 5],
}

impl EndpointRecords {
    pub(super) fn new() -> EndpointRecords {
        EndpointRecords { latency: LatencyHistogram::new(), by_class: [const { AtomicU64::new(0) }; 5] }
    }

    pub(super) fn responded(&self, status: StatusCode, head: Duration) {
        let class = usize::from(status.as_u16() / 100).checked_sub(1);
        if let Some(count) = class.and_then(|class| self.by_class.get(class)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.latency.add(head);
    }

    pub(super) fn by_class(&self) -> [u64; 5] {
        self.by_class.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}

/// What a server stands for now.
#[derive(Clone, Debug)]
pub(super) struct EndpointSpec {
    pub(super) server: Arc<UpstreamServer>,
    pub(super) name: Box<str>,
    /// Where it is, if that is known better than by its URL.
    pub(super) addrs: Vec<SocketAddr>,
    hash: u64,
}

impl EndpointSpec {
    pub(super) fn member(&self) -> MemberSpec {
        let UpstreamServer { weight, max_connections, .. } = *self.server;
        MemberSpec { name: self.name.clone(), hash: self.hash, weight, max_connections }
    }
}

/// The endpoints of a server whose name has these addresses; none stands for "not known yet".
///
/// A name with several addresses of one family is a service of several servers (a headless service of Kubernetes, a
/// service of Consul): each address is an endpoint. Where there are addresses of both families, the family with more
/// of them counts, IPv4 of equals: the others are usually the same servers once more. A name with no more than one
/// address of each family is one server, to which both are tried. That is also what `localhost` is.
pub(super) fn endpoints_of(server: &Arc<UpstreamServer>, addrs: &[SocketAddr]) -> Vec<EndpointSpec> {
    let name = server.to_string();
    let (v4, v6): (Vec<SocketAddr>, Vec<SocketAddr>) = addrs.iter().partition(|addr| addr.is_ipv4());
    if v4.len() <= 1 && v6.len() <= 1 {
        let mut addrs = addrs.to_vec();
        addrs.sort_unstable();
        // The hash does not see the addresses: who moves stays the same one.
        let hash = hash_of(name.as_bytes());
        let name = if addrs.is_empty() { name } else { format!("{name} ({})", listed(&addrs)) };
        return vec![EndpointSpec { server: server.clone(), name: name.into(), addrs, hash }];
    }
    let mut family = if v6.len() > v4.len() { v6 } else { v4 };
    family.sort_unstable();
    family.dedup();
    let endpoint = |addr: SocketAddr| {
        let name = format!("{name} ({addr})");
        let hash = hash_of(name.as_bytes());
        EndpointSpec { server: server.clone(), name: name.into(), addrs: vec![addr], hash }
    };
    family.into_iter().map(endpoint).collect()
}

fn listed(addrs: &[SocketAddr]) -> String {
    addrs.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(", ")
}

/// The name that has to be resolved to reach the server, and its port. `None` for an address and a Unix socket.
pub(super) fn name_of(server: &UpstreamServer) -> Option<(&str, u16)> {
    let host = server.url().host()?;
    let is_address = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
    (server.socket.is_none() && !is_address).then(|| (host, port_of(server.url())))
}

fn port_of(url: &Uri) -> u16 {
    let is_https = url.scheme_str() == Some("https");
    url.port_u16().unwrap_or(if is_https { 443 } else { 80 })
}

/// How connections to the endpoint are made, where that is otherwise than by its URL.
pub(super) fn dialer_of(spec: &EndpointSpec) -> Option<Arc<dyn Dial>> {
    if let Some(path) = &spec.server.socket {
        return Some(unix_dialer(path));
    }
    let (host, port) = name_of(&spec.server).filter(|_| !spec.addrs.is_empty())?;
    let addrs = FixedResolver::only().with_addrs(host, port, spec.addrs.iter().copied());
    Some(Arc::new(TcpDialer::new().with_resolver(addrs)))
}

#[cfg(unix)]
fn unix_dialer(path: &std::path::Path) -> Arc<dyn Dial> {
    Arc::new(crate::net::UnixDialer::new(path))
}

#[cfg(not(unix))]
fn unix_dialer(_: &std::path::Path) -> Arc<dyn Dial> {
    let unsupported = || std::io::Error::new(std::io::ErrorKind::Unsupported, "this system has no Unix sockets");
    Arc::new(crate::net::dial_fn(move |_, _| async move { Err(unsupported()) }))
}

/// A transport for the endpoint alone, like this one or like that of a proxy.
pub(super) fn transport_for(spec: &EndpointSpec, like: Option<&Transport>) -> Transport {
    let mut transport = like.map_or_else(proxy_transport, Transport::clone);
    if let Some(dialer) = dialer_of(spec) {
        transport.dial = dialer;
    }
    transport
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(url: &str, addrs: &[&str]) -> Vec<String> {
        let addrs: Vec<SocketAddr> = addrs.iter().map(|addr| addr.parse().unwrap()).collect();
        let server = Arc::new(UpstreamServer::new(url).unwrap());
        endpoints_of(&server, &addrs).into_iter().map(|spec| spec.name.into()).collect()
    }

    #[test]
    fn a_name_with_several_addresses_of_a_family_is_several_servers() {
        let app = "http://app.test";
        assert_eq!(endpoints(app, &[]), [app]);
        assert_eq!(endpoints(app, &["10.0.0.1:80"]), ["http://app.test (10.0.0.1:80)"]);
        assert_eq!(endpoints(app, &["[::1]:80", "127.0.0.1:80"]), ["http://app.test (127.0.0.1:80, [::1]:80)"]);
        let two = ["http://app.test (10.0.0.1:80)", "http://app.test (10.0.0.2:80)"];
        assert_eq!(endpoints(app, &["10.0.0.2:80", "10.0.0.1:80", "10.0.0.2:80", "[fd00::1]:80"]), two);
        assert_eq!(endpoints(app, &["[fd00::1]:80", "10.0.0.1:80", "[fd00::2]:80"]).len(), 2, "the family with more");
    }

    #[test]
    fn one_server_that_moves_keeps_its_hash() {
        let server = Arc::new(UpstreamServer::new("http://app.test").unwrap());
        let hash = |addrs: &[SocketAddr]| endpoints_of(&server, addrs)[0].member().hash;
        assert_eq!(hash(&[]), hash(&[([10, 0, 0, 1], 80).into()]));
        assert_eq!(hash(&[([10, 0, 0, 2], 80).into()]), hash(&[([10, 0, 0, 1], 80).into()]));
    }

    #[test]
    fn only_names_are_resolved() {
        let name = |url| name_of(&UpstreamServer::new(url).unwrap()).map(|(host, port)| format!("{host} {port}"));
        assert_eq!(name("http://app.test").as_deref(), Some("app.test 80"));
        assert_eq!(name("https://app.test/x").as_deref(), Some("app.test 443"));
        for url in ["http://10.0.0.1:80", "http://[::1]:80", "unix:/run/a.sock"] {
            assert_eq!(name(url), None);
        }
    }
}
