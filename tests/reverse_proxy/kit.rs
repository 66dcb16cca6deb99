//! Proxies for tests: between raw bytes, and between a client and a server of this crate.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use nethttp::client::ClientProtocols;
use nethttp::net::{Addr, DialedStream, dial_fn};
use nethttp::reverse_proxy::{ProxyRecord, ReverseProxy, proxy_transport};
use nethttp::{Client, Handler, Request, ResponseWriter, Result, Server, Transport, testing};

use crate::fake::{FakeServer, fake, fake_with};
use crate::wire::Host;

/// A proxy whose client and upstream are both played by the test.
pub(crate) fn raw() -> (Host, FakeServer) {
    raw_with(|proxy| proxy)
}

pub(crate) fn raw_with(change: impl FnOnce(ReverseProxy) -> ReverseProxy) -> (Host, FakeServer) {
    raw_at("http://u.test", change)
}

/// The same for an upstream at this URL.
pub(crate) fn raw_at(url: &str, change: impl FnOnce(ReverseProxy) -> ReverseProxy) -> (Host, FakeServer) {
    let (transport, upstream) = fake();
    let proxy = ReverseProxy::to(url).unwrap().transport(plain(&transport));
    (Host::new(change(proxy)), upstream)
}

/// The same with so many bytes on their way to the upstream at most.
pub(crate) fn raw_narrow(room: usize) -> (Host, FakeServer) {
    let (transport, upstream) = fake_with(room);
    let proxy = ReverseProxy::to("http://u.test").unwrap().transport(plain(&transport));
    (Host::new(proxy), upstream)
}

/// With what `proxy_transport` sets, but for where it dials to.
pub(crate) fn plain(transport: &Transport) -> Transport {
    let mut plain = proxy_transport();
    plain.dial = transport.dial.clone();
    plain
}

/// A handler whose requests come from this address.
pub(crate) struct From(pub(crate) &'static str, pub(crate) ReverseProxy);

impl Handler for From {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        r.remote_addr = Addr::Tcp((self.0.parse::<IpAddr>().unwrap(), 4711).into());
        self.1.serve_http(w, r).await
    }
}

/// What a proxy has told of its exchanges.
#[derive(Clone, Default)]
pub(crate) struct Records(Arc<Mutex<Vec<ProxyRecord>>>);

impl Records {
    pub(crate) fn of(&self, proxy: ReverseProxy) -> ReverseProxy {
        let records = self.clone();
        proxy.on_exchange(move |_, record| records.0.lock().unwrap().push(record.clone()))
    }

    pub(crate) fn last(&self) -> ProxyRecord {
        self.0.lock().unwrap().last().expect("an exchange is over").clone()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    Http1,
    Http2,
}

pub(crate) const BOTH: [Spoken; 2] = [Spoken::Http1, Spoken::Http2];

/// A client, a proxy and an upstream of this crate, one behind the other.
pub(crate) struct Chain {
    pub(crate) before: Spoken,
    pub(crate) behind: Spoken,
    pub(crate) client: Client,
    pub(crate) front: testing::Server,
    pub(crate) back: testing::Server,
}

impl Chain {
    pub(crate) fn start(before: Spoken, behind: Spoken, upstream: impl Handler) -> Chain {
        Chain::with(before, behind, upstream, |proxy| proxy)
    }

    pub(crate) fn with(
        before: Spoken,
        behind: Spoken,
        upstream: impl Handler,
        change: impl FnOnce(ReverseProxy) -> ReverseProxy,
    ) -> Chain {
        let back = testing::Server::builder(upstream).in_memory().configure(take_tunnels).start();
        let dialer = back.dialer().unwrap().clone();
        let mut transport = proxy_transport();
        transport.protocols = if behind == Spoken::Http2 { ClientProtocols::Http2 } else { ClientProtocols::Http1 };
        transport.dial = Arc::new(dial_fn(move |_, _| {
            let dialer = dialer.clone();
            async move { dialer.dial().await.map(DialedStream::new) }
        }));
        let proxy = change(ReverseProxy::to("http://u.test").unwrap().transport(transport));
        let front = testing::Server::builder(proxy).in_memory().configure(take_tunnels);
        let front = if before == Spoken::Http2 { front.http2() } else { front.http1() }.start();
        Chain { before, behind, client: front.client(), front, back }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.front.url())
    }
}

/// Upgrades over HTTP/2 are off where nobody asks for them.
pub(crate) fn take_tunnels(server: &mut Server) {
    server.http2.enable_connect_protocol = true;
}

/// Does the same with each pair of protocols. A test that fails has said with which one.
pub(crate) async fn on_all_chains(upstream: impl Handler + Clone, test: impl AsyncFn(Chain)) {
    for before in BOTH {
        for behind in BOTH {
            eprintln!("{before:?} to {behind:?}");
            test(Chain::start(before, behind, upstream.clone())).await;
        }
    }
}
