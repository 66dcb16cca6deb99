//! What the command line of `nethttp proxy` can say.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::{HeaderVersion, Policy, RouteSpec, Servers, networks};
use crate::access_log::LogForm;
use crate::auth::User;
use crate::get::seconds;
use crate::listen::Address;
use crate::site::AddedField;

/// Pass requests on to other servers
///
/// Requests and answers pass as they come, without waiting for their ends, over HTTP/1.1 and HTTP/2
/// on both sides; upgrades (WebSocket) become tunnels. A server that fails is left out for a time. Each
/// request is logged on standard error, with its server and the times that it took.
///
/// SIGHUP reads the file of --config and the certificates again. Ctrl-C (or SIGTERM) lets requests
/// that are under way come to their end, for 10 seconds at most; a second one ends at once.
///
///     nethttp proxy --to http://127.0.0.1:3000
///     nethttp proxy --to http://10.0.0.1:8000 --to http://10.0.0.2:8000 --policy least-connections
///     nethttp proxy --route '/api/=http://10.0.0.3:8000 strip=/api' --to unix:/run/site.sock
#[derive(Clone, Debug, Args)]
#[command(verbatim_doc_comment, allow_negative_numbers = true)]
pub(crate) struct ProxyArguments {
    /// Where to listen: an IP address or a name, and a port, or unix:PATH; may be given several times
    #[arg(short, long = "addr", value_name = "ADDR:PORT", default_value = "127.0.0.1:8000", help_heading = "Serving")]
    pub(super) address: Vec<Address>,

    /// A server for all requests that no route takes: a URL, or unix:PATH; may be given several times
    ///
    /// `weight=N` behind a URL gives it so many times as many requests as one without. A name that has
    /// several addresses stands for as many servers, and is looked up again all the time.
    #[arg(long, value_name = "URL", help_heading = "Where requests go")]
    pub(super) to: Vec<Servers>,

    /// Servers for a part of the requests: 'HOST/PATH=URL[,URL…]'; may be given several times
    ///
    /// Before the equals sign stands a pattern of Go's ServeMux: a host or none, and a path, which stands
    /// for all below it where it ends in a slash; before both there may be a method. Behind the URLs,
    /// strip=/PREFIX takes that off the path, and rewrite=/PREFIX puts that in its place, or in that of
    /// the pattern's path.
    #[arg(long, value_name = "HOST/PATH=URLS", help_heading = "Where requests go")]
    pub(super) route: Vec<RouteSpec>,

    /// Send the client's Host on, instead of that of the server's URL
    #[arg(long, help_heading = "Where requests go")]
    pub(super) preserve_host: bool,

    /// Which of several servers: round-robin, least-connections, random-two, ip-hash, header:NAME or cookie:NAME
    ///
    /// The last three send the same client (by its address, a field or a cookie) to the same server.
    #[arg(long, value_name = "POLICY", default_value = "round-robin", help_heading = "Where requests go")]
    pub(super) policy: Policy,

    /// How many other servers a request is tried at when one has failed
    ///
    /// Only where nothing was sent, or where the method says that doing it twice does no harm: never a
    /// POST that may have run.
    #[arg(long, value_name = "N", default_value_t = 10, help_heading = "When servers fail")]
    pub(super) retries: usize,

