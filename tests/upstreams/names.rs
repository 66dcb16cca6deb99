//! Names that stand for several servers, and change.

use std::collections::BTreeSet;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nethttp::net::{Resolve, Resolved};
use nethttp::reverse_proxy::{UpstreamServer, Upstreams};
use nethttp::{Handler, Request, ResponseWriter, Result, Server};

use crate::kit::text;

/// What a name stands for now; nothing is a failure.
#[derive(Clone, Default)]
struct Names {
    addrs: Arc<Mutex<Vec<SocketAddr>>>,
    looked_up: Arc<tokio::sync::Notify>,
}

impl Names {
    fn set(&self, addrs: &[SocketAddr]) {
        *self.addrs.lock().unwrap() = addrs.to_vec();
    }

    /// Waits for a lookup that began after this.
    async fn next_lookup(&self) {
        for _ in 0..2 {
            self.looked_up.notified().await;
        }
    }
}

impl Resolve for Names {
    fn resolve<'a>(&'a self, _: &'a str, _: u16) -> Pin<Box<dyn Future<Output = io::Result<Resolved>> + Send + 'a>> {
        Box::pin(async move {
            let mut resolved: Resolved = self.addrs.lock().unwrap().iter().copied().collect();
            resolved.ttl = Some(Duration::from_millis(1));
            self.looked_up.notify_one();
            if resolved.addrs.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(resolved) }
        })
    }
}

struct Port;

impl Handler for Port {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let port = r.context().local_addr().port().unwrap();
        w.write(format!("{port} {}", r.host)).await
    }
}

async fn server() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    // Ends with the test's runtime.
    tokio::spawn(async move { Server::new(Port).serve(listener).await });
    addr
}

async fn ports(upstreams: &Upstreams) -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    for _ in 0..6 {
        let text = text(upstreams).await;
        let (port, host) = text.split_once(' ').unwrap();
        assert_eq!(host, "app.test:8000", "whatever its address, it is asked by its name");
        ports.insert(port.parse().unwrap());
    }
    ports
}

#[tokio::test]
async fn a_name_with_several_addresses_is_as_many_servers_and_follows_its_changes() {
    let names = Names::default();
    let [a, b, c] = [server().await, server().await, server().await];
    names.set(&[a, b]);
    let upstreams = Upstreams::new([UpstreamServer::new("http://app.test:8000").unwrap()]).resolver(names.clone());
    let upstreams = upstreams.resolve_interval(Duration::from_millis(100));
    upstreams.start();
    names.next_lookup().await;
    assert_eq!(ports(&upstreams).await, [a.port(), b.port()].into());
    names.set(&[b, c]);
    names.next_lookup().await;
    assert_eq!(ports(&upstreams).await, [b.port(), c.port()].into());
    let names_of = |upstreams: &Upstreams| upstreams.stats().into_iter().map(|stats| stats.name).collect::<Vec<_>>();
    let mut expected = vec![format!("http://app.test:8000 ({b})"), format!("http://app.test:8000 ({c})")];
    expected.sort();
    let mut found = names_of(&upstreams);
    found.sort();
    assert_eq!(found, expected);
    // A lookup that fails changes nothing.
    names.set(&[]);
    names.next_lookup().await;
    assert_eq!(ports(&upstreams).await, [b.port(), c.port()].into());
    // One server that has moved.
    names.set(&[a]);
    names.next_lookup().await;
    assert_eq!(ports(&upstreams).await, [a.port()].into());
}

#[cfg(unix)]
#[tokio::test]
async fn a_server_may_be_behind_a_unix_socket() {
    let path = std::env::temp_dir().join(format!("nethttp-upstreams-{}.sock", std::process::id()));
    // What an earlier run has left behind, if it did.
    let _ = std::fs::remove_file(&path);
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        let handler = async |w: &mut ResponseWriter, r: &mut Request| w.write(r.host.clone()).await;
        Server::new(handler).serve(listener).await
    });
    let upstreams = Upstreams::new([UpstreamServer::new(&format!("unix:{}", path.display())).unwrap()]);
    assert_eq!(text(&upstreams).await, "localhost");
    std::fs::remove_file(&path).unwrap();
}
