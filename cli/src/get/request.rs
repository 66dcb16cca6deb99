//! The client and the requests, as the command line wants them.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use nethttp::{
    Bytes, Client, ClientProtocols, FixedResolver, Method, Proxy, Request, SystemResolver, TcpDialer, TlsConfig,
    TlsRoots, Transport, Uri,
};

use super::exit::{Exit, Failure};
use super::observe::Observed;
use super::options::{Arguments, Field};
use super::screen::Screen;

/// What each request has, whatever its URL.
pub(crate) struct Form {
    pub(crate) method: Method,
    content: Option<Bytes>,
    content_type: Option<&'static str>,
    accept: Option<&'static str>,
    arguments: Arc<Arguments>,
}

impl Form {
    /// Reads what is sent, from files and standard input too.
    pub(crate) fn new(arguments: Arc<Arguments>) -> Result<Form, Failure> {
        let is_json = !arguments.json.is_empty();
        let content = match (is_json, arguments.data.is_empty()) {
            (true, _) => Some(content(&arguments.json, b"")?),
            (_, false) => Some(content(&arguments.data, b"&")?),
            _ => None,
        };
        let method = match (&arguments.method, arguments.head, &content) {
            (Some(method), ..) => method.clone(),
            (_, true, _) => Method::HEAD,
            (.., Some(_)) => Method::POST,
            _ => Method::GET,
        };
        let form = content.as_ref().map(|_| "application/x-www-form-urlencoded");
        let json = is_json.then_some("application/json");
        Ok(Form { method, content, content_type: json.or(form), accept: json.or(Some("*/*")), arguments })
    }

    pub(crate) fn request(&self, url: &Uri) -> nethttp::Result<Request> {
        let content = self.content.clone().unwrap_or_default();
        let mut request = Request::to(self.method.clone(), url.clone(), content)?;
        let defaults = [("Accept", self.accept), ("Content-Type", self.content_type)];
        for (name, value) in defaults.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            request.header.set(name, value);
        }
        if let Some(credentials) = &self.arguments.user {
            request.set_basic_auth(&credentials.user, &credentials.password);
        }
        set_fields(&mut request, &self.arguments.fields);
        request.timeouts.total = Some(self.arguments.max_time);
        Ok(request)
    }

    /// Whether the rest of a file can be asked for: it is a plain GET, and what is written is the
    /// content as the server has it.
    pub(crate) fn can_be_continued(&self) -> bool {
        let Arguments { include, compressed, no_continue, fields, .. } = &*self.arguments;
        let names_a_range =
            fields.iter().any(|field| matches!(field, Field::Send { name, .. } if is_about_ranges(name)));
        self.method == Method::GET
            && self.content.is_none()
            && !(*include || *compressed || *no_continue || names_a_range)
    }
}

fn is_about_ranges(name: &str) -> bool {
    ["Range", "If-Range", "Accept-Encoding"].iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// Those of the command line replace the default ones, and each is sent.
fn set_fields(request: &mut Request, fields: &[Field]) {
    for field in fields {
        let (Field::Send { name, .. } | Field::KeepBack { name }) = field;
        request.header.del(name);
    }
    for field in fields {
        match field {
            Field::Send { name, value } if name.eq_ignore_ascii_case("Host") => request.host.clone_from(value),
            Field::Send { name, value } => request.header.add(name, value),
            // One that is set empty is not sent at all.
            Field::KeepBack { name } if name.eq_ignore_ascii_case("User-Agent") => request.header.set(name, ""),
            Field::KeepBack { .. } => {}
        }
    }
}

fn content(parts: &[String], between: &[u8]) -> Result<Bytes, Failure> {
    let mut content = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            content.extend_from_slice(between);
        }
        match part.strip_prefix('@') {
            Some("-") => {
                let read = std::io::stdin().lock().read_to_end(&mut content);
                read.map_err(|error| Failure::local("standard input", &error))?;
            }
            Some(path) => content.extend(std::fs::read(path).map_err(|error| Failure::local(path, &error))?),
            None => content.extend_from_slice(part.as_bytes()),
        }
    }
    Ok(content.into())
}

/// The client for all requests.
pub(crate) fn client(arguments: &Arguments, screen: &Arc<Screen>) -> Result<Client, Failure> {
    let mut transport = Transport::new();
    transport.connect_timeout = arguments.connect_timeout;
    transport.tls_handshake_timeout = arguments.connect_timeout;
    // As long as it takes, unless --max-time says otherwise.
    transport.response_header_timeout = Duration::ZERO;
    transport.disable_compression = !arguments.compressed;
    transport.max_idle_conns_per_host = arguments.parallel_max;
    transport.protocols = match (arguments.http1, arguments.http2_prior_knowledge) {
        (true, _) => ClientProtocols::Http1,
        (_, true) => ClientProtocols::Http2,
        _ => ClientProtocols::Auto,
    };
    if let Some(proxy) = &arguments.proxy {
        transport.proxy = if proxy.is_empty() { Proxy::none() } else { Proxy::url(proxy)? };
    }
    if let Some(name) = &arguments.user_agent {
        transport.user_agent.clone_from(name);
    }
    if !arguments.resolve.is_empty() {
        transport.dial = Arc::new(TcpDialer::new().with_resolver(resolver(arguments)));
    }
    if arguments.insecure || arguments.cacert.is_some() {
        transport.set_tls(tls(arguments)?);
    }
    let observed = Observed { transport, screen: screen.clone(), verbose: arguments.verbose };
    let mut client = Client::with_transport(observed);
    client.max_redirects = if arguments.location { arguments.max_redirs } else { 0 };
    Ok(client)
}

fn resolver(arguments: &Arguments) -> FixedResolver {
    let start = FixedResolver::new(SystemResolver::new());
    arguments
        .resolve
        .iter()
        .fold(start, |resolver, place| resolver.with_addrs(&place.host, place.port, place.addresses.iter().copied()))
}

fn tls(arguments: &Arguments) -> Result<TlsConfig, Failure> {
    let config = TlsConfig::new().danger_accept_invalid_certs(arguments.insecure);
    let Some(path) = &arguments.cacert else { return Ok(config) };
    let text = std::fs::read(path).map_err(|error| Failure::local(path.display(), &error))?;
    let refused = |error| Failure::new(Exit::Local, format!("{}: {error}", path.display()));
    config.roots(TlsRoots::None).add_root_pem(text).map_err(refused)
}
