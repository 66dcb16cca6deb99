//! What proxies say of the client behind them, and which of it is believed.
//!
//! A proxy adds, at the right end of a list, the address that it was reached from. So the list is read from the
//! right: the first element was written by the peer, and if that one is trusted, it is true; if the address in it
//! is a trusted proxy too, then the element before was written by that one, and so on. The first address that is
//! not a trusted proxy is the client. What stands left of it was sent by the client, who may have sent anything.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::error::Result;
use crate::h1::{Port, is_host};
use crate::message::{Header, Request, is_token};
use crate::net::{IpNetwork, networks};
use crate::server::{HandlerFuture, Middleware, Next, ResponseWriter};

const FOR: &str = "X-Forwarded-For";
const PROTO: &str = "X-Forwarded-Proto";
const HOST: &str = "X-Forwarded-Host";

/// What proxies and balancers say of clients. All of it is taken out of a request but what is known to be true.
const FORWARDING_FIELDS: [&str; 16] = [
    "Forwarded",
    FOR,
    PROTO,
    HOST,
    "X-Forwarded-Port",
    "X-Forwarded-Server",
    "X-Forwarded-Scheme",
    "X-Forwarded-Protocol",
    "X-Forwarded-Ssl",
    "X-Forwarded-Prefix",
    "X-Real-IP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "True-Client-IP",
    "CF-Connecting-IP",
    "Front-End-Https",
];

/// Believes the proxies in front of this server, and nobody else, when they say who the client is and what it has
/// asked for. [`Request::client_ip`], [`Request::scheme`] and [`Request::host`] are then the client's, for the
/// handler and for all middleware inside this one: put it outermost. `remote_addr` stays the proxy's.
///
/// - Which addresses are proxies is said here. A list of hops is read **from the right**, through trusted proxies
///   only: the first address that is none of them is the client. Where all are, it is the leftmost one.
/// - Where the peer itself is not trusted, nothing is believed.
/// - One kind of field is read, `X-Forwarded-For`, `-Proto` and `-Host` unless another is chosen, for a client can
///   send the kind that its proxy does not overwrite. A scheme or host is believed where the proxy that wrote it is:
///   **have the outermost proxy set or remove all three**, or a client's own `X-Forwarded-Host` passes through.
/// - What is not believed is **taken out of the request's header**, with all other fields of this sort
///   (`Forwarded`, `X-Real-IP`, `CF-Connecting-IP` and a dozen more): no handler reads a forged one by mistake.
/// - An element that is no address (`unknown`, `_hidden`, or anything malformed) ends the reading: the client is
///   then the last proxy that was believed. Ports behind addresses are allowed, and IPv4 written as IPv6 is IPv4.
///
/// ```
/// use nethttp::ServeMux;
/// use nethttp::middleware::{RateLimit, TrustedProxies};
///
/// let mux = ServeMux::new();
/// mux.wrap(TrustedProxies::new(["10.0.0.0/8", "fd00::/8"]));
/// mux.wrap(RateLimit::new(100, std::time::Duration::from_secs(60))); // by the client's address
/// ```
#[derive(Clone, Debug)]
pub struct TrustedProxies {
    networks: Vec<IpNetwork>,
    unix_sockets: PeersWithoutAddress,
    source: ForwardingSource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PeersWithoutAddress {
    Believed,
    Unknown,
}

/// Which fields are read.
#[derive(Clone, Debug)]
enum ForwardingSource {
    XForwarded,
    Forwarded,
    /// One field with one address.
    Field(Arc<str>),
}

impl TrustedProxies {
    /// Believes peers with these addresses, or in these networks (`10.0.0.0/8`, `::1`).
    ///
    /// # Panics
    /// Where a text names no network.
    #[track_caller]
    pub fn new<Text: AsRef<str>>(proxies: impl IntoIterator<Item = Text>) -> TrustedProxies {
        TrustedProxies {
            networks: networks(proxies),
            unix_sockets: PeersWithoutAddress::Unknown,
            source: ForwardingSource::XForwarded,
        }
    }

