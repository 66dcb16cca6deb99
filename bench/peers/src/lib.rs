//! What all servers here share: where they listen and what they answer.

use std::env;

use memchr::memmem;

pub mod client;

/// The answer to `GET /`.
pub const HELLO: &str = "Hello, World!";

/// The content of `GET /big`: 1 MiB, made once for each process.
pub fn big() -> &'static [u8] {
    vec![b'x'; 1 << 20].leak()
}

/// The address to listen on, with the port that `PORT` says.
pub fn address() -> (&'static str, u16) {
    let port = env::var("PORT").ok().and_then(|text| text.parse().ok());
    ("127.0.0.1", port.unwrap_or(8000))
}

/// The length that a head announces: for the floors, which know how their peers spell it.
pub fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"\r\nContent-Length: ";
    let value = memmem::find(head, NAME).map_or(&[][..], |at| &head[at + NAME.len()..]);
    value.iter().take_while(|byte| byte.is_ascii_digit()).fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
}
