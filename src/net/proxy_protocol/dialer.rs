//! Connections that begin with a header.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

use tokio::io::AsyncWriteExt as _;

use super::head::{ProxiedPeer, encode_v1, encode_v2};
use crate::message::Addr;
use crate::net::dial::{Dial, DialTarget, DialedStream};

/// The form of a header of the PROXY protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProxyProtocolVersion {
    /// A line of text.
    V1,
    /// Bytes.
    #[default]
    V2,
}

/// Dials as another dialer does, and sends a header of the PROXY protocol before anything else, TLS included.
///
/// A header speaks for a whole connection, so every connection of a transport that has this dialer speaks for the
/// same client: one transport is for one client, or closes its connections after each request
/// ([`disable_keep_alives`](crate::Transport::disable_keep_alives)).
///
/// ```
/// use nethttp::net::{ProxyProtocolDialer, ProxyProtocolVersion, TcpDialer};
///
/// let (client, asked_for) = ("192.0.2.1:50000".parse().unwrap(), "198.51.100.7:443".parse().unwrap());
/// let dialer = ProxyProtocolDialer::for_client(TcpDialer::new(), ProxyProtocolVersion::V2, client, asked_for);
/// ```
#[derive(Clone, Debug)]
pub struct ProxyProtocolDialer<D> {
    dialer: D,
    version: ProxyProtocolVersion,
    peer: ProxiedPeer,
}

impl<D: Dial> ProxyProtocolDialer<D> {
    /// For a client with this address, who has connected to that one. Where only one of them is IPv4, it is sent as
    /// an IPv6 address (`::ffff:192.0.2.1`).
    pub fn for_client(
        dialer: D,
        version: ProxyProtocolVersion,
        client: SocketAddr,
        connected_to: SocketAddr,
    ) -> ProxyProtocolDialer<D> {
        ProxyProtocolDialer { dialer, version, peer: ProxiedPeer::Client { from: client, to: connected_to } }
    }

    /// For no client: a health check, or a client without an address. The server takes the connection's own
    /// addresses.
    pub fn for_itself(dialer: D, version: ProxyProtocolVersion) -> ProxyProtocolDialer<D> {
        ProxyProtocolDialer { dialer, version, peer: ProxiedPeer::Sender }
    }

    async fn dial_with_header(&self, target: &DialTarget<'_>) -> io::Result<DialedStream> {
        let connection = self.dialer.dial(target).await?;
        let (local, remote): (Addr, Addr) = (connection.local_addr().clone(), connection.remote_addr().clone());
        let (mut stream, ..) = connection.into_parts();
        let header = match self.version {
            ProxyProtocolVersion::V1 => encode_v1(self.peer),
            ProxyProtocolVersion::V2 => encode_v2(self.peer),
        };
        stream.write_all(&header).await?;
        stream.flush().await?;
        Ok(DialedStream::new(stream).with_addrs(local, remote))
    }
}

impl<D: Dial> Dial for ProxyProtocolDialer<D> {
    fn dial<'a>(
        &'a self,
        target: &'a DialTarget<'a>,
    ) -> Pin<Box<dyn Future<Output = io::Result<DialedStream>> + Send + 'a>> {
        Box::pin(self.dial_with_header(target))
    }
}
