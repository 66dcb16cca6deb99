//! Which fields of a message go on, and which are of this connection alone (RFC 9110 §7.6.1).

use http::Version;

use crate::message::{Header, Request, list_has};

/// Takes away what is meant for this proxy and nobody behind it: the fields that are always of one connection, and
/// those that `Connection` names, in whatever line and form.
///
/// `Trailer` stays: the codec writes it where a trailer can follow. So does the length, which frames nothing as
/// a field: how content is delimited is decided anew.
pub(super) fn remove_hop_by_hop(header: &mut Header) {
    let options = ConnectionOptions::of(header);
    header.retain(|name, _| !is_hop_by_hop(name) && !options.name_field(name));
}

/// What the client would switch to, where its protocol has upgrades. Over HTTP/2 it is the protocol of an extended
/// CONNECT (RFC 8441), which the server shows in the same fields.
pub(super) fn offer_of(received: &Request) -> Option<String> {
    (received.proto >= Version::HTTP_11).then(|| upgrade_offer(&received.header)).flatten()
}

/// The protocols that a message would switch to, without those that a tunnel must not carry; `None` where there
/// are none (RFC 9110 §7.8).
///
/// HTTP/2 is left out: requests in it would pass this proxy unseen.
fn upgrade_offer(header: &Header) -> Option<String> {
    if !header.has_token("Connection", "upgrade") {
        return None;
    }
    let offers = header.values("Upgrade").flat_map(|list| list.split(',')).map(str::trim);
    let offers: Vec<&str> = offers.filter(|offer| is_protocol(offer) && !is_http2(offer)).collect();
    (!offers.is_empty()).then(|| offers.join(", "))
}

/// Whether a server has switched to what was offered: one of the protocols, compared without regard to ASCII case
/// as Go does, and nothing beside it.
pub(super) fn is_offered(offer: &str, switched_to: &Header) -> bool {
    let mut protocols = switched_to.values_bytes("Upgrade").flat_map(|list| list.split(|&b| b == b','));
    let Some(protocol) = protocols.next().and_then(|protocol| std::str::from_utf8(protocol).ok()) else { return false };
    protocols.next().is_none() && list_has(offer.as_bytes(), protocol.trim())
}

/// The names that the `Connection` lines of a message have, all of them joined. Empty without one, which costs no
/// allocation.
struct ConnectionOptions(Vec<u8>);

impl ConnectionOptions {
    fn of(header: &Header) -> ConnectionOptions {
        let mut options = Vec::new();
        for value in header.values_bytes("Connection") {
            options.extend_from_slice(value);
            options.push(b',');
        }
        ConnectionOptions(options)
    }

    /// Whether they name this field, and may: a client that could have any field removed could take away what the
    /// server decides by.
    fn name_field(&self, name: &str) -> bool {
        !self.0.is_empty() && list_has(&self.0, name) && !is_end_to_end(name)
    }
}

fn is_hop_by_hop(name: &str) -> bool {
    const HOP_BY_HOP: [&str; 10] = [
        "Connection",
        "Keep-Alive",
        "Proxy-Connection",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "Proxy-Authentication-Info",
        "TE",
        "Transfer-Encoding",
        "Upgrade",
        "HTTP2-Settings",
    ];
    HOP_BY_HOP.iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// Fields that are for the last recipient, so that no connection option can be about them (RFC 9110 §7.6.1): those
/// of credentials, of framing and routing, of the content, of conditions and caches, and of forwarding.
fn is_end_to_end(name: &str) -> bool {
    const NAMES: [&str; 25] = [
        "Accept-Ranges",
        "Age",
        "Allow",
        "Authorization",
        "Cache-Control",
        "Cookie",
        "Date",
        "ETag",
        "Expect",
        "Expires",
        "Forwarded",
        "Host",
        "Last-Modified",
        "Location",
        "Max-Forwards",
        "Origin",
        "Pragma",
        "Range",
        "Retry-After",
        "Set-Cookie",
        "Strict-Transport-Security",
        "Trailer",
        "Vary",
        "WWW-Authenticate",
        "X-Real-IP",
    ];
    const FAMILIES: [&str; 6] = ["Content-", "If-", "X-Forwarded-", "Access-Control-", "Sec-", "Cross-Origin-"];
    let starts_with = |family: &str| name.get(..family.len()).is_some_and(|start| start.eq_ignore_ascii_case(family));
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known)) || FAMILIES.iter().any(|family| starts_with(family))
}

fn is_protocol(offer: &str) -> bool {
    !offer.is_empty() && offer.bytes().all(|b| b.is_ascii_graphic())
}

