//! What one turn costs without a network: a request written into a connection in memory, its
//! answer read back. Both ends run on one thread, so that the time is the work of both.

use criterion::{BatchSize, Criterion, Throughput};
use nethttp::{Bytes, Request, ResponseWriter, Result, ServeMux, Server, testing};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::{Builder, Runtime};

const PLAIN: &str = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
const ECHO_BYTES: usize = 16 << 10;
const PIPELINE_DEPTH: usize = 16;

/// What a browser sends when it follows a link: 13 fields.
const BROWSER: &str = "GET / HTTP/1.1\r\n\
    Host: 127.0.0.1\r\n\
    Connection: keep-alive\r\n\
    sec-ch-ua: \"Chromium\";v=\"142\", \"Google Chrome\";v=\"142\", \"Not_A Brand\";v=\"99\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    sec-ch-ua-platform: \"Linux\"\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Dest: document\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\r\n";

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let echo = format!("POST /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {ECHO_BYTES}\r\n\r\n");
    let echo = echo + &"x".repeat(ECHO_BYTES);
    turn(&mut criterion, "plain", PLAIN, 1);
    turn(&mut criterion, "browser", BROWSER, 1);
    turn(&mut criterion, "echo16k", &echo, 1);
    turn(&mut criterion, "pipeline", &PLAIN.repeat(PIPELINE_DEPTH), PIPELINE_DEPTH);
    connection(&mut criterion);
    criterion.final_summary();
}

/// One message of so many requests on a connection that is kept.
fn turn(c: &mut Criterion, name: &str, message: &str, requests: usize) {
    let (runtime, dialer) = serving();
    let mut stream = runtime.block_on(dialer.dial()).expect("the listener is there");
    let mut answer = vec![0; runtime.block_on(answer_bytes(&mut stream, message))];
    let mut group = c.benchmark_group("turn");
    group.throughput(Throughput::Elements(requests as u64));
    group.bench_function(name, |b| {
        b.iter(|| {
            runtime.block_on(async {
                stream.write_all(message.as_bytes()).await.expect("the connection is kept");
                stream.read_exact(&mut answer).await.expect("all answers are alike");
            });
        });
    });
    group.finish();
}

/// A connection for one request, from dialing to its end.
fn connection(c: &mut Criterion) {
    let (runtime, dialer) = serving();
    let message = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    c.bench_function("turn/churn", |b| {
        b.iter_batched_ref(
            Vec::new,
            |answer| {
                runtime.block_on(async {
                    let mut stream = dialer.dial().await.expect("the listener is there");
                    stream.write_all(message.as_bytes()).await.expect("the buffer holds it");
                    stream.read_to_end(answer).await.expect("the server closes in order");
                });
            },
            BatchSize::SmallInput,
        );
    });
}

/// A server in memory, on a runtime that runs while something is waited for.
fn serving() -> (Runtime, testing::Dialer) {
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

/// How long the answers to a message are. Every answer has the same length: so has its date.
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

/// Whether these are so many answers, told by their heads and the length of their contents.
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
