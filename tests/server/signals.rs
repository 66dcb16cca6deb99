//! A server that signals end, each in a process of its own: signals are the whole process's.

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::Duration;

use nethttp::{ErrorKind, Handler, Request, ResponseWriter, Result, Server};
use rustix::process::{Signal, getpid, kill_process};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use crate::alone::{alone, command, is_alone};

fn send(signal: Signal) {
    kill_process(getpid(), signal).unwrap();
}

/// A handler that says when it was reached and when it has seen the drain, and ends then or never.
#[derive(Clone, Default)]
struct Seen {
    reached: Arc<Notify>,
    drained: Arc<Notify>,
    stays: bool,
}

impl Handler for Seen {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        self.reached.notify_one();
        r.context().draining().await;
        self.drained.notify_one();
        if self.stays {
            std::future::pending::<()>().await;
        }
        w.write("good bye\n").await
    }
}

/// A request that is under way, and what comes back.
async fn asked(addr: std::net::SocketAddr, seen: &Seen) -> tokio::task::JoinHandle<String> {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    seen.reached.notified().await;
    tokio::spawn(async move {
        let mut answer = String::new();
        // A connection that is cut may be reset.
        let _ = stream.read_to_string(&mut answer).await;
        answer
    })
}

#[test]
fn each_signal_that_asks_for_the_end_lets_all_listeners_answer_whom_they_have() {
    alone("signals::two_listeners_and_both_signals", "");
}

#[tokio::test]
#[ignore = "sends signals to its process"]
async fn two_listeners_and_both_signals() {
    if !is_alone() {
        return;
    }
    for signal in [Signal::TERM, Signal::INT] {
        let seen = Seen::default();
        let server = Server::new(seen.clone());
        let (one, two) =
            (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let addrs = [one.local_addr().unwrap(), two.local_addr().unwrap()];
        let serving = tokio::spawn(async move {
            let both = async { tokio::try_join!(server.serve(one), server.serve(two)) };
            server.until_signal(both).await
        });
        let (first, second) = (asked(addrs[0], &seen).await, asked(addrs[1], &seen).await);
        send(signal);
        for answer in [first.await.unwrap(), second.await.unwrap()] {
            assert!(answer.ends_with("good bye\n"), "{answer}");
        }
        let report = serving.await.unwrap().unwrap();
        assert_eq!((report.drained, report.cut), (2, 0), "{signal:?}");
        assert!(TcpStream::connect(addrs[0]).await.is_err(), "the listeners are closed");
    }
}

#[test]
fn a_second_signal_cuts_what_is_left() {
    alone("signals::asked_twice", "");
}

#[tokio::test]
#[ignore = "sends signals to its process"]
async fn asked_twice() {
    if !is_alone() {
        return;
    }
    let seen = Seen { stays: true, ..Seen::default() };
    let mut server = Server::new(seen.clone());
    server.shutdown_grace = Duration::from_secs(3600);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { server.until_signal(server.serve(listener)).await });
    let answer = asked(addr, &seen).await;
    send(Signal::TERM);
    seen.drained.notified().await;
    send(Signal::TERM);
    let report = serving.await.unwrap().unwrap();
    assert_eq!((report.drained, report.cut), (0, 1));
    assert_eq!(answer.await.unwrap(), "");
}

#[test]
fn without_a_grace_a_signal_cuts_at_once() {
    alone("signals::no_grace", "");
}

#[tokio::test]
#[ignore = "sends signals to its process"]
async fn no_grace() {
    if !is_alone() {
        return;
    }
    let seen = Seen { stays: true, ..Seen::default() };
    let mut server = Server::new(seen.clone());
    server.shutdown_grace = Duration::ZERO;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { server.until_signal(server.serve(listener)).await });
    let answer = asked(addr, &seen).await;
    send(Signal::INT);
    assert_eq!(serving.await.unwrap().unwrap().cut, 1);
    assert_eq!(answer.await.unwrap(), "");
}

#[test]
fn within_the_delay_new_clients_are_served_and_probes_are_told() {
    alone("signals::delayed", "");
}

#[tokio::test]
#[ignore = "sends signals to its process"]
async fn delayed() {
    if !is_alone() {
        return;
    }
    let mux = nethttp::ServeMux::new();
    mux.handle("GET /readyz", nethttp::server::Readiness::new());
    mux.handle("GET /", async |w: &mut ResponseWriter, _: &mut Request| w.write("hello\n").await);
    let mut server = Server::new(mux);
    server.shutdown_delay = Duration::from_secs(3600);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move { server.until_signal(server.serve(listener)).await });
    let get = async |path: &str| {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    assert!(get("/readyz").await.starts_with("HTTP/1.1 200 "));
    send(Signal::TERM);
    // The signal comes when the system likes.
    while !get("/readyz").await.starts_with("HTTP/1.1 503 ") {}
    assert!(get("/").await.ends_with("hello\n"));
    send(Signal::TERM);
    serving.await.unwrap().unwrap();
    assert!(TcpStream::connect(addr).await.is_err());
}

#[tokio::test]
async fn a_port_that_is_taken_ends_the_program_and_a_shutdown_from_within_is_no_error() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let handler = async |w: &mut ResponseWriter, _: &mut Request| w.write("").await;
    let error = nethttp::serve_until_signal(taken.local_addr().unwrap().to_string(), handler).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);

    let seen = Seen::default();
    let server = Server::new(seen.clone());
    let addr = taken.local_addr().unwrap();
    let (running, ender) = (server.clone(), server);
    let serving = tokio::spawn(async move { running.until_signal(running.serve(taken)).await });
    let answer = asked(addr, &seen).await;
    let report = ender.shutdown(Duration::from_secs(60)).await;
    assert_eq!((report.drained, report.cut), (1, 0));
    assert!(answer.await.unwrap().ends_with("good bye\n"));
    assert_eq!(serving.await.unwrap().unwrap().cut, 0);
}

#[test]
fn a_service_manager_is_told_when_the_server_accepts_that_it_is_alive_and_when_it_ends() {
    let path = std::env::temp_dir().join(format!("nethttp-notify-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut service = command("signals::managed", "");
    service.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "20000").env_remove("WATCHDOG_PID");
    let mut service = service.stdout(std::process::Stdio::null()).spawn().unwrap();
    let heard = || {
        let mut buffer = [0; 256];
        let len = manager.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..len]).into_owned()
    };
    assert_eq!(heard(), "READY=1");
    // Twice, so that it is repeated.
    assert_eq!([heard(), heard()], ["WATCHDOG=1", "WATCHDOG=1"]);
    let pid = rustix::process::Pid::from_child(&service);
    kill_process(pid, Signal::TERM).unwrap();
    let last = std::iter::repeat_with(heard).find(|message| message != "WATCHDOG=1").unwrap();
    assert_eq!(last, "STOPPING=1");
    assert!(service.wait().unwrap().success());
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
#[ignore = "runs until a signal ends its process"]
async fn managed() {
    if !is_alone() {
        return;
    }
    nethttp::serve_until_signal("127.0.0.1:0", async |_: &mut ResponseWriter, _: &mut Request| Ok(())).await.unwrap();
}
