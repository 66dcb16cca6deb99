//! The smallest program: a handler on the process-wide mux, as in Go's documentation.
//!
//!     cargo run --example hello & curl localhost:8000/hello

use nethttp::{Request, ResponseWriter, Result, handle, listen_and_serve};

async fn hello(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    w.write(format!("Hello, {:?}\n", r.path())).await
}

#[tokio::main]
async fn main() -> Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    handle("/hello", hello);
    listen_and_serve(addr, None).await
}
