//! A reverse proxy: the API is another server's, the rest is files. Learn how requests and responses are changed on
//! their way, and what is known of each exchange.
//!
//! `cargo run --example reverse_proxy -- http://127.0.0.1:9000`, then `curl -i http://127.0.0.1:8000/api/`.

use std::time::Duration;

use nethttp::reverse_proxy::ReverseProxy;
use nethttp::{Response, Result, ServeMux, StatusCode};

/// What is served for this upstream.
fn site(upstream: &str) -> Result<ServeMux> {
    let proxy = ReverseProxy::to(upstream)?
        .response_header_timeout(Duration::from_secs(10))
        .rewrite(|out, r| {
            // What the server behind must not have.
            out.header.del("Cookie");
            out.header.set("X-Tenant", r.hostname().split('.').next().unwrap_or_default());
            Ok(())
        })
        .modify_response(|response, _| {
            response.header.del("Server");
            Ok(())
        })
        .on_error(|_, error| {
            let status = error.status().unwrap_or(StatusCode::BAD_GATEWAY);
            Some(Response::new("We are back in a minute.\n").with_status(status).with_header("Retry-After", "60"))
        })
        .on_exchange(|r, record| println!("{} {}: {record}", r.method, r.path()));

    let mux = ServeMux::new();
    mux.handle("/api/", nethttp::strip_prefix("/api", proxy));
    mux.handle("/", nethttp::file_server("public"));
    Ok(mux)
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let upstream = arguments.next().unwrap_or_else(|| "http://127.0.0.1:9000".to_owned());
    let addr = arguments.next().unwrap_or_else(|| "127.0.0.1:8000".to_owned());
    nethttp::listen_and_serve(addr, site(&upstream)?).await
}

#[cfg(test)]
mod tests {
    use nethttp::{Request, ResponseWriter, testing};

    #[tokio::test]
    async fn the_api_is_the_upstreams_and_a_failure_says_when_to_come_back() {
        let upstream = testing::Server::new(async |w: &mut ResponseWriter, r: &mut Request| {
            w.header().set("Server", "secret");
            w.write(format!("{} {:?}", r.path(), r.header.get("Cookie"))).await
        });
        let server = testing::Server::new(super::site(upstream.url()).unwrap());
        let url = format!("{}/api/users", server.url());
        let request = || Request::get(&*url).unwrap().with_header("Cookie", "a=1");
        let mut response = server.client().send(request()).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "/users None");
        assert!(!response.header.contains("Server"));

        upstream.close().await;
        let response = server.client().send(request()).await.unwrap();
        assert_eq!((response.status.as_u16(), response.header.get("Retry-After")), (502, Some("60")));
    }
}
