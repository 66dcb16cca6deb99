//! Cookies between requests: the interface of a jar, and a jar that follows the rules of browsers.

#[cfg(feature = "cookies")]
mod memory;
#[cfg(feature = "cookies")]
mod netscape;
#[cfg(feature = "cookies")]
mod rules;
#[cfg(feature = "cookies")]
mod store;

#[cfg(feature = "cookies")]
pub use memory::Jar;
#[cfg(feature = "cookies")]
pub use netscape::SessionCookies;
#[cfg(feature = "cookies")]
pub use store::StoredCookie;

use std::sync::Arc;

use http::Uri;

use crate::message::Header;

/// Keeps cookies between requests (Go's `CookieJar`).
///
/// A client calls [`cookies`](Self::cookies) before each request and [`set_cookies`](Self::set_cookies)
/// after each response, redirects included, from many tasks at once. The crate's own is `Jar`, with the
/// feature `cookies`.
///
/// ```
/// use std::sync::Mutex;
///
/// use nethttp::cookie::CookieJar;
/// use nethttp::{Header, Uri};
///
/// /// Sends what it was given, to one host, and learns nothing.
/// struct Fixed(String);
///
/// impl CookieJar for Fixed {
///     fn set_cookies(&self, _: &Uri, _: &Header) {}
///
///     fn cookies(&self, url: &Uri) -> Option<String> {
///         (url.host() == Some("a.test")).then(|| self.0.clone())
///     }
/// }
/// ```
pub trait CookieJar: Send + Sync {
    /// Takes the `Set-Cookie` fields of a response from this URL. What it does not want to keep, it
    /// passes over.
    fn set_cookies(&self, url: &Uri, header: &Header);

    /// The value of the `Cookie` field for a request to this URL; `None` where there is no cookie
    /// for it.
    fn cookies(&self, url: &Uri) -> Option<String>;

    /// The same in octets, which is what a client sends: servers may set values that are no text
    /// (RFC 6265 §5.2). What [`cookies`](Self::cookies) tells, unless a jar keeps such values.
    fn cookie_field(&self, url: &Uri) -> Option<Vec<u8>> {
        self.cookies(url).map(String::into_bytes)
    }
}

impl<J: CookieJar + ?Sized> CookieJar for Arc<J> {
    fn set_cookies(&self, url: &Uri, header: &Header) {
        (**self).set_cookies(url, header);
    }

    fn cookies(&self, url: &Uri) -> Option<String> {
        (**self).cookies(url)
    }

    fn cookie_field(&self, url: &Uri) -> Option<Vec<u8>> {
        (**self).cookie_field(url)
    }
}
