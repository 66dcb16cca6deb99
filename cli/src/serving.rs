//! Serving on the sockets of all addresses, on one runtime or on a thread for each worker, until a signal ends it.

use std::future::Future;
use std::io;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use nethttp::error::Phase;
use nethttp::net::{Listener, ProxyProtocolListener};
use nethttp::server::{ServerEvent, ShutdownReport};
use nethttp::tls::TlsServerConfig;
use nethttp::{ErrorKind, Server};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};

use crate::lines::put_line;
use crate::listen::{Bound, Listening};

/// How long requests that are under way may take once the end was asked for.
pub(crate) const GRACE_TIMEOUT: Duration = Duration::from_secs(10);

/// The runtime of the command: with workers, these have runtimes of their own.
pub(crate) fn runtime(workers: Option<usize>) -> io::Result<Runtime> {
    match workers {
        Some(_) => one_thread(),
        None => Builder::new_multi_thread().enable_all().build(),
    }
}

/// How many sockets each address needs.
pub(crate) fn socket_count(workers: Option<usize>) -> usize {
    match workers {
        Some(0) => thread::available_parallelism().map_or(1, usize::from),
        Some(count) => count,
        None => 1,
    }
}

fn one_thread() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// Says on standard error what is a fault of this side.
pub(crate) fn report_fault(event: &ServerEvent) {
    if event.is_own_fault() && !is_peer_s_leaving(event) {
        put_line(&format!("nethttp: {event}"));
    }
}

/// Whether all that happened is that a client closed before it had the whole response. The access log
/// has a line of that.
fn is_peer_s_leaving(event: &ServerEvent) -> bool {
    matches!(event, ServerEvent::HandlerFailed { error, .. } if error.phase() == Some(Phase::Write))
}

/// What is served on each socket.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) server: Server,
    pub(crate) tls: Option<TlsServerConfig>,
    /// Connections begin with a header of the PROXY protocol: those of these networks, or of all where there are
    /// none.
    pub(crate) proxy_protocol: Option<Vec<String>>,
}

impl Service {
    pub(crate) async fn serve_on(self, socket: Listening) -> nethttp::Result<()> {
        match socket {
            Listening::Tcp(listener) => self.serve_connections(tokio::net::TcpListener::from_std(listener)?).await,
            #[cfg(unix)]
            Listening::Unix(listener) => self.serve_connections(tokio::net::UnixListener::from_std(listener)?).await,
        }
    }

    async fn serve_connections(self, listener: impl Listener) -> nethttp::Result<()> {
        match &self.proxy_protocol {
            None => self.serve_in(listener).await,
            Some(all) if all.is_empty() => self.serve_in(ProxyProtocolListener::new(listener)).await,
            Some(trusted) => self.serve_in(ProxyProtocolListener::new(listener).trust(trusted)).await,
        }
    }

    async fn serve_in(&self, listener: impl Listener) -> nethttp::Result<()> {
        match &self.tls {
            Some(tls) => self.server.serve_tls(listener, tls).await,
            None => self.server.serve(listener).await,
        }
    }
}

/// The tasks or threads that serve, and the channels by which they end.
pub(crate) struct Serving {
    results: mpsc::UnboundedReceiver<nethttp::Result<()>>,
    over: watch::Sender<bool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Serving {
    /// Serves on this runtime, or with a thread for each worker.
    pub(crate) fn begin(service: &Service, workers: Option<usize>, bound: &mut [Bound]) -> anyhow::Result<Serving> {
        let (told, results) = mpsc::unbounded_channel();
        let (over, is_over) = watch::channel(false);
        let mut threads = Vec::new();
        let Some(count) = workers else {
            for socket in bound.iter_mut().flat_map(|bound| bound.sockets.drain(..)) {
                // Ends with the shutdown, or with the command.
                tokio::spawn(tell(service.clone().serve_on(socket), told.clone()));
            }
            return Ok(Serving { results, over, threads });
        };
        for _ in 0..count {
            let sockets: Vec<Listening> = bound.iter_mut().filter_map(|bound| bound.sockets.pop()).collect();
            let runtime = one_thread().context("cannot start a worker")?;
            let (service, told, mut is_over) = (service.clone(), told.clone(), is_over.clone());
            threads.push(thread::spawn(move || {
                runtime.block_on(async {
                    for socket in sockets {
                        tokio::spawn(tell(service.clone().serve_on(socket), told.clone()));
                    }
                    // Connections end with their runtime, so it lives until the shutdown is over. An error
                    // here means that the sender is gone: the command ends without a shutdown.
                    let _ = is_over.wait_for(|is_over| *is_over).await;
                });
            }));
        }
        Ok(Serving { results, over, threads })
    }

    /// Waits until one of the listeners ends by itself, which none should.
    pub(crate) async fn ended(&mut self) -> nethttp::Result<()> {
        self.results.recv().await.unwrap_or(Ok(()))
    }

    /// Lets the workers end, once all connections are.
    pub(crate) fn end(mut self) -> anyhow::Result<()> {
        self.over.send_replace(true);
        for thread in self.threads.drain(..) {
            // An error is a panic, which has been printed already.
            let _ = thread.join();
        }
        while let Ok(result) = self.results.try_recv() {
            match result {
                Err(error) if error.kind() != ErrorKind::ServerClosed => return Err(error.into()),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Reports the result of serving.
async fn tell(serving: impl Future<Output = nethttp::Result<()>>, told: mpsc::UnboundedSender<nethttp::Result<()>>) {
    // An error means that the receiver is gone: the command is ending.
    let _ = told.send(serving.await);
}

pub(crate) fn summary(report: &ShutdownReport) -> String {
    match report.cut {
        0 => "Stopped.".to_owned(),
        1 => "Stopped; 1 request was cut.".to_owned(),
        cut => format!("Stopped; {cut} requests were cut."),
    }
}
