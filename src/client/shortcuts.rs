//! Methods and functions that need the client: requests made from a URL, requests sent in one line, and
//! `Response::location`.

use http::{Method, Uri};

use super::client::default_client;
use super::url::{IntoUrl, join};
use crate::error::Result;
use crate::message::{Body, Request, Response};

impl Request {
    /// A GET request for this URL.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for what is not a URL ([`IntoUrl`]).
    ///
    /// ```
    /// use nethttp::Request;
    ///
    /// let mut request = Request::get("https://example.com/search?q=rust")?;
    /// request.header.set("Accept", "text/html");
    /// # Ok::<(), nethttp::Error>(())
    /// ```
    pub fn get(url: impl IntoUrl) -> Result<Request> {
        Request::to(Method::GET, url, Body::empty())
    }

    /// A HEAD request.
    ///
    /// # Errors
    /// As [`get`](Request::get).
    pub fn head(url: impl IntoUrl) -> Result<Request> {
        Request::to(Method::HEAD, url, Body::empty())
    }

    /// A POST request with this content.
    ///
    /// # Errors
    /// As [`get`](Request::get).
    pub fn post(url: impl IntoUrl, body: impl Into<Body>) -> Result<Request> {
        Request::to(Method::POST, url, body)
    }

    /// A PUT request with this content.
    ///
    /// # Errors
    /// As [`get`](Request::get).
    pub fn put(url: impl IntoUrl, body: impl Into<Body>) -> Result<Request> {
        Request::to(Method::PUT, url, body)
    }

    /// A PATCH request with this content (RFC 5789).
    ///
    /// # Errors
    /// As [`get`](Request::get).
    pub fn patch(url: impl IntoUrl, body: impl Into<Body>) -> Result<Request> {
        Request::to(Method::PATCH, url, body)
    }

    /// A DELETE request.
    ///
    /// # Errors
    /// As [`get`](Request::get).
    pub fn delete(url: impl IntoUrl) -> Result<Request> {
        Request::to(Method::DELETE, url, Body::empty())
    }

    /// A request with any method for this URL.
    ///
    /// # Errors
    /// As [`get`](Request::get).
    pub fn to(method: Method, url: impl IntoUrl, body: impl Into<Body>) -> Result<Request> {
        Ok(Request::new(method, url.into_url()?, body))
    }
}

impl Response {
    /// The URL in `Location`, resolved against the request's (Go's `Location`); `None` where there is
    /// none, or an empty one. The first counts where there are several.
    ///
    /// In a response that no client got, it has to be a whole URL.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when it is no URL with http or https.
    pub fn location(&self) -> Result<Option<Uri>> {
        let Some(location) = self.header.get_bytes("Location").filter(|value| !value.trim_ascii().is_empty()) else {
            return Ok(None);
        };
        match self.url() {
            Some(url) => join(url, location).map(Some),
            None => String::from_utf8_lossy(location).trim_ascii().into_url().map(Some),
        }
    }
}

/// Sends a GET request with the [`default_client`](crate::client::default_client) (Go's `http.Get`).
///
/// # Errors
/// As [`Client::get`](crate::Client::get).
///
/// ```no_run
/// # async fn example() -> nethttp::Result<()> {
/// let body = nethttp::get("https://example.com/").await?.text().await?;
/// # Ok(())
/// # }
/// ```
pub async fn get(url: impl IntoUrl) -> Result<Response> {
    default_client().get(url).await
}

/// Sends a HEAD request with the default client.
///
/// # Errors
/// As [`Client::head`](crate::Client::head).
pub async fn head(url: impl IntoUrl) -> Result<Response> {
    default_client().head(url).await
}

/// Sends a POST request with content of this type with the default client.
///
/// # Errors
/// As [`Client::post`](crate::Client::post).
pub async fn post(url: impl IntoUrl, content_type: &str, body: impl Into<Body>) -> Result<Response> {
    default_client().post(url, content_type, body).await
}

/// Sends a POST request with these values as a form with the default client.
///
/// # Errors
/// As [`Client::post_form`](crate::Client::post_form).
pub async fn post_form<N: AsRef<str>, V: AsRef<str>>(
    url: impl IntoUrl,
    values: impl IntoIterator<Item = (N, V)>,
) -> Result<Response> {
    default_client().post_form(url, values).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::ResponseInfo;

    #[test]
    fn a_location_is_resolved_against_the_url_of_the_request() {
        let asked = || {
            let request = Some((Method::GET, Uri::from_static("http://a.test/x/y")));
            Response { info: Some(Box::new(ResponseInfo { request, ..ResponseInfo::default() })), ..by_hand() }
        };
        let leads = |response: Response, location: &str| response.with_header("Location", location).location();
        assert_eq!(asked().location().unwrap(), None);
        assert_eq!(leads(asked(), " ").unwrap(), None);
        assert_eq!(leads(asked(), "z").unwrap().unwrap(), "http://a.test/x/z");
        assert!(leads(asked(), "ftp://a.test/").is_err());
        assert_eq!(leads(by_hand(), "http://b.test/").unwrap().unwrap(), "http://b.test/");
        assert!(leads(by_hand(), "/z").is_err());
    }

    fn by_hand() -> Response {
        Response::new("")
    }
}
