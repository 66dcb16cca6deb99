//! The client: `Client` (policy: cookies, redirects, one deadline for all) over `Transport`
//! (mechanism: connections, their pool, one exchange).

mod jar;
mod pool;
mod proxy;
mod redirect;
mod response;
mod url;

pub use jar::CookieJar;
#[cfg(feature = "cookies")]
pub use jar::{Jar, SessionCookies, StoredCookie};
pub use url::IntoUrl;
