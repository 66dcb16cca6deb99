//! Hosts and ports (RFC 3986 §3.2.2 and §3.2.3, RFC 9110 §7.2).

use std::net::Ipv6Addr;

/// Whether the text is `host` or `host:port`. A comma is in no host: a list of hosts is none.
pub fn is_host(text: &[u8], needs_port: bool) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let (host_is_valid, port) = match text.strip_prefix('[') {
        Some(literal) => {
            let Some((address, port)) = literal.split_once(']') else { return false };
            (address.parse::<Ipv6Addr>().is_ok(), port)
        }
        None => {
            let (name, port) = text.split_at(text.find(':').unwrap_or(text.len()));
            (is_name(name), port)
        }
    };
    host_is_valid && is_port(port, needs_port)
}

/// `*( unreserved / pct-encoded / sub-delims )`, and one of them at least.
fn is_name(mut name: &str) -> bool {
    let was_empty = name.is_empty();
    while let Some(first) = name.chars().next() {
        let escape = name.get(1..3).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        name = match (first, escape) {
            ('%', Some(_)) => &name[3..],
            (c, _) if c.is_ascii_alphanumeric() || "-._~!$&'()*+;=".contains(c) => &name[1..],
            _ => return false,
        };
    }
    !was_empty
}

fn is_port(text: &str, is_needed: bool) -> bool {
    match text.strip_prefix(':') {
        None => text.is_empty() && !is_needed,
        Some("") => !is_needed,
        Some(digits) => {
            let number = digits.trim_start_matches('0');
            let number: u32 = if number.is_empty() { 0 } else { number.parse().unwrap_or(u32::MAX) };
            digits.bytes().all(|b| b.is_ascii_digit()) && number <= 65_535 && (number > 0 || !is_needed)
        }
    }
}
