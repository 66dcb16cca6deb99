//! A chain of middleware, some ready-made and some of the program's own, around routes and around a group of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nethttp::middleware::{
    AccessLog, Authentication, Compression, Cors, Identity, LogFormat, RateLimit, RequestId, TrustedProxies, with_state,
};
use nethttp::{Error, Middleware, Next, Request, ResponseWriter, Result, ServeMux, StatusCode};

/// How long handlers took, as browsers show it.
async fn timed(w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
    let began = Instant::now();
    w.before_head(move |_, header| {
        header.set("Server-Timing", format!("app;dur={}", began.elapsed().as_millis()));
    });
    next.run(w, r).await
}

/// Counts what went wrong.
#[derive(Default)]
struct Failures(AtomicU64);

impl Middleware for Failures {
    async fn handle(&self, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
        let result = next.run(w, r).await;
        let status = result.as_ref().map_or_else(Error::status, |()| w.status());
        if status.is_none_or(|status| status.is_server_error()) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        result
    }
}

/// The application is closed for repairs while this is set.
#[derive(Clone, Default)]
struct Repairs(Arc<Mutex<Option<&'static str>>>);

async fn closed_for(repairs: &Repairs, w: &mut ResponseWriter, r: &mut Request, next: Next<'_>) -> Result<()> {
    let reason = *repairs.0.lock().unwrap();
    match reason {
        Some(reason) => {
            w.header().set("Retry-After", "60");
            Err(Error::answer(StatusCode::SERVICE_UNAVAILABLE, reason))
        }
        None => next.run(w, r).await,
    }
}

async fn report(w: &mut ResponseWriter, r: &mut Request) -> Result<()> {
    let who = r.extensions.get::<Identity>().map_or("nobody", |identity| &identity.name);
    let line = format!("a line of the report for {who}\n");
    w.write(line.repeat(100)).await
}

async fn broken(_: &mut ResponseWriter, _: &mut Request) -> Result<()> {
    Err(std::io::Error::other("the disk is gone").into())
}

fn service(log: impl Fn(&str) + Send + Sync + 'static, failures: &Arc<Failures>, repairs: &Repairs) -> ServeMux {
    let mux = ServeMux::new();
    mux.handle("GET /health", async |w: &mut ResponseWriter, _: &mut Request| w.write("ok\n").await);
    mux.handle("GET /broken", broken);
    let reports = mux.group("/reports");
    reports.handle("GET /{name}", report);
    reports.wrap(Authentication::new("reports").bearer_tokens([("anna", "a-long-secret")]));
    mux.wrap(TrustedProxies::new(["10.0.0.0/8"]));
    mux.wrap(RequestId::new());
    mux.wrap(AccessLog::new(LogFormat::Short).to(log));
    mux.wrap(timed);
    mux.wrap(failures.clone());
    mux.wrap(Cors::new().allow_origin("https://app.example.com"));
    mux.wrap(RateLimit::new(100, Duration::from_secs(60)));
    mux.wrap(with_state(repairs.clone(), closed_for));
    mux.wrap(Compression::new());
    mux
}

// ------------------------------------------------------------ tried

#[tokio::test(start_paused = true)]
async fn each_link_of_the_chain_does_its_part() {
    let (log, failures, repairs) = (Arc::new(Mutex::new(Vec::new())), Arc::default(), Repairs::default());
    let lines = log.clone();
    let mux = service(move |line| lines.lock().unwrap().push(line.to_owned()), &failures, &repairs);
    let server = nethttp::testing::Server::in_memory(mux);
    let ask = async |path: &str, token: &str| {
        let request = Request::get(format!("{}{path}", server.url())).unwrap().with_bearer_auth(token);
        server.client().send(request.with_header("Origin", "https://app.example.com")).await.unwrap()
    };
    let mut response = ask("/reports/may", "a-long-secret").await;
    assert!(response.text().await.unwrap().starts_with("a line of the report for anna\n"));
    assert!(response.header.get("Server-Timing").is_some_and(|value| value.starts_with("app;dur=")));
    assert!(response.header.contains("X-Request-Id"));
    assert!(response.header.has_token("Vary", "Accept-Encoding"));
    let refused = ask("/reports/may", "a-wrong-one").await;
    assert_eq!((refused.status.as_u16(), refused.header.get("WWW-Authenticate").is_some()), (401, true));
    assert_eq!(refused.header.get("Access-Control-Allow-Origin"), Some("https://app.example.com"));
    assert_eq!(ask("/broken", "").await.status.as_u16(), 500);
    assert_eq!(failures.0.load(Ordering::Relaxed), 1);
    *repairs.0.lock().unwrap() = Some("back in a minute");
    let closed = ask("/health", "").await;
    assert_eq!((closed.status.as_u16(), closed.header.get("Retry-After")), (503, Some("60")));
    assert!(server.close().await.running.is_empty());
    assert_eq!(log.lock().unwrap().len(), 4);
}
