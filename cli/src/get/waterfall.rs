//! When each step of a request was taken: what --trace shows.

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nethttp::net::{Addr, Resolved};
use nethttp::tls::TlsInfo;
use nethttp::trace::{ClientTrace, GotConn};
use nethttp::{Error, Header, Response, Result, StatusCode};

use super::screen::escaped;

/// As many dots as the longest request is long.
const BAR_COLUMNS: usize = 32;

/// The steps of one download, redirects included.
pub(crate) struct Record {
    began: Instant,
    hops: Mutex<Vec<Hop>>,
}

/// One request, and its response.
#[derive(Debug, Default)]
struct Hop {
    request: String,
    response: String,
    steps: Vec<Step>,
    interim: usize,
}

#[derive(Debug)]
struct Step {
    label: &'static str,
    detail: String,
    from: Duration,
    /// `None` while it lasts.
    until: Option<Duration>,
}

impl Record {
    pub(crate) fn new() -> Record {
        Record { began: Instant::now(), hops: Mutex::default() }
    }

    pub(crate) fn begin_hop(&self, request: String) {
        self.hops().push(Hop { request, ..Hop::default() });
    }

    pub(crate) fn got_response(&self, response: &Response) {
        self.end("first byte", "");
        self.in_hop(|hop, _| {
            hop.response = response.status.to_string();
        });
        self.begin("content", String::new());
    }

    /// The content has been read, or that failed.
    pub(crate) fn done(&self, bytes: u64, whole: bool) {
        let broken = if whole { "" } else { ", and then it broke off" };
        self.end("content", &format!("{bytes} bytes{broken}"));
    }

    /// The table.
    pub(crate) fn render(&self) -> String {
        let now = self.began.elapsed();
        render(&self.hops(), now)
    }

    fn begin(&self, label: &'static str, detail: String) {
        self.in_hop(|hop, now| hop.steps.push(Step { label, detail, from: now, until: None }));
    }

    /// Ends the step of this name that has not ended; of several, the one with this detail.
    fn end_of(&self, label: &str, subject: &str, outcome: &str) {
        self.in_hop(|hop, now| {
            let is_it = |step: &&mut Step| step.label == label && step.until.is_none() && step.detail == subject;
            if let Some(step) = hop.steps.iter_mut().find(is_it) {
                step.until = Some(now);
                step.detail += outcome;
            }
        });
    }

    fn end(&self, label: &str, outcome: &str) {
        self.end_of(label, "", outcome);
    }

    fn in_hop(&self, change: impl FnOnce(&mut Hop, Duration)) {
        let now = self.began.elapsed();
        if let Some(hop) = self.hops().last_mut() {
            change(hop, now);
        }
    }

