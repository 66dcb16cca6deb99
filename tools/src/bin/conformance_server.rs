//! The server that the conformance kit tests (tests/conformance/README.md): one `Server`, one
//! `ServeMux`, and a handler for each rule that can be seen from outside.

use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nethttp::header::canonical_header_key;
use nethttp::server::ConnState;
use nethttp::tls::TlsServerConfig;
use nethttp::{
    Body, Bytes, Cookie, Error, ErrorKind, Header, Request, ResponseWriter, Result, ServeMux, Server, StatusCode,
    handle_with,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<()> {
    let counts = Arc::new(Counts::default());
    let mut server = Server::new(routes(&counts));
    configure(&mut server, counts);

    let listener = listen("PORT").await?;
    let secure = match env::var("TLS_PORT") {
        Ok(_) => Some((listen("TLS_PORT").await?, certificate()?)),
        Err(_) => None,
    };
    let mut terminate = signal(SignalKind::terminate())?;
    println!("ready");

    let ender = server.clone();
    let grace = milliseconds("SHUTDOWN_GRACE_MS").unwrap_or(Duration::from_secs(5));
    let ending = tokio::spawn(async move {
        terminate.recv().await;
        ender.shutdown(grace).await
    });
    if let Some((listener, tls)) = secure {
        let server = server.clone();
        // Ends with the other one: a server ends all its listeners together.
        tokio::spawn(async move { server.serve_tls(listener, &tls).await });
    }
    let ended = server.serve(listener).await;
    if ended.as_ref().is_err_and(|error| error.kind() != ErrorKind::ServerClosed) {
        return ended;
    }
    let report = ending.await.map_err(Error::other)?;
    std::process::exit(i32::from(report.cut > 0));
}

async fn listen(port: &str) -> Result<TcpListener> {
    let port = env::var(port).unwrap_or_else(|_| "0".into());
    Ok(TcpListener::bind(format!("127.0.0.1:{port}")).await?)
}

/// That of the files `CERT` and `KEY`.
fn certificate() -> Result<TlsServerConfig> {
    let path = |name: &str| env::var(name).map_err(|error| Error::other(format!("{name}: {error}")));
    TlsServerConfig::from_pem_files(path("CERT")?, path("KEY")?)
}

fn configure(server: &mut Server, counts: Arc<Counts>) {
    let limits = [
        ("READ_HEADER_TIMEOUT_MS", &mut server.read_header_timeout),
        ("IDLE_TIMEOUT_MS", &mut server.idle_timeout),
        ("READ_TIMEOUT_MS", &mut server.read_timeout),
        ("WRITE_TIMEOUT_MS", &mut server.write_timeout),
    ];
    for (name, limit) in limits {
        if let Some(set) = milliseconds(name) {
            *limit = set;
        }
    }
    server.max_header_bytes = number("MAX_HEADER_BYTES").unwrap_or(server.max_header_bytes);
    server.max_connections = number("MAX_CONNECTIONS").unwrap_or(server.max_connections);
    server.conn_state = Some(Arc::new(move |_, state| counts.enter(state)));
}

fn number(name: &str) -> Option<usize> {
    env::var(name).ok()?.parse().ok()
}

fn milliseconds(name: &str) -> Option<Duration> {
    Some(Duration::from_millis(env::var(name).ok()?.parse().ok()?))
}

fn routes(counts: &Arc<Counts>) -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("/", echo);
    mux.handle("/ignore", async |w: &mut ResponseWriter, _: &mut Request| w.write("ignored").await);
    mux.handle("/max10", nethttp::middleware::max_bytes_handler(echo_strictly, 10));
    mux.handle("/status/{code}", status);
    mux.handle("/headers", headers);
    mux.handle("/bytes/{n}", bytes);
    mux.handle("/chunks/{n}/{size}", chunks);
    mux.handle("/drip/{n}/{ms}", drip);
    mux.handle("/trailer", trailer);
    mux.handle("/early-hints", early_hints);
    mux.handle("/late-body/{ms}", late_body);
    mux.handle("/refuse", async |w: &mut ResponseWriter, _: &mut Request| {
        w.write_header(StatusCode::PAYLOAD_TOO_LARGE);
        w.write("too large\n").await
    });
    mux.handle("/panic", panic_at_once);
    mux.handle("/panic-late", panic_late);
    mux.handle("/hijack", hijack);
    mux.handle("/wait", handle_with(counts.clone(), wait));
    mux.handle("/cancelled", handle_with(counts.clone(), cancelled));
    mux.handle("/states", handle_with(counts.clone(), states));
    mux.handle("/redirect/{n}", redirect);
    mux.handle("/redirect-to", redirect_to);
    mux.handle("/set-cookie", set_cookie);
    mux.handle("/cookies", cookies);
    if let Ok(files) = env::var("FILES") {
        mux.handle("/files/", nethttp::strip_prefix("/files", nethttp::file_server(files)));
    }
    mux.handle("/mux/", second_mux());
    mux
}

