//! The client: cookies, redirects and the time limit over all, around the transport.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::uri::Authority;
use http::{Method, Uri};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use super::jar::CookieJar;
use super::observe::Progress;
use super::redirect::{self, Cookies, Hop, NextContent, NextRequest, RedirectDecision, Referer, RequestContent};
use super::round_trip::RoundTripper;
use super::transport::Transport;
use super::url::{IntoUrl, credentials, host_field, normalise};
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::message::{Body, Frame, Header, Redirected, Request, Response, Source, host_and_port, without_credentials};

/// An HTTP client (Go's `Client`): follows redirects, keeps cookies if it has a jar, and limits
/// how long it may all take. What carries the requests is its [`transport`](Client::transport).
///
/// Cheap to clone; clones share the transport and the jar. Make one and keep it: the connections
/// live in its transport. Settings are its fields.
///
/// ```no_run
/// use std::time::Duration;
/// use nethttp::{Client, Request};
///
/// # async fn example() -> nethttp::Result<()> {
/// let mut client = Client::new();
/// client.timeout = Duration::from_secs(30);
///
/// let text = client.get("https://example.com/").await?.text().await?;
///
/// let mut request = Request::post("https://example.com/things", "a thing")?;
/// request.header.set("Content-Type", "text/plain");
/// let response = client.send(request).await?.error_for_status()?;
/// println!("{} {}", response.status, response.header.get("Location").unwrap_or_default());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Client {
    /// What carries the requests. Default: a [`Transport`] that the clients made with
    /// [`Client::new`] share.
    pub transport: Arc<dyn RoundTripper>,
    /// Keeps cookies: gives those for each request, and takes those of each response. Default: none;
    /// then only cookies that a request has itself are sent.
    pub jar: Option<Arc<dyn CookieJar>>,
    /// The most redirects that are followed; one more is an error. Default: 9, for ten requests in
    /// all, as in Go. 0: none is followed, and the response that redirects is the answer.
    pub max_redirects: usize,
    /// Called before each redirect is followed, with the next request, which it may change, and the
    /// responses that led to it, oldest first (Go's `CheckRedirect`).
    pub check_redirect: Option<RedirectHook>,
    /// Fields that are dropped when a redirect leads to another origin, beside `Authorization`,
    /// `Cookie`, `Proxy-Authorization` and the like, which always are.
    pub sensitive_headers: Vec<String>,
    /// How long all of it may take: connecting, redirects, and reading the body of the last
    /// response. Default and [`Duration::ZERO`]: no limit.
    pub timeout: Duration,
}

/// See [`Client::check_redirect`].
pub type RedirectHook = Arc<dyn Fn(&mut Request, &[Redirected]) -> Result<RedirectChoice> + Send + Sync>;

/// What a hook decides about a redirect. If it returns an error, the call fails with that error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectChoice {
    /// Follow it.
    Follow,
    /// The response that redirects is the answer (Go's `ErrUseLastResponse`).
    UseResponse,
}

static DEFAULT: LazyLock<Client> = LazyLock::new(|| Client {
    transport: Arc::new(Transport::new()),
    jar: None,
    max_redirects: 9,
    check_redirect: None,
    sensitive_headers: Vec::new(),
    timeout: Duration::ZERO,
});

/// The process-wide client (Go's `DefaultClient`) that [`get`](crate::get) and the others use:
/// default settings, no time limit over all, no jar.
pub fn default_client() -> &'static Client {
    &DEFAULT
}

impl Default for Client {
    fn default() -> Client {
        Client::new()
    }
}

impl Client {
    /// A client with the default settings and the process-wide transport. Nothing is dialled,
    /// read or loaded before the first request.
    pub fn new() -> Client {
        DEFAULT.clone()
    }

    /// A client of its own connections, with these settings for them.
    pub fn with_transport(transport: impl RoundTripper) -> Client {
        Client { transport: Arc::new(transport), ..Client::new() }
    }

