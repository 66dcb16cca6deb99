//! Hosts that are reached without a proxy: the rules of Go's `NO_PROXY`.

use std::borrow::Cow;
use std::net::IpAddr;

/// A list of hosts, read.
#[derive(Debug, Default)]
pub(super) struct NoProxy {
    /// `*` stands in the list.
    all: bool,
    networks: Vec<Network>,
    domains: Vec<Domain>,
}

/// Addresses that begin with the same bits: a single one, where they are all of its bits.
#[derive(Debug)]
struct Network {
    addr: IpAddr,
    bits: u32,
    port: Option<u16>,
}

#[derive(Debug)]
struct Domain {
    /// In lower case and the form of DNS, without a dot at either end.
    name: String,
    /// Whether the name itself is meant, beside all below it.
    itself: bool,
    port: Option<u16>,
}

impl NoProxy {
    /// Reads a list. An entry that is none is passed over: nothing is reached directly by mistake.
    pub(super) fn read(list: &str) -> NoProxy {
        let mut read = NoProxy::default();
        for entry in list.split([',', ' ', '\t', '\n', '\r']).filter(|entry| !entry.is_empty()) {
            read.add(entry);
        }
        read
    }

    /// Whether this host, on this port, is reached without a proxy. `localhost` and the addresses
    /// of this machine always are. The host may be an IPv6 address in brackets.
    pub(super) fn has(&self, host: &str, port: u16) -> bool {
        let host = canonical_name(host);
        if host == "localhost" {
            return true;
        }
        match address(&host) {
            Some(addr) => addr.is_loopback() || self.all || self.networks.iter().any(|network| network.has(addr, port)),
            // No name has one: what is left is a zone behind something that is no address.
            None if host.contains('%') => self.all,
            None => self.all || self.domains.iter().any(|domain| domain.has(&host, port)),
        }
    }

    fn add(&mut self, entry: &str) {
        if entry == "*" {
            self.all = true;
        } else if let Some(network) = Network::of(entry) {
            self.networks.push(network);
        } else if let Some(domain) = Domain::of(entry) {
            self.domains.push(domain);
        }
    }
}

impl Network {
    /// `192.0.2.0/24`, `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]:80` and so on.
    fn of(entry: &str) -> Option<Network> {
        if let Some((addr, bits)) = entry.split_once('/') {
            return Network::with_bits(addr.parse().ok()?, bits.parse().ok()?);
        }
        let (host, port) = split_port(entry)?;
        let addr = address(host)?;
        Some(Network { addr, bits: width(addr), port })
    }

    /// A network of IPv4 that is written as one of IPv6 is one of IPv4.
    fn with_bits(addr: IpAddr, bits: u32) -> Option<Network> {
        if bits > width(addr) {
            return None;
        }
        let canonical = addr.to_canonical();
        match bits.checked_sub(width(addr) - width(canonical)) {
            Some(bits) => Some(Network { addr: canonical, bits, port: None }),
            None => Some(Network { addr, bits, port: None }),
        }
    }

