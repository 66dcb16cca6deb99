//! A tonic service beside ordinary routes on one port, as a client by others sees it.
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

#[path = "../../tests/support/programs.rs"]
mod programs;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use interop::{GreeterServer, Hello};
use nethttp::testing::Server;
use nethttp::{Request, ResponseWriter, ServeMux, tower};

use crate::programs::{Folder, python_with, run};

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/grpc_client.py");

fn routes(dropped: &Arc<AtomicUsize>) -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("POST /greet.Greeter/", tower::handler(GreeterServer::new(Hello { dropped: dropped.clone() })));
    mux.handle("GET /health", async |w: &mut ResponseWriter, _: &mut Request| w.write("ok").await);
    mux
}

/// That grpcio is served, that what it gave up is dropped, and that the ordinary route is still there.
async fn assert_is_served(server: Server, dropped: &AtomicUsize, certificate: Option<&str>) {
    let Some(python) = python_with("grpc") else { return };
    let port = server.addr().port().unwrap();
    let target = format!("localhost:{port}");
    let mut arguments = vec![CLIENT, &target];
    arguments.extend(certificate);
    let (ended_well, said) = run(&python, &arguments).await;
    assert!(ended_well && said.ends_with("all went well\n"), "{said}");
    let health = server.client().get(format!("{}/health", server.url())).await.unwrap().text().await.unwrap();
    assert_eq!(health, "ok");
    tokio::time::timeout(Duration::from_secs(10), async {
        while dropped.load(Ordering::SeqCst) < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("both calls that their client gave up are dropped");
    let report = server.close().await;
    assert_eq!(report.running, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_by_grpcio_is_served_in_the_clear() {
    let dropped = Arc::default();
    assert_is_served(Server::new(routes(&dropped)), &dropped, None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_by_grpcio_is_served_over_tls() {
    let folder = Folder::new();
    let certificate = folder.file("certificate.pem", Server::certificate_pem());
    let dropped = Arc::default();
    assert_is_served(Server::builder(routes(&dropped)).tls().start(), &dropped, Some(&certificate)).await;
}
