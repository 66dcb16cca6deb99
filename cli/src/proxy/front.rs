//! What answers a client: the routes with their servers, and what the options put around them.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context as _;
use nethttp::client::ClientProtocols;
use nethttp::middleware::Compression;
use nethttp::mux::Lookup;
use nethttp::reverse_proxy::{HealthCheck, ReverseProxy, UpstreamServer, Upstreams, proxy_transport};
use nethttp::tls::{TlsConfig, TlsRoots};
use nethttp::{
    BoxHandler, Handler, Request, ResponseWriter, Result, ServeMux, StatusCode, Transport, Uri, not_found, redirect,
};

use super::log::ExchangeSlot;
use super::options::ProxyArguments;
use super::values::{Network, PrefixChange, client_behind};
use crate::auth::{Accounts, Login};
use crate::site::{AddedField, log_in, refuse};

/// The handler of the command. What it does can be exchanged while it serves.
#[derive(Clone)]
pub(super) struct Front(Arc<RwLock<Arc<ProxySite>>>);

/// All that options say of requests.
pub(super) struct ProxySite {
    /// Finds patterns. It does not redirect to cleaned paths: those are for the servers to judge.
    patterns: ServeMux,
    routes: HashMap<Box<str>, ProxyRoute>,
    /// For what no route takes.
    rest: Option<ProxyRoute>,
    fields: Arc<[AddedField]>,
    accounts: Option<Accounts>,
    https: HttpsPolicy,
    /// Proxies that are believed.
    trusted: Vec<Network>,
}

/// What becomes of requests that came without TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HttpsPolicy {
    AsTheyCome,
    /// TLS is served here: they are led to it.
    RedirectedHere,
    /// TLS is done by a proxy in front: they are led to https where that one does not say that they came so.
    RedirectedInFront,
}

/// Servers for some requests.
pub(super) struct ProxyRoute {
    pub(super) pattern: Option<Box<str>>,
    pub(super) upstreams: Upstreams,
    /// The settings that the group was made with, to tell whether it can stay.
    settings: String,
    change: Option<PrefixChange>,
    handler: BoxHandler,
}

impl Front {
    pub(super) fn new(site: ProxySite) -> Front {
        Front(Arc::new(RwLock::new(Arc::new(site))))
    }

    pub(super) fn current(&self) -> Arc<ProxySite> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Requests that are under way go on with what they began with.
    pub(super) fn exchange(&self, site: ProxySite) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(site);
    }
}

impl Handler for Front {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let site = self.current();
        site.serve(w, r).await
    }
}

impl ProxySite {
    /// The site of these options. Groups of servers whose settings are those of `before` go on, with their history
    /// and their connections.
    pub(super) fn new(arguments: &ProxyArguments, before: Option<&ProxySite>) -> anyhow::Result<ProxySite> {
        let builder = RouteBuilder { arguments, before, transport: transport(arguments)? };
        let patterns = ServeMux::new();
        let mut routes = HashMap::new();
        for spec in &arguments.route {
            patterns.try_handle(&spec.pattern, not_found)?;
            let servers = spec.servers.clone();
            let route = builder.route(Some(&spec.pattern), servers, spec.change.clone());
            routes.insert(spec.pattern.clone().into_boxed_str(), route);
        }
        let to: Vec<UpstreamServer> = arguments.to.iter().flat_map(|servers| servers.0.clone()).collect();
        let rest = (!to.is_empty()).then(|| builder.route(None, to, None));
        let https = match arguments.redirect_https {
            None => HttpsPolicy::AsTheyCome,
            Some(_) if arguments.serves_tls() => HttpsPolicy::RedirectedHere,
            Some(_) => HttpsPolicy::RedirectedInFront,
        };
        Ok(ProxySite {
            patterns,
            routes,
            rest,
            fields: arguments.header.clone().into(),
            accounts: if arguments.auth.is_empty() { None } else { Some(Accounts::new(&arguments.auth)?) },
            https,
            trusted: arguments.trusted().iter().filter_map(|text| Network::parse(text)).collect(),
        })
    }

    /// All groups of servers, the one for the rest last.
    pub(super) fn routes(&self) -> Vec<&ProxyRoute> {
        let mut routes: Vec<&ProxyRoute> = self.routes.values().collect();
        routes.sort_by(|one, other| one.pattern.cmp(&other.pattern));
        routes.into_iter().chain(&self.rest).collect()
    }

