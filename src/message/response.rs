//! A response, the same on the server and on the client, and what a client knows beside it of how it came.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode, Uri, Version};

use super::body::Body;
use super::charset;
use super::connection::{Addr, TlsInfo};
use super::cookie::{self, Cookie};
use super::header::Header;
use super::uri::without_credentials;
use crate::error::{Error, ErrorKind, Result};

/// What [`Response::bytes`], [`Response::text`] and [`Response::json`] read at most: 64 MiB, counted
/// after a content coding was taken off.
pub const DEFAULT_MAX_CLIENT_BYTES: u64 = 64 << 20;

/// An HTTP response as a value: what a handler made with [`respond`](crate::respond) returns.
///
/// ```
/// use nethttp::{Response, StatusCode};
///
/// let response = Response::new("created\n").with_status(StatusCode::CREATED).with_header("Location", "/things/7");
/// assert_eq!(response.status, StatusCode::CREATED);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Response {
    /// The status code.
    pub status: StatusCode,
    /// The protocol version of the peer; of no effect on a response that is to be sent.
    pub proto: Version,
    /// The header fields.
    pub header: Header,
    /// The content.
    pub body: Body,
    /// The length of the content as announced; `None` when it is not known beforehand. Of no
    /// effect on a response that is to be sent: the body says its length.
    pub content_length: Option<u64>,
    /// The TLS session that it came over; `None` without TLS, and on a server.
    pub tls: Option<Arc<TlsInfo>>,
    /// How it arrived; `None` for a response that was made by hand.
    pub(crate) info: Option<Box<ResponseInfo>>,
}

impl Response {
    /// Whether its connection, or its stream, has become one of another protocol.
    #[cfg(all(feature = "server", feature = "client"))]
    pub(crate) fn has_switched(&self) -> bool {
        self.info.as_ref().is_some_and(|info| info.switched.is_some())
    }

    /// 200 with this content.
    pub fn new(body: impl Into<Body>) -> Response {
        let body = body.into();
        Response {
            status: StatusCode::OK,
            proto: Version::HTTP_11,
            header: Header::new(),
            content_length: body.remaining(),
            body,
            tls: None,
            info: None,
        }
    }