// ---------------------------------------------------------------- what was received

async fn echo(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    match r.body.bytes(u64::MAX).await {
        Ok(body) => answer_echo(w, r, &body).await,
        Err(error) => Err(Error::answer(StatusCode::BAD_REQUEST, error.to_string())),
    }
}

/// As `echo`, but an error of the body becomes the response: over the limit it is 413.
async fn echo_strictly(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let body = r.body.bytes(u64::MAX).await?;
    answer_echo(w, r, &body).await
}

async fn answer_echo(w: &mut ResponseWriter, r: &mut Request, body: &Bytes) -> Result<()> {
    let shown = match body.len() {
        0..=200 => json_bytes(body),
        n => json_bytes(format!("<{n} bytes>").as_bytes()),
    };
    let mut text = format!(
        "m={} t={} h={} b={shown}",
        json_bytes(r.method.as_str().as_bytes()),
        json_bytes(r.request_uri.as_bytes()),
        json_bytes(r.host.as_bytes()),
    );
    if let Some(trailer) = r.body.trailer().filter(|trailer| !trailer.is_empty()) {
        let _ = write!(text, " tr={}", json_bytes(&sorted_fields(trailer)));
    }
    let values: Vec<&[u8]> = r.header.values_bytes("X").collect();
    if !values.is_empty() {
        let _ = write!(text, " x={}", json_bytes(&values.join(&b'|')));
    }
    w.header().set("Content-Type", "text/plain");
    w.write(text).await
}

fn sorted_fields(header: &Header) -> Vec<u8> {
    let mut fields: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for (name, value) in header.iter() {
        fields.entry(canonical_header_key(name).into_owned()).or_insert_with(|| value.to_vec());
    }
    let pairs: Vec<Vec<u8>> =
        fields.into_iter().map(|(name, value)| [name.as_bytes(), b"=", &value].concat()).collect();
    pairs.join(&b';')
}

/// A JSON string whose characters stand for bytes (latin-1).
fn json_bytes(bytes: &[u8]) -> String {
    let text: String = bytes.iter().map(|&b| char::from(b)).collect();
    serde_json::to_string(&text).expect("text is JSON")
}

async fn headers(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let fields: Vec<(String, String)> = r
        .header
        .iter()
        .map(|(name, value)| (name.to_owned(), value.iter().map(|&b| char::from(b)).collect()))
        .collect();
    let facts = serde_json::json!({
        "method": r.method.as_str(),
        "target": r.request_uri,
        "proto": format!("{:?}", r.proto),
        "host": r.host,
        "remote_addr": r.remote_addr.to_string(),
        "content_length": r.content_length.map_or(-1, |length| i64::try_from(length).unwrap_or(i64::MAX)),
        "headers": fields,
    });
    w.header().set("Content-Type", "application/json");
    w.write(facts.to_string()).await
}

async fn late_body(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    tokio::time::sleep(Duration::from_millis(path_number(r, "ms")?)).await;
    let body = r.body.bytes(u64::MAX).await?;
    w.write(body.len().to_string()).await
}

// ---------------------------------------------------------------- what is sent

fn path_number(r: &Request, name: &str) -> Result<u64> {
    let text = r.path_value(name);
    text.parse().map_err(|_| Error::answer(StatusCode::BAD_REQUEST, "a number is missing in the path"))
}

async fn status(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let code = u16::try_from(path_number(r, "code")?).unwrap_or(0);
    let status =
        StatusCode::from_u16(code).map_err(|_| Error::answer(StatusCode::BAD_REQUEST, "a status is 100 to 999"))?;
    if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(Error::answer(StatusCode::BAD_REQUEST, "no final status"));
    }
    w.write_header(status);
    match w.write(format!("{code}\n")).await {
        Err(error) if error.kind() == ErrorKind::BodyNotAllowed => Ok(()),
        other => other,
    }
}

async fn bytes(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let n = usize::try_from(path_number(r, "n")?).unwrap_or(0);
    w.write_bytes(vec![b'x'; n].into()).await
}

async fn chunks(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let size = usize::try_from(path_number(r, "size")?).unwrap_or(0);
    let chunk = Bytes::from(vec![b'x'; size]);
    for _ in 0..path_number(r, "n")? {
        w.write_bytes(chunk.clone()).await?;
        w.flush().await?;
    }
    Ok(())
}

