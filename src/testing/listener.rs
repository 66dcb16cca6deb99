//! A listener that lives in memory.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;

use crate::message::Addr;
use crate::net::Listener;

/// How many bytes wait in each direction of a connection unless a dialer says otherwise.
const BUFFER_BYTES: usize = 64 * 1024;

/// A listener that lives in memory, and the dialer that reaches it.
///
/// Dropping the listener closes it: dialing then fails, and connections that were dialed and not
/// accepted end. Dropping the dialers changes nothing: the listener keeps waiting.
pub fn listener() -> (MemoryListener, Dialer) {
    let (sender, arrivals) = mpsc::unbounded_channel();
    let listener = MemoryListener { arrivals, name: "memory".into() };
    (listener, Dialer { sender, dialed: Arc::default(), buffer_bytes: BUFFER_BYTES })
}

/// What the next `accept` yields: a connection and its peer's number, or a failure.
type Dialed = io::Result<(DuplexStream, u64)>;

/// Accepts what its [`Dialer`]s dial. Made by [`listener`].
#[derive(Debug)]
pub struct MemoryListener {
    arrivals: mpsc::UnboundedReceiver<Dialed>,
    name: Arc<str>,
}

impl MemoryListener {
    /// Changes the name that is its local address, `memory` by default, so that several listeners
    /// can be told apart.
    #[must_use]
    pub fn with_name(mut self, name: &str) -> MemoryListener {
        self.name = name.into();
        self
    }
}

impl Listener for MemoryListener {
    type Stream = DuplexStream;

    /// Peers are called `NAME client 1`, `NAME client 2` and so on, in the order of their dialing.
    async fn accept(&mut self) -> io::Result<(DuplexStream, Addr)> {
        match self.arrivals.recv().await {
            Some(arrival) => {
                arrival.map(|(stream, number)| (stream, Addr::Named(format!("{} client {number}", self.name).into())))
            }
            // All dialers are gone. That is no failure of the listener: it keeps waiting.
            None => pending().await,
        }
    }

    fn local_addr(&self) -> Addr {
        Addr::Named(self.name.clone())
    }
}

/// Dials a [`MemoryListener`]. Clones dial the same one. Made by [`listener`].
#[derive(Debug, Clone)]
pub struct Dialer {
    sender: mpsc::UnboundedSender<Dialed>,
    dialed: Arc<AtomicU64>,
    buffer_bytes: usize,
}

impl Dialer {
    /// A dialer of the same listener whose connections hold this many bytes in each direction, instead
    /// of 64 KiB. With few, a peer that does not read stops the server's writes early.
    ///
    /// # Panics
    /// With 0: nothing would ever arrive.
    #[must_use]
    pub fn with_buffer_bytes(&self, bytes: usize) -> Dialer {
        assert!(bytes > 0, "a connection without a buffer passes nothing on");
        Dialer { buffer_bytes: bytes, ..self.clone() }
    }

    /// Opens a connection. As with TCP it is open before the server has accepted it. Dropping the
    /// stream closes both directions; its `shutdown` closes one.
    ///
    /// # Errors
    /// [`ConnectionRefused`](io::ErrorKind::ConnectionRefused) when the listener is gone.
    pub async fn dial(&self) -> io::Result<DuplexStream> {
        let (ours, theirs) = duplex(self.buffer_bytes);
        let number = self.dialed.fetch_add(1, Ordering::Relaxed) + 1;
        self.sender.send(Ok((theirs, number))).map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(ours)
    }

    /// Lets one `accept` fail with this error, after the connections that were dialed before. It
    /// is lost when the listener is gone.
    ///
    /// ```
    /// # use std::io;
    /// # use nethttp::net::Listener;
    /// # use nethttp::testing;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let (mut listener, dialer) = testing::listener();
    /// dialer.fail_next_accept(io::ErrorKind::ConnectionAborted.into());
    /// assert_eq!(listener.accept().await.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    /// # }
    /// ```
    pub fn fail_next_accept(&self, error: io::Error) {
        // Without a listener there is no accept that could fail.
        let _ = self.sender.send(Err(error));
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn what_one_end_writes_the_other_reads() {
        let (mut listener, dialer) = listener();
        let mut ours = dialer.dial().await.unwrap();
        let (mut theirs, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, Addr::Named("memory client 1".into()));
        ours.write_all(b"ping").await.unwrap();
        theirs.write_all(b"pong").await.unwrap();
        drop((dialer, ours));
        let mut read = String::new();
        theirs.read_to_string(&mut read).await.unwrap();
        assert_eq!(read, "ping");
    }

    #[tokio::test]
    async fn a_listener_that_is_gone_refuses_and_drops_what_waited() {
        let (listener, dialer) = listener();
        let mut waiting = dialer.clone().dial().await.unwrap();
        drop(listener);
        assert_eq!(waiting.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(dialer.dial().await.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        dialer.fail_next_accept(io::ErrorKind::Other.into());
    }

    #[tokio::test]
    async fn a_buffer_bounds_what_is_written_ahead() {
        let (_listener, dialer) = listener();
        let mut stream = dialer.with_buffer_bytes(3).dial().await.unwrap();
        assert_eq!(stream.write(b"12345").await.unwrap(), 3);
    }

    #[tokio::test]
    async fn a_listener_tells_its_name() {
        let (listener, dialer) = listener();
        let mut listener = listener.with_name("internal");
        assert_eq!(listener.local_addr(), Addr::Named("internal".into()));
        let _stream = dialer.dial().await.unwrap();
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.to_string(), "internal client 1");
    }
}
