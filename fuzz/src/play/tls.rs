//! A client and a server over TLS, and a wire between them that does what it is told to the bytes.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use nethttp::client::{ClientProtocols, Proxy};
use nethttp::net::{Addr, DialedStream, dial_fn};
use nethttp::tls::{TlsConfig, TlsRoots, TlsServerConfig};
use nethttp::{Body, Method, Request, ResponseWriter, Result, RoundTripper, Server, Transport, Uri, testing};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::{ends, settle};
use crate::certificates::Authority;
use crate::input::Input;

/// Made once: keys are slow to make.
static CONFIGS: LazyLock<(TlsServerConfig, String)> = LazyLock::new(|| {
    let authority = Authority::new("fuzz");
    let issued = authority.issue(&["a.test"]);
    (TlsServerConfig::from_pem(issued.certificate, issued.key).expect("it was just made"), authority.pem())
});

const CONTENT: &[u8] = b"content of the one answer";

/// Something that is done to the bytes of one direction.
#[derive(Clone, Copy, Debug)]
pub struct Edit {
    at: usize,
    action: u8,
    value: u8,
}

impl Edit {
    pub fn read(input: &mut Input<'_>) -> Edit {
        let at = (input.number() * 16 + input.number() % 16) % 3000;
        Edit { at, action: input.byte(), value: input.byte() }
    }
}

pub struct Stage {
    server: Server,
    serving: JoinHandle<Result<()>>,
    dialer: testing::Dialer,
    protocols: ClientProtocols,
}

impl Stage {
    pub fn new(protocols: u8) -> Stage {
        let handler = async |w: &mut ResponseWriter, r: &mut Request| {
            assert_eq!((r.escaped_path(), r.host.as_str()), ("/x", "a.test"), "nobody asked for this");
            w.write(CONTENT).await
        };
        let mut server = Server::new(handler);
        server.on_event = Some(Arc::new(|_| {}));
        let (listener, dialer) = testing::listener();
        let serving = tokio::spawn({
            let server = server.clone();
            async move { server.serve_tls(listener, &CONFIGS.0).await }
        });
        let protocols = match protocols {
            b'1' => ClientProtocols::Http1,
            b'2' => ClientProtocols::Http2,
            _ => ClientProtocols::Auto,
        };
        Stage { server, serving, dialer, protocols }
    }

    pub async fn send_to_server(&self, bytes: &[u8]) {
        let mut stream = self.dialer.dial().await.expect("it listens");
        for piece in bytes.chunks(40) {
            if stream.write_all(piece).await.is_err() {
                break;
            }
            settle().await;
        }
        ends("the server", drain(stream)).await;
    }

    pub async fn send_to_client(&self, bytes: &[u8]) {
        let (transport, mut dialed) = self.transport();
        let bytes = bytes.to_vec();
        let server = tokio::spawn(async move {
            while let Some(mut stream) = dialed.recv().await {
                _ = stream.write_all(&bytes).await;
                drain(stream).await;
            }
        });
        assert!(!ask(&transport).await, "an answer that nobody gave");
        drop(transport);
        ends("the wire", server).await.expect("it ends well");
    }

    /// Two requests: the first connection may be of use for the second one.
    pub async fn ask_over_spoilt_wire(&self, mut edits: [Vec<Edit>; 2]) {
        edits.iter_mut().for_each(|edits| edits.sort_by_key(|edit| edit.at));
        let (transport, dialed) = self.transport();
        let wire = tokio::spawn(connect(dialed, self.dialer.clone(), edits));
        for _ in 0..2 {
            ask(&transport).await;
        }
        drop(transport);
        ends("the wire", wire).await.expect("it ends well");
    }

    pub async fn ask_undisturbed(&self) {
        let (transport, dialed) = self.transport();
        let wire = tokio::spawn(connect(dialed, self.dialer.clone(), [Vec::new(), Vec::new()]));
        assert!(ask(&transport).await, "over a wire that leaves all as it is");
        drop(transport);
        ends("the wire", wire).await.expect("it ends well");
    }

