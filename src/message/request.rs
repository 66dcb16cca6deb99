//! A request, the same on the server and on the client.

use std::sync::Arc;

use base64::Engine as _;
use http::{Extensions, Method, Uri, Version};

use super::addr::Addr;
use super::body::Body;
use super::context::Context;
use super::cookie::{self, Cookie};
use super::header::Header;
use crate::error::Result;

/// An HTTP request: received by a server, or to be sent by a client.
///
/// The fields are public so that header and body can be borrowed apart. On a server all of them
/// are filled before the handler runs.
#[derive(Debug)]
#[non_exhaustive]
pub struct Request {
    /// The method, as sent: methods are case-sensitive.
    pub method: Method,
    /// The request target. On a server usually just path and query; see
    /// [`request_uri`](Request::request_uri) for the bytes as they came.
    pub uri: Uri,
    /// The request target as received, unchanged (Go's `RequestURI`). Empty on a client.
    pub request_uri: String,
    /// The protocol version.
    pub proto: Version,
    /// The header fields. On a server `Host` is not among them; see [`host`](Request::host).
    pub header: Header,
    /// The content; always there, perhaps empty.
    pub body: Body,
    /// The host that is asked for: the target's authority if it has one, else the `Host` field.
    /// With the port, if one was given; empty when there was none.
    pub host: String,
    /// The length of the content as announced; `None` when it is not known beforehand.
    pub content_length: Option<u64>,
    /// Where the request came from.
    pub remote_addr: Addr,
    /// Whether the peer wants the connection closed after this request.
    pub close: bool,
    /// The pattern that the mux matched; `None` before and without one.
    pub pattern: Option<Arc<str>>,
    /// Values that middleware puts there for handlers.
    pub extensions: Extensions,
    pub(crate) context: Context,
    pub(crate) path_values: Vec<(Arc<str>, String)>,
}

impl Request {
    /// A request made by hand, with an empty header.
    ///
    /// ```
    /// use nethttp::{Body, Method, Request, Uri};
    ///
    /// let mut request = Request::new(Method::GET, Uri::from_static("/hello?name=you"), Body::empty());
    /// request.header.set("Accept", "text/plain");
    /// assert_eq!(request.query("name").as_deref(), Some("you"));
    /// ```
    pub fn new(method: Method, uri: Uri, body: impl Into<Body>) -> Request {
        let body = body.into();
        Request {
            host: uri.authority().map(|authority| authority.as_str().to_owned()).unwrap_or_default(),
            content_length: body.remaining(),
            method,
            uri,
            request_uri: String::new(),
            proto: Version::HTTP_11,
            header: Header::new(),
            body,
            remote_addr: Addr::unknown(),
            close: false,
            pattern: None,
            extensions: Extensions::new(),
            context: Context::background(),
            path_values: Vec::new(),
        }
    }

    /// What surrounds the request: its cancellation, the server, the local address.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The path of the target as sent, escapes and all.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// What the mux matched for the wildcard of this name, unescaped; empty where there is none
    /// (Go's `PathValue`).
    pub fn path_value(&self, name: &str) -> &str {
        self.path_values.iter().rev().find(|(n, _)| &**n == name).map_or("", |(_, value)| value.as_str())
    }

    /// Sets or replaces a path value (Go's `SetPathValue`).
    pub fn set_path_value(&mut self, name: &str, value: impl Into<String>) {
        let value = value.into();
        match self.path_values.iter_mut().rev().find(|(n, _)| &**n == name) {
            Some(entry) => entry.1 = value,
            None => self.path_values.push((name.into(), value)),
        }
    }

    /// The first value of this name in the target's query, unescaped.
    pub fn query(&self, name: &str) -> Option<String> {
        self.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// All pairs of the target's query in order, unescaped. At most 10,000 are read.
    pub fn query_pairs(&self) -> impl Iterator<Item = (String, String)> + '_ {
        let query = self.uri.query().unwrap_or_default();
        form_urlencoded::parse(query.as_bytes()).take(MAX_FORM_PAIRS).map(|(n, v)| (n.into_owned(), v.into_owned()))
    }

