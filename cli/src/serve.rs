//! `nethttp serve`: the files of a directory, until a signal ends it.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser as _};
use nethttp::Server;

use crate::access_log;
use crate::lines::{self, put_line};
use crate::listen::{Address, Bound};
use crate::serving::{GRACE_TIMEOUT, Service, Serving, report_fault, runtime, socket_count, summary};
use crate::signals::Signals;
use crate::site::SiteArguments;
use crate::tls::TlsArguments;

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
    runtime(arguments.workers).context("cannot start")?.block_on(serve(arguments))
}

async fn serve(arguments: &ServeArguments) -> anyhow::Result<()> {
    // Before the addresses are printed: a reader of them may send a signal at once.
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let workers = socket_count(arguments.workers);
    let mut bound = Vec::new();
    for address in arguments.addresses() {
        bound.push(Bound::new(&address, workers).await?);
    }
    let server = arguments.server()?;
    let addresses = arguments.addresses().iter().map(Address::to_string).collect::<Vec<_>>();
    let tls = arguments.tls.load(&addresses)?;
    announce(arguments, if tls.is_some() { "https" } else { "http" }, &bound)?;
    let service = Service { server: server.clone(), tls, proxy_protocol: None };
    let mut serving = Serving::begin(&service, arguments.workers.map(|_| workers), &mut bound)?;
    tokio::select! {
        ended = serving.ended() => return ended.context("cannot go on serving"),
        _ = signals.next_stop() => {}
    }

    put_line(&format!(
        "Stopping: requests under way have {} s. Press Ctrl-C again to stop at once.",
        GRACE_TIMEOUT.as_secs()
    ));
    let report = tokio::select! {
        report = server.shutdown(GRACE_TIMEOUT) => report,
        again = signals.next_stop() => {
            // Their files are removed, which `exit` would not do.
            drop(bound);
            lines::finish();
            std::process::exit(again.exit_code());
        }
    };
    put_line(&summary(&report));
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
        server.on_event = Some(Arc::new(report_fault));
        Ok(server)
    }
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
