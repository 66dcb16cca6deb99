//! An axum application, unchanged, beside a route of our own and under a limit of time.
//!
//!     cargo run -p interop --example axum
//!     curl http://127.0.0.1:8000/hello/you
//!     curl http://127.0.0.1:8000/whoami

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{ConnectInfo, Path, State};
use axum::routing::get;
use nethttp::net::Addr;
use nethttp::{Request, ResponseWriter, Result, ServeMux, listen_and_serve, tower};

async fn hello(State(count): State<Arc<AtomicU64>>, Path(name): Path<String>) -> String {
    format!("hello, {name}: call {}\n", count.fetch_add(1, Ordering::Relaxed) + 1)
}

async fn whoami(ConnectInfo(addr): ConnectInfo<std::net::SocketAddr>) -> String {
    format!("{}\n", addr.ip())
}

fn application() -> Router {
    Router::new().route("/hello/{name}", get(hello)).route("/whoami", get(whoami)).with_state(Arc::default())
}

async fn health(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.write("ok\n").await
}

#[tokio::main]
async fn main() -> Result<()> {
    let application = tower::handler(application()).prepare(|r| {
        if let Addr::Tcp(addr) = r.remote_addr {
            r.extensions.insert(ConnectInfo(addr));
        }
    });
    let mux = ServeMux::new();
    mux.handle("GET /health", health);
    mux.handle("/", application);
    let addr = std::env::args().nth(1).unwrap_or("127.0.0.1:8000".into());
    listen_and_serve(addr, mux).await
}
