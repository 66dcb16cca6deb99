//! What a proxy says of the client that it serves: `X-Forwarded-For`, `-Host` and `-Proto`, and `Forwarded`
//! (RFC 7239).

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::message::{Header, Request, is_token};

const FORWARDED: &str = "Forwarded";
const FOR: &str = "X-Forwarded-For";
const HOST: &str = "X-Forwarded-Host";
const PROTO: &str = "X-Forwarded-Proto";

/// Takes away what a peer that is not believed says of the client behind it: any client can send these.
pub(super) fn remove_forwarding(header: &mut Header) {
    header.retain(|name, _| {
        let is_family =
            name.get(.."X-Forwarded-".len()).is_some_and(|start| start.eq_ignore_ascii_case("X-Forwarded-"));
        !is_family && ![FORWARDED, "X-Real-IP"].iter().any(|own| name.eq_ignore_ascii_case(own))
    });
}

/// Adds what is known of this request's client to what the header says already, which is that of believed proxies.
/// Addresses are appended to one list; scheme and host stay those that the outermost proxy has seen.
pub(super) fn add_x_forwarded(header: &mut Header, received: &Request) {
    match peer_address(received) {
        Some(address) => extend_list(header, FOR, &address.to_string()),
        // An address that is missing would move the others: whoever counts from the right counts wrong. So the
        // list ends here.
        None => _ = header.del(FOR),
    }
    if !header.contains(HOST) && !received.host.is_empty() {
        header.set(HOST, &received.host);
    }
    if !header.contains(PROTO) {
        header.set(PROTO, received.scheme());
    }
}

/// Appends this proxy's element to `Forwarded`. What is there and no list of elements is not extended: behind a
/// quote that is not closed, what is appended would be a part of the quoted text.
pub(super) fn add_forwarded(header: &mut Header, received: &Request) {
    if !header.values_bytes(FORWARDED).all(has_whole_quotes) {
        header.del(FORWARDED);
    }
    extend_list(header, FORWARDED, &element(received));
}

/// RFC 7239 §4: pairs with semicolons between, a value in quotes where it is no token.
fn element(received: &Request) -> String {
    let mut element = String::from("for=");
    match peer_address(received) {
        Some(IpAddr::V4(address)) => _ = write!(element, "{address}"),
        // §6: in brackets, which no token has.
        Some(IpAddr::V6(address)) => _ = write!(element, "\"[{address}]\""),
        // §6.2.
        None => element.push_str("unknown"),
    }
    if !received.host.is_empty() {
        element.push_str(";host=");
        push_value(&mut element, &received.host);
    }
    element.push_str(";proto=");
    element.push_str(received.scheme());
    element
}

fn push_value(element: &mut String, value: &str) {
    if is_token(value.as_bytes()) {
        return element.push_str(value);
    }
    element.push('"');
    for character in value.chars() {
        if matches!(character, '"' | '\\') {
            element.push('\\');
        }
        element.push(character);
    }
    element.push('"');
}

/// The other end of the connection: the one that can be known.
fn peer_address(received: &Request) -> Option<IpAddr> {
    received.remote_addr.ip().map(|address| address.to_canonical())
}

/// One line of this name with the members of all its lines and this one after them. It stands where the first one
/// stood.
fn extend_list(header: &mut Header, name: &str, member: &str) {
    let mut list = Vec::new();
    for line in header.values_bytes(name) {
        let line = line.trim_ascii();
        if !line.is_empty() {
            list.extend_from_slice(line);
            list.extend_from_slice(b", ");
        }
    }
    list.extend_from_slice(member.as_bytes());
    header.set(name, list);
}

