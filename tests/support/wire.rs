//! Raw bytes against a real server, in memory and in virtual time.
//!
//! Tests run with the clock paused: it moves only when nothing else can, so a wait of a
//! millisecond means "until the server has done all that it can do now", and no server timeout
//! (the shortest is half a second) passes unless a test asks for it.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(clippy::unwrap_used, reason = "what fails in a helper fails its test")]

use std::future::pending;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use nethttp::{Handler, Server};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use crate::handed::Handed;

/// The plainest request.
pub(crate) const GET: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";

/// Nothing happens any more once this much virtual time passes.
const QUIET: Duration = Duration::from_millis(1);

/// The server's end of a connection, with an eye on what the server does with it.
struct Tapped {
    stream: DuplexStream,
    taps: Arc<Taps>,
}

#[derive(Default)]
struct Taps {
    bytes_read: AtomicUsize,
    writes: AtomicUsize,
}

impl AsyncRead for Tapped {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.taps.bytes_read.fetch_add(buf.filled().len() - before, Ordering::Relaxed);
        read
    }
}

impl AsyncWrite for Tapped {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.taps.writes.fetch_add(usize::from(written.is_ready()), Ordering::Relaxed);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.taps.writes.fetch_add(usize::from(written.is_ready()), Ordering::Relaxed);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A server that runs, and what it has told.
pub(crate) struct Host {
    pub(crate) server: Server,
    connections: UnboundedSender<Tapped>,
    events: Arc<Mutex<Vec<String>>>,
    states: Arc<Mutex<Vec<String>>>,
}

impl Host {
    pub(crate) fn new(handler: impl Handler) -> Host {
        Host::with(handler, |_| {})
    }

    /// A server with other settings than the default ones.
    pub(crate) fn with(handler: impl Handler, change: impl FnOnce(&mut Server)) -> Host {
        let (connections, accepted) = unbounded_channel();
        let events = Arc::<Mutex<Vec<String>>>::default();
        let states = Arc::<Mutex<Vec<String>>>::default();
        let (told, stated) = (events.clone(), states.clone());
        let mut server = Server::new(handler);
        server.on_event = Some(Arc::new(move |event| told.lock().unwrap().push(event.to_string())));
        server.conn_state = Some(Arc::new(move |info, state| {
            let reason = info.reason.map(|reason| format!(" ({reason})")).unwrap_or_default();
            stated.lock().unwrap().push(format!("{state}{reason}"));
        }));
        change(&mut server);
        let serving = server.clone();
        tokio::spawn(async move { serving.serve(Handed(accepted)).await });
        Host { server, connections, events, states }
    }

    /// A connection whose buffers never fill in an ordinary test.
    pub(crate) fn connect(&self) -> Peer {
        self.connect_through(1 << 20)
    }

    /// A connection that holds so many bytes on their way, in each direction.
    pub(crate) fn connect_through(&self, buffer: usize) -> Peer {
        let (ours, theirs) = tokio::io::duplex(buffer);
        let taps = Arc::<Taps>::default();
        let theirs = Tapped { stream: theirs, taps: taps.clone() };
        assert!(self.connections.send(theirs).is_ok(), "the server accepts");
        Peer { stream: ours, taps }
    }

    /// What was reported, one line each.
    pub(crate) fn events(&self) -> Vec<String> {
        self.events.lock().unwrap().clone()
    }

    /// The states of its connections, with the reason behind `closed`.
    pub(crate) fn states(&self) -> Vec<String> {
        self.states.lock().unwrap().clone()
    }
}

/// The client's end of a connection.
pub(crate) struct Peer {
    pub(crate) stream: DuplexStream,
    taps: Arc<Taps>,
}

/// What a server said, with the date blanked, and whether it closed behind it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) text: String,
    pub(crate) closed: bool,
}

/// This was said, and the connection is kept.
pub(crate) fn kept(text: impl Into<String>) -> Heard {
    Heard { text: text.into(), closed: false }
}

/// This was said, and the connection is closed.
pub(crate) fn closed(text: impl Into<String>) -> Heard {
    Heard { text: text.into(), closed: true }
}

impl Peer {
    /// Sends these bytes, and gives the server time to look at them.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.expect("the server takes bytes");
        tokio::time::sleep(QUIET).await;
    }

    /// How many bytes the server has read from this connection.
    pub(crate) fn bytes_read(&self) -> usize {
        self.taps.bytes_read.load(Ordering::Relaxed)
    }

    /// How many writes the server has made on it.
    pub(crate) fn writes(&self) -> usize {
        self.taps.writes.load(Ordering::Relaxed)
    }

    /// Says that nothing more comes.
    pub(crate) async fn end(&mut self) {
        self.stream.shutdown().await.expect("the stream is open");
    }

    /// What the server says until it is quiet or closes.
    pub(crate) async fn hear(&mut self) -> Heard {
        self.talk("").await
    }

    /// Sends these bytes, as far as they are accepted, while it reads.
    pub(crate) async fn talk(&mut self, bytes: impl AsRef<[u8]>) -> Heard {
        let (bytes, closed) = self.talk_bytes(bytes).await;
        Heard { text: shown(&bytes), closed }
    }

    /// The same, as the bytes that came.
    pub(crate) async fn talk_bytes(&mut self, bytes: impl AsRef<[u8]>) -> (Vec<u8>, bool) {
        let (reader, mut writer) = tokio::io::split(&mut self.stream);
        let mut writing = pin!(async {
            // A server that has closed takes no more; what it said counts.
            let _ = writer.write_all(bytes.as_ref()).await;
            pending::<()>().await;
        });
        tokio::select! {
            biased;
            () = &mut writing => unreachable!("it never ends"),
            heard = until_quiet(reader) => heard,
        }
    }
}

