//! Cross-origin resource sharing: which pages of other origins may read the responses of this server.
//!
//! Here is what a program sets; `policy` has the fields of a preflight and of a response, as functions of the
//! settings and the request.

mod policy;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::{Method, StatusCode};

use self::policy::{CorsCredentials, CorsPolicy, NamesAllowed, OriginRule, PrivateNetwork};
use super::origin::normalized_origin;
use crate::error::Result;
use crate::message::{Header, Request, is_token};
use crate::server::{Middleware, Next, ResponseWriter};

/// Lets pages of other origins read responses (CORS, as the Fetch standard says it).
///
/// Without any rule no other origin may. A preflight (`OPTIONS` with `Origin` and
/// `Access-Control-Request-Method`) is answered here, 204, whatever is asked for: it reaches neither the handler
/// nor the mux, so wrap the mux (or a group) and not the handler of a method. Every other request goes on, with
/// the fields added to its response, be that an error. **This is no protection of the server**: what an origin
/// may not read is done all the same. Against forged requests there is
/// [`CrossOriginProtection`](super::CrossOriginProtection).
///
/// | | by default |
/// |---|---|
/// | origins | none |
/// | methods in a preflight | those that need none: `GET`, `HEAD`, `POST` |
/// | fields of the request | those that need no preflight |
/// | fields that scripts may read | those that Fetch always shows |
/// | credentials | not allowed |
/// | `Access-Control-Max-Age` | not sent, which is 5 s for browsers |
///
/// `Vary` names `Origin` wherever the response depends on it, also where no `Origin` came and where the origin is
/// not allowed: without that, a shared cache would give the response for one origin to another. To `OPTIONS` it
/// names the fields of the preflight too.
///
/// `Access-Control-*` fields that the handler has set itself stay as they are, so a route may say something else
/// than its mux. **Of several around each other the innermost decides**, and alone: a group may allow more than its
/// mux, or less. A preflight is answered by the outermost before it reaches anything else, by the rules of the
/// innermost that lies on its way through muxes, groups, [`wrapped_in`](crate::Handler::wrapped_in) and lists. What
/// was answered in place of the handler by a middleware between two of them (a timeout) has the fields of the outer.
///
/// On a group or a mounted mux it sees preflights only where no wider route takes `OPTIONS`: with a route for `/`
/// that takes all methods, wrap the mux, or register `OPTIONS /` in the group.
///
/// ```
/// use std::time::Duration;
///
/// use nethttp::middleware::Cors;
/// use nethttp::{Method, Request, ResponseWriter, ServeMux};
///
/// let mux = ServeMux::new();
/// mux.handle("PUT /notes/{id}", async |w: &mut ResponseWriter, _: &mut Request| w.write("kept\n").await);
/// mux.wrap(
///     Cors::new()
///         .allow_origin("https://app.example.com")
///         .allow_subdomains_of("https://example.org")
///         .allow_methods([Method::PUT, Method::DELETE])
///         .allow_headers(["Content-Type", "X-Requested-With"])
///         .allow_credentials()
///         .max_age(Duration::from_secs(600)),
/// );
/// ```
#[derive(Clone, Default)]
pub struct Cors {
    policy: CorsPolicy,
}

impl Cors {
    /// A middleware that allows no other origin yet.
    pub fn new() -> Cors {
        Cors::default()
    }

    /// Allows this origin: a scheme, a host, and a port unless it is the scheme's own, `https://app.example.com`.
    /// May be called several times.
    ///
    /// # Panics
    /// Where the text is no origin: with a path or a slash at its end it would never match, and a star in it is
    /// not a pattern (see [`allow_subdomains_of`](Cors::allow_subdomains_of) and
    /// [`allow_any_origin`](Cors::allow_any_origin)).
    #[must_use]
    #[track_caller]
    pub fn allow_origin(mut self, origin: impl AsRef<str>) -> Cors {
        self.policy.origins.push(OriginRule::Exact(checked_origin(origin.as_ref())));
        self
    }

    /// Allows these origins; see [`allow_origin`](Cors::allow_origin).
    ///
    /// # Panics
    /// As `allow_origin`.
    #[must_use]
    #[track_caller]
    pub fn allow_origins<Origin: AsRef<str>>(mut self, origins: impl IntoIterator<Item = Origin>) -> Cors {
        for origin in origins {
            self = self.allow_origin(origin);
        }
        self
    }