    /// Sends a GET request.
    ///
    /// # Errors
    /// As [`send`](Self::send), and for a URL that is none.
    pub async fn get(&self, url: impl IntoUrl) -> Result<Response> {
        // Made in place, and passed by reference: a request is large, and each move would copy it.
        let url = url.into_url()?;
        self.send_in_time(&mut Request::new(Method::GET, url, Body::empty())).await
    }

    /// Sends a HEAD request.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn head(&self, url: impl IntoUrl) -> Result<Response> {
        self.send_in_time(&mut Request::head(url)?).await
    }

    /// Sends a POST request with content of this type.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn post(&self, url: impl IntoUrl, content_type: &str, body: impl Into<Body>) -> Result<Response> {
        let mut request = Request::post(url, body)?;
        request.header.set("Content-Type", content_type);
        self.send_in_time(&mut request).await
    }

    /// Sends a POST request with these values as a form.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn post_form<N: AsRef<str>, V: AsRef<str>>(
        &self,
        url: impl IntoUrl,
        values: impl IntoIterator<Item = (N, V)>,
    ) -> Result<Response> {
        self.send_in_time(&mut Request::post(url, Body::empty())?.with_form(values)).await
    }

    /// Sends a request, follows redirects, and returns the last response, whatever its
    /// status: 404 is an answer (see [`Response::error_for_status`]). The response's body may
    /// still be on its way: read it, or drop it.
    ///
    /// Dropped before it is done, it leaves nothing behind: the connection that was in use is
    /// closed.
    ///
    /// # Errors
    /// With the method and the URL of the request that failed, without credentials, and with
    /// [`Error::phase`] and [`Error::sent`]. [`Error::is_timeout`] where a time limit passed, and
    /// then [`Error::limit`] says which one. [`ErrorKind::Invalid`] for what may not be sent;
    /// [`ErrorKind::Redirect`] for a redirect that cannot be followed.
    pub async fn send(&self, request: impl Into<Request>) -> Result<Response> {
        self.send_in_time(&mut request.into()).await
    }

    /// Closes the connections that are idle now.
    pub fn close_idle_connections(&self) {
        self.transport.close_idle_connections();
    }

    /// The response, within the time limit over all.
    async fn send_in_time(&self, request: &mut Request) -> Result<Response> {
        let length = request.timeouts.total.unwrap_or(self.timeout);
        if length.is_zero() {
            return self.follow(request).await;
        }
        let until = Instant::now() + length;
        let progress = Progress::attach(request);
        let outcome = {
            let mut following = pin!(self.follow(request));
            let outcome = timeout_at(until, following.as_mut()).await;
            if outcome.is_err() {
                // Before the exchange is dropped, whose connection may be to blame.
                progress.expire();
            }
            outcome
        };
        match outcome {
            Ok(Ok(mut response)) => {
                let limited = timeout_body(std::mem::take(&mut response.body), until, length);
                response.body = limited;
                Ok(response)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => {
                let error = Error::over_limit(progress.phase(), "timeout", length).with_sent(progress.sent());
                Err(about(error, request))
            }
        }
    }

    /// Sends the request and follows redirects to the response that is the caller's.
    async fn follow(&self, request: &mut Request) -> Result<Response> {
        let mut trail = Trail::begin(request)?;
        loop {
            let content = content_of(request);
            let before = self.add_secrets(request);
            // Examined in place: a response is large, and is moved only once, to the caller.
            let mut result = self.transport.round_trip(request).await;
            let Ok(response) = &mut result else { return result.map_err(|error| about(error, request)) };
            if let Some(jar) = &self.jar {
                jar.set_cookies(&jar_url(request), &response.header);
            }
            let header = before.as_ref().unwrap_or(&request.header);
            let chosen = match self.redirect(response, request, header, content, &trail) {
                RedirectDecision::Follow(next) => self.choose(request, response, *next, &mut trail),
                RedirectDecision::No => Ok(RedirectChoice::UseResponse),
                RedirectDecision::Refused(error) => Err(error),
            };
            match chosen.map_err(|error| about(error, request))? {
                RedirectChoice::UseResponse => {
                    trail.end(request, response);
                    return result;
                }
                // A dropped body is drained if its rest is short, so that the connection can be kept.
                RedirectChoice::Follow => drop(result),
            }
        }
    }

    /// Adds the cookies of the jar and the credentials of the URL, which are for this hop alone. Returns
    /// the fields without them, if any were added: a redirect builds the next request from those.
    fn add_secrets(&self, request: &mut Request) -> Option<Header> {
        let cookies = self.jar.as_ref().and_then(|jar| jar.cookie_field(&jar_url(request)));
        let credentials = credentials_of(request).filter(|_| !request.header.contains("Authorization"));
        let before = (cookies.is_some() || credentials.is_some()).then(|| request.header.clone());
        if let Some(cookies) = cookies {
            let own = request.header.values_bytes("Cookie").filter(|pairs| !pairs.is_empty());
            let all: Vec<&[u8]> = own.chain([cookies.as_slice()]).collect();
            // RFC 6265 §5.4: one field for all cookies.
            let all = all.join(&b"; "[..]);
            request.header.set("Cookie", all);
        }
        if let Some((user, password)) = credentials {
            request.set_basic_auth(&user, &password);
        }
        before
    }

    fn redirect(
        &self,
        response: &Response,
        request: &Request,
        header: &Header,
        content: RequestContent,
        trail: &Trail,
    ) -> RedirectDecision {
        if self.max_redirects == 0 {
            return RedirectDecision::No;
        }
        redirect::decide(Hop {
            status: response.status,
            response: &response.header,
            method: &request.method,
            url: &request.uri,
            header,
            host: &trail.host,
            content,
            referer: trail.referer,
            cookies: if self.jar.is_some() { Cookies::Jar } else { Cookies::Caller },
            also_sensitive: &self.sensitive_headers,
            followed: trail.history.len(),
            limit: self.max_redirects,
        })
    }

    /// Makes the next request of this one, unless the hook wants the response itself.
    fn choose(
        &self,
        request: &mut Request,
        response: &Response,
        next: NextRequest,
        trail: &mut Trail,
    ) -> Result<RedirectChoice> {
        trail.history.push(Redirected::new(request.uri.clone(), response.status, response.header.clone()));
        let before = (request.uri.clone(), request.method.clone());
        trail.enter(request, next)?;
        let proposed = request.uri.clone();
        let choice = match &self.check_redirect {
            Some(hook) => hook(request, &trail.history).map_err(|error| error.during(Phase::Redirect))?,
            None => RedirectChoice::Follow,
        };
        if choice == RedirectChoice::UseResponse {
            (request.uri, request.method) = before;
            trail.history.pop();
        } else {
            // If the hook has set another URL, the request is for another host, unless the hook has set
            // `host` as well.
            normalise(&mut request.uri)?;
            if request.uri != proposed && request.host == host_field(&proposed) {
                host_field(&request.uri).clone_into(&mut request.host);
            }
        }
        Ok(choice)
    }
}

