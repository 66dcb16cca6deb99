//! An axum application of some forty routes, carried over as it is: state, extractors, layers, streams. Each
//! question is asked in HTTP/1.1 and in HTTP/2.
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body as AxumBody, Bytes};
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Form, MatchedPath, OriginalUri, Path, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::sse::{Event, Sse};
use axum::response::{Html, Redirect, Response};
use axum::routing::{any, delete, get, patch, post, put};
use axum::{Extension, Json, Router};
use nethttp::net::Addr;
use nethttp::testing::Server;
use nethttp::{Body, ServeMux, tower};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_stream::StreamExt;

#[derive(Clone, Default)]
struct App {
    visits: Arc<AtomicUsize>,
    open_streams: Arc<AtomicUsize>,
}

#[derive(serde::Deserialize, serde::Serialize)]
struct Item {
    id: u32,
    name: String,
}

#[derive(serde::Deserialize)]
struct Page {
    page: u32,
}

/// Counts a stream for as long as it is there.
struct OpenStream(Arc<AtomicUsize>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn ticks(State(app): State<App>) -> Sse<impl tokio_stream::Stream<Item = Result<Event, axum::Error>>> {
    app.open_streams.fetch_add(1, Ordering::SeqCst);
    let open = OpenStream(app.open_streams.clone());
    let pause = tokio::time::interval(Duration::from_secs(10));
    let mut number = 0;
    Sse::new(tokio_stream::wrappers::IntervalStream::new(pause).map(move |_| {
        let _ = &open;
        number += 1;
        Ok(Event::default().data(format!("tick {number}")))
    }))
}

async fn stamp(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().insert("x-stamp", "axum".parse().unwrap());
    response
}

fn users() -> Router<App> {
    Router::new()
        .route("/", get(async || "users").post(async || StatusCode::CREATED))
        .route("/{id}", get(async |Path(id): Path<u32>| format!("user {id}")))
        .route("/{id}/name", put(async |Path(id): Path<u32>, name: String| format!("user {id} is {name}")))
        .route("/{id}", delete(async |Path(_): Path<u32>| StatusCode::NO_CONTENT))
        .route("/{id}/posts/{post}", get(async |Path((id, post)): Path<(u32, String)>| format!("{id} wrote {post}")))
        .route("/{id}/flags", patch(async |Json(flags): Json<Vec<String>>| Json(flags.len())))
}

fn texts() -> Router<App> {
    Router::new()
        .route("/plain", get(async || "plain"))
        .route("/html", get(async || Html("<p>html</p>")))
        .route("/json", get(async || Json(Item { id: 1, name: "one".into() })))
        .route("/bytes", get(async || Bytes::from_static(b"bytes")))
        .route("/empty", get(async || ()))
        .route("/none", get(async || StatusCode::NO_CONTENT))
        .route("/teapot", get(async || (StatusCode::IM_A_TEAPOT, "short and stout")))
        .route("/fields", get(async || ([("x-one", "1"), ("x-two", "2")], "fields")))
        .route("/redirect", get(async || Redirect::temporary("/texts/plain")))
        .route("/large", get(async || "x".repeat(300_000)))
        .route("/error", get(async || Err::<String, _>((StatusCode::CONFLICT, "taken"))))
        .route("/panic", get(panics))
}

async fn panics() {
    panic!("of the application")
}

fn extracted() -> Router<App> {
    Router::new()
        .route("/query", get(async |Query(page): Query<Page>| format!("page {}", page.page)))
        .route("/form", post(async |Form(item): Form<Item>| format!("{} {}", item.id, item.name)))
        .route("/json", post(async |Json(item): Json<Item>| Json(Item { id: item.id + 1, ..item })))
        .route("/string", post(async |text: String| text))
        .route("/bytes", post(async |bytes: Bytes| bytes))
        .route("/echo", post(async |request: Request| Response::new(request.into_body())))
        .route("/headers", get(async |headers: HeaderMap| headers["x-asked"].to_str().unwrap().to_owned()))
        .route("/host", get(async |headers: HeaderMap| headers["host"].to_str().unwrap().to_owned()))
        .route("/method", any(async |method: Method| method.to_string()))
        .route("/uri", get(async |OriginalUri(uri): OriginalUri| uri.to_string()))
        .route("/matched/{any}", get(async |path: MatchedPath| path.as_str().to_owned()))
        .route("/addr", get(async |ConnectInfo(addr): ConnectInfo<SocketAddr>| addr.ip().to_string()))
        .route("/ours", get(async |Extension(addr): Extension<Addr>| addr.ip().unwrap().to_string()))
        .route("/small", post(async |text: String| text).layer(DefaultBodyLimit::max(10)))
        .route("/rest/{*rest}", get(async |Path(rest): Path<String>| rest))
}

fn application(app: App) -> Router {
    Router::new()
        .route("/", get(async |State(app): State<App>| format!("{}", app.visits.fetch_add(1, Ordering::SeqCst) + 1)))
        .route("/ticks", get(ticks))
        .nest("/users", users())
        .nest("/texts", texts())
        .nest("/extracted", extracted())
        .fallback(async || (StatusCode::NOT_FOUND, "nothing of axum's"))
        .layer(from_fn(stamp))
        .layer(tower_http::compression::CompressionLayer::new())
        .with_state(app)
}

fn routes(app: App) -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("GET /health", nethttp::respond(async |_: &mut nethttp::Request| "ok"));
    let application = tower::handler(application(app)).prepare(|r| {
        if let Addr::Tcp(addr) = r.remote_addr {
            r.extensions.insert(ConnectInfo(addr));
        }
    });
    mux.handle("/", application);
    mux
}

