//! The messages that are read, as they come over the wire.

use std::sync::LazyLock;

pub const PLAIN: &str = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
pub const CLOSING: &str = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
pub const ANSWER: &str = "HTTP/1.1 200 OK\r\n\
    Content-Type: text/plain\r\n\
    Content-Length: 13\r\n\
    Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n";
pub const PIPELINE_DEPTH: usize = 16;
pub const ECHO_BYTES: usize = 16 << 10;

/// The number of pipelined requests.
pub static PIPELINE: LazyLock<String> = LazyLock::new(|| PLAIN.repeat(PIPELINE_DEPTH));

/// Content that is sent back.
pub static ECHO: LazyLock<String> = LazyLock::new(|| {
    let head = format!("POST /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {ECHO_BYTES}\r\n\r\n");
    head + &"x".repeat(ECHO_BYTES)
});

/// 64 chunks of 1 KiB.
pub static CHUNKS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
    (chunk.repeat(64) + "0\r\n\r\n").into_bytes()
});

/// What a browser sends when it follows a link: 13 fields.
pub const BROWSER: &str = "GET / HTTP/1.1\r\n\
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
