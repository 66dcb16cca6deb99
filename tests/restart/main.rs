//! A program that is renewed while it serves: each process is one of this program's tests, run again, and the outer
//! test is its clients and what systemd would be.
#![cfg(all(feature = "server", feature = "client", feature = "tls", feature = "socket-activation"))]
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

#[path = "../support/alone.rs"]
mod alone;
#[path = "../support/certificates.rs"]
mod certificates;

use std::env;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use alone::{Folder, command, is_alone};
use certificates::Authority;
use command_fds::{CommandFdExt as _, FdMapping};
use nethttp::net::{ListenerSet, UnixDialer};
use nethttp::server::ServerEvent;
use nethttp::tls::{TlsConfig, TlsRoots, TlsServerConfig};
use nethttp::{Client, Request, ResponseWriter, Server, Transport};
use rustix::process::{Pid, Signal, kill_process};

/// How the service is reached, in its environment.
const KIND: &str = "NETHTTP_TEST_KIND";
const FOLDER: &str = "NETHTTP_TEST_FOLDER";
/// A file that says that the next process is to fail.
const BROKEN: &str = "broken";
/// A file that is there once it has.
const FAILED: &str = "failed";

// ------------------------------------------------------------ the service

#[tokio::test]
#[ignore = "serves until a signal ends it"]
async fn service() {
    if !is_alone() {
        return;
    }
    let folder = env::var(FOLDER).unwrap();
    let mut listeners = ListenerSet::from_env().unwrap();
    assert!(!listeners.has_predecessor() || !Path::new(&folder).join(BROKEN).exists(), "as is wanted");
    let mut server = Server::new(async |w: &mut ResponseWriter, _: &mut Request| {
        // So that requests are under way when the process is replaced.
        tokio::task::yield_now().await;
        w.write(std::process::id().to_string()).await
    });
    let failed = Path::new(&folder).join(FAILED);
    server.on_event = Some(Arc::new(move |event: &ServerEvent| {
        if matches!(event, ServerEvent::SuccessorFailed { .. }) {
            std::fs::write(&failed, event.to_string()).unwrap();
        }
    }));
    let tls = TlsServerConfig::from_pem_files(format!("{folder}/site.pem"), format!("{folder}/site.key")).unwrap();
    // Where nothing is inherited it would listen here, and nobody would find it.
    let nowhere = "127.0.0.1:0";
    match env::var(KIND).unwrap().as_str() {
        "plain" => {
            let listener = listeners.tcp("site", nowhere).await.unwrap();
            server.until_replaced(listeners, server.serve(listener)).await.unwrap();
        }
        "tls" => {
            let listener = listeners.tcp("site", nowhere).await.unwrap();
            server.until_replaced(listeners, server.serve_tls(listener, &tls)).await.unwrap();
        }
        _ => {
            let listener = listeners.unix("site", format!("{folder}/socket")).unwrap();
            server.until_replaced(listeners, server.serve(listener)).await.unwrap();
        }
    }
}

// ------------------------------------------------------------ its clients

/// A service, with its first process.
struct Service {
    folder: Folder,
    first: Child,
    url: String,
    trusted: String,
}

impl Service {
    fn start(kind: &str) -> Service {
        let folder = Folder::new(&format!("restart-{kind}"));
        let authority = Authority::new("restart");
        let issued = authority.issue(&["127.0.0.1"]);
        std::fs::write(folder.0.join("site.pem"), issued.certificate).unwrap();
        std::fs::write(folder.0.join("site.key"), issued.key).unwrap();
        let (scheme, socket, host): (_, OwnedFd, _) = if kind == "unix" {
            let socket = std::os::unix::net::UnixListener::bind(folder.0.join("socket")).unwrap();
            ("http", socket.into(), "a.test".to_owned())
        } else {
            let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let host = socket.local_addr().unwrap().to_string();
            (if kind == "tls" { "https" } else { "http" }, socket.into(), host)
        };
        let mut service = command("service", "");
        service.env(KIND, kind).env(FOLDER, &folder.0).stdout(Stdio::null()).stderr(Stdio::null());
        activate(&mut service, socket, "site");
        let first = service.spawn().unwrap();
        Service { folder, first, url: format!("{scheme}://{host}/"), trusted: authority.pem() }
    }

    /// A client with connections of its own.
    fn client(&self, keeps: bool) -> Client {
        let mut transport = Transport::new();
        transport.disable_keep_alives = !keeps;
        transport.set_tls(TlsConfig::new().roots(TlsRoots::None).add_root_pem(&self.trusted).unwrap());
        if self.url.contains("a.test") {
            transport.dial = Arc::new(UnixDialer::new(self.folder.0.join("socket")));
        }
        let mut client = Client::with_transport(transport);
        client.timeout = Duration::from_secs(60);
        client
    }

    /// The process that answers.
    async fn process(&self) -> i32 {
        let mut response = self.client(false).get(&self.url).await.unwrap();
        response.text().await.unwrap().parse().unwrap()
    }

    /// Has the process replaced, and waits until another one answers.
    async fn replace(&self, process: i32) -> i32 {
        signal(process, Signal::HUP);
        loop {
            let answering = self.process().await;
            if answering != process {
                return answering;
            }
        }
    }
}

fn signal(process: i32, signal: Signal) {
    kill_process(Pid::from_raw(process).unwrap(), signal).unwrap();
}

