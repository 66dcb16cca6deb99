//! Cookies between requests: what a client asks of a jar, and a jar that does as browsers do.

mod cookie_jar;
#[cfg(feature = "cookies")]
mod memory;
#[cfg(feature = "cookies")]
mod netscape;
#[cfg(feature = "cookies")]
mod rules;
#[cfg(feature = "cookies")]
mod set_cookie;
#[cfg(feature = "cookies")]
mod store;

pub use cookie_jar::CookieJar;
#[cfg(feature = "cookies")]
pub use memory::Jar;
#[cfg(feature = "cookies")]
pub use netscape::SessionCookies;
#[cfg(feature = "cookies")]
pub use store::StoredCookie;