    async fn serve(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        ExchangeSlot::begin(w, r);
        self.find_client(r);
        if !self.fields.is_empty() {
            let fields = self.fields.clone();
            w.before_head(move |status, header| AddedField::add_all(&fields, status, header));
        }
        match self.https {
            HttpsPolicy::RedirectedHere if r.tls.is_none() => {
                let port = r.context().local_addr().port();
                return redirect_to_https(w, r, port).await;
            }
            HttpsPolicy::RedirectedInFront if !is_https(r) => return redirect_to_https(w, r, None).await,
            _ => {}
        }
        if let Some(accounts) = &self.accounts {
            match log_in(accounts, r).await {
                Login::Accepted => {}
                refused => return refuse(w, refused, "proxy").await,
            }
        }
        match self.route_of(r) {
            Found::Route(route) => route.serve(w, r).await,
            Found::Elsewhere(location) => redirect(w, r, &location, StatusCode::TEMPORARY_REDIRECT).await,
            Found::MethodNotAllowed(allow) => {
                w.header().set("Allow", allow);
                nethttp::error(w, "405 method not allowed", StatusCode::METHOD_NOT_ALLOWED).await
            }
            Found::Nothing => not_found(w, r).await,
        }
    }

    /// Says who the client is, for policies that go by its address.
    fn find_client(&self, r: &mut Request) {
        let Some(peer) = r.remote_addr.ip().filter(|_| !self.trusted.is_empty()) else { return };
        let lines: Vec<&str> = r.header.values("X-Forwarded-For").collect();
        if let Some(client) = client_behind(&self.trusted, peer, &lines) {
            r.set_client_ip(client);
        }
    }

    fn route_of(&self, r: &Request) -> Found<'_> {
        let rest = || self.rest.as_ref().map_or(Found::Nothing, Found::Route);
        if self.routes.is_empty() {
            return rest();
        }
        match self.patterns.lookup(r) {
            // To add a slash is Go's rule for a path of which only what is below it has a route. Other redirects
            // would clean the path, which a proxy leaves to the server.
            Lookup::Redirect { location, pattern } if is_slash_added(r, &location) && !pattern.is_empty() => {
                Found::Elsewhere(location)
            }
            Lookup::Matched { pattern } | Lookup::Redirect { pattern, .. } => {
                self.routes.get(&*pattern).map_or_else(rest, Found::Route)
            }
            Lookup::MethodNotAllowed { .. } if self.rest.is_some() => rest(),
            Lookup::MethodNotAllowed { allow } => Found::MethodNotAllowed(allow),
            _ => rest(),
        }
    }
}

enum Found<'a> {
    Route(&'a ProxyRoute),
    Elsewhere(String),
    MethodNotAllowed(String),
    Nothing,
}

fn is_slash_added(r: &Request, location: &str) -> bool {
    let path = location.split('?').next().unwrap_or_default();
    path.strip_suffix('/') == Some(r.escaped_path())
}

/// By its connection, or by what the proxy before says, whom the option trusts or nobody else reaches.
fn is_https(r: &Request) -> bool {
    r.tls.is_some() || r.header.get("X-Forwarded-Proto").is_some_and(|proto| proto.eq_ignore_ascii_case("https"))
}

/// To the same host, on this port where it is not the usual one.
pub(super) async fn redirect_to_https(w: &mut ResponseWriter, r: &mut Request, port: Option<u16>) -> Result<()> {
    let host = r.hostname().into_owned();
    if host.is_empty() {
        return nethttp::error(w, "400 the request names no host", StatusCode::BAD_REQUEST).await;
    }
    let host = if host.contains(':') && !host.starts_with('[') { format!("[{host}]") } else { host };
    let port = port.filter(|&port| port != 443).map(|port| format!(":{port}")).unwrap_or_default();
    let target = r.uri.path_and_query().map_or("/", |target| target.as_str());
    let location = format!("https://{host}{port}{target}");
    // 308 keeps method and content (RFC 9110 §15.4.9).
    redirect(w, r, &location, StatusCode::PERMANENT_REDIRECT).await
}

impl ProxyRoute {
    async fn serve(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        if let Some(change) = &self.change {
            match change.of(r.uri.path()).and_then(|path| with_path(&r.uri, &path)) {
                Some(uri) => r.uri = uri,
                // As Go's StripPrefix.
                None => return not_found(w, r).await,
            }
        }
        self.handler.serve_http(w, r).await
    }
}

