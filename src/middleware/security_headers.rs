//! Fields that have a browser be careful, and the way from `http` to `https`.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::uri::PathAndQuery;

use crate::error::{Error, Result};
use crate::h1::{Port, is_host};
use crate::message::{Header, Request, has_control, is_token};
use crate::server::{HandlerFuture, Middleware, Next, ResponseWriter};

const ONE_YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Adds fields to every response, errors included, that close what browsers leave open.
///
/// | field | by default | against |
/// |---|---|---|
/// | `X-Content-Type-Options` | `nosniff` | content that is taken for a script |
/// | `X-Frame-Options` | `DENY` | being shown in a frame of another page |
/// | `Referrer-Policy` | `strict-origin-when-cross-origin` | paths and queries that leak to other sites |
/// | `Cross-Origin-Opener-Policy` | `same-origin` | windows of other origins that hold on to this one |
/// | `Strict-Transport-Security` | `max-age=31536000`, over TLS only | connections without TLS (RFC 6797) |
/// | `Content-Security-Policy` | none: only you know what your pages load | scripts that were smuggled in |
///
/// A field that the handler has set itself stays. `Strict-Transport-Security` is not sent without TLS, for there
/// it means nothing (RFC 6797 §7.2); behind a proxy that ends TLS put this inside
/// [`TrustedProxies`](super::TrustedProxies). **A browser that has seen it comes back over TLS alone, for a
/// year**: say [`without_hsts`](SecurityHeaders::without_hsts) where this host cannot promise that.
///
/// ```
/// use nethttp::ServeMux;
/// use nethttp::middleware::SecurityHeaders;
///
/// let mux = ServeMux::new();
/// mux.wrap(SecurityHeaders::new().content_security_policy("default-src 'self'").frame_options("SAMEORIGIN"));
/// ```
#[derive(Clone, Debug)]
pub struct SecurityHeaders {
    fields: Arc<Vec<(String, String)>>,
    hsts: Option<Arc<str>>,
}

impl Default for SecurityHeaders {
    fn default() -> SecurityHeaders {
        let fields = [
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Referrer-Policy", "strict-origin-when-cross-origin"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
        ];
        let fields = fields.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        SecurityHeaders { fields: Arc::new(fields), hsts: None }.hsts(ONE_YEAR)
    }
}

impl SecurityHeaders {
    /// The fields of the table.
    pub fn new() -> SecurityHeaders {
        SecurityHeaders::default()
    }

    /// Who may show this in a frame: `DENY` or `SAMEORIGIN` (RFC 7034). A policy with `frame-ancestors` says it in
    /// more detail.
    ///
    /// # Panics
    /// As [`field`](SecurityHeaders::field).
    #[must_use]
    #[track_caller]
    pub fn frame_options(self, value: &str) -> SecurityHeaders {
        self.field("X-Frame-Options", value)
    }

    /// What `Referer` says where a page of this server leads to.
    ///
    /// # Panics
    /// As [`field`](SecurityHeaders::field).
    #[must_use]
    #[track_caller]
    pub fn referrer_policy(self, value: &str) -> SecurityHeaders {
        self.field("Referrer-Policy", value)
    }

    /// From where a page may load what. To try a policy first, set the field
    /// `Content-Security-Policy-Report-Only`.
    ///
    /// # Panics
    /// As [`field`](SecurityHeaders::field).
    #[must_use]
    #[track_caller]
    pub fn content_security_policy(self, policy: &str) -> SecurityHeaders {
        self.field("Content-Security-Policy", policy)
    }