    /// How many seconds a server that has failed is left out; 0 is never
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "10", help_heading = "When servers fail")]
    pub(super) fail_timeout: Duration,

    /// Ask each server for this path again and again; it gets requests while it answers 200 to 399
    #[arg(long, value_name = "PATH", help_heading = "When servers fail")]
    pub(super) health_path: Option<String>,

    /// How many seconds lie between two such questions
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "5", help_heading = "When servers fail")]
    pub(super) health_interval: Duration,

    /// The most requests at a time for each server; others wait, first come, first served. 0 is no limit
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "When servers fail")]
    pub(super) max_connections_per_upstream: usize,

    /// How many seconds it may take to connect; 0 is no limit
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "10", help_heading = "When servers fail")]
    pub(super) connect_timeout: Duration,

    /// How many seconds an answer may take to begin, once the request was sent; 0 is no limit
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "60", help_heading = "When servers fail")]
    pub(super) response_timeout: Duration,

    /// How many seconds a server, or a client, may send or take nothing in the middle; 0 is no limit
    #[arg(long, value_name = "S", value_parser = seconds, default_value = "60", help_heading = "When servers fail")]
    pub(super) stall_timeout: Duration,

    /// Speak HTTP/2 to the servers, without TLS too
    #[arg(long, help_heading = "Connections to servers")]
    pub(super) upstream_http2: bool,

    /// Trust these certificates (PEM) of servers, and no others
    #[arg(long, value_name = "FILE", help_heading = "Connections to servers")]
    pub(super) cacert: Option<PathBuf>,

    /// Trust every certificate of servers
    #[arg(long, help_heading = "Connections to servers")]
    pub(super) insecure_upstream: bool,

    /// Begin each connection to a server with a header of the PROXY protocol that says who the client is: v1, or v2
    ///
    /// Such a connection is for one request.
    #[arg(
        long, value_name = "VERSION", num_args = 0..=1, require_equals = true, default_missing_value = "v1",
        help_heading = "Connections to servers"
    )]
    pub(super) send_proxy_protocol: Option<HeaderVersion>,

    /// Believe proxies in this network (10.0.0.0/8, ::1) in what they say of the client; may be given several times
    #[arg(long, value_name = "CIDR", value_parser = networks, help_heading = "Clients")]
    pub(super) trust_forwarded: Vec<Networks>,

    /// Connections begin with a header of the PROXY protocol (v1 or v2) that says who the client is
    ///
    /// With --trust-forwarded, those of the networks there; else all.
    #[arg(long, help_heading = "Clients")]
    pub(super) proxy_protocol: bool,

    /// The most connections of clients at a time; others wait. 0 is no limit
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Clients")]
    pub(super) max_connections: usize,

    /// Send text and the like compressed to clients that accept that
    #[arg(long, help_heading = "Clients")]
    pub(super) compress: bool,

    /// Add this field to all answers; may be given several times
    #[arg(long = "header", value_name = "NAME: VALUE", help_heading = "Clients")]
    pub(super) header: Vec<AddedField>,

    /// Ask for a user and a password; may be given several times
    ///
    /// The hash is made by `nethttp hash`.
    #[arg(long = "auth", value_name = "USER:HASH", help_heading = "Clients")]
    pub(super) auth: Vec<User>,

    /// Serve over TLS with the certificate of this PEM file, its chain after it; may be given several times
    ///
    /// Each has its --tls-key. The client's name for the server (SNI) says which is used, the first is for
    /// all others. They are read again when a file changes, and with SIGHUP.
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(super) tls_cert: Vec<PathBuf>,

    /// The private key of the certificate, in PEM; one for each --tls-cert
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(super) tls_key: Vec<PathBuf>,

    /// Serve over TLS with a certificate made now, which nobody trusts
    #[arg(long, help_heading = "TLS")]
    pub(super) self_signed: bool,

    /// Send clients without TLS to https: those of this address, or those that speak HTTP where TLS is served
    ///
    /// Without --tls-cert and --self-signed, TLS is done by a proxy in front, and what that one says
    /// counts (--trust-forwarded).
    #[arg(
        long, value_name = "ADDR:PORT", num_args = 0..=1, require_equals = true, default_missing_value = "",
        help_heading = "TLS"
    )]
    pub(super) redirect_https: Option<String>,

    /// Serve with so many threads that share nothing, in place of a common pool; 0 is one for each core
    #[arg(long, value_name = "N", help_heading = "Serving")]
    pub(super) workers: Option<usize>,

    /// How each request is logged
    #[arg(long, value_name = "FORM", value_enum, default_value_t = LogForm::Short, help_heading = "Serving")]
    pub(super) access_log: LogForm,

    /// Show servers, their health, rates and times at this address: a page, and JSON under /status.json
    #[arg(long, value_name = "ADDR:PORT", help_heading = "Serving")]
    pub(super) status: Option<Address>,

    /// Take options from this file of TOML, by their names here: to = ["http://127.0.0.1:3000"]
    ///
    /// What stands on the command line counts before what stands there.
    #[arg(long, value_name = "FILE", help_heading = "Serving")]
    pub(super) config: Option<PathBuf>,

    /// Only check the options and the file of --config: say what is wrong, with its line
    #[arg(long, help_heading = "Serving")]
    pub(super) check: bool,
}

