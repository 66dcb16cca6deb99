//! Which proxy a request goes through, and how a connection is made there.
//!
//! ```text
//! choose ─► dial the proxy ─┬─ http target:  requests in absolute form, with `Proxy-Authorization`
//!                           ├─ https target: `tunnel` (CONNECT), TLS over it
//!                           └─ socks5:       `socks::connect`, then as without a proxy
//! ```
//!
//! Nothing here dials or keeps time: a dial that takes too long is dropped, and this with it.

mod environment;
mod no_proxy;
pub(crate) mod socks;
mod tunnel;
mod url;

use std::fmt;
use std::sync::Arc;

use http::Uri;

use self::environment::Environment;
pub(crate) use self::tunnel::{Connect, tunnel};
pub use self::url::{ProxyScheme, ProxyUrl};
use crate::error::Result;

/// Chooses the proxy of each request (Go's `Transport.Proxy`).
///
/// ```
/// use nethttp::client::Proxy;
///
/// let proxy = Proxy::url("socks5://127.0.0.1:9050")?;
/// let chosen = proxy.choose(&"https://example.com/".parse().unwrap())?;
/// assert_eq!(chosen.unwrap().to_string(), "socks5://127.0.0.1:9050");
/// # Ok::<(), nethttp::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Proxy(Chooser);

#[derive(Clone)]
enum Chooser {
    Nobody,
    Always(Arc<ProxyUrl>),
    Environment(Arc<Environment>),
    Function(Arc<dyn Fn(&Uri) -> Result<Option<ProxyUrl>> + Send + Sync>),
}

impl Proxy {
    /// No proxy, whatever the environment says.
    pub fn none() -> Proxy {
        Proxy(Chooser::Nobody)
    }

    /// One proxy for every request, those to this machine included.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid): see [`ProxyUrl::parse`].
    pub fn url(text: &str) -> Result<Proxy> {
        Ok(ProxyUrl::parse(text)?.into())
    }

    /// What the environment says, read once in the life of the process: `HTTP_PROXY`,
    /// `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, or their names in lower case.
    ///
    /// The rules are Go's. Of a name in upper and one in lower case the upper counts; an empty
    /// variable counts as none. A request to `http` takes `HTTP_PROXY`, one to `https` takes
    /// `HTTPS_PROXY`; where that is missing, both take `ALL_PROXY` (curl's rule; Go has none).
    /// `localhost` and addresses of this machine are reached without a proxy, and so are all hosts
    /// that `NO_PROXY` lists, separated by commas or spaces:
    ///
    /// | entry | hosts |
    /// |---|---|
    /// | `example.com` | itself and all below it |
    /// | `.example.com`, `*.example.com` | all below it |
    /// | `192.0.2.1`, `2001:db8::1` | that address |
    /// | `10.0.0.0/8`, `fd00::/8` | all addresses of the network |
    /// | `*` | all |
    ///
    /// A name or an address may be followed by a port (`example.com:8080`, `[::1]:80`) and then
    /// means that port alone. Names compare without regard to case, to a dot at their end, and to
    /// whether they are written in Unicode or in the form of DNS.
    ///
    /// Two things are errors of each request that they concern, so that none goes out by a way that
    /// nobody meant: a variable that is no URL of a proxy (Go dials without one), and `HTTP_PROXY`
    /// where `REQUEST_METHOD` is set too, because in a CGI program it is the client who says what
    /// is in it (httpoxy).
    pub fn from_environment() -> Proxy {
        Proxy(Chooser::Environment(environment::of_process()))
    }

    /// The same from variables that are given.
    ///
    /// ```
    /// use nethttp::client::Proxy;
    ///
    /// let proxy = Proxy::from_variables([("ALL_PROXY", "proxy.test:3128"), ("NO_PROXY", "internal.test")]);
    /// assert!(proxy.choose(&"http://example.com/".parse().unwrap())?.is_some());
    /// assert!(proxy.choose(&"http://wiki.internal.test/".parse().unwrap())?.is_none());
    /// # Ok::<(), nethttp::Error>(())
    /// ```
    pub fn from_variables<N: AsRef<str>, V: Into<String>>(variables: impl IntoIterator<Item = (N, V)>) -> Proxy {
        let variables = variables.into_iter().map(|(name, value)| (name.as_ref().to_owned(), value.into())).collect();
        Proxy(Chooser::Environment(Arc::new(Environment::read(&variables))))
    }

    /// Whatever the function says of a request's URL; its error fails the request.
    pub fn from_fn(choose: impl Fn(&Uri) -> Result<Option<ProxyUrl>> + Send + Sync + 'static) -> Proxy {
        Proxy(Chooser::Function(Arc::new(choose)))
    }

    /// The proxy of a request to this URL; `None` goes there directly.
    ///
    /// # Errors
    /// Those of the function that chooses, and of the environment, as
    /// [`from_environment`](Proxy::from_environment) says.
    pub fn choose(&self, uri: &Uri) -> Result<Option<Arc<ProxyUrl>>> {
        match &self.0 {
            Chooser::Nobody => Ok(None),
            Chooser::Always(url) => Ok(Some(url.clone())),
            Chooser::Environment(environment) => environment.choose(uri),
            Chooser::Function(choose) => Ok(choose(uri)?.map(Arc::new)),
        }
    }
}

impl Default for Proxy {
    /// [`from_environment`](Proxy::from_environment).
    fn default() -> Proxy {
        Proxy::from_environment()
    }
}

impl From<ProxyUrl> for Proxy {
    fn from(url: ProxyUrl) -> Proxy {
        Proxy(Chooser::Always(Arc::new(url)))
    }
}

impl fmt::Debug for Chooser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Chooser::Nobody => f.write_str("none"),
            Chooser::Always(url) => url.fmt(f),
            Chooser::Environment(environment) => environment.fmt(f),
            Chooser::Function(_) => f.write_str("function"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn uri(text: &str) -> Uri {
        text.parse().unwrap()
    }

    #[test]
    fn one_proxy_for_all_is_for_this_machine_too() {
        let proxy = Proxy::url("http://proxy.test").unwrap();
        assert!(proxy.choose(&uri("http://localhost/")).unwrap().is_some());
        assert!(Proxy::none().choose(&uri("http://a.test/")).unwrap().is_none());
        assert!(Proxy::url("ftp://proxy.test").is_err());
    }

    #[test]
    fn a_function_chooses_and_its_error_is_handed_on() {
        let proxy = Proxy::from_fn(|uri| match uri.host() {
            Some("bad.test") => Err(Error::other("not today")),
            Some("direct.test") => Ok(None),
            _ => ProxyUrl::parse("proxy.test:1").map(Some),
        });
        assert_eq!(proxy.choose(&uri("http://bad.test/")).unwrap_err().to_string(), "not today");
        assert!(proxy.choose(&uri("http://direct.test/")).unwrap().is_none());
        assert_eq!(proxy.choose(&uri("http://a.test/")).unwrap().unwrap().port(), 1);
    }
}
