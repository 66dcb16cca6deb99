//! `nethttp serve`: the files of a directory, until a signal ends it.

use std::future::Future;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser as _};
use nethttp::error::Phase;
use nethttp::net::Listener;
use nethttp::server::{ServerEvent, ShutdownReport};
use nethttp::tls::TlsServerConfig;
use nethttp::{ErrorKind, Server};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{mpsc, watch};

use crate::access_log;
use crate::listen::{Address, Bound, Listening};
use crate::signals::StopSignals;
use crate::site::SiteArguments;
use crate::tls::TlsArguments;

/// How long requests that are under way may take once the end was asked for.
const GRACE_TIMEOUT: Duration = Duration::from_secs(10);

/// Serve the files of a directory
///
/// A directory that has an index.html is shown as that page, any other as a listing. Names that
/// begin with a dot are not served, nor are links that lead out of the directory. Each request
/// is logged on standard error.
///
/// Ctrl-C (or SIGTERM) lets requests that are under way come to their end, for 10 seconds at
/// most; a second one ends at once.
#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// The directory to serve
    #[arg(value_name = "DIR", default_value = ".", value_parser = PathBufValueParser::new().try_map(directory))]
    directory: PathBuf,

    /// Where to listen: an IP address or a name, and a port, or unix:PATH; may be given several times
    ///
    /// Only this machine can reach 127.0.0.1; with 0.0.0.0, everybody on the network who can
    /// reach it can read the directory. Port 0 stands for any free one.
    #[arg(short, long = "addr", value_name = "ADDR:PORT", default_value = "127.0.0.1:8000")]
    address: Vec<Address>,

    /// Listen on all networks, and print the URLs by which others reach it; on port 8000, or on this one
    #[arg(
        long, value_name = "PORT", num_args = 0..=1, require_equals = true, default_missing_value = "8000",
        conflicts_with = "address"
    )]
    public: Option<u16>,

    /// Serve with so many threads that share nothing, in place of a common pool; 0 is one for each core
    #[arg(long, value_name = "N")]
    workers: Option<usize>,

    /// The most connections at a time; others wait. 0 is no limit
    #[arg(long, value_name = "N", default_value_t = 0)]
    max_connections: usize,

    /// How each request is logged
    #[arg(long, value_name = "FORM", value_enum, default_value_t = access_log::LogForm::Short)]
    access_log: access_log::LogForm,

    #[command(flatten)]
    tls: TlsArguments,

    #[command(flatten)]
    site: SiteArguments,
}

