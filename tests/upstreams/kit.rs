//! Servers in memory under names, and a proxy in front of them.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex};

use nethttp::net::{DialedStream, dial_fn};
use nethttp::reverse_proxy::{ReverseProxy, UpstreamServer, UpstreamStats, Upstreams, proxy_transport};
use nethttp::testing::{self, RecordedResponse, record};
use nethttp::{Handler, Request, ResponseWriter, Result, Transport};

/// Servers by their names. One that is stopped refuses connections.
#[derive(Clone, Default)]
pub(crate) struct Servers(Arc<Mutex<HashMap<String, testing::Server>>>);

impl Servers {
    pub(crate) fn start(&self, name: &str, handler: impl Handler) {
        let server = testing::Server::builder(handler).in_memory().start();
        self.0.lock().unwrap().insert(name.to_owned(), server);
    }

    /// A server that answers with its name.
    pub(crate) fn named(&self, name: &'static str) {
        self.start(name, Named(name));
    }

    pub(crate) fn stop(&self, name: &str) {
        self.0.lock().unwrap().remove(name);
    }

    /// A transport that reaches them.
    pub(crate) fn transport(&self) -> Transport {
        let servers = self.0.clone();
        let mut transport = proxy_transport();
        transport.dial = Arc::new(dial_fn(move |host, _| {
            let dialer = servers.lock().unwrap().get(&host).and_then(|server| server.dialer().cloned());
            async move {
                let dialer = dialer.ok_or(io::ErrorKind::ConnectionRefused)?;
                dialer.dial().await.map(DialedStream::new)
            }
        }));
        transport
    }

    /// A group of the servers of these names, whose names are not looked up.
    pub(crate) fn group(&self, names: &[&str]) -> Upstreams {
        Upstreams::new(names.iter().map(|name| server(name)))
            .resolve_interval(std::time::Duration::ZERO)
            .transport(self.transport())
    }
}

pub(crate) fn server(name: &str) -> UpstreamServer {
    UpstreamServer::new(&format!("http://{name}")).unwrap()
}

struct Named(&'static str);

impl Handler for Named {
    async fn serve_http(&self, w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
        w.write(self.0).await
    }
}

/// What a proxy in front of the group answers.
pub(crate) async fn get(upstreams: &Upstreams, target: &str) -> RecordedResponse {
    let proxy = ReverseProxy::new(upstreams.clone());
    record(&proxy, testing::request("GET", target)).await
}

pub(crate) async fn text(upstreams: &Upstreams) -> String {
    get(upstreams, "/").await.text().to_owned()
}

pub(crate) fn stats_of(upstreams: &Upstreams, name: &str) -> UpstreamStats {
    let stats = upstreams.stats().into_iter().find(|stats| stats.name.starts_with(&format!("http://{name}")));
    stats.unwrap_or_else(|| panic!("{name} is none of {:?}", upstreams.stats()))
}

/// Lets all others go on until they wait.
pub(crate) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
