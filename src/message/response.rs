//! A response, the same on the server and on the client.

use std::sync::Arc;

use http::{StatusCode, Version};

use super::body::Body;
use super::cookie::{self, Cookie};
use super::facts::Facts;
use super::header::Header;
use super::tls::TlsInfo;

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
    /// How it came; `None` for a response that was made by hand.
    pub(crate) facts: Option<Box<Facts>>,
}

impl Response {
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
            facts: None,
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

    /// The whole content as text.
    pub async fn text(&mut self) -> crate::error::Result<String> {
        self.body.text().await
    }

    /// Whether it came over a connection that had served before.
    pub fn is_reused(&self) -> bool {
        self.facts.as_ref().is_some_and(|facts| facts.reused)
    }

    /// The cookies that the response sets, in order. Lines that are no cookie are passed over;
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