    /// Allows all hosts below this one, at any depth, with the same scheme and port: `https://example.com` allows
    /// `https://a.example.com` and `https://b.a.example.com`. It allows neither `https://example.com` itself nor
    /// `https://notexample.com`. Whoever may put content on any of these hosts may read the responses.
    ///
    /// # Panics
    /// As [`allow_origin`](Cors::allow_origin).
    #[must_use]
    #[track_caller]
    pub fn allow_subdomains_of(mut self, origin: impl AsRef<str>) -> Cors {
        let origin = checked_origin(origin.as_ref());
        let (scheme, host) = origin.split_once("://").unwrap_or_default();
        self.policy.origins.push(OriginRule::Subdomains { scheme: format!("{scheme}://"), suffix: format!(".{host}") });
        self
    }

    /// Allows the origins for which this function says so. It gets `Origin` as it came, `null` included, so
    /// compare all of it: `starts_with("https://example.com")` allows `https://example.com.evil.test`.
    #[must_use]
    pub fn allow_origin_by(mut self, allowed: impl Fn(&str, &Request) -> bool + Send + Sync + 'static) -> Cors {
        self.policy.origins.push(OriginRule::By(Arc::new(allowed)));
        self
    }

    /// Allows the origin `null`. It is that of sandboxed frames, of files and of some redirects: **any** page can
    /// make a frame that has it, so this is [`allow_any_origin`](Cors::allow_any_origin) for whoever cares to.
    ///
    /// # Panics
    /// Together with [`allow_credentials`](Cors::allow_credentials).
    #[must_use]
    #[track_caller]
    pub fn allow_null_origin(mut self) -> Cors {
        self.policy.origins.push(OriginRule::Null);
        self.checked()
    }

    /// Allows every origin, with a `*`: for what everybody may read.
    ///
    /// # Panics
    /// Together with [`allow_credentials`](Cors::allow_credentials): every page could read, in the name of its
    /// visitor, what the visitor may read. The Fetch standard forbids it too.
    #[must_use]
    #[track_caller]
    pub fn allow_any_origin(mut self) -> Cors {
        self.policy.origins.push(OriginRule::Any);
        self.checked()
    }

    /// Allows these methods, beside `GET`, `HEAD` and `POST`, which need no leave. May be called several times.
    ///
    /// Methods are case-sensitive, and browsers send `patch` as a script has written it.
    #[must_use]
    pub fn allow_methods(mut self, methods: impl IntoIterator<Item = Method>) -> Cors {
        if let NamesAllowed::These(these) = &mut self.policy.methods {
            these.extend(methods);
        }
        self
    }

    /// Allows every method: the one that is asked for is repeated.
    #[must_use]
    pub fn allow_any_method(mut self) -> Cors {
        self.policy.methods = NamesAllowed::Any;
        self
    }

    /// Allows these fields in requests. `Content-Type` is needed for all but forms and plain text, JSON for
    /// example. May be called several times.
    ///
    /// # Panics
    /// Where a name is no token. A star is none here: see [`allow_any_header`](Cors::allow_any_header).
    #[must_use]
    #[track_caller]
    pub fn allow_headers<Name: AsRef<str>>(mut self, names: impl IntoIterator<Item = Name>) -> Cors {
        let names: Vec<String> = names.into_iter().map(|name| checked_name(name.as_ref())).collect();
        if let NamesAllowed::These(these) = &mut self.policy.headers {
            these.extend(names);
        }
        self
    }

    /// Allows every field: those that are asked for are repeated, up to 4 KiB of them. So `Authorization` is
    /// allowed as well, which a `*` would not do.
    #[must_use]
    pub fn allow_any_header(mut self) -> Cors {
        self.policy.headers = NamesAllowed::Any;
        self
    }

