//! Where connections come from: real sockets of every kind, several at once, a runtime for each
//! core.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

use nethttp::net::Addr;
use nethttp::{ErrorKind, Extensions, Request, ResponseWriter, Result, Server, handle_with};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

const CLOSING: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

async fn addresses(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    w.write(format!("{} to {}", r.remote_addr, r.context().local_addr())).await
}

/// Asks once, from a thread that may block.
fn ask(addr: SocketAddr) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(CLOSING).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn ended(result: Result<()>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[cfg(unix)]
#[tokio::test]
async fn a_unix_socket_is_served_and_its_path_is_the_local_address() {
    let path = std::env::temp_dir().join(format!("nethttp-test-{}.sock", std::process::id()));
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let server = Server::new(addresses);
    let clone = server.clone();
    let serving = tokio::spawn(async move { clone.serve(listener).await });

    let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    stream.write_all(CLOSING).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with(&format!("\r\n\r\nunix: to unix:{}", path.display())), "{answer}");

    server.shutdown(Duration::from_secs(5)).await;
    assert_eq!(ended(serving.await.unwrap()), ErrorKind::ServerClosed);
    std::fs::remove_file(path).unwrap();
}

#[cfg(unix)]
#[tokio::test]
async fn an_address_may_be_a_unix_socket_which_goes_with_its_server() {
    let path = std::env::temp_dir().join(format!("nethttp-test-addr-{}.sock", std::process::id()));
    for round in 0..2 {
        // Somebody has left it behind.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let mut server = Server::new(addresses);
        server.addr = format!("unix:{}", path.display());
        let clone = server.clone();
        let mut serving = tokio::spawn(async move { clone.listen_and_serve().await });
        let mut stream = loop {
            match tokio::net::UnixStream::connect(&path).await {
                Ok(stream) => break stream,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        stream.write_all(CLOSING).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with(&format!("\r\n\r\nunix: to unix:{}", path.display())), "{answer}");

        let error = server.listen_and_serve().await.unwrap_err();
        let shown = format!("cannot listen on \"unix:{}\": somebody else listens there", path.display());
        assert_eq!((error.kind(), error.to_string()), (ErrorKind::Io, shown));

        if round == 0 {
            server.shutdown(Duration::from_secs(5)).await;
            assert_eq!(ended((&mut serving).await.unwrap()), ErrorKind::ServerClosed);
        } else {
            // Dropping the future closes the listener.
            serving.abort();
            let _ = serving.await;
        }
        assert!(!path.exists());
    }
}

#[tokio::test]
async fn an_address_that_is_taken_is_named_with_the_cause_once() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let error = nethttp::listen_and_serve(addr.clone(), addresses).await.unwrap_err();
    let cause = error.downcast_ref::<std::io::Error>().unwrap();
    assert_eq!(cause.kind(), std::io::ErrorKind::AddrInUse);
    // What `main` prints.
    assert_eq!(format!("{error:?}"), format!("cannot listen on \"{addr}\": {cause}"));
    assert!(std::error::Error::source(&error).is_none(), "all of it was in the line");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_all_interfaces_both_ends_have_the_addresses_of_the_connection() {
    for everywhere in ["0.0.0.0:0", "[::]:0"] {
        // A machine without IPv6 has only the first.
        let Ok(listener) = TcpListener::bind(everywhere).await else { continue };
        let port = listener.local_addr().unwrap().port();
        let server = Server::new(addresses);
        let clone = server.clone();
        let serving = tokio::spawn(async move { clone.serve(listener).await });
        let answer = tokio::task::spawn_blocking(move || ask(([127, 0, 0, 1], port).into())).await.unwrap();
        let (_, content) = answer.split_once("\r\n\r\n").unwrap();
        let (remote, local) = content.split_once(" to ").unwrap();
        assert!(remote.starts_with("127.0.0.1:"), "{remote}");
        assert_eq!(local, format!("127.0.0.1:{port}"));
        server.shutdown(Duration::from_secs(5)).await;
        assert_eq!(ended(serving.await.unwrap()), ErrorKind::ServerClosed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_server_serves_several_listeners_and_closes_all_of_them() {
    let server = Server::new(addresses);
    let mut serving = Vec::new();
    let mut addrs = Vec::new();
    for _ in 0..3 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addrs.push(listener.local_addr().unwrap());
        let server = server.clone();
        serving.push(tokio::spawn(async move { server.serve(listener).await }));
    }
    for &addr in &addrs {
        let answer = tokio::task::spawn_blocking(move || ask(addr)).await.unwrap();
        assert!(answer.ends_with(&format!(" to {addr}")), "{answer}");
    }
    server.shutdown(Duration::from_secs(5)).await;
    for task in serving {
        assert_eq!(ended(task.await.unwrap()), ErrorKind::ServerClosed);
    }
    assert!(addrs.iter().all(|&addr| TcpStream::connect(addr).is_err()), "no listener is left");
}

/// Runs `serve_per_core` in a thread and waits until it listens.
fn serve_per_core(server: &Server, count: usize) -> (SocketAddr, thread::JoinHandle<Result<()>>) {
    let clone = server.clone();
    let serving = thread::spawn(move || clone.serve_per_core(count));
    loop {
        if let Some(&addr) = server.local_addrs().first() {
            return (addr, serving);
        }
        assert!(!serving.is_finished(), "it listens");
        thread::yield_now();
    }
}

#[test]
fn threads_of_their_own_share_one_port_and_end_together() {
    let seen = Arc::<Mutex<HashSet<ThreadId>>>::default();
    let note = async |seen: &Arc<Mutex<HashSet<ThreadId>>>, w: &mut ResponseWriter, _: &mut Request| {
        seen.lock().unwrap().insert(thread::current().id());
        w.write("hello").await
    };
    let mut server = Server::new(handle_with(seen.clone(), note));
    server.addr = "127.0.0.1:0".into();
    let (addr, serving) = serve_per_core(&server, 2);
    // The system spreads connections by chance: that all of these go one way is one in 2^63.
    for _ in 0..64 {
        assert!(ask(addr).ends_with("\r\n\r\nhello"));
    }
    let threads = seen.lock().unwrap().clone();
    assert!(threads.len() == 2 && threads.contains(&serving.thread().id()), "the calling thread is one of two");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(server.shutdown(Duration::from_secs(5)));
    assert_eq!(ended(serving.join().unwrap()), ErrorKind::ServerClosed);
    assert!(TcpStream::connect(addr).is_err());
}

#[test]
fn a_thread_that_a_runtime_lends_serves_on_threads_of_its_own() {
    let mut server = Server::new(async |w: &mut ResponseWriter, _: &mut Request| w.write("hello").await);
    server.addr = "127.0.0.1:0".into();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let serving = runtime.spawn_blocking({
        let server = server.clone();
        move || server.serve_per_core(1)
    });
    let addr = loop {
        if let Some(&addr) = server.local_addrs().first() {
            break addr;
        }
        assert!(!serving.is_finished(), "it listens");
        thread::yield_now();
    };
    assert!(ask(addr).ends_with("\r\n\r\nhello"));
    runtime.block_on(server.shutdown(Duration::from_secs(5)));
    assert_eq!(ended(runtime.block_on(serving).unwrap()), ErrorKind::ServerClosed);
}

#[test]
fn a_port_that_is_taken_is_an_error_that_names_the_address() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut server = Server::new(addresses);
    server.addr = taken.local_addr().unwrap().to_string();
    let error = server.serve_per_core(1).unwrap_err();
    assert!(error.to_string().contains(&server.addr), "{error}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(server.listen_and_serve()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains(&server.addr), "{error}");
}

#[tokio::test]
async fn listening_on_an_address_serves_until_the_server_is_shut_down() {
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let mut server = Server::new(addresses);
    server.addr = "127.0.0.1:0".into();
    server.base_context = Some(Arc::new(move |addr: &Addr| {
        told.send(addr.to_string().parse().unwrap()).unwrap();
        Extensions::new()
    }));
    let clone = server.clone();
    let serving = tokio::spawn(async move { clone.listen_and_serve().await });
    let addr: SocketAddr = heard.recv().await.unwrap();
    let answer = tokio::task::spawn_blocking(move || ask(addr)).await.unwrap();
    assert!(answer.ends_with(&format!(" to {addr}")), "{answer}");
    server.shutdown(Duration::from_secs(5)).await;
    assert_eq!(ended(serving.await.unwrap()), ErrorKind::ServerClosed);
}
