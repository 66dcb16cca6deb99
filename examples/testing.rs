//! Tests of a handler without a socket: what `cargo test` would run, run here.
//!
//!     cargo run --example testing

use std::time::Duration;

use nethttp::testing::{self, Server};
use nethttp::{Request, ResponseWriter, Result, ServeMux, StatusCode};

async fn greet(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    w.header().set("Cache-Control", "no-store");
    w.write(format!("hello, {}\n", r.path_value("name"))).await
}

async fn slow(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    tokio::time::sleep(Duration::from_secs(3600)).await;
    w.write("at last\n").await
}

fn routes() -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("GET /hello/{name}", greet);
    mux.handle("GET /slow", slow);
    mux
}

/// `#[tokio::test]`: the handler is called, and what it answers is kept.
async fn a_greeting_names_who_is_greeted() {
    let recorded = testing::record(&routes(), testing::request("GET", "/hello/you")).await;
    assert_eq!((recorded.status, recorded.text()), (StatusCode::OK, "hello, you\n"));
    assert_eq!(recorded.header.get("Cache-Control"), Some("no-store"));
    let recorded = testing::record(&routes(), testing::request("DELETE", "/hello/you")).await;
    assert_eq!(recorded.status, StatusCode::METHOD_NOT_ALLOWED);
}

/// `#[tokio::test(start_paused = true)]`: a server and its client in memory, and an hour that passes at once.
async fn an_hour_is_no_time_at_all() -> Result<()> {
    let server = Server::in_memory(routes());
    let text = server.client().get(format!("{}/slow", server.url())).await?.text().await?;
    assert_eq!(text, "at last\n");
    assert!(server.close().await.running.is_empty());
    Ok(())
}

#[tokio::main(flavor = "current_thread", start_paused = true)]
async fn main() -> Result<()> {
    a_greeting_names_who_is_greeted().await;
    an_hour_is_no_time_at_all().await?;
    println!("2 tests passed");
    Ok(())
}
