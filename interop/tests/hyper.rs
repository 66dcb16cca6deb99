//! A handler as the service of a hyper server: what a framework that stands on hyper does with it.
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

use std::net::SocketAddr;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use nethttp::client::ClientProtocols;
use nethttp::tower::HandlerService;
use nethttp::{Client, Method, Request, ResponseWriter, Result, ServeMux, Transport};
use tokio::net::TcpListener;

async fn echo(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    w.trailer().set("x-end", "yes");
    while let Some(chunk) = r.body.chunk().await? {
        w.write(chunk).await?;
        w.flush().await?;
    }
    Ok(())
}

/// Serves on a free port until the runtime of the test ends.
async fn serve_with_hyper() -> SocketAddr {
    let mux = ServeMux::new();
    mux.handle("POST /echo/{name}", echo);
    let service = TowerToHyperService::new(HandlerService::new(mux));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service.clone();
            tokio::spawn(async move {
                // The client goes away at the end of its test, which is no error here.
                let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    addr
}

#[tokio::test]
async fn a_handler_is_served_by_hyper_over_both_protocols() {
    let addr = serve_with_hyper().await;
    for protocols in [ClientProtocols::Http1, ClientProtocols::Http2] {
        let mut transport = Transport::new();
        transport.protocols = protocols;
        let client = Client::with_transport(transport);
        let content = "some content ".repeat(10_000);
        let request = Request::to(Method::POST, format!("http://{addr}/echo/a"), content.clone()).unwrap();
        let mut response = client.send(request).await.unwrap();
        assert_eq!(response.status.as_u16(), 200);
        assert!(response.text().await.unwrap() == content, "{protocols:?}");
        // hyper sends trailers of HTTP/1.1 only to clients that ask for them with `TE`.
        if matches!(protocols, ClientProtocols::Http2) {
            assert_eq!(response.body.trailer().unwrap().get("x-end"), Some("yes"));
        }
        let missing = client.get(format!("http://{addr}/nothing")).await.unwrap();
        assert_eq!(missing.status.as_u16(), 404, "the mux's own response");
    }
}