/// `h2c`, and the drafts of it that servers have known.
fn is_http2(offer: &str) -> bool {
    let starts_with = |start: &str| offer.get(..start.len()).is_some_and(|text| text.eq_ignore_ascii_case(start));
    starts_with("h2") || starts_with("HTTP/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(fields: &[(&str, &str)]) -> Header {
        fields.iter().copied().collect()
    }

    fn remaining(fields: &[(&str, &str)]) -> Vec<String> {
        let mut header = header(fields);
        remove_hop_by_hop(&mut header);
        header.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value))).collect()
    }

    #[test]
    fn what_is_of_the_connection_goes_and_all_else_stays_as_it_is() {
        let fields = [
            ("x-b", "2"),
            ("Connection", "keep-alive"),
            ("Keep-Alive", "timeout=5"),
            ("Proxy-Connection", "keep-alive"),
            ("proxy-authorization", "Basic x"),
            ("Proxy-Authenticate", "Basic"),
            ("TE", "gzip"),
            ("Transfer-Encoding", "chunked"),
            ("Upgrade", "foo"),
            ("HTTP2-Settings", "AAA"),
            ("Trailer", "X-Sum"),
            ("X-A", "1"),
            ("X-B", "3"),
        ];
        assert_eq!(remaining(&fields), ["x-b: 2", "Trailer: X-Sum", "X-A: 1", "X-B: 3"]);
    }

    #[test]
    fn connection_names_fields_in_all_of_its_lines() {
        for connection in [
            &["X-Hop"][..],
            &["", "X-Hop"],
            &["close, x-hop"],
            &["keep-alive", ",, X-HOP ,"],
            &["\tX-Hop\t"],
            &["upgrade,X-Hop", "close"],
        ] {
            let mut fields: Vec<_> = connection.iter().map(|&value| ("Connection", value)).collect();
            fields.extend([("X-Hop", "1"), ("x-hop", "2"), ("X-Hop-Not", "3")]);
            assert_eq!(remaining(&fields), ["X-Hop-Not: 3"], "{connection:?}");
        }
        assert_eq!(remaining(&[("Connection", "X-Hop-N"), ("X-Hop", "1")]), ["X-Hop: 1"]);
    }

    #[test]
    fn connection_cannot_name_what_is_for_the_server() {
        for name in [
            "Authorization",
            "cookie",
            "Host",
            "Content-Length",
            "Content-Type",
            "Forwarded",
            "X-Forwarded-For",
            "x-forwarded-proto",
            "X-Real-IP",
            "Set-Cookie",
            "If-None-Match",
            "Expect",
            "Access-Control-Allow-Origin",
            "Sec-WebSocket-Key",
        ] {
            let left = remaining(&[("Connection", name), ("connection", &name.to_uppercase()), (name, "1")]);
            assert_eq!(left, [format!("{name}: 1")]);
        }
    }

    #[test]
    fn an_offer_is_what_connection_and_upgrade_say_together_without_http2() {
        for (fields, offer) in [
            (&[("Connection", "Upgrade"), ("Upgrade", "websocket")][..], Some("websocket")),
            (&[("Connection", ""), ("connection", "keep-alive, UPGRADE"), ("upgrade", "a/1, b")], Some("a/1, b")),
            (&[("Connection", "Upgrade"), ("Upgrade", "h2c, websocket"), ("Upgrade", "x")], Some("websocket, x")),
            (&[("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c")], None),
            (&[("Connection", "Upgrade"), ("Upgrade", "H2C-14, HTTP/2.0")], None),
            (&[("Connection", "Upgrade"), ("Upgrade", " , a b,")], None),
            (&[("Upgrade", "websocket")], None),
            (&[("Connection", "Upgrade")], None),
        ] {
            assert_eq!(upgrade_offer(&header(fields)).as_deref(), offer, "{fields:?}");
        }
    }

    #[test]
    fn a_switch_is_to_one_of_the_protocols_that_were_offered() {
        for (offer, answers, is_one) in [
            ("websocket", &["websocket"][..], true),
            ("websocket", &["WebSocket"], true),
            ("a/1, b", &["b"], true),
            ("websocket", &["websockets"], false),
            ("websocket", &["other"], false),
            ("a, b", &["a, b"], false),
            ("a, b", &["a", "b"], false),
            ("a", &[""], false),
            ("a", &[], false),
        ] {
            let answer: Header = answers.iter().map(|value| ("Upgrade", *value)).collect();
            assert_eq!(is_offered(offer, &answer), is_one, "{offer}: {answers:?}");
        }
    }
}
