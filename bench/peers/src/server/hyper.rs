//! hyper 1.x on one thread: HTTP/1 with its timer on, so that its default limit on reading a head
//! holds, and with pipelined answers joined.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use peers::{HELLO, address, big};
use tokio::net::TcpListener;

type Answer = Response<Either<Full<Bytes>, Incoming>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let big = Bytes::from_static(big());
    let listener = TcpListener::bind(address()).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let big = big.clone();
        let service = service_fn(move |request| {
            let answer = answer(request, &big);
            async { Ok::<_, Infallible>(answer) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).pipeline_flush(true);
        // Ends with its connection.
        tokio::spawn(builder.serve_connection(TokioIo::new(stream), service));
    }
}

fn answer(request: Request<Incoming>, big: &Bytes) -> Answer {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => of_type("text/plain", Either::Left(HELLO.into())),
        (&Method::GET, "/big") => of_type("application/octet-stream", Either::Left(big.clone().into())),
        (&Method::POST, "/echo") => {
            let (head, content) = request.into_parts();
            let mut answer = of_type("application/octet-stream", Either::Right(content));
            if let Some(length) = head.headers.get(CONTENT_LENGTH) {
                answer.headers_mut().insert(CONTENT_LENGTH, length.clone());
            }
            answer
        }
        _ => {
            let mut answer = of_type("text/plain", Either::Left("not found".into()));
            *answer.status_mut() = StatusCode::NOT_FOUND;
            answer
        }
    }
}

fn of_type(kind: &'static str, content: Either<Full<Bytes>, Incoming>) -> Answer {
    let mut answer = Response::new(content);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    answer
}
