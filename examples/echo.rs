//! A request's content, streamed back as it comes: both directions at once, in flat memory.
//!
//!     cargo run --example echo & curl -T big.file localhost:8000/echo -o back.file

use nethttp::{Request, ResponseWriter, Result, ServeMux, listen_and_serve};

async fn echo(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    // The answer begins before the request has ended. With a length the client can check it;
    // without one the answer is chunked.
    if let Some(length) = r.content_length {
        w.header().set("Content-Length", length.to_string());
    }
    w.header().set("Content-Type", r.header.get("Content-Type").unwrap_or("application/octet-stream"));
    while let Some(chunk) = r.body.chunk().await? {
        w.write_bytes(chunk).await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    let mux = ServeMux::new();
    mux.handle("POST /echo", echo);
    mux.handle("PUT /echo", echo);
    listen_and_serve(addr, mux).await
}
