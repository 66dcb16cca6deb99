//! Listeners and dialers: where connections come from, on both sides.
//!
//! A [`Listener`] gives connections to a server: a TCP or Unix socket of tokio is one, and so is a
//! [`testing::listener`](crate::testing::listener) in memory. A [`Dial`] makes them for a client:
//! [`TcpDialer`] resolves names ([`Resolve`]) and races addresses, and [`dial_fn`] makes one of a function.
//! [`Addr`] is either end.
//!
//! The guide has a page on it: `docs/guide/net.md`.

// Sockets, buffers and deadlines: the only place that names `tokio::net`.

mod buffers;
#[cfg(any(feature = "server", feature = "client"))]
mod content;
mod deadline;
#[cfg(feature = "client")]
mod dial;
mod io;
#[cfg(feature = "server")]
mod ip_network;
mod listener;
#[cfg(all(feature = "socket-activation", unix))]
mod listener_set;
#[cfg(any(feature = "server", feature = "client"))]
mod proxy_protocol;
#[cfg(all(feature = "http2", any(feature = "server", feature = "client")))]
#[allow(dead_code, reason = "the drivers of HTTP/2 come one after the other")]
mod ready_list;
#[cfg(feature = "server")]
mod send_file;
mod stream;
#[cfg(feature = "tls-no-provider")]
pub(crate) mod tls;
#[cfg(all(feature = "server", unix))]
mod unix_listener;

pub use crate::message::Addr;
#[cfg(all(feature = "client", unix))]
pub use dial::UnixDialer;
#[cfg(feature = "client")]
pub use dial::{
    Dial, DialTarget, DialWatch, DialedStream, FixedResolver, Resolve, Resolved, SystemResolver, TcpDialer, dial_fn,
};
pub use listener::Listener;
#[cfg(all(feature = "socket-activation", unix))]
pub use listener_set::ListenerSet;
#[cfg(feature = "server")]
pub use proxy_protocol::{ProxiedStream, ProxyProtocolListener};
#[cfg(feature = "client")]
pub use proxy_protocol::{ProxyProtocolDialer, ProxyProtocolVersion};

#[cfg(any(feature = "server", feature = "client"))]
pub(crate) use content::ContentReader;
pub(crate) use deadline::{Deadline, TransferDeadlines, TransferLimit};
#[cfg(feature = "client")]
pub(crate) use dial::dial;
pub(crate) use io::Io;
#[cfg(feature = "server")]
pub(crate) use ip_network::{IpNetwork, client_network, networks};
pub(crate) use listener::{bind_loopback, bind_reuse_port, bind_tcp, from_std, is_temporary};
#[cfg(all(feature = "socket-activation", unix))]
pub(crate) use listener_set::this_program;
#[cfg(all(feature = "http2", any(feature = "server", feature = "client")))]
#[allow(unused_imports, reason = "the drivers of HTTP/2 come one after the other")]
pub(crate) use ready_list::ReadyList;
pub(crate) use stream::{NoSession, Rewind, Secured, Stream, TlsAccept, Unsecured, delegate_read, delegate_write};
#[cfg(all(feature = "tls-no-provider", feature = "server"))]
pub(crate) use tls::TlsServerConfig;
#[cfg(all(feature = "tls-no-provider", feature = "client"))]
pub(crate) use tls::{AlpnOffer, TlsConfig, TlsConnector};
#[cfg(all(feature = "server", unix))]
pub(crate) use unix_listener::bind_unix;
