//! The server behind others: nginx and HAProxy take requests of HTTP/1.1 and HTTP/2, and pass them on to
//! it. What is not on the machine is left out, and that is said.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nethttp::client::{ClientProtocols, Proxy};
use nethttp::net::UnixDialer;
use nethttp::server::{ConnState, ServerEvent};
use nethttp::{Body, Client, Method, Request, Server, Transport, Version};
use tokio::net::UnixListener;
use tokio::task::JoinSet;

use crate::programs::{Folder, Running, haproxy, nginx};
use crate::routes::{LARGE, proto, routes};

/// The server on a socket, and how many connections it has had.
struct Site {
    server: Server,
    accepted: Arc<AtomicUsize>,
    folder: Folder,
}

fn site() -> Site {
    let (folder, accepted) = (Folder::new(), Arc::new(AtomicUsize::new(0)));
    let mut server = Server::new(routes());
    server.on_event = Some(Arc::new(|_: &ServerEvent| {}));
    let count = accepted.clone();
    server.conn_state = Some(Arc::new(move |_: &_, state| {
        count.fetch_add(usize::from(state == ConnState::New), Ordering::SeqCst);
    }));
    let listener = UnixListener::bind(folder.path("site")).unwrap();
    let serving = server.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    Site { server, accepted, folder }
}

/// A client of what listens on this socket.
fn client(path: &str, protocols: ClientProtocols) -> Client {
    let mut transport = Transport::new();
    transport.proxy = Proxy::none();
    transport.protocols = protocols;
    transport.expect_continue_timeout = Duration::from_secs(5);
    transport.dial = Arc::new(UnixDialer::new(path));
    let mut client = Client::new();
    client.timeout = Duration::from_secs(60);
    client.transport = Arc::new(transport);
    client
}

async fn ask(client: &Client, method: Method, path: &str, content: impl Into<Body>) -> (u16, String) {
    let request = Request::to(method, &*format!("http://a.test{path}"), content).unwrap();
    let mut response = client.send(request).await.unwrap();
    (response.status.as_u16(), response.text().await.unwrap())
}

/// What a server has to do behind a proxy, whoever it is. `behind` is what the two speak; so many bytes are
/// answered with while they still come.
async fn assert_is_passed_on(client: &Client, behind: Version, both_ways: usize) {
    assert_eq!(ask(client, Method::GET, "/proto", ()).await, (200, proto(behind)));
    assert_eq!(ask(client, Method::HEAD, "/proto", ()).await, (200, String::new()));
    let content = "0123456789".repeat(300_000);
    assert_eq!(ask(client, Method::POST, "/count", content.clone()).await, (200, content.len().to_string()));
    let content = &content[..both_ways];
    let (status, echoed) = ask(client, Method::POST, "/echo", content.to_owned()).await;
    assert!(status == 200 && echoed == content, "{status}, {} bytes came back", echoed.len());
    assert_eq!(ask(client, Method::POST, "/ignore", "a little content").await, (200, "ignored".into()));
    assert_eq!(ask(client, Method::POST, "/refuse", "a little content").await.0, 413);
    assert_eq!(ask(client, Method::GET, "/none", ()).await.0, 404);
    let mut response = client.get("http://a.test/large").await.unwrap();
    let mut length = 0;
    while let Some(chunk) = response.body.chunk().await.unwrap() {
        length += chunk.len() as u64;
    }
    assert_eq!(length, LARGE);
    let mut asking = JoinSet::new();
    for _ in 0..60 {
        let client = client.clone();
        asking.spawn(async move { ask(&client, Method::GET, "/proto", ()).await });
    }
    for answer in asking.join_all().await {
        assert_eq!(answer, (200, proto(behind)));
    }
}

/// That what breaks off behind the proxy does not look whole before it.
async fn assert_cut_is_seen(client: &Client) {
    let cut = async {
        let mut response = client.get("http://a.test/abort").await?;
        nethttp::Result::<_>::Ok((response.status.as_u16(), response.text().await?))
    };
    let cut = cut.await;
    assert!(!matches!(cut, Ok((200, _))), "{cut:?}");
}

impl Site {
    /// That all its connections end with the proxy, and nobody was cut.
    async fn assert_ends(self, front: Running) {
        drop(front);
        assert_eq!(self.server.shutdown(Duration::from_secs(10)).await.cut, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_in_front_passes_requests_on_and_keeps_its_connections() {
    let site = site();
    let path = site.folder.path("");
    let servers = format!(
        "client_max_body_size 100m;
        upstream site {{ server unix:{path}site; keepalive 8; }}
        server {{
            listen unix:{path}front http2;
            listen unix:{path}plain;
            location / {{
                proxy_pass http://site; proxy_http_version 1.1; proxy_set_header Connection \"\";
                proxy_buffering off;
            }}
        }}"
    );
    let Some(mut front) = nginx(&site.folder, &servers) else { return };
    front.listens_at(&site.folder.path("plain")).await;
    for (socket, protocols) in [("plain", ClientProtocols::Auto), ("front", ClientProtocols::Http2)] {
        let client = client(&site.folder.path(socket), protocols);
        // nginx sends no more of a request once an answer to it begins.
        assert_is_passed_on(&client, Version::HTTP_11, 1000).await;
        assert_cut_is_seen(&client).await;
        let before = site.accepted.load(Ordering::SeqCst);
        for _ in 0..20 {
            assert_eq!(ask(&client, Method::GET, "/proto", ()).await.0, 200);
        }
        let more = site.accepted.load(Ordering::SeqCst) - before;
        assert!(more <= 1, "{more} connections for twenty requests in a row");
    }
    site.assert_ends(front).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn haproxy_in_front_passes_requests_on_over_http1_and_over_http2() {
    let site = site();
    let path = site.folder.path("");
    let sections = format!(
        "frontend plain
            bind unix@{path}plain
            default_backend http1
        frontend front
            bind unix@{path}front proto h2
            default_backend http1
        frontend plain-to-http2
            bind unix@{path}plain-to-http2
            default_backend http2
        frontend front-to-http2
            bind unix@{path}front-to-http2 proto h2
            default_backend http2
        backend http1
            server site unix@{path}site
        backend http2
            server site unix@{path}site proto h2"
    );
    let Some(mut front) = haproxy(&site.folder, &sections) else { return };
    front.listens_at(&site.folder.path("front-to-http2")).await;
    for (socket, protocols, behind) in [
        ("plain", ClientProtocols::Auto, Version::HTTP_11),
        ("front", ClientProtocols::Http2, Version::HTTP_11),
        ("plain-to-http2", ClientProtocols::Auto, Version::HTTP_2),
        ("front-to-http2", ClientProtocols::Http2, Version::HTTP_2),
    ] {
        let client = client(&site.folder.path(socket), protocols);
        assert_is_passed_on(&client, behind, 3_000_000).await;
        // With HTTP/2 on either side, HAProxy 2.6 ends well what was cut behind it, whoever cut it.
        if socket == "plain" {
            assert_cut_is_seen(&client).await;
        }
        // Trailers pass both ways; nginx drops them.
        let mut request = Request::post("http://a.test/trailer", "content").unwrap();
        request.trailer.set("X-Check", "sent");
        let mut response = client.send(request).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "sent", "{socket}");
        assert_eq!(response.body.trailer().and_then(|trailer| trailer.get("X-Sum")), Some("7"), "{socket}");
    }
    site.assert_ends(front).await;
}
