//! The fields of a preflight and of a response: the rules of the Fetch standard, "CORS protocol".

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Method;

use crate::message::{Header, Request, add_to_vary, is_token};

/// Longer lists of names in `Access-Control-Request-Headers` are not repeated: a browser asks for the few names
/// that a script has set.
const MAX_REQUESTED_NAMES_BYTES: usize = 4096;

/// All that is set.
#[derive(Clone, Default)]
pub(super) struct CorsPolicy {
    pub(super) origins: Vec<OriginRule>,
    pub(super) methods: NamesAllowed<Method>,
    pub(super) headers: NamesAllowed<String>,
    pub(super) exposed: Option<Arc<str>>,
    pub(super) credentials: CorsCredentials,
    pub(super) max_age: Option<Duration>,
    pub(super) private_network: PrivateNetwork,
}

#[derive(Clone)]
pub(super) enum OriginRule {
    Any,
    Exact(String),
    /// `https://` and `.example.com`, perhaps with a port.
    Subdomains {
        scheme: String,
        suffix: String,
    },
    Null,
    By(Arc<dyn Fn(&str, &Request) -> bool + Send + Sync>),
}

/// What a preflight may ask for.
#[derive(Clone)]
pub(super) enum NamesAllowed<Name> {
    These(Vec<Name>),
    Any,
}

impl<Name> Default for NamesAllowed<Name> {
    fn default() -> NamesAllowed<Name> {
        NamesAllowed::These(Vec::new())
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum CorsCredentials {
    #[default]
    Refused,
    Allowed,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum PrivateNetwork {
    #[default]
    Refused,
    Allowed,
}

impl CorsPolicy {
    pub(super) fn fields_for(&self, r: &Request) -> CorsFields {
        CorsFields {
            allow_origin: self.allow_origin_for(r),
            credentials: self.credentials,
            exposed: self.exposed.clone(),
            vary: self.vary(r),
        }
    }

    /// The fields of the response to a preflight; `None` where this is none.
    pub(super) fn preflight(&self, r: &Request) -> Option<Header> {
        if r.method != Method::OPTIONS || !r.header.contains("Origin") {
            return None;
        }
        let method = r.header.get_bytes("Access-Control-Request-Method")?;
        let mut answer = Header::new();
        add_to_vary(&mut answer, self.vary(r));
        // Without the field of the origin a browser looks at no other one: a refusal says nothing of the rules.
        let Some(origin) = self.allow_origin_for(r) else { return Some(answer) };
        answer.set("Access-Control-Allow-Origin", &*origin);
        if self.credentials == CorsCredentials::Allowed {
            answer.set("Access-Control-Allow-Credentials", "true");
        }
        answer.set("Access-Control-Allow-Methods", self.allow_methods_for(method));
        if let Some(names) = self.allow_headers_for(&r.header) {
            answer.set("Access-Control-Allow-Headers", names);
        }
        if let Some(age) = self.max_age {
            answer.set("Access-Control-Max-Age", age.as_secs().to_string());
        }
        let asks_for_private = r.header.get("Access-Control-Request-Private-Network") == Some("true");
        if self.private_network == PrivateNetwork::Allowed && asks_for_private {
            answer.set("Access-Control-Allow-Private-Network", "true");
        }
        Some(answer)
    }

    /// The value of `Access-Control-Allow-Origin`, if the origin of this request is allowed.
    fn allow_origin_for(&self, r: &Request) -> Option<Cow<'static, str>> {
        if self.allows_any_origin() {
            // Also without `Origin`: so the response can be kept by caches for whoever asks next.
            return Some(Cow::Borrowed("*"));
        }
        let mut origins = r.header.values_bytes("Origin");
        let (Some(origin), None) = (origins.next(), origins.next()) else { return None };
        let origin = std::str::from_utf8(origin).ok()?;
        let allowed = self.origins.iter().any(|rule| rule.allows(origin, r));
        allowed.then(|| Cow::Owned(origin.to_owned()))
    }

    fn allows_any_origin(&self) -> bool {
        self.origins.iter().any(|rule| matches!(rule, OriginRule::Any))
    }

    /// The fields of requests that responses depend on.
    fn vary(&self, r: &Request) -> &'static [&'static str] {
        const PREFLIGHT: [&str; 3] = ["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"];
        const PRIVATE: [&str; 4] = [
            "Origin",
            "Access-Control-Request-Method",
            "Access-Control-Request-Headers",
            "Access-Control-Request-Private-Network",
        ];
        match (&r.method, self.private_network) {
            // Whether it is a preflight at all depends on two of them.
            (&Method::OPTIONS, PrivateNetwork::Refused) => &PREFLIGHT,
            (&Method::OPTIONS, PrivateNetwork::Allowed) => &PRIVATE,
            _ if self.origins.is_empty() || self.allows_any_origin() => &[],
            _ => &["Origin"],
        }
    }

    fn allow_methods_for(&self, requested: &[u8]) -> String {
        let methods = match &self.methods {
            NamesAllowed::Any if is_token(requested) => return String::from_utf8_lossy(requested).into_owned(),
            // What is asked for is no method: it is not repeated, and nothing but the usual ones is allowed.
            NamesAllowed::Any => &[][..],
            NamesAllowed::These(methods) => methods,
        };
        // Those that need no leave are listed too: browsers ask for them when a field needs leave.
        let mut list = String::from("GET, HEAD, POST");
        for method in methods.iter().filter(|&m| !matches!(*m, Method::GET | Method::HEAD | Method::POST)) {
            list.push_str(", ");
            list.push_str(method.as_str());
        }
        list
    }

    fn allow_headers_for(&self, request: &Header) -> Option<String> {
        match &self.headers {
            NamesAllowed::These(names) if names.is_empty() => None,
            NamesAllowed::These(names) => Some(names.join(", ")),
            NamesAllowed::Any => requested_names(request),
        }
    }
}

/// What is added to the response to a request that is no preflight.
pub(super) struct CorsFields {
    allow_origin: Option<Cow<'static, str>>,
    credentials: CorsCredentials,
    exposed: Option<Arc<str>>,
    vary: &'static [&'static str],
}

