//! HTTP/2 as others speak it: curl, nghttp, h2load and Go against the server, the client against
//! nghttpd, nginx and Go; over TLS and in the clear, over sockets.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nethttp::client::{ClientProtocols, Proxy};
use nethttp::net::{FixedResolver, SystemResolver, TcpDialer, UnixDialer};
use nethttp::server::ServerEvent;
use nethttp::tls::{Certificate, TlsConfig, TlsRoots, TlsServerConfig};
use nethttp::{Body, Client, ErrorKind, Method, Request, Server, Transport, Version};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::certificates::Authority;
use crate::programs::{Folder, Running, free_port, has, nginx, run};
use crate::routes::{LARGE, proto, routes};

// ------------------------------------------------------------ others against the server

/// The server on two ports, and what its peers need to know.
struct Site {
    server: Server,
    secure: SocketAddr,
    plain: SocketAddr,
    folder: Folder,
    roots: String,
}

async fn site() -> Site {
    let (authority, folder) = (Authority::new("ca"), Folder::new());
    let roots = folder.file("ca.pem", authority.pem());
    let issued = authority.issue(&["a.test", "127.0.0.1"]);
    let tls = TlsServerConfig::new([Certificate::from_pem(&issued.certificate, &issued.key).unwrap()]).unwrap();
    let mut server = Server::new(routes());
    server.on_event = Some(Arc::new(|_: &ServerEvent| {}));
    let listeners = [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
    let [secure, plain] = [0, 1].map(|at: usize| listeners[at].local_addr().unwrap());
    let [over_tls, in_the_clear] = listeners;
    let (one, other) = (server.clone(), server.clone());
    tokio::spawn(async move { one.serve_tls(over_tls, &tls).await });
    tokio::spawn(async move { other.serve(in_the_clear).await });
    Site { server, secure, plain, folder, roots }
}

impl Site {
    /// That all connections end by themselves, and nobody was cut.
    async fn assert_ends(self) {
        let report = self.server.shutdown(Duration::from_secs(10)).await;
        assert_eq!(report.cut, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_is_served_over_http2_however_it_gets_there() {
    if !has("curl") {
        return;
    }
    let site = site().await;
    let content = site.folder.file("content", vec![b'x'; usize::try_from(LARGE).unwrap()]);
    let upload = format!("@{content}");
    let resolve = format!("a.test:{}:127.0.0.1", site.secure.port());
    let over_tls = format!("https://a.test:{}", site.secure.port());
    let in_the_clear = format!("http://{}", site.plain);
    for (protocol, base, version) in [
        ("--http2", &over_tls, "2"),
        ("--http2-prior-knowledge", &in_the_clear, "2"),
        ("--http1.1", &over_tls, "1.1"),
        ("--http1.1", &in_the_clear, "1.1"),
    ] {
        let curl = async |more: &[&str], path: &str| {
            let url = format!("{base}{path}");
            let mut all = vec!["-sS", "--max-time", "100", "--cacert", &site.roots, "--resolve", &resolve, protocol];
            all.extend(more);
            all.push(&url);
            run("curl", &all).await
        };
        let expected = if version == "2" { "HTTP/2.0" } else { "HTTP/1.1" };
        assert_eq!(curl(&["-w", " %{http_version}"], "/proto").await, (true, format!("{expected} {version}")));
        assert_eq!(curl(&["--data-binary", &upload], "/count").await, (true, LARGE.to_string()));
        // As with nginx: over HTTP/2 curl says that its stream was reset, and does not hang.
        let (_, said) = curl(&["--data-binary", &upload], "/ignore").await;
        assert!(said == "ignored" || version == "2" && said.contains("curl: (92)"), "{base}: {said}");
        let small = curl(&["--data-binary", "a little content"], "/ignore").await;
        assert_eq!(small, (true, "ignored".into()), "{protocol} {base}");
        let downloaded = curl(&["-o", "/dev/null", "-w", "%{size_download}"], "/large").await;
        assert_eq!(downloaded, (true, LARGE.to_string()));
        let (ended_well, _) = curl(&["-o", "/dev/null"], "/abort").await;
        assert!(!ended_well, "what was cut does not look whole: {protocol} {base}");
    }
    site.assert_ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nghttp_and_h2load_are_served() {
    let site = site().await;
    let (over_tls, in_the_clear) = (format!("https://{}", site.secure), format!("http://{}", site.plain));
    if has("nghttp") {
        let content = site.folder.file("content", vec![b'x'; 3_000_000]);
        for base in [&over_tls, &in_the_clear] {
            let url = |path: &str| format!("{base}{path}");
            // Behind that it may warn of the certificate, which it cannot be told to trust.
            let (ended_well, said) = run("nghttp", &[&url("/proto")]).await;
            assert!(ended_well && said.starts_with("HTTP/2.0"), "{said}");
            let (ended_well, said) = run("nghttp", &["-d", &content, &url("/count")]).await;
            assert!(ended_well && said.starts_with("3000000"), "{said}");
            let sent = run("nghttp", &["-d", &content, "--trailer", "x-check: sent", &url("/trailer")]).await;
            assert!(sent.1.contains("413"), "that is over the handler's limit: {sent:?}");
            let (ended_well, said) = run("nghttp", &["-nv", "-m", "20", &url("/hints")]).await;
            assert!(ended_well && said.contains(":status: 103") && said.contains("link: </a>"), "{said}");
        }
    }
    if has("h2load") {
        for (url, more) in [
            (format!("{over_tls}/proto"), "-n2000"),
            (format!("{in_the_clear}/proto"), "-n2000"),
            (format!("{over_tls}/large"), "-n2"),
        ] {
            let (ended_well, said) = run("h2load", &[more, "-c2", "-m20", &url]).await;
            let count = &more[2..];
            let line = format!("{count} succeeded, 0 failed, 0 errored, 0 timeout");
            assert!(ended_well && said.contains(&line), "{said}");
        }
    }
    site.assert_ends().await;
}

/// The program in tests/peers, built; `None` without Go.
async fn go_peer(folder: &Folder) -> Option<String> {
    if !has("go") {
        return None;
    }
    let program = folder.path("peer");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/peer.go");
    let (built, said) = run("go", &["build", "-o", &program, source]).await;
    assert!(built, "{said}");
    Some(program)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gos_client_is_served() {
    let site = site().await;
    let Some(peer) = go_peer(&site.folder).await else { return };
    for base in [format!("https://{}", site.secure), format!("http://{}", site.plain)] {
        let (ended_well, said) = run(&peer, &["client", &base, &site.roots]).await;
        assert!(ended_well, "{base}: {said}");
        assert_eq!(said, "all went well\n");
    }
    site.assert_ends().await;
}

// ------------------------------------------------------------ the client against others

/// A client that trusts this authority, by this protocol, and finds `a.test` on this machine.
fn client(authority: &Authority, protocols: ClientProtocols, port: u16) -> (Client, Arc<Transport>) {
    let mut transport = transport(authority, protocols);
    let here = SocketAddr::from(([127, 0, 0, 1], port));
    let resolver = FixedResolver::new(SystemResolver::new()).with_addrs("a.test", port, [here]);
    transport.dial = Arc::new(TcpDialer::new().with_resolver(resolver));
    over(transport)
}

fn transport(authority: &Authority, protocols: ClientProtocols) -> Transport {
    let mut transport = Transport::new();
    transport.proxy = Proxy::none();
    transport.protocols = protocols;
    transport.expect_continue_timeout = Duration::from_secs(5);
    transport.set_tls(TlsConfig::new().roots(TlsRoots::None).add_root_pem(authority.pem()).unwrap());
    transport
}

fn over(transport: Transport) -> (Client, Arc<Transport>) {
    let transport = Arc::new(transport);
    let mut client = Client::new();
    client.timeout = Duration::from_secs(60);
    client.transport = transport.clone();
    (client, transport)
}

async fn text(client: &Client, method: Method, url: &str, body: impl Into<Body>) -> (u16, Version, String) {
    let mut response = client.send(Request::to(method, url, body).unwrap()).await.unwrap();
    let text = response.text().await.unwrap();
    (response.status.as_u16(), response.proto, text)
}

/// Hundred requests at once, all answered so.
async fn parallel(client: &Client, url: &str, expected: &str) {
    let mut asking = JoinSet::new();
    for _ in 0..100 {
        let (client, url) = (client.clone(), url.to_owned());
        asking.spawn(async move { text(&client, Method::GET, &url, ()).await });
    }
    for (status, _, content) in asking.join_all().await {
        assert_eq!((status, content.as_str()), (200, expected));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gos_server_is_understood() {
    let (authority, folder) = (Authority::new("ca"), Folder::new());
    let Some(peer) = go_peer(&folder).await else { return };
    let issued = authority.issue(&["a.test"]);
    let (certificate, key) = (folder.file("cert.pem", &issued.certificate), folder.file("key.pem", &issued.key));
    let mut running = Running::start(&peer, &["server", &certificate, &key]);
    let line = running.line();
    let ports: Vec<u16> = line.split_whitespace().map(|port| port.parse().unwrap()).collect();

    for (scheme, port, protocols, version) in [
        ("https", ports[0], ClientProtocols::Auto, Version::HTTP_2),
        ("https", ports[0], ClientProtocols::Http1, Version::HTTP_11),
        ("http", ports[1], ClientProtocols::Http2, Version::HTTP_2),
        ("http", ports[1], ClientProtocols::Auto, Version::HTTP_11),
    ] {
        let (client, transport) = client(&authority, protocols, port);
        let url = |path: &str| format!("{scheme}://a.test:{port}{path}");
        let expected = (200, version, proto(version));
        assert_eq!(text(&client, Method::GET, &url("/proto"), ()).await, expected);
        let content = "0123456789".repeat(500_000);
        let echoed = text(&client, Method::POST, &url("/echo"), content.clone()).await;
        assert!(echoed == (200, version, content), "{version:?}");
        let ignored = text(&client, Method::POST, &url("/ignore"), vec![0; 5_000_000]).await;
        assert_eq!(ignored, (200, version, "ignored".into()));
        assert_eq!(text(&client, Method::GET, &url("/hints"), ()).await.2, "done");

        let mut request = Request::to(Method::POST, &*url("/trailer"), "content").unwrap();
        request.trailer.set("X-Check", "sent");
        let mut response = client.send(request).await.unwrap();
        assert_eq!(response.text().await.unwrap(), "sent");
        assert_eq!(response.body.trailer().unwrap().get("X-Sum"), Some("7"));

        for (path, status) in [("/echo", 200), ("/refuse", 413)] {
            let mut request = Request::to(Method::PUT, &*url(path), "content").unwrap();
            request.header.set("Expect", "100-continue");
            assert_eq!(client.send(request).await.unwrap().status.as_u16(), status);
        }
        let error = match client.get(&*url("/abort")).await {
            Ok(mut response) => response.text().await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.kind(), ErrorKind::CutOff, "{error}");
        parallel(&client, &url("/proto"), &proto(version)).await;
        assert_eq!(text(&client, Method::GET, &url("/close"), ()).await.2, "bye");
        assert_eq!(text(&client, Method::GET, &url("/proto"), ()).await, expected, "on a new connection");
        drop((client, transport));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nghttpd_is_understood() {
    if !has("nghttpd") {
        return;
    }
    let (authority, folder) = (Authority::new("ca"), Folder::new());
    let issued = authority.issue(&["a.test"]);
    let (certificate, key) = (folder.file("cert.pem", &issued.certificate), folder.file("key.pem", &issued.key));
    let large = vec![b'x'; 20_000_000];
    folder.file("large", &large);
    folder.file("small", "hello");
    for (scheme, protocols) in [("https", ClientProtocols::Auto), ("http", ClientProtocols::Http2)] {
        let (port, root) = (free_port(), folder.path(""));
        let number = port.to_string();
        let mut arguments = vec!["-a", "127.0.0.1", "-d", &root, "--echo-upload", "--trailer", "x-sum: 5"];
        match scheme {
            "https" => arguments.extend([&*number, &key, &certificate]),
            _ => arguments.extend(["--no-tls", &number]),
        }
        let mut running = Running::start("nghttpd", &arguments);
        running.listens(port).await;
        let (client, transport) = client(&authority, protocols, port);
        let url = |path: &str| format!("{scheme}://a.test:{port}{path}");
        let mut response = client.get(&*url("/small")).await.unwrap();
        assert_eq!((response.proto, response.text().await.unwrap()), (Version::HTTP_2, "hello".into()));
        assert_eq!(response.body.trailer().unwrap().get("X-Sum"), Some("5"));
        let mut response = client.get(&*url("/large")).await.unwrap();
        assert!(response.bytes().await.unwrap() == large);
        let (status, _, echoed) = text(&client, Method::POST, &url("/echo"), "x".repeat(3_000_000)).await;
        assert_eq!((status, echoed.len()), (200, 3_000_000));
        assert_eq!(text(&client, Method::GET, &url("/none"), ()).await.0, 404);
        parallel(&client, &url("/small"), "hello").await;
        assert_eq!(transport.pool_stats()[0].idle, 1, "all of it over one connection");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nginx_is_understood() {
    let (authority, folder) = (Authority::new("ca"), Folder::new());
    let issued = authority.issue(&["a.test"]);
    let (certificate, key) = (folder.file("cert.pem", &issued.certificate), folder.file("key.pem", &issued.key));
    let path = folder.path("");
    folder.file("large.bin", vec![b'x'; 20_000_000]);
    folder.file("text.txt", "hello ".repeat(1000));
    let common = format!(
        "root {path}; location /hello {{ return 200 hello; }} location /few {{ keepalive_requests 3; return 200 few; }}
        location /put/ {{ alias {path}; dav_methods PUT; }}"
    );
    let servers = format!(
        "client_max_body_size 100m; gzip on; gzip_types *; gzip_min_length 1;
        ssl_certificate {certificate}; ssl_certificate_key {key};
        server {{ listen unix:{path}secure ssl http2; {common} }}
        server {{ listen unix:{path}plain http2; {common} }}"
    );
    let Some(mut running) = nginx(&folder, &servers) else { return };
    running.listens_at(&folder.path("plain")).await;
    for (number, (scheme, socket, protocols, version)) in [
        ("https", "secure", ClientProtocols::Auto, Version::HTTP_2),
        ("https", "secure", ClientProtocols::Http1, Version::HTTP_11),
        ("http", "plain", ClientProtocols::Http2, Version::HTTP_2),
    ]
    .into_iter()
    .enumerate()
    {
        let mut transport = transport(&authority, protocols);
        transport.dial = Arc::new(UnixDialer::new(folder.path(socket)));
        let (client, transport) = over(transport);
        let url = |path: &str| format!("{scheme}://a.test{path}");
        assert_eq!(text(&client, Method::GET, &url("/hello"), ()).await, (200, version, "hello".into()));
        assert_eq!(text(&client, Method::GET, &url("/text.txt"), ()).await.2, "hello ".repeat(1000), "gzip");
        assert_eq!(text(&client, Method::GET, &url("/large.bin"), ()).await.2.len(), 20_000_000);
        let put = text(&client, Method::PUT, &url(&format!("/put/{number}")), vec![b'y'; 5_000_000]).await;
        assert_eq!(put.0, 201);
        assert_eq!(text(&client, Method::GET, &url("/none"), ()).await.0, 404);
        parallel(&client, &url("/hello"), "hello").await;
        // GOAWAY after a few: the others go over new connections, and none is lost.
        for _ in 0..10 {
            assert_eq!(text(&client, Method::GET, &url("/few"), ()).await.2, "few");
        }
        drop((client, transport));
    }
}
