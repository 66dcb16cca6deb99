//! What the command line of `nethttp get` can say.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use nethttp::Method;

use super::range::RangeSpec;
use super::values::{
    ContinueAt, Credentials, Field, FormPart, HostOverride, byte_count, continue_at, credentials, field, form_part,
    host_override, seconds,
};

/// Get URLs, or send something to them
///
/// What is answered goes to standard output, in the order of the URLs, or into files (-o, -O),
/// several at a time. The flags are those of curl where there are such.
///
/// A file appears under its name when it is whole, and not before. Until then it is NAME.part; if
/// the download breaks off, that stays, with the server's ETag or Last-Modified beside it in
/// NAME.part.json, and the next run for the same URL asks for the rest alone. If anything has
/// changed on the server meanwhile, the file is fetched whole again.
///
/// On a terminal, bars on standard error show how far the files are.
#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct GetArguments {
    /// The URLs; http:// where nothing else is said
    #[arg(value_name = "URL", required = true)]
    pub(crate) urls: Vec<String>,

    /// Write into this file; given again, it is for the next URL. - is standard output
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Vec<PathBuf>,

    /// Write into a file of this folder, named like the end of the URL's path (URLs without -o)
    #[arg(short = 'O', long, help_heading = "Output")]
    pub(crate) remote_name: bool,

    /// With -O: name the file as the server proposes (Content-Disposition), without folders and without
    /// dots or dashes at the start. A file that is there is not replaced
    #[arg(short = 'J', long, requires = "remote_name", help_heading = "Output")]
    pub(crate) remote_header_name: bool,

    /// With -: leave a file that is there as it is if it is as long as the server's. What is left of a
    /// download of this command is gone on with in any case
    #[arg(
        short = 'C', long, value_name = "-", value_parser = continue_at, allow_hyphen_values = true,
        help_heading = "Output"
    )]
    pub(crate) continue_at: Option<ContinueAt>,

    /// Leave a file that is there as it is unless the server's is newer, and give files the server's time
    #[arg(long, help_heading = "Output")]
    pub(crate) timestamping: bool,

    /// Give files the time that the server says (Last-Modified)
    #[arg(short = 'R', long, help_heading = "Output")]
    pub(crate) remote_time: bool,

    /// Start again where a file was left half-way, instead of going on
    #[arg(long, conflicts_with = "continue_at", help_heading = "Output")]
    pub(crate) no_continue: bool,

    /// How many files to get at a time
    #[arg(
        long, value_name = "N", default_value_t = 8, help_heading = "Output",
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1000)
    )]
    pub(crate) parallel_max: usize,

    /// Fail on a status of 400 or above, and write nothing of what is answered
    #[arg(short, long, help_heading = "Output")]
    pub(crate) fail: bool,

    /// Write status and fields before the content
    #[arg(short, long, help_heading = "Output")]
    pub(crate) include: bool,

    /// Show what is sent (>) and answered (<) on standard error, without passwords
    #[arg(short, long, help_heading = "Output")]
    pub(crate) verbose: bool,

    /// Show when each step was taken, for each redirect, on standard error
    #[arg(long, help_heading = "Output")]
    pub(crate) trace: bool,

    /// Show no bars, and say nothing but errors
    #[arg(short, long, help_heading = "Output")]
    pub(crate) silent: bool,

    /// The method, where it is not GET, or POST with content, or PUT with -T. As in curl it stays the
    /// same through all redirects, also through those after which others go on with GET
    #[arg(short = 'X', long = "request", value_name = "METHOD", help_heading = "Request")]
    pub(crate) method: Option<Method>,

    /// Send this field: 'Name: value'. 'Name;' sends it empty, 'Name:' keeps a default one back
    #[arg(short = 'H', long = "header", value_name = "FIELD", value_parser = field, help_heading = "Request")]
    pub(crate) fields: Vec<Field>,

    /// The User-Agent; an empty one is not sent
    #[arg(short = 'A', long, value_name = "NAME", help_heading = "Request")]
    pub(crate) user_agent: Option<String>,

    /// Ask for status and fields alone, with HEAD
    #[arg(short = 'I', long, conflicts_with = "method", help_heading = "Request")]
    pub(crate) head: bool,

    /// Ask for a part alone: FIRST-LAST, FIRST- or -COUNT, in bytes from 0. A server that sends
    /// something else is an error
    #[arg(short, long, value_name = "RANGE", allow_hyphen_values = true, help_heading = "Request")]
    pub(crate) range: Option<RangeSpec>,

    /// Ask for compressed content, and write it decompressed
    #[arg(long, help_heading = "Request")]
    pub(crate) compressed: bool,

    /// Follow redirects
    #[arg(short = 'L', long, help_heading = "Request")]
    pub(crate) location: bool,

    /// The most redirects that -L follows
    #[arg(long, value_name = "N", default_value_t = 10, help_heading = "Request")]
    pub(crate) max_redirs: usize,

    /// Send this as a form; @FILE is the content of a file, @- standard input, each as it is.
    /// Given again, it is added after an &
    #[arg(short, long, value_name = "DATA", allow_hyphen_values = true, group = "content", help_heading = "Content")]
    pub(crate) data: Vec<String>,

    /// Send this as JSON, and accept JSON; @FILE and @- as with -d
    #[arg(long, value_name = "DATA", allow_hyphen_values = true, group = "content", help_heading = "Content")]
    pub(crate) json: Vec<String>,

    /// Send a part of a form with files (multipart/form-data): NAME=TEXT, NAME=@FILE to send a file,
    /// NAME=<FILE for a text from a file. ;type=TYPE and ;filename=NAME may stand after it
    #[arg(short = 'F', long, value_name = "PART", value_parser = form_part, group = "content", help_heading = "Content")]
    pub(crate) form: Vec<FormPart>,

    /// Send this file with PUT; - is standard input. A URL that ends in / gets the file's name
    #[arg(short = 'T', long, value_name = "FILE", group = "content", help_heading = "Content")]
    pub(crate) upload_file: Option<PathBuf>,

    /// Who to be: user:password, sent to the URL's own origin alone
    #[arg(short, long, value_name = "USER:PASSWORD", value_parser = credentials, help_heading = "Identity")]
    pub(crate) user: Option<Credentials>,

    /// Take users and passwords from ~/.netrc, for each host those that it has there
    #[arg(short, long, help_heading = "Identity")]
    pub(crate) netrc: bool,

    /// The same from this file
    #[arg(long, value_name = "FILE", help_heading = "Identity")]
    pub(crate) netrc_file: Option<PathBuf>,

    /// Send these cookies: 'NAME=VALUE; NAME=VALUE', or those of this file (cookies.txt, as curl and
    /// wget write it), each where it belongs. '' begins without any, and keeps those that are set
    #[arg(short = 'b', long = "cookie", value_name = "DATA|FILE", help_heading = "Identity")]
    pub(crate) cookies: Vec<String>,

    /// Write all cookies into this file at the end, those of the session too; - is standard output
    #[arg(short = 'c', long, value_name = "FILE", help_heading = "Identity")]
    pub(crate) cookie_jar: Option<PathBuf>,

    /// Show this certificate (PEM, its chain after it) to servers that ask for one
    #[arg(short = 'E', long, value_name = "FILE", help_heading = "Identity")]
    pub(crate) cert: Option<PathBuf>,

    /// The private key of --cert in PEM, if it is not in the same file
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "Identity")]
    pub(crate) key: Option<PathBuf>,

    /// Go through this proxy: http, https, socks5 or socks5h. '' is none. Else the environment
    /// says: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY
    #[arg(short = 'x', long, value_name = "PROXY", help_heading = "Connection")]
    pub(crate) proxy: Option<String>,

    /// Connect to these addresses for a host and port, whatever DNS says
    #[arg(long, value_name = "HOST:PORT:ADDR[,ADDR]", value_parser = host_override, help_heading = "Connection")]
    pub(crate) resolve: Vec<HostOverride>,

    /// Connect to IPv4 addresses alone
    #[arg(short = '4', long, conflicts_with = "ipv6", help_heading = "Connection")]
    pub(crate) ipv4: bool,

    /// Connect to IPv6 addresses alone
    #[arg(short = '6', long, help_heading = "Connection")]
    pub(crate) ipv6: bool,

    /// Connect from this address of the machine; on Linux also the name of an interface
    #[arg(long, value_name = "ADDR|NAME", help_heading = "Connection")]
    pub(crate) interface: Option<String>,

    /// Connect to this Unix socket, whatever the host of the URL; no proxy
    #[arg(
        long, value_name = "PATH", conflicts_with_all = ["proxy", "resolve", "interface", "ipv4", "ipv6"],
        help_heading = "Connection"
    )]
    pub(crate) unix_socket: Option<PathBuf>,

    /// Trust the certificates of this PEM file, and no others
    #[arg(long, value_name = "FILE", help_heading = "Connection")]
    pub(crate) cacert: Option<PathBuf>,

    /// Accept every certificate: whoever is in between can read and change everything
    #[arg(short = 'k', long, help_heading = "Connection")]
    pub(crate) insecure: bool,

    /// Speak HTTP/1.1 alone
    #[arg(long = "http1.1", conflicts_with = "http2_prior_knowledge", help_heading = "Connection")]
    pub(crate) http1: bool,

    /// Speak HTTP/2 without asking
    #[arg(long, help_heading = "Connection")]
    pub(crate) http2_prior_knowledge: bool,

    /// How long connecting may take, and a TLS handshake
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "30", help_heading = "Limits")]
    pub(crate) connect_timeout: Duration,

    /// How long one attempt may take, redirects and content included. 0 is for ever
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds, default_value = "0", help_heading = "Limits")]
    pub(crate) max_time: Duration,

    /// How long the server may be silent: before it answers, and while content comes or is sent. 0 is
    /// for ever: for streams in which nothing may happen for a while
    #[arg(short = 'y', long, value_name = "SECONDS", value_parser = seconds, default_value = "30", help_heading = "Limits")]
    pub(crate) speed_time: Duration,

    /// Give up, too, if fewer bytes a second come in all of --speed-time; K, M and G are units
    #[arg(short = 'Y', long, value_name = "BYTES", value_parser = byte_count, help_heading = "Limits")]
    pub(crate) speed_limit: Option<u64>,

    /// Send and receive content no faster than so many bytes a second, for each URL; K, M and G are units
    #[arg(long, value_name = "BYTES", value_parser = byte_count, help_heading = "Limits")]
    pub(crate) limit_rate: Option<u64>,

    /// Try again as many times where that may help: when no connection came about or it broke, and
    /// on 408, 429, 500, 502, 503 and 504. What may have had an effect (POST) is not repeated. A
    /// download that gets further than before may fail as many times again
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Limits")]
    pub(crate) retry: u32,

    /// The pause before the first retry; each further one is twice as long, up to 10 minutes. What
    /// Retry-After says counts instead; with more than 10 minutes the command gives up
    #[arg(long, value_name = "SECONDS", value_parser = seconds, default_value = "1", help_heading = "Limits")]
    pub(crate) retry_delay: Duration,
}

const EXIT_CODES: &str = "\
Exit codes, of the first URL that failed:
  0    all is well; a status of 400 or above is, without --fail
  1    a file, or standard output, cannot be read or written
  2    the arguments make no sense
  3    no connection: the name, the server, or the proxy
  4    a time limit passed, or the server was silent for too long
  5    the status is 400 or above (--fail, or where the rest of a file was asked for)
  6    no TLS session: a certificate that is not trusted, or no common version
  7    what is answered is broken: cut off, not HTTP, not in the coding that it names, or not the range
       that was asked for
  8    a redirect that cannot be followed, or one too many
  141  whoever read standard output has gone";
