//! What surrounds a request: when it is over, where it came in, and the values it was given.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use nethttp::net::Addr;
use nethttp::server::ConnInfo;
use nethttp::{Body, Context, ErrorKind, Extensions, Request, ResponseWriter, Result, Server, handle_with, testing};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{GET, dial, millis, quiet, secs, serve, settle, start};

const POST_3: &str = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n";

/// When the requests of a test were cancelled, in the order of their cancelling.
type Cancelled = Arc<Mutex<Vec<Instant>>>;

/// Reads the content and waits for the request to be cancelled.
async fn wait_for_the_end(cancelled: &Cancelled, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    r.body.bytes(100).await?;
    r.context().cancelled().await;
    assert!(r.context().is_cancelled());
    cancelled.lock().unwrap().push(Instant::now());
    w.write("for nobody").await
}

// ------------------------------------------------------------ cancelling

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_cancels_its_request() {
    for request in [GET.to_owned(), format!("{POST_3}abc")] {
        let cancelled = Cancelled::default();
        let running = serve(handle_with(cancelled.clone(), wait_for_the_end));
        let mut peer = running.dial().await;
        peer.send(&request).await;
        peer.assert_open_at(secs(500)).await;
        let left = Instant::now();
        drop(peer);
        settle().await;
        assert_eq!(*cancelled.lock().unwrap(), [left], "{request}");
        assert_eq!(running.server.connections(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_closes_its_sending_side_cancels_too_and_still_gets_its_answer() {
    let running = serve(handle_with(Cancelled::default(), wait_for_the_end));
    let mut peer = running.dial().await;
    peer.send(GET).await;
    peer.stream.shutdown().await.unwrap();
    assert_eq!(peer.answer().await.content, "for nobody");
    assert_eq!(peer.end().await.received, "");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_does_not_ask_runs_to_its_end() {
    let finished = Arc::new(Mutex::new(None));
    async fn stubborn(finished: &Arc<Mutex<Option<bool>>>, _: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        sleep(secs(60)).await;
        *finished.lock().unwrap() = Some(r.context().is_cancelled());
        Ok(())
    }
    let running = serve(handle_with(finished.clone(), stubborn));
    let mut peer = running.dial().await;
    peer.send(GET).await;
    settle().await;
    drop(peer);
    sleep(secs(61)).await;
    assert_eq!(*finished.lock().unwrap(), Some(true));
}

#[tokio::test(start_paused = true)]
async fn a_next_request_that_waits_does_not_cancel_the_present_one() {
    let patient = async |w: &mut ResponseWriter, r: &mut Request| {
        let gone = timeout(secs(10), r.context().cancelled()).await.is_ok();
        w.write(if gone { "cancelled" } else { "in peace" }).await
    };
    let mut peer = serve(patient).dial().await;
    peer.send([GET, "G"].concat()).await;
    sleep(secs(1)).await;
    peer.send(&GET[1..]).await;
    assert_eq!((peer.answer().await.content.as_str(), peer.age()), ("in peace", secs(10)));
    assert_eq!((peer.answer().await.content.as_str(), peer.age()), ("in peace", secs(20)));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_over_when_its_handler_has_returned_and_not_before() {
    async fn keep(kept: &mpsc::UnboundedSender<Context>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        kept.send(r.context().clone()).unwrap();
        sleep(secs(5)).await;
        assert!(!r.context().is_cancelled());
        w.write("done").await
    }
    let (kept, mut contexts) = mpsc::unbounded_channel();
    let mut peer = serve(handle_with(kept, keep)).dial().await;
    let mut earlier: Vec<Context> = Vec::new();
    for round in 1..=3 {
        peer.send(GET).await;
        let context = contexts.recv().await.unwrap();
        assert!(!context.is_cancelled() && earlier.iter().all(Context::is_cancelled));
        // Any number may wait, in any task.
        let waiting =
            [context.clone(), context.clone()].map(|context| tokio::spawn(async move { context.cancelled().await }));
        for waiting in waiting {
            waiting.await.unwrap();
        }
        assert_eq!(peer.age(), secs(5 * round));
        peer.answer().await;
        earlier.push(context);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_ends_a_request_as_a_return_does() {
    async fn keep(kept: &mpsc::UnboundedSender<Context>, _: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        kept.send(r.context().clone()).unwrap();
        sleep(secs(1)).await;
        panic!("as planned");
    }
    let (kept, mut contexts) = mpsc::unbounded_channel();
    let mut peer = serve(handle_with(kept, keep)).dial().await;
    assert_eq!(peer.ask(GET).await.status, 500);
    timeout(secs(1), contexts.recv().await.unwrap().cancelled()).await.unwrap();
}

// ------------------------------------------------------------ where and who

#[tokio::test(start_paused = true)]
async fn a_request_has_both_addresses_and_its_server() {
    let telling = async |w: &mut ResponseWriter, r: &mut Request| {
        let server = r.context().value::<Server>().expect("the server is always there");
        let text = format!("{} to {}, {} open", r.remote_addr, r.context().local_addr(), server.connections());
        w.write(text).await
    };
    let running = serve(telling);
    let (_first, mut second) = (running.dial().await, running.dial().await);
    assert_eq!(second.ask(GET).await.content, "memory client 2 to memory, 2 open");
}

// ------------------------------------------------------------ values

#[derive(Clone)]
struct Base(String);

#[derive(Clone)]
struct OfConnection(String);

async fn tell_values(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let base = r.context().value::<Base>().map_or("none", |Base(text)| text);
    let own = r.context().value::<OfConnection>().map_or("none", |OfConnection(text)| text);
    w.write(format!("{base}; {own}")).await
}

#[tokio::test(start_paused = true)]
async fn each_listener_gives_its_requests_values_of_its_own() {
    let mut server = quiet(tell_values);
    server.base_context = Some(Arc::new(|addr: &Addr| {
        let mut values = Extensions::new();
        values.insert(Base(addr.to_string()));
        values
    }));
    for name in ["inside", "outside"] {
        let (listener, dialer) = testing::listener();
        let server = server.clone();
        tokio::spawn(async move { server.serve(listener.with_name(name)).await });
        assert_eq!(dial(&dialer).await.ask(GET).await.content, format!("{name}; none"));
    }
}

#[tokio::test(start_paused = true)]
async fn values_of_one_connection_do_not_leak_to_others() {
    let mut server = quiet(tell_values);
    server.base_context = Some(Arc::new(|_: &Addr| {
        let mut values = Extensions::new();
        values.insert(Base("base".to_owned()));
        values
    }));
    server.conn_context = Some(Arc::new(|mut values: Extensions, info: &ConnInfo| {
        assert!(values.get::<OfConnection>().is_none(), "another connection's");
        if info.id != 2 {
            values.insert(OfConnection(info.remote_addr.to_string()));
        }
        values
    }));
    let running = start(server);
    let mut peers = [running.dial().await, running.dial().await, running.dial().await];
    for _ in 0..2 {
        let mut told = Vec::new();
        for peer in &mut peers {
            told.push(peer.ask(GET).await.content);
        }
        assert_eq!(told, ["base; memory client 1", "base; none", "base; memory client 3"]);
    }
}

// ------------------------------------------------------------ bodies that outlive their request

/// Hands the body out and answers at once.
async fn give_away(bodies: &mpsc::UnboundedSender<Body>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    bodies.send(std::mem::take(&mut r.body)).unwrap();
    w.write("given").await
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_kept_reads_as_an_error_and_takes_nothing_from_the_next_request() {
    let (sender, mut bodies) = mpsc::unbounded_channel();
    let mut peer = serve(handle_with(sender, give_away)).dial().await;
    peer.ask(&format!("{POST_3}abc")).await;
    let mut first = bodies.recv().await.unwrap();
    assert_eq!(first.chunk().await.unwrap_err().kind(), ErrorKind::RequestOver);
    assert_eq!(first.chunk().await.unwrap_err().kind(), ErrorKind::RequestOver, "and again");

    peer.ask(&format!("{POST_3}def")).await;
    let mut second = bodies.recv().await.unwrap();
    assert_eq!(second.remaining(), None);
    assert_eq!(second.bytes(100).await.unwrap_err().kind(), ErrorKind::RequestOver);
    assert_eq!(peer.ask(&format!("{POST_3}ghi")).await.content, "given");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_content_is_woken_at_the_end_of_the_request() {
    async fn read_elsewhere(
        read: &mpsc::UnboundedSender<(ErrorKind, Instant)>,
        w: &mut ResponseWriter,
        r: &mut Request,
    ) -> Result<()> {
        let (mut body, read) = (std::mem::take(&mut r.body), read.clone());
        // Ends with the request.
        tokio::spawn(async move {
            let error = body.chunk().await.unwrap_err();
            read.send((error.kind(), Instant::now())).unwrap();
        });
        sleep(secs(2)).await;
        w.write("enough").await
    }
    let (read, mut reads) = mpsc::unbounded_channel();
    let mut peer = serve(handle_with(read, read_elsewhere)).dial().await;
    let began = Instant::now();
    peer.ask(POST_3).await;
    let (kind, at) = timeout(secs(100), reads.recv()).await.expect("it was woken").unwrap();
    assert_eq!((kind, at - began), (ErrorKind::RequestOver, secs(2)));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_content_is_woken_by_a_takeover() {
    async fn take_over(read: &mpsc::UnboundedSender<ErrorKind>, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        let (mut body, read) = (std::mem::take(&mut r.body), read.clone());
        // Ends when the connection is taken over.
        tokio::spawn(async move { read.send(body.chunk().await.unwrap_err().kind()).unwrap() });
        sleep(millis(10)).await;
        let _taken = w.hijack().await?;
        sleep(secs(1000)).await;
        Ok(())
    }
    let (read, mut reads) = mpsc::unbounded_channel();
    let mut peer = serve(handle_with(read, take_over)).dial().await;
    peer.send(POST_3).await;
    let kind = timeout(secs(1), reads.recv()).await.expect("it was woken").unwrap();
    assert_eq!(kind, ErrorKind::Hijacked);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_kept_does_not_keep_the_connection_open() {
    let (sender, mut bodies) = mpsc::unbounded_channel();
    let mut peer = serve(handle_with(sender, give_away)).dial().await;
    peer.send("POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc").await;
    peer.answer().await;
    let _kept = bodies.recv().await.unwrap();
    assert_eq!(timeout(secs(10), peer.end()).await.expect("closed").at, Duration::ZERO);
    sleep(secs(1)).await;
    assert!(peer.stream.write_all(b"x").await.is_err(), "in both directions");
}

// ------------------------------------------------------------ connections that break

/// A server on a socket, and a connection to it.
async fn over_tcp(handler: impl nethttp::Handler) -> (Server, tokio::net::TcpStream) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let server = quiet(handler);
    let serving = server.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    (server, tokio::net::TcpStream::connect(addr).await.unwrap())
}

async fn wait_to_be_cancelled(
    begun: &mpsc::UnboundedSender<Context>,
    _: &mut ResponseWriter,
    r: &mut Request,
) -> Result<()> {
    begun.send(r.context().clone()).unwrap();
    r.context().cancelled().await;
    Ok(())
}

#[tokio::test]
async fn a_reset_cancels_the_request_also_behind_unread_content_and_further_requests() {
    for request in [GET.to_owned(), format!("{POST_3}abc"), format!("{POST_3}a"), [GET, GET].concat()] {
        let (begun, mut begins) = mpsc::unbounded_channel();
        let (_server, mut stream) = over_tcp(handle_with(begun, wait_to_be_cancelled)).await;
        stream.write_all(request.as_bytes()).await.unwrap();
        let context: Context = begins.recv().await.unwrap();
        sleep(millis(20)).await;
        assert!(!context.is_cancelled(), "{request:?}");
        socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        drop(stream);
        timeout(secs(10), context.cancelled()).await.unwrap_or_else(|_| panic!("{request:?} is not cancelled"));
    }
}

#[tokio::test]
async fn content_that_ends_with_its_connection_and_is_cut_ends_in_a_reset() {
    let fails = async |w: &mut ResponseWriter, r: &mut Request| {
        w.write("some of it").await?;
        w.flush().await?;
        // The client has read that much: a reset may take it away.
        sleep(millis(50)).await;
        if r.path() == "/fails" { Err(nethttp::Error::other("no more")) } else { std::future::pending().await }
    };
    for target in ["/fails", "/is-cut"] {
        let (server, mut stream) = over_tcp(fails).await;
        stream.write_all(format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.0 200");
        if target == "/is-cut" {
            server.close();
        }
        let mut rest = Vec::new();
        let ended = timeout(secs(10), stream.read_to_end(&mut rest)).await.expect("it ends");
        let kind = ended.expect_err("it looks whole").kind();
        assert_eq!(kind, std::io::ErrorKind::ConnectionReset, "{target}");
    }
    let (_server, mut stream) = over_tcp(async |w: &mut ResponseWriter, _: &mut Request| {
        w.flush().await?;
        w.write("all of it").await
    })
    .await;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
    let mut whole = String::new();
    stream.read_to_string(&mut whole).await.unwrap();
    assert!(whole.ends_with("\r\n\r\nall of it"), "{whole}");
}
