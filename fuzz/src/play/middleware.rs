//! A request of which only middleware reads the fields, and what the middleware of a whole site makes of it.
//!
//! The first line is a letter and a method: `t` is a proxy that says who its client is in `X-Forwarded-*`, `f` one
//! that says so in `Forwarded`, anything else is a stranger.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use nethttp::middleware::{
    AccessLog, Authentication, Compression, Cors, CrossOriginProtection, Identity, LogFormat, RequestId, TrustedProxies,
};
use nethttp::net::Addr;
use nethttp::testing::{self, RecordedResponse};
use nethttp::{Method, Request, ResponseWriter, ServeMux, handle_with};

use super::run;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    Proxy,
    ProxyOfRfc7239,
    Stranger,
}

impl Sender {
    pub fn is_proxy(self) -> bool {
        self != Sender::Stranger
    }

    pub fn address(self) -> Option<IpAddr> {
        Some(if self.is_proxy() { Ipv4Addr::new(10, 0, 0, 9).into() } else { Ipv4Addr::new(192, 0, 2, 1).into() })
    }
}

/// What the handler was told.
#[derive(Clone, Debug)]
pub struct Saw {
    pub client: Option<IpAddr>,
    pub user: Option<String>,
    pub id: String,
    pub content: String,
}

pub struct Served {
    pub response: RecordedResponse,
    /// `None` where the handler was not reached.
    pub saw: Option<Saw>,
    pub log: Vec<String>,
}

/// `None` where the method is none.
pub fn request_of(data: &[u8]) -> Option<(Sender, Request)> {
    let mut lines = data.split(|&b| b == b'\n');
    let (sender, method) = lines.next()?.split_first()?;
    let sender = match sender {
        b't' => Sender::Proxy,
        b'f' => Sender::ProxyOfRfc7239,
        _ => Sender::Stranger,
    };
    let mut request = testing::request("GET", "/");
    request.method = Method::from_bytes(method).ok().filter(|method| *method != Method::CONNECT)?;
    request.remote_addr = Addr::Tcp(SocketAddr::new(sender.address()?, 1234));
    for line in lines.take(100) {
        let at = line.iter().position(|&b| b == b':').unwrap_or(line.len());
        let name = std::str::from_utf8(&line[..at]).unwrap_or("X-Other");
        request.header.add(name, line.get(at + 1..).unwrap_or_default().trim_ascii());
    }
    Some((sender, request))
}

pub fn served(sender: Sender, request: Request) -> Served {
    let (seen, log) = (Arc::new(Mutex::new(None)), Arc::new(Mutex::new(Vec::new())));
    let site = site(sender, &seen, &log);
    let response = run(testing::record(&site, request));
    let (saw, log) = (seen.lock().unwrap().take(), std::mem::take(&mut *log.lock().unwrap()));
    Served { response, saw, log }
}

fn site(sender: Sender, seen: &Arc<Mutex<Option<Saw>>>, log: &Arc<Mutex<Vec<String>>>) -> ServeMux {
    let mux = ServeMux::new();
    let lines = log.clone();
    mux.wrap(AccessLog::new(LogFormat::Combined).to(move |line| lines.lock().unwrap().push(line.to_owned())));
    let proxies = TrustedProxies::new(["10.0.0.0/8"]);
    mux.wrap(if sender == Sender::ProxyOfRfc7239 { proxies.forwarded() } else { proxies });
    mux.wrap(RequestId::new().accept_from(["10.0.0.0/8"]));
    let cors = Cors::new().allow_origin("https://app.test").allow_subdomains_of("https://site.test");
    mux.wrap(cors.allow_credentials().allow_any_header());
    let users = Authentication::new("site").basic_users([("ada", "secret")]).bearer_tokens([("robot", "t0ken")]);
    mux.wrap(users.optional());
    mux.wrap(CrossOriginProtection::new().trusted_origin("https://app.test"));
    mux.wrap(Compression::new().min_size(0));
    mux.handle("/", handle_with(seen.clone(), respond));
    mux
}

async fn respond(seen: &Mutex<Option<Saw>>, w: &mut ResponseWriter, r: &mut Request) -> nethttp::Result<()> {
    let user = r.extensions.get::<Identity>().map(|identity| identity.name.clone());
    let id = RequestId::of(r).unwrap_or_default().to_owned();
    let content = format!("{user:?} is request {id} of {:?}\n", r.client_ip());
    w.header().set("Content-Type", "text/plain");
    w.write(&content).await?;
    *seen.lock().unwrap() = Some(Saw { client: r.client_ip(), user, id, content });
    Ok(())
}
