//! Hosts and ports (RFC 3986 §3.2.2), as a `Host` field and a target's authority have them.
//!
//! One reading for all of them: what two readers take for two hosts is refused.

use std::net::Ipv6Addr;

use crate::message::decimal;

/// Which ports are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// None, an empty one, or one up to 65535.
    Optional,
    /// One from 1 to 65535 (RFC 9110 §9.3.6).
    Required,
}

/// Whether this is `uri-host [":" port]` with a host in it.
pub(crate) fn is_host(text: &[u8], port: Port) -> bool {
    let (host_is_valid, rest) = match text {
        [b'[', literal @ ..] => split_ip_literal(literal),
        _ => split_name(text),
    };
    host_is_valid && is_port(rest, port)
}

/// `2001:db8::1]` and what follows. A zone is of no meaning to another node (RFC 6874 §4), and
/// the standard library takes none.
fn split_ip_literal(literal: &[u8]) -> (bool, &[u8]) {
    let Some(end) = memchr::memchr(b']', literal) else { return (false, b"") };
    let (address, rest) = literal.split_at_checked(end).unwrap_or_default();
    let address = std::str::from_utf8(address).ok().and_then(|text| text.parse::<Ipv6Addr>().ok());
    (address.is_some(), rest.strip_prefix(b"]").unwrap_or_default())
}

/// A registered name or an IPv4 address, up to the colon of the port.
fn split_name(text: &[u8]) -> (bool, &[u8]) {
    let plain = text.iter().take_while(|&&b| NAME_BYTE[usize::from(b)]).count();
    let (name, rest) = text.split_at_checked(plain).unwrap_or_default();
    if let [] | [b':', ..] = rest {
        return (!name.is_empty(), rest);
    }
    // Escapes are legal and rare.
    let len = text.iter().position(|&b| b == b':').unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(len).unwrap_or_default();
    (is_escaped_name(name), rest)
}

fn is_escaped_name(name: &[u8]) -> bool {
    name.iter().all(|&b| b == b'%' || NAME_BYTE[usize::from(b)]) && escapes_are_whole(name)
}

/// Whether two hexadecimal digits follow each percent sign (RFC 3986 §2.1).
pub(super) fn escapes_are_whole(text: &[u8]) -> bool {
    memchr::memchr_iter(b'%', text).all(|at| {
        let digits = text.get(at + 1..at + 3);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

fn is_port(rest: &[u8], port: Port) -> bool {
    let digits = match rest {
        [] | [b':'] => return port == Port::Optional,
        [b':', digits @ ..] => digits,
        _ => return false,
    };
    let least = u64::from(port == Port::Required);
    decimal(digits).is_some_and(|number| (least..=65_535).contains(&number))
}

/// The bytes of a registered name but for escapes: unreserved and sub-delims, without the comma:
/// a list of hosts is not a host.
static NAME_BYTE: [bool; 256] = name_table();

const fn name_table() -> [bool; 256] {
    let mut table = [false; 256];
    let mut b = 0u8;
    while b < 128 {
        table[b as usize] = b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b';' | b'='
            );
        b += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_or_an_address_with_a_port_or_without() {
        for good in [
            "a.test",
            "A-b_c~d.test",
            "a.test:80",
            "a.test:",
            "a.test:65535",
            "a.test:00080",
            "127.0.0.1:8080",
            "[::1]",
            "[::1]:8080",
            "[2001:db8::1.2.3.4]",
            "a%20b",
            "a!$&'()*+;=b",
            "x",
        ] {
            assert!(is_host(good.as_bytes(), Port::Optional), "{good}");
        }
    }

    #[test]
    fn what_two_readers_could_take_for_two_hosts_is_none() {
        for bad in [
            "",
            ":",
            ":80",
            "a.test:abc",
            "a.test:80:80",
            "a.test:-1",
            "a.test:+1",
            "a.test:65536",
            "a.test: 80",
            "a.test:99999999999999999999",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]80",
            "[]",
            "[1.2.3.4]",
            "[fe80::1%25eth0]",
            "[fe80::1%eth0]",
            "[v1.x]",
            "u@a.test",
            "a/b",
            "a?b",
            "a#b",
            "a\\b",
            "a b",
            "a\tb",
            "<a>",
            "a,b",
            "a\"b",
            "a%2",
            "a%zz",
            "a%",
            "é",
            "a\0",
            "http://a.test",
            "{a}",
            "a|b",
            "a^b",
            "a`b",
        ] {
            assert!(!is_host(bad.as_bytes(), Port::Optional), "{bad}");
        }
    }

    #[test]
    fn a_required_port_is_there_and_not_zero() {
        for (text, valid) in [
            ("a:1", true),
            ("[::1]:443", true),
            ("a", false),
            ("a:", false),
            ("a:0", false),
            ("a:000", false),
            ("a:x", false),
        ] {
            assert_eq!(is_host(text.as_bytes(), Port::Required), valid, "{text}");
        }
    }
}
