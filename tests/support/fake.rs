//! A server that a test plays by hand, byte by byte: what a transport dials ends up here, in
//! memory. With the clock paused, time passes when all wait.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nethttp::client::{HostStats, Proxy};
use nethttp::net::{Addr, DialedStream, dial_fn};
use nethttp::{Body, Bytes, Client, ErrorKind, Response, Result, Transport};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

/// The URL that most requests here ask for.
pub(crate) const URL: &str = "http://a.test/";
/// The plainest answer.
pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

pub(crate) fn secs(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// Lets every task that can run do so, until all of them wait.
pub(crate) async fn settle() {
    // The clock moves only when nothing else can.
    tokio::time::sleep(millis(1)).await;
}

/// The server's side: connections come out of it in the order in which they were dialled.
pub(crate) struct FakeServer {
    incoming: UnboundedReceiver<Conn>,
    pub(crate) dials: Arc<AtomicUsize>,
}

/// A transport without a proxy, whose connections lead to a server that a test plays.
pub(crate) fn fake() -> (Transport, FakeServer) {
    fake_with(64 * 1024)
}

/// The same with so many bytes on their way at most.
pub(crate) fn fake_with(room: usize) -> (Transport, FakeServer) {
    let (given, incoming) = unbounded_channel();
    let dials = Arc::new(AtomicUsize::new(0));
    let mut transport = Transport::new();
    transport.proxy = Proxy::none();
    transport.dial = Arc::new(dialer(given, dials.clone(), room));
    (transport, FakeServer { incoming, dials })
}

fn dialer(given: UnboundedSender<Conn>, dials: Arc<AtomicUsize>, room: usize) -> impl nethttp::net::Dial {
    dial_fn(move |host, port| {
        let number = dials.fetch_add(1, Ordering::Relaxed);
        let (ours, theirs) = tokio::io::duplex(room);
        let conn = Conn { stream: theirs, read: Vec::new(), number, place: format!("{host}:{port}") };
        let outcome = given.send(conn).map_err(|_| io::ErrorKind::ConnectionRefused.into());
        let name = |name: &str| Addr::Named(name.into());
        async move { outcome.map(|()| DialedStream::new(ours).with_addrs(name("client"), name("server"))) }
    })
}

/// A client over this transport, and the transport itself.
pub(crate) fn client_of(transport: Transport) -> (Client, Arc<Transport>) {
    let transport = Arc::new(transport);
    let mut client = Client::new();
    client.transport = transport.clone();
    (client, transport)
}

/// A client and its server.
pub(crate) fn pair() -> (Client, Arc<Transport>, FakeServer) {
    let (transport, server) = fake();
    let (client, transport) = client_of(transport);
    (client, transport, server)
}

impl FakeServer {
    /// The next connection.
    pub(crate) async fn accept(&mut self) -> Conn {
        // Paused time does not stand still where nothing comes.
        timeout(secs(24 * 3600), self.incoming.recv()).await.expect("a connection within a day").unwrap()
    }

    /// The next connection; `None` when there will be no more.
    pub(crate) async fn next(&mut self) -> Option<Conn> {
        self.incoming.recv().await
    }

    /// A connection that was dialled already, if there is one more.
    pub(crate) fn try_accept(&mut self) -> Option<Conn> {
        self.incoming.try_recv().ok()
    }

    pub(crate) fn dials(&self) -> usize {
        self.dials.load(Ordering::Relaxed)
    }

    /// Answers every request on every connection with what this makes of it. What comes back is
    /// all that was asked.
    pub(crate) fn answer(mut self, with: impl Fn(&Received) -> String + Send + Sync + 'static) -> Log {
        let (log, with) = (Log::default(), Arc::new(with));
        let told = log.clone();
        tokio::spawn(async move {
            while let Some(mut conn) = self.incoming.recv().await {
                let (told, with) = (told.clone(), with.clone());
                tokio::spawn(async move {
                    while let Some(request) = conn.try_request().await {
                        let answer = with(&request);
                        told.0.lock().unwrap().push(request);
                        if answer.is_empty() || conn.stream.write_all(answer.as_bytes()).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        log
    }
}

/// What a server was asked, in order.
#[derive(Clone, Default)]
pub(crate) struct Log(pub(crate) Arc<Mutex<Vec<Received>>>);

impl Log {
    pub(crate) fn all(&self) -> Vec<Received> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.all().iter().map(|request| request.line().to_owned()).collect()
    }

    pub(crate) fn last(&self) -> Received {
        self.all().pop().expect("something was asked")
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// The number of its connection.
    pub(crate) conn: usize,
    /// Where the connection was dialled to.
    pub(crate) place: String,
    pub(crate) head: String,
    pub(crate) content: Vec<u8>,
    /// The trailer's lines.
    pub(crate) trailer: String,
}

impl Received {
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The value of a field that is there once.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().skip(1).filter_map(|line| line.split_once(": "));
        fields.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.content).into_owned()
    }
}

/// The server's end of one connection.
pub(crate) struct Conn {
    pub(crate) stream: DuplexStream,
    read: Vec<u8>,
    pub(crate) number: usize,
    pub(crate) place: String,
}

impl Conn {
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("the client still takes bytes");
    }

    /// Reads one request to its end.
    pub(crate) async fn request(&mut self) -> Received {
        self.try_request().await.expect("a request comes")
    }

    /// Reads one request and answers it.
    pub(crate) async fn serve(&mut self, answer: &str) -> Received {
        let request = self.request().await;
        self.send(answer).await;
        request
    }

    /// The next request, `None` where the connection ends first.
    pub(crate) async fn try_request(&mut self) -> Option<Received> {
        let head = self.try_head().await?;
        let mut request = Received {
            conn: self.number,
            place: self.place.clone(),
            head,
            content: Vec::new(),
            trailer: String::new(),
        };
        if request.field("Transfer-Encoding").is_some() {
            loop {
                let size = self.line().await?;
                let size = usize::from_str_radix(&size, 16).expect("the size of a chunk");
                if size == 0 {
                    break;
                }
                let chunk = self.take(size).await?;
                request.content.extend_from_slice(&chunk);
                assert_eq!(self.take(2).await?, b"\r\n");
            }
            loop {
                let line = self.line().await?;
                if line.is_empty() {
                    break;
                }
                request.trailer.push_str(&line);
                request.trailer.push('\n');
            }
        } else if let Some(length) = request.field("Content-Length") {
            let length = length.parse().unwrap();
            request.content = self.take(length).await?;
        }
        Some(request)
    }

    /// Reads the head of a request, and nothing behind it.
    pub(crate) async fn head(&mut self) -> String {
        self.try_head().await.expect("a head comes")
    }

    async fn try_head(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.read.drain(..end + 4).collect();
                return Some(String::from_utf8_lossy(&head).into_owned());
            }
            if self.fill().await == 0 {
                return None;
            }
        }
    }

    async fn line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.read.windows(2).position(|two| two == b"\r\n") {
                let line: Vec<u8> = self.read.drain(..end + 2).take(end).collect();
                return Some(String::from_utf8_lossy(&line).into_owned());
            }
            if self.fill().await == 0 {
                return None;
            }
        }
    }

    /// Reads so many bytes.
    pub(crate) async fn take(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.read.len() < count {
            if self.fill().await == 0 {
                return None;
            }
        }
        Some(self.read.drain(..count).collect())
    }

    async fn fill(&mut self) -> usize {
        self.stream.read_buf(&mut self.read).await.unwrap_or_default()
    }

    /// What has come so far and was not read, once nothing happens any more.
    pub(crate) async fn here(&mut self) -> String {
        while timeout(millis(1), self.fill()).await.is_ok_and(|read| read > 0) {}
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }

    /// Whether the client has closed it, once nothing happens any more.
    pub(crate) async fn is_closed(&mut self) -> bool {
        loop {
            match timeout(millis(1), self.fill()).await {
                Ok(0) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    /// Reads to the end of the connection, which comes within a day.
    pub(crate) async fn end(&mut self) -> String {
        while timeout(secs(24 * 3600), self.fill()).await.expect("the connection ends") > 0 {}
        String::from_utf8_lossy(&std::mem::take(&mut self.read)).into_owned()
    }
}

/// A body that a test feeds while it is sent; dropping the sender ends it.
pub(crate) fn fed() -> (UnboundedSender<io::Result<Bytes>>, Body) {
    let (feed, food) = unbounded_channel();
    (feed, Body::from_stream(Fed(food)))
}

struct Fed(UnboundedReceiver<io::Result<Bytes>>);

impl futures_core::Stream for Fed {
    type Item = io::Result<Bytes>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<io::Result<Bytes>>> {
        self.0.poll_recv(cx)
    }
}

/// A body of unknown length that has these pieces.
pub(crate) fn pieces(pieces: &[&'static str]) -> Body {
    let (feed, body) = fed();
    for piece in pieces {
        feed.send(Ok(Bytes::from_static(piece.as_bytes()))).unwrap();
    }
    body
}

/// Status and content, or the kind of what went wrong.
pub(crate) async fn outcome(response: Result<Response>) -> Result<(u16, String), ErrorKind> {
    let mut response = response.map_err(|error| error.kind())?;
    let text = response.text().await.map_err(|error| error.kind())?;
    Ok((response.status.as_u16(), text))
}

/// Idle, in use, dialling, waiting: over all hosts.
pub(crate) fn counts(transport: &Transport) -> (usize, usize, usize, usize) {
    let add = |sum: (usize, usize, usize, usize), host: &HostStats| {
        (sum.0 + host.idle, sum.1 + host.in_use, sum.2 + host.dialing, sum.3 + host.waiting)
    };
    transport.pool_stats().iter().fold((0, 0, 0, 0), add)
}
