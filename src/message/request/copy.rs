//! Copies of a request, and a request under another context.

use super::Request;
use crate::error::Result;
use crate::message::body::Body;
use crate::message::context::Context;

impl Request {
    /// A copy of all but the content, which is empty in it (Go's `Clone` shares the content instead):
    /// for a request that goes on to another server, into which the content is moved or copied.
    ///
    /// The context is the same one; so are the values in the extensions, as each of them is cloned.
    ///
    /// ```
    /// use nethttp::{Body, Method, Request, Uri};
    ///
    /// let mut received = Request::new(Method::POST, Uri::from_static("/orders"), "7 apples");
    /// received.header.set("Content-Type", "text/plain");
    /// let mut out = received.clone_head();
    /// out.uri = Uri::from_static("http://orders.test/");
    /// out.set_body(std::mem::take(&mut received.body));
    /// assert_eq!((out.header.get("Content-Type"), out.content_length), (Some("text/plain"), Some(8)));
    /// ```
    #[must_use]
    pub fn clone_head(&self) -> Request {
        Request {
            method: self.method.clone(),
            uri: self.uri.clone(),
            request_uri: self.request_uri.clone(),
            proto: self.proto,
            header: self.header.clone(),
            body: Body::empty(),
            host: self.host.clone(),
            content_length: Some(0),
            remote_addr: self.remote_addr.clone(),
            close: self.close,
            tls: self.tls.clone(),
            trailer: self.trailer.clone(),
            timeouts: self.timeouts,
            pattern: self.pattern.clone(),
            extensions: self.extensions.clone(),
            context: self.context.clone(),
            path_values: self.path_values.clone(),
            mount_path: self.mount_path.clone(),
        }
    }

    /// A copy of the whole request, where its content can be had twice: it is in memory, or was made with
    /// [`Body::from_fn`]. `None` where it cannot, as the content that a server receives.
    ///
    /// # Errors
    /// As [`Body::try_clone`].
    pub fn try_clone(&self) -> Result<Option<Request>> {
        let Some(body) = self.body.try_clone()? else { return Ok(None) };
        Ok(Some(Request { body, content_length: self.content_length, ..self.clone_head() }))
    }

    /// Puts the request under another context (Go's `WithContext`): a request that a server sends on
    /// then ends with the one that it answers. A [`Transport`](crate::Transport), and so a
    /// [`Client`](crate::Client), gives it up as soon as the context is [cancelled](Context::cancelled), wherever it
    /// is: its connection is closed, over HTTP/2 its stream reset. The error is
    /// [`ErrorKind::Cancelled`](crate::ErrorKind::Cancelled), and `TimedOut` for a context whose deadline has passed;
    /// [`Error::sent`](crate::Error::sent) says how much of the
    /// request had been sent. A response that has begun ends too: reading its content fails with the same kind.
    ///
    /// A middleware may put the request that it passes on under a context that it has made from
    /// [`context`](Request::context), with a deadline or a value. The server itself goes by its own.
    ///
    /// ```
    /// use nethttp::{Client, Request, ResponseWriter, Result, handle_with};
    ///
    /// async fn relay(client: &Client, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    ///     // When our client leaves, nobody needs this any more.
    ///     let request = Request::get("http://backend.example/report")?.with_context(r.context().clone());
    ///     w.send(client.send(request).await?).await
    /// }
    ///
    /// nethttp::ServeMux::new().handle("GET /report", handle_with(Client::new(), relay));
    /// ```
    pub fn set_context(&mut self, context: Context) {
        self.context = context;
    }

    /// The same under another context; see [`set_context`](Request::set_context).
    #[must_use]
    pub fn with_context(mut self, context: Context) -> Request {
        self.set_context(context);
        self
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{Method, Uri};

    use super::*;

    #[tokio::test]
    async fn a_copy_has_all_of_a_request_that_is_in_memory() {
        let mut request = Request::new(Method::POST, Uri::from_static("http://a.test/x"), "content");
        request.header.set("X-One", "1");
        request.extensions.insert(7_u8);
        request.set_path_value("id", "8");
        request.close = true;
        let mut copy = request.try_clone().unwrap().expect("the content is in memory");
        request.header.set("X-One", "2");
        assert_eq!((copy.host.as_str(), copy.header.get("X-One"), copy.close), ("a.test", Some("1"), true));
        assert_eq!((copy.extensions.get::<u8>(), copy.path_value("id")), (Some(&7), "8"));
        assert_eq!((copy.content_length, copy.body.text().await.unwrap().as_str()), (Some(7), "content"));
        assert_eq!(request.body.text().await.unwrap(), "content");
    }

    #[test]
    fn content_that_comes_once_is_not_copied_and_the_head_is() {
        let body = Body::from_stream(Once(Some("content")));
        let request = Request::new(Method::PUT, Uri::from_static("/x"), body).with_header("X-One", "1");
        assert!(request.try_clone().unwrap().is_none());
        let head = request.clone_head();
        assert_eq!((head.method.as_str(), head.header.get("X-One"), head.body.is_empty()), ("PUT", Some("1"), true));
    }

    #[test]
    fn a_context_that_was_given_is_that_of_the_request() {
        let outer = Context::background().scoped();
        let request = Request::new(Method::GET, Uri::from_static("/"), "").with_context(outer.clone());
        assert!(!request.context().is_cancelled());
        outer.end_scope();
        assert!(request.context().is_cancelled());
    }

    struct Once(Option<&'static str>);

    impl futures_core::Stream for Once {
        type Item = std::io::Result<Bytes>;

        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Self::Item>> {
            std::task::Poll::Ready(self.0.take().map(|text| Ok(Bytes::from_static(text.as_bytes()))))
        }
    }
}
