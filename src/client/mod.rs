//! The client: `Client` (policy: cookies, redirects, one deadline for all) over `Transport`
//! (mechanism: connections, their pool, one exchange).

mod pool;
mod proxy;
mod redirect;
mod url;

pub use proxy::{Proxy, ProxyScheme, ProxyUrl};
pub use url::IntoUrl;
