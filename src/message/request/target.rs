//! Whom and what a request is for, and who sent it, in the forms that handlers compare.

use std::borrow::Cow;
use std::net::IpAddr;

use super::Request;
use crate::message::uri::{folded_host, unescape_segment, without_port};

/// The address that a middleware has found out to be the client's. It is in the request's extensions,
/// which are cleared with the request: no later request of a connection inherits it.
#[derive(Clone, Copy)]
struct ClientIp(IpAddr);

impl Request {
    /// The path of the target, unescaped (Go's `URL.Path`). [`escaped_path`](Request::escaped_path) has
    /// it as sent, and [`path_value`](Request::path_value) what the mux matched in it.
    ///
    /// A slash that was escaped (`%2F`) is a slash in it like any other, as in Go: where that makes a
    /// difference, split the escaped path and unescape its segments. A segment with an escape that is
    /// none (`%zz`), or that is not UTF-8 once it is unescaped, stays as it was sent; the others are
    /// unescaped. Nothing is cleaned: `.`, `..` and repeated slashes are in it.
    ///
    /// ```
    /// use nethttp::{Body, Method, Request, Uri};
    ///
    /// let request = Request::new(Method::GET, Uri::from_static("/caf%C3%A9/a%2Fb?q=1"), Body::empty());
    /// assert_eq!(request.path(), "/caf\u{e9}/a/b");
    /// assert_eq!(request.escaped_path(), "/caf%C3%A9/a%2Fb");
    /// ```
    pub fn path(&self) -> Cow<'_, str> {
        unescaped_path(self.uri.path())
    }

    /// The path of the target as sent, escapes and all (Go's `URL.EscapedPath`).
    pub fn escaped_path(&self) -> &str {
        self.uri.path()
    }

    /// The host that the request is for, in the form to compare it in (Go's `URL.Hostname`, and more):
    /// [`host`](Request::host) without its port, in lower case, without the brackets around an IPv6
    /// address, and without the dot that ends a whole name: `a.test.` is `a.test` (RFC 3986 §3.2.2).
    /// Empty when there was no host.
    ///
    /// The client says it. Compare it with the names that you serve before you build a link from it.
    ///
    /// ```
    /// use nethttp::{Body, Method, Request, Uri};
    ///
    /// let request = Request::new(Method::GET, Uri::from_static("http://[::1]:8000/"), Body::empty());
    /// assert_eq!((request.host.as_str(), &*request.hostname()), ("[::1]:8000", "::1"));
    /// ```
    pub fn hostname(&self) -> Cow<'_, str> {
        folded_host(without_port(&self.host))
    }

    /// The IP address of the client: the one that a middleware for trusted proxies has set
    /// ([`set_client_ip`](Request::set_client_ip)), else that of the connection's other end
    /// ([`remote_addr`](Request::remote_addr)). `None` where that has none, as over a Unix socket.
    ///
    /// Behind a proxy without such a middleware it is the proxy's. `X-Forwarded-For` and the like are not
    /// looked at here: any client can send them.
    ///
    /// ```
    /// use nethttp::net::Addr;
    /// use nethttp::{Body, Method, Request, Uri};
    ///
    /// let mut request = Request::new(Method::GET, Uri::from_static("/"), Body::empty());
    /// assert_eq!(request.client_ip(), None);
    /// request.remote_addr = Addr::Tcp(([192, 0, 2, 1], 4000).into());
    /// assert_eq!(request.client_ip(), Some([192, 0, 2, 1].into()));
    /// request.set_client_ip([198, 51, 100, 7].into());
    /// assert_eq!(request.client_ip(), Some([198, 51, 100, 7].into()));
    /// ```
    pub fn client_ip(&self) -> Option<IpAddr> {
        match self.extensions.get::<ClientIp>() {
            Some(ClientIp(ip)) => Some(*ip),
            None => self.remote_addr.ip(),
        }
    }

    /// Sets what [`client_ip`](Request::client_ip) returns, until the request is over: for a middleware
    /// that knows which proxies to believe. `remote_addr` stays the other end of the connection.
    ///
    /// An IPv4 address that is written as an IPv6 one (`::ffff:192.0.2.1`, RFC 4291 §2.5.5.2) becomes the
    /// IPv4 address that it is, so that lists of addresses need one form only.
    pub fn set_client_ip(&mut self, ip: IpAddr) {
        self.extensions.insert(ClientIp(ip.to_canonical()));
    }
}

/// Segment by segment, so that one that cannot be unescaped hides nothing of the others: a rule on
/// `/admin/` holds for `/%61dmin/%FF` too.
fn unescaped_path(path: &str) -> Cow<'_, str> {
    if memchr::memchr(b'%', path.as_bytes()).is_none() {
        return Cow::Borrowed(path);
    }
    let mut unescaped = String::with_capacity(path.len());
    for (at, segment) in path.split('/').enumerate() {
        if at > 0 {
            unescaped.push('/');
        }
        unescaped.push_str(std::str::from_utf8(&unescape_segment(segment)).unwrap_or(segment));
    }
    Cow::Owned(unescaped)
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri};

    use super::*;
    use crate::message::{Addr, Body};

    fn request(uri: &'static str) -> Request {
        Request::new(Method::GET, Uri::from_static(uri), Body::empty())
    }

    #[test]
    fn a_path_is_unescaped_segment_by_segment_and_what_cannot_be_stays_as_sent() {
        for (sent, path) in [
            ("/", "/"),
            ("/a/b/", "/a/b/"),
            ("/a%20b+c", "/a b+c"),
            ("/a%2Fb/%2e%2e", "/a/b/.."),
            ("/%25zz/%", "/%zz/%"),
            ("/%61/%4/%62", "/a/%4/b"),
            ("/%61dmin/%FF/%C3%A9", "/admin/%FF/\u{e9}"),
            ("/%61%FF", "/%61%FF"),
            ("//%00/", "//\0/"),
        ] {
            let request = request(sent);
            assert_eq!((&*request.path(), request.escaped_path()), (path, sent));
        }
        assert!(matches!(request("/a/b?c=%20").path(), Cow::Borrowed("/a/b")));
    }

    #[test]
    fn a_hostname_has_no_port_no_brackets_no_last_dot_and_is_in_lower_case() {
        for (host, hostname) in [
            ("A.Test:80", "a.test"),
            ("a.test.:80", "a.test"),
            ("[2001:DB8::1]:443", "2001:db8::1"),
            ("[::1]", "::1"),
            ("", ""),
            (":80", ""),
        ] {
            let mut request = request("/");
            request.host = host.into();
            assert_eq!(request.hostname(), hostname, "{host}");
        }
    }

    #[test]
    fn a_clients_address_is_the_connections_until_another_is_set() {
        let mut request = request("/");
        request.remote_addr = Addr::Tcp(([10, 0, 0, 1], 5).into());
        assert_eq!(request.client_ip(), Some([10, 0, 0, 1].into()));
        request.set_client_ip("::ffff:192.0.2.1".parse().unwrap());
        assert_eq!(request.client_ip(), Some([192, 0, 2, 1].into()));
        assert_eq!(request.remote_addr.ip(), Some([10, 0, 0, 1].into()));
        request.extensions.clear();
        assert_eq!(request.client_ip(), Some([10, 0, 0, 1].into()));
    }
}
