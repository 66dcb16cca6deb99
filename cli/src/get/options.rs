//! What the command line of `nethttp get` can say.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use nethttp::Method;

/// Get URLs, or send something to them
///
/// What is answered goes to standard output, in the order of the URLs, or into files (-o, -O),
/// several at a time. The flags are those of curl where there are such.
///
/// A file appears under its name when it is whole, and not before. Until then it is NAME.part; if
/// the download breaks off, that stays, with the server's ETag or Last-Modified beside it in
/// NAME.part.json, and the next run for the same URL asks for the rest alone. If the file has
/// changed on the server meanwhile, it is fetched whole again.
///
/// On a terminal, bars on standard error show how far the files are.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Arguments {
    /// The URLs; http:// where nothing else is said
    #[arg(value_name = "URL", required = true)]
    pub(crate) urls: Vec<String>,

    /// Write into this file; given again, it is for the next URL. - is standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Vec<PathBuf>,

    /// Write into a file of this folder, named like the end of the URL's path (URLs without -o)
    #[arg(short = 'O', long)]
    pub(crate) remote_name: bool,

    /// Start again where a file was left half-way, instead of going on
    #[arg(long)]
    pub(crate) no_continue: bool,

    /// The method, where it is not GET, or POST with content
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    pub(crate) method: Option<Method>,

    /// Send this field: 'Name: value'. 'Name;' sends it empty, 'Name:' keeps a default one back
    #[arg(short = 'H', long = "header", value_name = "FIELD", value_parser = field)]
    pub(crate) fields: Vec<Field>,

    /// Send this as a form; @FILE is the content of a file, @- standard input, each as it is.
    /// Given again, it is added behind an &
    #[arg(short, long, value_name = "DATA", allow_hyphen_values = true, conflicts_with_all = ["json", "head"])]
    pub(crate) data: Vec<String>,

    /// Send this as JSON, and accept JSON; @FILE and @- as with -d
    #[arg(long, value_name = "DATA", allow_hyphen_values = true, conflicts_with = "head")]
    pub(crate) json: Vec<String>,

    /// Who to be: user:password, sent to the URL's own origin alone
    #[arg(short, long, value_name = "USER:PASSWORD", value_parser = credentials)]
    pub(crate) user: Option<Credentials>,

    /// The User-Agent; an empty one is not sent
    #[arg(short = 'A', long, value_name = "NAME")]
    pub(crate) user_agent: Option<String>,

    /// Ask for compressed content, and write it decompressed
    #[arg(long)]
    pub(crate) compressed: bool,

    /// Follow redirects
    #[arg(short = 'L', long)]
    pub(crate) location: bool,

    /// The most redirects that -L follows
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) max_redirs: usize,

    /// Go through this proxy: http, https, socks5 or socks5h. '' is none. Else the environment
    /// says: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY
    #[arg(short = 'x', long, value_name = "PROXY")]
    pub(crate) proxy: Option<String>,

    /// Connect to these addresses for a host and port, whatever DNS says
    #[arg(long, value_name = "HOST:PORT:ADDR[,ADDR]", value_parser = place)]
    pub(crate) resolve: Vec<Place>,

    /// Trust the certificates of this PEM file, and no others
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,

    /// Accept every certificate: whoever is in between can read and change everything
    #[arg(short = 'k', long)]
    pub(crate) insecure: bool,

    /// Speak HTTP/1.1 alone
    #[arg(long = "http1.1", conflicts_with = "http2_prior_knowledge")]
    pub(crate) http1: bool,

    /// Speak HTTP/2 without asking
    #[arg(long)]
    pub(crate) http2_prior_knowledge: bool,

    /// How long connecting may take, and a TLS handshake
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "30")]
    pub(crate) connect_timeout: Duration,

    /// How long one attempt may take, redirects and content included. 0 is for ever
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "0")]
    pub(crate) max_time: Duration,

    /// Try again as many times where that may help: when no connection came about or it broke, and
    /// on 408, 429, 500, 502, 503 and 504. What may have had an effect (POST) is not repeated
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) retry: u32,

    /// The pause before the first retry; each further one is twice as long, up to 10 minutes. What
    /// Retry-After says counts instead; with more than 10 minutes the command gives up
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "1")]
    pub(crate) retry_delay: Duration,

    /// How many files to get at a time
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1000))]
    pub(crate) parallel_max: usize,

    /// Fail on a status of 400 or above, and write nothing of what is answered
    #[arg(short, long)]
    pub(crate) fail: bool,

    /// Write status and fields before the content
    #[arg(short, long)]
    pub(crate) include: bool,

    /// Ask for status and fields alone, with HEAD
    #[arg(short = 'I', long, conflicts_with = "method")]
    pub(crate) head: bool,

    /// Show what is sent (>) and answered (<) on standard error, without passwords
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Show when each step was taken, for each redirect, on standard error
    #[arg(long)]
    pub(crate) trace: bool,

    /// Show no bars, and say nothing but errors
    #[arg(short, long)]
    pub(crate) silent: bool,
}

