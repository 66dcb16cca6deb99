//! Raw bytes over sockets: for what a correct client would not send.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than the server takes to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) async fn connect(addr: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(addr).await.map_err(|error| format!("no connection: {error}"))
}

/// Sends bytes, and reads until the server closes. A server that has said enough may reset what is left.
pub(crate) async fn exchange(addr: SocketAddr, bytes: &[u8]) -> Result<String, String> {
    let stream = connect(addr).await?;
    let (reader, mut writer) = stream.into_split();
    let sending = async {
        // It may have answered and closed before all was sent.
        let _ = writer.write_all(bytes).await;
    };
    let (answer, ()) = tokio::join!(read_to_end(reader), sending);
    answer
}

/// All that comes until the end, as text.
pub(crate) async fn read_to_end(mut reader: impl tokio::io::AsyncRead + Unpin) -> Result<String, String> {
    let mut read = Vec::new();
    let reading = async { while let Ok(1..) = reader.read_buf(&mut read).await {} };
    timeout(CLOSE_TIMEOUT, reading).await.map_err(|_| format!("not closed in {CLOSE_TIMEOUT:?}"))?;
    Ok(String::from_utf8_lossy(&read).into_owned())
}
