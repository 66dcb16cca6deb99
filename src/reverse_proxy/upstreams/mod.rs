//! Several upstreams in place of one: which of them a request goes to, and who is left out.
//!
//! ```text
//!  Upstreams ── servers ──▶ endpoint (one for each server, or each address of its name) ◀── tasks: checks, names
//!      │ choose                  ▲
//!      ▼                         │ room
//!    group (one lock) ──▶ state: Balancer (members, queue) ──▶ policy, health
//! ```
//!
//! `state` decides with numbers alone; `group` adds the clock, the lock and those that wait.

mod endpoint;
mod group;
mod health;
mod latency;
mod owned_task;
mod policy;
mod settings;
mod state;
mod stats;
mod tasks;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

pub use latency::LatencyStats;
pub use settings::{HashKey, HealthCheck, LoadBalancing, UpstreamServer};
pub use stats::{UpstreamHealth, UpstreamStats};

use endpoint::{Endpoint, EndpointSpec, endpoints_of, name_of};
use group::{GroupState, NoEndpoint, Room, UpstreamGroup};
use health::{Report, UpstreamLimits};
use http::StatusCode;
use owned_task::OwnedTask;
use policy::hash_of;
use state::{Balancer, Duty, MemberSpec, Wanted};
use tasks::{Keep, check_health, look_up};
use tokio::runtime::Handle;

use super::upstream::{ChooseFuture, ChooseUpstream, ChosenUpstream, Upstream, UpstreamFailure, UpstreamPermit};
use crate::client::Transport;
use crate::error::{Error, Result};
use crate::message::Request;
use crate::net::{ProxyProtocolVersion, Resolve, SystemResolver};

/// Several servers that do the same: each request goes to one of them.
///
/// - [`policy`](Self::policy) says to which. Servers have [weights](UpstreamServer::weight).
/// - A server that fails is left out for a time ([`max_fails`](Self::max_fails)): a failure is a connection that is
///   not made, an answer that does not come in time, is cut off or malformed; an answer of any status is none. Then
///   one request tries it, and brings it back in if it is answered. A server that is alone is never left out.
/// - A [health check](Self::health_check) asks each server how it is.
/// - A server takes as many requests at a time as it [may](UpstreamServer::max_connections). When all have as many
///   as they may, requests [wait](Self::queue), first come, first served; who leaves is not sent.
/// - When no server is available, a request is answered 503 at once, those that wait too.
/// - The servers can be [changed](Self::set) and [drained](Self::drain) while requests are under way. Names are
///   [looked up again](Self::resolve_interval), so that the servers behind a name may change as well.
///
/// Clones are the same group. Its tasks (checks, lookups) begin with the first request or with
/// [`start`](Self::start), and end when the last clone is dropped. They run on the runtime that they began on.
///
/// ```
/// use nethttp::reverse_proxy::{HealthCheck, LoadBalancing, ReverseProxy, UpstreamServer, Upstreams};
///
/// # fn example() -> nethttp::Result<()> {
/// let servers = [
///     UpstreamServer::new("http://10.0.0.1:8000")?.weight(2),
///     UpstreamServer::new("http://10.0.0.2:8000")?,
/// ];
/// let upstreams = Upstreams::new(servers)
///     .policy(LoadBalancing::LeastConnections)
///     .health_check(HealthCheck::new("/healthz"));
/// let proxy = ReverseProxy::new(upstreams.clone());
/// // Later, while it serves:
/// upstreams.set([UpstreamServer::new("http://10.0.0.3:8000")?]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Upstreams(Arc<UpstreamsInner>);

struct UpstreamsInner {
    group: Arc<UpstreamGroup>,
    settings: Mutex<GroupSettings>,
    /// Where the tasks run, once they do.
    runtime: OnceLock<Handle>,
    /// Whether connections begin with a header that says who the client is.
    header: OnceLock<ProxyProtocolVersion>,
}

struct GroupSettings {
    servers: Vec<KnownServer>,
    transport: Option<Transport>,
    resolver: Arc<dyn Resolve>,
    resolve_interval: Duration,
    check: Option<HealthCheck>,
}

/// A server, and where its name has led last.
struct KnownServer {
    server: Arc<UpstreamServer>,
    addrs: Vec<SocketAddr>,
    /// Looks its name up.
    lookup: Option<OwnedTask>,
}