    /// Believes peers that have no IP address as well: those of Unix sockets, and of listeners that give their
    /// peers names.
    #[must_use]
    pub fn unix_sockets(mut self) -> TrustedProxies {
        self.unix_sockets = PeersWithoutAddress::Believed;
        self
    }

    /// Reads `Forwarded` (RFC 7239) in place of `X-Forwarded-*`: its `for`, `proto` and `host`.
    #[must_use]
    pub fn forwarded(mut self) -> TrustedProxies {
        self.source = ForwardingSource::Forwarded;
        self
    }

    /// Reads the client's address in this field alone, in place of `X-Forwarded-*`: `X-Real-IP`, or the field of a
    /// content delivery network, which sets it whatever the client has sent. It has one address in it; where it is
    /// malformed or there twice, the client is the proxy.
    ///
    /// # Panics
    /// Where the name is no token.
    #[must_use]
    #[track_caller]
    pub fn field(mut self, name: &str) -> TrustedProxies {
        assert!(is_token(name.as_bytes()), "{name:?} is no name of a field");
        self.source = ForwardingSource::Field(name.into());
        self
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }

    fn trusts_peer(&self, r: &Request) -> bool {
        match r.remote_addr.ip() {
            Some(address) => self.trusts(address),
            None => self.unix_sockets == PeersWithoutAddress::Believed,
        }
    }

    /// What the header says and is to be believed.
    fn read(&self, header: &Header) -> Believed {
        match &self.source {
            ForwardingSource::XForwarded => self.follow(x_forwarded_hops(header)),
            ForwardingSource::Forwarded => self.follow(forwarded_hops(header)),
            ForwardingSource::Field(name) => {
                let mut values = header.values(&**name);
                let address = values.next().filter(|_| values.next().is_none()).and_then(node_address);
                Believed { client: address, ..Believed::default() }
            }
        }
    }

    /// Follows the hops from the right, while the one that said it is trusted. The first was said by the peer.
    fn follow(&self, hops: impl Iterator<Item = ProxyHop>) -> Believed {
        let mut believed = Believed::default();
        for hop in hops {
            believed.proto = hop.proto.or(believed.proto);
            believed.host = hop.host.or(believed.host);
            let Some(address) = hop.address else { break };
            believed.client = Some(address);
            believed.addresses.push(address);
            if !self.trusts(address) {
                break;
            }
        }
        believed
    }
}

impl TrustedProxies {
    fn begin(&self, r: &mut Request) {
        let believed = if self.trusts_peer(r) { self.read(&r.header) } else { Believed::default() };
        for name in FORWARDING_FIELDS {
            r.header.del(name);
        }
        if let ForwardingSource::Field(name) = &self.source {
            r.header.del(&**name);
        }
        believed.apply(r, &self.source);
    }
}

impl Middleware for TrustedProxies {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        self.begin(r);
        next.run(w, r).await
    }

    // Done before what it is around begins, so it needs no future of its own.
    fn handle_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request, next: Next<'a>) -> HandlerFuture<'a> {
        self.begin(r);
        next.run(w, r)
    }
}

/// What one proxy has said.
#[derive(Debug, Default, PartialEq, Eq)]
struct ProxyHop {
    address: Option<IpAddr>,
    proto: Option<String>,
    host: Option<String>,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Believed {
    client: Option<IpAddr>,
    /// From the right, the client's own last.
    addresses: Vec<IpAddr>,
    proto: Option<String>,
    host: Option<String>,
}

impl Believed {
    /// Tells the request, and puts the fields that were read back with what is true of them.
    fn apply(self, r: &mut Request, source: &ForwardingSource) {
        if let Some(client) = self.client {
            r.set_client_ip(client);
        }
        if let Some(scheme) = self.proto.as_deref().and_then(scheme_of) {
            r.set_scheme(scheme);
        }
        match source {
            ForwardingSource::XForwarded => {
                if !self.addresses.is_empty() {
                    let list: Vec<String> = self.addresses.iter().rev().map(IpAddr::to_string).collect();
                    r.header.set(FOR, list.join(", "));
                }
                for (name, value) in [(PROTO, &self.proto), (HOST, &self.host)] {
                    if let Some(value) = value {
                        r.header.set(name, value);
                    }
                }
            }
            ForwardingSource::Forwarded => {
                let hops = self.addresses.iter().rev().map(|&address| forwarded_element(address));
                let list = hops.collect::<Vec<_>>().join(", ");
                if !list.is_empty() {
                    r.header.set("Forwarded", list);
                }
            }
            ForwardingSource::Field(name) => {
                if let Some(client) = self.client {
                    r.header.set(&**name, client.to_string());
                }
            }
        }
        if let Some(host) = self.host {
            r.host = host;
        }
    }
}

fn forwarded_element(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("for={address}"),
        // RFC 7239 §6: in brackets, and so in quotes.
        IpAddr::V6(address) => format!("for=\"[{address}]\""),
    }
}

