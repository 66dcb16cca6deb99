//! tower-http's `ServeDir` under axum on one thread: the files of `FILES` below `/files/`.

use std::env;

use axum::Router;
use axum::routing::get;
use axum::serve::ListenerExt;
use peers::{HELLO, address};
use tokio::net::TcpListener;
use tower_http::services::ServeDir;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let files = env::var_os("FILES").unwrap_or_else(|| ".".into());
    let router = Router::new().route("/", get(async || HELLO)).nest_service("/files", ServeDir::new(files));
    let listener = TcpListener::bind(address()).await?;
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("a socket that was just accepted"));
    axum::serve(listener, router).await
}