    /// Another field with this value (`Permissions-Policy`, `Cross-Origin-Resource-Policy`), or another value for
    /// one of the table.
    ///
    /// # Panics
    /// Where the name is no token, or the value has control characters.
    #[must_use]
    #[track_caller]
    pub fn field(mut self, name: &str, value: &str) -> SecurityHeaders {
        assert!(is_token(name.as_bytes()), "{name:?} is no name of a field");
        assert!(!has_control(value.as_bytes()), "a value without control characters");
        self = self.without(name);
        Arc::make_mut(&mut self.fields).push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves a field out. For `Strict-Transport-Security` see [`without_hsts`](SecurityHeaders::without_hsts).
    #[must_use]
    pub fn without(mut self, name: &str) -> SecurityHeaders {
        Arc::make_mut(&mut self.fields).retain(|(present, _)| !present.eq_ignore_ascii_case(name));
        self
    }

    /// For how long a browser comes back over TLS alone, in whole seconds: to this host and not to those below it.
    /// `Duration::ZERO` has browsers forget what was said before (RFC 6797 §6.1.1).
    #[must_use]
    pub fn hsts(mut self, max_age: Duration) -> SecurityHeaders {
        self.hsts = Some(format!("max-age={}", max_age.as_secs()).into());
        self
    }

    /// The same for all hosts below this one: **also those that you have forgotten**. With a year or more and
    /// `preload` browsers can carry it along before they have ever been here, which takes months to undo; that is
    /// asked for with `preload`.
    #[must_use]
    pub fn hsts_with_subdomains(mut self, max_age: Duration, preload: HstsPreload) -> SecurityHeaders {
        let preload = match preload {
            HstsPreload::No => "",
            HstsPreload::Yes => "; preload",
        };
        self.hsts = Some(format!("max-age={}; includeSubDomains{preload}", max_age.as_secs()).into());
        self
    }

    /// Leaves `Strict-Transport-Security` out.
    #[must_use]
    pub fn without_hsts(mut self) -> SecurityHeaders {
        self.hsts = None;
        self
    }
}

/// Whether a host asks to be in the lists that browsers come with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HstsPreload {
    /// It does not.
    No,
    /// It does: `preload`, as hstspreload.org wants it.
    Yes,
}

impl SecurityHeaders {
    fn begin(&self, w: &mut ResponseWriter, r: &Request) {
        let fields = self.fields.clone();
        let hsts = self.hsts.clone().filter(|_| r.scheme() == "https");
        w.before_head(move |_, header| {
            for (name, value) in fields.iter() {
                set_if_absent(header, name, value);
            }
            if let Some(hsts) = &hsts {
                set_if_absent(header, "Strict-Transport-Security", hsts);
            }
        });
    }
}

impl Middleware for SecurityHeaders {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        self.begin(w, r);
        next.run(w, r).await
    }

    // Done before what it is around begins, so it needs no future of its own.
    fn handle_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request, next: Next<'a>) -> HandlerFuture<'a> {
        self.begin(w, r);
        next.run(w, r)
    }
}

fn set_if_absent(header: &mut Header, name: &str, value: &str) {
    if !header.contains(name) {
        header.set(name, value);
    }
}

/// Leads every request that did not come over TLS to the same place over `https`, with 308: the method and the
/// content stay, so does the query.
///
/// The host comes from the request, that is from whoever has made it, so it leads **only to hosts that are named
/// here**: a request for another one is refused with 421 (RFC 9110 §15.5.20). A port in the request is the one without
/// TLS, and is left out.
///
/// A request over TLS, or over a proxy that [`TrustedProxies`](super::TrustedProxies) believes to have had TLS, goes
/// on. What must be reached without TLS, a health check or ACME's challenges, is let through by
/// [`except`](HttpsRedirect::except). What a client has sent was on the wire in the clear by then: tell clients the
/// right URL, and browsers by HSTS ([`SecurityHeaders`]).
///
/// ```
/// use nethttp::ServeMux;
/// use nethttp::middleware::HttpsRedirect;
///
/// let mux = ServeMux::new();
/// mux.wrap(
///     HttpsRedirect::to(["example.com", "www.example.com"])
///         .except(|r| r.uri.path().starts_with("/.well-known/acme-challenge/")),
/// );
/// ```
#[derive(Clone)]
pub struct HttpsRedirect {
    hosts: RedirectHosts,
    port: u16,
    except: Option<Arc<dyn Fn(&Request) -> bool + Send + Sync>>,
}

#[derive(Clone, Debug)]
enum RedirectHosts {
    /// In lower case, without a port.
    These(Vec<String>),
    Any,
}

impl HttpsRedirect {
    /// Leads to these hosts: each request to its own.
    ///
    /// # Panics
    /// Where one of them is no host, or has a port.
    #[track_caller]
    pub fn to<Host: AsRef<str>>(hosts: impl IntoIterator<Item = Host>) -> HttpsRedirect {
        let hosts = hosts.into_iter().map(|host| {
            let host = host.as_ref();
            assert!(
                is_host(host.as_bytes(), Port::Optional) && host_without_port(host).len() == host.len(),
                "{host:?} is no host without a port"
            );
            host.to_ascii_lowercase()
        });
        HttpsRedirect { hosts: RedirectHosts::These(hosts.collect()), port: 443, except: None }
    }

