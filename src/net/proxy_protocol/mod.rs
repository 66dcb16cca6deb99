//! The PROXY protocol: who has connected to the balancer in front of a server, and who is behind a request that a
//! proxy sends on.
//!
//! `head` reads and writes the bytes; `listener` takes connections that begin with a header; `dialer` makes such.

#[cfg(feature = "client")]
mod dialer;
mod head;
#[cfg(feature = "server")]
mod listener;

#[cfg(feature = "client")]
pub use dialer::{ProxyProtocolDialer, ProxyProtocolVersion};
#[cfg(feature = "server")]
pub use listener::{ProxiedStream, ProxyProtocolListener};
