//! One exchange without a network: a request written into a connection in memory, its response read back.
//! Both ends run on one thread, so that what is counted is the work of both.

use nethttp::{Bytes, Request, ResponseWriter, Result, ServeMux, Server, testing};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::{Builder, Runtime};

use crate::messages::ECHO_BYTES;

/// A connection that is kept, and the message that is sent on it.
pub struct Exchange {
    runtime: Runtime,
    stream: DuplexStream,
    message: &'static str,
    answer: Vec<u8>,
}

impl Exchange {
    /// After a first exchange, which has grown all memory.
    pub fn warm(message: &'static str) -> Exchange {
        let (runtime, dialer) = serving();
        let mut stream = runtime.block_on(dialer.dial()).expect("the listener is there");
        let answer = vec![0; runtime.block_on(answer_bytes(&mut stream, message))];
        Exchange { runtime, stream, message, answer }
    }

    /// Sends the message and reads its answers.
    pub fn take(&mut self) {
        let Exchange { runtime, stream, message, answer } = self;
        runtime.block_on(async {
            stream.write_all(message.as_bytes()).await.expect("the connection is kept");
            stream.read_exact(answer).await.expect("all answers are alike");
        });
    }
}

/// A server in memory, on a runtime that runs only while the benchmark waits.
pub fn serving() -> (Runtime, testing::Dialer) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mux = ServeMux::new();
    mux.handle("GET /{$}", hello);
    mux.handle("POST /echo", echo);
    let (listener, dialer) = testing::listener();
    let server = Server::new(mux);
    // Ends with the runtime.
    runtime.spawn(async move { server.serve(listener).await });
    (runtime, dialer)
}

async fn hello(w: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    w.header().set("Content-Type", "text/plain");
    w.write_bytes(Bytes::from_static(b"Hello, World!")).await
}

async fn echo(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    w.header().set("Content-Type", "application/octet-stream");
    w.header().set("Content-Length", ECHO_BYTES.to_string());
    while let Some(chunk) = r.body.chunk().await? {
        w.write_bytes(chunk).await?;
    }
    Ok(())
}

/// The length of all responses to a message. It never changes, because a date always has the same length.
async fn answer_bytes(stream: &mut DuplexStream, message: &str) -> usize {
    stream.write_all(message.as_bytes()).await.expect("the connection is open");
    let mut received = Vec::new();
    let requests = message.matches(" HTTP/1.1\r\n").count();
    while !is_whole(&received, requests) {
        let read = stream.read_buf(&mut received).await.expect("the server answers");
        assert!(read > 0, "the server closed the connection");
    }
    received.len()
}

/// Whether these are that many responses, by their heads and the lengths of their contents.
fn is_whole(received: &[u8], answers: usize) -> bool {
    let mut rest = received;
    for _ in 0..answers {
        let Some(end) = rest.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return false };
        let head = String::from_utf8_lossy(&rest[..end]);
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).expect("a known length");
        let whole = end + 4 + length.parse::<usize>().expect("a number");
        let Some(after) = rest.get(whole..) else { return false };
        rest = after;
    }
    true
}