/// Whether each quote that is opened is closed again.
fn has_whole_quotes(line: &[u8]) -> bool {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for &byte in line {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ => {}
        }
    }
    !is_quoted
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri};

    use super::*;
    use crate::message::Addr;

    fn received(peer: Option<&str>, host: &str) -> Request {
        let mut request = Request::new(Method::GET, Uri::from_static("/"), "");
        request.host = host.to_owned();
        if let Some(ip) = peer {
            request.remote_addr = Addr::Tcp((ip.parse::<IpAddr>().unwrap(), 4711).into());
        }
        request
    }

    fn lines(header: &Header) -> Vec<String> {
        header.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value))).collect()
    }

    #[test]
    fn an_element_is_written_by_the_grammar() {
        for (peer, host, expected) in [
            (Some("192.0.2.1"), "a.test", "for=192.0.2.1;host=a.test;proto=http"),
            (Some("192.0.2.1"), "b.test:81", "for=192.0.2.1;host=\"b.test:81\";proto=http"),
            (Some("2001:db8::1"), "[::1]:80", "for=\"[2001:db8::1]\";host=\"[::1]:80\";proto=http"),
            (Some("::ffff:192.0.2.1"), "", "for=192.0.2.1;proto=http"),
            (None, "a.test", "for=unknown;host=a.test;proto=http"),
        ] {
            assert_eq!(element(&received(peer, host)), expected);
        }
        let mut secure = received(Some("192.0.2.1"), "a.test");
        secure.set_scheme("https");
        assert_eq!(element(&secure), "for=192.0.2.1;host=a.test;proto=https");
    }

    #[test]
    fn what_a_client_says_of_itself_goes() {
        let mut header: Header = [
            ("X-Forwarded-For", "6.6.6.6"),
            ("forwarded", "for=6.6.6.6"),
            ("X-Real-IP", "6.6.6.6"),
            ("x-forwarded-anything", "1"),
            ("X-Forwarded", "stays"),
            ("Accept", "*/*"),
        ]
        .into_iter()
        .collect();
        remove_forwarding(&mut header);
        assert_eq!(lines(&header), ["X-Forwarded: stays", "Accept: */*"]);
    }

    #[test]
    fn what_a_believed_proxy_says_is_extended_over_all_its_lines() {
        let mut header: Header = [
            ("X-Forwarded-For", "1.1.1.1, 2.2.2.2"),
            ("Accept", "*/*"),
            ("x-forwarded-for", " "),
            ("X-Forwarded-For", "3.3.3.3"),
            ("X-Forwarded-Host", "outer.test:8443"),
            ("X-Forwarded-Proto", "https"),
            ("Forwarded", "for=1.1.1.1;by=\"a,b\""),
            ("Forwarded", "for=2.2.2.2"),
        ]
        .into_iter()
        .collect();
        let request = received(Some("10.0.0.1"), "inner.test");
        add_x_forwarded(&mut header, &request);
        add_forwarded(&mut header, &request);
        let expected = [
            "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 10.0.0.1",
            "Accept: */*",
            "X-Forwarded-Host: outer.test:8443",
            "X-Forwarded-Proto: https",
            "Forwarded: for=1.1.1.1;by=\"a,b\", for=2.2.2.2, for=10.0.0.1;host=inner.test;proto=http",
        ];
        assert_eq!(lines(&header), expected);
    }

    #[test]
    fn without_an_address_there_is_no_list_of_addresses() {
        let mut header: Header = [("X-Forwarded-For", "1.1.1.1")].into_iter().collect();
        add_x_forwarded(&mut header, &received(None, "a.test:81"));
        assert_eq!(lines(&header), ["X-Forwarded-Host: a.test:81", "X-Forwarded-Proto: http"]);
    }

    #[test]
    fn nothing_is_appended_behind_an_open_quote() {
        for (before, is_kept) in [
            ("for=\"x", false),
            ("for=\"x\\\"", false),
            ("for=x\"\"\"", false),
            ("for=\"x\\\"y\"", true),
            ("for=\"\\\\\"", true),
            ("for=x", true),
        ] {
            let mut header: Header = [("Forwarded", before)].into_iter().collect();
            add_forwarded(&mut header, &received(Some("10.0.0.1"), ""));
            assert_eq!(header.get("Forwarded").unwrap().starts_with(before), is_kept, "{before}");
            assert!(header.get("Forwarded").unwrap().ends_with("for=10.0.0.1;proto=http"), "{before}");
        }
    }
}
