//! What the tests of files share: a directory of their own, a server, and requests to it.
#![allow(dead_code, reason = "each program of tests uses some of it")]
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use nethttp::{Handler, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A directory of its own for a test, removed at its end.
pub(crate) struct Tree(pub(crate) PathBuf);

impl Tree {
    pub(crate) fn new(files: &[(&str, &[u8])]) -> Tree {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let tree = Tree(std::env::temp_dir().join(format!("nethttp-files-{}-{number}", std::process::id())));
        fs::create_dir_all(&tree.0).unwrap();
        for (name, content) in files {
            let path = tree.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        tree
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // Left behind, it only takes place.
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) content: Vec<u8>,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.content).unwrap()
    }
}

pub(crate) async fn start(handler: impl Handler) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = Server::new(handler);
    tokio::spawn(async move { server.serve(listener).await });
    addr
}

/// Sends a request with these fields (each with its line end) on a connection of its own.
pub(crate) async fn ask(addr: SocketAddr, method: &str, target: &str, fields: &str) -> Answer {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("{method} {target} HTTP/1.1\r\nHost: files.test\r\nConnection: close\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head");
    let content = bytes.split_off(end + 4);
    let head = String::from_utf8(bytes).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head, content }
}

pub(crate) async fn get(addr: SocketAddr, target: &str) -> Answer {
    ask(addr, "GET", target, "").await
}

impl Tree {
    /// Sets the time of this file so far back that its tag is strong.
    pub(crate) fn settle(&self, name: &str) {
        let file = fs::File::options().write(true).open(self.0.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    }
}
