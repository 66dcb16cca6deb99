//! Requests counted by route and status, with their times, for a collector that reads text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nethttp::server::{RequestRecord, ResponseEnd};
use nethttp::{BoxHandler, Handler as _, Request, ResponseWriter, ServeMux, Server, respond_with};

#[derive(Default)]
struct Metrics {
    routes: Mutex<BTreeMap<(String, u16), (u64, Duration)>>,
    left: Mutex<u64>,
}

impl Metrics {
    fn count(&self, record: &RequestRecord) {
        // The pattern and not the path: a peer can make any number of paths.
        let route = record.pattern.as_deref().unwrap_or("none").to_owned();
        let status = record.status.map_or(0, |status| status.as_u16());
        let mut routes = self.routes.lock().unwrap();
        let (count, time) = routes.entry((route, status)).or_default();
        *count += 1;
        *time += record.duration;
        if record.end == ResponseEnd::ClientLeft {
            *self.left.lock().unwrap() += 1;
        }
    }

    async fn text(&self, _: &mut Request) -> String {
        let mut text = String::new();
        for ((route, status), (count, time)) in self.routes.lock().unwrap().iter() {
            let labels = format!("{{route=\"{route}\",status=\"{status}\"}}");
            let _ = writeln!(text, "http_requests_total{labels} {count}");
            let _ = writeln!(text, "http_request_seconds_sum{labels} {}", time.as_secs_f64());
        }
        let _ = writeln!(text, "http_clients_left_total {}", self.left.lock().unwrap());
        text
    }
}

fn server(routes: &ServeMux) -> Server {
    let metrics = Arc::new(Metrics::default());
    routes.handle("GET /metrics", respond_with(metrics.clone(), Metrics::text));
    let mut server = Server::new(routes.clone());
    server.on_request = Some(Arc::new(move |record| metrics.count(record)));
    server
}

// ------------------------------------------------------------ tried

#[tokio::test(start_paused = true)]
async fn requests_are_counted_by_route_and_status() {
    let mux = ServeMux::new();
    let handler: BoxHandler = (async |w: &mut ResponseWriter, _: &mut Request| w.write("an item").await).boxed();
    mux.handle("GET /items/{id}", handler);
    let started = nethttp::testing::Server::of(server(&mux)).in_memory().start();
    let ask = async |path: &str| {
        started.client().get(format!("{}{path}", started.url())).await.unwrap().text().await.unwrap()
    };
    for path in ["/items/1", "/items/2", "/nothing"] {
        ask(path).await;
    }
    let text = ask("/metrics").await;
    assert!(text.contains("http_requests_total{route=\"GET /items/{id}\",status=\"200\"} 2\n"), "{text}");
    assert!(text.contains("http_requests_total{route=\"none\",status=\"404\"} 1\n"), "{text}");
    assert!(text.ends_with("http_clients_left_total 0\n"), "{text}");
}
