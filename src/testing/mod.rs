//! Tests without a network: a listener that lives in memory.
//!
//! Together with tokio's paused clock a server can be tested to the millisecond: nothing here
//! opens a port, and no test has to sleep. An hour of idling passes at once.
//!
//! ```
//! use std::time::Duration;
//! use nethttp::{Request, ResponseWriter, Server, testing};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! use tokio::time::Instant;
//!
//! // In a test: `#[tokio::test(start_paused = true)]`.
//! #[tokio::main(flavor = "current_thread", start_paused = true)]
//! async fn main() -> std::io::Result<()> {
//!     let mut server = Server::new(async |w: &mut ResponseWriter, _: &mut Request| w.write("hello").await);
//!     server.idle_timeout = Duration::from_secs(60);
//!     let (listener, dialer) = testing::listener();
//!     tokio::spawn(async move { server.serve(listener).await });
//!
//!     let mut stream = dialer.dial().await?;
//!     let began = Instant::now();
//!     stream.write_all(b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n").await?;
//!     let mut received = String::new();
//!     stream.read_to_string(&mut received).await?; // until the server has waited long enough
//!
//!     assert!(received.starts_with("HTTP/1.1 200 OK\r\n"));
//!     assert!(received.ends_with("\r\n\r\nhello"));
//!     assert_eq!(began.elapsed(), Duration::from_secs(60));
//!     Ok(())
//! }
//! ```

mod memory;

pub use memory::{Dialer, MemoryListener, listener};