impl CorsFields {
    pub(super) fn add_to(&self, header: &mut Header) {
        add_to_vary(header, self.vary);
        let Some(origin) = &self.allow_origin else { return };
        // Two values are none to a browser, so what the handler has said counts alone.
        if header.contains("Access-Control-Allow-Origin") {
            return;
        }
        header.set("Access-Control-Allow-Origin", &**origin);
        if self.credentials == CorsCredentials::Allowed {
            header.set("Access-Control-Allow-Credentials", "true");
        }
        if let Some(exposed) = self.exposed.as_ref().filter(|_| !header.contains("Access-Control-Expose-Headers")) {
            header.set("Access-Control-Expose-Headers", &**exposed);
        }
    }
}

impl OriginRule {
    /// Compares all of the origin, byte by byte: browsers send it in the one form that the rules are kept in.
    fn allows(&self, origin: &str, r: &Request) -> bool {
        match self {
            OriginRule::Any => true,
            OriginRule::Exact(allowed) => origin == allowed,
            OriginRule::Subdomains { scheme, suffix } => origin
                .strip_prefix(scheme.as_str())
                .and_then(|host| host.strip_suffix(suffix.as_str()))
                .is_some_and(is_name_of_labels),
            OriginRule::Null => origin == "null",
            OriginRule::By(allowed) => allowed(origin, r),
        }
    }
}

/// Whether this can stand before a dot and a host: labels of letters, digits, hyphens and underscores. A user's
/// name, a path or a port in it would make another host of the whole.
fn is_name_of_labels(text: &str) -> bool {
    text.split('.')
        .all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')))
}