/// Asks in both protocols: status and content.
async fn ask(servers: &[Server], method: &str, path: &str, content: &'static str, kind: &str) -> (u16, String) {
    let mut answers = Vec::new();
    for server in servers {
        let method = method.parse().unwrap();
        let url = format!("{}{path}", server.url());
        let mut request = nethttp::Request::to(method, url, content).unwrap().with_header("X-Asked", "yes");
        if !kind.is_empty() {
            request.header.set("Content-Type", kind);
        }
        let mut response = server.client().send(request).await.unwrap();
        assert_eq!(response.header.get("X-Stamp").is_some(), path != "/health" && response.status != 500, "{path}");
        answers.push((response.status.as_u16(), response.text().await.unwrap()));
    }
    assert_eq!(answers[0], answers[1], "{method} {path}");
    answers.swap_remove(0)
}

fn servers() -> [Server; 2] {
    [Server::new(routes(App::default())), Server::builder(routes(App::default())).http2().start()]
}

#[tokio::test]
async fn an_application_of_forty_routes_is_carried_over() {
    let servers = servers();
    const FORM: &str = "application/x-www-form-urlencoded";
    const JSON: &str = "application/json";
    for (method, path, content, kind, status, text) in [
        ("GET", "/health", "", "", 200, "ok"),
        ("GET", "/", "", "", 200, "1"),
        ("GET", "/", "", "", 200, "2"),
        ("GET", "/users", "", "", 200, "users"),
        ("POST", "/users", "", "", 201, ""),
        ("GET", "/users/7", "", "", 200, "user 7"),
        ("GET", "/users/x", "", "", 400, "Invalid URL: Cannot parse `x` to a `u32`"),
        ("PUT", "/users/7/name", "ann", "text/plain", 200, "user 7 is ann"),
        ("DELETE", "/users/7", "", "", 204, ""),
        ("GET", "/users/7/posts/a%2Fb", "", "", 200, "7 wrote a/b"),
        ("PATCH", "/users/7/flags", r#"["a","b"]"#, JSON, 200, "2"),
        ("PATCH", "/users/7/name", "", "", 405, ""),
        ("GET", "/texts/plain", "", "", 200, "plain"),
        ("HEAD", "/texts/plain", "", "", 200, ""),
        ("GET", "/texts/html", "", "", 200, "<p>html</p>"),
        ("GET", "/texts/json", "", "", 200, r#"{"id":1,"name":"one"}"#),
        ("GET", "/texts/bytes", "", "", 200, "bytes"),
        ("GET", "/texts/empty", "", "", 200, ""),
        ("GET", "/texts/none", "", "", 204, ""),
        ("GET", "/texts/teapot", "", "", 418, "short and stout"),
        ("GET", "/texts/fields", "", "", 200, "fields"),
        ("GET", "/texts/redirect", "", "", 200, "plain"),
        ("GET", "/texts/error", "", "", 409, "taken"),
        ("GET", "/texts/panic", "", "", 500, "500 Internal Server Error\n"),
        ("GET", "/extracted/query?page=3", "", "", 200, "page 3"),
        ("POST", "/extracted/form", "id=1&name=a+b", FORM, 200, "1 a b"),
        ("POST", "/extracted/json", r#"{"id":1,"name":"a"}"#, JSON, 200, r#"{"id":2,"name":"a"}"#),
        ("POST", "/extracted/json", "{}", "text/plain", 415, "Expected request with `Content-Type: application/json`"),
        ("POST", "/extracted/string", "text", "", 200, "text"),
        ("POST", "/extracted/bytes", "bytes", "", 200, "bytes"),
        ("POST", "/extracted/echo", "echo", "", 200, "echo"),
        ("GET", "/extracted/headers", "", "", 200, "yes"),
        ("OPTIONS", "/extracted/method", "", "", 200, "OPTIONS"),
        ("GET", "/extracted/uri?a=1", "", "", 200, "/extracted/uri?a=1"),
        ("GET", "/extracted/matched/x", "", "", 200, "/extracted/matched/{any}"),
        ("GET", "/extracted/addr", "", "", 200, "127.0.0.1"),
        ("GET", "/extracted/ours", "", "", 200, "127.0.0.1"),
        ("POST", "/extracted/small", "0123456789", "", 200, "0123456789"),
        (
            "POST",
            "/extracted/small",
            "0123456789a",
            "",
            413,
            "Failed to buffer the request body: length limit exceeded",
        ),
        ("GET", "/extracted/rest/a/b", "", "", 200, "a/b"),
        ("GET", "/nowhere", "", "", 404, "nothing of axum's"),
    ] {
        assert_eq!(ask(&servers, method, path, content, kind).await, (status, text.to_owned()), "{method} {path}");
    }
    let (status, large) = ask(&servers, "GET", "/texts/large", "", "").await;
    assert_eq!((status, large.len()), (200, 300_000));
    for server in &servers {
        let host = server.client().get(format!("{}/extracted/host", server.url())).await.unwrap().text().await.unwrap();
        assert_eq!(format!("http://{host}"), server.url());
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_comes_as_it_is_made_and_is_dropped_with_its_client() {
    for http2 in [false, true] {
        let app = App::default();
        let builder = Server::builder(routes(app.clone())).in_memory();
        let server = if http2 { builder.http2().start() } else { builder.start() };
        let began = tokio::time::Instant::now();
        let mut response = server.client().get(format!("{}/ticks", server.url())).await.unwrap();
        for number in 1..4 {
            assert_eq!(response.body.chunk().await.unwrap().unwrap(), format!("data: tick {number}\n\n"));
            assert_eq!(began.elapsed().as_secs(), 10 * (number - 1), "each at once");
        }
        assert_eq!(app.open_streams.load(Ordering::SeqCst), 1);
        drop(response);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(app.open_streams.load(Ordering::SeqCst), 0, "HTTP/2: {http2}");
    }
}

#[tokio::test]
async fn layers_of_tower_http_go_around_handlers() {
    use ::tower::ServiceBuilder;
    use tower_http::request_id::{MakeRequestUuid, SetRequestIdLayer};
    use tower_http::set_header::SetResponseHeaderLayer;
    use tower_http::timeout::TimeoutLayer;

    let mux = ServeMux::new();
    mux.handle("GET /slow", async |_: &mut nethttp::ResponseWriter, _: &mut nethttp::Request| {
        std::future::pending().await
    });
    mux.handle("GET /things/{id}", async |w: &mut nethttp::ResponseWriter, r: &mut nethttp::Request| {
        w.write(format!("{} {}", r.path_value("id"), r.header.contains("x-request-id"))).await
    });
    let layers = ServiceBuilder::new()
        .layer(SetResponseHeaderLayer::overriding(
            axum::http::HeaderName::from_static("x-layer"),
            axum::http::HeaderValue::from_static("here"),
        ))
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, Duration::from_millis(50)));
    let layered = tower::layered(layers, mux);
    let recorded = nethttp::testing::record(&layered, nethttp::testing::request("GET", "/things/7")).await;
    assert_eq!((recorded.text(), recorded.header.get("x-layer")), ("7 true", Some("here")));
    assert_eq!(recorded.header.get("Content-Length"), Some("6"));
    let recorded = nethttp::testing::record(&layered, nethttp::testing::request("GET", "/slow")).await;
    assert_eq!(recorded.status.as_u16(), 503);
}

#[tokio::test]
async fn a_handler_runs_inside_of_axum_and_the_client_takes_layers() {
    let ours = ServeMux::new();
    ours.handle("POST /ours/{name}", async |w: &mut nethttp::ResponseWriter, r: &mut nethttp::Request| {
        let content = r.body.text().await?;
        w.trailer().set("x-end", "yes");
        w.write(format!("{} {content}", r.path_value("name"))).await
    });
    let router =
        Router::new().route("/theirs", get(async || "theirs")).fallback_service(tower::HandlerService::new(ours));
    let server = Server::new(tower::handler(router));

    let transport = server.client().transport.clone();
    let layered = ::tower::ServiceBuilder::new()
        .layer(tower_http::set_header::SetRequestHeaderLayer::overriding(
            axum::http::header::USER_AGENT,
            axum::http::HeaderValue::from_static("layered"),
        ))
        .service(tower::TransportService::from(transport));
    let mut client = nethttp::Client::new();
    client.transport = Arc::new(tower::ServiceTransport::new(layered));
    let text = client.get(format!("{}/theirs", server.url())).await.unwrap().text().await.unwrap();
    assert_eq!(text, "theirs");
    let request = nethttp::Request::to(nethttp::Method::POST, format!("{}/ours/a", server.url()), "content").unwrap();
    let mut response = client.send(request).await.unwrap();
    assert_eq!(response.text().await.unwrap(), "a content");
    assert_eq!(response.body.trailer().unwrap().get("x-end"), Some("yes"));
    assert!(response.url().unwrap().path() == "/ours/a" && response.remote_addr().is_some());

    let mut service = server.client();
    let request = axum::http::Request::get(format!("{}/theirs", server.url())).body(Body::empty()).unwrap();
    let response = ::tower::Service::call(&mut service, request).await.unwrap();
    let bytes = axum::body::to_bytes(AxumBody::new(response.into_body()), 100).await.unwrap();
    assert_eq!(bytes, "theirs");
}

#[tokio::test]
async fn a_service_that_is_not_ready_waits_and_one_that_fails_is_a_500() {
    let slow = ::tower::ServiceBuilder::new().concurrency_limit(1).service_fn(async |_: axum::http::Request<Body>| {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok::<_, std::io::Error>(axum::http::Response::new(Body::from("done")))
    });
    let handler = tower::handler(tower::LockedService::new(::tower::util::BoxCloneService::new(slow)));
    let request = || nethttp::testing::request("GET", "/");
    let began = std::time::Instant::now();
    let (one, two) =
        tokio::join!(nethttp::testing::record(&handler, request()), nethttp::testing::record(&handler, request()));
    assert_eq!((one.text(), two.text()), ("done", "done"));
    assert!(began.elapsed() >= Duration::from_millis(40), "one after the other");

    let fails = ::tower::service_fn(async |_: axum::http::Request<Body>| {
        Err::<axum::http::Response<Body>, _>(std::io::Error::other("secret"))
    });
    let recorded = nethttp::testing::record(&tower::handler(fails), request()).await;
    assert_eq!((recorded.status.as_u16(), recorded.text().contains("secret")), (500, false));
    assert_eq!(recorded.error.unwrap().to_string(), "secret");
}

/// As axum's `WebSocketUpgrade` does it: takes the connection from hyper, and echoes in capitals until it is told to end.
async fn shout(mut request: Request) -> Response {
    if request.extensions().get::<hyper::upgrade::OnUpgrade>().is_none() {
        return Response::builder().status(StatusCode::UPGRADE_REQUIRED).body(AxumBody::empty()).unwrap();
    }
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let mut stream = hyper_util::rt::TokioIo::new(upgrade.await.unwrap());
        stream.write_all(b"ready;").await.unwrap();
        let mut heard = [0; 6];
        loop {
            stream.read_exact(&mut heard).await.unwrap();
            stream.write_all(&heard.to_ascii_uppercase()).await.unwrap();
            if heard == *b"ended;" {
                return;
            }
        }
    });
    let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS).header("Upgrade", "shout");
    response.header("Connection", "Upgrade").header("X-Protocol", "1").body(AxumBody::empty()).unwrap()
}

