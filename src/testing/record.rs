//! Calls a handler, and keeps all of its response.

use std::future::poll_fn;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode, Uri};

use crate::error::{Error, ErrorKind};
use crate::message::{Addr, Body, Header, Request};
use crate::server::{CallContent, CallDriver, CallSettings, Handler, ResponseWriter, Server, ServerEvent};

/// A request as a server receives it (Go's `httptest.NewRequest`), to be given to [`record`]. Fields and content
/// are added as to any request: [`Request::with_header`], [`Request::with_json`].
///
/// `target` is a path with or without a query, or a whole URL. Without a host in it the host is
/// `example.com`. The request comes from `192.0.2.1:1234`, an address that nobody has (RFC 5737).
///
/// ```
/// use nethttp::testing;
///
/// let request = testing::request("GET", "/search?q=1").with_header("Accept", "text/html");
/// assert_eq!((&*request.path(), &*request.host), ("/search", "example.com"));
/// ```
///
/// # Panics
/// When the method is no token, or the target no URL: in a test that is a mistake of the test.
#[track_caller]
pub fn request(method: &str, target: &str) -> Request {
    let method = Method::from_bytes(method.as_bytes())
        .unwrap_or_else(|_| panic!("testing::request: {method:?} is no method (RFC 9110 §9.1)"));
    let uri: Uri = target
        .parse()
        .unwrap_or_else(|error| panic!("testing::request: {target:?} is no request target (RFC 9112 §3.2): {error}"));
    let mut request = Request::new(method, uri, Body::empty());
    if request.host.is_empty() {
        "example.com".clone_into(&mut request.host);
    }
    request.remote_addr = Addr::Tcp(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 1234));
    request
}

/// The response of a handler (Go's `ResponseRecorder`). Made by [`record`].
#[derive(Debug)]
#[non_exhaustive]
pub struct RecordedResponse {
    /// The status.
    pub status: StatusCode,
    /// The fields: those that the handler has set, `Content-Type` and `Content-Length` as a client gets them.
    /// `Date` only where the handler has set it.
    pub header: Header,
    /// The content. Empty in response to HEAD.
    pub content: Bytes,
    /// The trailer.
    pub trailer: Header,
    /// The informational responses (1xx) that came before, in order.
    pub informational: Vec<(StatusCode, Header)>,
    /// Whether the handler has flushed what it had written, before its end.
    pub flushed: bool,
    /// What the handler has returned in place of `Ok`, or its panic. What the client is told of it is in the
    /// status and the content.
    pub error: Option<Error>,
    /// Whether the response is whole. One that has begun and then failed is not: a client's read of it fails.
    pub complete: bool,
}

impl RecordedResponse {
    /// The content as text.
    ///
    /// # Panics
    /// When it is not UTF-8.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.content).expect("the content is UTF-8")
    }

    /// The content read as JSON.
    ///
    /// # Panics
    /// When it is not JSON of this type.
    #[cfg(feature = "json")]
    #[track_caller]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.content).unwrap_or_else(|error| {
            panic!("the content is not the JSON that was expected: {error}: {:?}", self.content)
        })
    }
}

/// Calls a handler with a request, runs it to its end, and returns its response. Any handler will do: a
/// function, a mux with all that is wrapped around it.
///
/// All is decided as over a connection, by the same code: a handler's error becomes the response that a client
/// would get, a short content gets its length and its type, HEAD and 304 have no content. Only protocols are
/// left out, with their limits and timeouts; for these see [`Server::in_memory`](super::Server::in_memory).
///
/// A response without an end never returns: take it with [`call`](crate::server::call()), and read some of its body.
///
/// ```
/// use nethttp::{Error, Request, Response, StatusCode, respond, testing};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let handler = respond(async |r: &mut Request| {
///     let name = r.query("name").ok_or(Error::answer(StatusCode::BAD_REQUEST, "who are you?"))?;
///     Ok::<_, Error>(Response::new(format!("hello, {name}")))
/// });
/// let recorded = testing::record(&handler, testing::request("GET", "/?name=you")).await;
/// assert_eq!(recorded.text(), "hello, you");
/// let recorded = testing::record(&handler, testing::request("GET", "/")).await;
/// assert_eq!(recorded.status, StatusCode::BAD_REQUEST);
/// assert!(recorded.error.is_some());
/// # }
/// ```
///
/// # Panics
/// When the handler ends without any response, with [`abort`](crate::server::abort).
pub async fn record<H: Handler>(handler: &H, request: impl Into<Request>) -> RecordedResponse {
    let failure = Arc::new(Mutex::new(None));
    let mut server = Server::new(unused);
    let sink = failure.clone();
    server.on_event = Some(Arc::new(move |event: &ServerEvent| {
        *sink.lock().unwrap_or_else(PoisonError::into_inner) = failure_of(event);
    }));
    let settings = Arc::new(server.call_settings());
    let mut request = request.into();
    // For what a handler calls behind a service.
    request.extensions.insert(CallSettings(settings.clone()));
    let mut driver = CallDriver::new::<H, _>(settings, handler, request, Some(Vec::new()));
    let head = match poll_fn(|cx| driver.poll_head(cx)).await {
        Ok(head) => head,
        Err(error) => panic!("the handler has ended without a response: {error}"),
    };
    let (content, trailer) = content_of(&mut driver).await;
    let complete = trailer.is_some();
    let informational = driver.take_informational();
    let flushed = driver.is_flushed();
    let error = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
    RecordedResponse {
        status: head.status,
        header: head.header,
        content,
        trailer: trailer.unwrap_or_default(),
        informational,
        flushed,
        error,
        complete,
    }
}

/// The content, and the trailer of a response that is whole.
async fn content_of(driver: &mut CallDriver<'_>) -> (Bytes, Option<Header>) {
    let mut content = BytesMut::new();
    let mut trailer = Header::new();
    loop {
        match poll_fn(|cx| driver.poll_content(cx)).await {
            Ok(CallContent::Data(data)) => content.extend_from_slice(&data),
            Ok(CallContent::Trailer(fields)) => trailer = fields,
            Ok(CallContent::End) => return (content.freeze(), Some(trailer)),
            Err(_) => return (content.freeze(), None),
        }
    }
}

async fn unused(_: &mut ResponseWriter, _: &mut Request) -> crate::error::Result<()> {
    Ok(())
}

fn failure_of(event: &ServerEvent) -> Option<Error> {
    match event {
        ServerEvent::HandlerFailed { error, .. } => Some(error.again()),
        ServerEvent::HandlerPanicked { message, .. } => {
            Some(Error::new(ErrorKind::Other, format!("the handler panicked: {message}")))
        }
        _ => None,
    }
}
