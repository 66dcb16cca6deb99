//! What it takes to serve large files: hardly any memory, whatever their size and however slow
//! their readers. A program of its own, as it measures itself.
#![cfg(all(feature = "client", feature = "server", feature = "tls", feature = "http2", target_os = "linux"))]
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

use std::fs;

use nethttp::client::{ClientProtocols, Proxy};
use nethttp::tls::{Certificate, TlsConfig, TlsRoots, TlsServerConfig};
use nethttp::{Client, Method, Request, Server, Transport, Version, file_server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/files_kit.rs"]
mod files_kit;
use certificates::Authority;
use files_kit::{Tree, ask, start};

const SIZE: u64 = 10 << 30;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// KiB of this process that are in memory now.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn sparse() -> Tree {
    let tree = Tree::new(&[]);
    fs::File::create(tree.0.join("huge.bin")).unwrap().set_len(SIZE).unwrap();
    tree
}

const REQUEST: &[u8] = b"GET /huge.bin HTTP/1.1\r\nHost: files.test\r\n\r\n";

/// One test, so that nothing else takes memory meanwhile.
#[tokio::test]
async fn memory_stays_flat_on_a_file_of_10_gib_in_ranges_of_it_and_under_slow_readers() {
    let tree = sparse();
    let addr = start(file_server(&tree.0)).await;
    ask(addr, "HEAD", "/huge.bin", "").await;
    let before = resident();

    let head = ask(addr, "HEAD", "/huge.bin", "").await;
    assert_eq!(head.field("Content-Length"), Some(SIZE.to_string().as_str()));
    for start in [0, 3 * MIB, SIZE / 2 + 1, SIZE - 10] {
        let end = (start + 3 * MIB).min(SIZE) - 1;
        let part = ask(addr, "GET", "/huge.bin", &format!("Range: bytes={start}-{end}\r\n")).await;
        assert_eq!((part.status, part.content.len() as u64), (206, end + 1 - start));
        assert_eq!(part.field("Content-Range"), Some(format!("bytes {start}-{end}/{SIZE}").as_str()));
    }
    read_some(TcpStream::connect(addr).await.unwrap()).await;

    // A Unix socket, over which all passes through the program.
    let path = tree.0.join("socket");
    let server = Server::new(file_server(&tree.0));
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move { server.serve(listener).await });
    read_some(UnixStream::connect(&path).await.unwrap()).await;
    let streamed = resident().saturating_sub(before);
    assert!(streamed < 12 * KIB, "{streamed} KiB for streams");
    over_tls(&tree).await;

    let before = resident();
    let mut slow = Vec::new();
    for _ in 0..100 {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(REQUEST).await.unwrap();
        stream.read_exact(&mut [0; 1000]).await.unwrap();
        slow.push(stream);
    }
    // Each of them is answered as far as its socket goes when the last one has its first bytes.
    tokio::task::yield_now().await;
    let held = resident().saturating_sub(before) / slow.len() as u64;
    assert!(held < 128, "{held} KiB for each reader that does not read");
}

/// The same over TLS, as HTTP/1.1 and as HTTP/2: far more passes than may be held.
async fn over_tls(tree: &Tree) {
    let authority = Authority::new("ca");
    let issued = authority.issue(&["127.0.0.1"]);
    let tls = TlsServerConfig::new([Certificate::from_pem(&issued.certificate, &issued.key).unwrap()]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/huge.bin", listener.local_addr().unwrap());
    let server = Server::new(file_server(&tree.0));
    tokio::spawn(async move { server.serve_tls(listener, &tls).await });
    for (protocols, version) in [(ClientProtocols::Http1, Version::HTTP_11), (ClientProtocols::Auto, Version::HTTP_2)] {
        let mut transport = Transport::new();
        transport.proxy = Proxy::none();
        transport.protocols = protocols;
        transport.set_tls(TlsConfig::new().roots(TlsRoots::None).add_root_pem(authority.pem()).unwrap());
        let mut client = Client::new();
        client.transport = std::sync::Arc::new(transport);
        // What a first connection takes is none of the file's.
        drop(client.send(Request::to(Method::HEAD, &*url, ()).unwrap()).await.unwrap());
        let before = resident();

        let mut part = Request::to(Method::GET, &*url, ()).unwrap();
        part.header.set("Range", format!("bytes={}-{}", SIZE / 2 + 1, SIZE / 2 + 3 * MIB));
        let mut part = client.send(part).await.unwrap();
        assert_eq!((part.status.as_u16(), part.proto), (206, version));
        assert_eq!(part.body.bytes(4 * MIB).await.unwrap().len() as u64, 3 * MIB);

        let mut whole = client.get(&*url).await.unwrap();
        assert_eq!((whole.content_length, whole.proto), (Some(SIZE), version));
        let mut rest = 64 * MIB;
        while rest > 0 {
            let chunk = whole.body.chunk().await.unwrap().expect("there is more of it");
            rest = rest.saturating_sub(chunk.len() as u64);
        }
        drop(whole);
        let held = resident().saturating_sub(before);
        assert!(held < 12 * KIB, "{held} KiB for {version:?} over TLS");
    }
}

/// Reads 256 MiB of an answer and leaves.
async fn read_some(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) {
    stream.write_all(REQUEST).await.unwrap();
    let mut buffer = vec![0; 64 << 10];
    let mut rest = 256 * MIB;
    while rest > 0 {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0);
        rest = rest.saturating_sub(read as u64);
    }
}
