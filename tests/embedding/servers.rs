//! `testing::Server`: a server for a test, and its client.
#![cfg(feature = "client")]

use std::time::Duration;

use nethttp::testing::Server;
use nethttp::{ErrorKind, Request, ResponseWriter, Result, ServeMux};
use tokio::time::{Instant, sleep};

async fn told(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let secure = r.tls.is_some();
    w.write(format!("{:?} {} {secure}", r.proto, r.host)).await
}

async fn asked(server: &Server) -> String {
    server.client().get(server.url()).await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn a_server_on_a_port_answers_its_client() {
    let server = Server::new(told);
    let host = server.url().strip_prefix("http://127.0.0.1:").unwrap().to_owned();
    assert_eq!(asked(&server).await, format!("HTTP/1.1 127.0.0.1:{host} false"));
    assert_eq!(server.addr().to_string(), format!("127.0.0.1:{host}"));
    assert!(server.dialer().is_none());
    let report = server.close().await;
    assert_eq!((report.connections.cut, report.running.len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_server_in_memory_answers_under_any_name_in_time_that_is_paused() {
    let server = Server::in_memory(async |w: &mut ResponseWriter, r: &mut Request| {
        sleep(Duration::from_secs(3600)).await;
        told(w, r).await
    });
    let began = std::time::Instant::now();
    assert_eq!(asked(&server).await, "HTTP/1.1 example.com false");
    let text = server.client().get("http://another.test:81/").await.unwrap().text().await.unwrap();
    assert_eq!(text, "HTTP/1.1 another.test:81 false");
    assert!(began.elapsed() < Duration::from_secs(60));
    assert!(server.dialer().is_some());
}

#[cfg(feature = "http2")]
#[tokio::test]
async fn http2_is_spoken_in_the_clear_where_that_is_said() {
    assert_eq!(asked(&Server::builder(told).in_memory().http2().start()).await, "HTTP/2.0 example.com false");
    let on_a_port = Server::builder(told).http2().start();
    assert!(asked(&on_a_port).await.starts_with("HTTP/2.0 127.0.0.1:"));
}

#[cfg(all(feature = "tls", feature = "http2"))]
#[tokio::test]
async fn tls_is_trusted_by_its_client_and_by_no_other() {
    let server = Server::builder(told).in_memory().tls().start();
    assert_eq!(server.url(), "https://example.com");
    assert_eq!(asked(&server).await, "HTTP/2.0 example.com true");
    assert_eq!(asked(&Server::builder(told).in_memory().tls().http1().start()).await, "HTTP/1.1 example.com true");
    let on_a_port = Server::builder(told).tls().start();
    assert!(on_a_port.url().starts_with("https://127.0.0.1:"));
    assert!(asked(&on_a_port).await.starts_with("HTTP/2.0 127.0.0.1:"));

    let mut stranger = nethttp::Transport::new();
    stranger.proxy = nethttp::client::Proxy::none();
    stranger.set_tls(nethttp::tls::TlsConfig::new().roots(nethttp::tls::TlsRoots::None));
    let mut client = nethttp::Client::new();
    client.transport = std::sync::Arc::new(stranger);
    assert_eq!(client.get(on_a_port.url()).await.unwrap_err().kind(), ErrorKind::Tls);
    assert!(Server::certificate_pem().starts_with("-----BEGIN CERTIFICATE-----"));
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_what_runs_and_tells_what_does_not_end() {
    let mux = ServeMux::new();
    mux.handle("/slow", async |w: &mut ResponseWriter, _: &mut Request| {
        sleep(Duration::from_secs(3)).await;
        w.write("done").await
    });
    mux.handle("/never", async |_: &mut ResponseWriter, _: &mut Request| std::future::pending().await);
    let server = Server::in_memory(mux);
    let client = server.client();
    let get = |path: &str| {
        let (client, url) = (client.clone(), format!("{}{path}", server.url()));
        tokio::spawn(async move { client.get(url).await?.text().await })
    };
    let (slow, never) = (get("/slow"), get("/never?x"));
    sleep(Duration::from_secs(1)).await;
    let began = Instant::now();
    let report = server.close().await;
    assert_eq!(report.running, ["GET /never?x"]);
    assert_eq!((report.connections.drained, report.connections.cut), (1, 1));
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(slow.await.unwrap().unwrap(), "done");
    assert!(never.await.unwrap().is_err());
}

#[tokio::test]
async fn settings_are_changed_before_the_start_and_a_dropped_server_is_gone() {
    let server = Server::builder(told).configure(|server| server.max_header_bytes = 100).start();
    let request = Request::to(nethttp::Method::GET, server.url(), "").unwrap().with_header("X", "x".repeat(200));
    assert_eq!(server.client().send(request).await.unwrap().status.as_u16(), 431);
    let (client, url) = (server.client(), server.url().to_owned());
    drop(server);
    assert!(client.get(url).await.is_err());
}
