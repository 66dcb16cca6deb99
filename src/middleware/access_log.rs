//! A line for each request, in the forms that programs for logs read.

use std::fmt::{self, Display, Write as _};
use std::io::Write as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::error::Result;
use crate::message::{Request, basic_credentials, civil_date};
use crate::server::{HandlerFuture, Middleware, Next, RequestRecord, ResponseWriter};

/// Writes a line for each request that is over: what its response was, what an error or a panic made of it,
/// whether the client left.
///
/// As a middleware it stands around all that may respond (the first that a mux is wrapped in), and inside of
/// what finds out the client's address. For requests that reach no handler too (refused by their head, by a
/// limit) give [`log`](Self::log) to [`Server::on_request`](crate::Server::on_request) instead.
///
/// Lines go to standard error, each in one write. [`to`](Self::to) sends them elsewhere. Either is called on
/// the thread that serves the connection, and must not block: a sink that may (a file on a slow disk, a
/// network) hands the line over, to a channel with a bound that drops lines when it is full.
///
/// All that a client sends is escaped: quotes, backslashes, control characters and all that is not ASCII, as
/// `\xHH` (in JSON as `\uHHHH`), so that no request forges a line or a field, or moves the cursor of a
/// terminal. A field is cut after 4096 bytes. Credentials are not written, but for the user's name, which is
/// that of `Authorization: Basic` whether it was accepted or not. Targets and referrers may have secrets in
/// their queries all the same.
///
/// ```
/// use nethttp::middleware::{AccessLog, LogFormat};
/// use nethttp::{Server, ServeMux};
///
/// let mux = ServeMux::new();
/// mux.wrap(AccessLog::new(LogFormat::Combined));
///
/// // Or for all that the server answers, as JSON to a channel.
/// let (sender, lines) = std::sync::mpsc::sync_channel::<String>(1024);
/// let log = AccessLog::new(LogFormat::Json).to(move |line| _ = sender.try_send(line.to_owned()));
/// let mut server = Server::new(ServeMux::new());
/// server.on_request = Some(std::sync::Arc::new(move |record| log.log(record)));
/// ```
#[derive(Clone)]
pub struct AccessLog {
    format: LogFormat,
    sink: Arc<dyn Fn(&str) + Send + Sync>,
}

/// The form of the lines of an [`AccessLog`]. Times are in UTC, and those at which a request was over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LogFormat {
    /// `2026-01-31T23:59:59.123Z 127.0.0.1:54321 GET /index.html 200 1234 0.8ms`: time, peer, method, target,
    /// status (`-` where none was sent), bytes of content that the handler wrote, duration.
    Short,
    /// The Common Log Format of NCSA and Apache:
    /// `127.0.0.1 - anna [31/Jan/2026:23:59:59 +0000] "GET /index.html HTTP/1.1" 200 1234`.
    Common,
    /// The same with `Referer` and `User-Agent` behind it, in quotes.
    Combined,
    /// An object of JSON: `time`, `client` (its IP address), `peer`, `method`, `target`, `host`, `protocol`,
    /// `status`, `bytes`, `seconds`, `first_byte_seconds`, `pattern`, `user`, `referer`, `user_agent`, `tls`
    /// (its version), `end` (`complete`, or what happened instead). What is not known is `null`.
    Json,
}

impl AccessLog {
    /// Lines of this form, to standard error.
    pub fn new(format: LogFormat) -> AccessLog {
        AccessLog { format, sink: Arc::new(to_standard_error) }
    }

    /// Calls a function with each line, which has no line feed at its end, in place of standard error. It
    /// must not block.
    #[must_use]
    pub fn to(self, sink: impl Fn(&str) + Send + Sync + 'static) -> AccessLog {
        AccessLog { sink: Arc::new(sink), ..self }
    }

    /// Writes the line of a request that has just ended.
    pub fn log(&self, record: &RequestRecord) {
        self.log_from(record, record.remote_addr.ip());
    }

    fn log_from(&self, record: &RequestRecord, client: Option<IpAddr>) {
        let line = LogLine { time: SystemTime::now(), client, user: basic_user(record), record };
        (self.sink)(&line.in_format(self.format));
    }

