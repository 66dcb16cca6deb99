//! The plan for a request: what is decided before there is a connection.

use std::borrow::Cow;

use http::Method;
use http::header::PROXY_AUTHORIZATION;

use super::super::connect::{ConnectRequest, Key, Scheme, authority_of};
use super::super::observe::Tracer;
use super::super::proxy::ProxyUrl;
use super::super::settings::{ClientProtocols, TimeLimits, TransportSettings};
use super::super::url::{host_field, without_zone};
use super::relayed::Relayed;
use crate::error::{Error, ErrorKind, Result};
use crate::h1::{self, ConnectionField, Outgoing, ProxyAuthorization, RequestToSend, SentTarget};
use crate::message::{Header, Request};

/// What is decided once for a request, whichever connection carries it.
pub(crate) struct Plan {
    pub(crate) key: Key,
    pub(crate) outgoing: Outgoing,
    form: TargetForm,
    /// The content codings that the transport asks for, and decodes again.
    pub(crate) accept_encoding: Option<&'static str>,
    /// Whether the caller's `Expect: 100-continue` is sent.
    pub(crate) expects_continue: bool,
    drops_expect: bool,
    /// Whether the request is sent on for somebody else.
    pub(super) is_relayed: bool,
    pub(crate) waits_for_continue: bool,
    /// The protocol of an extended CONNECT (RFC 8441 §4), which an upgrade is over HTTP/2.
    #[allow(dead_code, reason = "only HTTP/2 has it")]
    pub(crate) connect_protocol: Option<String>,
    /// The host without its zone, where it has one: it has a meaning on this machine alone
    /// (RFC 6874 §4).
    zoneless_host: Option<String>,
    /// Whether the connection may be kept afterwards.
    pub(crate) keep_alive: bool,
    pub(crate) limits: TimeLimits,
}

/// The form of the target (RFC 9112 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TargetForm {
    Origin,
    /// To an HTTP proxy, for a plain HTTP server.
    Absolute,
    /// CONNECT.
    Authority,
}

impl Plan {
    /// # Errors
    /// [`ErrorKind::Invalid`] for what may not be sent; nothing was.
    pub(crate) fn new(settings: &TransportSettings, request: &Request) -> Result<Plan> {
        let scheme = Scheme::of(&request.uri)?;
        let authority = authority_of(&request.uri, scheme)?;
        let proxy = settings.proxy.choose(&request.uri)?;
        let absolute = scheme == Scheme::Http && proxy.as_ref().is_some_and(|proxy| proxy.scheme().is_http());
        let form = match request.method {
            Method::CONNECT => TargetForm::Authority,
            _ if absolute => TargetForm::Absolute,
            _ => TargetForm::Origin,
        };
        if proxy.is_some() && without_zone(host_field(&request.uri)).is_some() {
            return Err(Error::new(ErrorKind::Invalid, "the zone of an IPv6 address says nothing to a proxy"));
        }
        let zoneless_host = without_zone(host(request, None));
        let host = host(request, zoneless_host.as_deref());
        h1::check_request(&request.method, form.of(request, host), host, &request.header, &request.trailer)?;
        let outgoing = outgoing(request)?;
        let authority = (form != TargetForm::Absolute).then_some(authority);
        let has_content = !matches!(outgoing, Outgoing::None | Outgoing::Length(0));
        let upgrades = request.header.contains("Upgrade");
        let only_http2 = settings.protocols == ClientProtocols::Http2;
        // Over HTTP/2 both make a tunnel of one stream. They are sent that way only where HTTP/2 alone is spoken:
        // of others it is not known whether the server takes them.
        let connect_protocol =
            if upgrades && only_http2 { request.header.get("Upgrade").map(protocol_of) } else { None };
        let needs_http1 =
            (upgrades && !only_http2) || form == TargetForm::Absolute || (form == TargetForm::Authority && !only_http2);
        let offer = settings.offer(scheme, needs_http1);
        let limits = settings.time_limits.with(&request.timeouts);
        let expects_continue = request.header.has_token("Expect", "100-continue");
        Ok(Plan {
            key: Key { scheme, authority, proxy, offer },
            outgoing,
            form,
            accept_encoding: settings.accept_encoding(request),
            expects_continue,
            drops_expect: false,
            is_relayed: Relayed::is(request),
            waits_for_continue: has_content && limits.expect_continue.is_some() && expects_continue,
            connect_protocol,
            zoneless_host,
            keep_alive: !request.close && settings.keep_alive && !request.header.has_token("Connection", "close"),
            limits,
        })
    }

