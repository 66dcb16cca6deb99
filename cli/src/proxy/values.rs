//! What options have for their values, as it is written on the command line and in files.

use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use nethttp::net::ProxyProtocolVersion;
use nethttp::reverse_proxy::{HashKey, LoadBalancing, UpstreamServer};
use nethttp::{ServeMux, not_found};

use super::options::Networks;

/// Servers, with weights.
#[derive(Clone, Debug)]
pub(crate) struct Servers(pub(super) Vec<UpstreamServer>);

/// `HOST/PATH=URL[,URL…] [strip=/PREFIX] [rewrite=/PREFIX]`.
#[derive(Clone, Debug)]
pub(crate) struct RouteSpec {
    pub(super) pattern: String,
    pub(super) servers: Vec<UpstreamServer>,
    pub(super) change: Option<PrefixChange>,
}

/// A prefix of the path, and what comes in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PrefixChange {
    pub(super) from: String,
    pub(super) to: String,
}

/// How requests are spread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy(pub(super) LoadBalancing);

/// The version of a header of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeaderVersion(pub(super) ProxyProtocolVersion);

/// What stands behind the equals sign of a route, or in `--to`.
#[derive(Default)]
struct Words {
    servers: Vec<UpstreamServer>,
    strip: Option<String>,
    rewrite: Option<String>,
}

const SERVER_FORM: &str = "write the URL of a server, such as http://127.0.0.1:3000, or unix:/run/app.sock";

impl Words {
    fn read(text: &str) -> Result<Words, String> {
        let mut words = Words::default();
        for word in text.split([',', ';', ' ', '\t']).filter(|word| !word.is_empty()) {
            match word.split_once('=') {
                Some(("strip", prefix)) => words.strip = Some(path_prefix(prefix)?),
                Some(("rewrite", prefix)) => words.rewrite = Some(path_prefix(prefix)?),
                Some(("weight", weight)) => {
                    let weight = weight.parse().ok().filter(|&weight| weight > 0);
                    let weight = weight.ok_or("a weight is a whole number from 1 on, such as weight=3")?;
                    let server = words.servers.pop().ok_or("a weight stands behind its server")?;
                    words.servers.push(server.weight(weight));
                }
                _ => words.servers.push(server(word)?),
            }
        }
        if words.servers.is_empty() { Err(SERVER_FORM.to_owned()) } else { Ok(words) }
    }
}

/// Without a scheme it is http.
fn server(text: &str) -> Result<UpstreamServer, String> {
    let has_scheme = text.contains("://") || text.starts_with("unix:");
    let made = match has_scheme {
        true => UpstreamServer::new(text),
        false if text.contains(':') && !text.starts_with('/') => UpstreamServer::new(&format!("http://{text}")),
        false => return Err(format!("{text} is no server: {SERVER_FORM}")),
    };
    made.map_err(|error| format!("{text} is no server: {error}; {SERVER_FORM}"))
}

fn path_prefix(text: &str) -> Result<String, String> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte));
    if text.starts_with('/') && is_plain {
        Ok(text.to_owned())
    } else {
        Err(format!("{text} is no prefix: write a path that begins with a slash, such as strip=/api"))
    }
}

impl FromStr for Servers {
    type Err = String;

    fn from_str(text: &str) -> Result<Servers, String> {
        let words = Words::read(text)?;
        if words.strip.is_some() || words.rewrite.is_some() {
            return Err("strip= and rewrite= stand in a --route".to_owned());
        }
        Ok(Servers(words.servers))
    }
}

impl FromStr for RouteSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<RouteSpec, String> {
        const FORM: &str = "write a pattern and its servers, such as 'example.com/api/=http://10.0.0.1:8000'";
        let (pattern, servers) = text.split_once('=').ok_or(FORM)?;
        let pattern = pattern.trim().to_owned();
        ServeMux::new().try_handle(&pattern, not_found).map_err(|error| format!("{error}; {FORM}"))?;
        let words = Words::read(servers)?;
        let change = prefix_change(&pattern, words.strip, words.rewrite);
        Ok(RouteSpec { pattern, servers: words.servers, change })
    }
}