#[tokio::test]
async fn a_service_that_upgrades_by_hyper_has_the_clients_connection() {
    let server = Server::new(tower::handler(Router::new().route("/shout", any(shout))));
    let Addr::Tcp(addr) = server.addr() else { panic!("it listens on a port") };
    for _ in 0..2 {
        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        // What is sent behind the request belongs to the new protocol.
        let request = "GET /shout HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: shout\r\n\r\nfirst;";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(
            head.starts_with("http/1.1 101 ") && head.contains("x-protocol: 1") && head.contains("\r\nupgrade: shout"),
            "{head}"
        );
        let mut heard = [0; 12];
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(heard, *b"ready;FIRST;");
        stream.write_all(b"ended;").await.unwrap();
        // The service drops its end, and the connection closes.
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.unwrap();
        assert_eq!(rest, "ENDED;");
    }
}

#[tokio::test]
async fn what_asks_for_no_upgrade_is_offered_none() {
    let server = Server::new(tower::handler(Router::new().route("/shout", any(shout))));
    let response = server.client().get(format!("{}/shout", server.url())).await.unwrap();
    assert_eq!(response.status, StatusCode::UPGRADE_REQUIRED);
}

/// Sends each message back, in capitals.
async fn chat(upgrade: WebSocketUpgrade) -> Response {
    upgrade.protocols(["shout"]).on_upgrade(async |mut socket: WebSocket| {
        while let Some(Ok(Message::Text(text))) = socket.recv().await {
            socket.send(Message::text(text.to_uppercase())).await.unwrap();
        }
    })
}