/// The same with another path; the query stays byte for byte, a bare question mark too.
fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let target = uri.path_and_query().map_or("", |target| target.as_str());
    let query = target.get(uri.path().len()..).unwrap_or_default();
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme), Some(authority)) => format!("{scheme}://{authority}{path}{query}").parse().ok(),
        _ => format!("{path}{query}").parse().ok(),
    }
}

/// What all routes are made with.
struct RouteBuilder<'a> {
    arguments: &'a ProxyArguments,
    before: Option<&'a ProxySite>,
    transport: Transport,
}

impl RouteBuilder<'_> {
    fn route(&self, pattern: Option<&str>, servers: Vec<UpstreamServer>, change: Option<PrefixChange>) -> ProxyRoute {
        let limit = self.arguments.max_connections_per_upstream;
        let servers = servers.into_iter().map(|server| server.max_connections(limit));
        let settings = group_settings(self.arguments);
        let old = self.before.and_then(|site| site.routes().into_iter().find(|old| old.pattern.as_deref() == pattern));
        let upstreams = match old.filter(|old| old.settings == settings) {
            Some(old) => {
                old.upstreams.set(servers);
                old.upstreams.clone()
            }
            None => self.group(servers),
        };
        let handler = self.handler(&upstreams);
        ProxyRoute { pattern: pattern.map(Into::into), upstreams, settings, change, handler }
    }

    fn group(&self, servers: impl IntoIterator<Item = UpstreamServer>) -> Upstreams {
        let arguments = self.arguments;
        let mut upstreams = Upstreams::new(servers)
            .transport(self.transport.clone())
            .policy(arguments.policy.0.clone())
            .max_fails(1, arguments.fail_timeout);
        if let Some(version) = arguments.send_proxy_protocol {
            upstreams = upstreams.send_proxy_protocol(version.0);
        }
        if let Some(path) = &arguments.health_path {
            upstreams = upstreams.health_check(HealthCheck::new(path).interval(arguments.health_interval));
        }
        upstreams
    }

    fn handler(&self, upstreams: &Upstreams) -> BoxHandler {
        let arguments = self.arguments;
        let mut proxy = ReverseProxy::new(upstreams.clone())
            .trusted(arguments.trusted())
            .max_retries(arguments.retries)
            .on_exchange(ExchangeSlot::fill);
        if arguments.preserve_host {
            proxy = proxy.preserve_host();
        }
        if arguments.compress { proxy.wrapped_in(Compression::new()).boxed() } else { proxy.boxed() }
    }
}

/// What a group is made with. A group is kept as long as this stays.
fn group_settings(arguments: &ProxyArguments) -> String {
    let health = (&arguments.health_path, arguments.health_interval, arguments.fail_timeout);
    let limits = (arguments.connect_timeout, arguments.response_timeout, arguments.stall_timeout);
    let tls = (&arguments.cacert, arguments.insecure_upstream, arguments.upstream_http2);
    format!("{health:?} {limits:?} {tls:?} {:?} {:?}", arguments.policy, arguments.send_proxy_protocol)
}

fn transport(arguments: &ProxyArguments) -> anyhow::Result<Transport> {
    let mut transport = proxy_transport();
    transport.connect_timeout = arguments.connect_timeout;
    transport.tls_handshake_timeout = arguments.connect_timeout;
    transport.response_header_timeout = arguments.response_timeout;
    transport.stall_timeout = arguments.stall_timeout;
    if arguments.upstream_http2 {
        transport.protocols = ClientProtocols::Http2;
    }
    if let Some(path) = &arguments.cacert {
        let tls = TlsConfig::new().roots(TlsRoots::None);
        transport.set_tls(tls.add_root_pem_file(path).with_context(|| format!("--cacert {}", path.display()))?);
    } else if arguments.insecure_upstream {
        transport.set_tls(TlsConfig::new().danger_accept_invalid_certs(true));
    }
    Ok(transport)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_path_leaves_the_rest_of_the_target_as_it_is() {
        for (uri, expected) in [
            ("/a/x?q=%2F;b", "/y?q=%2F;b"),
            ("/a/x?", "/y?"),
            ("/a", "/y"),
            ("http://h.test:8/a?b", "http://h.test:8/y?b"),
        ] {
            assert_eq!(with_path(&uri.parse().unwrap(), "/y").unwrap().to_string(), expected);
        }
    }
}