const DEFAULT_LIMITS: UpstreamLimits = UpstreamLimits {
    max_fails: 1,
    fail_timeout: Duration::from_secs(10),
    slow_start: Duration::ZERO,
    checks_to_fail: 1,
    checks_to_pass: 1,
    max_waiting: 1_000,
    queue_timeout: Duration::from_secs(10),
};
const DEFAULT_RESOLVE_INTERVAL: Duration = Duration::from_secs(10);

impl Upstreams {
    /// These servers, round robin. One that is given twice is there once.
    pub fn new(servers: impl IntoIterator<Item = UpstreamServer>) -> Upstreams {
        let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
        let settings = GroupSettings {
            servers: Vec::new(),
            transport: None,
            resolver: Arc::new(SystemResolver::new()),
            resolve_interval: DEFAULT_RESOLVE_INTERVAL,
            check: None,
        };
        let upstreams = Upstreams(Arc::new(UpstreamsInner {
            group: Arc::new(UpstreamGroup::new(Balancer::new(LoadBalancing::default(), DEFAULT_LIMITS, nanos))),
            settings: Mutex::new(settings),
            runtime: OnceLock::new(),
            header: OnceLock::new(),
        }));
        upstreams.set(servers);
        upstreams
    }

    /// How requests are spread. Default: [`LoadBalancing::RoundRobin`].
    #[must_use]
    pub fn policy(self, policy: LoadBalancing) -> Upstreams {
        self.0.group.decide(|_, state| state.balancer.policy = policy);
        self
    }

    /// How many failures within `fail_timeout` leave a server out, and for how long. Default: 1, and 10 s. With 0 or
    /// zero, none is left out.
    #[must_use]
    pub fn max_fails(self, count: u32, fail_timeout: Duration) -> Upstreams {
        self.with_limits(|limits| (limits.max_fails, limits.fail_timeout) = (count, fail_timeout))
    }

    /// How long a server that has come, or come back, gets less than its share: little at first, all of it at the
    /// end. It has no effect on [`LoadBalancing::Hash`]. Default and zero: no time.
    #[must_use]
    pub fn slow_start(self, time: Duration) -> Upstreams {
        self.with_limits(|limits| limits.slow_start = time)
    }

    /// How many requests may wait while all servers have as many as they may, and how long each; then they are
    /// answered 503. Default: 1,000, and 10 s. With 0 or zero, none waits.
    #[must_use]
    pub fn queue(self, count: usize, timeout: Duration) -> Upstreams {
        let max_waiting = if timeout.is_zero() { 0 } else { count };
        self.with_limits(|limits| (limits.max_waiting, limits.queue_timeout) = (max_waiting, timeout))
    }

    /// Asks each server how it is. Default: none is asked.
    #[must_use]
    pub fn health_check(self, check: HealthCheck) -> Upstreams {
        let (to_fail, to_pass) = (check.checks_to_fail, check.checks_to_pass);
        self.0.settings().check = Some(check);
        self.rebuilt().with_limits(|limits| (limits.checks_to_fail, limits.checks_to_pass) = (to_fail, to_pass))
    }

    /// How often names are looked up, unless the resolver says how long its answer holds
    /// ([`Resolved::ttl`](crate::net::Resolved::ttl)). Default: 10 s. Zero: a name is looked up for each connection
    /// that is made, and is one server.
    ///
    /// A name with several addresses stands for as many servers: a headless service of Kubernetes, a service of
    /// Consul. Where it has addresses of both families, those of the family with more of them count, as the others
    /// usually are the same servers once more; a name with one of each is one server. When an address is gone,
    /// requests under way there come to their end. A lookup that fails changes nothing.
    #[must_use]
    pub fn resolve_interval(self, interval: Duration) -> Upstreams {
        self.0.settings().resolve_interval = interval;
        self
    }

    /// What looks names up. Default: [`SystemResolver`], which knows no times.
    #[must_use]
    pub fn resolver(self, resolver: impl Resolve) -> Upstreams {
        self.0.settings().resolver = Arc::new(resolver);
        self
    }

    /// The transport that is used: each server gets a clone of its own, with its own connections. Default: that of
    /// the [`ReverseProxy`](super::ReverseProxy), but for servers behind Unix sockets and names that are looked up
    /// here, and for health checks: those have clones of a [`proxy_transport`](super::proxy_transport).
    #[must_use]
    pub fn transport(self, transport: Transport) -> Upstreams {
        self.0.settings().transport = Some(transport);
        self.rebuilt()
    }