/// A text of a client in one frame (RFC 6455 §5.2), with a mask of zeros.
fn websocket_text(text: &str) -> Vec<u8> {
    let length = u8::try_from(text.len()).unwrap();
    [&[0x81, 0x80 | length, 0, 0, 0, 0], text.as_bytes()].concat()
}

#[tokio::test]
async fn a_websocket_of_axums_is_served_over_both_protocols_by_one_route() {
    for http2 in [false, true] {
        let handler = tower::handler(Router::new().route("/chat", get(chat)));
        let builder = Server::builder(handler).configure(|server| server.http2.enable_connect_protocol = true);
        let server = if http2 { builder.http2().start() } else { builder.start() };
        let mut request = nethttp::Request::get(format!("{}/chat", server.url())).unwrap();
        for (name, value) in [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Protocol", "other, shout"),
        ] {
            request.header.set(name, value);
        }
        if !http2 {
            request.header.set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        }
        let mut response = server.client().send(request).await.unwrap();
        let accept = response.header.get("Sec-WebSocket-Accept");
        if http2 {
            assert_eq!((response.proto, response.status.as_u16(), accept), (nethttp::Version::HTTP_2, 200, None));
        } else {
            assert_eq!((response.status.as_u16(), accept), (101, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")));
        }
        assert_eq!(response.header.get("Sec-WebSocket-Protocol"), Some("shout"));
        let mut stream = response.upgrade().unwrap();
        for text in ["hello", "there", ""] {
            stream.write_all(&websocket_text(text)).await.unwrap();
            let mut heard = vec![0; 2 + text.len()];
            stream.read_exact(&mut heard).await.unwrap();
            assert_eq!(heard[..2], [0x81, u8::try_from(text.len()).unwrap()]);
            assert_eq!(heard[2..], *text.to_uppercase().as_bytes());
        }
        // A message that is no text ends the socket, and with it the stream.
        stream.write_all(&[0x82, 0x80, 0, 0, 0, 0]).await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        drop(stream);
        assert_eq!(server.close().await.running, Vec::<String>::new());
    }
}
