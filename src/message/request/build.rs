//! Requests put together by hand: for a client, and for tests of handlers.
//!
//! Each `set_…` changes a request, each `with_…` is the same in a chain.

use super::{Request, Timeouts};
use crate::error::Result;
#[cfg(feature = "json")]
use crate::error::{Error, ErrorKind};
use crate::message::body::Body;
use crate::message::form::ReadAs;

use crate::message::uri::{OldQuery, with_query};

impl Request {
    /// The token of `Authorization: Bearer` (RFC 6750 §2.1); `None` when there is none.
    pub fn bearer_auth(&self) -> Option<&str> {
        let (scheme, token) = self.header.get("Authorization")?.split_once(' ')?;
        let token = token.trim();
        (scheme.eq_ignore_ascii_case("Bearer") && !token.is_empty()).then_some(token)
    }

    /// Sets `Authorization: Bearer`.
    pub fn set_bearer_auth(&mut self, token: &str) {
        self.header.set("Authorization", format!("Bearer {token}"));
    }

    /// Puts these pairs in place of the query of the URL, escaped. Without any pair there is no
    /// query afterwards.
    ///
    /// ```
    /// use nethttp::{Body, Method, Request, Uri};
    ///
    /// let mut request = Request::new(Method::GET, Uri::from_static("http://a.test/search?old"), Body::empty());
    /// request.set_query([("q", "fish & chips"), ("page", "2")])?;
    /// assert_eq!(request.uri, "http://a.test/search?q=fish+%26+chips&page=2");
    /// # Ok::<(), nethttp::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) when the URL gets longer than 65,534 bytes; it is as before then.
    pub fn set_query<Name, Value>(&mut self, pairs: impl IntoIterator<Item = (Name, Value)>) -> Result<()>
    where
        Name: AsRef<str>,
        Value: AsRef<str>,
    {
        self.uri = with_query(&self.uri, OldQuery::Replaced, pairs)?;
        Ok(())
    }

    /// Adds these pairs to the query of the URL, escaped, after those that are there.
    ///
    /// # Errors
    /// As [`set_query`](Request::set_query).
    pub fn add_query<Name, Value>(&mut self, pairs: impl IntoIterator<Item = (Name, Value)>) -> Result<()>
    where
        Name: AsRef<str>,
        Value: AsRef<str>,
    {
        self.uri = with_query(&self.uri, OldQuery::Kept, pairs)?;
        Ok(())
    }

    /// Puts other content in, and its length where that is known.
    pub fn set_body(&mut self, body: impl Into<Body>) {
        self.body = body.into();
        self.content_length = self.body.remaining();
        // What was read of the content before does not belong to the new content.
        self.extensions.remove::<ReadAs>();
    }

