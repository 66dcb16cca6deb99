//! How the servers are: a page that works without script, and the same as JSON.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use nethttp::reverse_proxy::{UpstreamHealth, UpstreamStats};
use nethttp::server::Server;
use nethttp::{Handler, Method, Request, ResponseWriter, Result, StatusCode};
use serde_json::json;

use super::front::Front;

/// How often the counts are looked at for rates, and how far back they go.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
const RATE_SAMPLE_COUNT: usize = 10;

/// The handler of the status address.
#[derive(Clone)]
pub(super) struct Status(Arc<StatusState>);

struct StatusState {
    front: Front,
    /// Whose connections are counted.
    server: Server,
    began: Instant,
    samples: Mutex<Vec<Sample>>,
}

/// How often each server had been chosen at a moment, by its route and name.
struct Sample {
    at: Instant,
    chosen: Vec<(String, u64)>,
}

/// A group of servers at this moment.
struct GroupStatus {
    route: String,
    waiting: usize,
    servers: Vec<(UpstreamStats, f64)>,
}

impl Status {
    pub(super) fn new(front: Front, server: Server) -> Status {
        Status(Arc::new(StatusState { front, server, began: Instant::now(), samples: Mutex::default() }))
    }

    /// Looks at the counts, again and again. Never returns.
    pub(super) async fn sample(self) {
        let mut ticks = tokio::time::interval(SAMPLE_INTERVAL);
        loop {
            ticks.tick().await;
            let groups = self.groups();
            let servers = groups.iter().flat_map(|group| group.servers.iter().map(move |(stats, _)| (group, stats)));
            let chosen = servers.map(|(group, stats)| (key(&group.route, stats), stats.chosen)).collect();
            let mut samples = self.0.samples.lock().unwrap_or_else(PoisonError::into_inner);
            samples.push(Sample { at: Instant::now(), chosen });
            if samples.len() > RATE_SAMPLE_COUNT {
                samples.remove(0);
            }
        }
    }

    fn groups(&self) -> Vec<GroupStatus> {
        let site = self.0.front.current();
        let samples = self.0.samples.lock().unwrap_or_else(PoisonError::into_inner);
        let groups = site.routes().into_iter().map(|route| {
            let name = route.pattern.as_deref().unwrap_or("all other requests").to_owned();
            let stats = route.upstreams.stats().into_iter();
            let servers = stats.map(|stats| (rate(&samples, &key(&name, &stats), stats.chosen), stats));
            let servers = servers.map(|(rate, stats)| (stats, rate)).collect();
            GroupStatus { waiting: route.upstreams.waiting(), servers, route: name }
        });
        groups.collect()
    }
}

fn key(route: &str, stats: &UpstreamStats) -> String {
    format!("{route} {}", stats.name)
}

/// Requests a second since the oldest sample.
fn rate(samples: &[Sample], key: &str, chosen: u64) -> f64 {
    let Some(oldest) = samples.first() else { return 0.0 };
    let before = oldest.chosen.iter().find(|(name, _)| name == key).map_or(0, |(_, count)| *count);
    let seconds = oldest.at.elapsed().as_secs_f64();
    // A moment after the start a rate would be a guess.
    if seconds < 0.1 { 0.0 } else { chosen.saturating_sub(before) as f64 / seconds }
}

impl Handler for Status {
    async fn serve_http(&self, w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
        if !matches!(r.method, Method::GET | Method::HEAD) {
            w.header().set("Allow", "GET, HEAD");
            return nethttp::error(w, "405 method not allowed", StatusCode::METHOD_NOT_ALLOWED).await;
        }
        let wants_json = r
            .header
            .get("Accept")
            .is_some_and(|accept| accept.contains("application/json") && !accept.contains("text/html"));
        let wants_json = wants_json || r.uri.query().is_some_and(|query| query.contains("json"));
        let (kind, content) = match r.uri.path() {
            "/status.json" | "/json" => ("application/json", self.json()),
            "/" | "/status" if wants_json => ("application/json", self.json()),
            "/" | "/status" => ("text/html; charset=utf-8", self.page()),
            _ => return nethttp::not_found(w, r).await,
        };
        w.header().set("Content-Type", kind);
        w.header().set("Cache-Control", "no-store");
        w.header().set("X-Content-Type-Options", "nosniff");
        w.header().set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'");
        w.write(content).await
    }
}

