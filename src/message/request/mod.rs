//! A request, the same on the server and on the client.

mod build;
mod copy;
mod path_values;
mod retarget;
mod scheme;
mod target;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use http::{Extensions, Method, StatusCode, Uri, Version};

use super::body::{Body, DEFAULT_MAX_TEXT_BYTES};
use super::connection::{Addr, TlsInfo};
use super::context::Context;
use super::cookie::{self, Cookie};
use super::form::{Parsed, ReadAs, Values, malformed, query_pairs, query_value};
use super::header::Header;
use super::multipart::{BAD_BOUNDARY, Boundary, Multipart};
use super::parameters::Parameterized;
use super::uri::host_and_port;
use crate::error::{Error, ErrorKind, Result};

#[cfg(feature = "server")]
pub(crate) use retarget::{Retargeted, with_path_and_query};

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
    /// [`request_uri`](Request::request_uri) for the bytes as they came. Characters that stand in no
    /// URI (``"<>{}|^` `` and all that is not ASCII) are percent-encoded in it. It is no longer than
    /// 65,534 bytes: longer targets are refused with 414.
    pub uri: Uri,
    /// The request target as received, unchanged (Go's `RequestURI`). Empty on a client.
    pub request_uri: String,
    /// The protocol version.
    pub proto: Version,
    /// The header fields. On a server `Host` is not among them; see [`host`](Request::host).
    pub header: Header,
    /// The content; always there, perhaps empty.
    pub body: Body,
    /// The host that the request is for: the target's authority if it has one, else the `Host` field.
    /// With the port, if one was given; empty when there was none.
    pub host: String,
    /// The length of the content as announced; `None` when it is not known beforehand.
    pub content_length: Option<u64>,
    /// Where the request came from.
    pub remote_addr: Addr,
    /// Whether the connection closes after this request: on a server, whether the peer wants
    /// that; on a client, whether to ask for it.
    pub close: bool,
    /// The TLS session that the request came over; `None` without TLS, and on a client.
    pub tls: Option<Arc<TlsInfo>>,
    /// The trailer to send after the body (RFC 9110 §6.5), for which the body is sent in chunks.
    /// On a server trailers hang on the [`body`](Body::trailer), and this is empty.
    pub trailer: Header,
    /// Time limits of this request alone, for a client.
    pub timeouts: Timeouts,
    /// The pattern that the mux matched; `None` before and without one.
    pub pattern: Option<Arc<str>>,
    /// Values that middleware puts there for handlers.
    pub extensions: Extensions,
    pub(crate) context: Context,
    pub(crate) path_values: Vec<(Arc<str>, String)>,
    /// What mounts have taken off the path.
    pub(crate) mount_path: String,
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
            host: uri.authority().map(|authority| host_and_port(authority.as_str()).to_owned()).unwrap_or_default(),
            content_length: body.remaining(),
            method,
            uri,
            request_uri: String::new(),
            proto: Version::HTTP_11,
            header: Header::new(),
            body,
            remote_addr: Addr::unknown(),
            close: false,
            tls: None,
            trailer: Header::new(),
            timeouts: Timeouts::default(),
            pattern: None,
            extensions: Extensions::new(),
            context: Context::background(),
            path_values: Vec::new(),
            mount_path: String::new(),
        }
    }

    /// The context of the request: its cancellation, the server, the local address.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The first value of this name in the target's query, unescaped. Pairs that are malformed, or
    /// no UTF-8 once they are unescaped, are passed over; see [`form`](Request::form) for all of it,
    /// checked.
    pub fn query(&self, name: &str) -> Option<String> {
        query_value(self.uri.query().unwrap_or_default(), name)
    }

    /// The pairs of the target's query in order, unescaped. Malformed ones are left out, as in
    /// Go; [`Values::parse`] reports them.
    pub fn query_pairs(&self) -> impl Iterator<Item = (String, String)> + '_ {
        query_pairs(self.uri.query().unwrap_or_default())
    }

    /// The values in the content (Go's `PostForm`), of a POST, PUT or PATCH request whose type is
    /// `application/x-www-form-urlencoded`. Content of other requests and of other types is not
    /// read, and has none. After [`multipart_form`](Request::multipart_form) the values of its
    /// parts are here.
    ///
    /// The content is read once and remembered: it may be asked for again. At most 10 MiB, unless
    /// [`Body::limit`] says another limit, larger or smaller; at most 10,000 pairs. What is read
    /// is lost when this is dropped before it is done.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed), whose response is 400, for what
    /// [`Values::parse`] refuses, and for a `Content-Type` that is malformed or there twice;
    /// [`ErrorKind::BodyTooLarge`](crate::ErrorKind::BodyTooLarge), whose response is 413; else as
    /// [`Body::chunk`].
    pub async fn post_form(&mut self) -> Result<Values> {
        let mut form = self.content_form().await?;
        form.append(self.multipart_values());
        form.whole()
    }

    /// The values in the content, then those in the query, then those of the parts that
    /// [`multipart_form`](Request::multipart_form) has read (Go's `Form`).
    ///
    /// ```
    /// # use nethttp::{Request, ResponseWriter, Result};
    /// async fn search(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    ///     let form = r.form().await?;
    ///     w.write(format!("{} tags\n", form.values("tag").count())).await
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`post_form`](Request::post_form), and for a malformed query.
    pub async fn form(&mut self) -> Result<Values> {
        let mut form = self.content_form().await?;
        form.append(self.query_form());
        form.append(self.multipart_values());
        form.whole()
    }

    /// The pairs of an urlencoded content, well-formed or not.
    pub(crate) async fn content_form(&mut self) -> Result<Parsed> {
        if let Some(read) = self.extensions.get::<ReadAs>() {
            return Ok(if let ReadAs::Form(form) = read { Parsed::clone(form) } else { Parsed::default() });
        }
        if self.form_content()? != FormContent::Pairs {
            return Ok(Parsed::default());
        }
        let limit = if self.body.is_limited() { u64::MAX } else { DEFAULT_MAX_TEXT_BYTES };
        let form = Arc::new(Parsed::read(&self.body.bytes(limit).await?));
        self.extensions.insert(ReadAs::Form(form.clone()));
        Ok(Parsed::clone(&form))
    }

    /// What the content is as a form.
    pub(crate) fn form_content(&self) -> Result<FormContent> {
        if !matches!(self.method, Method::POST | Method::PUT | Method::PATCH) {
            return Ok(FormContent::Nothing);
        }
        let content_type = self.content_type()?;
        Ok(match content_type.as_ref().map(|kind| kind.value.as_str()) {
            Some("application/x-www-form-urlencoded") => FormContent::Pairs,
            Some("multipart/form-data") => FormContent::Parts,
            None if self.body.is_empty() => FormContent::Nothing,
            _ => FormContent::Other,
        })
    }

    /// The pairs of the query, well-formed or not.
    pub(crate) fn query_form(&self) -> Parsed {
        Parsed::read(self.uri.query().unwrap_or_default().as_bytes())
    }

    /// The values of the parts that `multipart_form` has read.
    pub(crate) fn multipart_values(&self) -> Parsed {
        match self.extensions.get::<ReadAs>() {
            Some(ReadAs::Parts(values)) => Values::clone(values).into(),
            _ => Parsed::default(),
        }
    }

    /// The parts of a `multipart/form-data` or `multipart/mixed` content, one after the other as
    /// they arrive (Go's `MultipartReader`). The content moves into what is returned: it is read
    /// here or there, once.
    ///
    /// ```
    /// # use nethttp::{Request, ResponseWriter, Result};
    /// async fn upload(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    ///     let mut multipart = r.multipart()?;
    ///     while let Some(mut part) = multipart.next_part().await? {
    ///         let mut length = 0;
    ///         while let Some(chunk) = part.chunk().await? {
    ///             length += chunk.len();
    ///         }
    ///         w.write(format!("{}: {length} bytes\n", part.name())).await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotMultipart`](crate::ErrorKind::NotMultipart), whose response is 415, for content
    /// of another type; [`ErrorKind::MissingBoundary`](crate::ErrorKind::MissingBoundary) and
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed), which become a 400, for a type that
    /// says no boundary or a bad one; [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported)
    /// when the content was asked for before, here or with
    /// [`multipart_form`](Request::multipart_form).
    pub fn multipart(&mut self) -> Result<Multipart> {
        self.take_parts(&["multipart/form-data", "multipart/mixed"])
    }

    /// The parts of a content of one of these types.
    pub(crate) fn take_parts(&mut self, types: &[&str]) -> Result<Multipart> {
        if let Some(ReadAs::Parts(_)) = self.extensions.get() {
            return Err(Error::new(ErrorKind::Unsupported, "the parts of this content were asked for before"));
        }
        let content_type = self.content_type()?.filter(|kind| types.contains(&kind.value.as_str()));
        let Some(content_type) = content_type else {
            let error =
                Error::new(ErrorKind::NotMultipart, "the content is not of the multipart type that is read here");
            return Err(error.with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        };
        let Some(boundary) = content_type.get("boundary") else {
            let error = Error::new(ErrorKind::MissingBoundary, "a multipart Content-Type without a boundary");
            return Err(error.with_status(StatusCode::BAD_REQUEST));
        };
        let boundary = Boundary::new(boundary).ok_or_else(|| malformed(BAD_BOUNDARY))?;
        self.keep_values(Arc::default());
        Ok(Multipart::of(std::mem::take(&mut self.body), boundary))
    }

    /// Remembers what the parts had, for [`form`](Request::form).
    pub(crate) fn keep_values(&mut self, values: Arc<Values>) {
        self.extensions.insert(ReadAs::Parts(values));
    }

    /// `None` without one.
    pub(in crate::message) fn content_type(&self) -> Result<Option<Parameterized>> {
        let mut types = self.header.values_bytes("Content-Type");
        match (types.next(), types.next()) {
            (None, _) => Ok(None),
            (Some(text), None) => {
                let parsed = Parameterized::parse(text);
                parsed.map(Some).ok_or_else(|| malformed("the Content-Type is malformed"))
            }
            // Another reader might choose the other one.
            (Some(_), Some(_)) => Err(malformed("more than one Content-Type")),
        }
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

    /// The cookies that came with the request, in order. Pairs that are not cookies are passed
    /// over; of more than 3,000 pairs none is read. [`parse_cookie`](crate::cookie::parse_cookie) is
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
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for a name that is not a token or a value
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
        basic_credentials(&self.header)
    }

    /// Sets `Authorization: Basic`. A user with a colon cannot be told apart from its password
    /// by the other side.
    pub fn set_basic_auth(&mut self, user: &str, password: &str) {
        let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
        self.header.set("Authorization", format!("Basic {encoded}"));
    }
}

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