    fn begin(&self, w: &mut ResponseWriter, r: &Request) {
        let (log, client) = (self.clone(), r.client_ip());
        w.on_end(move |record| log.log_from(record, client));
    }
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Middleware for AccessLog {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        self.begin(w, r);
        next.run(w, r).await
    }

    fn handle_boxed<'a>(&'a self, w: &'a mut ResponseWriter, r: &'a mut Request, next: Next<'a>) -> HandlerFuture<'a> {
        self.begin(w, r);
        next.run(w, r)
    }
}

fn to_standard_error(line: &str) {
    // In one write, so that lines of two threads do not mix. If standard error is closed, serving goes on
    // without a log.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// The name in the request's Basic credentials (RFC 7617 §2).
fn basic_user(record: &RequestRecord) -> Option<String> {
    basic_credentials(&record.header).map(|(user, _)| user).filter(|user| !user.is_empty())
}

/// What a line says.
struct LogLine<'a> {
    time: SystemTime,
    client: Option<IpAddr>,
    user: Option<String>,
    record: &'a RequestRecord,
}

impl LogLine<'_> {
    fn in_format(&self, format: LogFormat) -> String {
        let mut out = String::with_capacity(192);
        // Writing to a `String` does not fail.
        let _ = match format {
            LogFormat::Short => self.short(&mut out),
            LogFormat::Common => self.common(&mut out),
            LogFormat::Combined => self.combined(&mut out),
            LogFormat::Json => self.json(&mut out),
        };
        out
    }

    fn short(&self, out: &mut String) -> fmt::Result {
        let record = self.record;
        let (method, target) = (Word(record.method.as_str().as_bytes()), Word(record.target.as_bytes()));
        // A Unix socket's name is its peer's to choose.
        let peer = record.remote_addr.to_string();
        let peer = Word(peer.as_bytes());
        write!(out, "{} {peer} {method} {target} {}", Rfc3339Time(self.time), self.status())?;
        write!(out, " {} {:.1}ms", record.content_bytes, record.duration.as_secs_f64() * 1000.0)
    }

    fn common(&self, out: &mut String) -> fmt::Result {
        let record = self.record;
        match self.client {
            Some(client) => write!(out, "{}", client.to_canonical())?,
            None => out.push('-'),
        }
        write!(out, " - {} [{}] ", Word(self.user.as_deref().unwrap_or("-").as_bytes()), CommonTime(self.time))?;
        let (method, target) = (Word(record.method.as_str().as_bytes()), Word(record.target.as_bytes()));
        write!(out, "\"{method} {target} {:?}\" {}", record.proto, self.status())?;
        match record.content_bytes {
            0 => out.write_str(" -"),
            bytes => write!(out, " {bytes}"),
        }
    }

    fn combined(&self, out: &mut String) -> fmt::Result {
        self.common(out)?;
        let field = |name| Quoted(self.record.header.get_bytes(name).unwrap_or(b"-"));
        write!(out, " \"{}\" \"{}\"", field("Referer"), field("User-Agent"))
    }

    fn json(&self, out: &mut String) -> fmt::Result {
        let record = self.record;
        let header = |name| record.header.get_bytes(name);
        write!(out, "{{\"time\":\"{}\"", Rfc3339Time(self.time))?;
        let client = self.client.map(|client| client.to_canonical().to_string());
        write_text(out, "client", client.as_deref().map(str::as_bytes))?;
        write_text(out, "peer", Some(record.remote_addr.to_string().as_bytes()))?;
        write_text(out, "method", Some(record.method.as_str().as_bytes()))?;
        write_text(out, "target", Some(record.target.as_bytes()))?;
        write_text(out, "host", Some(record.host.as_bytes()).filter(|host| !host.is_empty()))?;
        write_text(out, "protocol", Some(format!("{:?}", record.proto).as_bytes()))?;
        write_number(out, "status", record.status.map(|status| status.as_u16()))?;
        write_number(out, "bytes", Some(record.content_bytes))?;
        write_number(out, "seconds", Some(record.duration.as_secs_f64()))?;
        write_number(out, "first_byte_seconds", record.first_byte.map(|first| first.as_secs_f64()))?;
        write_text(out, "pattern", record.pattern.as_deref().map(str::as_bytes))?;
        write_text(out, "user", self.user.as_deref().map(str::as_bytes))?;
        write_text(out, "referer", header("Referer"))?;
        write_text(out, "user_agent", header("User-Agent"))?;
        let tls = record.tls.as_deref().map(|tls| format!("{:?}", tls.version));
        write_text(out, "tls", tls.as_deref().map(str::as_bytes))?;
        write_text(out, "end", Some(record.end.to_string().as_bytes()))?;
        out.write_char('}')
    }

    fn status(&self) -> String {
        self.record.status.map_or_else(|| "-".to_owned(), |status| status.as_u16().to_string())
    }
}