/// Several networks in one value.
pub(crate) type Networks = std::sync::Arc<[String]>;

/// What is wrong with options that are right one by one, and which of them says so.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Contradiction {
    pub(crate) option: &'static str,
    pub(crate) message: String,
}

impl ProxyArguments {
    /// What contradicts itself, or is missing.
    pub(super) fn contradiction(&self) -> Option<Contradiction> {
        let found = |option, message: &str| Some(Contradiction { option, message: message.to_owned() });
        if self.to.is_empty() && self.route.is_empty() {
            return found("to", "say where requests go, with --to http://127.0.0.1:3000 or with --route");
        }
        if self.tls_cert.len() != self.tls_key.len() {
            return found("tls-cert", "give a --tls-key for each --tls-cert");
        }
        if self.self_signed && !self.tls_cert.is_empty() {
            return found("self-signed", "leave out either --self-signed or --tls-cert");
        }
        if self.insecure_upstream && self.cacert.is_some() {
            return found("insecure-upstream", "leave out either --insecure-upstream or --cacert");
        }
        if self.redirect_https.as_deref().is_some_and(|address| !address.is_empty()) && !self.serves_tls() {
            return found("redirect-https", "there is no TLS to send clients to: give --tls-cert or --self-signed");
        }
        if self.health_path.as_ref().is_some_and(|path| !path.starts_with('/')) {
            return found("health-path", "write a path that begins with a slash, such as /healthz");
        }
        if let Some((option, message)) = self.unreadable_file() {
            return found(option, &message);
        }
        let mut patterns: Vec<&str> = self.route.iter().map(|route| &*route.pattern).collect();
        patterns.sort_unstable();
        let twice = patterns.windows(2).find(|two| two[0] == two[1]);
        twice.and_then(|two| found("route", &format!("{} is given twice", two[0])))
    }

    /// The first file that cannot be opened, by the option that names it.
    fn unreadable_file(&self) -> Option<(&'static str, String)> {
        let certificates = self.tls_cert.iter().map(|path| ("tls-cert", path));
        let keys = self.tls_key.iter().map(|path| ("tls-key", path));
        let roots = self.cacert.iter().map(|path| ("cacert", path));
        certificates.chain(keys).chain(roots).find_map(|(option, path)| {
            let error = File::open(path).err()?;
            Some((option, format!("--{option} {}: {error}", path.display())))
        })
    }

    pub(super) fn serves_tls(&self) -> bool {
        self.self_signed || !self.tls_cert.is_empty()
    }

    /// The networks of all options.
    pub(super) fn trusted(&self) -> Vec<String> {
        self.trust_forwarded.iter().flat_map(|networks| networks.iter().cloned()).collect()
    }

    /// Options that count as they were when the command was started, each with its value as text.
    pub(super) fn fixed(&self) -> [(&'static str, String); 9] {
        [
            ("addr", format!("{:?}", self.address)),
            ("workers", format!("{:?}", self.workers)),
            ("max-connections", format!("{:?}", self.max_connections)),
            ("proxy-protocol", format!("{:?}", self.proxy_protocol)),
            ("self-signed", format!("{:?}", self.self_signed)),
            ("tls-cert", format!("{:?}", self.tls_cert.is_empty())),
            ("redirect-https", format!("{:?}", self.redirect_https)),
            ("access-log", format!("{:?}", self.access_log)),
            ("status", format!("{:?}", self.status)),
        ]
    }
}
