//! A process that has no descriptors left: a server waits and goes on, a client says that nothing was
//! sent, and both work as before once there are some again.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nethttp::client::Proxy;
use nethttp::error::{Phase, Sent};
use nethttp::server::ServerEvent;
use nethttp::{Client, ErrorKind, Request, ResponseWriter, ServeMux, Server, Transport, file_server, strip_prefix};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

use crate::alone::{Folder, alone, command, descriptors, is_alone, until};
use crate::fake::counts;

const FEW: usize = 64;

// ------------------------------------------------------------ the server

/// A server in a process with few descriptors.
struct Poor {
    child: Child,
    addr: SocketAddr,
}

impl Poor {
    fn start() -> Poor {
        let mut command = command("descriptors::serve_with_few_descriptors", &format!("ulimit -n {FEW};"));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut addresses =
            lines.map_while(Result::ok).filter_map(|line| Some(line.split_once("serves on ")?.1.parse()));
        let addr = addresses.next().expect("it serves").unwrap();
        Poor { child, addr }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Descriptors, tasks and failures to accept, as the server counts them.
    fn state(&self, over: &mut TcpStream) -> (usize, usize, usize) {
        let (_, content) = ask(over, "/state");
        let numbers: Vec<usize> = content.split(' ').map(|number| number.parse().unwrap()).collect();
        (numbers[0], numbers[1], numbers[2])
    }
}

impl Drop for Poor {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn send(stream: &mut TcpStream, path: &str) {
    write!(stream, "GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n").unwrap();
}

fn ask(stream: &mut TcpStream, path: &str) -> (u16, String) {
    send(stream, path);
    answer(stream)
}

/// One answer with a length.
fn answer(stream: &mut TcpStream) -> (u16, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer within 20 s");
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lengths = head.lines().filter_map(|line| line.strip_prefix("Content-Length: "));
    let mut content = vec![0; lengths.next().unwrap().parse().unwrap()];
    stream.read_exact(&mut content).unwrap();
    (head[9..12].parse().unwrap(), String::from_utf8(content).unwrap())
}

#[test]
fn a_server_without_descriptors_keeps_its_connections_and_takes_the_others_later() {
    let poor = Poor::start();
    let mut first = poor.connect();
    let before = poor.state(&mut first);
    assert_eq!(ask(&mut first, "/files/a.txt"), (200, "a file".into()));
    let mut peers: Vec<TcpStream> = (0..100).map(|_| poor.connect()).collect();
    for peer in &mut peers {
        send(peer, "/hello");
    }
    // The system accepts them all; the server as many as it can.
    let full = loop {
        let state = poor.state(&mut first);
        if state.2 > 0 {
            break state;
        }
    };
    assert_eq!(full.0, FEW, "all of them are in use");
    // What is open is served; what needs a descriptor is a failure that passes, and no missing file.
    assert_eq!(ask(&mut first, "/hello"), (200, "hello".into()));
    assert_eq!(ask(&mut first, "/files/other.txt").0, 500);
    // The first to come were the first to be served. Their leaving makes room for the rest.
    let rest = peers.split_off(60);
    drop(peers);
    for mut peer in rest {
        assert_eq!(answer(&mut peer), (200, "hello".into()));
    }
    assert_eq!(ask(&mut first, "/files/other.txt"), (200, "another".into()));
    for _ in 0..10_000 {
        let (open, tasks, _) = poor.state(&mut first);
        if (open, tasks) == (before.0, before.1) {
            return;
        }
    }
    panic!("it had {before:?}, and keeps {:?}", poor.state(&mut first));
}

#[tokio::test]
#[ignore = "run by the test above, in a process of its own"]
async fn serve_with_few_descriptors() {
    if !is_alone() {
        return;
    }
    let folder = Folder::new("served");
    std::fs::write(folder.0.join("a.txt"), "a file").unwrap();
    std::fs::write(folder.0.join("other.txt"), "another").unwrap();
    let failures = Arc::new(AtomicUsize::new(0));
    let (count, told) = (failures.clone(), failures);
    let mux = ServeMux::new();
    mux.handle("/hello", async |w: &mut ResponseWriter, _: &mut Request| w.write("hello").await);
    mux.handle("/files/", strip_prefix("/files", file_server(&folder.0)));
    mux.handle(
        "/state",
        nethttp::handle_with(count, async |count: &Arc<AtomicUsize>, w: &mut ResponseWriter, _: &mut Request| {
            let open = open_descriptors();
            let tasks = Handle::current().metrics().num_alive_tasks();
            w.write(format!("{open} {tasks} {}", count.load(Ordering::SeqCst))).await
        }),
    );
    let mut server = Server::new(mux);
    server.on_event = Some(Arc::new(move |event: &ServerEvent| {
        if let ServerEvent::AcceptFailed { .. } = event {
            told.fetch_add(1, Ordering::SeqCst);
        }
    }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("serves on {}", listener.local_addr().unwrap());
    let ender = server.clone();
    // Its input ends with the test that started it.
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        ender.close();
    });
    let _ = server.serve(listener).await;
}

/// Also where there is none left to open the folder with.
fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(FEW, |entries| entries.count() - 1)
}

// ------------------------------------------------------------ the client

#[test]
fn a_client_without_descriptors_says_that_nothing_was_sent() {
    alone("descriptors::ask_with_no_descriptor", &format!("ulimit -n {FEW};"));
}

#[tokio::test]
#[ignore = "run by the test above, in a process of its own"]
async fn ask_with_no_descriptor() {
    if !is_alone() {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = Server::new(async |w: &mut ResponseWriter, _: &mut Request| w.write("ok").await);
    let serving = server.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    let mut transport = Transport::new();
    transport.proxy = Proxy::none();
    let transport = Arc::new(transport);
    let mut client = Client::new();
    client.transport = transport.clone();
    let (url, named) = (format!("http://{addr}/"), format!("http://localhost:{}/", addr.port()));
    // The system's resolver keeps what it has read.
    assert_eq!(client.get(&*named).await.unwrap().text().await.unwrap(), "ok");
    client.close_idle_connections();
    until("the connection is gone", || server.connections() == 0).await;
    let before = (descriptors(), Handle::current().metrics().num_alive_tasks());

    for _ in 0..3 {
        let hoard: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        assert!(!hoard.is_empty());
        let error = client.post(&*url, "text/plain", "content").await.unwrap_err();
        assert_eq!((error.kind(), error.phase(), error.sent()), (ErrorKind::Io, Some(Phase::Connect), Some(Sent::No)));
        assert!(error.to_string().contains("Too many open files"), "{error}");
        let error = client.get(&*named).await.unwrap_err();
        assert_eq!(error.sent(), Some(Sent::No), "{error}");
        assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::Resolve), "{error}");
        assert_eq!(counts(&transport), (0, 0, 0, 0));
        drop(hoard);
        assert_eq!(client.get(&*url).await.unwrap().text().await.unwrap(), "ok");
        // A connection that is there needs no other.
        let hoard: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        assert_eq!(client.get(&*url).await.unwrap().text().await.unwrap(), "ok");
        drop(hoard);
        client.close_idle_connections();
        until("the connection is gone", || server.connections() == 0).await;
    }
    let now = || (descriptors(), Handle::current().metrics().num_alive_tasks());
    until("nothing is left", || now() == before).await;
}
