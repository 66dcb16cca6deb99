//! The zones of IPv6 addresses (RFC 6874): which interface of this machine leads to an address that each of
//! its links may have.

use std::borrow::Cow;

use crate::error::{Error, ErrorKind, Result};

/// The longest zone: names of interfaces have 16 bytes on most systems.
const MAX_ZONE_BYTES: usize = 64;

pub(super) const BAD_ZONE: &str = "the zone of the URL's address is none";

/// What stands between an IPv6 address and its zone in a URL: an escaped percent sign (RFC 6874 §2).
const ZONE_MARK: &str = "%25";

/// The URL without the zone of its IPv6 address, which the URL standard knows none of, and the zone. It is
/// the name or the number of a network interface: letters are left as they are.
pub(super) fn split_zone(text: &str) -> Result<(Cow<'_, str>, Option<&str>)> {
    let (before, authority) = split_authority(text);
    let host_at = authority.rfind('@').map_or(0, |at| at + 1);
    let host = &authority[host_at..];
    let literal = host.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(literal, _)| literal);
    let Some((address, zone)) = literal.and_then(|literal| literal.split_once(ZONE_MARK)) else {
        return Ok((Cow::Borrowed(text), None));
    };
    let is_zone_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if zone.is_empty() || zone.len() > MAX_ZONE_BYTES || !zone.bytes().all(is_zone_byte) {
        return Err(Error::new(ErrorKind::Invalid, BAD_ZONE));
    }
    let address_ends = before + host_at + 1 + address.len();
    let zone_ends = address_ends + ZONE_MARK.len() + zone.len();
    Ok((Cow::Owned([&text[..address_ends], &text[zone_ends..]].concat()), Some(zone)))
}

/// A host without the zone of its IPv6 address; `None` where it has none.
pub(crate) fn without_zone(host: &str) -> Option<String> {
    if !host.starts_with('[') {
        return None;
    }
    let (address, rest) = host.split_once(ZONE_MARK)?;
    let (_, rest) = rest.split_once(']')?;
    Some(format!("{address}]{rest}"))
}

/// The host as it is dialled: the zone of an IPv6 address behind a bare percent sign, as systems have it.
pub(crate) fn dialled_host(host: &str) -> Cow<'_, str> {
    if host.starts_with('[') && host.contains(ZONE_MARK) {
        Cow::Owned(host.replacen(ZONE_MARK, "%", 1))
    } else {
        Cow::Borrowed(host)
    }
}

/// The URL with this zone for its IPv6 address; `None` where its host is another.
pub(super) fn with_zone(mut text: String, zone: &str) -> Option<String> {
    let (at, authority) = split_authority(&text);
    let bracket = authority.rfind(']')?;
    text.insert_str(at + bracket, &format!("{ZONE_MARK}{zone}"));
    Some(text)
}

/// User, host and port of a URL, and where they begin in it.
fn split_authority(text: &str) -> (usize, &str) {
    let at = text.find("://").map_or(0, |at| at + 3);
    (at, first_part(&text[at..]))
}

/// What stands before the path.
pub(super) fn first_part(text: &str) -> &str {
    text.split(|c: char| c.is_ascii() && ends_authority(c as u8)).next().unwrap_or_default()
}

/// What ends the host (RFC 3986 §3.2).
pub(super) fn ends_authority(byte: u8) -> bool {
    matches!(byte, b'/' | b'?' | b'#')
}
