//! The reverse proxy that benchmarks drive: PORT is where it listens, UPSTREAM the port that it sends requests on to.
//! One runtime on one thread, default limits.

use std::env;

use nethttp::reverse_proxy::ReverseProxy;
use nethttp::{Result, Server};

fn main() -> Result<()> {
    let port = |name, other: &str| env::var(name).unwrap_or_else(|_| other.into());
    let mut server = Server::new(ReverseProxy::to(format!("http://127.0.0.1:{}", port("UPSTREAM", "8001")))?);
    server.addr = format!("127.0.0.1:{}", port("PORT", "8000"));
    server.serve_per_core(1)
}