/// What the content of a request is as a form. Only the methods that Go names for it have one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FormContent {
    Nothing,
    /// It is urlencoded.
    Pairs,
    /// It is multipart.
    Parts,
    Other,
}

/// Time limits of one request, in place of its client's. `None` is the client's or transport's
/// own; `Some(Duration::ZERO)` is no limit. They matter to a client alone.
///
/// ```
/// use std::time::Duration;
/// use nethttp::client::Timeouts;
/// use nethttp::{Body, Method, Request, Uri};
///
/// let mut request = Request::new(Method::GET, Uri::from_static("http://example.com/slow"), Body::empty());
/// request.timeouts = Timeouts { response_header: Some(Duration::from_secs(600)), ..Timeouts::default() };
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// From the call to the last byte of the response's body, redirects included.
    pub total: Option<Duration>,
    /// To resolve the name and to connect, proxies included, TLS excluded.
    pub connect: Option<Duration>,
    /// The TLS handshake.
    pub tls_handshake: Option<Duration>,
    /// From the request's last byte to the end of the response's head.
    pub response_header: Option<Duration>,
    /// How long a body waits for `100 Continue` before it is sent anyway.
    pub expect_continue: Option<Duration>,
    /// The longest pause while the request's body is taken or the response's body comes.
    pub stall: Option<Duration>,
}