    /// The target as the request line has it.
    pub(crate) fn target<'a>(&'a self, request: &'a Request) -> SentTarget<'a> {
        self.form.of(request, self.host_of(request))
    }

    /// The host that is asked for: the request's own, else the URL's.
    pub(crate) fn host_of<'a>(&'a self, request: &'a Request) -> &'a str {
        host(request, self.zoneless_host.as_deref())
    }

    /// The caller's fields as they are sent.
    pub(crate) fn header_of<'a>(&self, request: &'a Request) -> Cow<'a, Header> {
        let mut header = Cow::Borrowed(&request.header);
        if self.drops_expect {
            header.to_mut().del("Expect");
        }
        header
    }

    /// Has the request sent without `Expect`, its body at once.
    pub(super) fn drop_expect(&mut self) {
        self.drops_expect = true;
        self.expects_continue = false;
        self.waits_for_continue = false;
    }

    /// The proxy that forwards the request. One that only tunnels sees nothing of it, and gets no
    /// credentials with it.
    pub(crate) fn forwarding_proxy(&self) -> Option<&ProxyUrl> {
        self.key.proxy.as_deref().filter(|_| self.form == TargetForm::Absolute)
    }

    /// Appends the head as HTTP/1.1 has it.
    pub(crate) fn encode_head(&self, request: &Request, settings: &TransportSettings, out: &mut Vec<u8>) {
        let proxy = self.forwarding_proxy();
        let credentials = proxy.and_then(ProxyUrl::authorization);
        let credentials = credentials.filter(|_| !request.header.contains(PROXY_AUTHORIZATION.as_str()));
        let proxy_authorization = match &credentials {
            Some(own) => ProxyAuthorization::Own(own),
            // Who sends CONNECT speaks to a proxy, whatever this transport knows of it.
            None if proxy.is_some() || request.method == Method::CONNECT => ProxyAuthorization::Callers,
            None => ProxyAuthorization::Dropped,
        };
        let header = self.header_of(request);
        let closes = !self.keep_alive && !request.header.contains("Upgrade");
        h1::encode_request_head(
            out,
            &RequestToSend {
                method: &request.method,
                target: self.target(request),
                host: self.host_of(request),
                header: &header,
                trailer: &request.trailer,
                outgoing: self.outgoing,
                connection: if closes { ConnectionField::Close } else { ConnectionField::Nothing },
                accept_encoding: self.accept_encoding.map(|_| &settings.codings),
                user_agent: &settings.user_agent,
                proxy_authorization,
            },
        );
    }

    /// What a dial for this request needs.
    pub(crate) fn connect_request(&self, tracer: &Tracer) -> ConnectRequest {
        ConnectRequest {
            key: self.key.clone(),
            tracer: tracer.clone(),
            connect_timeout: self.limits.connect,
            tls_handshake_timeout: self.limits.tls_handshake,
        }
    }
}

impl TargetForm {
    fn of<'a>(self, request: &'a Request, host: &'a str) -> SentTarget<'a> {
        match self {
            TargetForm::Origin => SentTarget::Origin(&request.uri),
            TargetForm::Absolute => SentTarget::Absolute(&request.uri),
            TargetForm::Authority => SentTarget::Authority(host),
        }
    }
}

/// The first protocol that the request asks for.
fn protocol_of(upgrade: &str) -> String {
    upgrade.split(',').next().unwrap_or_default().trim().to_owned()
}

fn host<'a>(request: &'a Request, zoneless: Option<&'a str>) -> &'a str {
    let named = if request.host.is_empty() { host_field(&request.uri) } else { &request.host };
    zoneless.unwrap_or(named)
}

/// How the content is delimited, from what is known of it.
fn outgoing(request: &Request) -> Result<Outgoing> {
    let whole = request.body.remaining();
    // A `Content-Length` that the caller set comes first, then the length of the body, then the one that
    // the request was made with.
    let declared = h1::declared_length(&request.header)?.or(request.content_length.filter(|_| whole.is_none()));
    h1::outgoing_request(&request.method, declared, whole, !request.trailer.is_empty())
}
