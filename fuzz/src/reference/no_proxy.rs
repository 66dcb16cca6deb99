//! `NO_PROXY` as Go documents it: an entry is compared with the host without being read beforehand.

use std::net::IpAddr;

/// Whether the host is reached without a proxy. `None` where the list has what the rules leave open:
/// letters beyond ASCII, and brackets that are around no host.
pub fn is_direct(list: &str, host: &str, port: u16) -> Option<bool> {
    let entries = || list.split([',', ' ', '\t', '\n', '\r']).filter(|entry| !entry.is_empty());
    let bare = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    if bare.trim_matches('.').is_empty() || !list.is_ascii() || !entries().all(has_good_brackets) {
        return None;
    }
    let address = address(&bare);
    let is_here = bare == "localhost" || address.is_some_and(|address| address.is_loopback());
    Some(is_here || entries().any(|entry| entry == "*" || means(entry, &bare, address, port)))
}

fn has_good_brackets(entry: &str) -> bool {
    match (entry.matches('[').count(), entry.matches(']').count()) {
        (0, 0) => true,
        (1, 1) => {
            entry.starts_with('[')
                && entry.rsplit(']').next().is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        }
        _ => false,
    }
}

/// What is IPv4 is that in whatever spelling. An address of IPv6 means the same in every zone.
fn address(text: &str) -> Option<IpAddr> {
    let text = text.trim_matches(['[', ']']);
    let without_zone = match text.find('%') {
        Some(at) if text.contains(':') => &text[..at],
        _ => text,
    };
    without_zone.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn means(entry: &str, host: &str, address_of_host: Option<IpAddr>, port: u16) -> bool {
    if let Some((network, bits)) = entry.split_once('/') {
        let (network, bits) = (network.parse::<IpAddr>(), bits.parse::<usize>());
        let (Ok(network), Ok(bits), Some(address)) = (network, bits, address_of_host) else { return false };
        return within(network, bits, address);
    }
    if let Some(own) = address(entry) {
        return address_of_host == Some(own);
    }
    let (name, own_port) = match entry.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => (name, Some(port.parse::<u16>())),
        _ => (entry, None),
    };
    if own_port.is_some_and(|own| own != Ok(port)) {
        return false;
    }
    match (address(name), address_of_host) {
        (Some(own), Some(address)) => own == address,
        (None, None) => is_domain(name, host),
        _ => false,
    }
}

/// Compared bit by bit, as IPv6 where one of the two is written so.
fn within(network: IpAddr, bits: usize, address: IpAddr) -> bool {
    let text = |address: IpAddr| match address {
        IpAddr::V4(address) => format!("{:032b}", address.to_bits()),
        IpAddr::V6(address) => format!("{:0128b}", address.to_bits()),
    };
    let address = match (network, address) {
        (IpAddr::V6(_), IpAddr::V4(address)) => IpAddr::V6(address.to_ipv6_mapped()),
        _ => address,
    };
    let (network_text, address) = (text(network), text(address));
    // Fewer bits than say that it is IPv4 mean a network of IPv6, in which no host of IPv4 is.
    let is_mapped = matches!(network, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    let is_other =
        address.starts_with(&format!("{:0>80}{:1>16}", "", "")) && network.is_ipv6() && !(is_mapped && bits >= 96);
    network_text.len() == address.len() && bits <= address.len() && network_text[..bits] == address[..bits] && !is_other
}

fn is_domain(entry: &str, host: &str) -> bool {
    let entry = entry.to_ascii_lowercase();
    let name = entry.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(&entry);
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.strip_prefix('.') {
        Some("") => false,
        Some(above) => host.ends_with(&format!(".{above}")),
        None => !name.is_empty() && (host == name || host.ends_with(&format!(".{name}"))),
    }
}
