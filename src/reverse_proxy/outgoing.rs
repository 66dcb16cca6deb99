//! The request as it goes to the upstream.

use std::ops::{Deref, DerefMut};

use super::fields::{offer_of, remove_hop_by_hop};
use super::forwarded::{add_forwarded, add_x_forwarded, remove_forwarding};
use super::switch::add_websocket_key;
use super::target::joined_target;
use crate::client::{IntoUrl, Relayed};
use crate::error::Result;
use crate::message::{Body, Header, Request, Timeouts};

/// The request that a proxy sends on, as a [`rewrite`](super::ReverseProxy::rewrite) function sees it (Go's
/// `ProxyRequest.Out`). It is a [`Request`] with methods of its own: all fields can be changed.
///
/// When the function runs, it has been made of the one that was received: the upstream's URL is joined with path and
/// query, the fields of the connection are gone, and what is known of the client was written as the proxy's settings
/// say. Its body is empty then, and is that of the received request when it is sent, unless the function gives it
/// another one.
#[derive(Debug)]
pub struct OutgoingRequest<'a> {
    request: Request,
    received: &'a Request,
}

/// Whose word a proxy takes for what is in the forwarding fields of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerTrust {
    Trusted,
    Unknown,
}

/// Which `Host` an upstream sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostChoice {
    Upstreams,
    Clients,
}

/// Which fields tell the upstream of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ForwardingFields {
    Both,
    None,
}

impl<'a> OutgoingRequest<'a> {
    /// The received request without its content and without what is of its connection, still for the host that it
    /// was received for.
    pub(super) fn of(received: &'a Request, trust: PeerTrust) -> OutgoingRequest<'a> {
        let mut request = Request::new(received.method.clone(), received.uri.clone(), Body::empty());
        request.header = end_to_end_fields(received);
        if trust == PeerTrust::Unknown {
            remove_forwarding(&mut request.header);
        }
        request.content_length = received.content_length;
        request.extensions.insert(Relayed);
        OutgoingRequest { request, received }
    }

    /// Sends the request to this URL (Go's `SetURL`): path and query of the request as it was received follow
    /// those of the URL, and `Host` is the URL's. To keep the client's set
    /// [`host`](Request::host) afterwards.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for what is no URL, and where path and query are too long
    /// together.
    pub fn set_url(&mut self, url: impl IntoUrl) -> Result<()> {
        self.request.uri = joined_target(&url.into_url()?, &self.received.uri)?;
        self.request.host.clear();
        Ok(())
    }

    /// Writes `X-Forwarded-For`, `X-Forwarded-Host` and `X-Forwarded-Proto` (Go's `SetXForwarded`): the address of
    /// the connection's other end is appended to the first, the others are set where they are not there. Only
    /// needed behind [`without_forwarding`](super::ReverseProxy::without_forwarding).
    pub fn set_x_forwarded(&mut self) {
        add_x_forwarded(&mut self.request.header, self.received);
    }

    /// Appends an element to `Forwarded` (RFC 7239): `for`, `host` and `proto`. Only needed behind
    /// [`without_forwarding`](super::ReverseProxy::without_forwarding).
    pub fn set_forwarded(&mut self) {
        add_forwarded(&mut self.request.header, self.received);
    }

    /// The request as it was received.
    pub fn received(&self) -> &'a Request {
        self.received
    }

    pub(super) fn choose_host(&mut self, choice: HostChoice) {
        if choice == HostChoice::Clients {
            self.request.host.clone_from(&self.received.host);
        }
    }

    pub(super) fn add_forwarding(&mut self, fields: ForwardingFields) {
        if fields == ForwardingFields::Both {
            self.set_x_forwarded();
            self.set_forwarded();
        }
    }

    /// The request in its last form: the time limits of the proxy count where the function has set no others.
    pub(super) fn finish(mut self, limits: &Timeouts) -> Request {
        let own = &mut self.request.timeouts;
        own.connect = own.connect.or(limits.connect);
        own.response_header = own.response_header.or(limits.response_header);
        own.stall = own.stall.or(limits.stall);
        self.request
    }
}

impl Deref for OutgoingRequest<'_> {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.request
    }
}

impl DerefMut for OutgoingRequest<'_> {
    fn deref_mut(&mut self) -> &mut Request {
        &mut self.request
    }
}

/// The fields that are for the upstream, in their order and spelling.
fn end_to_end_fields(received: &Request) -> Header {
    let mut header = received.header.clone();
    remove_hop_by_hop(&mut header);
    // The length is written from what the content is.
    header.del("Content-Length");
    // RFC 9110 §10.1.4: this proxy passes trailers on.
    if received.header.has_token("TE", "trailers") {
        header.set("TE", "trailers");
    }
    if let Some(offer) = offer_of(received) {
        header.set("Connection", "Upgrade");
        header.set("Upgrade", offer);
        add_websocket_key(&mut header, received);
    }
    header
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri, Version};

    use super::*;
    use crate::message::Addr;

    fn received(fields: &[(&str, &str)]) -> Request {
        let mut request = Request::new(Method::GET, Uri::from_static("/x?q"), "");
        request.host = "a.test:81".into();
        request.header = fields.iter().copied().collect();
        request.remote_addr = Addr::Tcp(([192, 0, 2, 1], 5).into());
        request
    }

    fn lines(header: &Header) -> Vec<String> {
        header.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value))).collect()
    }

    #[test]
    fn fields_keep_order_spelling_and_duplicates_and_the_forwarding_ones_are_written() {
        let request = received(&[("x-B", "2"), ("X-Forwarded-For", "6.6.6.6"), ("x-a", "1"), ("X-b", "3")]);
        let mut out = OutgoingRequest::of(&request, PeerTrust::Unknown);
        out.add_forwarding(ForwardingFields::Both);
        let expected = [
            "x-B: 2",
            "x-a: 1",
            "X-b: 3",
            "X-Forwarded-For: 192.0.2.1",
            "X-Forwarded-Host: a.test:81",
            "X-Forwarded-Proto: http",
            "Forwarded: for=192.0.2.1;host=\"a.test:81\";proto=http",
        ];
        assert_eq!(lines(&out.header), expected);
    }

    #[test]
    fn trailers_stay_wanted_and_an_upgrade_is_offered_anew() {
        let request = received(&[
            ("TE", "gzip, trailers"),
            ("Connection", "TE, Upgrade, X-Hop"),
            ("Upgrade", "h2c, websocket"),
            ("X-Hop", "1"),
        ]);
        let out = OutgoingRequest::of(&request, PeerTrust::Unknown);
        assert_eq!(lines(&out.header), ["TE: trailers", "Connection: Upgrade", "Upgrade: websocket"]);
        let old = Request { proto: Version::HTTP_10, ..received(&[("Connection", "Upgrade"), ("Upgrade", "a")]) };
        assert!(OutgoingRequest::of(&old, PeerTrust::Unknown).header.is_empty());
    }

    #[test]
    fn a_url_that_is_set_takes_the_received_path_and_its_own_host() {
        let request = received(&[]);
        let mut out = OutgoingRequest::of(&request, PeerTrust::Unknown);
        out.set_url("http://u.test/base").unwrap();
        assert_eq!((out.uri.to_string().as_str(), out.host.as_str()), ("http://u.test/base/x?q", ""));
        out.choose_host(HostChoice::Clients);
        assert_eq!(out.host, "a.test:81");
        assert!(out.set_url("no URL").is_err());
    }
}