/// A text is cut after this many bytes: one request must not make a line of a megabyte.
const MAX_TEXT_BYTES: usize = 4096;

fn shortened(text: &[u8]) -> &[u8] {
    text.get(..MAX_TEXT_BYTES).unwrap_or(text)
}

/// What a peer sent, within quotes: blanks stay.
struct Quoted<'a>(&'a [u8]);

/// What a peer sent, as a field that ends at a blank: blanks are escaped too.
struct Word<'a>(&'a [u8]);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shortened(self.0).iter().try_for_each(|&byte| match byte {
            b'"' | b'\\' => write!(f, "\\{}", char::from(byte)),
            b' '..=b'~' => f.write_char(char::from(byte)),
            _ => write!(f, "\\x{byte:02x}"),
        })
    }
}

impl Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shortened(self.0).split_inclusive(|&byte| byte == b' ').try_for_each(|part| match part.strip_suffix(b" ") {
            Some(part) => write!(f, "{}\\x20", Quoted(part)),
            None => write!(f, "{}", Quoted(part)),
        })
    }
}

/// A member of an object of JSON (RFC 8259 §7), in ASCII alone.
fn write_text(out: &mut String, name: &str, text: Option<&[u8]>) -> fmt::Result {
    let Some(text) = text else { return write_number(out, name, None::<u16>) };
    write!(out, ",\"{name}\":\"")?;
    for character in String::from_utf8_lossy(shortened(text)).chars() {
        match character {
            '"' | '\\' => write!(out, "\\{character}")?,
            ' '..='~' => out.write_char(character)?,
            _ => character.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"))?,
        }
    }
    out.write_char('"')
}

fn write_number(out: &mut String, name: &str, number: Option<impl Display>) -> fmt::Result {
    match number {
        Some(number) => write!(out, ",\"{name}\":{number}"),
        None => write!(out, ",\"{name}\":null"),
    }
}

/// A time as RFC 3339 writes it, in UTC and to the millisecond.
struct Rfc3339Time(SystemTime);

impl Display for Rfc3339Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since_epoch = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let (days, second) = (since_epoch.as_secs() / 86_400, since_epoch.as_secs() % 86_400);
        let (year, month, day) = civil_date(days);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        let millis = since_epoch.subsec_millis();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

/// A time as the Common Log Format writes it, in UTC.
struct CommonTime(SystemTime);

