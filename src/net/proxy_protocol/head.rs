//! The header of the PROXY protocol, versions 1 and 2, as bytes (the specification of HAProxy, revision of 2020).
//!
//! A load balancer that passes connections on as they are puts it before the first byte, and says in it who has
//! connected to it. Neither reader nor writer is told how long the header of version 1 is, so its end is found by
//! its line end within 107 bytes; version 2 says its length.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The longest header of version 1, its line end included (§2.1).
const MAX_V1_BYTES: usize = 107;
/// The longest header of version 2 that is read. The protocol allows 65,551; what stands behind the addresses
/// (a certificate's name, an id) takes some hundred bytes.
const MAX_V2_BYTES: usize = 4_096;

const V1_SIGNATURE: &[u8] = b"PROXY ";
const V2_SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_PREFIX_BYTES: usize = 16;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxiedPeer {
    /// Who has connected, and to which address.
    Client { from: SocketAddr, to: SocketAddr },
    /// The sender speaks for itself, as in a health check, or for somebody who has no such address: the connection's
    /// own addresses count (§2.2: LOCAL and UNSPEC; UNKNOWN of version 1).
    Sender,
}

/// How far the first bytes of a connection are a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProxyHeader {
    Incomplete,
    Complete { bytes: usize, peer: ProxiedPeer },
    Refused(&'static str),
}

/// Reads a header at the start of these bytes.
pub(super) fn parse(input: &[u8]) -> ProxyHeader {
    if begins_like(input, V1_SIGNATURE) {
        return parse_v1(input);
    }
    if begins_like(input, V2_SIGNATURE) {
        return parse_v2(input).unwrap_or(ProxyHeader::Incomplete);
    }
    ProxyHeader::Refused("the connection does not begin with a header of the PROXY protocol")
}

/// Whether the bytes are, as far as there are any, those of the signature.
fn begins_like(input: &[u8], signature: &[u8]) -> bool {
    input.iter().zip(signature).all(|(one, other)| one == other)
}

/// `PROXY TCP4 192.0.2.1 198.51.100.7 50000 443` and a line end (§2.1).
fn parse_v1(input: &[u8]) -> ProxyHeader {
    let within = input.get(..MAX_V1_BYTES).unwrap_or(input);
    let Some(end) = within.windows(2).position(|two| two == b"\r\n") else {
        let has_room = input.len() < MAX_V1_BYTES;
        return if has_room { ProxyHeader::Incomplete } else { ProxyHeader::Refused("the header has no line end") };
    };
    let line = within.get(V1_SIGNATURE.len()..end).and_then(|line| std::str::from_utf8(line).ok());
    match line.and_then(peer_of_line) {
        Some(peer) => ProxyHeader::Complete { bytes: end + 2, peer },
        None => ProxyHeader::Refused("the header is malformed"),
    }
}