    /// The same with another status.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Response {
        self.status = status;
        self
    }

    /// The same with this field set.
    #[must_use]
    pub fn with_header(mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) -> Response {
        self.header.set(name, value);
        self
    }

    /// The cookies that the response sets, in order. Lines that are not cookies are passed over;
    /// of more than 3,000 lines none is read.
    ///
    /// ```
    /// use nethttp::{Cookie, Response, set_cookie};
    ///
    /// let mut response = Response::new("");
    /// set_cookie(&mut response.header, &Cookie { secure: true, ..Cookie::new("theme", "dark") })?;
    /// let cookie = response.cookies().next().unwrap();
    /// assert!(cookie.name == "theme" && cookie.secure);
    /// # Ok::<(), nethttp::Error>(())
    /// ```
    pub fn cookies(&self) -> impl Iterator<Item = Cookie> + '_ {
        cookie::read_set_cookies(&self.header)
    }

    /// The whole content, of [`DEFAULT_MAX_CLIENT_BYTES`] at most; for another limit ask
    /// [`Body::bytes`]. A second call has nothing left to read.
    ///
    /// # Errors
    /// As [`Body::chunk`]; [`ErrorKind::BodyTooLarge`] when there is more.
    pub async fn bytes(&mut self) -> Result<Bytes> {
        self.body.bytes(DEFAULT_MAX_CLIENT_BYTES).await.map_err(|error| match error.kind() {
            // Not an error that becomes 413: what a gateway's own client sent was not too large.
            ErrorKind::BodyTooLarge => {
                let limit = error.limit_bytes().unwrap_or(DEFAULT_MAX_CLIENT_BYTES);
                self.about(Error::too_large(limit, error.message().to_owned()))
            }
            _ => self.about(error),
        })
    }

    /// The whole content as text, of [`DEFAULT_MAX_CLIENT_BYTES`] at most. It is read in the charset that a
    /// byte order mark tells, else in the one that `Content-Type` names, else as UTF-8; the mark is left
    /// out. With the feature `charset`, which is on by default, these are all that browsers know
    /// (ISO-8859-1 is read as windows-1252, as they do); without it, UTF-8 alone.
    ///
    /// # Errors
    /// As [`bytes`](Response::bytes); [`ErrorKind::Malformed`] when it is not in that charset;
    /// [`ErrorKind::Unsupported`] for a charset that is not known. No character is replaced.
    pub async fn text(&mut self) -> Result<String> {
        let bytes = self.bytes().await?;
        charset::decode_text(bytes.into(), self.header.values_bytes("Content-Type").next())
            .map_err(|error| self.about(error))
    }

    /// The whole content read as JSON, of [`DEFAULT_MAX_CLIENT_BYTES`] at most.
    ///
    /// # Errors
    /// As [`bytes`](Response::bytes); [`ErrorKind::Malformed`] when it is not JSON of this type.
    #[cfg(feature = "json")]
    pub async fn json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T> {
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            let text = "the content is not the JSON that was expected";
            self.about(Error::new(ErrorKind::Malformed, text).with_source(error))
        })
    }

    /// Names method and URL of the request, where a client sent one.
    fn about(&self, error: Error) -> Error {
        match self.info.as_ref().and_then(|info| info.request.as_ref()) {
            Some((method, url)) => error.with_request(method, || without_credentials(url)),
            None => error,
        }
    }

    /// The response, unless its status is 400 or above.
    ///
    /// ```
    /// use nethttp::{ErrorKind, Response, StatusCode};
    ///
    /// let error = Response::new("").with_status(StatusCode::NOT_FOUND).error_for_status().unwrap_err();
    /// assert_eq!((error.kind(), error.status()), (ErrorKind::Status, Some(StatusCode::NOT_FOUND)));
    /// assert_eq!(error.to_string(), "the status is 404 Not Found");
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Status`] with the status, and with the request's [`url`](Error::url) where a client sent
    /// one.
    pub fn error_for_status(self) -> Result<Response> {
        if self.status.as_u16() < 400 {
            return Ok(self);
        }
        let reason = self.status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
        let message = format!("the status is {}{reason}", self.status.as_str());
        Err(self.about(Error::new(ErrorKind::Status, message).with_status(self.status)))
    }

    /// The URL that it came from, after all redirects; `None` where no client sent the request. User
    /// and password are in it where they were in the request's.
    pub fn url(&self) -> Option<&Uri> {
        self.info.as_ref()?.request.as_ref().map(|(_, url)| url)
    }

    /// The other end of the connection that it came over: the proxy's where there is one.
    pub fn remote_addr(&self) -> Option<&Addr> {
        self.info.as_ref()?.remote_addr.as_ref()
    }

    /// This end of the connection that it came over.
    pub fn local_addr(&self) -> Option<&Addr> {
        self.info.as_ref()?.local_addr.as_ref()
    }

    /// Whether its connection had served another request before.
    pub fn is_reused(&self) -> bool {
        self.info.as_ref().is_some_and(|info| info.reused)
    }

    /// When each step of the exchange was done; after redirects, of the last one. All are `None` where
    /// no client sent the request.
    pub fn timings(&self) -> Timings {
        self.info.as_ref().map(|info| info.timings).unwrap_or_default()
    }

    /// The redirects that led to it, in order.
    pub fn history(&self) -> &[Redirected] {
        self.info.as_ref().map_or(&[], |info| &info.history)
    }
}

/// Errors that are answered by a response of their own.
impl Error {
    /// An error that a handler returns to have this response sent, when nothing was sent before: an
    /// application's own errors, in its own form. Fields that were set around the handler stay, unless the
    /// response has one of the same name; [`ResponseWriter::header`](crate::ResponseWriter::header) says
    /// which.
    ///
    /// A status below 300 is none of an error: it is answered by a plain 500, and the text of the response
    /// goes to the log alone.
    ///
    /// ```
    /// use nethttp::{Error, Response, StatusCode};
    ///
    /// let response = Response::new("{\"error\":\"taken\"}")
    ///     .with_status(StatusCode::CONFLICT)
    ///     .with_header("Content-Type", "application/json");
    /// let error = Error::from_response(response);
    /// assert_eq!(error.status(), Some(StatusCode::CONFLICT));
    /// ```
    pub fn from_response(mut response: Response) -> Error {
        let status = response.status;
        if status.as_u16() < 300 {
            let text = response.body.take_memory().and_then(|content| String::from_utf8(content.into()).ok());
            let text = text.filter(|text| !text.trim().is_empty());
            return Error::other(text.unwrap_or_else(|| format!("an error was made of a response of status {status}")));
        }
        Error::new(ErrorKind::Answer, "")
            .with_source(format!("the response is {status}"))
            .with_status(status)
            .with_response(Box::new(response))
    }

    /// The response that the error carries; see [`from_response`](Error::from_response).
    pub fn response(&self) -> Option<&Response> {
        self.any_response()?.downcast_ref()
    }

    /// Takes it out.
    #[cfg(feature = "server")]
    pub(crate) fn take_response(&mut self) -> Option<Response> {
        let response = self.take_any_response()?.downcast().ok()?;
        Some(*response)
    }
}