impl Display for CommonTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let seconds = self.0.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let (year, month, day) = civil_date(seconds / 86_400);
        let month = usize::try_from(month).ok().and_then(|month| MONTHS.get(month.checked_sub(1)?)).unwrap_or(&"-");
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        write!(f, "{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} +0000")
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use http::{Method, StatusCode, Version};

    use super::*;
    use crate::message::{Addr, Header};
    use crate::server::ResponseEnd;

    fn record(fields: &[(&str, &[u8])]) -> RequestRecord {
        RequestRecord {
            method: Method::GET,
            target: "/a?b=c".to_owned(),
            host: "a.test".to_owned(),
            proto: Version::HTTP_11,
            header: fields.iter().copied().collect::<Header>(),
            remote_addr: Addr::Tcp(SocketAddr::from(([127, 0, 0, 1], 54321))),
            tls: None,
            pattern: Some("GET /a".into()),
            status: Some(StatusCode::OK),
            content_bytes: 1234,
            first_byte: Some(Duration::from_micros(500)),
            duration: Duration::from_micros(1_550),
            end: ResponseEnd::Complete,
        }
    }

    fn line(record: &RequestRecord, format: LogFormat) -> String {
        let time = UNIX_EPOCH + Duration::from_millis(1_769_903_999_123);
        LogLine { time, client: record.remote_addr.ip(), user: basic_user(record), record }.in_format(format)
    }

    #[test]
    fn a_line_has_its_fields_in_order() {
        let full = record(&[
            ("Authorization", b"basic YW5uYSBiOnNlY3JldA=="),
            ("Referer", b"https://b.test/"),
            ("User-Agent", b"a browser (\"x\")"),
        ]);
        assert_eq!(line(&full, LogFormat::Short), "2026-01-31T23:59:59.123Z 127.0.0.1:54321 GET /a?b=c 200 1234 1.6ms");
        let common = r#"127.0.0.1 - anna\x20b [31/Jan/2026:23:59:59 +0000] "GET /a?b=c HTTP/1.1" 200 1234"#;
        assert_eq!(line(&full, LogFormat::Common), common);
        let combined = format!(r#"{common} "https://b.test/" "a browser (\"x\")""#);
        assert_eq!(line(&full, LogFormat::Combined), combined);
        assert_eq!(
            line(&full, LogFormat::Json),
            "{\"time\":\"2026-01-31T23:59:59.123Z\",\"client\":\"127.0.0.1\",\"peer\":\"127.0.0.1:54321\",\
             \"method\":\"GET\",\"target\":\"/a?b=c\",\"host\":\"a.test\",\"protocol\":\"HTTP/1.1\",\"status\":200,\
             \"bytes\":1234,\"seconds\":0.00155,\"first_byte_seconds\":0.0005,\"pattern\":\"GET /a\",\
             \"user\":\"anna b\",\"referer\":\"https://b.test/\",\"user_agent\":\"a browser (\\\"x\\\")\",\
             \"tls\":null,\"end\":\"complete\"}"
        );
    }

    #[test]
    fn what_is_not_known_is_a_hyphen_or_null() {
        let cut = RequestRecord {
            status: None,
            content_bytes: 0,
            first_byte: None,
            pattern: None,
            host: String::new(),
            remote_addr: Addr::Unix(None),
            end: ResponseEnd::ClientLeft,
            ..record(&[("Authorization", b"Bearer secret")])
        };
        assert_eq!(
            line(&cut, LogFormat::Combined),
            "- - - [31/Jan/2026:23:59:59 +0000] \"GET /a?b=c HTTP/1.1\" - - \"-\" \"-\""
        );
        assert!(line(&cut, LogFormat::Short).ends_with(" GET /a?b=c - 0 1.6ms"));
        let json = line(&cut, LogFormat::Json);
        for member in ["client", "host", "status", "first_byte_seconds", "pattern", "user", "referer", "tls"] {
            assert!(json.contains(&format!("\"{member}\":null")), "{member} in {json}");
        }
        assert!(json.ends_with("\"end\":\"client left\"}") && !json.contains("secret"));
    }

    #[test]
    fn nothing_that_a_client_sends_forges_a_line_nor_a_field() {
        let evil = "/\"\r\n\x1b[2J \u{202e}\u{e9}\\n\0\x7f";
        let forged = RequestRecord {
            target: evil.to_owned(),
            ..record(&[("User-Agent", b"\" 200 \"\xff\n"), ("Authorization", b"Basic YSIKYjp4")])
        };
        let escaped = r#"/\"\x0d\x0a\x1b[2J\x20\xe2\x80\xae\xc3\xa9\\n\x00\x7f"#;
        let combined = line(&forged, LogFormat::Combined);
        assert!(combined.contains(&format!("\"GET {escaped} HTTP/1.1\"")), "{combined}");
        assert!(combined.ends_with(r#" "\" 200 \"\xff\x0a""#), "{combined}");
        assert!(combined.contains(r#" a\"\x0ab ["#), "{combined}");
        let json = line(&forged, LogFormat::Json);
        let in_json = r#""/\"\u000d\u000a\u001b[2J \u202e\u00e9\\n\u0000\u007f""#;
        assert!(json.contains(in_json), "{json}");
        assert!(json.contains(r#""user_agent":"\" 200 \"\ufffd\u000a""#), "{json}");
        let long = RequestRecord { target: "/x".repeat(100_000), ..record(&[("User-Agent", &[b'"'; 100_000])]) };
        for format in [LogFormat::Short, LogFormat::Common, LogFormat::Combined, LogFormat::Json] {
            assert!(line(&long, format).len() < 14_000 && line(&forged, format).is_ascii());
        }
    }
}
