//! The client that carries all requests, as the command line wants it.

use std::path::Path;
use std::sync::Arc;

use nethttp::{Certificate, Client, ClientProtocols, Proxy, TlsConfig, TlsRoots, Transport};

use super::dialer::dialer;
use super::failure::{Exit, Failure};
use super::observe::Observed;
use super::options::GetArguments;
use super::screen::Screen;

pub(crate) fn client(arguments: &GetArguments, screen: &Arc<Screen>) -> Result<Client, Failure> {
    let mut transport = Transport::new();
    transport.connect_timeout = arguments.connect_timeout;
    transport.tls_handshake_timeout = arguments.connect_timeout;
    transport.response_header_timeout = arguments.speed_time;
    transport.disable_compression = !arguments.compressed;
    transport.max_idle_conns_per_host = arguments.parallel_max;
    transport.protocols = match (arguments.http1, arguments.http2_prior_knowledge) {
        (true, _) => ClientProtocols::Http1,
        (_, true) => ClientProtocols::Http2,
        _ => ClientProtocols::Auto,
    };
    match (&arguments.proxy, &arguments.unix_socket) {
        (Some(proxy), _) if !proxy.is_empty() => transport.proxy = Proxy::url(proxy)?,
        (Some(_), _) | (_, Some(_)) => transport.proxy = Proxy::none(),
        _ => {}
    }
    if let Some(name) = &arguments.user_agent {
        transport.user_agent.clone_from(name);
    }
    if let Some(dialer) = dialer(arguments)? {
        transport.dial = dialer;
    }
    if arguments.insecure || arguments.cacert.is_some() || arguments.cert.is_some() {
        transport.set_tls(tls(arguments)?);
    }
    let observed = Observed { transport, screen: screen.clone(), verbose: arguments.verbose };
    let mut client = Client::with_transport(observed);
    client.max_redirects = if arguments.location { arguments.max_redirs } else { 0 };
    Ok(client)
}

fn tls(arguments: &GetArguments) -> Result<TlsConfig, Failure> {
    let mut config = TlsConfig::new().danger_accept_invalid_certs(arguments.insecure);
    let refused =
        |path: &Path, error: nethttp::Error| Failure::new(Exit::Local, format!("{}: {error}", path.display()));
    if let Some(path) = &arguments.cert {
        let key = arguments.key.as_ref().unwrap_or(path);
        // It says itself which of the two files it is about.
        let certificate = Certificate::from_pem_files(path, key)
            .map_err(|error| Failure::new(Exit::Local, format!("--cert: {error}")))?;
        config = config.client_certificate(certificate);
    }
    let Some(path) = &arguments.cacert else { return Ok(config) };
    let text = std::fs::read(path).map_err(|error| Failure::local(path.display(), &error))?;
    config.roots(TlsRoots::None).add_root_pem(text).map_err(|error| refused(path, error))
}