/// Some proxies name the scheme of what is upgraded.
fn scheme_of(proto: &str) -> Option<&'static str> {
    const SCHEMES: [(&str, &str); 4] = [("http", "http"), ("https", "https"), ("ws", "http"), ("wss", "https")];
    SCHEMES.iter().find(|(name, _)| proto.eq_ignore_ascii_case(name)).map(|&(_, scheme)| scheme)
}

/// The hops of `X-Forwarded-*` from the right. Addresses, schemes and hosts that are as far from the right belong
/// together; of a list that ends earlier, the leftmost value was passed on by the proxies behind it.
fn x_forwarded_hops(header: &Header) -> impl Iterator<Item = ProxyHop> + '_ {
    let mut addresses = list_from_right(header, FOR);
    let mut protos = list_from_right(header, PROTO);
    let mut hosts = list_from_right(header, HOST);
    std::iter::from_fn(move || {
        let (address, proto, host) = (addresses.next(), protos.next(), hosts.next());
        if address.is_none() && proto.is_none() && host.is_none() {
            return None;
        }
        Some(ProxyHop {
            address: address.as_deref().and_then(node_address),
            proto: proto.filter(|proto| scheme_of(proto).is_some()).map(Cow::into_owned),
            host: host.filter(|host| is_host(host.as_bytes(), Port::Optional)).map(Cow::into_owned),
        })
    })
}

/// The members of a list from the right, over all lines of this name. Empty members are left out (RFC 9110
/// §5.6.1.2), and one that is no text is one that nothing can be read from.
fn list_from_right<'a>(header: &'a Header, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
    let lines: Vec<&[u8]> = header.values_bytes(name).collect();
    lines
        .into_iter()
        .rev()
        .flat_map(|line| line.rsplit(|&b| b == b','))
        .map(String::from_utf8_lossy)
        .map(|member| match member {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim_matches([' ', '\t'])),
            Cow::Owned(text) => Cow::Owned(text),
        })
        .filter(|member| !member.is_empty())
}

/// The address of a node (RFC 7239 §6), with or without a port: `192.0.2.1`, `192.0.2.1:80`, `[::1]`, `[::1]:80`,
/// and `::1`, which `X-Forwarded-For` has without brackets.
fn node_address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches([' ', '\t']);
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok().map(IpAddr::V6);
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    let with_hidden_port = || {
        // RFC 7239 §6: a port may be a made-up name.
        let (node, port) = text.rsplit_once(':')?;
        let node = node.strip_prefix('[').and_then(|node| node.strip_suffix(']')).unwrap_or(node);
        port.strip_prefix('_').filter(|port| is_token(port.as_bytes()))?;
        node.parse().ok()
    };
    let address: Option<IpAddr> = text.parse().ok().or_else(bracketed).or_else(with_port).or_else(with_hidden_port);
    address.map(|address| address.to_canonical())
}

/// The hops of `Forwarded` from the right.
fn forwarded_hops(header: &Header) -> impl Iterator<Item = ProxyHop> + '_ {
    let lines: Vec<&[u8]> = header.values_bytes("Forwarded").collect();
    lines
        .into_iter()
        .rev()
        .flat_map(|line| ElementsFromRight(Some(line)))
        .map(|element| read_element(element).unwrap_or_default())
}

/// The elements of a `Forwarded` line from the right, by commas outside quotes. It is read from the right so that
/// quotes which a client has sent, and not closed, cannot take in what a proxy has added behind them.
struct ElementsFromRight<'a>(Option<&'a [u8]>);

