//! Protection against requests that a page of another origin has a browser send (Go's `CrossOriginProtection`).

use std::fmt;

use http::{Method, StatusCode};

use super::origin::normalized_origin;
use crate::error::{Error, Result};
use crate::message::Request;
use crate::mux::{Lookup, ServeMux};
use crate::server::{BoxHandler, Handler, Middleware, Next, ResponseWriter, handle_with};

/// Refuses requests that change something and that another origin has made a browser send: cross-site request
/// forgery (Go's `CrossOriginProtection`). It needs no token in forms and no cookie.
///
/// The rule is that of Go 1.25, in this order:
///
/// 1. `GET`, `HEAD` and `OPTIONS` are let through: **they must change nothing**.
/// 2. `Sec-Fetch-Site`, which all browsers have sent since 2023 over TLS and to localhost, decides where it is:
///    `same-origin` and `none` (the user's own doing) are let through, `same-site` and `cross-site` refused.
/// 3. Without it, a request without `Origin` is let through: its client is no browser, or an old one on the same
///    origin.
/// 4. `Origin` is let through where its host and port are those of [`Request::host`], else refused. Whether it was
///    `http` or `https` is not compared; [`SecurityHeaders`](super::SecurityHeaders) sets HSTS against that.
///
/// What is refused under 2 and 4 is let through all the same for a trusted origin or a bypass pattern. A refusal is
/// 403, or what [`deny_handler`](CrossOriginProtection::deny_handler) answers.
///
/// Behind a proxy that changes `Host`, put it inside [`TrustedProxies`](super::TrustedProxies).
///
/// Stricter than Go: several `Sec-Fetch-Site` fields are refused, and the origin `null` never equals the host of a
/// request that has none.
///
/// ```
/// use nethttp::ServeMux;
/// use nethttp::middleware::CrossOriginProtection;
///
/// let mux = ServeMux::new();
/// mux.wrap(
///     CrossOriginProtection::new()
///         .trusted_origin("https://checkout.example.com")
///         .insecure_bypass_pattern("POST /webhooks/"),
/// );
/// ```
#[derive(Clone, Default)]
pub struct CrossOriginProtection {
    trusted: Vec<String>,
    bypass: Option<ServeMux>,
    deny: Option<BoxHandler>,
}

impl CrossOriginProtection {
    /// A protection without exceptions.
    pub fn new() -> CrossOriginProtection {
        CrossOriginProtection::default()
    }

    /// Lets all requests of this origin through, `https://checkout.example.com` for example (Go's
    /// `AddTrustedOrigin`). May be called several times.
    ///
    /// # Panics
    /// Where the text is no origin: a scheme, a host, perhaps a port, and nothing after it.
    #[must_use]
    #[track_caller]
    pub fn trusted_origin(mut self, origin: impl AsRef<str>) -> CrossOriginProtection {
        let text = origin.as_ref();
        let origin = normalized_origin(text);
        self.trusted.push(origin.unwrap_or_else(|| {
            panic!("{text:?} is no origin: write scheme://host or scheme://host:port, without a slash at the end")
        }));
        self
    }

    /// Lets all requests through that match this pattern of a [`ServeMux`], whoever has them sent (Go's
    /// `AddInsecureBypassPattern`): for what is protected in another way, webhooks with a signature for example.
    /// May be called several times.
    ///
    /// Only a path that matches as it is counts: one that the mux would redirect (`/webhooks` to `/webhooks/`) is
    /// refused, for the handler within may understand it in another way (CVE-2025-47910 of Go).
    ///
    /// # Panics
    /// As [`ServeMux::handle`].
    #[must_use]
    #[track_caller]
    pub fn insecure_bypass_pattern(mut self, pattern: &str) -> CrossOriginProtection {
        let unused = handle_with((), async |(): &(), _: &mut ResponseWriter, _: &mut Request| Ok(()));
        self.bypass.get_or_insert_with(ServeMux::new).handle(pattern, unused);
        self
    }

    /// What serves the requests that are refused, in place of a plain 403 (Go's `SetDenyHandler`). The status is
    /// its to set.
    #[must_use]
    pub fn deny_handler(mut self, handler: impl Handler) -> CrossOriginProtection {
        self.deny = Some(BoxHandler::new(handler));
        self
    }

    /// Whether this request would be let through (Go's `Check`). Calls no handler.
    ///
    /// # Errors
    /// An error of the status 403 that says what was seen.
    pub fn check(&self, r: &Request) -> Result<()> {
        match compare_origin(r) {
            OriginCheck::Allowed => Ok(()),
            OriginCheck::CrossOrigin(_) if self.is_exempt(r) => Ok(()),
            OriginCheck::CrossOrigin(why) => Err(Error::answer(StatusCode::FORBIDDEN, why)),
        }
    }

    fn is_exempt(&self, r: &Request) -> bool {
        let bypassed = self.bypass.as_ref().is_some_and(|mux| matches!(mux.lookup(r), Lookup::Matched { .. }));
        bypassed || r.header.get("Origin").is_some_and(|origin| self.trusted.iter().any(|trusted| trusted == origin))
    }
}

impl Middleware for CrossOriginProtection {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        match (self.check(r), &self.deny) {
            (Ok(()), _) => next.run(w, r).await,
            (Err(_), Some(deny)) => deny.serve_http(w, r).await,
            (Err(refused), None) => Err(refused),
        }
    }
}

enum OriginCheck {
    Allowed,
    CrossOrigin(&'static str),
}

/// What the request says of its origin, without the exceptions.
fn compare_origin(r: &Request) -> OriginCheck {
    if matches!(r.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return OriginCheck::Allowed;
    }
    let mut sites = r.header.values_bytes("Sec-Fetch-Site");
    match (sites.next().unwrap_or_default(), sites.next()) {
        // None, or an empty one: the next field decides.
        (b"", None) => {}
        (b"same-origin" | b"none", None) => return OriginCheck::Allowed,
        // Also a value that is not known: it is not one of those that say that all is well.
        _ => return OriginCheck::CrossOrigin("Sec-Fetch-Site says that the request comes from another origin"),
    }
    let Some(origin) = r.header.get_bytes("Origin").filter(|origin| !origin.is_empty()) else {
        return OriginCheck::Allowed;
    };
    let is_own = std::str::from_utf8(origin).is_ok_and(|origin| !r.host.is_empty() && host_of(origin) == r.host);
    if is_own {
        OriginCheck::Allowed
    } else {
        OriginCheck::CrossOrigin("Origin is not the host that the request is for")
    }
}

/// Host and port of an origin; nothing for `null`.
fn host_of(origin: &str) -> &str {
    origin.split_once("://").map_or("", |(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or(""))
}

impl fmt::Debug for CrossOriginProtection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CrossOriginProtection").field("trusted", &self.trusted).finish_non_exhaustive()
    }
}
