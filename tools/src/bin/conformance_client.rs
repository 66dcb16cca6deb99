//! The client under test: reads requests as JSON lines, sends them with the public API, prints
//! what came of each. What it must understand and print is in `tests/conformance/README.md`.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use nethttp::client::{ClientProtocols, HostStats, Proxy};
use nethttp::cookie::Jar;
use nethttp::net::{FixedResolver, SystemResolver, TcpDialer};
use nethttp::tls::TlsConfig;
use nethttp::trace::ClientTrace;
use nethttp::{Body, Bytes, Client, Error, Header, Method, Request, Response, Result, StatusCode, Transport};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> Result<()> {
    let mut clients: HashMap<String, (Client, Arc<Transport>)> = HashMap::new();
    let mut under_way = JoinSet::new();
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let command: Value = serde_json::from_str(&line).map_err(Error::other)?;
        let name = text(&command["client"]);
        match text(&command["op"]) {
            "client" => {
                let name = text(&command["name"]);
                clients.insert(name.to_owned(), client(&command["config"])?);
                println!("{}", json!({"op": "client", "name": name}));
            }
            "do" => {
                let client = clients[name].0.clone();
                under_way.spawn(async move { println!("{}", run(client, &command).await) });
                // A `JoinSet` keeps finished tasks until they are joined.
                while let Some(ended) = under_way.try_join_next() {
                    ended.map_err(Error::other)?;
                }
            }
            "close-idle" => {
                clients[name].0.close_idle_connections();
                println!("{command}");
            }
            "stats" => println!("{}", stats(&clients[name].1)),
            other => eprintln!("unknown op {other}"),
        }
    }
    under_way.join_all().await;
    Ok(())
}

fn client(config: &Value) -> Result<(Client, Arc<Transport>)> {
    let mut transport = Transport::new();
    set(&config["connect_timeout_ms"], &mut transport.connect_timeout);
    set(&config["tls_handshake_timeout_ms"], &mut transport.tls_handshake_timeout);
    set(&config["response_header_timeout_ms"], &mut transport.response_header_timeout);
    set(&config["expect_continue_timeout_ms"], &mut transport.expect_continue_timeout);
    set(&config["idle_conn_timeout_ms"], &mut transport.idle_conn_timeout);
    count(&config["max_idle_conns"], &mut transport.max_idle_conns);
    count(&config["max_idle_conns_per_host"], &mut transport.max_idle_conns_per_host);
    count(&config["max_conns_per_host"], &mut transport.max_conns_per_host);
    count(&config["max_response_header_bytes"], &mut transport.max_response_header_bytes);
    transport.disable_keep_alives = config["disable_keep_alives"] == true;
    transport.disable_compression = config["disable_compression"] == true;
    transport.protocols = match config["http2"].as_str() {
        Some("off") => ClientProtocols::Http1,
        Some("prior-knowledge") => ClientProtocols::Http2,
        _ => ClientProtocols::Auto,
    };
    match &config["proxy"] {
        Value::String(proxy) if proxy == "env" => transport.proxy = Proxy::from_environment(),
        Value::String(url) => transport.proxy = Proxy::url(url)?,
        _ if config.get("proxy").is_some() => transport.proxy = Proxy::none(),
        _ => {}
    }
    if let Some(path) = config["tls_ca"].as_str() {
        transport.set_tls(TlsConfig::new().add_root_pem_file(path)?);
    }
    transport.dial = Arc::new(TcpDialer::new().with_resolver(resolver(&config["resolve"])));

    let transport = Arc::new(transport);
    let mut client = Client::new();
    client.transport = transport.clone();
    set(&config["timeout_ms"], &mut client.timeout);
    count(&config["max_redirects"], &mut client.max_redirects);
    if config["follow_redirects"] == false {
        client.max_redirects = 0;
    }
    if config["jar"] == true {
        client.jar = Some(Arc::new(Jar::new()));
    }
    Ok((client, transport))
}

fn set(config: &Value, setting: &mut Duration) {
    if let Some(milliseconds) = config.as_u64() {
        *setting = Duration::from_millis(milliseconds);
    }
}

fn count(config: &Value, setting: &mut usize) {
    if let Some(count) = config.as_u64() {
        *setting = usize::try_from(count).unwrap_or(usize::MAX);
    }
}

/// The addresses that are given in place of DNS; what is not among them, the system resolves.
fn resolver(given: &Value) -> FixedResolver {
    let mut resolver = FixedResolver::new(SystemResolver::new());
    for (target, addresses) in given.as_object().into_iter().flatten() {
        let Some((host, port)) = target.rsplit_once(':') else { continue };
        let addresses = addresses.as_array().into_iter().flatten().filter_map(|address| text(address).parse().ok());
        resolver = resolver.with_addrs(host, port.parse().unwrap_or_default(), addresses);
    }
    resolver
}

