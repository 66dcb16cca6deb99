//! The header of the PROXY protocol as its specification tells it, for one who has all the bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Whose the connection is, and where its own bytes begin. No client is the sender itself.
pub type Header = (Option<SocketAddr>, usize);

/// `None` for what is no header, not whole, or of more than 4 KiB.
pub fn header(bytes: &[u8]) -> Option<Header> {
    if bytes.starts_with(b"PROXY ") { text(bytes) } else { binary(bytes) }
}

/// A line of 107 bytes at most, with one blank between its words.
fn text(bytes: &[u8]) -> Option<Header> {
    let end = (0..bytes.len().min(106)).find(|&at| bytes[at..].starts_with(b"\r\n"))?;
    let line = String::from_utf8(bytes[..end].to_vec()).ok()?;
    let words: Vec<&str> = line.split(' ').collect();
    let client = match (words[1], &words[2..]) {
        ("UNKNOWN", _) => None,
        (family, [from, to, from_port, to_port]) => {
            let ip = |text: &str| -> Option<IpAddr> {
                let ip: IpAddr = text.parse().ok()?;
                (family == if ip.is_ipv4() { "TCP4" } else { "TCP6" }).then_some(ip)
            };
            let port = |text: &str| if text.starts_with('+') { None } else { text.parse::<u16>().ok() };
            (ip(to)?, port(to_port)?);
            Some(SocketAddr::new(ip(from)?, port(from_port)?))
        }
        _ => return None,
    };
    Some((client, end + 2))
}

/// Twelve bytes of signature, version and command, family and transport, the length of the rest.
fn binary(bytes: &[u8]) -> Option<Header> {
    if bytes.len() < 16 || &bytes[..12] != b"\r\n\r\n\0\r\nQUIT\n" || bytes[12] >> 4 != 2 {
        return None;
    }
    let end = 16 + usize::from(bytes[14]) * 256 + usize::from(bytes[15]);
    if end > 4096 || bytes.len() < end {
        return None;
    }
    let (block, port) = (&bytes[16..end], |at: usize| u16::from_be_bytes([bytes[16 + at], bytes[17 + at]]));
    let client = match (bytes[12] & 15, bytes[13]) {
        (0, _) | (1, 0x00 | 0x31) => None,
        (1, 0x11) if block.len() >= 12 => {
            let ip: [u8; 4] = block[..4].try_into().ok()?;
            Some(SocketAddr::new(Ipv4Addr::from(ip).into(), port(8)))
        }
        (1, 0x21) if block.len() >= 36 => {
            let ip: [u8; 16] = block[..16].try_into().ok()?;
            Some(SocketAddr::new(Ipv6Addr::from(ip).into(), port(32)))
        }
        _ => return None,
    };
    Some((client, end))
}