async fn until_quiet(mut reader: impl AsyncRead + Unpin) -> (Vec<u8>, bool) {
    let mut heard = Vec::new();
    loop {
        match timeout(QUIET, reader.read_buf(&mut heard)).await {
            Ok(Ok(1..)) => {}
            Ok(Ok(0) | Err(_)) => return (heard, true),
            Err(_) => return (heard, false),
        }
    }
}

/// One exchange on a connection of its own.
pub(crate) async fn exchange(handler: impl Handler, request: impl AsRef<[u8]>) -> Heard {
    Host::new(handler).connect().talk(request).await
}

/// Bytes as text, with the server's dates blanked.
pub(crate) fn shown(bytes: &[u8]) -> String {
    const FIELD: &str = "\r\nDate: ";
    const DATE: usize = "Sun, 06 Nov 1994 08:49:37 GMT".len();
    let mut text = String::from_utf8_lossy(bytes).into_owned();
    let mut from = 0;
    while let Some(at) = text[from..].find(FIELD) {
        from += at + FIELD.len();
        if text.get(from..from + DATE).is_some_and(|date| nethttp::header::parse_time(date).is_some()) {
            text.replace_range(from..from + DATE, "-");
        }
    }
    text
}

/// One answer, taken apart by a reader that is not the server's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Status line and fields.
    pub(crate) head: String,
    pub(crate) content: Vec<u8>,
    /// The sizes of its chunks, when it came in chunks.
    pub(crate) chunks: Vec<usize>,
}

impl Answer {
    /// All answers (to requests other than HEAD) in these bytes. Panics where there is anything
    /// else, half an answer included.
    pub(crate) fn all(mut bytes: &[u8]) -> Vec<Answer> {
        let mut answers = Vec::new();
        while !bytes.is_empty() {
            let (answer, rest) = Answer::first(bytes);
            answers.push(answer);
            bytes = rest;
        }
        answers
    }

    fn first(bytes: &[u8]) -> (Answer, &[u8]) {
        let end = find(bytes, b"\r\n\r\n").unwrap_or_else(|| panic!("half a head: {:?}", shown(bytes)));
        let head = shown(&bytes[..end + 2]);
        let rest = &bytes[end + 4..];
        let status = head.strip_prefix("HTTP/1.1 ").or(head.strip_prefix("HTTP/1.0 ")).and_then(|text| text.get(..3));
        let status = status.and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("no status line: {head:?}"));
        if let Some(length) = field(&head, "Content-Length") {
            let length = length.parse().expect("a length");
            assert!(rest.len() >= length, "{} of {length} bytes of content", rest.len());
            let content = rest[..length].to_vec();
            return (Answer { status, head, content, chunks: Vec::new() }, &rest[length..]);
        }
        if field(&head, "Transfer-Encoding") == Some("chunked") {
            let (content, chunks, rest) = dechunk(rest);
            return (Answer { status, head, content, chunks }, rest);
        }
        (Answer { status, head, content: Vec::new(), chunks: Vec::new() }, rest)
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.content).expect("text")
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }
}

fn dechunk(mut bytes: &[u8]) -> (Vec<u8>, Vec<usize>, &[u8]) {
    let (mut content, mut chunks) = (Vec::new(), Vec::new());
    loop {
        let end = find(bytes, b"\r\n").expect("a size line");
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..end]).unwrap(), 16).expect("a size");
        bytes = &bytes[end + 2..];
        if size == 0 {
            let end = if bytes.starts_with(b"\r\n") { 2 } else { find(bytes, b"\r\n\r\n").expect("a trailer") + 4 };
            return (content, chunks, &bytes[end..]);
        }
        assert!(bytes.len() >= size + 2, "{} bytes of a chunk of {size}", bytes.len());
        content.extend_from_slice(&bytes[..size]);
        chunks.push(size);
        assert_eq!(&bytes[size..size + 2], b"\r\n");
        bytes = &bytes[size + 2..];
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).filter_map(|line| line.split_once(": ")).find(|field| field.0 == name).map(|field| field.1)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// A POST with this content and its length.
pub(crate) fn post(target: &str, content: &[u8]) -> Vec<u8> {
    let head = format!("POST {target} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", content.len());
    [head.as_bytes(), content].concat()
}

/// A POST with this content in chunks of these sizes, over and over.
pub(crate) fn post_chunked(target: &str, mut content: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut out = format!("POST {target} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").into_bytes();
    let mut sizes = sizes.iter().cycle();
    while !content.is_empty() {
        let size = sizes.next().map_or(content.len(), |size| content.len().min(*size));
        out.extend_from_slice(format!("{size:x}\r\n").as_bytes());
        out.extend_from_slice(&content[..size]);
        out.extend_from_slice(b"\r\n");
        content = &content[size..];
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}