async fn drip(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let pause = Duration::from_millis(path_number(r, "ms")?);
    for n in 0..path_number(r, "n")? {
        if n > 0 {
            tokio::time::sleep(pause).await;
        }
        w.write("x").await?;
        w.flush().await?;
    }
    Ok(())
}

async fn trailer(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.header().set("Trailer", "X-Sum");
    w.write("hello").await?;
    w.trailer().set("X-Sum", "5");
    Ok(())
}

async fn early_hints(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.header().set("Link", "</a.css>; rel=preload");
    w.send_informational(StatusCode::EARLY_HINTS).await?;
    tokio::time::sleep(Duration::from_millis(100)).await;
    w.header().del("Link");
    w.write("done").await
}

async fn redirect(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let location = match path_number(r, "n")? {
        0 => "/".to_owned(),
        n => format!("/redirect/{}", n - 1),
    };
    nethttp::redirect(w, r, &location, StatusCode::FOUND).await
}

async fn redirect_to(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let url = r.query("url").unwrap_or_else(|| "/".into());
    let code = r.query("status").and_then(|text| text.parse().ok()).unwrap_or(302);
    let status = StatusCode::from_u16(code).unwrap_or(StatusCode::FOUND);
    nethttp::redirect(w, r, &url, status).await
}

async fn set_cookie(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    for (name, value) in r.query_pairs() {
        nethttp::set_cookie(w.header(), &Cookie::new(name, value))?;
    }
    w.write("set\n").await
}

async fn cookies(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let pairs: Vec<(String, String)> = r.cookies().map(|cookie| (cookie.name, cookie.value)).collect();
    w.header().set("Content-Type", "application/json");
    w.write(serde_json::json!(pairs).to_string()).await
}

// ---------------------------------------------------------------- how an exchange ends

async fn panic_at_once(_: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    panic!("at once, as asked");
}

async fn panic_late(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.write("partial").await?;
    w.flush().await?;
    panic!("late, as asked");
}

async fn hijack(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    let mut stream = w.hijack().await?;
    stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n").await?;
    let mut buffer = [0; 4096];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            stream.shutdown().await?;
            return Ok(());
        }
        stream.write_all(&buffer[..n]).await?;
    }
}

async fn wait(counts: &Arc<Counts>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    if tokio::time::timeout(Duration::from_secs(10), r.context().cancelled()).await.is_ok() {
        counts.cancelled.fetch_add(1, Ordering::SeqCst);
    }
    w.write("waited\n").await
}

async fn cancelled(counts: &Arc<Counts>, w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.write(counts.cancelled.load(Ordering::SeqCst).to_string()).await
}

async fn states(counts: &Arc<Counts>, w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    let of = |count: &AtomicU64| count.load(Ordering::SeqCst);
    let text = format!(
        r#"{{"new":{},"active":{},"idle":{},"hijacked":{},"closed":{}}}"#,
        of(&counts.new),
        of(&counts.active),
        of(&counts.idle),
        of(&counts.hijacked),
        of(&counts.closed)
    );
    w.header().set("Content-Type", "application/json");
    w.write(text).await
}

#[derive(Default)]
struct Counts {
    new: AtomicU64,
    active: AtomicU64,
    idle: AtomicU64,
    hijacked: AtomicU64,
    closed: AtomicU64,
    cancelled: AtomicU64,
}

impl Counts {
    fn enter(&self, state: ConnState) {
        let count = match state {
            ConnState::New => &self.new,
            ConnState::Active => &self.active,
            ConnState::Idle => &self.idle,
            ConnState::Hijacked => &self.hijacked,
            ConnState::Closed => &self.closed,
        };
        count.fetch_add(1, Ordering::SeqCst);
    }
}

// ---------------------------------------------------------------- the second mux

fn second_mux() -> ServeMux {
    let mux = ServeMux::new();
    let patterns = [
        ("GET /mux/item/{name}", "name"),
        ("PUT /mux/item/{name}", "name"),
        ("GET /mux/item/fixed", ""),
        ("/mux/tree/{rest...}", "rest"),
        ("/mux/end/{$}", ""),
        ("only.test/mux/", ""),
    ];
    for (pattern, wildcard) in patterns {
        mux.handle(pattern, handle_with(wildcard, show_match));
    }
    mux
}

async fn show_match(wildcard: &&'static str, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let pattern = r.pattern.as_deref().unwrap_or_default();
    let value = serde_json::to_string(r.path_value(wildcard)).expect("text is JSON");
    w.header().set("Content-Type", "text/plain");
    r.body = Body::empty();
    w.write(format!("{pattern} {value}")).await
}