/// Gives a program a socket as systemd does, except that it cannot know the number of the process.
fn activate(command: &mut Command, socket: OwnedFd, name: &str) {
    command.fd_mappings(vec![FdMapping { parent_fd: socket, child_fd: 3 }]).unwrap();
    command.env("LISTEN_FDS", "1").env("LISTEN_FDNAMES", name).env_remove("LISTEN_PID");
}

/// Asks without a pause until it is told to stop. Each answer has to be there and whole.
async fn load(client: Client, url: String, is_over: Arc<AtomicBool>, answered: Arc<AtomicUsize>) {
    while !is_over.load(Ordering::SeqCst) {
        let mut response = client.get(&url).await.unwrap();
        assert_eq!(response.status, 200);
        assert!(response.text().await.unwrap().parse::<i32>().is_ok());
        answered.fetch_add(1, Ordering::SeqCst);
    }
}

/// Three restarts under load, one of them in vain.
async fn restarts_lose_nothing(kind: &str) {
    let mut service = Service::start(kind);
    let mut process = service.process().await;
    let (is_over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let loads = Vec::from_iter((0..4).map(|number| {
        let client = service.client(number % 2 == 0);
        tokio::spawn(load(client, service.url.clone(), is_over.clone(), answered.clone()))
    }));
    let first = process;
    for _ in 0..3 {
        process = service.replace(process).await;
    }
    assert_ne!(process, first);

    // A successor that fails changes nothing.
    std::fs::write(service.folder.0.join(BROKEN), "").unwrap();
    signal(process, Signal::HUP);
    while !service.folder.0.join(FAILED).exists() {
        assert_eq!(service.process().await, process);
    }
    assert_eq!(service.process().await, process);

    is_over.store(true, Ordering::SeqCst);
    for load in loads {
        load.await.unwrap();
    }
    assert!(service.first.wait().unwrap().success(), "who was replaced has ended in good order");
    signal(process, Signal::TERM);
    while service.client(false).get(&service.url).await.is_ok() {}
    println!("{kind}: {} requests", answered.load(Ordering::SeqCst));
}

#[tokio::test]
async fn no_request_is_lost_when_a_program_is_replaced_under_load() {
    restarts_lose_nothing("plain").await;
}

#[tokio::test]
async fn no_request_is_lost_over_tls() {
    restarts_lose_nothing("tls").await;
}

#[tokio::test]
async fn no_request_is_lost_on_a_unix_socket() {
    restarts_lose_nothing("unix").await;
}

// ------------------------------------------------------------ what is inherited

#[test]
fn a_socket_of_another_kind_or_one_that_does_not_listen_is_an_error() {
    for kind in ["a_datagram_socket_is_no_listener", "a_connected_socket_is_no_listener"] {
        let socket: OwnedFd = if kind.starts_with("a_datagram") {
            std::net::UdpSocket::bind("127.0.0.1:0").unwrap().into()
        } else {
            std::os::unix::net::UnixStream::pair().unwrap().0.into()
        };
        let mut inner = command(kind, "");
        activate(&mut inner, socket, "site");
        assert_passed(inner);
    }
}

#[tokio::test]
#[ignore = "takes what its process has inherited"]
async fn a_datagram_socket_is_no_listener() {
    if is_alone() {
        assert_eq!(ListenerSet::from_env().unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[tokio::test]
#[ignore = "takes what its process has inherited"]
async fn a_connected_socket_is_no_listener() {
    if is_alone() {
        assert_eq!(ListenerSet::from_env().unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    }
}

#[test]
fn what_is_inherited_is_found_by_its_name_and_closed_where_nobody_asks_for_it() {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = socket.local_addr().unwrap();
    let mut inner = command("names", "");
    activate(&mut inner, socket.into(), "site");
    inner.env("NETHTTP_TEST_ADDR", addr.to_string());
    assert_passed(inner);
}

#[tokio::test]
#[ignore = "takes what its process has inherited"]
async fn names() {
    if !is_alone() {
        return;
    }
    let inherited = env::var("NETHTTP_TEST_ADDR").unwrap();
    let mut listeners = ListenerSet::from_env().unwrap();
    for name in ["", "a:b", "a\nb", "ä", "nethttp-predecessor"] {
        let error = listeners.tcp(name, "127.0.0.1:0").await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{name:?}");
    }
    let other = listeners.tcp("another", "127.0.0.1:0").await.unwrap();
    assert_ne!(other.local_addr().unwrap().to_string(), inherited);
    // It is there still, with its queue, until the set is told that nobody wants it.
    drop(std::net::TcpStream::connect(&inherited).unwrap());
    assert!(!listeners.has_predecessor());
    listeners.ready().unwrap();
    assert!(std::net::TcpStream::connect(&inherited).is_err());
    assert!(env::var_os("LISTEN_FDS").is_none(), "programs that this one starts inherit nothing");
}

#[tokio::test]
async fn a_successor_that_cannot_be_started_or_says_nothing_is_an_error() {
    let listeners = ListenerSet::from_env().unwrap();
    let limit = Duration::from_secs(60);
    let error = listeners.start_successor(Command::new("/nowhere/at/all"), limit).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    let error = listeners.start_successor(Command::new("true"), limit).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    let mut silent = Command::new("sleep");
    silent.arg("3600");
    let error = listeners.start_successor(silent, Duration::from_millis(1)).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
}

fn assert_passed(mut command: Command) {
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // It has a descriptor of what is inherited: the inner test is to be the only one that has.
    drop(command);
    let output = running.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