    fn hops(&self) -> MutexGuard<'_, Vec<Hop>> {
        self.hops.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientTrace for Record {
    fn got_conn(&self, conn: &GotConn) {
        if conn.reused {
            let detail = format!("{}, used again", conn.remote_addr);
            self.in_hop(|hop, now| {
                hop.steps.push(Step { label: "connection", detail, from: now, until: Some(now) });
            });
        }
        self.begin("sent", String::new());
    }

    fn dns_start(&self, host: &str) {
        self.begin("resolve", host.to_owned());
    }

    fn dns_done(&self, host: &str, result: Result<&Resolved, &io::Error>) {
        let outcome = match result {
            Ok(resolved) => {
                let addresses: Vec<_> = resolved.addrs.iter().map(|address| address.ip().to_string()).collect();
                format!(": {}", addresses.join(", "))
            }
            Err(error) => format!(": {error}"),
        };
        self.end_of("resolve", host, &outcome);
    }

    fn connect_start(&self, addr: &Addr) {
        self.begin("connect", addr.to_string());
    }

    fn connect_done(&self, addr: &Addr, result: Result<(), &io::Error>) {
        let outcome = result.err().map(|error| format!(": {error}")).unwrap_or_default();
        self.end_of("connect", &addr.to_string(), &outcome);
    }

    fn tls_handshake_start(&self) {
        self.begin("TLS", String::new());
    }

    fn tls_handshake_done(&self, result: &Result<Arc<TlsInfo>>) {
        let outcome = match result {
            Ok(info) => format!("{:?} {}", info.version, info.cipher_suite),
            Err(error) => error.to_string(),
        };
        self.end("TLS", &outcome);
    }

    fn wrote_request(&self, result: &Result<()>) {
        self.end("sent", &result.as_ref().err().map(ToString::to_string).unwrap_or_default());
        self.in_hop(|hop, now| {
            // The response may come before all was sent.
            if hop.response.is_empty() {
                hop.steps.push(Step { label: "first byte", detail: String::new(), from: now, until: None });
            }
        });
    }

    fn got_first_response_byte(&self) {
        self.end("first byte", "");
    }

    fn got_1xx_response(&self, _: StatusCode, _: &Header) -> Result<()> {
        let mut count = 0;
        self.in_hop(|hop, _| {
            hop.interim += 1;
            count = hop.interim;
        });
        // The client leaves the limit to the trace where there is one.
        if count > 100 { Err(Error::other("more than 100 interim responses")) } else { Ok(()) }
    }
}

fn render(hops: &[Hop], now: Duration) -> String {
    let mut text = String::new();
    for hop in hops {
        let response = if hop.response.is_empty() { "no answer" } else { &hop.response };
        let _ = writeln!(text, "{}: {response}", escaped(&hop.request));
        for step in &hop.steps {
            let until = step.until.unwrap_or(now);
            let (from, to) = (millis(step.from), millis(until));
            let bar = bar(step.from, until, now);
            let unfinished = if step.until.is_none() { "(not done) " } else { "" };
            let line =
                format!("  {:<10} {from:>9} {to:>9} ms |{bar}| {unfinished}{}", step.label, escaped(&step.detail));
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    let _ = write!(text, "  {:<10} {:>19} ms", "done", millis(now));
    text
}

fn millis(moment: Duration) -> String {
    format!("{:.1}", moment.as_secs_f64() * 1000.0)
}

/// At least one mark, wherever it is.
fn bar(from: Duration, until: Duration, whole: Duration) -> String {
    let column = |moment: Duration| {
        let columns = u128::try_from(BAR_COLUMNS).unwrap_or(0) * moment.as_nanos() / whole.as_nanos().max(1);
        usize::try_from(columns).unwrap_or(BAR_COLUMNS).min(BAR_COLUMNS)
    };
    let start = column(from).min(BAR_COLUMNS - 1);
    let end = column(until).max(start + 1);
    format!("{}{}{}", ".".repeat(start), "#".repeat(end - start), ".".repeat(BAR_COLUMNS - end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_has_its_place_and_one_mark_at_least() {
        let ms = Duration::from_millis;
        assert_eq!(bar(ms(0), ms(8), ms(16)), format!("{}{}", "#".repeat(16), ".".repeat(16)));
        assert_eq!(bar(ms(8), ms(8), ms(16)), format!("{}#{}", ".".repeat(16), ".".repeat(15)));
        assert_eq!(bar(ms(16), ms(16), ms(16)), format!("{}#", ".".repeat(31)));
        assert_eq!(bar(ms(0), ms(0), ms(0)).len(), BAR_COLUMNS);
    }

    #[test]
    fn a_table_has_each_request_and_what_was_not_done() {
        let step = |label, from, until: Option<u64>, detail: &str| Step {
            label,
            detail: detail.into(),
            from: Duration::from_millis(from),
            until: until.map(Duration::from_millis),
        };
        let first = Hop { request: "GET http://a.test/".into(), response: "302 Found".into(), ..Hop::default() };
        let steps = vec![step("resolve", 0, Some(1), "a.test: 127.0.0.1"), step("connect", 1, None, "127.0.0.1:1")];
        let second = Hop { request: "GET http://b.test/".into(), steps, ..Hop::default() };
        let text = render(&[first, second], Duration::from_millis(32));
        let dots = |count: usize| ".".repeat(count);
        let expected = format!(
            "GET http://a.test/: 302 Found\nGET http://b.test/: no answer\n  \
             resolve          0.0       1.0 ms |#{}| a.test: 127.0.0.1\n  \
             connect          1.0      32.0 ms |.{}| (not done) 127.0.0.1:1\n  \
             done                      32.0 ms",
            dots(31),
            "#".repeat(31)
        );
        assert_eq!(text, expected);
    }
}
