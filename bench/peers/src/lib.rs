//! What all servers here share: where they listen and what they answer.

use std::env;

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
