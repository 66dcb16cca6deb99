//! A server, a client that reaches it, and what both were told.
#![allow(dead_code, reason = "the programs of tests that share it use a part of it each")]

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use nethttp::client::{ClientProtocols, Proxy};
use nethttp::net::{Addr, DialedStream, dial_fn};
use nethttp::server::ServerEvent;
use nethttp::testing::{self, Dialer};
use nethttp::tls::{Certificate, TlsConfig, TlsRoots, TlsServerConfig};
use nethttp::{Body, Client, Handler, Method, Request, Response, Result, Server, Transport, Version};
use tokio::task::JoinHandle;

use crate::certificates::Authority;
use crate::support::States;

/// How client and server talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Http1,
    Http1Tls,
    /// By prior knowledge.
    Http2,
    /// By ALPN.
    Http2Tls,
}

pub(crate) const MODES: [Mode; 4] = [Mode::Http1, Mode::Http1Tls, Mode::Http2, Mode::Http2Tls];

impl Mode {
    pub(crate) fn is_secure(self) -> bool {
        matches!(self, Mode::Http1Tls | Mode::Http2Tls)
    }

    pub(crate) fn is_http2(self) -> bool {
        matches!(self, Mode::Http2 | Mode::Http2Tls)
    }

    pub(crate) fn version(self) -> Version {
        if self.is_http2() { Version::HTTP_2 } else { Version::HTTP_11 }
    }
}

/// Does the same in each mode. A test that fails has said in which one.
pub(crate) async fn in_all_modes(test: impl AsyncFn(Mode)) {
    for mode in MODES {
        eprintln!("in mode {mode:?}");
        test(mode).await;
    }
}

/// The same for each mode with a site around this handler.
pub(crate) async fn on_all_sites(handler: impl Handler + Clone, test: impl AsyncFn(Site)) {
    in_all_modes(async |mode| test(Site::start(mode, handler.clone())).await).await;
}

/// A server in a task of its own, and a client of it.
pub(crate) struct Site {
    pub(crate) mode: Mode,
    pub(crate) server: Server,
    pub(crate) serving: JoinHandle<Result<()>>,
    pub(crate) dialer: Dialer,
    pub(crate) transport: Arc<Transport>,
    pub(crate) client: Client,
    pub(crate) states: States,
    events: Arc<Mutex<Vec<String>>>,
}

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("ca"));
static CERTIFICATE: LazyLock<Certificate> = LazyLock::new(|| {
    let issued = AUTHORITY.issue(&["a.test", "b.test"]);
    Certificate::from_pem(&issued.certificate, &issued.key).unwrap()
});

impl Site {
    /// With all settings as they are by default.
    pub(crate) fn start(mode: Mode, handler: impl Handler) -> Site {
        Site::with(mode, handler, |_| {}, |_| {})
    }

    pub(crate) fn with(
        mode: Mode,
        handler: impl Handler,
        set_server: impl FnOnce(&mut Server),
        set_transport: impl FnOnce(&mut Transport),
    ) -> Site {
        let mut server = Server::new(handler);
        let events: Arc<Mutex<Vec<String>>> = Arc::default();
        let told = events.clone();
        server.on_event = Some(Arc::new(move |event: &ServerEvent| told.lock().unwrap().push(event.to_string())));
        let states = States::of(&mut server);
        set_server(&mut server);
        let (listener, dialer) = testing::listener();
        let clone = server.clone();
        let serving = tokio::spawn(async move {
            if !mode.is_secure() {
                return clone.serve(listener).await;
            }
            clone.serve_tls(listener, &TlsServerConfig::new([CERTIFICATE.clone()]).unwrap()).await
        });
        let (transport, client) = client(mode, &dialer, set_transport);
        Site { mode, server, serving, dialer, transport, client, states, events }
    }

    /// One more client, with connections of its own.
    pub(crate) fn another_client(&self) -> Client {
        client(self.mode, &self.dialer, |_| {}).1
    }

    pub(crate) fn url(&self, path: &str) -> String {
        let scheme = if self.mode.is_secure() { "https" } else { "http" };
        format!("{scheme}://a.test{path}")
    }

    pub(crate) fn request(&self, method: Method, path: &str, body: impl Into<Body>) -> Request {
        Request::to(method, &*self.url(path), body).unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Response> {
        self.client.get(&*self.url(path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<Body>) -> Result<Response> {
        self.client.send(self.request(Method::POST, path, body)).await
    }

    /// What is answered to GET.
    pub(crate) async fn ask(&self, path: &str) -> (u16, String) {
        whole(self.get(path).await).await
    }

    /// That it answers still.
    pub(crate) async fn assert_lives(&self, path: &str) {
        assert_eq!(self.ask(path).await.0, 200);
    }

    /// What the server has reported so far, once nothing happens any more.
    pub(crate) async fn events(&self) -> Vec<String> {
        crate::support::settle().await;
        self.events.lock().unwrap().clone()
    }
}

/// Status and content of an answer that is whole.
pub(crate) async fn whole(response: Result<Response>) -> (u16, String) {
    let mut response = response.unwrap();
    (response.status.as_u16(), response.text().await.unwrap())
}

fn client(mode: Mode, dialer: &Dialer, set: impl FnOnce(&mut Transport)) -> (Arc<Transport>, Client) {
    let mut transport = Transport::new();
    transport.proxy = Proxy::none();
    transport.protocols = match mode {
        Mode::Http1 | Mode::Http2Tls => ClientProtocols::Auto,
        Mode::Http1Tls => ClientProtocols::Http1,
        Mode::Http2 => ClientProtocols::Http2,
    };
    transport.set_tls(TlsConfig::new().roots(TlsRoots::None).add_root_pem(AUTHORITY.pem()).unwrap());
    let dialer = dialer.clone();
    transport.dial = Arc::new(dial_fn(move |host, port| {
        let dialer = dialer.clone();
        let remote = Addr::Named(format!("{host}:{port}").into());
        async move { Ok(DialedStream::new(dialer.dial().await?).with_addrs(Addr::Named("client".into()), remote)) }
    }));
    set(&mut transport);
    let transport = Arc::new(transport);
    let mut client = Client::new();
    client.transport = transport.clone();
    client.timeout = Duration::ZERO;
    (transport, client)
}