    /// Begins each connection to a server with a header of the PROXY protocol, which says who the client is
    /// ([`ProxyProtocolDialer`](crate::net::ProxyProtocolDialer)): the other end of its connection. Each connection
    /// is for one request then. Those of health checks say that the proxy speaks for itself.
    #[must_use]
    pub fn send_proxy_protocol(self, version: ProxyProtocolVersion) -> Upstreams {
        // An error means that it was set before.
        let _ = self.0.header.set(version);
        self.rebuilt()
    }

    /// Makes these the servers, while requests are under way: those that stay keep their history and connections,
    /// those that go come to their end, and those that come begin with a [slow start](Self::slow_start).
    pub fn set(&self, servers: impl IntoIterator<Item = UpstreamServer>) {
        let mut settings = self.0.settings();
        let mut old = std::mem::take(&mut settings.servers);
        for server in servers {
            if settings.servers.iter().any(|known| known.server.to_string() == server.to_string()) {
                continue;
            }
            let known = old.iter().position(|known| known.server.to_string() == server.to_string());
            let (addrs, lookup) = match known.map(|at| old.swap_remove(at)) {
                Some(known) => (known.addrs, known.lookup),
                None => (Vec::new(), None),
            };
            settings.servers.push(KnownServer { server: Arc::new(server), addrs, lookup });
        }
        self.0.apply(&mut settings);
        self.0.start_tasks(&mut settings);
    }

    /// Sends no more requests to this server, all addresses of its name included. Those under way come to their
    /// end: [`stats`](Self::stats) tells when. `false` where there is no such server; it is named as
    /// [`UpstreamServer`] is displayed, or by one address as [`UpstreamStats::name`] is.
    pub fn drain(&self, server: &str) -> bool {
        self.0.set_duty(server, Duty::Draining)
    }

    /// Sends requests to a server again that was drained. `false` where there is no such server.
    pub fn resume(&self, server: &str) -> bool {
        self.0.set_duty(server, Duty::Serving)
    }

    /// Begins to check servers and to look up names, on the present runtime. Has no effect a second time.
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn start(&self) {
        let mut is_first = false;
        self.0.runtime.get_or_init(|| {
            is_first = true;
            Handle::current()
        });
        if is_first {
            self.0.start_tasks(&mut self.0.settings());
        }
    }

    /// Each server, or each address of its name, as it is now. Those that were taken out with [`set`](Self::set)
    /// are among them until their last request is over.
    pub fn stats(&self) -> Vec<UpstreamStats> {
        self.0.group.decide(|now, state| stats::of(state, now))
    }

    /// How many requests wait for room at a server.
    pub fn waiting(&self) -> usize {
        self.0.group.decide(|_, state| state.balancer.waiting_count())
    }

    fn with_limits(self, change: impl FnOnce(&mut UpstreamLimits)) -> Upstreams {
        self.0.group.decide(|_, state| change(&mut state.balancer.limits));
        self
    }

    /// Makes the endpoints anew, after a setting that they were made from.
    fn rebuilt(self) -> Upstreams {
        self.0.group.decide(|_, state| state.endpoints.clear());
        {
            let mut settings = self.0.settings();
            self.0.apply(&mut settings);
            self.0.start_tasks(&mut settings);
        }
        self
    }

    async fn choose_one(&self, request: &Request, tried: &[Upstream]) -> Result<ChosenUpstream> {
        if self.0.runtime.get().is_none() {
            self.start();
        }
        let header = self.0.header_version();
        let room = self.0.group.room(|state| wanted(state, request, tried)).await;
        let room = room.map_err(|why| Error::answer(StatusCode::SERVICE_UNAVAILABLE, reason(why)))?;
        let endpoint = &room.endpoint;
        let upstream = match header {
            None => endpoint.upstream.clone(),
            Some(version) => endpoint.upstream.via(Arc::new(endpoint.transport_of_client(version, request))),
        };
        Ok(ChosenUpstream::new(upstream).with_permit(room))
    }
}

impl ChooseUpstream for Upstreams {
    fn choose<'a>(&'a self, request: &'a Request, tried: &'a [Upstream]) -> ChooseFuture<'a> {
        Box::pin(self.choose_one(request, tried))
    }
}

impl std::fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.stats()).finish()
    }
}

fn reason(why: NoEndpoint) -> &'static str {
    match why {
        NoEndpoint::NobodyAvailable => "no upstream is available",
        NoEndpoint::QueueFull => "too many requests wait for an upstream",
        NoEndpoint::WaitedTooLong => "no upstream had room in time",
    }
}