impl<B: Into<Body>> From<http::Response<B>> for Response {
    fn from(response: http::Response<B>) -> Response {
        let (parts, body) = response.into_parts();
        let mut ours = Response::new(body).with_status(parts.status);
        ours.proto = parts.version;
        ours.header = parts.headers.into();
        ours
    }
}

impl From<Response> for http::Response<Body> {
    fn from(response: Response) -> http::Response<Body> {
        let mut theirs = http::Response::new(response.body);
        *theirs.status_mut() = response.status;
        *theirs.version_mut() = response.proto;
        *theirs.headers_mut() = response.header.into();
        theirs
    }
}

/// Kept with a response: the connection that it came over, when, and after which redirects.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResponseInfo {
    /// Method and URL of the last request.
    pub(crate) request: Option<(Method, Uri)>,
    pub(crate) local_addr: Option<Addr>,
    pub(crate) remote_addr: Option<Addr>,
    pub(crate) reused: bool,
    pub(crate) timings: Timings,
    pub(crate) history: Vec<Redirected>,
    /// The connection, after it has switched to another protocol. Only the client knows the type.
    pub(crate) switched: Option<Arc<dyn Any + Send + Sync>>,
}

/// When the steps of an exchange were done, each counted from its start. A step that was not taken is
/// `None`: a connection that is reused needs no lookup and no dial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timings {
    /// The name was resolved.
    pub resolved: Option<Duration>,
    /// The connection was made, to the proxy where there is one.
    pub connected: Option<Duration>,
    /// The TLS handshake was done.
    pub secured: Option<Duration>,
    /// There was a connection to use, new or idle.
    pub got_connection: Option<Duration>,
    /// The request's head was written.
    pub wrote_head: Option<Duration>,
    /// The whole request was written; `None` while its body is still on its way.
    pub wrote_request: Option<Duration>,
    /// The first byte of the response came.
    pub first_byte: Option<Duration>,
    /// The response's head was complete.
    pub head: Option<Duration>,
}

/// A response that led on to another request.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Redirected {
    /// The URL of its request.
    pub url: Uri,
    /// The status of the response.
    pub status: StatusCode,
    /// The fields of the response; `Location` is among them.
    pub header: Header,
}

