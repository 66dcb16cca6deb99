//! The head of a switch to another protocol, on its way between the two versions of HTTP.
//!
//! | | asks | agrees |
//! |---|---|---|
//! | HTTP/1.1 (RFC 9110 §7.8) | `Upgrade` and `Connection` | 101 with `Upgrade` |
//! | HTTP/2 (RFC 8441) | CONNECT with `:protocol` | a 2xx |
//!
//! The server shows an extended CONNECT as the request of HTTP/1.1, and the transport sends that as an extended
//! CONNECT where it speaks HTTP/2: what is left to do here is the response. A WebSocket proves itself by
//! `Sec-WebSocket-Key` and `Sec-WebSocket-Accept` over HTTP/1.1 and has neither over HTTP/2 (RFC 8441 §5): on the side
//! that wants them, this proxy is the client that asks or the server that answers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{StatusCode, Version};

use super::fields::{is_offered, offer_of};
use super::response::clean_response;
use crate::error::{Error, ErrorKind, Result, Sent};
use crate::message::{Header, Request, Response, list_has, random_number};
use crate::server::ResponseWriter;

const KEY: &str = "Sec-WebSocket-Key";
const ACCEPT: &str = "Sec-WebSocket-Accept";

/// Whether a response switches protocols.
pub(super) fn is_switch(response: &Response) -> bool {
    response.status == StatusCode::SWITCHING_PROTOCOLS
}

/// Where the upstream has agreed over HTTP/2, the response becomes the one that says so in HTTP/1.1: from here on there
/// is one form of it.
pub(super) fn note_switch(response: &mut Response, received: &Request) {
    if response.proto != Version::HTTP_2 || !response.status.is_success() || !response.has_switched() {
        return;
    }
    let offer = offer_of(received).unwrap_or_default();
    // The transport has asked for the first one.
    response.header.set("Upgrade", offer.split(',').next().unwrap_or_default().trim());
    response.status = StatusCode::SWITCHING_PROTOCOLS;
}

/// Takes out what is of the upstream's connection. `Upgrade` is what a switch is about, and is not looked at in any
/// other response.
pub(super) fn clean_unless_switch(response: &mut Response) {
    let protocol = response.header.get("Upgrade").map(str::to_owned).filter(|_| is_switch(response));
    let is_one = response.header.values_bytes("Upgrade").count() == 1;
    clean_response(response);
    if let Some(protocol) = protocol.filter(|_| is_one) {
        response.header.set("Upgrade", protocol);
    }
}

/// # Errors
/// [`ErrorKind::Refused`] for a switch to what the client has not offered.
pub(super) fn check_switch(response: &Response, received: &Request) -> Result<()> {
    if offer_of(received).is_some_and(|offer| is_offered(&offer, &response.header)) {
        return Ok(());
    }
    Err(refused("the upstream has switched to a protocol that was not offered"))
}

/// Puts the fields of a switch into the response that is to be made of it.
pub(super) fn begin_switch(w: &mut ResponseWriter, received: &Request, response: &mut Response) {
    let header = std::mem::take(&mut response.header);
    for (name, value) in header.iter() {
        if !name.eq_ignore_ascii_case("Content-Length") {
            w.header().add(name, value);
        }
    }
    if received.proto >= Version::HTTP_2 {
        w.header().del(ACCEPT);
    } else if response.proto >= Version::HTTP_2 && is_websocket(w.header()) {
        if let Some(key) = received.header.get(KEY) {
            w.header().set(ACCEPT, accept_of(key));
        }
    }
}

/// Gives a request that came over HTTP/2 what an upstream of HTTP/1.1 wants of a WebSocket. One of HTTP/2 does not look
/// at it.
pub(super) fn add_websocket_key(header: &mut Header, received: &Request) {
    if received.proto >= Version::HTTP_2 && is_websocket(header) && !header.contains(KEY) {
        let random = u128::from(random_number()) << 64 | u128::from(random_number());
        header.set(KEY, STANDARD.encode(random.to_be_bytes()));
    }
}