impl<'a> Iterator for ElementsFromRight<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let line = self.0?;
            let (rest, element) = split_last_element(line);
            self.0 = rest;
            if !element.trim_ascii().is_empty() {
                return Some(element);
            }
        }
    }
}

fn split_last_element(line: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let mut quoted = false;
    for (at, &byte) in line.iter().enumerate().rev() {
        let (before, from) = line.split_at_checked(at).unwrap_or_default();
        match byte {
            b'"' if !quoted || !is_escaped_after(before) => quoted = !quoted,
            b',' if !quoted => return (Some(before), from.get(1..).unwrap_or_default()),
            _ => {}
        }
    }
    (None, line)
}

/// Whether a character behind this is escaped: behind an odd number of backslashes.
fn is_escaped_after(text: &[u8]) -> bool {
    text.iter().rev().take_while(|&&b| b == b'\\').count() % 2 == 1
}

/// One element: pairs of names and values with semicolons between (RFC 7239 §4). `None` where it is malformed, and
/// where a name is there twice.
fn read_element(element: &[u8]) -> Option<ProxyHop> {
    let mut rest = std::str::from_utf8(element).ok()?.trim_matches([' ', '\t']);
    let (mut address, mut proto, mut host) = (None, None, None);
    loop {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = read_value(after)?;
        let slot = match name.trim_matches([' ', '\t']).to_ascii_lowercase().as_str() {
            "for" => Some(&mut address),
            "proto" => Some(&mut proto),
            "host" => Some(&mut host),
            name if is_token(name.as_bytes()) => None,
            _ => return None,
        };
        if slot.is_some_and(|slot| slot.replace(value).is_some()) {
            return None;
        }
        match after.trim_matches([' ', '\t']).strip_prefix(';') {
            Some(more) => rest = more,
            None if after.trim_matches([' ', '\t']).is_empty() => break,
            None => return None,
        }
    }
    Some(ProxyHop {
        address: address.as_deref().and_then(node_address),
        proto: proto.filter(|proto| scheme_of(proto).is_some()),
        host: host.filter(|host| is_host(host.as_bytes(), Port::Optional)),
    })
}