impl Redirected {
    pub(crate) fn new(url: Uri, status: StatusCode, header: Header) -> Redirected {
        Redirected { url, status, header }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Method;

    use super::*;

    fn response_to(url: &'static str) -> Response {
        let request = Some((Method::GET, Uri::from_static(url)));
        Response { info: Some(Box::new(ResponseInfo { request, ..ResponseInfo::default() })), ..Response::new("") }
    }

    #[tokio::test]
    async fn content_is_read_as_bytes_and_as_text() {
        assert_eq!(Response::new("hello").bytes().await.unwrap(), "hello");
        assert_eq!(Response::new("h\u{e9}llo").text().await.unwrap(), "h\u{e9}llo");
        let error = Response::new(&b"h\xe9"[..]).text().await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Malformed, None));
    }

    #[tokio::test]
    async fn content_is_of_64_mib_at_most_and_that_is_no_413_for_anyone_else() {
        let of = |length: usize| Response::new(Bytes::from(vec![b'a'; length]));
        let most = usize::try_from(DEFAULT_MAX_CLIENT_BYTES).unwrap();
        assert_eq!(of(most).bytes().await.unwrap().len(), most);
        let error = of(most + 1).bytes().await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::BodyTooLarge, None));
        assert_eq!(error.to_string(), "the body is over its limit of 67108864 bytes");
    }

    #[cfg(feature = "json")]
    #[tokio::test]
    async fn content_is_read_as_json() {
        assert_eq!(Response::new("[1, 2]").json::<Vec<u8>>().await.unwrap(), [1, 2]);
        let error = Response::new("[1, 300]").json::<Vec<u8>>().await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (ErrorKind::Malformed, None));
    }

    #[test]
    fn from_400_on_a_status_can_be_an_error() {
        for (status, is_error) in [(200, false), (304, false), (399, false), (400, true), (503, true), (999, true)] {
            let response = Response::new("").with_status(StatusCode::from_u16(status).unwrap());
            assert_eq!(response.error_for_status().is_err(), is_error, "{status}");
        }
        let unavailable = response_to("http://u:secret@a.test/x?y").with_status(StatusCode::SERVICE_UNAVAILABLE);
        let error = unavailable.error_for_status().unwrap_err();
        assert_eq!(error.to_string(), "GET http://a.test/x?y: the status is 503 Service Unavailable");
        assert_eq!(error.url(), Some("http://a.test/x?y"));
        let unknown = Response::new("").with_status(StatusCode::from_u16(599).unwrap());
        assert_eq!(unknown.error_for_status().unwrap_err().to_string(), "the status is 599");
    }

    #[test]
    fn how_it_came_is_known_where_a_client_asked() {
        let by_hand = Response::new("");
        assert_eq!((by_hand.url(), by_hand.remote_addr(), by_hand.local_addr()), (None, None, None));
        assert_eq!((by_hand.is_reused(), by_hand.timings(), by_hand.history().len()), (false, Timings::default(), 0));

        let address = |port: u16| Addr::Tcp(([127, 0, 0, 1], port).into());
        let info = ResponseInfo {
            request: Some((Method::GET, Uri::from_static("http://a.test/"))),
            local_addr: Some(address(1)),
            remote_addr: Some(address(2)),
            reused: true,
            timings: Timings { head: Some(Duration::from_millis(5)), ..Timings::default() },
            history: vec![Redirected::new(Uri::from_static("http://b.test/"), StatusCode::FOUND, Header::new())],
            switched: None,
        };
        let response = Response { info: Some(Box::new(info)), ..Response::new("") };
        assert_eq!(response.url().unwrap(), "http://a.test/");
        assert_eq!((response.local_addr(), response.remote_addr()), (Some(&address(1)), Some(&address(2))));
        assert!(response.is_reused() && response.timings().head.is_some() && response.timings().resolved.is_none());
        assert_eq!(response.history()[0].url, "http://b.test/");
    }
}
