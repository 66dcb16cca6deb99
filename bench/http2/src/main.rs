//! hyper 1.x over HTTP/2 on one thread, for clients with prior knowledge.

use std::convert::Infallible;
use std::env;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let port = env::var("PORT").ok().and_then(|text| text.parse().ok());
    let listener = TcpListener::bind(("127.0.0.1", port.unwrap_or(8000))).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let service = service_fn(|request| async move { Ok::<_, Infallible>(answer(request)) });
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new());
        // Ends with its connection.
        tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
    }
}

fn answer(request: Request<Incoming>) -> Response<Either<Full<Bytes>, Incoming>> {
    let (status, kind, content) = match request.uri().path() {
        "/" => (StatusCode::OK, "text/plain", Either::Left(Full::new("Hello, World!".into()))),
        "/echo" => (StatusCode::OK, "application/octet-stream", Either::Right(request.into_body())),
        _ => (StatusCode::NOT_FOUND, "text/plain", Either::Left(Full::new("not found".into()))),
    };
    let mut answer = Response::new(content);
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