    pub async fn end(self) {
        sleep(Duration::from_secs(400)).await;
        assert_eq!(self.server.connections(), 0, "a connection outlives its peer");
        let report = ends("the shutdown", self.server.shutdown(Duration::from_secs(1000))).await;
        assert_eq!(report.cut, 0);
        assert!(self.serving.await.expect("serving ends").is_err());
    }

    fn transport(&self) -> (Transport, mpsc::UnboundedReceiver<DuplexStream>) {
        let (give, dialed) = mpsc::unbounded_channel();
        let mut transport = Transport::new();
        transport.proxy = Proxy::none();
        transport.protocols = self.protocols;
        transport.stall_timeout = Duration::from_secs(50);
        transport.response_header_timeout = Duration::from_secs(50);
        let roots = TlsConfig::new().roots(TlsRoots::None).add_root_pem(&CONFIGS.1);
        transport.set_tls(roots.expect("it is a root"));
        transport.dial = Arc::new(dial_fn(move |_, _| {
            let (ours, theirs) = tokio::io::duplex(64 * 1024);
            _ = give.send(theirs);
            let name = |name: &str| Addr::Named(name.into());
            async move { std::io::Result::Ok(DialedStream::new(ours).with_addrs(name("client"), name("server"))) }
        }));
        (transport, dialed)
    }
}

/// Whether there was an answer; if so, it is the right one.
async fn ask(transport: &Transport) -> bool {
    let mut request = Request::new(Method::GET, Uri::from_static("https://a.test/x"), Body::empty());
    let began = Instant::now();
    let response = ends("the request", transport.round_trip(&mut request)).await;
    let content = match response {
        Ok(mut response) => {
            assert_eq!(response.status, 200);
            ends("the content", response.body.bytes(100)).await.ok()
        }
        Err(_) => None,
    };
    assert!(content.as_ref().is_none_or(|content| content == CONTENT), "spoilt content: {content:?}");
    assert!(began.elapsed() < Duration::from_secs(1000), "it took {:?}", began.elapsed());
    content.is_some()
}

/// Connects each stream of the client with one of the server.
async fn connect(mut dialed: mpsc::UnboundedReceiver<DuplexStream>, dialer: testing::Dialer, edits: [Vec<Edit>; 2]) {
    let mut passing = Vec::new();
    while let Some(client) = dialed.recv().await {
        let server = dialer.dial().await.expect("it listens");
        let (client_reading, client_writing) = tokio::io::split(client);
        let (server_reading, server_writing) = tokio::io::split(server);
        passing.push(tokio::spawn(pass(client_reading, server_writing, edits[0].clone())));
        passing.push(tokio::spawn(pass(server_reading, client_writing, edits[1].clone())));
    }
    for one in passing {
        one.await.expect("it ends well");
    }
}

/// Hands bytes on, edited.
async fn pass(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, edits: Vec<Edit>) {
    let (mut passed, mut edits, mut piece) = (0, edits.into_iter().peekable(), vec![0; 4096]);
    while let Ok(taken @ 1..) = from.read(&mut piece).await {
        let mut bytes = piece[..taken].to_vec();
        while let Some(edit) = edits.next_if(|edit| edit.at < passed + taken) {
            let at = edit.at.saturating_sub(passed).min(bytes.len());
            match edit.action % 8 {
                0..=2 if at < bytes.len() => bytes[at] ^= edit.value.max(1),
                3 => bytes.insert(at, edit.value),
                4 => _ = bytes.drain(at..bytes.len().min(at + 1 + usize::from(edit.value))),
                5 => bytes.extend_from_within(at..),
                6 => sleep(Duration::from_secs(u64::from(edit.value % 15))).await,
                7 => {
                    _ = to.write_all(&bytes[..at]).await;
                    _ = to.shutdown().await;
                    // The rest of this direction is lost.
                    return drain(from).await;
                }
                _ => {}
            }
        }
        passed += taken;
        if to.write_all(&bytes).await.is_err() {
            break;
        }
    }
    _ = to.shutdown().await;
}

async fn drain(mut from: impl AsyncRead + Unpin) {
    let mut piece = vec![0; 4096];
    while let Ok(1..) = from.read(&mut piece).await {}
}
