//! `nethttp proxy`: other servers answer, until a signal ends it.

mod certificates;
mod config;
mod front;
mod log;
mod options;
mod status;
mod values;
mod watch;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use nethttp::tls::TlsServerConfig;
use nethttp::{BoxHandler, Handler as _, Request, ResponseWriter, Server};

use self::front::{Front, ProxySite, redirect_to_https};
pub(crate) use self::options::ProxyArguments;
use self::status::Status;
use crate::lines::{self, put_line};
use crate::listen::{Address, Bound};
use crate::serving::{GRACE_TIMEOUT, Service, Serving, report_fault, runtime, socket_count, summary};
use crate::signals::{Asked, Signals};

/// Serves until a signal ends it, or checks the options alone.
pub(crate) fn run(given: &ProxyArguments) -> anyhow::Result<()> {
    let written: Vec<OsString> = std::env::args_os().skip(2).collect();
    let arguments = config::complete(&written)?;
    runtime(arguments.workers).context("cannot start")?.block_on(async {
        if given.check {
            ProxySite::new(&arguments, None)?;
            certificates::load(&ProxyArguments { self_signed: false, ..arguments }, &[])?;
            writeln!(io::stdout(), "The options are right.")?;
            return Ok(());
        }
        serve(arguments, &written).await
    })
}

async fn serve(arguments: ProxyArguments, written: &[OsString]) -> anyhow::Result<()> {
    // Before the addresses are printed: a reader of them may send a signal at once.
    let mut signals = Signals::new().and_then(Signals::with_reload).context("cannot listen for signals")?;
    let front = Front::new(ProxySite::new(&arguments, None)?);
    start_groups(&front);
    let addresses = arguments.address.iter().map(Address::to_string).collect::<Vec<_>>();
    let tls = certificates::load(&arguments, &addresses)?;
    let mut bound = Vec::new();
    for address in &arguments.address {
        bound.push(Bound::new(address, socket_count(arguments.workers)).await?);
    }
    let server = server(&arguments, front.clone().boxed());
    let mut beside = Vec::new();
    if let Some(address) = &arguments.status {
        beside.push(serve_status(address, &front, &server).await?);
    }
    if let Some(address) = arguments.redirect_https.as_deref().filter(|address| !address.is_empty()) {
        beside.push(serve_redirects(address, &bound).await?);
    }
    announce(&arguments, if tls.is_some() { "https" } else { "http" }, &bound)?;
    let service = service(&arguments, &server, tls.clone());
    let workers = arguments.workers.map(|_| socket_count(arguments.workers));
    let mut serving = Serving::begin(&service, workers, &mut bound)?;
    // Ends with the command.
    tokio::spawn(watch::tell_changes(front.clone()));
    let mut running = Running { arguments, front, tls };
    loop {
        let asked = tokio::select! {
            ended = serving.ended() => return ended.context("cannot go on serving"),
            asked = signals.next() => asked,
            () = running.certificates_changed() => {
                running.reload_certificates();
                continue;
            }
        };
        match asked {
            Asked::Reload => running.reload(written),
            Asked::Stop(_) => break,
        }
    }

    put_line(&format!(
        "Stopping: requests under way have {} s. Press Ctrl-C again to stop at once.",
        GRACE_TIMEOUT.as_secs()
    ));
    let report = tokio::select! {
        report = server.shutdown(GRACE_TIMEOUT) => report,
        again = signals.next_stop() => {
            // Their files are removed, which `exit` would not do.
            drop((bound, beside));
            lines::finish();
            std::process::exit(again.exit_code());
        }
    };
    put_line(&summary(&report));
    serving.end()
}

/// Health checks and lookups run here, not on a worker.
fn start_groups(front: &Front) {
    front.current().routes().iter().for_each(|route| route.upstreams.start());
}

fn server(arguments: &ProxyArguments, handler: BoxHandler) -> Server {
    let mut server = Server::new(handler);
    server.max_connections = arguments.max_connections;
    server.stall_timeout = arguments.stall_timeout;
    server.allow_http_on_tls_port = arguments.serves_tls() && arguments.redirect_https.is_some();
    // A browser opens its WebSockets over the connection that it has.
    server.http2.enable_connect_protocol = true;
    // It is for the servers behind to answer.
    server.disable_general_options_handler = true;
    server.on_request = log::lines(arguments.access_log);
    server.on_event = Some(Arc::new(report_fault));
    server
}

fn service(arguments: &ProxyArguments, server: &Server, tls: Option<TlsServerConfig>) -> Service {
    let trusted = arguments.trusted();
    let proxy_protocol = arguments.proxy_protocol.then_some(trusted);
    Service { server: server.clone(), tls, proxy_protocol }
}