/// What the choice needs to know of a request.
fn wanted(state: &GroupState, request: &Request, tried: &[Upstream]) -> Wanted {
    let key = match &state.balancer.policy {
        LoadBalancing::Hash(key) => hashed(key, request),
        _ => None,
    };
    let endpoints = state.endpoints.iter();
    let tried = endpoints.filter(|endpoint| tried.iter().any(|tried| tried.is_same(&endpoint.upstream)));
    Wanted { key, tried: tried.map(|endpoint| endpoint.id).collect() }
}

fn hashed(key: &HashKey, request: &Request) -> Option<u64> {
    match key {
        HashKey::ClientAddr => match request.client_ip()? {
            std::net::IpAddr::V4(ip) => Some(hash_of(&ip.octets())),
            std::net::IpAddr::V6(ip) => Some(hash_of(ip.octets().first_chunk::<8>()?)),
        },
        HashKey::Field(name) => request.header.get_bytes(name).map(hash_of),
        HashKey::Cookie(name) => request.cookie(name).map(|cookie| hash_of(cookie.value.as_bytes())),
    }
}

impl UpstreamPermit for Room {
    fn responded(&mut self, status: StatusCode, head: Duration) {
        self.endpoint.records.responded(status, head);
        self.report(Report::Responded);
    }

    fn failed(&mut self, _: UpstreamFailure, _: Duration) {
        self.report(Report::Failed);
    }
}

impl UpstreamsInner {
    fn header_version(&self) -> Option<ProxyProtocolVersion> {
        self.header.get().copied()
    }

    fn settings(&self) -> MutexGuard<'_, GroupSettings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_duty(&self, named: &str, duty: Duty) -> bool {
        let is_meant = |spec: &MemberSpec| {
            let behind = spec.name.strip_prefix(named);
            behind.is_some_and(|behind| behind.is_empty() || (behind.starts_with(" (") && behind.ends_with(')')))
        };
        self.group.decide(|now, state| state.balancer.set_duty(now, is_meant, duty))
    }

    /// Makes the members of the group what the servers and their addresses are.
    fn apply(&self, settings: &mut GroupSettings) {
        let servers = settings.servers.iter();
        let specs: Vec<EndpointSpec> = servers.flat_map(|known| endpoints_of(&known.server, &known.addrs)).collect();
        let transport = settings.transport.as_ref();
        self.group.decide(|now, state| {
            let ids = state.balancer.set(now, specs.iter().map(EndpointSpec::member).collect());
            let old = std::mem::take(&mut state.endpoints);
            let endpoints = ids.into_iter().zip(&specs).map(|(id, spec)| {
                let kept = old.iter().find(|endpoint| endpoint.id == id).cloned();
                kept.unwrap_or_else(|| Arc::new(Endpoint::new(id, spec, transport)))
            });
            state.endpoints = endpoints.collect();
        });
    }

    /// Begins what is not under way yet, once tasks are wanted at all.
    fn start_tasks(self: &Arc<UpstreamsInner>, settings: &mut GroupSettings) {
        let Some(runtime) = self.runtime.get() else { return };
        let interval = settings.resolve_interval;
        for known in settings.servers.iter_mut().filter(|known| known.lookup.is_none() && !interval.is_zero()) {
            let Some((host, port)) = name_of(&known.server) else { continue };
            let found = told_of(Arc::downgrade(self), known.server.clone());
            let lookup = look_up(settings.resolver.clone(), (host.to_owned(), port), interval, found);
            known.lookup = Some(OwnedTask::start(runtime, lookup));
        }
        let Some(check) = &settings.check else { return };
        for endpoint in self.group.decide(|_, state| state.endpoints.clone()) {
            endpoint.check.get_or_init(|| {
                let via = endpoint.transport_of_checks(settings.transport.as_ref(), self.header_version());
                let (group, of) = (Arc::downgrade(&self.group), Arc::downgrade(&endpoint));
                OwnedTask::start(runtime, check_health(group, of, check.clone(), via))
            });
        }
    }
}

/// Takes the addresses of a server's name.
fn told_of(inner: Weak<UpstreamsInner>, server: Arc<UpstreamServer>) -> impl Fn(Vec<SocketAddr>) -> Keep {
    move |mut addrs| {
        let Some(inner) = inner.upgrade() else { return Keep::Ending };
        addrs.sort_unstable();
        addrs.dedup();
        let mut settings = inner.settings();
        let known = settings.servers.iter_mut().find(|known| known.server.to_string() == server.to_string());
        match known {
            None => return Keep::Ending,
            Some(known) if known.addrs == addrs => return Keep::Going,
            Some(known) => known.addrs = addrs,
        }
        inner.apply(&mut settings);
        inner.start_tasks(&mut settings);
        Keep::Going
    }
}