    /// The pairs of a body that is `application/x-www-form-urlencoded`, in order (Go's
    /// `PostForm`). Empty when the body is of another type. At most 10 MiB and 10,000 pairs.
    ///
    /// # Errors
    /// As [`Body::bytes`].
    pub async fn post_form(&mut self) -> Result<Vec<(String, String)>> {
        let kind = self.header.get("Content-Type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Ok(Vec::new());
        }
        let bytes = self.body.bytes(super::body::DEFAULT_MAX_TEXT_BYTES).await?;
        let pairs = form_urlencoded::parse(&bytes).take(MAX_FORM_PAIRS);
        Ok(pairs.map(|(n, v)| (n.into_owned(), v.into_owned())).collect())
    }

    /// Body pairs first, then those of the query (Go's `Form`).
    ///
    /// # Errors
    /// As [`post_form`](Request::post_form).
    pub async fn form(&mut self) -> Result<Vec<(String, String)>> {
        let mut pairs = self.post_form().await?;
        pairs.extend(self.query_pairs());
        Ok(pairs)
    }

    /// Whether the protocol is at least this version.
    pub fn proto_at_least(&self, version: Version) -> bool {
        self.proto >= version
    }

    /// The `User-Agent`, or nothing.
    pub fn user_agent(&self) -> &str {
        self.header.get("User-Agent").unwrap_or_default()
    }

    /// The `Referer`, or nothing.
    pub fn referer(&self) -> &str {
        self.header.get("Referer").unwrap_or_default()
    }

    /// The cookies that came with the request, in order. Pairs that are no cookie are passed
    /// over; of more than 3,000 pairs none is read. [`parse_cookie`](crate::parse_cookie) is
    /// the strict way.
    ///
    /// ```
    /// use nethttp::{Body, Method, Request, Uri};
    ///
    /// let mut request = Request::new(Method::GET, Uri::from_static("/"), Body::empty());
    /// request.header.set("Cookie", "theme=dark; id=7; no cookie; id=8");
    ///
    /// let names: Vec<String> = request.cookies().map(|cookie| cookie.name).collect();
    /// assert_eq!(names, ["theme", "id", "id"]);
    /// assert_eq!(request.cookie("id").unwrap().value, "7");
    /// assert_eq!(request.cookies_named("id").count(), 2);
    /// ```
    pub fn cookies(&self) -> impl Iterator<Item = Cookie> + '_ {
        cookie::read_cookies(&self.header, None)
    }

    /// The first cookie of this name, as spelled; `None` when there is none (Go's
    /// `ErrNoCookie`).
    pub fn cookie(&self, name: &str) -> Option<Cookie> {
        cookie::read_cookies(&self.header, Some(name)).next()
    }

    /// All cookies of this name, in order. Browsers send several when they were set for
    /// different paths or domains, those with the longest path first.
    pub fn cookies_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Cookie> + 'a {
        cookie::read_cookies(&self.header, Some(name))
    }

    /// Adds the name and the value of a cookie to the `Cookie` field; its attributes are not
    /// sent. There is one such field afterwards, whatever there was before.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a name that is no token or a value
    /// with a byte that it must not have; nothing is added then. Go sends what is left of it.
    ///
    /// ```
    /// use nethttp::{Body, Cookie, Method, Request, Uri};
    ///
    /// let mut request = Request::new(Method::GET, Uri::from_static("/"), Body::empty());
    /// request.add_cookie(&Cookie::new("theme", "dark"))?;
    /// request.add_cookie(&Cookie::new("note", "a b"))?;
    /// assert_eq!(request.header.get("Cookie"), Some("theme=dark; note=\"a b\""));
    /// # Ok::<(), nethttp::Error>(())
    /// ```
    pub fn add_cookie(&mut self, cookie: &Cookie) -> Result<()> {
        cookie::add_cookie(&mut self.header, cookie)
    }

    /// User and password of `Authorization: Basic` (RFC 7617); `None` when there are none or
    /// they are malformed. The user ends at the first colon.
    pub fn basic_auth(&self) -> Option<(String, String)> {
        let (scheme, encoded) = self.header.get("Authorization")?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("Basic") {
            return None;
        }
        let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (user, password) = decoded.split_once(':')?;
        Some((user.to_owned(), password.to_owned()))
    }

    /// Sets `Authorization: Basic`. A user with a colon cannot be told apart from its password
    /// by the other side.
    pub fn set_basic_auth(&mut self, user: &str, password: &str) {
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        self.header.set("Authorization", format!("Basic {encoded}"));
    }
}

