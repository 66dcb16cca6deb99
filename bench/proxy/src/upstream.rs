//! What stands behind every proxy: as little as answers `GET /`, `GET /big`, `POST /echo` and an upgrade, after which
//! it sends back what comes. It reads names of fields in any case, as proxies write them in any.

use std::env;
use std::io;

use memchr::memmem;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Holds the largest request of a workload, so that one read brings it whole.
const BUFFER_BYTES: usize = 32 << 10;
/// The answer to the key of RFC 6455 §1.3, which the load sends: HAProxy wants to see one.
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let port = env::var("PORT").ok().and_then(|text| text.parse().ok()).unwrap_or(8000);
    let hello: &[u8] = [&head("text/plain", 13), &b"Hello, World!"[..]].concat().leak();
    let big: &[u8] = [&head("application/octet-stream", 1 << 20), &vec![b'x'; 1 << 20][..]].concat().leak();
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // Ends with its connection; a peer that leaves is not reported.
        tokio::spawn(async move { serve(stream, hello, big).await.ok() });
    }
}

fn head(kind: &str, length: usize) -> Vec<u8> {
    let date = "Thu, 01 Jan 2026 00:00:00 GMT";
    format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nDate: {date}\r\n\r\n").into_bytes()
}

async fn serve(mut stream: TcpStream, hello: &[u8], big: &[u8]) -> io::Result<()> {
    let mut received = Vec::with_capacity(BUFFER_BYTES);
    while stream.read_buf(&mut received).await? > 0 {
        while let Some(end) = memmem::find(&received, b"\r\n\r\n") {
            let rest = received.split_off(end + 4);
            let head = std::mem::replace(&mut received, rest);
            if field(&head, b"upgrade").is_some() {
                stream.write_all(SWITCH).await?;
                return send_back(stream, received).await;
            }
            match &head[..] {
                [b'P', ..] => echo(&mut stream, &head, &mut received).await?,
                [b'G', _, _, _, b'/', b' ', ..] => stream.write_all(hello).await?,
                _ => stream.write_all(big).await?,
            }
        }
    }
    Ok(())
}

/// Sends content back as it comes.
async fn echo(stream: &mut TcpStream, request: &[u8], received: &mut Vec<u8>) -> io::Result<()> {
    let length = field(request, b"content-length").and_then(|text| text.trim().parse().ok());
    let mut left: usize = length.ok_or(io::ErrorKind::InvalidData)?;
    let mut answer = head("application/octet-stream", left);
    loop {
        let content = received.len().min(left);
        answer.extend(received.drain(..content));
        stream.write_all(&answer).await?;
        answer.clear();
        left -= content;
        if left == 0 {
            return Ok(());
        }
        if stream.read_buf(received).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn send_back(mut stream: TcpStream, mut received: Vec<u8>) -> io::Result<()> {
    // Ten thousand of these may be idle.
    received.shrink_to(1024);
    loop {
        stream.write_all(&received).await?;
        received.clear();
        if stream.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    }
}

/// The value of a field by its name in small letters.
fn field<'a>(head: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let value = head.split(|&byte| byte == b'\n').find_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        line[..colon].eq_ignore_ascii_case(name).then_some(&line[colon + 1..])
    })?;
    std::str::from_utf8(value).ok()
}
