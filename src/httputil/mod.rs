//! Messages as bytes (Go's `httputil`): dumps of requests and responses for people to read, and the form of
//! HTTP/1.1, written to any writer and read from any reader.
//!
//! ```
//! use nethttp::httputil::{dump_request, read_request};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> nethttp::Result<()> {
//! let recorded = b"POST /login HTTP/1.1\r\nHost: a.test\r\nCookie: id=31d4d96e\r\nContent-Length: 4\r\n\r\na=b\n";
//! let mut request = read_request(&mut &recorded[..], 1 << 20).await?.expect("there is one");
//!
//! let dump = dump_request(&mut request).await?;
//! assert!(dump.starts_with(b"POST /login HTTP/1.1\r\nHost: a.test\r\nCookie: [redacted]\r\n"));
//! assert_eq!(request.body.text().await?, "a=b\n", "it can be read afterwards");
//! # Ok(())
//! # }
//! ```
//!
//! The guide has a page on it: `docs/guide/messages.md`.

mod dump;
mod fields;
mod read;
mod write;

#[cfg(feature = "client")]
pub use dump::dump_request_out;
pub use dump::{Dump, dump_request, dump_response};
pub use fields::parse_http_version;
pub use read::{read_request, read_response};
pub use write::write_response;
#[cfg(feature = "client")]
pub use write::{write_proxy_request, write_request};