/// What is remembered from one redirect to the next.
struct Trail {
    /// The host that the caller asks for in place of the URL's.
    host: String,
    referer: Referer,
    history: Vec<Redirected>,
}

impl Trail {
    fn begin(request: &mut Request) -> Result<Trail> {
        let authority = request.uri.authority().map_or("", Authority::as_str);
        // Most URLs have no user: the first comparison is enough for them.
        let is_from_url = request.host == authority || request.host == host_and_port(authority);
        let host = if is_from_url { String::new() } else { request.host.clone() };
        normalise(&mut request.uri).map_err(|error| about(error, request))?;
        // A normal URL has no default port: what stands after the user is the value of `Host`. Most
        // requests have it already.
        let authority = request.uri.authority().map_or("", Authority::as_str);
        if host.is_empty() && request.host != authority {
            request.host = host_and_port(authority).to_owned();
        }
        Ok(Trail { host, referer: Referer::Caller, history: Vec::new() })
    }

    /// The request becomes the next one.
    fn enter(&mut self, request: &mut Request, next: NextRequest) -> Result<()> {
        let NextRequest { method, url, header, host, content, referer } = next;
        request.body = match content {
            NextContent::Dropped => Body::empty(),
            NextContent::Kept => request.body.try_clone()?.unwrap_or_default(),
        };
        if content == NextContent::Dropped {
            request.trailer.clear();
            request.content_length = None;
        }
        request.host = if host.is_empty() { host_field(&url).to_owned() } else { host.clone() };
        (request.method, request.uri, request.header) = (method, url, header);
        (self.host, self.referer) = (host, referer);
        Ok(())
    }