/// A token or a quoted string, and what follows. Addresses of IPv6 and ports need quotes; without them they are
/// taken all the same, as many senders forget them.
fn read_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ' ', '\t', '"']).unwrap_or(text.len());
        let (value, after) = text.split_at_checked(end)?;
        return Some((value.to_owned(), after));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, quoted.get(at + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            _ => value.push(character),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(fields: &[(&str, &str)]) -> Header {
        fields.iter().copied().collect()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn believed(proxies: &TrustedProxies, fields: &[(&str, &str)]) -> (Option<String>, Option<String>, Option<String>) {
        let believed = proxies.read(&header(fields));
        (believed.client.map(|client| client.to_string()), believed.proto, believed.host)
    }

    fn client(proxies: &TrustedProxies, fields: &[(&str, &str)]) -> String {
        believed(proxies, fields).0.unwrap_or_default()
    }

    #[test]
    fn the_client_is_the_first_from_the_right_that_is_no_proxy() {
        let proxies = TrustedProxies::new(["10.0.0.0/8", "fd00::/8"]);
        for (list, expected) in [
            ("1.1.1.1", "1.1.1.1"),
            ("6.6.6.6, 1.1.1.1", "1.1.1.1"),
            ("6.6.6.6, 1.1.1.1, 10.0.0.2, fd00::1", "1.1.1.1"),
            ("6.6.6.6,10.0.0.9,1.1.1.1,10.0.0.2", "1.1.1.1"),
            // All of them are proxies: the request was made within.
            ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
            // What is no address ends it, at the proxy that said so.
            ("1.1.1.1, unknown, 10.0.0.2", "10.0.0.2"),
            ("1.1.1.1, unknown", ""),
            ("1.1.1.1 2.2.2.2", ""),
            ("1.1.1.1, , ,", "1.1.1.1"),
            ("1.1.1.1:4711", "1.1.1.1"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("::ffff:1.1.1.1, ::ffff:10.0.0.1", "1.1.1.1"),
            ("1.1.1.1, 10.0.0.1:80", "1.1.1.1"),
            ("", ""),
        ] {
            assert_eq!(client(&proxies, &[(FOR, list)]), expected, "{list}");
        }
        // Several lines are one list.
        assert_eq!(client(&proxies, &[(FOR, "6.6.6.6"), (FOR, "1.1.1.1"), (FOR, "10.0.0.2")]), "1.1.1.1");
    }

    #[test]
    fn a_scheme_and_a_host_are_those_of_the_outermost_proxy() {
        let proxies = TrustedProxies::new(["10.0.0.0/8"]);
        for (addresses, protos, hosts, proto, host) in [
            ("1.1.1.1", "https", "a.test", Some("https"), Some("a.test")),
            // Forged ones stand on the left.
            ("6.6.6.6, 1.1.1.1", "http, https", "evil.test, a.test:8443", Some("https"), Some("a.test:8443")),
            // One for each hop, or one that was passed on.
            ("1.1.1.1, 10.0.0.2", "https, http", "a.test, inner.test", Some("https"), Some("a.test")),
            ("1.1.1.1, 10.0.0.2", "https", "a.test", Some("https"), Some("a.test")),
            ("", "https", "", Some("https"), None),
            ("1.1.1.1", "gopher", "a.test/x", None, None),
            ("1.1.1.1", "WSS", "[::1]:80", Some("WSS"), Some("[::1]:80")),
        ] {
            let (_, found_proto, found_host) = believed(&proxies, &[(FOR, addresses), (PROTO, protos), (HOST, hosts)]);
            assert_eq!((found_proto.as_deref(), found_host.as_deref()), (proto, host), "{addresses} {protos} {hosts}");
        }
    }

    #[test]
    fn forwarded_is_read_from_the_right_too() {
        let proxies = TrustedProxies::new(["10.0.0.0/8"]).forwarded();
        for (field, address, proto, host) in [
            ("for=1.1.1.1", "1.1.1.1", None, None),
            ("For=\"[2001:db8::17]:4711\"", "2001:db8::17", None, None),
            ("for=1.1.1.1;proto=https;by=10.0.0.1;host=a.test", "1.1.1.1", Some("https"), Some("a.test")),
            ("for=6.6.6.6, for=1.1.1.1 ; proto=https , for=10.0.0.2", "1.1.1.1", Some("https"), None),
            ("for=1.1.1.1;host=\"a.test:8443\"", "1.1.1.1", None, Some("a.test:8443")),
            ("for=1.1.1.1;ext=\"a,b;c\\\"d\", for=10.0.0.2", "1.1.1.1", None, None),
            ("for=\"1.1.1.1:_port\"", "1.1.1.1", None, None),
            ("for=unknown;proto=https", "", Some("https"), None),
            ("for=_hidden, for=10.0.0.2", "10.0.0.2", None, None),
            ("for=1.1.1.1;for=6.6.6.6", "", None, None),
            ("for=1.1.1.1;;", "", None, None),
            ("1.1.1.1", "", None, None),
        ] {
            let found = believed(&proxies, &[("Forwarded", field)]);
            let found = (found.0.as_deref().unwrap_or_default(), found.1.as_deref(), found.2.as_deref());
            assert_eq!(found, (address, proto, host), "{field}");
        }
    }

    #[test]
    fn a_quote_that_a_client_leaves_open_swallows_nothing() {
        let proxies = TrustedProxies::new(["10.0.0.0/8"]).forwarded();
        for forged in ["for=\"", "for=\"6.6.6.6", "for=6.6.6.6;x=\"\\", "\"", "for=\"a\\\""] {
            for appended in ["for=1.1.1.1", "for=\"1.1.1.1:80\""] {
                assert_eq!(client(&proxies, &[("Forwarded", &format!("{forged}, {appended}"))]), "1.1.1.1", "{forged}");
            }
        }
    }

    #[test]
    fn a_field_of_its_own_has_one_address() {
        let proxies = TrustedProxies::new(["10.0.0.0/8"]).field("X-Real-IP");
        assert_eq!(client(&proxies, &[("X-Real-Ip", " 1.1.1.1 "), (FOR, "6.6.6.6")]), "1.1.1.1");
        assert_eq!(client(&proxies, &[("X-Real-Ip", "1.1.1.1"), ("X-Real-Ip", "6.6.6.6")]), "");
        assert_eq!(client(&proxies, &[("X-Real-Ip", "1.1.1.1, 6.6.6.6")]), "");
    }

    #[test]
    fn what_was_believed_stays_in_the_header_and_nothing_else() {
        let mut request = Request::new(http::Method::GET, http::Uri::from_static("/"), ());
        let believed = TrustedProxies::new(["10.0.0.0/8"]).read(&header(&[
            (FOR, "6.6.6.6, 1.1.1.1, 10.0.0.2:80"),
            (PROTO, "https"),
            (HOST, "a.test"),
        ]));
        believed.apply(&mut request, &ForwardingSource::XForwarded);
        assert_eq!(request.header, header(&[(FOR, "1.1.1.1, 10.0.0.2"), (PROTO, "https"), (HOST, "a.test")]));
        assert_eq!((request.client_ip(), request.scheme(), &*request.host), (Some(ip("1.1.1.1")), "https", "a.test"));

        let mut request = Request::new(http::Method::GET, http::Uri::from_static("/"), ());
        let proxies = TrustedProxies::new(["10.0.0.0/8"]).forwarded();
        proxies
            .read(&header(&[("Forwarded", "for=6.6.6.6, for=\"[::1]:8\";host=a.test, for=10.0.0.2")]))
            .apply(&mut request, &ForwardingSource::Forwarded);
        assert_eq!(request.header, header(&[("Forwarded", "for=\"[::1]\", for=10.0.0.2")]));
    }

    /// The rule as one would explain it: cut the list in two, and look at addresses one after the other.
    fn client_by_hand(list: &str, proxies: &TrustedProxies) -> Option<IpAddr> {
        let mut client = None;
        for element in list.split(',').rev().map(str::trim).filter(|element| !element.is_empty()) {
            let Ok(address) = element.parse::<IpAddr>() else { break };
            client = Some(address);
            if !proxies.trusts(address) {
                break;
            }
        }
        client
    }

    #[test]
    fn random_lists_are_read_as_by_hand_in_both_forms_and_whatever_lies_left_of_them() {
        const ELEMENTS: [&str; 8] = ["1.1.1.1", "10.0.0.1", "10.9.9.9", "2001:db8::1", "fd00::1", "unknown", "x y", ""];
        let proxies = TrustedProxies::new(["10.0.0.0/8", "fd00::/8"]);
        let forwarded = proxies.clone().forwarded();
        // A generator of our own, so that a failure comes again.
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        let mut below = |bound: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % bound).unwrap()
        };
        for _ in 0..5000 {
            let elements: Vec<&str> = (0..below(6)).map(|_| ELEMENTS[below(8)]).collect();
            let list = elements.join(", ");
            let expected = client_by_hand(&list, &proxies);
            assert_eq!(proxies.read(&header(&[(FOR, &list)])).client, expected, "{list}");
            let pairs: Vec<String> = elements.iter().map(|node| format!("for=\"{node}\"")).collect();
            let found = forwarded.read(&header(&[("Forwarded", &pairs.join(","))])).client;
            // An empty member is none in the one form, and an unknown node in the other.
            assert!(found == expected || elements.contains(&""), "{list}: {found:?}");
            // Bytes of the client's own on the left change nothing, once there is a client on the right.
            let ends_at_a_client = expected.is_some_and(|address| !proxies.trusts(address));
            for forged in ["for=\"", "\"\"\"", "for=6.6.6.6;;", "\\\"", "6.6.6.6"] {
                let left = proxies.read(&header(&[(FOR, &format!("{forged}, {list}"))])).client;
                assert!(left == expected || !ends_at_a_client, "{forged} {list}: {left:?}");
                let both = format!("{forged}, {}", pairs.join(","));
                let left = forwarded.read(&header(&[("Forwarded", &both)])).client;
                assert!(left == found || found.is_none_or(|address| proxies.trusts(address)), "{both}: {left:?}");
            }
        }
    }
}
