//! The server under test. Its limits are short, so that they pass often.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nethttp::server::{ConnInfo, ConnState, ServerEvent};
use nethttp::tls::{Certificate, TlsServerConfig};
use nethttp::{Error, Request, ResponseWriter, Result, ServeMux, Server, StatusCode, handle_with};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::runtime::Handle;

/// How long a peer may be silent, in each of the phases. Half a second more is lingered.
pub(crate) const PEER_TIMEOUT: Duration = Duration::from_secs(4);
/// The length of `/large`.
pub(crate) const LARGE_BYTES: u64 = 4 << 20;
/// What a panic says that a request has asked for.
const ASKED: &str = "as it was asked";
/// How long `/slow` takes.
const WORK_TIME: Duration = Duration::from_millis(20);

pub(crate) async fn run() {
    let faults = Arc::new(AtomicUsize::new(0));
    watch_panics(&faults);
    let mut server = Server::new(routes(&faults));
    server.read_header_timeout = PEER_TIMEOUT;
    server.idle_timeout = PEER_TIMEOUT;
    server.stall_timeout = PEER_TIMEOUT;
    server.http2.enable_connect_protocol = true;
    server.on_event = Some(Arc::new(move |event: &ServerEvent| {
        if matches!(event, ServerEvent::AcceptFailed { .. } | ServerEvent::HookPanicked { .. }) {
            eprintln!("{event}");
            faults.fetch_add(1, Ordering::SeqCst);
        }
    }));
    report_old_connections(&mut server);
    let (tls, root) = tls();
    let plain = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let secure = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let addr = |listener: &TcpListener| listener.local_addr().expect("it is bound");
    println!("{}\n{}\n{root}end", addr(&plain), addr(&secure));
    let (one, other) = (server.clone(), server.clone());
    // Both end with the server.
    tokio::spawn(async move { one.serve(plain).await });
    tokio::spawn(async move { other.serve_tls(secure, &tls).await });
    // Its input ends with the process that started it.
    let waiting = std::thread::spawn(|| std::io::stdin().read(&mut [0]));
    while !waiting.is_finished() {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.close();
}

/// A panic that no request asked for is a fault.
fn watch_panics(faults: &Arc<AtomicUsize>) {
    let faults = faults.clone();
    std::panic::set_hook(Box::new(move |info| {
        let said = info.payload();
        let said = said.downcast_ref::<&str>().copied().or_else(|| said.downcast_ref::<String>().map(String::as_str));
        if said != Some(ASKED) {
            eprintln!("{info}");
            faults.fetch_add(1, Ordering::SeqCst);
        }
    }));
}

/// Says why connections end that good clients have used for a while: a request that fails may be one of theirs.
fn report_old_connections(server: &mut Server) {
    const OLD: Duration = Duration::from_secs(10);
    let began: Mutex<HashMap<u64, Instant>> = Mutex::default();
    server.conn_state = Some(Arc::new(move |info: &ConnInfo, state| {
        let mut began = began.lock().unwrap_or_else(PoisonError::into_inner);
        match state {
            ConnState::New => _ = began.insert(info.id, Instant::now()),
            ConnState::Closed => {
                let age = began.remove(&info.id).map_or(Duration::ZERO, |began| began.elapsed());
                if age > OLD {
                    eprintln!("a connection of {} s was closed: {:?}", age.as_secs(), info.reason);
                }
            }
            _ => {}
        }
    }));
}

fn routes(faults: &Arc<AtomicUsize>) -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("/hello", async |w: &mut ResponseWriter, _: &mut Request| w.write("hello").await);
    mux.handle("/echo", async |w: &mut ResponseWriter, r: &mut Request| {
        while let Some(chunk) = r.body.chunk().await? {
            w.write_bytes(chunk).await?;
        }
        Ok(())
    });
    mux.handle("/count", async |w: &mut ResponseWriter, r: &mut Request| {
        let mut length = 0;
        while let Some(chunk) = r.body.chunk().await? {
            length += chunk.len();
        }
        w.write(length.to_string()).await
    });
    mux.handle("/form", async |w: &mut ResponseWriter, r: &mut Request| {
        let form = r.multipart_form(1000).await?;
        let size = form.file("a")?.size;
        w.write(size.to_string()).await
    });
    mux.handle("/large", async |w: &mut ResponseWriter, _: &mut Request| {
        let chunk = nethttp::Bytes::from(vec![b'x'; 64 << 10]);
        for _ in 0..LARGE_BYTES / chunk.len() as u64 {
            w.write_bytes(chunk.clone()).await?;
        }
        Ok(())
    });
    mux.handle("/slow", async |w: &mut ResponseWriter, r: &mut Request| {
        let context = r.context().clone();
        let _ = tokio::time::timeout(WORK_TIME, context.cancelled()).await;
        w.write("slow").await
    });
    mux.handle("/fail", async |_: &mut ResponseWriter, _: &mut Request| {
        Err(Error::answer(StatusCode::IM_A_TEAPOT, "no coffee"))
    });
    mux.handle("/panic", async |_: &mut ResponseWriter, _: &mut Request| panic!("{ASKED}"));
    // Begins a response that it cannot complete.
    mux.handle("/cut", async |w: &mut ResponseWriter, _: &mut Request| {
        w.write("half of ").await?;
        w.flush().await?;
        Err(Error::other("as it was asked"))
    });
    mux.handle("/tunnel", tunnel);
    let state = async |faults: &Arc<AtomicUsize>, w: &mut ResponseWriter, r: &mut Request| {
        let connections = r.context().value::<Server>().map_or(0, Server::connections);
        let tasks = Handle::current().metrics().num_alive_tasks();
        w.write(format!("{tasks} {connections} {}", faults.load(Ordering::SeqCst))).await
    };
    mux.handle("/state", handle_with(faults.clone(), state));
    mux
}

/// Gives back what comes through the tunnel, up to the peer's end.
async fn tunnel(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    if !r.header.contains("Upgrade") {
        return Err(Error::answer(StatusCode::UPGRADE_REQUIRED, "no tunnel is asked for"));
    }
    w.header().set("Upgrade", "echo");
    let (mut reader, mut writer) = tokio::io::split(w.upgrade().await?);
    tokio::io::copy(&mut reader, &mut writer).await?;
    Ok(writer.shutdown().await?)
}

/// A certificate for `localhost`, and that of its authority.
fn tls() -> (TlsServerConfig, String) {
    let key = || KeyPair::generate().expect("there is chance enough");
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(params, key()).expect("an authority signs itself");
    let own = key();
    let params = CertificateParams::new(["localhost".to_owned()]).expect("it is a name");
    let certificate = params.signed_by(&own, &issuer).expect("it is signed");
    let pair = Certificate::from_pem(certificate.pem(), own.serialize_pem()).expect("they belong together");
    (TlsServerConfig::new([pair]).expect("one is enough"), issuer.pem())
}
