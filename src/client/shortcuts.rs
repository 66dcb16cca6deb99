//! Requests in one line.

use http::Method;

use super::client::default_client;
use super::url::IntoUrl;
use crate::error::Result;
use crate::message::{Body, Request, Response};

impl Request {
    /// A GET request for this URL.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for what is no URL ([`IntoUrl`]).
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

/// Sends a GET request with the [`default_client`](crate::default_client) (Go's `http.Get`).
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
