//! `nethttp serve`: the files of a directory, until a signal ends it.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use clap::Args;
use clap::builder::{PathBufValueParser, TypedValueParser as _};
use nethttp::{ErrorKind, Server, ShutdownReport, file_server};
use tokio::net::TcpListener;

use crate::access_log;
use crate::signals::StopSignals;
use crate::tls::TlsArguments;

/// How long requests that are under way may take once the end was asked for.
const GRACE: Duration = Duration::from_secs(10);

/// Serve the files of a directory
///
/// A directory that has an index.html is shown as that page, any other as a listing. Names that
/// begin with a dot are not served, nor are links that lead out of the directory. Each request
/// is logged on standard error.
///
/// Ctrl-C (or SIGTERM) lets requests that are under way come to their end, for 10 seconds at
/// most; a second one ends at once.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The directory to serve
    #[arg(value_name = "DIR", default_value = ".", value_parser = PathBufValueParser::new().try_map(directory))]
    directory: PathBuf,

    /// Where to listen: an IP address or a name, and a port
    ///
    /// Only this machine can reach 127.0.0.1; with 0.0.0.0, everybody on the network who can
    /// reach it can read the directory. Port 0 stands for any free one.
    #[arg(short, long = "addr", value_name = "ADDR:PORT", default_value = "127.0.0.1:8000", value_parser = address)]
    address: String,

    #[command(flatten)]
    tls: TlsArguments,
}

/// Serves until a signal ends it.
pub(crate) async fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let address = &arguments.address;
    // Before the address is told: whoever reads it may send a signal at once.
    let mut signals = StopSignals::new().context("cannot listen for signals")?;
    let listener = TcpListener::bind(address).await.map_err(|error| cannot_listen(address, error))?;
    let (tls, scheme) = arguments.tls.load(address)?;
    announce(arguments, scheme, listener.local_addr()?)?;

    let mut server = Server::new(file_server(&arguments.directory));
    server.on_request = Some(Arc::new(access_log::log));
    let mut serving = pin!(async {
        match &tls {
            Some(tls) => server.serve_tls(listener, tls).await,
            None => server.serve(listener).await,
        }
    });
    tokio::select! {
        ended = &mut serving => return ended.context("cannot go on serving"),
        _ = signals.next() => {}
    }

    eprintln!("Stopping: requests under way have {} s. Press Ctrl-C again to stop at once.", GRACE.as_secs());
    let stopping = async { tokio::join!(server.shutdown(GRACE), serving) };
    let (report, ended) = tokio::select! {
        stopped = stopping => stopped,
        again = signals.next() => std::process::exit(again.exit_code()),
    };
    eprintln!("{}", summary(&report));
    match ended {
        Err(error) if error.kind() != ErrorKind::ServerClosed => Err(error.into()),
        _ => Ok(()),
    }
}

/// Not resolved any further than to where it begins: a link that is swapped while the command
/// runs is followed where it leads then.
fn directory(path: PathBuf) -> Result<PathBuf, String> {
    match path.metadata() {
        Ok(found) if found.is_dir() => std::path::absolute(path).map_err(|error| error.to_string()),
        Ok(_) => Err("it is not a directory".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err("there is no such directory".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn address(text: &str) -> Result<String, &'static str> {
    let is_bracketed = |host: &str| host.starts_with('[') && host.ends_with(']');
    match text.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_err() || host.is_empty() => Err(ADDRESS_FORMS),
        Some((host, _)) if host.contains(':') && !is_bracketed(host) => Err(ADDRESS_FORMS),
        Some(_) => Ok(text.to_owned()),
        None => Err(ADDRESS_FORMS),
    }
}

const ADDRESS_FORMS: &str = "write an address and a port, such as 127.0.0.1:8000, localhost:8000 or [::1]:8000";

/// One line that says what to change.
fn cannot_listen(address: &str, error: io::Error) -> anyhow::Error {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow!("{address} is taken: choose another port with -a {host}:PORT, or any free one with -a {host}:0")
        }
        io::ErrorKind::PermissionDenied => {
            anyhow!("{address} needs privileges: choose a port from 1024 upwards, such as -a {host}:8000")
        }
        io::ErrorKind::AddrNotAvailable => {
            anyhow!("{address} is no address of this machine: choose one with -a, such as -a 127.0.0.1:8000")
        }
        _ => anyhow::Error::from(error).context(format!("cannot listen on {address}")),
    }
}

fn announce(arguments: &Arguments, scheme: &str, mut local: SocketAddr) -> io::Result<()> {
    if local.ip().is_unspecified() {
        // No address that a browser could be sent to.
        local.set_ip(if local.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    let mut out = io::stdout().lock();
    writeln!(out, "Serving {} on {scheme}://{local}/", arguments.directory.display())?;
    writeln!(out, "Press Ctrl-C to stop.")
}

fn summary(report: &ShutdownReport) -> String {
    match report.cut {
        0 => "Stopped.".to_owned(),
        cut => format!("Stopped; {cut} requests were cut."),
    }
}
