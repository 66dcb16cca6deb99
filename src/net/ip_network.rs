//! Networks of addresses (RFC 4632), as settings name them.

use std::net::{IpAddr, Ipv6Addr};

/// `10.0.0.0/8`, `2001:db8::/32`, or one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IpNetwork {
    /// The bits of the network; for IPv4 the 32 at the end.
    bits: u128,
    mask: u128,
    is_v4: bool,
}

impl IpNetwork {
    /// `None` where it is none, and where bits of the host are set: `10.1.2.3/8` is a slip of one kind or another.
    pub(crate) fn parse(text: &str) -> Option<IpNetwork> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(prefix_length(length)?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        // Addresses are compared in their canonical form, so a network of IPv4 that is written as one of IPv6 is one
        // of IPv4. Its prefix counts the 96 bits before.
        let (address, length) = match address.to_canonical() {
            canonical if canonical != address => {
                (canonical, length.map(|length| length.checked_sub(96)).map_or(Some(None), |length| length.map(Some))?)
            }
            _ => (address, length),
        };
        let (bits, width) = bits_of(address);
        let length = length.unwrap_or(width);
        let host_bits = width.checked_sub(length)?;
        let all = u128::MAX >> (128 - width);
        let mask = all & u128::MAX.checked_shl(host_bits).unwrap_or_default();
        (bits & !mask == 0).then_some(IpNetwork { bits, mask, is_v4: address.is_ipv4() })
    }

    /// An address that is IPv4 written as IPv6 is IPv4.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let (bits, _) = bits_of(address);
        address.is_ipv4() == self.is_v4 && bits & self.mask == self.bits
    }
}

fn bits_of(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

/// Digits alone: `+8` is a number to the standard library.
fn prefix_length(text: &str) -> Option<u32> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The networks that these texts name.
///
/// # Panics
/// Where one of them names none.
#[track_caller]
pub(crate) fn networks<Text: AsRef<str>>(texts: impl IntoIterator<Item = Text>) -> Vec<IpNetwork> {
    let mut networks = Vec::new();
    for text in texts {
        let text = text.as_ref();
        match IpNetwork::parse(text) {
            Some(network) => networks.push(network),
            None => panic!("{text:?} is no network: write 10.0.0.0/8, 2001:db8::/32 or an address, without host bits"),
        }
    }
    networks
}

/// The address as one client: of IPv6 the first 64 bits, for the others are the client's own to choose
/// (RFC 4291 §2.5.4; RFC 7217).
pub(crate) fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_network_has_the_addresses_with_its_first_bits() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.168.1.0/31", "192.168.1.1", "192.168.1.2"),
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("0.0.0.0/0", "8.8.8.8", "::1"),
            ("::/0", "2001:db8::1", "8.8.8.8"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::1", "::1", "::2"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::10.1.2.3"),
            ("::ffff:10.0.0.0/104", "10.1.2.3", "11.0.0.0"),
            ("::ffff:10.0.0.1", "10.0.0.1", "10.0.0.2"),
        ] {
            let network = IpNetwork::parse(network).unwrap();
            assert!(network.contains(ip(inside)) && !network.contains(ip(outside)), "{network:?}");
        }
    }

    #[test]
    fn slips_are_no_networks() {
        for text in
            ["", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/+8", "10.0.0/8", "::1/64", "a.test", "::/129"]
        {
            assert_eq!(IpNetwork::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_client_is_an_address_of_ipv4_and_64_bits_of_ipv6() {
        for (address, client) in
            [("10.1.2.3", "10.1.2.3"), ("::ffff:10.1.2.3", "10.1.2.3"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::")]
        {
            assert_eq!(client_network(ip(address)), ip(client));
        }
    }
}