/// The names that a preflight asks for, to be repeated. `None` where there are none, where they are too many, or
/// where one of them is no name: what is repeated to a peer is a list of tokens and nothing else.
fn requested_names(request: &Header) -> Option<String> {
    let mut names = String::new();
    for line in request.values_bytes("Access-Control-Request-Headers") {
        let line = std::str::from_utf8(line).ok()?;
        if names.len() + line.len() > MAX_REQUESTED_NAMES_BYTES {
            return None;
        }
        for name in line.split(',').map(|name| name.trim_matches([' ', '\t'])).filter(|name| !name.is_empty()) {
            if !is_token(name.as_bytes()) {
                return None;
            }
            if !names.is_empty() {
                names.push_str(", ");
            }
            names.push_str(name);
        }
    }
    Some(names).filter(|names| !names.is_empty())
}

impl fmt::Debug for OriginRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OriginRule::Any => f.write_str("any"),
            OriginRule::Exact(origin) => f.write_str(origin),
            OriginRule::Subdomains { scheme, suffix } => write!(f, "{scheme}*{suffix}"),
            OriginRule::Null => f.write_str("null"),
            OriginRule::By(_) => f.write_str("a function"),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Uri;

    use super::super::Cors;
    use super::*;

    fn request(method: Method, fields: &[(&str, &str)]) -> Request {
        let mut request = Request::new(method, Uri::from_static("/"), ());
        request.header = fields.iter().copied().collect();
        request
    }

    fn allows(cors: &Cors, origin: &str) -> bool {
        cors.policy.allow_origin_for(&request(Method::GET, &[("Origin", origin)])).is_some()
    }

    fn preflight(cors: &Cors, method: &str, fields: &[(&str, &str)]) -> Header {
        let mut r =
            request(Method::OPTIONS, &[("Origin", "https://a.test"), ("Access-Control-Request-Method", method)]);
        r.header.extend(fields.iter().copied());
        cors.policy.preflight(&r).unwrap()
    }

    #[test]
    fn an_origin_is_allowed_by_all_of_itself() {
        let cors = Cors::new().allow_origins(["https://A.test:443", "http://b.test:8080"]);
        for origin in ["https://a.test", "http://b.test:8080"] {
            assert!(allows(&cors, origin), "{origin}");
        }
        for origin in [
            "http://a.test",
            "https://a.test.evil.test",
            "https://evil.test/https://a.test",
            "https://a.test/",
            "https://a.test:8443",
            "http://b.test",
            "null",
            "",
            "*",
            "https://a.test https://evil.test",
            "https://a.test, https://evil.test",
        ] {
            assert!(!allows(&cors, origin), "{origin}");
        }
    }

    #[test]
    fn a_subdomain_is_below_the_host_with_the_same_scheme_and_port() {
        let cors = Cors::new().allow_subdomains_of("https://a.test").allow_subdomains_of("http://b.test:8080");
        for origin in ["https://x.a.test", "https://y-1.x.a.test", "http://x.b.test:8080"] {
            assert!(allows(&cors, origin), "{origin}");
        }
        for origin in [
            "https://a.test",
            "https://.a.test",
            "https://xa.test",
            "http://x.a.test",
            "https://x.a.test:1",
            "https://x.a.test.evil.test",
            "https://evil.test/.a.test",
            "https://evil.test:1.a.test",
            "https://u@x.a.test",
            "https://x..a.test",
            "http://x.b.test",
            "https://evil.test?.a.test",
            "https://evil.test#.a.test",
            "https://evil.test\\.a.test",
            "https://[::1].a.test",
        ] {
            assert!(!allows(&cors, origin), "{origin}");
        }
    }

    #[test]
    fn null_is_an_origin_of_its_own_and_a_function_sees_all() {
        assert!(allows(&Cors::new().allow_null_origin(), "null"));
        assert!(!allows(&Cors::new().allow_null_origin(), "https://a.test"));
        let cors = Cors::new().allow_origin_by(|origin, r| origin == "null" && r.method == Method::GET);
        assert!(allows(&cors, "null") && !allows(&cors, "https://a.test"));
    }

    #[test]
    fn two_origins_are_none() {
        let cors = Cors::new().allow_origin("https://a.test");
        let r = request(Method::GET, &[("Origin", "https://a.test"), ("Origin", "https://a.test")]);
        assert_eq!(cors.policy.allow_origin_for(&r), None);
    }

    #[test]
    fn credentials_are_never_for_everybody() {
        for make in [
            (|| Cors::new().allow_any_origin().allow_credentials()) as fn() -> Cors,
            || Cors::new().allow_credentials().allow_any_origin(),
            || Cors::new().allow_origin("https://a.test").allow_null_origin().allow_credentials(),
            || Cors::new().allow_credentials().allow_null_origin(),
        ] {
            assert!(std::panic::catch_unwind(make).is_err());
        }
    }

    #[test]
    fn slips_are_refused_when_they_are_made() {
        for make in [
            (|| Cors::new().allow_origin("*")) as fn() -> Cors,
            || Cors::new().allow_origin("https://a.test/"),
            || Cors::new().allow_origin("https://*.a.test"),
            || Cors::new().allow_subdomains_of("a.test"),
            || Cors::new().allow_headers(["*"]),
            || Cors::new().allow_headers(["X A"]),
            || Cors::new().expose_headers(["*"]),
        ] {
            assert!(std::panic::catch_unwind(make).is_err());
        }
    }

    #[test]
    fn only_options_with_both_fields_is_a_preflight() {
        let cors = Cors::new().allow_any_origin();
        let (origin, method) = (("Origin", "https://a.test"), ("Access-Control-Request-Method", "PUT"));
        assert!(cors.policy.preflight(&request(Method::OPTIONS, &[origin, method])).is_some());
        assert!(cors.policy.preflight(&request(Method::OPTIONS, &[origin])).is_none());
        assert!(cors.policy.preflight(&request(Method::OPTIONS, &[method])).is_none());
        assert!(cors.policy.preflight(&request(Method::GET, &[origin, method])).is_none());
    }

    #[test]
    fn what_is_asked_for_is_repeated_where_anything_is_allowed_and_only_names() {
        let cors = Cors::new().allow_origin("https://a.test").allow_any_method().allow_any_header();
        let asked = preflight(&cors, "QUERY", &[("Access-Control-Request-Headers", "authorization,x-a ,\tx-b,,")]);
        assert_eq!(asked.get("Access-Control-Allow-Methods"), Some("QUERY"));
        assert_eq!(asked.get("Access-Control-Allow-Headers"), Some("authorization, x-a, x-b"));
        for names in ["x a", "x-a, <script>", "\"", &"x,".repeat(3000), &"x".repeat(5000)] {
            let asked = preflight(&cors, "PUT", &[("Access-Control-Request-Headers", names)]);
            assert!(!asked.contains("Access-Control-Allow-Headers"), "{names}");
        }
        assert_eq!(preflight(&cors, "P T", &[]).get("Access-Control-Allow-Methods"), Some("GET, HEAD, POST"));
        assert!(!preflight(&cors, "PUT", &[]).contains("Access-Control-Allow-Headers"));
    }

    #[test]
    fn a_private_network_is_opened_where_it_is_asked_for_and_allowed() {
        const ASKED: (&str, &str) = ("Access-Control-Request-Private-Network", "true");
        const ALLOWED: &str = "Access-Control-Allow-Private-Network";
        let closed = Cors::new().allow_origin("https://a.test");
        let open = closed.clone().allow_private_network();
        assert!(!preflight(&closed, "PUT", &[ASKED]).contains(ALLOWED));
        assert!(!preflight(&open, "PUT", &[]).contains(ALLOWED));
        assert_eq!(preflight(&open, "PUT", &[ASKED]).get(ALLOWED), Some("true"));
        assert!(preflight(&open, "PUT", &[]).has_token("Vary", ASKED.0));
    }
}
