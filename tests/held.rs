//! What one peer can make the server hold: bytes, tasks and descriptors, counted. The table in SECURITY.md
//! is this one in words. A program of its own, as it counts itself: bytes are those that were allocated,
//! descriptors those of the process.
#![cfg(all(feature = "server", feature = "http2", feature = "tls", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/foreign_tls.rs"]
mod foreign_tls;

use std::alloc::System;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use cap::Cap;
use certificates::{Authority, Issued};
use nethttp::server::ServerEvent;
use nethttp::tls::{Certificate, TlsServerConfig};
use nethttp::{Request, ResponseWriter, ServeMux, Server, handle_with};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::JoinSet;

#[global_allocator]
static ALLOCATED: Cap<System> = Cap::new(System, usize::MAX);

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
/// What threads keep for the next peers, of whatever came and went: buffers, desks, memory for content.
const KEPT: usize = 3 * MIB;
/// How many requests of one connection of HTTP/2 are under way at most.
const STREAMS: u8 = 250;

/// What is held, by all or by each.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Held {
    bytes: usize,
    tasks: usize,
    descriptors: usize,
}

impl Held {
    fn now() -> Held {
        Held {
            bytes: ALLOCATED.allocated(),
            tasks: Handle::current().metrics().num_alive_tasks(),
            descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
        }
    }

    /// What is held once nothing moves any more.
    async fn at_rest() -> Held {
        let (mut last, mut same) = (Held::now(), 0);
        while same < 10 {
            // What is said of sockets arrives when the system likes: there is no event to wait for.
            tokio::time::sleep(Duration::from_millis(10)).await;
            let now = Held::now();
            same = if now == last { same + 1 } else { 0 };
            last = now;
        }
        last
    }

    /// What each of so many peers has added to this.
    fn each_since(self, before: Held, peers: usize) -> Held {
        let each = |now: usize, before: usize| now.saturating_sub(before).div_ceil(peers);
        Held {
            bytes: each(self.bytes, before.bytes),
            tasks: each(self.tasks, before.tasks),
            // Both ends of a connection are this process's.
            descriptors: each(self.descriptors, before.descriptors) - 1,
        }
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Held { bytes, tasks, descriptors } = self;
        write!(f, "{bytes} bytes, {tasks} tasks, {descriptors} descriptors")
    }
}

/// A server whose handlers hold nothing themselves.
struct Site {
    plain: SocketAddr,
    secure: SocketAddr,
    authority: Authority,
    /// Ends the handlers that wait.
    release: Arc<Notify>,
    _folder: Folder,
}

