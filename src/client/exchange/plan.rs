//! The plan for a request: what is decided before there is a connection.

use http::Method;

use super::super::connect::{ConnectRequest, Key, Scheme, authority_of};
use super::super::observe::Tracer;
use super::super::proxy::ProxyUrl;
use super::super::settings::{ClientProtocols, TimeLimits, TransportSettings};
use super::super::url::host_field;
use crate::error::{Error, ErrorKind, Result};
use crate::h1::{self, Outgoing, SentTarget};
use crate::message::Request;

/// What is decided once for a request, whichever connection carries it.
pub(crate) struct Plan {
    pub(crate) key: Key,
    pub(crate) outgoing: Outgoing,
    form: TargetForm,
    /// The content codings that the transport asks for, and decodes again.
    pub(crate) accept_encoding: Option<&'static str>,
    pub(crate) waits_for_continue: bool,
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
        h1::check_request(&request.method, form.of(request), host(request), &request.header, &request.trailer)?;
        let outgoing = outgoing(request)?;
        let authority = (form != TargetForm::Absolute).then_some(authority);
        let has_content = !matches!(outgoing, Outgoing::None | Outgoing::Length(0));
        let upgrades = request.header.contains("Upgrade");
        let only_http2 = settings.protocols == ClientProtocols::Http2;
        if upgrades && only_http2 {
            let text = "an upgrade needs HTTP/1.1, and the transport is to speak HTTP/2 alone";
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
        // CONNECT over HTTP/2 makes a tunnel of one stream, which cannot be taken over as a connection
        // can. It is used only where HTTP/2 alone is spoken.
        let needs_http1 = upgrades || form == TargetForm::Absolute || (form == TargetForm::Authority && !only_http2);
        let offer = settings.offer(scheme, needs_http1);
        let limits = settings.time_limits.with(&request.timeouts);
        Ok(Plan {
            key: Key { scheme, authority, proxy, offer },
            outgoing,
            form,
            accept_encoding: settings.accept_encoding(request),
            waits_for_continue: has_content
                && limits.expect_continue.is_some()
                && request.header.has_token("Expect", "100-continue"),
            keep_alive: !request.close && settings.keep_alive && !request.header.has_token("Connection", "close"),
            limits,
        })
    }

    /// The target as the request line has it.
    pub(crate) fn target<'a>(&self, request: &'a Request) -> SentTarget<'a> {
        self.form.of(request)
    }

    /// The proxy that forwards the request. One that only tunnels sees nothing of it, and gets no
    /// credentials with it.
    pub(crate) fn forwarding_proxy(&self) -> Option<&ProxyUrl> {
        self.key.proxy.as_deref().filter(|_| self.form == TargetForm::Absolute)
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
    fn of(self, request: &Request) -> SentTarget<'_> {
        match self {
            TargetForm::Origin => SentTarget::Origin(&request.uri),
            TargetForm::Absolute => SentTarget::Absolute(&request.uri),
            TargetForm::Authority => SentTarget::Authority(host(request)),
        }
    }
}

/// The host that is asked for: the request's own, else the URL's.
pub(crate) fn host(request: &Request) -> &str {
    if request.host.is_empty() { host_field(&request.uri) } else { &request.host }
}

/// How the content is delimited, from what is known of it.
fn outgoing(request: &Request) -> Result<Outgoing> {
    let whole = request.body.remaining();
    // A `Content-Length` that the caller set comes first, then the length of the body, then the one that
    // the request was made with.
    let declared = h1::declared_length(&request.header)?.or(request.content_length.filter(|_| whole.is_none()));
    h1::outgoing_request(&request.method, declared, whole, !request.trailer.is_empty())
}
