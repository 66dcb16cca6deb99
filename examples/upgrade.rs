//! Another protocol on the same connection: `Upgrade`, then raw bytes (here: shouted back).
//!
//!     cargo run --example upgrade
//!     printf 'GET /shout HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: shout\r\n\r\nhello\n' | nc localhost 8000

use nethttp::{Request, ResponseWriter, Result, ServeMux, StatusCode, listen_and_serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn shout(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    if !r.header.has_token("Upgrade", "shout") {
        w.header().set("Upgrade", "shout");
        return nethttp::error(w, "this speaks shout", StatusCode::UPGRADE_REQUIRED).await;
    }
    w.header().set("Upgrade", "shout");
    // Sends 101. What the client sent ahead is read from the stream first.
    let mut stream = w.upgrade().await?;
    let mut buffer = [0; 1024];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(stream.shutdown().await?);
        }
        stream.write_all(&buffer[..n].to_ascii_uppercase()).await?;
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let mux = ServeMux::new();
    mux.handle("GET /shout", shout);
    listen_and_serve(addr, mux).await
}