    fn has(&self, addr: IpAddr, port: u16) -> bool {
        let differ = match (self.addr, addr) {
            (IpAddr::V4(own), IpAddr::V4(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            (IpAddr::V6(own), IpAddr::V6(other)) => (own.to_bits() ^ other.to_bits()).leading_zeros(),
            _ => return false,
        };
        differ >= self.bits && self.port.is_none_or(|own| own == port)
    }
}

impl Domain {
    /// `example.com`, `.example.com`, `*.example.com`, each with a port or without.
    fn of(entry: &str) -> Option<Domain> {
        let (name, port) = split_port(entry)?;
        let name = name.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(name);
        let below = name.strip_prefix('.');
        let name = canonical_name(below.unwrap_or(name)).into_owned();
        (!name.is_empty()).then_some(Domain { name, itself: below.is_none(), port })
    }

    fn has(&self, host: &str, port: u16) -> bool {
        let matches = match host.strip_suffix(&*self.name) {
            Some("") => self.itself,
            Some(before) => before.ends_with('.'),
            None => false,
        };
        matches && self.port.is_none_or(|own| own == port)
    }
}

/// The host and the port, where a single colon, or one after brackets, begins one. `None` where
/// that is not a number.
fn split_port(entry: &str) -> Option<(&str, Option<u16>)> {
    let after_brackets = entry.find(']').map_or(0, |at| at + 1);
    match entry[after_brackets..].split_once(':') {
        Some((host, port)) if !port.contains(':') => {
            Some((&entry[..after_brackets + host.len()], Some(port.parse().ok()?)))
        }
        _ => Some((entry, None)),
    }
}

/// An address, with or without brackets. One of IPv4 that is written as one of IPv6 is one of IPv4. The
/// zone of one of IPv6 is of no account here: `[::1%25.example.com]` is no host below `example.com`
/// (CVE-2025-22870).
fn address(host: &str) -> Option<IpAddr> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let (bare, zone) = bare.split_once('%').map_or((bare, None), |(addr, zone)| (addr, Some(zone)));
    // Only IPv6 has zones (RFC 4007 §11): `10.0.0.1%a` is no address, and means no host.
    let addr = bare.parse::<IpAddr>().ok().filter(|addr| zone.is_none() || addr.is_ipv6())?;
    Some(addr.to_canonical())
}

fn width(addr: IpAddr) -> u32 {
    if addr.is_ipv4() { 32 } else { 128 }
}

/// In lower case, in the form of DNS, without the dot that a complete name may end with.
fn canonical_name(name: &str) -> Cow<'_, str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_ascii() {
        let is_lower = !name.bytes().any(|b| b.is_ascii_uppercase());
        return if is_lower { name.into() } else { name.to_ascii_lowercase().into() };
    }
    match ::url::Host::parse(name) {
        Ok(::url::Host::Domain(name)) => name.into(),
        _ => name.to_lowercase().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each list, and hosts that are in it and hosts that are not.
    #[test]
    fn a_list_has_what_its_entries_mean() {
        let all: &[(&str, &[&str], &[&str])] = &[
            ("", &[], &["a.test", "192.0.2.1", "[2001:db8::1]"]),
            ("a.test", &["a.test", "b.a.test", "c.b.a.test", "A.TEST", "a.test."], &["ba.test", "test", "a.test.b"]),
            ("A.Test.", &["a.test", "b.a.test"], &["xa.test"]),
            (".a.test", &["b.a.test"], &["a.test", "xa.test"]),
            ("*.a.test", &["b.a.test"], &["a.test", "xa.test"]),
            ("*a.test", &[], &["a.test", "ba.test", "b.a.test"]),
            ("a.test:80", &["a.test", "b.a.test"], &["a.test:81", "b.a.test:443"]),
            (".a.test:81", &["b.a.test:81"], &["a.test:81", "b.a.test"]),
            ("a.test:http, b.test:65536", &[], &["a.test", "b.test"]),
            ("test", &["a.test", "test"], &["atest"]),
            (" a.test , b.test ", &["a.test", "b.test"], &["c.test"]),
            ("a.test b.test", &["a.test", "b.test"], &["c.test"]),
            (",, :80,.,*.,/,[]", &[], &["a.test", "192.0.2.1"]),
            ("a.test,*", &["b.test", "192.0.2.1", "[2001:db8::1]"], &[]),
            ("b\u{fc}cher.test", &["xn--bcher-kva.test", "a.xn--bcher-kva.test", "B\u{dc}CHER.test"], &["bcher.test"]),
            ("xn--bcher-kva.test", &["b\u{fc}cher.test"], &[]),
            ("192.0.2.1", &["192.0.2.1", "192.0.2.1:81", "[::ffff:192.0.2.1]"], &["192.0.2.2", "1.192.0.2.1"]),
            ("192.0.2.1:80", &["192.0.2.1"], &["192.0.2.1:81"]),
            ("2.1", &[], &["192.0.2.1"]),
            ("2001:db8::1", &["[2001:db8::1]", "[2001:DB8:0::1]:81"], &["[2001:db8::2]"]),
            ("[2001:db8::1]", &["[2001:db8::1]"], &["[2001:db8::2]"]),
            ("[2001:db8::1]:80", &["[2001:db8::1]"], &["[2001:db8::1]:81"]),
            ("192.0.2.77/24", &["192.0.2.1", "192.0.2.255"], &["192.0.3.0", "[2001:db8::1]", "a.test"]),
            ("192.0.2.1/32", &["192.0.2.1"], &["192.0.2.0"]),
            ("0.0.0.0/0", &["192.0.2.1"], &["[2001:db8::1]"]),
            ("2001:db8::/33", &["[2001:db8:7fff::1]"], &["[2001:db8:8000::1]", "192.0.2.1"]),
            ("::/0", &["[2001:db8::1]"], &["192.0.2.1"]),
            ("::ffff:10.0.0.0/104", &["10.1.2.3", "[::ffff:10.1.2.3]"], &["11.1.2.3"]),
            (
                "a.test,.b.test,2001:db8::1",
                &["[2001:db8::1%25eth0]", "[::1%25lo]"],
                &["[2001:db8::2%25a.test]", "[fe80::1%25.b.test]", "[x%25.b.test]"],
            ),
            ("10.1.2.3%, 10.1.2.4%eth0", &[], &["10.1.2.3", "10.1.2.4"]),
            ("10.0.0.0/33, 10.0.0.0/x, 10.0.0.0/8:80, ::/129", &[], &["10.0.0.1", "[2001:db8::1]"]),
        ];
        for (list, inside, outside) in all {
            let list = NoProxy::read(list);
            for (hosts, expected) in [(inside, true), (outside, false)] {
                for host in *hosts {
                    let (name, port) = split_port(host).unwrap();
                    assert_eq!(list.has(name, port.unwrap_or(80)), expected, "{host} in {list:?}");
                }
            }
        }
    }

    #[test]
    fn this_machine_is_in_every_list() {
        let list = NoProxy::read("");
        for host in
            ["localhost", "LocalHost", "localhost.", "127.0.0.1", "127.9.9.9", "[::1]", "::1", "[::ffff:127.0.0.1]"]
        {
            assert!(list.has(host, 80), "{host}");
        }
        for host in ["local.localhost", "localhost.test", "128.0.0.1", "[::2]", "0.0.0.0"] {
            assert!(!list.has(host, 80), "{host}");
        }
    }
}
