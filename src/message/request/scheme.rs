//! The scheme that a client has used, which a server does not read off the request's target.

use super::Request;

/// What a middleware has found out to be the client's scheme. It is in the request's extensions, which are
/// cleared with the request.
#[derive(Clone, Copy)]
enum ClientScheme {
    Http,
    Https,
}

impl Request {
    /// The scheme that the client has used, `http` or `https`: the one that a middleware for trusted proxies has set
    /// ([`set_scheme`](Request::set_scheme)), else that of the connection, which is `https` where it runs over TLS.
    /// On a client that of the URL.
    ///
    /// A scheme in the target that a server has received is not looked at: whoever sends it may write what it
    /// likes.
    ///
    /// ```
    /// use nethttp::{Body, Method, Request, Uri};
    ///
    /// let mut request = Request::new(Method::GET, Uri::from_static("/"), Body::empty());
    /// assert_eq!(request.scheme(), "http");
    /// request.set_scheme("https");
    /// assert_eq!(request.scheme(), "https");
    /// ```
    pub fn scheme(&self) -> &'static str {
        let own_url_is_https = self.request_uri.is_empty() && self.uri.scheme_str() == Some("https");
        match self.extensions.get::<ClientScheme>() {
            Some(ClientScheme::Http) => "http",
            Some(ClientScheme::Https) => "https",
            None => {
                if self.tls.is_some() || own_url_is_https {
                    "https"
                } else {
                    "http"
                }
            }
        }
    }

    /// Sets what [`scheme`](Request::scheme) returns, until the request is over: for a middleware that knows which
    /// proxies to believe. Any other scheme than `http` and `https`, in whatever case, changes nothing.
    pub fn set_scheme(&mut self, scheme: &str) {
        let scheme = if scheme.eq_ignore_ascii_case("https") {
            ClientScheme::Https
        } else if scheme.eq_ignore_ascii_case("http") {
            ClientScheme::Http
        } else {
            return;
        };
        self.extensions.insert(scheme);
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri};

    use super::*;

    #[test]
    fn a_scheme_is_that_of_the_connection_unless_it_was_set() {
        let mut request = Request::new(Method::GET, Uri::from_static("https://a.test/"), ());
        assert_eq!(request.scheme(), "https", "a client's own URL");
        request.request_uri = "https://a.test/".into();
        assert_eq!(request.scheme(), "http", "what a peer has written into the target");
        for (set, scheme) in [("HTTPS", "https"), ("wss", "https"), ("", "https"), ("http", "http")] {
            request.set_scheme(set);
            assert_eq!(request.scheme(), scheme, "{set}");
        }
    }
}
