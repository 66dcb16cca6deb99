//! What a client asks of whoever keeps its cookies.

use http::Uri;

use crate::message::Header;

/// Keeps cookies for a client (Go's `CookieJar`).
pub trait CookieJar: Send + Sync + 'static {
    /// The value of the `Cookie` field for a request to this URL; `None` where there is nothing to
    /// send.
    fn cookies(&self, url: &Uri) -> Option<String>;

    /// Takes what a response from this URL sets.
    fn set_cookies(&self, url: &Uri, header: &Header);
}