const EXIT_CODES: &str = "\
Exit codes, of the first URL that failed:
  0    all is well; a status of 400 or above is, without --fail
  1    a file, or standard output, cannot be read or written
  2    the arguments make no sense
  3    no connection: the name, the server, or the proxy
  4    a time limit passed
  5    the status is 400 or above (--fail, or where the rest of a file was asked for)
  6    no TLS session: a certificate that is not trusted, or no common version
  7    what is answered is broken: cut off, not HTTP, or not in the coding that it names
  8    a redirect that cannot be followed, or one too many
  141  whoever read standard output has gone";

/// A field to send, or a default one to keep back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Send { name: String, value: String },
    KeepBack { name: String },
}

fn field(text: &str) -> Result<Field, &'static str> {
    let form = "write 'Name: value'";
    let (name, value) = match text.split_once(':') {
        Some((name, value)) => (name, Some(value.trim()).filter(|value| !value.is_empty())),
        None => (text.strip_suffix(';').ok_or(form)?, Some("")),
    };
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(form);
    }
    let name = name.to_owned();
    match value {
        Some(value) if value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') => {
            Err("a field has no line ends and no control characters")
        }
        Some(value) => Ok(Field::Send { name, value: value.to_owned() }),
        None => Ok(Field::KeepBack { name }),
    }
}

/// User and password. `Debug` shows none.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials")
    }
}

fn credentials(text: &str) -> Result<Credentials, &'static str> {
    let (user, password) = text.split_once(':').ok_or("write USER:PASSWORD")?;
    Ok(Credentials { user: user.to_owned(), password: password.to_owned() })
}

/// Where a host and port are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) addresses: Vec<SocketAddr>,
}

fn place(text: &str) -> Result<Place, &'static str> {
    let form = "write HOST:PORT:ADDR, such as example.com:443:127.0.0.1";
    let (host, rest) = text.split_once(':').ok_or(form)?;
    let (port, addresses) = rest.split_once(':').ok_or(form)?;
    let port: u16 = port.parse().map_err(|_| form)?;
    let address = |text: &str| {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        bare.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, port)).map_err(|_| form)
    };
    let addresses = addresses.split(',').map(address).collect::<Result<_, _>>()?;
    if host.is_empty() { Err(form) } else { Ok(Place { host: host.to_owned(), port, addresses }) }
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let form = "write a number of seconds, such as 10 or 0.5";
    Duration::try_from_secs_f64(text.parse().map_err(|_| form)?).map_err(|_| form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_sent_sent_empty_or_kept_back() {
        let send = |name: &str, value: &str| Ok(Field::Send { name: name.into(), value: value.into() });
        assert_eq!(field("A: b: c "), send("A", "b: c"));
        assert_eq!(field("A;"), send("A", ""));
        assert_eq!(field("A: "), Ok(Field::KeepBack { name: "A".into() }));
        for wrong in ["A", "", ": x", "A b: c", "A: b\r\nC: d", "A: \u{1}"] {
            assert!(field(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_place_has_a_host_a_port_and_addresses() {
        let found = place("a.test:443:127.0.0.1,[::1],::2").unwrap();
        assert_eq!((found.host.as_str(), found.port), ("a.test", 443));
        let addresses: Vec<_> = found.addresses.iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["127.0.0.1:443", "[::1]:443", "[::2]:443"]);
        for wrong in ["a.test", "a.test:443", "a.test:443:", "a.test:x:127.0.0.1", ":443:127.0.0.1", "a:1:b"] {
            assert!(place(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_seconds_with_a_fraction_or_without() {
        assert_eq!((seconds("10"), seconds("0.25")), (Ok(Duration::from_secs(10)), Ok(Duration::from_millis(250))));
        for wrong in ["", "-1", "x", "NaN", "inf", "1e30"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_password_is_not_shown_by_accident() {
        let found = credentials("me:my:secret").unwrap();
        assert_eq!((found.user.as_str(), found.password.as_str()), ("me", "my:secret"));
        assert!(!format!("{found:?}").contains("secret") && credentials("me").is_err());
    }
}