/// A file that is larger than any buffer.
struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind, it only takes place.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn site() -> Site {
    static PIECE: [u8; 1 << 20] = [b'x'; 1 << 20];
    let folder = Folder(std::env::temp_dir().join(format!("nethttp-held-{}", std::process::id())));
    std::fs::create_dir_all(&folder.0).unwrap();
    std::fs::File::create(folder.0.join("large")).unwrap().set_len(1 << 30).unwrap();
    let mux = ServeMux::new();
    mux.handle("/", async |w: &mut ResponseWriter, _: &mut Request| w.write("ok").await);
    // A peer's leaving is behind its content, which these handlers do not read: they are told to end.
    let release = Arc::new(Notify::new());
    let wait = async |release: &Arc<Notify>, _: &mut ResponseWriter, _: &mut Request| {
        release.notified().await;
        Ok(())
    };
    mux.handle("/wait", handle_with(release.clone(), wait));
    mux.handle("/pour", async |w: &mut ResponseWriter, _: &mut Request| {
        loop {
            w.write(&PIECE[..]).await?;
        }
    });
    mux.handle("/large", nethttp::file_server(&folder.0));
    mux.handle("/form", async |_: &mut ResponseWriter, r: &mut Request| r.multipart_form(64 << 10).await.map(drop));
    let mut server = Server::new(mux);
    server.on_event = Some(Arc::new(|_: &ServerEvent| {}));
    let authority = Authority::new("ca");
    let Issued { certificate, key, .. } = authority.issue(&["a.test"]);
    let tls = TlsServerConfig::new([Certificate::from_pem(&certificate, &key).unwrap()]).unwrap();
    let listeners = [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
    let [plain, secure] = [0, 1].map(|at: usize| listeners[at].local_addr().unwrap());
    let [in_the_clear, over_tls] = listeners;
    let (one, other) = (server.clone(), server);
    tokio::spawn(async move { one.serve(in_the_clear).await });
    tokio::spawn(async move { other.serve_tls(over_tls, &tls).await });
    Site { plain, secure, authority, release, _folder: folder }
}

/// What a peer does.
enum Peer {
    /// Says this in the clear, as far as it is taken, and reads nothing.
    Says(Vec<u8>),
    /// Says this, and reads this much of the answer.
    Reads(&'static str, usize),
    /// Begins a handshake.
    Greets,
    /// Speaks HTTP/2 with a window for whatever comes, says this, and reads nothing.
    Http2(Vec<u8>),
    /// Has a session with this protocol, says this in it, and goes silent.
    OverTls(&'static [u8], Vec<u8>),
}

impl Site {
    async fn come(&self, peer: &Peer) -> TcpStream {
        let secure = matches!(peer, Peer::Greets | Peer::OverTls(..));
        let mut stream = TcpStream::connect(if secure { self.secure } else { self.plain }).await.unwrap();
        match peer {
            Peer::Says(bytes) => say(&mut stream, bytes).await,
            Peer::Reads(request, length) => {
                say(&mut stream, request.as_bytes()).await;
                stream.read_exact(&mut vec![0; *length]).await.unwrap();
            }
            Peer::Http2(bytes) => {
                stream.write_all(&preface()).await.unwrap();
                // The server's windows count from when we have agreed (RFC 9113 §6.9.2).
                stream.read_exact(&mut [0; 9]).await.unwrap();
                say(&mut stream, &[&frame(4, 1, 0, b""), &**bytes].concat()).await;
            }
            Peer::Greets => say(&mut stream, &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]).await,
            Peer::OverTls(protocol, bytes) => return self.over_tls(stream, protocol, bytes).await,
        }
        stream
    }

    /// Our own side of the session is forgotten: what it takes is not the server's.
    async fn over_tls(&self, stream: TcpStream, protocol: &[u8], bytes: &[u8]) -> TcpStream {
        let connector = foreign_tls::connector(&self.authority, &[protocol]);
        let mut session = connector.connect(ServerName::try_from("a.test").unwrap(), stream).await.unwrap();
        session.write_all(bytes).await.unwrap();
        session.flush().await.unwrap();
        // The answer to it, where one comes at once.
        session.read_exact(&mut [0; 10]).await.unwrap();
        session.into_inner().0
    }

    /// What each of so many such peers makes the server hold.
    async fn held_for_each(self: &Arc<Site>, peer: Arc<Peer>, count: usize) -> Held {
        // What is made once and kept is not a peer's.
        drop(self.come(&peer).await);
        Held::at_rest().await;
        self.release.notify_waiters();
        let before = Held::at_rest().await;
        let mut coming = JoinSet::new();
        for _ in 0..count {
            let (site, peer) = (self.clone(), peer.clone());
            coming.spawn(async move { site.come(&peer).await });
        }
        let peers = coming.join_all().await;
        let held = Held::at_rest().await.each_since(before, count);
        for peer in peers {
            // Gone at once, and what was on its way with it.
            socket2::SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
        }
        self.release.notify_waiters();
        let after = Held::at_rest().await;
        assert_eq!((after.tasks, after.descriptors), (before.tasks, before.descriptors), "something stays");
        assert!(after.bytes < before.bytes + KEPT, "{} bytes stay", after.bytes.saturating_sub(before.bytes));
        held
    }
}

/// As far as it is taken at once, and then for a moment more.
async fn say(stream: &mut TcpStream, bytes: &[u8]) {
    let _ = tokio::time::timeout(Duration::from_millis(300), stream.write_all(bytes)).await;
}

// ------------------------------------------------------------ what they say

fn request(path: &str, fields: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: a.test\r\n{fields}\r\n").into_bytes()
}

fn post(path: &str, content: usize) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n", 1 << 30);
    [head.into_bytes(), vec![b'x'; content]].concat()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The preface, and windows that let all content come (RFC 9113 §3.4, §6.9).
fn preface() -> Vec<u8> {
    let settings = [0, 4, 0x7f, 0xff, 0xff, 0xff];
    let window = 0x7fff_0000_u32.to_be_bytes();
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &*frame(4, 0, 0, &settings), &frame(8, 0, 0, &window)].concat()
}

/// A request's head: the method by its number in the static table (RFC 7541 appendix A).
fn head(stream: u32, method: u8, path: &str, is_last: bool) -> Vec<u8> {
    let mut block = vec![method, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    block.extend(path.as_bytes());
    block.extend([0x01, 6]);
    block.extend(b"a.test");
    frame(1, if is_last { 5 } else { 4 }, stream, &block)
}

fn streams() -> impl Iterator<Item = u32> {
    (0..u32::from(STREAMS)).map(|number| 2 * number + 1)
}

/// As many requests as there may be, for this path.
fn many(path: &str) -> Vec<u8> {
    streams().flat_map(|stream| head(stream, 0x82, path, true)).collect()
}

/// As many requests as are allowed, with unread content, and more of it than the windows allow.
fn unread() -> Vec<u8> {
    let mut bytes = Vec::new();
    streams().for_each(|stream| bytes.extend(head(stream, 0x83, "/wait", false)));
    for stream in streams().take(4) {
        (0..16).for_each(|_| bytes.extend(frame(0, 0, stream, &[b'x'; 16 * KIB][..])));
    }
    bytes
}

/// What each kind of peer makes the server hold at most: bytes, tasks, descriptors.
fn rows() -> Vec<(&'static str, Peer, Held)> {
    let at_most = |bytes, tasks, descriptors| Held { bytes, tasks, descriptors };
    let form = "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a\"\r\n\r\n";
    let form = [
        format!("POST /form HTTP/1.1\r\nHost: a.test\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n{form}", 1 << 30).into_bytes(),
        vec![b'x'; 2 * MIB],
    ]
    .concat();
    let many_tasks = usize::from(STREAMS) + 1;
    vec![
        ("says nothing", Peer::Says(Vec::new()), at_most(4 * KIB, 1, 1)),
        ("is idle", Peer::Reads("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n", 100), at_most(4 * KIB, 1, 1)),
        (
            "sends a head slowly",
            Peer::Says(request("/", &format!("X: {}", "x".repeat(MIB - 100)))),
            at_most(MIB + 64 * KIB, 1, 1),
        ),
        ("sends content that nobody reads", Peer::Says(post("/wait", 8 * MIB)), at_most(64 * KIB, 1, 1)),
        ("does not read its answer", Peer::Says(request("/pour", "")), at_most(16 * KIB, 1, 1)),
        ("does not read a file", Peer::Says(request("/large", "")), at_most(16 * KIB, 1, 2)),
        ("does not wait for answers", Peer::Says(request("/pour", "").repeat(10_000)), at_most(64 * KIB, 1, 1)),
        ("sends a form's file", Peer::Says(form), at_most(MIB, 1, 2)),
        ("stalls in the handshake", Peer::Greets, at_most(32 * KIB, 1, 1)),
        ("is idle over TLS", Peer::OverTls(b"http/1.1", request("/", "")), at_most(16 * KIB, 1, 1)),
        (
            "does not read its answer over TLS",
            Peer::OverTls(b"http/1.1", request("/pour", "")),
            at_most(128 * KIB, 1, 1),
        ),
        ("is idle over HTTP/2", Peer::Http2(head(1, 0x82, "/", true)), at_most(64 * KIB, 1, 1)),
        ("waits for 250 answers over HTTP/2", Peer::Http2(many("/wait")), at_most(MIB, many_tasks, 1)),
        ("does not read 250 answers over HTTP/2", Peer::Http2(many("/pour")), at_most(20 * MIB, many_tasks, 1)),
        ("sends content over HTTP/2 that nobody reads", Peer::Http2(unread()), at_most(3 * MIB, many_tasks, 1)),
        (
            "is idle over HTTP/2 and TLS",
            Peer::OverTls(b"h2", [preface(), head(1, 0x82, "/", true)].concat()),
            at_most(80 * KIB, 1, 1),
        ),
    ]
}

/// One test, so that nothing else holds anything meanwhile.
#[tokio::test]
async fn a_peer_makes_the_server_hold_so_much_and_no_more() {
    let site = Arc::new(site().await);
    for (what, peer, most) in rows() {
        // Enough of them that what threads keep hides little of it.
        let count = if most.tasks > 1 || most.bytes > 100 * KIB { 5 } else { 60 };
        let held = site.held_for_each(Arc::new(peer), count).await;
        println!("a peer that {what}: {held}");
        assert!(held.bytes <= most.bytes, "a peer that {what} makes the server hold {held}, not at most {most}");
        assert_eq!((held.tasks, held.descriptors), (most.tasks, most.descriptors), "a peer that {what}");
    }
}