/// RFC 6455 §4.1: what the proxy has asked for, it checks.
///
/// # Errors
/// [`ErrorKind::Refused`] for a switch to WebSocket without the answer to the key that was sent.
pub(super) fn check_websocket_accept(sent: &Request, received: &Request, response: &Response) -> Result<()> {
    let asked_here = received.proto >= Version::HTTP_2 && response.proto < Version::HTTP_2;
    if !asked_here || !is_switch(response) || !is_websocket(&sent.header) {
        return Ok(());
    }
    let expected = sent.header.get(KEY).map(accept_of);
    if response.header.get(ACCEPT).map(str::trim) == expected.as_deref() {
        return Ok(());
    }
    Err(refused("the upstream's Sec-WebSocket-Accept is not of the key that it was sent"))
}

fn is_websocket(header: &Header) -> bool {
    header.get("Upgrade").is_some_and(|offer| list_has(offer.as_bytes(), "websocket"))
}

/// RFC 6455 §4.2.2: shows that a server has understood the key.
fn accept_of(key: &str) -> String {
    let mut hash = sha1_smol::Sha1::new();
    hash.update(key.trim().as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.digest().bytes())
}

fn refused(text: &'static str) -> Error {
    Error::new(ErrorKind::Refused, text).with_sent(Sent::Fully)
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri};

    use super::*;

    fn asking(proto: Version, protocol: &str) -> Request {
        let mut request = Request::new(Method::GET, Uri::from_static("/"), "");
        request.proto = proto;
        request.header = [("Connection", "Upgrade"), ("Upgrade", protocol)].into_iter().collect();
        request
    }

    #[test]
    fn an_upgrade_field_is_kept_in_a_switch_alone_and_where_there_is_one() {
        for (status, protocols, kept) in [
            (101, &["websocket"][..], Some("websocket")),
            (101, &["websocket", "other"], None),
            (200, &["websocket"], None),
            (426, &["websocket"], None),
        ] {
            let mut response = Response::new("").with_status(StatusCode::from_u16(status).unwrap());
            protocols.iter().for_each(|protocol| response.header.add("Upgrade", protocol));
            clean_unless_switch(&mut response);
            assert_eq!(response.header.get("Upgrade"), kept, "{status} {protocols:?}");
        }
    }

    #[test]
    fn the_answer_to_a_key_is_the_one_of_the_rfc() {
        assert_eq!(accept_of(" dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_key_is_made_where_a_websocket_comes_over_http2_each_time_another_one() {
        let key = |proto, protocol| {
            let request = asking(proto, protocol);
            let mut header = request.header.clone();
            add_websocket_key(&mut header, &request);
            header.get(KEY).map(str::to_owned)
        };
        let made = key(Version::HTTP_2, "WebSocket").unwrap();
        assert_eq!(STANDARD.decode(&made).unwrap().len(), 16);
        assert_ne!(key(Version::HTTP_2, "websocket").unwrap(), made);
        assert_eq!([key(Version::HTTP_11, "websocket"), key(Version::HTTP_2, "echo")], [None, None]);
    }

    #[test]
    fn an_upstream_that_has_not_understood_the_key_is_refused() {
        let received = asking(Version::HTTP_2, "websocket");
        let mut sent = asking(Version::HTTP_11, "websocket");
        add_websocket_key(&mut sent.header, &received);
        let answer = |accept: Option<String>| {
            let mut response = Response::new("").with_status(StatusCode::SWITCHING_PROTOCOLS);
            accept.into_iter().for_each(|accept| response.header.set(ACCEPT, accept));
            response
        };
        let right = accept_of(sent.header.get(KEY).unwrap());
        assert!(check_websocket_accept(&sent, &received, &answer(Some(right))).is_ok());
        for wrong in [None, Some(accept_of("other"))] {
            assert!(check_websocket_accept(&sent, &received, &answer(wrong.clone())).is_err(), "{wrong:?}");
            // A client of HTTP/1.1 looks at it itself.
            let of_client = asking(Version::HTTP_11, "websocket");
            assert!(check_websocket_accept(&sent, &of_client, &answer(wrong)).is_ok());
        }
    }
}
