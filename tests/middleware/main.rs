//! The ready-made middleware, in every mode that server and client speak: HTTP/1.1 and HTTP/2, each in the clear
//! and over TLS. No byte leaves the process, and time is paused. What the middleware decides is tested beside it;
//! here it is seen from outside.
#![cfg(all(feature = "client", feature = "server", feature = "http2", feature = "tls", feature = "gzip"))]
#![cfg(feature = "cookies")]
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

#[cfg(unix)]
#[path = "../support/alone.rs"]
mod alone;
#[path = "../support/certificates.rs"]
mod certificates;
#[path = "../modes/site.rs"]
mod site;
#[path = "../support/mod.rs"]
mod support;

mod authentication;
mod chains;
mod cors;
mod cross_origin;
mod fields;
mod limits;
mod panics;
mod proxies;

use nethttp::{Header, Method, Next, Request, Response, ResponseWriter, Result, StatusCode};

use site::Site;

type Fields<'a> = &'a [(&'a str, &'a str)];

/// The response to a request with these fields.
async fn ask(site: &Site, method: Method, path: &str, fields: Fields<'_>) -> Response {
    let mut request = site.request(method, path, ());
    for (name, value) in fields {
        request.header.add(name, value);
    }
    site.client.send(request).await.unwrap()
}

async fn get(site: &Site, path: &str, fields: Fields<'_>) -> Response {
    ask(site, Method::GET, path, fields).await
}

/// All lines of a name, with a comma between them.
fn field(header: &Header, name: &str) -> String {
    header.values(name).collect::<Vec<_>>().join(", ")
}

/// Answers by the path: with what it says, with an error, or not at all.
async fn answer(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    match r.uri.path() {
        "/error" => Err(nethttp::Error::answer(StatusCode::IM_A_TEAPOT, "no")),
        "/panic" => panic!("on purpose"),
        "/large" => w.write("x".repeat(100_000)).await,
        path => w.write(format!("{path}\n")).await,
    }
}

/// Has the request come from the address in `X-Test-Peer`: connections in memory have none.
async fn from_test_peer(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
    if let Some(peer) = r.header.get("X-Test-Peer").and_then(|peer| peer.parse::<std::net::IpAddr>().ok()) {
        r.remote_addr = nethttp::net::Addr::Tcp((peer, 4711).into());
    }
    next.run(w, r).await
}
