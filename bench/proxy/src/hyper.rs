//! A reverse proxy by hand over hyper 1.x and hyper-util's pooled client, on one thread: what is of the connection goes,
//! `X-Forwarded-For` is written, bodies pass as streams, and upgrades become tunnels.

use std::env;
use std::net::IpAddr;

use http_body_util::Either;
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode, Uri, Version};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::copy_bidirectional;
use tokio::net::TcpListener;

type Content = Either<Incoming, Empty<Bytes>>;
type Upstream = Client<HttpConnector, Incoming>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u16>().ok());
    let authority: &'static str = format!("127.0.0.1:{}", number("UPSTREAM").unwrap_or(8001)).leak();
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Upstream = Client::builder(TokioExecutor::new()).build(connector);
    let listener = TcpListener::bind(("127.0.0.1", number("PORT").unwrap_or(8000))).await?;
    loop {
        let (stream, peer) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let client = client.clone();
        let service = service_fn(move |request| pass_on(client.clone(), authority, peer.ip(), request));
        // Ends with its connection.
        tokio::spawn(async move {
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http1().timer(TokioTimer::new());
            builder.http2().timer(TokioTimer::new());
            builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await.ok();
        });
    }
}

async fn pass_on(
    client: Upstream,
    authority: &'static str,
    peer: IpAddr,
    mut request: Request<Incoming>,
) -> Result<Response<Content>, hyper::http::Error> {
    let protocol = request.headers().get(UPGRADE).filter(|_| request.version() == Version::HTTP_11).cloned();
    let switching = protocol.is_some().then(|| hyper::upgrade::on(&mut request));
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    *request.uri_mut() = Uri::builder().scheme("http").authority(authority).path_and_query(path).build()?;
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    clean(headers, protocol);
    headers.insert(HOST, HeaderValue::from_static(authority));
    if let Ok(peer) = HeaderValue::try_from(peer.to_string()) {
        headers.insert(HeaderName::from_static("x-forwarded-for"), peer);
    }
    let Ok(mut response) = client.request(request).await else {
        return Response::builder().status(StatusCode::BAD_GATEWAY).body(Either::Right(Empty::new()));
    };
    let protocol = response.headers().get(UPGRADE).cloned();
    let is_switch = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    clean(response.headers_mut(), protocol.filter(|_| is_switch));
    if let Some(switching) = switching.filter(|_| is_switch) {
        let upstream = hyper::upgrade::on(&mut response);
        // Ends with either connection.
        tokio::spawn(async move {
            if let (Ok(client), Ok(upstream)) = (switching.await, upstream.await) {
                copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(upstream)).await.ok();
            }
        });
    }
    Ok(response.map(Either::Left))
}

/// Takes away what is of the connection; an upgrade is asked for and answered anew.
fn clean(headers: &mut HeaderMap, protocol: Option<HeaderValue>) {
    for name in [CONNECTION, UPGRADE, TE, TRANSFER_ENCODING, HeaderName::from_static("keep-alive")] {
        headers.remove(name);
    }
    if let Some(protocol) = protocol {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, protocol);
    }
}