/// `strip` takes a prefix off, `rewrite` puts another in its place; without `strip`, in that of the pattern's path.
fn prefix_change(pattern: &str, strip: Option<String>, rewrite: Option<String>) -> Option<PrefixChange> {
    if strip.is_none() && rewrite.is_none() {
        return None;
    }
    let path = pattern.find('/').and_then(|at| pattern.get(at..)).unwrap_or("/");
    let literal = path.split('{').next().unwrap_or(path);
    Some(PrefixChange { from: strip.unwrap_or_else(|| literal.to_owned()), to: rewrite.unwrap_or_default() })
}

impl PrefixChange {
    /// The path with the prefix changed. `None` where it does not begin with it, a segment at a time.
    pub(super) fn of(&self, path: &str) -> Option<String> {
        let from = self.from.trim_end_matches('/');
        let behind = path.strip_prefix(from)?;
        if !behind.is_empty() && !behind.starts_with('/') {
            return None;
        }
        let changed = format!("{}{behind}", self.to.trim_end_matches('/'));
        Some(if changed.is_empty() { "/".to_owned() } else { changed })
    }
}

impl FromStr for Policy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Policy, &'static str> {
        const FORM: &str = "write round-robin, least-connections, random-two, ip-hash, header:NAME or cookie:NAME";
        let is_token = |name: &str| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
        };
        Ok(Policy(match text.split_once(':') {
            None => match text {
                "round-robin" => LoadBalancing::RoundRobin,
                "least-connections" => LoadBalancing::LeastConnections,
                "random-two" => LoadBalancing::RandomTwo,
                "ip-hash" => LoadBalancing::Hash(HashKey::ClientAddr),
                _ => return Err(FORM),
            },
            Some(("header", name)) if is_token(name) => LoadBalancing::Hash(HashKey::Field(name.into())),
            Some(("cookie", name)) if is_token(name) => LoadBalancing::Hash(HashKey::Cookie(name.into())),
            Some(_) => return Err(FORM),
        }))
    }
}

impl FromStr for HeaderVersion {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<HeaderVersion, &'static str> {
        match text {
            "v1" => Ok(HeaderVersion(ProxyProtocolVersion::V1)),
            "v2" => Ok(HeaderVersion(ProxyProtocolVersion::V2)),
            _ => Err("write v1 or v2"),
        }
    }
}

/// Networks, several by commas. Checked here, because the library panics on one that is none.
pub(super) fn networks(text: &str) -> Result<Networks, String> {
    let networks: Vec<String> = text.split(',').map(|network| network.trim().to_owned()).collect();
    match networks.iter().find(|network| !is_network(network)) {
        None => Ok(Arc::from(networks)),
        Some(other) => Err(format!("{other} is no network: write one such as 10.0.0.0/8, or an address")),
    }
}

fn is_network(text: &str) -> bool {
    Network::parse(text).is_some()
}

/// `10.0.0.0/8`, or one address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Network {
    bits: u128,
    host_bits: u32,
    is_ipv4: bool,
}

impl Network {
    pub(super) fn parse(text: &str) -> Option<Network> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().ok()?;
        let width: u32 = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => width,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
        };
        let network = Network { bits: bits_of(address), host_bits: width.checked_sub(length)?, is_ipv4: width == 32 };
        // Bits of the host that are set are a slip of one kind or another.
        network.contains(address).then_some(network).filter(|network| network.prefix(network.bits) == network.bits)
    }

    fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.is_ipv4 && self.prefix(bits_of(address)) == self.prefix(self.bits)
    }

    /// Without the bits of the host.
    fn prefix(&self, bits: u128) -> u128 {
        bits & u128::MAX.checked_shl(self.host_bits).unwrap_or_default()
    }
}

fn bits_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The client behind trusted proxies: each has appended the address that it was reached from, so the list is read
/// from the right, up to the first address that is none of theirs. `None` where the peer is not one of them.
pub(super) fn client_behind(trusted: &[Network], peer: IpAddr, forwarded_for: &[&str]) -> Option<IpAddr> {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address.to_canonical()));
    if !is_trusted(peer) {
        return None;
    }
    let elements = forwarded_for.iter().flat_map(|line| line.split(',')).map(str::trim).filter(|text| !text.is_empty());
    let mut client = peer;
    for element in elements.collect::<Vec<_>>().into_iter().rev() {
        // What is no address ends the list: whoever wrote it did not say.
        let Some(address) = address_in(element) else { break };
        client = address;
        if !is_trusted(address) {
            break;
        }
    }
    Some(client)
}

