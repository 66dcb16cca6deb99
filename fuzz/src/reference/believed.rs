//! What of a request's fields is to be believed: read slowly, from whole lists, for the site of
//! `play/middleware.rs` alone.

use std::net::{IpAddr, Ipv6Addr};

use nethttp::{Header, Method};

use crate::play::middleware::Sender;

/// The client's address as its proxies tell it; `Some(None)` where it is the peer's own, `None` where this reader
/// does not say (quotes, and what is no text).
pub fn client(sender: Sender, header: &Header) -> Option<Option<IpAddr>> {
    let members = match sender {
        Sender::Stranger => return Some(None),
        Sender::Proxy => members(header, "X-Forwarded-For"),
        Sender::ProxyOfRfc7239 => {
            let members = members(header, "Forwarded");
            if members.iter().any(|member| member.contains(['"', '\\', '\u{fffd}'])) {
                return None;
            }
            members.iter().map(|member| for_parameter(member).unwrap_or_default()).collect()
        }
    };
    let mut client = None;
    for member in members.iter().rev() {
        let Some(address) = address(member) else { break };
        client = Some(address);
        if !matches!(address, IpAddr::V4(v4) if v4.octets()[0] == 10) {
            break;
        }
    }
    Some(client)
}

/// All lines as one list, without empty members.
fn members(header: &Header, name: &str) -> Vec<String> {
    let lines: Vec<String> = header.values_bytes(name).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    let all = lines.join(",");
    all.split(',').map(|member| member.trim_matches([' ', '\t']).to_owned()).filter(|m| !m.is_empty()).collect()
}

/// `None` where the element is malformed.
fn for_parameter(element: &str) -> Option<String> {
    let mut known: Vec<(String, String)> = Vec::new();
    let mut pairs = element.split(';').peekable();
    while let Some(pair) = pairs.next() {
        let (name, value) = pair.split_once('=')?;
        let name = name.trim_matches([' ', '\t']).to_ascii_lowercase();
        let value = value.trim_end_matches([' ', '\t']);
        let is_name = !name.is_empty() && name.bytes().all(is_tchar);
        let is_twice = known.iter().any(|(earlier, _)| *earlier == name);
        if !is_name || value.contains([' ', '\t']) || (is_twice && ["for", "proto", "host"].contains(&&*name)) {
            return None;
        }
        known.push((name, value.to_owned()));
    }
    known.into_iter().find(|(name, _)| name == "for").map(|(_, value)| value)
}

fn is_tchar(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

/// RFC 7239 §6, and what X-Forwarded-For has besides.
fn address(node: &str) -> Option<IpAddr> {
    let bare = |text: &str| text.parse::<IpAddr>().ok();
    let in_brackets = |text: &str| text.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    let with_port = || {
        let (host, port) = node.rsplit_once(':')?;
        let is_number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok();
        let is_hidden = port.strip_prefix('_').is_some_and(|name| !name.is_empty() && name.bytes().all(is_tchar));
        // A zone is part of a socket's address, and means nothing elsewhere.
        let without_zone = if is_number { without_zone(host) } else { host.to_owned() };
        let v6 = in_brackets(&without_zone).map(IpAddr::V6);
        let v4 = || bare(host).filter(|address| address.is_ipv4() || is_hidden);
        (is_number || is_hidden).then(|| v6.or_else(v4)).flatten()
    };
    let address = bare(node).or_else(|| in_brackets(node).map(IpAddr::V6)).or_else(with_port);
    address.map(|address| address.to_canonical())
}

fn without_zone(host: &str) -> String {
    let split = host.strip_suffix(']').and_then(|host| host.split_once('%'));
    match split {
        Some((address, zone)) if zone.bytes().all(|b| b.is_ascii_digit()) && zone.parse::<u32>().is_ok() => {
            format!("{address}]")
        }
        _ => host.to_owned(),
    }
}

/// Who it is, if anybody says; the status where that is refused.
pub fn identity(header: &Header) -> Result<Option<String>, u16> {
    let shown: Vec<&[u8]> = header.values_bytes("Authorization").collect();
    let [shown] = shown[..] else { return if shown.is_empty() { Ok(None) } else { Err(400) } };
    let text = String::from_utf8_lossy(shown);
    let (scheme, credentials) = text.split_once(' ').unwrap_or((&text, ""));
    match (scheme.to_ascii_lowercase().as_str(), credentials.trim_matches(' ')) {
        // ada:secret. There is one way to write it.
        ("basic", "YWRhOnNlY3JldA==") => Ok(Some("ada".into())),
        ("bearer", "t0ken") => Ok(Some("robot".into())),
        _ => Err(401),
    }
}

/// The origin, where its pages may read the response.
pub fn allowed_origin(header: &Header) -> Option<String> {
    let origins: Vec<&[u8]> = header.values_bytes("Origin").collect();
    let [origin] = origins[..] else { return None };
    let origin = String::from_utf8(origin.to_vec()).ok()?;
    let labels = origin.strip_prefix("https://").and_then(|host| host.strip_suffix(".site.test"));
    let is_label =
        |label: &str| !label.is_empty() && label.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let is_below = labels.is_some_and(|labels| labels.split('.').all(is_label));
    (is_below || origin == "https://app.test").then_some(origin)
}

/// Whether a browser says that the page of somebody else has sent this.
pub fn is_forged(method: &Method, header: &Header) -> bool {
    if ["GET", "HEAD", "OPTIONS"].contains(&method.as_str()) {
        return false;
    }
    let origin = header.values_bytes("Origin").next().unwrap_or_default();
    let sites: Vec<&[u8]> = header.values_bytes("Sec-Fetch-Site").collect();
    let is_others = match sites[..] {
        [b"same-origin" | b"none"] => false,
        [] | [b""] => {
            let text = String::from_utf8_lossy(origin);
            let host = text.split_once("://").map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default());
            !origin.is_empty() && host != Some("example.com")
        }
        _ => true,
    };
    is_others && origin != b"https://app.test"
}

/// RFC 9110 §12.5.3: named with a weight above 0, or meant by the star.
pub fn coding_is_accepted(header: &Header, coding: &str) -> bool {
    let all: Vec<&str> = header.values("Accept-Encoding").collect();
    let all = all.join(",");
    let weights: Vec<(String, bool)> = all.split(',').map(named).collect();
    let is_wanted = |name: &str| weights.iter().find(|(named, _)| named == name).map(|(_, wanted)| *wanted);
    let alias = if coding == "gzip" { is_wanted("x-gzip") } else { None };
    is_wanted(coding).or(alias).or(is_wanted("*")).unwrap_or(false)
}

fn named(element: &str) -> (String, bool) {
    let parts: Vec<&str> = element.split(';').map(str::trim).collect();
    let weight = parts[1..].iter().find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
    let is_above_zero = weight.is_none_or(|weight| weight.parse::<f64>().is_ok_and(|weight| weight > 0.0));
    (parts[0].to_ascii_lowercase(), is_above_zero)
}

/// The id that a proxy has sent, where it may be one.
pub fn id(header: &Header) -> Option<String> {
    let ids: Vec<&[u8]> = header.values_bytes("X-Request-Id").collect();
    let [id] = ids[..] else { return None };
    let is_right = |b: &u8| b.is_ascii_alphanumeric() || b"-_.:/+=~@".contains(b);
    let is_id = (1..=128).contains(&id.len()) && id.iter().all(is_right);
    is_id.then(|| String::from_utf8_lossy(id).into_owned())
}
