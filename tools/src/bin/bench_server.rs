//! The server that benchmarks drive: PORT and THREADS (1 = one runtime on one thread) say where
//! and how; default limits.

use std::env;

use nethttp::{Bytes, Next, Request, ResponseWriter, Result, ServeMux, Server, handle_with};

/// Middlewares around `GET /chain/`, which the kit divides by; `GET /alone/` has none.
const CHAIN_LENGTH: usize = 5;

fn main() -> Result<()> {
    let mux = ServeMux::new();
    mux.handle("GET /{$}", hello);
    mux.handle("GET /big", handle_with(Bytes::from(vec![b'x'; 1 << 20]), big));
    mux.handle("POST /echo", echo);
    let chain = mux.group("/chain");
    for _ in 0..CHAIN_LENGTH {
        chain.wrap(pass_through);
    }
    chain.handle("GET /{$}", hello);
    mux.handle("GET /alone/{$}", hello);
    if let Ok(files) = env::var("FILES") {
        mux.handle("/files/", nethttp::strip_prefix("/files", nethttp::file_server(files)));
    }

    let port = env::var("PORT").unwrap_or_else(|_| "8000".into());
    let threads = env::var("THREADS").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut server = Server::new(mux);
    server.addr = format!("127.0.0.1:{port}");
    server.serve_per_core(threads)
}

async fn hello(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.header().set("Content-Type", "text/plain");
    w.write("Hello, World!").await
}

async fn pass_through(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
    next.run(w, r).await
}

async fn big(content: &Bytes, w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.header().set("Content-Type", "application/octet-stream");
    w.header().set("Content-Length", content.len().to_string());
    w.write_bytes(content.clone()).await
}

async fn echo(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    w.header().set("Content-Type", "application/octet-stream");
    if let Some(length) = r.content_length {
        w.header().set("Content-Length", length.to_string());
    }
    while let Some(chunk) = r.body.chunk().await? {
        w.write_bytes(chunk).await?;
    }
    Ok(())
}
