//! A header of the PROXY protocol says what a slow reader reads, in pieces too, and what is behind it stays whole.

use std::net::SocketAddr;
use std::time::Duration;

use nethttp::net::{Addr, Listener, ProxyProtocolListener};
use nethttp::testing;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::play::run;
use crate::reference::proxy_protocol;

/// In how large pieces the connection's bytes come, then those bytes.
pub fn check(data: &[u8]) {
    let Some((piece, bytes)) = data.split_first() else { return };
    let read = run(read(bytes.to_vec(), usize::from(*piece).max(1)));
    // An IPv6 address that stands for one of IPv4 is that one.
    let plain = |client: SocketAddr| SocketAddr::new(client.ip().to_canonical(), client.port());
    let expected = proxy_protocol::header(bytes).map(|(client, at)| (client.map(plain), bytes[at..].to_vec()));
    assert_eq!(read, expected, "{}", bytes.escape_ascii());
}

/// Whose connection it is, and its bytes; `None` where it was refused.
async fn read(bytes: Vec<u8>, piece: usize) -> Option<(Option<SocketAddr>, Vec<u8>)> {
    let (listener, dialer) = testing::listener();
    let mut listener = ProxyProtocolListener::new(listener);
    let mut client = dialer.with_buffer_bytes(piece).dial().await.expect("it listens");
    tokio::spawn(async move {
        // One that was refused takes no more.
        let _ = client.write_all(&bytes).await;
        let _ = client.shutdown().await;
    });
    let (mut stream, peer) = tokio::time::timeout(Duration::from_secs(10), listener.accept()).await.ok()?.ok()?;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.expect("it ends");
    let client = match peer {
        Addr::Tcp(client) => Some(client),
        _ => None,
    };
    Some((client, rest))
}