fn peer_of_line(line: &str) -> Option<ProxiedPeer> {
    // What stands behind UNKNOWN says nothing (§2.1).
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Some(ProxiedPeer::Sender);
    }
    let mut words = line.split(' ');
    let family = words.next()?;
    let mut address = || -> Option<IpAddr> {
        let word = words.next()?;
        match family {
            "TCP4" => word.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => word.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let (from, to) = (address()?, address()?);
    let mut port = || -> Option<u16> {
        let word = words.next()?;
        // Digits alone: the standard library takes a sign, too.
        word.bytes().all(|byte| byte.is_ascii_digit()).then(|| word.parse().ok()).flatten()
    };
    let (from_port, to_port) = (port()?, port()?);
    let peer = ProxiedPeer::Client { from: SocketAddr::new(from, from_port), to: SocketAddr::new(to, to_port) };
    words.next().is_none().then_some(peer)
}

/// The binary form (§2.2). `None` while bytes are missing.
fn parse_v2(input: &[u8]) -> Option<ProxyHeader> {
    let (prefix, rest) = input.split_first_chunk::<V2_PREFIX_BYTES>()?;
    let [.., version_and_command, family, high, low] = *prefix;
    let len = usize::from(u16::from_be_bytes([high, low]));
    if version_and_command >> 4 != 2 {
        return Some(ProxyHeader::Refused("the version of the header is not known"));
    }
    if V2_PREFIX_BYTES + len > MAX_V2_BYTES {
        return Some(ProxyHeader::Refused("the header is too long"));
    }
    let addresses = rest.get(..len)?;
    let peer = match (version_and_command & 0xf, family) {
        (1, 0x11) => v2_client::<4>(addresses, |ip| Ipv4Addr::from(ip).into()),
        (1, 0x21) => v2_client::<16>(addresses, |ip| Ipv6Addr::from(ip).into()),
        // Nobody but the sender: the block is skipped whatever stands in it, for balancers put addresses there that
        // mean nothing. Unspecified, and Unix sockets: whoever it is has no address.
        (0, _) | (1, 0x00 | 0x31) => Some(ProxiedPeer::Sender),
        _ => None,
    };
    Some(match peer {
        Some(peer) => ProxyHeader::Complete { bytes: V2_PREFIX_BYTES + len, peer },
        None => ProxyHeader::Refused("the header is malformed"),
    })
}

/// Two addresses and two ports. Behind them there may be more, which is of no interest here.
fn v2_client<const N: usize>(block: &[u8], ip: impl Fn([u8; N]) -> IpAddr) -> Option<ProxiedPeer> {
    let (from, block) = block.split_first_chunk::<N>()?;
    let (to, block) = block.split_first_chunk::<N>()?;
    let (from_port, block) = block.split_first_chunk::<2>()?;
    let (to_port, _) = block.split_first_chunk::<2>()?;
    let end = |address: &[u8; N], port: &[u8; 2]| SocketAddr::new(ip(*address), u16::from_be_bytes(*port));
    Some(ProxiedPeer::Client { from: end(from, from_port), to: end(to, to_port) })
}

/// The header of version 1. Where the families of the two differ, which the form cannot say, both are written as
/// IPv6.
pub(super) fn encode_v1(peer: ProxiedPeer) -> Vec<u8> {
    let ProxiedPeer::Client { from, to } = peer else { return b"PROXY UNKNOWN\r\n".to_vec() };
    let (from, to) = of_one_family(from, to);
    let family = if from.is_ipv4() { "TCP4" } else { "TCP6" };
    format!("PROXY {family} {} {} {} {}\r\n", from.ip(), to.ip(), from.port(), to.port()).into_bytes()
}

/// The header of version 2, without anything behind the addresses.
pub(super) fn encode_v2(peer: ProxiedPeer) -> Vec<u8> {
    let mut header = V2_SIGNATURE.to_vec();
    let ProxiedPeer::Client { from, to } = peer else {
        // LOCAL, and no addresses.
        header.extend([0x20, 0, 0, 0]);
        return header;
    };
    let (from, to) = of_one_family(from, to);
    header.extend(if from.is_ipv4() { [0x21, 0x11, 0, 12] } else { [0x21, 0x21, 0, 36] });
    for end in [from, to] {
        match end.ip() {
            IpAddr::V4(ip) => header.extend(ip.octets()),
            IpAddr::V6(ip) => header.extend(ip.octets()),
        }
    }
    header.extend(from.port().to_be_bytes());
    header.extend(to.port().to_be_bytes());
    header
}

fn of_one_family(from: SocketAddr, to: SocketAddr) -> (SocketAddr, SocketAddr) {
    let mapped = |addr: SocketAddr| match addr.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), addr.port()),
        IpAddr::V6(_) => addr,
    };
    if from.is_ipv4() == to.is_ipv4() { (from, to) } else { (mapped(from), mapped(to)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(from: &str, to: &str) -> ProxiedPeer {
        ProxiedPeer::Client { from: from.parse().unwrap(), to: to.parse().unwrap() }
    }

    /// A header of version 2: version and command, family, and the block behind the length.
    fn v2(version_and_command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(block.len()).unwrap().to_be_bytes();
        [V2_SIGNATURE, &[version_and_command, family], &length, block].concat()
    }

    fn accepted() -> Vec<(Vec<u8>, ProxiedPeer)> {
        let four = client("192.0.2.1:50000", "198.51.100.7:443");
        let six = client("[2001:db8::1]:1", "[2001:db8::2]:65535");
        let block: &[u8] = &[192, 0, 2, 1, 198, 51, 100, 7, 0xc3, 0x50, 0x01, 0xbb];
        let more = [block, &[0x02, 0, 1, b'a']].concat();
        vec![
            (b"PROXY TCP4 192.0.2.1 198.51.100.7 50000 443\r\n".to_vec(), four),
            (b"PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n".to_vec(), six),
            (b"PROXY UNKNOWN\r\n".to_vec(), ProxiedPeer::Sender),
            (b"PROXY UNKNOWN ffff::1 ffff::2 what ever\r\n".to_vec(), ProxiedPeer::Sender),
            (v2(0x21, 0x11, block), four),
            (v2(0x21, 0x11, &more), four),
            (encode_v2(six), six),
            (v2(0x20, 0x00, &[]), ProxiedPeer::Sender),
            // Health checks of Amazon's balancers look so.
            (v2(0x20, 0x11, block), ProxiedPeer::Sender),
            (v2(0x21, 0x00, b"some"), ProxiedPeer::Sender),
            (v2(0x21, 0x31, &[0; 216]), ProxiedPeer::Sender),
        ]
    }

    #[test]
    fn a_header_is_read_to_its_end_and_no_further() {
        for (header, peer) in accepted() {
            let with_request = [&*header, b"GET / HTTP/1.1\r\n"].concat();
            let expected = ProxyHeader::Complete { bytes: header.len(), peer };
            assert_eq!((parse(&header), parse(&with_request)), (expected, expected), "{header:?}");
        }
    }

    #[test]
    fn cut_anywhere_a_header_is_incomplete() {
        for (header, _) in accepted() {
            for cut in 0..header.len() {
                assert_eq!(parse(&header[..cut]), ProxyHeader::Incomplete, "{cut} {header:?}");
            }
        }
    }

    #[test]
    fn what_is_no_header_is_refused_with_its_first_wrong_byte() {
        let long = [b"PROXY TCP4 ", &[b'1'; 96][..]].concat();
        for bytes in [
            &b"G"[..],
            b"PROXX",
            b"PROXY TCP4 192.0.2.1 198.51.100.7 50000\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.7 50000 443 \r\n",
            b"PROXY TCP4  192.0.2.1 198.51.100.7 50000 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.7 +5000 443\r\n",
            b"PROXY TCP4 192.0.2.1 198.51.100.7 50000 65536\r\n",
            b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
            b"PROXY TCP6 192.0.2.1 198.51.100.7 50000 443\r\n",
            b"PROXY UDP4 192.0.2.1 198.51.100.7 50000 443\r\n",
            b"PROXY UNKNOWNS\r\n",
            b"PROXY \r\n",
            b"\r\n\r\n\0\r\nQUIZ",
            &long,
            &v2(0x11, 0x11, &[0; 12]),
            &v2(0x22, 0x11, &[0; 12]),
            &v2(0x21, 0x11, &[0; 11]),
            &v2(0x21, 0x21, &[0; 35]),
            &v2(0x21, 0x12, &[0; 12]),
            &v2(0x21, 0x11, &[0; 4_081]),
        ] {
            assert!(matches!(parse(bytes), ProxyHeader::Refused(_)), "{bytes:?} {:?}", parse(bytes));
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mixed = client("192.0.2.1:1", "[2001:db8::1]:2");
        let as_six = client("[::ffff:192.0.2.1]:1", "[2001:db8::1]:2");
        let four = client("192.0.2.1:50000", "198.51.100.7:443");
        let six = client("[2001:db8::1]:1", "[2001:db8::2]:65535");
        for (written, read) in [(four, four), (six, six), (mixed, as_six), (ProxiedPeer::Sender, ProxiedPeer::Sender)] {
            for bytes in [encode_v1(written), encode_v2(written)] {
                assert_eq!(parse(&bytes), ProxyHeader::Complete { bytes: bytes.len(), peer: read });
            }
        }
    }
}
