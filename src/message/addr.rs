//! Where a connection comes from or goes to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

/// One end of a connection: an internet address, a Unix socket, or a name that a listener of
/// the user's own gives.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Addr {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// A Unix socket; a client's end usually has no path.
    Unix(Option<Arc<Path>>),
    /// Anything else, named by the listener.
    Named(Arc<str>),
}

impl Addr {
    /// The address of nobody knows where.
    pub(crate) fn unknown() -> Addr {
        Addr::Unix(None)
    }

    /// The IP address, where there is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Addr::Tcp(addr) => Some(addr.ip()),
            _ => None,
        }
    }

    /// The port, where there is one.
    pub fn port(&self) -> Option<u16> {
        match self {
            Addr::Tcp(addr) => Some(addr.port()),
            _ => None,
        }
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Addr::Tcp(addr) => addr.fmt(f),
            Addr::Unix(Some(path)) => write!(f, "unix:{}", path.display()),
            Addr::Unix(None) => f.write_str("unix:"),
            Addr::Named(name) => f.write_str(name),
        }
    }
}

impl From<SocketAddr> for Addr {
    fn from(addr: SocketAddr) -> Addr {
        Addr::Tcp(addr)
    }
}