    /// Leads to whatever host the request names. A cache in front that keys on something else than the host it was
    /// asked for can then be made to lead its users elsewhere, and so can links that this server sends in mails.
    /// Where the hosts are known, name them.
    pub fn to_any_host() -> HttpsRedirect {
        HttpsRedirect { hosts: RedirectHosts::Any, port: 443, except: None }
    }

    /// The port over TLS, 443 by default.
    #[must_use]
    pub fn port(mut self, port: u16) -> HttpsRedirect {
        self.port = port;
        self
    }

    /// Lets the requests through without TLS for which this function says so.
    #[must_use]
    pub fn except(mut self, except: impl Fn(&Request) -> bool + Send + Sync + 'static) -> HttpsRedirect {
        self.except = Some(Arc::new(except));
        self
    }

    /// Where this request is led; `None` where that is nowhere.
    fn location(&self, r: &Request) -> Option<String> {
        let host = host_without_port(&r.host);
        let known = match &self.hosts {
            RedirectHosts::These(hosts) => hosts.iter().any(|known| known.eq_ignore_ascii_case(host)),
            RedirectHosts::Any => is_host(host.as_bytes(), Port::Optional),
        };
        if !known {
            return None;
        }
        let port = if self.port == 443 { String::new() } else { format!(":{}", self.port) };
        // `*`, and what CONNECT has, are no paths.
        let target = r.uri.path_and_query().map(PathAndQuery::as_str).filter(|target| target.starts_with('/'));
        // In a mounted mux the path is the one below.
        Some(format!("https://{host}{port}{}{}", r.mount_path(), target.unwrap_or("/")))
    }
}

impl Middleware for HttpsRedirect {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        if r.scheme() == "https" || self.except.as_ref().is_some_and(|except| except(r)) {
            return next.run(w, r).await;
        }
        let Some(location) = self.location(r) else {
            let status = StatusCode::MISDIRECTED_REQUEST;
            return Err(Error::answer(status, "this server is not for that host"));
        };
        w.header().set("Location", location);
        w.write_header(StatusCode::PERMANENT_REDIRECT);
        Ok(())
    }
}

/// The colon of a port is the one behind the bracket, or the only one.
fn host_without_port(host: &str) -> &str {
    let name_end = host.rfind(']').unwrap_or(0);
    match host.get(name_end..).and_then(|rest| rest.rfind(':')) {
        Some(colon) => host.get(..name_end + colon).unwrap_or(host),
        None => host,
    }
}

impl std::fmt::Debug for HttpsRedirect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpsRedirect").field("hosts", &self.hosts).field("port", &self.port).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri};

    use super::*;

    fn request(host: &str, target: &'static str) -> Request {
        let mut request = Request::new(Method::GET, Uri::from_static(target), ());
        request.host = host.into();
        request
    }

    #[test]
    fn a_request_is_led_to_its_own_host_path_and_query_if_the_host_is_known() {
        let redirect = HttpsRedirect::to(["a.test", "[::1]"]);
        for (host, target, location) in [
            ("a.test", "/x?y=%2F", Some("https://a.test/x?y=%2F")),
            ("A.test:8080", "/", Some("https://A.test/")),
            ("[::1]:80", "/", Some("https://[::1]/")),
            ("a.test", "//b.test/x", Some("https://a.test//b.test/x")),
            ("a.test", "*", Some("https://a.test/")),
            ("b.test", "/", None),
            ("a.test.b.test", "/", None),
            ("a.test@b.test", "/", None),
            ("", "/", None),
        ] {
            assert_eq!(redirect.location(&request(host, target)).as_deref(), location, "{host} {target}");
        }
    }

    #[test]
    fn any_host_is_still_a_host_and_the_port_is_the_one_of_tls() {
        let redirect = HttpsRedirect::to_any_host().port(8443);
        for (host, location) in [
            ("b.test:80", Some("https://b.test:8443/")),
            ("[2001:db8::1]", Some("https://[2001:db8::1]:8443/")),
            ("b.test/x", None),
            ("", None),
        ] {
            assert_eq!(redirect.location(&request(host, "/")).as_deref(), location, "{host}");
        }
    }
}