/// Go's bound on the pairs of a form or a query.
const MAX_FORM_PAIRS: usize = 10_000;

impl<B: Into<Body>> From<http::Request<B>> for Request {
    fn from(request: http::Request<B>) -> Request {
        let (parts, body) = request.into_parts();
        let mut ours = Request::new(parts.method, parts.uri, body);
        ours.proto = parts.version;
        ours.header = parts.headers.into();
        if let Some(host) = ours.header.get("Host").filter(|_| ours.host.is_empty()) {
            ours.host = host.to_owned();
        }
        ours.header.del("Host");
        ours.extensions = parts.extensions;
        ours
    }
}

impl From<Request> for http::Request<Body> {
    /// The host goes back into the header, where the `http` crate's users look for it.
    fn from(request: Request) -> http::Request<Body> {
        let mut theirs = http::Request::new(request.body);
        *theirs.method_mut() = request.method;
        *theirs.uri_mut() = request.uri;
        *theirs.version_mut() = request.proto;
        *theirs.extensions_mut() = request.extensions;
        *theirs.headers_mut() = request.header.into();
        if let Ok(host) = http::HeaderValue::from_str(&request.host) {
            if !request.host.is_empty() {
                theirs.headers_mut().insert(http::header::HOST, host);
            }
        }
        theirs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(uri: &'static str) -> Request {
        Request::new(Method::GET, Uri::from_static(uri), Body::empty())
    }

    #[test]
    fn basic_credentials_go_both_ways() {
        let mut request = get("/");
        request.set_basic_auth("Aladdin", "open:sesame");
        assert_eq!(request.header.get("Authorization"), Some("Basic QWxhZGRpbjpvcGVuOnNlc2FtZQ=="));
        assert_eq!(request.basic_auth(), Some(("Aladdin".into(), "open:sesame".into())));
    }

    #[test]
    fn malformed_credentials_are_none() {
        for bad in ["Basic", "Basic %%%", "Bearer QWxhZGRpbjpv", "Basic QWxhZGRpbg=="] {
            let mut request = get("/");
            request.header.set("Authorization", bad);
            assert_eq!(request.basic_auth(), None, "{bad}");
        }
        let mut request = get("/");
        request.header.set("Authorization", "bAsIc QWxhZGRpbjo=");
        assert_eq!(request.basic_auth(), Some(("Aladdin".into(), String::new())), "the scheme folds case");
    }

    #[test]
    fn a_path_value_that_was_set_replaces_one_that_matched() {
        let mut request = get("/");
        request.path_values.push(("id".into(), "7".into()));
        request.set_path_value("id", "8");
        request.set_path_value("new", "9");
        assert_eq!((request.path_value("id"), request.path_value("new"), request.path_value("none")), ("8", "9", ""));
    }

    #[tokio::test]
    async fn a_form_has_the_body_first_and_then_the_query() {
        let mut request = Request::new(Method::POST, Uri::from_static("/?a=query&b=2"), "a=body+one&c=%26");
        request.header.set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
        let pairs = request.form().await.unwrap();
        let expected = [("a", "body one"), ("c", "&"), ("a", "query"), ("b", "2")];
        assert_eq!(pairs, expected.map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[tokio::test]
    async fn a_body_of_another_type_is_no_form() {
        let mut request = Request::new(Method::POST, Uri::from_static("/"), "a=1");
        assert!(request.post_form().await.unwrap().is_empty());
    }

    #[test]
    fn it_becomes_the_http_crates_request_and_back() {
        let mut request = get("/x?y");
        request.host = "a.test:80".into();
        request.header.set("X-One", "1");
        let theirs = http::Request::<Body>::from(request);
        assert_eq!(theirs.headers()["host"], "a.test:80");
        let back = Request::from(theirs);
        assert_eq!((back.host.as_str(), back.header.get("x-one")), ("a.test:80", Some("1")));
        assert!(!back.header.contains("host"));
    }
}