    /// Lets scripts read these fields of responses, beside those that they always may (`Cache-Control`,
    /// `Content-Language`, `Content-Length`, `Content-Type`, `Expires`, `Last-Modified`, `Pragma`). May be called
    /// several times.
    ///
    /// # Panics
    /// Where a name is no token, or a star: with credentials it would be a name like any other.
    #[must_use]
    #[track_caller]
    pub fn expose_headers<Name: AsRef<str>>(mut self, names: impl IntoIterator<Item = Name>) -> Cors {
        let mut exposed = self.policy.exposed.as_deref().unwrap_or_default().to_owned();
        for name in names {
            if !exposed.is_empty() {
                exposed.push_str(", ");
            }
            exposed.push_str(&checked_name(name.as_ref()));
        }
        self.policy.exposed = Some(exposed.into()).filter(|exposed: &Arc<str>| !exposed.is_empty());
        self
    }

    /// Lets pages of the allowed origins send cookies and passwords of their visitors, and read the responses
    /// to that.
    ///
    /// # Panics
    /// Together with [`allow_any_origin`](Cors::allow_any_origin) or
    /// [`allow_null_origin`](Cors::allow_null_origin), in either order.
    #[must_use]
    #[track_caller]
    pub fn allow_credentials(mut self) -> Cors {
        self.policy.credentials = CorsCredentials::Allowed;
        self.checked()
    }

    /// For how long a browser may keep the response to a preflight, in whole seconds. `Duration::ZERO` has it ask
    /// each time. Browsers have limits of their own: 2 hours in Chromium, 24 in Firefox.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Cors {
        self.policy.max_age = Some(max_age);
        self
    }

    /// Answers `Access-Control-Request-Private-Network` with leave: pages of the allowed origins on the internet
    /// may reach this server in a private network (the Private Network Access draft).
    #[must_use]
    pub fn allow_private_network(mut self) -> Cors {
        self.policy.private_network = PrivateNetwork::Allowed;
        self
    }

    /// Refuses what would be a hole.
    #[track_caller]
    fn checked(self) -> Cors {
        let anybody = self.policy.origins.iter().any(|rule| matches!(rule, OriginRule::Any | OriginRule::Null));
        assert!(
            !anybody || self.policy.credentials == CorsCredentials::Refused,
            "credentials for any origin would let every page read what its visitors may read: name the origins"
        );
        self
    }
}

#[track_caller]
fn checked_origin(text: &str) -> String {
    match normalized_origin(text) {
        Some(origin) => origin,
        None => panic!("{text:?} is no origin: write scheme://host or scheme://host:port, without a slash at the end"),
    }
}

#[track_caller]
fn checked_name(name: &str) -> String {
    assert!(is_token(name.as_bytes()) && name != "*", "{name:?} is no name of a field");
    name.to_owned()
}

impl Middleware for Cors {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        if let Some(own) = self.policy.preflight(r) {
            let fields = next.preflight(r).unwrap_or(own);
            w.header().extend(fields.iter());
            w.write_header(StatusCode::NO_CONTENT);
            return Ok(());
        }
        let fields = self.policy.fields_for(r);
        let layer = CorsLayer::enter(r);
        w.before_head(move |_, header| layer.decide(|| fields.add_to(header)));
        next.run(w, r).await
    }

    fn preflight(&self, r: &Request) -> Option<Header> {
        self.policy.preflight(r)
    }
}

/// One of several `Cors` around each other. The functions that add fields to a response run from the inside out:
/// the first one decides for all. If a response takes the place of the handler's, those within are gone and the one
/// around them decides.
struct CorsLayer {
    is_outermost: bool,
    is_decided: Arc<AtomicBool>,
}

/// In the extensions of a request that has come through a `Cors`.
#[derive(Clone)]
struct CorsDecision(Arc<AtomicBool>);

impl CorsLayer {
    fn enter(r: &mut Request) -> CorsLayer {
        if let Some(CorsDecision(is_decided)) = r.extensions.get() {
            return CorsLayer { is_outermost: false, is_decided: is_decided.clone() };
        }
        let is_decided = Arc::default();
        r.extensions.insert(CorsDecision(Arc::clone(&is_decided)));
        CorsLayer { is_outermost: true, is_decided }
    }

    fn decide(&self, decide: impl FnOnce()) {
        // The outermost leaves it as it was: another response may take the place of this one.
        if !self.is_decided.swap(!self.is_outermost, Ordering::Relaxed) {
            decide();
        }
    }
}

impl fmt::Debug for Cors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CorsPolicy { origins, max_age, .. } = &self.policy;
        f.debug_struct("Cors").field("origins", origins).field("max_age", max_age).finish_non_exhaustive()
    }
}
