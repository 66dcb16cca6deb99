//! Ways between two peers that a test can break, and TLS over them.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex};
use std::task::{Context, Poll, Waker};

use nethttp::tls::{Certificate, TlsServerConfig};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::certificates::{Authority, Issued};
use crate::foreign_tls::{acceptor, connector};
use crate::handed::Handed;

/// How a peer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It closes: what was on its way arrives, and then the end.
    Fin,
    /// It is gone at once, and so is what was on its way.
    Reset,
    /// It says and takes nothing any more.
    Silence,
}

pub(crate) const ENDINGS: [Ending; 3] = [Ending::Fin, Ending::Reset, Ending::Silence];

/// What a peer's bytes go over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The end that is not the test's.
pub(crate) struct Breakable {
    stream: DuplexStream,
    switch: Switch,
}

/// Resets the other end.
#[derive(Clone, Default)]
pub(crate) struct Switch(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_reset: bool,
    waiting: Vec<Waker>,
}

impl Switch {
    pub(crate) fn reset(&self) {
        let mut state = self.0.lock().unwrap();
        state.is_reset = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    fn check(&self, cx: &Context<'_>) -> io::Result<()> {
        let mut state = self.0.lock().unwrap();
        if state.is_reset {
            return Err(io::Error::from_raw_os_error(libc_reset()));
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        Ok(())
    }
}

/// The number of `ECONNRESET` on Linux, so that it is the system's error and not one of the test's.
fn libc_reset() -> i32 {
    104
}

/// A path that holds so many bytes each way: the test's end, the other, and what resets that.
pub(crate) fn path(room: usize) -> (DuplexStream, Breakable, Switch) {
    let (ours, stream) = tokio::io::duplex(room);
    let switch = Switch::default();
    (ours, Breakable { stream, switch: switch.clone() }, switch)
}

impl AsyncRead for Breakable {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.switch.check(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Breakable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.switch.check(cx)?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.switch.check(cx)?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.switch.check(cx)?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[derive(Clone)]
pub(crate) struct Dialer(UnboundedSender<Breakable>);

/// A listener, and what dials it.
pub(crate) fn listener() -> (Handed<Breakable>, Dialer) {
    let (sender, receiver) = unbounded_channel();
    (Handed(receiver), Dialer(sender))
}

impl Dialer {
    pub(crate) fn dial(&self) -> (DuplexStream, Switch) {
        let (ours, theirs, switch) = path(64 * 1024);
        assert!(self.0.send(theirs).is_ok(), "the server accepts");
        (ours, switch)
    }
}

// ------------------------------------------------------------ TLS

pub(crate) static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| Authority::new("ca"));
static ISSUED: LazyLock<Issued> = LazyLock::new(|| AUTHORITY.issue(&["a.test", "127.0.0.1"]));

pub(crate) fn server_tls() -> TlsServerConfig {
    TlsServerConfig::new([Certificate::from_pem(&ISSUED.certificate, &ISSUED.key).unwrap()]).unwrap()
}

/// The client's side of a session, by a TLS that is not ours, with this protocol.
pub(crate) async fn connect_tls<S: Stream>(stream: S, protocol: &[u8]) -> tokio_rustls::client::TlsStream<S> {
    let connector = connector(&AUTHORITY, &[protocol]);
    connector.connect(ServerName::try_from("a.test").unwrap(), stream).await.unwrap()
}

/// The server's side.
pub(crate) async fn accept_tls<S: Stream>(stream: S, protocol: &[u8]) -> tokio_rustls::server::TlsStream<S> {
    acceptor(&ISSUED, &[protocol]).accept(stream).await.unwrap()
}