impl Status {
    fn json(&self) -> String {
        let groups = self.groups().into_iter().map(|group| {
            let servers = group.servers.iter().map(|(stats, rate)| server_json(stats, *rate));
            json!({
                "route": group.route,
                "waiting": group.waiting,
                "upstreams": servers.collect::<Vec<_>>(),
            })
        });
        let whole = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "uptime_seconds": self.0.began.elapsed().as_secs(),
            "connections": self.0.server.connections(),
            "routes": groups.collect::<Vec<_>>(),
        });
        format!("{whole:#}\n")
    }

    fn page(&self) -> String {
        let mut page = String::from(PAGE_BEGIN);
        let uptime = self.0.began.elapsed().as_secs();
        let connections = self.0.server.connections();
        // Writing to a string does not fail.
        let _ = write!(
            page,
            "<p class=\"sum\">Up for {} · {connections} client connection{}</p>",
            spelled(uptime),
            if connections == 1 { "" } else { "s" }
        );
        for group in self.groups() {
            let _ = write!(page, "<h2>{}</h2>", escaped(&group.route));
            if group.waiting > 0 {
                let _ = write!(page, "<p class=\"wait\">{} waiting for room</p>", group.waiting);
            }
            page.push_str(TABLE_BEGIN);
            for (stats, rate) in &group.servers {
                push_row(&mut page, stats, *rate);
            }
            page.push_str("</tbody></table></div>");
        }
        page.push_str("<footer><a href=\"/status.json\">as JSON</a></footer></main></body></html>\n");
        page
    }
}

fn server_json(stats: &UpstreamStats, rate: f64) -> serde_json::Value {
    let latency = &stats.latency;
    json!({
        "name": stats.name,
        "health": health_word(stats.health),
        "healthy": stats.health == UpstreamHealth::Up,
        "weight": stats.weight,
        "max_connections": stats.max_connections,
        "in_flight": stats.in_flight,
        "requests": stats.chosen,
        "requests_per_second": (rate * 10.0).round() / 10.0,
        "failures": stats.failed,
        "responses": {
            "1xx": stats.responses[0], "2xx": stats.responses[1], "3xx": stats.responses[2],
            "4xx": stats.responses[3], "5xx": stats.responses[4],
        },
        "latency_seconds": {
            "count": latency.count,
            "mean": latency.mean.as_secs_f64(),
            "p50": latency.median.as_secs_f64(),
            "p95": latency.p95.as_secs_f64(),
            "p99": latency.p99.as_secs_f64(),
            "max": latency.max.as_secs_f64(),
        },
    })
}

fn health_word(health: UpstreamHealth) -> &'static str {
    match health {
        UpstreamHealth::Up => "up",
        UpstreamHealth::Out(_) => "out",
        UpstreamHealth::CheckFailed => "check failed",
        UpstreamHealth::Draining => "draining",
        UpstreamHealth::Removed => "removed",
        _ => "unknown",
    }
}

fn push_row(page: &mut String, stats: &UpstreamStats, rate: f64) {
    let (class, health) = match stats.health {
        UpstreamHealth::Up => ("up", "up".to_owned()),
        UpstreamHealth::Out(left) if left.is_zero() => ("warn", "being tried".to_owned()),
        UpstreamHealth::Out(left) => ("down", format!("out, {:.0} s left", left.as_secs_f64().ceil())),
        UpstreamHealth::CheckFailed => ("down", "health check failed".to_owned()),
        other => ("warn", health_word(other).to_owned()),
    };
    let limit = if stats.max_connections == 0 { String::new() } else { format!(" / {}", stats.max_connections) };
    let [_, ok, moved, client, server] = stats.responses;
    let _ = write!(
        page,
        "<tr><th scope=\"row\">{}</th><td><span class=\"{class}\">{health}</span></td><td>{}{limit}</td><td>{rate:.1}</td>\
         <td>{}</td><td>{}</td><td>{ok}</td><td>{moved}</td><td>{client}</td><td>{server}</td>\
         <td>{}</td><td>{}</td><td>{}</td></tr>",
        escaped(&stats.name),
        stats.in_flight,
        stats.chosen,
        stats.failed,
        millis(stats.latency.median),
        millis(stats.latency.p95),
        millis(stats.latency.p99),
    );
}

fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1000.0;
    match millis {
        0.0 => "–".to_owned(),
        millis if millis < 10.0 => format!("{millis:.2} ms"),
        millis if millis < 1000.0 => format!("{millis:.0} ms"),
        millis => format!("{:.1} s", millis / 1000.0),
    }
}

fn spelled(seconds: u64) -> String {
    match (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, seconds) => format!("{seconds} s"),
        (0, 0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const TABLE_BEGIN: &str = "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Server</th><th scope=\"col\">Health</th>\
    <th scope=\"col\">Under way</th><th scope=\"col\">Per second</th><th scope=\"col\">Requests</th>\
    <th scope=\"col\">Failures</th><th scope=\"col\">2xx</th><th scope=\"col\">3xx</th><th scope=\"col\">4xx</th>\
    <th scope=\"col\">5xx</th><th scope=\"col\">Median</th><th scope=\"col\">95 %</th><th scope=\"col\">99 %</th>\
    </tr></thead><tbody>";

const PAGE_BEGIN: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta http-equiv=\"refresh\" content=\"3\">\
    <title>nethttp proxy</title><style>\
    :root{color-scheme:light dark;--line:light-dark(#dde1e6,#343a42);--soft:light-dark(#5b6470,#9aa4b0);\
    --head:light-dark(#f5f7f9,#1d2127)}\
    body{font:14px/1.5 system-ui,sans-serif;margin:0;background:light-dark(#fff,#14171b);color:light-dark(#1b1f24,#e6e9ed)}\
    main{max-width:76rem;margin:0 auto;padding:1.5rem 1rem}h1{font-size:1.35rem;margin:0}h2{font-size:1rem;margin:2rem 0 .5rem;\
    font-family:ui-monospace,monospace}.sum,footer{color:var(--soft);margin:.25rem 0}footer{margin-top:2rem}\
    .scroll{overflow-x:auto;border:1px solid var(--line);border-radius:8px}table{border-collapse:collapse;width:100%;\
    font-variant-numeric:tabular-nums}th,td{padding:.5rem .55rem;text-align:right;white-space:nowrap;\
    border-bottom:1px solid var(--line)}tbody tr:last-child>*{border-bottom:0}thead th{background:var(--head);\
    font-weight:500;color:var(--soft);font-size:.85rem}th:first-child{text-align:left}tbody th{font-weight:500;\
    font-family:ui-monospace,monospace}td:nth-child(2){text-align:left}thead th:nth-child(2){text-align:left}\
    td span{padding:.1rem .55rem;border-radius:1rem;font-size:.85rem}.up{background:light-dark(#dcf3e3,#143d24);\
    color:light-dark(#116329,#7ee2a0)}.down{background:light-dark(#fde3e1,#4a1a17);color:light-dark(#a40e26,#ff9d94)}\
    .warn,.wait{background:light-dark(#fff1cf,#463708);color:light-dark(#7a5200,#f0c860)}.wait{display:inline-block;\
    padding:.1rem .6rem;border-radius:6px;margin:0 0 .5rem}a{color:inherit}</style></head><body><main>\
    <h1>nethttp proxy</h1>";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_in_the_unit_that_is_read_best() {
        let said = [0, 250, 12_345, 2_500_000].map(|micros| millis(Duration::from_micros(micros)));
        assert_eq!(said, ["–", "0.25 ms", "12 ms", "2.5 s"]);
        assert_eq!([59, 61, 3_661, 90_000].map(spelled), ["59 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
    }

    #[test]
    fn names_are_text_on_the_page() {
        assert_eq!(escaped("<a&\"b\">"), "&lt;a&amp;&quot;b&quot;&gt;");
    }
}