    /// Puts this value in as content, written as JSON. The `Content-Type` is `application/json`
    /// unless there is one.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] when the value cannot be JSON: its own serializing failed, or a map
    /// has keys that are not text.
    #[cfg(feature = "json")]
    pub fn set_json<T: serde::Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let content = serde_json::to_vec(value)
            .map_err(|error| Error::new(ErrorKind::Invalid, "the value cannot be JSON").with_source(error))?;
        self.set_body(content);
        self.set_content_type("application/json");
        Ok(())
    }

    /// Puts these pairs in as content, in the form of `application/x-www-form-urlencoded`, which
    /// becomes the `Content-Type` unless there is one. [`Values`](crate::Values) are pairs too.
    pub fn set_form<Name, Value>(&mut self, pairs: impl IntoIterator<Item = (Name, Value)>)
    where
        Name: AsRef<str>,
        Value: AsRef<str>,
    {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for (name, value) in pairs {
            form.append_pair(name.as_ref(), value.as_ref());
        }
        self.set_body(form.finish());
        self.set_content_type("application/x-www-form-urlencoded");
    }

    fn set_content_type(&mut self, content_type: &str) {
        if !self.header.contains("Content-Type") {
            self.header.set("Content-Type", content_type);
        }
    }

    /// The same with this field set.
    ///
    /// ```
    /// use nethttp::{Body, Method, Request, Uri};
    ///
    /// let request = Request::new(Method::POST, Uri::from_static("http://a.test/search"), Body::empty())
    ///     .with_header("Accept", "text/plain")
    ///     .with_bearer_auth("31d4d96e")
    ///     .with_form([("q", "fish & chips")]);
    /// assert_eq!(request.header.get("Content-Type"), Some("application/x-www-form-urlencoded"));
    /// assert_eq!(request.content_length, Some(16));
    /// ```
    #[must_use]
    pub fn with_header(mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) -> Request {
        self.header.set(name, value);
        self
    }

    /// The same with other content; see [`set_body`](Request::set_body).
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Body>) -> Request {
        self.set_body(body);
        self
    }

    /// The same with `Authorization: Basic`; see [`set_basic_auth`](Request::set_basic_auth).
    #[must_use]
    pub fn with_basic_auth(mut self, user: &str, password: &str) -> Request {
        self.set_basic_auth(user, password);
        self
    }

    /// The same with `Authorization: Bearer`.
    #[must_use]
    pub fn with_bearer_auth(mut self, token: &str) -> Request {
        self.set_bearer_auth(token);
        self
    }

    /// The same with these time limits of its own.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Request {
        self.timeouts = timeouts;
        self
    }

    /// The same with these pairs as the query of its URL.
    ///
    /// # Errors
    /// As [`set_query`](Request::set_query).
    pub fn with_query<Name, Value>(mut self, pairs: impl IntoIterator<Item = (Name, Value)>) -> Result<Request>
    where
        Name: AsRef<str>,
        Value: AsRef<str>,
    {
        self.set_query(pairs)?;
        Ok(self)
    }

    /// The same with this value as content, written as JSON.
    ///
    /// # Errors
    /// As [`set_json`](Request::set_json).
    #[cfg(feature = "json")]
    pub fn with_json<T: serde::Serialize + ?Sized>(mut self, value: &T) -> Result<Request> {
        self.set_json(value)?;
        Ok(self)
    }

    /// The same with these pairs as content; see [`set_form`](Request::set_form).
    #[must_use]
    pub fn with_form<Name, Value>(mut self, pairs: impl IntoIterator<Item = (Name, Value)>) -> Request
    where
        Name: AsRef<str>,
        Value: AsRef<str>,
    {
        self.set_form(pairs);
        self
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri};

    use super::*;
    use crate::error::ErrorKind;

    fn post() -> Request {
        Request::new(Method::POST, Uri::from_static("http://a.test/x?a=1"), "old")
    }

    #[test]
    fn a_bearers_token_goes_both_ways() {
        assert_eq!(post().with_bearer_auth("a.b-c").bearer_auth(), Some("a.b-c"));
        for (field, token) in
            [("bearer  x ", Some("x")), ("Bearer", None), ("Bearer ", None), ("Basic eDp5", None), ("", None)]
        {
            assert_eq!(post().with_header("Authorization", field).bearer_auth(), token, "{field}");
        }
        let basic = post().with_basic_auth("u", "p");
        assert_eq!((basic.bearer_auth(), basic.basic_auth()), (None, Some(("u".into(), "p".into()))));
    }

    #[test]
    fn a_query_is_replaced_or_added_to_and_the_host_stays() {
        let mut request = post();
        request.add_query([("b", "2 3")]).unwrap();
        assert_eq!(request.uri, "http://a.test/x?a=1&b=2+3");
        assert_eq!(request.with_query([("c", String::from("4"))]).unwrap().uri, "http://a.test/x?c=4");
        let long = "x".repeat(70_000);
        let mut request = post();
        assert_eq!(request.set_query([("a", &long)]).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(request.uri, "http://a.test/x?a=1");
    }

    #[tokio::test]
    async fn a_form_that_was_set_is_read_again() {
        let mut request = post().with_form([("c", "5 & 6"), ("d", "")]);
        assert_eq!(request.content_length, Some(12));
        assert_eq!(request.form().await.unwrap().encode(), "c=5+%26+6&d=&a=1");
        let values = crate::message::Values::parse("e=7").unwrap();
        request.set_form(values);
        assert_eq!(request.post_form().await.unwrap().encode(), "e=7");
        assert_eq!(post().with_body(Body::empty()).content_length, Some(0));
    }

    #[cfg(feature = "json")]
    #[tokio::test]
    async fn json_that_was_set_is_read_again_and_keeps_a_type_that_is_there() {
        let mut request = post().with_json(&vec![1, 2]).unwrap();
        assert_eq!(request.header.get("Content-Type"), Some("application/json"));
        assert_eq!((request.content_length, request.body.json::<Vec<u8>>().await.unwrap()), (Some(5), vec![1, 2]));
        let special = post().with_header("Content-Type", "application/vnd.api+json").with_json("text").unwrap();
        assert_eq!(special.header.get("Content-Type"), Some("application/vnd.api+json"));
        let no_text = std::collections::BTreeMap::from([(Some(vec![1]), 2)]);
        assert_eq!(post().with_json(&no_text).unwrap_err().kind(), ErrorKind::Invalid);
    }
}