/// User and password that a request's header has (RFC 7617 §2).
pub(crate) fn basic_credentials(header: &Header) -> Option<(String, String)> {
    let (scheme, encoded) = header.get("Authorization")?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("Basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (user, password) = decoded.split_once(':')?;
    Some((user.to_owned(), password.to_owned()))
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

    fn post(content_type: &str, content: &'static str) -> Request {
        let mut request = Request::new(Method::POST, Uri::from_static("/?a=query&b=2"), content);
        request.header.set("Content-Type", content_type);
        request
    }

    const URLENCODED: &str = "application/x-www-form-urlencoded";

    #[tokio::test]
    async fn a_form_has_the_body_first_and_then_the_query_and_may_be_asked_for_again() {
        let mut request = post("Application/X-WWW-Form-URLEncoded; charset=utf-8", "a=body+one&c=%26");
        for _ in 0..2 {
            assert_eq!(request.form().await.unwrap().encode(), "a=body+one&c=%26&a=query&b=2");
            assert_eq!(request.post_form().await.unwrap().encode(), "a=body+one&c=%26");
        }
    }

    #[tokio::test]
    async fn only_the_content_of_post_put_and_patch_is_a_form() {
        let cases =
            [("POST", true), ("PUT", true), ("PATCH", true), ("GET", false), ("DELETE", false), ("QUERY", false)];
        for (method, has_form) in cases {
            let mut request = post(URLENCODED, "c=3");
            request.method = method.parse().unwrap();
            assert_eq!(request.form().await.unwrap().contains("c"), has_form, "{method}");
            assert_eq!(request.body.is_empty(), has_form, "{method}: what is no form is left alone");
        }
    }

    #[tokio::test]
    async fn content_of_another_type_is_no_form_and_a_malformed_type_is_an_error() {
        for other in ["text/plain", "multipart/form-data; boundary=x", "unknown"] {
            assert!(post(other, "c=3").post_form().await.unwrap().is_empty(), "{other}");
        }
        let mut untyped = Request::new(Method::POST, Uri::from_static("/"), "a=1");
        assert!(untyped.post_form().await.unwrap().is_empty());
        for bad in ["", "a/b/c", "application/x-www-form-urlencoded; charset", "a/b; c=1; c=2"] {
            let error = post(bad, "c=3").form().await.unwrap_err();
            assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::Malformed, 400), "{bad}");
        }
        let mut twice = post(URLENCODED, "c=3");
        twice.header.add("Content-Type", URLENCODED);
        assert_eq!(twice.form().await.unwrap_err().kind(), ErrorKind::Malformed);
    }

    #[tokio::test]
    async fn what_is_malformed_in_content_or_query_is_reported_each_time() {
        for (content, uri) in [("a=1;b=2", "/"), ("a=%zz", "/"), ("a=1", "/?b=2;c=3"), ("a=1", "/?b=%2")] {
            let mut request = post(URLENCODED, content);
            request.uri = Uri::from_static(uri);
            for _ in 0..2 {
                let error = request.form().await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Malformed, "{content} {uri}");
            }
            assert_eq!(request.post_form().await.is_ok(), content == "a=1", "the query is not its business");
        }
    }

    #[tokio::test]
    async fn a_form_is_of_10_mib_at_most_unless_the_body_has_a_limit_of_its_own() {
        let large = || Body::from(vec![b'a'; (10 << 20) + 1]);
        let ask = async |limit: Option<u64>, body: Body| {
            let mut request = post(URLENCODED, "");
            request.body = body;
            if let Some(limit) = limit {
                request.body.limit(limit);
            }
            request.post_form().await.map_err(|error| error.kind()).map(|form| form.len())
        };
        assert_eq!(ask(None, Body::from(vec![b'a'; 10 << 20])).await, Ok(1));
        assert_eq!(ask(None, large()).await, Err(ErrorKind::BodyTooLarge));
        assert_eq!(ask(Some(11 << 20), large()).await, Ok(1));
        assert_eq!(ask(Some(2), Body::from("abc")).await, Err(ErrorKind::BodyTooLarge));
    }

    #[test]
    fn a_query_passes_over_what_is_malformed() {
        let request = get("/?a=%zz&a=1;2&b&a=3+4&a=5");
        assert_eq!(request.query("a").as_deref(), Some("3 4"));
        assert_eq!((request.query("b").as_deref(), request.query("c")), (Some(""), None));
        assert_eq!(request.query_pairs().collect::<Values>().encode(), "b=&a=3+4&a=5");
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