/// An address, with or without a port.
fn address_in(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|addr| addr.ip());
    let address = text.trim_start_matches('[').trim_end_matches(']').parse().ok().or_else(with_port);
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_have_schemes_and_weights() {
        let servers = |text: &str| {
            text.parse::<Servers>().map(|Servers(all)| all.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(servers("http://a.test:1,unix:/run/b").unwrap(), ["http://a.test:1", "unix:/run/b"]);
        assert_eq!(servers("127.0.0.1:3000").unwrap(), ["http://127.0.0.1:3000"]);
        for text in ["", "/a", "ftp://a", "http://a weight=0", "weight=2", "http://a strip=/x"] {
            assert!(servers(text).is_err(), "{text}");
        }
        let Servers(weighted) = "http://a.test weight=3".parse().unwrap();
        assert!(format!("{weighted:?}").contains("weight: 3"));
    }

    #[test]
    fn a_route_is_a_pattern_with_servers_and_a_change_of_the_path() {
        let route: RouteSpec = "GET a.test/api/{rest...}=http://b:1,http://c:2 strip=/api".parse().unwrap();
        assert_eq!((&*route.pattern, route.servers.len()), ("GET a.test/api/{rest...}", 2));
        let change = |text: &str, path: &str| text.parse::<RouteSpec>().unwrap().change.unwrap().of(path);
        assert_eq!(change("/api/=http://b strip=/api", "/api/x%2Fy//z").as_deref(), Some("/x%2Fy//z"));
        assert_eq!(change("/api/=http://b,strip=/api/", "/api").as_deref(), Some("/"));
        assert_eq!(change("/api/=http://b strip=/api", "/apix"), None);
        assert_eq!(change("/old/=http://b rewrite=/new/", "/old/x").as_deref(), Some("/new/x"));
        assert_eq!(change("/=http://b strip=/a rewrite=/b/c", "/a/x").as_deref(), Some("/b/c/x"));
        for text in ["", "/a", "=http://b", "/a=", "/a/{=http://b", "a.test=http://b", "/a=http://b strip=x"] {
            assert!(text.parse::<RouteSpec>().is_err(), "{text}");
        }
    }

    #[test]
    fn policies_and_networks_are_told_apart_from_slips() {
        assert_eq!("header:X-User".parse::<Policy>(), Ok(Policy(LoadBalancing::Hash(HashKey::Field("X-User".into())))));
        for text in ["", "rr", "header:", "header:a b", "cookie", "cookie:a;b"] {
            assert!(text.parse::<Policy>().is_err(), "{text}");
        }
        for text in ["10.0.0.0/8", "127.0.0.1", "::1", "fd00::/8,10.0.0.0/8", "0.0.0.0/0", "::/0"] {
            assert!(networks(text).is_ok(), "{text}");
        }
        for text in ["", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "lan", "10.0.0.0/8,"] {
            assert!(networks(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_client_is_the_first_address_from_the_right_that_is_no_trusted_proxy() {
        let trusted: Vec<Network> = ["10.0.0.0/8", "::1"].iter().map(|text| Network::parse(text).unwrap()).collect();
        let client = |peer: &str, list: &[&str]| {
            client_behind(&trusted, peer.parse().unwrap(), list).map(|address| address.to_string())
        };
        for (peer, list, expected) in [
            ("192.0.2.1", &["198.51.100.1"][..], None),
            ("10.0.0.1", &[], Some("10.0.0.1")),
            ("10.0.0.1", &["198.51.100.1"], Some("198.51.100.1")),
            ("::1", &["203.0.113.9, 198.51.100.1", "10.9.9.9"], Some("198.51.100.1")),
            ("10.0.0.1", &["198.51.100.1:4000, [2001:db8::1]:80"], Some("2001:db8::1")),
            ("10.0.0.1", &["198.51.100.1, unknown, 10.0.0.2"], Some("10.0.0.2")),
        ] {
            assert_eq!(client(peer, list).as_deref(), expected, "{peer} {list:?}");
        }
    }
}