    /// Moves method, URL and redirects into the response; the request is not needed any more.
    fn end(self, request: &mut Request, response: &mut Response) {
        let info = response.info.get_or_insert_default();
        info.request = Some((std::mem::take(&mut request.method), std::mem::take(&mut request.uri)));
        info.history = self.history;
    }
}

/// User and password of the URL. Where the host is all of the authority, as it mostly is, there are
/// none, and nothing is searched for them.
fn credentials_of(request: &Request) -> Option<(String, String)> {
    let authority = request.uri.authority()?;
    if request.host == authority.as_str() { None } else { credentials(&request.uri) }
}

/// What is known of the request's content before it is sent.
fn content_of(request: &Request) -> RequestContent {
    match &request.body {
        body if body.is_empty() => RequestContent::None,
        body if body.is_replayable() => RequestContent::Replayable,
        _ => RequestContent::Gone,
    }
}

/// Adds the request to an error. A gateway that returns it responds with 502 or 504, as the fault is
/// the server's, unless the error has a status of its own: only the request's body can have set one.
/// The status of a proxy does not count: it is meant for this client.
fn about(error: Error, request: &Request) -> Error {
    let is_own = error.status().is_some() && error.kind() != ErrorKind::Proxy;
    let error = if is_own { error } else { error.of_gateway() };
    error.with_request(&request.method, || without_credentials(&request.uri))
}

/// Cookies belong to the host of the `Host` field, not to the one that is connected to (Go 1.26).
fn jar_url(request: &Request) -> Uri {
    if request.host == host_field(&request.uri) {
        return request.uri.clone();
    }
    let mut parts = request.uri.clone().into_parts();
    parts.authority = request.host.parse().ok().or(parts.authority);
    Uri::from_parts(parts).unwrap_or_else(|_| request.uri.clone())
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("max_redirects", &self.max_redirects)
            .field("timeout", &self.timeout)
            .field("has_jar", &self.jar.is_some())
            .finish_non_exhaustive()
    }
}

/// The same content, until the limit of this length passes.
fn timeout_body(body: Body, until: Instant, length: Duration) -> Body {
    // Content that is here already cannot be late.
    if body.is_in_memory() {
        return body;
    }
    Body::from_source(TimeoutBody { body, until: Box::pin(sleep_until(until)), length })
}

struct TimeoutBody {
    body: Body,
    until: Pin<Box<Sleep>>,
    length: Duration,
}

impl Source for TimeoutBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame>>> {
        if self.until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(Error::over_limit(Phase::Body, "timeout", self.length))));
        }
        Poll::Ready(match ready!(self.body.poll_chunk(cx)) {
            Some(chunk) => Some(chunk.map(Frame::Data)),
            None => self.body.take_trailer().map(|trailer| Ok(Frame::Trailer(trailer))),
        })
    }

    fn remaining(&self) -> Option<u64> {
        self.body.remaining()
    }
}
