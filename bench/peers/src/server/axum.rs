//! axum 0.8 on one thread, as its documentation shows it.

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use bytes::Bytes;
use peers::{HELLO, address};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let router = Router::new()
        .route("/", get(hello))
        .route("/big", get(big))
        .route("/echo", post(echo))
        .with_state(Bytes::from_static(peers::big()));
    let listener = TcpListener::bind(address()).await?;
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).expect("a socket that was just accepted"));
    axum::serve(listener, router).await
}

async fn hello() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain")], HELLO)
}

async fn big(State(content): State<Bytes>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/octet-stream")], content)
}

async fn echo(header: HeaderMap, content: Body) -> Response {
    let mut answer = Response::new(content);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if let Some(length) = header.get(CONTENT_LENGTH) {
        answer.headers_mut().insert(CONTENT_LENGTH, length.clone());
    }
    answer
}