/// A server beside the proxy, with its sockets and the tasks that serve them: they end with the command.
struct Beside {
    bound: Bound,
    tasks: tokio::task::JoinSet<()>,
}

async fn serve_beside(address: &Address, handler: BoxHandler) -> anyhow::Result<Beside> {
    let mut bound = Bound::new(address, 1).await?;
    let mut tasks = tokio::task::JoinSet::new();
    let mut server = Server::new(handler);
    server.on_event = Some(Arc::new(report_fault));
    let service = Service { server, tls: None, proxy_protocol: None };
    for socket in bound.sockets.drain(..) {
        let serving = service.clone().serve_on(socket);
        tasks.spawn(async move {
            if let Err(error) = serving.await {
                put_line(&format!("nethttp: {error}"));
            }
        });
    }
    Ok(Beside { bound, tasks })
}

async fn serve_status(address: &Address, front: &Front, server: &Server) -> anyhow::Result<Beside> {
    let status = Status::new(front.clone(), server.clone());
    let mut beside = serve_beside(address, status.clone().boxed()).await?;
    beside.tasks.spawn(status.sample());
    for url in beside.bound.urls("http", "/") {
        writeln!(io::stdout(), "Status on {url}")?;
    }
    Ok(beside)
}

/// Leads clients of this address to the first address with TLS.
async fn serve_redirects(address: &str, bound: &[Bound]) -> anyhow::Result<Beside> {
    let address: Address = address.parse().map_err(|form| anyhow!("--redirect-https={address}: {form}"))?;
    let port = bound.iter().find_map(Bound::port);
    let handler = nethttp::handle_with(port, async |port: &Option<u16>, w: &mut ResponseWriter, r: &mut Request| {
        redirect_to_https(w, r, *port).await
    });
    let beside = serve_beside(&address, handler.boxed()).await?;
    for url in beside.bound.urls("http", "/") {
        writeln!(io::stdout(), "Redirecting to https on {url}")?;
    }
    Ok(beside)
}

/// A line for each URL.
fn announce(arguments: &ProxyArguments, scheme: &str, bound: &[Bound]) -> io::Result<()> {
    let servers = arguments.to.iter().flat_map(|servers| &servers.0).map(ToString::to_string);
    let routes = arguments.route.iter().map(|route| route.pattern.clone());
    let what: Vec<String> = servers.chain(routes).collect();
    let mut urls = bound.iter().flat_map(|bound| bound.urls(scheme, "/"));
    let mut out = io::stdout().lock();
    if let Some(first) = urls.next() {
        writeln!(out, "Proxying {} on {first}", what.join(", "))?;
    }
    for url in urls {
        writeln!(out, "and on {url}")?;
    }
    writeln!(out, "Press Ctrl-C to stop.")
}

/// What can be changed while the command runs.
struct Running {
    arguments: ProxyArguments,
    front: Front,
    tls: Option<TlsServerConfig>,
}

impl Running {
    /// Waits until a file of a certificate has changed; for ever where there is none.
    async fn certificates_changed(&self) {
        if self.arguments.tls_cert.is_empty() {
            std::future::pending::<()>().await;
        }
        certificates::changed(&self.arguments).await;
    }

    fn reload_certificates(&self) {
        let Some(tls) = &self.tls else { return };
        match certificates::reload(&self.arguments, tls) {
            Ok(()) => put_line("nethttp: the certificates were read again"),
            Err(error) => put_line(&format!("nethttp: the old certificates stay: {error:#}")),
        }
    }

    /// Reads the file of options again, and the certificates. With a mistake, all stays as it is.
    fn reload(&mut self, written: &[OsString]) {
        match self.reloaded(written) {
            Ok(()) => put_line("nethttp: the options were read again"),
            Err(error) => put_line(&format!("nethttp: the old options stay: {error:#}")),
        }
    }

    fn reloaded(&mut self, written: &[OsString]) -> anyhow::Result<()> {
        let arguments = config::complete(written)?;
        for (option, stays) in self.arguments.fixed().into_iter().zip(arguments.fixed()) {
            if option != stays {
                put_line(&format!("nethttp: {} stays as it is until the command is started again", option.0));
            }
        }
        if let Some(tls) = &self.tls {
            certificates::reload(&arguments, tls)?;
        }
        let site = ProxySite::new(&arguments, Some(&self.front.current()))?;
        self.front.exchange(site);
        start_groups(&self.front);
        self.arguments = arguments;
        Ok(())
    }
}