/// Made absolute, and links in it are not resolved: one that is changed while the command runs is
/// followed to where it leads then.
fn directory(path: PathBuf) -> Result<PathBuf, String> {
    match path.metadata() {
        Ok(found) if found.is_dir() => std::path::absolute(path).map_err(|error| error.to_string()),
        Ok(_) => Err("it is not a directory".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err("there is no such directory".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Serves until a signal ends it.
pub(crate) fn run(arguments: &ServeArguments) -> anyhow::Result<()> {
    let runtime = match arguments.workers {
        Some(_) => one_thread(),
        None => Builder::new_multi_thread().enable_all().build(),
    };
    runtime.context("cannot start")?.block_on(serve(arguments))
}

fn one_thread() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

async fn serve(arguments: &ServeArguments) -> anyhow::Result<()> {
    // Before the addresses are printed: a reader of them may send a signal at once.
    let mut signals = StopSignals::new().context("cannot listen for signals")?;
    let workers = match arguments.workers {
        Some(0) => thread::available_parallelism().map_or(1, usize::from),
        Some(count) => count,
        None => 1,
    };
    let mut bound = Vec::new();
    for address in arguments.addresses() {
        bound.push(Bound::new(&address, workers).await?);
    }
    let server = arguments.server()?;
    let addresses = arguments.addresses().iter().map(Address::to_string).collect::<Vec<_>>();
    let tls = arguments.tls.load(&addresses)?;
    announce(arguments, if tls.is_some() { "https" } else { "http" }, &bound)?;
    let mut serving = Serving::begin(&server, tls.as_ref(), arguments.workers.map(|_| workers), &mut bound)?;
    tokio::select! {
        ended = serving.ended() => return ended.context("cannot go on serving"),
        _ = signals.next() => {}
    }

    eprintln!("Stopping: requests under way have {} s. Press Ctrl-C again to stop at once.", GRACE_TIMEOUT.as_secs());
    let report = tokio::select! {
        report = server.shutdown(GRACE_TIMEOUT) => report,
        again = signals.next() => {
            // Their files are removed, which `exit` would not do.
            drop(bound);
            std::process::exit(again.exit_code());
        }
    };
    eprintln!("{}", summary(&report));
    serving.end()
}

impl ServeArguments {
    fn addresses(&self) -> Vec<Address> {
        match self.public {
            Some(port) => vec![Address::Tcp(format!("0.0.0.0:{port}"))],
            None => self.address.clone(),
        }
    }

    fn server(&self) -> anyhow::Result<Server> {
        let mut server = Server::new(self.site.handler(&self.directory)?);
        server.max_connections = self.max_connections;
        if let Some(log) = self.access_log.log() {
            server.on_request = Some(Arc::new(move |record| log.log(record)));
        }
        server.on_event = Some(Arc::new(|event| {
            if event.is_own_fault() && !is_peer_s_leaving(event) {
                // If standard error is closed there is nowhere to report that, as for the access log.
                let _ = writeln!(io::stderr(), "nethttp: {event}");
            }
        }));
        Ok(server)
    }
}

/// Whether all that happened is that a client closed before it had the whole response. The access log
/// has a line of that.
fn is_peer_s_leaving(event: &ServerEvent) -> bool {
    matches!(event, ServerEvent::HandlerFailed { error, .. } if error.phase() == Some(Phase::Write))
}

/// One line for each URL.
fn announce(arguments: &ServeArguments, scheme: &str, bound: &[Bound]) -> io::Result<()> {
    let path = arguments.site.path();
    let mut urls = bound.iter().flat_map(|bound| bound.urls(scheme, &path));
    let mut out = io::stdout().lock();
    if let Some(first) = urls.next() {
        writeln!(out, "Serving {} on {first}", arguments.directory.display())?;
    }
    for url in urls {
        writeln!(out, "and on {url}")?;
    }
    writeln!(out, "Press Ctrl-C to stop.")
}

/// The tasks or threads that serve, and the channels by which they end.
struct Serving {
    results: mpsc::UnboundedReceiver<nethttp::Result<()>>,
    over: watch::Sender<bool>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Serving {
    /// Serves on this runtime, or with a thread for each worker.
    fn begin(
        server: &Server,
        tls: Option<&TlsServerConfig>,
        workers: Option<usize>,
        bound: &mut [Bound],
    ) -> anyhow::Result<Serving> {
        let (told, results) = mpsc::unbounded_channel();
        let (over, is_over) = watch::channel(false);
        let mut threads = Vec::new();
        let Some(count) = workers else {
            for socket in bound.iter_mut().flat_map(|bound| bound.sockets.drain(..)) {
                // Ends with the shutdown, or with the command.
                tokio::spawn(tell(serve_on(server.clone(), tls.cloned(), socket), told.clone()));
            }
            return Ok(Serving { results, over, threads });
        };
        for _ in 0..count {
            let sockets: Vec<Listening> = bound.iter_mut().filter_map(|bound| bound.sockets.pop()).collect();
            let runtime = one_thread().context("cannot start a worker")?;
            let (server, tls, told, mut is_over) = (server.clone(), tls.cloned(), told.clone(), is_over.clone());
            threads.push(thread::spawn(move || {
                runtime.block_on(async {
                    for socket in sockets {
                        tokio::spawn(tell(serve_on(server.clone(), tls.clone(), socket), told.clone()));
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
    async fn ended(&mut self) -> nethttp::Result<()> {
        self.results.recv().await.unwrap_or(Ok(()))
    }

    /// Lets the workers end, once all connections are.
    fn end(mut self) -> anyhow::Result<()> {
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

async fn serve_on(server: Server, tls: Option<TlsServerConfig>, socket: Listening) -> nethttp::Result<()> {
    match socket {
        Listening::Tcp(listener) => serve_in(server, tls, tokio::net::TcpListener::from_std(listener)?).await,
        #[cfg(unix)]
        Listening::Unix(listener) => serve_in(server, tls, tokio::net::UnixListener::from_std(listener)?).await,
    }
}

async fn serve_in(server: Server, tls: Option<TlsServerConfig>, listener: impl Listener) -> nethttp::Result<()> {
    match tls {
        Some(tls) => server.serve_tls(listener, &tls).await,
        None => server.serve(listener).await,
    }
}

fn summary(report: &ShutdownReport) -> String {
    match report.cut {
        0 => "Stopped.".to_owned(),
        1 => "Stopped; 1 request was cut.".to_owned(),
        cut => format!("Stopped; {cut} requests were cut."),
    }
}
