//! A line for each request, with the server that it went to and the times that it took there.
//!
//! What the proxy knows of an exchange comes before the server's record of the request, both on the task of the
//! request. A slot in the request's extensions carries the first to the request's end, and a variable of the thread
//! from there to the line, which follows at once. So requests that reach no server (refused, redirected) have their
//! line too, without one.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nethttp::middleware::{AccessLog, LogFormat};
use nethttp::reverse_proxy::ProxyRecord;
use nethttp::server::RequestRecord;
use nethttp::{Request, ResponseWriter};

use crate::access_log::LogForm;
use crate::lines::put_line;

/// Where the record of an exchange is kept until its request is over.
#[derive(Clone, Default)]
pub(super) struct ExchangeSlot(Arc<Mutex<Option<ExchangeTimes>>>);

/// What a line says of an exchange.
#[derive(Clone, Debug, PartialEq)]
struct ExchangeTimes {
    upstream: Option<String>,
    retries: usize,
    queued: Duration,
    connect: Option<Duration>,
    first_byte: Option<Duration>,
    whole: Duration,
    request_bytes: u64,
    response_bytes: u64,
}

thread_local! {
    /// The exchange of the request whose line is about to be written.
    static ENDED: RefCell<Option<ExchangeTimes>> = const { RefCell::new(None) };
}

impl ExchangeSlot {
    /// Follows a request.
    pub(super) fn begin(w: &mut ResponseWriter, r: &mut Request) {
        let slot = ExchangeSlot::default();
        r.extensions.insert(slot.clone());
        w.on_end(move |_| {
            let times = slot.0.lock().unwrap_or_else(PoisonError::into_inner).take();
            ENDED.with_borrow_mut(|ended| *ended = times);
        });
    }

    /// Takes what a proxy tells at the end of an exchange.
    pub(super) fn fill(r: &Request, record: &ProxyRecord) {
        let Some(slot) = r.extensions.get::<ExchangeSlot>() else { return };
        let times = ExchangeTimes {
            // One word, for programs that split lines at spaces.
            upstream: record.upstream.as_ref().map(|upstream| upstream.to_string().replace(' ', "")),
            retries: record.retries,
            queued: record.queued,
            connect: record.connect,
            first_byte: record.first_byte,
            whole: record.duration,
            request_bytes: record.request_bytes,
            response_bytes: record.response_bytes,
        };
        *slot.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(times);
    }
}

/// Writes the line of each request on standard error; `None` where there are to be no lines.
pub(super) fn lines(form: LogForm) -> Option<Arc<dyn Fn(&RequestRecord) + Send + Sync>> {
    let format = form.format()?;
    let log = AccessLog::new(format).to(move |line| {
        let times = ENDED.with_borrow_mut(Option::take);
        put_line(&with_times(line, format, times.as_ref()));
    });
    Some(Arc::new(move |record| log.log(record)))
}

fn with_times(line: &str, format: LogFormat, times: Option<&ExchangeTimes>) -> String {
    let mut out = String::with_capacity(line.len() + 160);
    // Writing to a string does not fail.
    let _ = match (format, times) {
        (LogFormat::Json, Some(times)) => {
            let inside = line.strip_suffix('}').unwrap_or(line);
            write!(out, "{inside},{}}}", times.members())
        }
        (_, Some(times)) => write!(out, "{line} {}", times.words()),
        (_, None) => write!(out, "{line}"),
    };
    out
}

impl ExchangeTimes {
    /// `http://10.0.0.1:8000 queue=0.0ms connect=0.1ms first=1.5ms whole=2.0ms retries=0 up=12 down=4500`
    fn words(&self) -> String {
        let millis = |time: Option<Duration>| match time {
            Some(time) => format!("{:.1}ms", time.as_secs_f64() * 1000.0),
            None => "-".to_owned(),
        };
        format!(
            "{} queue={} connect={} first={} whole={} retries={} up={} down={}",
            self.upstream.as_deref().unwrap_or("-"),
            millis(Some(self.queued)),
            millis(self.connect),
            millis(self.first_byte),
            millis(Some(self.whole)),
            self.retries,
            self.request_bytes,
            self.response_bytes
        )
    }

    /// The members of an object of JSON, without its braces.
    fn members(&self) -> String {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let object = serde_json::json!({
            "upstream": self.upstream,
            "upstream_retries": self.retries,
            "upstream_queue_seconds": seconds(Some(self.queued)),
            "upstream_connect_seconds": seconds(self.connect),
            "upstream_first_byte_seconds": seconds(self.first_byte),
            "upstream_seconds": seconds(Some(self.whole)),
            "request_bytes": self.request_bytes,
            "upstream_bytes": self.response_bytes,
        });
        let text = object.to_string();
        text.trim_start_matches('{').trim_end_matches('}').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times() -> ExchangeTimes {
        ExchangeTimes {
            upstream: Some("http://10.0.0.1:8000".to_owned()),
            retries: 1,
            queued: Duration::ZERO,
            connect: Some(Duration::from_micros(150)),
            first_byte: None,
            whole: Duration::from_millis(2),
            request_bytes: 12,
            response_bytes: 4500,
        }
    }

    #[test]
    fn a_line_has_the_server_and_the_times_behind_it() {
        let line = with_times("GET / 200", LogFormat::Short, Some(&times()));
        let expected = "GET / 200 http://10.0.0.1:8000 queue=0.0ms connect=0.1ms first=- whole=2.0ms retries=1 up=12 \
                        down=4500";
        assert!(line == expected || line == expected.replace("0.1ms", "0.2ms"), "{line}");
        assert_eq!(with_times("GET / 400", LogFormat::Short, None), "GET / 400");
    }

    #[test]
    fn a_line_of_json_stays_one_object() {
        let line = with_times("{\"status\":200}", LogFormat::Json, Some(&times()));
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!((object["status"].as_u64(), object["upstream"].as_str()), (Some(200), Some("http://10.0.0.1:8000")));
        assert_eq!(object["upstream_first_byte_seconds"], serde_json::Value::Null);
        assert_eq!(object["upstream_connect_seconds"], 0.00015);
    }
}