fn stats(transport: &Transport) -> Value {
    let all = transport.pool_stats();
    let sum = |one: fn(&HostStats) -> usize| all.iter().map(one).sum::<usize>();
    json!({
        "op": "stats",
        "idle": sum(|host| host.idle),
        "in_use": sum(|host| host.in_use),
        "dialing": sum(|host| host.dialing),
        "waiting": sum(|host| host.waiting),
    })
}

/// Sends one request and returns the outcome.
async fn run(client: Client, command: &Value) -> Value {
    let began = Instant::now();
    let infos = Arc::new(Infos::default());
    let mut seen = json!({"id": command["id"]});
    let failed = match send(&client, command, infos.clone()).await {
        Ok(mut response) => {
            tell_head(&response, &mut seen);
            let failed = read(&mut response, command, &mut seen).await.err();
            tell_trailer(response.body.trailer(), &mut seen);
            failed.map(|error| ("body-error", error))
        }
        Err(error) => Some(("error", error)),
    };
    seen["outcome"] = json!("ok");
    if let Some((outcome, error)) = failed {
        seen["outcome"] = json!(if error.is_timeout() { "timeout" } else { outcome });
        seen["phase"] = json!(error.phase().map(|phase| format!("{phase:?}").to_lowercase()).unwrap_or_default());
        seen["error"] = json!(error.to_string());
    }
    seen["infos"] = json!(*infos.0.lock().expect("nothing panics under it"));
    seen["ms"] = json!(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
    seen
}

async fn send(client: &Client, command: &Value, infos: Arc<Infos>) -> Result<Response> {
    let method = Method::from_bytes(text(&command["method"]).as_bytes()).map_err(Error::other)?;
    let mut request = Request::to(method, text(&command["url"]), body(command)?)?;
    if let Some(host) = command["host"].as_str() {
        request.host = host.to_owned();
    }
    for (name, value) in pairs(&command["headers"]) {
        request.header.add(name, latin1(value));
    }
    if let Some(length) = command["declare_len"].as_u64() {
        request.header.set("Content-Length", length.to_string());
    }
    for (name, value) in pairs(&command["trailer"]) {
        request.trailer.add(name, latin1(value));
    }
    request.set_trace(infos);
    client.send(request).await
}

/// The content that is asked for: in memory, so that it can be sent again, or of unknown length.
fn body(command: &Value) -> Result<Body> {
    let content = match (command["body"].as_str(), command["body_len"].as_u64()) {
        (Some(text), _) => Bytes::copy_from_slice(text.as_bytes()),
        (None, Some(length)) => Bytes::from(vec![b'b'; usize::try_from(length).map_err(Error::other)?]),
        (None, None) => return Ok(Body::empty()),
    };
    let streams = command["stream"] == true || command.get("declare_len").is_some();
    Ok(if streams { Body::from_stream(Pieces(content)) } else { Body::from(content) })
}

/// Content in pieces, of a length that nobody knows beforehand.
struct Pieces(Bytes);

impl futures_core::Stream for Pieces {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        let len = self.0.len().min(16 * 1024);
        Poll::Ready((len > 0).then(|| Ok(self.0.split_to(len))))
    }
}

/// Remembers the informational responses.
#[derive(Default)]
struct Infos(Mutex<Vec<u16>>);

impl ClientTrace for Infos {
    fn got_1xx_response(&self, status: StatusCode, _: &Header) -> Result<()> {
        let mut infos = self.0.lock().expect("nothing panics under it");
        if infos.len() >= 1000 {
            return Err(Error::other("too many informational responses"));
        }
        infos.push(status.as_u16());
        Ok(())
    }
}

fn tell_head(response: &Response, seen: &mut Value) {
    seen["status"] = json!(response.status.as_u16());
    seen["proto"] = json!(format!("{:?}", response.proto));
    seen["headers"] = shown_fields(&response.header);
    seen["reused"] = json!(response.is_reused());
}

fn tell_trailer(trailer: Option<&Header>, seen: &mut Value) {
    seen["trailer"] = trailer.map_or_else(|| json!([]), shown_fields);
}

async fn read(response: &mut Response, command: &Value, seen: &mut Value) -> Result<()> {
    if let Some(milliseconds) = command["hold_ms"].as_u64() {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    }
    let limit = command["read_limit"].as_u64();
    let (mut first, mut length) = (Vec::new(), 0);
    let ended = loop {
        if limit.is_some_and(|limit| length >= limit) {
            response.body = Body::empty();
            break Ok(());
        }
        match response.body.chunk().await {
            Ok(Some(chunk)) => {
                length += chunk.len() as u64;
                first.extend(chunk.iter().take(300 - first.len()));
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    seen["body"] = json!(shown(&first));
    seen["body_len"] = json!(length);
    ended
}

fn shown_fields(header: &Header) -> Value {
    header.iter().map(|(name, value)| json!([name, shown(value)])).collect()
}

/// Bytes as latin-1.
fn shown(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|character| u8::try_from(character).unwrap_or(b'?')).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn pairs(list: &Value) -> impl Iterator<Item = (&str, &str)> {
    list.as_array().into_iter().flatten().map(|pair| (text(&pair[0]), text(&pair[1])))
}
