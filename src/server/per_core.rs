//! A server with one single-threaded runtime for each core.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::{self, ScopedJoinHandle};

use tokio::runtime::Handle;

use super::server::{Server, cannot_listen};
use crate::error::{Error, ErrorKind, Result};
use crate::net::{TlsAccept, bind_reuse_port, from_std};

impl Server {
    /// Listens on [`addr`](Self::addr) and serves with `count` threads that share nothing: each
    /// has a runtime and a listener of its own, and the system spreads new connections over them
    /// (`SO_REUSEPORT`). A connection stays on its thread: its memory stays in that core's caches, and
    /// no task moves to another thread. 0 is one thread for each core. The calling thread is one of
    /// them.
    ///
    /// Blocks until the server is shut down, which a clone can do from any thread. Not to be called
    /// from inside a runtime: it would block one of its threads for good.
    ///
    /// ```no_run
    /// # use nethttp::{Request, ResponseWriter, Server};
    /// # async fn hello(w: &mut ResponseWriter, _: &mut Request) -> nethttp::Result<()> { Ok(()) }
    /// fn main() -> nethttp::Result<()> {
    ///     let mut server = Server::new(hello);
    ///     server.addr = "127.0.0.1:8000".into();
    ///     server.serve_per_core(0)
    /// }
    /// ```
    ///
    /// # Errors
    /// Always ends in one, as [`listen_and_serve`](Self::listen_and_serve);
    /// [`ErrorKind::Unsupported`] for a Unix socket, and for more than one thread where the system cannot share
    /// a port.
    pub fn serve_per_core(&self, count: usize) -> Result<()> {
        self.serve_secured_per_core(count, None)
    }

    pub(super) fn serve_secured_per_core(&self, count: usize, secure: Option<&Arc<dyn TlsAccept>>) -> Result<()> {
        let count = match count {
            0 => thread::available_parallelism().map_or(1, usize::from),
            count => count,
        };
        if count > 1 && !cfg!(unix) {
            return Err(Error::new(ErrorKind::Unsupported, "this system does not share a port between listeners"));
        }
        if self.addr.starts_with("unix:") {
            return Err(Error::new(ErrorKind::Unsupported, "a Unix socket has one listener: use `listen_and_serve`"));
        }
        let mut listeners = self.bind_for_each(count).map_err(|error| cannot_listen(&self.addr, error))?;
        let serve = &|listener| self.serve_on_this_thread(listener, secure.cloned());
        thread::scope(|scope| {
            // One listener is served on the calling thread: a process with a single thread has cheaper
            // system calls than one with two. Not inside a runtime, though: tokio panics where one
            // runtime blocks within another.
            let here = if Handle::try_current().is_err() { listeners.pop() } else { None };
            let running = Vec::from_iter(listeners.into_iter().map(|listener| scope.spawn(move || serve(listener))));
            let ended_here = here.map(|listener| panic::catch_unwind(AssertUnwindSafe(|| serve(listener))));
            let ended = ended_here.into_iter().chain(running.into_iter().map(ScopedJoinHandle::join));
            let ended = ended
                .map(|ended| ended.unwrap_or_else(|_| Err(Error::new(ErrorKind::Other, "a serving thread panicked"))));
            let mut errors: Vec<Error> = ended.filter_map(Result::err).collect();
            // `ServerClosed` is how every thread ends after a shutdown: any other error is the cause.
            let cause = errors.iter().position(|error| error.kind() != ErrorKind::ServerClosed).unwrap_or(0);
            Err(errors.swap_remove(cause))
        })
    }

    /// The addresses that [`serve_per_core`](Self::serve_per_core) listens on: with port 0, the
    /// port that the system chose. Empty until it listens.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        self.state().addrs()
    }

    fn bind_for_each(&self, count: usize) -> io::Result<Vec<std::net::TcpListener>> {
        let addr = self.addr.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let first = bind_reuse_port(addr)?;
        // With port 0 the system has chosen one for the first: the others must listen on the same.
        let addr = first.local_addr()?;
        let mut listeners = vec![first];
        for _ in 1..count {
            listeners.push(bind_reuse_port(addr)?);
        }
        self.state().listens_on(addr);
        Ok(listeners)
    }

    fn serve_on_this_thread(&self, listener: std::net::TcpListener, secure: Option<Arc<dyn TlsAccept>>) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let ended = self.serve_secured(from_std(listener)?, secure).await;
            // The connections' tasks are dropped with this thread's runtime, so it has to live until
            // they are closed. The grace of the shutdown limits that.
            self.state().registry.wait_below(1).await;
            ended
        })
    }
}
